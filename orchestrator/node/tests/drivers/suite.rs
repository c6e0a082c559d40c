//! A suite of tests that run one after the other and print like the usual harness.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

/// Runs named tests one after the other.
pub(crate) struct Suite {
    filter: Option<String>,
    passed: usize,
    failed: Vec<String>,
}

impl Suite {
    pub(crate) fn new() -> Self {
        let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
        Self {
            filter,
            passed: 0,
            failed: Vec::new(),
        }
    }

    pub(crate) async fn test<F>(&mut self, name: &str, body: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !name.contains(filter.as_str()))
        {
            return;
        }
        let outcome = tokio::time::timeout(Duration::from_secs(60), tokio::spawn(body)).await;
        if matches!(outcome, Ok(Ok(()))) {
            println!("test {name} ... ok");
            self.passed += 1;
        } else {
            println!("test {name} ... FAILED");
            self.failed.push(name.to_owned());
        }
    }

    pub(crate) fn finish(self) -> ExitCode {
        println!(
            "\n{} passed; {} failed: {:?}",
            self.passed,
            self.failed.len(),
            self.failed
        );
        if self.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
