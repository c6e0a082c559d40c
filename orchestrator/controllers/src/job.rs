//! Job: runs pods until enough have succeeded or too many have failed.
//! Kubernetes `pkg/controller/job`.
//!
//! Finished pods are counted where they are; an earlier count in the status keeps those that were
//! deleted since. Indexed Jobs and failure policies are not known here yet.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobSpec, JobStatus, UncountedTerminatedPods},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use ordain_orchestrator_client::{
    Failure, Informer, Informers, Key, Next, WorkConfig, controller_of, object_reference,
    owner_reference, queue, run_controller,
};

use crate::{
    Action,
    executor::Executor,
    pods::{from_template, is_finished, is_ready, name_prefix, phase, restarts},
};

/// Delay before a failed pod is replaced; it doubles with every failure. Kubernetes
/// `DefaultJobPodFailureBackOff` and `MaxJobPodFailureBackOff`.
const RETRY_SECONDS_MIN: u64 = 10;
const RETRY_SECONDS_MAX: u64 = 600;
/// Upstream's default for `backoffLimit`.
const BACKOFF_LIMIT_DEFAULT: i32 = 6;

/// What is known about the pods of a Job.
struct Counts {
    active: i32,
    ready: i32,
    terminating: i32,
    succeeded: i32,
    failed: i32,
    /// When the last failed pod failed.
    last_failure: Option<Timestamp>,
}

/// How a Job ended.
#[derive(Clone, Copy)]
struct Verdict {
    complete: bool,
    reason: &'static str,
    message: &'static str,
}

const COMPLETED: Verdict = Verdict {
    complete: true,
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
};
const BACKOFF_LIMIT_EXCEEDED: Verdict = Verdict {
    complete: false,
    reason: "BackoffLimitExceeded",
    message: "Job has reached the specified backoff limit",
};
const DEADLINE_EXCEEDED: Verdict = Verdict {
    complete: false,
    reason: "DeadlineExceeded",
    message: "Job was active longer than specified deadline",
};

/// Decides for one Job. `pods` are the pods it owns.
pub fn step(job: &Job, pods: &[Arc<Pod>], now: Timestamp) -> Vec<Action> {
    let Some(spec) = &job.spec else {
        return Vec::new();
    };
    let before = job.status.clone().unwrap_or_default();
    if let Some(finished_at) = finished_at(&before) {
        return forget(job, spec, finished_at, now);
    }
    if job.metadata.deletion_timestamp.is_some() || spec.managed_by.is_some() {
        return Vec::new();
    }
    let counts = count(pods, &before);
    let suspended = spec.suspend.unwrap_or(false);
    let started = before.start_time.as_ref().map(|time| time.0);
    let started = if suspended {
        None
    } else {
        Some(started.unwrap_or(now))
    };
    let mut status = JobStatus {
        active: Some(counts.active),
        ready: Some(counts.ready),
        terminating: Some(counts.terminating),
        succeeded: Some(counts.succeeded),
        failed: Some(counts.failed),
        start_time: started.map(Time),
        uncounted_terminated_pods: Some(UncountedTerminatedPods::default()),
        ..before.clone()
    };
    let mut actions = Vec::new();
    let verdict = verdict(spec, pods, &counts, started, now);
    let active = pods
        .iter()
        .filter(|pod| !is_finished(pod) && !is_leaving(pod));
    if let Some(verdict) = verdict {
        actions.extend(active.map(|pod| Action::delete(&**pod)));
        finish(&mut status, verdict, now);
        actions.push(if verdict.complete {
            Action::note("Completed", "Job completed")
        } else {
            Action::warn(verdict.reason, verdict.message)
        });
    } else if suspended {
        actions.extend(active.map(|pod| Action::delete(&**pod)));
        if set(
            &mut status,
            "Suspended",
            "True",
            "JobSuspended",
            "Job suspended",
            now,
        ) {
            actions.push(Action::note("Suspended", "Job suspended"));
        }
    } else {
        let was_suspended = status
            .conditions
            .iter()
            .flatten()
            .any(|c| c.type_ == "Suspended");
        if was_suspended
            && set(
                &mut status,
                "Suspended",
                "False",
                "JobResumed",
                "Job resumed",
                now,
            )
        {
            actions.push(Action::note("Resumed", "Job resumed"));
        }
        actions.extend(scale(job, spec, active.collect(), &counts, now));
        let deadline = spec
            .active_deadline_seconds
            .zip(started)
            .map(|(seconds, started)| {
                let left = SignedDuration::from_secs(seconds) - now.duration_since(started);
                Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1)
            });
        actions.extend(deadline.map(Action::After));
    }
    if job.status.as_ref() != Some(&status) {
        let mut action = Action::status(job, &status);
        if let (None, Action::Patch { body, .. }) = (started, &mut action) {
            // A suspended Job has not started.
            body["status"]["startTime"] = serde_json::Value::Null;
        }
        actions.push(action);
    }
    actions
}

fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn count(pods: &[Arc<Pod>], before: &JobStatus) -> Counts {
    let number = |keep: &dyn Fn(&Pod) -> bool| {
        i32::try_from(pods.iter().filter(|pod| keep(pod)).count()).unwrap_or(i32::MAX)
    };
    let alive = |pod: &Pod| !is_finished(pod) && !is_leaving(pod);
    Counts {
        active: number(&alive),
        ready: number(&|pod| alive(pod) && is_ready(pod)),
        terminating: number(&|pod| !is_finished(pod) && is_leaving(pod)),
        succeeded: number(&|pod| phase(pod) == "Succeeded").max(before.succeeded.unwrap_or(0)),
        failed: number(&|pod| phase(pod) == "Failed").max(before.failed.unwrap_or(0)),
        last_failure: pods.iter().filter_map(|pod| failed_at(pod)).max(),
    }
}

fn failed_at(pod: &Pod) -> Option<Timestamp> {
    if phase(pod) != "Failed" {
        return None;
    }
    let containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    let ended = containers.filter_map(|container| {
        container
            .state
            .as_ref()?
            .terminated
            .as_ref()?
            .finished_at
            .as_ref()
            .map(|time| time.0)
    });
    ended
        .max()
        .or(pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

fn verdict(
    spec: &JobSpec,
    pods: &[Arc<Pod>],
    counts: &Counts,
    started: Option<Timestamp>,
    now: Timestamp,
) -> Option<Verdict> {
    let limit = spec.backoff_limit.unwrap_or(BACKOFF_LIMIT_DEFAULT);
    let on_failure = spec
        .template
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
        == Some("OnFailure");
    let restarted: i32 = if on_failure {
        let alive = pods
            .iter()
            .filter(|pod| matches!(phase(pod), "Running" | "Pending"));
        alive.map(|pod| restarts(pod)).fold(0, i32::saturating_add)
    } else {
        0
    };
    // Restarts in place are failures, too; there the limit itself is already too many.
    let too_many = counts.failed > limit || on_failure && restarted > 0 && restarted >= limit;
    if too_many {
        return Some(BACKOFF_LIMIT_EXCEEDED);
    }
    if let (Some(seconds), Some(started)) = (spec.active_deadline_seconds, started)
        && now.duration_since(started) >= SignedDuration::from_secs(seconds)
    {
        return Some(DEADLINE_EXCEEDED);
    }
    let complete = match spec.completions {
        Some(completions) => counts.succeeded >= completions,
        // A work queue is done when one pod has succeeded and the others have ended.
        None => counts.succeeded > 0 && counts.active == 0,
    };
    complete.then_some(COMPLETED)
}

/// Creates or deletes pods so that as many run as should.
fn scale(
    job: &Job,
    spec: &JobSpec,
    mut active: Vec<&Arc<Pod>>,
    counts: &Counts,
    now: Timestamp,
) -> Vec<Action> {
    let parallelism = spec.parallelism.unwrap_or(1);
    let wanted = match spec.completions {
        Some(completions) => parallelism.min(completions - counts.succeeded),
        // Once one has succeeded, no more are started.
        None if counts.succeeded > 0 => counts.active.min(parallelism),
        None => parallelism,
    };
    let missing = wanted - counts.active;
    if missing < 0 {
        active.sort_by_key(|pod| {
            (
                is_ready(pod),
                Reverse(pod.metadata.creation_timestamp.clone()),
            )
        });
        let surplus = usize::try_from(-missing).unwrap_or(0);
        return active
            .iter()
            .take(surplus)
            .map(|pod| Action::delete(&***pod))
            .collect();
    }
    // A replacement waits until the pod that it replaces is gone.
    let missing = usize::try_from(missing - counts.terminating).unwrap_or(0);
    if missing == 0 {
        return Vec::new();
    }
    if let Some(wait) = retry_in(counts, now) {
        return vec![Action::After(wait)];
    }
    let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    let owner = owner_reference(job);
    let mut pod = from_template(&spec.template, namespace, &name_prefix(name), owner);
    let labels = pod.metadata.labels.get_or_insert_default();
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        ("job-name", name),
    ] {
        labels.insert(label.to_owned(), value.to_owned());
    }
    let mut actions = vec![Action::create(&pod); missing];
    // The reasons of the next failures must not be hidden by the ones before.
    actions.truncate(usize::try_from(parallelism).unwrap_or(0));
    actions
}

/// How long a replacement still waits after the last failure.
fn retry_in(counts: &Counts, now: Timestamp) -> Option<Duration> {
    let last = counts.last_failure?;
    let doublings = u32::try_from(counts.failed.clamp(1, 16) - 1).unwrap_or(0);
    let delay = Duration::from_secs((RETRY_SECONDS_MIN << doublings).min(RETRY_SECONDS_MAX));
    let passed = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    let left = delay.saturating_sub(passed);
    (!left.is_zero()).then_some(left)
}

fn finish(status: &mut JobStatus, verdict: Verdict, now: Timestamp) {
    let Verdict {
        complete,
        reason,
        message,
    } = verdict;
    let (soon, last) = if complete {
        ("SuccessCriteriaMet", "Complete")
    } else {
        ("FailureTarget", "Failed")
    };
    set(status, soon, "True", reason, message, now);
    set(status, last, "True", reason, message, now);
    status.active = Some(0);
    status.ready = Some(0);
    if complete {
        status.completion_time = Some(Time(now));
    }
}

/// Sets a condition and returns whether that changed its status.
fn set(
    status: &mut JobStatus,
    type_: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    if conditions
        .iter()
        .any(|condition| condition.type_ == type_ && condition.status == value)
    {
        return false;
    }
    conditions.retain(|condition| condition.type_ != type_);
    conditions.push(JobCondition {
        type_: type_.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    });
    true
}

fn finished_at(status: &JobStatus) -> Option<Timestamp> {
    let ended = status.conditions.iter().flatten().find(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    })?;
    Some(
        ended
            .last_transition_time
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    )
}

