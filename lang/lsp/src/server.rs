//! The loop: messages in, answers and diagnostics out.
//!
//! One thread reads; it only sorts out cancellations. The other owns the workspace and does one thing after the
//! other: all waiting messages first, then what is still to be published, a step at a time, so that the latest
//! text wins without waiting for a pause in typing.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::InitializeParams;
use serde_json::Value;

use crate::answer::{self, Server};

/// Why the server ended otherwise than by `exit` after `shutdown`.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The editor's first messages were none of the protocol.
    #[error("the editor did not begin as the protocol says")]
    Initialize(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The editor's first message could not be read.
    #[error("cannot read what the editor can do")]
    Capabilities(#[source] serde_json::Error),
    /// The connection ended, or `exit` came before `shutdown`.
    #[error("the editor left without `shutdown`")]
    Left,
    /// Reading or writing failed.
    #[error("cannot talk to the editor")]
    Io(#[source] std::io::Error),
}

/// Serves an editor on stdin and stdout until it says `exit`.
///
/// # Errors
/// When the editor does not keep to the protocol, or the connection fails.
pub fn serve_stdio() -> Result<(), ServeError> {
    let (connection, threads) = Connection::stdio();
    let served = serve(connection);
    if served.is_ok() {
        threads.join().map_err(ServeError::Io)?;
    }
    served
}

/// Serves an editor on a connection until it says `exit`.
///
/// # Errors
/// When the editor does not keep to the protocol.
pub fn serve(connection: Connection) -> Result<(), ServeError> {
    let (id, params) = connection
        .initialize_start()
        .map_err(|error| ServeError::Initialize(Box::new(error)))?;
    let params: InitializeParams =
        serde_json::from_value(params).map_err(ServeError::Capabilities)?;
    let server = Server::new(params);
    let result = serde_json::json!({
        "capabilities": server.capabilities(),
        "serverInfo": { "name": "ordain", "version": env!("CARGO_PKG_VERSION") },
    });
    connection
        .initialize_finish(id, result)
        .map_err(|error| ServeError::Initialize(Box::new(error)))?;

    let cancelled: Arc<Mutex<HashSet<RequestId>>> = Arc::default();
    let (to_worker, inbox) = channel();
    let worker = Worker {
        server,
        out: {
            let sender = connection.sender.clone();
            // An editor that is gone needs no answers.
            Box::new(move |message| drop(sender.send(message)))
        },
        cancelled: Arc::clone(&cancelled),
        is_shut_down: false,
    };
    let running = std::thread::Builder::new()
        .name("lsp".into())
        .stack_size(STACK)
        .spawn(move || worker.run(&inbox))
        .map_err(ServeError::Io)?;
    for message in &connection.receiver {
        if let Message::Notification(note) = &message {
            if note.method == "$/cancelRequest" {
                if let Some(id) = cancelled_id(&note.params) {
                    lock(&cancelled).insert(id);
                }
                continue;
            }
            if note.method == "exit" {
                break;
            }
        }
        if to_worker.send(message).is_err() {
            break;
        }
    }
    drop(to_worker);
    let was_shut_down = running.join().unwrap_or(false);
    if was_shut_down {
        Ok(())
    } else {
        Err(ServeError::Left)
    }
}

/// The stack of the thread that answers: trees are walked as deep as the parser lets them nest.
const STACK: usize = 64 << 20;

fn cancelled_id(params: &Value) -> Option<RequestId> {
    match params.get("id")? {
        Value::Number(id) => Some(i32::try_from(id.as_i64()?).ok()?.into()),
        Value::String(id) => Some(id.clone().into()),
        _ => None,
    }
}

fn lock(cancelled: &Mutex<HashSet<RequestId>>) -> std::sync::MutexGuard<'_, HashSet<RequestId>> {
    cancelled.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    server: Server,
    out: Box<dyn Fn(Message) + Send>,
    cancelled: Arc<Mutex<HashSet<RequestId>>>,
    is_shut_down: bool,
}

impl Worker {
    /// Works until the channel closes; returns whether `shutdown` was said.
    fn run(mut self, inbox: &Receiver<Message>) -> bool {
        self.after_start();
        loop {
            let message = if self.server.has_pending() && !self.is_shut_down {
                match inbox.try_recv() {
                    Ok(message) => message,
                    Err(TryRecvError::Empty) => {
                        self.publish();
                        continue;
                    }
                    Err(TryRecvError::Disconnected) => return self.is_shut_down,
                }
            } else {
                match inbox.recv() {
                    Ok(message) => message,
                    Err(_) => return self.is_shut_down,
                }
            };
            match message {
                Message::Request(request) => {
                    let response = self.request(request);
                    self.flush();
                    (self.out)(response.into());
                }
                Message::Notification(note) => self.notification(note),
                // Answers to our own requests (registrations) need no action.
                Message::Response(_) => {}
            }
            self.flush();
        }
    }

    fn after_start(&mut self) {
        for request in self.server.registrations() {
            (self.out)(request.into());
        }
        self.guarded("start", |server| server.open_folders());
        self.flush();
    }

    fn publish(&mut self) {
        if self.guarded("publish", answer::publish_step).is_none() {
            self.server.give_up_pending();
        }
        self.flush();
    }

    fn flush(&mut self) {
        for note in self.server.take_notifications() {
            (self.out)(note.into());
        }
    }

    fn request(&mut self, request: Request) -> Response {
        let id = request.id.clone();
        if lock(&self.cancelled).remove(&id) {
            let code = ErrorCode::RequestCanceled as i32;
            return Response::new_err(id, code, "cancelled".to_owned());
        }
        if request.method == "shutdown" {
            self.is_shut_down = true;
            return Response::new_ok(id, Value::Null);
        }
        if self.is_shut_down {
            let code = ErrorCode::InvalidRequest as i32;
            return Response::new_err(id, code, "the server is shutting down".to_owned());
        }
        let method = request.method.clone();
        match self.guarded(&method, |server| answer::request(server, request)) {
            Some(Ok(value)) => Response::new_ok(id, value),
            Some(Err((code, message))) => Response::new_err(id, code as i32, message),
            None => {
                let code = ErrorCode::InternalError as i32;
                Response::new_err(id, code, format!("`{method}` failed; please report it"))
            }
        }
    }

    fn notification(&mut self, note: Notification) {
        let method = note.method.clone();
        self.guarded(&method, |server| answer::notification(server, note));
    }

    /// Runs something; a panic in it loses one answer, not the session.
    fn guarded<T>(&mut self, what: &str, run: impl FnOnce(&mut Server) -> T) -> Option<T> {
        let server = &mut self.server;
        match catch_unwind(AssertUnwindSafe(|| run(server))) {
            Ok(made) => Some(made),
            Err(_) => {
                tracing::error!(what, "a request failed");
                self.server.start_over();
                None
            }
        }
    }
}
