//! The thin loop of every controller: keys in, one reconcile per key at a time, retries with
//! growing delay. It knows no Kubernetes kind.

use std::{
    collections::{HashMap, HashSet},
    fmt::{Debug, Display},
    hash::Hash,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, stream::FuturesUnordered};
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// The first delay after a failure.
const RETRY_MILLISECONDS_MIN: u64 = 20;
/// The longest delay after repeated failures.
const RETRY_MILLISECONDS_MAX: u64 = 60_000;

/// Where keys are put that want work. Cheap to clone; never waits.
pub struct Queue<T> {
    requests: mpsc::UnboundedSender<ScheduleRequest<T>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        Queue {
            requests: self.requests.clone(),
        }
    }
}

impl<T> Queue<T> {
    /// Asks for work on `key`. Keys that already wait are not added twice.
    pub fn add(&self, key: T) {
        self.add_after(key, Duration::ZERO);
    }

    /// Asks for work on `key` once `delay` has passed; an earlier wish wins.
    pub fn add_after(&self, key: T, delay: Duration) {
        let request = ScheduleRequest {
            message: key,
            run_at: Instant::now() + delay,
        };
        // A loop that has ended needs no more work.
        let _ = self.requests.send(request);
    }
}

/// The other end of a [`Queue`].
pub struct Work<T> {
    queue: Queue<T>,
    requests: Requests<T>,
}

struct Requests<T>(mpsc::UnboundedReceiver<ScheduleRequest<T>>);

impl<T> Stream for Requests<T> {
    type Item = ScheduleRequest<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Returns a queue and the work that [`run_controller`] takes from it.
pub fn queue<T>() -> (Queue<T>, Work<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let queue = Queue { requests: sender };
    (
        queue.clone(),
        Work {
            queue,
            requests: Requests(receiver),
        },
    )
}

/// When a key that was reconciled wants to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When something changes.
    Signal,
    /// After this time, or when something changes.
    After(Duration),
}

/// How a controller works through its keys.
#[derive(Clone, Copy, Debug)]
pub struct WorkConfig {
    /// Keys that are reconciled at the same time.
    pub concurrency: usize,
    /// Every key is reconciled this often although nothing changed.
    pub period: Duration,
}

impl Default for WorkConfig {
    /// Four keys at a time; all of them every ten minutes.
    fn default() -> WorkConfig {
        WorkConfig {
            concurrency: 4,
            period: Duration::from_secs(600),
        }
    }
}

/// Reconciles keys until `shutdown`: those of the queue, and by period all that `keys` names.
/// A failed key comes back with a delay that doubles with every failure in a row.
pub async fn run_controller<T, E, F>(
    name: &'static str,
    config: WorkConfig,
    work: Work<T>,
    shutdown: CancellationToken,
    keys: impl Fn() -> Vec<T>,
    reconcile: impl Fn(T) -> F,
) where
    T: Clone + Eq + Hash + Debug + Display,
    E: std::error::Error + 'static,
    F: Future<Output = Result<Next, E>>,
{
    let Work { queue, requests } = work;
    let mut scheduler = std::pin::pin!(scheduler(requests));
    let mut running = FuturesUnordered::new();
    let mut busy = HashSet::new();
    let mut failures: HashMap<T, u32> = HashMap::new();
    let mut period = tokio::time::interval(config.period);
    loop {
        let free = running.len() < config.concurrency.max(1);
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = period.tick() => keys().into_iter().for_each(|key| queue.add(key)),
            Some((key, result)) = running.next(), if !running.is_empty() => {
                busy.remove(&key);
                match result {
                    Ok(next) => {
                        failures.remove(&key);
                        if let Next::After(delay) = next {
                            queue.add_after(key, delay);
                        }
                    }
                    Err(error) => {
                        let count = failures.entry(key.clone()).or_default();
                        *count += 1;
                        report(name, &key, *count, &error);
                        queue.add_after(key, retry_delay(*count));
                    }
                }
            }
            key = next_free(scheduler.as_mut(), &busy), if free => {
                // The queue in `work` keeps the stream open.
                let Some(key) = key else { return };
                busy.insert(key.clone());
                running.push(reconcile(key.clone()).map(move |result| (key, result)));
            }
        }
    }
}

