//! Building: a checked project to the objects of its apps, per environment.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_syntax::{Diagnostic, Severity, Sources};
use ordain_lang_types::Program;
use ordain_schemas::KubeVersion;
use serde_json::Value;

use crate::check::{Environment, find, sort};
use crate::in_force::InForce;
use crate::load::Project;
use crate::shared::{Outcome, SharedNames, Sharing};
use crate::versions::of_versions;
use crate::whole::{self, UnitFacts, Whole};

/// The environment's name in a project that declares none.
pub(crate) const DEFAULT_ENV: &str = "default";
/// The namespace of an environment that names none, as kubectl has it.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// What to build.
#[derive(Clone, Default, Debug)]
pub struct BuildOptions {
    /// Only this environment.
    pub env: Option<String>,
    /// Only environments for this cluster.
    pub cluster: Option<String>,
}

/// What was built.
#[derive(Clone, Default, Debug)]
pub struct Build {
    /// Every app in every wanted environment; empty when there is an error.
    pub apps: Vec<App>,
    /// What was found, errors and warnings, in the order of the sources.
    pub diagnostics: Vec<Diagnostic>,
}

impl Build {
    /// Returns whether nothing stops the result from being used.
    pub fn is_ok(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Error)
    }
}

/// An app in an environment.
#[derive(Clone, PartialEq, Debug)]
pub struct App {
    /// Its name; the file's name for exported objects of a file without an app.
    pub name: String,
    /// The environment; `default` when the project declares none.
    pub env: String,
    /// The environment's namespace; `default` when it names none.
    pub namespace: String,
    /// The environment's cluster.
    pub cluster: Option<String>,
    /// Its objects, in the order of the source.
    pub objects: Vec<Object>,
}

impl Outcome for App {
    fn leave_out(&mut self, objects: &[usize]) {
        let mut at = 0..;
        self.objects.retain(|_| {
            let at = at.next().unwrap_or_default();
            objects.binary_search(&at).is_err()
        });
    }
}

/// An object and where it comes from.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    /// The Kubernetes object.
    pub json: Value,
    /// `file:line` of the source that made it.
    pub at: String,
    /// Whether its kind is a message (`TokenReview`, `Status`), which no API server stores: it is never deployed.
    pub is_message: bool,
}

/// Checks a project and evaluates its apps. With an error anywhere there are no objects at all: half
/// a project is never deployed.
pub fn build(project: &Project, options: &BuildOptions) -> Build {
    let (apps, diagnostics) = run(project, options, |env, app, sources, _| {
        as_app(env, app, sources)
    });
    Build { apps, diagnostics }
}

/// Finds what [`build`] finds, and makes no objects.
pub fn mistakes(project: &Project, options: &BuildOptions) -> Vec<Diagnostic> {
    run(project, options, |_, _, _, _| ()).1
}

/// Of an app that is only looked at nothing stays.
impl Outcome for () {
    fn leave_out(&mut self, _: &[usize]) {}
}

/// An evaluated app with its objects as JSON.
pub(crate) fn as_app(
    env: Option<&Environment>,
    app: &mut eval::App<'_, '_>,
    sources: &Sources,
) -> App {
    let objects = app.objects.clone();
    App {
        name: app.name.to_owned(),
        env: env.map_or(DEFAULT_ENV, |env| &env.name).to_owned(),
        namespace: app.namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned(),
        cluster: app.cluster.map(str::to_owned),
        objects: objects
            .iter()
            .map(|object| Object {
                json: app.json(object),
                at: sources.place(object.at),
                is_message: object.is_message,
            })
            .collect(),
    }
}

/// How objects are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A stream of YAML documents.
    Yaml,
    /// One JSON list, indented.
    Json,
}

/// What was built, as text.
#[derive(Clone, Default, Debug)]
pub struct Texts {
    /// Every app in every wanted environment; empty when there is an error.
    pub apps: Vec<AppText>,
    /// What was found, errors and warnings, in the order of the sources.
    pub diagnostics: Vec<Diagnostic>,
}

