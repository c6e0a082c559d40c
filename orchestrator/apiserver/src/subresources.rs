//! Subresources: status, scale, binding, eviction, tokens, approval, and the streams of pods.

use serde_json::{Map, Value, json};

use crate::{
    auth::token::{Bound, Claims, ISSUER},
    body::{self, Answer},
    change, decode,
    delete::{self, Options, Outcome},
    json::{as_map, at, entry_map, int_at, list_at, make_map, str_at, take},
    kinds, object,
    pipeline::{Call, object_answer},
    proxy, read,
    route::Verb,
    status::{Cause, Failure, Subject, because, method_not_allowed},
    write::{self, Managing, Part},
};

/// Tokens live at least ten minutes and at most a day; an hour if nothing is asked for
/// (`pkg/apis/authentication/validation`, `--service-account-max-token-expiration`).
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 600..=86_400;

/// How long a client should wait before it asks again for an eviction that a budget forbids.
const EVICTION_RETRY_SECONDS: u32 = 10;

/// Answers a request on a subresource.
pub(crate) async fn handle(call: Call) -> Result<Answer, Failure> {
    let resource = call.resource.clone();
    let name = call.target.subresource.clone();
    let known = resource
        .subresource(&name)
        .ok_or_else(Failure::unknown_path)?;
    if !known.verbs.iter().any(|v| v == call.target.verb.as_str()) {
        return Err(method_not_allowed(call.target.verb.as_str()));
    }
    let verb = call.target.verb;
    match (name.as_str(), verb) {
        ("log" | "exec" | "attach" | "portforward" | "proxy", _) => proxy::handle(call).await,
        ("scale", Verb::Get) => {
            let entry = call
                .core
                .get(&resource, &call.target.namespace, &call.target.name)
                .await?;
            let live = read::load(&resource, &entry)?;
            Ok(body::json(200, &scale_of(&call, &live)))
        }
        ("scale", _) => scale(&call).await,
        ("binding", _) => bind(call).await,
        ("eviction", _) => evict(&call).await,
        ("token", _) => token(&call).await,
        (_, Verb::Get) => read::get(&call).await,
        ("status", Verb::Update) => write::update_part(&call, Part::Status).await,
        ("status", Verb::Patch) => write::patch_part(&call, Part::Status).await,
        ("finalize", _) => part(&call, "finalize", &["spec", "finalizers"]).await,
        ("approval", _) => part(&call, "approval", &["status", "conditions"]).await,
        ("ephemeralcontainers", _) => {
            part(
                &call,
                "ephemeralcontainers",
                &["spec", "ephemeralContainers"],
            )
            .await
        }
        ("resize", _) => resize(&call).await,
        _ => Err(Failure::unknown_path()),
    }
}

/// Changes the value at one path of the object and nothing else.
async fn part(
    call: &Call,
    name: &'static str,
    path: &'static [&'static str],
) -> Result<Answer, Failure> {
    let managing = Managing::Track(call.field_manager()?);
    let wanted = Wanted::of(call)?;
    let object = change::change(call, Part::Sub(name), &managing, |live, new| {
        let asked = wanted.on(call, live)?;
        let (field, parents) = path.split_last().expect("a path has a last part");
        match at(&asked, path) {
            Some(value) => {
                make_map(new, parents).insert((*field).to_owned(), value.clone());
            }
            None => {
                take(new, parents, field);
            }
        }
        carry_revision(new, &asked);
        Ok(())
    })
    .await?;
    object_answer(call, 200, &object)
}

/// A PUT or PATCH of a whole object, of which a part will be taken.
enum Wanted {
    Object(Value),
    Patch(String, Value),
}

impl Wanted {
    fn of(call: &Call) -> Result<Wanted, Failure> {
        if call.target.verb != Verb::Patch {
            return Ok(Wanted::Object(decode::object(call, &call.resource)?.object));
        }
        let content_type = call.content_type();
        let (patch, _) = write::parse_patch(call, &content_type)?;
        Ok(Wanted::Patch(content_type, patch))
    }

