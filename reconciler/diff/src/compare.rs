//! Two object sets, and the live state where it is known, to a [`Diff`].

use std::collections::{BTreeMap, BTreeSet};

use ordain_reconciler_plan::{Breaker, MASK, ObjectKey, SetObject, rank};
use ordain_schemas::KubeVersion;
use serde_json::{Map, Value};

use crate::{
    After, Change, Diff, Effect, FORMAT, Field, Held, Live, LiveDiff, LiveSource, Look, ObjectDiff,
    Side, Totals, Verb,
    effects::{self, Changed, World},
    live::held_reasons,
};

/// What has to be known of the environments.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Each environment's Kubernetes version and namespace.
    pub envs: BTreeMap<String, (KubeVersion, String)>,
    /// The limits for deletions.
    pub breaker: Breaker,
}

impl Facts {
    pub(crate) fn kubernetes(&self, env: &str) -> KubeVersion {
        self.envs.get(env).map_or(KubeVersion::DEFAULT, |env| env.0)
    }

    pub(crate) fn namespace(&self, env: &str) -> &str {
        self.envs.get(env).map_or("default", |env| &env.1)
    }
}

/// What is compared. Without a base it is the live state that the head is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What the sources declared before, and what it is called.
    pub base: Option<(&'a Side, &'a [SetObject])>,
    /// What they declare now.
    pub head: (&'a Side, &'a [SetObject]),
    /// What is live.
    pub live: Option<&'a Live>,
    /// What is known of the environments.
    pub facts: &'a Facts,
}

type Identity = (String, ObjectKey);

/// Compares. An object is the same one when its environment and identity are: a change of app is a move.
#[must_use]
pub fn compare(input: &Input<'_>) -> Diff {
    let Input {
        base,
        head,
        live,
        facts,
    } = *input;
    let before = by_key(base.map_or(&[], |(_, objects)| objects));
    let after = by_key(head.1);
    let empty = BTreeMap::new();
    let was_tried = live.is_some_and(|live| live.source == LiveSource::Cluster);
    let looks = live.map_or(&empty, |live| &live.looks);
    let world = world(&before, &after, base.is_some(), looks, facts);
    let mut held = match base {
        Some(_) => held(&before, &after, facts.breaker),
        None => Vec::new(),
    };
    for known in live.iter().flat_map(|live| &live.held) {
        held.retain(|one| (&one.env, &one.app) != (&known.env, &known.app));
        held.push(known.clone());
    }
    let is_held: BTreeSet<(&str, &str)> =
        held.iter().map(|held| (&*held.env, &*held.app)).collect();

    let mut totals = Totals::default();
    let mut live_totals = Totals::default();
    let mut objects = Vec::new();
    let mut met = BTreeSet::new();
    let declared: BTreeSet<&Identity> = before.keys().chain(after.keys()).collect();
    for identity in declared {
        let (env, key) = identity;
        let (old, new) = (before.get(identity), after.get(identity));
        let shown = new.or(old).expect("it is in one of the two");
        let placed = placed(env, key, &shown.object, facts);
        let look = looks.get(&placed);
        if look.is_some() {
            met.insert(placed);
        }
        let source = base.map(|_| of_sources(key, old.copied(), new.copied()));
        let moved_from = match (old, new) {
            (Some(old), Some(new)) if old.app != new.app => Some(old.app.clone()),
            _ => None,
        };
        let lived = look.map(|look| of_look(key, look));
        if let Some((verb, _)) = &source {
            totals.count(*verb);
        }
        if let Some(lived) = &lived {
            live_totals.count(lived.verb);
        }
        let differs = source
            .as_ref()
            .is_some_and(|(verb, _)| *verb != Verb::Unchanged)
            || moved_from.is_some()
            || lived
                .as_ref()
                .is_some_and(|lived| lived.verb != Verb::Unchanged);
        if !differs {
            continue;
        }
        let mut object = ObjectDiff {
            env: env.clone(),
            app: shown.app.clone(),
            moved_from,
            key: key.clone(),
            api_version: api_version(&shown.object),
            verb: Verb::Unchanged,
            fields: Vec::new(),
            live: lived,
            effects: Vec::new(),
            at: shown.at.clone(),
        };
        if let Some((verb, fields)) = source {
            (object.verb, object.fields) = (verb, fields);
        }
        let sides = Sides {
            old: old.map(|old| &old.object),
            new: new.map(|new| &new.object),
            look,
            was_tried: was_tried && look.is_some(),
        };
        let held = is_held.contains(&(&*object.env, &*object.app));
        object.effects = found(&object, &sides, held, &world);
        objects.push(object);
    }
    // What only the cluster has.
    for (identity, look) in looks.iter().filter(|(identity, _)| !met.contains(identity)) {
        let (env, key) = identity;
        let lived = of_look(key, look);
        live_totals.count(lived.verb);
        if lived.verb == Verb::Unchanged {
            continue;
        }
        let mut object = ObjectDiff {
            env: env.clone(),
            app: look.app.clone(),
            moved_from: None,
            key: key.clone(),
            api_version: look.now.as_ref().map_or_else(String::new, api_version),
            verb: Verb::Unchanged,
            fields: Vec::new(),
            live: Some(lived),
            effects: Vec::new(),
            at: look.at.clone(),
        };
        let sides = Sides {
            old: None,
            new: None,
            look: Some(look),
            was_tried,
        };
        object.effects = found(&object, &sides, false, &world);
        objects.push(object);
    }
    objects.sort_by_cached_key(|one| {
        let place = (one.env.clone(), one.app.clone());
        (place, rank(&one.key), one.key.clone())
    });
    let mut diff = Diff {
        format: FORMAT.to_owned(),
        base: base.map(|(side, _)| side.clone()),
        head: head.0.clone(),
        live: live.map(|live| live.side.clone()),
        totals,
        live_totals: live.map(|_| live_totals),
        held,
        objects,
        not_compared: live.map_or(0, |live| live.not_compared),
    };
    if diff.base.is_none() {
        live_is_base(&mut diff);
    }
    for object in &mut diff.objects {
        object.locate();
    }
    diff
}

