//! Server-side apply, and the tracking of who owns which fields. It does not store, default or
//! validate the object that comes of it.
//!
//! Rules: k8s.io/apimachinery/pkg/util/managedfields and structured-merge-diff, merge/update.go.
//! Differences: all entries are read in the version of the request, and a refused configuration is
//! a 400 where upstream answers 500.

mod managed;
mod schema;
mod set;
mod walk;

pub use self::{
    managed::Operation,
    schema::Schema,
    set::{FieldSet, FieldsError, PathElement},
};

use jiff::Timestamp;
use serde_json::Value;

use self::{
    managed::{Managed, ManagerId, is_reset},
    set::show_path,
    walk::{Comparison, compare, field_set, live_field_set, merge, remove, with_named_fields},
};
use crate::{
    meta,
    status::{Status, StatusCause},
    time::format_time,
};

/// The manager of what was there before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager whose client-side applies leave an annotation.
const KUBECTL: &str = "kubectl";
/// Where client-side apply keeps the last configuration.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// 256 KiB, the most that all annotations of an object may hold together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// Metadata that no manager owns: the server sets it, or it names the object.
const UNOWNED: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
    "metadata.clusterName",
    "metadata.creationTimestamp",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.name",
    "metadata.namespace",
    "metadata.resourceVersion",
    "metadata.selfLink",
    "metadata.uid",
];

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'w> {
    /// The field manager; an empty name counts as `unknown`.
    pub manager: &'w str,
    /// The `apiVersion` that the request is in.
    pub api_version: &'w str,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'w str,
    /// The time of the request.
    pub now: Timestamp,
    /// Paths that this endpoint does not let anyone write (`status` on the main resource of a kind
    /// with a status subresource, everything else on the subresource).
    pub ignored: &'w FieldSet,
}

impl Writer<'_> {
    fn id(&self, operation: Operation) -> ManagerId {
        let manager = if self.manager.is_empty() {
            "unknown"
        } else {
            self.manager
        };
        ManagerId {
            manager: manager.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
        }
    }
}

/// Returns the new object with its `managedFields` after a create, update or any patch but apply.
///
/// `live` is the stored object, `Null` on create; `new` is what will be stored, in the form of its
/// type. A malformed `managedFields` in the request is replaced by the live one, a reset
/// (`[{}]`) forgets all managers.
pub fn track_update(
    schema: &Schema<'_>,
    live: &Value,
    mut new: Value,
    writer: Writer<'_>,
) -> Value {
    let managed = managed_before(live, &new, writer.subresource);
    let reset = is_reset(&new) && writer.subresource.is_empty();
    remove_managed(&mut new);
    if managed.0.is_empty() && !live.is_null() {
        // Nobody was tracked so far (or all were forgotten), so tracking starts with an apply.
        if !reset {
            managed.write(&mut new);
        }
        return new;
    }
    let managed = updated(schema, live, &new, managed, writer);
    managed.write(&mut new);
    new
}

/// Tells whether storing `new` over `live` would change nothing but the times of managers, so that
/// it need not be stored at all.
pub fn is_no_op(live: &Value, new: &Value) -> bool {
    let managers = |object| Managed::read(object).unwrap_or_default();
    bare(live) == bare(new) && managers(live).same_but_times(&managers(new))
}

/// A manager of an object with what it owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Manager {
    /// The field manager.
    pub name: String,
    /// How it came to its fields.
    pub operation: Operation,
    /// The subresource that it wrote; empty for the object itself.
    pub subresource: String,
    /// What it owns.
    pub fields: FieldSet,
}

/// Returns the managers of an object, none when `managedFields` is absent or malformed.
pub fn managers(object: &Value) -> Vec<Manager> {
    let entries = Managed::read(object).unwrap_or_default().0.into_iter();
    entries
        .map(|entry| Manager {
            name: entry.id.manager,
            operation: entry.id.operation,
            subresource: entry.id.subresource,
            fields: entry.fields,
        })
        .collect()
}

/// Returns the managers that a write starts from.
fn managed_before(live: &Value, new: &Value, subresource: &str) -> Managed {
    let of_live = || Managed::read(live).unwrap_or_default();
    if !subresource.is_empty() {
        return of_live();
    }
    if is_reset(new) {
        return Managed::default();
    }
    match Managed::read(new) {
        Some(managed) if !managed.0.is_empty() => managed,
        _ => of_live(),
    }
}

