//! The rules over all objects of an environment: gathers facts while apps are evaluated, applies the
//! rules when all are there, and remembers which exemptions anything needed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_rules as rules;
use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_lang_types::Program;
use ordain_schemas::KubeVersion;

use crate::check::Environment;
use crate::in_force::InForce;
use crate::shared::{Copy, SAME_IDENTITY, SharedNames, Sharing};

/// What the rules know of an app in an environment. Small, and alive after the app's values are gone.
#[derive(Clone, Debug)]
pub(crate) struct UnitFacts {
    /// Where the app's name is.
    app: Span,
    objects: Vec<rules::Facts>,
    /// The exemptions that are in force for it.
    exemptions: Vec<Arc<rules::Exemption>>,
    /// Those among them that its own evaluation needed, by position.
    met: Vec<usize>,
    /// What its objects say that others may declare as well.
    copies: Vec<Copy>,
    /// Those of policies among all: where they are written, and for what.
    of_policies: Vec<(Span, rules::Scope)>,
}

impl UnitFacts {
    /// Whether another one is the same to every rule. Places do not count.
    pub(crate) fn is_like(&self, other: &UnitFacts) -> bool {
        let scope = |one: &rules::Exemption| std::mem::discriminant(&one.scope);
        self.objects.len() == other.objects.len()
            && self.exemptions.len() == other.exemptions.len()
            && (self.objects.iter().zip(&other.objects)).all(|(one, two)| one.is_like(two))
            && (self.exemptions.iter().zip(&other.exemptions))
                .all(|(one, two)| one.what == two.what && scope(one) == scope(two))
            && self.met == other.met
            && self.has_like_copies(other)
            && self.of_policies.is_empty()
            && other.of_policies.is_empty()
    }

    /// What its objects say that others may declare as well.
    pub(crate) fn copies(&self) -> &[Copy] {
        &self.copies
    }

    /// Where the exemptions from a rule are written that are for one of its objects.
    pub(crate) fn allowing(&self, code: &str, facts: &rules::Facts) -> Vec<Span> {
        let fitting = self.exemptions.iter().filter(|one| one.allows(code, facts));
        fitting.map(|one| one.span).collect()
    }

    /// Whether another one declares the same objects that others may declare as well, and gives way with the same ones.
    pub(crate) fn has_like_copies(&self, other: &UnitFacts) -> bool {
        let which = |unit: &UnitFacts, copy: &Copy| {
            let facts = unit.objects.get(copy.at)?;
            let gives_way = unit.allowing(SAME_IDENTITY, facts).len();
            Some((facts.identity.clone(), gives_way))
        };
        let is_like =
            |(one, two): (&Copy, &Copy)| one.is_like(two) && which(self, one) == which(other, two);
        self.copies.len() == other.copies.len()
            && self.copies.iter().zip(&other.copies).all(is_like)
    }

    /// Where the exemptions are written that its own evaluation needed.
    fn met(&self) -> impl Iterator<Item = Span> {
        let met = self.met.iter();
        met.filter_map(|at| Some(self.exemptions.get(*at)?.span))
    }

    /// What the rules know of each object.
    pub(crate) fn objects(&self) -> &[rules::Facts] {
        &self.objects
    }

    /// The namespaces that the rules' opinion of it depends on.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().flat_map(rules::Facts::namespaces)
    }

    /// Whether another one has the same objects of the whole cluster, and no exemption of a policy.
    pub(crate) fn is_like_in_cluster(&self, other: &UnitFacts) -> bool {
        fn of_cluster(unit: &UnitFacts) -> Vec<&rules::Facts> {
            let objects = unit.objects.iter();
            objects.filter(|one| one.is_of_cluster()).collect()
        }
        let (own, theirs) = (of_cluster(self), of_cluster(other));
        self.of_policies.is_empty()
            && other.of_policies.is_empty()
            && own.len() == theirs.len()
            && own.iter().zip(&theirs).all(|(one, two)| one.is_like(two))
    }
}