/// Without a base, the live state is what is compared with: then it is told once.
fn live_is_base(diff: &mut Diff) {
    diff.base = diff.live.take();
    diff.totals = diff.live_totals.take().unwrap_or_default();
    for object in &mut diff.objects {
        if let Some(live) = &mut object.live {
            object.verb = live.verb;
            object.fields = std::mem::take(&mut live.fields);
            if live.reason.is_none() {
                object.live = None;
            }
        }
    }
}

fn api_version(object: &Value) -> String {
    object["apiVersion"].as_str().unwrap_or_default().to_owned()
}

fn by_key(objects: &[SetObject]) -> BTreeMap<Identity, &SetObject> {
    let keyed = objects.iter().filter_map(|object| {
        let key = ObjectKey::of(&object.object)?;
        Some(((object.env.clone(), key), object))
    });
    keyed.collect()
}

/// The identity in the cluster: with the environment's namespace where the object names none.
fn placed(env: &str, key: &ObjectKey, object: &Value, facts: &Facts) -> Identity {
    let mut key = key.clone();
    let kubernetes = facts.kubernetes(env);
    if key.namespace.is_none() && crate::is_namespaced(object, &[], kubernetes) {
        key.namespace = Some(facts.namespace(env).to_owned());
    }
    (env.to_owned(), key)
}

fn of_sources(
    key: &ObjectKey,
    old: Option<&SetObject>,
    new: Option<&SetObject>,
) -> (Verb, Vec<Field>) {
    match (old, new) {
        (Some(old), Some(new)) => {
            let fields = fields(key, &old.object, &new.object);
            let verb = match fields.is_empty() {
                true => Verb::Unchanged,
                false => Verb::Update,
            };
            (verb, fields)
        }
        (None, _) => (Verb::Create, Vec::new()),
        (_, None) => (Verb::Delete, Vec::new()),
    }
}

