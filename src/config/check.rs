//! Merged values become the typed [`Config`]; what fits alone but not together is a fault.
//!
//! Not here: the range of a single value; see [`super::keys`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::faults::Faults;
use super::listing::{self, Origin};
use super::oidc;
use super::outward;
use super::sources::Sources;
use super::values::Values;
use super::{
    Access, Broker, Camera, ClipCodec, Clips, Config, Detector, Events, Faces, Http, Id, Log, LogFormat,
    Login, Motion, Mqtt, Node, Pair, Secret, Server, StartValues, Tls, Trust,
};
use crate::logic::access::Role;
use crate::logic::accounts::Settings;
use crate::logic::addresses::{Addresses, List};
use crate::logic::quiet::Policy;
use crate::logic::request::Allowed;
use crate::logic::source::Spec;
use crate::logic::wording::{KINDS, Wording};

/// The configuration of these values; it is only good when no fault was added.
pub(super) fn config(values: &Values, sources: &Sources, faults: &mut Faults) -> Config {
    let data_dir = data_dir(values, sources);
    let server = server(values, faults);
    let broker = broker(values, server.is_some(), faults);
    let http = http(values, faults);
    listeners_differ(values, broker.as_ref(), &http, faults);
    Config {
        origin: Arc::new(Origin { sources: sources.clone(), listed: listing::list(values) }),
        node: node(values, sources),
        log: log(values),
        mqtt: mqtt(values, server, faults),
        broker,
        http,
        accounts: accounts(values),
        certificate: pair(values, ["tls.cert_file", "tls.key_file"], faults),
        access: access(values, sources),
        events: events(values),
        quiet: quiet(values),
        faces: faces(values, &data_dir),
        wording: wording(values),
        clips: clips(values, faults),
        cameras: cameras(values, faults),
        notify: outward::targets(values, faults),
        public_address: outward::public_address(values, faults),
        oidc: oidc::oidc(values, faults),
        data_dir,
    }
}

fn accounts(values: &Values) -> Settings {
    Settings {
        session_days: values.integer("accounts.session_days"),
        min_password: values.integer("accounts.min_password"),
    }
}

fn events(values: &Values) -> Events {
    const MIB: u64 = 1 << 20;
    Events {
        keep_days: values.integer("events.keep_days"),
        keep_count: values.integer("events.keep_count"),
        keep_bytes: MIB * values.integer::<u64>("events.keep_mb"),
        min_free_bytes: MIB * values.integer::<u64>("events.min_free_mb"),
        strip_image: values.switch("events.strip_image"),
    }
}

fn wording(values: &Values) -> Wording {
    Wording(KINDS.map(|kind| {
        let text = |part: &str| values.text(&format!("wording.{}_{part}", kind.key));
        (text("title"), text("message"))
    }))
}

fn quiet(values: &Values) -> Policy {
    Policy {
        known_quiet: values.seconds("faces.known_quiet"),
        suppress_unknown_after_known: values.seconds("faces.suppress_unknown_after_known"),
        suppress_motion_after_known: values.seconds("faces.suppress_motion_after_known"),
        motion_cooldown: values.seconds("events.motion_cooldown"),
        unknown_cooldown: values.seconds("events.unknown_cooldown"),
        camera_cooldown: values.seconds("events.camera_cooldown"),
        security_cooldown: values.seconds("events.security_cooldown"),
    }
}

fn data_dir(values: &Values, sources: &Sources) -> PathBuf {
    // systemd names several folders with colons between them; the first is ours.
    let of_systemd = || {
        let (_, folders) = sources.env.iter().find(|(name, _)| name == "STATE_DIRECTORY")?;
        let first = folders.to_str()?.split(':').next()?;
        (!first.is_empty()).then(|| PathBuf::from(first))
    };
    // The default written out, as in a copy of the annotated file, is still the default.
    let chosen = PathBuf::from(values.text("data_dir"));
    if chosen == Path::new("data") { of_systemd().unwrap_or(chosen) } else { chosen }
}

fn node(values: &Values, sources: &Sources) -> Node {
    let id = values.filled("node.id").unwrap_or_else(|| slug(&sources.host_name));
    Node { id: Id(id), name: values.text("node.name") }
}

/// A topic segment made from any text.
fn slug(text: &str) -> String {
    let first = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String =
        first.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(32).collect();
    match plain.trim_matches('_') {
        "" => "doorward".to_owned(),
        slug => slug.to_owned(),
    }
}

fn log(values: &Values) -> Log {
    let format = if values.text("log.format") == "json" { LogFormat::Json } else { LogFormat::Text };
    Log { filter: values.text("log.level"), format }
}

