//! The cluster that sources are compared with: how it is reached, and what it says in dry runs.

use super::{Built, Side};
use crate::args::DataDirArg;
use crate::cluster::{ProjectCompiler, block_on};
use crate::keys::Keys;
use crate::usage::usage;
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_lang_secrets::references;
use ordain_reconciler_diff::{Diff, Live, Planned, Side as Name, Verb, is_namespaced, of_plan};
use ordain_reconciler_engine::control::{self, Request, Response, Target};
use ordain_reconciler_engine::{
    App, Ask, CompiledObject, Error, OwnRules, Preview, Standing, owned, preview,
};
use ordain_reconciler_plan::{ApiVersion, Inventory, ObjectKey, Verb as PlanVerb};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which cluster is meant.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ClusterArg {
    /// Speak to the cluster of this kubeconfig
    ///
    /// Without the option it is the cluster of the data directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context, when it is not the current one
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) context: Option<String>,

    /// Namespace of the objects of the reconciler that deploys to that cluster
    #[arg(long, value_name = "NAME", default_value = control::NAMESPACE, requires = "kubeconfig")]
    system_namespace: String,

    /// Take the reconciler for one that takes objects from this owner, as its own option of this name says
    ///
    /// Without --take-from and --ignore-rules the running reconciler is asked for its rules.
    #[arg(long, value_name = "OWNER")]
    take_from: Vec<String>,

    /// Take the reconciler for one with these rules about fields that are left to others
    #[arg(long, value_name = "FILE")]
    ignore_rules: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
}

impl ClusterArg {
    /// The rules of the reconciler that deploys to the cluster: those that are named, or those that it says it has.
    /// Without either, the shipped ones; that is told.
    ///
    /// # Errors
    /// When a file of rules cannot be used.
    pub(crate) fn rules(&self) -> Result<OwnRules> {
        if self.ignore_rules.is_some() || !self.take_from.is_empty() {
            let ignores = crate::policies::ignores(self.ignore_rules.as_deref())?;
            return Ok(OwnRules {
                ignores: ignores.rules().to_vec(),
                take_from: self.take_from.iter().cloned().collect(),
                on_remove: None,
            });
        }
        let target = match &self.kubeconfig {
            None => Target::DataDir(self.data_dir.path()),
            Some(path) => Target::Cluster {
                kubeconfig: Some(path.clone()),
                context: self.context.clone(),
                namespace: self.system_namespace.clone(),
            },
        };
        let answers = control::call(&target, &Request::Rules, |_| {});
        let rules = answers.map(|answers| {
            answers.into_iter().find_map(|answer| match answer {
                Response::Rules { rules } => Some(rules),
                _ => None,
            })
        });
        match rules {
            Ok(Some(rules)) => Ok(rules),
            // Where none runs, nobody has rules of his own; a kubeconfig that is none is told by whoever uses it next.
            Err(Error::NotRunning { .. } | Error::NoMailbox { .. } | Error::Kubeconfig { .. }) => {
                Ok(OwnRules::default())
            }
            Ok(None) | Err(_) => {
                crate::terminal::say(
                    "the reconciler of the cluster does not say which rules it has; the shipped ones are taken, and \
                     --ignore-rules and --take-from name others",
                );
                Ok(OwnRules::default())
            }
        }
    }
}

/// A cluster that can be asked.
pub(crate) struct Connected {
    pub(crate) client: kube::Client,
    /// What messages call it.
    pub(crate) name: String,
}

