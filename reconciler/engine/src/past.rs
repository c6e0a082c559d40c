//! Looking back: the objects that stood at a time, as the journal has them. Secrets are taken out.

use ordain_reconciler_journal::{Deploy, Journal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// A deployed object, and the deploy that it is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// The deploy, in the state it was in at that time.
    pub deploy: Deploy,
    /// The object without values of secrets.
    pub object: Value,
}

impl Deployed {
    /// A text of the object; empty when there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        let found = self.object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default()
    }

    /// `Deployment shop/web`.
    #[must_use]
    pub fn title(&self) -> String {
        let (kind, name) = (self.text("/kind"), self.text("/metadata/name"));
        match self.text("/metadata/namespace") {
            "" => format!("{kind} {name}"),
            namespace => format!("{kind} {namespace}/{name}"),
        }
    }
}

/// Which objects are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// When they stood, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Their kind, as people type it.
    pub kind: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// Their namespace.
    pub namespace: Option<String>,
    /// Their app.
    pub app: Option<String>,
    /// Its environment.
    pub env: Option<String>,
}

impl Lookup {
    /// Reads `KIND` or `KIND/NAME`; every object when there is neither.
    #[must_use]
    pub fn of(object: Option<&str>, at_ms: i64) -> Self {
        let (kind, name) = match object.map(|object| (object, object.split_once('/'))) {
            Some((_, Some((kind, name)))) => (Some(kind), Some(name)),
            Some((kind, None)) => (Some(kind), None),
            None => (None, None),
        };
        Self {
            at_ms,
            kind: kind.map(str::to_owned),
            name: name.map(str::to_owned),
            ..Self::default()
        }
    }

    fn takes_app(&self, deploy: &Deploy) -> bool {
        let is = |wanted: &Option<String>, found: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.app, &deploy.app.name) && is(&self.env, &deploy.app.env)
    }

    fn takes(&self, one: &Deployed) -> bool {
        let is = |wanted: &Option<String>, pointer: &str| {
            let wanted = wanted.as_ref();
            wanted.is_none_or(|wanted| wanted == one.text(pointer))
        };
        let kind = self.kind.as_ref();
        kind.is_none_or(|kind| is_kind(kind, one.text("/kind")))
            && is(&self.name, "/metadata/name")
            && is(&self.namespace, "/metadata/namespace")
    }
}

/// Gives each object that stood at the time to `found`; ends when that returns false.
///
/// # Errors
/// When the journal cannot be read.
pub fn look_back(
    journal: &Journal,
    lookup: &Lookup,
    mut found: impl FnMut(Deployed) -> bool,
) -> Result<(), Error> {
    let deploys = journal.deploys_at(lookup.at_ms)?;
    for deploy in deploys.into_iter().filter(|one| lookup.takes_app(one)) {
        for text in journal.objects(&deploy.set)? {
            let object =
                serde_json::from_str(&text).map_err(|source| Error::Inventory { source })?;
            let one = Deployed {
                deploy: deploy.clone(),
                object: without_secrets(object),
            };
            if lookup.takes(&one) && !found(one) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Short names that people type (`kubectl api-resources`).
const SHORT: [(&str, &str); 20] = [
    ("cm", "configmap"),
    ("crd", "customresourcedefinition"),
    ("cj", "cronjob"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("ep", "endpoints"),
    ("hpa", "horizontalpodautoscaler"),
    ("ing", "ingress"),
    ("limits", "limitrange"),
    ("netpol", "networkpolicy"),
    ("ns", "namespace"),
    ("pc", "priorityclass"),
    ("pdb", "poddisruptionbudget"),
    ("po", "pod"),
    ("pvc", "persistentvolumeclaim"),
    ("quota", "resourcequota"),
    ("rs", "replicaset"),
    ("sa", "serviceaccount"),
    ("sts", "statefulset"),
    ("svc", "service"),
];

/// True when a typed word means this kind: the kind itself, its plural or its short name, in any case.
#[must_use]
pub fn is_kind(word: &str, kind: &str) -> bool {
    let (word, kind) = (word.to_lowercase(), kind.to_lowercase());
    let word = SHORT
        .iter()
        .find(|(short, _)| *short == word)
        .map_or(word.as_str(), |(_, long)| long);
    let plural = match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    };
    word == kind || word == plural
}

/// Stands for a value of a Secret.
const HIDDEN: &str = "(secret)";

/// Takes the values out of a Secret, whatever the sources put there in plain.
fn without_secrets(mut object: Value) -> Value {
    if object["kind"] == "Secret" {
        for field in ["data", "stringData"] {
            if let Some(values) = object.get_mut(field).and_then(Value::as_object_mut) {
                values.values_mut().for_each(|value| *value = HIDDEN.into());
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_their_plural_and_short_name() {
        for (word, kind) in [
            ("deploy", "Deployment"),
            ("Deployments", "Deployment"),
            ("networkpolicies", "NetworkPolicy"),
            ("ing", "Ingress"),
            ("ingresses", "Ingress"),
            ("gateways", "Gateway"),
        ] {
            assert!(is_kind(word, kind), "{word}");
        }
        assert!(!is_kind("service", "ServiceAccount"));
    }

    #[test]
    fn a_secret_keeps_its_keys_only() {
        let object =
            serde_json::json!({"kind": "Secret", "data": {"a": "c2VjcmV0"}, "type": "Opaque"});
        let wanted =
            serde_json::json!({"kind": "Secret", "data": {"a": "(secret)"}, "type": "Opaque"});
        assert_eq!(without_secrets(object), wanted);
    }
}
