//! The hidden role behind the hosted repository's git hooks: passes git's input to the running instance, and its answer
//! to git, which shows it to whoever pushes.

use ordain_reconciler_engine::hook;
use ordain_reconciler_source::HookStage;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs `ordain __hook --data-dir DIR STAGE`, as the hook scripts call it.
pub(crate) fn main() -> ExitCode {
    let mut data_dir = None;
    let mut stage = None;
    let mut args = std::env::args_os().skip(2);
    while let Some(arg) = args.next() {
        if arg == "--data-dir" {
            data_dir = args.next().map(PathBuf::from);
        } else {
            stage = arg.to_str().and_then(HookStage::from_name);
        }
    }
    let (Some(data_dir), Some(stage)) = (data_dir, stage) else {
        crate::terminal::say("ordain: the hook was called without a data directory and a stage");
        return ExitCode::from(2);
    };
    let quarantine = std::env::var_os("GIT_QUARANTINE_PATH").map(PathBuf::from);
    // Git passes stderr and stdout of a hook on alike; stdout is the one that is flushed line by line.
    match hook::run(
        &data_dir,
        stage,
        std::io::stdin().lock(),
        quarantine,
        &mut std::io::stdout().lock(),
    ) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            crate::terminal::say(&format!("ordain: {error}"));
            ExitCode::from(3)
        }
    }
}
