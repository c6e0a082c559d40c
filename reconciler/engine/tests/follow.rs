//! Following a foreign repository: webhooks and metrics on a real port, and whose commits are let in.
//!
//! No cluster answers here: what is told of the source does not depend on one.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use ordain_reconciler_engine::{
    CompileError, Compiled, Compiler, Config, Running, Source, SourceStatus, Trust, Wanted,
    control::{self, Request, Response},
    start,
};
use ordain_reconciler_source::{HookSecret, Remote, Signers, TreeFiles, Verify};
use ring::hmac;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what has to come; only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every commit compiles to nothing.
struct Nothing;

impl Compiler for Nothing {
    fn compile(&self, _: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        Ok(Compiled::default())
    }
}

struct World {
    dir: TempDir,
    shutdown: CancellationToken,
    engine: Option<Running>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let world = Self {
            dir,
            shutdown: CancellationToken::new(),
            engine: None,
        };
        std::fs::create_dir(world.origin()).expect("a folder");
        world.git(&["init", "-q", "-b", "main"]);
        world
    }

    fn origin(&self) -> std::path::PathBuf {
        self.dir.path().join("origin")
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.origin())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(args)
            .output()
            .expect("git is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self, settings: &[&str]) -> String {
        let mut args = settings.to_vec();
        args.extend(["commit", "-q", "--allow-empty", "-m", "change"]);
        if !settings.is_empty() {
            args.push("-S");
        }
        self.git(&args);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Starts the engine with a poll that never comes in a test's time.
    async fn start(&mut self, set: impl FnOnce(&mut Config)) {
        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let url = format!("http://{}", nobody.expect("a port"));
        let client = kube::Config::new(url.parse().expect("a URL"));
        let client = kube::Client::try_from(client).expect("a client");
        let origin = self.origin().display().to_string();
        let source = Source::Foreign(Remote::branch(&origin, "main"));
        let data = self.dir.path().join("data");
        let mut config = Config::new(client, data, source, Arc::new(Nothing));
        config.poll = Duration::from_secs(3_600);
        set(&mut config);
        let engine = start(config, self.shutdown.clone()).await;
        self.engine = Some(engine.expect("it starts"));
    }

    fn http(&self) -> SocketAddr {
        let engine = self.engine.as_ref().expect("it runs");
        engine.http().expect("it listens")
    }

    async fn ask(&self, request: Request) -> Vec<Response> {
        let data = self.dir.path().join("data");
        let call = tokio::task::spawn_blocking(move || control::call(&data, &request, |_| {}));
        call.await.expect("no panic").expect("an answer")
    }

    async fn source(&self) -> SourceStatus {
        let answers = self.ask(Request::Status).await;
        let status = answers.into_iter().find_map(|answer| match answer {
            Response::Status { status } => Some(status),
            _ => None,
        });
        status.expect("a status").source
    }

    /// Waits until the source is as it should be.
    async fn until(&self, what: &str, is_so: impl Fn(&SourceStatus) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let source = self.source().await;
            if is_so(&source) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {source:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(engine) = self.engine.take() {
            engine.stopped().await;
        }
    }
}

/// One request as it goes over the wire; returns status and body.
async fn call(to: SocketAddr, head: &str, body: &str) -> (String, String) {
    let request = format!(
        "{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).expect("it listens");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    });
    let answer = answer.await.expect("no panic");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.to_owned(), body.to_owned())
}

fn sign(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn a_signed_webhook_makes_it_look_and_another_does_not() {
    let mut world = World::new();
    let first = world.commit(&[]);
    world
        .start(|config| {
            config.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.hook_secret = HookSecret::new("between us\n");
        })
        .await;
    let at =
        |wanted: String| move |source: &SourceStatus| source.commit.as_deref() == Some(&wanted);
    world.until("the first commit", at(first.clone())).await;
    let second = world.commit(&[]);
    let body = r#"{"ref":"refs/heads/main"}"#;
    let hook = "POST /hooks/git HTTP/1.1\r\nX-GitHub-Event: push";

    let (status, said) = call(world.http(), hook, body).await;
    assert_eq!(
        (status.as_str(), said.contains("not signed")),
        ("401", true),
        "{said}"
    );
    let forged = format!(
        "{hook}\r\nX-Hub-Signature-256: sha256={}",
        sign("guessed", body)
    );
    let (status, said) = call(world.http(), &forged, body).await;
    assert_eq!(
        (status.as_str(), said.contains("wrong")),
        ("401", true),
        "{said}"
    );
    assert_eq!(world.source().await.commit, Some(first));

    let genuine = format!(
        "{hook}\r\nX-Hub-Signature-256: sha256={}",
        sign("between us", body)
    );
    let (status, said) = call(world.http(), &genuine, body).await;
    assert_eq!(status, "202", "{said}");
    world.until("the second commit", at(second)).await;

    // The commit is known a moment before it is compiled.
    let compiled = "ordain_compile_total{result=\"ok\"} 2";
    let counted = async {
        loop {
            let (status, said) = call(world.http(), "GET /metrics HTTP/1.1", "").await;
            assert_eq!(status, "200");
            if said.contains(compiled) {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let said = tokio::time::timeout(PATIENCE, counted)
        .await
        .expect(compiled);
    for line in [
        "ordain_git_hooks_total{host=\"GitHub\",result=\"accepted\"} 1",
        "ordain_git_hooks_total{host=\"unknown\",result=\"refused\"} 2",
        compiled,
        "# EOF",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    for (path, wanted) in [
        ("/healthz", "200"),
        ("/readyz", "200"),
        ("/secret", "404"),
        ("/hooks/git", "405"),
    ] {
        let (status, _) = call(world.http(), &format!("GET {path} HTTP/1.1"), "").await;
        assert_eq!(status, wanted, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn without_a_secret_no_webhook_is_taken() {
    let mut world = World::new();
    world.commit(&[]);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    world.start(|config| config.listen = Some(any)).await;
    let body = "{}";
    let hook = format!(
        "POST /hooks/git HTTP/1.1\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={}",
        sign("", body)
    );
    let (status, said) = call(world.http(), &hook, body).await;
    assert_eq!(
        (status.as_str(), said.contains("--webhook-secret-file")),
        ("404", true),
        "{said}"
    );
    world.stop().await;
}

#[tokio::test]
async fn only_signed_commits_are_let_in() {
    let mut world = World::new();
    let keygen = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(world.dir.path().join("ada"))
        .status();
    if keygen.is_err() {
        // Said where tests speak, so that nobody takes it for run.
        std::io::stderr()
            .write_all(b"left out: `ssh-keygen` is not installed\n")
            .expect("a stream");
        return;
    }
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    let public = read(&world.dir.path().join("ada.pub"));
    let allowed = world.dir.path().join("allowed_signers");
    std::fs::write(&allowed, format!("ada@example.com {public}")).expect("a file");
    let key = format!("user.signingkey={}", world.dir.path().join("ada").display());
    let signed = ["-c", "gpg.format=ssh", "-c", key.as_str()];

    let first = world.commit(&signed);
    world
        .start(|config| {
            config.trust = Trust {
                verify: Verify::Strict,
                signers: Signers {
                    allowed_signers: Some(allowed),
                    keyring: None,
                },
                hold_rewrites: false,
            };
        })
        .await;
    let let_in = |text: &'static str| move |source: &SourceStatus| source.message.contains(text);
    world.until("a signed commit", let_in("has no app")).await;
    assert_eq!(world.source().await.commit, Some(first));

    world.commit(&[]);
    world.ask(Request::Sync).await;
    world
        .until("an unsigned tip", let_in("it is not signed"))
        .await;

    // A signature on top does not heal what lies between.
    world.commit(&signed);
    world.ask(Request::Sync).await;
    world
        .until("an unsigned one between", let_in("is not trusted"))
        .await;
    world.git(&["reset", "-q", "--hard", "HEAD~2"]);
    world.commit(&signed);
    world.ask(Request::Sync).await;
    world.until("a signed history", let_in("has no app")).await;
    world.stop().await;
}

#[tokio::test]
async fn a_rewritten_branch_can_be_held_until_it_is_approved() {
    let mut world = World::new();
    let first = world.commit(&[]);
    world.commit(&[]);
    world
        .start(|config| config.trust.hold_rewrites = true)
        .await;
    let message = |text: &'static str| move |source: &SourceStatus| source.message.contains(text);
    world.until("the first look", message("has no app")).await;
    world.git(&["reset", "-q", "--hard", &first]);
    world.git(&["commit", "-q", "--allow-empty", "-m", "other"]);
    let tip = world.git(&["rev-parse", "HEAD"]);
    world.ask(Request::Sync).await;
    world.until("it is held", message("was rewritten")).await;
    let approve = Request::Approve {
        plan: tip,
        author: "Ada".to_owned(),
    };
    world.ask(approve).await;
    world.until("it is let in", message("has no app")).await;
    world.stop().await;
}
