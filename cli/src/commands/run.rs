//! `ordain run`: the reconciler alone, against a cluster that is somewhere else.

use crate::Outcome;
use crate::args::{DataDirArg, Format};
use crate::cluster::{DataDir, ProjectCompiler, engine_error};
use crate::keys::{Keys, keys_report};
use crate::source::SourceArgs;
use crate::terminal;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ordain_reconciler_engine as engine;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Keep a cluster equal to a repository
///
/// Runs the reconciler alone against any Kubernetes cluster, until Ctrl-C. Without `--repo` it serves a repository of its
/// own and prints where to push. Keeps its journal and the copy of the repository in the data directory; `ordain status`
/// and the other commands find it there.
///
/// Deploys the environments whose `cluster` is the name given by `--cluster`, by default the name of the kubeconfig's
/// context.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Kubeconfig of the cluster; without it `$KUBECONFIG`, else `~/.kube/config`, else the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig, instead of its current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Deploy the environments of the cluster with this name; NAME=KUBECONFIG[:CONTEXT] adds another cluster
    ///
    /// Can be repeated. Environments are deployed to the cluster that they name, each cluster by its own requests and
    /// limits: one that hangs holds up no other.
    #[arg(
        long,
        value_name = "NAME[=KUBECONFIG[:CONTEXT]]",
        conflicts_with = "env"
    )]
    cluster: Vec<String>,

    /// Deploy this environment, whatever cluster it names
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    many: ManyArgs,

    #[command(flatten)]
    data_dir: DataDirArg,
}

/// What `--format json` prints when it runs.
#[derive(Serialize)]
struct Running {
    /// The API server.
    server: String,
    /// The repository that is followed, or where to push.
    git: String,
    /// Which environments are deployed.
    cluster: String,
    /// Where metrics and webhooks are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
}

pub(crate) fn run(args: &RunArgs, format: Format) -> Result<Outcome> {
    let sources = args.source.look()?;
    crate::cluster::block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (config, context) = kubeconfig(args).await?;
        let server = config.cluster_url.to_string();
        let own = args.cluster.iter().find(|name| !name.contains('='));
        let cluster = own.cloned().unwrap_or(context);
        let others = clusters(&args.cluster).await?;
        let client = kube::Client::try_from(config)
            .into_diagnostic()
            .wrap_err("the kubeconfig cannot be used")?;
        let dir = DataDir::open(&args.data_dir.path())?;
        let keys = Keys::new(dir.path());
        keys.ensure_own().map_err(keys_report)?;
        let compiler = Arc::new(ProjectCompiler::new(keys));
        let data = dir.path().to_owned();
        let mut config = engine::Config::new(client, data, sources.source()?, compiler);
        config.cluster.clone_from(&cluster);
        config.clusters = others;
        config.env.clone_from(&args.env);
        config.resources = Some(args.many.system_namespace.clone());
        args.many.set(&mut config)?;
        sources.set(&mut config);
        let shutdown = CancellationToken::new();
        let started = engine::start(config, shutdown.clone());
        let engine = started.await.map_err(engine_error)?;
        let running = Running {
            server,
            git: engine.repository().to_owned(),
            cluster,
            http: engine.http().map(|address| format!("http://{address}")),
        };
        match format {
            Format::Json => terminal::json(&running)?,
            Format::Text => terminal::data(&text(&running, args, sources.is_hosted()))?,
        }
        crate::cluster::interrupted().await;
        if terminal::is_watched(format) {
            terminal::say("stopping; what is under way is finished");
        }
        shutdown.cancel();
        engine.stopped().await;
        Ok(Outcome::Done)
    })
}

/// For several reconcilers and several teams.
#[derive(clap::Args)]
struct ManyArgs {
    /// Take turns with other reconcilers of the same repository: only the one that holds the Lease writes
    #[arg(long)]
    elect: bool,

    /// Our name in the election
    #[arg(long, value_name = "NAME", requires = "elect")]
    identity: Option<String>,

    /// Who may deploy what: rules by app and environment, and the account that each app acts as
    ///
    /// A TOML file, described in docs/tenancy.md. Without it everything is allowed.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Namespace of the reconciler's own objects: App, Source, Request and the Lease
    #[arg(long, value_name = "NAME", default_value = engine::control::NAMESPACE)]
    system_namespace: String,
}