/// Moves places of what was gathered, after an edit in front of them.
pub(crate) trait Mover {
    /// Moves a place.
    fn place(&mut self, span: &mut Span);

    /// Moves an exemption, which many apps share.
    fn exemption(&mut self, one: &mut Arc<rules::Exemption>);

    /// Looks at what is not moved.
    fn copy(&mut self, one: &Copy);
}

impl UnitFacts {
    /// Moves every place that it remembers.
    pub(crate) fn follow(&mut self, mover: &mut impl Mover) {
        mover.place(&mut self.app);
        for facts in &mut self.objects {
            facts.each_place(|span| mover.place(span));
        }
        self.copies.iter().for_each(|one| mover.copy(one));
        self.exemptions
            .iter_mut()
            .for_each(|one| mover.exemption(one));
        for (span, scope) in &mut self.of_policies {
            mover.place(span);
            if let rules::Scope::App(app) = scope {
                mover.place(app);
            }
        }
    }
}

/// An evaluated app, as the rules look at it.
pub(crate) struct Look<'a, 'm, 'p>(pub(crate) &'a eval::App<'m, 'p>);

impl rules::Tree for Look<'_, '_, '_> {
    type Node = eval::Node;

    fn get(&self, node: eval::Node, key: &str) -> Option<eval::Node> {
        self.0.get(node, key)
    }

    fn items(&self, node: eval::Node) -> impl Iterator<Item = eval::Node> {
        self.0.items(node)
    }

    fn entries(&self, node: eval::Node) -> impl Iterator<Item = (&str, eval::Node)> {
        self.0.entries(node)
    }

    fn text(&self, node: eval::Node) -> Option<&str> {
        self.0.text(node)
    }

    fn int(&self, node: eval::Node) -> Option<i64> {
        self.0.int(node)
    }

    fn is_true(&self, node: eval::Node) -> bool {
        self.0.is_true(node)
    }

    fn place(&self, node: eval::Node) -> Option<rules::Place> {
        let origin = self.0.origin(node)?;
        Some(rules::Place {
            span: origin.span,
            through: origin.through,
        })
    }
}

/// Gathers the facts of an app's objects.
pub(crate) fn facts(app: &mut eval::App<'_, '_>, in_force: &InForce) -> UnitFacts {
    let copies = Copy::of_app(app, &in_force.shared);
    let home = app.namespace.unwrap_or(crate::build::DEFAULT_NAMESPACE);
    let look = Look(app);
    let objects = app.objects.iter().enumerate().map(|(at, object)| {
        let identity = rules::Identity {
            api_version: Name::new(&object.api_version),
            kind: Name::new(&object.kind),
            namespace: object.namespace.as_deref().map(Box::from),
            name: object.name.as_str().into(),
        };
        let root = app.root(at).expect("every object of an app has its value");
        rules::gather(&look, root, identity, object.at, home)
    });
    let objects = objects.collect();
    let mut exemptions = Vec::new();
    let mut of_policies = Vec::new();
    let mut met = Vec::new();
    for one in in_force.of_app(app.span) {
        match &one.rule {
            Some(rule) => {
                if app.exempted().contains(&one.span) {
                    met.push(exemptions.len());
                }
                exemptions.push(Arc::clone(rule));
            }
            None => of_policies.push((one.span, one.scope)),
        }
    }
    UnitFacts {
        app: app.span,
        objects,
        exemptions,
        met,
        copies,
        of_policies,
    }
}

/// Applies the rules to the environments of a build, one after the other.
#[derive(Default)]
pub(crate) struct Whole {
    /// Clusters that several of the environments are for.
    shared: BTreeSet<String>,
    /// Exemptions of environments that were looked at.
    considered: Considered,
    /// Those that something needed.
    used: BTreeSet<Span>,
    /// For clusters with several environments: who makes which object.
    made: BTreeMap<(String, String), Made>,
}

/// An object of a cluster that several environments are for.
struct Made {
    env: String,
    at: Span,
    /// The exemptions for which it may be made by others as well.
    allowed: Vec<Span>,
}

