//! The value that says how two states differ. Its JSON is a format that others read: fields may be added, not renamed.

use std::fmt;

pub use ordain_reconciler_plan::Change;
use ordain_reconciler_plan::ObjectKey;
use serde::{Deserialize, Serialize};

/// The name and version of the JSON form; `schema/diff.v1.json` describes it.
pub const FORMAT: &str = "ordain-diff/v1";

/// Everything that differs, and what it would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Always [`FORMAT`].
    pub format: String,
    /// What is changed from; `None` when only the live state is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Side>,
    /// What is changed to.
    pub head: Side,
    /// The live state that was looked at, when one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Side>,
    /// How many objects the change of the sources touches.
    pub totals: Totals,
    /// How many objects applying the head would touch, when the live state is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_totals: Option<Totals>,
    /// Apps whose deletions would wait for an approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// Every object that differs, by environment, app and kind order.
    pub objects: Vec<ObjectDiff>,
    /// Secret values that could not be compared because only their digest is known here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_compared: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Diff {
    /// True when nothing differs, neither from the base nor from the live state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The worst level among the effects; `None` when there is no effect.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        self.effects().map(|(_, effect)| effect.level).max()
    }

    /// Every effect with its object.
    pub fn effects(&self) -> impl Iterator<Item = (&ObjectDiff, &Effect)> {
        let of = |object| {
            let object: &ObjectDiff = object;
            object.effects.iter().map(move |effect| (object, effect))
        };
        self.objects.iter().flat_map(of)
    }

    /// Fills in the source lines: `head` and `base` are asked once each, with every field at once, and
    /// answer one place (`file:line`) for each.
    pub fn cite(
        &mut self,
        head: impl FnOnce(&[FieldAt]) -> Vec<Option<String>>,
        base: impl FnOnce(&[FieldAt]) -> Vec<Option<String>>,
    ) {
        let asked = |objects: &[ObjectDiff], wanted: fn(&Field) -> bool| -> Vec<FieldAt> {
            let of = |object: &ObjectDiff| {
                let fields: Vec<FieldAt> = object
                    .all_fields()
                    .filter(|field| wanted(field))
                    .map(|field| FieldAt {
                        env: object.env.clone(),
                        key: object.key.clone(),
                        path: field.path.clone(),
                    })
                    .collect();
                fields
            };
            objects.iter().flat_map(of).collect()
        };
        let in_head = |field: &Field| field.change.after().is_some();
        let in_base = |field: &Field| field.change.before().is_some();
        let (new, old) = (asked(&self.objects, in_head), asked(&self.objects, in_base));
        let mut new = if new.is_empty() {
            Vec::new()
        } else {
            head(&new)
        }
        .into_iter();
        let mut old = if old.is_empty() {
            Vec::new()
        } else {
            base(&old)
        }
        .into_iter();
        for object in &mut self.objects {
            for field in object.all_fields_mut() {
                if in_head(field) {
                    field.at = new.next().flatten();
                }
                if in_base(field) {
                    field.was_at = old.next().flatten();
                }
            }
            object.locate();
        }
    }
}

/// A field of an object, to be looked up in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldAt {
    /// The environment.
    pub env: String,
    /// The object.
    pub key: ObjectKey,
    /// The way to the field.
    pub path: String,
}

/// One of the states that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// As the user named it: `main`, `the working tree`, `cluster kind-dev`.
    pub name: String,
    /// The commit, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Side {
    /// A side with a name alone.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            commit: None,
        }
    }
}

impl fmt::Display for Side {
    /// `main (3f2a91c04d)`, or the name alone.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        match &self.commit {
            Some(commit) if !commit.starts_with(&self.name) => {
                let short: String = commit.chars().take(10).collect();
                write!(out, " ({short})")
            }
            _ => Ok(()),
        }
    }
}

/// Numbers of objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// To be created.
    pub create: usize,
    /// To be changed, replaced ones included.
    pub update: usize,
    /// To be deleted, held ones included.
    pub delete: usize,
    /// The server would refuse them.
    #[serde(default)]
    pub refused: usize,
    /// The same.
    pub unchanged: usize,
}

