//! Talks to the language server as an editor does, in a project of a thousand applications, and says how long it takes
//! until a mistake is shown, until it is gone, and until names are proposed.
//!
//!     cargo run --release -p ordain-benches --bin editor [N]
//!
//! The server runs in this process behind a pipe; every figure is of a whole message and its answer. Each row is the
//! middle and the slowest of its rounds: what a person feels is the slow one. Beside them stands the processor time of
//! the middle one, which other programs of a busy machine change least.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lsp_server::{Connection, Message, Notification, Request, RequestId, Response};
use ordain_benches::project;
use serde_json::{Value, json};

/// Rounds of each row.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("editor: {error}");
            ExitCode::from(3)
        }
    }
}

fn run() -> Result<(), String> {
    let n = std::env::args().nth(1).unwrap_or_else(|| "1000".to_owned());
    let number: usize = n
        .parse()
        .map_err(|_| format!("`{n}` is no number of applications"))?;
    let temp = tempfile::tempdir().map_err(|e| e.to_string())?;
    for (path, text) in project::files(number) {
        let path = temp.path().join(path);
        let folder = path.parent().ok_or("a file has a folder")?;
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        std::fs::write(path, text).map_err(|e| e.to_string())?;
    }
    let (ours, theirs) = Connection::memory();
    let server = std::thread::spawn(move || ordain_lang_lsp::serve(theirs));
    let mut editor = Editor {
        connection: ours,
        root: temp.path().to_path_buf(),
        next: 0,
        version: 1,
    };
    println!("{number} applications with a file each, two environments; milliseconds\n");
    println!(
        "{:<52} {:>8} {:>8} {:>8}",
        format!("of {ROUNDS} rounds"),
        "middle",
        "slowest",
        "work"
    );
    let start = Began::now();
    editor.start()?;
    editor.settle()?;
    row("opened, until everything is published", vec![start.took()]);
    editor.rounds(number / 2)?;
    editor.environment(number)?;
    editor.ask("shutdown", Value::Null)?;
    editor.tell("exit", Value::Null)?;
    server
        .join()
        .map_err(|_| "the server panicked".to_owned())?
        .map_err(|e| e.to_string())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// How long something took, on the clock and on processors.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    work: Duration,
}

/// When something began.
struct Began(Instant, Duration);

impl Began {
    fn now() -> Began {
        Began(Instant::now(), work())
    }

    fn took(&self) -> Took {
        Took {
            wall: self.0.elapsed(),
            work: work().saturating_sub(self.1),
        }
    }
}

/// The processor time of this process.
#[cfg(target_os = "linux")]
fn work() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeVal;
    let micros = |time: TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        micros(usage.user_time()) + micros(usage.system_time())
    })
}

#[cfg(not(target_os = "linux"))]
fn work() -> Duration {
    Duration::ZERO
}

fn row(label: &str, times: Vec<Took>) {
    let sorted = |of: fn(&Took) -> Duration| {
        let mut all: Vec<Duration> = times.iter().map(of).collect();
        all.sort_unstable();
        (all[all.len() / 2], all[all.len() - 1])
    };
    let ((middle, slowest), (work, _)) = (sorted(|took| took.wall), sorted(|took| took.work));
    println!(
        "{label:<52} {:>8.1} {:>8.1} {:>8.1}",
        ms(middle),
        ms(slowest),
        ms(work)
    );
}

/// An editor at the other end of the pipe.
struct Editor {
    connection: Connection,
    root: PathBuf,
    next: i32,
    version: i32,
}

impl Editor {
    fn uri(&self, path: &str) -> String {
        let path: &Path = &self.root.join(path);
        format!("file://{}", path.display())
    }

    fn start(&mut self) -> Result<(), String> {
        let folder = self.uri("");
        self.ask(
            "initialize",
            json!({
                "processId": null,
                "rootUri": null,
                "workspaceFolders": [{ "uri": folder.trim_end_matches('/'), "name": "project" }],
                "capabilities": {
                    "textDocument": { "publishDiagnostics": { "relatedInformation": true } },
                },
            }),
        )?;
        self.tell("initialized", json!({}))
    }

    fn tell(&mut self, method: &str, params: Value) -> Result<(), String> {
        let note = Notification::new(method.to_owned(), params);
        self.connection
            .sender
            .send(note.into())
            .map_err(|_| "the server is gone".to_owned())
    }

    fn next(&mut self) -> Result<Message, String> {
        let message = self.connection.receiver.recv();
        message.map_err(|_| "the server is gone".to_owned())
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.next += 1;
        let id = RequestId::from(self.next);
        let request = Request::new(id.clone(), method.to_owned(), params);
        let sent = self.connection.sender.send(request.into());
        sent.map_err(|_| "the server is gone".to_owned())?;
        loop {
            match self.next()? {
                Message::Response(response) if response.id == id => {
                    let answer = serde_json::to_value(&response).map_err(|e| e.to_string())?;
                    return match answer.get("error") {
                        Some(error) => Err(format!("{method}: {error}")),
                        None => Ok(answer["result"].clone()),
                    };
                }
                Message::Request(request) => {
                    let answer = Response::new_ok(request.id, Value::Null);
                    let _ = self.connection.sender.send(answer.into());
                }
                Message::Response(_) | Message::Notification(_) => {}
            }
        }
    }

    /// Waits until everything is published.
    fn settle(&mut self) -> Result<(), String> {
        self.ask("ordain/settled", Value::Null).map(drop)
    }