fn mqtt(values: &Values, server: Option<Server>, faults: &mut Faults) -> Mqtt {
    let mqtt = Mqtt {
        server,
        keep_alive: Duration::from_secs(values.integer("mqtt.keep_alive")),
        base_topic: values.text("mqtt.base_topic"),
        discovery: values.switch("mqtt.discovery"),
        discovery_prefix: values.text("mqtt.discovery_prefix"),
        picture_interval: values.seconds("mqtt.picture_interval"),
        allow_requests: Allowed::parse(&values.text("mqtt.allow_requests"))
            .expect("the list was checked when it was read"),
    };
    // Home Assistant reads everything below its prefix as discovery.
    if Path::new(&mqtt.base_topic).starts_with(&mqtt.discovery_prefix) {
        let message =
            format!("must not be below mqtt.discovery_prefix, which is {:?}", mqtt.discovery_prefix);
        faults.push(
            "mqtt.base_topic",
            Some(format!("{:?}", mqtt.base_topic)),
            message,
            values.place("mqtt.base_topic"),
        );
    }
    mqtt
}

/// Keys that mean nothing without `mqtt.host`. Ignoring them in silence would leave their writer wondering.
const OF_SERVER: [&str; 8] = [
    "mqtt.port",
    "mqtt.username",
    "mqtt.password",
    "mqtt.password_file",
    "mqtt.tls",
    "mqtt.ca_file",
    "mqtt.client_cert_file",
    "mqtt.client_key_file",
];

fn server(values: &Values, faults: &mut Faults) -> Option<Server> {
    let login = login(values, faults);
    let tls = tls(values, faults);
    let Some(host) = values.filled("mqtt.host") else {
        let is_default = |key: &str| match key {
            "mqtt.port" => values.integer::<u16>(key) == 0,
            "mqtt.tls" => !values.switch(key),
            _ => !values.is_set(key),
        };
        for key in OF_SERVER.into_iter().filter(|key| !is_default(key)) {
            let message = "only for an external broker, but mqtt.host is empty; set mqtt.host, or remove this key \
                           (the embedded broker makes its own users)";
            faults.add(key, message, values.place(key));
        }
        return None;
    };
    let port = match values.integer("mqtt.port") {
        0 if tls.is_some() => 8883,
        0 => 1883,
        port => port,
    };
    Some(Server { host, port, login, tls })
}

fn login(values: &Values, faults: &mut Faults) -> Option<Login> {
    let password = secret(values, "mqtt.password", faults);
    login_of(values, "mqtt", password, faults)
}

/// A user name and what belongs to it; a password without a user is a fault.
pub(super) fn login_of(
    values: &Values,
    section: &str,
    password: Option<Secret>,
    faults: &mut Faults,
) -> Option<Login> {
    let needed = format!("{section}.username");
    let username = values.filled(&needed);
    for key in ["password", "password_file"].map(|name| format!("{section}.{name}")) {
        if username.is_none() && values.is_set(&key) {
            faults.add(&key, format!("needs {needed} too"), values.place(&key));
        }
    }
    username.map(|username| Login { username, password })
}

/// A secret from its key, or from the first line of the file that the key with `_file` names.
pub(super) fn secret(values: &Values, key: &str, faults: &mut Faults) -> Option<Secret> {
    let of_file = format!("{key}_file");
    let place = values.place(&of_file);
    match (values.filled(key), values.filled(&of_file)) {
        (Some(_), Some(_)) => {
            let other = values.place(key);
            faults.add(&of_file, format!("remove it, or {key} ({other}): only one can be"), place);
            None
        }
        (Some(secret), None) => Some(Secret::new(secret)),
        (None, Some(path)) => match first_line(Path::new(&path)) {
            Ok(secret) => Some(secret),
            Err(why) => {
                faults.push(&of_file, Some(format!("{path:?}")), why, place);
                None
            }
        },
        (None, None) => None,
    }
}

fn first_line(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err("the file's first line is empty".to_owned()),
    }
}

/// A file that a key names, which has to be readable.
pub(super) fn readable(values: &Values, key: &str, faults: &mut Faults) -> Option<PathBuf> {
    let path = PathBuf::from(values.filled(key)?);
    if let Err(error) = std::fs::File::open(&path) {
        let message = format!("cannot be read: {error}");
        faults.push(key, Some(format!("{path:?}")), message, values.place(key));
    }
    Some(path)
}

