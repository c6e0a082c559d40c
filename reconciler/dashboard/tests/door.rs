//! Who comes in, and what is never answered, by plain HTTP.

use std::{sync::Arc, time::Duration};

use ordain_reconciler_dashboard::{Ask, Options, serve};
use ordain_reconciler_engine::control::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// Nobody: every question ends like this.
struct Gone;

impl Ask for Gone {
    fn ask(&self, _: &Request) -> Result<Vec<Response>, String> {
        Err("no reconciler runs in `/var/lib/ordain`".to_owned())
    }
}

struct World {
    address: String,
    key: String,
}

impl World {
    async fn start() -> Self {
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            each: Duration::from_secs(1),
            arguments: Vec::new(),
        };
        let served = serve(options, Arc::new(Gone), CancellationToken::new()).await;
        let served = served.expect("it listens");
        let (_, key) = served.url.split_once("?key=").expect("a key");
        Self {
            address: served.address.to_string(),
            key: key.to_owned(),
        }
    }

    /// The status line, headers and body of an answer.
    async fn ask(&self, method: &str, path: &str, cookie: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(&self.address)
            .await
            .expect("it listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    }

    fn cookie(&self) -> String {
        let port = self.address.rsplit_once(':').map_or("", |(_, port)| port);
        format!("ordain-dashboard-{port}={}", self.key)
    }
}

#[tokio::test]
async fn the_key_becomes_a_cookie_and_leaves_the_address() {
    let world = World::start().await;
    let answer = world.ask("GET", &format!("/?key={}", world.key), "").await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    assert!(answer.contains("location: /\r\n"), "{answer}");
    assert!(
        answer.contains(&format!(
            "set-cookie: {}; Path=/; HttpOnly; SameSite=Strict",
            world.cookie()
        )),
        "{answer}"
    );
    let page = world.ask("GET", "/", &world.cookie()).await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("main.js"),
        "{page}"
    );
    assert!(
        page.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{page}"
    );
}

#[tokio::test]
async fn without_it_nothing_is_told() {
    let world = World::start().await;
    for path in [
        "/",
        "/api/overview",
        "/api/events",
        "/api/object?kind=a",
        "/?key=guess",
    ] {
        for cookie in ["", "ordain-dashboard=1", "ordain-dashboard-1=x"] {
            let answer = world.ask("GET", path, cookie).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
            assert!(!answer.contains("/var/lib/ordain"), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let world = World::start().await;
    let cookie = world.cookie();
    for (method, path, wanted) in [
        ("POST", "/api/overview", "405"),
        ("DELETE", "/", "405"),
        ("GET", "/api/nothing", "there is no such page"),
        ("GET", "/../etc/passwd", "there is no such page"),
        ("GET", "/api/app?env=prod", "`app` is missing"),
        (
            "GET",
            "/api/log?before=yesterday",
            "`before` is the number of a record",
        ),
        (
            "GET",
            "/api/overview",
            "no reconciler runs in `/var/lib/ordain`",
        ),
        (
            "GET",
            "/api/blame?kind=a&name=b&app=c&env=d",
            "`field` is missing",
        ),
    ] {
        let answer = world.ask(method, path, &cookie).await;
        assert!(answer.contains(wanted), "{method} {path}: {answer}");
    }
}
