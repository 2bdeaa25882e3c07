//! The way of one connection: first packet, login, session, service, and what is left to do after it.
//!
//! Not here: the accept loop ([`super`]) and the service itself ([`super::serve`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::Limits;
use super::acl::{self, Ours, Role};
use super::connect::{self, Greeting, Refusal, Terms, Will};
use super::exchange::Exchange;
use super::login::{Refusals, Users};
use super::serve::{self, End, Visit};
use super::sessions::{Claim, NoSession, Session, Sessions};
use super::wire::{self, Reason, Version};
use crate::logic::checksum::hex;
use crate::shutdown::Shutdown;

/// How long the last word to a client may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long we go on reading after the last word: closing a socket with unread bytes would destroy that word.
const LINGER: Duration = Duration::from_millis(500);
/// First byte of a TLS handshake.
const TLS: u8 = 0x16;
/// TLS alert `handshake_failure`, fatal.
const TLS_ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];

/// What all connections share.
pub(super) struct Gate {
    pub(super) limits: Limits,
    pub(super) ours: Ours,
    pub(super) users: Users,
    pub(super) refusals: Refusals,
    pub(super) exchange: Arc<Exchange>,
    pub(super) sessions: Arc<Sessions>,
    /// Clients connected at once; the appliance itself needs no permit.
    pub(super) seats: Arc<Semaphore>,
    pub(super) counters: Counters,
    pub(super) halt: Shutdown,
}

/// Figures for [`super::Stats`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) connections: Gauge,
    pub(super) refused_addresses: Gauge,
    pub(super) refused_logins: Gauge,
    pub(super) denied: Gauge,
    pub(super) undeliverable: Gauge,
    pub(super) lost: Gauge,
    pub(super) accept_errors: Gauge,
}

/// A number that several tasks change.
#[derive(Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts one connection while it lives.
struct Counted<'a>(&'a Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.less();
    }
}

/// A client that gave its name and may come in.
struct Guest {
    greeting: Greeting,
    role: Role,
    /// Key of its session: ids of different users never meet, so nobody can take over the appliance's connection.
    key: String,
    assigned_id: Option<String>,
}

/// Attends to one connection until it is over. `shown_out` ends when the connection has to make room for a newer one,
/// which can only happen before it has logged in.
pub(super) async fn attend(
    gate: Arc<Gate>,
    mut socket: TcpStream,
    from: SocketAddr,
    shown_out: oneshot::Receiver<()>,
) {
    let mut input = BytesMut::new();
    let entered = tokio::select! {
        entered = gate.receive(&mut socket, &mut input, from) => entered,
        _ = shown_out => return,
        () = gate.halt.triggered() => return,
    };
    let Some((guest, _seat)) = entered else { return };
    match gate.session(&guest).await {
        Ok((claim, session, resumed)) => {
            gate.counters.connections.add(1);
            let _counted = Counted(&gate.counters.connections);
            gate.entertain(socket, input, guest, claim, session, resumed).await;
        }
        Err(NoSession::Full | NoSession::Stuck) => {
            refuse(&mut socket, Refusal::Busy, Some(guest.greeting.version)).await;
        }
    }
}

/// Reads the first packet. None: closed, not a CONNECT, or too large; there is nobody to answer.
async fn first_frame(
    gate: &Gate,
    socket: &mut TcpStream,
    input: &mut BytesMut,
    from: SocketAddr,
) -> Option<BytesMut> {
    loop {
        match input.first() {
            Some(&TLS) => {
                if gate.refusals.note(from.ip(), Instant::now()).is_some() {
                    tracing::warn!(address = %from.ip(), "a client tried TLS on the MQTT port, which speaks plain MQTT only");
                }
                let _ = socket.write_all(&TLS_ALERT).await;
                linger(socket).await;
                return None;
            }
            None | Some(0x10) => {}
            Some(_) => return None,
        }
        if let Some(len) = wire::frame_len(input, gate.limits.connect_bytes).ok()? {
            return Some(input.split_to(len));
        }
        input.reserve(1024);
        if !matches!(socket.read_buf(input).await, Ok(1..)) {
            return None;
        }
    }
}

