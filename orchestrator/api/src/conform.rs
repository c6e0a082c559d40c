//! Brings a JSON value into the form of a type, as decoding into a Go struct would: types are
//! checked, unknown fields dropped and reported, quantities and times written canonically. It does
//! not know rules beyond types (see validation in the API server).

use ordain_schemas::{Shape, Table, Type, TypeId};
use serde_json::{Map, Number, Value};

use crate::{decode::push_key, quantity, status::Status, time};

/// How many unknown fields are reported.
const UNKNOWN_MAX: usize = 100;

/// A value has the wrong type; the text is what upstream's decoder says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

/// Brings an object into the form of its type and returns the paths of the unknown fields that
/// were dropped: `spec.containers[0].imge`.
///
/// Nulls and empty optional lists and maps are left out, as Go's `omitempty` does.
///
/// # Errors
/// When a value has the wrong type.
pub fn conform(table: &Table, ty: TypeId, value: &mut Value) -> Result<Vec<String>, TypeError> {
    let mut walk = Walk {
        table,
        unknown: Vec::new(),
        path: String::new(),
        go_path: String::new(),
    };
    walk.type_(table.ty(ty), value)?;
    Ok(walk.unknown)
}

/// Returns the 400 of an object that cannot be decoded: `Pod in version "v1" cannot be handled as a
/// Pod: …`.
pub fn cannot_be_handled(kind: &str, version: &str, why: impl std::fmt::Display) -> Status {
    let text = format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}");
    Status::bad_request(text)
}

/// Returns what `fieldValidation=Strict` complains about, or `None`: unknown fields first, then
/// repeated ones. With `Warn` each entry of [`strict_messages`] is a warning of its own.
pub fn strict_error(unknown: &[String], duplicates: &[String]) -> Option<String> {
    let messages = strict_messages(unknown, duplicates);
    (!messages.is_empty()).then(|| format!("strict decoding error: {}", messages.join(", ")))
}

/// Returns the messages about unknown and repeated fields, one each.
pub fn strict_messages(unknown: &[String], duplicates: &[String]) -> Vec<String> {
    let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
    let duplicates = duplicates
        .iter()
        .map(|path| format!("duplicate field {path:?}"));
    unknown.chain(duplicates).collect()
}

struct Walk<'t> {
    table: &'t Table,
    unknown: Vec<String>,
    /// The path with indexes, for unknown fields.
    path: String,
    /// The path without indexes, as Go's decoder names fields.
    go_path: String,
}

