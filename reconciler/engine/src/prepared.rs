//! The objects of a set, ready to be asked about and sent: how each is reached, and its secrets filled in.
//!
//! What is wrong with one object is a fault of that object alone; the others go on.

use std::{collections::BTreeMap, sync::Arc};

use ordain_reconciler_plan::{ApiVersion, Desired, ObjectKey, Refusal, prepare, stamp};
use serde_json::Value;

use crate::{
    CompiledObject, Compiler, Revealed, Scrub, SecretFiles,
    cluster::{Cluster, Resource},
    wire::{lasting, transient},
};

/// How an object of the set is reached.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// The cluster serves its kind.
    Served(Resource),
    /// A definition in the same set brings its kind: its name.
    AfterDefinition(String),
    /// It cannot be sent at all.
    Fault(Refusal),
}

/// The objects of a set.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) desired: Vec<Desired>,
    pub(crate) routes: Vec<Route>,
    /// Those that name secrets, with them, by position: what is sent instead.
    revealed: BTreeMap<usize, Sent>,
}

impl Prepared {
    /// The object at a position as it is sent.
    pub(crate) fn sent(&self, at: usize) -> (&Desired, Option<&Scrub>) {
        match self.revealed.get(&at) {
            Some(sent) => (&sent.desired, Some(&sent.scrub)),
            None => (&self.desired[at], None),
        }
    }

    /// Sends another object in place of the one at a position, which has nothing to hide.
    pub(crate) fn send_instead(&mut self, at: usize, object: Value) {
        let desired = Desired {
            object,
            ..self.desired[at].clone()
        };
        let scrub: Scrub = Arc::new(str::to_owned);
        self.revealed.insert(at, Sent { desired, scrub });
    }

    /// The definition of a name in the set.
    pub(crate) fn definition(&self, name: &str) -> Option<&Value> {
        let found = self
            .desired
            .iter()
            .find(|desired| is_definition(&desired.key) && desired.key.name == name);
        found.map(|desired| &desired.object)
    }
}

/// True for a definition of a custom kind.
pub(crate) fn is_definition(key: &ObjectKey) -> bool {
    key.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

/// An object with its secrets. Everything that is kept or shown comes from the one without.
struct Sent {
    desired: Desired,
    scrub: Scrub,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sent({})", self.desired.key)
    }
}

/// Takes secrets out of what the server says about an object that was sent with them.
pub(crate) fn hidden(refusal: Refusal, scrub: Option<&Scrub>) -> Refusal {
    match scrub {
        Some(scrub) => Refusal {
            message: scrub(&refusal.message),
            immutable: refusal.immutable.iter().map(|field| scrub(field)).collect(),
            ..refusal
        },
        None => refusal,
    }
}

/// A definition of the set: the kind that it brings.
struct Definition {
    name: String,
    namespaced: bool,
}

fn definitions(objects: &[CompiledObject]) -> BTreeMap<(String, String), Definition> {
    let text = |object: &Value, pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let definitions = objects.iter().map(|compiled| &compiled.object);
    definitions
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .map(|object| {
            let name = text(object, "/metadata/name");
            let namespaced = text(object, "/spec/scope") != "Cluster";
            let kind = (
                text(object, "/spec/group"),
                text(object, "/spec/names/kind"),
            );
            (kind, Definition { name, namespaced })
        })
        .collect()
}

/// Finds out how each object is reached, and completes it.
///
/// # Errors
/// When an object has no kind or name: nothing can be said about it, not even which one it is.
pub(crate) async fn prepare_all(
    cluster: &Cluster,
    objects: Vec<CompiledObject>,
    namespace: &str,
    owner: &str,
) -> Result<Prepared, Refusal> {
    let definitions = definitions(&objects);
    let mut prepared = Prepared::default();
    let mut nameless = Vec::new();
    for compiled in objects {
        let api_version = compiled.object["apiVersion"].as_str().unwrap_or_default();
        let version = ApiVersion::parse(api_version);
        let kind = compiled.object["kind"].as_str().unwrap_or_default();
        let served = match kind {
            "" => Ok(None),
            kind => cluster.resource(&version, kind).await,
        };
        let definition = definitions.get(&(version.group.clone(), kind.to_owned()));
        // Without its scope a guess would change its identity once it is served.
        let guess = compiled.object.pointer("/metadata/namespace").is_some();
        let (route, namespaced) = match (served, definition) {
            (Ok(Some(resource)), _) => {
                let namespaced = resource.namespaced;
                (Route::Served(resource), namespaced)
            }
            (Ok(None), Some(found)) => {
                (Route::AfterDefinition(found.name.clone()), found.namespaced)
            }
            (Ok(None), None) => {
                let unserved = format!("the cluster serves no kind `{kind}` in `{version}`");
                (Route::Fault(lasting(unserved)), guess)
            }
            (Err(refusal), _) => (Route::Fault(refusal), guess),
        };
        let CompiledObject { object, at } = compiled;
        match prepare(object, at.clone(), namespaced, namespace, owner) {
            Some(desired) => {
                prepared.desired.push(desired);
                prepared.routes.push(route);
            }
            None => {
                let place = at.map_or_else(String::new, |at| format!(" ({at})"));
                nameless.push(format!("an object without kind or name{place}"));
            }
        }
    }
    if !nameless.is_empty() {
        return Err(lasting(nameless.join("; ")));
    }
    duplicates(&mut prepared);
    stamp(&mut prepared.desired);
    Ok(prepared)
}

