//! Beside the lines of apps and environments: what a field's value is in the end, and which layer set it.
//!
//! A literal that is in effect everywhere says so itself; a hint stands where another layer wins, where a value is
//! computed, and where an environment replaces something.

use std::ops::Range;

use ordain_lang_eval::Effective;
use ordain_lang_syntax::ast::ExprKind;
use ordain_lang_types::program::EnvId;

use super::values::{self, Line};
use crate::view::View;

/// A hint after a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hint {
    /// Where it stands.
    pub(crate) offset: u32,
    /// What it says.
    pub(crate) label: String,
    /// What it says when pointed at.
    pub(crate) tooltip: String,
}

/// Returns the hints of a part of the asked file.
pub(crate) fn hints(view: &View<'_>, part: &Range<u32>) -> Vec<Hint> {
    let envs = values::environments(view);
    let mut lines = values::lines(view);
    lines.retain(|line| part.start <= line.span.end && line.span.start <= part.end);
    if lines.is_empty() || !view.analysis.is_sound {
        return Vec::new();
    }
    let mut hints = Vec::new();
    let mut apps: Vec<_> = lines.iter().map(|line| line.app).collect();
    apps.sort_unstable();
    apps.dedup();
    for app in apps {
        let mine: Vec<&Line<'_>> = lines.iter().filter(|line| line.app == app).collect();
        let paths: Vec<_> = mine.iter().map(|line| line.path.clone()).collect();
        let by_env: Vec<(EnvId, &str, Vec<Option<Effective>>)> = envs
            .iter()
            .map(|(env, name)| {
                let found = values::values(view, Some(*env), app, &paths);
                (*env, name.as_str(), found)
            })
            .collect();
        for (at, line) in mine.iter().enumerate() {
            let of_line: Vec<(&str, &Effective)> = by_env
                .iter()
                .filter(|(env, ..)| is_in_chain(view, *env, line.env))
                .filter_map(|(_, name, found)| Some((*name, found.get(at)?.as_ref()?)))
                .collect();
            hints.extend(hint(view, line, &of_line));
        }
    }
    hints.sort_by_key(|hint| hint.offset);
    hints
}

/// Whether a layer has a say in an environment.
fn is_in_chain(view: &View<'_>, env: EnvId, layer: Option<EnvId>) -> bool {
    let Some(layer) = layer else { return true };
    let env = view.program().envs.get(env.index());
    env.is_some_and(|env| env.chain.contains(&layer))
}

fn hint(view: &View<'_>, line: &Line<'_>, found: &[(&str, &Effective)]) -> Option<Hint> {
    let wins = |one: &Effective| {
        one.sources.first().is_some_and(|source| {
            source.span.file == line.span.file
                && line.span.start <= source.span.start
                && source.span.end <= line.span.end
        })
    };
    let is_literal = matches!(
        line.value.kind,
        ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Unit(_)
            | ExprKind::Null
    );
    let is_in_effect = found.iter().all(|(_, one)| wins(one));
    let label = if found.is_empty() {
        return None;
    } else if !is_in_effect {
        by_environment(view, found, &wins)
    } else if !is_literal && is_scalar(found) {
        match found.iter().all(|(_, one)| one.value == found[0].1.value) {
            true => format!("= {}", found[0].1.value),
            false => by_environment(view, found, &wins),
        }
    } else {
        replaced(view, line)?
    };
    let mut tooltip = String::new();
    for (name, one) in found {
        tooltip.push_str(&format!("{name}: {}\n", one.value));
        for source in &one.sources {
            let at = view.project.sources.place(source.span);
            tooltip.push_str(&format!("  {} {at}\n", values::layer(view, source)));
        }
    }
    Some(Hint {
        offset: line.span.end,
        label,
        tooltip: tooltip.trim_end().to_owned(),
    })
}

/// `dev: 2 · prod: 6 (env prod)`: the layer where it is not the line itself.
fn by_environment(
    view: &View<'_>,
    found: &[(&str, &Effective)],
    wins: &dyn Fn(&Effective) -> bool,
) -> String {
    let one = |(name, one): &(&str, &Effective)| match one.sources.first() {
        Some(source) if !wins(one) => {
            format!("{name}: {} ({})", one.value, values::layer(view, source))
        }
        _ => format!("{name}: {}", one.value),
    };
    let parts: Vec<String> = found.iter().map(one).collect();
    parts.join(" · ")
}

/// Only a value that is short in the source is worth showing again.
fn is_scalar(found: &[(&str, &Effective)]) -> bool {
    found
        .iter()
        .all(|(_, one)| !one.value.starts_with(['{', '[']) && !one.value.ends_with('}'))
}

/// What an environment's line replaces: the value without this environment.
fn replaced(view: &View<'_>, line: &Line<'_>) -> Option<String> {
    let env = view.program().envs.get(line.env?.index())?;
    let below = env.chain.iter().rev().nth(1).copied();
    let paths = [line.path.clone()];
    let was = values::values(view, below, line.app, &paths).pop()??;
    let source = was.sources.first()?;
    Some(format!(
        "was {} ({})",
        was.value,
        values::layer(view, source)
    ))
}
