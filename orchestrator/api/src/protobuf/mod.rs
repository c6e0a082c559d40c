//! Protobuf request bodies: the Kubernetes envelope and a decoder that reads field numbers from the
//! type table, so that every built-in kind decodes without generated code. It does not encode:
//! answers are JSON, which every client accepts.
//!
//! kubectl since 1.32 sends protobuf for its typed commands (`create deployment`, `autoscale`,
//! `create token`, …) and does not fall back to JSON.

mod special;
mod wire;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ordain_schemas::{Field, Shape, Table, Type, TypeId};
use serde_json::{Map, Number, Value};

use self::{
    special::{duration_of, int_or_string, quantity_of, time_of},
    wire::{Fields, Wire, malformed, text},
};
use crate::{status::Status, time};

/// The content type of protobuf bodies.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What a body starts with: runtime/serializer/protobuf of k8s.io/apimachinery.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may nest, protobuf's own customary limit.
const DEPTH_MAX: usize = 100;

/// A body is not what its content type says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The four bytes at the start are missing.
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    NoMagic,
    /// The envelope names no kind that the table knows.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// The `apiVersion` of the envelope.
        api_version: String,
        /// The kind of the envelope.
        kind: String,
    },
    /// The message is cut off or malformed.
    #[error("malformed protobuf in {place}: {what}")]
    Malformed {
        /// The type whose message it is.
        place: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl From<ProtobufError> for Status {
    fn from(error: ProtobufError) -> Status {
        Status::bad_request(error.to_string())
    }
}

/// Tells whether a body is in the protobuf envelope.
pub fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Decodes a body to the JSON value that it stands for, with `apiVersion` and `kind`.
///
/// # Errors
/// When the envelope or a message is malformed, or the kind is unknown.
pub fn decode(table: &Table, body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Fields::of(body, "runtime.Unknown") {
        match field? {
            (1, Wire::Bytes(type_meta)) => {
                for field in Fields::of(type_meta, "runtime.TypeMeta") {
                    match field? {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes, "runtime.TypeMeta")?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes, "runtime.TypeMeta")?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            // An encoded body (field 3) is something that no client sends.
            (3, Wire::Bytes(bytes)) if !bytes.is_empty() => {
                return Err(malformed("runtime.Unknown", "the content is encoded"));
            }
            _ => {}
        }
    }
    let Some(ty) = type_of(table, &api_version, &kind) else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut object = Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), api_version.into());
    Decoder { table }.message(table.ty(ty), &[], raw, &mut object, 0)?;
    Ok(Value::Object(object))
}

/// Returns the type of a body: a kind, a list of a kind, or the options of a delete, which clients
/// send under any group.
fn type_of(table: &Table, api_version: &str, kind: &str) -> Option<TypeId> {
    if let Some(kind) = table.kind_of(api_version, kind) {
        return Some(kind.ty);
    }
    if matches!(kind, "DeleteOptions" | "Status") {
        return table.type_named(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"));
    }
    table
        .kind_of(api_version, kind.strip_suffix("List")?)?
        .list_ty
}

struct Decoder<'t> {
    table: &'t Table,
}

