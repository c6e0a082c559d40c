//! Rows of workloads, autoscalers and budgets.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, NAME, cells};
use crate::json::{at, bool_at, int_at, list_at, map_at, str_at};

const CONTAINERS: Column = Column("Containers", "string", "", 1);
const IMAGES: Column = Column("Images", "string", "", 1);
const SELECTOR: Column = Column("Selector", "string", "", 1);

/// Returns the three cells of `-o wide` that all workloads share.
fn wide(object: &Value, selector: String) -> [Value; 3] {
    let spec = at(object, &["spec", "template", "spec"]).unwrap_or(&Value::Null);
    let (containers, images) = cells::containers(spec);
    [containers.into(), images.into(), selector.into()]
}

fn selector(object: &Value) -> String {
    cells::selector(at(object, &["spec", "selector"]))
}

pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    Column("Ready", "string", "", 0),
    Column("Up-to-date", "string", "", 0),
    Column("Available", "string", "", 0),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let wanted = cells::number(object, &["spec", "replicas"]);
    let mut row = vec![
        cells::name(object),
        format!(
            "{}/{wanted}",
            cells::number(object, &["status", "readyReplicas"])
        )
        .into(),
        cells::number(object, &["status", "updatedReplicas"]).into(),
        cells::number(object, &["status", "availableReplicas"]).into(),
        cells::age(object, now),
    ];
    row.extend(wide(object, selector(object)));
    row
}

pub(super) const REPLICA_SET: &[Column] = &[
    NAME,
    Column("Desired", "integer", "", 0),
    Column("Current", "integer", "", 0),
    Column("Ready", "integer", "", 0),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut row = vec![
        cells::name(object),
        cells::number(object, &["spec", "replicas"]).into(),
        cells::number(object, &["status", "replicas"]).into(),
        cells::number(object, &["status", "readyReplicas"]).into(),
        cells::age(object, now),
    ];
    // A ReplicationController's selector is a plain map.
    let shown = match at(object, &["spec", "selector"]) {
        Some(s) if s.get("matchLabels").is_none() && s.get("matchExpressions").is_none() => {
            cells::pairs(s.as_object())
        }
        _ => selector(object),
    };
    row.extend(wide(object, shown));
    row
}

pub(super) const STATEFUL_SET: &[Column] = &[
    NAME,
    Column("Ready", "string", "", 0),
    AGE,
    CONTAINERS,
    IMAGES,
];

pub(super) fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let wanted = cells::number(object, &["spec", "replicas"]);
    let mut row = vec![
        cells::name(object),
        format!(
            "{}/{wanted}",
            cells::number(object, &["status", "readyReplicas"])
        )
        .into(),
        cells::age(object, now),
    ];
    row.extend(wide(object, String::new()).into_iter().take(2));
    row
}

pub(super) const DAEMON_SET: &[Column] = &[
    NAME,
    Column("Desired", "integer", "", 0),
    Column("Current", "integer", "", 0),
    Column("Ready", "integer", "", 0),
    Column("Up-to-date", "integer", "", 0),
    Column("Available", "integer", "", 0),
    Column("Node Selector", "string", "", 0),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = |field| Value::from(cells::number(object, &["status", field]));
    let mut row = vec![
        cells::name(object),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        cells::pairs(map_at(
            object,
            &["spec", "template", "spec", "nodeSelector"],
        ))
        .into(),
        cells::age(object, now),
    ];
    row.extend(wide(object, selector(object)));
    row
}

pub(super) const REVISION: &[Column] = &[
    NAME,
    Column("Controller", "string", "", 0),
    Column("Revision", "string", "", 0),
    AGE,
];

pub(super) fn revision(object: &Value, now: Timestamp) -> Vec<Value> {
    let owner = list_at(object, &["metadata", "ownerReferences"])
        .iter()
        .find(|o| bool_at(o, &["controller"]))
        .map_or(cells::NONE.to_owned(), |o| {
            let group = str_at(o, &["apiVersion"])
                .split_once('/')
                .map_or("", |(g, _)| g);
            let dot = if group.is_empty() { "" } else { "." };
            format!(
                "{}{dot}{group}/{}",
                str_at(o, &["kind"]).to_lowercase(),
                str_at(o, &["name"])
            )
        });
    vec![
        cells::name(object),
        owner.into(),
        cells::number(object, &["revision"]).into(),
        cells::age(object, now),
    ]
}

