//! Who makes a request. It does not know what anybody may do.

use serde_json::{Map, Value, json};

/// The group of everybody who proved an identity.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The group of everybody else.
const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group that may do everything, whatever the roles say.
pub(crate) const MASTERS: &str = "system:masters";

/// The identity behind a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name: `admin`, `system:node:n1`, `system:serviceaccount:ns:name`.
    pub name: String,
    /// A stable identifier, where there is one.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Further facts: the pod a token is bound to, the id of a credential.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// Returns an authenticated user in these groups.
    pub fn new(name: impl Into<String>, groups: &[&str]) -> User {
        let mut groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        groups.push(AUTHENTICATED.to_owned());
        User {
            name: name.into(),
            groups,
            ..User::default()
        }
    }

    /// Returns a member of `system:masters`, who may do everything.
    pub fn admin() -> User {
        User::new("kubernetes-admin", &[MASTERS])
    }

    /// Returns the identity of a node agent.
    pub fn node(name: &str) -> User {
        User::new(format!("system:node:{name}"), &["system:nodes"])
    }

    /// Returns the identity of a ServiceAccount.
    pub fn service_account(namespace: &str, name: &str) -> User {
        User::new(
            format!("system:serviceaccount:{namespace}:{name}"),
            &[
                "system:serviceaccounts",
                &format!("system:serviceaccounts:{namespace}"),
            ],
        )
    }

    /// Returns somebody without credentials.
    pub fn anonymous() -> User {
        User {
            name: "system:anonymous".into(),
            groups: vec![UNAUTHENTICATED.into()],
            ..User::default()
        }
    }

    pub(crate) fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// Returns the namespace and name of the ServiceAccount this is.
    pub(crate) fn as_service_account(&self) -> Option<(&str, &str)> {
        self.name
            .strip_prefix("system:serviceaccount:")?
            .split_once(':')
    }

    /// Returns the `userInfo` of a review.
    pub(crate) fn to_json(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            let extra: Map<String, Value> = self
                .extra
                .iter()
                .map(|(k, v)| (k.clone(), v.clone().into()))
                .collect();
            info["extra"] = extra.into();
        }
        info
    }
}
