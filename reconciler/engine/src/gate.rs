//! Who may send next: apps take turns, however many requests each of them has.
//!
//! The number of requests at once is the pace's; here it is only kept. An app with ten thousand objects and a
//! thousand apps with one object each get a request through in turn, so nobody waits for somebody else's end.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use crate::pace::{Class, Pace};

/// Whose turn it is: one number for each app, 0 for everything else.
type Lane = u64;

tokio::task_local! {
    static LANE: Lane;
}

/// Runs a future whose requests take turns with those of others.
///
/// No async function: that would keep the future twice, as its argument and in its scope.
pub(crate) fn in_a_lane<F: Future>(future: F) -> impl Future<Output = F::Output> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    LANE.scope(NEXT.fetch_add(1, Ordering::Relaxed), future)
}

/// What waits, by lane; lanes take turns. Pure.
#[derive(Debug)]
struct Turns<T> {
    waiting: HashMap<Lane, VecDeque<T>>,
    /// Lanes in which something waits, in the order of their turns.
    order: VecDeque<Lane>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Turns<T> {
    fn push(&mut self, lane: Lane, item: T) {
        let queue = self.waiting.entry(lane).or_default();
        if queue.is_empty() {
            self.order.push_back(lane);
        }
        queue.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        let lane = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&lane)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&lane);
        } else {
            self.order.push_back(lane);
        }
        item
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[derive(Debug, Default)]
struct State {
    pace: Pace,
    turns: Turns<oneshot::Sender<Permit>>,
    under_way: usize,
}

/// The gate in front of one API server. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    state: Arc<Mutex<State>>,
}

/// Leave to send one request; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Option<Gate>,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. Whoever stops waiting loses nothing but its turn.
    pub(crate) async fn enter(&self) -> Permit {
        let lane = LANE.try_with(|lane| *lane).unwrap_or(0);
        let (sender, receiver) = oneshot::channel();
        self.lock().turns.push(lane, sender);
        self.admit();
        match receiver.await {
            Ok(permit) => permit,
            // No gate drops a sender it has not answered; if it did, the request would go on all the same.
            Err(_) => Permit { gate: None },
        }
    }

    /// Tells how long an answer took.
    pub(crate) fn answered(&self, class: Class, took: Duration) {
        let mut state = self.lock();
        let waiting = !state.turns.is_empty();
        state.pace.answered(class, took, waiting);
    }

    /// Tells that the server said it is busy, or did not answer in time.
    pub(crate) fn busy(&self) {
        self.lock().pace.busy();
    }

    /// Gives permits to those whose turn it is.
    fn admit(&self) {
        loop {
            let mut state = self.lock();
            if state.under_way >= state.pace.limit() {
                return;
            }
            let Some(next) = state.turns.pop() else {
                return;
            };
            state.under_way += 1;
            drop(state);
            let permit = Permit {
                gate: Some(self.clone()),
            };
            if let Err(mut unwanted) = next.send(permit) {
                // Nobody waits for it any more. Taken back here, as dropping it would come to this place again.
                unwanted.gate = None;
                self.lock().under_way -= 1;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.lock().under_way -= 1;
            gate.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn lanes_take_turns_whatever_they_hold() {
        let mut turns = Turns::default();
        for item in 0..1_000 {
            turns.push(7, ("many", item));
        }
        for item in 0..3 {
            turns.push(8, ("few", item));
        }
        let first: Vec<_> = (0..7).filter_map(|_| turns.pop()).collect();
        let wanted = [
            ("many", 0),
            ("few", 0),
            ("many", 1),
            ("few", 1),
            ("many", 2),
            ("few", 2),
            ("many", 3),
        ];
        assert_eq!(first, wanted);
        let rest = std::iter::from_fn(|| turns.pop()).count();
        assert_eq!((rest, turns.is_empty()), (996, true));
    }

    /// How many requests go through before every healthy app is done, when each app has four and each of the failing
    /// ones comes back at once, for ever.
    fn rounds(healthy: u64, failing: u64) -> usize {
        let mut turns = Turns::default();
        for request in 0..4 {
            (0..healthy + failing).for_each(|lane| turns.push(lane, (lane, request)));
        }
        let (mut left, mut sent) = (healthy * 4, 0);
        while left > 0 {
            let Some((lane, request)) = turns.pop() else {
                break;
            };
            sent += 1;
            match lane < healthy {
                true => left -= 1,
                false => turns.push(lane, (lane, request)),
            }
        }
        sent
    }

    #[test]
    fn failing_apps_cost_the_healthy_ones_their_own_share_and_no_more() {
        assert_eq!(rounds(900, 0), 3_600);
        // Each failing app takes one turn in each of the four rounds, as if it were a healthy one.
        let with_failing = rounds(900, 100);
        assert!(with_failing <= 4_000, "{with_failing}");
    }

    #[tokio::test]
    async fn no_more_than_the_limit_are_under_way_and_who_leaves_lets_others_in() {
        let gate = Gate::default();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(gate.enter().await);
        }
        let mut waiting = Box::pin(gate.enter());
        assert!((&mut waiting).now_or_never().is_none(), "it is full");
        // Somebody who gives up does not take a place along.
        let mut gone = Box::pin(in_a_lane(gate.enter()));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        held.pop();
        assert!((&mut waiting).now_or_never().is_some());
        drop(held);
        drop(waiting);
        assert_eq!(gate.lock().under_way, 0);
    }

    #[tokio::test]
    async fn one_hung_server_is_nothing_to_another() {
        let (hung, other) = (Gate::default(), Gate::default());
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(hung.enter().await);
        }
        assert!(Box::pin(hung.enter()).now_or_never().is_none());
        assert!(Box::pin(other.enter()).now_or_never().is_some());
    }
}