fn tls(values: &Values, faults: &mut Faults) -> Option<Tls> {
    let ca_file = readable(values, "mqtt.ca_file", faults);
    let client = pair(values, ["mqtt.client_cert_file", "mqtt.client_key_file"], faults);
    if !values.switch("mqtt.tls") {
        for key in ["mqtt.ca_file", "mqtt.client_cert_file", "mqtt.client_key_file"] {
            if values.is_set(key) {
                faults.add(key, "needs mqtt.tls = true", values.place(key));
            }
        }
        return None;
    }
    Some(Tls { ca_file, client })
}

/// A certificate and its key, both or none.
fn pair(values: &Values, keys: [&str; 2], faults: &mut Faults) -> Option<Pair> {
    let [cert_file, key_file] = keys.map(|key| readable(values, key, faults));
    let [cert_key, key_key] = keys;
    let mut needs = |key: &str, other: &str| {
        faults.add(key, format!("needs {other} too"), values.place(key));
        None
    };
    match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(Pair { cert_file, key_file }),
        (Some(_), None) => needs(cert_key, key_key),
        (None, Some(_)) => needs(key_key, cert_key),
        (None, None) => None,
    }
}

fn broker(values: &Values, has_server: bool, faults: &mut Faults) -> Option<Broker> {
    let is_wanted = values.text("broker.enabled") == "on";
    let runs = match values.text("broker.enabled").as_str() {
        "on" => true,
        "off" => false,
        _ => !has_server,
    };
    if !runs && !has_server {
        let message = "no broker is left to talk to; set mqtt.host, or broker.enabled to \"auto\"";
        faults.add("broker.enabled", message, values.place("broker.enabled"));
    }
    let key = "broker.client_ca_file";
    let client_ca = readable(values, key, faults);
    runs.then(|| Broker {
        bind: address(values, "broker.bind"),
        max_connections: values.integer("broker.max_connections"),
        is_wanted,
        plain: values.switch("broker.plain"),
        client_ca: client_ca.map(|file| Trust { key: key.into(), ca_file: Some(file) }),
    })
}

fn http(values: &Values, faults: &mut Faults) -> Http {
    let http = Http {
        bind: address(values, "http.bind"),
        url: values.filled("http.url"),
        plain: values.switch("http.plain"),
        ingress_proxy: values
            .filled("http.ingress_proxy")
            .map(|text| text.parse().expect("the address was checked when it was read")),
        max_viewers: values.integer("http.max_viewers"),
        max_connections: values.integer("http.max_connections"),
    };
    if http.max_viewers > http.max_connections {
        let message = format!("more than http.max_connections, which is {}", http.max_connections);
        faults.push(
            "http.max_viewers",
            Some(http.max_viewers.to_string()),
            message,
            values.place("http.max_viewers"),
        );
    }
    http
}

fn access(values: &Values, sources: &Sources) -> Access {
    let list = |name: &str| {
        List::parse(&values.text(&format!("access.{name}"))).expect("the list was checked when it was read")
    };
    let mut addresses = Addresses {
        allow: list("allow"),
        block: list("block"),
        trusted_proxies: list("trusted_proxies"),
        trusted_networks: list("trusted_networks"),
        trusted_role: if values.text("access.trusted_role") == "admin" { Role::Admin } else { Role::Viewer },
    };
    let lists_disabled = sources.flags.disable_ip_lists;
    if lists_disabled {
        (addresses.allow, addresses.block) = (List::everybody(), List::default());
    }
    Access { addresses, lists_disabled }
}

fn address(values: &Values, path: &str) -> SocketAddr {
    values.text(path).parse().expect("the address was checked when it was read")
}

fn listeners_differ(values: &Values, broker: Option<&Broker>, http: &Http, faults: &mut Faults) {
    let Some(broker) = broker else { return };
    let (one, other) = (broker.bind, http.bind);
    let overlap = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    if one.port() == other.port() && one.port() != 0 && overlap {
        let message = format!("the same port as http.bind = \"{other}\"; choose another");
        faults.push("broker.bind", Some(format!("\"{one}\"")), message, values.place("broker.bind"));
    }
}

fn faces(values: &Values, data_dir: &Path) -> Faces {
    let detector =
        if values.text("faces.detector") == "rustface" { Detector::Rustface } else { Detector::Yunet };
    Faces {
        folder: values.filled("faces.folder").map_or_else(|| data_dir.join("faces"), PathBuf::from),
        detector,
        detect_width: values.integer("faces.detect_width"),
        min_size: values.integer("faces.min_size"),
        min_score: values.number("faces.min_score"),
        interval: values.interval("faces.cadence"),
        always: values.switch("faces.always"),
        second_opinion: values.switch("faces.second_opinion"),
        unknown_grace: values.seconds("faces.unknown_grace"),
        keep_unknown: Duration::from_hours(24 * values.integer::<u64>("faces.keep_unknown_days")),
    }
}