impl Walk<'_> {
    fn type_(&mut self, ty: &Type, value: &mut Value) -> Result<(), TypeError> {
        if let Some(special) = &ty.special {
            return self.shape(special, ty, value);
        }
        let Value::Object(map) = value else {
            return Err(self.mismatch(value, ty, &go_name(ty)));
        };
        let mut kept = Map::with_capacity(map.len());
        for (key, mut value) in std::mem::take(map) {
            let (length, go_length) = (self.path.len(), self.go_path.len());
            push_key(&mut self.path, &key);
            push_key(&mut self.go_path, &key);
            match ty.field(&key) {
                None => {
                    if self.unknown.len() < UNKNOWN_MAX {
                        self.unknown.push(self.path.clone());
                    }
                }
                Some(_) if value.is_null() => {}
                Some(field) => {
                    self.shape(&field.shape, ty, &mut value)?;
                    let empty = match &value {
                        Value::Array(list) => list.is_empty(),
                        Value::Object(map) => {
                            matches!(field.shape, Shape::Map(_)) && map.is_empty()
                        }
                        _ => false,
                    };
                    if field.required || !empty {
                        kept.insert(key, value);
                    }
                }
            }
            self.path.truncate(length);
            self.go_path.truncate(go_length);
        }
        *map = kept;
        Ok(())
    }

    /// Brings a value into a shape; `owner` is the struct that the field is in.
    fn shape(&mut self, shape: &Shape, owner: &Type, value: &mut Value) -> Result<(), TypeError> {
        let fits = match shape {
            Shape::Struct(id) if value.is_object() => {
                return self.type_(self.table.ty(*id), value);
            }
            Shape::Struct(_) => false,
            Shape::List(element) => return self.list(element, owner, value),
            Shape::Map(element) => return self.map(element, owner, value),
            Shape::String | Shape::Duration => value.is_string(),
            Shape::Bool => value.is_boolean(),
            Shape::Int32 | Shape::Int64 => return self.integer(shape, owner, value),
            Shape::Double => value.is_number(),
            Shape::Bytes => match value.as_str() {
                Some(text) => return base64_bytes(text).map_err(TypeError),
                None => false,
            },
            Shape::Quantity => match quantity::Quantity::from_value(value) {
                Ok(quantity) => {
                    *value = quantity.to_string().into();
                    true
                }
                Err(error) => return Err(TypeError(error.to_string())),
            },
            Shape::IntOrString => {
                if value.is_number() {
                    return self.integer(&Shape::Int32, owner, value);
                }
                value.is_string()
            }
            Shape::Time | Shape::MicroTime => match value.as_str() {
                Some(text) => {
                    let time = time::parse_time(text).map_err(|e| TypeError(e.to_string()))?;
                    *value = match shape {
                        Shape::Time => time::format_time(time),
                        _ => time::format_micro_time(time),
                    }
                    .into();
                    true
                }
                None => false,
            },
            Shape::RawExtension | Shape::FieldsV1 | Shape::Json => true,
        };
        if fits {
            Ok(())
        } else {
            Err(self.mismatch(value, owner, &self.go_shape(shape)))
        }
    }

    fn list(&mut self, element: &Shape, owner: &Type, value: &mut Value) -> Result<(), TypeError> {
        let Value::Array(list) = value else {
            let go = format!("[]{}", self.go_shape(element));
            return Err(self.mismatch(value, owner, &go));
        };
        let length = self.path.len();
        for (at, value) in list.iter_mut().enumerate() {
            self.path += &format!("[{at}]");
            if value.is_null() {
                *value = zero(element);
            }
            if !value.is_null() {
                self.shape(element, owner, value)?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn map(&mut self, element: &Shape, owner: &Type, value: &mut Value) -> Result<(), TypeError> {
        let Value::Object(map) = value else {
            let go = format!("map[string]{}", self.go_shape(element));
            return Err(self.mismatch(value, owner, &go));
        };
        for (key, value) in map.iter_mut() {
            let length = self.path.len();
            push_key(&mut self.path, key);
            if value.is_null() {
                *value = zero(element);
            }
            if !value.is_null() {
                self.shape(element, owner, value)?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn integer(&mut self, shape: &Shape, owner: &Type, value: &mut Value) -> Result<(), TypeError> {
        let bounds = match shape {
            Shape::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
            _ => i64::MIN..=i64::MAX,
        };
        // YAML writes 1.0 for what its author meant as 1; beyond 2^53 a float is not exact.
        let whole = |float: f64| {
            let exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            exact.then_some(float as i64)
        };
        let number = value.as_i64().or_else(|| value.as_f64().and_then(whole));
        match number.filter(|number| value.is_number() && bounds.contains(number)) {
            Some(number) => {
                *value = Value::Number(Number::from(number));
                Ok(())
            }
            None => Err(self.mismatch(value, owner, &self.go_shape(shape))),
        }
    }

    /// Returns the error of Go's decoder.
    fn mismatch(&self, value: &Value, owner: &Type, go_type: &str) -> TypeError {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if go_type.starts_with("int") => format!("number {number}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        TypeError(if self.go_path.is_empty() {
            format!("json: cannot unmarshal {found} into Go value of type {go_type}")
        } else {
            let (owner, path) = (owner.short_name(), &self.go_path);
            format!(
                "json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {go_type}"
            )
        })
    }

    fn go_shape(&self, shape: &Shape) -> String {
        match shape {
            Shape::Int32 => "int32".into(),
            Shape::Int64 => "int64".into(),
            Shape::Double => "float64".into(),
            Shape::Bool => "bool".into(),
            Shape::Bytes => "[]uint8".into(),
            Shape::IntOrString => "intstr.IntOrString".into(),
            Shape::Quantity => "resource.Quantity".into(),
            Shape::Struct(id) => go_name(self.table.ty(*id)),
            Shape::List(element) => format!("[]{}", self.go_shape(element)),
            Shape::Map(element) => format!("map[string]{}", self.go_shape(element)),
            _ => "string".into(),
        }
    }
}

/// Returns the name of a type as Go prints it: `v1.PodSpec`.
fn go_name(ty: &Type) -> String {
    let mut parts = ty.name.rsplit('.');
    let (name, package) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    format!("{package}.{name}")
}

/// Returns what Go makes of a null element.
fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Struct(_) => Value::Object(Map::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::Map(_) => Value::Object(Map::new()),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::String | Shape::Bytes | Shape::Duration => "".into(),
        _ => Value::Null,
    }
}

fn base64_bytes(text: &str) -> Result<(), String> {
    use base64::{DecodeError, Engine as _, engine::general_purpose::STANDARD};
    // Go's decoder skips line breaks.
    let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    STANDARD.decode(&text).map(drop).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len() / 4 * 4,
        };
        format!("illegal base64 data at input byte {at}")
    })
}

