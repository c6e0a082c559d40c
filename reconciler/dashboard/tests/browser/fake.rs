//! A reconciler that says what a test wants: two apps, one of them in trouble, with deploys, an object and a log.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ordain_reconciler_dashboard::Ask;
use ordain_reconciler_engine::control::{JournalAnswer, JournalAsk, Request, Response};
use serde_json::{Value, json};

/// A commit message that tries to be more than text.
pub(crate) const EVIL: &str = "<img src=x onerror=\"window.evil=1\"><script>window.evil=1</script>";

/// The commit that broke it.
pub(crate) const BROKEN: &str = "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0";

/// The one before.
pub(crate) const GOOD: &str = "600d600d600d600d600d600d600d600d600d600d";

pub(crate) struct Fake {
    status: Mutex<Value>,
    pub(crate) asked: AtomicUsize,
    /// What was asked that no reader asks.
    pub(crate) changed: AtomicUsize,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let status = json!({
            "apps": [
                app("dev", "settings", "synced", "healthy", ""),
                app("prod", "web", "failed", "degraded", "Deployment shop/web: quota is used up"),
            ],
            "holds": [{
                "env": "prod", "app": "web", "kind": "quarantined", "commit": BROKEN,
                "message": "commit b0b0b0b0b0 was rolled back",
            }],
            "source": { "repository": "/srv/shop.git", "branch": "main", "commit": BROKEN },
        });
        Self {
            status: Mutex::new(status),
            asked: AtomicUsize::new(0),
            changed: AtomicUsize::new(0),
        }
    }

    /// The app in trouble is well again.
    pub(crate) fn heal(&self) {
        let mut status = self.status.lock().expect("no panic");
        status["apps"][1] = app("prod", "web", "synced", "healthy", "");
        status["holds"] = json!([]);
    }
}

fn app(env: &str, name: &str, sync: &str, health: &str, message: &str) -> Value {
    json!({
        "name": name, "env": env, "namespace": "shop", "cluster": "local", "commit": BROKEN, "deployed": GOOD,
        "sync": sync, "health": health, "message": message,
        "objects": [
            { "group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web", "health": health, "message": message },
        ],
        "notes": ["ConfigMap shop/web: `kubectl-edit` lost data.a"],
    })
}

fn deploy(number: u64, commit: &str, subject: &str, state: &Value) -> Value {
    let mut row = json!({
        "id": number * 10, "number": number, "app": "web", "env": "prod", "commit": commit,
        "author": "Grace <grace@example.com>", "subject": subject, "time": "2026-08-01T14:03:00Z", "plan": "p1",
        "set": "0".repeat(64),
        "counts": { "create": 1, "update": 2, "delete": 0, "unchanged": 3 },
        "was_healthy": state["state"] == "healthy",
    });
    row.as_object_mut()
        .expect("an object")
        .extend(state.as_object().cloned().unwrap_or_default());
    row
}

fn made<T: serde::de::DeserializeOwned>(value: Value) -> T {
    let text = value.to_string();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {text}"))
}

impl Ask for Fake {
    fn ask(&self, request: &Request) -> Result<Vec<Response>, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let journal = |answer: JournalAnswer| Response::Journal { answer };
        let answer = match request {
            Request::Status => Response::Status {
                status: made(self.status.lock().expect("no panic").clone()),
            },
            Request::History { .. } => Response::History {
                deploys: made(json!([
                    deploy(1, GOOD, "the first one", &json!({ "state": "healthy" })),
                    deploy(
                        2,
                        BROKEN,
                        EVIL,
                        &json!({ "state": "failed", "reasons": ["quota is used up"] })
                    ),
                ])),
            },
            Request::Why { .. } => Response::Why {
                tree: made(json!({
                    "subject": "app prod/web", "state": "failed", "because": [
                        { "subject": "Deployment shop/web", "state": "refused", "reason": "quota is used up", "at": "web.ord:7" },
                    ],
                })),
            },
            Request::Plan { .. } => Response::Plans {
                plans: made(json!([{
                    "env": "prod", "app": "web", "namespace": "shop", "looks": [],
                    "plan": { "owner": "prod/web", "hash": "p2", "actions": [{
                        "key": { "group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web" },
                        "version": { "group": "apps", "version": "v1" }, "verb": "update", "reason": "1 field differs",
                        "changes": [{ "path": "spec.replicas", "change": "changed", "old": 1, "new": 40 }],
                    }] },
                }])),
            },
            Request::Journal {
                question: JournalAsk::Objects { .. },
            } => journal(JournalAnswer::Object {
                found: made(json!({
                    "deploy": {
                        "id": 20, "number": 2, "env": "prod", "name": "web", "commit": GOOD,
                        "author": "Grace", "subject": "s", "started_ms": 0, "changed_ms": 0,
                        "set": "0".repeat(64), "plan": "p",
                        "counts": { "create": 1, "update": 2, "delete": 0, "unchanged": 3 },
                        "was_healthy": true, "state": "healthy",
                    },
                    "object": {
                        "kind": "Deployment", "metadata": { "name": "web", "labels": { "app.kubernetes.io/name": "web" } },
                        "spec": { "replicas": 40, "template": { "spec": { "containers": [
                            { "name": "main", "image": "localhost/web:1", "args": ["--quiet"] },
                        ] } } },
                    },
                })),
            }),
            Request::Journal {
                question: JournalAsk::Blame { field, .. },
            } => journal(JournalAnswer::Blame {
                blame: json!({
                    "object": "Deployment/web", "field": field, "value": "the value", "app": "web", "env": "prod", "deploy": 2,
                    "commit": GOOD, "decides": 0, "lines": [{
                        "at": "prod.ord:12", "layer": "env prod", "how": "set", "text": "replicas = 40",
                        "from": "prod.ord:12", "brought_by": GOOD, "author": "Grace", "time": "2026-08-01T14:03:00Z",
                        "subject": "more of them",
                    }],
                }),
            }),
            Request::Journal {
                question: JournalAsk::Records { query },
            } => {
                let last = query.before_seq.unwrap_or(151);
                let first = last.saturating_sub(query.limit.unwrap_or(0) as u64).max(1);
                let record = |seq: u64| {
                    json!({
                        "seq": seq, "time_ms": 1_785_000_000_000_i64 + i64::try_from(seq).unwrap_or(0), "event": "suspend",
                        "app": { "env": "prod", "name": "web" }, "by": "Grace", "reason": format!("reason {seq}"),
                    })
                };
                journal(JournalAnswer::Records {
                    records: (first..last).rev().map(|seq| made(record(seq))).collect(),
                })
            }
            _ => {
                self.changed.fetch_add(1, Ordering::Relaxed);
                return Err("a dashboard does not ask that".to_owned());
            }
        };
        Ok(vec![answer, Response::Done { ok: true }])
    }
}
