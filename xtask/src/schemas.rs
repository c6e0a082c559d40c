//! `cargo xtask schemas`: distils the facts in `schemas/facts/v1.*.tsv`. It knows the layout of the
//! published schemas and of our fact files, and nothing of how the table is read.
//!
//! Sources: the unpacked wheel `kubernetes-validate` (JSON schemas with every x-kubernetes
//! extension), a list of protobuf fields, and our own `fields.tsv` with what both leave out.
//! Names, types and numbers are kept; prose is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

/// The version written in full; the others are written as differences to it.
const BASE: u32 = 36;
/// All versions of the table.
const VERSIONS: [u32; 5] = [33, 34, 35, 36, 37];

const HEADER: &str = "\
# Made by `cargo xtask schemas`; do not edit.
# A line without indent is a type: name, then attributes (m=atomic, gvk=group/version/kind, special).
# An indented line is a field: name, type, then attributes: ! required, * a pointer in Go, #N protobuf
# number (#N.M when inlined), e= values, d= default, l= list type, m= map type, p= patch strategy and merge key.
# [] is a list of, {} a map of; type names leave out io.k8s.api. at their start.
";

const DIFF_HEADER: &str = "\
# Made by `cargo xtask schemas`; do not edit.
# The differences to v1.36.tsv: a line with - removes a type, everything else adds or replaces one.
";

/// Regenerates the fact files from an unpacked wheel and a table of protobuf fields.
pub fn run(wheel: &Path, protobuf: &Path) -> ExitCode {
    match generate(wheel, protobuf) {
        Ok(files) => {
            for (path, text) in files {
                if let Err(error) = fs::write(&path, text) {
                    eprintln!("cannot write {}: {error}", path.display());
                    return ExitCode::from(3);
                }
                println!("wrote {}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(3)
        }
    }
}

/// Returns the fact files' paths and texts.
fn generate(wheel: &Path, protobuf: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let facts = crate::root().join("schemas/facts");
    let messages = Messages::read(protobuf)?;
    let extra = Extra::read(&facts.join("fields.tsv"), &facts.join("pointers.tsv"))?;
    let mut base = BTreeMap::new();
    let mut files = Vec::new();
    for minor in std::iter::once(BASE).chain(VERSIONS.into_iter().filter(|minor| *minor != BASE)) {
        let blocks = distil(&definitions(wheel, minor)?, &messages, &extra)?;
        let path = facts.join(format!("v1.{minor}.tsv"));
        if minor == BASE {
            let text = blocks
                .values()
                .fold(HEADER.to_owned(), |text, block| text + block);
            files.push((path, text));
            base = blocks;
            continue;
        }
        let mut text = DIFF_HEADER.to_owned();
        for name in base.keys().filter(|name| !blocks.contains_key(*name)) {
            let _ = writeln!(text, "-{name}");
        }
        for (name, block) in &blocks {
            if base.get(name) != Some(block) {
                text += block;
            }
        }
        files.push((path, text));
    }
    Ok(files)
}

/// Reads the schema definitions of one version.
fn definitions(wheel: &Path, minor: u32) -> Result<Value, String> {
    let path = wheel.join(format!(
        "kubernetes_validate/kubernetes-json-schema/v1.{minor}.0-local/_definitions.json"
    ));
    let text = read(&path)?;
    let mut document: Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(document["$defs"].take())
}

/// Distils all types to their blocks of lines, by name.
fn distil(
    definitions: &Value,
    messages: &Messages,
    extra: &Extra,
) -> Result<BTreeMap<String, String>, String> {
    let definitions = definitions
        .as_object()
        .ok_or("the definitions are not an object")?;
    let mut blocks = BTreeMap::new();
    for (name, schema) in definitions {
        let mut block = name.clone();
        if schema["x-kubernetes-map-type"] == "atomic" {
            block += "\tm=atomic";
        }
        // DeleteOptions and WatchEvent belong to every group; listing them all tells nothing.
        if let Some([gvk]) = schema["x-kubernetes-group-version-kind"]
            .as_array()
            .map(Vec::as_slice)
        {
            let part = |key: &str| gvk[key].as_str().unwrap_or_default().to_owned();
            let _ = write!(
                block,
                "\tgvk={}/{}/{}",
                part("group"),
                part("version"),
                part("kind")
            );
        }
        if let Some(special) = special(name) {
            let _ = write!(block, "\t{special}");
        }
        block += "\n";
        let required: BTreeSet<&str> = strings(&schema["required"]).collect();
        let fields: BTreeMap<_, _> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .collect();
        for (field, schema) in fields {
            let shape = shape(schema).map_err(|error| format!("{name}.{field}: {error}"))?;
            let _ = write!(block, "\t{field}\t{shape}");
            if required.contains(field.as_str()) {
                block += "\t!";
            }
            if extra.is_pointer(name, field) {
                block += "\t*";
            }
            let numbers = messages.path(&message_name(name), field, shape.starts_with("[]"));
            if !numbers.is_empty() {
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                let _ = write!(block, "\t#{}", numbers.join("."));
            }
            if let Some((values, default)) = extra.get(name, field) {
                if values != "-" {
                    let _ = write!(block, "\te={values}");
                }
                if default != "-" {
                    let _ = write!(block, "\td={default}");
                }
            }
            block += &merge_facts(schema);
            block += "\n";
        }
        blocks.insert(name.clone(), block);
    }
    Ok(blocks)
}

/// Returns the attributes that say how lists, maps and patches of a field merge.
fn merge_facts(schema: &Value) -> String {
    let mut out = String::new();
    match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => {
            let keys: Vec<&str> = strings(&schema["x-kubernetes-list-map-keys"]).collect();
            let _ = write!(out, "\tl=map:{}", keys.join(","));
        }
        Some(list_type) => {
            let _ = write!(out, "\tl={list_type}");
        }
        None => {}
    }
    if schema["x-kubernetes-map-type"] == "atomic" {
        out += "\tm=atomic";
    }
    if let Some(strategy) = schema["x-kubernetes-patch-strategy"].as_str() {
        let _ = write!(out, "\tp={strategy}");
        if let Some(key) = schema["x-kubernetes-patch-merge-key"].as_str() {
            let _ = write!(out, ":{key}");
        }
    }
    out
}

/// Returns the name of the special shape of a type that is not a struct.
fn special(name: &str) -> Option<&'static str> {
    let (package, short) = name.rsplit_once('.')?;
    let special = match (package, short) {
        ("io.k8s.apimachinery.pkg.api.resource", "Quantity") => "Quantity",
        ("io.k8s.apimachinery.pkg.util.intstr", "IntOrString") => "IntOrString",
        ("io.k8s.apimachinery.pkg.apis.meta.v1", "Time") => "Time",
        ("io.k8s.apimachinery.pkg.apis.meta.v1", "MicroTime") => "MicroTime",
        ("io.k8s.apimachinery.pkg.apis.meta.v1", "Duration") => "Duration",
        ("io.k8s.apimachinery.pkg.apis.meta.v1", "FieldsV1") => "FieldsV1",
        ("io.k8s.apimachinery.pkg.apis.meta.v1", "Patch") => "RawExtension",
        ("io.k8s.apimachinery.pkg.runtime", "RawExtension") => "RawExtension",
        (package, "JSON") if package.contains("apiextensions") => "Json",
        (
            _,
            "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray",
        ) => "Json",
        _ => return None,
    };
    Some(special)
}

