//! Test results as JUnit XML, the form that CI systems read. No times: a build knows no clock.

use std::fmt::Write as _;

use ordain_lang_syntax::Diagnostic;

use super::Tested;

/// Writes the tests, a suite for each file in the order of their first test.
pub(super) fn write(name: &str, tests: &[Tested]) -> String {
    let mut files: Vec<&str> = Vec::new();
    for test in tests {
        if !files.contains(&&*test.file) {
            files.push(&test.file);
        }
    }
    let failed = |tests: &[&Tested]| tests.iter().filter(|test| !test.passed()).count();
    let all: Vec<&Tested> = tests.iter().collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\">",
        escape(name),
        all.len(),
        failed(&all)
    );
    for file in files {
        let own: Vec<&Tested> = tests.iter().filter(|test| test.file == file).collect();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\">",
            escape(file),
            own.len(),
            failed(&own)
        );
        for test in own {
            case(&mut out, test);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, test: &Tested) {
    let line = test.at.rsplit(':').next().unwrap_or_default();
    let class = match &test.env {
        Some(env) => format!("{} in {env}", test.file),
        None => test.file.clone(),
    };
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\"",
        escape(&test.name),
        escape(&class),
        escape(&test.file),
        escape(line)
    );
    if test.passed() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for failure in &test.failures {
        let _ = writeln!(
            out,
            "      <failure type=\"{}\" message=\"{}\">{}</failure>",
            failure.code,
            escape(&failure.message),
            escape(&body(failure)).replace("&#10;", "\n")
        );
    }
    out.push_str("    </testcase>\n");
}

fn body(failure: &Diagnostic) -> String {
    let mut lines = vec![format!("{}: {}", failure.code, failure.message)];
    let texts = failure.labels.iter().map(|label| label.text.clone());
    lines.extend(texts.filter(|text| !text.is_empty()));
    lines.extend(failure.notes.iter().cloned());
    lines.extend(failure.help.iter().map(|help| format!("help: {help}")));
    lines.join("\n")
}

/// Escapes for content and for attributes in double quotes. Control characters that XML 1.0 cannot
/// hold at all become the replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
