//! Writing: create, update and patch, all through the same steps.
//!
//! decode → defaults → strategy → field managers → admission → validation → store. How an update
//! meets the stored object is in [`crate::change`].

use ordain_orchestrator_api::{conform, meta, patch as patches};
use serde_json::Value;

use crate::{
    admission,
    body::Answer,
    change::change,
    convert,
    core::store_failure,
    decode,
    json::{as_map, entry_map, str_at},
    kinds, managed, object,
    pipeline::{Call, object_answer},
    read,
    services::{self, Allocated, Taken},
    status::{Cause, Failure, FieldError},
};

/// Which part of an object a request changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status.
    Whole,
    /// The status alone.
    Status,
    /// What a subresource such as `scale`, `binding` or `ephemeralcontainers` may change; the new
    /// object is taken as it is.
    Sub(&'static str),
}

impl Part {
    /// Returns the subresource as managed fields name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Whole => "",
            Part::Status => "status",
            Part::Sub(name) => name,
        }
    }
}

/// What becomes of the managed fields of a written object.
#[derive(Clone, Debug)]
pub(crate) enum Managing {
    /// This manager owns what it changed.
    Track(String),
    /// They are already right, as after a server-side apply.
    Keep,
}

/// Answers a POST on a collection.
pub(crate) async fn create(call: &Call) -> Result<Answer, Failure> {
    let received = decode::object(call, &call.resource)?;
    let managing = Managing::Track(call.field_manager()?);
    let created = insert(call, received.object.clone(), &managing).await?;
    let mut answer = object_answer(call, 201, &created)?;
    received.warn(&mut answer);
    Ok(answer)
}

/// Creates an object from what a client sent, in the version of the resource, and returns it.
pub(crate) async fn insert(
    call: &Call,
    mut object: Value,
    managing: &Managing,
) -> Result<Value, Failure> {
    let resource = &call.resource;
    let dry_run = call.dry_run()?;
    let namespace = if resource.namespaced {
        call.target.namespace.as_str()
    } else {
        ""
    };
    place(call, &mut object, namespace)?;
    if !object::revision_of(&object).is_empty() {
        return Err(Failure::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let metadata = entry_map(as_map(&mut object), "metadata");
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "generation",
    ] {
        metadata.shift_remove(field);
    }
    let prefix = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let named = metadata
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|n| !n.is_empty());
    if !named && !prefix.is_empty() {
        metadata.insert(
            "name".into(),
            meta::generated_name(&prefix, admission::random()).into(),
        );
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), object::now().into());
    let strategy = resource.strategy;
    if strategy.has_generation() || resource.custom.is_some() {
        metadata.insert("generation".into(), 1.into());
    }
    let has_status = resource.subresource("status").is_some();
    if has_status && !strategy.keeps_status_on_create() {
        as_map(&mut object).shift_remove("status");
    }
    let mut stored = decode::stored(resource, object);
    defaults(call, &mut stored);
    if let Managing::Track(manager) = managing {
        stored = managed::track(call, None, stored, manager, Part::Whole);
    }
    strategy.prepare_create(&mut stored);
    admission::create(call, resource, &mut stored).await?;
    let mut causes = Vec::new();
    kinds::validate_metadata(&stored, strategy.name_rule(), &mut causes);
    strategy.validate(&stored, &mut causes);
    if let Some(custom) = &resource.custom {
        crate::custom::validate(custom, &stored, &mut causes);
    }
    let name = str_at(&stored, &["metadata", "name"]).to_owned();
    let _allocating = if resource.is("", "services") {
        let mut guard = call.core.allocation.lock().await;
        causes.extend(allocate(call, &mut guard, &mut stored, None).await?);
        Some(guard)
    } else {
        None
    };
    refuse(call, &name, &causes)?;
    if dry_run {
        if call
            .core
            .store
            .get(&resource.key(namespace, &name))
            .await
            .map_err(store_failure)?
            .is_some()
        {
            return Err(resource.subject(&name).already_exists());
        }
        return Ok(convert::to_version(resource, stored));
    }
    let entry = match call.core.insert(resource, namespace, &name, &stored).await {
        // A generated name that is taken is bad luck, not a mistake of the client.
        Err(failure) if failure.reason == "AlreadyExists" && !named => {
            let mut failure = failure;
            failure.message = format!(
                "{}; the server was not able to generate a unique name for the object",
                failure.message
            );
            return Err(failure);
        }
        other => other?,
    };
    if resource.is("", "namespaces") {
        companions(call, &name).await;
    }
    if resource.group == "apiextensions.k8s.io" {
        crate::crd::load(&call.core).await.map_err(store_failure)?;
        let now = call.core.get(resource, namespace, &name).await?;
        return read::load(resource, &now);
    }
    read::load(resource, &entry)
}

