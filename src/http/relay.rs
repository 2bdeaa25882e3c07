//! Moves the inner server's bytes to the client, with the headers that only the front can know; else without looking at them.
//!
//! A plain copy through one buffer. splice(2) through a pipe, and one joined write for each part, were measured against it with 50
//! viewers of 88 kB at 15 a second: 9 to 11 % of a core each way, so the way without `unsafe` and without two more descriptors
//! a viewer stayed. Not here: what the bytes are.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::reply::Guard;
use crate::shutdown::Shutdown;

/// Bytes moved at once: a picture in one or two turns.
const CHUNK_BYTES: usize = 64 * 1024;
/// After the last byte, how long the client gets to take it before the socket is closed.
const LINGER: Duration = Duration::from_secs(2);
/// The first line of the inner server's answer is shorter.
const MOST_FIRST: usize = 1024;
/// A client that keeps talking while it is served a stream is not one.
const MOST_CHATTER: usize = 64 * 1024;

/// Relays until either end is done, the client takes nothing for `stall`, or the signal to stop.
pub(super) async fn relay<S>(
    client: S,
    mut inner: UnixStream,
    guard: Guard,
    stall: Duration,
    shutdown: &Shutdown,
) where
    S: AsyncRead + AsyncWrite,
{
    let (mut from, mut to) = tokio::io::split(client);
    let ended = tokio::select! {
        ended = pump(&mut inner, &mut to, guard, stall) => ended,
        () = gone(&mut from) => return,
        () = shutdown.triggered() => return,
    };
    match ended {
        Ok(()) => {
            // Closing with unread bytes in our own queue would reset the connection and lose the answer's end.
            let farewell = async {
                if to.shutdown().await.is_ok() {
                    gone(&mut from).await;
                }
            };
            let _ = tokio::time::timeout(LINGER, farewell).await;
        }
        Err(error) => tracing::debug!(%error, "a viewer was cut"),
    }
}

/// Ends when the client has closed its end or talks too much.
async fn gone(client: &mut (impl AsyncRead + Unpin)) {
    let mut chatter = [0; 4096];
    let mut heard = 0;
    while heard < MOST_CHATTER {
        match client.read(&mut chatter).await {
            Ok(0) | Err(_) => return,
            Ok(n) => heard += n,
        }
    }
}

async fn pump(
    inner: &mut UnixStream,
    client: &mut (impl AsyncWrite + Unpin),
    guard: Guard,
    stall: Duration,
) -> io::Result<()> {
    let mut first = first(inner).await?;
    guard.put_raw(&mut first);
    pass_on(&first, client, stall).await?;
    drop(first);
    let mut bytes = vec![0; CHUNK_BYTES];
    loop {
        let n = inner.read(&mut bytes).await?;
        if n == 0 {
            return Ok(());
        }
        pass_on(&bytes[..n], client, stall).await?;
    }
}

/// The first line and what has come with it.
async fn first(inner: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(2 * MOST_FIRST);
    while !bytes.contains(&b'\n') && bytes.len() < MOST_FIRST {
        if inner.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(bytes)
}

/// Hands over all bytes, as fast as the client takes them. TLS holds back up to 64 kB of its own, which are not left to wait for the
/// next picture.
async fn pass_on(
    mut bytes: &[u8],
    client: &mut (impl AsyncWrite + Unpin),
    stall: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = tokio::time::timeout(stall, client.write(bytes)).await??;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[taken..];
    }
    tokio::time::timeout(stall, client.flush()).await?
}
