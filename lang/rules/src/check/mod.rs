//! The rules, over the facts of all objects of an environment.

mod index;
mod refs;
mod selectors;

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_schemas::{KubeVersion, is_message, table};

use crate::exempt::{Exemption, Exemptions};
use crate::facts::{Facts, Place};
use crate::lifecycle::{self, Lifecycle};
use index::Index;

/// Findings of one environment that are shown; what goes beyond is counted, not shown.
const MAX_FINDINGS: usize = 200;

/// What is evaluated by itself: an app, or the exports of a file.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// Where its name is.
    pub app: Span,
    /// The facts of its objects.
    pub objects: &'a [Facts],
    /// The positions of those that are left out of the set, in order: others of the set are the same.
    pub left_out: &'a [usize],
}

/// All objects of an environment.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    /// The environment, for diagnostics.
    pub env: Option<&'a str>,
    /// The Kubernetes version it is for.
    pub kubernetes: KubeVersion,
    /// Its apps and exports.
    pub units: &'a [Unit<'a>],
    /// What not to complain of.
    pub exemptions: &'a [Arc<Exemption>],
}

/// What the rules found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Every rule that is broken.
    pub diagnostics: Vec<Diagnostic>,
    /// For every exemption, whether something needed it.
    pub used: Vec<bool>,
}

/// An object with the app it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) app: Span,
    pub(crate) facts: &'a Facts,
}

/// Applies every rule to a set of objects.
#[must_use]
pub fn check(set: &Set<'_>) -> Checked {
    check_some(set, |_| true)
}

/// Applies every rule to the objects of a set that are wanted. The others are there to be found by them.
#[must_use]
pub fn check_some(set: &Set<'_>, is_wanted: impl Fn(&Facts) -> bool) -> Checked {
    let members: Vec<Member<'_>> = set
        .units
        .iter()
        .flat_map(|unit| {
            let app = unit.app;
            let objects = unit.objects.iter().enumerate();
            objects
                .filter(|(at, _)| unit.left_out.binary_search(at).is_err())
                .map(move |(_, facts)| Member { app, facts })
        })
        .collect();
    let mut rules = Rules {
        index: Index::new(&members),
        exemptions: Exemptions::new(set.exemptions),
        env: set.env,
        diagnostics: Vec::new(),
        alike: HashMap::new(),
        kinds: HashMap::new(),
        more: 0,
    };
    let wanted = members.iter().enumerate();
    for (at, member) in wanted.filter(|(_, member)| is_wanted(member.facts)) {
        rules.lifecycle(set.kubernetes, *member);
        for one in &member.facts.refs {
            rules.reference(&members, *member, one);
        }
        if let Some(selects) = &member.facts.selects {
            rules.selection(&members, at, selects);
        }
        rules.target_ports(&members, *member);
    }
    for (at, count) in rules.alike.values() {
        if let (Some(first), true) = (rules.diagnostics.get_mut(*at), *count > 1) {
            let text = format!("so it is with {} more objects", count - 1);
            first.notes.push(text);
        }
    }
    if rules.more > 0
        && let Some(last) = rules.diagnostics.last_mut()
    {
        last.notes
            .push(format!("and {} more findings like these", rules.more));
    }
    Checked {
        diagnostics: rules.diagnostics,
        used: rules.exemptions.used,
    }
}

/// The work of one check.
pub(crate) struct Rules<'a> {
    pub(crate) index: Index<'a>,
    pub(crate) exemptions: Exemptions<'a>,
    env: Option<&'a str>,
    diagnostics: Vec<Diagnostic>,
    /// Findings by code, place and message: the first of them, and how many there are.
    alike: HashMap<(&'static str, Span, String), (usize, usize)>,
    kinds: HashMap<(Name, Name), Lifecycle>,
    more: usize,
}

impl Rules<'_> {
    /// Whether nothing more will be shown, so that looking for help is not worth the work.
    pub(crate) fn is_full(&mut self, code: &str, member: Member<'_>) -> bool {
        if self.diagnostics.len() < MAX_FINDINGS {
            return false;
        }
        if !self.exemptions.allows(code, member.app, member.facts) {
            self.more += 1;
        }
        true
    }

    /// Reports a broken rule of an object, unless it is allowed to.
    pub(crate) fn report(&mut self, member: Member<'_>, mut diagnostic: Diagnostic) {
        if self
            .exemptions
            .allows(diagnostic.code, member.app, member.facts)
        {
            return;
        }
        let place = diagnostic.span().filter(|span| *span != member.facts.at);
        if let Some(place) = place {
            // A mistake in a function is one mistake, however many objects the function makes.
            let key = (diagnostic.code, place, diagnostic.message.clone());
            let next = (self.diagnostics.len(), 0);
            let (_, count) = self.alike.entry(key).or_insert(next);
            *count += 1;
            if *count > 1 {
                return;
            }
        }
        if self.diagnostics.len() >= MAX_FINDINGS {
            self.more += 1;
            return;
        }
        diagnostic.object = Some(member.facts.identity.title());
        diagnostic.env = self.env.map(str::to_owned);
        self.diagnostics.push(diagnostic);
    }

    /// Looks whether the version has the kind, and will have it.
    fn lifecycle(&mut self, version: KubeVersion, member: Member<'_>) {
        let identity = &member.facts.identity;
        let (api_version, kind) = (identity.api_version, identity.kind);
        // There are few kinds, and thousands of objects.
        let found = self
            .kinds
            .entry((api_version, kind))
            .or_insert_with(|| lifecycle::of(version, &api_version, &kind));
        let (diagnostic, help) = match found {
            Lifecycle::Stays => return,
            // A message is never sent there by a deploy.
            Lifecycle::Gone(_) if is_message(table(version), &api_version, &kind) => return,
            Lifecycle::Deprecated(why) => {
                let message = format!("`{api_version}` `{kind}` is deprecated");
                (Diagnostic::warning("W0601", message), Some(why.clone()))
            }
            Lifecycle::Gone(instead) => {
                let message = format!("Kubernetes {version} has no `{kind}` in `{api_version}`");
                let help = instead.as_ref().map(|instead| format!("write {instead:?}"));
                (Diagnostic::error("E0613", message), help)
            }
        };
        let mut diagnostic = diagnostic.label(member.facts.at, "this object");
        diagnostic.help = help;
        self.report(member, diagnostic);
    }
}

/// Labels a place of an object: the line that decides, the line that takes it over, and the object.
pub(crate) fn placed(
    mut diagnostic: Diagnostic,
    place: Option<Place>,
    text: &str,
    facts: &Facts,
) -> Diagnostic {
    if let Some(place) = place {
        diagnostic = diagnostic.label(place.span, text);
        if let Some(through) = place.through {
            diagnostic = diagnostic.label(through, "and used here");
        }
    }
    let is_inside = diagnostic.labels.iter().any(|label| {
        label.span.file == facts.at.file
            && facts.at.start <= label.span.start
            && label.span.end <= facts.at.end
    });
    match is_inside {
        true => diagnostic,
        false => diagnostic.label(facts.at, "in this object"),
    }
}

/// How a program names a kind.
pub(crate) fn written(group: &str, kind: &str) -> String {
    let is_built_in = !group.contains('.') || group.ends_with(".k8s.io");
    match is_built_in {
        true => format!("k8s.{kind}"),
        false => kind.to_owned(),
    }
}
