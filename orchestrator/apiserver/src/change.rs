//! A change of a stored object: the live state in, a new state out, stored only if nobody was
//! faster. A writer that did not name a revision is tried again.

use std::sync::Arc;

use bytes::Bytes;
use ordain_orchestrator_api::{apply, meta};
use ordain_orchestrator_store::{Entry, Error as StoreError, Expect};
use serde_json::Value;

use crate::{
    admission, convert,
    core::store_failure,
    decode,
    json::{as_map, at, entry_map, list_at, str_at},
    kinds, managed, object,
    pipeline::Call,
    read,
    status::{Cause, Failure, FieldError},
    write::{Managing, Part, allocate, defaults, refuse},
};

/// How often a write without a revision of its own is tried when others are faster. Upstream tries
/// a patch five times; in one process with busy controllers a few more are cheap.
const TRIES_MAX: usize = 16;

/// Changes an object: `make` gets the live object, and a copy of it to change, both in the version
/// of the resource. Returns what is stored then.
pub(crate) async fn change(
    call: &Call,
    part: Part,
    managing: &Managing,
    mut make: impl FnMut(&Value, &mut Value) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    let resource = &call.resource;
    let (namespace, name) = (call.target.namespace.as_str(), call.target.name.as_str());
    for _ in 0..TRIES_MAX {
        let entry = call.core.get(resource, namespace, name).await?;
        let live = read::load(resource, &entry)?;
        let mut new = live.clone();
        make(&live, &mut new)?;
        let asked = object::revision_of(&new).to_owned();
        let live_revision = entry.mod_revision.0.to_string();
        if !asked.is_empty() && asked != "0" && asked != live_revision {
            return Err(resource.subject(name).modified());
        }
        let uid = str_at(&new, &["metadata", "uid"]);
        let live_uid = str_at(&live, &["metadata", "uid"]);
        if !uid.is_empty() && uid != live_uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}"
            );
            return Err(resource.subject(name).conflict(&why));
        }
        match store(call, part, managing, &entry, new).await? {
            Some(stored) => return Ok(stored),
            // Somebody was faster. A patch starts again from the new state; so does an update that
            // named no revision.
            None if asked.is_empty() || asked == live_revision => {}
            None => return Err(resource.subject(name).modified()),
        }
    }
    Err(resource.subject(name).modified())
}

/// Finishes a changed object and stores it; `None` when somebody was faster.
async fn store(
    call: &Call,
    part: Part,
    managing: &Managing,
    entry: &Arc<Entry>,
    new: Value,
) -> Result<Option<Value>, Failure> {
    let resource = &call.resource;
    let name = call.target.name.as_str();
    let old = object::decode(&entry.value, entry.mod_revision.0)
        .ok_or_else(|| Failure::internal(format!("the stored object {} is damaged", entry.key)))?;
    let mut new = decode::stored(resource, new);
    keep_metadata(
        &mut new,
        &old,
        part,
        resource.is("", "pods") || resource.is("", "nodes"),
    );
    let strategy = resource.strategy;
    let has_status = resource.subresource("status").is_some();
    match part {
        Part::Whole => {
            if has_status {
                copy(&mut new, &old, "status");
            }
            defaults(call, &mut new);
            strategy.prepare_update(&mut new, &old);
        }
        Part::Status => {
            let mut whole = old.clone();
            copy(&mut whole, &new, "status");
            copy(&mut whole, &new, "metadata");
            new = whole;
            strategy.prepare_status(&mut new, &old);
        }
        Part::Sub(_) => defaults(call, &mut new),
    }
    let counts = strategy.has_generation() || resource.custom.is_some();
    if counts && (meta::desired_state_differs(&old, &new) || strategy.counts_change(&new, &old)) {
        let generation = meta::generation(&old) + 1;
        entry_map(as_map(&mut new), "metadata").insert("generation".into(), generation.into());
    }
    admission::update(call, resource, &new, &old)?;
    let mut causes = Vec::new();
    kinds::validate_metadata(&new, strategy.name_rule(), &mut causes);
    late_finalizers(&new, &old, &mut causes);
    if part != Part::Status {
        strategy.validate(&new, &mut causes);
    }
    if part == Part::Whole {
        strategy.validate_update(&new, &old, &mut causes);
    }
    if let Some(custom) = &resource.custom {
        crate::custom::validate(custom, &new, &mut causes);
    }
    let _allocating = if resource.is("", "services") && part == Part::Whole {
        let mut guard = call.core.allocation.lock().await;
        causes.extend(allocate(call, &mut guard, &mut new, Some(&old)).await?);
        Some(guard)
    } else {
        None
    };
    refuse(call, name, &causes)?;
    if let Managing::Track(manager) = managing {
        new = managed::track(call, Some(&old), new, manager, part);
    }
    if !is_finished(&new) && apply::is_no_op(&old, &new) {
        return Ok(Some(convert::to_version(resource, old)));
    }
    if call.dry_run()? {
        object::set_revision(&mut new, entry.mod_revision.0);
        return Ok(Some(convert::to_version(resource, new)));
    }
    let bytes = Bytes::from(object::encode(&new));
    let expect = Expect::Exactly(entry.mod_revision);
    if is_finished(&new) {
        // The last finalizer is gone: the object goes too.
        return match call.core.store.delete(&entry.key, expect).await {
            Ok(deleted) => {
                object::set_revision(&mut new, deleted.revision.0);
                Ok(Some(convert::to_version(resource, new)))
            }
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(store_failure(error)),
        };
    }
    match call.core.store.put(&entry.key, bytes, expect).await {
        Ok(entry) => {
            if resource.group == "apiextensions.k8s.io" {
                crate::crd::load(&call.core).await.map_err(store_failure)?;
            }
            Ok(Some(read::load(resource, &entry)?))
        }
        Err(StoreError::Conflict { .. }) => Ok(None),
        Err(error) => Err(store_failure(error)),
    }
}

