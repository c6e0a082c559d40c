//! Each file of `tests/effects` is one change and the effects that it has.

use std::{collections::BTreeMap, fs, path::Path};

use ordain_reconciler_diff::{Facts, Input, Side, compare};
use ordain_reconciler_plan::{ObjectKey, SetObject};
use ordain_schemas::KubeVersion;
use serde::Deserialize;
use serde_json::Value;

datatest_stable::harness! {
    { test = case, root = "tests/effects", pattern = r"\.yaml$" },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// `1.36` when it is left out.
    #[serde(default)]
    kubernetes: Option<String>,
    /// Objects that are in both states.
    #[serde(default)]
    both: Vec<Value>,
    #[serde(default)]
    before: Vec<Value>,
    /// A merge patch (RFC 7396) for each of `before`, which is then in the second state too; `~` removes it.
    #[serde(default)]
    patch: Vec<Value>,
    /// Objects that are new.
    #[serde(default)]
    after: Vec<Value>,
    /// `LEVEL EFFECT OBJECT: MESSAGE @ PATH`.
    effects: Vec<String>,
}

fn case(path: &Path) -> datatest_stable::Result<()> {
    let text = fs::read_to_string(path)?;
    let case: Case = serde_yaml::from_str(&text)?;
    let set = |own: &[Value]| -> Vec<SetObject> {
        let all = case.both.iter().chain(own);
        all.map(|object| {
            assert!(ObjectKey::of(object).is_some(), "no object: {object}");
            SetObject {
                env: "dev".to_owned(),
                app: "shop".to_owned(),
                object: object.clone(),
                at: Some("shop.ord:1".to_owned()),
            }
        })
        .collect()
    };
    let kubernetes: KubeVersion = match &case.kubernetes {
        Some(version) => version.parse()?,
        None => KubeVersion::DEFAULT,
    };
    let facts = Facts {
        envs: BTreeMap::from([("dev".to_owned(), (kubernetes, "shop".to_owned()))]),
        ..Facts::default()
    };
    let (base, head) = (Side::named("before"), Side::named("after"));
    let patched = case.before.iter().zip(&case.patch);
    let patched = patched.filter(|(_, patch)| !patch.is_null());
    let mut after: Vec<Value> = patched
        .map(|(object, patch)| merged(object, patch))
        .collect();
    after.extend(case.after.iter().cloned());
    let (before, after) = (set(&case.before), set(&after));
    let diff = compare(&Input {
        base: Some((&base, &before)),
        head: (&head, &after),
        live: None,
        facts: &facts,
    });
    let found: Vec<String> = diff
        .effects()
        .map(|(object, effect)| {
            let path = effect.path.as_ref();
            let path = path.map_or_else(String::new, |path| format!(" @ {path}"));
            format!(
                "{} {} {}: {}{path}",
                effect.level.name(),
                effect.effect.name(),
                object.key,
                effect.message
            )
        })
        .collect();
    assert_eq!(found, case.effects, "{}", path.display());
    Ok(())
}

/// RFC 7396.
fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let old = target.get(name).unwrap_or(&Value::Null);
            target.insert(name.clone(), merged(old, value));
        }
    }
    Value::Object(target)
}
