//! Fields that are left to others: which they are, whether anything else differs, and what is sent instead of them.
//!
//! Ignored fields are taken out of the live object and of the dry run before they are compared. When something else has to
//! be applied, an ignored field is left out of what is sent if another manager declares it, and sent as it is live
//! otherwise: leaving it out would delete it when it is ours (fluxcd/pkg `ssa`, `computeDriftedPaths`). This happens before
//! the dry run, so that a value which the server would refuse does not stop anything.

use std::sync::{Arc, OnceLock};

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{
    Desired,
    compare::declared,
    jq,
    managed::{self, Entry},
    paths::{self, Pattern},
    policy::Policy,
    selector::Selector,
};

/// Which fields of which objects are left to others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IgnoreRule {
    /// The API group, as a regular expression for all of it. Nothing means any.
    #[serde(default)]
    pub group: Option<String>,
    /// The version, likewise.
    #[serde(default)]
    pub version: Option<String>,
    /// The kind, likewise.
    #[serde(default)]
    pub kind: Option<String>,
    /// The namespace, likewise.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The name, likewise.
    #[serde(default)]
    pub name: Option<String>,
    /// A label selector: `app=web,tier in (a,b),!old`.
    #[serde(default)]
    pub labels: Option<String>,
    /// The same for annotations.
    #[serde(default)]
    pub annotations: Option<String>,
    /// JSON pointers (RFC 6901); `*` stands for any key or element and `[name=web]` for the element with that name.
    #[serde(default, alias = "jsonPointers")]
    pub paths: Vec<String>,
    /// Paths in the language of jq: fields, elements and `select`. Argo CD's name for them is taken too.
    #[serde(default, alias = "jqPathExpressions")]
    pub jq: Vec<String>,
    /// Everything that these field managers wrote; a `*` at the end stands for any ending.
    #[serde(default, alias = "managedFieldsManagers")]
    pub managers: Vec<String>,
    /// Only while another manager has written the field; as long as nobody did, what is declared holds.
    #[serde(default)]
    pub only_foreign: bool,
}

/// Why rules cannot be used.
#[derive(Debug, Error)]
pub enum IgnoreError {
    /// A text that is no list of rules.
    #[error("no list of ignore rules")]
    Text {
        /// What is wrong with it.
        #[source]
        source: Box<serde_yaml::Error>,
    },
    /// A pattern for groups, kinds or names.
    #[error("`{text}` of {field} is no regular expression")]
    Pattern {
        /// The field of the rule.
        field: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: Box<regex::Error>,
    },
    /// A selector.
    #[error("`{text}` is no label selector")]
    Selector {
        /// The text.
        text: String,
    },
    /// A path.
    #[error("`{text}` is no JSON pointer: it has to begin with `/`")]
    Path {
        /// The text.
        text: String,
    },
    /// A path in the language of jq that names no places.
    #[error(
        "`{text}` is no path that is read: `.field`, `[]`, `[0]`, `| select(.field == \"value\")` are, with `!=`, `and`, \
         `or`, `startswith` and `endswith`"
    )]
    Jq {
        /// The text.
        text: String,
    },
    /// A rule that says nothing.
    #[error("an ignore rule needs paths or managers")]
    Empty,
}

#[derive(Debug)]
struct Compiled {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    namespace: Option<Regex>,
    name: Option<Regex>,
    labels: Selector,
    annotations: Selector,
    paths: Vec<Pattern>,
    managers: Vec<String>,
    only_foreign: bool,
}

/// Rules, ready to be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ignores {
    compiled: Arc<Vec<Compiled>>,
    /// Those that somebody gave, as he wrote them.
    given: Arc<[IgnoreRule]>,
}

impl Default for Ignores {
    /// The rules that hold without anybody asking; see `defaults.json` beside this file.
    fn default() -> Self {
        static DEFAULT: OnceLock<Ignores> = OnceLock::new();
        DEFAULT
            .get_or_init(|| Self::new(&[]).expect("a test compiles the default rules"))
            .clone()
    }
}

/// Fields that others write after us on many clusters (most are `config/default.go` of kapp).
const DEFAULTS: &str = include_str!("ignore/defaults.json");

