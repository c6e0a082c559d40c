//! Effects as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"): each at the source line that causes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Diff, Effect, EffectKind, Level, ObjectDiff};

/// Where the schema of the format lies; it names the version that is meant.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// The folder that relative paths are meant from; services put the root of the repository here.
const ROOT: &str = "%SRCROOT%";

/// Writes the effects of a diff as one SARIF log. `folder` is the project's folder in its repository, with `/`; empty
/// for the root.
#[must_use]
pub fn sarif(diff: &Diff, folder: &str) -> Value {
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = diff
        .effects()
        .map(|(object, effect)| result(object, effect, folder, &mut seen))
        .collect();
    let rules: Vec<Value> = EffectKind::ALL.iter().map(|kind| rule(*kind)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ordain diff",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "invocations": [{ "executionSuccessful": true, "exitCode": i32::from(!diff.is_empty()) }],
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "description": { "text": "the root of the repository" } } },
            "results": results,
        }],
    })
}

fn rule(kind: EffectKind) -> Value {
    json!({
        "id": kind.name(),
        "shortDescription": { "text": kind.words() },
        "fullDescription": { "text": kind.explanation() },
        "defaultConfiguration": { "level": "warning" },
    })
}

fn result(
    object: &ObjectDiff,
    effect: &Effect,
    folder: &str,
    seen: &mut BTreeMap<String, u32>,
) -> Value {
    let subject = format!("{} in {}/{}", object.key, object.env, object.app);
    let mut result = json!({
        "ruleId": effect.effect.name(),
        "ruleIndex": EffectKind::ALL.iter().position(|kind| *kind == effect.effect).unwrap_or(0),
        "level": match effect.level {
            Level::Danger => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        },
        "message": { "text": format!("{subject}: {}: {}", effect.effect.words(), effect.message) },
        "partialFingerprints": { "ordainDiff/v1": fingerprint(object, effect, seen) },
        "properties": { "object": object.key.to_string(), "environment": object.env, "app": object.app },
    });
    if let Some((file, line)) = effect.at.as_deref().and_then(|at| at.rsplit_once(':'))
        && let Ok(line) = line.parse::<u32>()
        && line > 0
    {
        let path = match folder.trim_matches('/') {
            "" | "." => file.to_owned(),
            folder => format!("{folder}/{file}"),
        };
        result["locations"] = json!([{
            "physicalLocation": {
                "artifactLocation": { "uri": percent(&path), "uriBaseId": ROOT },
                "region": { "startLine": line },
            },
            "logicalLocations": [{ "fullyQualifiedName": object.key.to_string(), "kind": "resource" }],
        }]);
    }
    result
}

/// Stays the same when lines move: what, of which object, and its number among equals.
fn fingerprint(object: &ObjectDiff, effect: &Effect, seen: &mut BTreeMap<String, u32>) -> String {
    let mut hash = Sha256::new();
    let path = effect.path.as_deref().unwrap_or_default();
    let key = object.key.to_string();
    for part in [effect.effect.name(), &object.env, &key, path] {
        hash.update(part);
        hash.update([0]);
    }
    let hash = hash.finalize();
    let hex: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let number = seen.entry(hex.clone()).or_default();
    *number += 1;
    format!("{hex}:{number}")
}

/// RFC 3986, section 2: what a path of a URI may hold as it is.
fn percent(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
