//! Whether a set that broke no rule breaks none after some of its apps changed, told from what is near them.
//!
//! The rules over the whole set relate objects of one namespace, those that refer into it, and objects of the
//! whole cluster. So an edit of one app asks for the rules of the namespaces which it touches only. This module
//! knows when that is the whole answer; where it is not, the caller applies the rules to everything.

use std::collections::HashSet;

use ordain_lang_rules as rules;
use ordain_lang_syntax::Span;
use ordain_schemas::KubeVersion;

use crate::check::Environment;
use crate::shared::Sharing;
use crate::whole::{Judged, UnitFacts};

/// One environment, after some units changed.
pub(crate) struct Near<'a> {
    pub(crate) kubernetes: KubeVersion,
    pub(crate) env: Option<&'a Environment>,
    /// All units, as they are.
    pub(crate) now: &'a [&'a UnitFacts],
    /// What becomes of objects that several of them declare.
    pub(crate) sharing: &'a Sharing,
    /// Those that changed, as they were: their positions among all, in order.
    pub(crate) before: &'a [(usize, UnitFacts)],
}

impl Near<'_> {
    /// Whether it is plain that the environment, which broke no rule and needed every exemption, still does. False says
    /// nothing: the rules have to be applied to everything.
    pub(crate) fn stays_quiet(&self) -> bool {
        let changed = || self.before.iter().map(|(at, old)| (self.now[*at], old));
        // Whatever there is once for the whole cluster may be used from any namespace.
        if !changed().all(|(new, old)| new.is_like_in_cluster(old)) {
            return false;
        }
        // Which copy of an object stays, and whether the others equal it, is a question to all that declare it.
        if !changed().all(|(new, old)| new.has_like_copies(old)) {
            return false;
        }
        let both = changed().flat_map(|(new, old)| [new, old]);
        let touched: HashSet<&str> = both.flat_map(UnitFacts::namespaces).collect();
        let now = self.judge(&touched, self.sharing, |at| self.now[at]);
        if !now.breaks_nothing() {
            return false;
        }
        if now.unused().next().is_none() {
            return true;
        }
        // What is for all may be needed in other namespaces; then it was not needed in these before either.
        let before = |at: usize| {
            let found = self.before.binary_search_by_key(&at, |(own, _)| *own);
            found.map_or(self.now[at], |found| &self.before[found].1)
        };
        let env = self.env.map(|env| &*env.name);
        let units = (0..self.now.len()).map(|at| (at, before(at)));
        let old = self.judge(&touched, &Sharing::of(env, units), before);
        let needed: HashSet<Span> = old.used().collect();
        let mut unused = now.unused();
        unused.all(|one| one.scope == rules::Scope::All && !needed.contains(&one.span))
    }

    /// The rules of what lives in these namespaces or refers into them.
    fn judge<'u>(
        &'u self,
        touched: &HashSet<&str>,
        sharing: &Sharing,
        unit: impl Fn(usize) -> &'u UnitFacts,
    ) -> Judged {
        let is_touched =
            |facts: &rules::Facts| facts.namespaces().any(|name| touched.contains(name));
        let wanted = |unit: &&UnitFacts| unit.objects().iter().any(is_touched);
        let all = || (0..self.now.len()).map(|at| (at, unit(at)));
        let within: HashSet<&str> = all()
            .map(|(_, unit)| unit)
            .filter(wanted)
            .flat_map(UnitFacts::namespaces)
            .collect();
        let is_seen = |(_, unit): &(usize, &UnitFacts)| {
            let mut objects = unit.objects().iter();
            objects.any(|facts| {
                facts.is_of_cluster() || facts.namespaces().any(|name| within.contains(name))
            })
        };
        Judged::near(
            self.kubernetes,
            self.env,
            all()
                .filter(is_seen)
                .map(|(at, unit)| (at, unit, wanted(&unit))),
            sharing,
            is_touched,
        )
    }
}
