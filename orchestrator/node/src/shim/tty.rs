//! Terminals in the shim: receiving one from libcontainer, sizing it, copying between it and pipes.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, recvmsg};

use super::{ShimResult, said};
use crate::runtime::exec::{FRAME_DATA, FRAME_RESIZE};

/// Largest frame taken from the agent, in bytes; a longer one ends the input.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Receives the controlling side of a container's terminal (runtime-spec, "terminal").
pub(super) fn receive(listener: &UnixListener) -> ShimResult<OwnedFd> {
    let (stream, _) = listener
        .accept()
        .map_err(said("failed to accept the terminal"))?;
    let mut text = [0; 4096];
    let mut parts = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received: RecvMsg<'_, '_, ()> =
        recvmsg(stream.as_raw_fd(), &mut parts, Some(&mut space), flags)
            .map_err(said("failed to receive the terminal"))?;
    for message in received
        .cmsgs()
        .map_err(said("failed to receive the terminal"))?
    {
        if let ControlMessageOwned::ScmRights(fds) = message
            && let Some(fd) = fds.first()
        {
            #[expect(
                unsafe_code,
                reason = "the kernel just made this descriptor for us alone"
            )]
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    Err("the runtime sent no terminal".to_owned())
}

/// Sets a terminal's size; a terminal that is gone has none.
pub(super) fn resize(terminal: &File, columns: u16, rows: u16) {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    #[expect(
        unsafe_code,
        reason = "TIOCSWINSZ reads one winsize, which outlives the call"
    )]
    unsafe {
        libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size);
    }
}

/// Copies frames from the agent into the terminal until they end.
pub(super) fn feed(mut from: impl Read, terminal: &mut File) {
    let mut head = [0; 5];
    while from.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > FRAME_BYTES_MAX {
            return;
        }
        let mut body = vec![0; length];
        if from.read_exact(&mut body).is_err() {
            return;
        }
        let written = match (head[0], body.as_slice()) {
            (FRAME_DATA, bytes) => terminal.write_all(bytes),
            (FRAME_RESIZE, [a, b, c, d]) => {
                resize(
                    terminal,
                    u16::from_be_bytes([*a, *b]),
                    u16::from_be_bytes([*c, *d]),
                );
                Ok(())
            }
            _ => Ok(()),
        };
        if written.is_err() {
            return;
        }
    }
    // The caller closed its input: a terminal says so with Ctrl-D.
    let _ = terminal.write_all(&[4]);
}

/// Copies what the terminal shows until its last user is gone.
pub(super) fn show(terminal: &mut File, mut to: impl Write) {
    let mut buffer = [0; 8192];
    while let Ok(n) = terminal.read(&mut buffer) {
        if n == 0
            || to
                .write_all(&buffer[..n])
                .and_then(|()| to.flush())
                .is_err()
        {
            return;
        }
    }
}
