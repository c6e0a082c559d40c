//! The `Status` object and the errors of the API, in upstream's words and codes. It knows nothing
//! of HTTP but the number of a status code.
//!
//! Wording: k8s.io/apimachinery/pkg/api/errors. Clients match on it, people search for it.

use std::fmt;

use serde_json::{Value, json};

use crate::invalid::FieldError;

/// A group and resource as messages name them: `deployments.apps`, or `pods` in the core group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupResource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name of the resource.
    pub resource: String,
}

impl GroupResource {
    /// Returns the pair.
    pub fn new(group: &str, resource: &str) -> GroupResource {
        GroupResource {
            group: group.to_owned(),
            resource: resource.to_owned(),
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.resource)
        } else {
            write!(f, "{}.{}", self.resource, self.group)
        }
    }
}

/// One cause in the details of a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusCause {
    /// The machine-readable type, such as `FieldValueInvalid`.
    pub reason: String,
    /// What is wrong, without the field's name.
    pub message: String,
    /// The path of the field, empty when there is none.
    pub field: String,
}

/// What a failed request answers with. It is an error, and it renders to a `v1` `Status` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason: `NotFound`.
    pub reason: &'static str,
    /// The message for people.
    pub message: String,
    /// The subject and the causes; boxed to keep the error small.
    pub details: Box<Details>,
}

/// The details of a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The group of the subject.
    pub group: String,
    /// The resource (for an invalid object: the kind) of the subject.
    pub kind: String,
    /// The name of the subject.
    pub name: String,
    /// The unique id of the subject.
    pub uid: String,
    /// The causes, in order.
    pub causes: Vec<StatusCause>,
    /// After how many seconds a client may try again; 0 says nothing.
    pub retry_after_seconds: u32,
}

impl Status {
    /// Returns a failure without a subject.
    pub fn failure(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status {
            code,
            reason,
            message: message.into(),
            details: Box::default(),
        }
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Status {
        self.details.group = resource.group.clone();
        self.details.kind = resource.resource.clone();
        self.details.name = name.to_owned();
        self
    }

    /// Returns 404: there is no object of this name.
    pub fn not_found(resource: &GroupResource, name: &str) -> Status {
        Status::failure(404, "NotFound", format!("{resource} {name:?} not found"))
            .about(resource, name)
    }

    /// Returns 404 for a URL that serves nothing.
    pub fn unknown_path() -> Status {
        Status::failure(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// Returns 409: the name is taken.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Status {
        Status::failure(
            409,
            "AlreadyExists",
            format!("{resource} {name:?} already exists"),
        )
        .about(resource, name)
    }

    /// Returns 409: the update or delete cannot be done as asked, with the reason.
    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Status {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Status::failure(409, "Conflict", message).about(resource, name)
    }

    /// Returns 409 for a stale `resourceVersion`.
    pub fn modified(resource: &GroupResource, name: &str) -> Status {
        Status::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Returns 422 with one cause per field error. `group` and `kind` name the object's kind.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Status {
        let kind_name = GroupResource::new(group, kind);
        // Upstream leaves out repeated messages and brackets more than one.
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(FieldError::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let message = match texts.as_slice() {
            [] => format!("{kind_name} {name:?} is invalid"),
            [text] => format!("{kind_name} {name:?} is invalid: {text}"),
            texts => format!("{kind_name} {name:?} is invalid: [{}]", texts.join(", ")),
        };
        let mut status = Status::failure(422, "Invalid", message).about(&kind_name, name);
        status.details.causes = errors
            .iter()
            .map(|error| StatusCause {
                reason: error.kind.reason().to_owned(),
                message: error.body(),
                field: error.field.clone(),
            })
            .collect();
        status
    }

    /// Returns 400.
    pub fn bad_request(message: impl Into<String>) -> Status {
        Status::failure(400, "BadRequest", message)
    }

    /// Returns 401; an empty reason reads "not authorized".
    pub fn unauthorized(reason: &str) -> Status {
        let message = if reason.is_empty() {
            "not authorized"
        } else {
            reason
        };
        Status::failure(401, "Unauthorized", message)
    }

    /// Returns 403 for a resource, or for a URL when `resource` is `None`.
    pub fn forbidden(
        resource: Option<&GroupResource>,
        name: &str,
        why: impl fmt::Display,
    ) -> Status {
        let message = match (resource, name) {
            (None, _) => format!("forbidden: {why}"),
            (Some(resource), "") => format!("{resource} is forbidden: {why}"),
            (Some(resource), name) => format!("{resource} {name:?} is forbidden: {why}"),
        };
        Status::failure(403, "Forbidden", message)
            .about(resource.unwrap_or(&GroupResource::default()), name)
    }

    /// Returns 405: the resource does not know the verb.
    pub fn method_not_supported(resource: &GroupResource, action: &str) -> Status {
        let text = format!("{action} is not supported on resources of kind \"{resource}\"");
        Status::failure(405, "MethodNotAllowed", text).about(resource, "")
    }

    /// Returns 406 with the media types that are offered.
    pub fn not_acceptable(offered: &[&str]) -> Status {
        let list = offered.join(", ");
        let text = format!("only the following media types are accepted: {list}");
        Status::failure(406, "NotAcceptable", text)
    }

    /// Returns 415 with the media types that are accepted.
    pub fn unsupported_media_type(accepted: &[&str]) -> Status {
        let text = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Status::failure(415, "UnsupportedMediaType", text)
    }

    /// Returns 410: the resource version is older than what is kept.
    pub fn expired(message: impl Into<String>) -> Status {
        Status::failure(410, "Expired", message)
    }

    /// Returns 410 with the reason `Gone`.
    pub fn gone(message: impl Into<String>) -> Status {
        Status::failure(410, "Gone", message)
    }

    /// Returns 413.
    pub fn too_large(message: impl fmt::Display) -> Status {
        let text = format!("Request entity too large: {message}");
        Status::failure(413, "RequestEntityTooLarge", text)
    }

    /// Returns 429 with the seconds to wait.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Status {
        let mut status = Status::failure(429, "TooManyRequests", message);
        status.details.retry_after_seconds = retry_after_seconds;
        status
    }

    /// Returns 500 with the cause.
    pub fn internal(why: impl fmt::Display) -> Status {
        let message = format!("Internal error occurred: {why}");
        let mut status = Status::failure(500, "InternalError", message);
        status.details.causes = vec![StatusCause {
            message: why.to_string(),
            ..StatusCause::default()
        }];
        status
    }

    /// Returns 503.
    pub fn unavailable(message: impl Into<String>) -> Status {
        Status::failure(503, "ServiceUnavailable", message)
    }

    /// Returns 504.
    pub fn timeout(message: impl fmt::Display, retry_after_seconds: u32) -> Status {
        let mut status = Status::failure(504, "Timeout", format!("Timeout: {message}"));
        status.details.retry_after_seconds = retry_after_seconds;
        status
    }

    /// Returns 504 for a resource version that the server has not seen yet.
    pub fn resource_version_too_large(asked: u64, current: u64) -> Status {
        let text = format!("Too large resource version: {asked}, current: {current}");
        let mut status = Status::timeout(text, 1);
        status.details.causes = vec![StatusCause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }];
        status
    }

    /// Returns 409 for a server-side apply that would take fields from other managers.
    pub fn apply_conflict(causes: Vec<StatusCause>, message: impl Into<String>) -> Status {
        let mut status = Status::failure(409, "Conflict", message);
        status.details.causes = causes;
        status
    }

    /// Returns the same status with the subject's unique id.
    #[must_use]
    pub fn with_uid(mut self, uid: &str) -> Status {
        self.details.uid = uid.to_owned();
        self
    }

    /// Returns the `v1` `Status` object.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        let details = self.details_value();
        if details
            .as_object()
            .is_some_and(|details| !details.is_empty())
        {
            value["details"] = details;
        }
        value["code"] = self.code.into();
        value
    }