async fn refuse(socket: &mut TcpStream, refusal: Refusal, version: Option<Version>) {
    let Some(version) = version else { return };
    let mut out = BytesMut::new();
    connect::put_refusal(version, refusal, &mut out);
    if timeout(FAREWELL, serve::write_all(socket, &mut out)).await == Ok(true) {
        linger(socket).await;
    }
}

/// Closes our half and reads on for a moment, so that the peer gets our last word.
async fn linger(socket: &mut TcpStream) {
    let mut scrap = [0u8; 4096];
    let drain = async {
        let _ = socket.shutdown().await;
        while matches!(socket.read(&mut scrap).await, Ok(1..)) {}
    };
    let _ = timeout(LINGER, drain).await;
}

impl Gate {
    /// Reads the first packet and lets its sender in, or says why not.
    async fn receive(
        &self,
        socket: &mut TcpStream,
        input: &mut BytesMut,
        from: SocketAddr,
    ) -> Option<(Guest, Option<OwnedSemaphorePermit>)> {
        let frame =
            timeout(self.limits.connect_time, first_frame(self, socket, input, from)).await.ok()??;
        let (refusal, version) = match self.admit(frame, from) {
            Ok(guest) => match self.seat(&guest) {
                Some(seat) => return Some((guest, seat)),
                None => (Refusal::Busy, Some(guest.greeting.version)),
            },
            Err(refused) => refused,
        };
        refuse(socket, refusal, version).await;
        None
    }

    /// Checks the CONNECT: version, login, will.
    fn admit(&self, frame: BytesMut, from: SocketAddr) -> Result<Guest, (Refusal, Option<Version>)> {
        let greeting = connect::read(frame)?;
        let fail = |refusal| (refusal, Some(greeting.version));
        let Some(login) = &greeting.login else {
            self.note_refusal(from, "no user name");
            return Err(fail(Refusal::NotAuthorized));
        };
        let Some(role) = self.users.role(&login.username, &login.password) else {
            self.note_refusal(from, "wrong user name or password");
            return Err(fail(Refusal::Login));
        };
        if let Some(Will { message, .. }) = &greeting.will {
            let is_empty = message.payload.is_empty();
            if !acl::may_publish(role, &self.ours, &message.topic, message.retain, is_empty) {
                self.counters.denied.add(1);
                return Err(fail(Refusal::NotAuthorized));
            }
        }
        let assigned_id = greeting.client_id.is_empty().then(random_id);
        let id = assigned_id.as_deref().unwrap_or(&greeting.client_id);
        let key = format!("{}\0{id}", login.username);
        Ok(Guest { role, key, assigned_id, greeting })
    }

    fn note_refusal(&self, from: SocketAddr, why: &str) {
        self.counters.refused_logins.add(1);
        if let Some(times) = self.refusals.note(from.ip(), Instant::now()) {
            tracing::warn!(address = %from.ip(), times, "MQTT login refused: {why}");
        }
    }

    /// A place among the connected clients; the inner option is none for the appliance, which always gets in.
    /// A client that replaces its own connection gets in too: it waits for that one's place.
    fn seat(&self, guest: &Guest) -> Option<Option<OwnedSemaphorePermit>> {
        match guest.role {
            Role::Appliance => Some(None),
            Role::Client => match self.seats.clone().try_acquire_owned() {
                Ok(permit) => Some(Some(permit)),
                Err(_full) => self.sessions.is_busy(&guest.key).then_some(None),
            },
        }
    }