    fn on(&self, call: &Call, live: &Value) -> Result<Value, Failure> {
        match self {
            Wanted::Object(object) => Ok(object.clone()),
            Wanted::Patch(content_type, patch) => {
                let mut object = live.clone();
                write::apply_patch(call, content_type, patch, &mut object)?;
                decode::typed(call, &call.resource, object, &[], &mut Vec::new())
            }
        }
    }
}

/// Takes over the revision that a writer named, so that a stale write is refused.
fn carry_revision(new: &mut Value, asked: &Value) {
    let revision = object::revision_of(asked).to_owned();
    let metadata = entry_map(as_map(new), "metadata");
    metadata.insert("resourceVersion".into(), revision.into());
}

/// Resources of containers may change while they run.
async fn resize(call: &Call) -> Result<Answer, Failure> {
    let managing = Managing::Track(call.field_manager()?);
    let wanted = Wanted::of(call)?;
    let object = change::change(call, Part::Sub("resize"), &managing, |live, new| {
        let asked = wanted.on(call, live)?;
        for list in ["containers", "initContainers"] {
            let asked = list_at(&asked, &["spec", list]).to_vec();
            let spec = make_map(new, &["spec"]);
            for container in spec
                .get_mut(list)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let same = asked
                    .iter()
                    .find(|c| c.get("name") == container.get("name"));
                if let Some(resources) = same.and_then(|c| c.get("resources")) {
                    container["resources"] = resources.clone();
                }
            }
        }
        carry_revision(new, &asked);
        Ok(())
    })
    .await?;
    object_answer(call, 200, &object)
}

/// Returns the paths of the replicas in the specification and the status, and of the selector.
fn scale_paths(call: &Call) -> (Vec<String>, Vec<String>, Option<Vec<String>>) {
    let split = |path: &str| {
        path.trim_start_matches('.')
            .split('.')
            .map(str::to_owned)
            .collect()
    };
    match call.resource.custom.as_ref().and_then(|c| c.scale.as_ref()) {
        Some((spec, status, selector)) => (
            split(spec),
            split(status),
            (!selector.is_empty()).then(|| split(selector)),
        ),
        None => (split(".spec.replicas"), split(".status.replicas"), None),
    }
}

fn lookup<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |v, field| v.get(field))
}