impl Totals {
    pub(crate) fn count(&mut self, verb: Verb) {
        match verb {
            Verb::Create => self.create += 1,
            Verb::Update | Verb::Replace => self.update += 1,
            Verb::Delete | Verb::Held => self.delete += 1,
            Verb::Refused => self.refused += 1,
            Verb::Unchanged | Verb::Keep => self.unchanged += 1,
        }
    }
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// It is new.
    Create,
    /// Fields of it change.
    Update,
    /// It is deleted and made again, because a field cannot be changed in place.
    Replace,
    /// It goes away.
    Delete,
    /// It should go away, and waits for an approval.
    Held,
    /// The server would refuse it.
    Refused,
    /// It is no longer declared, and stays.
    Keep,
    /// It stays as it is.
    Unchanged,
}

impl Verb {
    /// The sign before an object in a list.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Replace => '±',
            Self::Delete => '-',
            Self::Held | Self::Refused => '!',
            Self::Keep | Self::Unchanged => '=',
        }
    }
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The way to it: `spec.template.spec.containers[web].image`.
    pub path: String,
    /// What happened to it.
    #[serde(flatten)]
    pub change: Change,
    /// `file:line` that decides its value in the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// `file:line` that decided it in the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_at: Option<String>,
}

impl Field {
    /// The line to show: that of the head, or of the base when the field is gone.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.at.as_deref().or(self.was_at.as_deref())
    }
}

/// How the live object differs from what the head declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveDiff {
    /// What applying the head does to it.
    pub verb: Verb,
    /// The fields that differ from the live ones.
    pub fields: Vec<Field>,
    /// Why, where the verb alone does not say it; the server's words when it refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectDiff {
    /// The environment.
    pub env: String,
    /// The app; the new one when the object moved.
    pub app: String,
    /// The app it came from, when it moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// The object.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// The `apiVersion` that it is declared in, or was.
    pub api_version: String,
    /// What the change of the sources does to it; `unchanged` when only the live object differs.
    pub verb: Verb,
    /// The fields which the change of the sources changes.
    pub fields: Vec<Field>,
    /// The live object against the head, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveDiff>,
    /// What it would do, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// `file:line` of its source; of the base when it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl ObjectDiff {
    /// What would really happen: as the live state says where it is known, else as the sources say.
    #[must_use]
    pub fn real_verb(&self) -> Verb {
        self.live.as_ref().map_or(self.verb, |live| live.verb)
    }

    /// True when the sources did not change it: only what is live differs.
    #[must_use]
    pub fn is_live_only(&self) -> bool {
        self.verb == Verb::Unchanged && self.moved_from.is_none()
    }

    /// The fields of both comparisons.
    pub(crate) fn all_fields(&self) -> impl Iterator<Item = &Field> {
        let live = self.live.iter().flat_map(|live| &live.fields);
        self.fields.iter().chain(live)
    }

    fn all_fields_mut(&mut self) -> impl Iterator<Item = &mut Field> {
        let live = self.live.iter_mut().flat_map(|live| &mut live.fields);
        self.fields.iter_mut().chain(live)
    }

    /// Gives each effect the line of the field that has it, else the object's.
    pub(crate) fn locate(&mut self) {
        let places: Vec<Option<String>> = self
            .effects
            .iter()
            .map(|effect| {
                let path = effect.path.as_deref();
                let field = path.and_then(|path| {
                    let below = |field: &&Field| is_below(&field.path, path);
                    self.all_fields()
                        .filter(below)
                        .find_map(|field| field.place().map(str::to_owned))
                });
                field.or_else(|| self.at.clone())
            })
            .collect();
        for (effect, place) in self.effects.iter_mut().zip(places) {
            effect.at = place;
        }
    }
}

/// True for the field itself and everything in it.
pub(crate) fn is_below(path: &str, root: &str) -> bool {
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// How much an effect matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Daily work; good to know.
    Note,
    /// Somebody should look at it.
    Warning,
    /// It loses something, or cannot work.
    Danger,
}

impl Level {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Danger => "danger",
        }
    }
}

