//! Edits of the sources that give a field another value: found by the line that decides it, proven by building.
//!
//! A literal is replaced where it stands; when that would change anything else too, the environment gets a line of its own.
//! Nothing is believed: an edit counts when every object but the wanted one stays as it is, and of that one only the field
//! changes.

use super::compiler::Current;
use ordain_lang_project::{BuildOptions, FieldRef, Project, Session, deciding_lines};
use ordain_lang_syntax::ast::ItemKind;
use ordain_reconciler_engine::FieldEdit;
use ordain_reconciler_plan::diff;
use ordain_reconciler_source::TreeFiles;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every object of every environment, by where it is.
type Objects = BTreeMap<(String, String, String), Value>;

/// Finds the new texts of the files that have to change.
///
/// # Errors
/// Why no edit was found, with the place where the value comes from.
pub(super) fn rewrite(
    tree: &Arc<TreeFiles>,
    edits: &[FieldEdit],
) -> Result<BTreeMap<String, String>, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for edit in edits {
        let mut session = Session::new(Current::new(tree));
        for (path, text) in &files {
            session.set_text(path, Some(text.clone()));
        }
        let before = objects(&mut session).ok_or("the sources do not build")?;
        let (place, tries) = candidates(session.project(), edit)?;
        let fits = tries.into_iter().find(|(path, text)| {
            let old = files.get(path).cloned();
            session.set_text(path, Some(text.clone()));
            let fits = objects(&mut session).is_some_and(|after| proves(&before, &after, edit));
            if !fits {
                session.set_text(path, old);
            }
            fits
        });
        let (path, text) = fits.ok_or_else(|| {
            format!(
                "{} of {} {} comes from {place}, and no edit there gives {} without changing something else; \
                 change it by hand",
                edit.path, edit.kind, edit.name, edit.to
            )
        })?;
        files.insert(path, text);
    }
    Ok(files)
}

fn objects(session: &mut Session) -> Option<Objects> {
    let built = session.build(&BuildOptions {
        env: None,
        cluster: None,
    });
    if !built.is_ok() {
        return None;
    }
    let mut all = Objects::new();
    for app in &built.apps {
        for object in &app.objects {
            let text = |at: &str| {
                let found = object.json.pointer(at).and_then(Value::as_str);
                found.unwrap_or_default().to_owned()
            };
            let place = format!("{}/{}/{}", app.env, app.name, text("/metadata/namespace"));
            let key = (place, text("/kind"), text("/metadata/name"));
            all.insert(key, object.json.clone());
        }
    }
    Some(all)
}

/// True when only the wanted field changed, to what it should be.
fn proves(before: &Objects, after: &Objects, edit: &FieldEdit) -> bool {
    let mut changed = Vec::new();
    for (key, old) in before {
        match after.get(key) {
            Some(new) if new == old => {}
            Some(new) => changed.push((key, diff(old, new))),
            None => return false,
        }
    }
    let [(key, changes)] = &changed[..] else {
        return false;
    };
    before.len() == after.len()
        && key.0.starts_with(&format!("{}/{}/", edit.env, edit.app))
        && key.1 == edit.kind
        && key.2 == edit.name
        && changes.iter().all(|change| {
            change.path == edit.path || change.path.starts_with(&format!("{}.", edit.path))
        })
        && changes.iter().any(|change| match &change.change {
            ordain_reconciler_plan::Change::Added { new }
            | ordain_reconciler_plan::Change::Changed { new, .. } => *new == edit.to,
            ordain_reconciler_plan::Change::Removed { .. } => false,
        })
}

/// The texts to try, the least change first, and where the value comes from now.
fn candidates(
    project: &Project,
    edit: &FieldEdit,
) -> Result<(String, Vec<(String, String)>), String> {
    let field = FieldRef {
        env: edit.env.clone(),
        kind: edit.kind.clone(),
        namespace: None,
        name: edit.name.clone(),
        path: edit.path.clone(),
    };
    let options = BuildOptions {
        env: Some(edit.env.clone()).filter(|env| env != "default"),
        cluster: None,
    };
    let lines =
        deciding_lines(project, &options, &[field]).map_err(|_| "the sources do not build")?;
    let line = lines.into_iter().next().flatten();
    let mut tries = Vec::new();
    if let (Some(line), Some(from)) = (&line, &edit.from) {
        let path = project.sources.path(line.span.file).to_owned();
        let is_own = project
            .modules
            .iter()
            .any(|module| module.is_own && module.file == line.span.file);
        if is_own {
            let text = project.sources.text(line.span.file);
            let range = line.span.start as usize..line.span.end as usize;
            for (old, new) in spellings(from, &edit.to) {
                for (at, _) in text[range.clone()].match_indices(&old) {
                    let at = range.start + at;
                    let mut edited = text.to_owned();
                    edited.replace_range(at..at + old.len(), &new);
                    tries.push((path.clone(), edited));
                }
            }
        }
    }
    tries.extend(amendments(project, edit));
    let place = line.map_or_else(|| "nowhere".to_owned(), |line| line.at);
    Ok((place, tries))
}

/// How a value may stand in the sources, and what stands there instead then.
fn spellings(from: &Value, to: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    if let (Some(old), Some(new)) = (literal(from), literal(to)) {
        all.push((old, new));
    }
    // Quantities and durations stand without quotes.
    if let (Value::String(old), Value::String(new)) = (from, to)
        && [old, new].iter().all(|text| is_bare(text))
    {
        all.push((old.clone(), new.clone()));
    }
    all
}