/// Puts an object where the request's path says, and refuses one that says otherwise.
fn place(call: &Call, object: &mut Value, namespace: &str) -> Result<(), Failure> {
    let metadata = entry_map(as_map(object), "metadata");
    let given = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if call.resource.namespaced {
        if !given.is_empty() && given != namespace {
            return Err(Failure::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request ({given} != {namespace})"
            )));
        }
        metadata.insert("namespace".into(), namespace.into());
    } else {
        metadata.shift_remove("namespace");
    }
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let wanted = &call.target.name;
    if !wanted.is_empty() {
        if !name.is_empty() && name != *wanted {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({wanted})"
            )));
        }
        metadata.insert("name".into(), wanted.as_str().into());
    }
    Ok(())
}

/// Fills in the defaults of the table and of the kind.
pub(crate) fn defaults(call: &Call, stored: &mut Value) {
    let resource = &call.resource;
    if let Some(custom) = &resource.custom {
        crate::custom::defaults(custom, stored);
    }
    resource.strategy.default(stored);
    let api_version = resource.storage_version.as_str();
    if let Some(kind) = call.core.table.kind_of(api_version, &resource.kind) {
        conform::fill_defaults(call.core.table, kind.ty, stored);
        // Defaults may have left empty lists behind, and quantities in their long form.
        if let Err(error) = conform::conform(call.core.table, kind.ty, stored) {
            tracing::warn!(%error, kind = resource.kind, "defaults do not fit the type");
        }
    }
}

/// Answers 422 when there are causes.
pub(crate) fn refuse(call: &Call, name: &str, causes: &[FieldError]) -> Result<(), Failure> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(
        &call.resource.group,
        &call.resource.kind,
        name,
        causes,
    ))
}

/// Gives a Service its addresses; the caller holds the lock.
pub(crate) async fn allocate(
    call: &Call,
    allocated: &mut Allocated,
    stored: &mut Value,
    old: Option<&Value>,
) -> Result<Vec<FieldError>, Failure> {
    let core = &call.core;
    let none = Taken::default();
    let taken = if old.is_some_and(|old| services::keeps_all(stored, old)) {
        &none
    } else {
        let range = ordain_orchestrator_store::Range::prefix(&call.resource.prefix);
        let page = core.store.list(range).await.map_err(store_failure)?;
        allocated.look(&page.entries)
    };
    Ok(services::assign(
        stored,
        old,
        taken,
        &core.ranges,
        core.salt(),
    ))
}

/// Writes what every namespace starts with. A failure is no reason to refuse the namespace: the
/// controllers make up for it.
async fn companions(call: &Call, namespace: &str) {
    for mut one in crate::bootstrap::namespace_companions(namespace, call.core.pki.ca_pem()) {
        one["metadata"]["uid"] = uuid::Uuid::new_v4().to_string().into();
        one["metadata"]["creationTimestamp"] = object::now().into();
        let kind = str_at(&one, &["kind"]).to_owned();
        let Some(resource) = call.resources.of_kind("v1", &kind) else {
            continue;
        };
        let name = str_at(&one, &["metadata", "name"]).to_owned();
        if let Err(failure) = call.core.insert(resource, namespace, &name, &one).await {
            tracing::warn!(
                namespace,
                kind,
                failure = failure.message,
                "cannot complete a namespace"
            );
        }
    }
}

