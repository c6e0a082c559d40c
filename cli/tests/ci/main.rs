//! The GitHub Action and the GitLab template, by running their steps as a runner does, against a server that answers as the
//! services' APIs do.
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "a suite that is left out says so")]

mod work;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use work::{Work, source};

/// What the fake service was asked, and its comments.
#[derive(Default)]
struct Service {
    comments: Vec<(u64, String)>,
    asked: Vec<String>,
    sarif: Vec<Value>,
}

/// Starts a service; returns where it is.
fn serve() -> (String, Arc<Mutex<Service>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let service = Arc::new(Mutex::new(Service::default()));
    let own = Arc::clone(&service);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &own);
        }
    });
    (address, service)
}

fn answer(stream: TcpStream, service: &Mutex<Service>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let path = rest.split(' ').next()?.to_owned();
    let (mut length, mut allowed, mut waits) = (0, false, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        let value = |name: &str| header.strip_prefix(name).map(str::to_owned);
        if let Some(number) = value("content-length: ") {
            length = number.parse().ok()?;
        }
        waits |= header == "expect: 100-continue";
        allowed |= header == "authorization: bearer token-1" || header == "private-token: token-1";
    }
    if waits {
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .ok()?;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut service = service.lock().expect("nobody panics");
    service
        .asked
        .push(format!("{method} {}", path.split('?').next()?));
    let text = body["body"].as_str().unwrap_or_default().to_owned();
    let number = |path: &str| {
        path.rsplit('/')
            .next()
            .and_then(|id| id.parse::<u64>().ok())
    };
    let (status, answer) = match (allowed, method) {
        (false, _) => (401, json!({"message": "Bad credentials"})),
        (_, "GET") => {
            // A hundred a page, as the services give at most; the first comments are of other people.
            let page: usize = path.rsplit("&page=").next()?.parse().ok()?;
            let others = (0..100).map(|id| json!({"id": id, "body": "looks good"}));
            let own = service.comments.iter();
            let own = own.map(|(id, body)| json!({"id": id, "body": body}));
            let all: Vec<Value> = others.chain(own).collect();
            let shown = all.chunks(100).nth(page - 1).unwrap_or_default();
            (200, json!(shown))
        }
        (_, "POST") if path.ends_with("/sarifs") => {
            service.sarif.push(body);
            (202, json!({"id": "1"}))
        }
        (_, "POST") if text.chars().count() > 65_536 => {
            (422, json!({"message": "body is too long"}))
        }
        (_, "POST") => {
            let id = 1000 + service.comments.len() as u64;
            service.comments.push((id, text));
            (201, json!({"id": id}))
        }
        (_, "PATCH" | "PUT") => {
            let id = number(&path);
            let found = service.comments.iter_mut().find(|one| Some(one.0) == id);
            match found {
                Some(one) => {
                    one.1 = text;
                    (200, json!({"id": one.0}))
                }
                None => (404, json!({"message": "Not Found"})),
            }
        }
        _ => (405, json!({})),
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    reader.get_mut().write_all(head.as_bytes()).ok()?;
    reader.get_mut().write_all(answer.as_bytes()).ok()
}

fn yaml(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(path).expect("it is there");
    serde_yaml::from_str(&text).expect("it is YAML")
}

/// Whether the steps can run here; every machine that runs jobs has these.
fn is_equipped() -> bool {
    let missing: Vec<&str> = ["bash", "git", "curl", "jq", "gzip"]
        .into_iter()
        .filter(|program| Command::new(program).arg("--version").output().is_err())
        .collect();
    if !missing.is_empty() {
        println!("left out: {missing:?} is missing");
    }
    missing.is_empty()
}

/// A run of the action.
struct Action<'a> {
    work: &'a Work,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    api: &'a str,
}

impl Action<'_> {
    /// Evaluates what stands between `${{` and `}}`, as far as the action uses it.
    fn value(&self, expression: &str) -> String {
        let expression = expression.trim();
        if let Some((one, other)) = expression.split_once(" || ") {
            let one = self.value(one);
            return if one.is_empty() {
                self.value(other)
            } else {
                one
            };
        }
        if let Some(text) = expression.strip_prefix('\'') {
            return text.trim_end_matches('\'').to_owned();
        }
        if let Some(name) = expression.strip_prefix("inputs.") {
            let known = self.inputs.get(name);
            return known
                .cloned()
                .unwrap_or_else(|| panic!("no input `{name}`"));
        }
        if let Some(name) = expression.strip_prefix("steps.diff.outputs.") {
            return self.outputs.get(name).cloned().unwrap_or_default();
        }
        match expression {
            "github.token" => "token-1".to_owned(),
            "github.event_name" => "pull_request".to_owned(),
            "github.event.pull_request.number" => "7".to_owned(),
            "github.event.pull_request.base.sha" => self.work.base.clone(),
            "github.event.pull_request.head.sha" | "github.sha" => self.work.head.clone(),
            other => panic!("the test does not know `{other}`"),
        }
    }

    fn filled(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").expect("it is closed");
            out.push_str(&self.value(expression));
            out.push_str(rest);
        }
        out
    }

    fn holds(&self, condition: &str) -> bool {
        let condition = condition
            .trim()
            .trim_start_matches("${{")
            .trim_end_matches("}}");
        condition
            .split("&&")
            .all(|part| match part.split_once("==") {
                Some((one, other)) => self.value(one) == self.value(other),
                None => {
                    let (one, other) = part.split_once("!=").expect("a comparison");
                    self.value(one) != self.value(other)
                }
            })
    }

    /// Runs the steps until one fails; returns its name, the log and the step summary.
    fn run(&mut self) -> (Option<String>, String, String) {
        let action = yaml("ci/github/action.yml");
        for (name, input) in action["inputs"].as_object().expect("inputs") {
            let default = input["default"].as_str().unwrap_or_default().to_owned();
            if !self.inputs.contains_key(name) {
                let filled = self.filled(&default);
                self.inputs.insert(name.clone(), filled);
            }
        }
        let (mut log, mut failed) = (String::new(), None);
        let summary = self.work.path("temp/summary");
        std::fs::write(&summary, "").expect("written");
        for step in action["runs"]["steps"].as_array().expect("steps") {
            if step["if"]
                .as_str()
                .is_some_and(|condition| !self.holds(condition))
            {
                continue;
            }
            assert_eq!(step["shell"], "bash");
            let own = self.work.path("temp/output");
            std::fs::write(&own, "").expect("written");
            let text = |path: &Path| path.display().to_string();
            let mut env = BTreeMap::from([
                ("RUNNER_TEMP".to_owned(), text(&self.work.path("temp"))),
                ("GITHUB_OUTPUT".to_owned(), text(&own)),
                ("GITHUB_STEP_SUMMARY".to_owned(), text(&summary)),
                ("GITHUB_PATH".to_owned(), text(&self.work.path("temp/path"))),
                (
                    "GITHUB_ACTION_PATH".to_owned(),
                    format!("{}/../ci/github", env!("CARGO_MANIFEST_DIR")),
                ),
                ("GITHUB_API_URL".to_owned(), self.api.to_owned()),
                (
                    "GITHUB_SERVER_URL".to_owned(),
                    "https://git.example.org".to_owned(),
                ),
                ("GITHUB_REPOSITORY".to_owned(), "ada/shop".to_owned()),
                ("GITHUB_REF".to_owned(), "refs/pull/7/merge".to_owned()),
            ]);
            if let Some(path) = self.work.search_path() {
                env.insert("PATH".to_owned(), path);
            }
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                env.insert(name.clone(), self.filled(value.as_str().expect("a text")));
            }
            let script = step["run"].as_str().expect("a script");
            // What a pull request says must not become a part of a script.
            assert!(!script.contains("${{"), "{script}");
            let output = self.work.bash(script, &env);
            log.push_str(&String::from_utf8_lossy(&output.stdout));
            log.push_str(&String::from_utf8_lossy(&output.stderr));
            for line in std::fs::read_to_string(&own).expect("it is there").lines() {
                if let Some((name, value)) = line.split_once('=') {
                    self.outputs.insert(name.to_owned(), value.to_owned());
                }
            }
            if !output.status.success() {
                failed = step["name"].as_str().map(str::to_owned);
                break;
            }
        }
        let summary = std::fs::read_to_string(&summary).expect("it is there");
        (failed, log, summary)
    }
}

