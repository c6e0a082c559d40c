//! What the reconciler said last. However many browsers look, it is asked once in a while, and never while none does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ordain_reconciler_engine::{
    Status,
    control::{Request, Response},
};
use tokio::sync::Mutex;

use crate::Ask;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Changes when something else is known.
    pub(crate) number: u64,
    pub(crate) status: Result<Arc<Status>, String>,
}

/// Asks, and remembers for a moment.
pub(crate) struct Now {
    ask: Arc<dyn Ask>,
    /// How old an answer may be.
    pub(crate) each: Duration,
    last: Mutex<Option<(Instant, Seen)>>,
}

impl Now {
    pub(crate) fn new(ask: Arc<dyn Ask>, each: Duration) -> Self {
        let last = Mutex::default();
        Self { ask, each, last }
    }

    /// Asks the reconciler.
    pub(crate) async fn ask(&self, request: Request) -> Result<Vec<Response>, String> {
        let ask = Arc::clone(&self.ask);
        let asked = tokio::task::spawn_blocking(move || ask.ask(&request));
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "the reconciler did not answer within {} s",
                PATIENCE.as_secs()
            )),
        }
    }

    /// How everything stands.
    pub(crate) async fn seen(&self) -> Seen {
        // Whoever comes meanwhile waits for the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, seen)) = &*last
            && at.elapsed() < self.each
        {
            return seen.clone();
        }
        let answers = self.ask(Request::Status).await;
        let status = answers.and_then(|answers| {
            let found = answers.into_iter().find_map(|answer| match answer {
                Response::Status { status } => Some(Arc::new(status)),
                _ => None,
            });
            found.ok_or_else(|| "the reconciler gave no answer".to_owned())
        });
        let number = match &*last {
            Some((_, before)) if before.status == status => before.number,
            Some((_, before)) => before.number + 1,
            None => 1,
        };
        let seen = Seen { number, status };
        *last = Some((Instant::now(), seen.clone()));
        seen
    }
}