pub(super) const JOB: &[Column] = &[
    NAME,
    Column("Status", "string", "", 0),
    Column("Completions", "string", "", 0),
    Column("Duration", "string", "", 0),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let done = cells::number(object, &["status", "succeeded"]);
    let completions = match int_at(object, &["spec", "completions"]) {
        Some(wanted) => format!("{done}/{wanted}"),
        None => match cells::number(object, &["spec", "parallelism"]) {
            many if many > 1 => format!("{done}/1 of {many}"),
            _ => format!("{done}/1"),
        },
    };
    let (start, end) = (
        str_at(object, &["status", "startTime"]),
        str_at(object, &["status", "completionTime"]),
    );
    let duration = match (start.parse::<Timestamp>(), end.parse::<Timestamp>()) {
        (Err(_), _) => String::new(),
        (Ok(start), Ok(end)) => cells::human(end.as_second() - start.as_second()),
        (Ok(start), Err(_)) => cells::human(now.as_second() - start.as_second()),
    };
    let is =
        |kind| super::condition(object, kind).is_some_and(|c| str_at(c, &["status"]) == "True");
    let status = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if at(object, &["metadata", "deletionTimestamp"]).is_some() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    let mut row = vec![
        cells::name(object),
        status.into(),
        completions.into(),
        duration.into(),
        cells::age(object, now),
    ];
    row.extend(wide(object, selector(object)));
    row
}

pub(super) const CRON_JOB: &[Column] = &[
    NAME,
    Column("Schedule", "string", "", 0),
    Column("Timezone", "string", "", 0),
    Column("Suspend", "boolean", "", 0),
    Column("Active", "integer", "", 0),
    Column("Last Schedule", "string", "", 0),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn cron_job(object: &Value, now: Timestamp) -> Vec<Value> {
    let last = str_at(object, &["status", "lastScheduleTime"]);
    let template = at(object, &["spec", "jobTemplate"]).unwrap_or(&Value::Null);
    let mut row = vec![
        cells::name(object),
        str_at(object, &["spec", "schedule"]).into(),
        cells::or(str_at(object, &["spec", "timeZone"]), cells::NONE).into(),
        if bool_at(object, &["spec", "suspend"]) {
            "True"
        } else {
            "False"
        }
        .into(),
        list_at(object, &["status", "active"]).len().into(),
        if last.is_empty() {
            cells::NONE.to_owned()
        } else {
            cells::since(last, now)
        }
        .into(),
        cells::age(object, now),
    ];
    row.extend(wide(
        template,
        cells::selector(at(template, &["spec", "selector"])),
    ));
    row
}

pub(super) const AUTOSCALER: &[Column] = &[
    NAME,
    Column("Reference", "string", "", 0),
    Column("Targets", "string", "", 0),
    Column("MinPods", "string", "", 0),
    Column("MaxPods", "string", "", 0),
    Column("Replicas", "string", "", 0),
    AGE,
];

pub(super) fn autoscaler(object: &Value, now: Timestamp) -> Vec<Value> {
    let target = |metric: &Value, current: Option<&Value>| {
        let name = str_at(metric, &["resource", "name"]);
        let now = current.and_then(|c| int_at(c, &["resource", "current", "averageUtilization"]));
        let now = now.map_or(cells::UNKNOWN.to_owned(), |n| format!("{n}%"));
        match int_at(metric, &["resource", "target", "averageUtilization"]) {
            Some(wanted) => format!("{name}: {now}/{wanted}%"),
            None => cells::UNKNOWN.to_owned(),
        }
    };
    let current = list_at(object, &["status", "currentMetrics"]);
    let mut targets: Vec<String> = list_at(object, &["spec", "metrics"])
        .iter()
        .enumerate()
        .map(|(index, metric)| target(metric, current.get(index)))
        .collect();
    if let Some(wanted) = int_at(object, &["spec", "targetCPUUtilizationPercentage"]) {
        targets.push(format!("cpu: {}/{wanted}%", cells::UNKNOWN));
    }
    let reference = at(object, &["spec", "scaleTargetRef"]).unwrap_or(&Value::Null);
    vec![
        cells::name(object),
        format!(
            "{}/{}",
            str_at(reference, &["kind"]),
            str_at(reference, &["name"])
        )
        .into(),
        if targets.is_empty() {
            cells::NONE.to_owned()
        } else {
            targets.join(", ")
        }
        .into(),
        int_at(object, &["spec", "minReplicas"]).map_or("<unset>".into(), |n| n.to_string().into()),
        cells::number(object, &["spec", "maxReplicas"]).into(),
        cells::number(object, &["status", "currentReplicas"]).into(),
        cells::age(object, now),
    ]
}

pub(super) const BUDGET: &[Column] = &[
    NAME,
    Column("Min Available", "string", "", 0),
    Column("Max Unavailable", "string", "", 0),
    Column("Allowed Disruptions", "integer", "", 0),
    AGE,
];

pub(super) fn budget(object: &Value, now: Timestamp) -> Vec<Value> {
    let amount = |field| match at(object, &["spec", field]) {
        None | Some(Value::Null) => Value::from("N/A"),
        Some(Value::String(text)) => text.as_str().into(),
        Some(other) => other.to_string().into(),
    };
    vec![
        cells::name(object),
        amount("minAvailable"),
        amount("maxUnavailable"),
        cells::number(object, &["status", "disruptionsAllowed"]).into(),
        cells::age(object, now),
    ]
}
