//! Where an app is deployed, and as whom: its cluster, reached by its identity, beside what all apps share.
//!
//! Each cluster has its own way with its own limits, and its own view kept by watches: one that hangs holds up its own
//! apps alone.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use ordain_reconciler_journal::AppRef;
use ordain_reconciler_plan::{ApiVersion, Inventory};

use crate::{
    App, Error,
    cluster::Cluster,
    crowd::Crowd,
    live::Live,
    policy::{Policy, Subject, judge},
    prepared::{Prepared, Route},
    shared::Shared,
    wire::lasting,
};

/// How long a cluster is waited for before a start without the repository goes on.
const UID_MAX: Duration = Duration::from_secs(5);

/// What one app's loops see.
pub(crate) struct Site {
    /// Its cluster, as its identity.
    pub(crate) cluster: Cluster,
    /// What is known of that cluster.
    pub(crate) live: Live,
    /// The name that environments give it.
    pub(crate) name: Arc<str>,
    /// Places for apps that are looked at as a whole.
    pub(crate) crowd: Crowd,
    tenancy: Arc<Tenancy>,
    marks: Arc<Marks>,
    common: Arc<Shared>,
}

/// What the marks of a cluster's objects say, where the journal cannot know everything: it is new, or another
/// reconciler wrote meanwhile.
#[derive(Default)]
pub(crate) struct Marks {
    /// Asked once in each term of ours; an app's part is dropped when the journal has it.
    found: tokio::sync::Mutex<Option<BTreeMap<String, Inventory>>>,
}

impl Marks {
    /// Forgets what was found: another reconciler may write from now on.
    pub(crate) async fn forget(&self) {
        *self.found.lock().await = None;
    }

    async fn add(&self, site: &Site, app: &AppRef, known: Inventory) -> Result<Inventory, Error> {
        let mut found = self.found.lock().await;
        if found.is_none() {
            let owned = crate::owned::owned(site.cluster.client()).await?;
            *found = Some(Inventory::rebuild(owned.iter().map(|owned| &owned.object)));
        }
        let owner = app.to_string();
        let Some(marked) = found.as_mut().and_then(|found| found.remove(&owner)) else {
            return Ok(known);
        };
        let mut all = known;
        let before = all.len();
        for (key, version) in marked
            .iter()
            .filter(|(key, _)| !all.contains(key))
            .collect::<Vec<_>>()
        {
            let version = ApiVersion {
                group: key.group.clone(),
                version: version.to_owned(),
            };
            all.insert(key.clone(), &version);
        }
        if all.len() > before
            && let Some(found) = found.as_mut()
        {
            // It is asked for again until the journal has it.
            found.insert(owner, marked);
        }
        Ok(all)
    }
}

/// Who may deploy what.
#[derive(Default)]
pub(crate) struct Tenancy {
    /// Without one everything is allowed.
    pub(crate) policy: Option<Arc<Policy>>,
    /// Where commits come from.
    pub(crate) repository: String,
    /// True when others write as well, or to more than one cluster: then the marks of objects are asked too.
    pub(crate) asks_marks: bool,
}

impl Deref for Site {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.common
    }
}

impl Site {
    /// What all apps share.
    pub(crate) fn common(&self) -> &Arc<Shared> {
        &self.common
    }

    /// What may exist in the cluster for an app. See [`Shared::inventory`].
    pub(crate) async fn inventory(&self, app: &AppRef) -> Result<Inventory, Error> {
        let known = self.common.inventory(app).await?;
        if !self.tenancy.asks_marks {
            return Ok(known);
        }
        self.marks.add(self, app, known).await
    }

    /// Takes objects that the policy refuses for faults, so that nothing is asked or sent about them.
    pub(crate) fn judge(&self, app: &AppRef, prepared: &mut Prepared) {
        let Some(policy) = &self.tenancy.policy else {
            return;
        };
        let subject = Subject {
            app: &app.name,
            env: &app.env,
            cluster: &self.name,
            repository: &self.tenancy.repository,
        };
        let objects = prepared.desired.iter();
        let objects = objects.map(|desired| (&desired.key, desired.at.as_deref()));
        for refused in judge(policy, &subject, objects) {
            prepared.routes[refused.at] = Route::Fault(lasting(refused.message));
        }
    }
}

/// One cluster that environments may name.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) live: Live,
    pub(crate) marks: Arc<Marks>,
}

