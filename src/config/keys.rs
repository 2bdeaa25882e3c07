//! The table of every configuration key: name, kind, range, default and description, each written once.
//!
//! `config/doorward.toml`, `docs/config.md`, the checks and the suggestions for misspelt names all come from here.
//! Not here: what a value means for the program; see [`super::Config`].

use lettre::message::Mailboxes;

use super::{Id, check_source, oidc};
use crate::logic::addresses;
use crate::logic::request::Allowed;
use crate::logic::rules;
use crate::logic::wording;

/// One key. `*` in a path stands for a name that the user chooses; see [`FAMILIES`].
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    /// Full sentences for the annotated file and the manual.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the documents"))]
    pub(super) doc: &'static str,
}

/// What values a key takes, and its default.
pub(super) enum Kind {
    /// Text that passes `check`; the error says what it needs. `allowed` says the same for the manual.
    Text {
        default: &'static str,
        allowed: &'static str,
        check: fn(&str) -> Result<(), String>,
    },
    /// Text that is never shown, not even in the fault that `check` finds.
    Secret {
        allowed: &'static str,
        check: fn(&str) -> Result<(), String>,
    },
    /// One of a few words; the first is the default.
    Choice(&'static [&'static str]),
    Switch(bool),
    Integer {
        default: i64,
        min: i64,
        max: i64,
        unit: &'static str,
    },
    Number {
        default: f64,
        min: f64,
        max: f64,
        unit: &'static str,
    },
    /// A list of rectangles `[x, y, width, height]` in fractions of the picture; empty by default.
    Rects,
}

/// A kind of section of which there may be several, each with a name of its own.
pub(super) struct Family {
    /// The part of the path before the name.
    pub(super) path: &'static str,
    /// What one of them is, and whose its name is, for messages.
    pub(super) noun: &'static str,
    pub(super) owner: &'static str,
    /// A name that fits, for messages and the annotated file.
    pub(super) example: &'static str,
    /// Names that are taken, and by what.
    pub(super) taken: (&'static [&'static str], &'static str),
    /// How many there may be; none = as many as the machine can bear.
    pub(super) most: Option<usize>,
}

/// Every `*` in a path.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        path: "cameras",
        noun: "camera",
        owner: "the camera's id",
        example: "front_door",
        taken: (RESERVED_IDS, "a topic"),
        most: None,
    },
    Family {
        path: "notify",
        noun: "target",
        owner: "the target's name",
        example: "phone",
        taken: (&["test"], "a command"),
        most: Some(16),
    },
];

/// A section of the file, in the file's order.
pub(super) struct Section {
    /// Empty for the top of the file.
    pub(super) path: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the documents"))]
    pub(super) doc: &'static str,
}

/// The sections in the order of the annotated file.
pub(super) const SECTIONS: &[Section] = &[
    Section { path: "", doc: "The top of the file, before any section." },
    Section { path: "node", doc: "Who this appliance is." },
    Section { path: "log", doc: "What is written to the log." },
    Section {
        path: "mqtt",
        doc: "The MQTT broker of your home, and what is said there. Leave `host` empty to use the embedded broker.",
    },
    Section { path: "broker", doc: "The embedded MQTT broker, for homes that have none." },
    Section { path: "http", doc: "The web page, the streams and the API." },
    Section {
        path: "accounts",
        doc: "Users who sign in with a name and a password. They are made on the page, or with `doorward user add`: docs/accounts.md.",
    },
    Section {
        path: "tls",
        doc: "The certificate of page and broker. Without these keys Doorward makes one itself; see docs/tls.md.",
    },
    Section {
        path: "access",
        doc: "From where people may come, to the page and to the embedded broker. docs/addresses.md has examples for reverse proxies.",
    },
    Section { path: "events", doc: "The events that are kept, and how often people are told." },
    Section { path: "faces", doc: "Finding and recognising faces, for all cameras." },
    Section {
        path: "clips",
        doc: "Short films of events, with the seconds before and after. What they cost and need: docs/clips.md.",
    },
    Section {
        path: "wording",
        doc: "The words in which people are told of events: `title` and `message` of MQTT events, mails and other messages. \
              {name}, {camera}, {time}, {date} and {advice} are filled in; what an event does not have is left empty.",
    },
    Section {
        path: "cameras.*",
        doc: "One section per camera; the last part of its name is the camera's id (a-z, 0-9 and _), which is part of \
              every topic. Without any such section the first USB camera is used, or the demo scene when there is none.",
    },
    Section {
        path: "cameras.*.motion",
        doc: "How motion is found. Rectangles are `[x, y, width, height]` in fractions of the picture, 0 to 1 from the \
              top left corner.",
    },
    Section {
        path: "notify.*",
        doc: "Whom to tell of what, by mail or by a web hook, without Home Assistant. One section per target, at most 16; the \
              last part of its name is yours to choose (a-z, 0-9 and _). docs/notify.md has complete examples. Without \
              such a section nothing is sent anywhere.",
    },
    Section {
        path: "public_address",
        doc: "Whether to notice when the address changes under which your home is seen from outside. Off unless you name \
              whom to ask: nobody is asked by default.",
    },
    Section {
        path: "oidc",
        doc: "Signing in with an account at an OpenID Connect provider, besides the accounts of this appliance. Off unless \
              `issuer` is set; it needs `http.url`. docs/oidc.md says what to register at the provider.",
    },
];

