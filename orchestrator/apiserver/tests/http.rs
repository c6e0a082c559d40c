//! Requests and their answers, one scenario per file in `tests/http/`.
//!
//! A scenario is a list of requests to one fresh server:
//!
//! ```text
//! # a comment
//! as ann group1 group2          (from here on; `as admin` is the start)
//! POST /api/v1/namespaces/default/pods
//! content-type: application/json
//! {"a body": "up to the next empty line"}
//!
//! GET /api/v1/pods
//! show metadata.name            (only these paths of the answer; `show all` is the start)
//! ```
//!
//! The answers are a snapshot beside it. What differs from run to run is replaced: uids, times,
//! revisions, generated names. `WATCH` instead of a method reads what a watch sends until it ends.

use std::{collections::HashMap, fmt::Write, path::Path, sync::Arc};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use ordain_orchestrator_apiserver::{Config, InProcess, Pki, Running, Server, User};
use ordain_orchestrator_store::Memory;
use serde_json::Value;
use tower::ServiceExt;

datatest_stable::harness! {
    { test = scenario, root = "tests/http", pattern = r"\.txt$" },
}

fn scenario(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let transcript = runtime.block_on(run(&text));
    let name = path
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or("scenario")
        .to_owned();
    insta::with_settings!({snapshot_path => "http", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, transcript);
    });
    Ok(())
}

async fn run(text: &str) -> String {
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let server = Server::start(Config::new(Arc::new(Memory::new()), pki))
        .await
        .expect("a server");
    let mut player = Player {
        service: server.in_process(User::admin()),
        server,
        paths: Vec::new(),
        seen: HashMap::new(),
        out: String::new(),
    };
    for block in text.split("\n\n") {
        let lines: Vec<&str> = block
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
            .collect();
        player.block(&lines).await;
    }
    player.server.shutdown().await;
    player.out
}

struct Player {
    server: Running,
    service: InProcess,
    paths: Vec<String>,
    /// Values that were seen, and what they are replaced with.
    seen: HashMap<String, String>,
    out: String,
}

impl Player {
    async fn block(&mut self, lines: &[&str]) {
        let mut lines = lines.iter().copied().peekable();
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["as", "admin"] => self.service = self.server.in_process(User::admin()),
                ["as", "anonymous"] => self.service = self.server.in_process(User::anonymous()),
                ["as", name, groups @ ..] => {
                    self.service = self.server.in_process(User::new(*name, groups));
                }
                ["show", "all"] => self.paths.clear(),
                ["show", paths @ ..] => {
                    self.paths = paths.iter().map(|p| (*p).to_owned()).collect()
                }
                [method, url] => {
                    let mut request = Request::builder()
                        .method(if *method == "WATCH" { "GET" } else { method })
                        .uri(self.fill(url));
                    while let Some((name, value)) = lines
                        .peek()
                        .and_then(|l| l.split_once(": "))
                        .filter(|(name, _)| matches!(*name, "content-type" | "accept"))
                    {
                        request = request.header(name, value);
                        lines.next();
                    }
                    let body: Vec<&str> = lines.by_ref().collect();
                    let body = self.fill(&body.join("\n"));
                    let request = request
                        .body(Full::new(Bytes::from(body)))
                        .expect("a request");
                    self.send(method, url, request).await;
                }
                _ => panic!("not understood: {line}"),
            }
        }
    }

    /// Puts back a value of an earlier answer: `$uid1`.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in &self.seen {
            text = text.replace(&format!("${}", name.trim_matches(['<', '>'])), value);
        }
        text
    }

    async fn send(&mut self, method: &str, url: &str, request: Request<Full<Bytes>>) {
        let answer = self
            .service
            .clone()
            .oneshot(request)
            .await
            .expect("it always answers");
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        let _ = writeln!(self.out, "{method} {url}\n{}", parts.status.as_u16());
        for warning in parts.headers.get_all("warning") {
            let _ = writeln!(self.out, "warning: {}", warning.to_str().unwrap_or("?"));
        }
        let lines: Vec<&[u8]> = if method == "WATCH" {
            bytes
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .collect()
        } else {
            vec![&bytes]
        };
        for line in lines {
            match serde_json::from_slice::<Value>(line) {
                Ok(mut value) => {
                    self.redact(&mut value, "");
                    let shown = self.shown(&value);
                    self.out.push_str(&shown);
                }
                Err(_) => {
                    let _ = writeln!(self.out, "{}", String::from_utf8_lossy(line));
                }
            }
        }
        self.out.push('\n');
    }

    fn shown(&self, value: &Value) -> String {
        if self.paths.is_empty() || value["kind"] == "Status" {
            return format!("{}\n", serde_json::to_string_pretty(value).expect("JSON"));
        }
        let mut out = String::new();
        for path in &self.paths {
            let pointer = format!("/{}", path.replace('.', "/").replace('~', "~0"));
            match value.pointer(&pointer) {
                None => {
                    let _ = writeln!(out, "{path}: -");
                }
                Some(found) => {
                    let _ = writeln!(out, "{path}: {found}");
                }
            }
        }
        out
    }

    fn redact(&mut self, value: &mut Value, field: &str) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact(item, field)),
            Value::Object(map) => {
                if !self.paths.iter().any(|p| p.contains("managedFields")) {
                    map.shift_remove("managedFields");
                }
                map.iter_mut()
                    .for_each(|(field, value)| self.redact(value, field));
            }
            Value::String(text) => {
                let kind = match field {
                    "uid" => "uid",
                    "resourceVersion" if text != "0" => "revision",
                    "time"
                    | "creationTimestamp"
                    | "deletionTimestamp"
                    | "lastTransitionTime"
                    | "expirationTimestamp" => "time",
                    "continue" => "continue",
                    "token" => "token",
                    _ => "",
                };
                if text.starts_with("kube-api-access-") {
                    *text = "kube-api-access-<random>".to_owned();
                } else if kind == "time" {
                    *text = "<time>".to_owned();
                } else if !kind.is_empty() {
                    let count = self
                        .seen
                        .values()
                        .filter(|v| v.starts_with(&format!("<{kind}")))
                        .count();
                    let name = self
                        .seen
                        .entry(text.clone())
                        .or_insert_with(|| format!("<{kind}{}>", count + 1));
                    *text = name.clone();
                } else {
                    for (value, name) in &self.seen {
                        if value.len() > 8 {
                            *text = text.replace(value, name);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}
