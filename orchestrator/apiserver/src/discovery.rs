//! What the server serves, as clients ask for it: aggregated discovery and the older lists.
//!
//! The aggregated documents are made once for a set of resources and carry an ETag, so that a
//! client that has them downloads nothing.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    body::{self, Answer},
    negotiate,
    registry::{Resource, Resources},
    status::Failure,
};

/// A document with its ETag.
#[derive(Clone)]
struct Document {
    bytes: Bytes,
    etag: String,
}

/// The aggregated documents, kept for the set of resources they were made from: `/api` and `/apis`,
/// in `v2` and `v2beta1`.
#[derive(Default)]
pub(crate) struct Discovery {
    cache: Mutex<Option<(u64, [Document; 4])>>,
}

impl Discovery {
    /// Answers `/api` or `/apis`.
    pub(crate) fn root(
        &self,
        core_group: bool,
        resources: &Resources,
        headers: &HeaderMap,
    ) -> Answer {
        let aggregated = negotiate::clauses(headers)
            .take_while(|c| !(c.media == "application/json" && c.kind.is_empty()))
            .find(|c| c.group == "apidiscovery.k8s.io" && matches!(c.version, "v2" | "v2beta1"));
        let Some(clause) = aggregated else {
            return body::json(
                200,
                &if core_group {
                    api_versions()
                } else {
                    group_list(resources)
                },
            );
        };
        let beta = clause.version == "v2beta1";
        let document = self.document(resources, usize::from(!core_group) * 2 + usize::from(beta));
        let content_type = format!(
            "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList",
            clause.version
        );
        let etag = format!("\"{}\"", document.etag);
        let known = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|v| v.to_str().ok());
        let mut answer = if known == Some(etag.as_str()) {
            body::bytes(304, &content_type, Bytes::new())
        } else {
            body::maybe_gzip(200, &content_type, document.bytes.to_vec(), headers)
        };
        if let Ok(value) = HeaderValue::from_str(&etag) {
            answer.headers_mut().insert(header::ETAG, value);
        }
        answer
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        answer
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("Accept"));
        answer
    }

    fn document(&self, resources: &Resources, which: usize) -> Document {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache
            .as_ref()
            .is_none_or(|(generation, _)| *generation != resources.generation)
        {
            let documents = [
                (true, "v2"),
                (true, "v2beta1"),
                (false, "v2"),
                (false, "v2beta1"),
            ]
            .map(|(core, version)| make(aggregated(resources, core, version)));
            *cache = Some((resources.generation, documents));
        }
        cache.as_ref().expect("filled above").1[which].clone()
    }
}

fn make(value: Value) -> Document {
    let bytes = Bytes::from(serde_json::to_vec(&value).unwrap_or_default());
    let etag = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02X}"))
        .collect();
    Document { bytes, etag }
}

/// Returns the groups with their versions, in the order of discovery.
fn groups(resources: &Resources) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for resource in &resources.all {
        match groups
            .iter_mut()
            .find(|(group, _)| *group == resource.group)
        {
            None => groups.push((&resource.group, vec![&resource.version])),
            Some((_, versions)) if !versions.contains(&resource.version.as_str()) => {
                versions.push(&resource.version);
            }
            Some(_) => {}
        }
    }
    for (_, versions) in &mut groups {
        versions.sort_by_key(|v| crate::registry::version_rank(v));
    }
    groups
}

fn in_version<'a>(
    resources: &'a Resources,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Arc<Resource>> {
    resources
        .all
        .iter()
        .filter(move |r| r.group == group && r.version == version)
}

fn aggregated(resources: &Resources, core: bool, version: &str) -> Value {
    let items: Vec<Value> = groups(resources)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|v| {
                    let list: Vec<Value> =
                        in_version(resources, group, v).map(|r| one(r)).collect();
                    json!({"version": v, "resources": list, "freshness": "Current"})
                })
                .collect();
            let metadata = if core {
                json!({})
            } else {
                json!({"name": group})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn one(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|sub| {
            json!({
                "subresource": sub.name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": sub.verbs,
            })
        })
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}

fn api_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    })
}

fn group_value(group: &str, versions: &[&str]) -> Value {
    let entries: Vec<Value> = versions
        .iter()
        .map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v}))
        .collect();
    json!({"name": group, "preferredVersion": entries.first(), "versions": entries})
}

fn group_list(resources: &Resources) -> Value {
    let list: Vec<Value> = groups(resources)
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| group_value(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
}

/// Answers `/apis/GROUP`.
pub(crate) fn group(resources: &Resources, group: &str) -> Result<Answer, Failure> {
    let all = groups(resources);
    let (_, versions) = all
        .iter()
        .find(|(g, _)| *g == group && !g.is_empty())
        .ok_or_else(Failure::unknown_path)?;
    let mut value = group_value(group, versions);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Ok(body::json(200, &value))
}

/// Answers `/api/v1` and `/apis/GROUP/VERSION`.
pub(crate) fn resource_list(
    resources: &Resources,
    group: &str,
    version: &str,
) -> Result<Answer, Failure> {
    let mut list = Vec::new();
    for resource in in_version(resources, group, version) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = resource.short_names.clone().into();
        }
        if !resource.categories.is_empty() {
            entry["categories"] = resource.categories.clone().into();
        }
        list.push(entry);
        for sub in &resource.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, sub.name),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": sub.kind,
                "verbs": sub.verbs,
            });
            if (sub.group.as_str(), sub.version.as_str()) != (group, version) {
                entry["group"] = sub.group.as_str().into();
                entry["version"] = sub.version.as_str().into();
            }
            list.push(entry);
        }
    }
    if list.is_empty() {
        return Err(Failure::unknown_path());
    }
    let mut seen = HashSet::new();
    list.retain(|entry| seen.insert(entry["name"].to_string()));
    Ok(body::json(
        200,
        &json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": crate::registry::api_version(group, version),
            "resources": list,
        }),
    ))
}
