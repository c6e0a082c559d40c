//! Objects that several declare on purpose: which of the copies stays, and whether the others equal it.
//!
//! Each copy that `allow E0511` is for gives way: to the first copy that nothing exempts, and else to the first of the
//! set. It is left out of what is built, provided that it is equal. Pure: it looks at facts, and changes nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_rules::{self as rules, Tree};
use ordain_lang_syntax::ast::{AllowedRule, Exemption, ExemptionKind, ItemKind, MemberKind};
use ordain_lang_syntax::{Diagnostic, Span};
use serde_json::Value;

use crate::load::Project;
use crate::whole::{Look, UnitFacts};

/// Two objects have one identity.
pub(crate) const SAME_IDENTITY: &str = "E0511";

/// The names, `*` for any text, of the objects that exemptions of a project say others declare as well, whatever their
/// kinds, apps and environments. Only of objects with such names it is kept what they say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct SharedNames(Arc<BTreeSet<Box<str>>>);

impl SharedNames {
    /// Reads them off the sources: a part of a project that is checked by itself does not know those of the rest.
    pub(crate) fn of(project: &Project) -> SharedNames {
        let mut names = BTreeSet::new();
        let mut take = |exemption: &Exemption| {
            if let ExemptionKind::Allow { rule, object, .. } = &exemption.kind
                && matches!(rule, AllowedRule::Code(code) if *code == SAME_IDENTITY)
            {
                names.insert(object.as_ref().map_or("*".into(), |(_, name)| name.clone()));
            }
        };
        for item in (project.modules.iter()).flat_map(|module| &module.parsed.file.items) {
            let body = match &item.kind {
                ItemKind::Exempt(exemption) => {
                    take(exemption);
                    continue;
                }
                ItemKind::App(app) => &app.body,
                ItemKind::Env(env) => &env.body,
                _ => continue,
            };
            for member in &body.members {
                if let MemberKind::Exempt(exemption) = &member.kind {
                    take(exemption);
                }
            }
        }
        SharedNames(Arc::new(names))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        !name.is_empty() && self.0.iter().any(|pattern| rules::fits(pattern, name))
    }
}

/// An object that others may declare as well, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// Its position among the objects of its app.
    pub(crate) at: usize,
    leaves: Arc<[Leaf]>,
}

/// A field that has no fields of its own.
#[derive(Debug)]
struct Leaf {
    path: Box<str>,
    /// As JSON; a secret is the reference that stands for it.
    value: Box<str>,
    /// What set it.
    span: Span,
}

impl Copy {
    /// Reads what the objects of an app say that others may declare as well.
    pub(crate) fn of_app(app: &mut eval::App<'_, '_>, names: &SharedNames) -> Vec<Copy> {
        let mut copies = Vec::new();
        for at in 0..app.objects.len() {
            if !names.has(&app.objects[at].name) {
                continue;
            }
            let object = app.objects[at].clone();
            let json = app.json(&object);
            let mut leaves = Vec::new();
            let root = app.root(at);
            gather(&Look(app), &json, root, object.at, "", &mut leaves);
            leaves.sort_by(|one, two| one.path.cmp(&two.path));
            copies.push(Copy {
                at,
                leaves: leaves.into(),
            });
        }
        copies
    }

    /// Whether another copy says the same. Places do not count.
    pub(crate) fn is_like(&self, other: &Copy) -> bool {
        let mut pairs = self.leaves.iter().zip(&*other.leaves);
        self.leaves.len() == other.leaves.len()
            && pairs.all(|(one, two)| (&one.path, &one.value) == (&two.path, &two.value))
    }

    /// Gives the places that it remembers.
    pub(crate) fn places(&self) -> impl Iterator<Item = Span> {
        self.leaves.iter().map(|leaf| leaf.span)
    }
}

