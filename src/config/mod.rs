//! The configuration: what the user wrote in a file, in the environment and on the command line becomes one
//! checked, immutable [`Config`], or a list of every mistake at once.
//!
//! Every key is declared once, in `keys.rs`; the annotated `config/doorward.toml` and `docs/config.md` are written
//! from there. Not here: values that change while the appliance runs; see [`crate::store`] and `crate::logic`.

mod check;
pub mod cli;
#[cfg(test)]
mod document;
pub mod edit;
mod faults;
mod keys;
mod layers;
mod listing;
mod oidc;
mod options;
mod outward;
mod secret;
mod sources;
mod suggest;
mod value;
mod values;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use faults::{Fault, Faults};
pub use listing::{Listed, Origin};
pub use oidc::Oidc;
pub use outward::{Ask, Form, Hook, Mail, Notify, PublicAddress, Question, Security, Trust, Way};
pub use secret::Secret;
pub use sources::{Found, FoundBroker, Sources};

use crate::logic::accounts::Settings;
use crate::logic::addresses::Addresses;
use crate::logic::picture::Rect;
use crate::logic::quiet::Policy;
use crate::logic::request::Allowed;
use crate::logic::source::Spec;
use crate::logic::wording::Wording;

/// Reads all layers and checks them: defaults, then the file, the options of the app, the environment and the flags, the
/// later ones winning.
///
/// # Errors
/// Every mistake of every layer, in the order of the layers and of the lines. When the file is not TOML at all, its
/// syntax error stands alone: what the rest of the file meant would be a guess.
pub fn load(sources: &Sources) -> Result<Config, Faults> {
    load_trial(sources, layers::Trial::default())
}

fn load_trial(sources: &Sources, trial: layers::Trial<'_>) -> Result<Config, Faults> {
    let mut faults = Faults::default();
    let Some(values) = layers::merge(sources, trial, &mut faults) else { return Err(faults) };
    let config = check::config(&values, sources, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// The checked configuration. It never changes while the appliance runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The layers that it was read from, and every key of it.
    pub origin: Arc<Origin>,
    /// State, secrets and faces live here; relative to the working directory.
    pub data_dir: PathBuf,
    /// Who this appliance is.
    pub node: Node,
    /// What is logged.
    pub log: Log,
    /// Topics, discovery, and the external broker if there is one.
    pub mqtt: Mqtt,
    /// The embedded broker; none = it does not run.
    pub broker: Option<Broker>,
    /// The HTTP side.
    pub http: Http,
    /// How long sessions hold, and what passwords need.
    pub accounts: Settings,
    /// The owner's certificate for page and broker; none = we make one.
    pub certificate: Option<Pair>,
    /// From where people may come.
    pub access: Access,
    /// The events that are kept.
    pub events: Events,
    /// Which events are for nobody's telephone.
    pub quiet: Policy,
    /// Face detection and recognition.
    pub faces: Faces,
    /// In which words people are told of events.
    pub wording: Wording,
    /// Short films of events; none = nothing is filmed.
    pub clips: Option<Clips>,
    /// The cameras, sorted by id; empty = find one (the first V4L2 camera, else the demo scene).
    pub cameras: Vec<Camera>,
    /// Whom to tell of what, sorted by name; empty = nobody.
    pub notify: Vec<Notify>,
    /// Whom to ask under which address the home is seen; none = nobody is asked.
    pub public_address: Option<PublicAddress>,
    /// With whose word people may sign in, besides their own accounts; none = with nobody's.
    pub oidc: Option<Oidc>,
}

/// A topic segment: one to 32 of `a-z`, `0-9` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// The id, or what is wrong with it in a sentence.
    ///
    /// # Errors
    /// When the text is empty, longer than 32, or has other characters than `a-z`, `0-9` and `_`.
    pub fn new(text: &str) -> Result<Self, String> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err("needs 1 to 32 characters, only a-z, 0-9 and _".to_owned())
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who this appliance is, among several in one house.
#[derive(Clone, Debug)]
pub struct Node {
    /// The second topic segment, after [`Mqtt::base_topic`].
    pub id: Id,
    /// The name that people see.
    pub name: String,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// A directive string that `tracing_subscriber::EnvFilter` accepts (checked).
    pub filter: String,
    /// The shape of a line.
    pub format: LogFormat,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// MQTT: topics and discovery, and the external broker.
#[derive(Clone, Debug)]
pub struct Mqtt {
    /// The external broker; none = the embedded one.
    pub server: Option<Server>,
    /// The MQTT keep-alive interval, 5 s to 1 h.
    pub keep_alive: Duration,
    /// The first segments of every topic, without a slash at either end.
    pub base_topic: String,
    /// Whether devices are announced to Home Assistant.
    pub discovery: bool,
    /// Home Assistant's discovery prefix, without a slash at either end.
    pub discovery_prefix: String,
    /// Which requests may be asked over MQTT.
    pub allow_requests: Allowed,
    /// The least time between two live pictures of one camera, 0.5 s to 60 s.
    pub picture_interval: Duration,
}

/// An external MQTT broker.
#[derive(Clone, Debug)]
pub struct Server {
    /// Host name or IP address.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
    /// User name, with the password when there is one.
    pub login: Option<Login>,
    /// TLS; none = plain TCP.
    pub tls: Option<Tls>,
}

/// A user of the external broker.
#[derive(Clone, Debug)]
pub struct Login {
    /// User name.
    pub username: String,
    /// From `mqtt.password` or the first line of `mqtt.password_file`.
    pub password: Option<Secret>,
}

/// TLS towards the external broker.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file with the authorities to trust; none = those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for brokers that ask for one.
    pub client: Option<Pair>,
}

/// A certificate that says who we are, and its key; PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// The embedded broker.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Clients at once, 1 to 1000.
    pub max_connections: usize,
    /// Whether somebody wants this one, rather than any.
    pub is_wanted: bool,
    /// Whether other machines may talk to it without TLS.
    pub plain: bool,
    /// Whose client certificates let in without a password; none = nobody's.
    pub client_ca: Option<Trust>,
}