/// A cluster's uid and its name here, when it answers.
type Named = Option<(String, Arc<str>)>;

/// The name of a cluster, and the user that requests to it are made as.
type ClusterAndUser = (Arc<str>, Option<String>);

/// Every cluster there is.
pub(crate) struct Sites {
    home: Arc<str>,
    places: BTreeMap<Arc<str>, Place>,
    /// Sites that were made: apps of one cluster and one identity share theirs.
    made: Mutex<BTreeMap<ClusterAndUser, Arc<Site>>>,
    tenancy: Arc<Tenancy>,
    common: Arc<Shared>,
}

impl Sites {
    /// `home` is the name of the cluster that apps go to whose environment names none.
    pub(crate) fn new(
        common: Arc<Shared>,
        home: &str,
        others: impl IntoIterator<Item = (String, Place)>,
        tenancy: Tenancy,
    ) -> Self {
        let home: Arc<str> = home.into();
        let own = Place {
            cluster: common.cluster.clone(),
            live: common.live.clone(),
            marks: Arc::default(),
        };
        let mut places: BTreeMap<Arc<str>, Place> = others
            .into_iter()
            .map(|(name, place)| (Arc::from(name), place))
            .collect();
        places.insert(Arc::clone(&home), own);
        let made = Mutex::default();
        Self {
            home,
            places,
            made,
            tenancy: Arc::new(tenancy),
            common,
        }
    }

    /// The site of an app: the cluster that its environment names, and the user that its requests are made as. A
    /// cluster that is not known is the home cluster: with `--env` an environment is deployed whatever it names.
    pub(crate) fn of(&self, app: &AppRef, cluster: Option<&str>) -> Arc<Site> {
        let policy = self.tenancy.policy.as_ref();
        let user = policy.and_then(|policy| policy.user(&app.name, &app.env));
        self.as_user(cluster, user.as_deref())
    }

    /// A cluster as ourselves.
    pub(crate) fn own(&self, cluster: Option<&str>) -> Arc<Site> {
        self.as_user(cluster, None)
    }

    /// The name of the cluster that an environment's word means.
    pub(crate) fn name(&self, cluster: Option<&str>) -> &str {
        let known = cluster.and_then(|name| self.places.get_key_value(name));
        known.map_or(&self.home, |(name, _)| name)
    }

    fn as_user(&self, cluster: Option<&str>, user: Option<&str>) -> Arc<Site> {
        let known = cluster.and_then(|name| self.places.get_key_value(name));
        let (name, place) = match known {
            Some(known) => known,
            None => (&self.home, &self.places[&self.home]),
        };
        let key = (Arc::clone(name), user.map(str::to_owned));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let site = made.entry(key).or_insert_with(|| {
            Arc::new(Site {
                cluster: match user {
                    Some(user) => place.cluster.acting_as(user),
                    None => place.cluster.clone(),
                },
                live: place.live.clone(),
                name: Arc::clone(name),
                crowd: Crowd::default(),
                tenancy: Arc::clone(&self.tenancy),
                marks: Arc::clone(&place.marks),
                common: Arc::clone(&self.common),
            })
        });
        Arc::clone(site)
    }

    /// Another reconciler may write from now on.
    pub(crate) async fn forget(&self) {
        for place in self.places.values() {
            place.marks.forget().await;
        }
    }

    /// The names of the clusters that answer, by the uid of each. They are asked side by side: one that hangs costs its own
    /// apps a start, and nobody else more than that time.
    pub(crate) async fn by_uid(&self) -> BTreeMap<String, Arc<str>> {
        let mut asks: Vec<BoxFuture<'static, Named>> = Vec::new();
        for (name, place) in &self.places {
            let (name, cluster) = (Arc::clone(name), place.cluster.clone());
            let ask = async move {
                let uid = tokio::time::timeout(UID_MAX, cluster.uid()).await;
                Some((uid.ok()?.ok()??, name))
            };
            asks.push(ask.boxed());
        }
        let found = futures::future::join_all(asks).await;
        found.into_iter().flatten().collect()
    }

    /// True when several clusters are deployed to.
    pub(crate) fn are_several(&self) -> bool {
        self.places.len() > 1
    }

    /// True when an app goes to one of these clusters. Where there is one alone, every app goes there.
    pub(crate) fn takes(&self, app: &App) -> bool {
        let named = app.cluster.as_deref();
        !self.are_several() || named.is_none_or(|name| self.places.contains_key(name))
    }
}
