//! Exemptions: what the rules are not to complain of.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::{FileId, Span};

use crate::facts::Facts;

/// Stands for any API group.
const ANY_GROUP: &str = "*";

/// An exemption.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// What it says.
    pub what: Exempt,
    /// For which objects.
    pub scope: Scope,
    /// Where it is written.
    pub span: Span,
}

impl Exemption {
    /// Returns whether an object in its scope need not keep a rule.
    #[must_use]
    pub fn allows(&self, code: &str, facts: &Facts) -> bool {
        self.what.allows(code, facts)
    }
}

impl Exempt {
    fn allows(&self, code: &str, facts: &Facts) -> bool {
        let Exempt::Allow { code: own, object } = self else {
            return false;
        };
        own == code
            && object.as_ref().is_none_or(|(group, kind, name)| {
                (group == ANY_GROUP || *group == facts.identity.group())
                    && facts.identity.kind == **kind
                    && fits(name, &facts.identity.name)
            })
    }
}

/// What an exemption says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exempt {
    /// The object is there, though nothing here makes it.
    External {
        /// Its API group; empty for the core group.
        group: String,
        /// Its kind.
        kind: String,
        /// Its name; `*` stands for any text.
        name: String,
        /// Its namespace; any, when there is none.
        namespace: Option<String>,
    },
    /// A rule need not be kept.
    Allow {
        /// The code of the rule.
        code: String,
        /// Group (`*` stands for any), kind and name of the objects that need not keep it; all, when there is none.
        object: Option<(String, String, String)>,
    },
}

/// The objects that an exemption is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of the set.
    All,
    /// Those of the apps and exports of a file.
    File(FileId),
    /// Those of the app whose name stands here.
    App(Span),
}

impl Scope {
    /// Returns whether the objects of the app whose name stands here are meant.
    #[must_use]
    pub fn holds(self, app: Span) -> bool {
        match self {
            Scope::All => true,
            Scope::File(file) => file == app.file,
            Scope::App(own) => own == app,
        }
    }
}

/// The exemptions of a set, and which of them were needed.
pub(crate) struct Exemptions<'a> {
    all: &'a [Arc<Exemption>],
    /// Positions by scope: thousands of apps may have some each.
    of_all: Vec<usize>,
    by_file: HashMap<FileId, Vec<usize>>,
    by_app: HashMap<Span, Vec<usize>>,
    pub(crate) used: Vec<bool>,
}

impl<'a> Exemptions<'a> {
    pub(crate) fn new(all: &'a [Arc<Exemption>]) -> Self {
        let mut exemptions = Exemptions {
            all,
            of_all: Vec::new(),
            by_file: HashMap::new(),
            by_app: HashMap::new(),
            used: vec![false; all.len()],
        };
        for (at, exemption) in all.iter().enumerate() {
            match exemption.scope {
                Scope::All => &mut exemptions.of_all,
                Scope::File(file) => exemptions.by_file.entry(file).or_default(),
                Scope::App(app) => exemptions.by_app.entry(app).or_default(),
            }
            .push(at);
        }
        exemptions
    }

    /// Whether an object need not keep a rule.
    pub(crate) fn allows(&mut self, code: &str, app: Span, facts: &Facts) -> bool {
        self.any(app, |exempt| exempt.allows(code, facts))
    }

    /// Whether an object that nothing makes is declared.
    pub(crate) fn declares(
        &mut self,
        app: Span,
        (group, kind): (&str, &str),
        namespace: Option<&str>,
        name: &str,
    ) -> bool {
        self.any(app, |exempt| match exempt {
            Exempt::External {
                group: own_group,
                kind: own_kind,
                name: own_name,
                namespace: own_namespace,
            } => {
                own_group == group
                    && own_kind == kind
                    && fits(own_name, name)
                    && (own_namespace.is_none() || own_namespace.as_deref() == namespace)
            }
            Exempt::Allow { .. } => false,
        })
    }

    fn any(&mut self, app: Span, fits: impl Fn(&Exempt) -> bool) -> bool {
        let of_file = self.by_file.get(&app.file).into_iter().flatten();
        let of_app = self.by_app.get(&app).into_iter().flatten();
        let mut found = false;
        for &at in self.of_all.iter().chain(of_file).chain(of_app) {
            if fits(&self.all[at].what) {
                self.used[at] = true;
                found = true;
            }
        }
        found
    }
}

/// Returns whether a name fits a pattern in which `*` stands for any text.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(fits("web", "web") && !fits("web", "web2") && !fits("web", "we"));
        assert!(fits("*", "") && fits("*", "web") && fits("web-*", "web-") && fits("*b", "web"));
        assert!(fits("a*b*c", "a-b-b-c") && !fits("a*b*c", "a-c") && !fits("ab*b", "ab"));
    }
}
