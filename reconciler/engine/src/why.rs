//! Why an app is not as it should be: the chain from it down to what stops it, as a tree.
//!
//! Made from what the loops published; only for pods and their events the cluster is asked.

use std::{collections::BTreeSet, fmt};

use ordain_reconciler_journal::AppRef;
use ordain_reconciler_plan::{
    ObjectKey,
    graph::{Link, Standing},
    health::trouble,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AppStatus, Error, ObjectStatus, Sync,
    cluster::selector_query,
    requests::Requests,
    stuck::{Cause, Stuck},
};

/// Apps that wait for apps are followed so far; a longer chain is cut.
const DEPTH_MAX: usize = 8;

/// Pods told of one workload; the others mostly have the same reason.
const PODS_MAX: usize = 5;

/// One thing that stands in the way, and what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNode {
    /// What: `app dev/web`, `Deployment shop/web`, `Pod shop/web-1`.
    pub subject: String,
    /// How it stands, in one word.
    pub state: String,
    /// Why, in words; empty when what is below says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// `file:line` of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What it comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<WhyNode>,
}

impl WhyNode {
    fn new(subject: impl Into<String>, state: &str, reason: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            state: state.to_owned(),
            reason: reason.into(),
            at: None,
            because: Vec::new(),
        }
    }

    /// True when nothing is in the way.
    #[must_use]
    pub fn is_well(&self) -> bool {
        matches!(self.state.as_str(), "synced" | "healthy") && self.because.is_empty()
    }

    fn lines(&self, out: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        write!(out, "{indent}{}: {}", self.subject, self.state)?;
        let mut lines = self.reason.lines();
        if let Some(first) = lines.next() {
            write!(out, ": {first}")?;
        }
        if let Some(at) = &self.at {
            write!(out, " ({at})")?;
        }
        writeln!(out)?;
        for line in lines {
            writeln!(out, "{indent}  {line}")?;
        }
        self.because
            .iter()
            .try_for_each(|node| node.lines(out, depth + 1))
    }
}

impl fmt::Display for WhyNode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(out, 0)
    }
}

impl Requests {
    /// Says why an app, or one object of it, is not as it should be.
    pub(crate) async fn why(&self, app: &AppRef, object: Option<&str>) -> Result<WhyNode, Error> {
        let mut seen = BTreeSet::new();
        let Some(object) = object else {
            return Ok(self.why_app(app, &mut seen, 0).await);
        };
        let status = self.shared.statuses().get(app).cloned();
        let objects = status.map(|status| status.objects).unwrap_or_default();
        let found = objects.iter().find(|status| is_meant(status, object));
        let Some(found) = found else {
            return Err(Error::UnknownObject {
                app: app.to_string(),
                object: object.to_owned(),
            });
        };
        let stuck = self.shared.stuck(app);
        Ok(self.why_object(app, found, &stuck, &mut seen, 0).await)
    }

    async fn why_app(&self, app: &AppRef, seen: &mut BTreeSet<AppRef>, depth: usize) -> WhyNode {
        let subject = format!("app {app}");
        let status = self.shared.statuses().get(app).cloned();
        let Some(status) = status else {
            return WhyNode::new(subject, "unknown", "no such app is deployed here");
        };
        let well = status.sync == Sync::Synced && status.health == "healthy";
        let state = if well {
            "synced".to_owned()
        } else {
            format!("{}, {}", word(&status), status.health)
        };
        let mut node = WhyNode::new(subject, &state, "");
        if !seen.insert(app.clone()) || depth > DEPTH_MAX {
            return node;
        }
        let stuck = self.shared.stuck(app);
        for object in &status.objects {
            if object.health != "healthy" && object.health != "suspended" {
                let why = Box::pin(self.why_object(app, object, &stuck, seen, depth));
                node.because.push(why.await);
            }
        }
        if node.because.is_empty() || status.sync == Sync::Blocked {
            node.reason = status.message;
        }
        if status.sync == Sync::Unknown || (node.reason.is_empty() && !well) {
            let source = self.status().source.message;
            if node.because.is_empty() {
                node.reason = source;
            }
        }
        for note in status.notes {
            node.because.push(WhyNode::new("note", "noted", note));
        }
        node
    }

    async fn why_object(
        &self,
        app: &AppRef,
        object: &ObjectStatus,
        stuck: &[Stuck],
        seen: &mut BTreeSet<AppRef>,
        depth: usize,
    ) -> WhyNode {
        let key = key_of(object);
        let subject = key.to_string();
        let Some(stuck) = stuck.iter().find(|stuck| stuck.key == key) else {
            let mut node = WhyNode::new(subject, &object.health, object.message.clone());
            if !matches!(object.health.as_str(), "healthy" | "suspended") {
                node.because = self.why_live(&key).await;
            }
            return node;
        };
        let (state, chain) = match &stuck.cause {
            Cause::Refused(_) => ("refused", None),
            Cause::Blocked(blocked) => ("blocked", Some(&blocked.chain)),
            Cause::Waits(waits) => ("waits", Some(&waits.chain)),
        };
        let mut node = WhyNode::new(subject, state, "");
        node.at.clone_from(&stuck.at);
        match chain {
            None => node.reason = stuck.reason(),
            Some(chain) => {
                let below = self.why_chain(app, chain, seen, depth).await;
                node.because.extend(below);
            }
        }
        node
    }