/// Every key, in the order of the annotated file.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("data_dir", text("data", "a path", path),
        "The folder for state, secrets and faces, relative to the working directory. Under systemd, \"data\" means the \
         service's state directory."),

    key("node.id", text("", "1 to 32 characters, only a-z, 0-9 and _, or empty", empty_or_id),
        "The name of this appliance in every topic. Empty: made from the host name. Set it where the host name changes, \
         as in a container."),
    key("node.name", text("Doorward", "1 to 64 characters", name),
        "The name that Home Assistant shows."),

    key("log.level", text("info", "error, warn, info, debug, trace, or a filter such as info,doorward::mqtt=debug", filter),
        "How much is logged."),
    key("log.format", Kind::Choice(&["text", "json"]),
        "Lines for people, or one JSON object per line for log collectors."),

    key("mqtt.host", text("", "a host name or IP address, or empty", host),
        "The external broker. Empty: the embedded broker is used."),
    key("mqtt.port", integer(0, 0, 65_535, ""),
        "The broker's TCP port. 0: 1883, or 8883 with TLS."),
    key("mqtt.username", text("", "text", any),
        "The user at the external broker. Empty: log in without a name."),
    key("mqtt.password", secret("text", any),
        "The password of that user. Better keep it out of this file: use `password_file` or the environment."),
    key("mqtt.password_file", text("", "a path, or empty", path_or_empty),
        "A file whose first line is the password."),
    key("mqtt.tls", Kind::Switch(false),
        "Whether to talk TLS with the external broker."),
    key("mqtt.ca_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with the certificate authorities to trust. Empty: those of the system."),
    key("mqtt.client_cert_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with our own certificate, for brokers that ask for one. Needs `client_key_file`."),
    key("mqtt.client_key_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with the private key of that certificate."),
    key("mqtt.keep_alive", integer(30, 5, 3600, "seconds"),
        "The broker notices a lost connection after one and a half times this long."),
    key("mqtt.base_topic", text("doorward", "a topic without + # $ and without a slash at either end", topic),
        "The beginning of every topic; `node.id` follows."),
    key("mqtt.discovery", Kind::Switch(true),
        "Whether to announce the cameras to Home Assistant."),
    key("mqtt.discovery_prefix", text("homeassistant", "a topic without + # $ and without a slash at either end", topic),
        "The discovery prefix that is set in Home Assistant's MQTT integration."),
    key("mqtt.allow_requests", text("safe", "requests with commas between them, such as safe, faces/forget", requests),
        "Which requests may be asked over MQTT by anybody who has a login at the broker. `safe` are all that neither remove nor \
         restart anything: all but faces/forget, events/delete, config/set, config/reload, backup, restart, discovery/clear and audit/…. \
         `faces/*` are all that begin so, `*` are all. The doorward command and HTTP are not limited by this."),
    key("mqtt.picture_interval", number(5.0, 0.5, 60.0, "seconds"),
        "The least time between two live pictures over MQTT."),

    key("broker.enabled", Kind::Choice(&["auto", "on", "off"]),
        "Whether the embedded broker runs. auto: when `mqtt.host` is empty."),
    key("broker.bind", text("127.0.0.1:1883", "an IP address and a port, such as 127.0.0.1:1883", address),
        "Where the embedded broker listens. Use 0.0.0.0:1883 to let other machines in; they need the password."),
    key("broker.max_connections", integer(100, 1, 1000, ""),
        "How many clients may be connected at once."),
    key("broker.plain", Kind::Switch(true),
        "Whether other machines may talk to the broker without TLS, on the same port as with it. Passwords and pictures \
         then travel in the clear inside your home. This machine itself always may."),
    key("broker.client_ca_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with certificate authorities of yours. Whoever shows a client certificate of theirs is let in without a \
         password, as the user in its common name. Empty: everybody needs a password."),

    key("http.bind", text("0.0.0.0:8420", "an IP address and a port, such as 0.0.0.0:8420", address),
        "Where the web page is served. Use 127.0.0.1:8420 to keep it on this machine."),
    key("http.url", text("", "an address with http://, https:// or homeassistant://, or empty", page_url),
        "The page's address that Home Assistant links to, where people cannot reach this machine's own: in a container, \
         behind a proxy. Empty: made from the address of this machine."),
    key("http.plain", Kind::Switch(false),
        "Whether other machines may ask without TLS too. Off: a browser that comes with http:// is led to https:// on the \
         same port, everything else is refused. This machine itself and Home Assistant's side bar always may."),
    key("http.ingress_proxy", text("", "an IP address, or empty", ip_or_empty),
        "Whoever comes from this address needs no token, because who sits there has asked for the login already: Home \
         Assistant, for the page in its side bar. The app sets it. Empty: everybody needs the token."),
    key("http.max_viewers", integer(32, 1, 1000, ""),
        "How many live streams may be watched at once."),
    key("http.max_connections", integer(256, 1, 10_000, ""),
        "How many connections may be open at once, the viewers among them."),

    key("accounts.session_days", integer(30, 1, 365, "days"),
        "After how many days somebody who has signed in has to do so again."),
    key("accounts.min_password", integer(10, 8, 64, "characters"),
        "How long a new password has to be at least. Length is all that makes a password good; which signs are in it is up to you."),

    key("tls.cert_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with your own certificate, followed by those between it and its authority. Needs `key_file`. Both are \
         read anew when they change. Empty: Doorward makes a certificate itself and renews it."),
    key("tls.key_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with the private key of that certificate, without a password."),

    key("access.allow", text("private", addresses::ALLOWED, address_list),
        "Only who comes from here is answered; everybody else gets a refusal and nothing more. `private` are the addresses of \
         homes: this machine, 10.*, 172.16.0.0/12, 192.168.*, 169.254.*, fc00::/7 and fe80::/10. Every proxy on the way has to pass \
         too. This machine itself is never shut out. Begin with --disable-ip-lists if you have shut yourself out."),
    key("access.block", text("", addresses::ALLOWED, address_list),
        "Who comes from here is refused, even if `allow` has the address."),
    key("access.trusted_proxies", text("", addresses::ALLOWED, address_list),
        "The addresses of your reverse proxies. Only what they say about a client (X-Forwarded-For, X-Forwarded-Proto, \
         X-Forwarded-Host) is believed. Name the proxies alone, never the network in which clients are."),
    key("access.trusted_networks", text("", addresses::ALLOWED, address_list),
        "Who comes from here, on every step of the way, needs no login. Everybody in that network can then look through your \
         cameras, guests and every gadget among them. Empty: nobody."),
    key("access.trusted_role", Kind::Choice(&["viewer", "admin"]),
        "What may be done from there without a login: look at everything, or everything."),

    key("events.keep_days", integer(30, 0, 3650, "days"),
        "Events older than this are removed, except those that you have pinned. 0 keeps them for ever."),
    key("events.keep_count", integer(10_000, 1, 10_000_000, "events"),
        "The oldest events beyond this number are removed, except those that you have pinned."),
    key("events.keep_mb", integer(2000, 10, 10_000_000, "MiB"),
        "The oldest events are removed when all of them take more than this on the disk, pictures and clips included."),
    key("events.min_free_mb", integer(500, 0, 1_000_000, "MiB"),
        "When the disk has less free than this, nothing more is kept on it until there is room again."),
    key("events.motion_cooldown", number(300.0, 0.0, 86_400.0, "seconds"),
        "After motion was told, further motion events at the same camera have `notify` false for so long. States stay true."),
    key("events.unknown_cooldown", number(60.0, 0.0, 86_400.0, "seconds"),
        "After an unknown or unsure face was told, the next ones at the same camera have `notify` false for so long."),
    key("events.camera_cooldown", number(300.0, 0.0, 86_400.0, "seconds"),
        "After a camera's loss or return was told, the same of it has `notify` false for so long."),
    key("events.security_cooldown", number(300.0, 0.0, 86_400.0, "seconds"),
        "After an attack was told, further ones have `notify` false for so long."),
    key("events.strip_image", Kind::Switch(false),
        "Whether the pictures of each camera's day are shown as one image in Home Assistant, renewed a minute after an event."),

    key("faces.folder", text("", "a path, or empty", path_or_empty),
        "The folder with one folder of photos per person, such as `faces/Alice/1.jpg`. Empty: `faces` in the data folder."),
    key("faces.detector", Kind::Choice(&["yunet", "rustface"]),
        "Who finds the faces: a small neural network, or the older detector of the rustface library."),
    key("faces.detect_width", integer(640, 320, 1280, "pixels"),
        "The width of the picture that the detector looks at. More finds smaller faces and takes longer."),
    key("faces.cadence", number(4.0, 0.1, 20.0, "looks per second"),
        "How often faces are looked for while something moves."),
    key("faces.always", Kind::Switch(false),
        "Whether to look for faces without motion too."),
    key("faces.min_size", integer(40, 32, 400, "pixels"),
        "The width from which a face in the camera's picture may be named. Smaller ones show too little."),
    key("faces.min_score", number(0.7, 0.5, 0.99, "score of the detector"),
        "How sure the detector has to be that something is a face."),
    key("faces.second_opinion", Kind::Switch(false),
        "Whether a second, independent detector has to see a face too before it is called unknown or taught. It sorts out \
         two of three drawn faces (posters, prints on shirts), takes as long as a look again, and may miss turned faces."),
    key("faces.unknown_grace", number(7.0, 0.0, 60.0, "seconds"),
        "How long a face is given to be recognised before it is called unknown."),
    key("faces.known_quiet", number(3600.0, 0.0, 86_400.0, "seconds"),
        "After somebody's name was told, their further events have `notify` false for so long, at every camera."),
    key("faces.suppress_unknown_after_known", number(60.0, 0.0, 86_400.0, "seconds"),
        "After somebody known came, events of unknown faces at the same camera have `notify` false for so long."),
    key("faces.suppress_motion_after_known", number(3600.0, 0.0, 86_400.0, "seconds"),
        "After somebody known came, motion events at the same camera have `notify` false for so long."),
    key("faces.keep_unknown_days", integer(14, 0, 365, "days"),
        "How long the pictures of unknown faces are kept on this machine, so that you can say who it was. 0 keeps none."),

    key("clips.format", Kind::Choice(&["off", "h264", "mjpeg"]),
        "Whether events are filmed, and how. h264: small, plays in browsers, costs processor time while it films. mjpeg: the \
         camera's own pictures, nearly free but many times larger, and plays in VLC but not in browsers."),
    key("clips.pre_roll", number(5.0, 0.0, 30.0, "seconds"),
        "How much from before the event is in the film. These seconds wait in memory."),
    key("clips.post_roll", number(5.0, 0.0, 60.0, "seconds"),
        "How much from after the event is in the film. What happens in this time extends the film."),
    key("clips.max_length", number(60.0, 5.0, 600.0, "seconds"),
        "The length of a film at most, with the seconds before and after."),
    key("clips.ring_mb", integer(24, 1, 512, "megabytes"),
        "The memory for the seconds before, of each camera. Where it does not suffice, these seconds are fewer."),
    key("clips.fps", integer(10, 1, 30, "frames per second"),
        "The rate of a film at most; the camera's own rate is the other limit."),
    key("clips.bitrate_kbps", integer(1500, 100, 20_000, "kilobits per second"),
        "How large a film may be, for h264 only. 1500 are 11 megabytes a minute."),

    key("wording.known_title", text(wording::KNOWN.title, WORDS, wording::check),
        "The title of an event of somebody known."),
    key("wording.known_message", text(wording::KNOWN.message, WORDS, wording::check),
        "And what there is to say besides."),
    key("wording.unknown_title", text(wording::UNKNOWN.title, WORDS, wording::check),
        "Of somebody whom nobody has enrolled."),
    key("wording.unknown_message", text(wording::UNKNOWN.message, WORDS, wording::check),
        "And what there is to say besides."),
    key("wording.unsure_title", text(wording::UNSURE.title, WORDS, wording::check),
        "Of a face that may be one of two people, or almost somebody."),
    key("wording.unsure_message", text(wording::UNSURE.message, WORDS, wording::check),
        "And what there is to say besides."),
    key("wording.motion_title", text(wording::MOTION.title, WORDS, wording::check),
        "Of motion that begins."),
    key("wording.motion_message", text(wording::MOTION.message, WORDS, wording::check),
        "And what there is to say besides."),
    key("wording.lost_title", text(wording::LOST.title, WORDS, wording::check),
        "Of a camera that sends no pictures any more."),
    key("wording.lost_message", text(wording::LOST.message, WORDS, wording::check),
        "And what there is to say besides."),
    key("wording.recovered_title", text(wording::RECOVERED.title, WORDS, wording::check),
        "Of a camera that is back."),
    key("wording.recovered_message", text(wording::RECOVERED.message, WORDS, wording::check),
        "And what there is to say besides."),

    key("cameras.*.name", text("", "up to 64 characters", name_or_empty),
        "The name that Home Assistant shows. Empty: made from the id."),
    key("cameras.*.source", text("v4l2", "v4l2, v4l2:/dev/v4l/by-id/…, file:…, libcamera or demo", check_source),
        "Where pictures come from. v4l2 alone is the first USB camera."),
    key("cameras.*.width", integer(0, 0, 7680, "pixels"),
        "The wanted width. 0, with height 0: the camera's best up to 1280x720."),
    key("cameras.*.height", integer(0, 0, 4320, "pixels"),
        "The wanted height."),
    key("cameras.*.fps", integer(15, 1, 60, "frames per second"),
        "The wanted frame rate."),
    key("cameras.*.area", text("", "up to 64 characters", name_or_empty),
        "The room that Home Assistant suggests for this camera."),
    key("cameras.*.motion_detection", Kind::Switch(true),
        "Whether motion is looked for. This and the eight keys below are first values: what you change later in Home \
         Assistant is remembered and wins."),
    key("cameras.*.face_recognition", Kind::Switch(true),
        "Whether faces are looked for."),
    key("cameras.*.notifications", Kind::Switch(true),
        "Whether people are told of this camera's events; off, they go on with `notify` false."),
    key("cameras.*.mqtt_pictures", Kind::Switch(true),
        "Whether pictures are sent over MQTT."),
    key("cameras.*.overlay", Kind::Switch(false),
        "Whether boxes are drawn into the streams and stills over HTTP: around what moves and around faces, with names. \
         `?overlay=1` or `?overlay=0` in an address decides for that one viewer."),
    key("cameras.*.privacy", Kind::Switch(false),
        "Whether the camera starts switched off, with no picture anywhere."),
    key("cameras.*.motion_threshold", integer(25, 1, 255, ""),
        "How much a spot must change in brightness to count. Less is more sensitive."),
    key("cameras.*.motion_min_area", integer(3000, 1, 10_000_000, "pixels"),
        "How much of the camera's picture must change to count as motion."),
    key("cameras.*.face_threshold", number(0.45, 0.30, 0.90, ""),
        "How alike a face must be to be a person. More is stricter."),

    key("cameras.*.motion.analysis_fps", number(5.0, 0.5, 30.0, "looks per second"),
        "How often motion is looked for."),
    key("cameras.*.motion.blur", integer(0, 0, 5, "pixels of the small picture"),
        "Smooths the picture first, for noisy cameras."),
    key("cameras.*.motion.dilate", integer(1, 0, 5, "pixels of the small picture"),
        "Grows changed spots so that neighbours join."),
    key("cameras.*.motion.min_duration", number(0.2, 0.0, 10.0, "seconds"),
        "Motion that is shorter is not reported."),
    key("cameras.*.motion.hold", number(5.0, 0.1, 600.0, "seconds"),
        "Motion is over after this long without a change."),
    key("cameras.*.motion.learning_time", number(60.0, 1.0, 3600.0, "seconds"),
        "Something new that stands still this long becomes background."),
    key("cameras.*.motion.regions", Kind::Rects,
        "Look only in these rectangles. Empty: everywhere."),
    key("cameras.*.motion.masks", Kind::Rects,
        "Never look in these rectangles: a street, a tree, a television."),

    key("notify.*.type", Kind::Choice(&["mail", "webhook", "ntfy", "onesignal"]),
        "How this target is told. A key that belongs to another type is a mistake."),
    key("notify.*.events", text("known, unknown", "words with commas between them: motion, known, unknown, unsure, corrected, camera, security, system, address_changed, all", kinds),
        "Which events it is told of."),
    key("notify.*.cameras", text("", "ids of cameras with commas between them, or empty", ids),
        "Only events of these cameras, and those that belong to no camera. Empty: of all."),
    key("notify.*.people", text("", "slugs of people with commas between them, such as anna, or empty", slugs),
        "Of the events that name somebody, only those of these people. Empty: of everybody."),
    key("notify.*.hours", text("", "spans such as 22:00-06:00, 12:00-13:00, or empty", hours),
        "Only at these hours, in the time of the place. Empty: always."),
    key("notify.*.days", text("", "mon, tue, wed, thu, fri, sat, sun, spans of them such as mon-fri, or empty", days),
        "Only on these days. A span of hours over midnight belongs to the day on which it begins. Empty: on all."),
    key("notify.*.only_when_away", Kind::Switch(false),
        "Whether to tell only while nobody of the household is there, as far as the cameras know: nobody was recognised \
         for `away_after`. Somebody who sits in the garden unseen counts as away."),
    key("notify.*.away_after", integer(1800, 0, 86_400, "seconds"),
        "How long nobody may have been recognised for that."),
    key("notify.*.quiet_too", Kind::Switch(false),
        "Whether to tell of events too whose `notify` is false, such as the same person twice in an hour."),
    key("notify.*.picture", Kind::Switch(true),
        "Whether the event's picture goes along. Never with onesignal."),
    key("notify.*.give_up_after", integer(24, 1, 168, "hours"),
        "How long a message is tried again when the target cannot be reached."),
    key("notify.*.server", text("", "a host name or IP address; mail only", mail_host),
        "The mail server."),
    key("notify.*.port", integer(0, 0, 65_535, ""),
        "Its TCP port; mail only. 0: 587 with starttls, 465 with tls, 25 with none."),
    key("notify.*.security", Kind::Choice(&["starttls", "tls", "none"]),
        "How the mail server is talked to: TLS after a greeting, TLS from the first byte, or in the clear. With starttls \
         nothing is sent to a server that does not offer it."),
    key("notify.*.username", text("", "text, or empty; mail only", any),
        "The user at the mail server. Empty: no login."),
    key("notify.*.password", secret("text; mail only", any),
        "The password of that user. Better keep it out of this file: use `password_file` or the environment."),
    key("notify.*.password_file", text("", "a path, or empty; mail only", path_or_empty),
        "A file whose first line is the password."),
    key("notify.*.from", text("", "a mail address such as Doorward <doorward@example.org>; mail only", one_mailbox),
        "Who writes the mail."),
    key("notify.*.to", text("", "mail addresses with commas between them; mail only", mailboxes),
        "Who gets the mail."),
    key("notify.*.url", secret("an address with https:// or http://; webhook, ntfy and onesignal", empty_or_url),
        "Where the message is sent; for ntfy the server without the topic. Never shown, since many such addresses are \
         secret. onesignal, empty: https://api.onesignal.com/notifications."),
    key("notify.*.token", secret("text; webhook, ntfy and onesignal", header),
        "Sent as `Authorization: Bearer`, to onesignal as `Authorization: Key`."),
    key("notify.*.token_file", text("", "a path, or empty; webhook, ntfy and onesignal", path_or_empty),
        "A file whose first line is the token."),
    key("notify.*.secret", secret("text; webhook only", any),
        "Signs each message with HMAC-SHA256, so that the receiver knows it is ours. Empty: not signed."),
    key("notify.*.secret_file", text("", "a path, or empty; webhook only", path_or_empty),
        "A file whose first line is the secret."),
    key("notify.*.topic", secret("1 to 64 characters, only letters, digits, _ and -; ntfy only", ntfy_topic),
        "The topic at the ntfy server. Never shown: whoever knows its name can read it, unless your server asks for a login."),
    key("notify.*.app_id", text("", "the id of your app; onesignal only", header),
        "Which app's users are told."),
    key("notify.*.segments", text("Total Subscriptions", "names with commas between them; onesignal only", any),
        "Which of the app's segments are told."),
    key("notify.*.ca_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with the certificate authorities to trust, for a server with a certificate of your own making. \
         Empty: those of the system."),

    key("public_address.ask", secret("empty, an address with https:// or http://, or dns:NAME@SERVER", ask),
        "Whom to ask. An address has to answer with nothing but an IP address, or with JSON that has it as \"ip\". \
         dns:NAME@SERVER asks that server for NAME, such as dns:home.example.org@192.0.2.53 or, with a port, \
         dns:home.example.org@[2001:db8::53]:5353. Empty: nobody is asked."),
    key("public_address.interval", integer(900, 60, 86_400, "seconds"),
        "How often."),
    key("public_address.ca_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with the certificate authorities to trust for an https:// address. Empty: those of the system."),

    key("oidc.issuer", text("", "an address with https://, or with http:// on this machine itself, or empty", oidc::check_issuer),
        "The provider, exactly as it names itself. Empty: nobody signs in this way."),
    key("oidc.client_id", text("", "the id that the provider gave you, or empty", header),
        "Who this appliance is at the provider. Register `<http.url>/api/v1/oidc/callback` there as the redirect address."),
    key("oidc.client_secret", secret("text", header),
        "The secret that belongs to the id. Better keep it out of this file: use `client_secret_file` or the environment. \
         Empty: a public client, which PKCE alone protects."),
    key("oidc.client_secret_file", text("", "a path, or empty", path_or_empty),
        "A file whose first line is the secret."),
    key("oidc.allowed_emails", text("", "mail addresses with commas between them, or empty", oidc::check_emails),
        "Who may come in as an admin: the whole addresses, which the provider must have verified."),
    key("oidc.viewer_emails", text("", "mail addresses with commas between them, or empty", oidc::check_emails),
        "Who may come in as a viewer."),
    key("oidc.name", text("another account", "1 to 64 characters", name),
        "What the button on the sign-in page says after \"Sign in with\"."),
    key("oidc.ca_file", text("", "a path, or empty", path_or_empty),
        "A PEM file with the certificate authorities to trust for the provider, if its certificate is of your own making. \
         Empty: those of the system."),
];

