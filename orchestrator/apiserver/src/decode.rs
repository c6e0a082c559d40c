//! From the bytes of a request to an object that fits its type.

use ordain_orchestrator_api::{conform, decode};
use ordain_schemas::TypeId;
use serde_json::Value;

use crate::{
    body::{self, Answer},
    convert,
    json::{as_map, entry_map, str_at},
    pipeline::Call,
    registry::Resource,
    status::Failure,
};

/// What writers may send.
const ACCEPTED: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// At most this many warnings go out with an answer.
const WARNINGS_MAX: usize = 20;

/// What happens to fields that a type does not have, and to repeated keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    Warn,
    Strict,
}

impl Validation {
    /// Reads the parameter of a request; the default is to warn.
    ///
    /// # Errors
    /// 400 for anything but the three names.
    pub(crate) fn of(call: &Call) -> Result<Validation, Failure> {
        match call.query.get("fieldValidation") {
            "" | "Warn" => Ok(Validation::Warn),
            "Ignore" => Ok(Validation::Ignore),
            "Strict" => Ok(Validation::Strict),
            other => Err(Failure::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }

    /// Refuses or warns about what was found.
    pub(crate) fn judge(
        self,
        unknown: &[String],
        duplicates: &[String],
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        match self {
            Validation::Ignore => Ok(()),
            Validation::Warn => {
                warnings.extend(conform::strict_messages(unknown, duplicates));
                Ok(())
            }
            Validation::Strict => match conform::strict_error(unknown, duplicates) {
                Some(message) => Err(Failure::bad_request(message)),
                None => Ok(()),
            },
        }
    }
}

/// An object from a request, with what its author should know.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

impl Received {
    /// Adds the warnings to an answer.
    pub(crate) fn warn(&self, answer: &mut Answer) {
        add_warnings(answer, &self.warnings);
    }
}

/// Adds warnings to an answer.
pub(crate) fn add_warnings(answer: &mut Answer, warnings: &[String]) {
    for warning in warnings.iter().take(WARNINGS_MAX) {
        body::warn(answer.headers_mut(), warning);
    }
}

/// Parses the body of a request without looking at its type; the second part lists repeated keys.
///
/// # Errors
/// 400 for a malformed body, 415 for an unknown content type.
pub(crate) fn parse(call: &Call) -> Result<(Value, Vec<String>), Failure> {
    let parsed = match call.content_type().as_str() {
        "" | "application/json" | "text/plain" => decode::from_json(&call.body),
        "application/yaml" | "text/yaml" | "application/x-yaml" => decode::from_yaml(&call.body),
        "application/vnd.kubernetes.protobuf" => {
            let value = ordain_orchestrator_api::protobuf::decode(call.core.table, &call.body);
            return Ok((value.map_err(Failure::from)?, Vec::new()));
        }
        _ => return Err(Failure::unsupported_media_type(&ACCEPTED)),
    };
    let parsed = parsed.map_err(|e| Failure::bad_request(chain(&e)))?;
    Ok((parsed.value, parsed.duplicates))
}

/// Returns the text of an error and of what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Reads an object of the resource's kind from the body of a request.
///
/// # Errors
/// 400 when it is malformed, of another kind, of the wrong types or, with strict validation, has
/// unknown or repeated fields.
pub(crate) fn object(call: &Call, resource: &Resource) -> Result<Received, Failure> {
    let (value, duplicates) = parse(call)?;
    let mut warnings = Vec::new();
    let object = typed(call, resource, value, &duplicates, &mut warnings)?;
    Ok(Received { object, warnings })
}

/// Makes a value an object of the resource's kind.
///
/// # Errors
/// As [`object`].
pub(crate) fn typed(
    call: &Call,
    resource: &Resource,
    mut value: Value,
    duplicates: &[String],
    warnings: &mut Vec<String>,
) -> Result<Value, Failure> {
    if !value.is_object() {
        return Err(Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error",
            resource.kind
        )));
    }
    check_kind(&value, &resource.api_version(), &resource.kind)?;
    let validation = Validation::of(call)?;
    let unknown = match (&resource.custom, resource.ty) {
        (Some(custom), _) => crate::custom::conform(call.core.table, custom, &mut value)
            .map_err(|why| wrong_type(resource, why))?,
        (None, Some(ty)) => fit(call, ty, &mut value).map_err(|why| wrong_type(resource, why))?,
        (None, None) => Vec::new(),
    };
    validation.judge(&unknown, duplicates, warnings)?;
    let map = as_map(&mut value);
    map.insert("apiVersion".into(), resource.api_version().into());
    map.insert("kind".into(), resource.kind.as_str().into());
    entry_map(map, "metadata").shift_remove("selfLink");
    Ok(value)
}

fn fit(call: &Call, ty: TypeId, value: &mut Value) -> Result<Vec<String>, String> {
    conform::conform(call.core.table, ty, value).map_err(|e| e.to_string())
}

fn wrong_type(resource: &Resource, why: String) -> Failure {
    conform::cannot_be_handled(&resource.kind, &resource.version, why)
}

/// Refuses an object of another kind; one that does not say its kind is taken as the right one.
fn check_kind(value: &Value, api_version: &str, kind: &str) -> Result<(), Failure> {
    let (found_version, found_kind) = (str_at(value, &["apiVersion"]), str_at(value, &["kind"]));
    if !found_version.is_empty() && found_version != api_version {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({found_version}) does not match the expected API version ({api_version})"
        )));
    }
    if !found_kind.is_empty() && found_kind != kind {
        let version = api_version.rsplit('/').next().unwrap_or(api_version);
        return Err(Failure::bad_request(format!(
            "{found_kind} in version {version:?} cannot be handled as a {kind}: converting ({found_kind}) to ({kind}): unknown conversion"
        )));
    }
    Ok(())
}

/// Reads a body of a kind that is not stored: options, a review, a binding.
///
/// # Errors
/// 400 when it is malformed or of another kind.
pub(crate) fn other(call: &Call, group: &str, version: &str, kind: &str) -> Result<Value, Failure> {
    let (mut value, _) = parse(call)?;
    if !value.is_object() {
        return Err(Failure::bad_request(format!("the body is not a {kind}")));
    }
    let api_version = crate::registry::api_version(group, version);
    check_kind(&value, &api_version, kind)?;
    if let Some(found) = call.core.table.kind(group, version, kind) {
        let fitted = conform::conform(call.core.table, found.ty, &mut value);
        fitted.map_err(|e| conform::cannot_be_handled(kind, version, e))?;
    }
    let map = as_map(&mut value);
    map.insert("apiVersion".into(), api_version.into());
    map.insert("kind".into(), kind.into());
    Ok(value)
}

/// Returns an object as it is stored.
pub(crate) fn stored(resource: &Resource, object: Value) -> Value {
    convert::to_storage(resource, object)
}
