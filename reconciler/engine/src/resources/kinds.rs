//! The names of the reconciler's own kinds, and their definitions.

use kube::api::ApiResource;
use serde_json::Value;

/// Group and version of all of them.
pub(crate) const VERSION: &str = "ordain.dev/v1alpha1";

/// On a `Request`: who asks, in the words of the asking side.
pub(crate) const REQUESTED_BY: &str = "ordain.dev/requested-by";

/// On an `App`: any new value asks to look at the repository and the app now.
pub(crate) const RECONCILE: &str = "ordain.dev/reconcile";

/// One kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    definition: &'static str,
}

/// One app in one environment.
pub(crate) const APP: Kind = Kind {
    kind: "App",
    plural: "apps",
    definition: include_str!("../../crds/apps.yaml"),
};

/// The repository.
pub(crate) const SOURCE: Kind = Kind {
    kind: "Source",
    plural: "sources",
    definition: include_str!("../../crds/sources.yaml"),
};

/// A command and its answers.
pub(crate) const REQUEST: Kind = Kind {
    kind: "Request",
    plural: "requests",
    definition: include_str!("../../crds/requests.yaml"),
};

/// All of them.
pub(crate) const ALL: [Kind; 3] = [APP, SOURCE, REQUEST];

impl Kind {
    /// How kube reaches it.
    pub(crate) fn api_resource(&self) -> ApiResource {
        ApiResource {
            group: "ordain.dev".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: VERSION.to_owned(),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }

    /// Its definition.
    pub(crate) fn definition(&self) -> Value {
        serde_yaml::from_str(self.definition).expect("the file is part of the program")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_as_the_kinds_are() {
        for kind in ALL {
            let definition = kind.definition();
            assert_eq!(
                definition["metadata"]["name"],
                format!("{}.ordain.dev", kind.plural)
            );
            assert_eq!(definition["spec"]["names"]["kind"], kind.kind);
        }
    }
}