impl Texts {
    /// Returns whether nothing stops the result from being used.
    pub fn is_ok(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Error)
    }
}

impl Texts {
    /// Joins the apps' texts to one stream of YAML documents or one JSON list.
    pub fn joined(self, format: Format) -> String {
        let mut texts = self
            .apps
            .into_iter()
            .filter(|app| app.objects > 0)
            .map(|app| app.text);
        let Some(mut out) = texts.next() else {
            return if format == Format::Json {
                "[]\n".into()
            } else {
                String::new()
            };
        };
        for text in texts {
            match format {
                Format::Yaml => {
                    out.push_str("---\n");
                    out.push_str(&text);
                }
                Format::Json => {
                    out.truncate(out.trim_end_matches(['\n', ']']).len());
                    out.push(',');
                    out.push_str(text.trim_start_matches('['));
                }
            }
        }
        out
    }
}

/// An app in an environment, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppText {
    /// Its name.
    pub name: String,
    /// The environment; `default` when the project declares none.
    pub env: String,
    /// How many objects it has.
    pub objects: usize,
    /// The objects: YAML documents with `---` between them, or a JSON list.
    pub text: String,
    format: Format,
    /// Where the text of each object ends.
    ends: Vec<usize>,
}

impl Outcome for AppText {
    fn leave_out(&mut self, objects: &[usize]) {
        let (open, between, close) = match self.format {
            Format::Yaml => ("", "---\n", ""),
            Format::Json => ("[", ",", "]\n"),
        };
        let mut text = String::from(open);
        let (mut start, mut ends) = (open.len(), Vec::new());
        for (at, end) in self.ends.iter().enumerate() {
            let own = &self.text[start..*end];
            start = *end;
            if objects.binary_search(&at).is_err() {
                if !ends.is_empty() {
                    text.push_str(between);
                }
                text.push_str(own.strip_prefix(between).unwrap_or(own));
                ends.push(text.len());
            }
        }
        if self.format == Format::Json && !ends.is_empty() {
            text.push('\n');
        }
        text.push_str(close);
        self.text = text;
        self.objects = ends.len();
        self.ends = ends;
    }
}

/// Builds as [`build`] does, and writes the objects straight from the evaluated values: a fraction
/// of the time and memory.
pub fn build_text(project: &Project, options: &BuildOptions, format: Format) -> Texts {
    let (apps, diagnostics) = run(project, options, |env, app, _, _| as_text(env, app, format));
    Texts { apps, diagnostics }
}

/// An evaluated app with its objects as text.
pub(crate) fn as_text(
    env: Option<&Environment>,
    app: &mut eval::App<'_, '_>,
    format: Format,
) -> AppText {
    let objects = std::mem::take(&mut app.objects);
    let mut ends = Vec::with_capacity(objects.len());
    let text = match format {
        Format::Yaml => {
            let mut text = eval::YamlText::new();
            for object in &objects {
                text.document();
                app.write(object, &mut text);
                ends.push(text.pending());
            }
            text.finish()
        }
        Format::Json => {
            let mut text = eval::JsonText::new(true);
            eval::Sink::list(&mut text, objects.is_empty());
            for object in &objects {
                app.write(object, &mut text);
                ends.push(text.pending());
            }
            eval::Sink::end(&mut text);
            text.finish() + "\n"
        }
    };
    let count = objects.len();
    app.objects = objects;
    AppText {
        name: app.name.to_owned(),
        env: env.map_or(DEFAULT_ENV, |env| &env.name).to_owned(),
        objects: count,
        text,
        format,
        ends,
    }
}

/// Writes objects as a stream of YAML documents.
pub fn yaml<'a>(objects: impl IntoIterator<Item = &'a Object>) -> String {
    let mut text = eval::YamlText::new();
    for object in objects {
        text.document();
        eval::pour(&object.json, &mut text);
    }
    text.finish()
}