fn clips(values: &Values, faults: &mut Faults) -> Option<Clips> {
    let codec = match values.text("clips.format").as_str() {
        "h264" => ClipCodec::H264,
        "mjpeg" => ClipCodec::Mjpeg,
        _ => return None,
    };
    if codec == ClipCodec::H264 && !cfg!(feature = "h264") {
        let message = "this program was built without H.264; use \"mjpeg\", or build with the feature h264";
        let value = Some("\"h264\"".to_owned());
        faults.push("clips.format", value, message.to_owned(), values.place("clips.format"));
    }
    Some(Clips {
        codec,
        pre_roll: values.seconds("clips.pre_roll"),
        post_roll: values.seconds("clips.post_roll"),
        max_length: values.seconds("clips.max_length"),
        ring_bytes: values.integer::<usize>("clips.ring_mb") * 1_000_000,
        fps: values.integer("clips.fps"),
        bits_per_second: values.integer::<u32>("clips.bitrate_kbps") * 1000,
    })
}

fn cameras(values: &Values, faults: &mut Faults) -> Vec<Camera> {
    let cameras: Vec<Camera> = values.names("cameras").iter().map(|id| camera(values, id)).collect();
    for (at, camera) in cameras.iter().enumerate() {
        let key = |name: &str| format!("cameras.{}.{name}", camera.id);
        if let Some((width, height)) = camera.size.filter(|(width, height)| *width == 0 || *height == 0) {
            let (missing, given) = if width == 0 { ("width", "height") } else { ("height", "width") };
            let message = format!("needs {} too", key(missing));
            faults.push(&key(given), Some(width.max(height).to_string()), message, values.place(&key(given)));
        }
        let twin = cameras[..at].iter().find(|other| same_device(&other.source, &camera.source));
        if let Some(twin) = twin {
            let message = format!("the same device as cameras.{}; each device can be one camera", twin.id);
            faults.push(
                &key("source"),
                Some(format!("{:?}", camera.source)),
                message,
                values.place(&key("source")),
            );
        }
    }
    cameras
}

/// A clip or the demo may be shown twice; a device can be opened only once. Links to one device are not followed here.
fn same_device(one: &str, other: &str) -> bool {
    match (one.parse(), other.parse()) {
        (Ok(Spec::V4l2 { device: one, .. }), Ok(Spec::V4l2 { device: other, .. })) => one == other,
        (Ok(Spec::Libcamera(one)), Ok(Spec::Libcamera(other))) => one == other,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

fn camera(values: &Values, id: &str) -> Camera {
    let key = |name: &str| format!("cameras.{id}.{name}");
    let size = (values.integer(&key("width")), values.integer(&key("height")));
    Camera {
        id: Id(id.to_owned()),
        name: values.filled(&key("name")).unwrap_or_else(|| title(id)),
        source: values.text(&key("source")),
        size: Some(size).filter(|size| *size != (0, 0)),
        fps: values.integer(&key("fps")),
        area: values.filled(&key("area")),
        motion: Motion {
            interval: values.interval(&key("motion.analysis_fps")),
            blur: values.integer(&key("motion.blur")),
            dilate: values.integer(&key("motion.dilate")),
            min_duration: values.seconds(&key("motion.min_duration")),
            hold: values.seconds(&key("motion.hold")),
            learning_time: values.seconds(&key("motion.learning_time")),
            regions: values.rects(&key("motion.regions")),
            masks: values.rects(&key("motion.masks")),
        },
        start: StartValues {
            motion_detection: values.switch(&key("motion_detection")),
            face_recognition: values.switch(&key("face_recognition")),
            notifications: values.switch(&key("notifications")),
            mqtt_pictures: values.switch(&key("mqtt_pictures")),
            overlay: values.switch(&key("overlay")),
            privacy: values.switch(&key("privacy")),
            motion_threshold: values.integer(&key("motion_threshold")),
            motion_min_area: values.integer(&key("motion_min_area")),
            face_threshold: values.number(&key("face_threshold")),
        },
    }
}

/// A camera with every value at its default.
pub(super) fn automatic_camera(id: Id, source: &str) -> Camera {
    let nothing = Values::new(config::Value::new(None, config::ValueKind::Nil));
    Camera { source: source.to_owned(), ..camera(&nothing, id.as_str()) }
}

/// `front_door` becomes `Front door`: Home Assistant writes names like sentences.
fn title(id: &str) -> String {
    let words = id.replace('_', " ");
    let mut letters = words.trim().chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => id.to_owned(),
    }
}
