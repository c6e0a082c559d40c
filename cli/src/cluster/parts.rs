//! The parts of a running cluster, from the data directory up, and how they stop.

use super::data_dir::DataDir;
use super::ranges::Ranges;
use super::{DashboardAt, Endpoints, Options, ProjectCompiler, RuntimeArg};
use crate::commands::dashboard;
use crate::keys::{Keys, keys_report};
use miette::{Context, IntoDiagnostic, Result};
use ordain_orchestrator_apiserver as apiserver;
use ordain_orchestrator_client::Informers;
use ordain_orchestrator_store::{Embedded, Kv};
use ordain_reconciler_engine as engine;
use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long everything together may take to stop. Pods get their own grace period inside it.
const STOP: Duration = Duration::from_secs(45);

/// A running cluster. Stop it with [`Cluster::stop`]; dropping it leaves containers to the next start.
pub(crate) struct Cluster {
    dir: DataDir,
    endpoints: Endpoints,
    runtime: &'static str,
    hosted: bool,
    client: kube::Client,
    /// Stops what runs pods and changes objects; the API server is needed until they are done.
    shutdown: CancellationToken,
    tasks: TaskTracker,
    engine: Option<engine::Running>,
    #[cfg(target_os = "linux")]
    node: Option<ordain_orchestrator_node::Running>,
    server: apiserver::Running,
    _ranges: Ranges,
    _keep_alive: Vec<Box<dyn Any + Send>>,
}

impl Cluster {
    /// Starts every part, and returns when the API answers and pods can be run.
    ///
    /// # Errors
    /// Returns why a part did not start; what was started before it is stopped again.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        // Asked before anything is written; the server asks again, when it is its turn.
        if let Err(source) = std::net::TcpListener::bind(options.listen) {
            let address = options.listen;
            return Err(server_error(apiserver::StartError::Listen {
                address,
                source,
            }));
        }
        if let DashboardAt::Address(listen) = options.dashboard {
            let free = std::net::TcpListener::bind(listen).map(drop);
            free.into_diagnostic().wrap_err_with(|| {
                format!("the dashboard cannot listen at {listen}; `--dashboard` chooses another address, or `off`")
            })?;
        }
        let dir = DataDir::open(&options.data_dir)?;
        let keys = Keys::new(dir.path());
        keys.ensure_own().map_err(keys_report)?;
        let containers = containers(options.runtime)?;
        let ranges = Ranges::claim(&dir, !containers)?;
        let _ = rustls::crypto::ring::default_provider().install_default();

        let pki = apiserver::Pki::open(&dir.join("pki"))
            .into_diagnostic()
            .wrap_err("the cluster's keys cannot be used")?;
        let pki = Arc::new(pki);
        let path = dir.join("store");
        let store = tokio::task::spawn_blocking(move || Embedded::open(path))
            .await
            .expect("opening does not panic");
        let store = Arc::new(
            store
                .into_diagnostic()
                .wrap_err("the cluster's store cannot be opened")?,
        );
        let mut config = apiserver::Config::new(store.clone() as Arc<dyn Kv>, pki.clone());
        config.listen = options.listen;
        config.service_cidr = ranges.services();
        let server = apiserver::Server::start(config)
            .await
            .map_err(server_error)?;
        let kubeconfig = dir.write("kubeconfig", server.kubeconfig())?;
        let client = |user: &str, groups: &[&str]| {
            kube::Client::new(
                server.in_process(apiserver::User::new(user, groups)),
                "default",
            )
        };

        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let masters = ["system:masters", "system:authenticated"];
        // One watch and one copy of each object for both.
        let informers = Informers::new(
            client("system:kube-controller-manager", &masters),
            shutdown.clone(),
        );
        let scheduler = informers.acting_as(client("system:kube-scheduler", &masters));
        tasks.spawn(ordain_orchestrator_controllers::run_shared(informers));
        tasks.spawn(ordain_orchestrator_scheduler::run_shared(scheduler));
        #[cfg(target_os = "linux")]
        let node = {
            let host = super::node_linux::Host {
                dir: &dir,
                options: &options,
                ranges: &ranges,
                containers,
                pki: &pki,
            };
            Some(
                host.start(&client, server.addr(), &tasks, &shutdown)
                    .await?,
            )
        };

