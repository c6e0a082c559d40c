//! What in a cluster is ours by its marks, whatever a journal knows: so that a lost journal leaks nothing.
//!
//! It asks for labels, which a server selects by, and believes the annotation alone.

use std::collections::BTreeSet;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use ordain_reconciler_plan::{ApiVersion, MANAGER, OWNER_ANNOTATION, ObjectKey};
use serde_json::Value;

use crate::Error;

/// Lists that are asked for at the same time.
const LISTS_AT_ONCE: usize = 16;

/// Objects of one answer.
const PAGE: usize = 500;

/// [`MANAGED_BY_LABEL`](ordain_reconciler_plan::MANAGED_BY_LABEL) with our name, and
/// [`MARKED_LABEL`](ordain_reconciler_plan::MARKED_LABEL), which stands on those that say somebody else's: written for a URL.
const SELECTORS: [&str; 2] = [
    "app.kubernetes.io%2Fmanaged-by%3Dordain",
    "ordain.dev%2Fmarked",
];

/// An object of the cluster that carries an owner's mark.
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    /// The mark: `<environment>/<app>`.
    pub owner: String,
    /// Its identity.
    pub key: ObjectKey,
    /// The version it was read in.
    pub version: ApiVersion,
    /// The object as it is live, secrets included.
    pub object: Value,
}

/// Finds everything in a cluster that carries an owner's mark, whatever the journal knows.
///
/// The mark is an annotation, which no server can be asked for. A label goes with it, so of what is not ours nothing is
/// sent, however much there is.
///
/// # Errors
/// When the cluster does not answer.
pub async fn owned(client: &kube::Client) -> Result<Vec<Owned>, Error> {
    let mut lists = Vec::new();
    let core = client.list_core_api_resources("v1").await.map_err(failed)?;
    lists.push(("/api/v1".to_owned(), core.resources));
    let groups = client.list_api_groups().await.map_err(failed)?;
    for group in groups.groups {
        let version = group
            .preferred_version
            .or(group.versions.into_iter().next());
        let Some(version) = version.map(|version| version.group_version) else {
            continue;
        };
        // A group whose server does not answer has nothing of ours that could be told.
        if let Ok(list) = client.list_api_group_resources(&version).await {
            lists.push((format!("/apis/{version}"), list.resources));
        }
    }
    let mut paths = Vec::new();
    for (root, resources) in lists {
        for resource in resources {
            let can = |verb: &str| resource.verbs.iter().any(|known| known == verb);
            if !resource.name.contains('/')
                && can("list")
                && can("patch")
                && resource.kind != "Event"
            {
                paths.push((
                    format!("{root}/{}", resource.name),
                    root.clone(),
                    resource.kind,
                ));
            }
        }
    }
    // Boxed, because the compiler cannot see that such futures are all `Send`.
    let mut looks: Vec<BoxFuture<'static, Result<Vec<Owned>, Error>>> = Vec::new();
    for (path, root, kind) in paths {
        for selector in SELECTORS {
            let (client, path) = (client.clone(), path.clone());
            let (root, kind) = (root.clone(), kind.clone());
            let look = async move { list(&client, &path, &root, &kind, selector).await };
            looks.push(look.boxed());
        }
    }
    let found: Vec<Vec<Owned>> = stream::iter(looks)
        .buffered(LISTS_AT_ONCE)
        .try_collect()
        .await?;
    let mut known = BTreeSet::new();
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    // One that somebody gave our label to may carry both.
    found.retain(|owned| known.insert(owned.key.clone()));
    Ok(found)
}

async fn list(
    client: &kube::Client,
    path: &str,
    root: &str,
    kind: &str,
    selector: &str,
) -> Result<Vec<Owned>, Error> {
    let api_version = root
        .trim_start_matches("/apis/")
        .trim_start_matches("/api/");
    let mut owned = Vec::new();
    let mut next = String::new();
    loop {
        let mut page = format!("{path}?limit={PAGE}&labelSelector={selector}");
        if !next.is_empty() {
            page.push_str("&continue=");
            page.push_str(&next);
        }
        let request = http::Request::get(&page)
            .body(Vec::new())
            .map_err(|error| Error::Refused {
                message: error.to_string(),
            })?;
        let list: Value = match client.request(request).await {
            Ok(list) => list,
            // What may not be listed, or went away meanwhile, is told by nobody.
            Err(kube::Error::Api(status)) if matches!(status.code, 403..=405) => break,
            Err(error) => return Err(failed(error)),
        };
        let token = list.pointer("/metadata/continue").and_then(Value::as_str);
        next = token.unwrap_or_default().to_owned();
        let items = match list {
            Value::Object(mut list) => list.remove("items"),
            _ => None,
        };
        let Some(Value::Array(items)) = items else {
            break;
        };
        for mut object in items {
            let mark = object.pointer("/metadata/annotations");
            let mark = mark.and_then(|all| all.get(OWNER_ANNOTATION)?.as_str());
            let Some(owner) = mark.map(str::to_owned).filter(|_| is_applied(&object)) else {
                continue;
            };
            // Items of a list do not say what they are.
            if let Some(map) = object.as_object_mut() {
                map.insert("apiVersion".to_owned(), api_version.into());
                map.insert("kind".to_owned(), kind.into());
            }
            if let Some(key) = ObjectKey::of(&object) {
                owned.push(Owned {
                    owner,
                    key,
                    version: ApiVersion::parse(api_version),
                    object,
                });
            }
        }
        if next.is_empty() {
            break;
        }
    }
    Ok(owned)
}

/// True when we applied it. Controllers copy annotations, and the mark with them: a Deployment's ReplicaSets carry it.
fn is_applied(object: &Value) -> bool {
    let list = |pointer: &str| {
        let list = object.pointer(pointer).and_then(Value::as_array);
        list.map_or(&[][..], Vec::as_slice)
    };
    let owners = list("/metadata/ownerReferences");
    let managers = list("/metadata/managedFields");
    let ours = |entry: &Value| entry["manager"] == MANAGER && entry["operation"] == "Apply";
    !owners.iter().any(|owner| owner["controller"] == true)
        && (managers.is_empty() || managers.iter().any(ours))
}

fn failed(error: kube::Error) -> Error {
    Error::Refused {
        message: format!(
            "the cluster cannot be asked: {}",
            crate::error::chain(&error)
        ),
    }
}

#[cfg(test)]
mod tests {
    use ordain_reconciler_plan::{MANAGED_BY_LABEL, MARKED_LABEL};

    use super::*;

    #[test]
    fn the_selectors_are_the_labels_that_are_written() {
        let plain = SELECTORS.map(|text| text.replace("%2F", "/").replace("%3D", "="));
        assert_eq!(
            plain,
            [
                format!("{MANAGED_BY_LABEL}={MANAGER}"),
                MARKED_LABEL.to_owned()
            ]
        );
    }
}
