//! What the reconciler would do, without doing it: plans made from dry runs, for `ordain plan` and `ordain diff --live`.
//!
//! Nothing is written, to the cluster or to the journal. What is answered holds no value of a Secret: only that it
//! differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ordain_reconciler_journal::{AppRef, Deploy, Journal};
use ordain_reconciler_plan::{Breaker, DryRun, Input, Inventory, MASK, ObjectKey, Plan, plan};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    App, Compiler, Error, OwnRules, Standing,
    cluster::Cluster,
    control::{Reply, Response},
    election::Lead,
    engine::blocking,
    gather::gather,
    prepared::{Prepared, Route, prepare_all, reveal},
    requests::Requests,
    site::Site,
};

/// Apps that are asked about at the same time; the requests have a limit of their own.
const APPS_AT_ONCE: usize = 16;

/// What one app would be compared with.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The app, with the objects that are asked about.
    pub app: Arc<App>,
    /// What was applied before and is not declared any more.
    pub gone: Inventory,
}

/// What would happen to an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// Where its objects go when they do not say.
    pub namespace: String,
    /// The commit that was looked at, when there is one.
    #[serde(default)]
    pub commit: Option<String>,
    /// What happens to each object, and why.
    pub plan: Plan,
    /// Each object as it is and as it would be, with the values of Secrets masked.
    pub looks: Vec<(ObjectKey, Option<Value>, Option<Value>)>,
}

/// What is applied of one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// The commit that it was applied from, when that is known.
    #[serde(default)]
    pub commit: Option<String>,
    /// Its objects. They hold what a Secret holds that was written in plain text.
    pub objects: Vec<Value>,
}

/// Asks a cluster what would happen to apps. `approved` are hashes of plans whose deletions need not wait; `standing` is
/// what the reconciler there knows besides.
///
/// # Errors
/// When the cluster does not answer, or an object of `gone` cannot be read.
pub async fn preview(
    client: kube::Client,
    compiler: Arc<dyn Compiler>,
    asks: Vec<Ask>,
    approved: BTreeSet<String>,
    standing: &Standing,
) -> Result<Vec<Preview>, Error> {
    let cluster = Cluster::new(client, Arc::default(), Lead::new(false));
    let of = |_: &App| None;
    previews(&cluster, of, &compiler, asks, &approved, standing).await
}

pub(crate) async fn previews(
    cluster: &Cluster,
    of: impl Fn(&App) -> Option<Arc<Site>>,
    compiler: &Arc<dyn Compiler>,
    asks: Vec<Ask>,
    approved: &BTreeSet<String>,
    standing: &Standing,
) -> Result<Vec<Preview>, Error> {
    let looks = asks.into_iter().map(|ask| {
        let (site, compiler) = (of(&ask.app), Arc::clone(compiler));
        let own = site.as_ref().map(|site| site.cluster.clone());
        let cluster = own.unwrap_or_else(|| cluster.clone());
        let approved = approved.clone();
        Box::pin(async move {
            let site = site.as_deref();
            one(&cluster, site, &compiler, &ask, &approved, standing).await
        })
    });
    stream::iter(looks)
        .buffered(APPS_AT_ONCE)
        .try_collect()
        .await
}

async fn one(
    cluster: &Cluster,
    site: Option<&Site>,
    compiler: &Arc<dyn Compiler>,
    ask: &Ask,
    approved: &BTreeSet<String>,
    standing: &Standing,
) -> Result<Preview, Error> {
    let app = &ask.app;
    let owner = app.reference().to_string();
    let refused = |refusal: ordain_reconciler_plan::Refusal| Error::Refused {
        message: format!("{owner}: {}", refusal.message),
    };
    let mut prepared = prepare_all(cluster, app.objects(), &app.namespace, &owner)
        .await
        .map_err(refused)?;
    if let Some(site) = site {
        site.judge(&app.reference(), &mut prepared);
    }
    // Who cannot open a secret sees everything else all the same.
    let routes = prepared.routes.clone();
    let faults = |routes: &[Route]| {
        let faults = routes.iter();
        faults
            .filter(|route| matches!(route, Route::Fault(_)))
            .count()
    };
    reveal(compiler, &mut prepared, |_| true, &app.secrets).await;
    let named = if faults(&prepared.routes) == faults(&routes) {
        BTreeMap::new()
    } else {
        prepared.routes = routes;
        blank(compiler, &mut prepared)
    };
    let rules = standing.rules(app, &prepared.desired, &ask.gone);
    let gathered = gather(cluster, &prepared, &rules, &ask.gone)
        .await
        .map_err(refused)?;
    let plan = plan(&Input {
        owner: &owner,
        desired: &prepared.desired,
        observed: &gathered.observed,
        candidates: &gathered.candidates,
        breaker: Breaker::default(),
        approved,
        rules: &rules,
    });
    let mut looks = Vec::new();
    for (desired, observed) in prepared.desired.iter().zip(gathered.observed) {
        let after = match observed.dry_run {
            DryRun::Accepted(after) => Some(after),
            _ => None,
        };
        let unknown = named.get(&desired.key).map_or(&[][..], Vec::as_slice);
        let (now, after) = masked(&desired.key, observed.live, after, unknown);
        looks.push((desired.key.clone(), now, after));
    }
    for candidate in gathered.candidates {
        let (now, _) = masked(&candidate.key, candidate.live, None, &[]);
        looks.push((candidate.key, now, None));
    }
    Ok(Preview {
        env: app.env.clone(),
        app: app.name.clone(),
        namespace: app.namespace.clone(),
        commit: None,
        plan,
        looks,
    })
}