    fn open(&mut self, path: &str, text: &str) -> Result<(), String> {
        let uri = self.uri(path);
        self.tell(
            "textDocument/didOpen",
            json!({ "textDocument": { "uri": uri, "languageId": "ordain", "version": 1, "text": text } }),
        )?;
        self.settle()
    }

    fn change(&mut self, path: &str, text: &str) -> Result<(), String> {
        self.version += 1;
        let (uri, version) = (self.uri(path), self.version);
        self.tell(
            "textDocument/didChange",
            json!({
                "textDocument": { "uri": uri, "version": version },
                "contentChanges": [{ "text": text }],
            }),
        )
    }

    /// Changes a file, and waits until its diagnostics are `wrong` or gone.
    fn until_told(&mut self, path: &str, text: &str, wrong: bool) -> Result<Took, String> {
        let uri = self.uri(path);
        let start = Began::now();
        self.change(path, text)?;
        loop {
            let Message::Notification(note) = self.next()? else {
                continue;
            };
            if note.method != "textDocument/publishDiagnostics" || note.params["uri"] != *uri {
                continue;
            }
            let found = note.params["diagnostics"].as_array();
            if found.is_some_and(|found| found.is_empty() != wrong) {
                return Ok(start.took());
            }
        }
    }

    /// Changes a file, and waits until everything is published.
    fn until_settled(&mut self, path: &str, text: &str) -> Result<Took, String> {
        let start = Began::now();
        self.change(path, text)?;
        self.settle()?;
        Ok(start.took())
    }

    fn at(&self, path: &str, text: &str, offset: usize) -> Value {
        let before = &text[..offset];
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        json!({
            "textDocument": { "uri": self.uri(path) },
            "position": { "line": line, "character": before[start..].encode_utf16().count() },
        })
    }

    /// Changes a file, and asks at a place at once.
    fn until_answered(
        &mut self,
        path: &str,
        text: &str,
        (method, offset): (&str, usize),
    ) -> Result<Took, String> {
        let params = self.at(path, text, offset);
        let start = Began::now();
        self.change(path, text)?;
        let answer = self.ask(method, params)?;
        let took = start.took();
        let items = answer.get("items").unwrap_or(&answer);
        if items.is_null() || items.as_array().is_some_and(Vec::is_empty) {
            return Err(format!("{method} in {path} says nothing"));
        }
        Ok(took)
    }

    /// Edits of an application's file.
    fn rounds(&mut self, at: usize) -> Result<(), String> {
        let path = project::path(at);
        let right = |round: usize| project::app(at, &format!("    replicas = {}\n", round + 2));
        let wrong = project::app(at, "    replicsa = 3\n");
        self.open(&path, &right(0))?;
        let (mut edited, mut told, mut all, mut mended, mut after) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut completed, mut hovered) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            edited.push(self.until_settled(&path, &right(round + 1))?);
            told.push(self.until_told(&path, &wrong, true)?);
            self.settle()?;
            mended.push(self.until_told(&path, &right(round), false)?);
            self.settle()?;
            after.push(self.until_settled(&path, &right(round + 2))?);
            all.push(self.until_settled(&path, &wrong)?);
            self.until_settled(&path, &right(round))?;
            let typing = project::app(at, &format!("    re\n    metricsPort = {}\n", 9100 + round));
            let place = typing.find("    re\n").map_or(0, |at| at + 6);
            completed.push(self.until_answered(
                &path,
                &typing,
                ("textDocument/completion", place),
            )?);
            let text = right(round + 1);
            let place = text.find("replicas").unwrap_or(0) + 2;
            hovered.push(self.until_answered(&path, &text, ("textDocument/hover", place))?);
            self.settle()?;
        }
        println!("\nin an application's file");
        row("an edit, until everything is published", edited);
        row("a mistake, until it is shown", told);
        row("a mistake, until everything is published", all);
        row("put right, until it is gone", mended);
        row("the next edit, until everything is published", after);
        row("completion after a key", completed);
        row("hover after an edit", hovered);
        Ok(())
    }

    /// Edits of the file that changes every application.
    fn environment(&mut self, number: usize) -> Result<(), String> {
        let path = "envs.ord";
        let files = project::files(number);
        let found = files.iter().find(|(name, _)| name == path);
        let text = found.map(|(_, text)| text.clone()).unwrap_or_default();
        let line = format!("  app_{:04}.config {{ ", number / 2);
        let start = text.find(&line).ok_or("the application has a line")? + line.len();
        let with = |more: &str| format!("{}{more}{}", &text[..start], &text[start..]);
        self.open(path, &text)?;
        let (mut told, mut mended) = (Vec::new(), Vec::new());
        let (mut completed, mut hovered) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let typing = with(&" ".repeat(round % 3 + 1));
            completed.push(self.until_answered(
                path,
                &typing,
                ("textDocument/completion", start),
            )?);
            let moved = with(&" ".repeat(round % 2 + 4));
            let place = moved[start..].find("replicas").unwrap_or(0) + start + 2;
            hovered.push(self.until_answered(path, &moved, ("textDocument/hover", place))?);
            self.settle()?;
            told.push(self.until_told(path, &with("replicsa = 2, "), true)?);
            self.settle()?;
            mended.push(self.until_told(path, &text, false)?);
            self.settle()?;
        }
        println!("\nin the environments' file, a line for each application");
        row("a mistake, until it is shown", told);
        row("put right, until it is gone", mended);
        row("completion after a key", completed);
        row("hover after an edit", hovered);
        Ok(())
    }
}
