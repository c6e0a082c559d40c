//! Runs a whole small cluster with a real node, for trying things out with kubectl.
//!
//! `cargo run -p ordain-orchestrator-node --example cluster -- DIR [oci|process|fake]` writes
//! `DIR/admin.kubeconfig`, serves a busybox image from a registry on loopback, prints both, and runs
//! until it is interrupted.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ordain_orchestrator_apiserver::{Config, Pki, Server};
use ordain_orchestrator_node::images::build::ImageBuilder;
use ordain_orchestrator_node::images::registry::Registry;
use ordain_orchestrator_node::{NodeConfig, RuntimeChoice, SHIM_ARGUMENT, ServingTls, shim_main};
use ordain_orchestrator_store::Embedded;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(SHIM_ARGUMENT) {
        return shim_main();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map(PathBuf::from).ok_or("name a folder")?;
    let runtime = match arguments.next().as_deref() {
        Some("oci") => RuntimeChoice::Oci,
        Some("process") => RuntimeChoice::Process,
        Some("fake") => RuntimeChoice::Fake,
        _ => RuntimeChoice::Auto,
    };
    let pki = Arc::new(Pki::open(&dir.join("pki"))?);
    let mut config = Config::new(Arc::new(Embedded::open(dir.join("store"))?), pki.clone());
    if runtime == RuntimeChoice::Process {
        config.service_cidr = "127.43.0.0/16".to_owned();
    }
    let server = Server::start(config).await?;
    let path = dir.join("admin.kubeconfig");
    std::fs::write(&path, server.kubeconfig())?;
    let registry = Registry::start().await?;
    let image = registry.push(
        "busybox",
        "1",
        &ImageBuilder::new().busybox()?.cmd(["sh"]).build(),
    );

    let kubeconfig = kube::config::Kubeconfig::read_from(&path)?;
    let options = kube::config::KubeConfigOptions::default();
    let access = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let client = kube::Client::try_from(access)?;
    let shutdown = CancellationToken::new();
    tokio::spawn(ordain_orchestrator_scheduler::run(
        client.clone(),
        shutdown.clone(),
    ));
    tokio::spawn(ordain_orchestrator_controllers::run(
        client.clone(),
        shutdown.clone(),
    ));

    let serving = pki.server(
        "system:node:node-1",
        &["system:nodes"],
        &["127.0.0.1".to_owned()],
    )?;
    let tls = ServingTls {
        certificate_pem: serving.cert_pem,
        key_pem: serving.key_pem,
        client_ca_pem: pki.ca_pem().to_owned(),
    };
    let mut config = NodeConfig::new("node-1", dir.join("node"), client, tls);
    config.runtime = runtime;
    let stop_node = CancellationToken::new();
    let node = ordain_orchestrator_node::start(config, stop_node.clone()).await?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "kubeconfig {}\nimage {image}\nruntime {}",
        path.display(),
        node.runtime
    )?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    stop_node.cancel();
    node.stopped().await;
    shutdown.cancel();
    server.shutdown().await;
    Ok(())
}
