//! What is wrong before evaluation, kept up to date.
//!
//! After an edit only a *slice* of the project is checked where that is enough: the edited modules, those that use
//! them, all that these need, and of environments and tests the parts that speak of their apps. The slice goes through
//! the ordinary checker. Its findings replace the earlier ones of the same places, when it is plain that a check of the
//! whole would find the same; wherever it is not (a mistake, a new name, a changed environment), the whole is checked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ordain_lang_syntax::ast::{Env, File, Item, ItemKind, Record};
use ordain_lang_syntax::{Diagnostic, FileId, Span};
use ordain_lang_types::Program;
use ordain_lang_types::program::Part;
use ordain_schemas::KubeVersion;

use super::graph::{Graph, Set};
use super::moved::{self, Patch};
use super::outline::Outline;
use crate::check::versions;
use crate::load::Project;

/// Programs by the Kubernetes version they were checked against.
pub(super) type Programs = BTreeMap<KubeVersion, Arc<Program>>;

/// What the checker found, by version, noise and all.
pub(super) type Found = BTreeMap<KubeVersion, Vec<Diagnostic>>;

/// See the module.
pub(super) struct Statics {
    /// What was found in the whole.
    found: Found,
    /// The whole, as of its last check.
    whole: Arc<Programs>,
    /// Which functions, constants, types and imports each file names, by version: whoever names one uses it.
    names: BTreeMap<KubeVersion, Names>,
    /// The texts of the modules that speak of apps of others.
    texts: BTreeMap<usize, Arc<str>>,
    /// Whether the whole is as the texts are now.
    pub(super) is_whole_current: bool,
    pub(super) graph: Graph,
}

/// Where what a file names is declared, and which part of the file names it.
type Names = HashMap<FileId, Vec<(Part, Span)>>;

/// The outlines of edited modules, as they are now.
pub(super) type Outlines = HashMap<usize, Arc<Outline>>;

/// Why a slice was not enough.
pub(super) enum Missed {
    /// There are mistakes in it, which may mean something to the rest; with what it finds.
    Mistakes(Found),
    /// Only a check of the whole can tell.
    Unclear,
}

/// A slice that was checked.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) programs: Arc<Programs>,
    found: Found,
    /// Files which are in it as a whole.
    complete: Vec<FileId>,
    /// Those of which some parts are left out.
    partial: Vec<FileId>,
    /// Where the parts begin that are not.
    parts: BTreeSet<(FileId, u32)>,
    /// The edited modules about whose parts nothing is known beside what it shows.
    pub(super) plain: Set,
    /// The others.
    pub(super) patches: Vec<Patch>,
}

impl Statics {
    /// Checks the whole project.
    pub(super) fn of(project: &Project) -> Statics {
        let modules = project.modules.iter();
        let outlines = || {
            modules
                .map(|module| Arc::new(Outline::of(&module.parsed.file)))
                .collect()
        };
        // Neither needs the other.
        let (outlines, (found, whole)) = std::thread::scope(|scope| {
            let outlines = scope.spawn(outlines);
            let checked = check_whole(project);
            let outlines = outlines.join();
            let outlines = outlines.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (outlines, checked)
        });
        let program = whole.values().next().cloned().unwrap_or_default();
        let graph = Graph::new(project, &program, outlines);
        let texts = graph.whole.iter();
        let texts = texts.map(|at| (*at, project.sources.shared_text(project.modules[*at].file)));
        Statics {
            found,
            texts: texts.collect(),
            names: names_of(&whole),
            whole: Arc::new(whole),
            is_whole_current: true,
            graph,
        }
    }

    /// What is wrong with the whole, for one version.
    pub(super) fn found(&self, project: &Project, version: KubeVersion) -> Vec<Diagnostic> {
        let found = self.found.get(&version).cloned().unwrap_or_default();
        project.without_noise(found)
    }

    /// The whole, checked anew when it is not current.
    pub(super) fn whole(&mut self, project: &Project) -> Arc<Programs> {
        if !self.is_whole_current {
            let (found, whole) = check_whole(project);
            self.found = found;
            self.names = names_of(&whole);
            self.whole = Arc::new(whole);
            self.is_whole_current = true;
        }
        Arc::clone(&self.whole)
    }

