//! Types of custom kinds, from the definitions that come along.

use std::collections::{BTreeMap, BTreeSet};

use ordain_lang_project::yaml;
use serde_json::Value as Json;

use crate::object::Object;
use crate::write::text;

/// The definitions of a group, as a file that programs use under a name.
pub(crate) struct Definitions {
    /// What programs call it.
    pub(crate) alias: String,
    /// Its path in the project.
    pub(crate) path: String,
    /// Its YAML.
    pub(crate) text: String,
}

/// A custom kind whose type is known.
pub(crate) struct Custom {
    /// How programs name it: `argoproj.Application`.
    pub(crate) name: String,
    pub(crate) is_namespaced: bool,
}

/// All custom kinds, by group, version and kind.
#[derive(Default)]
pub(crate) struct Customs {
    kinds: BTreeMap<(String, String), Custom>,
    pub(crate) files: Vec<Definitions>,
}

impl Customs {
    /// Reads definitions. `taken` are names that mean something else.
    pub(crate) fn new<'o>(
        definitions: impl Iterator<Item = &'o Object>,
        taken: &BTreeSet<String>,
    ) -> Customs {
        let mut groups: BTreeMap<String, BTreeMap<String, Json>> = BTreeMap::new();
        for object in definitions {
            let is_definition = object.kind == "CustomResourceDefinition"
                && object.api_version == "apiextensions.k8s.io/v1";
            let json = object.node.json();
            if let Some(group) = json
                .pointer("/spec/group")
                .and_then(Json::as_str)
                .filter(|_| is_definition)
            {
                let known = groups.entry(group.to_owned()).or_default();
                known.entry(object.name.clone()).or_insert(json);
            }
        }
        let mut customs = Customs::default();
        let mut used = taken.clone();
        for (group, definitions) in groups {
            let short = text::identifier(group.split('.').next().unwrap_or_default());
            let mut alias = short.clone();
            for nth in 2.. {
                if used.insert(alias.clone()) {
                    break;
                }
                alias = format!("{short}_{nth}");
            }
            for json in definitions.values() {
                customs.add(&group, &alias, json);
            }
            let objects: Vec<_> = definitions
                .into_values()
                .map(|json| ordain_lang_project::Object {
                    json,
                    at: String::new(),
                    is_message: false,
                })
                .collect();
            customs.files.push(Definitions {
                path: format!("crds/{alias}.yaml"),
                alias,
                text: yaml(&objects),
            });
        }
        customs
    }

    fn add(&mut self, group: &str, alias: &str, json: &Json) {
        let text = |path: &str| json.pointer(path).and_then(Json::as_str);
        let versions = json.pointer("/spec/versions").and_then(Json::as_array);
        let (Some(kind), Some(versions)) = (text("/spec/names/kind"), versions) else {
            return;
        };
        for version in versions
            .iter()
            .filter_map(|version| version.get("name")?.as_str())
        {
            let name = match versions.len() {
                1 => format!("{alias}.{kind}"),
                _ => format!("{alias}.{version}.{kind}"),
            };
            let custom = Custom {
                name,
                is_namespaced: text("/spec/scope") == Some("Namespaced"),
            };
            self.kinds
                .insert((format!("{group}/{version}"), kind.to_owned()), custom);
        }
    }

    /// The kind that an object's `apiVersion` and `kind` mean.
    pub(crate) fn of(&self, api_version: &str, kind: &str) -> Option<&Custom> {
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// The file whose types a name like `argoproj.Application` belongs to.
    pub(crate) fn file(&self, name: &str) -> Option<&Definitions> {
        let (alias, _) = name.split_once('.')?;
        self.files.iter().find(|file| file.alias == alias)
    }
}
