//! The way of every request: authenticate, find out what it is about, authorize, hand over.
//!
//! HTTP connections and callers in the same process come in through [`serve`] alike. Nothing here
//! knows a kind.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use serde_json::json;

use crate::{
    auth::{rbac::Attributes, token::ISSUER, user::User},
    body::{self, Answer},
    core::{Core, Credentials},
    delete, discovery, negotiate, read,
    registry::{Resource, Resources},
    reviews,
    route::{self, Query, Target, Verb},
    status::{Failure, method_not_allowed},
    subresources, watch, write,
};

/// A client gets this long to send a body: kube-apiserver's `--request-timeout`.
const BODY_LIMIT: Duration = Duration::from_secs(60);

/// A request that is authorized, with all that handlers need.
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    pub(crate) user: Arc<User>,
    pub(crate) resources: Arc<Resources>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) upgrade: Option<OnUpgrade>,
    /// The query as it came, for proxies.
    pub(crate) raw_query: String,
}

impl Call {
    /// Returns whether nothing may be stored.
    ///
    /// # Errors
    /// 400 for anything but `All`.
    pub(crate) fn dry_run(&self) -> Result<bool, Failure> {
        match self.query.get("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Failure::bad_request(format!(
                "Invalid value: {other:?}: supported values: \"All\""
            ))),
        }
    }

    /// Returns the content type without parameters, in lower case.
    pub(crate) fn content_type(&self) -> String {
        let value = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok());
        value
            .unwrap_or("")
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase()
    }

    /// Returns who manages the fields that this request writes.
    ///
    /// # Errors
    /// 400 when the name is too long or not printable.
    pub(crate) fn field_manager(&self) -> Result<String, Failure> {
        let asked = self.query.get("fieldManager");
        if asked.len() > 128 || asked.chars().any(char::is_control) {
            return Err(Failure::bad_request(
                "fieldManager must be at most 128 printable characters",
            ));
        }
        if !asked.is_empty() {
            return Ok(asked.to_owned());
        }
        // As upstream's `managerOrUserAgent`.
        let agent = self
            .headers
            .get(header::USER_AGENT)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("");
        let prefix: String = agent
            .split('/')
            .next()
            .unwrap_or("")
            .chars()
            .take(128)
            .collect();
        Ok(if prefix.is_empty() {
            "unknown".to_owned()
        } else {
            prefix
        })
    }
}

/// Answers a request. It always answers: failures become `Status` objects.
pub(crate) async fn serve<B>(
    core: Arc<Core>,
    credentials: Credentials,
    request: Request<B>,
) -> Answer
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    core.count_request();
    let (mut parts, incoming) = request.into_parts();
    let method = parts.method.clone();
    let path = parts.uri.path().to_owned();
    let answer = match tokio::time::timeout(BODY_LIMIT, body::collect(incoming)).await {
        Err(_) => Err(Failure::timeout("the request body took too long", 1)),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(bytes)) => answer(core, credentials, &mut parts, bytes).await,
    };
    let answer = answer.unwrap_or_else(|failure| body::failure(&failure));
    tracing::debug!(%method, path, status = answer.status().as_u16(), "request");
    answer
}

async fn answer(
    core: Arc<Core>,
    credentials: Credentials,
    parts: &mut Parts,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    let user = core.authenticate(credentials, &parts.headers).await?;
    let path = parts.uri.path();
    let raw_query = parts.uri.query().unwrap_or("").to_owned();
    let query = Query::parse(Some(&raw_query));
    let resources = core.registry.now();
    let Some(target) = route::target(&parts.method, path, &query) else {
        return plain(&core, &user, &resources, parts, &query);
    };
    let found = resources
        .get(&target.group, &target.version, &target.plural)
        .cloned();
    authorize(&core, &user, &target)?;
    let resource = found.ok_or_else(Failure::unknown_path)?;
    check_scope(&resource, &target)?;
    let call = Call {
        core,
        user,
        resources,
        resource,
        target,
        query,
        method: parts.method.clone(),
        headers: std::mem::take(&mut parts.headers),
        body: bytes,
        upgrade: parts.extensions.remove::<OnUpgrade>(),
        raw_query,
    };
    dispatch(call).await
}

fn authorize(core: &Core, user: &User, target: &Target) -> Result<(), Failure> {
    let mut wanted = Attributes {
        verb: target.verb.as_str().to_owned(),
        group: target.group.clone(),
        resource: target.plural.clone(),
        subresource: target.subresource.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        path: String::new(),
    };
    // A GET that upgrades runs a command: since 1.35 that is `create`, as with POST
    // (AuthorizePodWebsocketUpgradeCreatePermission).
    let runs = target.group.is_empty()
        && target.plural == "pods"
        && matches!(
            target.subresource.as_str(),
            "exec" | "attach" | "portforward"
        );
    if runs {
        wanted.verb = "create".to_owned();
    }
    core.require(user, &wanted)
}

