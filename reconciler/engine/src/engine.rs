//! Starts everything: journal, repository, workers, the sockets for commands, metrics and webhooks.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ordain_reconciler_journal::Journal;
use ordain_reconciler_source::HookSecret;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, Error, SourceStatus, Sync,
    cluster::Cluster,
    control::{self, Handler},
    election::{self, Lead},
    follower::Follower,
    listener::{self, Doors},
    live::Live,
    metrics::{Metrics, States},
    origin::{Compile, Origin},
    requests::Requests,
    resources::Resources,
    rollback,
    shared::Shared,
    site::{Place, Sites, Tenancy},
};

/// A running engine.
#[derive(Debug)]
pub struct Running {
    repository: String,
    http: Option<SocketAddr>,
    tasks: TaskTracker,
}

impl Running {
    /// What to give to `git remote add`: the hosted repository, or the foreign one that is followed.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Where metrics and webhooks are answered, when they are.
    #[must_use]
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Waits until everything stopped, after `shutdown` was cancelled.
    pub async fn stopped(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts the engine. When this returns, pushes are accepted and commands are answered.
///
/// Nothing of it needs the cluster to be there: an API server that does not answer is tried again.
///
/// # Errors
/// When the repository, the journal or the control socket cannot be opened.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, Error> {
    let folder = config.data_dir.join("journal");
    let opened = blocking(move || Journal::open(&folder)).await;
    let (journal, warnings) = opened?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let origin = {
        let config = config.clone();
        blocking(move || Origin::open(&config)).await?
    };
    let tasks = TaskTracker::new();
    let metrics = Arc::new(Metrics::default());
    let lead = Lead::new(config.election.is_some());
    let health = config.policy.as_ref().map(|policy| policy.health().clone());
    let health = Arc::new(health.unwrap_or_default());
    let reach = |client: &kube::Client| {
        let cluster = Cluster::new(client.clone(), Arc::clone(&metrics), lead.clone());
        cluster.judging(Arc::clone(&health))
    };
    let cluster = reach(&config.client);
    let live = Live::new(cluster.clone(), tasks.clone(), shutdown.clone());
    let shared = Arc::new(Shared::new(
        cluster,
        live,
        Arc::clone(&metrics),
        journal,
        tasks.clone(),
        &config,
    ));
    let tenancy = Tenancy {
        policy: config.policy.clone(),
        repository: origin.name(),
        asks_marks: config.election.is_some() || !config.clusters.is_empty(),
    };
    let others: Vec<_> = (config.clusters.iter())
        .map(|(name, client)| {
            let cluster = reach(client);
            let live = Live::new(cluster.clone(), tasks.clone(), shutdown.clone());
            (
                name.clone(),
                Place {
                    cluster,
                    live,
                    marks: Arc::default(),
                },
            )
        })
        .collect();
    let sites = Arc::new(Sites::new(
        Arc::clone(&shared),
        &config.cluster,
        others,
        tenancy,
    ));
    let compile = Compile::new(&config);
    shared.holds.attach(origin.clone(), compile.clone());
    let source = SourceStatus {
        repository: origin.name(),
        branch: origin.branch().to_owned(),
        commit: None,
        message: String::new(),
    };
    let source = Arc::new(Mutex::new(source));
    let poke = Arc::new(Notify::new());
    let requests = Arc::new(Requests {
        shared: Arc::clone(&shared),
        origin: origin.clone(),
        compile: compile.clone(),
        source: Arc::clone(&source),
        poke: Arc::clone(&poke),
        trust: config.trust.clone(),
        lead: lead.clone(),
        sites: Arc::clone(&sites),
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    });
    let handler: Arc<dyn Handler> = Arc::<Requests>::clone(&requests);
    {
        let (shared, origin) = (Arc::clone(&shared), origin.clone());
        blocking(move || rollback::publish::load(&shared, &origin)).await;
    }
    if let Some(host) = config.host.clone().map(Arc::new) {
        shared.holds.attach_host(Arc::clone(&host));
        if host.statuses {
            let (shared, leads) = (Arc::clone(&shared), lead.watch());
            tasks.spawn(crate::hosts::statuses::run(
                host,
                shared,
                leads,
                shutdown.clone(),
            ));
        }
    }
    tasks.spawn(rollback::automatic::run(
        Arc::clone(&requests),
        shutdown.clone(),
    ));
    control::serve(&config.data_dir, requests, &tasks, shutdown.clone()).await?;
    let identity = config
        .election
        .as_ref()
        .map(|election| election.identity.clone());
    if let Some(namespace) = &config.resources {
        let resources = Resources {
            client: config.client.clone(),
            namespace: namespace.clone(),
            identity: identity.unwrap_or_else(|| "ordain".to_owned()),
            shared: Arc::clone(&shared),
            source: Arc::clone(&source),
            handler,
            leads: lead.watch(),
            tasks: tasks.clone(),
        };
        resources.spawn(shutdown.clone());
    }
    if let Some(election) = config.election.clone() {
        let (client, lead) = (config.client.clone(), lead.clone());
        tasks.spawn(election::run(client, election, lead, shutdown.clone()));
    }
    let http = match config.listen {
        Some(address) => {
            let doors = doors(&shared, &source, &poke, config.hook_secret.clone());
            let served = listener::serve(address, doors, &tasks, shutdown.clone()).await;
            Some(served.map_err(|source| Error::Http { address, source })?)
        }
        None => None,
    };
    let repository = origin.name();
    let follower = Follower {
        trust: config.trust.clone(),
        tries_again: false,
        shared,
        leads: lead.watch(),
        lead,
        sites,
        term: shutdown.child_token(),
        origin,
        compile,
        source,
        poke,
        poll: config.poll,
        workers: BTreeMap::new(),
        at: None,
        verdict: String::new(),
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    };
    tasks.spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = follower.run() => match never {},
        }
    });
    Ok(Running {
        repository,
        http,
        tasks,
    })
}

/// What the port for everybody shows of the engine.
fn doors(
    shared: &Arc<Shared>,
    source: &Arc<Mutex<SourceStatus>>,
    poke: &Arc<Notify>,
    secret: Option<HookSecret>,
) -> Doors {
    let looked = Arc::clone(shared);
    shared.metrics.collect(move || {
        let word = |sync: Sync| serde_json::to_value(sync).ok()?.as_str().map(str::to_owned);
        let statuses = looked.statuses();
        let apps = statuses.iter().map(|(app, status)| {
            let sync = word(status.sync).unwrap_or_default();
            (app.clone(), (sync, status.health.clone()))
        });
        States {
            apps: apps.collect(),
        }
    });
    let (source, poke) = (Arc::clone(source), Arc::clone(poke));
    Doors {
        metrics: Arc::clone(&shared.metrics),
        secret,
        look: Box::new(move || poke.notify_one()),
        unready: Box::new(move || {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner);
            let never = source.commit.is_none() && !source.message.is_empty();
            never.then(|| source.message.clone())
        }),
    }
}

/// Runs something that waits for the disk or a remote, on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    result_of(tokio::task::spawn_blocking(act)).await
}

/// The result of such a thread; a panic there is one here.
pub(crate) async fn result_of<T>(thread: JoinHandle<T>) -> T {
    match thread.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and whoever waits here with it.
            Err(_) => std::future::pending().await,
        },
    }
}
