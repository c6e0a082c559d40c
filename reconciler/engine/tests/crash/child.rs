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
    App, CompileError, Compiled, CompiledObject, Compiler, Config, SecretFiles, Source, Wanted,
    start,
};
use ordain_reconciler_journal::steps;
use ordain_reconciler_source::TreeFiles;
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

/// `DATA_DIR SERVER STEP`: runs until it is killed, by itself at that step of the journal unless it is 0.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let [data_dir, server, step] = args else {
        return ExitCode::from(2);
    };
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
        let http = http.map_request(move |mut request: http::Request<Body>| {
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            *request.uri_mut() = format!("{server}{path}").parse().expect("an address");
            request
        });
        let source = Source::Hosted {
            program: "unused".into(),
            branch: "main".to_owned(),
        };
        let mut config = Config::new(
            kube::Client::new(http, "default"),
            PathBuf::from(data_dir),
            source,
            Arc::new(JsonCompiler),
        );
        config.poll = POLL;
        let running = start(config, CancellationToken::new()).await;
        let running = running.unwrap_or_else(|error| panic!("{}", error.chain()));
        std::future::pending::<()>().await;
        drop(running);
    });
    ExitCode::SUCCESS
}
