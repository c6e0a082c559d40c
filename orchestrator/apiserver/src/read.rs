//! Reading: one object, or a list of them.
//!
//! A list without selectors is put together from the stored bytes; objects are decoded only where
//! something must be looked at: selectors, Tables, metadata, another version.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ordain_orchestrator_api::{FieldSelector, LabelSelector};
use ordain_orchestrator_store::{Entry, Error as StoreError, Page, Range, Revision};
use serde_json::{Value, json};

use crate::{
    body::{self, Answer},
    convert,
    core::store_failure,
    json::{map_at, str_at},
    negotiate::{self, Form},
    object,
    pipeline::Call,
    registry::Resource,
    status::Failure,
    table,
};

/// How long a read waits for a state that this server has not reached yet: 3 s, as upstream's
/// `blockTimeout` (`storage/cacher/watch_cache.go`).
const FUTURE_LIMIT: std::time::Duration = std::time::Duration::from_secs(3);

/// The selectors of a list or watch.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Filter {
    /// Reads the selectors of a request.
    ///
    /// # Errors
    /// 400 when one cannot be read or names a field that the kind does not offer.
    pub(crate) fn of(call: &Call) -> Result<Filter, Failure> {
        let bad =
            |e: ordain_orchestrator_api::labels::SelectorError| Failure::bad_request(e.to_string());
        let labels = LabelSelector::parse(call.query.get("labelSelector")).map_err(bad)?;
        let fields = FieldSelector::parse(call.query.get("fieldSelector")).map_err(bad)?;
        let mut known = vec!["metadata.name"];
        if call.resource.namespaced {
            known.push("metadata.namespace");
        }
        known.extend(call.resource.selectable.iter().map(String::as_str));
        fields.check(&known).map_err(bad)?;
        Ok(Filter { labels, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    pub(crate) fn selects(&self, object: &Value) -> bool {
        (self.labels.is_everything() || self.labels.matches_object(object))
            && (self.fields.is_everything() || self.fields.matches_object(object))
    }

    /// Returns the one name that can match, so that a list becomes a get.
    pub(crate) fn only_name(&self) -> Option<&str> {
        self.fields
            .exact("metadata.name")
            .filter(|name| !name.is_empty())
    }
}

/// Answers a GET of one object.
pub(crate) async fn get(call: &Call) -> Result<Answer, Failure> {
    let (resource, target) = (&call.resource, &call.target);
    wait_for_revision(call).await?;
    let entry = call
        .core
        .get(resource, &target.namespace, &target.name)
        .await?;
    let form = negotiate::form(&call.headers)?;
    if form == Form::Plain && !resource.converts() {
        let bytes = object::splice(&entry.value, entry.mod_revision.0);
        return Ok(body::maybe_gzip(
            200,
            "application/json",
            bytes.to_vec(),
            &call.headers,
        ));
    }
    let object = load(resource, &entry)?;
    Ok(body::json(200, &in_form(call, form, &object)))
}

/// Waits until the store has reached the revision that the client knows of.
pub(crate) async fn wait_for_revision(call: &Call) -> Result<(), Failure> {
    let wanted = match call.query.get("resourceVersion") {
        "" | "0" => return Ok(()),
        text => parse_revision(text)?,
    };
    let start = tokio::time::Instant::now();
    loop {
        let current = call.core.store.revision().await.map_err(store_failure)?.0;
        if current >= wanted {
            return Ok(());
        }
        if start.elapsed() >= FUTURE_LIMIT {
            return Err(Failure::resource_version_too_large(wanted, current));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

pub(crate) fn parse_revision(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: invalid resource version"
        ))
    })
}

/// Returns a stored object in the version of the resource.
pub(crate) fn load(resource: &Resource, entry: &Entry) -> Result<Value, Failure> {
    let object = object::decode(&entry.value, entry.mod_revision.0)
        .ok_or_else(|| Failure::internal(format!("the stored object {} is damaged", entry.key)))?;
    Ok(convert::to_version(resource, object))
}

/// Returns an object in the form the client wants.
pub(crate) fn in_form(call: &Call, form: Form, object: &Value) -> Value {
    match form {
        Form::Plain => object.clone(),
        Form::Metadata { beta } => partial(object, beta),
        Form::Table { beta } => {
            let rows = vec![table::row(&call.resource, object, include(call))];
            let revision = object::revision_of(object);
            table::wrap(
                &call.resource,
                rows,
                json!({"resourceVersion": revision}),
                beta,
                true,
            )
        }
    }
}

/// How much of the object a row carries.
pub(crate) fn include(call: &Call) -> table::Include {
    match call.query.get("includeObject") {
        "None" => table::Include::None,
        "Object" => table::Include::Object,
        _ => table::Include::Metadata,
    }
}

/// Returns the metadata of an object as an object of its own.
pub(crate) fn partial(object: &Value, beta: bool) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": if beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" },
        "metadata": map_at(object, &["metadata"]),
    })
}

