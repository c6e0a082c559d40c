//! The asking side. Blocking and free of a runtime: a git hook starts and ends in milliseconds.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use super::{
    Address, Contact, Hello, LINE_BYTES_MAX, Request, Response, Target, address_file,
    mailbox::Mailbox,
};
use crate::Error;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection with a request on its way. Iterating gives the answers, up to and with the last one.
pub struct Client {
    transport: Transport,
    ended: bool,
}

enum Transport {
    Socket {
        data_dir: PathBuf,
        reader: BufReader<Box<dyn Stream>>,
    },
    Mailbox(Box<Mailbox>),
}

impl Client {
    /// Connects to an engine, and sends it a request. A path is its data directory.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when there is none; why an API server cannot be asked.
    pub fn send(target: impl Into<Target>, request: &Request) -> Result<Self, Error> {
        let target = target.into();
        let transport = match &target {
            Target::DataDir(data_dir) => Self::connect(data_dir, request)?,
            Target::Cluster {
                kubeconfig,
                context,
                namespace,
            } => {
                let (kubeconfig, context) = (kubeconfig.as_deref(), context.as_deref());
                let told = target.to_string();
                let mailbox = Mailbox::send(told, kubeconfig, context, namespace, request)?;
                Transport::Mailbox(Box::new(mailbox))
            }
        };
        let ended = false;
        Ok(Self { transport, ended })
    }

    fn connect(data_dir: &Path, request: &Request) -> Result<Transport, Error> {
        let not_running = |_| Error::NotRunning {
            data_dir: data_dir.to_owned(),
        };
        let text = fs::read(address_file(data_dir)).map_err(not_running)?;
        let contact: Contact =
            serde_json::from_slice(&text).map_err(|error| not_running(error.into()))?;
        // A file without a listener is left by one that was killed.
        let stream = connect(&contact.address).map_err(not_running)?;
        let mut reader = BufReader::new(stream);
        let hello = Hello {
            token: contact.token,
            request: request.clone(),
        };
        let disconnected = |source| disconnected(data_dir, source);
        let mut line = serde_json::to_vec(&hello).map_err(|error| disconnected(error.into()))?;
        line.push(b'\n');
        reader.get_mut().write_all(&line).map_err(disconnected)?;
        reader.get_mut().flush().map_err(disconnected)?;
        Ok(Transport::Socket {
            data_dir: data_dir.to_owned(),
            reader,
        })
    }

    fn read(&mut self) -> Result<Response, Error> {
        match &mut self.transport {
            Transport::Socket { data_dir, reader } => {
                read(reader).map_err(|source| disconnected(data_dir, source))
            }
            Transport::Mailbox(mailbox) => {
                let line = mailbox.line()?;
                serde_json::from_slice(&line).map_err(|error| Error::Disconnected {
                    target: "the cluster".to_owned(),
                    source: error.into(),
                })
            }
        }
    }
}

fn disconnected(data_dir: &Path, source: io::Error) -> Error {
    Error::Disconnected {
        target: format!("`{}`", data_dir.display()),
        source,
    }
}

fn read(reader: &mut BufReader<Box<dyn Stream>>) -> io::Result<Response> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

impl Iterator for Client {
    type Item = Result<Response, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let response = self.read();
        self.ended = matches!(
            response,
            Err(_) | Ok(Response::Done { .. } | Response::Error { .. })
        );
        Some(match response {
            Ok(Response::Error { message }) => Err(Error::Refused { message }),
            other => other,
        })
    }
}

/// Sends a request and gives every line to `each_line`; returns the other answers.
///
/// # Errors
/// When no engine is there, the connection breaks, or the engine refuses.
pub fn call(
    target: impl Into<Target>,
    request: &Request,
    mut each_line: impl FnMut(&str),
) -> Result<Vec<Response>, Error> {
    let mut answers = Vec::new();
    for response in Client::send(target, request)? {
        match response? {
            Response::Line { text } => each_line(&text),
            other => answers.push(other),
        }
    }
    Ok(answers)
}

fn connect(address: &Address) -> io::Result<Box<dyn Stream>> {
    match address {
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(std::os::unix::net::UnixStream::connect(path)?)),
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        Address::Tcp(address) => Ok(Box::new(TcpStream::connect(address)?)),
    }
}