/// Answers a PUT.
pub(crate) async fn update(call: &Call) -> Result<Answer, Failure> {
    update_part(call, Part::Whole).await
}

/// Answers a PUT on an object or its status.
pub(crate) async fn update_part(call: &Call, part: Part) -> Result<Answer, Failure> {
    let mut received = decode::object(call, &call.resource)?;
    let namespace = call.target.namespace.clone();
    place(call, &mut received.object, &namespace)?;
    let managing = Managing::Track(call.field_manager()?);
    let may_create = part == Part::Whole && call.resource.strategy.create_on_update();
    let revision = object::revision_of(&received.object).to_owned();
    if revision.is_empty() && call.resource.strategy.needs_resource_version() && part == Part::Whole
    {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &0.into(),
            "must be specified for an update",
        );
        return Err(Failure::invalid(
            &call.resource.group,
            &call.resource.kind,
            &call.target.name,
            &[cause],
        ));
    }
    let done = change(call, part, &managing, |_, new| {
        *new = received.object.clone();
        Ok(())
    })
    .await;
    let (code, object) = match done {
        Err(failure) if failure.code == 404 && may_create && revision.is_empty() => {
            (201, insert(call, received.object.clone(), &managing).await?)
        }
        other => (200, other?),
    };
    let mut answer = object_answer(call, code, &object)?;
    received.warn(&mut answer);
    Ok(answer)
}

/// Answers a PATCH.
pub(crate) async fn patch(call: &Call) -> Result<Answer, Failure> {
    patch_part(call, Part::Whole).await
}

/// Answers a PATCH on an object or its status.
pub(crate) async fn patch_part(call: &Call, part: Part) -> Result<Answer, Failure> {
    let content_type = call.content_type();
    if content_type == patches::APPLY_PATCH {
        return managed::apply(call, part).await;
    }
    let managing = Managing::Track(call.field_manager()?);
    let (patch, duplicates) = parse_patch(call, &content_type)?;
    let mut warnings = Vec::new();
    let object = change(call, part, &managing, |_, new| {
        apply_patch(call, &content_type, &patch, new)?;
        warnings.clear();
        *new = decode::typed(call, &call.resource, new.take(), &duplicates, &mut warnings)?;
        Ok(())
    })
    .await?;
    let mut answer = object_answer(call, 200, &object)?;
    decode::add_warnings(&mut answer, &warnings);
    Ok(answer)
}

/// Reads a patch; the second part lists repeated keys.
pub(crate) fn parse_patch(
    call: &Call,
    content_type: &str,
) -> Result<(Value, Vec<String>), Failure> {
    let mut accepted = vec![
        patches::JSON_PATCH,
        patches::MERGE_PATCH,
        patches::STRATEGIC_MERGE_PATCH,
        patches::APPLY_PATCH,
    ];
    if call.resource.custom.is_some() {
        accepted.retain(|t| *t != patches::STRATEGIC_MERGE_PATCH);
    }
    if !accepted.contains(&content_type) {
        return Err(Failure::unsupported_media_type(&accepted));
    }
    let parsed = ordain_orchestrator_api::decode::from_json(&call.body)
        .map_err(|e| Failure::bad_request(e.to_string()))?;
    Ok((parsed.value, parsed.duplicates))
}

/// Applies a patch of one of the three simple kinds to an object.
pub(crate) fn apply_patch(
    call: &Call,
    content_type: &str,
    patch: &Value,
    new: &mut Value,
) -> Result<(), Failure> {
    let fault = |e: patches::PatchError| Failure::from(e);
    match content_type {
        patches::JSON_PATCH => patches::json_patch(new, patch).map_err(fault),
        patches::MERGE_PATCH => {
            if !patch.is_object() {
                return Err(Failure::bad_request(
                    "a merge patch of an object must be an object",
                ));
            }
            patches::merge_patch(new, patch);
            Ok(())
        }
        _ => {
            let ty = call
                .resource
                .ty
                .ok_or_else(|| Failure::unsupported_media_type(&[patches::MERGE_PATCH]))?;
            patches::strategic_merge(call.core.table, ty, new, patch.clone()).map_err(fault)
        }
    }
}