fn check_scope(resource: &Resource, target: &Target) -> Result<(), Failure> {
    let all_namespaces = matches!(target.verb, Verb::List | Verb::Watch);
    let is_namespace = target.plural == "namespaces" && target.group.is_empty();
    if resource.namespaced
        && target.namespace.is_empty()
        && !all_namespaces
        && !resource.is("", "pods")
    {
        return match target.verb {
            Verb::Create | Verb::DeleteCollection => {
                Err(method_not_allowed("a namespace is needed"))
            }
            _ => Err(Failure::unknown_path()),
        };
    }
    if !resource.namespaced && !target.namespace.is_empty() && !is_namespace {
        return Err(Failure::unknown_path());
    }
    Ok(())
}

async fn dispatch(call: Call) -> Result<Answer, Failure> {
    let resource = call.resource.clone();
    if !call.target.subresource.is_empty() {
        return subresources::handle(call).await;
    }
    if call.target.verb == Verb::Create && !call.target.name.is_empty() {
        return Err(method_not_allowed("create"));
    }
    if reviews::handles(&resource) {
        return reviews::handle(&call).await;
    }
    if resource.is("", "componentstatuses") {
        return read::component_statuses(&call);
    }
    if !resource
        .verbs
        .iter()
        .any(|v| v == call.target.verb.as_str())
    {
        return Err(method_not_allowed(call.target.verb.as_str()));
    }
    if resource.is("", "bindings") {
        return subresources::bind(call).await;
    }
    match call.target.verb {
        Verb::Get => read::get(&call).await,
        Verb::List => read::list(&call).await,
        Verb::Watch => watch::start(call).await,
        Verb::Create => write::create(&call).await,
        Verb::Update => write::update(&call).await,
        Verb::Patch => write::patch(&call).await,
        Verb::Delete => delete::one(&call).await,
        Verb::DeleteCollection => delete::collection(&call).await,
    }
}

/// Answers a request that is about no resource.
fn plain(
    core: &Arc<Core>,
    user: &User,
    resources: &Resources,
    parts: &Parts,
    query: &Query,
) -> Result<Answer, Failure> {
    let path = parts.uri.path();
    let wanted = Attributes {
        verb: parts.method.as_str().to_ascii_lowercase(),
        path: path.to_owned(),
        ..Attributes::default()
    };
    core.require(user, &wanted)?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(method_not_allowed(parts.method.as_str()));
    }
    let trimmed = path.trim_end_matches('/');
    let words: Vec<&str> = trimmed.split('/').skip(1).collect();
    match words.as_slice() {
        [] => Ok(body::json(
            200,
            &json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/version"]}),
        )),
        ["healthz" | "livez" | "readyz"] => Ok(health(words[0], query)),
        ["healthz" | "livez" | "readyz", "ping" | "etcd"] => Ok(body::text(200, "ok")),
        ["version"] => Ok(body::json(200, &version(core))),
        ["metrics"] => Ok(metrics(core)),
        ["api"] => Ok(core.discovery.root(true, resources, &parts.headers)),
        ["apis"] => Ok(core.discovery.root(false, resources, &parts.headers)),
        ["api", version] => discovery::resource_list(resources, "", version),
        ["apis", group] => discovery::group(resources, group),
        ["apis", group, version] => discovery::resource_list(resources, group, version),
        ["openapi", "v3"] => Ok(core.openapi.index(core.table, resources)),
        ["openapi", "v3", rest @ ..] => core.openapi.document(
            core.table,
            resources,
            &rest.join("/"),
            query,
            &parts.headers,
        ),
        [".well-known", "openid-configuration"] => Ok(body::json(
            200,
            &json!({
                "issuer": ISSUER,
                "jwks_uri": format!("https://{}/openid/v1/jwks", core.advertise),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
        )),
        ["openid", "v1", "jwks"] => {
            let keys = serde_json::to_vec(&core.tokens.key_set()).unwrap_or_default();
            Ok(body::bytes(200, "application/jwk-set+json", keys))
        }
        _ => Err(Failure::unknown_path()),
    }
}

fn health(which: &str, query: &Query) -> Answer {
    if query.has("verbose") {
        body::text(
            200,
            format!("[+]ping ok\n[+]store ok\n{which} check passed\n"),
        )
    } else {
        body::text(200, "ok")
    }
}

fn version(core: &Core) -> serde_json::Value {
    let version = core.table.version();
    json!({
        "major": "1",
        "minor": version.minor().to_string(),
        "emulationMajor": "1",
        "emulationMinor": version.minor().to_string(),
        "gitVersion": format!("v{version}.0+ordain-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
    })
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn metrics(core: &Core) -> Answer {
    use std::sync::atomic::Ordering::Relaxed;
    let text = format!(
        "# HELP ordain_apiserver_requests_total Requests since the start.\n\
         # TYPE ordain_apiserver_requests_total counter\n\
         ordain_apiserver_requests_total {}\n\
         # HELP ordain_apiserver_watches Watches that are open.\n\
         # TYPE ordain_apiserver_watches gauge\n\
         ordain_apiserver_watches {}\n",
        core.requests.load(Relaxed),
        core.watches.load(Relaxed)
    );
    body::bytes(200, "text/plain; version=0.0.4", text)
}

/// Answers with one object in the form the client wants.
pub(crate) fn object_answer(
    call: &Call,
    code: u16,
    object: &serde_json::Value,
) -> Result<Answer, Failure> {
    let form = negotiate::form(&call.headers)?;
    Ok(body::json(code, &read::in_form(call, form, object)))
}
