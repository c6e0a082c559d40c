//! The language reference is a test-suite: every snippet of `docs/language.md` and its chapters does as the page says.
//!
//! A section is a heading and its fenced blocks, which make one project: `ord` blocks are its modules, any block whose
//! first line is `// file: PATH` or `# file: PATH` is that file. The section must check and build in every environment
//! and its tests must hold, but for the mistakes that comments expect on their lines: `// error: E0203 "part of the
//! message"`, `// warning: W0101`. A `yaml` block without a file name is what the project builds, in the environment
//! that `# env: NAME` names; `…` stands for lines that are left out.

use std::fmt::Write as _;
use std::path::Path;

use ordain_lang_project::{
    BuildOptions, Format, Memory, Project, TestOptions, build_text, check, test,
};
use ordain_lang_syntax::Diagnostic;

/// A heading with its blocks: language and text.
struct Section {
    title: String,
    blocks: Vec<(String, String)>,
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![];
    let mut block: Option<(String, String)> = None;
    for line in text.lines() {
        match &mut block {
            Some(_) if line.trim_end() == "```" => {
                if let (Some(done), Some(section)) = (block.take(), last(&mut sections)) {
                    section.blocks.push(done);
                }
            }
            Some((_, body)) => {
                body.push_str(line);
                body.push('\n');
            }
            None => {
                if let Some(language) = line.strip_prefix("```") {
                    block = Some((language.trim().to_owned(), String::new()));
                } else if line.starts_with('#') {
                    sections.push(Section {
                        title: line.trim_start_matches('#').trim().to_owned(),
                        blocks: vec![],
                    });
                }
            }
        }
    }
    assert!(block.is_none(), "a block is not closed");
    sections
}

fn last(sections: &mut [Section]) -> Option<&mut Section> {
    assert!(!sections.is_empty(), "a block stands before any heading");
    sections.last_mut()
}

/// The path that a block's first line names.
fn named(body: &str) -> Option<&str> {
    let first = body.lines().next()?;
    let path = first
        .strip_prefix("// file: ")
        .or_else(|| first.strip_prefix("# file: "))?;
    Some(path.trim())
}

/// A mistake that a comment expects.
#[derive(Debug)]
struct Expected {
    file: String,
    line: u32,
    code: String,
    message: String,
}

fn expectations(file: &str, text: &str) -> Vec<Expected> {
    let mut expected = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for part in line.split("// ").skip(1) {
            let Some(rest) = part
                .strip_prefix("error: ")
                .or_else(|| part.strip_prefix("warning: "))
            else {
                continue;
            };
            let (code, message) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
            expected.push(Expected {
                file: file.to_owned(),
                line: u32::try_from(at).expect("a page is short") + 1,
                code: code.to_owned(),
                message: message.trim().trim_matches('"').to_owned(),
            });
        }
    }
    expected
}

/// Compares what is found with what is expected.
fn compare(
    project: &Project,
    found: &[Diagnostic],
    mut expected: Vec<Expected>,
    failures: &mut String,
) {
    for diagnostic in found {
        let place = diagnostic.span().map(|span| {
            let line = project.sources.line_col(span).line;
            (project.sources.path(span.file).to_owned(), line)
        });
        let (file, line) = place.unwrap_or_default();
        let at = expected.iter().position(|e| {
            e.file == file
                && e.line == line
                && e.code == diagnostic.code
                && diagnostic.message.contains(&e.message)
        });
        match at {
            Some(at) => {
                expected.remove(at);
            }
            None => {
                let _ = writeln!(
                    failures,
                    "  not expected: {file}:{line} {} {}",
                    diagnostic.code, diagnostic.message
                );
            }
        }
    }
    for missing in expected {
        let _ = writeln!(failures, "  not told: {missing:?}");
    }
}

