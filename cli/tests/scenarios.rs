//! Scenarios: files, commands, and everything the commands print. A new scenario is a new file in `scenarios/`.
//!
//! A scenario is a text of parts. `== file PATH` is followed by the file's content; `$ ordain …` and `$ git …` are run in
//! a fresh folder, in order; `< FILE` is their stdin. The snapshot beside it holds stdout, stderr and the exit code of each command. Nothing of
//! the machine shows: the folder is `[DIR]`, commits are `[COMMIT]`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn scenarios() {
    insta::glob!("scenarios/*.txt", |path| {
        let text = fs::read_to_string(path).expect("the scenario is readable");
        insta::assert_snapshot!(run(&text));
    });
}

fn run(scenario: &str) -> String {
    let temp = tempfile::tempdir().expect("a folder");
    let dir = temp.path().join("project");
    fs::create_dir(&dir).expect("a fresh folder");
    let mut shown = String::new();
    let mut lines = scenario.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("== file ") {
            let mut content = String::new();
            while let Some(line) = lines.next_if(|l| !l.starts_with("== ") && !l.starts_with("$ "))
            {
                content.push_str(line);
                content.push('\n');
            }
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a folder");
            fs::write(path, content).expect("a file");
        } else if let Some(command) = line.strip_prefix("$ ") {
            command_output(&dir, command, &mut shown);
        }
    }
    redact(&shown, temp.path())
}

fn command_output(dir: &Path, command: &str, shown: &mut String) {
    let (command_line, input) = command.split_once(" < ").unwrap_or((command, ""));
    let words: Vec<&str> = command_line.split_whitespace().collect();
    let (program, args) = words.split_first().expect("a command");
    let program = if *program == "ordain" {
        env!("CARGO_BIN_EXE_ordain")
    } else {
        program
    };
    let stdin = match input {
        "" => Stdio::null(),
        file => fs::File::open(dir.join(file))
            .expect("the input is a file")
            .into(),
    };
    let output = Command::new(program)
        .stdin(stdin)
        .args(args)
        .current_dir(dir)
        .env_remove("ORDAIN_DATA_DIR")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.com"),
        ])
        .envs([
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.com"),
        ])
        .output()
        .expect("the command starts");
    let _ = writeln!(shown, "$ {command}");
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            let _ = writeln!(
                shown,
                "--- {name}\n{}",
                String::from_utf8_lossy(bytes).trim_end()
            );
        }
    }
    let _ = writeln!(shown, "--- exit {}\n", output.status.code().unwrap_or(-1));
}

fn redact(text: &str, temp: &Path) -> String {
    let text = text.replace(
        &temp
            .canonicalize()
            .expect("it exists")
            .display()
            .to_string(),
        "[DIR]",
    );
    let text = text.replace(&temp.display().to_string(), "[DIR]");
    let mut words = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let (word, end) = piece.split_at(
            piece.len()
                - piece
                    .chars()
                    .next_back()
                    .filter(|c| !c.is_ascii_hexdigit())
                    .map_or(0, char::len_utf8),
        );
        let hash = word.len() >= 7
            && word.chars().any(|c| c.is_ascii_digit())
            && word.chars().any(|c| c.is_ascii_lowercase());
        words.push_str(if hash { "[COMMIT]" } else { word });
        words.push_str(end);
    }
    words
}
