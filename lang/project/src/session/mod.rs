//! An open project: texts change, and what follows from them is brought up to date when it is asked for.
//!
//! What a session says is what a run from scratch over the same texts says, to the last label; only the
//! time it takes depends on what changed. A language server, a watching command and a reconciler keep one.
//! It starts nothing by itself: whoever knows of a change tells it, and asks afterwards.

mod built;
mod changes;
mod files;
mod graph;
mod moved;
mod outline;
mod parts;
mod statics;
mod store;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ordain_lang_syntax::{Diagnostic, FileId, parse};
use ordain_lang_types::Program;

use crate::build::{App, AppText, BuildOptions, Format, Texts};
use crate::check::check_with;
use crate::files::Files;
use crate::load::Project;

use built::{Built, Form};
use changes::Changes;
use files::Overlay;
use graph::Set;
use outline::Outline;
use statics::{Found, Missed, Outlines, Statics};
use store::Units;

/// An open project. See the module.
pub struct Session {
    files: Overlay,
    /// Files of which something was said since the project was brought up to date.
    dirty: BTreeSet<String>,
    open: Option<Open>,
    built: Built,
    effort: Effort,
}

/// What is known of the texts as they were at the last look.
struct Open {
    project: Project,
    /// The project's own modules by path.
    modules: HashMap<String, usize>,
    /// What was found before somebody made the mistakes that are there now. None until the first check.
    statics: Option<Statics>,
    /// What a check of the whole finds with these mistakes. Putting them right leads back to `statics`, and costs no more
    /// than any edit.
    wrong: Option<Statics>,
    /// Modules that changed since `statics`.
    edited: Set,
    /// Those of them that changed since the last check.
    fresh: Set,
    /// The outlines of modules that were edited at any time, as they are now.
    outlines: Outlines,
    /// What a slice found that has mistakes, while no check of the whole looked at them.
    slip: Option<Found>,
    /// Whether only a check of the whole can tell what these changes mean.
    needs_whole: bool,
}

/// What a session did so far; for telling whether an edit cost what it should.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Effort {
    /// How often the whole project was checked.
    pub wholes: usize,
    /// How often a slice was enough.
    pub slices: usize,
    /// How many apps were evaluated, each environment counted.
    pub evaluated: usize,
}

/// The state of a session's objects.
#[derive(Clone, Default, Debug)]
pub struct SessionBuild<T> {
    /// Every app in every wanted environment; empty when there is an error. What did not change since
    /// the last build is the same allocation.
    pub apps: Vec<Arc<T>>,
    /// Positions in `apps` of what is new or differs from the last build of this kind.
    pub changed: Vec<usize>,
    /// What was found, errors and warnings, in the order of the sources.
    pub diagnostics: Arc<[Diagnostic]>,
}