/// Two objects of one identity would overwrite each other at every look; which one is meant is not known, so
/// the first stays as a fault that names both.
fn duplicates(prepared: &mut Prepared) {
    let mut first: BTreeMap<ObjectKey, usize> = BTreeMap::new();
    let mut places: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut kept = Vec::new();
    for (at, desired) in prepared.desired.iter().enumerate() {
        let place = |at: usize| {
            let at = prepared.desired[at].at.clone();
            at.unwrap_or_else(|| "?".to_owned())
        };
        match first.get(&desired.key) {
            Some(&known) => {
                let places = places.entry(known).or_insert_with(|| vec![place(known)]);
                places.push(place(at));
            }
            None => {
                first.insert(desired.key.clone(), at);
                kept.push(at);
            }
        }
    }
    for (at, places) in places {
        let times = match places.len() {
            2 => "twice".to_owned(),
            count => format!("{count} times"),
        };
        let message = format!("it is declared {times}: {}", places.join(" and "));
        prepared.routes[at] = Route::Fault(lasting(message));
    }
    if kept.len() == prepared.desired.len() {
        return;
    }
    let kept: std::collections::BTreeSet<_> = kept.into_iter().collect();
    let mut at = 0..;
    prepared
        .desired
        .retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
    let mut at = 0..;
    prepared
        .routes
        .retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
}

/// Fills in the secrets of objects that name some, at the positions that are wanted. Only what is sent knows
/// them. An object whose secrets cannot be had is a fault.
pub(crate) async fn reveal(
    compiler: &Arc<dyn Compiler>,
    prepared: &mut Prepared,
    wanted: impl Fn(&ObjectKey) -> bool,
    files: &Arc<SecretFiles>,
) {
    let is_named = |object: &Value| !compiler.secret_files(object).is_empty();
    let named: Vec<(usize, Value)> = (prepared.desired.iter().enumerate())
        .filter(|(_, desired)| wanted(&desired.key) && is_named(&desired.object))
        .map(|(at, desired)| (at, desired.object.clone()))
        .collect();
    if named.is_empty() {
        return;
    }
    let (compiler, files) = (Arc::clone(compiler), Arc::clone(files));
    let revealed = crate::engine::blocking(move || {
        let objects: Vec<&Value> = named.iter().map(|(_, object)| object).collect();
        let results: Vec<Result<Option<Revealed>, Vec<String>>> =
            match compiler.reveal(&objects, &files) {
                Ok(revealed) => revealed.into_iter().map(Ok).collect(),
                // One by one, to know whose secrets are missing.
                Err(_) => objects
                    .iter()
                    .map(|object| {
                        let revealed = compiler.reveal(&[*object], &files)?;
                        Ok(revealed.into_iter().next().flatten())
                    })
                    .collect(),
            };
        let positions: Vec<usize> = named.iter().map(|(at, _)| *at).collect();
        positions.into_iter().zip(results).collect::<Vec<_>>()
    })
    .await;
    for (at, revealed) in revealed {
        match revealed {
            Ok(None) => {}
            Ok(Some(Revealed { object, scrub })) => {
                let desired = Desired {
                    object,
                    ..prepared.desired[at].clone()
                };
                prepared.revealed.insert(at, Sent { desired, scrub });
            }
            // A key that is missing now may be there soon, and is looked for again.
            Err(reasons) => prepared.routes[at] = Route::Fault(transient(reasons.join("; "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_that_is_declared_twice_is_a_fault_and_others_are_not() {
        let desired = |name: &str, at: &str| {
            let object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
            prepare(object, Some(at.to_owned()), true, "shop", "dev/web").expect("complete")
        };
        let mut prepared = Prepared {
            desired: vec![
                desired("a", "x:1"),
                desired("b", "x:2"),
                desired("a", "y:3"),
            ],
            routes: vec![
                Route::AfterDefinition(String::new()),
                Route::AfterDefinition(String::new()),
                Route::AfterDefinition(String::new()),
            ],
            revealed: BTreeMap::new(),
        };
        duplicates(&mut prepared);
        assert_eq!((prepared.desired.len(), prepared.routes.len()), (2, 2));
        match &prepared.routes[0] {
            Route::Fault(refusal) => {
                assert_eq!(refusal.message, "it is declared twice: x:1 and y:3");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(prepared.routes[1], Route::AfterDefinition(_)));
    }
}
