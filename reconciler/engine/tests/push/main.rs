//! The road from `git push` to a healthy app and back, with real git, real hooks and a fake API server.
//!
//! Git's hooks call this very program, so it has a `main` of its own and runs its scenarios itself.

mod adoptions;
mod deletions;
mod deploys;
mod fake;
mod fleet;
mod holds;
mod merge;
mod offline;
mod protected;
mod resilience;
mod rollbacks;
mod trust;
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
        deploys::a_push_back_to_an_earlier_commit_is_told_anew,
        deletions::what_is_no_longer_declared_is_pruned_if_it_is_ours,
        deletions::a_removed_app_waits_for_an_approval,
        deletions::a_commit_can_approve_what_waits,
        deletions::an_object_goes_to_another_app_without_being_deleted,
        trust::a_push_that_is_not_signed_is_refused,
        deletions::an_app_that_is_taken_out_is_left_behind_or_deleted_when_that_is_said,
        rollbacks::a_rollback_is_a_commit_that_restores_the_objects,
        rollbacks::a_rollback_that_would_change_others_is_refused_and_all_is_offered,
        rollbacks::a_rollback_goes_to_a_time_and_what_follows_goes_forward_again,
        rollbacks::the_same_objects_may_come_back_on_purpose,
        rollbacks::a_rollback_keeps_what_holds_data,
        rollbacks::objects_come_back_from_the_journal_when_the_commit_is_gone,
        offline::a_rollback_without_the_remote_is_pushed_when_it_returns,
        offline::a_commit_whose_submodule_is_away_is_tried_again,
        offline::a_rollback_goes_on_top_of_what_came_in_between,
        offline::a_conflict_is_held_and_named_and_a_fix_goes_through,
        protected::a_protected_branch_gets_a_request_to_merge,
        protected::without_a_host_the_branch_to_merge_is_named,
        protected::a_rollback_goes_on_when_whoever_asked_for_it_leaves,
        holds::a_commit_that_is_late_is_rolled_back_and_held,
        holds::without_a_healthy_deploy_nothing_is_rolled_back,
        holds::a_suspended_app_is_left_alone_until_it_is_resumed,
        holds::a_suspension_of_all_apps_ends_by_itself,
        holds::a_closed_window_lets_commits_wait_and_rollbacks_through,
        adoptions::a_live_edit_becomes_a_commit_and_stays,
        adoptions::without_the_remote_an_adoption_stands_and_waits,
        holds::an_approval_may_name_the_app,
        holds::a_sync_waits_for_the_newest_commit,
        resilience::drift_is_put_right,
        resilience::a_restart_writes_nothing_when_nothing_changed,
        resilience::a_restart_records_nothing_of_what_waits_or_fails_as_before,
        resilience::a_crash_at_any_write_leaks_nothing,
        resilience::the_cluster_may_come_later,
        fleet::a_commit_to_one_app_is_nothing_to_the_others,
        fleet::a_storm_of_commits_ends_at_the_tip,
        fleet::an_app_that_fails_is_tried_again_by_the_next_commit,
        resilience::a_full_disk_stops_deploys_and_nothing_else,
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