fn action<'a>(work: &'a Work, api: &'a str, inputs: &[(&str, &str)]) -> Action<'a> {
    let own = [("path", "deploy"), ("ordain", env!("CARGO_BIN_EXE_ordain"))];
    let inputs = own.iter().chain(inputs);
    let inputs = inputs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Action {
        work,
        inputs: inputs.collect(),
        outputs: BTreeMap::new(),
        api,
    }
}

#[test]
fn the_action_writes_one_comment_and_keeps_it_up_to_date() {
    if !is_equipped() {
        return;
    }
    let (api, service) = serve();
    let work = Work::new(&source(1), &source(3));
    let (failed, log, summary) = action(&work, &api, &[("sarif", "true")]).run();
    assert_eq!(failed, None, "{log}");
    assert!(summary.contains("1 → 3 replicas"), "{summary}");
    {
        let service = service.lock().expect("nobody panics");
        let (_, comment) = &service.comments[0];
        assert!(
            comment.starts_with("<!-- ordain-diff deploy  -->\n### Ordain: 1 object differs"),
            "{comment}"
        );
        let link = format!(
            "https://git.example.org/ada/shop/blob/{}/deploy/shop.ord#L5",
            work.head
        );
        assert!(comment.contains(&link), "{comment}");
        assert_eq!(service.sarif[0]["commit_sha"], work.head.as_str());
        assert!(
            service
                .asked
                .contains(&"POST /repos/ada/shop/code-scanning/sarifs".to_owned())
        );
    }
    // The next push of the same pull request.
    let work = Work::new(&source(1), &source(5));
    let mut again = action(&work, &api, &[]);
    assert_eq!(again.run().0, None);
    assert_eq!(
        (&*again.outputs["changed"], &*again.outputs["worst"]),
        ("1", "note")
    );
    // One that takes the change back: the comment stays, and says so.
    let work = Work::new(&source(1), &source(1));
    assert_eq!(action(&work, &api, &[("fail-on", "changes")]).run().0, None);
    let service = service.lock().expect("nobody panics");
    assert_eq!(service.comments.len(), 1, "{:?}", service.asked);
    assert!(
        service.comments[0].1.contains("no changes"),
        "{:?}",
        service.comments
    );
}