    /// The text of a module that speaks of apps of others, as it was looked at.
    pub(super) fn text(&self, module: usize) -> Option<&str> {
        self.texts.get(&module).map(|text| &**text)
    }

    /// Checks a slice after edits of these modules, which kept the names of all apps and uses; takes over what it finds.
    ///
    /// # Errors
    /// When the whole must be checked.
    pub(super) fn slice(
        &mut self,
        project: &Project,
        edited: &Set,
        outlines: &Outlines,
    ) -> Result<Slice, Missed> {
        if !self.graph.is_plain {
            return Err(Missed::Unclear);
        }
        let (mut plain, mut patches, mut taken) = (Set::new(), Vec::new(), Vec::new());
        let mut is_torn = false;
        for &at in edited {
            let module = &project.modules[at];
            let new = outlines.get(&at).cloned();
            let new = new.unwrap_or_else(|| Arc::new(Outline::of(&module.parsed.file)));
            let old = &self.graph.outlines[at];
            if !old.is_whole() && !new.is_whole() {
                is_torn |= !old.has_same_names(&new);
                plain.insert(at);
                continue;
            }
            let text = project.sources.text(module.file);
            let patch = self.text(at).and_then(|old_text| {
                let (old, new) = ((&**old, old_text), (&*new, text));
                Patch::of(&self.graph, module.file, old, new)
            });
            match patch {
                Some(patch) => patches.push(patch),
                // Half a line may look like anything.
                None if module.parsed.diagnostics.iter().any(Diagnostic::is_error) => {
                    return Err(Missed::Mistakes(Found::new()));
                }
                None => return Err(Missed::Unclear),
            }
            taken.push((at, new));
        }
        let modules: Vec<usize> = taken.iter().map(|(at, _)| *at).collect();
        let before = self.graph.take(taken, &patches, &project.sources);
        let slice = self.slice_of(project, plain, patches, is_torn);
        match &slice {
            Ok(_) => {
                let texts = modules
                    .into_iter()
                    .map(|at| (at, project.sources.shared_text(project.modules[at].file)));
                self.texts.extend(texts);
            }
            Err(_) => self.graph.restore(before),
        }
        slice
    }

    fn slice_of(
        &mut self,
        project: &Project,
        plain: Set,
        patches: Vec<Patch>,
        is_torn: bool,
    ) -> Result<Slice, Missed> {
        let graph = &self.graph;
        let mut roots = graph.users(&plain);
        let patched = patches.iter().flat_map(|patch| &patch.apps);
        roots.extend(patched.map(|app| graph.apps[*app].module));
        if roots.iter().any(|root| graph.outlines[*root].is_whole()) {
            return Err(Missed::Unclear);
        }
        let region = Region::of(project, graph, &roots);
        let mut known = Found::new();
        for (version, found) in &self.found {
            let found = moved::moved(found, &patches).ok_or(Missed::Unclear)?;
            known.insert(*version, found);
        }
        let mut old = known.values().flatten();
        if old.any(|found| found.is_error() && region.has(found)) {
            return Err(Missed::Unclear);
        }
        let is_nothing = roots.is_empty() && !patches.iter().any(|patch| patch.has_strangers);
        let mut slice = match is_nothing {
            // Nothing is another than before, but for places.
            true => Slice::default(),
            false => check_slice(project, graph, &roots, &region, versions_of(project))
                .ok_or(Missed::Unclear)?,
        };
        if is_torn || slice.found.values().flatten().any(Diagnostic::is_error) {
            let mut found = slice.found;
            for found in found.values_mut() {
                // What a part does not use, others may.
                found.retain(|one| !is_unused(one) || !is_in(one, &slice.partial));
            }
            return Err(Missed::Mistakes(found));
        }
        (slice.plain, slice.patches) = (plain, patches);
        self.take(slice, &region, known).ok_or(Missed::Unclear)
    }

