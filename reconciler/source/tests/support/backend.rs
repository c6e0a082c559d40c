//! A git server over http: `git http-backend` behind just enough of a web server. Other crates' tests use it as well.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// What a server lets in, and what it saw.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// `user:password` in base64, when one is asked for.
    pub(crate) basic: Option<String>,
    /// Bodies of requests for packs, as the client sent them.
    pub(crate) wanted: Vec<String>,
}

/// Serves every repository below `root` on a port of its own until the test's process ends; its URL, and its doors.
pub(crate) fn serve(root: &Path) -> (String, Arc<Mutex<Doors>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let doors: Arc<Mutex<Doors>> = Arc::default();
    let (root, seen) = (root.to_owned(), Arc::clone(&doors));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (root, seen) = (root.clone(), Arc::clone(&seen));
            thread::spawn(move || answer(stream, &root, &seen));
        }
    });
    (format!("http://{}", name(address)), doors)
}

/// How a server on loopback is called.
pub(crate) fn name(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

/// Answers one request and closes.
pub(crate) fn answer(stream: impl Read + Write, root: &Path, doors: &Mutex<Doors>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut parts = line.split_whitespace();
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
        return;
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((key, value)) = line.split_once(':') {
            headers.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let header = |key: &str| {
        headers
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
    };
    let length = header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).is_err() {
        return;
    }
    let asked = {
        let mut doors = doors.lock().expect("not poisoned");
        if target.ends_with("git-upload-pack") {
            doors
                .wanted
                .push(String::from_utf8_lossy(&body).into_owned());
        }
        doors.basic.clone()
    };
    let given =
        header("authorization").and_then(|text| text.strip_prefix("Basic ").map(str::to_owned));
    if asked.is_some() && asked != given {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = stream.get_mut().write_all(refusal.as_bytes());
        return;
    }
    let reply = backend(root, &method, &target, &headers, &body);
    let _ = stream.get_mut().write_all(&reply);
    let _ = stream.get_mut().flush();
}

fn backend(
    root: &Path,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Vec<u8> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REMOTE_USER", "ada")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (key, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "HTTP_GIT_PROTOCOL"),
    ] {
        if let Some((_, value)) = headers.iter().find(|(name, _)| name == key) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let body = body.to_vec();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&body);
    });
    let output = child.wait_with_output().expect("it ends").stdout;
    writer.join().expect("it ends");
    let end = output
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap_or(0);
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let mut reply = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for line in head.lines().filter(|line| !line.starts_with("Status: ")) {
        reply.extend(format!("{line}\r\n").into_bytes());
    }
    let content = output.get(end + 4..).unwrap_or_default();
    reply.extend(
        format!(
            "Content-Length: {}\r\nConnection: close\r\n\r\n",
            content.len()
        )
        .into_bytes(),
    );
    reply.extend(content);
    reply
}

/// Where nobody listens: the port was free a moment ago.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    name(listener.local_addr().expect("an address"))
}