/// Takes the leaves of a value. `around` is the place of the nearest value around it whose place is known.
fn gather(
    look: &Look<'_, '_, '_>,
    value: &Value,
    node: Option<eval::Node>,
    around: Span,
    path: &str,
    leaves: &mut Vec<Leaf>,
) {
    let place = node.and_then(|node| look.place(node));
    let around = place.map_or(around, |place| place.span);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let is_plain = !key.is_empty() && !key.contains(['.', '/', '"', '[', ']']);
                let path = match (is_plain, path) {
                    (true, "") => key.clone(),
                    (true, path) => format!("{path}.{key}"),
                    (false, path) => format!("{path}[{key:?}]"),
                };
                let node = node.and_then(|node| look.get(node, key));
                gather(look, value, node, around, &path, leaves);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let nodes: Vec<eval::Node> =
                node.map_or_else(Vec::new, |node| look.items(node).collect());
            for (at, value) in items.iter().enumerate() {
                let path = format!("{path}[{at}]");
                gather(look, value, nodes.get(at).copied(), around, &path, leaves);
            }
        }
        value => leaves.push(Leaf {
            path: path.into(),
            value: value.to_string().into(),
            span: around,
        }),
    }
}

/// What becomes of the copies in one environment.
#[derive(Default, Debug)]
pub(crate) struct Sharing {
    /// By unit: positions of the objects that are left out, in order, and of those that should be and differ.
    left_out: HashMap<usize, Vec<usize>>,
    differing: HashSet<(usize, usize)>,
    /// Where the exemptions are written that something needed.
    pub(crate) used: HashSet<Span>,
    /// The copies that differ from the one that stays.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A copy among all of one identity.
struct Candidate<'u> {
    unit: usize,
    copy: &'u Copy,
    facts: &'u rules::Facts,
    /// Where the exemptions are written that are for it.
    allowed: Vec<Span>,
}

impl Sharing {
    /// Looks at the units of an environment, in the order of the set.
    pub(crate) fn of<'u>(
        env: Option<&str>,
        units: impl Iterator<Item = (usize, &'u UnitFacts)>,
    ) -> Sharing {
        let mut sharing = Sharing::default();
        let mut order: Vec<Vec<Candidate<'u>>> = Vec::new();
        let mut known: HashMap<_, usize> = HashMap::new();
        for (unit, facts) in units {
            for copy in facts.copies() {
                let Some(own) = facts.objects().get(copy.at) else {
                    continue;
                };
                let identity = &own.identity;
                let (group, kind) = (identity.group(), identity.kind);
                let key = (group, kind, identity.namespace.as_deref(), &*identity.name);
                let at = *known.entry(key).or_insert_with(|| {
                    order.push(Vec::new());
                    order.len() - 1
                });
                order[at].push(Candidate {
                    unit,
                    copy,
                    facts: own,
                    allowed: facts.allowing(SAME_IDENTITY, own),
                });
            }
        }
        for candidates in order.iter().filter(|candidates| candidates.len() > 1) {
            let stays = candidates.iter().position(|one| one.allowed.is_empty());
            let stays = stays.unwrap_or(0);
            for (at, one) in candidates.iter().enumerate() {
                sharing.used.extend(&one.allowed);
                if at == stays || one.allowed.is_empty() {
                    continue;
                }
                match difference(&candidates[stays], one, env) {
                    None => sharing
                        .left_out
                        .entry(one.unit)
                        .or_default()
                        .push(one.copy.at),
                    Some(diagnostic) => {
                        sharing.differing.insert((one.unit, one.copy.at));
                        sharing.diagnostics.push(diagnostic);
                    }
                }
            }
        }
        for left_out in sharing.left_out.values_mut() {
            left_out.sort_unstable();
        }
        sharing
    }

    /// The positions of the objects of a unit that are left out, in order.
    pub(crate) fn left_out(&self, unit: usize) -> &[usize] {
        self.left_out.get(&unit).map_or(&[], Vec::as_slice)
    }