/// What the words of events may be.
const WORDS: &str = "up to 300 characters in one line, with {name}, {camera}, {time}, {date}, {advice}";

/// First topic segments under the node that are taken, so that no camera can have them as its id.
pub(super) const RESERVED_IDS: &[&str] = &[
    "status",
    "info",
    "health",
    "log",
    "event",
    "image",
    "self_test",
    "public_address",
    "url",
    "events_kept",
    "archive_mb",
    "update",
    "request",
    "response",
    "restart",
];

const fn key(path: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { path, kind, doc }
}

const fn text(default: &'static str, allowed: &'static str, check: fn(&str) -> Result<(), String>) -> Kind {
    Kind::Text { default, allowed, check }
}

const fn secret(allowed: &'static str, check: fn(&str) -> Result<(), String>) -> Kind {
    Kind::Secret { allowed, check }
}

const fn integer(default: i64, min: i64, max: i64, unit: &'static str) -> Kind {
    Kind::Integer { default, min, max, unit }
}

const fn number(default: f64, min: f64, max: f64, unit: &'static str) -> Kind {
    Kind::Number { default, min, max, unit }
}

impl Key {
    /// The last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path of the section that the key belongs to.
    pub(super) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }
}

/// The family of a path such as `cameras.porch.fps`, and the name in it.
pub(super) fn family(path: &str) -> Option<(&'static Family, &str)> {
    let (first, rest) = path.split_once('.')?;
    let family = FAMILIES.iter().find(|family| family.path == first)?;
    Some((family, rest.split('.').next().unwrap_or(rest)))
}

