//! The road from `git push` to a healthy app and back, with real git, real hooks and a fake API server.
//!
//! Git's hooks call this very program, so it has a `main` of its own and runs its scenarios itself.

mod deletions;
mod deploys;
mod fake;
mod fleet;
mod resilience;
mod rollbacks;
mod world;

use std::{io, process::ExitCode};

use ordain_reconciler_engine::hook;
use ordain_reconciler_source::HookStage;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("__hook") {
        return run_hook(args);
    }
    let filter = std::env::args()
        .nth(1)
        .filter(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    if std::env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    macro_rules! run {
        ($($group:ident::$scenario:ident),* $(,)?) => {$(
            if stringify!($scenario).contains(&filter) {
                eprintln!("scenario {}", stringify!($scenario));
                runtime.block_on($group::$scenario());
            }
        )*};
    }
    run!(
        deploys::a_push_deploys_and_tells_it,
        deploys::a_push_that_does_not_compile_is_refused,
        deploys::a_bad_image_is_told_and_a_fix_takes_over,
        deploys::a_newer_push_supersedes_one_that_waits,
        deploys::every_refusal_is_told_and_other_apps_go_on,
        deploys::a_job_is_replaced_when_its_template_changes,
        deploys::another_branch_is_kept_and_not_deployed,
        deploys::a_rewritten_branch_is_followed_and_recorded,
        deletions::what_is_no_longer_declared_is_pruned_if_it_is_ours,
        deletions::a_removed_app_waits_for_an_approval,
        deletions::a_commit_can_approve_what_waits,
        deletions::an_object_goes_to_another_app_without_being_deleted,
        rollbacks::a_rollback_is_a_commit_that_restores_the_objects,
        rollbacks::a_rollback_takes_the_whole_tree_when_files_alone_do_not_do,
        resilience::drift_is_put_right,
        resilience::a_restart_writes_nothing_when_nothing_changed,
        resilience::a_crash_at_any_write_leaks_nothing,
        resilience::the_cluster_may_come_later,
        fleet::a_commit_to_one_app_is_nothing_to_the_others,
        fleet::a_storm_of_commits_ends_at_the_tip,
        fleet::an_app_that_fails_is_tried_again_by_the_next_commit,
    );
    ExitCode::SUCCESS
}

fn run_hook(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (Some(_), Some(data_dir), Some(stage)) = (args.next(), args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let stage = HookStage::from_name(&stage).expect("a known hook");
    let quarantine = std::env::var_os("GIT_QUARANTINE_PATH").map(Into::into);
    let out = &mut io::stdout().lock();
    match hook::run(
        data_dir.as_ref(),
        stage,
        io::stdin().lock(),
        quarantine,
        out,
    ) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}