    /// Takes over what a slice without mistakes finds. None when it cannot stand for the whole.
    fn take(&mut self, slice: Slice, region: &Region, known: Found) -> Option<Slice> {
        let emits = |program: &Program| {
            !program.apps.is_empty() || program.modules.iter().any(|m| !m.exports.is_empty())
        };
        for (version, names) in &mut self.names {
            let program = slice.programs.get(version);
            renew(names, program.map(|p| &**p), &slice, region)?;
        }
        let mut merged = Found::new();
        for (version, old) in known {
            let Some(found) = slice.found.get(&version) else {
                // Only places changed; or it is no version that is looked at any more.
                slice.found.is_empty().then_some(())?;
                merged.insert(version, old);
                continue;
            };
            let program = slice.programs.get(&version)?;
            if self.graph.emits() && !emits(program) {
                // In what emits nothing, everything may be for others.
                return None;
            }
            let names = self.names.get(&version)?;
            let new = region.used(&old, found, program, names);
            merged.insert(version, region.merge(&old, &new, names, &slice)?);
        }
        self.found = merged;
        self.is_whole_current = false;
        Some(slice)
    }

    /// Checks a slice for looking at it only: what the module needs, and what environments say of its apps.
    pub(super) fn look(&self, project: &Project, module: usize) -> Option<Arc<Program>> {
        let roots = Set::from([module]);
        let graph = &self.graph;
        if !graph.is_plain || graph.outlines[module].is_whole() {
            return None;
        }
        let region = Region::of(project, graph, &roots);
        let version = versions_of(project).into_iter().next();
        let slice = check_slice(project, graph, &roots, &region, version)?;
        slice.programs.values().next().cloned()
    }
}

fn names_of(programs: &Programs) -> BTreeMap<KubeVersion, Names> {
    let programs = programs.iter();
    programs
        .map(|(v, program)| (*v, names_in(program)))
        .collect()
}

fn names_in(program: &Program) -> Names {
    let mut names = Names::new();
    for one in &program.named {
        let of_file: &mut Vec<(Part, Span)> = names.entry(one.file).or_default();
        of_file.push((one.part, one.declared));
    }
    names
}

/// Takes over which names a slice uses. None when a place is lost.
fn renew(
    names: &mut Names,
    program: Option<&Program>,
    slice: &Slice,
    region: &Region,
) -> Option<()> {
    let mut new = program.map(names_in);
    for patch in &slice.patches {
        let moved = &patch.moved;
        for (file, names) in names.iter_mut() {
            if *file == moved.file {
                // Parts that the slice leaves out name what they did.
                let kept = names.drain(..).filter_map(|(part, declared)| {
                    let Part::At(start) = part else {
                        // Without a slice nothing is another but places.
                        return program.is_none().then_some((part, declared));
                    };
                    let at = Span::new(*file, start, start + 1);
                    let at = moved.place(at).filter(|_| !patch.is_gone(at))?;
                    let is_left_out = !slice.parts.contains(&(at.file, at.start));
                    is_left_out.then_some((Part::At(at.start), declared))
                });
                *names = kept.collect();
            }
            for (_, declared) in names.iter_mut() {
                if !moved.apply(declared) {
                    return None;
                }
            }
        }
        let own = new.as_mut().and_then(|new| new.remove(&moved.file));
        names
            .entry(moved.file)
            .or_default()
            .extend(own.into_iter().flatten());
    }
    for file in &region.files {
        let own = new.as_mut().and_then(|new| new.remove(file));
        names.insert(*file, own.unwrap_or_default());
    }
    Some(())
}

/// Whether a finding is about one of these files.
fn is_in(found: &Diagnostic, files: &[FileId]) -> bool {
    let mut places = found.span().into_iter();
    places.any(|place| files.contains(&place.file))
}

/// Whether it says that nothing uses something.
fn is_unused(found: &Diagnostic) -> bool {
    matches!(found.code, "W0101" | "W0102")
}

fn versions_of(project: &Project) -> Vec<KubeVersion> {
    versions(project, &project.environments())
}

