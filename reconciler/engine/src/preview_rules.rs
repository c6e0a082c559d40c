//! What previews have to know besides the objects, so that they say what the reconciler would do: the rules it was
//! started with, and what other apps declare.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ordain_reconciler_plan::{Claims, Desired, IgnoreError, IgnoreRule, Ignores, OnRemove, Rules};
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
        let ignores = rules.ready().map_err(|error| Error::Refused {
            message: crate::error::chain(&error),
        })?;
        let mut standing = Self {
            ignores,
            take_from: rules.take_from.clone(),
            on_remove: rules.on_remove,
            claims: BTreeMap::new(),
        };
        for app in apps {
            let claims = standing.claims.entry(app.cluster.clone()).or_default();
            let owner = app.reference().to_string();
            let objects = app.objects();
            let objects = objects.iter().map(|compiled| &compiled.object);
            claims.set(&owner, &app.namespace, objects);
        }
        Ok(standing)
    }

    /// What holds for one app.
    pub(crate) fn rules(&self, app: &App, desired: &[Desired]) -> Rules {
        let owner = app.reference().to_string();
        let keys = desired.iter().map(|desired| &desired.key);
        let claims = self.claims.get(&app.cluster);
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