/// Exemptions by where they are written: for what, and what they say; nothing of those from policies.
type Considered = BTreeMap<Span, (rules::Scope, Option<Arc<rules::Exemption>>)>;

/// Two environments make the same object.
const SAME_OBJECT: &str = "E0612";
/// Nothing needs an exemption.
const NEEDLESS: &str = "W0690";

impl Whole {
    /// Begins with the environments that will be built.
    pub(crate) fn new<'e>(wanted: impl Iterator<Item = Option<&'e Environment>>) -> Whole {
        let mut seen = BTreeSet::new();
        let clusters = wanted.flatten().filter_map(|env| env.cluster.clone());
        Whole {
            shared: clusters
                .filter(|cluster| !seen.insert(cluster.clone()))
                .collect(),
            ..Whole::default()
        }
    }

    /// Applies the rules to the objects of an environment. `exempted` are the exemptions that policies
    /// met.
    pub(crate) fn check<'u>(
        &mut self,
        kubernetes: KubeVersion,
        env: Option<&Environment>,
        units: impl Iterator<Item = &'u UnitFacts>,
        sharing: &Sharing,
        exempted: &[Span],
    ) -> Vec<Diagnostic> {
        self.take(Judged::of(kubernetes, env, units, sharing), exempted)
    }

    /// Takes note of what the rules said of an environment.
    pub(crate) fn take(&mut self, judged: Judged, exempted: &[Span]) -> Vec<Diagnostic> {
        self.used.extend(judged.used());
        self.considered.extend(judged.considered);
        self.used.extend(exempted);
        judged.diagnostics
    }

    /// Whether environments share a cluster: then each must be compared with the others.
    pub(crate) fn has_shared(&self) -> bool {
        !self.shared.is_empty()
    }

    /// Finds objects that an earlier environment of the same cluster makes as well: the two would
    /// overwrite each other's at every apply.
    pub(crate) fn clashes<'u>(
        &mut self,
        env: &Environment,
        units: impl Iterator<Item = &'u UnitFacts>,
    ) -> Vec<Diagnostic> {
        let Some(cluster) = env
            .cluster
            .as_ref()
            .filter(|own| self.shared.contains(*own))
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for unit in units {
            // A message without a name is no object of the cluster.
            let objects = unit.objects.iter();
            for facts in objects.filter(|facts| !facts.identity.name.is_empty()) {
                let identity = &facts.identity;
                let title = identity.title();
                let key = (cluster.clone(), format!("{} {title}", identity.group()));
                let allowed = unit.exemptions.iter();
                let allowed = allowed.filter(|one| one.allows(SAME_OBJECT, facts));
                let allowed: Vec<Span> = allowed.map(|one| one.span).collect();
                let Some(made) = self.made.get(&key) else {
                    let (env, at) = (env.name.clone(), facts.at);
                    self.made.insert(key, Made { env, at, allowed });
                    continue;
                };
                if made.env == env.name {
                    continue;
                }
                if !allowed.is_empty() || !made.allowed.is_empty() {
                    self.used
                        .extend(allowed.into_iter().chain(made.allowed.iter().copied()));
                    continue;
                }
                let message = format!(
                    "the environments `{}` and `{}` both make the {title} in the cluster `{cluster}`",
                    made.env, env.name
                );
                let mut diagnostic = Diagnostic::error(SAME_OBJECT, message)
                    .label(facts.at, "this object")
                    .label(env.span, "the second environment");
                if made.at != facts.at {
                    diagnostic = diagnostic.label(made.at, "the first environment's");
                }
                diagnostic = diagnostic
                    .object(title)
                    .help("give the environments a namespace or a cluster each");
                diagnostic.env = Some(env.name.clone());
                found.push(diagnostic);
            }
        }
        // The first one says it; the others are alike.
        let more = found.len().saturating_sub(1);
        found.truncate(1);
        if more > 0 {
            found = found
                .into_iter()
                .map(|one| one.note(format!("so it is with {more} more objects")))
                .collect();
        }
        found
    }

    /// Warns of the exemptions that nothing needed, but for those that are to stay. Only when every environment was
    /// looked at.
    pub(crate) fn needless(&self) -> Vec<Diagnostic> {
        let mut stays = BTreeSet::new();
        let needless = self.considered.iter();
        let needless = needless.filter(|(span, _)| !self.used.contains(span));
        let (keepers, needless): (Vec<_>, Vec<_>) = needless.partition(|(_, (_, rule))| {
            let says = rule.as_deref().map(|rule| &rule.what);
            matches!(says, Some(rules::Exempt::Allow { code, .. }) if code == NEEDLESS)
        });
        let mut told = Vec::new();
        for (span, one) in needless {
            let keeper = keepers
                .iter()
                .find(|(at, keeper)| keeps((**at, keeper), (*span, one)));
            match keeper {
                Some((at, _)) => {
                    stays.insert(**at);
                }
                None => told.push(*span),
            }
        }
        // A keeper that nothing needs is as needless as any other.
        told.extend(
            keepers
                .iter()
                .map(|(at, _)| **at)
                .filter(|at| !stays.contains(at)),
        );
        told.sort_unstable();
        told.into_iter()
            .map(|span| {
                Diagnostic::warning(NEEDLESS, "nothing needs this exemption")
                    .label(span, "it changes nothing")
                    .help("remove it")
            })
            .collect()
    }
}

