//! Whole conversations with the server: each file of `scenarios/` is a project with markers and a list of questions.
//!
//! `=== NAME` begins a file of the project, `=== script` the questions; `«1»` marks a place. The answers are
//! snapshots. `check` is the one function; a new case is a new file.

mod client;
mod show;

use std::path::Path;

use client::Client;
use show::Show;

fn check(path: &Path) -> datatest_stable::Result<()> {
    let source = std::fs::read_to_string(path)?.replace('\r', "");
    let mut files: Vec<(String, String)> = Vec::new();
    for part in source.split("=== ").skip(1) {
        let (name, text) = part.split_once('\n').ok_or("a part has a name")?;
        files.push((name.trim().to_owned(), text.to_owned()));
    }
    let at = files
        .iter()
        .position(|(name, _)| name == "script")
        .ok_or("there is a script")?;
    let (_, script) = files.remove(at);
    let mut client = Client::start(&files, client::modern());
    let mut answers = String::new();
    for line in script.lines().filter(|line| !line.trim().is_empty()) {
        answers.push_str(&format!("> {line}\n"));
        let answer = Show::new(&mut client).run(line);
        answers.push_str(answer.trim_end());
        answers.push_str("\n\n");
    }
    client.stop();
    let root = client.root().to_string_lossy().into_owned();
    let answers = answers.replace(&root, "ROOT");
    let name = path
        .file_stem()
        .ok_or("it has a name")?
        .to_string_lossy()
        .into_owned();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, answers));
    Ok(())
}

datatest_stable::harness! {
    { test = check, root = "tests/scenarios", pattern = r"^[^.].*\.txt$" },
}
