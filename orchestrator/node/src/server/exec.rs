//! Exec and attach over WebSocket: the channel protocols `v5.channel.k8s.io` and
//! `v4.channel.k8s.io` (apimachinery, pkg/util/remotecommand/constants.go).
//!
//! The first byte of each binary message is its channel: 0 input, 1 output, 2 error output,
//! 3 outcome, 4 terminal size; in v5, 255 followed by a channel closes that channel.

use std::sync::Arc;

use futures::stream::SplitSink;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::query::Query;
use super::{Body, text};
use crate::agent::Agent;
use crate::logs::{self, LogOptions};
use crate::runtime::{ContainerRecord, ExecRequest, ExecSession};

/// The protocols, best first.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const OUTCOME: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Largest message taken from a client, in bytes; kubectl sends 32 KiB at most.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of output sent in one message.
const CHUNK_BYTES: usize = 32 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Sink = SplitSink<Socket, Message>;

/// Answers an exec request: upgrades, then runs the program.
pub(super) fn exec(
    agent: Arc<Agent>,
    request: Request<Incoming>,
    record: ContainerRecord,
    stop: CancellationToken,
) -> Response<Body> {
    let query = Query::of(&request);
    let wanted = ExecRequest {
        command: query.all("command").map(str::to_owned).collect(),
        stdin: query.flag("stdin") || query.flag("input"),
        tty: query.flag("tty"),
    };
    if wanted.command.is_empty() {
        return text(
            StatusCode::BAD_REQUEST,
            "you must specify at least 1 command for the container",
        );
    }
    upgrade(request, stop, move |socket| async move {
        let session = agent.runtime.exec(&record.id, wanted).await;
        match session {
            Ok(session) => converse(socket, session).await,
            Err(error) => refuse(socket, &error.to_string()).await,
        }
    })
}

/// Answers an attach request: shows what the container writes from now on. Its input is not
/// connected.
pub(super) fn attach(
    agent: Arc<Agent>,
    request: Request<Incoming>,
    record: ContainerRecord,
    stop: CancellationToken,
) -> Response<Body> {
    upgrade(request, stop, move |mut socket| async move {
        let options = |stream: &str| LogOptions {
            follow: true,
            tail: Some(0),
            stream: Some(stream.to_owned()),
            ..LogOptions::default()
        };
        let read = |stream: &str| {
            let (agent, id) = (agent.clone(), record.id.clone());
            logs::read(record.log.clone(), options(stream), move || {
                !agent.is_live(&id)
            })
        };
        let (mut out, mut err) = (read("stdout"), read("stderr"));
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let (channel, piece) = tokio::select! {
                piece = out.recv(), if out_open => { out_open = piece.is_some(); (STDOUT, piece) }
                piece = err.recv(), if err_open => { err_open = piece.is_some(); (STDERR, piece) }
                message = socket.next() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => continue,
                },
            };
            if let Some(Ok(piece)) = piece
                && socket.send(frame(channel, &piece)).await.is_err()
            {
                return;
            }
        }
        finish(&mut socket, &success()).await;
    })
}

/// Accepts the WebSocket and hands it to `then`.
fn upgrade<F, R>(mut request: Request<Incoming>, stop: CancellationToken, then: F) -> Response<Body>
where
    F: FnOnce(Socket) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let headers = request.headers();
    let is = |name: &str, value: &str| {
        let words = headers
            .get_all(name)
            .iter()
            .filter_map(|line| line.to_str().ok());
        words
            .flat_map(|line| line.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(value))
    };
    let key = headers.get("sec-websocket-key").cloned();
    let Some(key) = key.filter(|_| is("upgrade", "websocket")) else {
        // kubectl falls back to SPDY only when this is refused, and says so to its user.
        return text(
            StatusCode::BAD_REQUEST,
            "unable to upgrade: only WebSocket is supported",
        );
    };
    let Some(protocol) = PROTOCOLS
        .iter()
        .find(|one| is("sec-websocket-protocol", one))
    else {
        let words =
            "none of the WebSocket subprotocols v5.channel.k8s.io, v4.channel.k8s.io was asked for";
        return text(StatusCode::BAD_REQUEST, words);
    };
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = match upgrading.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => return tracing::debug!(%error, "upgrade failed"),
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = then(socket) => {}
        }
    });
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("upgrade", http::HeaderValue::from_static("websocket"));
    headers.insert("connection", http::HeaderValue::from_static("Upgrade"));
    headers.insert(
        "sec-websocket-protocol",
        http::HeaderValue::from_static(protocol),
    );
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert("sec-websocket-accept", accept);
    }
    response
}

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    Message::Binary(message.into())
}