/// Fills in the defaults of the table wherever a field is absent, in everything that is there.
///
/// These are the unconditional ones; what depends on other fields is the API server's business.
pub fn fill_defaults(table: &Table, ty: TypeId, value: &mut Value) {
    let ty = table.ty(ty);
    let Value::Object(map) = value else { return };
    for field in &ty.fields {
        if let Some(default) = field.default
            && !map.contains_key(field.name)
        {
            let default = serde_json::from_str(default).expect("a test parses every default");
            map.insert(field.name.to_owned(), default);
        }
        if let (Some(id), Some(value)) = (field.shape.struct_id(), map.get_mut(field.name)) {
            for_structs(&field.shape, value, &mut |value| {
                fill_defaults(table, id, value)
            });
        }
    }
}

/// Calls a function with each struct in a value of this shape.
fn for_structs(shape: &Shape, value: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    match (shape, value) {
        (Shape::Struct(_), value) => act(value),
        (Shape::List(element), Value::Array(list)) => {
            list.iter_mut()
                .for_each(|value| for_structs(element, value, act));
        }
        (Shape::Map(element), Value::Object(map)) => {
            map.values_mut()
                .for_each(|value| for_structs(element, value, act));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use ordain_schemas::{KubeVersion, table};
    use serde_json::json;

    use super::*;

    fn check(kind: &str, mut value: Value) -> Result<(Value, Vec<String>), String> {
        let table = table(KubeVersion::DEFAULT);
        let (api_version, kind) = kind.rsplit_once('/').expect("version/Kind");
        let ty = table.kind_of(api_version, kind).expect("a known kind").ty;
        let unknown = conform(table, ty, &mut value).map_err(|error| error.to_string())?;
        Ok((value, unknown))
    }

    #[test]
    fn unknown_fields_are_dropped_and_reported() {
        let pod =
            json!({"spec": {"containers": [{"name": "a", "imge": "x"}], "foo": 1}, "bar": {}});
        let (value, unknown) = check("v1/Pod", pod).expect("types fit");
        assert_eq!(value, json!({"spec": {"containers": [{"name": "a"}]}}));
        assert_eq!(unknown, ["spec.containers[0].imge", "spec.foo", "bar"]);
        assert_eq!(
            strict_error(&unknown[1..2], &["a.b".into()]).as_deref(),
            Some("strict decoding error: unknown field \"spec.foo\", duplicate field \"a.b\"")
        );
    }

    #[test]
    fn values_become_canonical() {
        let pod = json!({
            "metadata": {"creationTimestamp": null, "labels": {}, "deletionTimestamp": "2026-01-01T01:00:00.5+01:00"},
            "spec": {"containers": [{"name": "a", "args": [], "securityContext": {},
                "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}], "priority": 1.0},
        });
        let (value, _) = check("v1/Pod", pod).expect("types fit");
        assert_eq!(
            value,
            json!({
                "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "a", "securityContext": {},
                    "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}], "priority": 1},
            })
        );
    }

    #[test]
    fn wrong_types_are_named_as_go_does() {
        let error = |kind, value| check(kind, value).expect_err("a wrong type");
        assert_eq!(
            error("apps/v1/Deployment", json!({"spec": {"replicas": "x"}})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        assert_eq!(
            error("apps/v1/Deployment", json!({"spec": []})),
            "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"
        );
        assert_eq!(
            error(
                "v1/Pod",
                json!({"spec": {"containers": [{"ports": [{"hostPort": 1.5}]}]}})
            ),
            "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.hostPort of type int32"
        );
        assert!(error("v1/Secret", json!({"data": {"a": "%"}})).starts_with("illegal base64 data"));
        assert!(
            error("v1/Pod", json!({"metadata": {"labels": {"a": 1}}})).ends_with("of type string")
        );
    }

    #[test]
    fn defaults_come_from_the_table() {
        let table = table(KubeVersion::DEFAULT);
        let ty = table.kind("apps", "v1", "Deployment").expect("known").ty;
        let mut value =
            json!({"spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "a"}]}}}});
        fill_defaults(table, ty, &mut value);
        assert_eq!(value["spec"]["replicas"], 3);
        assert_eq!(value["spec"]["strategy"]["type"], "RollingUpdate");
        let pod = &value["spec"]["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Always");
        assert_eq!(pod["containers"][0]["terminationMessagePolicy"], "File");
    }
}
