//! Custom resources: what a CustomResourceDefinition's version says about its objects.
//!
//! Structural schemas prune, default and validate; rules in CEL (`x-kubernetes-validations`) and
//! conversion webhooks are not looked at yet.

mod prune;
mod validate;

use std::sync::Arc;

use ordain_schemas::Table;
use serde_json::Value;

pub(crate) use self::{
    prune::{conform, defaults},
    validate::validate,
};
use crate::{
    json::{at, bool_at, list_at, str_at},
    kinds,
    registry::{Resource, Sub, api_version},
};

/// The parts of a CustomResourceDefinition's version that requests need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Custom {
    /// `openAPIV3Schema`.
    pub(crate) schema: Value,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<Value>,
    /// The paths of the scale subresource: spec replicas, status replicas, label selector.
    pub(crate) scale: Option<(String, String, String)>,
}

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Returns the resources that a definition serves.
pub(crate) fn resources(definition: &Value) -> Vec<Arc<Resource>> {
    let spec = at(definition, &["spec"]).unwrap_or(&Value::Null);
    let versions = list_at(spec, &["versions"]);
    let storage = versions
        .iter()
        .find(|v| bool_at(v, &["storage"]))
        .map(|v| str_at(v, &["name"]));
    let Some(storage) = storage else {
        return Vec::new();
    };
    let served = versions.iter().filter(|v| bool_at(v, &["served"]));
    served
        .map(|version| Arc::new(resource(spec, version, storage)))
        .collect()
}

fn resource(spec: &Value, version: &Value, storage: &str) -> Resource {
    let name = |field: &str| str_at(spec, &["names", field]).to_owned();
    let strings = |value: &Value, path: &[&str]| -> Vec<String> {
        list_at(value, path)
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let group = str_at(spec, &["group"]).to_owned();
    let version_name = str_at(version, &["name"]).to_owned();
    let verbs = |verbs: &[&str]| verbs.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    let mut subresources = Vec::new();
    let mut scale = None;
    if let Some(paths) = at(version, &["subresources", "scale"]) {
        let path = |field: &str| str_at(paths, &[field]).to_owned();
        scale = Some((
            path("specReplicasPath"),
            path("statusReplicasPath"),
            path("labelSelectorPath"),
        ));
        subresources.push(Sub {
            name: "scale".into(),
            group: "autoscaling".into(),
            version: "v1".into(),
            kind: "Scale".into(),
            verbs: verbs(&["get", "patch", "update"]),
        });
    }
    if at(version, &["subresources", "status"]).is_some() {
        subresources.push(Sub {
            name: "status".into(),
            group: group.clone(),
            version: version_name.clone(),
            kind: name("kind"),
            verbs: verbs(&["get", "patch", "update"]),
        });
    }
    let selectable = list_at(version, &["selectableFields"])
        .iter()
        .map(|f| str_at(f, &["jsonPath"]).trim_start_matches('.').to_owned());
    Resource {
        plural: name("plural"),
        singular: name("singular"),
        kind: name("kind"),
        short_names: strings(spec, &["names", "shortNames"]),
        categories: strings(spec, &["names", "categories"]),
        namespaced: str_at(spec, &["scope"]) == "Namespaced",
        verbs: verbs(&VERBS),
        subresources,
        selectable: selectable.collect(),
        storage_version: api_version(&group, storage),
        prefix: format!("/registry/{group}/{}/", name("plural")),
        ty: None,
        strategy: kinds::plain(),
        custom: Some(Custom {
            schema: at(version, &["schema", "openAPIV3Schema"])
                .cloned()
                .unwrap_or_default(),
            columns: list_at(version, &["additionalPrinterColumns"]).to_vec(),
            scale,
        }),
        group,
        version: version_name,
    }
}

/// Brings the metadata of a custom object into the form that all objects have.
fn conform_metadata(table: &Table, object: &mut Value) -> Result<Vec<String>, String> {
    let ty = table.type_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let (Some(ty), Some(metadata)) = (ty, object.get_mut("metadata")) else {
        return Ok(Vec::new());
    };
    let unknown = ordain_orchestrator_api::conform::conform(table, ty, metadata);
    let unknown = unknown.map_err(|e| e.to_string())?;
    Ok(unknown
        .into_iter()
        .map(|path| format!("metadata.{path}"))
        .collect())
}
