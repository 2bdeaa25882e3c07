//! The network side: accepts connections within limits, runs hyper on each, and hands streams over to the relay.
//!
//! The first byte of a connection tells TLS from HTTP. Not here: what a request means ([`super::service`]).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::relay::relay;
use super::reply::{self, Guard, Reply};
use super::service::{Outcome, answer};
use super::visitor::Link;
use crate::logic::access::Caller;
use crate::logic::problem::Problem;
use crate::logic::throttle::network;
use crate::shutdown::Shutdown;
use crate::tls;

/// Room in the kernel for what a client has not taken yet.
const SEND_BUFFER: usize = 256 * 1024;
/// Of that, what may wait unsent: a slow viewer then skips frames instead of watching old ones.
const MOST_UNSENT: u32 = 128 * 1024;
/// After the signal, how long requests under way get to finish.
const STOP_TIME: Duration = Duration::from_millis(1500);
/// Pause after accept failed, for example because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections over the limit that are told so at the same time; further ones are closed without a word.
const FAREWELLS: usize = 32;
/// How long one of them may take to hear it.
const FAREWELL_TIME: Duration = Duration::from_millis(500);
/// What it may still say meanwhile.
const FAREWELL_BYTES: u64 = 64 * 1024;

/// The network half.
pub struct Front {
    shared: Arc<Shared>,
    tls: TlsAcceptor,
    connections: Arc<Semaphore>,
    farewells: Semaphore,
    per_address: Mutex<BTreeMap<IpAddr, usize>>,
}

