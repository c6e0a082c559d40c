//! The hidden role that runs the reconciler by itself against any API server, for measuring it apart from a cluster.

use super::ProjectCompiler;
use crate::keys::{Keys, keys_report};
use miette::{Context, IntoDiagnostic, Result};
use ordain_reconciler_engine as engine;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs `ordain __reconcile KUBECONFIG DATA-DIR`, which hosts a repository in the data directory and prints it when
/// it is ready.
pub(crate) fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(2).map(PathBuf::from);
    let (Some(kubeconfig), Some(data_dir)) = (args.next(), args.next()) else {
        crate::terminal::say(
            "ordain: the reconciler was called without a kubeconfig and a data directory",
        );
        return ExitCode::from(2);
    };
    match super::block_on(run(kubeconfig, data_dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::terminal::fail(&error);
            ExitCode::from(3)
        }
    }
}

async fn run(kubeconfig: PathBuf, data_dir: PathBuf) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = kube::config::Kubeconfig::read_from(&kubeconfig)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot use {}", kubeconfig.display()))?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(text, &options)
        .await
        .into_diagnostic()?;
    std::fs::create_dir_all(&data_dir).into_diagnostic()?;
    let data_dir = data_dir.canonicalize().into_diagnostic()?;
    let keys = Keys::new(&data_dir);
    keys.ensure_own().map_err(keys_report)?;
    let shutdown = CancellationToken::new();
    let source = engine::Source::Hosted {
        program: std::env::current_exe().into_diagnostic()?,
        branch: "main".to_owned(),
    };
    let client = kube::Client::try_from(config).into_diagnostic()?;
    let compiler = Arc::new(ProjectCompiler::new(keys));
    let config = engine::Config::new(client, data_dir, source, compiler);
    let running = engine::start(config, shutdown.clone())
        .await
        .into_diagnostic()?;
    crate::terminal::json(&serde_json::json!({ "git": running.repository() }))?;
    super::interrupted().await;
    shutdown.cancel();
    running.stopped().await;
    Ok(())
}