/// Writes objects as one indented JSON list.
pub fn json<'a>(objects: impl IntoIterator<Item = &'a Object>) -> String {
    let mut objects = objects.into_iter().peekable();
    let mut text = eval::JsonText::new(true);
    eval::Sink::list(&mut text, objects.peek().is_none());
    for object in objects {
        eval::pour(&object.json, &mut text);
    }
    eval::Sink::end(&mut text);
    text.finish() + "\n"
}

/// Checks, evaluates every wanted environment, and makes of each app what `each` returns.
pub(crate) fn run<R: Send + Outcome>(
    project: &Project,
    options: &BuildOptions,
    each: impl Fn(Option<&Environment>, &mut eval::App<'_, '_>, &Sources, &Program) -> R + Sync,
) -> (Vec<R>, Vec<Diagnostic>) {
    run_with(project, options, true, each)
}

/// As [`run`], but for the rules over the whole set: to look at values that may break them.
pub(crate) fn run_loosely<R: Send + Outcome>(
    project: &Project,
    options: &BuildOptions,
    each: impl Fn(Option<&Environment>, &mut eval::App<'_, '_>, &Sources, &Program) -> R + Sync,
) -> (Vec<R>, Vec<Diagnostic>) {
    run_with(project, options, false, each)
}

fn run_with<R: Send + Outcome>(
    project: &Project,
    options: &BuildOptions,
    has_rules: bool,
    each: impl Fn(Option<&Environment>, &mut eval::App<'_, '_>, &Sources, &Program) -> R + Sync,
) -> (Vec<R>, Vec<Diagnostic>) {
    let environments = project.environments();
    let prepared = prepare(project, &environments, options);
    let (mut diagnostics, wanted) = (prepared.diagnostics, prepared.wanted);
    let mut apps = Vec::new();
    let mut whole = Whole::new(wanted.iter().copied());
    let shared = SharedNames::of(project);
    if !diagnostics.iter().any(Diagnostic::is_error) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for env in wanted {
            let version = env.map_or(project.manifest.kubernetes, |env| env.kubernetes);
            let Some(program) = prepared.programs.get(&version) else {
                continue;
            };
            let id = env.and_then(|env| program.env(&env.name));
            let options = eval::Options { env: id, threads };
            let in_force = InForce::of(program, env, &shared);
            let name = env.map(|env| &*env.name);
            let built = |app: &mut eval::App<'_, '_>| {
                let facts = whole::facts(app, &in_force);
                (each(env, app, &project.sources, program), facts)
            };
            let sharing_of = |pieces: &[eval::Piece<(R, UnitFacts)>]| {
                let units = pieces.iter().map(|piece| &piece.result.1);
                Sharing::of(name, units.enumerate())
            };
            let left_out = |pieces: &[eval::Piece<(R, UnitFacts)>]| sharing_of(pieces).aside();
            let (pieces, more) =
                eval::evaluate_pieces(program, options, |_, _| true, built, left_out);
            let sharing = sharing_of(&pieces);
            let is_whole = (more.diagnostics.is_empty() || !pieces.is_empty())
                && pieces.iter().all(eval::Piece::is_sound);
            let found = pieces.iter().map(|piece| &*piece.diagnostics);
            add(&mut diagnostics, eval::gather(found, more.diagnostics));
            let objects = pieces.iter().enumerate().flat_map(|(unit, piece)| {
                let objects = piece.objects.iter().enumerate();
                objects.map(move |(at, object)| (unit, at, object))
            });
            add(&mut diagnostics, sharing.duplicates(objects, name));
            let mut facts = Vec::with_capacity(pieces.len());
            for (unit, piece) in pieces.into_iter().enumerate() {
                let (mut outcome, own) = piece.result;
                if !sharing.left_out(unit).is_empty() {
                    outcome.leave_out(sharing.left_out(unit));
                }
                apps.push(outcome);
                facts.push(own);
            }
            // Half a set breaks rules that the whole one keeps.
            if has_rules && is_whole {
                let found = whole.check(version, env, facts.iter(), &sharing, &more.exempted);
                add(&mut diagnostics, found);
                if let Some(env) = env {
                    add(&mut diagnostics, whole.clashes(env, facts.iter()));
                }
            }
        }
        let is_all = options.env.is_none() && options.cluster.is_none();
        if has_rules && is_all && !diagnostics.iter().any(Diagnostic::is_error) {
            add(&mut diagnostics, whole.needless());
        }
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        apps.clear();
    }
    sort(&mut diagnostics);
    (apps, diagnostics)
}

