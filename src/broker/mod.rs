//! The embedded MQTT broker: one port for MQTT 3.1.1 and MQTT 5.
//!
//! A gate of our own around rumqttd's router and codecs; rumqttd's own listener is never started, because one client
//! can stop it for ever in several ways. The gate owns everything that a client can touch: sockets, time limits,
//! logins, rights, sessions, subscriptions, retained messages, QoS and wills. The router carries messages to sessions.
//!
//! In reading order: `gate` lets clients in (`connect`, `login`, `acl`), `serve` is one client (`wire`,
//! `outbox`), `sessions` outlive connections, `exchange` joins publishers and subscribers (`topic`, `retained`,
//! `message`), `link` is the router. Not here: our own MQTT client.

mod acl;
mod connect;
mod exchange;
mod gate;
mod link;
mod login;
mod message;
mod outbox;
mod retained;
mod serve;
mod sessions;
mod topic;
mod wire;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

pub use acl::{Ours, Role};

use crate::logic::addresses::Addresses;
use crate::shutdown::Shutdown;
use exchange::Exchange;
use gate::{Counters, Gate};
use link::Router;
use login::{Refusals, Users};
use sessions::Sessions;

/// Pause after an accept error: without file descriptors accept fails at once, again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How often expired sessions, wills and retained messages are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// Sessions beyond the connected clients: the appliance's own, and those whose client is away.
const SPARE_SESSIONS: usize = 16;
/// How long the connections have to end when the broker stops.
const STOP_TIME: Duration = Duration::from_secs(2);
/// Silence after which the kernel asks whether the peer is still there; for clients without keep-alive.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// What the broker needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Address and port to listen on; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// From where clients may come.
    pub addresses: Addresses,
    /// Who may log in. There is no anonymous access.
    pub users: Vec<User>,
    /// Topics that only the appliance may write.
    pub ours: Ours,
    /// Bounds on memory and time.
    pub limits: Limits,
}

/// One login.
#[derive(Clone)]
pub struct User {
    /// Name, not empty.
    pub name: String,
    /// Password in plain text; a secret that only lives in memory.
    pub password: String,
    /// What the login may do.
    pub role: Role,
}

/// Bounds on memory and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Clients connected at once, besides the appliance.
    pub connections: usize,
    /// Connections at once that have not logged in yet; one more ends the oldest of them.
    pub unknown_connections: usize,
    /// Bytes of a packet after CONNECT, header and topic included.
    pub packet_bytes: usize,
    /// Bytes of a CONNECT.
    pub connect_bytes: usize,
    /// Time for a CONNECT to arrive.
    pub connect_time: Duration,
    /// Time for a client to take what is written to it at once, at most 64 KiB and one packet.
    pub write_time: Duration,
    /// Longest time a session is kept for a client that is away.
    pub session_expiry: Duration,
    /// Subscriptions of one client.
    pub filters_per_client: usize,
    /// Subscriptions of all clients.
    pub filters: usize,
    /// Retained messages.
    pub retained_topics: usize,
    /// Bytes of all retained messages.
    pub retained_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 64,
            unknown_connections: 64,
            // 2 MiB of payload and room for a topic and properties.
            packet_bytes: (2 << 20) + (128 << 10),
            connect_bytes: 64 << 10,
            connect_time: Duration::from_secs(5),
            write_time: Duration::from_secs(10),
            session_expiry: Duration::from_secs(3600),
            filters_per_client: 10_000,
            filters: 20_000,
            retained_topics: 10_000,
            retained_bytes: 64 << 20,
        }
    }
}

/// Figures of a running broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Clients connected now.
    pub connections: u64,
    /// Sessions now, with those whose client is away.
    pub sessions: usize,
    /// Subscriptions now.
    pub filters: usize,
    /// Retained messages now.
    pub retained_topics: usize,
    /// Bytes of the retained messages now.
    pub retained_bytes: usize,
    /// Connections refused for their address since the start.
    pub refused_addresses: u64,
    /// Logins refused since the start.
    pub refused_logins: u64,
    /// Messages refused for their topic since the start.
    pub denied_publishes: u64,
    /// Messages not kept because the retained messages were at a limit.
    pub not_retained: u64,
    /// Messages dropped because they are larger than their subscriber accepts.
    pub undeliverable: u64,
    /// Messages dropped because their subscriber was too slow or away too long.
    pub lost: u64,
    /// Failed accepts since the start.
    pub accept_errors: u64,
    /// The router's thread has died: no message is delivered any more and the process should be restarted.
    pub router_failed: bool,
}

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("the MQTT broker cannot listen on {bind}: {}", bind_advice(.source))]
    Bind {
        /// The address of the settings.
        bind: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The router's thread did not answer.
    #[error("the MQTT broker's router did not start")]
    Router,
}

fn bind_advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program, often Mosquitto, listens there already; stop it or choose another port".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; use 127.0.0.1, 0.0.0.0 or one of its own".into()
        }
        io::ErrorKind::PermissionDenied => "not permitted; choose a port above 1023".into(),
        _ => error.to_string(),
    }
}

/// A running broker. Dropping it leaves it running; call [`Broker::stop`] or give the signal.
pub struct Broker {
    address: SocketAddr,
    gate: Arc<Gate>,
    accepting: JoinHandle<()>,
}

