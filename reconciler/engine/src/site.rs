//! Where an app is deployed, and as whom: its cluster, reached by its identity, beside what all apps share.
//!
//! Each cluster has its own way with its own limits, and its own view kept by watches: one that hangs holds up its own
//! apps alone.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use ordain_reconciler_journal::AppRef;

use crate::{
    cluster::Cluster,
    live::Live,
    policy::{Policy, Subject, judge},
    prepared::{Prepared, Route},
    shared::Shared,
    wire::lasting,
};

/// What one app's loops see.
pub(crate) struct Site {
    /// Its cluster, as its identity.
    pub(crate) cluster: Cluster,
    /// What is known of that cluster.
    pub(crate) live: Live,
    /// The name that environments give it.
    pub(crate) name: Arc<str>,
    tenancy: Arc<Tenancy>,
    common: Arc<Shared>,
}

/// Who may deploy what.
#[derive(Default)]
pub(crate) struct Tenancy {
    /// Without one everything is allowed.
    pub(crate) policy: Option<Arc<Policy>>,
    /// Where commits come from.
    pub(crate) repository: String,
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
}

/// Every cluster there is.
pub(crate) struct Sites {
    home: Arc<str>,
    places: BTreeMap<Arc<str>, Place>,
    /// Sites that were made: apps of one cluster and one identity share theirs.
    made: Mutex<BTreeMap<(Arc<str>, Option<String>), Arc<Site>>>,
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
                tenancy: Arc::clone(&self.tenancy),
                common: Arc::clone(&self.common),
            })
        });
        Arc::clone(site)
    }

    /// True when several clusters are deployed to.
    pub(crate) fn are_several(&self) -> bool {
        self.places.len() > 1
    }

    /// True when an environment's cluster is one of ours.
    pub(crate) fn knows(&self, cluster: Option<&str>) -> bool {
        cluster.is_none_or(|name| self.places.contains_key(name))
    }
}