/// What a change does beyond changing a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// Data is lost: claims, volumes, a whole namespace, every object of a definition.
    DeletesData,
    /// The server would refuse it, in its own words.
    Refused,
    /// A field cannot be changed; the server would refuse it.
    Immutable,
    /// The environment's Kubernetes does not have the API.
    RemovedApi,
    /// Pods that something selected are not selected any more.
    DropsSelector,
    /// Subjects may do more than before.
    WidensAccess,
    /// Something can be reached from outside of the cluster.
    Exposes,
    /// A limit of the namespace is passed.
    Quota,
    /// The prune breaker holds deletions until they are approved.
    Policy,
    /// The object is deleted and made again.
    Replaces,
    /// Pods go away for good.
    StopsPods,
    /// The number of pods changes.
    Scales,
    /// Running pods are exchanged for new ones.
    RestartsPods,
    /// Running pods go on with the old configuration until they restart.
    NeedsRestart,
}

impl EffectKind {
    /// Every kind, the gravest first.
    pub const ALL: [Self; 14] = [
        Self::DeletesData,
        Self::Refused,
        Self::Immutable,
        Self::RemovedApi,
        Self::DropsSelector,
        Self::WidensAccess,
        Self::Exposes,
        Self::Quota,
        Self::Policy,
        Self::Replaces,
        Self::StopsPods,
        Self::Scales,
        Self::RestartsPods,
        Self::NeedsRestart,
    ];

    /// The stable name: `deletes-data`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DeletesData => "deletes-data",
            Self::Refused => "refused",
            Self::Immutable => "immutable",
            Self::RemovedApi => "removed-api",
            Self::DropsSelector => "drops-selector",
            Self::WidensAccess => "widens-access",
            Self::Exposes => "exposes",
            Self::Quota => "quota",
            Self::Policy => "policy",
            Self::Replaces => "replaces",
            Self::StopsPods => "stops-pods",
            Self::Scales => "scales",
            Self::RestartsPods => "restarts-pods",
            Self::NeedsRestart => "needs-restart",
        }
    }

    /// The same in words: `deletes data`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::DeletesData => "deletes data",
            Self::Refused => "would be refused",
            Self::Immutable => "immutable field",
            Self::RemovedApi => "removed API",
            Self::DropsSelector => "drops a selector",
            Self::WidensAccess => "widens access",
            Self::Exposes => "exposes",
            Self::Quota => "exceeds a quota",
            Self::Policy => "held by policy",
            Self::Replaces => "replaces",
            Self::StopsPods => "stops pods",
            Self::Scales => "scales",
            Self::RestartsPods => "restarts pods",
            Self::NeedsRestart => "takes effect at the next restart",
        }
    }

    /// What it means, for somebody who meets it the first time.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::DeletesData => "Deleting the object deletes data, or other objects with it.",
            Self::Refused => "The API server refuses the object in a dry run.",
            Self::Immutable => {
                "The field cannot be changed once the object exists: the API server refuses it."
            }
            Self::RemovedApi => "The Kubernetes version of the environment does not serve the API.",
            Self::DropsSelector => {
                "A selector that selected pods selects none after the change, or leaves pods behind."
            }
            Self::WidensAccess => "A role or a binding allows more than before.",
            Self::Exposes => "The object can be reached from outside of the cluster.",
            Self::Quota => "The namespace's quota does not allow what the workloads ask for.",
            Self::Policy => "The deletion waits until somebody approves the plan.",
            Self::Replaces => "The object is deleted and created again.",
            Self::StopsPods => "The pods of the workload end.",
            Self::Scales => "The number of pods changes.",
            Self::RestartsPods => "The pod template changes, so the pods are replaced by new ones.",
            Self::NeedsRestart => {
                "Running pods read the configuration when they start, and go on with the old one."
            }
        }
    }
}

/// One named effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Which one.
    pub effect: EffectKind,
    /// How much it matters.
    pub level: Level,
    /// What exactly happens: `3 → 5 replicas`.
    pub message: String,
    /// The field that causes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `file:line` that causes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// An app whose deletions would wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// Why, one line each.
    pub reasons: Vec<String>,
    /// The plan's hash, which an approval names; known when the plan is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}