        let source = options.sources.source()?;
        let hosted = options.sources.is_hosted();
        let mut config = engine::Config::new(
            client("ordain", &masters),
            dir.path().to_owned(),
            source,
            Arc::new(ProjectCompiler::new(keys)),
        );
        config.env.clone_from(&options.env);
        config.resources = Some(engine::control::NAMESPACE.to_owned());
        options.sources.set(&mut config);
        let engine = engine::start(config, shutdown.clone())
            .await
            .map_err(engine_error)?;
        let dashboard = match options.dashboard {
            DashboardAt::Off => None,
            DashboardAt::Address(listen) => {
                let target = dir.path().to_owned().into();
                Some(dashboard::start(listen, target, &shutdown).await?.url)
            }
        };
        let endpoints = Endpoints {
            server: server.url().to_owned(),
            kubeconfig,
            git: engine.repository().to_owned(),
            dashboard,
        };
        Ok(Self {
            client: client("system:admin", &masters),
            dir,
            endpoints,
            runtime: if containers { "oci" } else { "process" },
            hosted,
            shutdown,
            tasks,
            engine: Some(engine),
            #[cfg(target_os = "linux")]
            node,
            server,
            _ranges: ranges,
            _keep_alive: options.keep_alive,
        })
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns `oci` or `process`.
    pub(crate) fn runtime(&self) -> &'static str {
        self.runtime
    }

    /// Returns whether the repository is our own, so that it can be pushed to.
    pub(crate) fn is_hosted(&self) -> bool {
        self.hosted
    }

    /// Returns a client with every right.
    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Stops every part, users of the API first.
    ///
    /// # Errors
    /// Returns an error when something did not stop in time; the next start cleans up after it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.shutdown.cancel();
        self.tasks.close();
        let parts = async {
            if let Some(engine) = self.engine.take() {
                engine.stopped().await;
            }
            #[cfg(target_os = "linux")]
            if let Some(node) = self.node.take() {
                node.stopped().await;
            }
            self.tasks.wait().await;
        };
        let in_time = tokio::time::timeout(STOP, parts).await;
        self.server.shutdown().await;
        in_time
            .into_diagnostic()
            .wrap_err("some pods did not stop in time; the next start removes what is left")
    }
}

/// Adds the remedy to what the reconciler says.
pub(crate) fn engine_error(error: engine::Error) -> miette::Report {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    let mut help = None;
    while let Some(inner) = cause {
        // Somebody else's HOME, as `su` without `-` leaves it: git reads its configuration there.
        if inner.to_string().contains(".gitconfig") {
            help = Some("set HOME to a directory of the user who runs this".to_owned());
        }
        cause = inner.source();
    }
    crate::commands::report(error, help)
}

/// Adds the remedy to what the API server says.
fn server_error(error: apiserver::StartError) -> miette::Report {
    let help = match &error {
        apiserver::StartError::Listen { .. } => {
            Some("choose another address with --listen; port 0 picks a free one".to_owned())
        }
        _ => None,
    };
    crate::commands::report(error, help)
}

/// Returns whether containers are real, or why they cannot be.
fn containers(runtime: RuntimeArg) -> Result<bool> {
    let root = super::is_root();
    match runtime {
        RuntimeArg::Auto => Ok(root),
        RuntimeArg::Process => Ok(false),
        RuntimeArg::Oci if root => Ok(true),
        RuntimeArg::Oci => Err(miette::miette!(
            help = "run as root, or use `--runtime process`",
            "real containers need root"
        )),
    }
}
