//! A real browser for a test: Chromium without a window, spoken to by the protocol of its developer tools
//! (<https://chromedevtools.github.io/devtools-protocol/>). Ends with the value.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where distributions put it.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last: u64,
    /// What the page's console and failures said.
    pub(crate) said: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The browser of this machine, if there is one.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut all = PROGRAMS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|path| path.is_file())
}

impl Browser {
    pub(crate) async fn start(program: PathBuf) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let child = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
            ])
            .args(["--remote-debugging-port=0", "--window-size=1280,900"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let file = profile.path().join("DevToolsActivePort");
        let begun = Instant::now();
        let port = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, _)) = text.split_once('\n') {
                break port.to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "the browser does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let address = page(&port).await;
        let (socket, _) = connect_async(address).await.expect("it answers");
        let mut browser = Self {
            child,
            socket,
            last: 0,
            said: Vec::new(),
            _profile: profile,
        };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({})).await;
        }
        browser
    }

    /// Calls a method; what happens meanwhile is noted.
    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let text = json!({ "id": id, "method": method, "params": parameters }).to_string();
        self.socket
            .send(Message::text(text))
            .await
            .expect("it listens");
        let answer = async {
            while let Some(message) = self.socket.next().await {
                let message = message.expect("it speaks");
                let Ok(text) = message.to_text() else {
                    continue;
                };
                let Ok(value) = serde_json::from_str::<Value>(text) else {
                    continue;
                };
                if value["id"] == id {
                    assert!(value["error"].is_null(), "{method}: {}", value["error"]);
                    return value["result"].clone();
                }
                self.note(&value);
            }
            panic!("{method}: the browser is gone");
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .expect("it answers in time")
    }

    fn note(&mut self, event: &Value) {
        let said = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => &event["params"]["exceptionDetails"],
            Some("Runtime.consoleAPICalled") => &event["params"]["args"],
            Some("Log.entryAdded") => &event["params"]["entry"],
            _ => return,
        };
        self.said.push(said.to_string());
    }

    pub(crate) async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", parameters).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// What a person can read of the page.
    pub(crate) async fn text(&mut self) -> String {
        // A page that is just loaded has no body yet.
        let text = self.value("document.body?.innerText ?? ''").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says something.
    pub(crate) async fn sees(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return text;
            }
            let said = &self.said;
            assert!(
                begun.elapsed() < PATIENCE,
                "`{wanted}` is not to be seen, {said:?}:\n{text}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an expression has a value.
    pub(crate) async fn becomes(&mut self, expression: &str, wanted: &Value) {
        let begun = Instant::now();
        loop {
            let value = self.value(expression).await;
            if value == *wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{expression} stays {value}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Clicks what a selector finds, where it has the given text.
    pub(crate) async fn click(&mut self, selector: &str, text: &str) {
        let found = format!(
            "(() => {{ const found = [...document.querySelectorAll({})].find((one) => one.innerText.includes({})); \
             found?.click(); return !!found }})()",
            json!(selector),
            json!(text)
        );
        let begun = Instant::now();
        while self.value(&found).await != true {
            assert!(
                begun.elapsed() < PATIENCE,
                "there is no {selector} with `{text}`:\n{}",
                self.text().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Types into a field, as a person does.
    pub(crate) async fn types(&mut self, selector: &str, text: &str) {
        let focus = format!("document.querySelector({}).focus()", json!(selector));
        self.value(&focus).await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// A picture of the page, where somebody asks for it by `ORDAIN_SHOTS`.
    pub(crate) async fn shot(&mut self, name: &str) {
        use std::io::Write as _;
        let Some(folder) = std::env::var_os("ORDAIN_SHOTS") else {
            return;
        };
        let answer = self
            .call(
                "Page.captureScreenshot",
                json!({ "captureBeyondViewport": true }),
            )
            .await;
        let text = answer["data"].as_str().unwrap_or_default();
        let path = PathBuf::from(folder).join(format!("{name}.png.base64"));
        let mut file = std::fs::File::create(path).expect("a folder");
        file.write_all(text.as_bytes()).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of the first page, which the browser tells over plain HTTP.
async fn page(port: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let begun = Instant::now();
    loop {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))
            .await
            .expect("it listens");
        let request = format!(
            "GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
        let text = String::from_utf8_lossy(&answer);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let pages: Vec<Value> = serde_json::from_str(body.trim()).unwrap_or_default();
        let found = pages.iter().find(|page| page["type"] == "page");
        if let Some(address) = found.and_then(|page| page["webSocketDebuggerUrl"].as_str()) {
            return address.to_owned();
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the browser has no page: {text}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
