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
use crate::whole::{Judged, UnitFacts};

/// One environment, after some units changed.
pub(crate) struct Near<'a> {
    pub(crate) kubernetes: KubeVersion,
    pub(crate) env: Option<&'a Environment>,
    /// All units, as they are.
    pub(crate) now: &'a [&'a UnitFacts],
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
        let both = changed().flat_map(|(new, old)| [new, old]);
        let touched: HashSet<&str> = both.flat_map(UnitFacts::namespaces).collect();
        let now = self.judge(&touched, |at| self.now[at]);
        if !now.breaks_nothing() {
            return false;
        }
        if now.unused().next().is_none() {
            return true;
        }
        // What is for all may be needed in other namespaces; then it was not needed in these before either.
        let old = self.judge(&touched, |at| {
            let found = self.before.binary_search_by_key(&at, |(own, _)| *own);
            found.map_or(self.now[at], |found| &self.before[found].1)
        });
        let needed: HashSet<Span> = old.used().collect();
        let mut unused = now.unused();
        unused.all(|one| one.scope == rules::Scope::All && !needed.contains(&one.span))
    }

    /// The rules of what lives in these namespaces or refers into them.
    fn judge<'u>(
        &'u self,
        touched: &HashSet<&str>,
        unit: impl Fn(usize) -> &'u UnitFacts,
    ) -> Judged {
        let is_touched =
            |facts: &rules::Facts| facts.namespaces().any(|name| touched.contains(name));
        let wanted = |unit: &&UnitFacts| unit.objects().iter().any(is_touched);
        let all = || (0..self.now.len()).map(&unit);
        let within: HashSet<&str> = all()
            .filter(wanted)
            .flat_map(UnitFacts::namespaces)
            .collect();
        let is_seen = |unit: &&UnitFacts| {
            let mut objects = unit.objects().iter();
            objects.any(|facts| {
                facts.is_of_cluster() || facts.namespaces().any(|name| within.contains(name))
            })
        };
        Judged::near(
            self.kubernetes,
            self.env,
            all().filter(is_seen).map(|unit| (unit, wanted(&unit))),
            is_touched,
        )
    }
}
