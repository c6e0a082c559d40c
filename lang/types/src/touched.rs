//! What environments set, by path: two values at one level, and what a `final` forbids.

use std::collections::HashMap;

use ordain_lang_syntax::ast::{Record, SegmentKind};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use crate::checker::Checker;
use crate::infer::{Op, Place, Pm, Rule};
use crate::program::AppId;
use crate::ty::{Ty, TyKind};

/// Constant paths into apps, and where they are written.
type Paths = HashMap<AppId, HashMap<String, Span>>;

/// What an environment's changes did, by path.
#[derive(Default)]
pub(crate) struct Touched {
    set: Paths,
    pub(crate) finals: Paths,
    /// What the environments it extends made final.
    pub(crate) above: Vec<Paths>,
}

impl Touched {
    /// The final path at or above a path, which an earlier environment or an earlier line made so.
    fn final_above(&self, app: AppId, key: &str) -> Option<(String, Span)> {
        let within = |outer: &str| {
            key.strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let all = self
            .above
            .iter()
            .chain([&self.finals])
            .filter_map(|p| p.get(&app))
            .flatten();
        let found = all
            .filter(|(path, _)| within(path))
            .min_by(|a, b| a.0.cmp(b.0));
        found.map(|(path, span)| (path.clone(), *span))
    }

    /// Where this environment set exactly this path.
    fn first_set(&self, app: AppId, key: &str) -> Option<Span> {
        self.set.get(&app)?.get(key).copied()
    }
}

impl<'a> Checker<'a> {
    /// Remembers that a place was set; tells when the same environment set it before, or a base made it final.
    pub(crate) fn touch(
        &mut self,
        app: AppId,
        place: &Place,
        is_final: bool,
        touch: &mut Touched,
    ) -> bool {
        let Some(key) = place.key.clone() else {
            return false;
        };
        self.touch_key(app, key, place.span, is_final, touch)
    }

    fn touch_key(
        &mut self,
        app: AppId,
        key: String,
        span: Span,
        is_final: bool,
        touch: &mut Touched,
    ) -> bool {
        if let Some((path, at)) = touch.final_above(app, &key) {
            let diagnostic = Diagnostic::error(
                "E0303",
                format!("`{}` is final", path.trim_start_matches('.')),
            )
            .label(span, "set here")
            .label(at, "made final here")
            .help("remove this, or `final` there");
            self.report(diagnostic);
            return true;
        }
        if let Some(first) = touch.first_set(app, &key) {
            let diagnostic = Diagnostic::error(
                "E0512",
                format!(
                    "this environment sets `{}` twice",
                    key.trim_start_matches('.')
                ),
            )
            .label(span, "set again here")
            .label(first, "set first here")
            .help("remove one of them");
            self.report(diagnostic);
            return true;
        }
        if is_final {
            touch
                .finals
                .entry(app)
                .or_default()
                .insert(key.clone(), span);
        }
        touch.set.entry(app).or_default().insert(key, span);
        false
    }

    /// The same for the constant paths inside braces.
    pub(crate) fn touch_inside(
        &mut self,
        app: AppId,
        place: &Place,
        record: &'a Record,
        touch: &mut Touched,
    ) -> bool {
        let Some(base) = &place.key else { return false };
        let mut conflict = false;
        let base = base.clone();
        for member in self.members(&record.members) {
            let Pm::Field { path, field, op } = member else {
                continue;
            };
            let mut key = base.clone();
            let constant = path.iter().all(|segment| match &segment.kind {
                SegmentKind::Name(name) => {
                    key.push('.');
                    key.push_str(name.as_str());
                    true
                }
                _ => false,
            });
            let (Some(first), Some(last), true) = (path.first(), path.last(), constant) else {
                continue;
            };
            let span = first.span.to(last.span);
            match op {
                // Twice in the same braces is told as a field set twice.
                Op::Set(_)
                    if touch.first_set(app, &key).is_some_and(|s| {
                        record.span.start <= s.start
                            && s.end <= record.span.end
                            && s.file == record.span.file
                    }) => {}
                Op::Set(_) => conflict |= self.touch_key(app, key, span, field.is_final, touch),
                Op::Amend(inner) => {
                    let inner_place = Place {
                        steps: Vec::new(),
                        ty: Ty::ERROR,
                        rule: Rule::None,
                        key: Some(key),
                        span,
                    };
                    conflict |= self.touch_inside(app, &inner_place, inner, touch);
                }
                _ => {}
            }
        }
        conflict
    }

    /// Fields that an app only declares must be set by every environment that is built.
    pub(crate) fn unset_fields(&mut self, touched: &[Touched]) {
        let extended: Vec<usize> = self
            .envs
            .iter()
            .flat_map(|e| {
                e.chain
                    .iter()
                    .rev()
                    .skip(1)
                    .map(|e| e.index())
                    .collect::<Vec<_>>()
            })
            .collect();
        for app in (0..self.apps.len()).map(AppId::new) {
            let record = self.apps[app.index()].record;
            // What may be absent is absent where nobody sets it.
            let may_be_absent = |ty: Ty| {
                matches!(
                    self.kind(ty),
                    TyKind::Optional(_) | TyKind::Null | TyKind::Any
                )
            };
            let declared: Vec<(Name, Option<Span>)> = self
                .types
                .record(record)
                .fields
                .iter()
                .filter(|f| f.required && f.default.is_none() && f.ty != Ty::ERROR)
                .filter(|f| !may_be_absent(f.ty))
                .map(|f| (f.name, f.span))
                .collect();
            for (name, span) in declared {
                let key = format!(".{name}");
                let unset: Vec<usize> = (0..self.envs.len())
                    .filter(|at| {
                        let set = self.envs[*at].chain.iter().any(|e| {
                            let paths = touched[e.index()].set.get(&app);
                            paths.is_some_and(|p| p.iter().any(|(path, _)| path.starts_with(&key)))
                        });
                        !set && !extended.contains(at)
                    })
                    .collect();
                let Some(first) = unset.first() else { continue };
                let app_name = self.apps[app.index()].decl.name.name;
                let names: Vec<String> = unset
                    .iter()
                    .map(|at| format!("`{}`", self.envs[*at].decl.name.name))
                    .collect();
                let message = match names.as_slice() {
                    [one] => format!("the environment {one} does not set `{app_name}.{name}`"),
                    [.., last] => format!(
                        "the environments {} and {last} do not set `{app_name}.{name}`",
                        names[..names.len() - 1].join(", ")
                    ),
                    [] => continue,
                };
                let mut diagnostic = Diagnostic::error("E0306", message)
                    .label(self.envs[*first].decl.name.span, "this environment")
                    .help(format!(
                        "add `{app_name}.{name} = …`, or give it a value in the app"
                    ));
                for more in &unset[1..] {
                    let span = self.envs[*more].decl.name.span;
                    diagnostic = diagnostic.label(span, "and this one");
                }
                if let Some(span) = span {
                    diagnostic = diagnostic.label(span, "declared without a value");
                }
                self.report(diagnostic);
            }
        }
    }
}
