//! Deleting: at once, gracefully, or when the last finalizer is gone.
//!
//! What depends on a deleted object is the garbage collector's business; here the wish of the
//! client (`propagationPolicy`) becomes a finalizer for it. Facts:
//! `apiserver/pkg/registry/generic/registry/store.go`.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use ordain_orchestrator_store::{Error as StoreError, Expect};
use serde_json::{Value, json};

use crate::{
    admission::IMMORTAL,
    body::{self, Answer},
    change::is_finished,
    convert,
    core::store_failure,
    decode,
    json::{as_map, at, entry_map, int_at, list_at, str_at},
    kinds, negotiate, object,
    pipeline::Call,
    read::{self, Filter},
    status::Failure,
};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// How often a delete is tried when others change the object.
const TRIES_MAX: usize = 16;

/// What a client says about a delete.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    grace: Option<i64>,
    policy: String,
    uid: String,
    revision: String,
    dry_run: bool,
}

impl Options {
    fn of(call: &Call) -> Result<Options, Failure> {
        let mut given = Value::Null;
        if !call.body.is_empty() {
            given = decode::other(call, "", "v1", "DeleteOptions").or_else(|failure| {
                // Typed clients of other groups send their own group's DeleteOptions.
                let (value, _) = decode::parse(call)?;
                if str_at(&value, &["kind"]) == "DeleteOptions" {
                    Ok(value)
                } else {
                    Err(failure)
                }
            })?;
        }
        let grace = match int_at(&given, &["gracePeriodSeconds"]) {
            Some(seconds) => Some(seconds),
            None => call.query.number("gracePeriodSeconds")?,
        };
        let mut policy = str_at(&given, &["propagationPolicy"]).to_owned();
        if policy.is_empty() {
            policy = call.query.get("propagationPolicy").to_owned();
        }
        let orphan = at(&given, &["orphanDependents"]).and_then(Value::as_bool);
        if policy.is_empty() && orphan == Some(true) {
            policy = "Orphan".to_owned();
        }
        if !matches!(policy.as_str(), "" | "Orphan" | "Background" | "Foreground") {
            return Err(Failure::bad_request(format!(
                "propagationPolicy: Unsupported value: {policy:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""
            )));
        }
        let dry_run = call.dry_run()? || list_at(&given, &["dryRun"]).iter().any(|v| v == "All");
        Ok(Options {
            grace,
            policy,
            uid: str_at(&given, &["preconditions", "uid"]).to_owned(),
            revision: str_at(&given, &["preconditions", "resourceVersion"]).to_owned(),
            dry_run,
        })
    }

    /// Returns options that ask for nothing special.
    pub(crate) fn with_grace(grace: Option<i64>, dry_run: bool) -> Options {
        Options {
            grace,
            dry_run,
            ..Options::default()
        }
    }
}

/// What a delete did.
pub(crate) enum Outcome {
    /// The object is gone; this is its last state.
    Gone(Value),
    /// The object is marked, and goes when its finalizers or its grace period are over.
    Marked(Value),
}

/// Answers a DELETE of one object.
pub(crate) async fn one(call: &Call) -> Result<Answer, Failure> {
    let options = Options::of(call)?;
    let resource = &call.resource;
    let name = call.target.name.as_str();
    match remove(call, name, &call.target.namespace, &options).await? {
        Outcome::Gone(object) => {
            // Kinds whose storage says `ReturnDeletedObject`.
            let whole = matches!(
                (resource.group.as_str(), resource.plural.as_str()),
                (
                    "",
                    "pods"
                        | "services"
                        | "serviceaccounts"
                        | "persistentvolumes"
                        | "persistentvolumeclaims"
                        | "resourcequotas"
                        | "podtemplates"
                )
            );
            if whole {
                let form = negotiate::form(&call.headers)?;
                return Ok(body::json(200, &read::in_form(call, form, &object)));
            }
            let uid = str_at(&object, &["metadata", "uid"]);
            Ok(body::json(200, &resource.subject(name).gone(uid)))
        }
        Outcome::Marked(object) => {
            let form = negotiate::form(&call.headers)?;
            Ok(body::json(200, &read::in_form(call, form, &object)))
        }
    }
}