fn check_whole(project: &Project) -> (Found, Programs) {
    let mut found = Found::new();
    let mut programs = Programs::new();
    for version in versions_of(project) {
        let modules = project.modules.iter().map(|m| (&*m.path, &m.parsed.file));
        let checked = project.check_modules(version, modules);
        found.insert(version, checked.diagnostics);
        programs.insert(version, checked.program);
    }
    (found, programs)
}

/// Checks what these modules need. None when that is most of the project.
fn check_slice(
    project: &Project,
    graph: &Graph,
    roots: &Set,
    region: &Region,
    versions: impl IntoIterator<Item = KubeVersion>,
) -> Option<Slice> {
    let mut wanted = roots.clone();
    wanted.extend(region.apps.iter().map(|app| graph.apps[*app].module));
    for suite in &region.suites {
        let mentions = &graph.parts.suites[*suite].mentions;
        wanted.extend(mentions.iter().map(|app| graph.apps[*app].module));
    }
    let (modules, ops) = graph.needed(&wanted);
    // Half of the project costs about as much as the whole, once the rest is looked at as well.
    if modules.len() > 8 && modules.len() * 2 > project.modules.len() {
        return None;
    }
    let mut parts: BTreeMap<usize, File> = BTreeMap::new();
    for module in &graph.whole {
        parts.insert(*module, part(project, graph, *module, &ops, &region.suites));
    }
    let (partial, complete): (Vec<usize>, Vec<usize>) =
        modules.iter().partition(|at| parts.contains_key(at));
    let files = |modules: Vec<usize>| {
        let files = modules.into_iter().map(|at| project.modules[at].file);
        files.collect()
    };
    let of_ops = ops.iter().map(|op| graph.parts.ops[*op].span);
    let of_suites = region.suites.iter();
    let of_suites = of_suites.map(|suite| graph.parts.suites[*suite].span);
    let mut slice = Slice {
        complete: files(complete),
        partial: files(partial),
        parts: of_ops
            .chain(of_suites)
            .map(|span| (span.file, span.start))
            .collect(),
        ..Slice::default()
    };
    let mut programs = Programs::new();
    for version in versions {
        let files = modules.iter().map(|at| {
            let module = &project.modules[*at];
            (&*module.path, parts.get(at).unwrap_or(&module.parsed.file))
        });
        let checked = project.check_modules(version, files);
        slice.found.insert(version, checked.diagnostics);
        programs.insert(version, checked.program);
    }
    slice.programs = Arc::new(programs);
    Some(slice)
}

/// A module with only some of the changes in its environments, and some of its tests and policies.
fn part(project: &Project, graph: &Graph, module: usize, ops: &Set, suites: &Set) -> File {
    let whole = &project.modules[module].parsed.file;
    let mut kept: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for op in ops.iter().map(|op| &graph.parts.ops[*op]) {
        if op.module == module {
            kept.entry(op.item).or_default().push(op.member);
        }
    }
    let kept_suites: Set = suites
        .iter()
        .map(|suite| &graph.parts.suites[*suite])
        .filter(|suite| suite.module == module)
        .map(|suite| suite.item)
        .collect();
    let mut items = Vec::new();
    for (at, item) in whole.items.iter().enumerate() {
        match &item.kind {
            ItemKind::Env(env) => {
                let mut members = kept.remove(&at).unwrap_or_default();
                members.extend(graph.parts.frames.get(&(module, at)).into_iter().flatten());
                members.sort_unstable();
                let body = Record {
                    id: env.body.id,
                    span: env.body.span,
                    members: members
                        .into_iter()
                        .map(|member| env.body.members[member].clone())
                        .collect(),
                };
                items.push(Item {
                    id: item.id,
                    span: item.span,
                    doc: item.doc.clone(),
                    kind: ItemKind::Env(Env {
                        name: env.name,
                        extends: env.extends,
                        body,
                    }),
                });
            }
            ItemKind::Test(_) | ItemKind::Policy(_) if !kept_suites.contains(&at) => {}
            _ => items.push(item.clone()),
        }
    }
    File {
        id: whole.id,
        items,
        nodes: whole.nodes,
    }
}

