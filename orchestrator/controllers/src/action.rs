//! What a controller wants to be done: data, so that decisions can be printed and tested.

use std::{fmt, time::Duration};

use kube::{
    Resource,
    api::{ApiResource, ObjectMeta, PropagationPolicy},
};
use ordain_orchestrator_client::{EventType, Key};
use serde::Serialize;
use serde_json::Value;

/// An object that an action is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The kind and where its API is.
    pub resource: ApiResource,
    /// The namespace and name.
    pub key: Key,
    /// The object's uid: an action never hits another object that took over the name.
    pub uid: Option<String>,
}

impl Target {
    /// Returns the target of an object.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Target {
        Target {
            resource: ApiResource::erase::<K>(&()),
            key: Key::of(object.meta()),
            uid: object.meta().uid.clone(),
        }
    }
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create an object.
    Create {
        /// The kind.
        resource: ApiResource,
        /// The namespace; empty for objects of the whole cluster.
        namespace: String,
        /// The object.
        object: Value,
    },
    /// Change an object with a merge patch.
    Patch {
        /// The object.
        target: Target,
        /// `status` or another subresource.
        subresource: Option<&'static str>,
        /// The merge patch (RFC 7386).
        body: Value,
    },
    /// Delete an object.
    Delete {
        /// The object.
        target: Target,
        /// What happens to its dependents; the kind's default if not said.
        propagation: Option<PropagationPolicy>,
        /// Seconds until it is deleted by force; the object's own if not said.
        grace_seconds: Option<u32>,
    },
    /// Record an event about the object that is reconciled.
    Event {
        /// Good news or bad.
        event_type: EventType,
        /// One word in camel case.
        reason: &'static str,
        /// A sentence.
        message: String,
    },
    /// Look again after this time although nothing changed.
    After(Duration),
}

impl Action {
    /// Returns an action that creates `object`.
    pub(crate) fn create<K>(object: &K) -> Action
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Action::Create {
            resource: ApiResource::erase::<K>(&()),
            namespace: object.meta().namespace.clone().unwrap_or_default(),
            object: serde_json::to_value(object).expect("Kubernetes types are plain data"),
        }
    }

    /// Returns an action that changes `object` unless somebody else has changed it meanwhile.
    pub(crate) fn patch<K: Resource<DynamicType = ()>>(object: &K, mut body: Value) -> Action {
        if let Some(version) = &object.meta().resource_version {
            body["metadata"]["resourceVersion"] = version.as_str().into();
        }
        Action::Patch {
            target: Target::of(object),
            subresource: None,
            body,
        }
    }

    /// Returns an action that changes `object` whatever else was changed meanwhile.
    pub(crate) fn patch_always<K: Resource<DynamicType = ()>>(object: &K, body: Value) -> Action {
        Action::Patch {
            target: Target::of(object),
            subresource: None,
            body,
        }
    }

    /// Returns an action that sets the status of `object`. Only its controller writes it, so a
    /// change of something else meanwhile does no harm.
    pub(crate) fn status<K, S>(object: &K, status: &S) -> Action
    where
        K: Resource<DynamicType = ()>,
        S: Serialize,
    {
        let status = serde_json::to_value(status).expect("Kubernetes types are plain data");
        let body = serde_json::json!({ "status": status });
        Action::Patch {
            target: Target::of(object),
            subresource: Some("status"),
            body,
        }
    }

    /// Returns an action that deletes `object` in the background.
    pub(crate) fn delete<K: Resource<DynamicType = ()>>(object: &K) -> Action {
        let propagation = Some(PropagationPolicy::Background);
        Action::Delete {
            target: Target::of(object),
            propagation,
            grace_seconds: None,
        }
    }

    /// Returns an action that records good news.
    pub(crate) fn note(reason: &'static str, message: impl Into<String>) -> Action {
        Action::Event {
            event_type: EventType::Normal,
            reason,
            message: message.into(),
        }
    }

    /// Returns an action that records a warning.
    pub(crate) fn warn(reason: &'static str, message: impl Into<String>) -> Action {
        Action::Event {
            event_type: EventType::Warning,
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Create {
                resource,
                namespace,
                object,
            } => {
                let meta: ObjectMeta =
                    serde_json::from_value(object["metadata"].clone()).unwrap_or_default();
                let name = meta.name.or(meta.generate_name.map(|prefix| prefix + "*"));
                let name = name.unwrap_or_default();
                write!(f, "create {} {}", resource.kind, Key::new(namespace, &name))?;
                if let Some(replicas) = object["spec"]["replicas"].as_i64() {
                    write!(f, " replicas={replicas}")?;
                }
                Ok(())
            }
            Action::Patch {
                target,
                subresource,
                body,
            } => {
                let part = subresource
                    .map(|part| format!("/{part}"))
                    .unwrap_or_default();
                write!(
                    f,
                    "patch {}{part} {} {body}",
                    target.resource.kind, target.key
                )
            }
            Action::Delete {
                target,
                propagation,
                grace_seconds,
            } => {
                write!(f, "delete {} {}", target.resource.kind, target.key)?;
                match propagation {
                    None | Some(PropagationPolicy::Background) => {}
                    Some(other) => write!(f, " {other:?}")?,
                }
                grace_seconds.map_or(Ok(()), |seconds| write!(f, " grace={seconds}s"))
            }
            Action::Event {
                event_type,
                reason,
                message,
            } => {
                write!(f, "event {event_type:?} {reason}: {message}")
            }
            Action::After(delay) => write!(f, "again after {} ms", delay.as_millis()),
        }
    }
}