    fn details_value(&self) -> Value {
        let mut details = json!({});
        let texts = [
            ("name", &self.details.name),
            ("group", &self.details.group),
            ("kind", &self.details.kind),
            ("uid", &self.details.uid),
        ];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            details[key] = text.as_str().into();
        }
        if !self.details.causes.is_empty() {
            let cause = |cause: &StatusCause| {
                let mut value = json!({});
                let texts = [
                    ("reason", &cause.reason),
                    ("message", &cause.message),
                    ("field", &cause.field),
                ];
                for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
                    value[key] = text.as_str().into();
                }
                value
            };
            details["causes"] = self.details.causes.iter().map(cause).collect();
        }
        if self.details.retry_after_seconds > 0 {
            details["retryAfterSeconds"] = self.details.retry_after_seconds.into();
        }
        details
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

/// Returns the `Status` that a delete answers with when the object is gone at once.
pub fn success(resource: &GroupResource, name: &str, uid: &str) -> Value {
    let mut details = json!({ "name": name });
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_str().into();
    }
    details["kind"] = resource.resource.as_str().into();
    details["uid"] = uid.into();
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invalid::FieldErrorKind;

    #[test]
    fn a_missing_object_reads_as_upstream() {
        let status = Status::not_found(&GroupResource::new("apps", "deployments"), "web");
        assert_eq!(status.to_string(), "deployments.apps \"web\" not found");
        assert_eq!(
            status.to_value().to_string(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"web\" not found","reason":"NotFound","details":{"name":"web","group":"apps","kind":"deployments"},"code":404}"#
        );
    }

    #[test]
    fn an_invalid_object_lists_its_causes() {
        let errors = [
            FieldError::new(FieldErrorKind::Required, "spec.containers", None, ""),
            FieldError::invalid("metadata.name", "A", "must be lower case"),
        ];
        let status = Status::invalid("", "Pod", "A", &errors);
        assert_eq!(
            status.message,
            "Pod \"A\" is invalid: [spec.containers: Required value, metadata.name: Invalid value: \"A\": must be lower case]"
        );
        assert_eq!(status.details.causes[1].reason, "FieldValueInvalid");
        assert_eq!(
            status.details.causes[1].message,
            "Invalid value: \"A\": must be lower case"
        );
    }

    #[test]
    fn a_stale_write_says_what_to_do() {
        let status = Status::modified(&GroupResource::new("", "pods"), "a");
        assert!(
            status
                .message
                .starts_with("Operation cannot be fulfilled on pods \"a\": the object")
        );
        assert_eq!((status.code, status.reason), (409, "Conflict"));
    }
}
