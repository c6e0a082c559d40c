//! Runs an API server over an empty store in memory, for trying things out with kubectl.
//!
//! `cargo run -p ordain-orchestrator-apiserver --example serve -- [DIR] [ADDRESS]` writes
//! `DIR/admin.kubeconfig` (by default in a temporary directory), prints its path and serves until
//! it is interrupted.

use std::{error::Error, io::Write, path::PathBuf, sync::Arc};

use ordain_orchestrator_apiserver::{Config, Pki, Server};
use ordain_orchestrator_store::Memory;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let temporary = tempfile::tempdir()?;
    let dir = arguments
        .next()
        .map_or(temporary.path().to_owned(), PathBuf::from);
    let pki = Arc::new(Pki::open(&dir.join("pki"))?);
    let mut config = Config::new(Arc::new(Memory::new()), pki);
    if let Some(address) = arguments.next() {
        config.listen = address.parse()?;
    }
    let server = Server::start(config).await?;
    let path = dir.join("admin.kubeconfig");
    std::fs::write(&path, server.kubeconfig())?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", path.display())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
