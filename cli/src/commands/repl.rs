//! `ordain repl`: expressions of the language, tried out beside a project.

use crate::args::Format;
use crate::lines::Lines;
use crate::usage::did_you_mean;
use crate::{Outcome, disk, envs, report, terminal};
use miette::Result;
use ordain_lang_project::{Answer, Disk, Project, Scratch};
use ordain_lang_syntax::Diagnostic;
use std::cell::RefCell;
use std::path::PathBuf;

/// Try out expressions beside a project
///
/// An entry is an expression, whose value is printed, or a definition: `let`, `fn`, `type`, `use`. Apps are named as in tests,
/// `objects` are all that is built. Secrets are masked. `:help` lists the commands.
///
/// Without a terminal it reads entries from stdin, prints values only, and ends with exit code 1 when an entry was wrong.
#[derive(clap::Args)]
pub(crate) struct ReplArgs {
    /// Project folder, or one `.ord` file; without a project there is only the language
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,

    /// The environment to evaluate in
    #[arg(long, value_name = "ENV")]
    env: Option<String>,
}

const HELP: &str = "\
an expression     its value, as YAML
let NAME = …      a name for later entries; also `fn`, `type` and `use`
:type EXPR        the type of an expression
:env [NAME]       the environments, or work in another one
:explain CODE     the page of a diagnostic
:explain OBJECT FIELD
                  the lines that set a field, as `:explain deployment/web spec.replicas`
:names            what can be named
:reload           the project anew, after its files changed
:quit             leave (also ctrl-D)";

/// Commands, for completion and for `did you mean`.
const COMMANDS: [&str; 7] = [
    ":type", ":env", ":explain", ":names", ":reload", ":help", ":quit",
];

struct Repl {
    scratch: Scratch,
    path: Option<PathBuf>,
    env: Option<String>,
    format: Format,
    failed: bool,
}

pub(crate) fn run(args: &ReplArgs, format: Format) -> Result<Outcome> {
    let project = load(args.path.as_deref())?;
    envs::known(&project, args.env.as_deref())?;
    let repl = RefCell::new(Repl {
        // With a single environment there is no choice to make.
        env: envs::choose(&project, args.env.as_deref(), "").unwrap_or_default(),
        scratch: Scratch::new(project),
        path: args.path.clone(),
        format,
        failed: false,
    });
    let complete = |before: &str| repl.borrow_mut().complete(before);
    let mut lines = Lines::open(Box::new(complete))?;
    if lines.is_terminal() {
        repl.borrow().greet();
    }
    loop {
        let prompt = match &repl.borrow().env {
            Some(env) => format!("{env}> "),
            None => "> ".to_owned(),
        };
        let Some(entry) = lines.next(&prompt)? else {
            break;
        };
        let entry = entry.trim();
        if matches!(entry, ":quit" | ":q" | ":exit") {
            break;
        }
        if !entry.is_empty() {
            repl.borrow_mut().take(entry)?;
        }
    }
    let watched = lines.is_terminal();
    lines.close();
    // A person has seen what was wrong; a script has to be told.
    Ok(match repl.into_inner().failed && !watched {
        true => Outcome::Findings,
        false => Outcome::Done,
    })
}

fn load(path: Option<&std::path::Path>) -> Result<Project> {
    match path {
        Some(path) => Ok(disk::load(path)?),
        None => Ok(match Disk::find(std::path::Path::new(".")) {
            Some(disk) => Project::load(&disk),
            None => Project::single("entries.ord", ""),
        }),
    }
}

impl Repl {
    fn greet(&self) {
        let project = self.scratch.project();
        let what = match project.manifest.name.as_str() {
            "" => "no project".to_owned(),
            name => format!("project {name}"),
        };
        let names = self.environments();
        let env = match (&self.env, &names[..]) {
            (None, [first, ..]) => format!("; `:env {first}` for the values of an environment"),
            _ => String::new(),
        };
        terminal::say(&format!("{what}{env}; `:help` lists the commands"));
    }

    fn environments(&self) -> Vec<String> {
        let all = self.scratch.project().environments();
        all.into_iter().map(|e| e.name).collect()
    }

