//! Rows of configuration, storage, access and classes.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, NAME, cells};
use crate::json::{at, bool_at, int_at, list_at, map_at, str_at};

const fn text(name: &'static str) -> Column {
    Column(name, "string", "", 0)
}

const fn wide(name: &'static str) -> Column {
    Column(name, "string", "", 1)
}

pub(super) const NAMESPACE: &[Column] = &[NAME, text("Status"), AGE];

pub(super) fn namespace(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        str_at(object, &["status", "phase"]).into(),
        cells::age(object, now),
    ]
}

pub(super) const CONFIG_MAP: &[Column] = &[NAME, Column("Data", "integer", "", 0), AGE];

pub(super) fn config_map(object: &Value, now: Timestamp) -> Vec<Value> {
    let count: usize = ["data", "binaryData"]
        .iter()
        .filter_map(|f| map_at(object, &[f]))
        .map(serde_json::Map::len)
        .sum();
    vec![cells::name(object), count.into(), cells::age(object, now)]
}

pub(super) const SECRET: &[Column] = &[NAME, text("Type"), Column("Data", "integer", "", 0), AGE];

pub(super) fn secret(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        str_at(object, &["type"]).into(),
        map_at(object, &["data"])
            .map_or(0, serde_json::Map::len)
            .into(),
        cells::age(object, now),
    ]
}

pub(super) const SERVICE_ACCOUNT: &[Column] = &[NAME, Column("Secrets", "integer", "", 0), AGE];

pub(super) fn service_account(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        list_at(object, &["secrets"]).len().into(),
        cells::age(object, now),
    ]
}