/// Carries the streams both ways until the program ends.
async fn converse(socket: Socket, session: ExecSession) {
    let ExecSession {
        input,
        stdout,
        stderr,
        exit,
    } = session;
    let (mut sink, mut source) = socket.split();
    let (frames, mut outgoing) = mpsc::channel::<Message>(8);
    let readers = async {
        let out = pump(STDOUT, stdout, frames.clone());
        let err = async {
            if let Some(stream) = stderr {
                pump(STDERR, stream, frames.clone()).await;
            }
        };
        tokio::join!(out, err);
        exit.await
    };
    let replies = frames.clone();
    let incoming = async move {
        let mut input = input;
        while let Some(Ok(message)) = source.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Ping(payload) => {
                    let _ = replies.send(Message::Pong(payload)).await;
                    continue;
                }
                Message::Close(_) => break,
                _ => continue,
            };
            match bytes.split_first() {
                Some((&STDIN, [])) => {}
                Some((&STDIN, data)) => {
                    let lost = match &mut input {
                        Some(input) => input.write(data).await.is_err(),
                        None => false,
                    };
                    if lost {
                        // The program reads no more, but its output is still wanted.
                        input = None;
                    }
                }
                Some((&CLOSE, [STDIN])) => input = None,
                Some((&RESIZE, data)) => {
                    if let (Some(input), Some((columns, rows))) = (&mut input, size(data)) {
                        let _ = input.resize(columns, rows).await;
                    }
                }
                _ => {}
            }
        }
        // The client is gone: the program's input ends, and with it usually the program.
    };
    let mut readers = std::pin::pin!(readers);
    let mut incoming = std::pin::pin!(incoming);
    let outcome = loop {
        tokio::select! {
            // Output first, so that nothing is lost when the program ends.
            biased;
            Some(message) = outgoing.recv() => {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            outcome = &mut readers => break outcome,
            // Dropping the session stops what runs on its behalf.
            () = &mut incoming => return,
        }
    };
    while let Ok(message) = outgoing.try_recv() {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let status = match outcome {
        Ok(0) => success(),
        Ok(code) => failure(code),
        Err(words) => internal(&words),
    };
    close(&mut sink, &status).await;
    // The client answers the close; leaving earlier would cut the last frames off.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), incoming).await;
}

async fn pump(channel: u8, mut from: Box<dyn AsyncRead + Send + Unpin>, to: mpsc::Sender<Message>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 || to.send(frame(channel, &buffer[..n])).await.is_err() {
            return;
        }
    }
}

async fn refuse(mut socket: Socket, words: &str) {
    finish(&mut socket, &internal(words)).await;
}

async fn finish(socket: &mut Socket, status: &Value) {
    let _ = socket
        .send(frame(OUTCOME, status.to_string().as_bytes()))
        .await;
    let _ = socket.close(Some(normal())).await;
}

async fn close(sink: &mut Sink, status: &Value) {
    let _ = sink
        .send(frame(OUTCOME, status.to_string().as_bytes()))
        .await;
    let _ = sink.send(Message::Close(Some(normal()))).await;
}

/// client-go takes any other end for a broken connection (RFC 6455, section 7.4.1: 1000).
fn normal() -> CloseFrame {
    CloseFrame {
        code: CloseCode::Normal,
        reason: Utf8Bytes::default(),
    }
}

fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

/// A program that ended with a code (client-go, remotecommand/v4.go).
fn failure(code: i32) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn internal(words: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("error executing command in container: {words}"),
        "reason": "InternalError",
        "code": 500,
    })
}

/// Reads `{"Width":80,"Height":24}` (client-go, remotecommand.TerminalSize).
fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let number = |name: &str| u16::try_from(value.get(name)?.as_u64()?).ok();
    Some((number("Width")?, number("Height")?))
}
