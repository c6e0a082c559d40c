//! Building straight to an output: what is written is not held beside what it is written from.
//!
//! A program of one app is checked while its values live, and written from them; of several apps, each text is let go
//! once it is written. What comes out is what [`build_text`] and [`Texts::joined`](crate::Texts::joined) make.

use std::sync::{Mutex, PoisonError};

use ordain_lang_eval as eval;
use ordain_lang_syntax::Diagnostic;
use ordain_lang_syntax::ast::ItemKind;

use crate::build::{BuildOptions, Format, add, build_text, prepare};
use crate::check::{Environment, sort};
use crate::in_force::InForce;
use crate::load::Project;
use crate::shared::{SharedNames, Sharing};
use crate::whole::{self, Whole};

/// How much text is gathered before it is written, in bytes.
const CHUNK: usize = 64 << 10;

/// Where a build is written to.
pub trait Out: Send {
    /// Why it can take no more.
    type Error: Send;

    /// Takes note of everything that was found, in the order of the sources: once, and before any text. With an error
    /// among it there is no text.
    ///
    /// # Errors
    /// When the build need not go on.
    fn found(&mut self, diagnostics: &[Diagnostic]) -> Result<(), Self::Error>;

    /// Takes a part of the text. Parts end between objects, or are longer than any.
    ///
    /// # Errors
    /// When it could not be written.
    fn text(&mut self, text: &str) -> Result<(), Self::Error>;
}

/// Builds as [`build_text`] does, and writes the objects as one stream of YAML documents or one JSON list. Returns
/// whether there was no error in the program.
///
/// # Errors
/// Those of `out`.
pub fn build_to<O: Out>(
    project: &Project,
    options: &BuildOptions,
    format: Format,
    out: &mut O,
) -> Result<bool, O::Error> {
    let environments = project.environments();
    if let Some(done) = in_one_piece(project, &environments, options, format, out) {
        return done;
    }
    let built = build_text(project, options, format);
    out.found(&built.diagnostics)?;
    if !built.is_ok() {
        return Ok(false);
    }
    let mut is_first = true;
    for app in built.apps.into_iter().filter(|app| app.objects > 0) {
        let text = match format {
            Format::Yaml => &*app.text,
            Format::Json => app.text.trim_end_matches(['\n', ']']),
        };
        match (std::mem::take(&mut is_first), format) {
            (true, _) => out.text(text)?,
            (false, Format::Yaml) => {
                out.text("---\n")?;
                out.text(text)?;
            }
            (false, Format::Json) => {
                out.text(",")?;
                out.text(text.trim_start_matches('['))?;
            }
        }
    }
    match (is_first, format) {
        (_, Format::Yaml) => {}
        (true, Format::Json) => out.text("[]\n")?,
        (false, Format::Json) => out.text("\n]\n")?,
    }
    Ok(true)
}

/// Builds a program of one app in one environment. None when it is another one.
fn in_one_piece<O: Out>(
    project: &Project,
    environments: &[Environment],
    options: &BuildOptions,
    format: Format,
    out: &mut O,
) -> Option<Result<bool, O::Error>> {
    if !seems_one_piece(project) {
        return None;
    }
    let prepared = prepare(project, environments, options);
    let [env] = prepared.wanted[..] else {
        return None;
    };
    let version = env.map_or(project.manifest.kubernetes, |env| env.kubernetes);
    let program = prepared.programs.get(&version)?;
    if !eval::is_one_piece(program) {
        return None;
    }
    let mut found = prepared.diagnostics;
    if found.iter().any(Diagnostic::is_error) {
        sort(&mut found);
        return Some(out.found(&found).map(|()| false));
    }
    let is_all = options.env.is_none() && options.cluster.is_none();
    let in_force = InForce::of(program, env, &SharedNames::of(project));
    let evaluation = eval::Options {
        env: env.and_then(|env| program.env(&env.name)),
        threads: 1,
    };
    let state = Mutex::new((found, out, None));
    let each = |app: &mut eval::App<'_, '_>| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, out, done) = &mut *state;
        let own = eval::gather([app.diagnostics()].into_iter(), Vec::new());
        let is_whole = !own.iter().any(Diagnostic::is_error);
        add(found, own);
        let facts = whole::facts(app, &in_force);
        let name = env.map(|env| &*env.name);
        let sharing = Sharing::of(name, [(0, &facts)].into_iter());
        let objects = app.objects.iter().enumerate();
        let objects = objects.map(|(at, object)| (0, at, object));
        add(found, sharing.duplicates(objects, name));
        if is_whole {
            let mut whole = Whole::new([env].into_iter());
            let broken = whole.check(version, env, [&facts].into_iter(), &sharing, &[]);
            add(found, broken);
            if is_all && !found.iter().any(Diagnostic::is_error) {
                add(found, whole.needless());
            }
        }
        sort(found);
        let mut at = 0..;
        app.objects.retain(|_| {
            let at = at.next().unwrap_or_default();
            sharing.left_out(0).binary_search(&at).is_err()
        });
        *done = Some(match out.found(found) {
            Ok(()) if found.iter().any(Diagnostic::is_error) => Ok(false),
            Ok(()) => write(app, format, *out).map(|()| true),
            Err(error) => Err(error),
        });
    };
    // There are no policies.
    let (_, more) = eval::evaluate_pieces(program, evaluation, |_, _| true, each, |_| Vec::new());
    let (mut found, out, done) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if done.is_none() {
        // The system gave no thread to evaluate on.
        found.extend(more.diagnostics);
        return Some(out.found(&found).map(|()| false));
    }
    done
}

/// Whether a look at the syntax says that there is one app, and nothing that looks at it afterwards.
fn seems_one_piece(project: &Project) -> bool {
    let items = project
        .modules
        .iter()
        .flat_map(|module| &module.parsed.file.items);
    let (mut apps, mut has_exports) = (0, false);
    for item in items {
        match item.kind {
            ItemKind::App(_) => apps += 1,
            ItemKind::Export(_) => has_exports = true,
            ItemKind::Policy(_) => return false,
            _ => {}
        }
    }
    apps == 1 || (apps == 0 && has_exports && project.modules.len() == 1)
}

/// Writes the objects of an app.
fn write<O: Out>(app: &mut eval::App<'_, '_>, format: Format, out: &mut O) -> Result<(), O::Error> {
    let objects = std::mem::take(&mut app.objects);
    let written = match format {
        Format::Yaml => {
            let mut text = eval::YamlText::new();
            let mut result = Ok(());
            for object in &objects {
                text.document();
                app.write(object, &mut text);
                if text.pending() >= CHUNK {
                    result = text.give(|part| out.text(part));
                }
                if result.is_err() {
                    break;
                }
            }
            result.and_then(|()| out.text(&text.finish()))
        }
        Format::Json => {
            let mut text = eval::JsonText::new(true);
            eval::Sink::list(&mut text, objects.is_empty());
            let mut result = Ok(());
            for object in &objects {
                app.write(object, &mut text);
                if text.pending() >= CHUNK {
                    result = text.give(|part| out.text(part));
                }
                if result.is_err() {
                    break;
                }
            }
            eval::Sink::end(&mut text);
            result.and_then(|()| out.text(&(text.finish() + "\n")))
        }
    };
    app.objects = objects;
    written
}