/// Whether an exemption that says that needless ones stay is for another one: it stands in the same app or environment,
/// or for the whole file, and names the same objects.
fn keeps(
    (keeper_at, (keeper_scope, keeper)): (Span, &(rules::Scope, Option<Arc<rules::Exemption>>)),
    (at, (scope, rule)): (Span, &(rules::Scope, Option<Arc<rules::Exemption>>)),
) -> bool {
    let is_near = match keeper_scope {
        rules::Scope::App(_) => keeper_scope == scope,
        rules::Scope::File(file) => *file == at.file,
        // Those of environments, which stand in one file.
        rules::Scope::All => scope == keeper_scope && keeper_at.file == at.file,
    };
    let object = |rule: &Option<Arc<rules::Exemption>>| match rule.as_deref().map(|rule| &rule.what)
    {
        Some(rules::Exempt::Allow { object, .. }) => object.clone(),
        Some(rules::Exempt::External {
            group, kind, name, ..
        }) => Some((group.clone(), kind.clone(), name.clone())),
        None => None,
    };
    is_near && object(keeper).is_none_or(|wanted| object(rule).is_some_and(|own| own == wanted))
}

/// What the rules say of one environment.
pub(crate) struct Judged {
    diagnostics: Vec<Diagnostic>,
    considered: Considered,
    /// The exemptions that are in force, and for each whether something needed it.
    exemptions: Vec<(Arc<rules::Exemption>, bool)>,
    /// Whether no policy has exemptions here.
    is_plain: bool,
}

