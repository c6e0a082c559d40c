//! The state that all requests share, and the questions every request asks of it: who are you,
//! may you, what is stored.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use ordain_orchestrator_store::{Entry, Error as StoreError, Expect, Kv, Range, Revision};
use ordain_schemas::{KubeVersion, Table, table};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{
        rbac::{Attributes, Rbac},
        token::{Claims, ISSUER, Tokens},
        user::User,
    },
    bootstrap,
    discovery::Discovery,
    json::str_at,
    object,
    openapi::OpenApi,
    pki::{Pair, Pki},
    proxy::NodeClient,
    registry::{Registry, Resource},
    server::StartError,
    services::{Allocated, Cidr, Ranges},
    status::{Failure, Subject, unauthorized},
};

/// Where the objects of role-based access control are stored.
const RBAC_PREFIX: &str = "/registry/rbac.authorization.k8s.io/";
/// How long to wait before following a store again that refused.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// What proves who a request comes from.
pub(crate) enum Credentials {
    /// Known from the connection or from the process.
    Known(Arc<User>),
    /// Whatever the headers say.
    Headers,
}

/// What the shared state is made from.
pub(crate) struct Options {
    pub(crate) store: Arc<dyn Kv>,
    pub(crate) pki: Arc<Pki>,
    pub(crate) cidr: Cidr,
    pub(crate) node_ports: RangeInclusive<u16>,
    pub(crate) advertise: SocketAddr,
    pub(crate) shutdown: CancellationToken,
}

/// The state that all requests share.
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Kv>,
    pub(crate) table: &'static Table,
    pub(crate) registry: Registry,
    pub(crate) tokens: Tokens,
    pub(crate) ranges: Ranges,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) pki: Arc<Pki>,
    pub(crate) nodes: OnceLock<NodeClient>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) advertise: SocketAddr,
    /// Held while addresses and ports are chosen and stored.
    pub(crate) allocation: Mutex<Allocated>,
    pub(crate) requests: AtomicU64,
    pub(crate) watches: AtomicU64,
    rbac: RwLock<Arc<Rbac>>,
}

impl Core {
    /// Opens the state over a store and writes the first objects of a cluster.
    pub(crate) async fn open(options: Options) -> Result<Arc<Core>, StartError> {
        let table = table(KubeVersion::DEFAULT);
        let tokens =
            Tokens::new(options.pki.service_account_key()).ok_or_else(|| StartError::Tls {
                why: "the key for ServiceAccount tokens is not an ECDSA P-256 key".to_owned(),
            })?;
        let core = Arc::new(Core {
            store: options.store,
            table,
            registry: Registry::new(table),
            tokens,
            ranges: Ranges {
                cidr: options.cidr,
                node_ports: options.node_ports,
            },
            discovery: Discovery::default(),
            openapi: OpenApi::default(),
            pki: options.pki,
            nodes: OnceLock::new(),
            shutdown: options.shutdown,
            advertise: options.advertise,
            allocation: Mutex::default(),
            requests: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            rbac: RwLock::new(Arc::default()),
        });
        bootstrap::write(&core).await?;
        core.load_rbac().await?;
        tokio::spawn(follow(core.clone(), RBAC_PREFIX));
        crate::crd::load(&core).await?;
        tokio::spawn(follow(core.clone(), crate::crd::PREFIX));
        tokio::spawn(crate::events::expire(core.clone()));
        tokio::spawn(bootstrap::keep(core.clone()));
        Ok(core)
    }

    /// Reads all roles and bindings.
    async fn load_rbac(&self) -> Result<Revision, StoreError> {
        let page = self.store.list(Range::prefix(RBAC_PREFIX)).await?;
        let objects: Vec<Value> = page
            .entries
            .iter()
            .filter_map(|e| object::decode(&e.value, e.mod_revision.0))
            .collect();
        let index = Arc::new(Rbac::build(objects.iter()));
        *self.rbac.write().unwrap_or_else(PoisonError::into_inner) = index;
        Ok(page.revision)
    }