/// Gives what differs between two objects to the writer, and takes it from all others.
fn updated(
    schema: &Schema<'_>,
    live: &Value,
    new: &Value,
    mut managed: Managed,
    writer: Writer<'_>,
) -> Managed {
    let id = writer.id(Operation::Update);
    let comparison = compare(schema, &bare(live), &bare(new)).without(writer.ignored);
    let taken = comparison.added.union(&comparison.modified);
    // The writer's own entry is one of the others here: it only grows, and loses what is removed.
    for entry in &mut managed.0 {
        let lost = if entry.id.is(&id) {
            &comparison.removed
        } else {
            &taken
        };
        entry.fields = entry
            .fields
            .difference(lost)
            .difference(&comparison.removed);
    }
    managed.0.retain(|entry| !entry.fields.is_empty());
    let taken = taken.difference(&FieldSet::of_fields(&UNOWNED));
    if !taken.is_empty() {
        let before = managed
            .get(&id)
            .map(|entry| entry.fields.clone())
            .unwrap_or_default();
        managed.set(&id, before.union(&taken));
        managed.set_time(&id, &format_time(writer.now));
    }
    managed.cap_updates();
    managed
}

/// Applies a configuration on behalf of a manager and returns the merged object with its
/// `managedFields`. `live` is the stored object, `Null` when the apply creates it.
///
/// When the configuration changes nothing, the live object comes back as it is, times included.
/// The result still has to be brought into the form of its type, defaulted and validated.
///
/// # Errors
/// 409 with a cause per field when other managers own fields that the configuration changes and
/// `force` is not set; 400 when the configuration is malformed.
pub fn apply(
    schema: &Schema<'_>,
    live: &Value,
    config: &Value,
    writer: Writer<'_>,
    force: bool,
) -> Result<Value, Status> {
    let version = config["apiVersion"].as_str().unwrap_or_default();
    if version != writer.api_version {
        return Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            writer.api_version
        )));
    }
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let before = Managed::read(live).unwrap_or_default();
    let mut managed = before.clone();
    if managed.0.is_empty() && !live.is_null() {
        let first = Writer {
            manager: BEFORE_FIRST_APPLY,
            subresource: "",
            ..writer
        };
        managed = updated(schema, &Value::Null, live, managed, first);
    }
    let mut config = config.clone();
    schema.canonicalize(&mut config);
    let set = field_set(schema, &config).map_err(|error| refused(&config, &error))?;
    let applied = Applied {
        schema,
        live,
        config: &config,
        set,
        managed,
        writer,
    };
    let result = match applied.run(force) {
        // A client-side apply owns what its annotation says, so switching over is no conflict.
        Err(conflicts) if writer.manager == KUBECTL && applied.handed_over(&conflicts) => {
            applied.run(true)
        }
        result => result,
    };
    let (mut object, mut managed, same) =
        result.map_err(|conflicts| conflict_status(&conflicts))?;
    if writer.manager == KUBECTL && writer.subresource.is_empty() {
        refresh_last_applied(&mut object, &config);
    }
    let id = writer.id(Operation::Apply);
    let unchanged = same && managed.same_but_times(&before);
    let kept_time = before
        .get(&id)
        .map(|entry| entry.time.clone())
        .unwrap_or_default();
    let time = if same && !kept_time.is_empty() {
        kept_time
    } else {
        format_time(writer.now)
    };
    if unchanged && bare(&object) == bare(live) {
        return Ok(live.clone());
    }
    managed.set_time(&id, &time);
    managed.write(&mut object);
    Ok(object)
}

/// A field that another manager owns.
#[derive(Clone, Debug)]
struct Conflict {
    manager: ManagerId,
    fields: FieldSet,
}

/// An apply request with what is known about it.
struct Applied<'a> {
    schema: &'a Schema<'a>,
    live: &'a Value,
    config: &'a Value,
    /// The fields of the configuration.
    set: FieldSet,
    /// The managers before.
    managed: Managed,
    writer: Writer<'a>,
}

impl Applied<'_> {
    /// Returns the merged object, its managers, and whether the object is as before.
    fn run(&self, force: bool) -> Result<(Value, Managed, bool), Vec<Conflict>> {
        let id = self.writer.id(Operation::Apply);
        let mut managed = self.managed.clone();
        let last = managed
            .get(&id)
            .map(|entry| entry.fields.clone())
            .unwrap_or_default();
        let live = bare(self.live);
        let set = self.set.recursive_difference(self.writer.ignored);
        managed.set(&id, set.difference(&FieldSet::of_fields(&UNOWNED)));

        let config = without_ignored(self.schema, &bare(self.config), self.writer.ignored);
        let mut object = match &live {
            Value::Null => config,
            live => merge(self.schema, Some(live), &config),
        };
        // What the manager applied before, does not apply now, and nobody else owns, goes away.
        let owned = with_named_fields(self.schema, &managed.all_fields().union(&set));
        let there = with_named_fields(self.schema, &live_field_set(self.schema, &object));
        let gone = there
            .difference(&owned)
            .intersection(&with_named_fields(self.schema, &last));
        if !gone.is_empty() {
            object = remove(self.schema, &object, &gone, &owned).unwrap_or(object);
        }
        drop_nulls(&mut object);

        let comparison = compare(self.schema, &live, &object).without(self.writer.ignored);
        let conflicts = conflicts(&managed, &id, &comparison);
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        for conflict in &conflicts {
            if let Some(entry) = managed.get(&conflict.manager) {
                let fields = entry.fields.difference(&conflict.fields);
                managed.set(&conflict.manager, fields);
            }
        }
        managed.take_from_others(&id, &comparison.removed);
        Ok((object, managed, comparison.is_same()))
    }

    /// Tells whether the annotation of client-side apply accounts for all conflicts: it set those
    /// fields to what they are.
    fn handed_over(&self, conflicts: &[Conflict]) -> bool {
        let annotation = meta::annotation(self.live, LAST_APPLIED);
        let Some(last) = annotation.and_then(|text| serde_json::from_str::<Value>(text).ok())
        else {
            return false;
        };
        let set = live_field_set(self.schema, &last);
        let comparison = compare(self.schema, &last, &bare(self.live));
        let allowed = set
            .difference(&comparison.modified)
            .difference(&comparison.added)
            .difference(&comparison.removed);
        conflicts
            .iter()
            .all(|conflict| conflict.fields.difference(&allowed).is_empty())
    }
}