impl<T> SessionBuild<T> {
    /// Returns whether nothing stops the result from being used.
    pub fn is_ok(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

impl SessionBuild<AppText> {
    /// Joins the apps' texts to one stream of YAML documents or one JSON list.
    pub fn joined(&self, format: Format) -> String {
        let apps = self.apps.iter().map(|app| AppText::clone(app)).collect();
        let diagnostics = Vec::new();
        Texts { apps, diagnostics }.joined(format)
    }
}

impl Session {
    /// Opens the project whose root is the root of `files`.
    pub fn new(files: impl Files + Send + 'static) -> Session {
        Session::over(Overlay::project(Box::new(files)))
    }

    /// Opens one file without a project around it. `path` is what diagnostics show, and what
    /// [`set_text`](Self::set_text) takes, also for the modules and CRDs that the file uses of its folder: these
    /// are `beside`, with paths that start from there.
    pub fn single(
        path: &str,
        text: impl Into<String>,
        beside: impl Files + Send + 'static,
    ) -> Session {
        Session::over(Overlay::single(path, text.into(), Box::new(beside)))
    }

    fn over(files: Overlay) -> Session {
        Session {
            files,
            dirty: BTreeSet::new(),
            open: None,
            built: Built::default(),
            effort: Effort::default(),
        }
    }

    /// Returns what was done so far.
    pub fn effort(&self) -> Effort {
        Effort {
            evaluated: self.built.evaluated,
            ..self.effort
        }
    }

    /// Sets what a file says, whatever the disk says (an editor's unsaved text); none means the disk
    /// again. `path` is relative to the project's root, separated by `/`.
    pub fn set_text(&mut self, path: &str, text: Option<String>) {
        self.files.set_text(path, text);
        self.dirty.insert(path.to_owned());
    }

    /// Takes note that these files were made, changed or removed on disk.
    pub fn refresh(&mut self, paths: &[String]) {
        self.dirty.extend(paths.iter().cloned());
    }

    /// Takes note that anything may have changed on disk.
    pub fn refresh_all(&mut self) {
        self.open = None;
    }

    /// Returns the loaded project: texts for showing diagnostics, parsed modules, environments.
    pub fn project(&mut self) -> &Project {
        &self.load().project
    }

    /// Returns the loaded project with its files, as they are now: of a single file, its folder.
    pub fn project_with_files(&mut self) -> (&Project, &dyn Files) {
        self.load();
        let open = self.open.as_ref().expect("it was just loaded");
        (&open.project, &self.files)
    }

    /// Returns everything that is wrong before evaluation, in the order of the sources; the same as
    /// [`check`](crate::check()).
    pub fn check(&mut self) -> Arc<[Diagnostic]> {
        let (project, statics, _) = self.checked();
        check_with(project, |version| statics.found(project, version)).into()
    }

    /// Returns what a look at the edited modules alone finds in them, when there are mistakes: much sooner than
    /// [`check`](Self::check), which finds the same, what follows from it elsewhere, and more that may help. None when a
    /// check takes no longer.
    pub fn glance(&mut self) -> Option<Vec<Diagnostic>> {
        self.try_slice();
        let open = self.open.as_ref()?;
        let slip = open.slip.as_ref()?;
        let project = &open.project;
        let found = check_with(project, |version| {
            project.without_noise(slip.get(&version).cloned().unwrap_or_default())
        });
        let files = open.fresh.iter().map(|at| project.modules[*at].file);
        let files: BTreeSet<FileId> = files.collect();
        let is_in = |one: &Diagnostic| one.span().is_some_and(|span| files.contains(&span.file));
        let found: Vec<Diagnostic> = found.into_iter().filter(is_in).collect();
        (!found.is_empty()).then_some(found)
    }

    /// Returns the resolved program of the whole project, for the oldest Kubernetes version among its
    /// environments. For tools; while there are errors it has holes.
    pub fn program(&mut self) -> Arc<Program> {
        let (project, statics, built) = self.checked();
        let programs = whole(project, statics, built);
        programs.values().next().cloned().unwrap_or_default()
    }

    /// Returns a resolved program in which the file is whole and checked: itself, what it uses, and what
    /// the environments say about its apps. Numbers of files are those of [`project`](Self::project).
    /// Much cheaper than [`program`](Self::program) after an edit.
    pub fn program_of(&mut self, path: &str) -> Arc<Program> {
        let open = self.load();
        let module = open.modules.get(path).copied();
        let (project, statics, _) = self.checked();
        let part = module.and_then(|module| statics.look(project, module));
        part.unwrap_or_else(|| self.program())
    }

    /// Builds the objects of the wanted apps; the same as [`build`](crate::build()).
    pub fn build(&mut self, options: &BuildOptions) -> SessionBuild<App> {
        self.form(options, ())
    }

    /// Builds the wanted apps as text; the same as [`build_text`](crate::build_text()).
    pub fn build_text(&mut self, options: &BuildOptions, format: Format) -> SessionBuild<AppText> {
        self.form(options, format)
    }

    fn form<T: Form>(&mut self, options: &BuildOptions, choice: T::Choice) -> SessionBuild<T> {
        let (project, statics, built) = self.checked();
        built.build(project, statics, options, choice)
    }

    /// Names the apps (and files with exports) whose objects may depend on one of these files, in the
    /// order of the project. A file that is not one of its modules may change everything.
    ///
    /// What a change really did to the objects is told by [`SessionBuild::changed`].
    pub fn affected(&mut self, paths: &[String]) -> Vec<String> {
        let (project, statics, built) = self.checked();
        let own = |path: &str| {
            (project.modules.iter()).position(|m| m.is_own && project.sources.path(m.file) == path)
        };
        let modules: Option<Set> = paths.iter().map(|path| own(path)).collect();
        let units = match modules {
            // Settings of environments are everybody's.
            Some(modules)
                if modules
                    .iter()
                    .all(|at| statics.graph.outlines[*at].envs.is_empty()) =>
            {
                units_of(statics, &built.units, &modules)
            }
            _ => (0..built.units.all.len()).collect(),
        };
        let name = |unit: &usize| {
            let unit = &built.units.all[*unit];
            match unit.app {
                Some(name) => name.to_string(),
                None => {
                    let path = &project.modules[unit.module].path;
                    path.rsplit('.').next().unwrap_or(path).to_owned()
                }
            }
        };
        units.iter().map(name).collect()
    }

    /// Names the files that an app's objects are made from, sorted: its module, those it uses, and those that
    /// declare environments; and the texts and CRDs that these use, by every path where one may lie. Encrypted files are
    /// left out: the objects themselves refer to them.
    pub fn inputs(&mut self, app: &str) -> Vec<String> {
        let (project, statics, _) = self.checked();
        let graph = &statics.graph;
        let Some(app) = graph.app(app) else {
            return Vec::new();
        };
        let (mut modules, _) = graph.needed(&Set::from([graph.apps[app].module]));
        let with_envs = graph.whole.iter();
        modules.extend(with_envs.filter(|at| !graph.outlines[**at].envs.is_empty()));
        let modules = modules.iter().map(|at| &project.modules[*at]);
        let mut paths = BTreeSet::new();
        for module in modules.filter(|module| module.is_own) {
            paths.insert(project.sources.path(module.file).to_owned());
            paths.extend(project.used_files(module));
        }
        paths.into_iter().collect()
    }

    /// Brings the texts up to date.
    fn load(&mut self) -> &mut Open {
        let dirty = std::mem::take(&mut self.dirty);
        if let Some(open) = &mut self.open {
            let is_taken = dirty
                .iter()
                .all(|path| open.take(path, &self.files, &mut self.built));
            if !is_taken {
                self.open = None;
            }
        }
        let (files, built) = (&self.files, &mut self.built);
        self.open.get_or_insert_with(|| {
            built.outdate(0..built.units.all.len());
            built.take_settings();
            Open::new(files.load())
        })
    }

    /// Looks whether a slice of the project is enough to tell what the edits mean.
    fn try_slice(&mut self) {
        self.load();
        let open = self.open.as_mut().expect("it was just loaded");
        if open.fresh.is_empty() && !open.needs_whole || open.slip.is_some() {
            return;
        }
        let Some(statics) = open.statics.as_mut().filter(|_| !open.needs_whole) else {
            open.forget(&mut self.built);
            return;
        };
        match statics.slice(&open.project, &open.edited, &open.outlines) {
            Ok(slice) => {
                self.effort.slices += 1;
                let built = &mut self.built;
                let mut units = units_of(statics, &built.units, &slice.plain);
                for patch in &slice.patches {
                    let apps = units_reading(statics, &built.units, &patch.apps);
                    built.take_moved(&patch.moved);
                    built.outdate(apps.iter().copied());
                    units.extend(apps);
                }
                built.take_slice(&units, &slice.programs);
                open.edited.clear();
                open.fresh.clear();
                free(open.wrong.take());
            }
            Err(Missed::Mistakes(found)) => open.slip = Some(found),
            Err(Missed::Unclear) => open.forget(&mut self.built),
        }
    }

    /// Brings the findings before evaluation up to date.
    fn checked(&mut self) -> (&Project, &mut Statics, &mut Built) {
        self.try_slice();
        let open = self.open.as_mut().expect("it was just loaded");
        let (built, effort) = (&mut self.built, &mut self.effort);
        if open.slip.take().is_some() {
            let fresh = std::mem::take(&mut open.fresh);
            let wrong = open.wrong.as_mut();
            match wrong.and_then(|wrong| wrong.slice(&open.project, &fresh, &open.outlines).ok()) {
                Some(_) => effort.slices += 1,
                None => {
                    effort.wholes += 1;
                    open.wrong = Some(Statics::of(&open.project));
                }
            }
            // Without mistakes nothing keeps the project from being built, and that from this state only.
            let (project, wrong) = (&open.project, open.wrong.as_ref().expect("made above"));
            let found = check_with(project, |version| wrong.found(project, version));
            if !found.iter().any(Diagnostic::is_error) {
                let whole = open.wrong.take();
                open.forget(built);
                open.statics = whole;
                built.take_whole();
            }
        }
        if let Some(wrong) = &mut open.wrong {
            return (&open.project, wrong, built);
        }
        let statics = open.statics.get_or_insert_with(|| {
            effort.wholes += 1;
            let statics = Statics::of(&open.project);
            let units = Units::of(&open.project, &statics.graph.outlines);
            if units.all == built.units.all {
                built.take_whole();
            } else {
                built.renumber(units);
            }
            statics
        });
        (&open.project, statics, built)
    }
}

/// The whole program; from now on everything is evaluated from it.
fn whole(project: &Project, statics: &mut Statics, built: &mut Built) -> Arc<statics::Programs> {
    if !statics.is_whole_current {
        built.take_whole();
    }
    statics.whole(project)
}

/// The units whose objects may depend on these modules.
fn units_of(statics: &Statics, units: &Units, modules: &Set) -> Set {
    let graph = &statics.graph;
    let users = graph.users(modules);
    let mut apps = graph.apps_of(&users);
    apps.extend(
        (graph.parts.ops.iter())
            .filter(|op| users.contains(&op.module))
            .map(|op| op.target),
    );
    let of_apps = units_reading(statics, units, &apps).into_iter();
    let of_exports = users
        .iter()
        .filter_map(|module| units.number(graph.files[*module], None));
    of_apps.chain(of_exports).collect()
}

/// The units of these apps, and of all whose environments' changes read one of them.
fn units_reading(statics: &Statics, units: &Units, apps: &Set) -> Set {
    let graph = &statics.graph;
    let number = |app: &usize| {
        let app = graph.apps[*app];
        units.number(graph.files[app.module], Some(app.name))
    };
    graph.readers(apps).iter().filter_map(number).collect()
}

/// Freeing what is known of a thousand apps takes as long as a keystroke may: nobody waits for it.
fn free<T: Send + 'static>(known: Option<T>) {
    if known.is_some() {
        let freeing = std::thread::Builder::new().name("free".into());
        // Without a thread it is freed here.
        drop(freeing.spawn(move || drop(known)));
    }
}

impl Open {
    fn new(project: Project) -> Open {
        let modules = project
            .modules
            .iter()
            .enumerate()
            .filter(|(_, module)| module.is_own)
            .map(|(at, module)| (project.sources.path(module.file).to_owned(), at))
            .collect();
        Open {
            project,
            modules,
            statics: None,
            wrong: None,
            edited: Set::new(),
            fresh: Set::new(),
            outlines: Outlines::new(),
            slip: None,
            needs_whole: false,
        }
    }