impl ManyArgs {
    fn set(&self, config: &mut engine::Config) -> Result<()> {
        if let Some(path) = &self.policy {
            let policy = engine::Policy::load(path).map_err(|error| {
                let help = "docs/tenancy.md shows a policy and what each word of it means";
                crate::commands::report(error, Some(help.to_owned()))
            })?;
            config.policy = Some(Arc::new(policy));
        }
        if self.elect {
            let identity = self.identity.clone().unwrap_or_else(identity);
            config.election = Some(engine::Election::new(identity, &*self.system_namespace));
        }
        Ok(())
    }
}

/// A name that no other reconciler has: the machine's, and some random digits.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").ok();
    let file = || std::fs::read_to_string("/etc/hostname").ok();
    let host = host.or_else(file).unwrap_or_else(|| "ordain".to_owned());
    let mut bytes = [0; 4];
    // Two of one name on one machine would have to start in the same moment without randomness.
    let _ = getrandom::fill(&mut bytes);
    format!("{}_{:08x}", host.trim(), u32::from_ne_bytes(bytes))
}

/// The clusters of `NAME=KUBECONFIG[:CONTEXT]`.
async fn clusters(args: &[String]) -> Result<std::collections::BTreeMap<String, kube::Client>> {
    let mut clusters = std::collections::BTreeMap::new();
    for (name, place) in args.iter().filter_map(|arg| arg.split_once('=')) {
        let (path, context) = match place.rsplit_once(':') {
            // A drive letter is no kubeconfig.
            Some((path, context)) if path.len() > 1 && !context.contains(['/', '\\']) => {
                (path, Some(context.to_owned()))
            }
            _ => (place, None),
        };
        let options = kube::config::KubeConfigOptions {
            context,
            ..Default::default()
        };
        let wrong = || format!("the kubeconfig of cluster `{name}` cannot be used");
        let file = kube::config::Kubeconfig::read_from(path);
        let file = file.into_diagnostic().wrap_err_with(wrong)?;
        let config = kube::Config::from_custom_kubeconfig(file, &options).await;
        let config = config.into_diagnostic().wrap_err_with(wrong)?;
        let client = kube::Client::try_from(config);
        clusters.insert(
            name.to_owned(),
            client.into_diagnostic().wrap_err_with(wrong)?,
        );
    }
    Ok(clusters)
}

/// The cluster that is meant, and the name of its context.
async fn kubeconfig(args: &RunArgs) -> Result<(kube::Config, String)> {
    let options = kube::config::KubeConfigOptions {
        context: args.context.clone(),
        ..Default::default()
    };
    let help =
        "name a kubeconfig with --kubeconfig; `kubectl config get-contexts` lists its contexts";
    let found = match &args.kubeconfig {
        Some(path) => kube::config::Kubeconfig::read_from(path).map(Some),
        None => match kube::config::Kubeconfig::read() {
            Ok(found) => Ok(Some(found)),
            // In a pod there is none, and none is needed.
            Err(_) if args.context.is_none() => Ok(None),
            Err(error) => Err(error),
        },
    };
    let Some(found) =
        found.map_err(|error| crate::commands::report(error, Some(help.to_owned())))?
    else {
        let config = kube::Config::incluster().map_err(|_| {
            miette!(
                help = "{help}",
                "there is no kubeconfig, and this is no pod of a cluster"
            )
        })?;
        return Ok((config, "local".to_owned()));
    };
    let context = args
        .context
        .clone()
        .or_else(|| found.current_context.clone());
    let config = kube::Config::from_custom_kubeconfig(found, &options).await;
    let config = config.map_err(|error| crate::commands::report(error, Some(help.to_owned())))?;
    Ok((config, context.unwrap_or_else(|| "local".to_owned())))
}

fn text(running: &Running, args: &RunArgs, is_hosted: bool) -> String {
    let Running {
        server,
        git,
        cluster,
        http,
    } = running;
    let mut text = format!(
        "running; Ctrl-C stops it and leaves the cluster as it is\n\n  server    {server}\n"
    );
    match &args.env {
        Some(env) => text.push_str(&format!("  deploys   environment {env}\n")),
        None => text.push_str(&format!("  deploys   environments of cluster {cluster}\n")),
    }
    match is_hosted {
        true => text.push_str(&format!(
            "  deploy    git push {git} HEAD:{}\n",
            args.source.branch
        )),
        false => text.push_str(&format!("  follows   {git}\n")),
    }
    if let Some(http) = http {
        text.push_str(&format!("  metrics   {http}/metrics\n"));
    }
    let data_dir = args.data_dir.path();
    text.push_str(&format!(
        "  status    ordain status --data-dir {}\n",
        data_dir.display()
    ));
    text
}
