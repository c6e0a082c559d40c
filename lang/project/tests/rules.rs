//! Rules over the whole set of objects: every page does as it says, and every file of `rules/` is
//! found wanting in the way that is recorded beside it.

use std::fmt::Write as _;
use std::path::Path;

use ordain_lang_project::{
    BuildOptions, Format, Memory, Out, Project, build_text, build_to, mistakes,
};
use ordain_lang_syntax::Diagnostic;

/// Codes whose pages are run here.
fn is_ours(code: &str) -> bool {
    matches!(code.get(..3), Some("E06" | "W06")) || matches!(code, "E0511" | "E0703" | "W0521")
}

/// The texts of the diagnostics of a single file, or of a project when it says `// file: PATH`.
fn found(source: &str) -> (Vec<&'static str>, String) {
    let project = match source.starts_with("// file: ") {
        false => Project::single("page.ord", source),
        true => {
            let mut files = Memory::new().with("ordain.toml", "name = \"demo\"\n");
            for part in source.split("// file: ").skip(1) {
                let (path, text) = part.split_once('\n').expect("a path and a text");
                files.insert(path, text);
            }
            Project::load(&files)
        }
    };
    let built = build_text(&project, &BuildOptions::default(), Format::Yaml);
    straight(&project);
    let mut out = String::new();
    for diagnostic in &built.diagnostics {
        let severity = if diagnostic.is_error() {
            ""
        } else {
            "warning "
        };
        let _ = write!(out, "{severity}{}: {}", diagnostic.code, diagnostic.message);
        for (what, text) in [("object", &diagnostic.object), ("env", &diagnostic.env)] {
            if let Some(text) = text {
                let _ = write!(out, " [{what} {text}]");
            }
        }
        out.push('\n');
        for label in &diagnostic.labels {
            let at = project.sources.place(label.span);
            let text = project.sources.slice(label.span);
            let text = text.lines().next().unwrap_or_default();
            let _ = writeln!(out, "  {at} `{text}` {}", label.text);
        }
        for note in &diagnostic.notes {
            let _ = writeln!(out, "  note: {note}");
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(out, "  help: {help}");
        }
    }
    (built.diagnostics.iter().map(|d| d.code).collect(), out)
}

/// What is written straight to an output.
#[derive(Default)]
struct Written {
    found: Vec<Diagnostic>,
    text: String,
}

impl Out for Written {
    type Error = ();

    fn found(&mut self, diagnostics: &[Diagnostic]) -> Result<(), ()> {
        self.found.extend(diagnostics.iter().cloned());
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), ()> {
        self.text.push_str(text);
        Ok(())
    }
}

/// Building straight to an output finds and writes what building does.
fn straight(project: &Project) {
    for format in [Format::Yaml, Format::Json] {
        let all = BuildOptions::default();
        let mut written = Written::default();
        let is_ok = build_to(project, &all, format, &mut written);
        let built = build_text(project, &all, format);
        assert_eq!(written.found, built.diagnostics);
        assert_eq!(mistakes(project, &all), built.diagnostics);
        assert_eq!(is_ok, Ok(built.is_ok()));
        let text = match built.is_ok() {
            true => built.joined(format),
            false => String::new(),
        };
        assert_eq!(written.text, text);
    }
}

/// So it does for one app, for several, and for one with more objects than are written at once.
#[test]
fn what_is_built_is_written() {
    let map =
        "k8s.ConfigMap { metadata.name = \"m{n}\", data = { a = \"x\", b = \"two\\nlines\\n\" } }";
    let many = format!("app a {{ objects = [for n in 0..2000 => {map}] }}\n");
    let texts = [
        many.clone(),
        format!("{many}app b {{ objects = [] }}\n"),
        format!("{many}app b {{ objects = [k8s.ConfigMap {{ metadata.name = \"b\" }}] }}\n"),
        "app a { objects = [] }\n".to_owned(),
        "let a = 1\n".to_owned(),
        "export k8s.ConfigMap { metadata.name = \"a\" }\n".to_owned(),
        "app a { objects = [for n in [1, 1] => k8s.ConfigMap { metadata.name = \"a\" }] }\n"
            .to_owned(),
        format!("{many}env dev {{ namespace = \"x\" }}\nenv prod extends dev {{}}\n"),
    ];
    for text in texts {
        straight(&Project::single("a.ord", text));
    }
}

#[test]
fn pages_tell_the_truth() {
    let mut failures = String::new();
    for code in ordain_lang_types::codes().filter(|code| is_ours(code)) {
        let page = ordain_lang_types::page(code).expect("it is listed");
        let mut programs = 0;
        for block in page.split("```ord").skip(1) {
            let source = block.split("```").next().unwrap_or_default();
            let (wanted, source) = match source.strip_prefix(" fails\n") {
                Some(source) => (vec![code], source),
                None => (Vec::new(), source),
            };
            let (codes, text) = found(source);
            if codes != wanted {
                let _ = writeln!(failures, "{code} wants {wanted:?}:\n{text}");
            }
            programs += 1;
        }
        assert!(programs >= 2, "{code} has a failing and a right program");
    }
    assert_eq!(failures, "");
}

#[test]
fn every_case_is_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut seen = 0;
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "ord"))
        .collect();
    paths.sort();
    for path in paths {
        let source = std::fs::read_to_string(&path).expect("it is readable");
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        insta::assert_snapshot!(format!("rules__{name}"), found(&source).1);
        seen += 1;
    }
    assert!(seen > 3);
}