async fn next_free<T, R>(
    scheduler: Pin<&mut kube::runtime::scheduler::Scheduler<T, R>>,
    busy: &HashSet<T>,
) -> Option<T>
where
    T: Clone + Eq + Hash,
    R: Stream<Item = ScheduleRequest<T>>,
{
    scheduler
        .hold_unless(|key| !busy.contains(key))
        .next()
        .await
}

/// Returns the delay after `failures` in a row.
fn retry_delay(failures: u32) -> Duration {
    let doubled = RETRY_MILLISECONDS_MIN.saturating_mul(1 << failures.saturating_sub(1).min(30));
    Duration::from_millis(doubled.min(RETRY_MILLISECONDS_MAX))
}

/// The first failures of a key are everyday life: somebody else wrote between read and write.
fn report(
    name: &str,
    key: &impl Display,
    failures: u32,
    error: &(dyn std::error::Error + 'static),
) {
    const EVERYDAY_FAILURES: u32 = 3;
    if failures <= EVERYDAY_FAILURES {
        tracing::debug!(controller = name, %key, failures, error, "reconcile failed, will retry");
    } else {
        tracing::warn!(controller = name, %key, failures, error, "reconcile keeps failing");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use tokio::sync::{Notify, mpsc};
    use tokio_util::sync::CancellationToken;

    use super::{Next, WorkConfig, queue, retry_delay, run_controller};

    #[test]
    fn the_delay_doubles_up_to_its_limit() {
        let delays: Vec<_> = [1, 2, 3, 12, 13, 400]
            .map(|n| retry_delay(n).as_millis())
            .into();
        assert_eq!(delays, [20, 40, 80, 40_960, 60_000, 60_000]);
    }

    #[tokio::test]
    async fn a_key_is_never_worked_on_twice_at_a_time_and_signals_coalesce() {
        let (queue, work) = queue();
        let shutdown = CancellationToken::new();
        let (began, mut begins) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let running = Arc::new(AtomicUsize::new(0));
        let (token, gate) = (shutdown.clone(), go_on.clone());
        let task = tokio::spawn(async move {
            let reconcile = |key: &'static str| {
                let (began, gate, running) = (began.clone(), gate.clone(), running.clone());
                async move {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    began.send(key).unwrap();
                    gate.notified().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, std::fmt::Error>(Next::Signal)
                }
            };
            run_controller(
                "test",
                WorkConfig::default(),
                work,
                token,
                Vec::new,
                reconcile,
            )
            .await;
        });
        queue.add("a");
        assert_eq!(begins.recv().await, Some("a"));
        for _ in 0..5 {
            queue.add("a");
        }
        go_on.notify_one();
        assert_eq!(
            begins.recv().await,
            Some("a"),
            "a signal during work leads to another look"
        );
        go_on.notify_one();
        queue.add("b");
        assert_eq!(
            begins.recv().await,
            Some("b"),
            "five signals led to one look"
        );
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn failures_and_wishes_come_back() {
        let (queue, work) = queue();
        let shutdown = CancellationToken::new();
        let looks = AtomicUsize::new(0);
        queue.add("a");
        let reconcile = |_| {
            let look = looks.fetch_add(1, Ordering::SeqCst);
            let shutdown = shutdown.clone();
            async move {
                match look {
                    0 | 1 => Err(std::fmt::Error),
                    2 => Ok(Next::After(Duration::from_millis(1))),
                    _ => {
                        shutdown.cancel();
                        Ok(Next::Signal)
                    }
                }
            }
        };
        let config = WorkConfig::default();
        run_controller("test", config, work, shutdown.clone(), Vec::new, reconcile).await;
        assert_eq!(looks.load(Ordering::SeqCst), 4);
    }
}
