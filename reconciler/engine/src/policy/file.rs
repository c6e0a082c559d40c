//! The policy file: TOML, read strictly, so that a misspelled word is an error and not a hole.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use ordain_reconciler_plan::health::{HealthRules, RuleError};
use serde::Deserialize;

use super::{Lists, Policy, Rule};

/// What is wrong with a policy file.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It does not have the form of a policy. The cause names line and column.
    #[error("the policy has a mistake")]
    Form {
        /// What and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A rule says something that cannot be.
    #[error("rule `{rule}` of the policy: {reason}")]
    Rule {
        /// Its name.
        rule: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of health rules has a mistake.
    #[error("the health rules in `{path}` have a mistake")]
    Health {
        /// The file.
        path: PathBuf,
        /// What and where.
        #[source]
        source: Box<RuleError>,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Files of health rules, beside the policy file.
    #[serde(default)]
    health: Vec<PathBuf>,
    #[serde(default, rename = "rule")]
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenRule {
    name: String,
    #[serde(default = "everything")]
    apps: Vec<String>,
    #[serde(default = "everything")]
    environments: Vec<String>,
    service_account: Option<String>,
    cluster_wide: Option<bool>,
    #[serde(default)]
    allow: WrittenLists,
    #[serde(default)]
    deny: WrittenLists,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenLists {
    repositories: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    clusters: Option<Vec<String>>,
    namespaces: Option<Vec<String>>,
    kinds: Option<Vec<String>>,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Policy {
    /// Reads a policy file and the files it names.
    ///
    /// # Errors
    /// When a file cannot be read or has a mistake.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|source| PolicyError::Read {
                path: path.to_owned(),
                source,
            })
        };
        let beside = path.parent().unwrap_or(Path::new(""));
        Self::parse(&read(path)?, |file| {
            let path = beside.join(file);
            let text = read(&path)?;
            HealthRules::parse(&text).map_err(|source| PolicyError::Health {
                path,
                source: Box::new(source),
            })
        })
    }

    /// Reads a policy; `health` reads a file of health rules that it names.
    ///
    /// # Errors
    /// When it has a mistake.
    pub fn parse(
        text: &str,
        health: impl Fn(&Path) -> Result<HealthRules, PolicyError>,
    ) -> Result<Self, PolicyError> {
        let written: Written = toml::from_str(text).map_err(|source| PolicyError::Form {
            source: Box::new(source),
        })?;
        let mut names = BTreeSet::new();
        let mut policy = Self::default();
        for rule in written.rules {
            if !names.insert(rule.name.clone()) {
                let reason = "there are two rules of this name".to_owned();
                let rule = rule.name;
                return Err(PolicyError::Rule { rule, reason });
            }
            policy.rules.push(rule.check()?);
        }
        for file in &written.health {
            policy.health = policy.health.and(health(file)?);
        }
        Ok(policy)
    }
}

impl WrittenRule {
    fn check(self) -> Result<Rule, PolicyError> {
        let wrong = |reason: String| PolicyError::Rule {
            rule: self.name.clone(),
            reason,
        };
        for (key, patterns) in [("apps", &self.apps), ("environments", &self.environments)] {
            if patterns.is_empty() || patterns.iter().any(String::is_empty) {
                return Err(wrong(format!("`{key}` names nothing")));
            }
        }
        let service_account = match &self.service_account {
            None => None,
            Some(text) => {
                let parts = text.split_once('/');
                let fits = |part: &str| {
                    !part.is_empty()
                        && part.bytes().all(|byte| {
                            byte.is_ascii_lowercase()
                                || byte.is_ascii_digit()
                                || b"-.".contains(&byte)
                        })
                };
                let Some((namespace, name)) = parts.filter(|(a, b)| fits(a) && fits(b)) else {
                    return Err(wrong(format!(
                        "`service-account` is `NAMESPACE/NAME`, not `{text}`"
                    )));
                };
                Some((namespace.to_owned(), name.to_owned()))
            }
        };
        let (allow, deny) = (
            self.allow.check("allow").map_err(&wrong)?,
            self.deny.check("deny").map_err(&wrong)?,
        );
        Ok(Rule {
            service_account,
            cluster_wide: self.cluster_wide,
            allow,
            deny,
            name: self.name,
            apps: self.apps,
            environments: self.environments,
        })
    }
}

impl WrittenLists {
    /// An empty list could mean nothing or everything, so it is neither.
    fn check(&self, list: &str) -> Result<Lists, String> {
        let check = |key: &str, patterns: &Option<Vec<String>>| match patterns {
            None => Ok(Vec::new()),
            Some(patterns) if patterns.is_empty() || patterns.iter().any(String::is_empty) => {
                Err(format!("`{list}.{key}` names nothing; leave it out"))
            }
            Some(patterns) => Ok(patterns.clone()),
        };
        Ok(Lists {
            repositories: check("repositories", &self.repositories)?,
            paths: check("paths", &self.paths)?,
            clusters: check("clusters", &self.clusters)?,
            namespaces: check("namespaces", &self.namespaces)?,
            kinds: check("kinds", &self.kinds)?,
        })
    }
}
