//! Real containers and processes by both drivers. The `oci` half needs root; without it that half
//! is left out and the output says so. As root, everything happens in network and mount namespaces
//! of our own.

#![allow(missing_docs, clippy::print_stdout, reason = "a test program")]

#[path = "drivers/oci.rs"]
mod oci;
#[path = "drivers/process.rs"]
mod process;
#[path = "drivers/suite.rs"]
mod suite;
#[path = "drivers/support.rs"]
mod support;

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(ordain_orchestrator_node::SHIM_ARGUMENT) {
        return ordain_orchestrator_node::shim_main();
    }
    let root = nix::unistd::Uid::effective().is_root();
    if root {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("private mounts");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        if root {
            ordain_orchestrator_net::bridge::loopback_up()
                .await
                .expect("lo up");
        }
        let mut suite = suite::Suite::new();
        process::run(&mut suite).await;
        if root {
            oci::run(&mut suite).await;
        } else {
            println!("the oci driver's tests are left out: they need root");
        }
        suite.finish()
    })
}
