//! Edits of the sources that give fields other values: found by the lines that decide them, proven by building.
//!
//! Nothing is believed: an edit counts when every object but the wanted one stays as it is, and that one becomes exactly
//! what it is to be. A value that others share is left alone; the app's own environment gets a line instead.

mod place;
mod target;
#[cfg(test)]
mod tests;
mod tries;
mod words;

use super::compiler::Current;
use ordain_lang_project::{App, BuildOptions, Project, Session};
use ordain_lang_syntax::{Diagnostic, Span};
use ordain_reconciler_engine::{FieldEdit, Rewritten};
use ordain_reconciler_source::TreeFiles;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use target::{Step, first_difference, get, is_same, put, steps};
use tries::{Field, Try, Where};

/// How far up an edit that cannot be written is made a wider one: an element, then its list, then what holds that.
const LIFTS_MAX: usize = 2;

/// Finds the new texts of the files that have to change.
///
/// # Errors
/// Why no edit was found, with the place where the value comes from.
pub(super) fn rewrite(tree: &Arc<TreeFiles>, edits: &[FieldEdit]) -> Result<Rewritten, String> {
    let session = Session::new(Current::new(tree));
    let read = |path: &str| {
        let bytes = tree.read(path).ok()?;
        String::from_utf8(bytes).ok()
    };
    edited(session, &read, edits)
}

/// Where one object is among what is built.
struct Place {
    app: usize,
    object: usize,
}

/// The state of the sources while they are edited.
struct Work<'r> {
    session: Session,
    read: &'r dyn Fn(&str) -> Option<String>,
    files: BTreeMap<String, String>,
    built: Vec<Arc<App>>,
    notes: Vec<String>,
}

fn edited(
    mut session: Session,
    read: &dyn Fn(&str) -> Option<String>,
    edits: &[FieldEdit],
) -> Result<Rewritten, String> {
    let built = build(&mut session)
        .map_err(|error| format!("the sources do not build: {}", told(&error)))?;
    let mut work = Work {
        session,
        read,
        files: BTreeMap::new(),
        built,
        notes: Vec::new(),
    };
    // What is removed goes last, and from the end, so that positions mean the same all the time.
    let (sets, mut gone): (Vec<_>, Vec<_>) = edits.iter().partition(|edit| edit.to.is_some());
    gone.reverse();
    let ordered: Vec<&FieldEdit> = sets.into_iter().chain(gone).collect();
    let mut left = ordered;
    loop {
        let (mut failed, count) = (Vec::new(), left.len());
        for edit in left {
            match work.one(edit, edits.len() > 1) {
                Ok(()) => {}
                Err(Refused::Otherwise(why)) => failed.push((edit, why)),
                // No other edit makes it right.
                Err(Refused::Rule(why)) => return Err(why),
            }
        }
        if failed.is_empty() {
            break;
        }
        // What is wrong without another edit may be right after it, or together with it.
        if failed.len() < count {
            left = failed.into_iter().map(|(edit, _)| edit).collect();
            continue;
        }
        let why = failed[0].1.clone();
        let rest: Vec<&FieldEdit> = failed.into_iter().map(|(edit, _)| edit).collect();
        if rest.len() == 1 || !work.together(&rest) {
            return Err(why);
        }
        break;
    }
    Ok(Rewritten {
        files: work.files,
        notes: work.notes,
    })
}

fn build(session: &mut Session) -> Result<Vec<Arc<App>>, Box<Diagnostic>> {
    let built = session.build(&BuildOptions {
        env: None,
        cluster: None,
    });
    match built
        .diagnostics
        .iter()
        .find(|found| Diagnostic::is_error(found))
    {
        Some(error) => Err(Box::new(error.clone())),
        None => Ok(built.apps),
    }
}

fn told(error: &Diagnostic) -> String {
    format!("{} ({})", error.message, error.code)
}

/// Why no edit was found.
enum Refused {
    /// A rule of the sources forbids the value, wherever it is written: an amendment of the object would only evade it.
    Rule(String),
    Otherwise(String),
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused::Otherwise(why)
    }
}