/// Sends nothing in place of secrets that cannot be opened; returns which entries these are.
fn blank(
    compiler: &Arc<dyn Compiler>,
    prepared: &mut Prepared,
) -> BTreeMap<ObjectKey, Vec<String>> {
    let mut named = BTreeMap::new();
    for at in 0..prepared.desired.len() {
        let desired = &prepared.desired[at];
        if compiler.secret_files(&desired.object).is_empty() {
            continue;
        }
        let (key, mut object) = (desired.key.clone(), desired.object.clone());
        let mut entries = Vec::new();
        for part in ["data", "stringData"] {
            let map = object.get_mut(part).and_then(Value::as_object_mut);
            for (name, value) in map.into_iter().flatten() {
                let is_mark = value
                    .as_str()
                    .is_some_and(|text| text.starts_with(ordain_reconciler_plan::SECRET_MARK));
                if is_mark {
                    *value = "".into();
                    entries.push(name.clone());
                }
            }
        }
        prepared.send_instead(at, object);
        named.insert(key, entries);
    }
    named
}

/// Hides the values of a Secret, and keeps whether they differ. Entries of `unknown` count as equal.
fn masked(
    key: &ObjectKey,
    mut now: Option<Value>,
    mut after: Option<Value>,
    unknown: &[String],
) -> (Option<Value>, Option<Value>) {
    for object in [&mut now, &mut after].into_iter().flatten() {
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            metadata.shift_remove("managedFields");
            let annotations = metadata.get_mut("annotations");
            if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
                annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
    }
    if !key.is("", "Secret") {
        return (now, after);
    }
    for part in ["data", "stringData"] {
        let old = now.as_ref().and_then(|now| now.get(part)).cloned();
        let entries = |object: &mut Option<Value>| -> Vec<(String, Value)> {
            let map = object.as_mut().and_then(|object| object.get_mut(part));
            let map = map.and_then(Value::as_object_mut).into_iter().flatten();
            map.map(|(name, value)| {
                let value = std::mem::replace(value, MASK.into());
                (name.clone(), value)
            })
            .collect()
        };
        entries(&mut now);
        for (name, value) in entries(&mut after) {
            let same = old.as_ref().and_then(|old| old.get(&name)) == Some(&value);
            if !same
                && !unknown.contains(&name)
                && let Some(after) = &mut after
            {
                after[part][&name] = format!("{MASK}, another one").into();
            }
        }
    }
    (now, after)
}

/// Reads what is applied from the journal of a data directory on which nothing runs.
///
/// # Errors
/// When the journal is in use, or cannot be read.
pub fn applied_in(data_dir: &Path) -> Result<Vec<Applied>, Error> {
    let (journal, _) = Journal::open(&data_dir.join("journal"))?;
    sets(&journal)
}

/// The last set of each app that the cluster took.
fn sets(journal: &Journal) -> Result<Vec<Applied>, Error> {
    let mut all = Vec::new();
    for app in journal.apps() {
        // Nearly always it is the last one, which is in memory.
        let deploy = match journal.last(&app).filter(|last| last.was_applied) {
            Some(last) => Some(last),
            None => {
                let applied = |rows: &[Deploy]| rows.iter().any(|row| row.was_applied);
                let history = journal.history_until(&app, applied)?;
                history.into_iter().rev().find(|deploy| deploy.was_applied)
            }
        };
        let Some(deploy) = deploy else { continue };
        let texts = journal.objects(&deploy.set)?;
        let objects = texts.iter().map(|text| serde_json::from_str(text));
        let objects = objects
            .collect::<Result<Vec<Value>, _>>()
            .map_err(|source| Error::Inventory { source })?;
        all.push(Applied {
            env: app.env,
            app: app.name,
            commit: Some(deploy.commit),
            objects,
        });
    }
    Ok(all)
}