/// Returns the Scale of an object.
fn scale_of(call: &Call, live: &Value) -> Value {
    let (spec, status, selector_path) = scale_paths(call);
    let number = |path: &[String]| lookup(live, path).and_then(Value::as_i64).unwrap_or(0);
    let selector = match selector_path {
        Some(path) => lookup(live, &path)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned(),
        None => selector_text(at(live, &["spec", "selector"]).unwrap_or(&Value::Null)),
    };
    let meta = |field: &str| str_at(live, &["metadata", field]).to_owned();
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta("name"), "namespace": meta("namespace"), "uid": meta("uid"),
            "resourceVersion": meta("resourceVersion"), "creationTimestamp": meta("creationTimestamp"),
        },
        "spec": {"replicas": number(&spec)},
        "status": {"replicas": number(&status)},
    });
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// Returns a selector as the text that Scale carries.
fn selector_text(selector: &Value) -> String {
    let labels: Option<&Map<String, Value>> = at(selector, &["matchLabels"])
        .and_then(Value::as_object)
        .or_else(|| {
            selector
                .as_object()
                .filter(|m| m.values().all(Value::is_string))
        });
    let mut parts: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    for expression in list_at(selector, &["matchExpressions"]) {
        let key = str_at(expression, &["key"]);
        let values: Vec<&str> = list_at(expression, &["values"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        parts.push(match str_at(expression, &["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.sort();
    parts.join(",")
}

/// Answers a PUT or PATCH of a Scale.
async fn scale(call: &Call) -> Result<Answer, Failure> {
    let managing = Managing::Track(call.field_manager()?);
    let patch = match call.target.verb {
        Verb::Patch => {
            let content_type = call.content_type();
            let known = [
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
            ];
            if !known.contains(&content_type.as_str()) {
                return Err(Failure::unsupported_media_type(&known));
            }
            let parsed = ordain_orchestrator_api::decode::from_json(&call.body);
            let parsed = parsed.map_err(|e| Failure::bad_request(e.to_string()))?;
            Some((content_type, parsed.value))
        }
        _ => None,
    };
    let given = match patch {
        None => Some(decode::other(call, "autoscaling", "v1", "Scale")?),
        Some(_) => None,
    };
    let object = change::change(call, Part::Sub("scale"), &managing, |live, new| {
        let asked = match (&given, &patch) {
            (Some(given), _) => given.clone(),
            (None, Some((content_type, patch))) => {
                let mut scale = scale_of(call, live);
                if content_type == "application/json-patch+json" {
                    ordain_orchestrator_api::patch::json_patch(&mut scale, patch)
                        .map_err(Failure::from)?;
                } else {
                    // A Scale has no lists, so a strategic merge is a plain one.
                    ordain_orchestrator_api::patch::merge_patch(&mut scale, patch);
                }
                scale
            }
            (None, None) => return Err(Failure::internal("a scale without a body")),
        };
        let replicas = at(&asked, &["spec", "replicas"]).map_or(Some(0), Value::as_i64);
        let replicas = replicas
            .filter(|n| i32::try_from(*n).is_ok())
            .ok_or_else(|| Failure::bad_request("Scale: spec.replicas must be a number"))?;
        if replicas < 0 {
            let cause = Cause::invalid(
                "spec.replicas",
                &replicas.into(),
                "must be greater than or equal to 0",
            );
            return Err(Failure::invalid(
                "autoscaling",
                "Scale",
                &call.target.name,
                &[cause],
            ));
        }
        let (spec, _, _) = scale_paths(call);
        let (field, parents) = spec.split_last().expect("a path has a last part");
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        make_map(new, &parents).insert(field.clone(), replicas.into());
        if patch.is_none() {
            carry_revision(new, &asked);
        }
        Ok(())
    })
    .await?;
    Ok(body::json(200, &scale_of(call, &object)))
}

/// Answers a POST of a Binding: gives a pod its node, once.
pub(crate) async fn bind(mut call: Call) -> Result<Answer, Failure> {
    let binding = decode::other(&call, "", "v1", "Binding")?;
    if !call.resource.is("", "pods") {
        // The old way: POST on `bindings`, where the body names the pod.
        call.target.name = str_at(&binding, &["metadata", "name"]).to_owned();
        call.target.plural = "pods".to_owned();
        call.resource = call
            .resources
            .stored("", "pods")
            .ok_or_else(Failure::unknown_path)?
            .clone();
    }
    let node = str_at(&binding, &["target", "name"]).to_owned();
    if node.is_empty() {
        let cause = Cause::required("target.name", "");
        return Err(Failure::invalid("", "Binding", &call.target.name, &[cause]));
    }
    let uid = str_at(&binding, &["metadata", "uid"]).to_owned();
    let name = call.target.name.clone();
    let managing = Managing::Track(call.field_manager()?);
    change::change(&call, Part::Sub("binding"), &managing, |live, new| {
        let subject = || Subject { group: "", plural: "pods/binding", name: &name };
        if at(live, &["metadata", "deletionTimestamp"]).is_some() {
            return Err(subject().conflict(&format!("pod {name} is being deleted, cannot be assigned to a host")));
        }
        let bound = str_at(live, &["spec", "nodeName"]);
        if !bound.is_empty() {
            return Err(subject().conflict(&format!("pod {name} is already assigned to node {bound:?}")));
        }
        if !list_at(live, &["spec", "schedulingGates"]).is_empty() {
            return Err(subject().conflict(&format!("pod {name} has non-empty .spec.schedulingGates")));
        }
        let metadata = entry_map(as_map(new), "metadata");
        if !uid.is_empty() {
            metadata.insert("uid".into(), uid.as_str().into());
        }
        for (key, value) in at(&binding, &["metadata", "annotations"]).and_then(Value::as_object).into_iter().flatten() {
            entry_map(metadata, "annotations").insert(key.clone(), value.clone());
        }
        make_map(new, &["spec"]).insert("nodeName".into(), node.as_str().into());
        let conditions = make_map(new, &["status"]).entry("conditions").or_insert_with(|| json!([]));
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": object::now()});
        if let Some(list) = conditions.as_array_mut() {
            list.retain(|c| str_at(c, &["type"]) != "PodScheduled");
            list.push(scheduled);
        }
        Ok(())
    })
    .await?;
    Ok(body::json(
        201,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

/// Answers a POST of an Eviction: a delete that respects disruption budgets.
async fn evict(call: &Call) -> Result<Answer, Failure> {
    let eviction = decode::other(call, "policy", "v1", "Eviction")?;
    let (namespace, name) = (call.target.namespace.as_str(), call.target.name.as_str());
    let entry = call.core.get(&call.resource, namespace, name).await?;
    let pod = read::load(&call.resource, &entry)?;
    let ready = list_at(&pod, &["status", "conditions"])
        .iter()
        .any(|c| str_at(c, &["type"]) == "Ready" && str_at(c, &["status"]) == "True");
    let over = matches!(
        str_at(&pod, &["status", "phase"]),
        "Succeeded" | "Failed" | "Pending"
    );
    if !over && at(&pod, &["metadata", "deletionTimestamp"]).is_none() && ready {
        budgets(call, &pod).await?;
    }
    let grace = int_at(&eviction, &["deleteOptions", "gracePeriodSeconds"]);
    let dry = call.dry_run()?
        || list_at(&eviction, &["deleteOptions", "dryRun"])
            .iter()
            .any(|v| v == "All");
    let outcome = delete::remove(call, name, namespace, &Options::with_grace(grace, dry)).await?;
    let (Outcome::Gone(_) | Outcome::Marked(_)) = outcome;
    Ok(body::json(
        201,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

/// Refuses an eviction that a budget does not allow, and counts one that it does.
async fn budgets(call: &Call, pod: &Value) -> Result<(), Failure> {
    let Some(resource) = call.resources.stored("policy", "poddisruptionbudgets") else {
        return Ok(());
    };
    let range =
        ordain_orchestrator_store::Range::prefix(resource.prefix_in(&call.target.namespace));
    let page = call
        .core
        .store
        .list(range)
        .await
        .map_err(crate::core::store_failure)?;
    let labels = at(pod, &["metadata", "labels"]).unwrap_or(&Value::Null);
    let mut matching = Vec::new();
    for entry in page.entries {
        let Some(budget) = object::decode(&entry.value, entry.mod_revision.0) else {
            continue;
        };
        if at(&budget, &["spec", "selector"]).is_some_and(|s| kinds::selects(s, labels)) {
            matching.push((entry, budget));
        }
    }
    match matching.as_slice() {
        [] => Ok(()),
        [(entry, budget)] => {
            let refuse = || {
                let text = "Cannot evict pod as it would violate the pod's disruption budget.";
                let name = str_at(budget, &["metadata", "name"]);
                let why = format!("The disruption budget {name} does not allow it now");
                because(
                    Failure::too_many_requests(text, EVICTION_RETRY_SECONDS),
                    "DisruptionBudget",
                    why,
                    "",
                )
            };
            let allowed = int_at(budget, &["status", "disruptionsAllowed"]).unwrap_or(0);
            let fresh = int_at(budget, &["status", "observedGeneration"]).unwrap_or(0)
                >= int_at(budget, &["metadata", "generation"]).unwrap_or(0);
            if allowed <= 0 || !fresh {
                return Err(refuse());
            }
            let mut counted = budget.clone();
            let status = make_map(&mut counted, &["status"]);
            status.insert("disruptionsAllowed".into(), (allowed - 1).into());
            entry_map(status, "disruptedPods")
                .insert(call.target.name.clone(), object::now().into());
            let expect = ordain_orchestrator_store::Expect::Exactly(entry.mod_revision);
            let put = call
                .core
                .store
                .put(&entry.key, object::encode(&counted).into(), expect)
                .await;
            // Somebody else took the last disruption.
            put.map(drop).map_err(|_| refuse())
        }
        _ => Err(Failure::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )),
    }
}

/// Answers a POST of a TokenRequest: a token for a ServiceAccount.
async fn token(call: &Call) -> Result<Answer, Failure> {
    let mut request = decode::other(call, "authentication.k8s.io", "v1", "TokenRequest")?;
    let (namespace, name) = (call.target.namespace.as_str(), call.target.name.as_str());
    let entry = call.core.get(&call.resource, namespace, name).await?;
    let account = read::load(&call.resource, &entry)?;
    let asked = int_at(&request, &["spec", "expirationSeconds"]).unwrap_or(3600);
    if asked < *TOKEN_SECONDS.start() {
        let cause = Cause::invalid(
            "spec.expirationSeconds",
            &asked.into(),
            "may not specify a duration less than 10 minutes",
        );
        return Err(Failure::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            "",
            &[cause],
        ));
    }
    let seconds = asked.min(*TOKEN_SECONDS.end());
    let mut audiences: Vec<String> = list_at(&request, &["spec", "audiences"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let mut bound = Vec::new();
    if let Some(reference) = at(&request, &["spec", "boundObjectRef"]) {
        let (kind, object_name) = (str_at(reference, &["kind"]), str_at(reference, &["name"]));
        let plural = match kind {
            "Pod" => "pods",
            "Secret" => "secrets",
            "Node" => "nodes",
            other => {
                return Err(Failure::bad_request(format!(
                    "cannot bind token for serviceaccount {name:?} to an object of kind {other:?}"
                )));
            }
        };
        let place = if plural == "nodes" { "" } else { namespace };
        let found = call.core.peek("", plural, place, object_name).await?;
        let found = found.ok_or_else(|| {
            Subject {
                group: "",
                plural,
                name: object_name,
            }
            .not_found()
        })?;
        let uid = str_at(&found, &["metadata", "uid"]);
        let wanted = str_at(reference, &["uid"]);
        if !wanted.is_empty() && wanted != uid {
            let why = format!(
                "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(Subject {
                group: "",
                plural,
                name: object_name,
            }
            .conflict(&why));
        }
        if plural == "pods" && str_at(&found, &["spec", "serviceAccountName"]) != name {
            return Err(Failure::bad_request(format!(
                "cannot bind token for serviceaccount {name:?} to pod running with different serviceaccount name."
            )));
        }
        bound.push(Bound {
            kind: kind.to_lowercase(),
            name: object_name.to_owned(),
            uid: uid.to_owned(),
        });
        let node = str_at(&found, &["spec", "nodeName"]);
        if plural == "pods" && !node.is_empty() {
            let node_object = call.core.peek("", "nodes", "", node).await?;
            let uid = node_object
                .map(|n| str_at(&n, &["metadata", "uid"]).to_owned())
                .unwrap_or_default();
            bound.push(Bound {
                kind: "node".into(),
                name: node.to_owned(),
                uid,
            });
        }
    }
    let now = jiff::Timestamp::now();
    let claims = Claims {
        namespace: namespace.to_owned(),
        account: name.to_owned(),
        account_uid: str_at(&account, &["metadata", "uid"]).to_owned(),
        bound,
        audiences: audiences.clone(),
        issued: now.as_second(),
        expires: now.as_second() + seconds,
        id: uuid::Uuid::new_v4().to_string(),
    };
    let token = call
        .core
        .tokens
        .sign(&claims)
        .ok_or_else(|| Failure::internal("cannot sign a token"))?;
    let expires = jiff::Timestamp::from_second(claims.expires).unwrap_or(now);
    let spec = make_map(&mut request, &["spec"]);
    spec.insert("expirationSeconds".into(), seconds.into());
    spec.insert("audiences".into(), audiences.into());
    request["metadata"] =
        json!({"name": name, "namespace": namespace, "creationTimestamp": object::now()});
    request["status"] = json!({"token": token, "expirationTimestamp": object::time_text(expires)});
    Ok(body::json(201, &request))
}