impl Decoder<'_> {
    /// Adds the fields of a message to an object. `inlined` are the numbers of the messages that it
    /// is inlined from: JSON has their fields in the parent.
    fn message(
        &self,
        ty: &Type,
        inlined: &[u32],
        bytes: &[u8],
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if depth > DEPTH_MAX {
            return Err(malformed(ty.name, "messages nest too deeply"));
        }
        for field in Fields::of(bytes, ty.name) {
            let (number, wire) = field?;
            let path: Vec<u32> = inlined.iter().copied().chain([number]).collect();
            if let Some(field) = ty.fields.iter().find(|field| field.protobuf == path) {
                self.field(ty, field, wire, object, depth)?;
            } else if ty
                .fields
                .iter()
                .any(|field| field.protobuf.starts_with(&path))
                && let Wire::Bytes(bytes) = wire
            {
                self.message(ty, &path, bytes, object, depth + 1)?;
            }
            // Other numbers belong to fields that are newer or older than the table.
        }
        Ok(())
    }

    fn field(
        &self,
        ty: &Type,
        field: &Field,
        wire: Wire<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        let name = field.name;
        match &field.shape {
            Shape::List(element) => {
                let list = object
                    .entry(name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(list) = list else {
                    return Ok(());
                };
                match (element.as_ref(), wire) {
                    // Numbers may be packed into one field.
                    (Shape::Int32 | Shape::Int64 | Shape::Bool, Wire::Bytes(packed)) => {
                        let mut packed = Fields::of(packed, ty.name);
                        while !packed.rest.is_empty() {
                            let wire = Wire::Varint(packed.varint()?);
                            list.push(self.value(ty, field, element, wire, depth)?);
                        }
                    }
                    _ => list.push(self.value(ty, field, element, wire, depth)?),
                }
            }
            Shape::Map(element) => {
                let Wire::Bytes(bytes) = wire else {
                    return Err(malformed(ty.name, "a map entry is no message"));
                };
                let mut key = String::new();
                let mut value = None;
                for part in Fields::of(bytes, ty.name) {
                    match part? {
                        (1, Wire::Bytes(bytes)) => key = text(bytes, ty.name)?,
                        (2, wire) => value = Some(self.value(ty, field, element, wire, depth)?),
                        _ => {}
                    }
                }
                let value = match value {
                    Some(value) => value,
                    // An absent value is the zero value; of a message, the empty one.
                    None => self.value(ty, field, element, Wire::Bytes(&[]), depth)?,
                };
                let map = object
                    .entry(name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
            shape => {
                let value = self.value(ty, field, shape, wire, depth)?;
                if is_absent(field, &value) {
                    object.shift_remove(name);
                } else {
                    object.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    /// Decodes one value; `ty` and `field` say where it stands.
    fn value(
        &self,
        ty: &Type,
        field: &Field,
        shape: &Shape,
        wire: Wire<'_>,
        depth: usize,
    ) -> Result<Value, ProtobufError> {
        let wrong = || malformed(ty.name, "a field has the wrong wire type");
        match (shape, wire) {
            (Shape::Bool, Wire::Varint(value)) => Ok((value != 0).into()),
            // Negative numbers are sign-extended to 64 bits; the reinterpretation is meant.
            #[expect(clippy::cast_possible_truncation, reason = "int32 is sent as 64 bits")]
            (Shape::Int32, Wire::Varint(value)) => Ok((value.cast_signed() as i32).into()),
            (Shape::Int64, Wire::Varint(value)) => Ok(value.cast_signed().into()),
            (Shape::Double, Wire::Fixed64(bytes)) => {
                let number = Number::from_f64(f64::from_le_bytes(bytes));
                number
                    .map(Value::Number)
                    .ok_or_else(|| malformed(ty.name, "a number is not finite"))
            }
            (Shape::Double, Wire::Fixed32(bytes)) => {
                let number = Number::from_f64(f32::from_le_bytes(bytes).into());
                number
                    .map(Value::Number)
                    .ok_or_else(|| malformed(ty.name, "a number is not finite"))
            }
            (Shape::String, Wire::Bytes(bytes)) => Ok(text(bytes, ty.name)?.into()),
            (Shape::Bytes, Wire::Bytes(bytes)) => Ok(STANDARD.encode(bytes).into()),
            (Shape::Struct(id), Wire::Bytes(bytes)) => {
                let mut object = Map::new();
                self.message(self.table.ty(*id), &[], bytes, &mut object, depth + 1)?;
                Ok(Value::Object(object))
            }
            // A list within a map is wrapped into a message, as in the `extra` of a user.
            (Shape::List(element), Wire::Bytes(bytes)) => {
                let mut list = Vec::new();
                for part in Fields::of(bytes, ty.name) {
                    if let (1, wire) = part? {
                        list.push(self.value(ty, field, element, wire, depth + 1)?);
                    }
                }
                Ok(Value::Array(list))
            }
            (Shape::Quantity, Wire::Bytes(bytes)) => quantity_of(bytes, ty.name),
            (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes, ty.name),
            (Shape::Time, Wire::Bytes(bytes)) => time_of(bytes, ty.name, time::format_time),
            (Shape::MicroTime, Wire::Bytes(bytes)) => {
                time_of(bytes, ty.name, time::format_micro_time)
            }
            (Shape::Duration, Wire::Bytes(bytes)) => duration_of(bytes, ty.name),
            (Shape::RawExtension | Shape::FieldsV1, Wire::Bytes(bytes)) => self.raw(bytes, ty.name),
            (Shape::Json, Wire::Bytes(bytes)) => self.json(ty, field, bytes, depth),
            _ => Err(wrong()),
        }
    }

    /// Decodes a message whose first field holds JSON, or an enveloped message.
    fn raw(&self, bytes: &[u8], place: &str) -> Result<Value, ProtobufError> {
        let mut value = Value::Null;
        for part in Fields::of(bytes, place) {
            if let (1, Wire::Bytes(raw)) = part? {
                value = if is_protobuf(raw) {
                    decode(self.table, raw)?
                } else if raw.is_empty() {
                    Value::Null
                } else {
                    serde_json::from_slice(raw)
                        .map_err(|_| malformed(place, "an embedded object is not JSON"))?
                };
            }
        }
        Ok(value)
    }

    /// Decodes the four messages of `JSONSchemaProps` that stand for JSON of several forms.
    fn json(
        &self,
        ty: &Type,
        field: &Field,
        bytes: &[u8],
        depth: usize,
    ) -> Result<Value, ProtobufError> {
        let (mut value, mut list) = (Value::Null, Vec::new());
        let schema = |bytes| {
            let mut object = Map::new();
            self.message(ty, &[], bytes, &mut object, depth + 1)?;
            Ok(Value::Object(object))
        };
        for part in Fields::of(bytes, ty.name) {
            match (field.name, part?) {
                // JSONSchemaPropsOrArray: a schema, or schemas.
                ("items", (1, Wire::Bytes(bytes))) => value = schema(bytes)?,
                ("items", (2, Wire::Bytes(bytes))) => list.push(schema(bytes)?),
                // JSONSchemaPropsOrBool: a boolean that yields to a schema.
                ("additionalItems" | "additionalProperties", (1, Wire::Varint(allows)))
                    if value.is_null() =>
                {
                    value = (allows != 0).into();
                }
                ("additionalItems" | "additionalProperties", (2, Wire::Bytes(bytes))) => {
                    value = schema(bytes)?;
                }
                // JSONSchemaPropsOrStringArray: a schema, or names.
                ("dependencies", (1, Wire::Bytes(bytes))) => value = schema(bytes)?,
                ("dependencies", (2, Wire::Bytes(bytes))) => {
                    list.push(text(bytes, ty.name)?.into());
                }
                // JSON: the bytes themselves.
                (_, (1, Wire::Bytes(raw))) if !raw.is_empty() => {
                    value = serde_json::from_slice(raw)
                        .map_err(|_| malformed(ty.name, "an embedded value is not JSON"))?;
                }
                _ => {}
            }
        }
        Ok(if list.is_empty() {
            value
        } else {
            Value::Array(list)
        })
    }
}

/// Tells whether Go would leave a decoded value out of JSON: on the wire fields that are no
/// pointers are there even when they are zero.
fn is_absent(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => true,
        _ if field.pointer || field.required => false,
        Value::String(text) => text.is_empty(),
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use ordain_schemas::{KubeVersion, table};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Encodes a message from `(number, value)`: numbers as varints, texts and lists of bytes as
    /// length-delimited fields.
    fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, bytes) in fields {
            out.extend([number << 3 | 2, u8::try_from(bytes.len()).expect("short")]);
            out.extend(*bytes);
        }
        out
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = message(&[(1, api_version.as_bytes()), (2, kind.as_bytes())]);
        let mut out = MAGIC.to_vec();
        out.extend(message(&[(1, &meta), (2, raw), (3, b""), (4, b"")]));
        out
    }

    fn decoded(api_version: &str, kind: &str, raw: &[u8]) -> Result<Value, ProtobufError> {
        decode(
            table(KubeVersion::DEFAULT),
            &envelope(api_version, kind, raw),
        )
    }

    #[test]
    fn zero_values_that_are_no_pointers_are_absent() {
        // PodSpec: restartPolicy is a string, terminationGracePeriodSeconds a pointer.
        let spec = [message(&[(3, b""), (10, b"")]), vec![4 << 3, 0]].concat();
        let metadata = message(&[(1, b"a"), (2, b""), (8, b"")]);
        let pod = message(&[(1, &metadata), (2, &spec), (3, b"")]);
        assert_eq!(
            decoded("v1", "Pod", &pod),
            Ok(json!({
                "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"},
                "spec": {"terminationGracePeriodSeconds": 0}, "status": {},
            }))
        );
    }

    #[test]
    fn inlined_messages_and_wrapped_lists_unfold() {
        let get = message(&[(1, b"/"), (2, &[1 << 3, 1, 3 << 3 | 2, 1, b'w'])]);
        let probe = message(&[(1, &message(&[(2, &get)]))]);
        let container = message(&[(1, b"c"), (10, &probe)]);
        let pod = message(&[(2, &message(&[(2, &container)]))]);
        let pod = decoded("v1", "Pod", &pod).expect("well formed");
        assert_eq!(
            pod["spec"]["containers"],
            json!([{"name": "c", "livenessProbe": {"httpGet": {"path": "/", "port": "w"}}}])
        );
        let extra = message(&[(1, b"k"), (2, &message(&[(1, b"v"), (1, b"w")]))]);
        let review = message(&[(2, &message(&[(5, &extra)]))]);
        let review = decoded("authorization.k8s.io/v1", "SubjectAccessReview", &review)
            .expect("well formed");
        assert_eq!(review["spec"]["extra"], json!({"k": ["v", "w"]}));
    }

    #[test]
    fn schemas_of_custom_resources_take_their_forms() {
        // items is a schema, additionalProperties a boolean, default and enum are JSON.
        let items = message(&[(1, &message(&[(5, b"string")]))]);
        let mut props = message(&[(5, b"array"), (8, &message(&[(1, b"[1]")]))]);
        for value in [&b"1"[..], b"\"x\""] {
            let value = message(&[(1, value)]);
            props.extend([
                20 << 3 & 0x7f | 0x80 | 2,
                1,
                u8::try_from(value.len()).expect("short"),
            ]);
            props.extend(value);
        }
        props.extend([
            24 << 3 & 0x7f | 0x80 | 2,
            1,
            u8::try_from(items.len()).expect("short"),
        ]);
        props.extend(items);
        props.extend([30 << 3 & 0x7f | 0x80 | 2, 1, 2, 1 << 3, 1]);
        let table = table(KubeVersion::DEFAULT);
        let ty = table
            .type_named("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
            .expect("known");
        let mut object = Map::new();
        Decoder { table }
            .message(table.ty(ty), &[], &props, &mut object, 0)
            .expect("well formed");
        assert_eq!(
            Value::Object(object),
            json!({
                "type": "array", "default": [1], "enum": [1, "x"], "items": {"type": "string"},
                "additionalProperties": true,
            })
        );
    }

    #[test]
    fn options_of_a_delete_decode_under_any_group() {
        let options = [vec![1 << 3, 30], message(&[(4, b"Background")])].concat();
        let options = decoded("apps/v1", "DeleteOptions", &options).expect("well formed");
        assert_eq!(options["gracePeriodSeconds"], 30);
        assert_eq!(options["propagationPolicy"], "Background");
    }

    #[test]
    fn bad_bodies_are_refused() {
        let table = table(KubeVersion::DEFAULT);
        assert_eq!(decode(table, b"{}"), Err(ProtobufError::NoMagic));
        let unknown = decoded("v1", "Thing", b"").expect_err("no such kind");
        assert_eq!(
            unknown.to_string(),
            "no kind \"Thing\" is registered for version \"v1\""
        );
        for raw in [
            &[0x0a, 5, b'x'][..],
            &[0xff; 12],
            &[0x0b],
            &[0x0a, 2, 0xff, 0xfe],
            &[0],
        ] {
            assert!(decoded("v1", "Pod", raw).is_err(), "{raw:?}");
        }
        // A schema within a schema within …
        let mut deep = Vec::new();
        for _ in 0..300 {
            let mut outer = vec![28 << 3 & 0x7f | 0x80 | 2, 1];
            let mut length = deep.len();
            while length > 0x7f {
                outer.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(&deep);
            deep = outer;
        }
        let ty = table
            .type_named("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
            .expect("known");
        let result = Decoder { table }.message(table.ty(ty), &[], &deep, &mut Map::new(), 0);
        assert!(result.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(
            raw in proptest::collection::vec(any::<u8>(), 0..120),
            kind in prop_oneof![Just("Pod"), Just("Service"), Just("Event"), Just("Node")],
        ) {
            let body = envelope("v1", kind, &raw);
            let _ = decode(table(KubeVersion::DEFAULT), &body);
            let _ = decode(table(KubeVersion::DEFAULT), &raw);
        }
    }
}