    /// The objects, by unit and position, that are left out or would be if they were equal.
    pub(crate) fn aside(&self) -> Vec<(usize, usize)> {
        let left_out = self.left_out.iter();
        let left_out = left_out.flat_map(|(unit, all)| all.iter().map(move |at| (*unit, *at)));
        left_out.chain(self.differing.iter().copied()).collect()
    }

    /// Reports what else has one identity. Each object comes with its unit, and with its position there.
    pub(crate) fn duplicates<'o>(
        &self,
        objects: impl Iterator<Item = (usize, usize, &'o eval::Object)>,
        env: Option<&str>,
    ) -> Vec<Diagnostic> {
        let mut found = self.diagnostics.clone();
        let counts = objects.filter(|(unit, at, _)| {
            self.left_out(*unit).binary_search(at).is_err()
                && !self.differing.contains(&(*unit, *at))
        });
        let env = env.map(ordain_lang_syntax::Name::new);
        eval::duplicates(counts.map(|(_, _, object)| object), env, &mut found);
        found
    }
}

/// What a copy says otherwise than the one that stays.
fn difference(
    stays: &Candidate<'_>,
    copy: &Candidate<'_>,
    env: Option<&str>,
) -> Option<Diagnostic> {
    let (ours, theirs) = (&stays.copy.leaves, &copy.copy.leaves);
    let mut all: Vec<(&str, Option<&Leaf>, Option<&Leaf>)> = Vec::new();
    let (mut one, mut two) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let order = match (one.peek(), two.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(one), Some(two)) => one.path.cmp(&two.path),
        };
        let own = one.next_if(|_| order.is_le());
        let other = two.next_if(|_| order.is_ge());
        let is_same = matches!((own, other), (Some(own), Some(other)) if own.value == other.value);
        if let (Some(leaf), false) = (own.or(other), is_same) {
            all.push((&leaf.path, own, other));
        }
    }
    let (path, own, other) = *all.first()?;
    let title = copy.facts.identity.title();
    let message = format!("two objects are {title}, and they differ in `{path}`");
    let place = |leaf: Option<&Leaf>, of: &Candidate<'_>| match leaf {
        Some(leaf) => (leaf.span, ""),
        None => (of.facts.at, "; it has no such field"),
    };
    let (there, how_there) = place(own, stays);
    let (here, how_here) = place(other, copy);
    let mut diagnostic = Diagnostic::error(SAME_IDENTITY, message)
        .label(here, format!("this one gives way{how_here}"))
        .object(title);
    if there != here {
        diagnostic = diagnostic.label(there, format!("this one stays{how_there}"));
    }
    for (at, of) in [(copy.facts.at, copy), (stays.facts.at, stays)] {
        let is_told = |label: &ordain_lang_syntax::Label| {
            label.span.file == at.file && at.start <= label.span.start && label.span.end <= at.end
        };
        if !diagnostic.labels.iter().any(is_told) {
            let which = match std::ptr::eq(of, copy) {
                true => "in this object",
                false => "and in this one",
            };
            diagnostic = diagnostic.label(at, which);
        }
    }
    if let Some(allowed) = copy.allowed.first() {
        diagnostic = diagnostic.label(*allowed, "allowed while the two are equal");
    }
    if all.len() > 1 {
        let more: Vec<String> = all[1..]
            .iter()
            .take(MORE_FIELDS)
            .map(|(path, ..)| format!("`{path}`"))
            .collect();
        let rest = (all.len() - 1).saturating_sub(MORE_FIELDS);
        let rest = match rest {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        diagnostic = diagnostic.note(format!("they also differ in {}{rest}", more.join(", ")));
    }
    diagnostic.env = env.map(str::to_owned);
    Some(
        diagnostic
            .help("make the two equal, best with one function for both, or leave one of them out"),
    )
}

/// Fields beside the first that a message names.
const MORE_FIELDS: usize = 5;

/// What was made of an app, from which objects can be taken away again.
pub(crate) trait Outcome {
    /// Takes away what came of the objects at these positions, which are in order.
    fn leave_out(&mut self, objects: &[usize]);
}