/// Access modes by their abbreviations.
fn modes(list: &[Value]) -> String {
    let short = |mode: &Value| match mode.as_str().unwrap_or("") {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    list.iter().map(short).collect::<Vec<_>>().join(",")
}

pub(super) const VOLUME: &[Column] = &[
    NAME,
    text("Capacity"),
    text("Access Modes"),
    text("Reclaim Policy"),
    text("Status"),
    text("Claim"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Reason"),
    AGE,
    wide("VolumeMode"),
];

pub(super) fn volume(object: &Value, now: Timestamp) -> Vec<Value> {
    let claim = at(object, &["spec", "claimRef"]).map_or(String::new(), |c| {
        format!("{}/{}", str_at(c, &["namespace"]), str_at(c, &["name"]))
    });
    let phase = if at(object, &["metadata", "deletionTimestamp"]).is_some() {
        "Terminating"
    } else {
        str_at(object, &["status", "phase"])
    };
    vec![
        cells::name(object),
        str_at(object, &["spec", "capacity", "storage"]).into(),
        modes(list_at(object, &["spec", "accessModes"])).into(),
        str_at(object, &["spec", "persistentVolumeReclaimPolicy"]).into(),
        phase.into(),
        claim.into(),
        str_at(object, &["spec", "storageClassName"]).into(),
        cells::or(
            str_at(object, &["spec", "volumeAttributesClassName"]),
            "<unset>",
        )
        .into(),
        str_at(object, &["status", "reason"]).into(),
        cells::age(object, now),
        cells::or(str_at(object, &["spec", "volumeMode"]), "<unset>").into(),
    ]
}

pub(super) const CLAIM: &[Column] = &[
    NAME,
    text("Status"),
    text("Volume"),
    text("Capacity"),
    text("Access Modes"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    AGE,
    wide("VolumeMode"),
];

pub(super) fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let bound = !str_at(object, &["spec", "volumeName"]).is_empty();
    let phase = if at(object, &["metadata", "deletionTimestamp"]).is_some() {
        "Terminating"
    } else {
        str_at(object, &["status", "phase"])
    };
    vec![
        cells::name(object),
        phase.into(),
        str_at(object, &["spec", "volumeName"]).into(),
        if bound {
            str_at(object, &["status", "capacity", "storage"])
        } else {
            ""
        }
        .into(),
        if bound {
            modes(list_at(object, &["status", "accessModes"]))
        } else {
            String::new()
        }
        .into(),
        str_at(object, &["spec", "storageClassName"]).into(),
        cells::or(
            str_at(object, &["spec", "volumeAttributesClassName"]),
            "<unset>",
        )
        .into(),
        cells::age(object, now),
        cells::or(str_at(object, &["spec", "volumeMode"]), "<unset>").into(),
    ]
}

pub(super) const STORAGE_CLASS: &[Column] = &[
    NAME,
    text("Provisioner"),
    text("ReclaimPolicy"),
    text("VolumeBindingMode"),
    text("AllowVolumeExpansion"),
    AGE,
];

pub(super) fn storage_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let note = str_at(
        object,
        &[
            "metadata",
            "annotations",
            "storageclass.kubernetes.io/is-default-class",
        ],
    );
    let name = str_at(object, &["metadata", "name"]);
    vec![
        if note == "true" {
            format!("{name} (default)")
        } else {
            name.to_owned()
        }
        .into(),
        str_at(object, &["provisioner"]).into(),
        cells::or(str_at(object, &["reclaimPolicy"]), "Delete").into(),
        cells::or(str_at(object, &["volumeBindingMode"]), "<unset>").into(),
        bool_at(object, &["allowVolumeExpansion"]).into(),
        cells::age(object, now),
    ]
}

pub(super) const EVENT: &[Column] = &[
    text("Last Seen"),
    text("Type"),
    text("Reason"),
    text("Object"),
    wide("Subobject"),
    wide("Source"),
    text("Message"),
    wide("First Seen"),
    wide("Count"),
    Column("Name", "string", "name", 1),
];

pub(super) fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    // The same rows for both groups' names of the fields.
    let either = |a: &str, b: &str| {
        at(object, &[a])
            .or(at(object, &[b]))
            .unwrap_or(&Value::Null)
            .clone()
    };
    let about = either("involvedObject", "regarding");
    let first = either("firstTimestamp", "deprecatedFirstTimestamp");
    let event_time = str_at(object, &["eventTime"]);
    let first = cells::or(first.as_str().unwrap_or(""), event_time).to_owned();
    let last = either("lastTimestamp", "deprecatedLastTimestamp");
    let last = cells::or(last.as_str().unwrap_or(""), &first).to_owned();
    let last = cells::or(str_at(object, &["series", "lastObservedTime"]), &last).to_owned();
    let source = either("source", "deprecatedSource");
    let component = either("reportingComponent", "reportingController");
    let component = cells::or(
        str_at(&source, &["component"]),
        component.as_str().unwrap_or(""),
    )
    .to_owned();
    let host = str_at(&source, &["host"]);
    let count = either("count", "deprecatedCount")
        .as_i64()
        .filter(|n| *n > 0);
    let count = int_at(object, &["series", "count"]).or(count).unwrap_or(1);
    let kind = str_at(&about, &["kind"]).to_lowercase();
    vec![
        cells::since(&last, now).into(),
        str_at(object, &["type"]).into(),
        str_at(object, &["reason"]).into(),
        format!("{kind}/{}", str_at(&about, &["name"])).into(),
        str_at(&about, &["fieldPath"]).into(),
        if host.is_empty() {
            component
        } else {
            format!("{component}, {host}")
        }
        .into(),
        either("message", "note")
            .as_str()
            .unwrap_or("")
            .trim()
            .into(),
        cells::since(&first, now).into(),
        count.into(),
        cells::name(object),
    ]
}

pub(super) const LEASE: &[Column] = &[NAME, text("Holder"), AGE];

pub(super) fn lease(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        str_at(object, &["spec", "holderIdentity"]).into(),
        cells::age(object, now),
    ]
}

pub(super) const ROLE: &[Column] = &[NAME, Column("Created At", "date", "", 0)];
pub(super) const CREATED: &[Column] = &[NAME, Column("Created At", "date", "", 0)];

pub(super) fn role(object: &Value, _now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        str_at(object, &["metadata", "creationTimestamp"]).into(),
    ]
}

pub(super) fn created(object: &Value, now: Timestamp) -> Vec<Value> {
    role(object, now)
}

pub(super) const BINDING: &[Column] = &[
    NAME,
    text("Role"),
    AGE,
    wide("Users"),
    wide("Groups"),
    wide("ServiceAccounts"),
];

pub(super) fn binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let of = |kind: &str| {
        let subjects = list_at(object, &["subjects"])
            .iter()
            .filter(|s| str_at(s, &["kind"]) == kind);
        let names = subjects.map(|s| match str_at(s, &["namespace"]) {
            "" => str_at(s, &["name"]).to_owned(),
            namespace => format!("{namespace}/{}", str_at(s, &["name"])),
        });
        names.collect::<Vec<_>>().join(", ")
    };
    vec![
        cells::name(object),
        format!(
            "{}/{}",
            str_at(object, &["roleRef", "kind"]),
            str_at(object, &["roleRef", "name"])
        )
        .into(),
        cells::age(object, now),
        of("User").into(),
        of("Group").into(),
        of("ServiceAccount").into(),
    ]
}