/// The HTTP side.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where it listens.
    pub bind: SocketAddr,
    /// The page's address for Home Assistant; none = made from our own.
    pub url: Option<String>,
    /// Whether other machines may ask without TLS.
    pub plain: bool,
    /// Home Assistant's ingress proxy, whose requests are signed in; none = there is none.
    pub ingress_proxy: Option<IpAddr>,
    /// MJPEG viewers at once, 1 to 1000.
    pub max_viewers: usize,
    /// Connections at once, 1 to 10 000; at least [`Http::max_viewers`].
    pub max_connections: usize,
}

/// From where people may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The lists.
    pub addresses: Addresses,
    /// `--disable-ip-lists`: everybody may come, whatever `access.allow` and `access.block` say.
    pub lists_disabled: bool,
}

/// The events that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// Older ones are removed; 0 = never.
    pub keep_days: u32,
    /// The oldest beyond this number are removed.
    pub keep_count: u64,
    /// The oldest are removed when all take more bytes than this.
    pub keep_bytes: u64,
    /// Bytes that stay free on the disk; with less nothing is kept.
    pub min_free_bytes: u64,
    /// Whether each camera's day is shown as one picture over MQTT.
    pub strip_image: bool,
}

/// Face detection and recognition, shared by all cameras.
#[derive(Clone, Debug)]
pub struct Faces {
    /// One folder of photos per person.
    pub folder: PathBuf,
    /// Who finds the faces.
    pub detector: Detector,
    /// The width in pixels that the detector looks at, 320 to 1280.
    pub detect_width: u32,
    /// The width from which a face may be named, 32 to 400 pixels of the camera's picture.
    pub min_size: u32,
    /// The detector's score from which a box is taken for a face, 0.5 to 0.99.
    pub min_score: f64,
    /// The time between two looks while something moves (1 / cadence), 50 ms to 10 s.
    pub interval: Duration,
    /// Look without motion too.
    pub always: bool,
    /// A second detector has to see a face too before it is called unknown or taught.
    pub second_opinion: bool,
    /// How long a face must stay unrecognised before it is called unknown, 0 to 60 s.
    pub unknown_grace: Duration,
    /// How long the pictures of unknown faces are kept; zero keeps none.
    pub keep_unknown: Duration,
}

