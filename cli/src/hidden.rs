//! Second roles of the same binary, that nobody types: the container shim, the git hooks, and the server of the demo's
//! shop. They are not subcommands, because they must not appear in help and the shim must run before any thread exists.

use std::process::ExitCode;

/// Runs the hidden role that the first argument names, if it names one.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let role = std::env::args_os().nth(1)?;
    match role.to_str()? {
        #[cfg(target_os = "linux")]
        "__shim" => Some(ordain_orchestrator_node::shim_main()),
        "__hook" => Some(crate::commands::hook::main()),
        "__shop" => Some(crate::demo::server::main()),
        _ => None,
    }
}
