//! Branches that take no pushes of ours, and what a git host is told.

use std::sync::{Arc, Mutex};

use ordain_reconciler_engine::{
    HoldKind, Host, HostKind,
    control::{Client, Response},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::world::{World, config, rollback};

/// What only the host may see.
const TOKEN: &str = "CANARY-token";

/// What a host was asked: method and path, the header with the token, the body.
type Calls = Arc<Mutex<Vec<(String, bool, Value)>>>;

/// A git host on loopback that takes everything. Returns its address.
async fn host(calls: Calls) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&calls)));
        }
    });
    format!("http://{address}/api/v3")
}

async fn answer(mut stream: TcpStream, calls: Calls) -> std::io::Result<()> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_it = name.eq_ignore_ascii_case("content-length");
            is_it.then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let line = head.lines().next().unwrap_or_default();
        let line = line.trim_end_matches(" HTTP/1.1").to_owned();
        let knows = head.contains(&format!("Bearer {TOKEN}"));
        let json = serde_json::from_str(body).unwrap_or_default();
        calls.lock().expect("no panic").push((line, knows, json));
        let said = json!({"html_url": "https://git.example.com/team/shop/pull/7"}).to_string();
        let answer = format!(
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        bytes.clear();
    }
}

/// Two commits, deployed; `main` is protected then.
async fn protected(world: &World) {
    for value in ["1", "2"] {
        world.app("web", &[config("a", value)]);
        let push = world.push(&format!("web {value}")).await;
        assert!(push.ok, "{}", push.text);
        world.until_value("a", value).await;
        world
            .until(|world| {
                world
                    .history("web")
                    .last()
                    .is_some_and(|row| row.was_healthy)
            })
            .await;
    }
    world.protect(true);
}

/// Takes the app back, and returns the branch on which the commit is.
async fn proposed(world: &World) -> (String, String) {
    let before = world.tip();
    let (_, lines) = world.rollback("web", "last-healthy", "too slow").await;
    assert!(
        lines.contains("it stands until somebody merges it"),
        "{lines}"
    );
    assert_eq!(world.value("a").as_deref(), Some("1"));
    assert_eq!(world.tip(), before, "nothing is forced");
    let hold = world.held(HoldKind::Review).expect("it is named");
    assert!(
        hold.message.contains("refused the push to `main`"),
        "{hold:?}"
    );
    let (_, rest) = hold.message.split_once("is on branch `").expect("a branch");
    let (branch, _) = rest.split_once('`').expect("its end");
    assert!(branch.starts_with("ordain/rollback-dev-web-"), "{branch}");
    let found = world.git_at_origin(&["rev-parse", "--verify", branch]);
    assert!(found.ok, "{}", found.text);
    (branch.to_owned(), hold.message)
}

pub(crate) async fn a_protected_branch_gets_a_request_to_merge() {
    let calls = Calls::default();
    let api = host(Arc::clone(&calls)).await;
    let world = World::behind_hooks(|dir, config| {
        let token_file = dir.join("token");
        std::fs::write(&token_file, format!("{TOKEN}\n")).expect("written");
        config.host = Some(Host {
            kind: HostKind::GitHub,
            api,
            repository: "team/shop".to_owned(),
            token_file,
            ca_file: None,
            statuses: true,
        });
    })
    .await;
    protected(&world).await;
    let second = world.tip();
    let told = |state: &str, commit: &str| {
        let path = format!("POST /api/v3/repos/team/shop/statuses/{commit}");
        let calls = calls.lock().expect("no panic");
        calls.iter().any(|(line, knows, body)| {
            *line == path && *knows && body["state"] == state && body["context"] == "ordain/dev/web"
        })
    };
    world.until(|_| told("success", &second)).await;
    let (branch, message) = proposed(&world).await;
    assert!(
        message.contains("https://git.example.com/team/shop/pull/7"),
        "{message}"
    );
    assert!(!message.contains(TOKEN), "{message}");
    let asked: Vec<Value> = {
        let calls = calls.lock().expect("no panic");
        let pulls = calls
            .iter()
            .filter(|(line, knows, _)| *knows && line == "POST /api/v3/repos/team/shop/pulls");
        pulls.map(|(_, _, body)| body.clone()).collect()
    };
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["head"], branch.as_str());
    assert_eq!(asked[0]["base"], "main");
    // Somebody merges it.
    let merged = world.git_at_origin(&["update-ref", "refs/heads/main", &branch]);
    assert!(merged.ok, "{}", merged.text);
    world
        .until(|world| world.held(HoldKind::Review).is_none())
        .await;
    let tip = world.tip();
    world
        .until(|world| world.status().apps.iter().all(|app| app.commit == tip))
        .await;
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.until(|_| told("success", &tip)).await;
    world.stop().await;
}

pub(crate) async fn without_a_host_the_branch_to_merge_is_named() {
    let world = World::behind_hooks(|_, _| {}).await;
    protected(&world).await;
    proposed(&world).await;
    // After a restart it is still there, and named.
    let world = world.restart().await;
    world
        .until(|world| world.held(HoldKind::Review).is_some())
        .await;
    assert_eq!(world.value("a").as_deref(), Some("1"));
    // Somebody squashes it: the same change as another commit.
    world.app("web", &[config("a", "1")]);
    world.protect(false);
    let push = world.push("back to one").await;
    assert!(push.ok, "{}", push.text);
    world
        .until(|world| world.held(HoldKind::Review).is_none())
        .await;
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.stop().await;
}

pub(crate) async fn a_rollback_goes_on_when_whoever_asked_for_it_leaves() {
    let world = World::behind_hooks(|_, _| {}).await;
    protected(&world).await;
    world.slow(true);
    let (data_dir, request) = (
        world.data_dir(),
        rollback("web", "last-healthy", "too slow"),
    );
    let left = tokio::task::spawn_blocking(move || {
        let client = Client::send(data_dir, &request).expect("it listens");
        let told = |answer: &Result<Response, _>| matches!(answer, Ok(Response::Line { .. }));
        // The objects stand, and the commit is on its way to the branch.
        client.take(1).filter(told).count()
    });
    assert_eq!(left.await.expect("no panic"), 1);
    world.slow(false);
    world
        .until(|world| world.held(HoldKind::Review).is_some())
        .await;
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.stop().await;
}
