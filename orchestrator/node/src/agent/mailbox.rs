//! Where a worker finds the newest state of its pod, and how it is woken.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;

/// Where a worker finds the newest state of its pod.
pub(super) struct Mailbox {
    state: Mutex<(Arc<Pod>, bool)>,
    pub(super) signal: Arc<Notify>,
}

impl Mailbox {
    pub(super) fn new(pod: Arc<Pod>) -> Self {
        Self {
            state: Mutex::new((pod, false)),
            signal: Arc::default(),
        }
    }

    pub(super) fn deliver(&self, pod: Arc<Pod>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A watch may lag behind what a write of our own returned.
        if revision(&pod) >= revision(&state.0) {
            state.0 = pod;
        }
        drop(state);
        self.signal.notify_one();
    }

    /// The object is gone: the pod is to be taken down without further words.
    pub(super) fn gone(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.signal.notify_one();
    }

    pub(super) fn kick(&self) {
        self.signal.notify_one();
    }

    pub(super) fn pod(&self) -> Arc<Pod> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Returns how new a pod's state is: 0 when it does not say.
pub(super) fn revision(pod: &Pod) -> u64 {
    pod.metadata
        .resource_version
        .as_ref()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
