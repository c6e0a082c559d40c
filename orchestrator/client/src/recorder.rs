//! Events about objects, written beside the work and never waited for.
//!
//! `kube`'s recorder folds events of one reason together whatever they say; here only equal
//! messages are folded, as upstream's correlator does, so that `kubectl describe` shows each.

use std::collections::{HashMap, VecDeque};

use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use tokio::sync::mpsc;

/// Events that wait to be written; more are dropped, as they are hints and not state.
const WAITING_MAX: usize = 256;
/// Events that are remembered to count repetitions.
const REMEMBERED_MAX: usize = 512;

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Somebody may like to know.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Writes events in the name of one component. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    notes: mpsc::Sender<Note>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Note {
    namespace: String,
    kind: String,
    name: String,
    uid: String,
    api_version: String,
    event_type: EventType,
    reason: &'static str,
    message: String,
}

impl Recorder {
    /// Returns a recorder for `component`, for example `deployment-controller`. It writes from a
    /// task of its own until it and its clones are dropped. Must be called within a tokio runtime.
    pub fn new(client: Client, component: &'static str) -> Recorder {
        let (notes, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(client, component, waiting));
        Recorder { notes }
    }

    /// Records an event about `object`. Returns at once; an event that cannot be written is lost.
    pub fn record(
        &self,
        object: &ObjectReference,
        event_type: EventType,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let note = Note {
            namespace: text(&object.namespace),
            kind: text(&object.kind),
            name: text(&object.name),
            uid: text(&object.uid),
            api_version: text(&object.api_version),
            event_type,
            reason,
            message: message.into(),
        };
        if self.notes.try_send(note).is_err() {
            tracing::debug!(reason, "event dropped");
        }
    }
}

/// An event that was written, to be counted up when it happens again.
struct Written {
    name: String,
    count: i32,
}

async fn write(client: Client, component: &'static str, mut notes: mpsc::Receiver<Note>) {
    let mut written: HashMap<Note, Written> = HashMap::new();
    let mut order: VecDeque<Note> = VecDeque::new();
    while let Some(note) = notes.recv().await {
        // Events about objects of the whole cluster are kept in `default`, as upstream does.
        let namespace = if note.namespace.is_empty() {
            "default"
        } else {
            &note.namespace
        };
        let events = Api::<Event>::namespaced(client.clone(), namespace);
        let now = Timestamp::now();
        if let Some(before) = written.get_mut(&note) {
            let again = Event {
                count: Some(before.count + 1),
                last_timestamp: Some(Time(now)),
                ..Event::default()
            };
            let patch = Patch::Merge(&again);
            if events
                .patch(&before.name, &PatchParams::default(), &patch)
                .await
                .is_ok()
            {
                before.count += 1;
                continue;
            }
        }
        let event = event(&note, namespace, component, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(component, reason = note.reason, error, "event not written");
            continue;
        }
        if written
            .insert(note.clone(), Written { name, count: 1 })
            .is_none()
        {
            order.push_back(note);
        }
        if order.len() > REMEMBERED_MAX
            && let Some(oldest) = order.pop_front()
        {
            written.remove(&oldest);
        }
    }
}

fn event(note: &Note, namespace: &str, component: &str, now: Timestamp) -> Event {
    let source = EventSource {
        component: Some(component.to_owned()),
        host: None,
    };
    Event {
        metadata: ObjectMeta {
            // As upstream's recorder names them: the object and the time in hexadecimal.
            name: Some(format!("{}.{:x}", note.name, now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(note.api_version.clone()),
            kind: Some(note.kind.clone()),
            namespace: (!note.namespace.is_empty()).then(|| note.namespace.clone()),
            name: Some(note.name.clone()),
            uid: Some(note.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(format!("{:?}", note.event_type)),
        reason: Some(note.reason.to_owned()),
        message: Some(note.message.clone()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        event_time: None::<MicroTime>,
        reporting_component: Some(component.to_owned()),
        reporting_instance: Some(component.to_owned()),
        source: Some(source),
        ..Event::default()
    }
}
