//! Who may deploy what: rules by app and environment, read from one file, and what they say of objects.
//!
//! Decisions are pure. They are made before anything is sent; what a rule refuses is named with its object and line.
//! Without a policy everything is allowed: whoever writes the repository is the one tenant. With one, an app that no
//! rule names is refused as a whole.

mod file;
mod glob;

use ordain_reconciler_plan::{ObjectKey, health::HealthRules};

pub use file::PolicyError;
use glob::fits;

/// A policy: its rules, in the order in which they are asked, and rules of health for custom kinds.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    health: HealthRules,
}

/// One rule. The first one that names an app counts for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    name: String,
    apps: Vec<String>,
    environments: Vec<String>,
    /// Namespace and name.
    service_account: Option<(String, String)>,
    cluster_wide: Option<bool>,
    allow: Lists,
    deny: Lists,
}

/// Patterns; an empty list says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lists {
    repositories: Vec<String>,
    paths: Vec<String>,
    clusters: Vec<String>,
    namespaces: Vec<String>,
    kinds: Vec<String>,
}

/// What is deployed where.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The app.
    pub app: &'a str,
    /// Its environment.
    pub env: &'a str,
    /// The cluster it goes to.
    pub cluster: &'a str,
    /// Where its commits come from.
    pub repository: &'a str,
}

/// One object that a rule refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its position among those that were asked about.
    pub at: usize,
    /// Which rule refuses it, and why.
    pub message: String,
}

/// Says which of an app's objects a policy refuses. An object comes with `file:line` of its source, when that is
/// known.
#[must_use]
pub fn judge<'a>(
    policy: &Policy,
    subject: &Subject<'_>,
    objects: impl IntoIterator<Item = (&'a ObjectKey, Option<&'a str>)>,
) -> Vec<Refused> {
    let rule = policy.rule(subject.app, subject.env);
    let whole = match rule {
        None => Some(format!(
            "the policy has no rule for app `{}` of environment `{}`",
            subject.app, subject.env
        )),
        Some(rule) => rule.refuses_app(subject),
    };
    let mut refused = Vec::new();
    for (at, (key, place)) in objects.into_iter().enumerate() {
        let message = match (&whole, rule) {
            (Some(message), _) => Some(message.clone()),
            (None, Some(rule)) => rule.refuses(key, place),
            (None, None) => None,
        };
        if let Some(message) = message {
            refused.push(Refused { at, message });
        }
    }
    refused
}

impl Policy {
    /// The user that an app's requests are made as; ourselves when no rule says anything else.
    #[must_use]
    pub fn user(&self, app: &str, env: &str) -> Option<String> {
        let (namespace, name) = self.rule(app, env)?.service_account.as_ref()?;
        Some(format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Rules of health for custom kinds.
    #[must_use]
    pub fn health(&self) -> &HealthRules {
        &self.health
    }

    fn rule(&self, app: &str, env: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| any(&rule.apps, app) && any(&rule.environments, env))
    }
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, text))
}

impl Rule {
    /// Why nothing of the app is allowed.
    fn refuses_app(&self, subject: &Subject<'_>) -> Option<String> {
        let (allow, deny) = (&self.allow, &self.deny);
        self.of("cluster", &allow.clusters, &deny.clusters, subject.cluster)
            .or_else(|| {
                let (allow, deny) = (&allow.repositories, &deny.repositories);
                self.of("repository", allow, deny, subject.repository)
            })
    }

    /// Why an object is not allowed.
    fn refuses(&self, key: &ObjectKey, place: Option<&str>) -> Option<String> {
        let name = &self.name;
        if let Some(pattern) = self.deny.kinds.iter().find(|pattern| is_kind(pattern, key)) {
            return Some(format!("policy rule `{name}` denies kinds `{pattern}`"));
        }
        let allowed = &self.allow.kinds;
        if !allowed.is_empty() && !allowed.iter().any(|pattern| is_kind(pattern, key)) {
            let kind = kind_name(key);
            return Some(format!("policy rule `{name}` does not allow kind `{kind}`"));
        }
        let path = place.map(|place| match place.rsplit_once(':') {
            Some((file, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => file,
            _ => place,
        });
        // What is deployed from the journal has no line; it was judged when it was compiled.
        if let Some(path) = path
            && let Some(message) = self.of("path", &self.allow.paths, &self.deny.paths, path)
        {
            return Some(message);
        }
        let namespaces = |namespace: &str| {
            let (allow, deny) = (&self.allow.namespaces, &self.deny.namespaces);
            self.of("namespace", allow, deny, namespace)
        };
        match &key.namespace {
            Some(namespace) => namespaces(namespace),
            None if key.is("", "Namespace") => namespaces(&key.name),
            None if self.allows_cluster_wide() => None,
            None => {
                let kind = kind_name(key);
                Some(format!(
                    "policy rule `{name}` allows no cluster-wide objects, and `{kind}` is one"
                ))
            }
        }
    }

    /// Whoever is kept to some namespaces is kept out of what belongs to none, unless the rule says so.
    fn allows_cluster_wide(&self) -> bool {
        let free = self.allow.namespaces.is_empty() && self.deny.namespaces.is_empty();
        self.cluster_wide.unwrap_or(free)
    }

    fn of(&self, what: &str, allow: &[String], deny: &[String], text: &str) -> Option<String> {
        let name = &self.name;
        if let Some(pattern) = deny.iter().find(|pattern| fits(pattern, text)) {
            return Some(format!(
                "policy rule `{name}` denies {what} `{text}` by `{pattern}`"
            ));
        }
        let allowed = allow.is_empty() || any(allow, text);
        (!allowed).then(|| format!("policy rule `{name}` does not allow {what} `{text}`"))
    }
}

/// `Kind` of the core group, `group/Kind`, or `*` for everything.
fn is_kind(pattern: &str, key: &ObjectKey) -> bool {
    match pattern.rsplit_once('/') {
        Some((group, kind)) => fits(group, &key.group) && fits(kind, &key.kind),
        None if pattern == "*" => true,
        None => key.group.is_empty() && fits(pattern, &key.kind),
    }
}

fn kind_name(key: &ObjectKey) -> String {
    match key.group.as_str() {
        "" => key.kind.clone(),
        group => format!("{group}/{}", key.kind),
    }
}
