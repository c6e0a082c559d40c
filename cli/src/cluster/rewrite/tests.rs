//! Cases: sources, live edits, and what becomes of the sources. A new case is a new file in `cases/`.
//!
//! A case is a text of parts: `== file PATH` with its content, and `== edit ENV/APP KIND/NAME` with a line for each field:
//! `PATH = JSON`, or `delete PATH`.

use super::*;
use ordain_lang_project::{Files, Memory};
use std::fmt::Write as _;

#[test]
fn live_edits_become_edits_of_the_sources() {
    insta::glob!("cases/*.txt", |path| {
        let text = std::fs::read_to_string(path).expect("the case is readable");
        insta::assert_snapshot!(run(&text));
    });
}

fn run(case: &str) -> String {
    let mut files = Memory::new().with("ordain.toml", "name = \"shop\"\nkubernetes = \"1.36\"\n");
    let mut edits: Vec<Vec<FieldEdit>> = Vec::new();
    for part in case.split("== ").filter(|part| !part.is_empty()) {
        let (head, body) = part.split_once('\n').expect("a part has a first line");
        if let Some(path) = head.strip_prefix("file ") {
            files = files.with(path, body);
            continue;
        }
        let head = head
            .strip_prefix("edit ")
            .expect("a part is a file or an edit");
        let (app, object) = head.split_once(' ').expect("an app and an object");
        let (env, app) = app.split_once('/').expect("an environment and an app");
        let (kind, name) = object.split_once('/').expect("a kind and a name");
        let lines = body.lines().filter(|line| !line.is_empty());
        let fields = lines.map(|line| {
            let (path, to) = match line.strip_prefix("delete ") {
                Some(path) => (path, None),
                None => {
                    let (path, json) = line.split_once(" = ").expect("a path and a value");
                    (
                        path,
                        Some(serde_json::from_str(json).expect("a value is JSON")),
                    )
                }
            };
            FieldEdit {
                env: env.to_owned(),
                app: app.to_owned(),
                kind: kind.to_owned(),
                name: name.to_owned(),
                path: path.to_owned(),
                from: None,
                to,
            }
        });
        edits.push(fields.collect());
    }
    let read = |path: &str| String::from_utf8(files.read(path).ok()?).ok();
    let mut shown = String::new();
    for edits in &edits {
        for edit in edits {
            let to = edit.to.as_ref().map_or("gone".to_owned(), Value::to_string);
            let _ = writeln!(shown, "{}/{} {}: {to}", edit.kind, edit.name, edit.path);
        }
        match edited(Session::new(files.clone()), &read, edits) {
            Err(why) => {
                let _ = writeln!(shown, "refused: {why}");
            }
            Ok(found) => {
                for note in found.notes {
                    let _ = writeln!(shown, "# {note}");
                }
                for (path, new) in found.files {
                    let old = read(&path).expect("it was there");
                    assert_eq!(
                        ordain_lang_fmt::format(&new).as_ref(),
                        Ok(&new),
                        "formatted"
                    );
                    shown.push_str(&changed(&path, &old, &new));
                }
            }
        }
        shown.push('\n');
    }
    shown
}

/// The lines of both that are not in the longest common sequence, in their order.
fn changed(path: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut longest = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            longest[at][to] = match old[at] == new[to] {
                true => longest[at + 1][to + 1] + 1,
                false => longest[at + 1][to].max(longest[at][to + 1]),
            };
        }
    }
    let (mut at, mut to, mut shown) = (0, 0, String::new());
    while at < old.len() || to < new.len() {
        if at < old.len() && to < new.len() && old[at] == new[to] {
            (at, to) = (at + 1, to + 1);
        } else if to == new.len() || (at < old.len() && longest[at + 1][to] >= longest[at][to + 1])
        {
            let _ = writeln!(shown, "{path} -{}", old[at]);
            at += 1;
        } else {
            let _ = writeln!(shown, "{path} +{}", new[to]);
            to += 1;
        }
    }
    shown
}