/// Where a list goes on.
struct Continue {
    revision: u64,
    after: String,
}

impl Continue {
    fn parse(token: &str, prefix: &str) -> Result<Continue, Failure> {
        let bad = || Failure::bad_request("continue key is not valid");
        let text = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|_| bad())?;
        let value: Value = serde_json::from_slice(&text).map_err(|_| bad())?;
        let after = format!("{prefix}{}", str_at(&value, &["start"]));
        let revision = value["rv"].as_u64().ok_or_else(bad)?;
        if after.contains("..") || after.contains('\0') {
            return Err(bad());
        }
        Ok(Continue { revision, after })
    }

    fn token(revision: u64, key: &str, prefix: &str) -> String {
        let start = key.strip_prefix(prefix).unwrap_or(key);
        URL_SAFE_NO_PAD
            .encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start}).to_string())
    }
}

/// What a list found.
pub(crate) struct Listed {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) revision: Revision,
    next: Option<String>,
    remaining: Option<usize>,
}

/// Finds the entries of a list request.
pub(crate) async fn find(call: &Call, filter: &Filter) -> Result<Listed, Failure> {
    let (resource, target) = (&call.resource, &call.target);
    let prefix = resource.prefix_in(&target.namespace);
    let limit = usize::try_from(call.query.number("limit")?.unwrap_or(0)).unwrap_or(0);
    let mut range = Range::prefix(&prefix);
    let version = call.query.get("resourceVersion");
    let matching = call.query.get("resourceVersionMatch");
    let token = call.query.get("continue");
    if !token.is_empty() {
        if !matches!(version, "" | "0") {
            let why = "specifying resource version is not allowed when using continue";
            return Err(Failure::bad_request(why));
        }
        let place = Continue::parse(token, &prefix)?;
        range.at = (place.revision != 0).then_some(Revision(place.revision));
        range.after = Some(place.after);
    } else {
        match matching {
            "" | "NotOlderThan" | "Exact" => {}
            other => {
                let why = format!("resourceVersionMatch: Unsupported value: {other:?}");
                return Err(Failure::bad_request(why));
            }
        }
        if !matching.is_empty() && version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return Err(Failure::bad_request(why));
        }
        if !matches!(version, "" | "0") {
            wait_for_revision(call).await?;
            if matching == "Exact" {
                range.at = Some(Revision(parse_revision(version)?));
            }
        }
    }
    let store = &call.core.store;
    if filter.is_everything() {
        range.limit = limit;
        let page = store
            .list(range)
            .await
            .map_err(|e| list_failure(e, !token.is_empty()))?;
        let next = (page.remaining > 0)
            .then(|| {
                page.entries
                    .last()
                    .map(|e| Continue::token(page.revision.0, &e.key, &prefix))
            })
            .flatten();
        let remaining = next.is_some().then_some(page.remaining);
        return Ok(Listed {
            entries: page.entries,
            revision: page.revision,
            next,
            remaining,
        });
    }
    let page = store
        .list(range)
        .await
        .map_err(|e| list_failure(e, !token.is_empty()))?;
    let Page {
        entries, revision, ..
    } = page;
    let mut chosen = Vec::new();
    let mut next = None;
    for entry in entries {
        if let Some(name) = filter.only_name()
            && entry.key.rsplit('/').next() != Some(name)
        {
            continue;
        }
        let object = load(resource, &entry)?;
        if !filter.selects(&object) {
            continue;
        }
        if limit > 0 && chosen.len() == limit {
            let last: &Arc<Entry> = &chosen[limit - 1];
            next = Some(Continue::token(revision.0, &last.key, &prefix));
            break;
        }
        chosen.push(entry);
    }
    Ok(Listed {
        entries: chosen,
        revision,
        next,
        remaining: None,
    })
}