/// The path with the name that the user chose replaced by `*`.
pub(super) fn pattern(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('.').collect();
    if family(path).is_some() {
        parts[1] = "*";
    }
    parts.join(".")
}

/// The key at a path, names that the user chose included.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let wanted = pattern(path);
    KEYS.iter().find(|key| key.path == wanted)
}

/// Whether a path is a section, or what lies above the sections of a family.
pub(super) fn is_section(path: &str) -> bool {
    FAMILIES.iter().any(|family| family.path == path)
        || SECTIONS.iter().any(|section| section.path == pattern(path))
}

fn needs<T>(what: &str) -> Result<T, String> {
    Err(format!("needs {what}"))
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all checks")]
fn any(_: &str) -> Result<(), String> {
    Ok(())
}

fn path(text: &str) -> Result<(), String> {
    if text.is_empty() { needs("a path") } else { path_or_empty(text) }
}

fn path_or_empty(text: &str) -> Result<(), String> {
    if text.contains('\0') { needs("a path without zero bytes") } else { Ok(()) }
}

fn empty_or_id(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { Id::new(text).map(drop) }
}

fn name(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { needs("1 to 64 characters") } else { name_or_empty(text) }
}

fn name_or_empty(text: &str) -> Result<(), String> {
    if text.chars().count() > 64 {
        needs("at most 64 characters")
    } else if text.chars().any(char::is_control) {
        needs("text without line breaks and control characters")
    } else {
        Ok(())
    }
}

fn host(text: &str) -> Result<(), String> {
    if text.contains("://") {
        return needs("only the host name; the port goes to mqtt.port, and TLS is switched on with mqtt.tls");
    }
    host_alone(text, "only the host name; the port goes to mqtt.port")
}

fn mail_host(text: &str) -> Result<(), String> {
    host_alone(text, "only the host name; the port has a key of its own, and so has TLS (security)")
}

fn host_alone(text: &str, otherwise: &str) -> Result<(), String> {
    let is_ipv6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    if text.contains(':') && !is_ipv6 {
        return needs(otherwise);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if text.len() > 253 || !text.chars().all(allowed) {
        needs("a host name or an IP address")
    } else {
        Ok(())
    }
}

fn address(text: &str) -> Result<(), String> {
    match text.parse::<std::net::SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => needs("an IP address and a port, such as 127.0.0.1:1883 or 0.0.0.0:8420"),
    }
}

fn ip_or_empty(text: &str) -> Result<(), String> {
    if text.is_empty() || text.parse::<std::net::IpAddr>().is_ok() {
        Ok(())
    } else {
        needs("one IP address, such as 172.30.32.2")
    }
}

fn address_list(text: &str) -> Result<(), String> {
    addresses::List::parse(text).map(drop)
}

fn page_url(text: &str) -> Result<(), String> {
    let schemes = ["http", "https", "homeassistant"];
    let url = reqwest::Url::parse(text).ok();
    match url.filter(|url| schemes.contains(&url.scheme()) && url.has_host()) {
        None if !text.is_empty() => {
            needs("a whole address that begins with http://, https:// or homeassistant://")
        }
        _ => Ok(()),
    }
}

fn topic(text: &str) -> Result<(), String> {
    let fits = !text.is_empty()
        && text.len() <= 128
        && text.split('/').all(|level| !level.is_empty())
        && !text.contains(['+', '#', '$'])
        && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { needs("a topic without + # $ and without a slash at either end") }
}

/// A single word without `=` would be taken for a module's name, so that a misspelt level would silence the log.
fn filter(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let levels = "error, warn, info, debug, trace or a filter such as info,doorward::mqtt=debug";
    let is_bare = !text.contains(['=', ',', '[', ':']);
    if text.is_empty() || (is_bare && !LEVELS.contains(&text.to_ascii_lowercase().as_str())) {
        return needs(levels);
    }
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(()),
        Err(_) => needs(levels),
    }
}

