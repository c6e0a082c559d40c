//! Kubernetes Events (`events.k8s.io/v1`) about apps. What repeats is counted in one event.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{app::News, kinds};

/// Events that are remembered to be counted on.
const KNOWN_MAX: usize = 4096;

/// How long a repetition counts as one: upstream keeps events for an hour (`--event-ttl`).
const SAME_SECONDS: i64 = 3600;

/// The name of the one who tells (`reportingController`).
const CONTROLLER: &str = "ordain.dev/reconciler";

/// What an event is about.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// An event that was told.
struct Told {
    name: String,
    note: String,
    count: u64,
    at: Timestamp,
}

/// Tells events.
pub(crate) struct Events {
    api: Api<DynamicObject>,
    namespace: String,
    instance: String,
    told: HashMap<(String, &'static str), Told>,
    /// Set when the server said that we may not.
    forbidden: bool,
}

impl Events {
    pub(crate) fn new(client: Client, namespace: &str, instance: &str) -> Self {
        let resource = ApiResource {
            group: "events.k8s.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "events.k8s.io/v1".to_owned(),
            kind: "Event".to_owned(),
            plural: "events".to_owned(),
        };
        Self {
            api: Api::namespaced_with(client, namespace, &resource),
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
            told: HashMap::new(),
            forbidden: false,
        }
    }

    /// Tells something about an app. Events are a courtesy: one that cannot be written is dropped.
    pub(crate) async fn tell(&mut self, about: &About, news: &News, now: Timestamp) {
        if self.forbidden {
            return;
        }
        let key = (about.name.clone(), news.reason);
        if let Some(told) = self.told.get_mut(&key)
            && told.note == news.note
            && now.duration_since(told.at).as_secs() < SAME_SECONDS
        {
            told.count += 1;
            told.at = now;
            let series = json!({"series": {"count": told.count, "lastObservedTime": micro(now)}});
            let (name, patch) = (told.name.clone(), Patch::Merge(series));
            let patched = self.api.patch(&name, &PatchParams::default(), &patch).await;
            if patched.is_ok() {
                return;
            }
        }
        // As client-go names them: the object and the time.
        let name = format!("{}.{:x}", about.name, now.as_nanosecond());
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": name, "namespace": self.namespace},
            "eventTime": micro(now),
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance,
            "action": "Reconcile",
            "reason": news.reason,
            "type": if news.warning { "Warning" } else { "Normal" },
            "note": news.note,
            "regarding": {
                "apiVersion": kinds::VERSION, "kind": kinds::APP.kind, "name": about.name,
                "namespace": self.namespace, "uid": about.uid,
            },
        });
        let Ok(event) = serde_json::from_value(event) else {
            return;
        };
        match self.api.create(&PostParams::default(), &event).await {
            Ok(_) => {
                if self.told.len() >= KNOWN_MAX {
                    self.told.clear();
                }
                let told = Told {
                    name,
                    note: news.note.clone(),
                    count: 1,
                    at: now,
                };
                self.told.insert(key, told);
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(reason = status.message, "no events are told");
                self.forbidden = true;
            }
            Err(error) => tracing::debug!(%error, "an event is not told"),
        }
    }
}

/// RFC 3339 with six digits, as `MicroTime` wants it.
fn micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