fn name_of(object: &Value) -> (&str, &str) {
    let text = |at: &str| {
        object
            .pointer(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    (text("/kind"), text("/metadata/name"))
}

impl Work<'_> {
    fn place(&self, edit: &FieldEdit) -> Result<Place, String> {
        let is_app = |app: &Arc<App>| app.env == edit.env && app.name == edit.app;
        let app = self.built.iter().position(is_app);
        let app = app.ok_or_else(|| format!("no app `{}` is in `{}`", edit.app, edit.env))?;
        let is_it = |json: &Value| name_of(json) == (edit.kind.as_str(), edit.name.as_str());
        let objects = &self.built[app].objects;
        let mut found = (0..objects.len()).filter(|at| is_it(&objects[*at].json));
        let object = found
            .next()
            .ok_or_else(|| format!("no app declares {} {}", edit.kind, edit.name))?;
        match found.next() {
            Some(_) => Err(format!(
                "`{}` has several {} {}",
                edit.app, edit.kind, edit.name
            )),
            None => Ok(Place { app, object }),
        }
    }

    /// The object as it is, and as it is to be.
    fn wanted(&self, place: &Place, edits: &[&FieldEdit]) -> Result<(Value, Value), String> {
        let object = self.built[place.app].objects[place.object].json.clone();
        let mut wanted = object.clone();
        for edit in edits {
            if !put(&mut wanted, &steps(&edit.path), edit.to.as_ref()) {
                return Err(format!("{} is no place in the sources", edit.path));
            }
        }
        Ok((object, wanted))
    }

    /// Edits one field.
    fn one(&mut self, edit: &FieldEdit, has_others: bool) -> Result<(), Refused> {
        let place = self.place(edit)?;
        let (object, wanted) = self.wanted(&place, &[edit])?;
        let path = steps(&edit.path);
        let gone: Vec<Vec<Step>> = match edit.to {
            Some(_) => Vec::new(),
            None => vec![path.clone()],
        };
        if is_same(&wanted, &object, &gone) {
            return Ok(());
        }
        let mut why = None;
        let mut line = None;
        for lift in 0..=LIFTS_MAX {
            let Some(end) = path
                .len()
                .checked_sub(lift)
                .filter(|end| *end > 1 || lift == 0)
            else {
                break;
            };
            let to = match (lift, &edit.to) {
                (0, to) => to.as_ref(),
                _ => get(&wanted, &path[..end]),
            };
            let field = Field {
                edit,
                steps: &path[..end],
                to,
                object: &object,
                wanted: &wanted,
                has_others,
            };
            let found = tries::tries(self.session.project(), &field);
            line = line.or(found.line.clone());
            let mut is_lawful = lift > 0;
            for one in &found.tries {
                if !is_lawful && !one.is_own {
                    is_lawful = true;
                    self.keeps_rules(&found.tries, &place, &field, found.line.as_deref())?;
                }
                let canonical = one.place != Where::Line;
                match self.accept(one, &place, &wanted, &gone) {
                    Ok(at) => {
                        let note = note(edit, one, &at, found.line.as_deref(), found.is_shared);
                        self.notes.push(note);
                        return Ok(());
                    }
                    Err(reason) if canonical || why.is_none() => {
                        why.get_or_insert(reason);
                    }
                    Err(_) => {}
                }
            }
            if !is_lawful {
                self.keeps_rules(&found.tries, &place, &field, found.line.as_deref())?;
            }
        }
        let to = match &edit.to {
            Some(to) => format!("gives {to}"),
            None => "removes it".to_owned(),
        };
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        let line = line.unwrap_or_else(|| self.built[place.app].objects[place.object].at.clone());
        let why = format!(
            "{} of {} {} comes from {line}, and no edit {to} without changing something else{why}; \
             change it by hand",
            edit.path, edit.kind, edit.name
        );
        Err(Refused::Otherwise(why))
    }

    /// Asks what decides a field whether it may have the value, before anything is amended that stands further out.
    ///
    /// # Errors
    /// With the rule that it breaks.
    fn keeps_rules(
        &mut self,
        tries: &[Try],
        place: &Place,
        field: &Field<'_>,
        line: Option<&str>,
    ) -> Result<(), Refused> {
        let mut broken = None;
        for one in tries.iter().filter(|one| one.is_own) {
            let old = self.text(&one.path);
            self.session.set_text(&one.path, Some(one.text.clone()));
            let built = build(&mut self.session);
            let found = built.as_ref().err().and_then(|error| {
                let project = self.session.project();
                broken_rule(project, error, one, old.as_deref().unwrap_or_default())
            });
            self.session
                .set_text(&one.path, self.files.get(&one.path).cloned());
            match built {
                // It may have the value; others may not.
                Ok(after) if is_there(&after, place, field) => return Ok(()),
                _ => broken = broken.or(found),
            }
        }
        let Some(broken) = broken else {
            return Ok(());
        };
        let edit = field.edit;
        let from = line.map_or_else(String::new, |line| format!(" comes from {line}, and"));
        let to = edit.to.as_ref().unwrap_or(&Value::Null);
        Err(Refused::Rule(format!(
            "{} of {} {}{from} may not be {to}: {broken}; change the rule first, or the object back",
            edit.path, edit.kind, edit.name
        )))
    }

    /// A file as it is by now.
    fn text(&self, path: &str) -> Option<String> {
        match self.files.get(path) {
            Some(text) => Some(text.clone()),
            None => (self.read)(path),
        }
    }

    /// Edits several fields of an object at once, as each of them alone would be wrong.
    fn together(&mut self, edits: &[&FieldEdit]) -> bool {
        let Ok(place) = self.place(edits[0]) else {
            return false;
        };
        let Ok((object, wanted)) = self.wanted(&place, edits) else {
            return false;
        };
        let gone: Vec<Vec<Step>> = (edits.iter())
            .filter(|edit| edit.to.is_none())
            .map(|edit| steps(&edit.path))
            .collect();
        let before = self.files.clone();
        let mut last = None;
        for (at, edit) in edits.iter().enumerate() {
            let path = steps(&edit.path);
            let field = Field {
                edit,
                steps: &path,
                to: edit.to.as_ref(),
                object: &object,
                wanted: &wanted,
                has_others: true,
            };
            let found = tries::tries(self.session.project(), &field);
            let mut env = found
                .tries
                .into_iter()
                .filter(|one| one.place == Where::Env);
            let one = match at {
                // The nicest one names the app's own fields, which is no block.
                0 => env.find(|one| one.text.contains(".objects[")),
                _ => env.find(|one| one.text.contains(".objects[")),
            };
            let Some(one) = one else { break };
            self.session.set_text(&one.path, Some(one.text.clone()));
            self.files.insert(one.path.clone(), one.text.clone());
            last = (at + 1 == edits.len()).then_some(one);
        }
        let accepted = last.and_then(|one| self.accept(&one, &place, &wanted, &gone).ok());
        match accepted {
            Some(at) => {
                let names: Vec<&str> = edits.iter().map(|edit| edit.path.as_str()).collect();
                self.notes.push(format!(
                    "{}: set together for env {} at {at}",
                    names.join(", "),
                    edits[0].env
                ));
                true
            }
            None => {
                for path in self.files.keys() {
                    self.session.set_text(path, before.get(path).cloned());
                }
                self.files = before;
                false
            }
        }
    }

    /// Takes an edit when it gives exactly what is wanted. Returns where it begins.
    fn accept(
        &mut self,
        one: &Try,
        place: &Place,
        wanted: &Value,
        gone: &[Vec<Step>],
    ) -> Result<String, String> {
        let old = self.text(&one.path).ok_or("the file cannot be read")?;
        let first = (self.read)(&one.path).unwrap_or_default();
        let is_formatted = ordain_lang_fmt::format(&first).is_ok_and(|text| text == first);
        let text = match ordain_lang_fmt::format(&one.text) {
            Ok(text) if is_formatted => text,
            Ok(_) => one.text.clone(),
            Err(_) => return Err("it would not be readable".to_owned()),
        };
        self.session.set_text(&one.path, Some(text.clone()));
        let after = build(&mut self.session)
            .map_err(|error| format!("it would not build: {}", told(&error)));
        let proven = after.and_then(|after| {
            proven(&self.built, &after, place, wanted, gone)?;
            Ok(after)
        });
        match proven {
            Ok(after) => {
                self.built = after;
                let line = first_line(&old, &text);
                self.files.insert(one.path.clone(), text);
                Ok(format!("{}:{line}", one.path))
            }
            Err(why) => {
                self.session
                    .set_text(&one.path, self.files.get(&one.path).cloned());
                Err(why)
            }
        }
    }
}

/// Codes of rules that values have, by their types or by the records they stand in.
const VALUE_RULES: [&str; 5] = ["E0203", "E0205", "E0206", "E0211", "E0504"];

/// The rule that what was edited breaks, with its place.
fn broken_rule(project: &Project, error: &Diagnostic, one: &Try, old: &str) -> Option<String> {
    if !VALUE_RULES.contains(&error.code) {
        return None;
    }
    let same =
        |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    let (from, to) = (old.as_bytes(), one.text.as_bytes());
    let start = same(&mut from.iter().copied().zip(to.iter().copied()));
    let ends = from.iter().rev().copied().zip(to.iter().rev().copied());
    let end = to.len() - same(&mut { ends }).min(to.len() - start);
    let is_edited = |span: Span| {
        project.sources.path(span.file) == one.path
            && (span.start as usize) <= end
            && start <= span.end as usize
    };
    let value = (error.labels.iter()).position(|label| is_edited(label.span))?;
    let said = error.labels.iter().find(|label| label.text == "the rule");
    let other = error.labels.iter().enumerate().find(|(at, _)| *at != value);
    let rule = said.or(other.map(|(_, label)| label));
    let at = rule.map_or_else(String::new, |label| {
        format!(", the rule is at {}", project.sources.place(label.span))
    });
    Some(format!("{}{at}", told(error)))
}

/// Whether the field is what it is to be, whatever else is.
fn is_there(built: &[Arc<App>], place: &Place, field: &Field<'_>) -> bool {
    let app = built.get(place.app);
    let object = app.and_then(|app| app.objects.get(place.object));
    object.is_some_and(|object| get(&object.json, field.steps) == field.to)
}

/// Holds that only the wanted object changed, to what it should be.
fn proven(
    before: &[Arc<App>],
    after: &[Arc<App>],
    place: &Place,
    wanted: &Value,
    gone: &[Vec<Step>],
) -> Result<(), String> {
    if before.len() != after.len() {
        return Err("there would be other apps".to_owned());
    }
    for (at, (old, new)) in before.iter().zip(after).enumerate() {
        if Arc::ptr_eq(old, new) {
            if at == place.app {
                return Err("nothing would change".to_owned());
            }
            continue;
        }
        let whole = old.env == new.env && old.name == new.name && old.namespace == new.namespace;
        if !whole || old.cluster != new.cluster || old.objects.len() != new.objects.len() {
            return Err(format!("{}/{} would have other objects", old.env, old.name));
        }
        for (number, (old_one, new_one)) in old.objects.iter().zip(&new.objects).enumerate() {
            if at == place.app && number == place.object {
                if let Some(path) = first_difference(wanted, &new_one.json, gone) {
                    return Err(format!("{path} would not be as it is in the cluster"));
                }
            } else if old_one.json != new_one.json {
                let (kind, name) = name_of(&old_one.json);
                let app = format!("{}/{}", old.env, old.name);
                return Err(format!("{kind} {name} of {app} would change as well"));
            }
        }
    }
    Ok(())
}

/// The number of the first line that is another one.
fn first_line(old: &str, new: &str) -> usize {
    let same = (old.lines().zip(new.lines())).take_while(|(old, new)| old == new);
    same.count() + 1
}

/// Where a field was edited, and why there.
fn note(edit: &FieldEdit, one: &Try, at: &str, line: Option<&str>, is_shared: bool) -> String {
    let path = &edit.path;
    let done = match edit.to {
        Some(_) => "set",
        None => "removed",
    };
    match (one.place, line) {
        (Where::Line, _) => format!("{path}: {done} at {at}"),
        (Where::Env, Some(line)) if is_shared => format!(
            "{path}: {done} for env {} at {at}; {line}, which others share, stays as it is",
            edit.env
        ),
        (Where::Env, Some(line)) => format!(
            "{path}: {done} for env {} at {at}; {line} stays as it is",
            edit.env
        ),
        (Where::Env, None) => format!("{path}: {done} for env {} at {at}", edit.env),
        (Where::App, Some(line)) => {
            format!("{path}: {done} for this object at {at}; {line} stays as it is")
        }
        (Where::App, None) => format!("{path}: {done} for this object at {at}"),
    }
}
