//! What every cluster has, though no project makes it.

/// Names that are in every cluster, for `did you mean`.
pub(crate) fn names(group: &str, kind: &str) -> &'static [&'static str] {
    match (group, kind) {
        ("rbac.authorization.k8s.io", "ClusterRole") => &["cluster-admin", "admin", "edit", "view"],
        ("scheduling.k8s.io", "PriorityClass") => {
            &["system-cluster-critical", "system-node-critical"]
        }
        ("", "ServiceAccount") => &["default"],
        ("", "ConfigMap") => &["kube-root-ca.crt"],
        _ => &[],
    }
}

/// Whether an object is in every cluster from the start, or made in every namespace.
pub(crate) fn is_known(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> bool {
    match (group, kind) {
        // kube-controller-manager's serviceaccount and root-ca-cert-publisher controllers.
        ("", "ServiceAccount") => name == "default",
        ("", "ConfigMap") => {
            name == "kube-root-ca.crt"
                || (namespace == Some("kube-system")
                    && name == "extension-apiserver-authentication")
        }
        ("", "Service") => namespace == Some("default") && name == "kubernetes",
        ("", "Namespace") => matches!(
            name,
            "default" | "kube-system" | "kube-public" | "kube-node-lease"
        ),
        // plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go.
        ("rbac.authorization.k8s.io", "ClusterRole") => {
            matches!(name, "cluster-admin" | "admin" | "edit" | "view")
                || name.starts_with("system:")
        }
        ("rbac.authorization.k8s.io", "Role") => {
            name.starts_with("system:")
                || (namespace == Some("kube-system")
                    && name == "extension-apiserver-authentication-reader")
        }
        // pkg/apis/scheduling/v1/helpers.go.
        ("scheduling.k8s.io", "PriorityClass") => {
            matches!(name, "system-cluster-critical" | "system-node-critical")
        }
        _ => false,
    }
}
