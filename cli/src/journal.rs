//! The journal and the copy of the repository in a data directory, read beside a running engine or without one.

use std::path::Path;

use miette::Result;
use ordain_reconciler_journal::{Deploy, Journal};
use ordain_reconciler_source::Repository;
use serde_json::Value;

use crate::commands::report;

/// Opens the journal of a data directory for reading.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) fn open(data_dir: &Path) -> Result<Journal> {
    let folder = data_dir.join("journal");
    if !folder.is_dir() {
        return Err(miette::miette!(
            help = "name the directory of `ordain up` with --data-dir",
            "there is no journal in `{}`",
            data_dir.display()
        ));
    }
    Journal::read(&folder).map_err(|error| report(error, None))
}

/// Opens the repository of a data directory: the hosted one, or the copy of the one that is followed.
///
/// # Errors
/// When there is none.
pub(crate) fn repository(data_dir: &Path) -> Result<Repository> {
    let git = data_dir.join("git");
    let hosted = git.join("ordain.git");
    let path = match hosted.join("HEAD").exists() {
        true => hosted,
        false => git.join("mirror.git"),
    };
    Repository::open(&path).map_err(|error| report(error, None))
}

/// A deployed object, and the deploy that it is from.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    pub(crate) deploy: Deploy,
    pub(crate) object: Value,
}

impl Deployed {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let found = self.object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default()
    }

    /// `Deployment shop/web`.
    pub(crate) fn title(&self) -> String {
        let (kind, name) = (self.text("/kind"), self.text("/metadata/name"));
        match self.text("/metadata/namespace") {
            "" => format!("{kind} {name}"),
            namespace => format!("{kind} {namespace}/{name}"),
        }
    }
}

/// Which objects are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) app: Option<&'a str>,
    pub(crate) env: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads `KIND` or `KIND/NAME`.
    pub(crate) fn of(object: &'a str) -> Self {
        let (kind, name) = match object.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (object, None),
        };
        Self {
            kind: Some(kind),
            name,
            ..Self::default()
        }
    }

    fn takes_app(&self, deploy: &Deploy) -> bool {
        self.app.is_none_or(|app| app == deploy.app.name)
            && self.env.is_none_or(|env| env == deploy.app.env)
    }

    fn takes(&self, one: &Deployed) -> bool {
        self.kind
            .is_none_or(|kind| is_kind(kind, one.text("/kind")))
            && self
                .name
                .is_none_or(|name| name == one.text("/metadata/name"))
            && self
                .namespace
                .is_none_or(|namespace| namespace == one.text("/metadata/namespace"))
    }
}

/// Finds the wanted objects as they were declared and applied at a time, or are now.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) fn objects(journal: &Journal, at_ms: i64, wanted: &Wanted<'_>) -> Result<Vec<Deployed>> {
    let failed = |error| report(error, None);
    let mut found = Vec::new();
    let deploys = journal.deploys_at(at_ms).map_err(failed)?;
    for deploy in deploys.into_iter().filter(|one| wanted.takes_app(one)) {
        for text in journal.objects(&deploy.set).map_err(failed)? {
            let object = serde_json::from_str(&text).map_err(|error| {
                miette::miette!("an object in the journal cannot be read: {error}")
            })?;
            let one = Deployed {
                deploy: deploy.clone(),
                object,
            };
            if wanted.takes(&one) {
                found.push(one);
            }
        }
    }
    Ok(found)
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
pub(crate) fn is_kind(word: &str, kind: &str) -> bool {
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
pub(crate) fn without_secrets(mut object: Value) -> Value {
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
