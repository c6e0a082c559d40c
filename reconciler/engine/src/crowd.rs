//! How many apps are looked at as a whole at the same time: what an app needs only then is not needed for all at once.

use std::{pin::pin, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Apps that begin to be looked at together. Their requests take turns anyway; with ten thousand of them under way
/// the last one would be done no earlier, and each holds its objects as trees of values.
const APPS_AT_ONCE: usize = 256;

/// How long a place is kept. An app that takes longer waits for something, and holds up nobody.
const KEPT: Duration = Duration::from_secs(1);

/// The places.
#[derive(Debug)]
pub(crate) struct Crowd(Semaphore);

impl Default for Crowd {
    fn default() -> Self {
        Self(Semaphore::new(APPS_AT_ONCE))
    }
}

impl Crowd {
    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Place<'_> {
        let permit = self.0.acquire().await.ok();
        Place { permit }
    }
}

/// A place for one app.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// None when nobody counts places any more.
    permit: Option<SemaphorePermit<'a>>,
}

impl Place<'_> {
    /// Does something, and gives the place away when that is done or takes long.
    pub(crate) async fn work<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            result = &mut work => return result,
            () = tokio::time::sleep(KEPT) => {}
        }
        drop(self.permit);
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_hangs_keeps_no_place() {
        let crowd = Arc::new(Crowd::default());
        for _ in 0..APPS_AT_ONCE {
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move { crowd.enter().await.work(pending::<()>()).await });
        }
        while crowd.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let (sender, receiver) = oneshot::channel();
        let last = Arc::clone(&crowd);
        tokio::spawn(async move { last.enter().await.work(async { sender.send(7) }).await });
        assert_eq!(receiver.await, Ok(7));
    }
}