impl Requests {
    /// Answers what would be done now with what the branch says.
    pub(crate) async fn plans(
        &self,
        app: Option<&str>,
        env: Option<&str>,
        reply: &Reply,
    ) -> Result<(), Error> {
        let (origin, compile) = (self.origin.clone(), self.compile.clone());
        let compiled = blocking(move || {
            let Some(tip) = origin.look().map_err(Error::Source)? else {
                return Ok(None);
            };
            let compiled = compile.commit(origin.repository(), &tip);
            let compiled = compiled.map_err(|errors| Error::Compile {
                commit: tip.short().to_owned(),
                errors: errors.text,
            })?;
            Ok::<_, Error>(Some((tip.to_string(), compiled)))
        })
        .await?;
        let (commit, compiled) = compiled.ok_or_else(|| Error::Refused {
            message: "nobody pushed anything yet".to_owned(),
        })?;
        let wanted = |name: &AppRef| {
            app.is_none_or(|app| app == name.name) && env.is_none_or(|env| env == name.env)
        };
        let mut apps: BTreeMap<AppRef, Arc<App>> = compiled
            .apps
            .iter()
            .map(|app| (app.reference(), Arc::clone(app)))
            .collect();
        let known: Vec<AppRef> = self.shared.journal(|journal| journal.apps()).await;
        // An app that the commit does not have any more.
        for app in known {
            apps.entry(app.clone()).or_insert_with(|| {
                let (name, env) = (app.name.clone(), app.env.clone());
                let none = App::new(name, env, String::new(), Vec::new(), BTreeMap::new());
                Arc::new(none)
            });
        }
        let rules = OwnRules::of(&self.shared.ownership);
        let standing = self.standing(&rules, &apps)?;
        apps.retain(|name, app| wanted(name) && self.sites.takes(app));
        if let (true, Some(app)) = (apps.is_empty(), app) {
            return Err(Error::UnknownApp {
                app: app.to_owned(),
                known: compiled
                    .apps
                    .iter()
                    .map(|app| app.reference().to_string())
                    .collect(),
            });
        }
        let mut asks = Vec::new();
        for (name, app) in apps {
            let bytes = self
                .shared
                .journal(move |journal| {
                    let digest = journal.inventory(&name);
                    digest.map(|digest| journal.get(&digest)).transpose()
                })
                .await?;
            let gone = match bytes {
                Some(bytes) => {
                    Inventory::from_bytes(&bytes).map_err(|source| Error::Inventory { source })?
                }
                None => Inventory::default(),
            };
            if !app.is_empty() || gone.iter().next().is_some() {
                asks.push(Ask { app, gone });
            }
        }
        let approved = self.shared.journal(|journal| journal.approvals()).await;
        let of = |app: &App| Some(self.sites.of(&app.reference(), app.cluster.as_deref()));
        let mut plans = previews(
            &self.shared.cluster,
            of,
            self.compile.compiler(),
            asks,
            &approved,
            &standing,
        )
        .await?;
        for plan in &mut plans {
            plan.commit = Some(commit.clone());
        }
        reply.send(Response::Plans { plans }).await;
        Ok(())
    }

    fn standing(
        &self,
        rules: &OwnRules,
        apps: &BTreeMap<AppRef, Arc<App>>,
    ) -> Result<Standing, Error> {
        let place = |cluster: Option<&str>| Some(self.sites.name(cluster).to_owned());
        Standing::among(rules, apps.values(), place)
    }

    /// Answers what is applied, as the journal has it.
    pub(crate) async fn applied(&self, reply: &Reply) -> Result<(), Error> {
        let apps = self.shared.journal(sets).await?;
        reply.send(Response::Applied { apps }).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_tells_that_it_differs_and_nothing_else() {
        let key = ObjectKey {
            group: String::new(),
            kind: "Secret".to_owned(),
            namespace: Some("a".to_owned()),
            name: "db".to_owned(),
        };
        let now = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "CANARY"}},
            "data": {"same": "CANARY1", "other": "CANARY2", "unknown": "CANARY3"}});
        let after = json!({"data": {"same": "CANARY1", "other": "CANARY4", "unknown": "", "new": "CANARY5"}});
        let (now, after) = masked(&key, Some(now), Some(after), &["unknown".to_owned()]);
        let (now, after) = (now.expect("it was there"), after.expect("it was there"));
        assert!(!format!("{now}{after}").contains("CANARY"));
        let fields = ordain_reconciler_plan::diff(&now["data"], &after["data"]);
        let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["other", "new"]);
    }
}
