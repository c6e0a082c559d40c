//! Questions about identity and rights: kinds that are answered and never stored.

use serde_json::{Value, json};

use crate::{
    auth::{rbac::Attributes, token::ISSUER, user::User},
    body::{self, Answer},
    decode,
    json::{at, list_at, map_at, str_at},
    object,
    pipeline::Call,
    registry::Resource,
    route::Verb,
    status::{Cause, Failure, method_not_allowed},
};

/// Tells whether a resource is such a question.
pub(crate) fn handles(resource: &Resource) -> bool {
    matches!(resource.group.as_str(), "authorization.k8s.io")
        || (resource.group == "authentication.k8s.io"
            && matches!(resource.kind.as_str(), "TokenReview" | "SelfSubjectReview"))
}

/// Answers a question.
pub(crate) async fn handle(call: &Call) -> Result<Answer, Failure> {
    if call.target.verb != Verb::Create {
        return Err(method_not_allowed(call.target.verb.as_str()));
    }
    let resource = &call.resource;
    let mut review = decode::other(call, &resource.group, &resource.version, &resource.kind)?;
    let spec = at(&review, &["spec"]).cloned().unwrap_or(Value::Null);
    let status = match resource.kind.as_str() {
        "SelfSubjectReview" => {
            review["metadata"] = json!({"creationTimestamp": object::now()});
            json!({"userInfo": call.user.to_json()})
        }
        "TokenReview" => token(call, &spec).await,
        "SelfSubjectRulesReview" => rules(call, &spec)?,
        "SelfSubjectAccessReview" => access(call, &call.user, &spec)?,
        kind => {
            let user = subject(&spec);
            if user.name.is_empty() && user.groups.is_empty() {
                let cause = Cause::invalid(
                    "spec.user",
                    &"".into(),
                    "at least one of user or group must be specified",
                );
                return Err(Failure::invalid(&resource.group, kind, "", &[cause]));
            }
            let namespace = str_at(&spec, &["resourceAttributes", "namespace"]);
            if kind == "LocalSubjectAccessReview" && namespace != call.target.namespace {
                return Err(Failure::bad_request(format!(
                    "spec.resourceAttributes.namespace must match namespace: {namespace:?}"
                )));
            }
            access(call, &user, &spec)?
        }
    };
    review["status"] = status;
    Ok(body::json(201, &review))
}

fn subject(spec: &Value) -> User {
    let groups = list_at(spec, &["groups"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned);
    User {
        name: str_at(spec, &["user"]).to_owned(),
        uid: str_at(spec, &["uid"]).to_owned(),
        groups: groups.collect(),
        extra: Vec::new(),
    }
}

fn access(call: &Call, user: &User, spec: &Value) -> Result<Value, Failure> {
    let resource = map_at(spec, &["resourceAttributes"]);
    let path = map_at(spec, &["nonResourceAttributes"]);
    let wanted = match (resource, path) {
        (Some(_), None) => {
            let text = |field| str_at(spec, &["resourceAttributes", field]).to_owned();
            Attributes {
                verb: text("verb"),
                group: text("group"),
                resource: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
                path: String::new(),
            }
        }
        (None, Some(_)) => Attributes {
            verb: str_at(spec, &["nonResourceAttributes", "verb"]).to_owned(),
            path: str_at(spec, &["nonResourceAttributes", "path"]).to_owned(),
            ..Attributes::default()
        },
        _ => {
            let why =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let cause = Cause::invalid("spec.resourceAttributes", &Value::Null, why);
            return Err(Failure::invalid(
                &call.resource.group,
                &call.resource.kind,
                "",
                &[cause],
            ));
        }
    };
    Ok(match call.core.rbac().allows(user, &wanted) {
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    })
}

fn rules(call: &Call, spec: &Value) -> Result<Value, Failure> {
    let namespace = str_at(spec, &["namespace"]);
    if namespace.is_empty() {
        return Err(Failure::bad_request("no namespace on request"));
    }
    let rules = call.core.rbac().rules_for(&call.user, namespace);
    let of = |urls: bool| -> Vec<Value> {
        rules
            .iter()
            .filter(|r| r.urls.is_empty() != urls)
            .map(|r| r.to_json())
            .collect()
    };
    Ok(json!({"resourceRules": of(false), "nonResourceRules": of(true), "incomplete": false}))
}

async fn token(call: &Call, spec: &Value) -> Value {
    let mut audiences: Vec<String> = list_at(spec, &["audiences"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    match call
        .core
        .user_of_token(str_at(spec, &["token"]), &audiences)
        .await
    {
        Some((user, audiences)) => {
            json!({"authenticated": true, "user": user.to_json(), "audiences": audiences})
        }
        None => json!({"authenticated": false, "error": "invalid bearer token"}),
    }
}