    fn take(&mut self, entry: &str) -> Result<()> {
        let Some(command) = entry.strip_prefix(':') else {
            let answer = self.scratch.enter(self.env.as_deref(), entry);
            return self.show(&answer);
        };
        let (word, rest) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("type" | "t", rest) if !rest.is_empty() => {
                let answer = self.scratch.type_of(self.env.as_deref(), rest);
                let answer = Answer {
                    value: answer.ty.clone(),
                    ..answer
                };
                self.show(&answer)
            }
            ("env", "") => terminal::data(&self.list_environments()),
            ("env", name) => {
                self.choose(name);
                Ok(())
            }
            ("explain", rest) if !rest.is_empty() => self.explain(rest),
            ("names", _) => {
                let mut names = self.scratch.complete(self.env.as_deref(), None);
                names.sort_unstable();
                terminal::data(&(names.join("\n") + "\n"))
            }
            ("reload" | "r", _) => {
                self.scratch.set_project(load(self.path.as_deref())?);
                Ok(())
            }
            ("help" | "h" | "?", _) => terminal::data(&format!("{HELP}\n")),
            (word @ ("type" | "t" | "explain"), _) => {
                self.refuse(&format!(
                    "`:{word}` says nothing about nothing; `:help` shows its form"
                ));
                Ok(())
            }
            (word, _) => {
                let help = did_you_mean(&format!(":{word}"), &COMMANDS, "the commands");
                self.refuse(&format!("there is no command `:{word}`; {help}"));
                Ok(())
            }
        }
    }

    fn refuse(&mut self, why: &str) {
        self.failed = true;
        terminal::say(why);
    }

    fn list_environments(&self) -> String {
        let mark = |name: &String| match self.env.as_ref() == Some(name) {
            true => format!("* {name}\n"),
            false => format!("  {name}\n"),
        };
        self.environments().iter().map(mark).collect()
    }

    fn choose(&mut self, name: &str) {
        let names = self.environments();
        if names.iter().any(|n| n == name) {
            self.env = Some(name.to_owned());
        } else {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let help = did_you_mean(name, &names, "environments");
            self.refuse(&format!("there is no environment `{name}`; {help}"));
        }
    }

    /// Runs the command of the same name, and says what it says.
    fn explain(&mut self, words: &str) -> Result<()> {
        let (what, field) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        let field = Some(field.trim()).filter(|f| !f.is_empty());
        let project = self.scratch.project();
        let env = self.env.as_deref();
        if let Err(error) = super::explain::explain(project, env, what, field, self.format) {
            if terminal::is_broken_pipe(error.as_ref()) {
                return Err(error);
            }
            self.failed = true;
            terminal::fail(&error);
        }
        Ok(())
    }

    fn show(&mut self, answer: &Answer) -> Result<()> {
        let wrong = answer.diagnostics.iter().any(Diagnostic::is_error);
        self.failed |= wrong;
        if self.format == Format::Json {
            return terminal::json(&serde_json::json!({
                "value": answer.value,
                "type": answer.ty,
                "defined": answer.defined,
                "diagnostics": report::json(&answer.diagnostics, &answer.sources),
            }));
        }
        let color = terminal::has_color(&std::io::stderr());
        if !answer.diagnostics.is_empty() {
            let text = report::render(
                &answer.diagnostics,
                &answer.sources,
                super::check::WIDTH,
                color,
            );
            terminal::say(text.trim_end());
        }
        if wrong {
            return Ok(());
        }
        match (&answer.value, &answer.ty, &answer.defined) {
            (Some(value), ..) => terminal::data(&format!("{}\n", value.trim_end())),
            (None, Some(ty), None) => terminal::data(&format!("{ty}\n")),
            (None, Some(ty), Some(name)) => {
                terminal::say(&format!("{name}: {ty}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What can follow the beginning of an entry.
    fn complete(&mut self, before: &str) -> (usize, Vec<String>) {
        if let Some(rest) = before.strip_prefix(":env ") {
            return fitting(before.len() - rest.len(), rest, self.environments());
        }
        if before.starts_with(':') && !before.contains(' ') {
            return fitting(0, before, COMMANDS.map(str::to_owned).to_vec());
        }
        let (start, chain) = chain(before);
        let (base, word) = match chain.rsplit_once('.') {
            Some((base, word)) => (Some(base), word),
            None => (None, chain),
        };
        let known = self.scratch.complete(self.env.as_deref(), base);
        fitting(start + chain.len() - word.len(), word, known)
    }
}

fn fitting(start: usize, word: &str, mut known: Vec<String>) -> (usize, Vec<String>) {
    known.retain(|name| name.starts_with(word));
    known.sort_unstable();
    known.dedup();
    (start, known)
}

/// The names, dots and brackets with which a text ends, and where they begin.
fn chain(text: &str) -> (usize, &str) {
    let (mut depth, mut start) = (0_usize, text.len());
    for (at, letter) in text.char_indices().rev() {
        let inside = depth > 0;
        match letter {
            ']' | ')' => depth += 1,
            '[' | '(' if inside => depth -= 1,
            '[' | '(' => break,
            c if inside || c.is_alphanumeric() || matches!(c, '_' | '.' | '?') => {}
            _ => break,
        }
        start = at;
    }
    (start, &text[start..])
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[test]
    fn a_chain_ends_at_what_is_no_name() {
        assert_eq!(chain("1 + shop.web.na"), (4, "shop.web.na"));
        assert_eq!(chain("f(shop.objects[0].meta"), (2, "shop.objects[0].meta"));
        assert_eq!(chain("[\"a b\"].len(1).x"), (0, "[\"a b\"].len(1).x"));
        assert_eq!(chain("a + "), (4, ""));
        assert_eq!(chain(""), (0, ""));
    }
}