impl ClusterArg {
    /// Reaches the cluster. Must be called on a runtime.
    ///
    /// # Errors
    /// When no cluster is named, or its kubeconfig cannot be used.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        let own = self.data_dir.path().join("kubeconfig");
        let (path, is_own) = match &self.kubeconfig {
            Some(path) => (path.clone(), false),
            None if own.is_file() => (own, true),
            None => {
                return Err(usage(
                    format!("no cluster runs on `{}`", self.data_dir.path().display()),
                    "name one with `--kubeconfig FILE`, or the directory of a running one with `--data-dir`",
                ));
            }
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = || format!("cannot use the kubeconfig `{}`", path.display());
        let file = kube::config::Kubeconfig::read_from(&path)
            .into_diagnostic()
            .wrap_err_with(wrong)?;
        let context = self
            .context
            .clone()
            .or_else(|| file.current_context.clone());
        let options = kube::config::KubeConfigOptions {
            context: context.clone(),
            ..kube::config::KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .into_diagnostic()
            .wrap_err_with(wrong)?;
        let client = kube::Client::try_from(config)
            .into_diagnostic()
            .wrap_err_with(wrong)?;
        let name = match is_own {
            true => "local".to_owned(),
            false => context.unwrap_or_else(|| "default".to_owned()),
        };
        Ok(Connected { client, name })
    }
}

/// Asks the cluster about the head: about what `touched` says differs, or about everything.
///
/// # Errors
/// When the cluster does not answer.
pub(crate) fn live(
    cluster: &ClusterArg,
    side: &Side,
    head: &Built,
    touched: Option<&Diff>,
) -> Result<Live> {
    let data_dir = cluster.data_dir.path();
    let rules = cluster.rules()?;
    block_on(async {
        let connected = cluster.connect().await?;
        let plans = plans(&connected, &data_dir, &rules, side, head, touched).await?;
        let name = Name::named(format!("cluster {}", connected.name));
        Ok(of_plan(name, plans.into_iter().map(planned).collect()))
    })
}

async fn plans(
    connected: &Connected,
    data_dir: &Path,
    rules: &OwnRules,
    side: &Side,
    head: &Built,
    touched: Option<&Diff>,
) -> Result<Vec<Preview>> {
    let asks = match touched {
        Some(diff) => some(side, head, diff),
        None => all(connected, side, head).await?,
    };
    let compiler = Arc::new(ProjectCompiler::new(Keys::new(data_dir)));
    let client = connected.client.clone();
    // What other apps declare counts, also when nothing is asked about them.
    let declared: Vec<Arc<App>> = match touched {
        Some(_) => {
            let head = head.apps.iter().map(|app| whole(side, app));
            let mut declared: Vec<_> = head.collect();
            let named: BTreeSet<_> = declared.iter().map(|app| app.reference()).collect();
            // Those that the head does not have any more give away what they had.
            let gone = asks.iter().map(|ask| &ask.app);
            declared.extend(
                gone.filter(|app| !named.contains(&app.reference()))
                    .map(Arc::clone),
            );
            declared
        }
        None => asks.iter().map(|ask| Arc::clone(&ask.app)).collect(),
    };
    let standing = Standing::new(rules, &declared).map_err(crate::commands::engine_error)?;
    let mut plans = preview(client, compiler, asks, BTreeSet::new(), &standing)
        .await
        .map_err(crate::commands::engine_error)?;
    if touched.is_some() {
        // How much of an app goes away is known from the whole of it, not from what was asked about.
        for plan in &mut plans {
            plan.plan.held.clear();
            for action in &mut plan.plan.actions {
                if action.verb == PlanVerb::Held {
                    action.verb = PlanVerb::Delete;
                }
            }
        }
    }
    Ok(plans)
}

/// Takes a preview as the diff knows plans.
pub(crate) fn planned(preview: Preview) -> Planned {
    Planned {
        env: preview.env,
        app: preview.app,
        plan: preview.plan,
        looks: preview.looks,
    }
}

/// Every object of the head, and what the cluster has of the same apps besides.
async fn all(connected: &Connected, side: &Side, head: &Built) -> Result<Vec<Ask>> {
    let found = owned(&connected.client)
        .await
        .map_err(crate::commands::engine_error)?;
    let envs: BTreeSet<&str> = head.apps.iter().map(|app| app.env.as_str()).collect();
    let mut gone: BTreeMap<(String, String), Inventory> = BTreeMap::new();
    for one in found {
        // The mark is `<environment>/<app>`.
        let Some((env, app)) = one.owner.split_once('/') else {
            continue;
        };
        if envs.contains(env) {
            let entry = gone.entry((env.to_owned(), app.to_owned())).or_default();
            entry.insert(one.key, &one.version);
        }
    }
    let mut asks: Vec<Ask> = Vec::new();
    for app in &head.apps {
        let gone = gone.remove(&(app.env.clone(), app.name.clone()));
        asks.push(Ask {
            app: whole(side, app),
            gone: gone.unwrap_or_default(),
        });
    }
    // Apps that the sources do not have any more.
    for ((env, app), gone) in gone {
        let app = with_secrets(side, &app, &env, "", Vec::new());
        asks.push(Ask { app, gone });
    }
    Ok(asks)
}

/// An app with all its objects.
fn whole(side: &Side, app: &ordain_lang_project::App) -> Arc<App> {
    let deployed = app.objects.iter().filter(|object| !object.is_message);
    let objects = deployed.map(|object| CompiledObject {
        object: object.json.clone(),
        at: Some(object.at.clone()),
    });
    with_secrets(side, &app.name, &app.env, &app.namespace, objects.collect())
}

/// The objects that a change of the sources touches.
fn some(side: &Side, head: &Built, diff: &Diff) -> Vec<Ask> {
    let mut touched: BTreeMap<(&str, &str), (BTreeSet<&ObjectKey>, Inventory)> = BTreeMap::new();
    for object in &diff.objects {
        let entry = touched.entry((&object.env, &object.app)).or_default();
        if object.verb != Verb::Delete {
            entry.0.insert(&object.key);
            continue;
        }
        let mut key = object.key.clone();
        let kind = serde_json::json!({ "apiVersion": object.api_version, "kind": key.kind });
        let version = ordain_schemas::KubeVersion::DEFAULT;
        if key.namespace.is_none() && is_namespaced(&kind, &head.objects, version) {
            key.namespace = diff_namespace(head, &object.env);
        }
        entry.1.insert(key, &ApiVersion::parse(&object.api_version));
    }
    let mut asks = Vec::new();
    for ((env, name), (keys, gone)) in touched {
        let app = head
            .apps
            .iter()
            .find(|app| app.env == env && app.name == name);
        let namespace = app.map_or("", |app| &app.namespace);
        let objects = app.iter().flat_map(|app| &app.objects);
        let objects = objects
            .filter(|object| ObjectKey::of(&object.json).is_some_and(|key| keys.contains(&key)))
            .map(|object| CompiledObject {
                object: object.json.clone(),
                at: Some(object.at.clone()),
            });
        let app = with_secrets(side, name, env, namespace, objects.collect());
        asks.push(Ask { app, gone });
    }
    asks
}

fn diff_namespace(head: &Built, env: &str) -> Option<String> {
    let app = head.apps.iter().find(|app| app.env == env)?;
    Some(app.namespace.clone())
}

fn with_secrets(
    side: &Side,
    name: &str,
    env: &str,
    namespace: &str,
    objects: Vec<CompiledObject>,
) -> Arc<App> {
    let mut files: Vec<String> = objects
        .iter()
        .flat_map(|object| references(&object.object))
        .map(|reference| reference.file)
        .collect();
    files.sort();
    files.dedup();
    Arc::new(App::new(
        name.to_owned(),
        env.to_owned(),
        namespace.to_owned(),
        objects,
        side.secrets(&files),
    ))
}
