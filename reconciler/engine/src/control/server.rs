//! The answering side: accepts connections, checks the token, hands each request to the engine.

use std::{fs, io, io::Write as _, path::Path, sync::Arc};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Address, Asker, Contact, Hello, LINE_BYTES_MAX, Request, Response, address_file};
use crate::Error;

/// A Unix socket's path may have 107 bytes on Linux and 103 on macOS (`sun_path`, unix(7)).
#[cfg(unix)]
const UNIX_PATH_BYTES_MAX: usize = 100;

/// Sends answers to one connection; an error means that the other end left.
#[derive(Clone)]
pub(crate) struct Reply {
    sender: mpsc::Sender<Response>,
    asker: Option<Asker>,
}

impl Reply {
    /// A reply that nobody reads.
    pub(crate) fn nobody() -> Self {
        Self::new(mpsc::channel(1).0)
    }

    /// Answers into a channel.
    pub(crate) fn new(sender: mpsc::Sender<Response>) -> Self {
        Self {
            sender,
            asker: None,
        }
    }

    /// Says who gets the answers.
    pub(crate) fn to(self, asker: Option<Asker>) -> Self {
        Self { asker, ..self }
    }

    /// Who asked, when that is known.
    pub(crate) fn asker(&self) -> Option<&Asker> {
        self.asker.as_ref()
    }

    /// Sends a line for the user; each line of `text` becomes its own.
    ///
    /// Returns false when nobody listens any more.
    pub(crate) async fn line(&self, text: &str) -> bool {
        for line in text.lines() {
            if !self
                .send(Response::Line {
                    text: line.to_owned(),
                })
                .await
            {
                return false;
            }
        }
        true
    }

    pub(crate) async fn send(&self, response: Response) -> bool {
        self.sender.send(response).await.is_ok()
    }

    /// Sends from a thread that may wait; false when nobody listens any more.
    pub(crate) fn send_waiting(&self, response: Response) -> bool {
        self.sender.blocking_send(response).is_ok()
    }

    /// Resolves when the other end left.
    pub(crate) async fn gone(&self) {
        self.sender.closed().await;
    }
}

/// Answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Sends every answer but the last one, and returns that.
    fn handle(self: Arc<Self>, request: Request, reply: Reply) -> BoxFuture<'static, Response>;
}

/// Listens until `shutdown`; the listener is ready when this returns.
///
/// # Errors
/// When no socket can be opened, or the address file cannot be written.
pub(crate) async fn serve(
    data_dir: &Path,
    handler: Arc<dyn Handler>,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let failed = |source| Error::Listen {
        path: data_dir.to_owned(),
        source,
    };
    let (listener, address) = Listener::open(data_dir).await.map_err(failed)?;
    let mut token = [0; 16];
    getrandom::fill(&mut token).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    let contact = Contact { address, token };
    let file = address_file(data_dir);
    write_private(&file, &serde_json::to_vec(&contact).unwrap_or_default()).map_err(failed)?;
    let token: Arc<str> = contact.token.into();
    let connections = tasks.clone();
    tasks.spawn(async move {
        loop {
            let stream = tokio::select! {
                () = shutdown.cancelled() => break,
                stream = listener.accept() => stream,
            };
            match stream {
                Ok((stream, asker)) => {
                    let (handler, token) = (Arc::clone(&handler), Arc::clone(&token));
                    let shutdown = shutdown.clone();
                    connections.spawn(async move {
                        tokio::select! {
                            () = shutdown.cancelled() => {}
                            result = answer(stream, asker, handler, &token) => {
                                if let Err(error) = result {
                                    tracing::debug!(%error, "control connection ended early");
                                }
                            }
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a control connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
        let _ = fs::remove_file(&file);
        listener.close();
    });
    Ok(())
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

async fn answer(
    stream: Box<dyn Stream>,
    asker: Option<Asker>,
    handler: Arc<dyn Handler>,
    token: &str,
) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    (&mut reader)
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)
        .await?;
    let hello: Hello = serde_json::from_slice(&line)?;
    if hello.token != token {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (sender, mut answers) = mpsc::channel(64);
    let mut work = handler.handle(hello.request, Reply::new(sender).to(asker));
    let mut last = None;
    loop {
        let answer = tokio::select! {
            biased;
            Some(answer) = answers.recv() => answer,
            response = &mut work, if last.is_none() => {
                last = Some(response);
                continue;
            }
            // A closed connection ends the handler too: nobody waits for its answer.
            () = closed(&mut reader), if last.is_none() => return Ok(()),
            // The handler dropped its sender and everything it sent was written.
            else => break,
        };
        write(&mut writer, &answer).await?;
    }
    if let Some(response) = last {
        write(&mut writer, &response).await?;
    }
    writer.shutdown().await
}

/// Resolves when the other end closed; the client sends nothing after its request.
async fn closed(reader: &mut (impl AsyncReadExt + Unpin)) {
    let mut byte = [0];
    while matches!(reader.read(&mut byte).await, Ok(count) if count > 0) {}
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}

enum Listener {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, std::path::PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    #[cfg_attr(not(unix), expect(unused_variables, reason = "a port needs no folder"))]
    async fn open(data_dir: &Path) -> io::Result<(Self, Address)> {
        #[cfg(unix)]
        {
            let path = std::path::absolute(data_dir.join("control.sock"))?;
            if path.as_os_str().len() <= UNIX_PATH_BYTES_MAX {
                use std::os::unix::fs::PermissionsExt;
                // Left behind by a process that was killed; the journal's lock says that none runs.
                let _ = fs::remove_file(&path);
                let listener = tokio::net::UnixListener::bind(&path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                return Ok((Self::Unix(listener, path.clone()), Address::Unix(path)));
            }
        }
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = Address::Tcp(listener.local_addr()?);
        Ok((Self::Tcp(listener), address))
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<Asker>)> {
        Ok(match self {
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let stream = listener.accept().await?.0;
                let asker = Asker::of_socket(&stream);
                (Box::new(stream), asker)
            }
            Self::Tcp(listener) => (Box::new(listener.accept().await?.0), None),
        })
    }

    fn close(self) {
        #[cfg(unix)]
        if let Self::Unix(_, path) = self {
            let _ = fs::remove_file(path);
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(&beside)?.write_all(bytes)?;
    fs::rename(&beside, path)
}
