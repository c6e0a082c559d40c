//! Everything a plan is made from, asked of the cluster: what is there, and what a dry run says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use ordain_reconciler_plan::{
    ApiVersion, Candidate, Desired, DryRun, Inventory, ObjectKey, Observed, Refusal, prepare,
};
use serde_json::Value;

use crate::{
    CompiledObject, Compiler, Revealed, Scrub, SecretFiles,
    cluster::{Cluster, Resource},
};

/// Objects asked about at the same time; the cluster's own limit is on requests.
const OBJECTS_AT_ONCE: usize = 32;

/// How an object of the set is reached.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// The cluster serves its kind.
    Served(Resource),
    /// A definition in the same set brings its kind.
    AfterDefinition(String),
    /// Nothing serves its kind.
    Unknown,
}

/// The objects of a set, ready to be asked about.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) desired: Vec<Desired>,
    pub(crate) routes: Vec<Route>,
    /// Those that name secrets, with them, by position: what is sent instead.
    pub(crate) revealed: BTreeMap<usize, Sent>,
}

impl Prepared {
    /// The object at a position as it is sent.
    pub(crate) fn sent(&self, at: usize) -> (&Desired, Option<&Scrub>) {
        match self.revealed.get(&at) {
            Some(sent) => (&sent.desired, Some(&sent.scrub)),
            None => (&self.desired[at], None),
        }
    }
}

impl Prepared {
    /// Sends another object in place of the one at a position, which has nothing to hide.
    pub(crate) fn send_instead(&mut self, at: usize, object: Value) {
        let desired = Desired {
            object,
            ..self.desired[at].clone()
        };
        let scrub: Scrub = Arc::new(str::to_owned);
        self.revealed.insert(at, Sent { desired, scrub });
    }
}