fn kinds(text: &str) -> Result<(), String> {
    rules::kinds(text).map(drop)
}

fn requests(text: &str) -> Result<(), String> {
    Allowed::parse(text).map(drop)
}

fn hours(text: &str) -> Result<(), String> {
    rules::hours(text).map(drop)
}

fn days(text: &str) -> Result<(), String> {
    rules::days(text).map(drop)
}

fn ids(text: &str) -> Result<(), String> {
    rules::list(text).try_for_each(|id| Id::new(id).map(drop))
}

fn slugs(text: &str) -> Result<(), String> {
    let is_slug = |word: &str| {
        word.len() <= 64 && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if rules::list(text).all(is_slug) {
        Ok(())
    } else {
        needs("the slugs of people, only a-z, 0-9 and _, as in the topics: Jürgen Groß is juergen_gross")
    }
}

fn mailboxes(text: &str) -> Result<(), String> {
    if text.is_empty() || mailbox_count(text) > 0 {
        Ok(())
    } else {
        needs("mail addresses such as anna@example.org, with commas between them")
    }
}

fn one_mailbox(text: &str) -> Result<(), String> {
    if text.is_empty() || mailbox_count(text) == 1 {
        Ok(())
    } else {
        needs("one mail address, such as Doorward <doorward@example.org>")
    }
}

fn mailbox_count(text: &str) -> usize {
    text.parse::<Mailboxes>().map_or(0, |found| found.iter().count())
}

fn ntfy_topic(text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if text.len() <= 64 && text.chars().all(fits) {
        Ok(())
    } else {
        needs("1 to 64 characters, only letters, digits, _ and -")
    }
}

/// What may stand in a header, and is no mistake of copying.
fn header(text: &str) -> Result<(), String> {
    if text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(())
    } else {
        needs("plain characters, without spaces and line breaks")
    }
}

fn empty_or_url(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { url(text) }
}

fn url(text: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(text).ok();
    match url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Some(_) => Ok(()),
        None => needs("a whole address that begins with https:// or http://"),
    }
}

fn ask(text: &str) -> Result<(), String> {
    match text.strip_prefix("dns:") {
        Some(question) => super::Question::parse(question).map(drop),
        None => empty_or_url(text),
    }
}