/// One accepted connection's claim on the limits; given back when it is dropped.
struct Place {
    front: Arc<Front>,
    address: IpAddr,
    _connection: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.front.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl Front {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let connections = Arc::new(Semaphore::new(shared.limits.max_connections));
        let tls = TlsAcceptor::from(shared.certificate.http());
        Self { shared, tls, connections, farewells: Semaphore::new(FAREWELLS), per_address: Mutex::default() }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.per_address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves `listener` (from [`super::bind`]) until the signal, then for at most two seconds longer.
    ///
    /// # Errors
    /// When the listener cannot be used by tokio.
    pub async fn serve(self, listener: std::net::TcpListener, shutdown: Shutdown) -> io::Result<()> {
        let front = Arc::new(self);
        let listener = TcpListener::from_std(listener)?;
        let mut tasks = JoinSet::new();
        let mut told_failure = false;
        loop {
            let accepted = tokio::select! {
                () = shutdown.triggered() => break,
                accepted = listener.accept() => accepted,
                // Reaps what has ended; a task that panicked has harmed only its own client.
                Some(_) = tasks.join_next() => continue,
            };
            match accepted {
                Ok((client, peer)) => {
                    told_failure = false;
                    let place = front.admit(network(peer.ip()));
                    let (front, shutdown) = (Arc::clone(&front), shutdown.clone());
                    tasks.spawn(async move { front.connection(client, peer, place, shutdown).await });
                }
                Err(error) => {
                    if !told_failure {
                        tracing::warn!(%error, "connections cannot be accepted for now");
                        told_failure = true;
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let finished = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_TIME, finished).await;
        tasks.shutdown().await;
        Ok(())
    }

    async fn connection(
        &self,
        client: TcpStream,
        peer: SocketAddr,
        place: Option<Place>,
        shutdown: Shutdown,
    ) {
        let Some(_place) = place else {
            let Ok(_farewell) = self.farewells.try_acquire() else { return };
            return turn_away(client).await;
        };
        if let Err(error) = prepare(&client, self.shared.limits.stall_time) {
            tracing::debug!(%error, "a connection cannot be prepared");
            return;
        }
        let mut first = [0];
        let heard = tokio::time::timeout(self.shared.limits.header_time, client.peek(&mut first)).await;
        if !matches!(heard, Ok(Ok(1))) {
            // Closed, broken or silent.
            return;
        }
        let own = client.local_addr().map_or(peer.ip(), |own| own.ip());
        let link = Link { peer: peer.ip(), own, is_tls: first[0] == tls::FIRST_BYTE };
        if !link.is_tls {
            self.http(client, link, &shutdown).await;
        } else if let Some(client) = self.shake_hands(client, peer, &shutdown).await {
            self.http(client, link, &shutdown).await;
        }
    }

    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let connection = self.connections.clone().try_acquire_owned().ok()?;
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= self.shared.limits.max_per_address {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place { front: Arc::clone(self), address, _connection: connection })
    }

    /// TLS with a client that began it; none if that came to nothing, which is the client's affair. It holds one of the limited
    /// connections meanwhile.
    async fn shake_hands(
        &self,
        client: TcpStream,
        peer: SocketAddr,
        shutdown: &Shutdown,
    ) -> Option<TlsStream<TcpStream>> {
        let shaken = tokio::time::timeout(self.shared.limits.header_time, self.tls.accept(client));
        let shaken = tokio::select! {
            shaken = shaken => shaken,
            () = shutdown.triggered() => return None,
        };
        match shaken {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a TLS handshake came to nothing");
                None
            }
            Err(_late) => None,
        }
    }

    async fn http<S>(&self, client: S, link: Link, shutdown: &Shutdown)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (hand_over, mut handed_over) = mpsc::channel(1);
        let service = service_fn(|request| self.request(link, request, hand_over.clone()));
        let limits = &self.shared.limits;
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_buf_size(limits.max_head)
            .half_close(false)
            .serve_connection(TokioIo::new(client), service);
        let (inner, viewer, caller, guard) = tokio::select! {
            ended = &mut connection => return log_end(link.peer, ended),
            Some(inner) = handed_over.recv() => inner,
            () = shutdown.triggered() => {
                Pin::new(&mut connection).graceful_shutdown();
                return log_end(link.peer, connection.await);
            }
        };
        let client = connection.into_parts().io.into_inner();
        tokio::select! {
            () = relay(client, inner, guard, limits.stall_time, shutdown) => {}
            () = self.shown_out(&caller) => {}
        }
        drop(viewer);
    }

    /// Ends when the caller's session or token has ended.
    async fn shown_out(&self, caller: &Caller) {
        let mut changes = self.shared.door.changes();
        while self.shared.door.is_still_in(caller, Timestamp::now()) {
            let left = self.shared.door.until(caller).map(|until| until.duration_since(Timestamp::now()));
            let left = left.and_then(|left| Duration::try_from(left).ok());
            let ends = async {
                match left {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = ends => {}
            }
        }
    }

    fn guard(&self, link: Link) -> Guard {
        let is_framed = self.shared.ingress_proxy == Some(link.peer.to_canonical());
        // Whoever may come without TLS shall not be kept from it by an answer that once came with it.
        Guard { is_tls: link.is_tls, stays_secure: link.is_tls && !self.shared.plain, is_framed }
    }

    async fn request(
        &self,
        link: Link,
        request: Request<Incoming>,
        hand_over: mpsc::Sender<(UnixStream, OwnedSemaphorePermit, Caller, Guard)>,
    ) -> Result<Reply, Infallible> {
        let guard = self.guard(link);
        match answer(&self.shared, link, request).await {
            Outcome::Reply(mut reply) => {
                guard.put(&mut reply);
                Ok(reply)
            }
            Outcome::Inner(inner, viewer, caller) => {
                if hand_over.send((inner, viewer, caller, guard)).await.is_err() {
                    return Ok(Response::default());
                }
                // The connection is taken out of hyper before this could ever end.
                std::future::pending().await
            }
        }
    }
}

fn log_end(peer: IpAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Latency, and an end for clients that vanished or take nothing.
fn prepare(client: &TcpStream, stall: Duration) -> io::Result<()> {
    let socket = SockRef::from(client);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_notsent_lowat(MOST_UNSENT)?;
    socket.set_tcp_user_timeout(Some(stall))
}

/// Says that there is no room, and gives the words a moment to arrive: closing over unread bytes would reset the connection.
async fn turn_away(mut client: TcpStream) {
    let farewell = async {
        client.write_all(&reply::raw(&Problem::Busy)).await?;
        client.shutdown().await?;
        tokio::io::copy(&mut client.take(FAREWELL_BYTES), &mut tokio::io::sink()).await
    };
    // Whether the client hears it is its own affair.
    let _ = tokio::time::timeout(FAREWELL_TIME, farewell).await;
}