/// Who finds the faces in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// The YuNet network.
    Yunet,
    /// The SeetaFace funnel of the `rustface` crate.
    Rustface,
}

/// Short films of events, the same for all cameras.
#[derive(Clone, Debug, PartialEq)]
pub struct Clips {
    /// How pictures are stored.
    pub codec: ClipCodec,
    /// How much from before the event is in a film, 0 to 30 s.
    pub pre_roll: Duration,
    /// How much from after the event is in a film, 0 to 60 s.
    pub post_roll: Duration,
    /// The length of a film at most, 5 s to 10 min.
    pub max_length: Duration,
    /// Memory for the seconds before, bytes for each camera.
    pub ring_bytes: usize,
    /// Pictures a second at most, 1 to 30.
    pub fps: u32,
    /// The mean rate that the H.264 encoder aims at, 100 000 to 20 000 000 bits a second.
    pub bits_per_second: u32,
}

impl Clips {
    /// The time between two pictures.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps.max(1)
    }
}

/// How the pictures of a film are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipCodec {
    /// Coded anew as H.264.
    H264,
    /// The camera's JPEGs as they are.
    Mjpeg,
}

/// One camera.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Its topic segment.
    pub id: Id,
    /// The name that people see.
    pub name: String,
    /// Where pictures come from, as written; it parses as a [`Spec`].
    pub source: String,
    /// The wanted width and height in pixels; none = the camera's best up to 1280x720.
    pub size: Option<(u32, u32)>,
    /// The wanted frames per second, 1 to 60.
    pub fps: u32,
    /// The room to suggest to Home Assistant.
    pub area: Option<String>,
    /// How motion is found; fixed while the appliance runs.
    pub motion: Motion,
    /// Where the values start that people change at run time; the state file wins over them.
    pub start: StartValues,
}

impl Camera {
    /// The built-in demo scene.
    #[must_use]
    pub fn demo() -> Self {
        Self::automatic(Id("demo".into()), "demo")
    }

    /// A camera with every other value at its default, for the case that none is configured.
    #[must_use]
    pub fn automatic(id: Id, source: &str) -> Self {
        check::automatic_camera(id, source)
    }
}

/// How motion is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    /// The time between two looks (1 / `analysis_fps`), 33 ms to 2 s.
    pub interval: Duration,
    /// Radius of the blur in pixels of the small picture, 0 to 5.
    pub blur: u32,
    /// Radius by which changed spots grow, in pixels of the small picture, 0 to 5.
    pub dilate: u32,
    /// Motion shorter than this is not reported, 0 to 10 s.
    pub min_duration: Duration,
    /// Motion is over after this long without a change, 0.1 s to 600 s.
    pub hold: Duration,
    /// How long something new must stand still to become background, 1 s to 1 h.
    pub learning_time: Duration,
    /// Look only here; empty = everywhere.
    pub regions: Vec<Rect>,
    /// Never look here.
    pub masks: Vec<Rect>,
}

/// The values of a fresh installation for what people change at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartValues {
    /// Whether motion is looked for.
    pub motion_detection: bool,
    /// Whether faces are looked for.
    pub face_recognition: bool,
    /// Whether people are told of events.
    pub notifications: bool,
    /// Whether pictures are published over MQTT.
    pub mqtt_pictures: bool,
    /// Whether boxes are drawn into streams and stills over HTTP.
    pub overlay: bool,
    /// Whether the camera is off for privacy.
    pub privacy: bool,
    /// Change of brightness that counts, 1 to 255.
    pub motion_threshold: u8,
    /// Changed pixels of the camera's full picture that count as motion, 1 to 10 000 000.
    pub motion_min_area: u32,
    /// Likeness from which a face is a person, 0.30 to 0.90.
    pub face_threshold: f64,
}

/// Whether the text names a source of pictures; the error says what is wrong with it.
///
/// # Errors
/// A sentence without the key's name, for the list of mistakes.
pub fn check_source(source: &str) -> Result<(), String> {
    source.parse::<Spec>().map(drop).map_err(|error| error.to_string())
}