    pub(crate) fn rbac(&self) -> Arc<Rbac> {
        self.rbac
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns who makes a request.
    ///
    /// # Errors
    /// 401 for a token that is not good, 403 for an impersonation that is not allowed.
    pub(crate) async fn authenticate(
        &self,
        credentials: Credentials,
        headers: &HeaderMap,
    ) -> Result<Arc<User>, Failure> {
        let user = match credentials {
            Credentials::Known(user) => user,
            Credentials::Headers => match headers.get(header::AUTHORIZATION) {
                None => Arc::new(User::anonymous()),
                Some(value) => {
                    let text = value.to_str().map_err(|_| unauthorized())?;
                    let (scheme, token) = text.split_once(' ').ok_or_else(unauthorized)?;
                    if !scheme.eq_ignore_ascii_case("bearer") {
                        return Err(unauthorized());
                    }
                    let found = self.user_of_token(token.trim(), &[ISSUER.to_owned()]).await;
                    Arc::new(found.ok_or_else(unauthorized)?.0)
                }
            },
        };
        self.impersonate(user, headers)
    }

    fn impersonate(&self, user: Arc<User>, headers: &HeaderMap) -> Result<Arc<User>, Failure> {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("")
                .to_owned()
        };
        let name = text("impersonate-user");
        let groups: Vec<String> = headers
            .get_all("impersonate-group")
            .iter()
            .filter_map(|v| v.to_str().ok().map(str::to_owned))
            .collect();
        if name.is_empty() {
            return match groups.is_empty() && text("impersonate-uid").is_empty() {
                true => Ok(user),
                false => Err(Failure::bad_request(
                    "requested [groups] without impersonating a user",
                )),
            };
        }
        let check = |resource: &str, name: &str| {
            let account = name
                .strip_prefix("system:serviceaccount:")
                .and_then(|s| s.split_once(':'));
            let (resource, namespace, name) = match account {
                Some((namespace, name)) if resource == "users" => {
                    ("serviceaccounts", namespace, name)
                }
                _ => (resource, "", name),
            };
            let wanted = Attributes {
                verb: "impersonate".into(),
                resource: resource.into(),
                namespace: namespace.into(),
                name: name.into(),
                ..Attributes::default()
            };
            self.require(&user, &wanted)
        };
        check("users", &name)?;
        for group in &groups {
            check("groups", group)?;
        }
        let mut other = User {
            name: name.clone(),
            uid: text("impersonate-uid"),
            groups,
            extra: Vec::new(),
        };
        if let (Some((namespace, _)), true) = (other.as_service_account(), other.groups.is_empty())
        {
            let namespace = namespace.to_owned();
            other.groups = vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
            ];
        }
        if name != "system:anonymous" && !other.in_group(crate::auth::user::AUTHENTICATED) {
            other
                .groups
                .push(crate::auth::user::AUTHENTICATED.to_owned());
        }
        Ok(Arc::new(other))
    }

    /// Returns the user behind a token and the audiences it is good for among those asked, when the
    /// token is valid and its account and pod still exist.
    pub(crate) async fn user_of_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Option<(User, Vec<String>)> {
        let claims = self
            .tokens
            .verify(token, jiff::Timestamp::now().as_second())?;
        let good: Vec<String> = audiences
            .iter()
            .filter(|a| claims.audiences.contains(a))
            .cloned()
            .collect();
        if good.is_empty() || !self.claims_hold(&claims).await {
            return None;
        }
        let mut user = User::service_account(&claims.namespace, &claims.account);
        user.uid = claims.account_uid;
        user.extra.push((
            "authentication.kubernetes.io/credential-id".into(),
            vec![format!("JTI={}", claims.id)],
        ));
        for bound in claims
            .bound
            .iter()
            .filter(|b| b.kind == "pod" || b.kind == "node")
        {
            let key = |what: &str| format!("authentication.kubernetes.io/{}-{what}", bound.kind);
            user.extra.push((key("name"), vec![bound.name.clone()]));
            user.extra.push((key("uid"), vec![bound.uid.clone()]));
        }
        Some((user, good))
    }

    async fn claims_hold(&self, claims: &Claims) -> bool {
        let has_uid = async |key: String, uid: &str| match self.store.get(&key).await {
            Ok(Some(entry)) => object::decode(&entry.value, 0)
                .is_some_and(|o| str_at(&o, &["metadata", "uid"]) == uid),
            _ => false,
        };
        let namespace = &claims.namespace;
        let account = format!(
            "/registry/core/serviceaccounts/{namespace}/{}",
            claims.account
        );
        if !has_uid(account, &claims.account_uid).await {
            return false;
        }
        for bound in &claims.bound {
            let key = match bound.kind.as_str() {
                "pod" => format!("/registry/core/pods/{namespace}/{}", bound.name),
                "secret" => format!("/registry/core/secrets/{namespace}/{}", bound.name),
                _ => continue,
            };
            if !has_uid(key, &bound.uid).await {
                return false;
            }
        }
        true
    }

    /// Refuses what the roles do not allow.
    ///
    /// # Errors
    /// 403 in upstream's words.
    pub(crate) fn require(&self, user: &User, wanted: &Attributes) -> Result<(), Failure> {
        if self.rbac().allows(user, wanted).is_some() {
            return Ok(());
        }
        if !wanted.path.is_empty() {
            let why = format!(
                "User {:?} cannot {} path {:?}",
                user.name, wanted.verb, wanted.path
            );
            return Err(Failure::forbidden(None, "", why));
        }
        let resource = if wanted.subresource.is_empty() {
            wanted.resource.clone()
        } else {
            format!("{}/{}", wanted.resource, wanted.subresource)
        };
        let place = if wanted.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", wanted.namespace)
        };
        let why = format!(
            "User {:?} cannot {} resource {resource:?} in API group {:?} {place}",
            user.name, wanted.verb, wanted.group
        );
        let subject = Subject {
            group: &wanted.group,
            plural: &wanted.resource,
            name: &wanted.name,
        };
        Err(subject.forbidden(&why))
    }

    /// Returns a stored object.
    pub(crate) async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Entry>, Failure> {
        let found = self
            .store
            .get(&resource.key(namespace, name))
            .await
            .map_err(store_failure)?;
        found.ok_or_else(|| resource.subject(name).not_found())
    }

    /// Returns a stored object of a built-in kind, decoded, if there is one.
    pub(crate) async fn peek(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Failure> {
        let resources = self.registry.now();
        let Some(resource) = resources.stored(group, plural) else {
            return Ok(None);
        };
        let entry = self
            .store
            .get(&resource.key(namespace, name))
            .await
            .map_err(store_failure)?;
        Ok(entry.and_then(|e| object::decode(&e.value, e.mod_revision.0)))
    }

    /// Stores an object that must not be there yet.
    pub(crate) async fn insert(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Arc<Entry>, Failure> {
        let bytes = Bytes::from(object::encode(object));
        let put = self
            .store
            .put(&resource.key(namespace, name), bytes, Expect::Absent)
            .await;
        put.map_err(|error| match error {
            StoreError::Conflict { .. } => resource.subject(name).already_exists(),
            other => store_failure(other),
        })
    }

    /// Returns the next number that spreads choices over a range.
    pub(crate) fn salt(&self) -> u32 {
        uuid::Uuid::new_v4().as_u128() as u32
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the client for node agents, made when it is first needed.
    pub(crate) fn node_client(&self) -> Result<&NodeClient, Failure> {
        if let Some(client) = self.nodes.get() {
            return Ok(client);
        }
        let pair: Pair = self
            .pki
            .client("kube-apiserver-kubelet-client", &["system:masters"])
            .map_err(Failure::internal)?;
        let client = NodeClient::new(self.pki.ca_der(), &pair).map_err(Failure::internal)?;
        Ok(self.nodes.get_or_init(|| client))
    }
}

/// Keeps what was read from a prefix up to date.
async fn follow(core: Arc<Core>, prefix: &'static str) {
    loop {
        let reload = async {
            let after = if prefix == RBAC_PREFIX {
                core.load_rbac().await?
            } else {
                crate::crd::load(&core).await?
            };
            let mut watch = core.store.watch(prefix, Some(after)).await?;
            watch.next().await.transpose().map(|event| event.is_some())
        };
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            result = reload => match result {
                Ok(true) => {}
                Ok(false) => return,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, prefix, "cannot follow the store");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            },
        }
    }
}

/// Returns how a failure of the store looks to a client.
pub(crate) fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Compacted { asked, compacted } => {
            Failure::expired(format!("too old resource version: {asked} ({compacted})"))
        }
        StoreError::Future { asked, current } => {
            Failure::resource_version_too_large(asked.0, current.0)
        }
        StoreError::TooLarge { .. } => {
            Failure::failure(413, "RequestEntityTooLarge", error.to_string())
        }
        StoreError::Failed { .. } | StoreError::Closed => Failure::unavailable(error.to_string()),
        other => Failure::internal(other),
    }
}