impl Judged {
    /// Applies the rules. Environments know nothing of each other here, so several can be judged at once.
    pub(crate) fn of<'u>(
        kubernetes: KubeVersion,
        env: Option<&Environment>,
        units: impl Iterator<Item = &'u UnitFacts>,
        sharing: &Sharing,
    ) -> Judged {
        let units = units.enumerate();
        let units = units.map(|(at, unit)| (at, unit, true));
        Judged::near(kubernetes, env, units, sharing, |_| true)
    }

    /// Applies the rules to those objects that are wanted. Each unit comes with its position among all and whether it has
    /// any: the exemptions of the others are not considered.
    pub(crate) fn near<'u>(
        kubernetes: KubeVersion,
        env: Option<&Environment>,
        units: impl Iterator<Item = (usize, &'u UnitFacts, bool)>,
        sharing: &Sharing,
        is_wanted: impl Fn(&rules::Facts) -> bool,
    ) -> Judged {
        let mut exemptions: Vec<Arc<rules::Exemption>> = Vec::new();
        let mut considered = Considered::new();
        let mut is_plain = true;
        let mut objects: Vec<rules::Unit<'_>> = Vec::new();
        // Those of the environment are every unit's.
        let mut last: &[Arc<rules::Exemption>] = &[];
        let mut met: HashSet<Span> = sharing.used.clone();
        for (at, unit, has_wanted) in units {
            met.extend(unit.met());
            objects.push(rules::Unit {
                app: unit.app,
                objects: &unit.objects,
                left_out: sharing.left_out(at),
            });
            if !has_wanted {
                continue;
            }
            let is_same = |(at, one): (usize, &Arc<rules::Exemption>)| {
                last.get(at).is_some_and(|other| Arc::ptr_eq(one, other))
            };
            if !unit.exemptions.iter().enumerate().all(is_same) {
                for one in &unit.exemptions {
                    if let Entry::Vacant(entry) = considered.entry(one.span) {
                        entry.insert((one.scope, Some(Arc::clone(one))));
                        exemptions.push(Arc::clone(one));
                    }
                }
            }
            last = &unit.exemptions;
            let of_policies = unit.of_policies.iter();
            considered.extend(of_policies.map(|(span, scope)| (*span, (*scope, None))));
            is_plain &= unit.of_policies.is_empty();
        }
        let checked = rules::check_some(
            &rules::Set {
                env: env.map(|env| &*env.name),
                kubernetes,
                units: &objects,
                exemptions: &exemptions,
            },
            is_wanted,
        );
        Judged {
            diagnostics: checked.diagnostics,
            considered,
            exemptions: exemptions
                .into_iter()
                .zip(checked.used)
                .map(|(one, used)| {
                    let used = used || met.contains(&one.span);
                    (one, used)
                })
                .collect(),
            is_plain,
        }
    }

    /// Where the exemptions are written that something needed.
    pub(crate) fn used(&self) -> impl Iterator<Item = Span> {
        let used = self.exemptions.iter().filter(|(_, used)| *used);
        used.map(|(exemption, _)| exemption.span)
    }

    /// The exemptions that nothing needed.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &rules::Exemption> {
        let unused = self.exemptions.iter().filter(|(_, used)| !*used);
        unused.map(|(exemption, _)| &**exemption)
    }

    /// Whether no rule is broken, as far as can be told without policies.
    pub(crate) fn breaks_nothing(&self) -> bool {
        self.is_plain && self.diagnostics.is_empty()
    }

    /// Whether the set breaks no rule and needs all of its exemptions.
    pub(crate) fn is_quiet(&self) -> bool {
        self.breaks_nothing() && self.unused().next().is_none()
    }
}

/// The rules over the objects that a `must fail` block makes.
pub(crate) struct OneTest<'e> {
    env: Option<&'e Environment>,
    kubernetes: KubeVersion,
    in_force: InForce,
    has_shared: bool,
    units: Vec<UnitFacts>,
}

impl<'e> OneTest<'e> {
    /// For a test in an environment.
    pub(crate) fn new(
        program: &Program,
        env: Option<&'e Environment>,
        shared: &SharedNames,
    ) -> OneTest<'e> {
        OneTest {
            env,
            kubernetes: program.kubernetes.parse().unwrap_or_default(),
            has_shared: !shared.is_empty(),
            in_force: InForce::of(program, env, shared),
            units: Vec::new(),
        }
    }
}

impl OneTest<'_> {
    fn sharing(&self) -> Sharing {
        let env = self.env.map(|env| &*env.name);
        Sharing::of(env, self.units.iter().enumerate())
    }
}

impl eval::Rules for OneTest<'_> {
    fn look(&mut self, app: &mut eval::App<'_, '_>) {
        self.units.push(facts(app, &self.in_force));
    }

    fn has_shared(&self) -> bool {
        self.has_shared
    }

    fn left_out(&mut self) -> Vec<(usize, usize)> {
        self.sharing().aside()
    }

    fn broken(&mut self) -> Vec<Diagnostic> {
        let sharing = self.sharing();
        let units = std::mem::take(&mut self.units);
        let mut whole = Whole::default();
        let mut found = whole.check(self.kubernetes, self.env, units.iter(), &sharing, &[]);
        found.extend(sharing.diagnostics);
        found
    }
}