/// The places whose findings a slice renews.
pub(super) struct Region {
    /// Apps whose values may be others than before.
    apps: Set,
    suites: Set,
    files: Vec<FileId>,
    spans: Vec<Span>,
}

impl Region {
    fn of(project: &Project, graph: &Graph, roots: &Set) -> Region {
        let apps = graph.readers(&graph.apps_of(roots));
        let ops = graph.ops_with(&apps);
        let is_near = |mentions: &[usize]| mentions.iter().any(|app| apps.contains(app));
        let suites: Set = (0..graph.parts.suites.len())
            .filter(|at| is_near(&graph.parts.suites[*at].mentions))
            .collect();
        let mut spans: Vec<Span> = ops.iter().map(|op| graph.parts.ops[*op].span).collect();
        spans.extend(suites.iter().map(|at| graph.parts.suites[*at].span));
        Region {
            apps,
            suites,
            files: roots.iter().map(|at| project.modules[*at].file).collect(),
            spans,
        }
    }

    /// Whether a finding is about one of the places.
    fn has(&self, found: &Diagnostic) -> bool {
        found.labels.iter().any(|label| {
            self.files.contains(&label.span.file)
                || self.spans.iter().any(|span| {
                    span.file == label.span.file
                        && span.start <= label.span.start
                        && label.span.end <= span.end
                })
        })
    }

    /// What a slice finds, without functions, constants and types that only seem to be unused.
    fn used(
        &self,
        old: &[Diagnostic],
        new: &[Diagnostic],
        program: &Program,
        names: &Names,
    ) -> Vec<Diagnostic> {
        // With a mistake anywhere nothing is called unused, as what is wrong may have used it.
        let is_wrong = old.iter().any(Diagnostic::is_error);
        let is_item = |place: Span| {
            program.fns.iter().any(|item| item.span == place)
                || program.lets.iter().any(|item| item.span == place)
                || program.type_names.contains(&place)
        };
        let is_named = |place: Span| {
            let mut elsewhere = names.iter().filter(|(file, _)| !self.files.contains(file));
            elsewhere.any(|(_, named)| named.iter().any(|(_, declared)| *declared == place))
        };
        let stays = |found: &&Diagnostic| {
            found.code != "W0102"
                || found
                    .span()
                    .is_none_or(|place| !is_item(place) || !(is_wrong || is_named(place)))
        };
        new.iter().filter(stays).cloned().collect()
    }

    /// The earlier findings with those of the slice in their place. None when the slice shows something else than
    /// before outside of the places.
    fn merge(
        &self,
        old: &[Diagnostic],
        new: &[Diagnostic],
        names: &Names,
        slice: &Slice,
    ) -> Option<Vec<Diagnostic>> {
        let (here, there): (Vec<_>, Vec<_>) = new.iter().partition(|one| self.has(one));
        let is_complete = |one: &Diagnostic| one.span().is_none() || is_in(one, &slice.complete);
        // In a module of which only a part is in the slice, an import may seem to be unused.
        let is_used = |one: &Diagnostic| {
            let Some(span) = one
                .span()
                .filter(|_| one.code == "W0101" && !is_complete(one))
            else {
                return false;
            };
            let mut names = names.get(&span.file).into_iter().flatten();
            names.any(|(_, declared)| *declared == span)
        };
        let mut counted = there.iter().filter(|one| !is_used(one));
        if counted.any(|one| !old.contains(one)) {
            return None;
        }
        let mut merged: Vec<Diagnostic> = Vec::with_capacity(old.len());
        for one in old.iter().filter(|one| !self.has(one)) {
            // What nothing used may be used by now.
            let is_told = is_complete(one) || is_unused(one) && is_in(one, &slice.partial);
            if is_told && !there.contains(&one) {
                return None;
            }
            merged.push(one.clone());
        }
        merged.extend(here.into_iter().cloned());
        merged.sort_by_key(Diagnostic::span);
        Some(merged)
    }
}
