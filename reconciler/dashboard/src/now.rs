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
    last: Mutex<Option<Last>>,
}

/// The last answer.
struct Last {
    /// Until when it will do.
    until: Instant,
    seen: Seen,
}

/// So many times as long as an answer takes nobody asks again: ten thousand apps take a while to tell.
const REST: u32 = 10;

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
        let begun = Instant::now();
        if let Some(known) = last.as_ref().filter(|known| begun < known.until) {
            return known.seen.clone();
        }
        let answers = self.ask(Request::Status).await;
        let status = answers.and_then(|answers| {
            let found = answers.into_iter().find_map(|answer| match answer {
                Response::Status { status } => Some(Arc::new(status)),
                _ => None,
            });
            found.ok_or_else(|| "the reconciler gave no answer".to_owned())
        });
        let number = match last.as_ref().map(|known| &known.seen) {
            Some(before) if before.status == status => before.number,
            Some(before) => before.number + 1,
            None => 1,
        };
        let seen = Seen { number, status };
        let now = Instant::now();
        *last = Some(Last {
            until: now + self.each.max((now - begun) * REST),
            seen: seen.clone(),
        });
        seen
    }
}