fn of_look(key: &ObjectKey, look: &Look) -> LiveDiff {
    let (verb, fields, reason) = match (&look.now, &look.after) {
        (None, After::Would(_) | After::Replaced(_)) => (Verb::Create, Vec::new(), None),
        (Some(now), After::Would(after)) => {
            let fields = fields(key, &declared(now), &declared(after));
            let unknown = match look.not_compared {
                0 => None,
                1 => Some("1 secret value could not be compared".to_owned()),
                many => Some(format!("{many} secret values could not be compared")),
            };
            match fields.is_empty() {
                true => (Verb::Unchanged, fields, unknown),
                false => (Verb::Update, fields, unknown),
            }
        }
        (Some(now), After::Replaced(after)) => {
            let after = after.as_ref();
            let fields = after.map(|after| fields(key, &declared(now), &declared(after)));
            (Verb::Replace, fields.unwrap_or_default(), None)
        }
        (now, After::Later(reason)) => {
            let verb = match now {
                None => Verb::Create,
                Some(_) => Verb::Update,
            };
            (verb, Vec::new(), Some(reason.clone()))
        }
        (_, After::Refused { message, .. }) => (Verb::Refused, Vec::new(), Some(message.clone())),
        (_, After::Gone(verb, reason)) => {
            let reason = (*verb != Verb::Delete).then(|| reason.clone());
            (*verb, Vec::new(), reason)
        }
    };
    LiveDiff {
        verb,
        fields,
        reason,
    }
}

/// Every field that differs, with a Secret's values masked.
pub(crate) fn fields(key: &ObjectKey, old: &Value, new: &Value) -> Vec<Field> {
    let found = ordain_reconciler_plan::diff(old, new);
    let fields = found.into_iter().map(|change| Field {
        path: change.path,
        change: change.change,
        at: None,
        was_at: None,
    });
    let mut fields: Vec<Field> = fields.collect();
    if key.is("", "Secret") {
        fields.iter_mut().for_each(mask);
    }
    fields
}

/// Hides the values of a Secret's field. Which entries it has is no secret.
fn mask(field: &mut Field) {
    let root = field.path.split(['.', '[']).next().unwrap_or_default();
    let is_value = matches!(root, "data" | "stringData" | "");
    let in_annotations = field.path.starts_with("metadata.annotations");
    let values: &mut [&mut Value] = match &mut field.change {
        Change::Added { new } => &mut [new],
        Change::Removed { old } => &mut [old],
        Change::Changed { old, new } => &mut [old, new],
    };
    for value in values {
        if is_value || (in_annotations && field.path.contains("last-applied")) {
            hide(value);
        } else if let Some(map) = value.as_object_mut() {
            map.retain(|name, _| !name.contains("last-applied"));
        }
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(hide),
        other => *other = MASK.into(),
    }
}

/// Kept up to date by Kubernetes' own controllers and by kubectl; nobody declared them.
const CONTROLLERS: [&str; 5] = [
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "batch.kubernetes.io/job-tracking",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// The part of an object that people and controllers declare (fluxcd/pkg `ssa/manager_diff.go`, `hasDrifted`).
fn declared(object: &Value) -> Value {
    let Some(root) = object.as_object() else {
        return object.clone();
    };
    let mut part = Map::new();
    for (name, value) in root {
        if name == "status" {
            continue;
        }
        let Some(metadata) = value.as_object().filter(|_| name == "metadata") else {
            part.insert(name.clone(), value.clone());
            continue;
        };
        let mut kept = Map::new();
        for name in ["labels", "annotations", "finalizers", "ownerReferences"] {
            let Some(mut value) = metadata.get(name).cloned() else {
                continue;
            };
            if let Some(map) = value.as_object_mut() {
                map.retain(|name, _| !CONTROLLERS.contains(&name.as_str()));
                if map.is_empty() {
                    continue;
                }
            }
            kept.insert(name.to_owned(), value);
        }
        part.insert("metadata".to_owned(), Value::Object(kept));
    }
    Value::Object(part)
}

/// The apps of which so much goes away that the reconciler would wait for an approval.
fn held(
    before: &BTreeMap<Identity, &SetObject>,
    after: &BTreeMap<Identity, &SetObject>,
    breaker: Breaker,
) -> Vec<Held> {
    let mut apps: BTreeMap<(&str, &str), (Vec<&ObjectKey>, usize)> = BTreeMap::new();
    for (identity, object) in before {
        let entry = apps.entry((&object.env, &object.app)).or_default();
        entry.1 += 1;
        if !after.contains_key(identity) {
            entry.0.push(&identity.1);
        }
    }
    let declared: BTreeSet<(&str, &str)> = after
        .values()
        .map(|object| (&*object.env, &*object.app))
        .collect();
    let held = apps.into_iter().filter_map(|((env, app), (keys, total))| {
        let reasons = held_reasons(&keys, total, declared.contains(&(env, app)), breaker);
        let held = Held {
            env: env.to_owned(),
            app: app.to_owned(),
            reasons,
            hash: None,
        };
        (!held.reasons.is_empty()).then_some(held)
    });
    held.collect()
}

/// One object on both sides of what would really happen.
struct Sides<'a> {
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    look: Option<&'a Look>,
    /// True when a server was asked, and not a snapshot.
    was_tried: bool,
}

