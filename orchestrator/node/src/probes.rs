//! Asks containers whether they are well: HTTP, TCP, gRPC-free exec probes for startup, readiness
//! and liveness. One task per running container; results go into a shared table. It decides nothing
//! about restarts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ordain_orchestrator_client::EventType;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::pod::ProbeView;
use crate::runtime::{ExecRequest, Runtime};

/// Output of a probe kept for its event, in bytes (kubelet, prober: maxProbeMessageLength).
const MESSAGE_BYTES_MAX: usize = 1024;

/// Largest body read from an HTTP probe, in bytes (kubelet, probe/http: maxRespBodyLength).
const BODY_BYTES_MAX: usize = 10 << 10;

/// The shared results, by container ID.
pub(crate) type Results = Arc<Mutex<BTreeMap<String, ProbeView>>>;

/// What a probing task needs.
pub(crate) struct Prober {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) container: Container,
    pub(crate) id: String,
    pub(crate) address: IpAddr,
    pub(crate) results: Results,
    pub(crate) changed: Arc<Notify>,
    /// Records an event about the pod.
    pub(crate) event: Arc<dyn Fn(EventType, &'static str, String) + Send + Sync>,
}

/// Counts outcomes in a row up to the thresholds; pure.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counter {
    state: bool,
    row: u32,
    successes: u32,
    failures: u32,
}

impl Counter {
    fn new(probe: &Probe, state: bool) -> Self {
        let at_least_one = |value: Option<i32>, default: u32| {
            value
                .and_then(|value| u32::try_from(value).ok())
                .filter(|v| *v > 0)
                .unwrap_or(default)
        };
        Self {
            state,
            row: 0,
            successes: at_least_one(probe.success_threshold, 1),
            failures: at_least_one(probe.failure_threshold, 3),
        }
    }

    /// Counts one outcome; returns the state if it was reached by it.
    fn count(&mut self, good: bool) -> Option<bool> {
        if good == self.state {
            self.row = 0;
            return None;
        }
        self.row += 1;
        let threshold = if good { self.successes } else { self.failures };
        if self.row < threshold {
            return None;
        }
        self.row = 0;
        self.state = good;
        Some(good)
    }
}

fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(
        value
            .and_then(|value| u64::try_from(value).ok())
            .unwrap_or(default),
    )
}

impl Prober {
    /// Probes until aborted.
    pub(crate) async fn run(self) {
        let this = &self;
        if let Some(probe) = &this.container.startup_probe {
            this.set(|view| view.started = false);
            if !this.startup(probe).await {
                return;
            }
        }
        let readiness = this.container.readiness_probe.clone();
        this.set(|view| {
            view.started = true;
            view.ready = readiness.is_none();
        });
        let ready = async {
            if let Some(probe) = &readiness {
                this.readiness(probe).await;
            }
        };
        let live = async {
            if let Some(probe) = &this.container.liveness_probe {
                this.liveness(probe).await;
            }
        };
        tokio::join!(ready, live);
    }

    async fn startup(&self, probe: &Probe) -> bool {
        let mut counter = Counter::new(probe, false);
        let mut failures = Counter {
            state: true,
            ..counter.clone()
        };
        tokio::time::sleep(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            let outcome = self.probe(probe, "Startup").await;
            if counter.count(outcome) == Some(true) {
                return true;
            }
            if failures.count(outcome) == Some(false) {
                self.fail("startup");
                return false;
            }
            tokio::time::sleep(seconds(probe.period_seconds, 10)).await;
        }
    }

    async fn readiness(&self, probe: &Probe) {
        let mut counter = Counter::new(probe, false);
        tokio::time::sleep(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            let outcome = self.probe(probe, "Readiness").await;
            if let Some(ready) = counter.count(outcome) {
                self.set(|view| view.ready = ready);
            }
            tokio::time::sleep(seconds(probe.period_seconds, 10)).await;
        }
    }

    async fn liveness(&self, probe: &Probe) {
        let mut counter = Counter::new(probe, true);
        tokio::time::sleep(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            let outcome = self.probe(probe, "Liveness").await;
            if counter.count(outcome) == Some(false) {
                self.fail("liveness");
                return;
            }
            tokio::time::sleep(seconds(probe.period_seconds, 10)).await;
        }
    }

    fn fail(&self, kind: &str) {
        let name = &self.container.name;
        let why = format!("Container {name} failed {kind} probe, will be restarted");
        self.set(|view| {
            view.failed = Some(why);
            view.ready = false;
        });
    }

