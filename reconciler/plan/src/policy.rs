//! What an object's annotations ask for: ours, and those of the tools that people come from.
//!
//! Wrong spelling is no policy: it is told and the object is refused, because the default might be what somebody meant
//! to rule out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{OWNER_ANNOTATION, hooks, json};

/// `override`, `merge`, `if-not-present` or `ignore`.
pub const APPLY_ANNOTATION: &str = "ordain.dev/apply";
/// `disabled` or `confirm`.
pub const PRUNE_ANNOTATION: &str = "ordain.dev/prune";
/// `disabled`: on the live object as well as in the source.
pub const RECONCILE_ANNOTATION: &str = "ordain.dev/reconcile";
/// `allowed`.
pub const REPLACE_ANNOTATION: &str = "ordain.dev/replace";
/// `background`, `foreground` or `orphan`.
pub const PROPAGATION_ANNOTATION: &str = "ordain.dev/propagation";
/// The owner which this object may be taken from although it does not give it away.
pub const TAKE_FROM_ANNOTATION: &str = "ordain.dev/take-from";

/// How an object is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Apply {
    /// Its declared fields are ours, and what kubectl left on it goes.
    #[default]
    Override,
    /// Its declared fields are ours; fields of other managers, kubectl among them, stay.
    Merge,
    /// It is created and never changed.
    IfNotPresent,
    /// It is left alone, whether it exists or not.
    Ignore,
}

/// What happens when nothing declares an object any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prune {
    /// It is deleted.
    #[default]
    Allowed,
    /// It is deleted when somebody approves it.
    Confirm,
    /// It stays.
    Disabled,
}

/// What becomes of the objects that an object owns when it is deleted (`DeleteOptions.propagationPolicy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// They are deleted after it.
    #[default]
    Background,
    /// They are deleted before it; it is there until the last of them is gone.
    Foreground,
    /// They stay, and are nobody's.
    Orphan,
}

/// A value with the annotation that asks for it; `None` for a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked<T> {
    /// What is asked for.
    pub value: T,
    /// `name: value` of the annotation or label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Everything that an object's annotations and labels ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How it is applied.
    pub apply: Asked<Apply>,
    /// Whether it may be deleted.
    pub prune: Asked<Prune>,
    /// True while it is neither applied nor deleted.
    pub paused: Asked<bool>,
    /// True when it may be deleted and created again because a field cannot be changed.
    pub replace: Asked<bool>,
    /// What becomes of what it owns when it is deleted or replaced.
    #[serde(default)]
    pub propagation: Asked<Propagation>,
    /// Fields that are left to others, as in [`IgnoreRule::paths`](crate::IgnoreRule::paths).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Managers whose fields are left to them, as in [`IgnoreRule::managers`](crate::IgnoreRule::managers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_managers: Vec<String>,
    /// The owner it may be taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_from: Option<String>,
    /// Values that mean nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Fields of one object that are left to others: JSON pointers, separated by commas or white space.
pub const IGNORE_ANNOTATION: &str = "ordain.dev/ignore";

/// Field managers whose fields of one object are left to them: names, separated by commas; a `*` at the end stands for
/// any ending.
pub const IGNORE_MANAGERS_ANNOTATION: &str = "ordain.dev/ignore-managers";

/// The words of [`Propagation`], which are Argo CD's too.
const PROPAGATIONS: [(&str, Propagation); 3] = [
    ("background", Propagation::Background),
    ("foreground", Propagation::Foreground),
    ("orphan", Propagation::Orphan),
];

const FLUX: &str = "kustomize.toolkit.fluxcd.io";
const ARGO_OPTIONS: &str = "argocd.argoproj.io/sync-options";

/// Annotations that mean "do not delete" whatever else is said (cli-utils, Config Sync, Helm).
const KEEPS: [(&str, &str); 3] = [
    ("cli-utils.sigs.k8s.io/on-remove", "keep"),
    ("client.lifecycle.config.k8s.io/deletion", "detach"),
    ("helm.sh/resource-policy", "keep"),
];