/// Returns the type expression of a field, an element or a map value.
fn shape(schema: &Value) -> Result<String, String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return Ok(match special(name) {
            Some(special) => special.to_owned(),
            None => name.strip_prefix("io.k8s.api.").unwrap_or(name).to_owned(),
        });
    }
    // An optional field is `["string", "null"]`; an absent type means any JSON value.
    let ty = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|ty| *ty != "null"),
        ty => ty.as_str(),
    };
    let format = schema["format"].as_str();
    Ok(match (ty, format) {
        (Some("string"), Some("byte")) => "bytes".into(),
        (Some("string"), None) => "string".into(),
        (Some("boolean"), _) => "bool".into(),
        (Some("integer"), Some(format @ ("int32" | "int64"))) => format.into(),
        (Some("number"), Some("double")) => "double".into(),
        (Some("array"), _) => format!("[]{}", shape(&schema["items"])?),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("{{}}{}", shape(&schema["additionalProperties"])?)
        }
        (Some("object"), _) => "RawExtension".into(),
        (None, _) => "Json".into(),
        (ty, format) => return Err(format!("unknown type {ty:?} with format {format:?}")),
    })
}

/// Returns the protobuf message that an OpenAPI type is encoded as.
fn message_name(name: &str) -> String {
    let name = name
        .replace("apiextensions-apiserver", "apiextensions_apiserver")
        .replace("kube-aggregator", "kube_aggregator");
    match name.strip_prefix("io.k8s.") {
        Some(rest) => format!("k8s.io.{rest}"),
        None => name,
    }
}

/// One field of a protobuf message.
struct MessageField {
    number: u32,
    label: String,
    ty: String,
}

/// The protobuf messages by full name, each with its fields by simplified name.
struct Messages(BTreeMap<String, BTreeMap<String, MessageField>>);

