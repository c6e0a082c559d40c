//! Order that people wrote down: our annotations, and those of the tools they come from.

use serde_json::Value;

use super::{
    External,
    phase::{self, Phase},
};
use crate::{ObjectKey, json};

/// Objects or apps to wait for, separated by commas: `KIND[.GROUP]/[NAMESPACE/]NAME` or `app/NAME`.
pub const AFTER_ANNOTATION: &str = "ordain.dev/after";

/// A whole number; objects of a wave wait until those of the lower ones are healthy. None is wave 0.
pub const WAVE_ANNOTATION: &str = "ordain.dev/wave";

/// `GROUP/namespaces/NAMESPACE/KIND/NAME` or `GROUP/KIND/NAME` (cli-utils `pkg/object/dependson`).
const DEPENDS_ON: &str = "config.kubernetes.io/depends-on";

/// Argo CD's waves.
const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";

/// One thing to wait for, with the annotation that says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct After {
    pub(super) on: External,
    pub(super) annotation: &'static str,
}

/// What an object's annotations name, and what of them means nothing.
pub(super) fn after(key: &ObjectKey, object: &Value) -> (Vec<After>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut read =
        |annotation: &'static str, parse: &dyn Fn(&str) -> Option<External>, form: &str| {
            let texts = json::annotation(object, annotation).unwrap_or_default();
            for text in texts
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
            {
                match parse(text) {
                    Some(on) => found.push(After { on, annotation }),
                    None => problems.push(format!(
                        "`{annotation}`: `{text}` is not of the form {form}"
                    )),
                }
            }
        };
    read(
        AFTER_ANNOTATION,
        &|text| ours(key, text),
        "KIND[.GROUP]/[NAMESPACE/]NAME or app/NAME",
    );
    read(
        DEPENDS_ON,
        &depends_on,
        "GROUP/namespaces/NAMESPACE/KIND/NAME or GROUP/KIND/NAME",
    );
    (found, problems)
}

fn ours(key: &ObjectKey, text: &str) -> Option<External> {
    let parts: Vec<_> = text.split('/').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    let (kind, namespace, name) = match parts.as_slice() {
        ["app", name] => return Some(External::App((*name).to_owned())),
        [kind, name] => (kind, key.namespace.clone(), name),
        [kind, namespace, name] => (kind, Some((*namespace).to_owned()), name),
        _ => return None,
    };
    let (kind, group) = match kind.split_once('.') {
        Some((kind, group)) => (kind, Some(group.to_owned())),
        None => (*kind, None),
    };
    // A kind is written with a capital: what is not one is a slip, and must not wait for ever.
    kind.starts_with(|first: char| first.is_ascii_uppercase())
        .then(|| External::Object {
            group,
            kind: kind.to_owned(),
            namespace,
            name: (*name).to_owned(),
        })
}

fn depends_on(text: &str) -> Option<External> {
    let parts: Vec<_> = text.split('/').collect();
    let (group, namespace, kind, name) = match parts.as_slice() {
        [group, "namespaces", namespace, kind, name] => (group, Some(*namespace), kind, name),
        [group, kind, name] => (group, None, kind, name),
        _ => return None,
    };
    (!kind.is_empty() && !name.is_empty() && namespace != Some("")).then(|| External::Object {
        group: Some((*group).to_owned()),
        kind: (*kind).to_owned(),
        namespace: namespace.map(str::to_owned),
        name: (*name).to_owned(),
    })
}

/// The phase and wave which an object asks for; `None` when it asks for none.
pub(super) fn place(object: &Value) -> Result<Option<(Phase, i64)>, String> {
    let phase = phase::phase(object)?;
    let wave = wave(object)?;
    let asks = wave.is_some() || phase != Phase::During;
    Ok(asks.then(|| (phase, wave.unwrap_or(0))))
}

fn wave(object: &Value) -> Result<Option<i64>, String> {
    for name in [WAVE_ANNOTATION, SYNC_WAVE, phase::HELM_WEIGHT] {
        if let Some(text) = json::annotation(object, name) {
            let wave = text.trim().parse();
            return wave
                .map(Some)
                .map_err(|_| format!("`{name}`: `{text}` is not a whole number"));
        }
    }
    Ok(None)
}
