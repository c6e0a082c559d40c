//! The asking side. Blocking and free of a runtime: a git hook starts and ends in milliseconds.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use super::{Address, Contact, Hello, LINE_BYTES_MAX, Request, Response, address_file};
use crate::Error;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection with a request on its way. Iterating gives the answers, up to and with the last one.
pub struct Client {
    data_dir: PathBuf,
    reader: BufReader<Box<dyn Stream>>,
    ended: bool,
}

impl Client {
    /// Connects to the engine that runs on a data directory, and sends it a request.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when there is none.
    pub fn send(data_dir: &Path, request: &Request) -> Result<Self, Error> {
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
        let disconnected = |source| Error::Disconnected {
            data_dir: data_dir.to_owned(),
            source,
        };
        let mut line = serde_json::to_vec(&hello).map_err(|error| disconnected(error.into()))?;
        line.push(b'\n');
        reader.get_mut().write_all(&line).map_err(disconnected)?;
        reader.get_mut().flush().map_err(disconnected)?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            reader,
            ended: false,
        })
    }

    fn read(&mut self) -> io::Result<Response> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&line)?)
    }
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
            Ok(response) => Ok(response),
            Err(source) => Err(Error::Disconnected {
                data_dir: self.data_dir.clone(),
                source,
            }),
        })
    }
}

/// Sends a request and gives every line to `each_line`; returns the other answers.
///
/// # Errors
/// When nothing runs on the data directory, the connection breaks, or the engine refuses.
pub fn call(
    data_dir: &Path,
    request: &Request,
    mut each_line: impl FnMut(&str),
) -> Result<Vec<Response>, Error> {
    let mut answers = Vec::new();
    for response in Client::send(data_dir, request)? {
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