#[test]
fn the_action_fails_when_it_is_asked_to_and_when_it_does_not_know() {
    if !is_equipped() {
        return;
    }
    let (api, service) = serve();
    let work = Work::new(&source(1), &source(3));
    let (failed, log, _) = action(&work, &api, &[("fail-on", "changes")]).run();
    assert_eq!(failed.as_deref(), Some("Result"), "{log}");
    // Scaling is daily work.
    let (failed, log, _) = action(&work, &api, &[("fail-on", "effects")]).run();
    assert_eq!(failed, None, "{log}");
    let zero = Work::new(
        &source(1),
        &source(1).replace("replicas = 1", "replicas = 0"),
    );
    let (failed, log, _) = action(&zero, &api, &[("fail-on", "effects")]).run();
    assert_eq!(failed.as_deref(), Some("Result"), "{log}");
    let broken = Work::new(&source(1), "app shop { objects = [nonsense] }\n");
    let (failed, log, summary) = action(&broken, &api, &[]).run();
    assert_eq!(failed.as_deref(), Some("Result"), "{log}");
    assert!(
        summary.contains("could not be found out") && summary.contains("nonsense"),
        "{summary}"
    );
    let service = service.lock().expect("nobody panics");
    assert!(service.comments[0].1.contains("nonsense"));
}

#[test]
fn a_quiet_pull_request_gets_no_comment_and_a_wrong_token_is_told() {
    if !is_equipped() {
        return;
    }
    let (api, service) = serve();
    let work = Work::new(&source(1), &source(1));
    assert_eq!(action(&work, &api, &[]).run().0, None);
    assert!(service.lock().expect("nobody panics").comments.is_empty());
    let work = Work::new(&source(1), &source(2));
    let (failed, log, _) = action(&work, &api, &[("token", "wrong")]).run();
    assert_eq!(failed.as_deref(), Some("Comment"));
    assert!(log.contains("401"), "{log}");
}

