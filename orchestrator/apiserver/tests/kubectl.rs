//! The installed kubectl against this server, one scenario per file in `tests/kubectl/`.
//!
//! A line is a kubectl command without the word `kubectl`; a line that starts with `write FILE`
//! is followed by the content of a file, up to an empty line. What comes out is a snapshot beside
//! it, with uids, times, ages and generated names replaced. Without kubectl the scenarios are left
//! out, and say so.

use std::{
    fmt::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use ordain_orchestrator_apiserver::{Config, Pki, Server};
use ordain_orchestrator_store::Memory;

datatest_stable::harness! {
    { test = scenario, root = "tests/kubectl", pattern = r"\.txt$" },
}

fn scenario(path: &Path) -> datatest_stable::Result<()> {
    let mut probe = Command::new("kubectl");
    probe
        .args(["version", "--client"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        let mut out = std::io::stderr();
        std::io::Write::write_all(&mut out, b"kubectl is not installed: scenario left out\n")?;
        return Ok(());
    }
    let text = std::fs::read_to_string(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let transcript = runtime.block_on(run(text));
    let name = path
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or("scenario")
        .to_owned();
    insta::with_settings!({
        snapshot_path => "kubectl",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, transcript);
    });
    Ok(())
}

async fn run(text: String) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let server = Server::start(Config::new(Arc::new(Memory::new()), pki))
        .await
        .expect("a server");
    std::fs::write(dir.path().join("kubeconfig"), server.kubeconfig()).expect("a file");
    let url = server.url().to_owned();
    let home = dir.path().to_owned();
    let out = tokio::task::spawn_blocking(move || play(&text, &home))
        .await
        .expect("the scenario");
    server.shutdown().await;
    out.replace(&url, "https://SERVER")
}

fn play(text: &str, home: &Path) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(file) = line.strip_prefix("write ") {
            let content: Vec<&str> = lines.by_ref().take_while(|l| !l.is_empty()).collect();
            std::fs::write(home.join(file), content.join("\n") + "\n").expect("a file");
            continue;
        }
        let result = Command::new("sh")
            .arg("-c")
            .arg(format!("kubectl {line}"))
            .current_dir(home)
            .env("KUBECONFIG", home.join("kubeconfig"))
            .env("HOME", home)
            .env(
                "KUBECTL_EXTERNAL_DIFF",
                "diff -u --label live --label merged",
            )
            .output()
            .expect("sh runs");
        let _ = writeln!(out, "$ kubectl {line}");
        out.push_str(&redact(&String::from_utf8_lossy(&result.stdout)));
        out.push_str(&redact(&String::from_utf8_lossy(&result.stderr)));
        if !result.status.success() {
            let _ = writeln!(out, "(exit code {})", result.status.code().unwrap_or(-1));
        }
        out.push('\n');
    }
    out
}

/// Replaces what differs from run to run.
fn redact(text: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (
            r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
            "<time>",
        ),
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "<uid>",
        ),
        (r#"resourceVersion: "\d+""#, "resourceVersion: <revision>"),
        (r"10\.43\.\d+\.\d+", "10.43.x.x"),
        (r":3\d{4}/TCP", ":3xxxx/TCP"),
        (r"nodePort: 3\d{4}", "nodePort: 3xxxx"),
        (r"kube-api-access-\w{5}", "kube-api-access-xxxxx"),
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>"),
        (r"\b\d+(ms|s)\b( +|$|\n)", "<age>$2"),
        (r"WARNING: version difference[^\n]*\n", ""),
    ];
    let mut text = text.to_owned();
    for (pattern, with) in rules {
        text = regex::Regex::new(pattern)
            .expect("a pattern")
            .replace_all(&text, with)
            .into_owned();
    }
    // Columns are as wide as what was replaced, so their width is not compared.
    let gaps = regex::Regex::new(r"(\S) {2,}").expect("a pattern");
    let lines: Vec<String> = text
        .lines()
        .map(|line| gaps.replace_all(line.trim_end(), "$1   ").into_owned())
        .collect();
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
