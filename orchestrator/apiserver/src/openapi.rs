//! OpenAPI v3: an index of group-versions, and one document for each, made when first asked for.
//!
//! kubectl reads the schemas (with the Kubernetes extensions) for `apply` and `explain`, and the
//! paths to learn which verbs know `fieldValidation` and `dryRun`. A document is kept gzipped,
//! since that is how clients take it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use ordain_schemas::{Field, ListType, MapType, Shape, Table, TypeId};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    body::{self, Answer},
    registry::{Resource, Resources},
    route::Query,
    status::Failure,
};

/// The documents made so far, gzipped, by path (`apis/apps/v1`), and for which resources.
#[derive(Default)]
pub(crate) struct OpenApi {
    cache: Mutex<(u64, HashMap<String, Bytes>)>,
}

impl OpenApi {
    /// Answers `/openapi/v3`.
    pub(crate) fn index(&self, table: &Table, resources: &Resources) -> Answer {
        let mut paths = Map::new();
        for (group, version) in versions(resources) {
            let path = path_of(group, version);
            let hash = hash_of(table, resources, group, version);
            let url = format!("/openapi/v3/{path}?hash={hash}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
        body::json(200, &json!({"paths": paths}))
    }

    /// Answers `/openapi/v3/PATH`.
    pub(crate) fn document(
        &self,
        table: &'static Table,
        resources: &Resources,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Answer, Failure> {
        let wanted = versions(resources)
            .into_iter()
            .find(|(g, v)| path_of(g, v) == path);
        let (group, version) = wanted.ok_or_else(Failure::unknown_path)?;
        let packed = self.packed(table, resources, path, group, version);
        let mut answer = if body::accepts_gzip(headers) {
            let mut answer = body::bytes(200, "application/json", packed);
            answer
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        } else {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain)
                .map_err(Failure::internal)?;
            body::bytes(200, "application/json", plain)
        };
        let hash = hash_of(table, resources, group, version);
        let all = answer.headers_mut();
        all.insert(
            header::VARY,
            HeaderValue::from_static("Accept-Encoding, Accept"),
        );
        if let Ok(value) = HeaderValue::from_str(&format!("\"{hash}\"")) {
            all.insert(header::ETAG, value);
        }
        // A document under its hash never changes.
        if query.get("hash") == hash {
            all.insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, immutable, max-age=31536000"),
            );
        }
        Ok(answer)
    }

    fn packed(
        &self,
        table: &'static Table,
        resources: &Resources,
        path: &str,
        group: &str,
        version: &str,
    ) -> Bytes {
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.0 != resources.generation {
                *cache = (resources.generation, HashMap::new());
            }
            if let Some(bytes) = cache.1.get(path) {
                return bytes.clone();
            }
        }
        // Two requests at once make it twice, which is better than one waiting under the lock.
        let text = serde_json::to_vec(&build(table, resources, group, version)).unwrap_or_default();
        let packed = Bytes::from(body::gzip(&text));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.1.insert(path.to_owned(), packed.clone());
        packed
    }
}

fn versions(resources: &Resources) -> Vec<(&str, &str)> {
    let mut list: Vec<(&str, &str)> = Vec::new();
    for resource in &resources.all {
        if !list.contains(&(&resource.group, &resource.version)) {
            list.push((&resource.group, &resource.version));
        }
    }
    list
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// Names a document by what goes into it, so that the index costs no document.
fn hash_of(table: &Table, resources: &Resources, group: &str, version: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!(
        "{} {} {group}/{version}",
        env!("CARGO_PKG_VERSION"),
        table.version()
    ));
    for resource in resources
        .all
        .iter()
        .filter(|r| r.group == group && r.version == version)
    {
        hasher.update(resource.plural.as_bytes());
        if let Some(custom) = &resource.custom {
            hasher.update(custom.schema.to_string());
        }
    }
    hasher
        .finalize()
        .iter()
        .take(32)
        .map(|b| format!("{b:02X}"))
        .collect()
}

