//! The MQTT client: connects, subscribes, publishes what it is told, hands commands to the inbox.
//!
//! A connection is used once: whatever ends it, the next begins with nothing queued and everything published anew from the state.
//! Not here: what the topics say ([`crate::logic::publication`], [`crate::logic::discovery`]) and the embedded broker.

mod commands;
mod documents;
mod inspect;
mod outbox;
mod pictures;
mod requests;
mod session;
mod tls;
mod tunnel;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, LastWill, Packet, Publish};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, Transport};
use tokio::sync::{mpsc, watch};

use crate::audit;
use crate::hub::Hub;
use crate::inbox::{Inbox, Reply};
use crate::logic::discovery::Installation;
use crate::logic::pace::Pace;
use crate::logic::request::{Allowed, Discovery};
use crate::logic::state::State;
use crate::logic::topics::Topics;
use crate::logic::transactions::Transactions;
use crate::shutdown::Shutdown;

pub use inspect::{clear, inspect};
pub use outbox::{News, Outbox};
use session::Session;
pub use tls::client_config;
pub use tunnel::Target;
use tunnel::Tunnel;

/// Largest message we take; commands are short, but other people's device documents reach us too.
const MAX_PACKET: u32 = 4 << 20;
/// Messages between our tasks and the client's loop; a full one makes the publisher wait, never lose.
const QUEUE: usize = 64;
/// Messages from the broker that may wait for us; more at once is a flood and is cut.
const INCOMING: usize = 256;
/// First and longest pause between attempts to connect; with the jitter at most 30 s.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(25));
/// A connection that holds for so long was a good one.
const LASTING: Duration = Duration::from_secs(10);
/// How long the last word may take at the end.
const FAREWELL_LIMIT: Duration = Duration::from_secs(3);

/// How to enter the broker.
#[derive(Clone)]
pub struct Access {
    /// Where the broker is.
    pub target: Target,
    /// Client id.
    pub client_id: String,
    /// User name and password.
    pub login: Option<(String, String)>,
}

impl Access {
    fn options(&self, tunnel: &Tunnel) -> MqttOptions {
        let path = tunnel.path().to_string_lossy().into_owned();
        let mut options = MqttOptions::new(&self.client_id, path, self.target.port);
        options.set_transport(Transport::Unix);
        options.set_clean_start(true);
        options.set_connection_timeout(10);
        options.set_max_packet_size(Some(MAX_PACKET));
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password);
        }
        options
    }
}

/// How to connect and how often to send pictures.
pub struct Settings {
    /// How to enter the broker.
    pub access: Access,
    /// Pings to the broker.
    pub keep_alive: Duration,
    /// Whether Home Assistant shall discover the devices.
    pub discovery: bool,
    /// Between two live pictures while nothing moves.
    pub picture_interval: Duration,
    /// Which requests are answered.
    pub allow_requests: Allowed,
}

/// Everything the client works with.
pub struct Parts {
    /// Connection and cadence.
    pub settings: Settings,
    /// Every topic.
    pub topics: Topics,
    /// Identity for the discovery documents.
    pub installation: Installation,
    /// The newest snapshot.
    pub state: watch::Receiver<Arc<State>>,
    /// Events that wait to be told.
    pub outbox: Arc<Outbox>,
    /// Live pictures by camera id.
    pub hubs: BTreeMap<String, Arc<Hub>>,
    /// Where commands go.
    pub inbox: Inbox,
    /// Where it is noted who did what.
    pub audit: audit::Log,
    /// What the appliance wants of the devices in Home Assistant.
    pub discovery: mpsc::UnboundedReceiver<(Discovery, Reply)>,
    /// A private folder for the socket.
    pub run_dir: PathBuf,
}

/// Why a connection ended or did not come about.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Tunnel(#[from] tunnel::Error),
    #[error("the broker refuses us: {0}")]
    Refused(String),
    #[error("the connection to the broker is lost: {0}")]
    Lost(#[from] Box<ConnectionError>),
    #[error("the broker does not answer")]
    NoAnswer,
}

impl From<ConnectionError> for Ended {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionRefused(code) => Self::Refused(refusal(code)),
            ConnectionError::Timeout(_) => Self::NoAnswer,
            other => Self::Lost(Box::new(other)),
        }
    }
}

fn refusal(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::BadUserNamePassword => {
            "wrong user name or password (mqtt.username, mqtt.password)".into()
        }
        // What Mosquitto answers to a wrong password too.
        ConnectReturnCode::NotAuthorized => {
            "this user may not connect, or the password is wrong (mqtt.username, mqtt.password)".into()
        }
        ConnectReturnCode::UnsupportedProtocolVersion => "it does not speak MQTT 5".into(),
        other => format!("{other:?}"),
    }
}

/// What outlives a connection.
#[derive(Default)]
struct Memory {
    /// Requests that were answered lately.
    transactions: Transactions<session::Return>,
    pace: Pace,
    /// Everything of ours was taken from the broker, and nothing is said until somebody asks for it.
    is_silent: bool,
}

