//! Moves the inner server's bytes to the client's socket without looking at them.
//!
//! Two splices through a pipe: pages go from the Unix socket to the TCP socket inside the kernel, so that a viewer costs one copy
//! of each picture (the inner thread's write), not three. Not here: what the bytes are.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::shutdown::Shutdown;

/// Bytes that may be on their way in the kernel's pipe.
const PIPE_BYTES: i32 = 256 * 1024;
/// After the last byte, how long the client gets to take it before the socket is closed.
const LINGER: Duration = Duration::from_secs(2);
/// A client that keeps talking while it is served a stream is not one.
const MOST_CHATTER: usize = 64 * 1024;

/// Relays until either end is done, the client takes nothing for `stall`, or the signal to stop.
pub(super) async fn relay(mut client: TcpStream, inner: UnixStream, stall: Duration, shutdown: &Shutdown) {
    let ended = tokio::select! {
        ended = pump(&inner, &client, stall) => ended,
        () = gone(&client) => return,
        () = shutdown.triggered() => return,
    };
    match ended {
        Ok(()) => {
            // Closing with unread bytes in our own queue would reset the connection and lose the answer's end.
            if client.shutdown().await.is_ok() {
                let _ = tokio::time::timeout(LINGER, gone(&client)).await;
            }
        }
        Err(error) => tracing::debug!(%error, "a viewer was cut"),
    }
}

/// Ends when the client has closed its end or talks too much.
async fn gone(client: &TcpStream) {
    let mut chatter = [0; 4096];
    let mut heard = 0;
    while heard < MOST_CHATTER && client.readable().await.is_ok() {
        match client.try_read(&mut chatter) {
            Ok(0) => return,
            Ok(n) => heard += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

async fn pump(inner: &UnixStream, client: &TcpStream, stall: Duration) -> io::Result<()> {
    let (out, into) = pipe()?;
    loop {
        // The pipe is empty here, so that "would block" can only mean the inner end.
        let mut held = inner
            .async_io(Interest::READABLE, || splice(inner.as_fd(), into.as_fd(), PIPE_BYTES as usize))
            .await?;
        if held == 0 {
            return Ok(());
        }
        while held > 0 {
            let taken = client.async_io(Interest::WRITABLE, || splice(out.as_fd(), client.as_fd(), held));
            held -= tokio::time::timeout(stall, taken).await??;
        }
    }
}

#[allow(unsafe_code, reason = "std has no call that sets the size of a pipe")]
fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (out, into) = io::pipe()?;
    // SAFETY: the descriptor is open for the whole call, and this command takes an integer.
    // Best effort: beyond the user's allowance the pipe simply stays smaller.
    unsafe { libc::fcntl(into.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
    Ok((out, into))
}

#[allow(unsafe_code, reason = "splice(2) has no safe wrapper in std, tokio or socket2")]
fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    let (no_offset_in, no_offset_out) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both descriptors are open for the whole call; null offsets are what sockets and pipes require.
    let moved =
        unsafe { libc::splice(from.as_raw_fd(), no_offset_in, to.as_raw_fd(), no_offset_out, most, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}