    /// The client's session, and whether it is an older one that goes on.
    async fn session(&self, guest: &Guest) -> Result<(Claim, Session, bool), NoSession> {
        let (claim, parked) = self.sessions.claim(&guest.key).await?;
        let kept = match parked {
            Some(parked) if guest.greeting.clean => {
                self.sessions.end(parked, Instant::now());
                None
            }
            Some(parked) => Some(parked.session),
            None => None,
        };
        let resumed = kept.is_some();
        let session = match kept {
            Some(session) => session,
            None => self.sessions.open().await?,
        };
        self.exchange.set_online(session.slot(), true);
        Ok((claim, session, resumed))
    }

    /// Serves a guest, says goodbye, and then keeps or ends its session and sends its will.
    async fn entertain(
        &self,
        mut socket: TcpStream,
        input: BytesMut,
        guest: Guest,
        claim: Claim,
        mut session: Session,
        resumed: bool,
    ) {
        let greeting = guest.greeting;
        let expiry = greeting.expiry.min(self.limits.session_expiry);
        let mut output = BytesMut::new();
        let terms = Terms {
            session_present: resumed,
            assigned_id: guest.assigned_id,
            expiry: (expiry != greeting.expiry).then_some(expiry),
            receive_maximum: serve::RECEIVE_MAXIMUM,
            max_packet: self.limits.packet_bytes,
        };
        connect::put_welcome(greeting.version, terms, &mut output);
        session.outbox.set_window(greeting.receive_maximum);
        let mut visit = Visit {
            gate: self,
            session: &mut session,
            role: guest.role,
            version: greeting.version,
            max_packet: greeting.max_packet,
            patience: (!greeting.keep_alive.is_zero()).then(|| greeting.keep_alive.mul_f32(1.5)),
            input,
            output,
        };
        let end = tokio::select! {
            end = visit.run(&mut socket) => end,
            () = claim.kicked() => End::Fault(Reason::TakenOver),
            () = self.halt.triggered() => End::Fault(Reason::ShuttingDown),
        };
        let output = std::mem::take(&mut visit.output);
        self.after(claim, session, end, expiry, greeting.will);
        goodbye(socket, greeting.version, end, output).await;
    }

    /// Keeps or ends the session and sends the will, now or when it is due.
    fn after(&self, claim: Claim, session: Session, end: End, expiry: Duration, will: Option<Will>) {
        let (wants_will, expiry) = match end {
            End::Left { with_will, expiry_secs } => {
                let asked = expiry_secs.map(|secs| Duration::from_secs(secs.into()));
                // MQTT 5 section 3.14.2.2.2: a session that was to end with the connection cannot be prolonged now.
                let changed = asked.filter(|_| !expiry.is_zero()).unwrap_or(expiry);
                (with_will, changed.min(self.limits.session_expiry))
            }
            End::Fault(Reason::ShuttingDown) => (false, Duration::ZERO),
            End::Lost | End::Fault(_) => (true, expiry),
        };
        let now = Instant::now();
        let mut waiting = None;
        if let Some(will) = will.filter(|_| wants_will) {
            if will.delay.is_zero() || expiry.is_zero() {
                self.exchange.publish(&will.message, session.slot(), now);
            } else {
                waiting = Some((now + will.delay, will.message));
            }
        }
        if expiry.is_zero() {
            drop(session);
        } else {
            claim.park(session, now + expiry, waiting);
        }
    }
}

/// Tells an MQTT 5 client why we end, and closes the socket.
async fn goodbye(mut socket: TcpStream, version: Version, end: End, mut output: BytesMut) {
    match end {
        End::Left { .. } | End::Lost => {}
        End::Fault(reason) => {
            wire::put_disconnect(version, reason, &mut output);
            let told = timeout(FAREWELL, serve::write_all(&mut socket, &mut output)).await == Ok(true);
            if told && reason != Reason::ShuttingDown {
                linger(&mut socket).await;
            }
        }
    }
}

/// An id for a client that brought none.
fn random_id() -> String {
    let mut bytes = [0u8; 12];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    format!("auto-{}", hex(&bytes))
}