impl Policy {
    /// Reads an object's annotations. Where several ask for different things, ours decide, and among others the more
    /// careful one.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let mut policy = Self::default();
        if asks(object) {
            policy.foreign(object);
            policy.ours(object);
        }
        policy
    }

    /// What holds for an object that is declared and live: a pause or an opt-out on either side counts, everything else is
    /// the source's to say.
    #[must_use]
    pub fn merged(declared: &Value, live: Option<&Value>) -> Self {
        let mut policy = Self::of(declared);
        if let Some(live) = live.map(Self::of) {
            if live.paused.value && !policy.paused.value {
                policy.paused = live.paused;
            }
            if policy.prune.value == Prune::Allowed {
                policy.prune = live.prune;
            }
        }
        policy
    }

    /// True when fields that kubectl wrote become ours, so that they go when nothing declares them.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.apply.value == Apply::Override
    }

    fn foreign(&mut self, object: &Value) {
        // Flux takes labels as well as annotations.
        let flux = |name: &str, value: &str| {
            let key = format!("{FLUX}/{name}");
            let found = json::annotation(object, &key).or_else(|| json::label(object, &key));
            found
                .filter(|found| found.eq_ignore_ascii_case(value))
                .map(|value| format!("{key}: {value}"))
        };
        if let Some(by) = flux("prune", "disabled") {
            self.prune = asked(Prune::Disabled, by);
        }
        if let Some(by) = flux("reconcile", "disabled") {
            self.paused = asked(true, by);
        }
        if let Some(by) = flux("force", "enabled") {
            self.replace = asked(true, by);
        }
        for (word, apply) in [
            ("Merge", Apply::Merge),
            ("IfNotPresent", Apply::IfNotPresent),
            ("Ignore", Apply::Ignore),
        ] {
            if let Some(by) = flux("ssa", word) {
                self.apply = asked(apply, by);
            }
        }
        if json::annotation(object, "client.lifecycle.config.k8s.io/mutation") == Some("ignore") {
            let by = "client.lifecycle.config.k8s.io/mutation: ignore".to_owned();
            self.apply = asked(Apply::IfNotPresent, by);
        }
        if let Some(hook) = hooks::elsewhere(object) {
            self.apply = asked(Apply::Ignore, hook.by);
        }
        self.problems.extend(hooks::problems(object));
        self.argo(json::annotation(object, ARGO_OPTIONS).unwrap_or_default());
        for (key, value) in KEEPS {
            let found = json::annotation(object, key).unwrap_or_default();
            if found.split(',').any(|part| part.trim() == value) {
                self.prune = asked(Prune::Disabled, format!("{key}: {value}"));
            }
        }
    }

    /// Options that have no meaning here, such as `ServerSideApply=true` or `ApplyOutOfSyncOnly=true`, are what we do anyway.
    fn argo(&mut self, options: &str) {
        for option in options.split(',').map(str::trim) {
            let by = || format!("{ARGO_OPTIONS}: {option}");
            match option {
                "Prune=false" | "Delete=false" => self.prune = asked(Prune::Disabled, by()),
                "Prune=confirm" | "Delete=confirm" if self.prune.value == Prune::Allowed => {
                    self.prune = asked(Prune::Confirm, by());
                }
                "Replace=true" | "Force=true" => self.replace = asked(true, by()),
                _ => {
                    let words = option.strip_prefix("PrunePropagationPolicy=");
                    let found = PROPAGATIONS.iter().find(|(word, _)| words == Some(word));
                    if let Some((_, propagation)) = found {
                        self.propagation = asked(*propagation, by());
                    }
                }
            }
        }
    }

    fn ours(&mut self, object: &Value) {
        let apply = [
            ("override", Apply::Override),
            ("merge", Apply::Merge),
            ("if-not-present", Apply::IfNotPresent),
            ("ignore", Apply::Ignore),
        ];
        let prune = [
            ("disabled", Prune::Disabled),
            ("confirm", Prune::Confirm),
            ("allowed", Prune::Allowed),
        ];
        let problems = &mut self.problems;
        read(object, APPLY_ANNOTATION, &apply, &mut self.apply, problems);
        read(object, PRUNE_ANNOTATION, &prune, &mut self.prune, problems);
        let pause = [("disabled", true), ("enabled", false)];
        read(
            object,
            RECONCILE_ANNOTATION,
            &pause,
            &mut self.paused,
            problems,
        );
        let replace = [("allowed", true), ("forbidden", false)];
        read(
            object,
            REPLACE_ANNOTATION,
            &replace,
            &mut self.replace,
            problems,
        );
        read(
            object,
            PROPAGATION_ANNOTATION,
            &PROPAGATIONS,
            &mut self.propagation,
            problems,
        );
        self.take_from = json::annotation(object, TAKE_FROM_ANNOTATION).map(str::to_owned);
        self.ignore = words(json::annotation(object, IGNORE_ANNOTATION));
        let paths = self.ignore.iter().filter(|path| !path.starts_with('/'));
        let wrong = paths.map(|path| {
            format!("`{IGNORE_ANNOTATION}`: `{path}` is no JSON pointer: it has to begin with `/`")
        });
        self.problems.extend(wrong);
        self.ignore_managers = words(json::annotation(object, IGNORE_MANAGERS_ANNOTATION));
    }
}

/// Where annotations and labels that are read here come from.
const DOMAINS: [&str; 6] = [
    "ordain.dev/",
    "kustomize.toolkit.fluxcd.io/",
    "argocd.argoproj.io/",
    "cli-utils.sigs.k8s.io/",
    "client.lifecycle.config.k8s.io/",
    "helm.sh/",
];

/// True when an object asks for anything: most carry nothing but the owner's mark, and there may be many of them.
fn asks(object: &Value) -> bool {
    let keys = ["/metadata/annotations", "/metadata/labels"];
    let keys = keys
        .iter()
        .filter_map(|place| json::map(object, place))
        .flat_map(Map::keys);
    keys.filter(|key| *key != OWNER_ANNOTATION)
        .any(|key| DOMAINS.iter().any(|domain| key.starts_with(domain)))
}

/// Words between commas and white space.
fn words(text: Option<&str>) -> Vec<String> {
    let words = text
        .unwrap_or_default()
        .split(|char: char| char == ',' || char.is_whitespace());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn asked<T>(value: T, by: String) -> Asked<T> {
    Asked {
        value,
        by: Some(by),
    }
}

fn read<T: Copy>(
    object: &Value,
    name: &str,
    words: &[(&str, T)],
    into: &mut Asked<T>,
    problems: &mut Vec<String>,
) {
    let Some(text) = json::annotation(object, name) else {
        return;
    };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => *into = asked(*value, format!("{name}: {text}")),
        None => {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            problems.push(format!(
                "`{name}`: `{text}` is none of {}",
                words.join(", ")
            ));
        }
    }
}