#[test]
fn the_gitlab_job_writes_one_note_and_keeps_artifacts() {
    if !is_equipped() {
        return;
    }
    let (api, service) = serve();
    let job = &yaml("ci/gitlab/ordain-diff.yml")["ordain-diff"];
    let run = |work: &Work, more: &[(&str, &str)]| {
        let repository = work.path("repository").display().to_string();
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in job["variables"].as_object().expect("variables") {
            env.insert(name.clone(), value.as_str().expect("a text").to_owned());
        }
        let own = [
            ("CI_PROJECT_DIR", repository.as_str()),
            ("CI_PROJECT_URL", "https://git.example.org/ada/shop"),
            ("CI_API_V4_URL", api.as_str()),
            ("CI_PROJECT_ID", "42"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", work.base.as_str()),
            ("CI_COMMIT_SHA", work.head.as_str()),
            ("ORDAIN", env!("CARGO_BIN_EXE_ordain")),
            ("ORDAIN_PATH", "deploy"),
            ("ORDAIN_TOKEN", "token-1"),
        ];
        for (name, value) in own.iter().chain(more) {
            env.insert((*name).to_owned(), (*value).to_owned());
        }
        // A runner puts all lines of a job into one script.
        let lines = job["script"].as_array().expect("lines");
        let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        work.bash(&lines.join("\n"), &env)
    };
    let work = Work::new(&source(1), &source(3));
    let output = run(&work, &[]);
    assert!(output.status.success(), "{output:?}");
    for path in job["artifacts"]["paths"].as_array().expect("paths") {
        let path = work.path("repository").join(path.as_str().expect("a text"));
        assert!(path.is_file(), "{}", path.display());
    }
    let output = run(&work, &[("ORDAIN_FAIL_ON", "changes")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // Without the program in the image it is built.
    work.fake_cargo();
    let path = work.search_path().expect("a path");
    let built = [
        ("PATH", path.as_str()),
        ("ORDAIN", "nowhere"),
        ("ORDAIN_BUILD", "https://git.example.org/ordain"),
        ("ORDAIN_BUILD_REV", "abc"),
    ];
    let output = run(&work, &built);
    assert!(output.status.success(), "{output:?}");
    let called = "--git https://git.example.org/ordain --rev abc ordain";
    assert!(work.cargo_log().contains(called), "{}", work.cargo_log());
    let unnamed = run(&work, &built[..3]);
    assert!(!unnamed.status.success(), "a commit must be named");
    let service = service.lock().expect("nobody panics");
    assert_eq!(service.comments.len(), 1, "{:?}", service.asked);
    assert!(
        service.comments[0].1.contains("1 → 3 replicas"),
        "{:?}",
        service.comments
    );
    let put = "PUT /projects/42/merge_requests/7/notes/1000".to_owned();
    assert_eq!(service.asked.last(), Some(&put));
}

#[test]
fn the_scripts_are_clean() {
    if Command::new("shellcheck")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("left out: shellcheck is not installed");
        return;
    }
    let work = Work::new(&source(1), &source(1));
    let action = yaml("ci/github/action.yml");
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let job = &yaml("ci/gitlab/ordain-diff.yml")["ordain-diff"];
    let lines = job["script"].as_array().expect("lines");
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    let scripts = steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .map(|script| format!("#!/bin/bash\n{script}"))
        .chain([format!("#!/bin/bash\n{}", lines.join("\n"))]);
    for script in scripts {
        let file = work.path("temp/checked.sh");
        std::fs::write(&file, &script).expect("written");
        let output = Command::new("shellcheck")
            .arg(&file)
            .output()
            .expect("it starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn the_action_builds_the_program_where_there_is_none() {
    if !is_equipped() {
        return;
    }
    let (api, _service) = serve();
    for (inputs, called) in [
        (&[("build", "action")][..], "/../ci/github/../../cli"),
        (
            &[
                ("build", "https://git.example.org/ordain"),
                ("build-rev", "abc"),
            ][..],
            "--git https://git.example.org/ordain --rev abc ordain",
        ),
    ] {
        let work = Work::new(&source(1), &source(3));
        work.fake_cargo();
        let inputs: Vec<_> = inputs
            .iter()
            .copied()
            .chain([("ordain", "ordain")])
            .collect();
        let (failed, log, summary) = action(&work, &api, &inputs).run();
        assert_eq!(failed, None, "{log}");
        assert!(summary.contains("1 → 3 replicas"), "{summary}");
        let cargo = work.cargo_log();
        assert!(
            cargo.starts_with("install --locked") && cargo.contains(called),
            "{cargo}"
        );
        // What a cache brought back is not built again.
        let (failed, log, _) = action(&work, &api, &inputs).run();
        assert_eq!(failed, None, "{log}");
        assert_eq!(work.cargo_log(), cargo);
    }
    let work = Work::new(&source(1), &source(3));
    work.fake_cargo();
    let unseen = [
        ("build", "https://git.example.org/ordain"),
        ("ordain", "ordain"),
    ];
    let (failed, log, _) = action(&work, &api, &unseen).run();
    assert_eq!(failed.as_deref(), Some("Build"), "{log}");
    assert!(log.contains("build-rev is missing"), "{log}");
    assert_eq!(work.cargo_log(), "");
    // The sources that `build: action` means are there.
    assert!(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../ci/github/../../cli/Cargo.toml")
            .is_file()
    );
}