/// Deletes a Job whose time after its end is over.
fn forget(job: &Job, spec: &JobSpec, finished_at: Timestamp, now: Timestamp) -> Vec<Action> {
    let Some(seconds) = spec.ttl_seconds_after_finished else {
        return Vec::new();
    };
    if job.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let left = SignedDuration::from_secs(seconds.into()) - now.duration_since(finished_at);
    match Duration::try_from(left) {
        Ok(left) if !left.is_zero() => vec![Action::After(left)],
        _ => vec![Action::delete(job)],
    }
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let jobs = informers.of::<Job>();
    let pods = informers.of::<Pod>();
    let executor = Executor::new(informers.client().clone(), "job-controller");
    jobs.ready().await;
    pods.ready().await;
    let on_job = queue.clone();
    jobs.on_change(move |change| on_job.add(Key::of(&change.object().metadata)));
    pods.on_change(move |change| {
        let pod = change.object();
        let owner = controller_of(&pod.metadata).filter(|owner| owner.kind == "Job");
        if let Some(owner) = owner {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            queue.add(Key::new(namespace, &owner.name));
        }
    });
    let shutdown = informers.shutdown().clone();
    let config = WorkConfig::default();
    let keys = || jobs.keys();
    let reconcile = |key| reconcile(&jobs, &pods, &executor, key);
    run_controller("job", config, work, shutdown, keys, reconcile).await;
}

async fn reconcile(
    jobs: &Informer<Job>,
    pods: &Informer<Pod>,
    executor: &Executor,
    key: Key,
) -> Result<Next, Failure> {
    let Some(job) = jobs.get(&key.namespace, &key.name) else {
        return Ok(Next::Signal);
    };
    let uid = job.metadata.uid.as_deref();
    let mine = pods.filter(&key.namespace, |pod| {
        uid.is_some() && controller_of(&pod.metadata).map(|owner| owner.uid.as_str()) == uid
    });
    let actions = step(&job, &mine, Timestamp::now());
    let done = executor.run(&object_reference(&*job), actions).await?;
    for (kind, meta) in &done.written {
        match kind.as_str() {
            "Pod" => pods.caught_up(meta).await,
            _ => jobs.caught_up(meta).await,
        }
    }
    Ok(done.next)
}
