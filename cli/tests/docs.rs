//! What the documents tell a person to type is what the program takes: every command line of every `sh` and `console` block.
//! Whether it does what the text says is for the tests of the command; here it is that no option was renamed or made up.

use std::path::{Path, PathBuf};
use std::process::Command;

/// All Markdown below a folder.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

/// The command lines of a page that start `ordain`, pipes taken apart and comments removed.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = matches!(language.trim(), "sh" | "console" | "bash");
            continue;
        }
        if !inside {
            continue;
        }
        let line = line.split(" #").next().unwrap_or_default();
        for part in line.split(['|', ';']).flat_map(|part| part.split("&&")) {
            let part = part.trim();
            let part = part.strip_prefix("$ ").unwrap_or(part);
            if part.starts_with("ordain ") {
                found.push(part.to_owned());
            }
        }
    }
    found
}

/// Words as a shell takes them apart, as far as documents write them.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if c == ' ' => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_of_the_documents_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md")];
    pages(&root.join("docs"), &mut files);
    pages(&root.join("lang/types/diagnostics"), &mut files);
    let mut seen = 0;
    let mut failures = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for command in commands(&text) {
            seen += 1;
            // What stands before `--help` is read first, and refused when there is no such thing.
            let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
                .args(&words(&command)[1..])
                .arg("--help")
                .output()
                .expect("it starts");
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                failures.push_str(&format!("{}: {command}\n{said}", file.display()));
            }
        }
    }
    assert!(seen > 10, "{seen} commands were found");
    assert_eq!(failures, "");
}