    /// Lets the next check look at the whole.
    fn forget(&mut self, built: &mut Built) {
        if let Some(statics) = &self.statics {
            for &at in &self.edited {
                Changes::told(&self.project, statics, at, built);
            }
        }
        free(self.statics.take());
        free(self.wrong.take());
        self.slip = None;
        self.edited.clear();
        self.fresh.clear();
        self.needs_whole = false;
    }

    /// Takes in the text of one file. Returns false when the project must be loaded anew.
    fn take(&mut self, path: &str, files: &Overlay, built: &mut Built) -> bool {
        let Some(&at) = self.modules.get(path) else {
            return false;
        };
        let text = files.read_shown(path).ok();
        let Some(text) = text.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return false;
        };
        let module = &self.project.modules[at];
        let file = module.file;
        if self.project.sources.text(file) == text {
            return true;
        }
        let in_file = |found: &Diagnostic| found.span().is_some_and(|span| span.file == file);
        let found = self.project.diagnostics.iter();
        if found.filter(|one| in_file(one)).count() != module.parsed.diagnostics.len() {
            // Loading said something of it that the parser does not know.
            return false;
        }
        let before = self.project.sources.text(file).bytes();
        let same = before
            .zip(text.bytes())
            .take_while(|(old, new)| old == new)
            .count();
        let same = u32::try_from(same).unwrap_or(0);
        let parsed = parse(file, &*text);
        let old = self.outlines.get(&at).cloned();
        let old = old.unwrap_or_else(|| Arc::new(Outline::of(&module.parsed.file)));
        let new = Arc::new(Outline::of(&parsed.file));
        if old.uses != new.uses {
            // Other modules of the library may be needed.
            return false;
        }
        self.edited.insert(at);
        self.fresh.insert(at);
        self.slip = None;
        let base = self.statics.as_ref();
        let base = base.map_or(&old, |statics| &statics.graph.outlines[at]);
        // What an app is named may be lost in half a word; it is back when that is mended.
        let is_torn = parsed.diagnostics.iter().any(Diagnostic::is_error);
        self.needs_whole |= !(base.has_same_names(&new) || is_torn);
        self.project.diagnostics.retain(|found| !in_file(found));
        self.project
            .diagnostics
            .extend(parsed.diagnostics.iter().cloned());
        self.project.sources.set_text(file, text);
        let is_still_whole = base.is_whole() && old.is_whole() && new.is_whole();
        let before = std::mem::replace(&mut self.project.modules[at].parsed, parsed);
        if is_still_whole {
            free(Some(before));
        }
        let is_whole = old.is_whole() || new.is_whole();
        self.outlines.insert(at, new);
        let Some(statics) = &self.statics else {
            built.outdate(0..built.units.all.len());
            if is_whole {
                built.take_settings();
            }
            return true;
        };
        if is_still_whole {
            // What it means to others is known with the next look.
            return true;
        }
        built.outdate(units_of(statics, &built.units, &Set::from([at])));
        // Places before the first change are where they were.
        let pointing = built.pointing_to(file, same);
        built.outdate(pointing);
        true
    }
}