/// Answers a DELETE of a collection.
pub(crate) async fn collection(call: &Call) -> Result<Answer, Failure> {
    let options = Options::of(call)?;
    let filter = Filter::of(call)?;
    let listed = read::find(call, &filter).await?;
    let mut items = Vec::new();
    for entry in &listed.entries {
        let object = read::load(&call.resource, entry)?;
        let (namespace, name) = (
            str_at(&object, &["metadata", "namespace"]),
            str_at(&object, &["metadata", "name"]),
        );
        match remove(call, name, namespace, &options).await {
            Ok(Outcome::Gone(object) | Outcome::Marked(object)) => items.push(object),
            // Somebody else was faster, which is what was wanted.
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    let resource = &call.resource;
    Ok(body::json(
        200,
        &json!({
            "kind": resource.list_kind(),
            "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": listed.revision.0.to_string()},
            "items": items,
        }),
    ))
}

/// Deletes an object, or marks it for deletion.
pub(crate) async fn remove(
    call: &Call,
    name: &str,
    namespace: &str,
    options: &Options,
) -> Result<Outcome, Failure> {
    let resource = &call.resource;
    if resource.is("", "namespaces") && IMMORTAL.contains(&name) {
        return Err(resource
            .subject(name)
            .forbidden("this namespace may not be deleted"));
    }
    for _ in 0..TRIES_MAX {
        let entry = call.core.get(resource, namespace, name).await?;
        let old = object::decode(&entry.value, entry.mod_revision.0).ok_or_else(|| {
            Failure::internal(format!("the stored object {} is damaged", entry.key))
        })?;
        check(call, name, &old, options)?;
        let mut new = old.clone();
        mark(call, &mut new, options, Timestamp::now());
        let expect = Expect::Exactly(entry.mod_revision);
        let gone = is_finished(&new);
        if options.dry_run {
            let object = convert::to_version(resource, new);
            return Ok(if gone {
                Outcome::Gone(object)
            } else {
                Outcome::Marked(object)
            });
        }
        let result = if gone {
            call.core
                .store
                .delete(&entry.key, expect)
                .await
                .map(|deleted| {
                    let mut last = old;
                    object::set_revision(&mut last, deleted.revision.0);
                    Outcome::Gone(convert::to_version(resource, last))
                })
        } else {
            let bytes = Bytes::from(object::encode(&new));
            if bytes == entry.value {
                return Ok(Outcome::Marked(convert::to_version(resource, old)));
            }
            call.core
                .store
                .put(&entry.key, bytes, expect)
                .await
                .map(|entry| {
                    object::set_revision(&mut new, entry.mod_revision.0);
                    Outcome::Marked(convert::to_version(resource, new))
                })
        };
        match result {
            Ok(outcome) => {
                if resource.group == "apiextensions.k8s.io" {
                    definition_changed(call, &outcome)
                        .await
                        .map_err(store_failure)?;
                }
                return Ok(outcome);
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(StoreError::NotFound { .. }) => {
                return Err(resource.subject(name).not_found());
            }
            Err(error) => return Err(store_failure(error)),
        }
    }
    Err(resource.subject(name).modified())
}

/// The objects of a definition go with it, and so does its resource.
async fn definition_changed(call: &Call, outcome: &Outcome) -> Result<(), StoreError> {
    if let Outcome::Gone(definition) = outcome {
        crate::crd::clean_up(&call.core, definition).await?;
    }
    crate::crd::load(&call.core).await.map(drop)
}

fn check(call: &Call, name: &str, object: &Value, options: &Options) -> Result<(), Failure> {
    let subject = call.resource.subject(name);
    let uid = str_at(object, &["metadata", "uid"]);
    if !options.uid.is_empty() && options.uid != uid {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {uid}",
            options.uid
        );
        return Err(subject.conflict(&why));
    }
    let revision = object::revision_of(object);
    if !options.revision.is_empty() && options.revision != revision {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {revision}",
            options.revision
        );
        return Err(subject.conflict(&why));
    }
    Ok(())
}

/// Marks an object for deletion: when, and what has to happen before.
fn mark(call: &Call, object: &mut Value, options: &Options, now: Timestamp) {
    let resource = &call.resource;
    let deleting = at(object, &["metadata", "deletionTimestamp"]).is_some();
    let pod = resource.is("", "pods");
    let grace = if pod {
        kinds::grace_seconds(object, options.grace)
    } else {
        0
    };
    let namespace = resource.is("", "namespaces");
    let current = int_at(object, &["metadata", "deletionGracePeriodSeconds"]);
    let metadata = entry_map(as_map(object), "metadata");
    // A second delete may shorten the grace period, never lengthen it.
    if !deleting || current.is_some_and(|c| grace < c) {
        let end = now
            .checked_add(SignedDuration::from_secs(grace))
            .unwrap_or(now);
        metadata.insert("deletionTimestamp".into(), object::time_text(end).into());
        metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
        if let Some(generation) = metadata
            .get("generation")
            .and_then(Value::as_i64)
            .filter(|_| !deleting)
        {
            metadata.insert("generation".into(), (generation + 1).into());
        }
    }
    let mut finalizers: Vec<Value> = metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let wanted = match options.policy.as_str() {
        "Orphan" => Some(ORPHAN),
        "Foreground" => Some(FOREGROUND),
        "Background" => None,
        // Without a wish, what the object already carries stands.
        _ => finalizers
            .iter()
            .filter_map(Value::as_str)
            .find_map(|f| [ORPHAN, FOREGROUND].into_iter().find(|k| *k == f)),
    };
    finalizers.retain(|f| !matches!(f.as_str(), Some(ORPHAN | FOREGROUND)));
    finalizers.extend(wanted.map(Value::from));
    if finalizers.is_empty() {
        metadata.shift_remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), finalizers.into());
    }
    if namespace {
        crate::json::make_map(object, &["status"]).insert("phase".into(), "Terminating".into());
    }
}