    /// The links of a chain, each below the one before.
    async fn why_chain(
        &self,
        app: &AppRef,
        chain: &[Link],
        seen: &mut BTreeSet<AppRef>,
        depth: usize,
    ) -> Option<WhyNode> {
        let mut below: Option<WhyNode> = None;
        for link in chain.iter().rev() {
            let mut node = match &link.standing {
                Standing::Waits => WhyNode::new(link.on.clone(), "waits", ""),
                Standing::Underway => WhyNode::new(link.on.clone(), "applying", ""),
                Standing::Failed(words) => {
                    let mut node = WhyNode::new(link.on.clone(), "failed", words.clone());
                    let stuck = self.shared.stuck(app);
                    let found = stuck.iter().find(|stuck| stuck.key.to_string() == link.on);
                    node.at = found.and_then(|stuck| stuck.at.clone());
                    node
                }
                Standing::Elsewhere => match link.on.strip_prefix("app ") {
                    Some(name) => {
                        let other = AppRef {
                            env: app.env.clone(),
                            name: name.to_owned(),
                        };
                        Box::pin(self.why_app(&other, seen, depth + 1)).await
                    }
                    None => WhyNode::new(link.on.clone(), "not ready", "no app here declares it"),
                },
                Standing::NotHealthy(words) => {
                    let mut node = WhyNode::new(link.on.clone(), "not healthy", words.clone());
                    let statuses = self.shared.statuses().get(app).cloned();
                    let objects = statuses.map(|status| status.objects).unwrap_or_default();
                    let keys = objects.iter().map(key_of);
                    let found = keys.into_iter().find(|key| key.to_string() == link.on);
                    if let Some(key) = found {
                        node.because = self.why_live(&key).await;
                    }
                    node
                }
            };
            node.because.extend(below.take());
            let why = format!("needed as {}", link.why);
            node.reason = match node.reason.as_str() {
                "" => why,
                reason => format!("{reason}; {why}"),
            };
            below = Some(node);
        }
        below
    }

    /// What the cluster says below an object: its pods, and the warnings about it.
    async fn why_live(&self, key: &ObjectKey) -> Vec<WhyNode> {
        let cluster = &self.shared.cluster;
        let Some(namespace) = &key.namespace else {
            return Vec::new();
        };
        let resource = cluster.any_version(&key.group, &key.kind).await;
        let Ok(Some(resource)) = resource else {
            return Vec::new();
        };
        let Ok(Some(object)) = cluster.get(&resource, key).await else {
            return Vec::new();
        };
        let selector = match (key.group.as_str(), key.kind.as_str()) {
            ("apps", _) => object.pointer("/spec/selector").and_then(selector_query),
            ("batch", "Job") => Some(format!("batch.kubernetes.io/job-name={}", key.name)),
            _ => None,
        };
        let mut nodes = Vec::new();
        if let Some(selector) = selector {
            let pods = cluster.pods(namespace, &selector).await.unwrap_or_default();
            for pod in pods
                .iter()
                .filter(|pod| trouble(pod).is_some())
                .take(PODS_MAX)
            {
                nodes.push(self.why_pod(namespace, pod).await);
            }
        }
        if nodes.is_empty() {
            nodes.extend(self.warning(namespace, &key.kind, &key.name).await);
        }
        nodes
    }

    async fn why_pod(&self, namespace: &str, pod: &Value) -> WhyNode {
        let text = |pointer: &str| {
            let text = pod.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let name = text("/metadata/name");
        let phase = text("/status/phase").to_lowercase();
        let reason = trouble(pod).map(|trouble| trouble.message);
        let subject = format!("Pod {namespace}/{name}");
        let mut node = WhyNode::new(subject, &phase, reason.unwrap_or_default());
        let warning = self.warning(namespace, "Pod", &name).await;
        node.because.extend(warning);
        node
    }

    /// The last warning about an object.
    async fn warning(&self, namespace: &str, kind: &str, name: &str) -> Option<WhyNode> {
        let warning = self
            .shared
            .cluster
            .last_warning(namespace, kind, name)
            .await?;
        Some(WhyNode::new("event", &warning.0, warning.1))
    }
}

fn key_of(object: &ObjectStatus) -> ObjectKey {
    ObjectKey {
        group: object.group.clone(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    }
}

/// `web`, `Deployment/web`, `deployment web` and `Deployment/shop/web` mean the same object.
fn is_meant(object: &ObjectStatus, text: &str) -> bool {
    let parts: Vec<_> = text
        .split(['/', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    let kind = |text: &str| text.eq_ignore_ascii_case(&object.kind);
    let namespace = |text: &str| object.namespace.as_deref() == Some(text);
    match parts.as_slice() {
        [name] => *name == object.name,
        [first, name] => *name == object.name && (kind(first) || namespace(first)),
        [first, second, name] => *name == object.name && kind(first) && namespace(second),
        _ => false,
    }
}

fn word(status: &AppStatus) -> String {
    let word = serde_json::to_value(status.sync).ok();
    let word = word.as_ref().and_then(Value::as_str);
    word.unwrap_or_default().to_owned()
}