    fn set(&self, change: impl FnOnce(&mut ProbeView)) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        change(results.entry(self.id.clone()).or_default());
        drop(results);
        self.changed.notify_one();
    }

    /// Probes once; a failure is an event.
    async fn probe(&self, probe: &Probe, kind: &str) -> bool {
        let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
        let outcome = tokio::time::timeout(limit, self.once(probe)).await;
        let failure = match outcome {
            Ok(Ok(())) => return true,
            Ok(Err(words)) => words,
            Err(_) if probe.exec.is_some() => {
                format!("command timed out after {}s", limit.as_secs())
            }
            Err(_) => "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                .to_owned(),
        };
        let mut words = format!("{kind} probe failed: {failure}");
        let mut end = words.len().min(MESSAGE_BYTES_MAX);
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        words.truncate(end);
        (self.event)(EventType::Warning, "Unhealthy", words);
        false
    }

    async fn once(&self, probe: &Probe) -> Result<(), String> {
        if let Some(exec) = &probe.exec {
            return self.exec(exec.command.clone().unwrap_or_default()).await;
        }
        if let Some(http) = &probe.http_get {
            return self.http(http).await;
        }
        if let Some(tcp) = &probe.tcp_socket {
            let port = self.port(&tcp.port)?;
            let host = self.host(tcp.host.as_deref());
            let connected = TcpStream::connect((host.as_str(), port)).await;
            return connected
                .map(drop)
                .map_err(|e| format!("dial tcp {host}:{port}: {}", plain(&e)));
        }
        Err("this kind of probe is not supported yet".to_owned())
    }

    async fn exec(&self, command: Vec<String>) -> Result<(), String> {
        let request = ExecRequest {
            command,
            ..ExecRequest::default()
        };
        let session = self.runtime.exec(&self.id, request).await;
        let mut session = session.map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        let mut errors = Vec::new();
        let limit = MESSAGE_BYTES_MAX as u64;
        let read = async {
            let _ = (&mut session.stdout)
                .take(limit)
                .read_to_end(&mut text)
                .await;
            let _ = tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()).await;
        };
        let stderr = async {
            if let Some(stream) = &mut session.stderr {
                let _ = stream.take(limit).read_to_end(&mut errors).await;
                let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
            }
        };
        tokio::join!(read, stderr);
        match session.exit.await {
            Ok(0) => Ok(()),
            Ok(_) => {
                text.extend_from_slice(&errors);
                Err(String::from_utf8_lossy(&text).into_owned())
            }
            Err(words) => Err(words),
        }
    }

    async fn http(&self, get: &HTTPGetAction) -> Result<(), String> {
        let port = self.port(&get.port)?;
        let host = self.host(get.host.as_deref());
        let path = get
            .path
            .as_deref()
            .filter(|path| !path.is_empty())
            .unwrap_or("/");
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let secure = get.scheme.as_deref() == Some("HTTPS");
        let scheme = if secure { "https" } else { "http" };
        let url = format!("{scheme}://{host}:{port}{path}");
        let failed = |error: &dyn std::fmt::Display| format!("Get \"{url}\": {error}");
        let mut request = http::Request::get(&path)
            .header("host", format!("{host}:{port}"))
            // kubelet, probe/http: the user agent that services see.
            .header("user-agent", "kube-probe/1.36")
            .header("accept", "*/*")
            .header("connection", "close");
        for header in get.http_headers.iter().flatten() {
            if header.name.eq_ignore_ascii_case("host") {
                if let (Some(headers), Ok(value)) = (request.headers_mut(), header.value.parse()) {
                    headers.insert("host", value);
                }
                continue;
            }
            request = request.header(&header.name, &header.value);
        }
        let request = request
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|error| failed(&error))?;
        let connected = TcpStream::connect((host.as_str(), port)).await;
        let stream = connected
            .map_err(|error| failed(&format!("dial tcp {host}:{port}: {}", plain(&error))))?;
        if secure {
            let name = rustls::pki_types::ServerName::try_from(host.clone());
            let name = name.map_err(|error| failed(&error))?;
            let connector = crate::server::tls::any_certificate();
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(|error| failed(&plain(&error)))?;
            return answer(stream, request)
                .await
                .map_err(|words| words.replace("{url}", &url));
        }
        answer(stream, request)
            .await
            .map_err(|words| words.replace("{url}", &url))
    }

    fn host(&self, given: Option<&str>) -> String {
        given
            .filter(|host| !host.is_empty())
            .map_or_else(|| self.address.to_string(), str::to_owned)
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => name.parse().ok().or_else(|| {
                let ports = self.container.ports.as_deref().unwrap_or_default();
                let named = ports.iter().find(|port| port.name.as_ref() == Some(name));
                named.map(|port| port.container_port)
            }),
        };
        let valid = number
            .and_then(|number| u16::try_from(number).ok())
            .filter(|port| *port > 0);
        valid.ok_or_else(|| format!("invalid port number: {port:?}"))
    }
}

/// Sends a request and judges the answer: 200 to 399 is well (kubelet, probe/http).
async fn answer<S>(stream: S, request: http::Request<Empty<bytes::Bytes>>) -> Result<(), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| format!("Get \"{{url}}\": {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let outcome = match response {
        Ok(response) => {
            let status = response.status().as_u16();
            // The body is read so that the program does not see its connection cut.
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await;
            drop(body);
            if (200..400).contains(&status) {
                Ok(())
            } else {
                Err(format!("HTTP probe failed with statuscode: {status}"))
            }
        }
        Err(error) => Err(failed(error)),
    };
    connection.abort();
    outcome
}

/// Words of a connection error as Go prints them.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(initial: bool, probe: &str, outcomes: &[bool], expect: &[Option<bool>]) {
        let probe: Probe = serde_json::from_str(probe).expect("a probe");
        let mut counter = Counter::new(&probe, initial);
        let found: Vec<_> = outcomes.iter().map(|good| counter.count(*good)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn thresholds_count_outcomes_in_a_row() {
        let (yes, no) = (Some(true), Some(false));
        check(false, "{}", &[true, true], &[yes, None]);
        check(
            true,
            "{}",
            &[false, false, true, false, false, false],
            &[None, None, None, None, None, no],
        );
        check(
            false,
            r#"{"successThreshold":2}"#,
            &[true, false, true, true],
            &[None, None, None, yes],
        );
        check(
            true,
            r#"{"failureThreshold":1}"#,
            &[false, true, false],
            &[no, yes, no],
        );
    }
}