/// Whether `text` is `wanted`, where `…` alone on a line stands for any lines.
fn fits(text: &str, wanted: &str) -> bool {
    let parts: Vec<&str> = wanted.split_inclusive('\n').collect();
    let chunks: Vec<String> = parts
        .split(|line| line.trim() == "…")
        .map(<[&str]>::concat)
        .collect();
    let mut at = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        let Some(found) = text[at..].find(chunk.as_str()) else {
            return false;
        };
        if number == 0 && found != 0 {
            return false;
        }
        at += found + chunk.len();
    }
    at == text.len() || chunks.last().is_some_and(String::is_empty)
}

fn check_section(section: &Section) -> Result<(), String> {
    let mut files = Memory::new();
    let mut expected = Vec::new();
    let mut outputs = Vec::new();
    let mut modules = 0;
    let mut manifest = false;
    for (language, body) in &section.blocks {
        let path = match (named(body), language.as_str()) {
            (Some(path), _) => path.to_owned(),
            (None, "ord") => {
                modules += 1;
                if modules == 1 {
                    "main.ord".to_owned()
                } else {
                    format!("main{modules}.ord")
                }
            }
            (None, "yaml") => {
                outputs.push(body.as_str());
                continue;
            }
            // What a person types or sees.
            (None, _) => continue,
        };
        manifest |= path == "ordain.toml";
        expected.extend(expectations(&path, body));
        files.insert(path, body.as_bytes());
    }
    if modules == 0 && expected.is_empty() && outputs.is_empty() {
        return Ok(());
    }
    if !manifest {
        files.insert("ordain.toml", "name = \"page\"\n");
    }
    let project = Project::load(&files);
    let mut failures = String::new();
    let mut found = check(&project);
    if found.iter().all(|diagnostic| !diagnostic.is_error()) {
        let built = build_text(&project, &BuildOptions::default(), Format::Yaml);
        found = built.diagnostics;
    }
    let right = found.iter().all(|diagnostic| !diagnostic.is_error());
    compare(&project, &found, expected, &mut failures);
    if right {
        for wanted in outputs {
            let (env, wanted) = match wanted
                .strip_prefix("# env: ")
                .and_then(|rest| rest.split_once('\n'))
            {
                Some((env, rest)) => (Some(env.trim().to_owned()), rest),
                None => (None, wanted),
            };
            let options = BuildOptions {
                env,
                ..BuildOptions::default()
            };
            let text = build_text(&project, &options, Format::Yaml).joined(Format::Yaml);
            if !fits(&text, wanted) {
                let _ = writeln!(failures, "  builds something else:\n{text}");
            }
        }
        // Pages have no folder of recorded snapshots.
        let recording = TestOptions {
            update: true,
            ..TestOptions::default()
        };
        let run = test(&project, &Memory::new(), &recording).unwrap_or_default();
        for tested in run.tests {
            for diagnostic in &tested.failures {
                let _ = writeln!(
                    failures,
                    "  test {:?} fails: {}",
                    tested.name, diagnostic.message
                );
            }
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures),
    }
}

fn chapter(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut failures = String::new();
    for section in sections(&text) {
        if let Err(why) = check_section(&section) {
            let _ = write!(failures, "\n## {}\n{why}", section.title);
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.into()),
    }
}

/// Mistakes that are planted: a heading that begins with a number says how many.
fn planted(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    for section in sections(&text) {
        let count = section
            .title
            .split(' ')
            .next()
            .and_then(|n| n.parse::<usize>().ok());
        let marks = section
            .blocks
            .iter()
            .map(|(_, body)| body.matches("// error: ").count());
        let marks: usize = marks.sum();
        if count.is_some_and(|count| count != marks) {
            return Err(format!("## {}: {marks} mistakes are planted", section.title).into());
        }
    }
    chapter(path)
}

datatest_stable::harness! {
    { test = planted, root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/planted"), pattern = r"\.md$" },
    { test = chapter, root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"), pattern = r"^language(/.*)?\.md$" },
}