impl Ignores {
    /// Compiles rules; the default ones hold as well.
    ///
    /// # Errors
    /// When a rule cannot be read.
    pub fn new(rules: &[IgnoreRule]) -> Result<Self, IgnoreError> {
        let defaults: Vec<IgnoreRule> =
            serde_json::from_str(DEFAULTS).expect("a test reads the default rules");
        let compiled = rules.iter().chain(&defaults).map(compile);
        Ok(Self {
            compiled: Arc::new(compiled.collect::<Result<_, _>>()?),
            given: rules.into(),
        })
    }

    /// The rules that hold besides the default ones.
    #[must_use]
    pub fn rules(&self) -> &[IgnoreRule] {
        &self.given
    }

    /// Reads a list of rules as YAML or JSON.
    ///
    /// # Errors
    /// When the text is no such list, or a rule cannot be read.
    pub fn read(text: &str) -> Result<Self, IgnoreError> {
        let rules: Vec<IgnoreRule> =
            serde_yaml::from_str(text).map_err(|source| IgnoreError::Text {
                source: Box::new(source),
            })?;
        Self::new(&rules)
    }

    /// What is ignored of one object: by these rules and by its own annotation, `ordain.dev/ignore`.
    #[must_use]
    pub fn of(&self, desired: &Desired, live: &Value) -> Ignored {
        let mut ignored = Ignored::default();
        for rule in self.compiled.iter().filter(|rule| rule.is_about(desired)) {
            rule.add(live, &mut ignored.patterns);
        }
        let policy = Policy::of(&desired.object);
        ignored
            .patterns
            .extend(policy.ignore.iter().filter_map(|path| Pattern::parse(path)));
        written_by(&policy.ignore_managers, live, &mut ignored.patterns);
        ignored
    }
}

fn compile(rule: &IgnoreRule) -> Result<Compiled, IgnoreError> {
    let regex = |field, text: &Option<String>| -> Result<Option<Regex>, IgnoreError> {
        let Some(text) = text else { return Ok(None) };
        let regex =
            Regex::new(&format!("^(?:{text})$")).map_err(|source| IgnoreError::Pattern {
                field,
                text: text.clone(),
                source: Box::new(source),
            })?;
        Ok(Some(regex))
    };
    let selector = |text: &Option<String>| {
        let text = text.clone().unwrap_or_default();
        Selector::parse(&text).ok_or(IgnoreError::Selector { text })
    };
    if rule.paths.is_empty() && rule.jq.is_empty() && rule.managers.is_empty() {
        return Err(IgnoreError::Empty);
    }
    let path = |text: &String| {
        Pattern::parse(text).ok_or_else(|| IgnoreError::Path { text: text.clone() })
    };
    let jq = |text: &String| jq::parse(text).ok_or_else(|| IgnoreError::Jq { text: text.clone() });
    let paths = rule.paths.iter().map(path);
    Ok(Compiled {
        group: regex("group", &rule.group)?,
        version: regex("version", &rule.version)?,
        kind: regex("kind", &rule.kind)?,
        namespace: regex("namespace", &rule.namespace)?,
        name: regex("name", &rule.name)?,
        labels: selector(&rule.labels)?,
        annotations: selector(&rule.annotations)?,
        paths: paths
            .chain(rule.jq.iter().map(jq))
            .collect::<Result<_, _>>()?,
        managers: rule.managers.clone(),
        only_foreign: rule.only_foreign,
    })
}

impl Compiled {
    fn is_about(
        &self,
        Desired {
            key,
            version,
            object,
            ..
        }: &Desired,
    ) -> bool {
        let is = |regex: &Option<Regex>, text: &str| {
            regex.as_ref().is_none_or(|regex| regex.is_match(text))
        };
        // Most rules are about one kind.
        is(&self.kind, &key.kind)
            && is(&self.group, &key.group)
            && is(&self.version, &version.version)
            && is(&self.kind, &key.kind)
            && is(
                &self.namespace,
                key.namespace.as_deref().unwrap_or_default(),
            )
            && is(&self.name, &key.name)
            && self.labels.matches(object.pointer("/metadata/labels"))
            && self
                .annotations
                .matches(object.pointer("/metadata/annotations"))
    }

