//! Short ways to the refusals of `orchestrator-api`, from what handlers have at hand.
//!
//! The wording lives there; this file knows resources and borrowed values.

use ordain_orchestrator_api::{
    FieldErrorKind, GroupResource,
    status::{StatusCause, success},
};
use serde_json::Value;

pub(crate) use ordain_orchestrator_api::{FieldError, Status as Failure};

/// What a refusal is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) group: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) name: &'a str,
}

impl Subject<'_> {
    fn resource(&self) -> GroupResource {
        GroupResource::new(self.group, self.plural)
    }

    pub(crate) fn not_found(self) -> Failure {
        Failure::not_found(&self.resource(), self.name)
    }

    pub(crate) fn already_exists(self) -> Failure {
        Failure::already_exists(&self.resource(), self.name)
    }

    pub(crate) fn forbidden(self, why: &str) -> Failure {
        Failure::forbidden(Some(&self.resource()), self.name, why)
    }

    pub(crate) fn conflict(self, why: &str) -> Failure {
        Failure::conflict(&self.resource(), self.name, why)
    }

    /// The object was changed by somebody else since it was read.
    pub(crate) fn modified(self) -> Failure {
        Failure::modified(&self.resource(), self.name)
    }

    /// Returns the answer to a finished delete that has no object to show.
    pub(crate) fn gone(self, uid: &str) -> Value {
        success(&self.resource(), self.name, uid)
    }
}

/// Returns 401 as kube-apiserver words it.
pub(crate) fn unauthorized() -> Failure {
    Failure::unauthorized("Unauthorized")
}

/// Returns 405; `what` is the verb, or what is missing for it.
pub(crate) fn method_not_allowed(what: &str) -> Failure {
    let text = format!("the server does not allow this method on the requested resource ({what})");
    Failure::failure(405, "MethodNotAllowed", text)
}

/// Adds a cause to a refusal.
pub(crate) fn because(mut failure: Failure, reason: &str, message: String, field: &str) -> Failure {
    let cause = StatusCause {
        reason: reason.to_owned(),
        message,
        field: field.to_owned(),
    };
    failure.details.causes.push(cause);
    failure
}

/// Makes field errors from borrowed values.
pub(crate) struct Cause;

impl Cause {
    /// A required field is missing.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> FieldError {
        FieldError::required(field, detail)
    }

    /// A field has a value that its rules refuse.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> FieldError {
        FieldError::invalid(field, value.clone(), detail)
    }

    /// A field has a value of the wrong type.
    pub(crate) fn wrong_type(field: impl Into<String>, value: Value, detail: &str) -> FieldError {
        FieldError::new(FieldErrorKind::TypeInvalid, field, Some(value), detail)
    }

    /// A field may not be set, or not here.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> FieldError {
        FieldError::forbidden(field, detail)
    }

    /// A list holds the same thing twice.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> FieldError {
        FieldError::duplicate(field, value.clone())
    }

    /// A value is none of the allowed ones.
    pub(crate) fn unsupported(
        field: impl Into<String>,
        value: &Value,
        allowed: &[&str],
    ) -> FieldError {
        FieldError::not_supported(field, value.clone(), allowed)
    }

    /// A reference to something that is not there.
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> FieldError {
        FieldError::new(FieldErrorKind::NotFound, field, Some(value.clone()), "")
    }
}
