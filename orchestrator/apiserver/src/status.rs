//! The error answer of the API: a `Status` object with the code, reason and causes clients read.
//!
//! Handlers return [`Failure`]; only the HTTP layer turns it into bytes. Wording follows
//! `apimachinery/pkg/api/errors/errors.go`, because scripts and tests match on it.

use serde_json::{Map, Value, json};

/// A refused request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
}

/// What a message is about: group and plural for the text, kind and name for the details.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) group: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) name: &'a str,
}

impl Subject<'_> {
    fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    fn details(&self) -> Map<String, Value> {
        let mut map = Map::new();
        if !self.name.is_empty() {
            map.insert("name".into(), self.name.into());
        }
        if !self.group.is_empty() {
            map.insert("group".into(), self.group.into());
        }
        if !self.plural.is_empty() {
            map.insert("kind".into(), self.plural.into());
        }
        map
    }
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    /// A required field is missing.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Cause {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Cause {
            reason: "FieldValueRequired",
            message,
            field: field.into(),
        }
    }

    /// A field has a value that its rules refuse.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
        let message = format!("Invalid value: {}: {detail}", shown(value));
        Cause {
            reason: "FieldValueInvalid",
            message,
            field: field.into(),
        }
    }

    /// A field may not be set, or not here.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
        Cause {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {detail}"),
            field: field.into(),
        }
    }

    /// A list holds the same thing twice.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
        let message = format!("Duplicate value: {}", shown(value));
        Cause {
            reason: "FieldValueDuplicate",
            message,
            field: field.into(),
        }
    }

    /// A value is none of the allowed ones.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, allowed: &[&str]) -> Cause {
        let list: Vec<String> = allowed.iter().map(|v| format!("\"{v}\"")).collect();
        let message = format!(
            "Unsupported value: {}: supported values: {}",
            shown(value),
            list.join(", ")
        );
        Cause {
            reason: "FieldValueNotSupported",
            message,
            field: field.into(),
        }
    }

    /// A reference to something that is not there.
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Cause {
        Cause {
            reason: "FieldValueNotFound",
            message: format!("Not found: {}", shown(value)),
            field: field.into(),
        }
    }
}

/// Returns a value as an error text shows it; long ones are cut.
fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > 200 {
        let mut end = 200;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(mut self, subject: Subject<'_>) -> Failure {
        self.details = Some(Value::Object(subject.details()));
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Failure {
        Failure::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(subject: Subject<'_>, why: &str) -> Failure {
        let message = if subject.name.is_empty() {
            format!("{} is forbidden: {why}", subject.qualified())
        } else {
            format!(
                "{} {:?} is forbidden: {why}",
                subject.qualified(),
                subject.name
            )
        };
        Failure::new(403, "Forbidden", message).about(subject)
    }

    pub(crate) fn not_found(subject: Subject<'_>) -> Failure {
        let message = format!("{} {:?} not found", subject.qualified(), subject.name);
        Failure::new(404, "NotFound", message).about(subject)
    }

    /// No such path at all.
    pub(crate) fn no_route() -> Failure {
        let mut failure = Failure::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
        failure.details = Some(json!({}));
        failure
    }

    pub(crate) fn method_not_allowed(what: &str) -> Failure {
        Failure::new(
            405,
            "MethodNotAllowed",
            format!("the server does not allow this method on the requested resource ({what})"),
        )
    }

    pub(crate) fn not_acceptable(offered: &str) -> Failure {
        Failure::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {offered}"),
        )
    }

    pub(crate) fn unsupported_media_type(offered: &str) -> Failure {
        Failure::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {offered}"
            ),
        )
    }

    pub(crate) fn already_exists(subject: Subject<'_>) -> Failure {
        let message = format!("{} {:?} already exists", subject.qualified(), subject.name);
        Failure::new(409, "AlreadyExists", message).about(subject)
    }

    pub(crate) fn conflict(subject: Subject<'_>, why: &str) -> Failure {
        let message = format!(
            "Operation cannot be fulfilled on {} {:?}: {why}",
            subject.qualified(),
            subject.name
        );
        Failure::new(409, "Conflict", message).about(subject)
    }

    /// The object was changed by somebody else since it was read.
    pub(crate) fn modified(subject: Subject<'_>) -> Failure {
        Failure::conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn expired(message: impl Into<String>) -> Failure {
        Failure::new(410, "Expired", message)
    }

    pub(crate) fn too_large() -> Failure {
        Failure::new(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        )
    }

    /// The object does not satisfy the rules of its kind. `kind` is the kind, as upstream words it.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Failure {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let texts: Vec<String> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = Subject {
            group,
            plural: kind,
            name,
        }
        .details();
        let causes = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        details.insert("causes".into(), Value::Array(causes));
        let mut failure = Failure::new(
            422,
            "Invalid",
            format!("{qualified} {name:?} is invalid: {list}"),
        );
        failure.details = Some(Value::Object(details));
        failure
    }

    pub(crate) fn too_many_requests(message: impl Into<String>) -> Failure {
        Failure::new(429, "TooManyRequests", message)
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Failure {
        Failure::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Failure {
        Failure::new(503, "ServiceUnavailable", message)
    }

    /// The client asks for a state that this server has not reached.
    pub(crate) fn future_revision(wanted: u64, current: u64) -> Failure {
        let message = format!("Too large resource version: {wanted}, current: {current}");
        let mut failure = Failure::new(504, "Timeout", format!("Timeout: {message}"));
        failure.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }));
        failure
    }

    /// Returns the failure as a `Status` object.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status["code"] = self.code.into();
        status
    }
}

/// Returns the answer to a finished delete that has no object to show.
pub(crate) fn success(subject: Subject<'_>, uid: &str) -> Value {
    let mut details = subject.details();
    if !uid.is_empty() {
        details.insert("uid".into(), uid.into());
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}

impl From<ordain_orchestrator_api::Status> for Failure {
    fn from(status: ordain_orchestrator_api::Status) -> Failure {
        let mut value = status.to_value();
        let details = value.get_mut("details").map(Value::take);
        Failure {
            code: status.code,
            reason: status.reason,
            message: status.message,
            details,
        }
    }
}
