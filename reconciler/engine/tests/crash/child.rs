//! The child: the engine on a data directory, against the API server of the parent, until it is killed.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use kube::client::Body;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ordain_reconciler_engine::{
    App, CompileError, Compiled, CompiledObject, Compiler, Config, Election, SecretFiles, Source,
    Wanted, start,
};
use ordain_reconciler_journal::steps;
use ordain_reconciler_source::{Remote, TreeFiles};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How often the child looks at its repository: the parent commits while none runs.
const POLL: Duration = Duration::from_millis(50);

/// Each `apps/NAME.json` is an app with a list of objects.
struct JsonCompiler;

impl Compiler for JsonCompiler {
    fn compile(&self, files: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        let mut apps = Vec::new();
        for path in files.list().filter(|path| path.starts_with("apps/")) {
            let error =
                |cause: &dyn std::fmt::Display| CompileError::new(format!("{path}: {cause}"));
            let bytes = files.read(path).map_err(|cause| error(&cause))?;
            let objects: Vec<Value> =
                serde_json::from_slice(&bytes).map_err(|cause| error(&cause))?;
            let objects = objects.into_iter().map(|object| CompiledObject {
                object,
                at: Some(format!("{path}:1")),
            });
            let name = path.trim_start_matches("apps/").trim_end_matches(".json");
            apps.push(Arc::new(App::new(
                name.to_owned(),
                "dev".to_owned(),
                "shop".to_owned(),
                objects.collect(),
                SecretFiles::default(),
            )));
        }
        Ok(Compiled {
            apps,
            ..Compiled::default()
        })
    }
}

/// The header by which a server knows which child asks.
pub(crate) const WHO: &str = "x-child";

/// The same proportions as by default, in half the time.
fn election(who: &str) -> Election {
    Election {
        lease: Duration::from_millis(7500),
        renew: Duration::from_millis(5000),
        retry: Duration::from_millis(500),
        ..Election::new(who, "ordain-system")
    }
}

/// `DATA_DIR SERVER STEP [ORIGIN WHO]`: runs until it is killed, by itself at that step of the journal unless it is 0.
/// With a repository elsewhere it is one of several, by that name.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let [data_dir, server, step, elsewhere @ ..] = args else {
        return ExitCode::from(2);
    };
    let who = elsewhere.get(1).cloned().unwrap_or_default();
    let at: u64 = step.parse().unwrap_or(0);
    if at > 0 {
        let seen = AtomicU64::new(0);
        steps::observe(move |_| {
            if seen.fetch_add(1, Ordering::SeqCst) + 1 == at {
                kill(Pid::this(), Signal::SIGKILL).expect("a process may kill itself");
                // The signal is on its way; nothing more is done.
                loop {
                    std::thread::park();
                }
            }
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let http = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let server = server.clone();
        let name: http::HeaderValue = who.parse().expect("a header");
        let http = http.map_request(move |mut request: http::Request<Body>| {
            request.headers_mut().insert(WHO, name.clone());
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            *request.uri_mut() = format!("{server}{path}").parse().expect("an address");
            request
        });
        let source = match elsewhere.first() {
            Some(origin) => Source::Foreign(Remote::branch(origin, "main")),
            None => Source::Hosted {
                program: "unused".into(),
                branch: "main".to_owned(),
            },
        };
        let mut config = Config::new(
            kube::Client::new(http, "default"),
            PathBuf::from(data_dir),
            source,
            Arc::new(JsonCompiler),
        );
        config.poll = POLL;
        config.election = elsewhere.get(1).map(|who| election(who));
        let running = start(config, CancellationToken::new()).await;
        let running = running.unwrap_or_else(|error| panic!("{}", error.chain()));
        std::future::pending::<()>().await;
        drop(running);
    });
    ExitCode::SUCCESS
}