fn found(object: &ObjectDiff, sides: &Sides<'_>, held: bool, world: &World<'_>) -> Vec<Effect> {
    let mut verb = object.real_verb();
    if held && verb == Verb::Delete {
        verb = Verb::Held;
    }
    let fields = match &object.live {
        Some(live) => &live.fields,
        None => &object.fields,
    };
    let (old, new) = match sides.look {
        None => (sides.old, sides.new),
        Some(look) => (look.now.as_ref(), after(look, sides.new)),
    };
    let refused = match sides.look.map(|look| &look.after) {
        Some(After::Refused { message, immutable }) => Some((message.as_str(), &**immutable)),
        _ => None,
    };
    effects::effects(
        &Changed {
            env: &object.env,
            key: &object.key,
            verb,
            old,
            new,
            fields: match fields.is_empty() {
                true => &object.fields,
                false => fields,
            },
            refused,
            accepted: sides.was_tried && refused.is_none(),
        },
        world,
    )
}

fn after<'a>(look: &'a Look, head: Option<&'a Value>) -> Option<&'a Value> {
    match &look.after {
        After::Would(after) => Some(after),
        After::Replaced(after) => after.as_ref().or(head),
        After::Gone(Verb::Keep, _) => look.now.as_ref(),
        After::Gone(..) => None,
        After::Refused { .. } | After::Later(_) => head,
    }
}

/// Everything that is, before and after: what is live where that is known, else what the sources say.
fn world<'a>(
    before: &BTreeMap<Identity, &'a SetObject>,
    after_set: &BTreeMap<Identity, &'a SetObject>,
    has_base: bool,
    looks: &'a BTreeMap<Identity, Look>,
    facts: &'a Facts,
) -> World<'a> {
    let mut world = World::new(facts);
    let source = |set: &BTreeMap<Identity, &'a SetObject>,
                  add: &mut dyn FnMut(&'a str, &'a Value)| {
        for ((env, key), object) in set {
            if !looks.contains_key(&placed(env, key, &object.object, facts)) {
                add(&object.env, &object.object);
            }
        }
    };
    source(
        if has_base { before } else { after_set },
        &mut |env, object| {
            world.before(env, object);
        },
    );
    source(after_set, &mut |env, object| world.after(env, object));
    let heads: BTreeMap<Identity, &'a Value> = match looks.is_empty() {
        true => BTreeMap::new(),
        false => after_set
            .iter()
            .map(|((env, key), object)| (placed(env, key, &object.object, facts), &object.object))
            .collect(),
    };
    for (identity, look) in looks {
        let env = &identity.0;
        if let Some(now) = &look.now {
            world.before(env, now);
        }
        if let Some(object) = after(look, heads.get(identity).copied()) {
            world.after(env, object);
        }
    }
    world
}