pub(super) const PRIORITY_CLASS: &[Column] = &[
    NAME,
    Column("Value", "integer", "", 0),
    Column("Global-Default", "boolean", "", 0),
    AGE,
    text("PreemptionPolicy"),
];

pub(super) fn priority_class(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        cells::number(object, &["value"]).into(),
        bool_at(object, &["globalDefault"]).into(),
        cells::age(object, now),
        str_at(object, &["preemptionPolicy"]).into(),
    ]
}

pub(super) const SIGNING_REQUEST: &[Column] = &[
    NAME,
    AGE,
    text("SignerName"),
    text("Requestor"),
    text("RequestedDuration"),
    text("Condition"),
];

pub(super) fn signing_request(object: &Value, now: Timestamp) -> Vec<Value> {
    let conditions: Vec<&str> = list_at(object, &["status", "conditions"])
        .iter()
        .map(|c| str_at(c, &["type"]))
        .collect();
    let mut state = if conditions.contains(&"Denied") {
        "Denied"
    } else if conditions.contains(&"Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if conditions.contains(&"Failed") {
        state.push_str(",Failed");
    }
    if !str_at(object, &["status", "certificate"]).is_empty() {
        state.push_str(",Issued");
    }
    let duration = int_at(object, &["spec", "expirationSeconds"]);
    vec![
        cells::name(object),
        cells::age(object, now),
        str_at(object, &["spec", "signerName"]).into(),
        str_at(object, &["spec", "username"]).into(),
        duration.map_or(cells::NONE.to_owned(), cells::human).into(),
        state.into(),
    ]
}

pub(super) const DEFINITION: &[Column] = &[NAME, Column("Created At", "date", "", 0)];

pub(super) fn definition(object: &Value, now: Timestamp) -> Vec<Value> {
    role(object, now)
}

pub(super) const COMPONENT: &[Column] = &[NAME, text("Status"), text("Message"), text("Error")];

pub(super) fn component(object: &Value, _now: Timestamp) -> Vec<Value> {
    let condition = list_at(object, &["conditions"])
        .first()
        .unwrap_or(&Value::Null);
    let healthy = str_at(condition, &["status"]) == "True";
    vec![
        cells::name(object),
        if healthy { "Healthy" } else { "Unhealthy" }.into(),
        str_at(condition, &["message"]).into(),
        str_at(condition, &["error"]).into(),
    ]
}

pub(super) const RUNTIME_CLASS: &[Column] = &[NAME, text("Handler"), AGE];

pub(super) fn runtime_class(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        str_at(object, &["handler"]).into(),
        cells::age(object, now),
    ]
}

pub(super) const QUOTA: &[Column] = &[NAME, text("Request"), text("Limit"), AGE];

pub(super) fn quota(object: &Value, now: Timestamp) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in map_at(object, &["status", "hard"]).into_iter().flatten() {
        let used = str_at(object, &["status", "used", name]);
        let entry = format!(
            "{name}: {}/{}",
            cells::or(used, "0"),
            hard.as_str().unwrap_or("")
        );
        if name.starts_with("limits") {
            &mut limits
        } else {
            &mut requests
        }
        .push(entry);
    }
    requests.sort();
    limits.sort();
    vec![
        cells::name(object),
        requests.join(", ").into(),
        limits.join(", ").into(),
        cells::age(object, now),
    ]
}

pub(super) const API_SERVICE: &[Column] = &[NAME, text("Service"), text("Available"), AGE];

pub(super) fn api_service(object: &Value, now: Timestamp) -> Vec<Value> {
    let service = match at(object, &["spec", "service"]) {
        None => "Local".to_owned(),
        Some(s) => format!("{}/{}", str_at(s, &["namespace"]), str_at(s, &["name"])),
    };
    let available =
        super::condition(object, "Available").map_or("Unknown", |c| str_at(c, &["status"]));
    vec![
        cells::name(object),
        service.into(),
        available.into(),
        cells::age(object, now),
    ]
}

pub(super) const WEBHOOKS: &[Column] = &[NAME, Column("Webhooks", "integer", "", 0), AGE];

pub(super) fn webhooks(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        list_at(object, &["webhooks"]).len().into(),
        cells::age(object, now),
    ]
}