/// Starts the broker: binds first, so that a taken port is an error before anything else runs.
///
/// `shutdown` ends it like [`Broker::stop`]; give it after our own MQTT client has said goodbye. Must run inside a
/// tokio runtime.
///
/// # Errors
/// [`Error::Bind`] when the address cannot be listened on, with a sentence for people.
pub async fn start(settings: Settings, shutdown: Shutdown) -> Result<Broker, Error> {
    let (bind, addresses) = (settings.bind, settings.addresses.clone());
    let (listener, address) = listen(bind).map_err(|source| Error::Bind { bind, source })?;
    let gate = tokio::task::spawn_blocking(move || build(settings)).await.map_err(|_| Error::Router)??;
    let gate = Arc::new(gate);
    let accepting = tokio::spawn(accept(listener, gate.clone(), addresses, shutdown));
    Ok(Broker { address, gate, accepting })
}

fn listen(bind: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if bind.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart can bind at once, although connections of the last run linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(bind)?;
    let listener = socket.listen(128)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Starts the router; blocks until it answers.
fn build(settings: Settings) -> Result<Gate, Error> {
    let Settings { bind: _, addresses: _, users, ours, limits } = settings;
    let seats = limits.connections + SPARE_SESSIONS;
    let router = Arc::new(Router::spawn(seats));
    let exchange = Exchange::new(&router, seats, limits.clone()).map_err(|_| Error::Router)?;
    let exchange = Arc::new(exchange);
    Ok(Gate {
        ours,
        users: Users::new(&users),
        refusals: Refusals::default(),
        sessions: Arc::new(Sessions::new(exchange.clone(), router)),
        exchange,
        seats: Arc::new(Semaphore::new(limits.connections)),
        counters: Counters::default(),
        halt: Shutdown::new(),
        limits,
    })
}

impl Broker {
    /// The address that the broker listens on, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Figures of this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let census = self.gate.exchange.census();
        let counters = &self.gate.counters;
        Stats {
            connections: counters.connections.get(),
            sessions: census.sessions,
            filters: census.filters,
            retained_topics: census.retained_topics,
            retained_bytes: census.retained_bytes,
            refused_addresses: counters.refused_addresses.get(),
            refused_logins: counters.refused_logins.get(),
            denied_publishes: counters.denied.get(),
            not_retained: census.not_retained,
            undeliverable: counters.undeliverable.get(),
            lost: counters.lost.get(),
            accept_errors: counters.accept_errors.get(),
            router_failed: census.router_failed,
        }
    }

    /// Tells the clients, closes all sockets and the port, and returns when that is done: within about two seconds.
    pub async fn stop(self) {
        self.gate.halt.trigger();
        // An error means that the task panicked; its sockets are closed then as well.
        let _ = self.accepting.await;
    }
}

async fn accept(listener: TcpListener, gate: Arc<Gate>, addresses: Addresses, shutdown: Shutdown) {
    let refusals = Refusals::default();
    let mut hall = Hall::new(gate.limits.unknown_connections);
    let mut visits = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) if !is_admitted(&addresses, &socket, from) => {
                    gate.counters.refused_addresses.add(1);
                    if let Some(times) = refusals.note(from.ip().to_canonical(), Instant::now()) {
                        tracing::warn!(address = %from.ip(), times, "the MQTT broker refuses this address; see access.allow and access.block");
                    }
                }
                Ok((socket, from)) => {
                    prepare(&socket);
                    visits.spawn(gate::attend(gate.clone(), socket, from, hall.enter()));
                }
                Err(error) => {
                    gate.counters.accept_errors.add(1);
                    tracing::debug!(%error, "the MQTT broker could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = visits.join_next() => {}
            _ = sweep.tick() => {
                let now = Instant::now();
                gate.sessions.sweep(now);
                gate.exchange.sweep(now);
            }
            () = shutdown.triggered() => break,
            () = gate.halt.triggered() => break,
        }
    }
    drop(listener);
    gate.halt.trigger();
    let ended = async { while visits.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIME, ended).await.is_err() {
        visits.shutdown().await;
    }
}

/// Whether a client may come from there. The appliance itself comes from an address of this machine.
fn is_admitted(addresses: &Addresses, socket: &TcpStream, from: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|own| addresses.admits(from.ip(), own.ip()))
}

/// The connections that have not logged in yet, oldest first.
///
/// When it is full the oldest has to go: a client that means well logs in within milliseconds, so silent connections
/// shut out nobody.
struct Hall {
    room: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
}

impl Hall {
    fn new(room: usize) -> Hall {
        Hall { room, waiting: VecDeque::new() }
    }

    /// A place for a newcomer; what is returned ends when it must go, and is to be dropped once it has logged in.
    fn enter(&mut self) -> oneshot::Receiver<()> {
        self.waiting.retain(|place| !place.is_closed());
        if self.waiting.len() >= self.room {
            self.waiting.pop_front();
        }
        let (place, shown_out) = oneshot::channel();
        self.waiting.push_back(place);
        shown_out
    }
}

/// Socket options of a new connection. A failure costs speed or patience, not service.
fn prepare(socket: &TcpStream) {
    let keepalive =
        socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(Duration::from_secs(15));
    let _ = socket.set_nodelay(true);
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&keepalive);
}
