//! Records for other systems: in-toto statements in signed envelopes, and CDEvents.
//!
//! In-toto Attestation Framework v1 (statement), DSSE v1.0.2 (envelope, `application/vnd.in-toto+json`) and
//! CDEvents v0.4. The predicate is described in `docs/audit.md`.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{AppRef, Digest, Error, Event, Journal, Outcome, Record, State, digest::to_hex};

/// What the predicate of an exported statement is.
pub const PREDICATE_TYPE: &str = "https://ordain.dev/attestation/transition/v1";

/// What is in an envelope.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Writes milliseconds since 1970-01-01 UTC as RFC 3339.
#[must_use]
pub fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .unwrap_or_default()
        .to_string()
}

/// What a deploy is known by in later records.
struct Deployed {
    set: Digest,
    commit: String,
    is_rollback: bool,
    /// True when the app was healthy before it.
    is_upgrade: bool,
    /// True when the set is empty: the app is removed.
    removes: bool,
}

/// Turns records into statements and events, oldest first: later ones tell of deploys that earlier ones began.
pub struct Exporter<'a> {
    journal: &'a Journal,
    deploys: HashMap<u64, Deployed>,
    healthy: HashMap<AppRef, u64>,
}

impl<'a> Exporter<'a> {
    /// Begins an export.
    #[must_use]
    pub fn new(journal: &'a Journal) -> Self {
        Self {
            journal,
            deploys: HashMap::new(),
            healthy: HashMap::new(),
        }
    }

    /// Takes note of a record that is not exported itself, or is about to be.
    pub fn see(&mut self, record: &Record) {
        match &record.event {
            Event::Intent(intent) => {
                let deployed = Deployed {
                    set: intent.set,
                    commit: intent.commit.clone(),
                    is_rollback: intent.rollback.is_some(),
                    is_upgrade: self.healthy.contains_key(&intent.app),
                    removes: self
                        .journal
                        .objects(&intent.set)
                        .is_ok_and(|objects| objects.is_empty()),
                };
                self.deploys.insert(record.seq, deployed);
            }
            Event::Outcome {
                app,
                outcome: Outcome::Healthy,
                deploy,
                ..
            } => {
                self.healthy.insert(app.clone(), *deploy);
            }
            _ => {}
        }
    }

    /// Returns a record as an in-toto statement.
    #[must_use]
    pub fn statement(&self, record: &Record) -> Value {
        let text = serde_json::to_string(record).expect("records are plain JSON");
        let mut subjects = vec![json!({
            "name": format!("ordain/record/{}", record.seq),
            "digest": {"sha256": Digest::of(text.as_bytes())},
        })];
        let mut set = |app: &AppRef, set: &Digest, commit: &str| {
            subjects
                .push(json!({"name": format!("ordain/objects/{app}"), "digest": {"sha256": set}}));
            subjects.push(
                json!({"name": format!("ordain/source/{app}"), "digest": {"gitCommit": commit}}),
            );
        };
        match &record.event {
            Event::Intent(intent) => set(&intent.app, &intent.set, &intent.commit),
            Event::Outcome { app, deploy, .. } => {
                if let Some(deployed) = self.deploys.get(deploy) {
                    set(app, &deployed.set, &deployed.commit);
                }
            }
            Event::Commit {
                repository, commit, ..
            } => subjects.push(json!({"name": repository, "digest": {"gitCommit": commit}})),
            _ => {}
        }
        let mut predicate = serde_json::to_value(record).expect("records are plain JSON");
        predicate["time"] = time(record.time_ms).into();
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        })
    }

    /// Signs a statement with the journal's key.
    ///
    /// # Errors
    /// When the key's file cannot be read.
    pub fn envelope(&self, statement: &Value) -> Result<Value, Error> {
        let body = statement.to_string();
        let signature = self.journal.sign(&pae(body.as_bytes()))?;
        Ok(json!({
            "payloadType": PAYLOAD_TYPE,
            "payload": STANDARD.encode(&body),
            "signatures": [{
                "keyid": to_hex(&self.journal.public_key()?),
                "sig": STANDARD.encode(signature),
            }],
        }))
    }

    /// Returns a record as a CDEvent, when there is one for it: services that were deployed, upgraded, rolled
    /// back or removed once they are healthy, and incidents.
    #[must_use]
    pub fn cdevent(&self, record: &Record) -> Option<Value> {
        let (app, kind, subject, artifact) = match &record.event {
            Event::Outcome {
                app,
                deploy,
                outcome,
                ..
            } => {
                let deployed = self.deploys.get(deploy)?;
                let artifact = format!(
                    "pkg:generic/ordain/{app}@{}?digest=sha256:{}",
                    deployed.commit, deployed.set
                );
                let kind = match State::from(outcome.clone()) {
                    State::Healthy if deployed.removes => "service.removed",
                    State::Healthy if deployed.is_rollback => "service.rolledback",
                    State::Healthy if deployed.is_upgrade => "service.upgraded",
                    State::Healthy => "service.deployed",
                    State::Failed { .. } => "incident.detected",
                    _ => return None,
                };
                let subject = kind.split_once('.').map_or("", |(subject, _)| subject);
                (app, kind, subject, Some(artifact))
            }
            Event::Drift { app, .. } => (app, "incident.detected", "incident", None),
            _ => return None,
        };
        let mut content = json!({"environment": {"id": app.env}});
        if let Some(artifact) = artifact {
            content["artifactId"] = artifact.into();
        }
        if subject == "incident" {
            content["service"] = json!({"id": app.name});
            content["description"] = description(&record.event).into();
        }
        let id = match subject {
            "incident" => format!("record-{}", record.seq),
            _ => app.name.clone(),
        };
        Some(json!({
            "context": {
                "version": "0.4.1",
                "id": format!("ordain-{}-{}", to_hex(&self.journal.public_key().ok()?[..4]), record.seq),
                "source": "/ordain/journal",
                "type": format!("dev.cdevents.{kind}.0.2.0"),
                "timestamp": time(record.time_ms),
            },
            "subject": {
                "id": id,
                "source": format!("/ordain/{}", app.env),
                "type": subject,
                "content": content,
            },
        }))
    }
}

fn description(event: &Event) -> String {
    match event {
        Event::Outcome {
            outcome: Outcome::Failed { reasons },
            ..
        } => reasons.join("; "),
        Event::Drift { objects, .. } => objects.join("; "),
        _ => String::new(),
    }
}

/// What is signed: DSSE's pre-authentication encoding.
fn pae(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}