/// Connects again and again until the stop signal; publishes `offline` as its last word.
pub async fn run(mut parts: Parts, shutdown: Shutdown) {
    let mut pause = RETRY.0;
    let mut complaint = String::new();
    let mut memory = Memory::default();
    while !shutdown.is_triggered() {
        let mut connected_at = None;
        let ended =
            connection(&mut parts, &mut memory, &shutdown, || connected_at = Some(Instant::now())).await;
        parts.outbox.set_connected(false);
        let Err(error) = ended else { return };
        // Two appliances with the same identity throw each other out; in haste they would do so for ever.
        if connected_at.is_some_and(|at| at.elapsed() >= LASTING) {
            complaint.clear();
            pause = RETRY.0;
        }
        // The same fault is told once, not at every attempt.
        let text = error.to_string();
        if text != complaint {
            tracing::warn!("MQTT: {text}; trying again by itself");
            complaint = text;
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = shutdown.triggered() => return,
        }
        pause = (pause * 2).min(RETRY.1);
    }
}

/// Up to a fifth longer, so that many appliances do not return in step.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f32(1.0 + 0.2 * random_share())
}

/// Something from 0 to 1, for spreading load; not for secrets.
fn random_share() -> f32 {
    let mut byte = [0u8];
    // Without randomness nothing is spread, which is no fault.
    let _ = getrandom::fill(&mut byte);
    f32::from(byte[0]) / 255.0
}

/// One connection from dialling to its end; `Ok` only after our own farewell.
async fn connection(
    parts: &mut Parts,
    memory: &mut Memory,
    shutdown: &Shutdown,
    on_connected: impl FnMut(),
) -> Result<(), Ended> {
    let tunnel = tokio::select! {
        tunnel = Tunnel::open(&parts.settings.access.target, parts.run_dir.join("mqtt.sock")) => tunnel?,
        () = shutdown.triggered() => return Ok(()),
    };
    let ended = conversation(parts, memory, shutdown, &tunnel, on_connected).await;
    // The client is gone and its end of the tunnel is closed.
    match ended {
        Ok(()) => {
            tunnel.drain().await;
            Ok(())
        }
        Err(Ended::Lost(error)) => Err(tunnel.fault().await.map_or(Ended::Lost(error), Ended::Tunnel)),
        Err(other) => Err(other),
    }
}

/// Greets, talks and says farewell through the tunnel.
async fn conversation(
    parts: &mut Parts,
    memory: &mut Memory,
    shutdown: &Shutdown,
    tunnel: &Tunnel,
    mut on_connected: impl FnMut(),
) -> Result<(), Ended> {
    let options = options(&parts.settings, &parts.topics, tunnel);
    let (client, mut events) = AsyncClient::new(options, QUEUE);
    let largest = greeting(&mut events).await?;
    on_connected();
    parts.outbox.set_connected(true);
    let target = &parts.settings.access.target;
    tracing::info!("MQTT: connected to {}:{}", target.host, target.port);

    let (incoming, mut messages) = mpsc::channel(INCOMING);
    let mut session = Session::new(parts, client, largest, memory);
    let talk = session.talk(&mut messages, shutdown);
    let pump = pump(&mut events, &incoming);
    tokio::pin!(talk, pump);
    tokio::select! {
        ended = &mut pump => ended,
        () = &mut talk => {
            // The farewell is in the queue; the loop sends it and then ends by itself.
            tokio::time::timeout(FAREWELL_LIMIT, pump).await.unwrap_or(Ok(()))
        }
    }
}

fn options(settings: &Settings, topics: &Topics, tunnel: &Tunnel) -> MqttOptions {
    let mut options = settings.access.options(tunnel);
    options.set_keep_alive(settings.keep_alive);
    options.set_outgoing_inflight_upper_limit(100);
    options.set_last_will(LastWill::new(topics.status(), "offline", QoS::AtLeastOnce, true, None));
    options
}

/// Waits for the broker's answer; returns the largest packet that it takes.
async fn greeting(events: &mut EventLoop) -> Result<usize, Ended> {
    loop {
        if let Event::Incoming(Packet::ConnAck(answer)) = events.poll().await? {
            let limit = answer.properties.and_then(|properties| properties.max_packet_size);
            return Ok(limit.map_or(usize::MAX, |bytes| bytes as usize));
        }
    }
}

/// Turns the client's loop until the connection ends; `Ok` once our own DISCONNECT has left.
async fn pump(events: &mut EventLoop, incoming: &mpsc::Sender<Publish>) -> Result<(), Ended> {
    loop {
        match events.poll().await? {
            Event::Incoming(Packet::Publish(message)) => {
                if incoming.try_send(message).is_err() {
                    tracing::warn!("MQTT: too many messages at once, one was dropped");
                }
            }
            // One more poll would connect again.
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}
