//! Fields that a forced apply takes from other managers: said in the status and as an Event of the object.

use ordain_reconciler_journal::Event;
use ordain_reconciler_plan::{Action, ApiVersion, ObjectKey, Plan, Taken};
use serde_json::{Value, json};

use crate::{cluster::Resource, execute::Written, shared::now_ms, target::Target, worker::Worker};

/// The component that events of ours name.
const COMPONENT: &str = "ordain";

impl Worker {
    /// Tells which fields were taken from whom, and counts what was changed back.
    pub(crate) async fn tell_taken(&mut self, target: &Target, plan: &Plan, written: &Written) {
        let reverts = self.ledger.stands(&target.commit);
        for (key, _, object) in &written.objects {
            let Some(action) = plan.actions.iter().find(|action| action.key == *key) else {
                continue;
            };
            for taken in &action.taken {
                let fields = taken.fields.join(", ");
                let line = format!("{key}: took {fields} from {}", taken.manager);
                tracing::info!(app = %self.app, line);
                if self.taken.insert(line.clone()) {
                    let facts = [("manager", &taken.manager), ("fields", &fields)];
                    self.note("taken", line, &facts).await;
                }
                self.event(object, "TookFields", &took(taken)).await;
            }
            if reverts {
                self.fought(action, object).await;
            }
        }
    }

    async fn fought(&mut self, action: &Action, object: &Value) {
        for fight in self.fights.reverted(action) {
            let text = fight.to_string();
            tracing::warn!(app = %self.app, fight = text, "a fight over a field");
            let facts = [("manager", &fight.theirs), ("fields", &fight.field)];
            self.note("fight", text.clone(), &facts).await;
            self.event(object, "Fight", &text).await;
        }
    }

    /// Records something in the journal that has no event of its own there.
    async fn note(&self, topic: &str, text: String, facts: &[(&str, &String)]) {
        let facts = facts.iter();
        let event = Event::Note {
            only: Some(self.app.clone()),
            topic: topic.to_owned(),
            text,
            facts: facts
                .map(|(name, value)| ((*name).to_owned(), (*value).clone()))
                .collect(),
        };
        if let Err(error) = self.shared.record(event).await {
            tracing::error!(app = %self.app, error = error.chain(), "cannot write to the journal");
        }
    }

    /// Writes an Event about an object; whether that works changes nothing else.
    async fn event(&self, object: &Value, reason: &str, message: &str) {
        let Some(key) = ObjectKey::of(object) else {
            return;
        };
        let events = Resource {
            version: ApiVersion::parse("v1"),
            kind: "Event".to_owned(),
            plural: "events".to_owned(),
            namespaced: true,
        };
        // Events of cluster-wide objects go to `default` (client-go `tools/record/event.go`).
        let namespace = key.namespace.as_deref().unwrap_or("default");
        let event = event(object, &key, namespace, reason, message);
        let cluster = &self.shared.cluster;
        if let Err(refusal) = cluster.create(&events, Some(namespace), &event).await {
            tracing::debug!(object = %key, reason = refusal.message, "cannot write an event");
        }
    }
}

fn took(taken: &Taken) -> String {
    let fields = taken.fields.join(", ");
    format!("took {fields} from {}", taken.manager)
}

fn event(object: &Value, key: &ObjectKey, namespace: &str, reason: &str, message: &str) -> Value {
    let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default();
    // RFC 3339 without a fraction, as metav1.Time is written.
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = |pointer: &str| object.pointer(pointer).cloned().unwrap_or(Value::Null);
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": format!("{}.", key.name), "namespace": namespace},
        "involvedObject": {
            "apiVersion": text("/apiVersion"),
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": text("/metadata/uid"),
            "resourceVersion": text("/metadata/resourceVersion"),
        },
        "reason": reason,
        "message": message,
        "type": "Normal",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    })
}