fn is_bare(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_digit());
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// A value as a literal of the language; none for what is no plain value.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(text) => {
            let mut out = String::from("\"");
            for c in text.chars() {
                match c {
                    '"' | '\\' | '{' => out.extend(['\\', c]),
                    '\n' => out.push_str("\\n"),
                    '\t' => out.push_str("\\t"),
                    c => out.push(c),
                }
            }
            out.push('"');
            Some(out)
        }
        _ => None,
    }
}

/// The environment's block with a line that sets the field.
fn amendments(project: &Project, edit: &FieldEdit) -> Vec<(String, String)> {
    let mut values: Vec<String> = literal(&edit.to).into_iter().collect();
    if let Value::String(text) = &edit.to
        && is_bare(text)
    {
        values.push(text.clone());
    }
    let object = format!("{}.objects[k8s.{} \"{}\"]", edit.app, edit.kind, edit.name);
    let mut tries = Vec::new();
    for module in project.modules.iter().filter(|module| module.is_own) {
        for item in &module.parsed.file.items {
            let ItemKind::Env(env) = &item.kind else {
                continue;
            };
            if env.name.name.as_str() != edit.env {
                continue;
            }
            let text = project.sources.text(module.file);
            let end = item.span.end as usize;
            let Some(brace) = text[..end].rfind('}') else {
                continue;
            };
            let head = text[..brace].trim_end();
            for value in &values {
                for path in paths(&edit.path) {
                    let line = format!("\n  {object}.{path} = {value}\n");
                    let edited = format!("{head}{line}{}", &text[brace..]);
                    let file = project.sources.path(module.file).to_owned();
                    tries.push((file, edited));
                }
            }
        }
    }
    tries
}

/// A field's path as the language writes it, with the last step as a field and as a key.
fn paths(path: &str) -> Vec<String> {
    let mut out = String::new();
    let mut rest = path;
    while let Some((head, tail)) = rest.split_once('[') {
        let (key, after) = tail.split_once(']').unwrap_or((tail, ""));
        let key = key.trim_matches('"');
        let is_number = key.chars().all(|c| c.is_ascii_digit());
        out.push_str(head);
        out.push_str(&match is_number {
            true => format!("[{key}]"),
            false => format!("[\"{key}\"]"),
        });
        rest = after;
    }
    out.push_str(rest);
    let mut all = vec![out.clone()];
    if let Some((head, last)) = out.rsplit_once('.')
        && !last.ends_with(']')
    {
        all.push(format!("{head}[\"{last}\"]"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordain_lang_project::{Files, Memory};
    use serde_json::json;

    fn edit(path: &str, from: Option<Value>, to: Value) -> FieldEdit {
        FieldEdit {
            env: "prod".to_owned(),
            app: "shop".to_owned(),
            kind: "ConfigMap".to_owned(),
            name: "settings".to_owned(),
            path: path.to_owned(),
            from,
            to,
        }
    }

    /// Rewrites, and returns the lines that are new.
    fn run(edit: &FieldEdit) -> Result<String, String> {
        let files = Memory::new()
            .with("ordain.toml", "name = \"shop\"\n")
            .with(
                "envs.ord",
                "env dev { cluster = \"local\" }\nenv prod { cluster = \"prod\", namespace = \"shop\" }\n",
            )
            .with(
                "shop.ord",
                "app shop {\n  level = \"debug\"\n  settings = k8s.ConfigMap {\n    metadata.name = \"settings\"\n    \
                 data = { LEVEL = level, CURRENCY = \"EUR\" }\n  }\n  objects = [settings]\n}\n",
            );
        let project = Project::load(&files);
        let mut session = Session::new(files.clone());
        let before = objects(&mut session).ok_or("it does not build")?;
        let (place, tries) = candidates(&project, edit)?;
        for (path, text) in tries {
            session.set_text(&path, Some(text.clone()));
            if objects(&mut session).is_some_and(|after| proves(&before, &after, edit)) {
                let old = files.read(&path).expect("it is there");
                let old = String::from_utf8(old).expect("text");
                let new = text
                    .lines()
                    .filter(|line| !old.lines().any(|one| one == *line));
                return Ok(new.collect::<Vec<_>>().join("\n"));
            }
            session.set_text(&path, None);
        }
        Err(place)
    }

    #[test]
    fn a_value_of_all_environments_is_set_for_one() {
        let new = run(&edit("data.CURRENCY", Some(json!("EUR")), json!("USD")));
        let new = new.expect("an edit");
        assert!(
            new.contains("shop.objects[k8s.ConfigMap \"settings\"].data"),
            "{new}"
        );
        assert!(new.contains("\"USD\""), "{new}");
    }

    #[test]
    fn a_new_key_becomes_a_line_of_the_environment() {
        let new = run(&edit("data.EXTRA", None, json!("a {b} \"c\""))).expect("an edit");
        assert!(new.contains("EXTRA"), "{new}");
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_its_place() {
        let refused = run(&edit("data", Some(json!({})), json!({"A": "b"})));
        assert!(refused.expect_err("no literal").starts_with("shop.ord:"));
    }

    #[test]
    fn paths_are_those_of_the_language() {
        assert_eq!(
            paths("spec.containers[web].image"),
            [
                "spec.containers[\"web\"].image",
                "spec.containers[\"web\"][\"image\"]"
            ]
        );
    }
}