/// An object with its secrets. Everything that is kept or shown comes from the one without.
pub(crate) struct Sent {
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

/// Fills in the secrets of objects that name some. Only what is sent knows them.
///
/// # Errors
/// Why they cannot be decrypted, one line each.
pub(crate) async fn reveal(
    compiler: &Arc<dyn Compiler>,
    prepared: &mut Prepared,
    files: &Arc<SecretFiles>,
) -> Result<(), Vec<String>> {
    let is_named = |object: &Value| !compiler.secret_files(object).is_empty();
    let named: Vec<(usize, Value)> = (prepared.desired.iter().enumerate())
        .filter(|(_, desired)| is_named(&desired.object))
        .map(|(at, desired)| (at, desired.object.clone()))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let (compiler, files) = (Arc::clone(compiler), Arc::clone(files));
    let (named, revealed) = crate::engine::blocking(move || {
        let objects: Vec<&Value> = named.iter().map(|(_, object)| object).collect();
        let revealed = compiler.reveal(&objects, &files);
        (named, revealed)
    })
    .await;
    for ((at, _), revealed) in named.into_iter().zip(revealed?) {
        let Some(Revealed { object, scrub }) = revealed else {
            continue;
        };
        let desired = Desired {
            object,
            ..prepared.desired[at].clone()
        };
        prepared.revealed.insert(at, Sent { desired, scrub });
    }
    Ok(())
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// One for each desired object.
    pub(crate) observed: Vec<Observed>,
    pub(crate) candidates: Vec<Candidate>,
    /// Namespaces that objects of the set want and that do not exist.
    pub(crate) missing_namespaces: BTreeSet<String>,
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
/// When the cluster does not answer. Objects that make no sense are listed in the refusal.
pub(crate) async fn prepare_all(
    cluster: &Cluster,
    objects: &[CompiledObject],
    namespace: &str,
    owner: &str,
) -> Result<Prepared, Refusal> {
    let definitions = definitions(objects);
    let mut prepared = Prepared {
        desired: Vec::new(),
        routes: Vec::new(),
        revealed: BTreeMap::new(),
    };
    let mut broken = Vec::new();
    for compiled in objects {
        let place = || {
            compiled
                .at
                .as_deref()
                .map_or_else(String::new, |at| format!(" ({at})"))
        };
        let api_version = compiled.object["apiVersion"].as_str().unwrap_or_default();
        let version = ApiVersion::parse(api_version);
        let kind = compiled.object["kind"].as_str().unwrap_or_default();
        let served = match kind {
            "" => None,
            kind => cluster.resource(&version, kind).await?,
        };
        let definition = definitions.get(&(version.group.clone(), kind.to_owned()));
        let (route, namespaced) = match (served, definition) {
            (Some(resource), _) => {
                let namespaced = resource.namespaced;
                (Route::Served(resource), namespaced)
            }
            (None, Some(found)) => (Route::AfterDefinition(found.name.clone()), found.namespaced),
            // Its scope is not known; a guess would change its identity once it is served.
            (None, None) => (
                Route::Unknown,
                compiled.object.pointer("/metadata/namespace").is_some(),
            ),
        };
        let object = compiled.object.clone();
        match prepare(object, compiled.at.clone(), namespaced, namespace, owner) {
            Some(desired) => {
                prepared.desired.push(desired);
                prepared.routes.push(route);
            }
            None => broken.push(format!("an object without kind or name{}", place())),
        }
    }
    duplicates(&prepared.desired, &mut broken);
    if broken.is_empty() {
        Ok(prepared)
    } else {
        Err(Refusal {
            message: broken.join("; "),
            immutable: Vec::new(),
            transient: false,
        })
    }
}

/// Two objects of one identity would overwrite each other at every look.
fn duplicates(desired: &[Desired], broken: &mut Vec<String>) {
    let mut seen: BTreeMap<&ObjectKey, &Desired> = BTreeMap::new();
    for desired in desired {
        if let Some(first) = seen.insert(&desired.key, desired) {
            let at = |desired: &Desired| desired.at.clone().unwrap_or_else(|| "?".to_owned());
            broken.push(format!(
                "{} is declared twice: {} and {}",
                desired.key,
                at(first),
                at(desired)
            ));
        }
    }
}

/// Asks the cluster about every object of the set and of the inventory.
///
/// # Errors
/// When an object of the inventory cannot be read: nothing is concluded from an absence that may be none.
pub(crate) async fn gather(
    cluster: &Cluster,
    prepared: &Prepared,
    inventory: &Inventory,
) -> Result<Gathered, Refusal> {
    let missing_namespaces = missing_namespaces(cluster, &prepared.desired).await?;
    // Boxed, because the compiler cannot see that such a closure's futures are all `Send`.
    let looks: Vec<BoxFuture<'_, _>> = prepared
        .routes
        .iter()
        .enumerate()
        .map(|(at, route)| {
            let (desired, scrub) = prepared.sent(at);
            let look = observe(cluster, desired, route, &missing_namespaces);
            look.map(move |mut observed| {
                if let DryRun::Refused(refusal) = observed.dry_run {
                    observed.dry_run = DryRun::Refused(hidden(refusal, scrub));
                }
                observed
            })
            .boxed()
        })
        .collect();
    let observed = stream::iter(looks)
        .buffered(OBJECTS_AT_ONCE)
        .collect()
        .await;
    let declared: BTreeSet<_> = prepared
        .desired
        .iter()
        .map(|desired| &desired.key)
        .collect();
    let looks: Vec<BoxFuture<'_, _>> = inventory
        .iter()
        .filter(|(key, _)| !declared.contains(key))
        .map(|(key, version)| candidate(cluster, key, version).boxed())
        .collect();
    let candidates = stream::iter(looks)
        .buffered(OBJECTS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(Gathered {
        observed,
        candidates,
        missing_namespaces,
    })
}

async fn missing_namespaces(
    cluster: &Cluster,
    desired: &[Desired],
) -> Result<BTreeSet<String>, Refusal> {
    let wanted: BTreeSet<_> = desired
        .iter()
        .filter_map(|desired| desired.key.namespace.as_deref())
        .collect();
    let mut missing = BTreeSet::new();
    for namespace in wanted {
        if !cluster.has_namespace(namespace).await? {
            missing.insert(namespace.to_owned());
        }
    }
    Ok(missing)
}

async fn observe(
    cluster: &Cluster,
    desired: &Desired,
    route: &Route,
    missing: &BTreeSet<String>,
) -> Observed {
    let refused = |refusal| Observed {
        live: None,
        dry_run: DryRun::Refused(refusal),
    };
    let resource = match route {
        Route::Served(resource) => resource,
        Route::AfterDefinition(name) => {
            let why = format!("CustomResourceDefinition {name}");
            return Observed {
                live: None,
                dry_run: DryRun::Later(why),
            };
        }
        Route::Unknown => {
            let message = format!(
                "the cluster serves no kind `{}` in `{}`",
                desired.key.kind, desired.version
            );
            return refused(Refusal {
                message,
                immutable: Vec::new(),
                transient: false,
            });
        }
    };
    if desired
        .key
        .namespace
        .as_deref()
        .is_some_and(|name| missing.contains(name))
    {
        return Observed {
            live: None,
            dry_run: DryRun::NoNamespace,
        };
    }
    let (live, dry_run) = futures::join!(
        cluster.get(resource, &desired.key),
        cluster.apply(resource, desired, true)
    );
    match (live, dry_run) {
        (Ok(live), Ok(after)) => Observed {
            live,
            dry_run: DryRun::Accepted(after),
        },
        (Ok(live), Err(refusal)) => Observed {
            live,
            dry_run: DryRun::Refused(refusal),
        },
        (Err(refusal), _) => refused(refusal),
    }
}

async fn candidate(
    cluster: &Cluster,
    key: &ObjectKey,
    version: &str,
) -> Result<Candidate, Refusal> {
    let mut version = ApiVersion {
        group: key.group.clone(),
        version: version.to_owned(),
    };
    let resource = match cluster.resource(&version, &key.kind).await? {
        Some(resource) => Some(resource),
        None => cluster.any_version(&key.group, &key.kind).await?,
    };
    let live = match &resource {
        // Nothing serves the kind any more: its objects went with it.
        None => None,
        Some(resource) => {
            version = resource.version.clone();
            cluster.get(resource, key).await?
        }
    };
    Ok(Candidate {
        key: key.clone(),
        version,
        live,
    })
}
