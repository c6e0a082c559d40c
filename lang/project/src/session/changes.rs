//! What an edit of a file with environments means to the objects, where only a check of the whole tells what it means to
//! the types: the apps whose text in the environments is another one than before.

use std::collections::HashMap;

use ordain_lang_syntax::{Name, Span};

use super::built::Built;
use super::graph::Set;
use super::outline::Outline;
use super::statics::Statics;
use super::store::Units;
use super::{units_of, units_reading};
use crate::load::Project;

/// An edit of one file: its outlines and texts.
pub(super) struct Changes<'c> {
    old: (&'c Outline, &'c str),
    new: (&'c Outline, &'c str),
}

impl Changes<'_> {
    /// Outdates what a module's edit reaches since the last look at it, when it speaks of apps of others.
    pub(super) fn told(project: &Project, statics: &Statics, module: usize, built: &mut Built) {
        let file = project.modules[module].file;
        let (old, new) = (
            &statics.graph.outlines[module],
            Outline::of(&project.modules[module].parsed.file),
        );
        if !old.is_whole() && !new.is_whole() {
            return;
        }
        built.take_settings();
        let Some(old_text) = statics.text(module) else {
            built.outdate(0..built.units.all.len());
            return;
        };
        let new_text = project.sources.text(file);
        let changes = Changes {
            old: (old, old_text),
            new: (&new, new_text),
        };
        match changes.units(statics, &built.units, module) {
            Some(units) => built.outdate(units),
            None => built.outdate(0..built.units.all.len()),
        }
        // Places before the first change are where they were.
        let same = old_text.bytes().zip(new_text.bytes());
        let same = same.take_while(|(old, new)| old == new).count();
        let pointing = built.pointing_to(file, u32::try_from(same).unwrap_or(0));
        built.outdate(pointing);
    }

    /// The units whose objects may be others. None for all.
    fn units(&self, statics: &Statics, units: &Units, module: usize) -> Option<Set> {
        let frames = |(outline, text): (&Outline, &str)| -> Vec<Vec<String>> {
            let texts = |spans: &[Span]| spans.iter().map(|s| slice(text, *s).to_owned()).collect();
            outline.envs.iter().map(|env| texts(&env.frame)).collect()
        };
        if frames(self.old) != frames(self.new) {
            return None;
        }
        let plain = |(outline, text): (&Outline, &str)| -> Vec<String> {
            let items = outline.plain.iter();
            items.map(|span| slice(text, *span).to_owned()).collect()
        };
        let mut all = match plain(self.old) == plain(self.new) {
            true => Set::new(),
            false => units_of(statics, units, &Set::from([module])),
        };
        let graph = &statics.graph;
        let ops = |(outline, text): (&Outline, &str)| -> HashMap<Name, Vec<(usize, String)>> {
            let mut ops: HashMap<Name, Vec<(usize, String)>> = HashMap::new();
            for (at, env) in outline.envs.iter().enumerate() {
                for op in &env.ops {
                    let text = slice(text, op.span).to_owned();
                    ops.entry(op.target).or_default().push((at, text));
                }
            }
            ops
        };
        let (old, new) = (ops(self.old), ops(self.new));
        let mut apps = Set::new();
        for name in old.keys().chain(new.keys()) {
            if old.get(name) == new.get(name) {
                continue;
            }
            // A setting, or a name that is no app's.
            apps.insert(graph.app(name)?);
        }
        all.extend(units_reading(statics, units, &apps));
        Some(all)
    }
}

/// The text under a span; empty when it does not fit.
fn slice(text: &str, span: Span) -> &str {
    text.get(span.range()).unwrap_or("")
}
