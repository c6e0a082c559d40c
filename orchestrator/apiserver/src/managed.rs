//! Who manages which field: the tracking of every write, and server-side apply.
//!
//! The rules live in `orchestrator-api`; this file brings them together with requests.

use jiff::Timestamp;
use ordain_orchestrator_api::{
    apply::{self, FieldSet, Schema, Writer},
    conform, decode as parsing,
};
use serde_json::Value;

use crate::{
    body::Answer,
    change,
    core::Core,
    decode::{self, Validation},
    json::{as_map, entry_map, str_at},
    pipeline::{Call, object_answer},
    registry::Resource,
    status::{Cause, Failure},
    write::{self, Managing, Part},
};

/// Who creates and applies at the same time is tried again this often.
const TRIES_MAX: usize = 5;

/// Returns what an endpoint does not let anyone write, as in the strategies' `GetResetFields`.
fn ignored(resource: &Resource, part: Part) -> FieldSet {
    match part {
        Part::Status => FieldSet::of_fields(&[
            "spec",
            "metadata.labels",
            "metadata.annotations",
            "metadata.finalizers",
            "metadata.ownerReferences",
        ]),
        Part::Whole if resource.subresource("status").is_some() => FieldSet::of_fields(&["status"]),
        _ => FieldSet::of_fields(&[]),
    }
}

/// Returns what is known about the fields of a resource, in its own or in its stored version.
fn schema<'a>(core: &'a Core, resource: &'a Resource, stored: bool) -> Schema<'a> {
    if let Some(custom) = &resource.custom {
        return Schema::of_custom_resource(core.table, &custom.schema);
    }
    let kind = core
        .table
        .kind_of(&resource.storage_version, &resource.kind);
    match kind.map(|k| k.ty).filter(|_| stored).or(resource.ty) {
        Some(ty) => Schema::of_type(core.table, ty),
        None => Schema::deduced(),
    }
}

/// Returns a new object in its stored version with its managed fields, after any write but an
/// apply. `old` is what was stored before.
pub(crate) fn track(
    call: &Call,
    old: Option<&Value>,
    new: Value,
    manager: &str,
    part: Part,
) -> Value {
    let resource = &call.resource;
    let writer = Writer {
        manager,
        api_version: &resource.storage_version,
        subresource: part.name(),
        now: Timestamp::now(),
        ignored: &ignored(resource, part),
    };
    apply::track_update(
        &schema(&call.core, resource, true),
        old.unwrap_or(&Value::Null),
        new,
        writer,
    )
}

/// Answers a server-side apply.
pub(crate) async fn apply(call: &Call, part: Part) -> Result<Answer, Failure> {
    let manager = call.query.get("fieldManager");
    if manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Failure::invalid(
            "meta.k8s.io",
            "PatchOptions",
            "",
            &[cause],
        ));
    }
    call.field_manager()?;
    let force = call.query.flag("force");
    let resource = &call.resource;
    let mut warnings = Vec::new();
    let config = configuration(call, &mut warnings)?;
    let ignored = ignored(resource, part);
    let api_version = resource.api_version();
    let schema = schema(&call.core, resource, false);
    let merge = |live: &Value| {
        let writer = Writer {
            manager,
            api_version: &api_version,
            subresource: part.name(),
            now: Timestamp::now(),
            ignored: &ignored,
        };
        let merged = apply::apply(&schema, live, &config, writer, force)?;
        decode::typed(call, resource, merged, &[], &mut Vec::new())
    };
    for _ in 0..TRIES_MAX {
        let changed = change::change(call, part, &Managing::Keep, |live, new| {
            *new = merge(live)?;
            Ok(())
        })
        .await;
        let missing =
            matches!(&changed, Err(failure) if failure.code == 404) && part == Part::Whole;
        let (code, object) = if missing {
            let uid = str_at(&config, &["metadata", "uid"]);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(resource.subject(&call.target.name).conflict(&why));
            }
            match write::insert(call, merge(&Value::Null)?, &Managing::Keep).await {
                Err(failure) if failure.reason == "AlreadyExists" => continue,
                created => (201, created?),
            }
        } else {
            (200, changed?)
        };
        let mut answer = object_answer(call, code, &object)?;
        decode::add_warnings(&mut answer, &warnings);
        return Ok(answer);
    }
    Err(resource.subject(&call.target.name).modified())
}

/// Reads the configuration of an apply. Fields the type does not have are refused or dropped;
/// nulls stay, since they mean something here.
fn configuration(call: &Call, warnings: &mut Vec<String>) -> Result<Value, Failure> {
    let resource = &call.resource;
    let is_json = call.body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let parsed = if is_json {
        parsing::from_json(&call.body)
    } else {
        parsing::from_yaml(&call.body)
    };
    let parsed = parsed.map_err(|e| Failure::bad_request(format!("error decoding YAML: {e}")))?;
    let mut config = parsed.value;
    if !config.is_object() {
        return Err(Failure::bad_request(
            "the body of an apply must be an object",
        ));
    }
    let metadata = entry_map(as_map(&mut config), "metadata");
    let text = |field: &str| {
        metadata
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let (name, namespace) = (text("name"), text("namespace"));
    if !name.is_empty() && name != call.target.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.target.name
        )));
    }
    if !namespace.is_empty() && namespace != call.target.namespace {
        return Err(Failure::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the request ({})",
            call.target.namespace
        )));
    }
    metadata.insert("name".into(), call.target.name.as_str().into());
    if resource.namespaced {
        metadata.insert("namespace".into(), call.target.namespace.as_str().into());
    }
    if str_at(&config, &["kind"]) != resource.kind {
        return Err(Failure::bad_request(format!(
            "the kind in the data ({}) does not match the expected kind ({})",
            str_at(&config, &["kind"]),
            resource.kind
        )));
    }
    let mut fitted = config.clone();
    let unknown = match (&resource.custom, resource.ty) {
        (Some(custom), _) => crate::custom::conform(call.core.table, custom, &mut fitted),
        (None, Some(ty)) => {
            conform::conform(call.core.table, ty, &mut fitted).map_err(|e| e.to_string())
        }
        (None, None) => Ok(Vec::new()),
    };
    let unknown = unknown
        .map_err(|why| conform::cannot_be_handled(&resource.kind, &resource.version, why))?;
    Validation::of(call)?.judge(&unknown, &parsed.duplicates, warnings)?;
    Ok(if unknown.is_empty() { config } else { fitted })
}