/// What is known before anything is evaluated.
pub(crate) struct Prepared<'e> {
    /// What was found while loading and checking.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The environments to build; none for a project without.
    pub(crate) wanted: Vec<Option<&'e Environment>>,
    /// The checked programs.
    pub(crate) programs: BTreeMap<KubeVersion, Arc<Program>>,
}

/// Checks a project for its environments.
pub(crate) fn prepare<'e>(
    project: &Project,
    environments: &'e [Environment],
    options: &BuildOptions,
) -> Prepared<'e> {
    let mut diagnostics = project.loading_diagnostics(environments);
    let wanted = wanted(environments, options).unwrap_or_else(|diagnostic| {
        diagnostics.push(*diagnostic);
        Vec::new()
    });
    let versions: Vec<KubeVersion> = match environments.is_empty() {
        true => vec![project.manifest.kubernetes],
        false => environments.iter().map(|env| env.kubernetes).collect(),
    };
    let mut programs: BTreeMap<KubeVersion, Arc<Program>> = BTreeMap::new();
    let mut by_version = Vec::new();
    for version in versions {
        if let Entry::Vacant(place) = programs.entry(version) {
            let (program, found) = project.checked(version);
            by_version.push((version, found));
            place.insert(program);
        }
    }
    let named = options.env.as_deref();
    add(
        &mut diagnostics,
        of_versions(project, by_version, environments, named),
    );
    Prepared {
        diagnostics,
        wanted,
        programs,
    }
}

/// Adds diagnostics that were not said yet. What goes wrong in several environments alike is said
/// once, for the first.
pub(crate) fn add(diagnostics: &mut Vec<Diagnostic>, found: Vec<Diagnostic>) {
    for diagnostic in found {
        let is_same = |other: &Diagnostic| {
            (other.code, &other.message, &other.labels)
                == (diagnostic.code, &diagnostic.message, &diagnostic.labels)
        };
        if !diagnostics.iter().any(is_same) {
            diagnostics.push(diagnostic);
        }
    }
}

/// The environments to build: the named one, else all that are not only there to be extended.
pub(crate) fn wanted<'a>(
    environments: &'a [Environment],
    options: &BuildOptions,
) -> Result<Vec<Option<&'a Environment>>, Box<Diagnostic>> {
    if let Some(name) = &options.env {
        return Ok(vec![Some(find(environments, name)?)]);
    }
    if environments.is_empty() {
        return Ok(vec![None]);
    }
    let fits = |env: &&Environment| match &options.cluster {
        Some(cluster) => env.cluster.as_ref() == Some(cluster),
        None => !env.is_base,
    };
    let wanted: Vec<_> = environments.iter().filter(fits).map(Some).collect();
    match &options.cluster {
        Some(cluster) if wanted.is_empty() => Err(no_environment_for(cluster, environments)),
        _ => Ok(wanted),
    }
}

/// Nothing to build for a cluster would mean to remove all that runs there: it is a mistake.
fn no_environment_for(cluster: &str, environments: &[Environment]) -> Box<Diagnostic> {
    let known: Vec<String> = environments
        .iter()
        .filter_map(|env| Some(format!("`{}` is for `{}`", env.name, env.cluster.as_ref()?)))
        .collect();
    let mut diagnostic = Diagnostic::error(
        "E0906",
        format!("no environment is for the cluster `{cluster}`"),
    )
    .help(format!("set `cluster = \"{cluster}\"` in one of them"));
    if let Some(first) = environments.first() {
        diagnostic = diagnostic.label(first.span, "the environments begin here");
    }
    if !known.is_empty() {
        diagnostic = diagnostic.note(known.join(", "));
    }
    Box::new(diagnostic)
}
