//! The network face: page, REST, pictures and streams.
//!
//! Two halves in one process. The *front* (hyper) owns every network socket: it parses, limits, authenticates and answers
//! page and JSON. Pictures and streams are served by the *inner* server (tiny_http) on a private Unix socket: one anonymous
//! request could stop a tiny_http that faced the network, so only requests that the front wrote itself reach it. Once the
//! inner server begins to answer, the front takes the client's socket out of hyper and passes the bytes on as they are.
//!
//! ```text
//! client ── TCP or TLS ── front: hyper ── route ── access ──┬── page, JSON ─────────────────────────────► client
//!                                                    └── Unix socket ── inner: tiny_http ── relay ► client
//! ```
//!
//! Not here: what is true ([`crate::logic::state`]), what may be set ([`crate::logic::entities`]), where frames come from.

mod access;
mod account;
mod api;
mod describe;
mod events;
mod faces;
mod front;
mod inner;
mod notes;
mod openapi;
mod outside;
mod page;
mod picture;
mod range;
mod relay;
mod reply;
mod route;
mod schema;
mod service;
mod table;
mod visitor;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, watch};

pub use front::Front;
pub use inner::Inner;
pub use outside::Outside;

use crate::audit;
use crate::door::Door;
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::addresses::Addresses;
use crate::logic::probes::Probes;
use crate::logic::state::State;
use crate::logic::topics::Topics;
use crate::tls::Certificate;

/// Everything the two halves need.
pub struct Parts {
    /// Who may come in.
    pub door: Arc<Door>,
    /// Where it is noted who did what.
    pub audit: audit::Log,
    /// What is shown to those who speak TLS.
    pub certificate: Arc<Certificate>,
    /// Whether other machines may ask without TLS.
    pub plain: bool,
    /// With whose word people may sign in, besides their accounts; none = with nobody's.
    pub outside: Option<Outside>,
    /// Home Assistant's ingress proxy: what comes from this address is signed in already.
    pub ingress_proxy: Option<IpAddr>,
    /// From where people may come.
    pub addresses: Addresses,
    /// What one client, and all of them together, may use.
    pub limits: Limits,
    /// Existing folder that only this user may enter; the private socket lives there.
    pub run_dir: PathBuf,
    /// Folder of the archive, with the pictures and clips of events.
    pub events_dir: PathBuf,
    /// Newest frames by camera id.
    pub hubs: BTreeMap<String, Arc<Hub>>,
    /// What is true. The app must put a new state in *before* it answers the command that led to it.
    pub state: watch::Receiver<Arc<State>>,
    /// Names of MQTT topics, which event payloads mention.
    pub topics: Topics,
    /// Where commands go.
    pub inbox: Inbox,
    /// Version of the program.
    pub version: &'static str,
}

/// What one client, and all of them together, may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams and stills at once; each costs a thread, a buffer of 64 kB and four file descriptors.
    pub max_viewers: usize,
    /// Network connections at once.
    pub max_connections: usize,
    /// Network connections at once from one address, so that one misbehaving machine leaves room for the others.
    pub max_per_address: usize,
    /// Time for a request's head, and for which an idle connection is kept.
    pub header_time: Duration,
    /// Bytes of a request's head; hyper wants 8192 at least.
    pub max_head: usize,
    /// Time for a request's body.
    pub body_time: Duration,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// How long a client may take nothing before it is cut.
    pub stall_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_viewers: 64,
            max_connections: 256,
            max_per_address: 128,
            header_time: Duration::from_secs(10),
            max_head: 32 * 1024,
            body_time: Duration::from_secs(10),
            max_body: table::MAX_BODY,
            stall_time: Duration::from_secs(15),
        }
    }
}

/// Why the server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program has the port.
    #[error("{0} is taken by another program; set another http.bind, or stop that program")]
    Taken(SocketAddr),
    /// The address is none of this machine's.
    #[error("{0} is not an address of this machine; set http.bind to one that is, or to 0.0.0.0 for all")]
    NotOurs(SocketAddr),
    /// The system does not let us.
    #[error("{0} may not be opened by this user; ports below 1024 need CAP_NET_BIND_SERVICE")]
    Denied(SocketAddr),
    /// Anything else.
    #[error("{0} cannot be opened: {1}")]
    Other(SocketAddr, io::Error),
}

/// Opens the listening socket; done first of all, so that a mistake is told before anything has started.
///
/// # Errors
/// When the address cannot be listened on, in a sentence for the person who set it.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    listen(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::Taken(address),
        io::ErrorKind::AddrNotAvailable => Error::NotOurs(address),
        io::ErrorKind::PermissionDenied => Error::Denied(address),
        _ => Error::Other(address, error),
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 128;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restart take the port while old connections still linger; a running owner keeps it.
    socket.set_reuse_address(true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        // `[::]` means every address, also where the system would take it for IPv6 alone.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What both halves know.
struct Shared {
    parts: Parts,
    /// Told once that a proxy passes requests on that nobody named.
    unnamed_proxy: Once,
    probes: Mutex<Probes>,
    socket: PathBuf,
    /// Set by the front when the private socket refuses; the inner server then builds itself anew.
    broken: AtomicBool,
    viewers: Arc<Semaphore>,
}

/// What the halves were given is read as if it stood in [`Shared`].
impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The two halves: [`Front::serve`] is a task of the app, [`Inner::run`] a thread.
#[must_use]
pub fn new(parts: Parts) -> (Front, Inner) {
    let shared = Arc::new(Shared {
        unnamed_proxy: Once::new(),
        probes: Mutex::default(),
        socket: parts.run_dir.join("http.sock"),
        broken: AtomicBool::new(false),
        viewers: Arc::new(Semaphore::new(parts.limits.max_viewers)),
        parts,
    });
    (Front::new(Arc::clone(&shared)), Inner::new(shared))
}
