//! A further program in a running container: what is asked, and the streams that come back.

use std::io;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// What to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether the caller sends input.
    pub stdin: bool,
    /// Whether the streams are one terminal.
    pub tty: bool,
}

/// A program that runs.
pub struct ExecSession {
    /// Its input, if asked for.
    pub input: Option<ExecInput>,
    /// Its output, or the terminal's.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its error output; none with a terminal.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Ends when the program does: its exit code, or why it could not be run.
    pub exit: BoxFuture<'static, Result<i32, String>>,
}

/// The way into a program.
pub struct ExecInput {
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) framed: bool,
}

/// Marks a frame with input, on the pipe to a shim that holds a terminal.
pub(crate) const FRAME_DATA: u8 = 0;

/// Marks a frame with a new size: columns and rows, each as two bytes, big end first.
pub(crate) const FRAME_RESIZE: u8 = 1;

impl ExecInput {
    /// Sends input.
    ///
    /// # Errors
    /// When the program no longer reads.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.framed {
            return self.frame(FRAME_DATA, bytes).await;
        }
        self.writer.write_all(bytes).await?;
        self.writer.flush().await
    }

    /// Tells the terminal its size; without a terminal nothing happens.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn resize(&mut self, columns: u16, rows: u16) -> io::Result<()> {
        if !self.framed {
            return Ok(());
        }
        let [a, b] = columns.to_be_bytes();
        let [c, d] = rows.to_be_bytes();
        self.frame(FRAME_RESIZE, &[a, b, c, d]).await
    }

    async fn frame(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(bytes.len() + 5);
        frame.push(kind);
        frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        frame.extend_from_slice(bytes);
        self.writer.write_all(&frame).await?;
        self.writer.flush().await
    }
}