/// Sets a field to what it is in `from`, also when it is absent there.
fn copy(to: &mut Value, from: &Value, field: &str) {
    let map = as_map(to);
    match from.get(field) {
        Some(value) => {
            map.insert(field.to_owned(), value.clone());
        }
        None => {
            map.shift_remove(field);
        }
    }
}

/// Puts back the metadata that writers may not change. A write of the status leaves all but the
/// managed fields; agents may also write labels and annotations of pods and nodes with it.
fn keep_metadata(new: &mut Value, old: &Value, part: Part, agent: bool) {
    let mut fixed = vec![
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
        "name",
        "generateName",
    ];
    if part == Part::Status {
        fixed.extend(["finalizers", "ownerReferences"]);
        if !agent {
            fixed.extend(["labels", "annotations"]);
        }
    }
    let old = at(old, &["metadata"]).cloned().unwrap_or_default();
    let metadata = new.as_object_mut().map(|m| entry_map(m, "metadata"));
    let Some(metadata) = metadata else { return };
    for field in fixed {
        match old.get(field) {
            Some(value) => {
                metadata.insert(field.to_owned(), value.clone());
            }
            None => {
                metadata.shift_remove(field);
            }
        }
    }
    metadata.insert(
        "resourceVersion".into(),
        str_at(&old, &["resourceVersion"]).into(),
    );
}

/// An object on its way out takes no new finalizers.
fn late_finalizers(new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
    if !meta::is_deleting(old) {
        return;
    }
    let before = list_at(old, &["metadata", "finalizers"]);
    let added: Vec<&Value> = list_at(new, &["metadata", "finalizers"])
        .iter()
        .filter(|f| !before.contains(f))
        .collect();
    if !added.is_empty() {
        let names: Vec<&str> = added.iter().filter_map(|f| f.as_str()).collect();
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{names:?}"
        );
        causes.push(Cause::forbidden("metadata.finalizers", &why));
    }
}

/// Tells whether nothing holds a deleted object any more.
pub(crate) fn is_finished(object: &Value) -> bool {
    let grace = at(object, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    let full = str_at(object, &["kind"]) == "Namespace"
        && !list_at(object, &["spec", "finalizers"]).is_empty();
    meta::is_deleting(object)
        && meta::finalizers(object).next().is_none()
        && grace.unwrap_or(0) == 0
        && !full
}
