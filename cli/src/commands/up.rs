//! `ordain up`: runs a cluster and deploys what is pushed, until Ctrl-C.

use crate::Outcome;
use crate::args::{DataDirArg, Format};
use crate::cluster::{Cluster, Options};
use crate::source::SourceArgs;
use crate::terminal;
use std::net::SocketAddr;
use std::time::Instant;

/// Run a cluster that deploys what is pushed to it
///
/// Starts a Kubernetes API server with its store, a scheduler, controllers, a node agent and the reconciler in this process,
/// and prints where they are when all is ready. `git push` to the printed remote deploys; `kubectl` works with the printed
/// kubeconfig. Ctrl-C stops everything it started; a second start with the same directory carries on.
#[derive(clap::Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    data_dir: DataDirArg,

    /// Address of the API server; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:6443")]
    listen: SocketAddr,

    /// Address of the dashboard, or `off`; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = dashboard)]
    dashboard: DashboardAt,

    /// How containers are run
    #[arg(long, value_enum, default_value_t = RuntimeArg::Auto)]
    runtime: RuntimeArg,

    /// Deploy this environment, whatever cluster it names
    ///
    /// Without the option those environments are deployed whose `cluster` is "local".
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Pull images of a registry name from somewhere else, as NAME=HOST:PORT (can be repeated)
    #[arg(long, value_name = "NAME=HOST:PORT", value_parser = registry)]
    registry: Vec<(String, String)>,

    #[command(flatten)]
    source: SourceArgs,
}

/// How containers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RuntimeArg {
    /// `oci` for root on Linux, `process` otherwise
    Auto,
    /// Real containers; needs root
    Oci,
    /// Plain processes with an address of their own on loopback; needs nothing
    Process,
}

/// Where the dashboard listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DashboardAt {
    /// Nowhere.
    Off,
    /// At this address.
    Address(SocketAddr),
}

fn dashboard(text: &str) -> Result<DashboardAt, String> {
    match text {
        "off" => Ok(DashboardAt::Off),
        address => (address.parse().map(DashboardAt::Address))
            .map_err(|_| "write it as ADDR:PORT, such as 127.0.0.1:8080, or `off`".to_owned()),
    }
}

fn registry(text: &str) -> Result<(String, String), String> {
    let (name, address) = text.split_once('=').ok_or("write it as NAME=HOST:PORT")?;
    if name.is_empty() || !address.contains(':') {
        return Err("write it as NAME=HOST:PORT".to_owned());
    }
    Ok((name.to_owned(), address.to_owned()))
}

pub(crate) fn run(args: &UpArgs, format: Format) -> miette::Result<Outcome> {
    let started = Instant::now();
    let mut options = Options::new(args.data_dir.path());
    options.listen = args.listen;
    options.dashboard = args.dashboard;
    options.runtime = args.runtime;
    options.sources = args.source.look()?;
    options.env.clone_from(&args.env);
    options.registries.clone_from(&args.registry);
    crate::cluster::block_on(async {
        let cluster = tokio::select! {
            cluster = Cluster::start(options) => cluster?,
            () = crate::cluster::interrupted() => return Ok(Outcome::Done),
        };
        match format {
            Format::Json => terminal::json(cluster.endpoints())?,
            Format::Text => terminal::data(&text(&cluster, started.elapsed().as_secs_f64()))?,
        }
        crate::cluster::interrupted().await;
        if terminal::is_watched(format) {
            terminal::say("stopping; pods get their time to end");
        }
        cluster.stop().await?;
        Ok(Outcome::Done)
    })
}

fn text(cluster: &Cluster, seconds: f64) -> String {
    let endpoints = cluster.endpoints();
    let kubeconfig = endpoints.kubeconfig.display();
    let (data_dir, git) = (cluster.data_dir().display(), &endpoints.git);
    let push = if cluster.is_hosted() {
        format!("\n  deploy    git push {git} HEAD:main")
    } else {
        format!("\n  watching  {git}")
    };
    let dashboard = (endpoints.dashboard.as_ref())
        .map_or_else(String::new, |url| format!("\n  browser   {url}"));
    format!(
        "ready after {seconds:.2} s, containers by `{runtime}`; Ctrl-C stops everything

  server    {server}
  kubectl   kubectl --kubeconfig {kubeconfig} get pods -A
  git       {git}{push}
  status    ordain status --data-dir {data_dir}{dashboard}
",
        runtime = cluster.runtime(),
        server = endpoints.server,
    )
}
