//! Pods on a real node under a real API server: running, ready, read, entered, crashed, deleted.
//! With the process driver for everybody, and with the oci driver as root, in network and mount
//! namespaces of our own.

#![allow(missing_docs, clippy::print_stdout, reason = "a test program")]

#[path = "cluster/bench.rs"]
mod bench;
#[path = "cluster/stories.rs"]
mod stories;
#[path = "drivers/suite.rs"]
mod suite;

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ordain_orchestrator_node::{RuntimeChoice, SHIM_ARGUMENT, shim_main};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(SHIM_ARGUMENT) {
        return shim_main();
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
        stories::run(&mut suite, RuntimeChoice::Process, "process").await;
        if root {
            stories::run(&mut suite, RuntimeChoice::Oci, "oci").await;
        } else {
            println!("the oci driver's tests are left out: they need root");
        }
        suite.finish()
    })
}