fn build(table: &'static Table, resources: &Resources, group: &str, version: &str) -> Value {
    let mut schemas = Schemas {
        table,
        done: BTreeMap::new(),
    };
    let mut paths = Map::new();
    for resource in resources
        .all
        .iter()
        .filter(|r| r.group == group && r.version == version)
    {
        let name = schemas.resource(resource);
        add_paths(&mut paths, resource, &name);
    }
    for extra in ["Status", "DeleteOptions"] {
        if let Some(ty) = table.type_named(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{extra}"))
        {
            schemas.add(ty);
        }
    }
    let schemas: Map<String, Value> = schemas.done.into_iter().collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": format!("v{}.0", table.version())},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

fn add_paths(paths: &mut Map<String, Value>, resource: &Resource, schema: &str) {
    let gvk = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let root = format!("/{}", path_of(&resource.group, &resource.version));
    let collection = if resource.namespaced {
        format!("{root}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        format!("{root}/{}", resource.plural)
    };
    let param = |name: &str, place: &str, kind: &str| json!({"name": name, "in": place, "required": place == "path", "schema": {"type": kind, "uniqueItems": true}});
    let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
    let operation = |action: &str| {
        let write = matches!(action, "post" | "put" | "patch");
        let mut operation = json!({
            "tags": [resource.plural],
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
        });
        let media: &[&str] = match action {
            "patch" if resource.custom.is_some() => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/apply-patch+yaml",
            ],
            "patch" => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ],
            _ => &[
                "application/json",
                "application/yaml",
                "application/vnd.kubernetes.protobuf",
            ],
        };
        if write {
            let body = if action == "patch" {
                json!({"$ref": format!("#/components/schemas/{META}.Patch")})
            } else {
                reference.clone()
            };
            let content: Map<String, Value> = media
                .iter()
                .map(|m| ((*m).to_owned(), json!({"schema": body})))
                .collect();
            operation["requestBody"] = json!({"content": content, "required": true});
            let mut parameters = vec![
                param("dryRun", "query", "string"),
                param("fieldManager", "query", "string"),
                param("fieldValidation", "query", "string"),
            ];
            if action == "patch" {
                parameters.push(param("force", "query", "boolean"));
            }
            operation["parameters"] = parameters.into();
        } else if action == "delete" {
            let parameters = ["dryRun", "propagationPolicy"].map(|p| param(p, "query", "string"));
            operation["parameters"] = parameters.to_vec().into();
        }
        operation
    };
    let has = |verb: &str| resource.verbs.iter().any(|v| v == verb);
    let mut all = Map::new();
    for (verb, method, action) in [
        ("list", "get", "list"),
        ("create", "post", "post"),
        ("deletecollection", "delete", "deletecollection"),
    ] {
        if has(verb) {
            all.insert(method.to_owned(), operation(action));
        }
    }
    let mut path_parameters = vec![param("pretty", "query", "string")];
    if resource.namespaced {
        path_parameters.push(param("namespace", "path", "string"));
    }
    all.insert("parameters".into(), path_parameters.clone().into());
    paths.insert(collection.clone(), Value::Object(all));
    let mut one = Map::new();
    for (verb, method) in [
        ("get", "get"),
        ("update", "put"),
        ("patch", "patch"),
        ("delete", "delete"),
    ] {
        if has(verb) {
            one.insert(method.to_owned(), operation(method));
        }
    }
    if !one.is_empty() {
        path_parameters.push(param("name", "path", "string"));
        one.insert("parameters".into(), path_parameters.into());
        paths.insert(format!("{collection}/{{name}}"), Value::Object(one));
    }
    if resource.namespaced && has("list") {
        paths.insert(
            format!("{root}/{}", resource.plural),
            json!({"get": operation("list")}),
        );
    }
}

struct Schemas {
    table: &'static Table,
    done: BTreeMap<String, Value>,
}

impl Schemas {
    /// Adds the schemas of a resource and returns the name of the one for an object.
    fn resource(&mut self, resource: &Resource) -> String {
        if let Some(ty) = resource.ty {
            return self.add(ty);
        }
        let mut group: Vec<&str> = resource.group.split('.').collect();
        group.reverse();
        let name = format!("{}.{}.{}", group.join("."), resource.version, resource.kind);
        let mut schema = resource
            .custom
            .as_ref()
            .map_or(json!({"type": "object"}), |c| c.schema.clone());
        if let Some(ty) = self.table.type_named(&format!("{META}.ObjectMeta")) {
            let meta = self.add(ty);
            schema["properties"]["metadata"] =
                json!({"allOf": [{"$ref": format!("#/components/schemas/{meta}")}], "default": {}});
        }
        for field in ["apiVersion", "kind"] {
            schema["properties"][field] = json!({"type": "string"});
        }
        let gvk =
            json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
        schema["x-kubernetes-group-version-kind"] = json!([gvk]);
        self.done.insert(name.clone(), schema);
        name
    }

    /// Adds a type and all that it is made of, and returns its name.
    fn add(&mut self, id: TypeId) -> String {
        let ty = self.table.ty(id);
        if self.done.contains_key(ty.name) {
            return ty.name.to_owned();
        }
        let description = ordain_schemas_docs::ty(ty.name);
        if let Some(special) = &ty.special {
            let mut schema = self.shape(special);
            describe(&mut schema, description);
            self.done.insert(ty.name.to_owned(), schema);
            return ty.name.to_owned();
        }
        // Placed first, so that a type that contains itself ends.
        self.done.insert(ty.name.to_owned(), Value::Null);
        let mut schema = json!({"type": "object"});
        describe(&mut schema, description);
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in &ty.fields {
            let mut property = self.field(field);
            describe(
                &mut property,
                ordain_schemas_docs::field(ty.name, field.name),
            );
            properties.insert(field.name.to_owned(), property);
            if field.required {
                required.push(field.name);
            }
        }
        if !properties.is_empty() {
            schema["properties"] = Value::Object(properties);
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if ty.map_type == MapType::Atomic {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        if !ty.gvks.is_empty() {
            let gvk = |(g, v, k): &(&str, &str, &str)| json!({"group": g, "version": v, "kind": k});
            schema["x-kubernetes-group-version-kind"] = ty.gvks.iter().map(gvk).collect();
        }
        self.done.insert(ty.name.to_owned(), schema);
        ty.name.to_owned()
    }

    fn field(&mut self, field: &Field) -> Value {
        let mut schema = match &field.shape {
            // A `$ref` may have no siblings, so it is wrapped, as upstream does.
            Shape::Struct(id) => {
                json!({"allOf": [{"$ref": format!("#/components/schemas/{}", self.add(*id))}], "default": {}})
            }
            other => self.shape(other),
        };
        if let Some(default) = field
            .default
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
        {
            schema["default"] = default;
        }
        if !field.enum_values.is_empty() && field.shape == Shape::String {
            schema["enum"] = field.enum_values.clone().into();
        }
        match &field.list_type {
            None => {}
            Some(ListType::Atomic) => schema["x-kubernetes-list-type"] = "atomic".into(),
            Some(ListType::Set) => schema["x-kubernetes-list-type"] = "set".into(),
            Some(ListType::Map(keys)) => {
                schema["x-kubernetes-list-type"] = "map".into();
                schema["x-kubernetes-list-map-keys"] = keys.clone().into();
            }
        }
        if field.map_type == MapType::Atomic {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        let mut strategies = Vec::new();
        for (set, name) in [
            (field.patch.merge, "merge"),
            (field.patch.retain_keys, "retainKeys"),
            (field.patch.replace, "replace"),
        ] {
            if set {
                strategies.push(name);
            }
        }
        if !strategies.is_empty() {
            schema["x-kubernetes-patch-strategy"] = strategies.join(",").into();
        }
        if let Some(key) = field.patch.merge_key {
            schema["x-kubernetes-patch-merge-key"] = key.into();
        }
        schema
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::String => json!({"type": "string"}),
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 => json!({"type": "integer", "format": "int64"}),
            Shape::Double => json!({"type": "number", "format": "double"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Shape::IntOrString => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
            Shape::Duration => json!({"type": "string"}),
            Shape::RawExtension | Shape::FieldsV1 => json!({"type": "object"}),
            Shape::Json => json!({}),
            Shape::Struct(id) => json!({"$ref": format!("#/components/schemas/{}", self.add(*id))}),
            Shape::List(element) => json!({"type": "array", "items": self.shape(element)}),
            Shape::Map(element) => {
                json!({"type": "object", "additionalProperties": self.shape(element)})
            }
        }
    }
}

fn describe(schema: &mut Value, description: Option<String>) {
    if let Some(text) = description {
        schema["description"] = text.into();
    }
}