/// Returns the fields that a change would take from others, by manager.
fn conflicts(managed: &Managed, id: &ManagerId, comparison: &Comparison) -> Vec<Conflict> {
    let taken = comparison.modified.union(&comparison.added);
    let others = managed.0.iter().filter(|entry| !entry.id.is(id));
    others
        .map(|entry| Conflict {
            manager: entry.id.clone(),
            fields: entry.fields.intersection(&taken),
        })
        .filter(|conflict| !conflict.fields.is_empty())
        .collect()
}

/// Returns the 409 in upstream's words.
fn conflict_status(conflicts: &[Conflict]) -> Status {
    let mut conflicts: Vec<&Conflict> = conflicts.iter().collect();
    conflicts.sort_by_key(|conflict| show_manager(conflict));
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for conflict in &conflicts {
        let manager = show_manager(conflict);
        lines.push(format!("conflicts with {manager}:"));
        for path in conflict.fields.paths() {
            let path = show_path(&path);
            lines.push(format!("- {path}"));
            causes.push(StatusCause {
                reason: "FieldManagerConflict".into(),
                message: format!("conflict with {manager}"),
                field: path,
            });
        }
    }
    let message = match causes.as_slice() {
        [cause] => format!(
            "Apply failed with 1 conflict: {}: {}",
            cause.message, cause.field
        ),
        causes => format!(
            "Apply failed with {} conflicts: {}",
            causes.len(),
            lines.join("\n")
        ),
    };
    Status::apply_conflict(causes, message)
}

fn show_manager(conflict: &Conflict) -> String {
    let id = &conflict.manager;
    let mut text = format!("{:?}", id.manager);
    if !id.subresource.is_empty() {
        text += &format!(" with subresource {:?}", id.subresource);
    }
    if id.operation == Operation::Update {
        text += &format!(" using {}", id.api_version);
    }
    text
}

/// Returns the 400 of a configuration that has no field set.
fn refused(config: &Value, error: &str) -> Status {
    let (group, version) = match config["apiVersion"]
        .as_str()
        .unwrap_or_default()
        .split_once('/')
    {
        Some((group, version)) => (format!("{group}/"), version),
        None => (
            String::new(),
            config["apiVersion"].as_str().unwrap_or_default(),
        ),
    };
    let kind = config["kind"].as_str().unwrap_or_default();
    Status::bad_request(format!(
        "failed to create typed patch object ({}/{}; {group}{version}, Kind={kind}): {error}",
        meta::namespace(config),
        meta::name(config),
    ))
}

/// Returns an object without its `managedFields`.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    remove_managed(&mut object);
    object
}

fn remove_managed(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.shift_remove("managedFields");
    }
}

fn without_ignored(schema: &Schema<'_>, config: &Value, ignored: &FieldSet) -> Value {
    if ignored.is_empty() {
        return config.clone();
    }
    remove(schema, config, ignored, &FieldSet::default()).unwrap_or_else(|| config.clone())
}

/// Removes map entries that are null: a configuration says so to have a field absent.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Brings the annotation of client-side apply up to date where there is one, so that going back to
/// it does not undo what was applied since.
fn refresh_last_applied(object: &mut Value, config: &Value) {
    if meta::annotation(object, LAST_APPLIED).is_none() {
        return;
    }
    let mut last = bare(config);
    if let Some(Value::Object(annotations)) = last.pointer_mut("/metadata/annotations") {
        annotations.shift_remove(LAST_APPLIED);
    }
    let text = format!("{last}\n");
    let others = object["metadata"]["annotations"].to_string().len();
    // Upstream drops the annotation when it would make the object invalid.
    let text = if text.len() + others > ANNOTATIONS_BYTES_MAX {
        String::new()
    } else {
        text
    };
    meta::set_annotation(object, LAST_APPLIED, &text);
}
