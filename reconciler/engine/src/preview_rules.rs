//! What previews have to know besides the objects, so that they say what the reconciler would do: the rules it was
//! started with, and what other apps declare.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ordain_reconciler_plan::{
    Claims, Desired, IgnoreError, IgnoreRule, Ignores, Inventory, OnRemove, Rules,
};
use serde::{Deserialize, Serialize};

use crate::{
    App, Error, Ownership,
    control::{Reply, Response},
    requests::Requests,
};

/// The rules that a reconciler was started with, as others are told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRules {
    /// Fields that are left to others; the shipped rules hold besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignores: Vec<IgnoreRule>,
    /// Whom objects may be taken from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub take_from: BTreeSet<String>,
    /// What becomes of the objects of an app that is taken out; as without a word when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_remove: Option<OnRemove>,
}

impl OwnRules {
    /// Those of a reconciler's settings.
    #[must_use]
    pub fn of(ownership: &Ownership) -> Self {
        Self {
            ignores: ownership.ignores.rules().to_vec(),
            take_from: ownership.take_from.clone(),
            on_remove: Some(ownership.on_remove),
        }
    }

    /// Makes them ready to be asked.
    ///
    /// # Errors
    /// When a rule cannot be read: it is of another version.
    pub fn ready(&self) -> Result<Ignores, IgnoreError> {
        Ignores::new(&self.ignores)
    }
}

/// What plans of previews are made with.
#[derive(Debug, Default)]
pub struct Standing {
    ignores: Ignores,
    take_from: BTreeSet<String>,
    on_remove: Option<OnRemove>,
    /// What every app declares, by the cluster that it goes to.
    claims: BTreeMap<Option<String>, Claims>,
    /// The cluster of each app, by its owner's mark.
    clusters: BTreeMap<String, Option<String>>,
}

impl Standing {
    /// The rules, and every app that will be declared; also those which nothing is asked about.
    ///
    /// # Errors
    /// When a rule cannot be read.
    pub fn new<'a>(
        rules: &OwnRules,
        apps: impl IntoIterator<Item = &'a Arc<App>>,
    ) -> Result<Self, Error> {
        Self::among(rules, apps, |cluster| cluster.map(str::to_owned))
    }

    /// The same, where `place` says which cluster is meant by the one that an environment names, if any.
    ///
    /// # Errors
    /// When a rule cannot be read.
    pub(crate) fn among<'a>(
        rules: &OwnRules,
        apps: impl IntoIterator<Item = &'a Arc<App>>,
        place: impl Fn(Option<&str>) -> Option<String>,
    ) -> Result<Self, Error> {
        let ignores = rules.ready().map_err(|error| Error::Refused {
            message: crate::error::chain(&error),
        })?;
        let mut standing = Self {
            ignores,
            take_from: rules.take_from.clone(),
            on_remove: rules.on_remove,
            claims: BTreeMap::new(),
            clusters: BTreeMap::new(),
        };
        for app in apps {
            let cluster = place(app.cluster.as_deref());
            let claims = standing.claims.entry(cluster.clone()).or_default();
            let owner = app.reference().to_string();
            standing.clusters.insert(owner.clone(), cluster);
            let objects = app.objects();
            let objects = objects.iter().map(|compiled| &compiled.object);
            claims.set(&owner, &app.namespace, objects);
        }
        // An app that is gone names no cluster; that it is ours is true in each.
        for claims in standing.claims.values_mut() {
            standing
                .clusters
                .keys()
                .for_each(|owner| claims.know(owner));
        }
        Ok(standing)
    }

    /// What holds for one app. `gone` may hold objects that move to another one.
    pub(crate) fn rules(&self, app: &App, desired: &[Desired], gone: &Inventory) -> Rules {
        let owner = app.reference().to_string();
        let declared = desired.iter().map(|desired| &desired.key);
        let keys = declared.chain(gone.iter().map(|(key, _)| key));
        let cluster = self.clusters.get(&owner).unwrap_or(&app.cluster);
        let claims = self.claims.get(cluster);
        Rules {
            ignores: self.ignores.clone(),
            take_from: self.take_from.clone(),
            claims: claims.map(|claims| claims.view(&owner, keys)),
            removed: self.on_remove.filter(|_| app.is_empty()),
            ..Rules::default()
        }
    }
}

impl Requests {
    /// Answers the rules that hold for every app.
    pub(crate) async fn own_rules(&self, reply: &Reply) {
        let rules = OwnRules::of(&self.shared.ownership);
        reply.send(Response::Rules { rules }).await;
    }
}