impl Messages {
    fn read(path: &Path) -> Result<Messages, String> {
        let mut messages: BTreeMap<String, BTreeMap<String, MessageField>> = BTreeMap::new();
        for (at, line) in read(path)?.lines().enumerate().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [package, message, field, number, label, ty] = columns[..] else {
                return Err(format!(
                    "{}:{}: expected six columns",
                    path.display(),
                    at + 1
                ));
            };
            let number = number.parse().map_err(|_| {
                format!(
                    "{}:{}: `{number}` is not a field number",
                    path.display(),
                    at + 1
                )
            })?;
            let ty = match ty.strip_prefix('.') {
                Some(full) => full.to_owned(),
                None => format!("{package}.{ty}"),
            };
            let field_of = MessageField {
                number,
                label: label.to_owned(),
                ty,
            };
            messages
                .entry(format!("{package}.{message}"))
                .or_default()
                .insert(simplify(field), field_of);
        }
        Ok(Messages(messages))
    }

    /// Returns the numbers that lead to a JSON field: one, or more through inlined messages.
    /// `list` says that the JSON value is a list, whose message may wrap it (`Verbs`).
    fn path(&self, message: &str, field: &str, list: bool) -> Vec<u32> {
        let Some(fields) = self.0.get(message) else {
            return Vec::new();
        };
        if let Some(found) = fields.get(&simplify(field)) {
            let wrapped = list && found.label == "optional" && self.0.contains_key(&found.ty);
            return if wrapped {
                vec![found.number, 1]
            } else {
                vec![found.number]
            };
        }
        // Inlined messages have names that are no JSON field of the type.
        const INLINED: [&str; 9] = [
            "deviceconfiguration",
            "ephemeralcontainercommon",
            "handler",
            "ingressrulevalue",
            "localobjectreference",
            "persistentvolumesource",
            "rule",
            "rulewithoperations",
            "volumesource",
        ];
        for name in INLINED {
            let Some(inlined) = fields.get(name) else {
                continue;
            };
            let rest = self.path(&inlined.ty, field, list);
            if !rest.is_empty() {
                return std::iter::once(inlined.number).chain(rest).collect();
            }
        }
        Vec::new()
    }
}

/// Makes JSON and protobuf spellings of a name equal: `x-kubernetes-map-type`, `xKubernetesMapType`.
fn simplify(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The hand-kept facts, by group, short type name and field.
struct Extra {
    /// Allowed values and defaults.
    values: BTreeMap<Key, (String, String)>,
    /// Fields whose Go type is a pointer.
    pointers: BTreeSet<Key>,
}

/// Group, short type name and field.
type Key = (String, String, String);

impl Extra {
    fn read(fields: &Path, pointers: &Path) -> Result<Extra, String> {
        let mut extra = Extra {
            values: BTreeMap::new(),
            pointers: BTreeSet::new(),
        };
        for (at, line) in read(fields)?.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = line.split('\t').collect();
            let [group, ty, field, values, default] = columns[..] else {
                return Err(format!(
                    "{}:{}: expected five columns",
                    fields.display(),
                    at + 1
                ));
            };
            if default != "-" && serde_json::from_str::<Value>(default).is_err() {
                return Err(format!(
                    "{}:{}: `{default}` is not JSON",
                    fields.display(),
                    at + 1
                ));
            }
            let key = (group.to_owned(), ty.to_owned(), field.to_owned());
            extra
                .values
                .insert(key, (values.to_owned(), default.to_owned()));
        }
        for (at, line) in read(pointers)?.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = line.split('\t').collect();
            let [group, ty, names] = columns[..] else {
                return Err(format!(
                    "{}:{}: expected three columns",
                    pointers.display(),
                    at + 1
                ));
            };
            let key = |name: &str| (group.to_owned(), ty.to_owned(), name.to_owned());
            extra.pointers.extend(names.split(' ').map(key));
        }
        Ok(extra)
    }

    fn key(name: &str, field: &str) -> Option<Key> {
        let mut parts = name.rsplit('.');
        let (ty, _version, group) = (parts.next()?, parts.next()?, parts.next()?);
        Some((group.to_owned(), ty.to_owned(), field.to_owned()))
    }

    fn get(&self, name: &str, field: &str) -> Option<(&str, &str)> {
        let (values, default) = self.values.get(&Extra::key(name, field)?)?;
        Some((values, default))
    }

    fn is_pointer(&self, name: &str, field: &str) -> bool {
        Extra::key(name, field).is_some_and(|key| self.pointers.contains(&key))
    }
}

/// Returns the strings of a JSON array.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed facts are what the generator makes; runs where the sources lie beside the
    /// checkout, in `shared/`, or where `KUBERNETES_VALIDATE_DIR` names the unpacked wheel.
    #[test]
    fn the_committed_facts_are_current() {
        let root = crate::root();
        let protobuf = root.join("../shared/data/protobuf-fields.tsv");
        let wheel = std::env::var_os("KUBERNETES_VALIDATE_DIR").map(PathBuf::from);
        let Some(wheel) = wheel.filter(|_| protobuf.exists()) else {
            println!("left out: KUBERNETES_VALIDATE_DIR is not set or shared/ is not beside us");
            return;
        };
        for (path, text) in generate(&wheel, &protobuf).expect("the sources are readable") {
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == text,
                "{} is stale: cargo xtask schemas",
                path.display()
            );
        }
    }

    #[test]
    fn spellings_of_both_worlds_meet() {
        assert_eq!(
            simplify("x-kubernetes-map-type"),
            simplify("xKubernetesMapType")
        );
        assert_eq!(simplify("$ref"), simplify("ref"));
        assert_eq!(simplify("uid"), simplify("uID"));
    }
}
