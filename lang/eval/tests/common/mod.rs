//! The one place of these tests that knows the API: sources in, objects and diagnostics out as text.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;

use ordain_lang_eval::{How, Options, YamlText, evaluate};
use ordain_lang_syntax::{Diagnostic, Sources, parse};
use ordain_lang_types::{Input, ModuleInput};
use ordain_schemas::KubeVersion;

/// A checked program.
pub(crate) struct Program {
    /// Its texts.
    pub(crate) sources: Sources,
    /// What the checker made of it.
    pub(crate) program: Arc<ordain_lang_types::Program>,
    diagnostics: Vec<Diagnostic>,
}

impl Program {
    /// Parses and checks files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let mut sources = Sources::new();
        let mut parsed = Vec::new();
        let mut diagnostics = Vec::new();
        for (path, text) in files {
            let id = sources.add(*path, *text);
            let result = parse(id, text);
            diagnostics.extend(result.diagnostics);
            parsed.push((path.trim_end_matches(".ord").replace('/', "."), result.file));
        }
        if files.iter().any(|(_, text)| text.contains("use std.")) {
            for name in ["labels", "web"] {
                let path = format!("std/{name}.ord");
                let below = concat!(env!("CARGO_MANIFEST_DIR"), "/../../stdlib");
                let text = std::fs::read_to_string(std::path::Path::new(below).join(&path));
                let text = text.expect("the standard library has it");
                let id = sources.add(path.as_str(), text.as_str());
                parsed.push((format!("std.{name}"), parse(id, &text).file));
            }
        }
        let modules = parsed
            .iter()
            .map(|(path, file)| ModuleInput { path, file })
            .collect();
        let checked = ordain_lang_types::check(&Input {
            modules,
            kubernetes: KubeVersion::DEFAULT,
            secrets: Vec::new(),
            texts: Vec::new(),
            crds: ordain_lang_types::Crds::new(),
        });
        diagnostics.extend(checked.diagnostics);
        Self {
            sources,
            program: checked.program,
            diagnostics,
        }
    }

    /// Errors of the parser and the checker, as text.
    pub(crate) fn checked(&self) -> String {
        self.render(
            self.diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.is_error()),
        )
    }

    /// The objects in an environment as YAML, and the diagnostics as text.
    pub(crate) fn build(&self, env: Option<&str>) -> (String, String) {
        let env = env.map(|env| {
            self.program
                .env(env)
                .expect("the test names an environment")
        });
        let built = evaluate(&self.program, Options { env, threads: 1 }, |app| {
            let mut text = YamlText::new();
            for object in app.objects.clone() {
                text.document();
                app.write(&object, &mut text);
            }
            text.finish()
        });
        let text = built.apps.join("---\n");
        (text, self.render(built.diagnostics.iter()))
    }

    /// What the tests of the program say, as text.
    pub(crate) fn tests(&self) -> String {
        let tested = ordain_lang_eval::run_tests(&self.program);
        self.render(tested.iter().flat_map(|test| &test.failures))
    }

    /// Where a field of the first object comes from, as text.
    pub(crate) fn explain(&self, env: Option<&str>, path: &[&str]) -> String {
        self.explain_of("", env, path)
    }

    /// Where a field of the object with a name comes from, as text; of the first for no name.
    pub(crate) fn explain_of(&self, name: &str, env: Option<&str>, path: &[&str]) -> String {
        let env = env.map(|env| {
            self.program
                .env(env)
                .expect("the test names an environment")
        });
        let built = evaluate(&self.program, Options { env, threads: 1 }, |app| {
            let wanted =
                |object: &&ordain_lang_eval::Object| name.is_empty() || object.name == name;
            let object = app.objects.iter().find(wanted);
            let object = object.expect("there is such an object").clone();
            app.explain(&object, path)
        });
        let Some((value, chain)) = built.apps.into_iter().flatten().next() else {
            return "nothing".to_owned();
        };
        let mut out = format!("{value}\n");
        for source in chain {
            let how = match source.how {
                How::Set => "set in",
                How::Changed => "changed in",
                How::From => "from",
                How::Deleted => "deleted in",
            };
            let (place, text) = (
                self.sources.place(source.span),
                self.sources.slice(source.span),
            );
            let text = text.lines().next().unwrap_or_default();
            out.push_str(&format!("{how} {:?} by {place} `{text}`\n", source.layer));
        }
        out
    }

    fn render<'d>(&self, diagnostics: impl Iterator<Item = &'d Diagnostic>) -> String {
        let mut out = String::new();
        for diagnostic in diagnostics {
            let warning = if diagnostic.is_error() {
                ""
            } else {
                "warning "
            };
            out.push_str(&format!(
                "{warning}{}: {}",
                diagnostic.code, diagnostic.message
            ));
            for (what, text) in [("object", &diagnostic.object), ("env", &diagnostic.env)] {
                if let Some(text) = text {
                    out.push_str(&format!(" [{what} {text}]"));
                }
            }
            out.push('\n');
            for label in &diagnostic.labels {
                let at = self.sources.line_col(label.span);
                let source = self
                    .sources
                    .slice(label.span)
                    .lines()
                    .next()
                    .unwrap_or_default();
                out.push_str(&format!(
                    "  {}:{}:{} `{source}` {}\n",
                    self.sources.path(label.span.file),
                    at.line,
                    at.column,
                    label.text,
                ));
            }
            for note in &diagnostic.notes {
                out.push_str(&format!("  note: {note}\n"));
            }
            if let Some(help) = &diagnostic.help {
                out.push_str(&format!("  help: {help}\n"));
            }
        }
        out
    }
}

/// The environments a program is built for; none stands for a program without any.
pub(crate) fn environments(program: &Program) -> Vec<Option<&str>> {
    let envs = program.program.leaf_envs();
    if envs.is_empty() {
        return vec![None];
    }
    envs.iter()
        .map(|env| Some(program.program.envs[env.index()].name.as_str()))
        .collect()
}