fn list_failure(error: StoreError, continued: bool) -> Failure {
    match error {
        StoreError::Compacted { .. } if continued => Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
        ),
        other => store_failure(other),
    }
}

/// Answers a list.
pub(crate) async fn list(call: &Call) -> Result<Answer, Failure> {
    let filter = Filter::of(call)?;
    let form = negotiate::form(&call.headers)?;
    let listed = find(call, &filter).await?;
    let resource = &call.resource;
    let mut metadata = json!({"resourceVersion": listed.revision.0.to_string()});
    if let Some(next) = &listed.next {
        metadata["continue"] = next.as_str().into();
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    let data = match form {
        Form::Plain => {
            let size: usize = listed.entries.iter().map(|e| e.value.len() + 48).sum();
            let mut out = Vec::with_capacity(size + 256);
            let head = format!(
                "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
                resource.list_kind(),
                resource.api_version()
            );
            out.extend_from_slice(head.as_bytes());
            for (index, entry) in listed.entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if resource.converts() {
                    serde_json::to_writer(&mut out, &load(resource, entry)?)
                        .map_err(Failure::internal)?;
                } else {
                    object::splice_into(&mut out, &entry.value, entry.mod_revision.0);
                }
            }
            out.extend_from_slice(b"]}");
            out
        }
        Form::Metadata { beta } => {
            let objects = listed
                .entries
                .iter()
                .map(|e| Ok(partial(&load(resource, e)?, beta)));
            let items: Vec<Value> = objects.collect::<Result<_, Failure>>()?;
            let version = if beta {
                "meta.k8s.io/v1beta1"
            } else {
                "meta.k8s.io/v1"
            };
            let value = json!({"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": metadata, "items": items});
            serde_json::to_vec(&value).map_err(Failure::internal)?
        }
        Form::Table { beta } => {
            let include = include(call);
            let rows = listed
                .entries
                .iter()
                .map(|e| Ok(table::row(resource, &load(resource, e)?, include)));
            let rows: Vec<Value> = rows.collect::<Result<_, Failure>>()?;
            let value = table::wrap(resource, rows, metadata, beta, true);
            serde_json::to_vec(&value).map_err(Failure::internal)?
        }
    };
    Ok(body::maybe_gzip(
        200,
        "application/json",
        data,
        &call.headers,
    ))
}

/// Answers for the deprecated ComponentStatus: in one process, what answers is healthy.
pub(crate) fn component_statuses(call: &Call) -> Result<Answer, Failure> {
    let item = |name: &str| {
        json!({
            "kind": "ComponentStatus", "apiVersion": "v1",
            "metadata": {"name": name, "creationTimestamp": null},
            "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}],
        })
    };
    let names = ["controller-manager", "scheduler", "etcd-0"];
    let form = negotiate::form(&call.headers)?;
    if !call.target.name.is_empty() {
        let name = call.target.name.as_str();
        if !names.contains(&name) {
            return Err(call.resource.subject(name).not_found());
        }
        return Ok(body::json(200, &in_form(call, form, &item(name))));
    }
    let items: Vec<Value> = names.into_iter().map(item).collect();
    if let Form::Table { beta } = form {
        let rows = items
            .iter()
            .map(|i| table::row(&call.resource, i, include(call)))
            .collect();
        return Ok(body::json(
            200,
            &table::wrap(&call.resource, rows, json!({}), beta, true),
        ));
    }
    Ok(body::json(
        200,
        &json!({"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}),
    ))
}