    fn add(&self, live: &Value, patterns: &mut Vec<Pattern>) {
        if self.only_foreign {
            let places = self.paths.iter().flat_map(|path| path.places(live));
            let foreign = places.filter(|place| {
                managed::entries(live).any(|entry| !entry.is_ours() && entry.owns(live, place))
            });
            patterns.extend(foreign.map(|place| Pattern::of_place(live, &place)));
        } else {
            patterns.extend(self.paths.iter().cloned());
        }
        written_by(&self.managers, live, patterns);
    }
}

/// Adds everything that some managers wrote, through subresources too; statuses are nobody's to declare.
fn written_by(managers: &[String], live: &Value, patterns: &mut Vec<Pattern>) {
    if managers.is_empty() {
        return;
    }
    let named = |entry: &Entry<'_>| {
        let is = |name: &String| match name.strip_suffix('*') {
            Some(start) => entry.manager.starts_with(start),
            None => entry.manager == name,
        };
        entry.subresource != "status" && managers.iter().any(is)
    };
    for entry in managed::entries(live).filter(named) {
        let places = entry.places(live);
        patterns.extend(places.iter().map(|place| Pattern::of_place(live, place)));
    }
}

/// The fields of one object that are left to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignored {
    patterns: Vec<Pattern>,
}

impl Ignored {
    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Adds a field by its path as in [`FieldChange::path`](crate::FieldChange::path), such as one that is fought over.
    pub fn add_field(&mut self, path: &str) {
        self.patterns.push(Pattern::of_field(path));
    }

    /// The fields, as JSON pointers.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.patterns.iter().map(ToString::to_string)
    }

    /// The part of an object that is compared: what somebody declares, without ignored fields.
    #[must_use]
    pub fn compared(&self, object: &Value) -> Value {
        let mut object = declared(object);
        let places = self
            .patterns
            .iter()
            .flat_map(|pattern| pattern.places(&object))
            .collect();
        paths::remove(&mut object, places);
        object
    }

    /// True when applying would change a field that is not ignored.
    #[must_use]
    pub fn differs(&self, live: &Value, dry_run: &Value) -> bool {
        self.compared(live) != self.compared(dry_run)
    }

    /// What to send, and to try before, instead of the declared object while there is a live one.
    #[must_use]
    pub fn payload(&self, desired: &Value, live: &Value) -> Value {
        let mut payload = desired.clone();
        let mut strip = Vec::new();
        for pattern in &self.patterns {
            for place in pattern.places(desired) {
                match paths::counterpart(desired, &place, live) {
                    Some(at)
                        if !managed::entries(live)
                            .any(|entry| entry.is_other_apply() && entry.owns(live, &at)) =>
                    {
                        if let Some(value) = paths::get(live, &at) {
                            paths::replace(&mut payload, &place, value.clone());
                        }
                    }
                    _ => strip.push(place),
                }
            }
        }
        paths::remove(&mut payload, strip);
        self.keep_ours(desired, live, &mut payload);
        payload
    }

    /// A field that is ours and not declared any more would be removed; ignored, it stays as it is. So a Deployment does
    /// not shrink to one replica when its count is handed over to an autoscaler.
    fn keep_ours(&self, desired: &Value, live: &Value, payload: &mut Value) {
        for pattern in &self.patterns {
            for place in pattern.places(live) {
                let declared = paths::counterpart(live, &place, desired).is_some();
                let ours = || {
                    managed::entries(live).any(|entry| entry.is_ours() && entry.owns(live, &place))
                };
                let others = || {
                    managed::entries(live)
                        .any(|entry| entry.is_other_apply() && entry.owns(live, &place))
                };
                if !declared && ours() && !others() {
                    paths::insert(live, &place, payload);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_documentation_can_be_read() {
        let page = include_str!("../../../docs/annotations.md");
        let rules: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("    - {"))
            .collect();
        assert_eq!(rules.len(), 4);
        let text: String = rules.iter().map(|rule| format!("- {{{rule}\n")).collect();
        assert!(Ignores::read(&text).is_ok(), "{text}");
        assert!(matches!(
            Ignores::read("a: b"),
            Err(IgnoreError::Text { .. })
        ));
    }
}
