//! THE TABLE: every entity once. Discovery, topics, parsing, REST, the page's controls and `docs/entities.md` are loops over it.
//!
//! A new entity is one row here, one [`Command`] variant if it can be set, and one arm in [`super::appliance`].
//! Not here: topics ([`super::topics`]) and the document for Home Assistant ([`super::discovery`]).

use super::command::Command;
use super::events::timestamp;
use super::problem::{Problem, quoted};
use super::state::{CameraState, State, Status};

/// One entity of a scope whose state is `S`.
pub struct Entity<S: 'static> {
    /// Topic below the scope, REST key, and with `/` as `_` the component id in Home Assistant.
    pub key: &'static str,
    /// Name without the device's name; `None` for the device's main entity.
    pub name: Option<&'static str>,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// A Material Design icon, where the device class brings none.
    pub icon: Option<&'static str>,
    /// Where Home Assistant lists it.
    pub category: Category,
    /// Kind, reading and writing.
    pub kind: Kind<S>,
}

/// Home Assistant's entity categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Controls and sensors of everyday use.
    Primary,
    /// Settings.
    Config,
    /// How the appliance itself is doing.
    Diagnostic,
}

/// What an entity is, with how it is read from the state and how text becomes a command.
pub enum Kind<S: 'static> {
    /// The live picture.
    Camera,
    /// The picture of the last event of one sort.
    Image,
    /// Things that happen.
    Event {
        /// Every `event_type` that may occur.
        types: &'static [&'static str],
        /// Home Assistant's device class, if one fits.
        class: Option<&'static str>,
    },
    /// On or off, told by us.
    BinarySensor {
        /// Home Assistant's device class.
        class: &'static str,
        /// The present value.
        read: fn(&S) -> bool,
    },
    /// A value told by us.
    Sensor {
        /// What sort of value.
        measure: Measure,
        /// The present value; `None` while there is none.
        read: fn(&S) -> Option<String>,
    },
    /// On or off, set by people.
    Switch {
        /// The present value.
        read: fn(&S) -> bool,
        /// The command that sets it.
        write: fn(bool) -> Command,
    },
    /// A number set by people.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// Step of the control; values between steps are accepted.
        step: f64,
        /// Unit, may be empty.
        unit: &'static str,
        /// The present value.
        read: fn(&S) -> f64,
        /// The command that sets it.
        write: fn(f64) -> Command,
    },
    /// Something to press.
    Button {
        /// The command.
        press: Command,
    },
}

/// The sorts of sensor values.
pub enum Measure {
    /// One word of a fixed list.
    Words(&'static [&'static str]),
    /// Free text that names nobody.
    Text,
    /// Free text that names people: never retained, and it expires.
    People,
    /// A point in time, RFC 3339.
    Time,
    /// A number.
    Number {
        /// Unit, may be empty.
        unit: &'static str,
        /// Home Assistant's device class, if one fits.
        class: Option<&'static str>,
        /// Decimals shown.
        decimals: u8,
    },
}

/// What a press has to say.
pub const PRESS: &str = "PRESS";
const TRUE: &str = "ON";
const FALSE: &str = "OFF";

/// The wire's word for a truth.
#[must_use]
pub fn on_off(value: bool) -> &'static str {
    if value { TRUE } else { FALSE }
}

impl<S> Entity<S> {
    /// The component id in Home Assistant: the key without slashes.
    #[must_use]
    pub fn component(&self) -> String {
        self.key.replace('/', "_")
    }

    /// The text of the state topic; `None` for kinds without one, and for sensors that have no value yet.
    #[must_use]
    pub fn state(&self, scope: &S) -> Option<String> {
        match &self.kind {
            Kind::Camera | Kind::Image | Kind::Event { .. } | Kind::Button { .. } => None,
            Kind::BinarySensor { read, .. } | Kind::Switch { read, .. } => Some(on_off(read(scope)).into()),
            Kind::Sensor { read, .. } => read(scope),
            Kind::Number { read, .. } => Some(number(read(scope))),
        }
    }

    /// Reads what somebody sent into the command.
    ///
    /// # Errors
    /// When the entity cannot be set, or the text is not a value of its range.
    pub fn command(&self, text: &str) -> Result<Command, Problem> {
        let text = text.trim();
        match &self.kind {
            Kind::Camera
            | Kind::Image
            | Kind::Event { .. }
            | Kind::BinarySensor { .. }
            | Kind::Sensor { .. } => Err(Problem::ReadOnly { key: self.key.into() }),
            Kind::Switch { write, .. } => match text {
                TRUE => Ok(write(true)),
                FALSE => Ok(write(false)),
                other => Err(Problem::NotAChoice { value: quoted(other), allowed: "ON or OFF".into() }),
            },
            Kind::Number { min, max, write, .. } => {
                let value: f64 = text.parse().map_err(|_| Problem::NotANumber { value: quoted(text) })?;
                if value.is_nan() {
                    return Err(Problem::NotANumber { value: quoted(text) });
                }
                if !(*min..=*max).contains(&value) {
                    return Err(Problem::OutOfRange { value: quoted(text), min: *min, max: *max });
                }
                Ok(write(value))
            }
            Kind::Button { press } => match text {
                PRESS => Ok(*press),
                other => Err(Problem::NotAChoice { value: quoted(other), allowed: PRESS.into() }),
            },
        }
    }

    /// Whether Home Assistant shows it without being asked: what few look for is enabled by those who do.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        const RARE: [&str; 4] = ["archive_mb", "latency_ms", "measured_fps", "viewers"];
        !RARE.contains(&self.key)
    }

    /// Whether people can set it to a value (buttons are pressed, not set).
    #[must_use]
    pub fn is_setting(&self) -> bool {
        match self.kind {
            Kind::Switch { .. } | Kind::Number { .. } => true,
            Kind::Camera
            | Kind::Image
            | Kind::Event { .. }
            | Kind::BinarySensor { .. }
            | Kind::Sensor { .. }
            | Kind::Button { .. } => false,
        }
    }

    /// Whether its state names a person: then it is never retained, sent again and again, and expires.
    #[must_use]
    pub fn names_people(&self) -> bool {
        matches!(&self.kind, Kind::Sensor { measure: Measure::People, .. })
            || matches!(&self.kind, Kind::BinarySensor { class, .. } if *class == "occupancy")
    }
}

/// A number without needless decimals: `15`, `0.45`.
fn number(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

/// Key of the picture of a camera's day.
pub const STRIP: &str = "image/strip";

/// The entities of the appliance itself, beside its health.
pub const NODE: &[Entity<State>] = &[
    Entity {
        key: "restart",
        name: Some("Restart"),
        doc: "Begins again with the configuration as it is now; a configuration with mistakes is refused.",
        icon: None,
        category: Category::Config,
        kind: Kind::Button { press: Command::Restart },
    },
    Entity {
        key: "event/security",
        name: Some("Security event"),
        doc: "Somebody tries to get in.",
        icon: Some("mdi:shield-alert"),
        category: Category::Primary,
        kind: Kind::Event { types: &["too_many_attempts", "account_locked", "probe"], class: None },
    },
    Entity {
        key: "event/system",
        name: Some("System event"),
        doc: "The appliance has started, its disk is full or free again, its archive was damaged, a message could not be told.",
        icon: Some("mdi:cog-outline"),
        category: Category::Diagnostic,
        kind: Kind::Event {
            types: &["started", "disk_full", "disk_free", "archive_damaged", "notify_failed"],
            class: None,
        },
    },
    Entity {
        key: "event/address_changed",
        name: Some("Address changed"),
        doc: "The house is seen from outside under another address; only with public_address.ask.",
        icon: Some("mdi:ip-network"),
        category: Category::Diagnostic,
        kind: Kind::Event { types: &["changed"], class: None },
    },
    Entity {
        key: "public_address",
        name: Some("Public address"),
        doc: "The address of the house as seen from outside; only with public_address.ask.",
        icon: Some("mdi:ip-network"),
        category: Category::Diagnostic,
        kind: Kind::Sensor { measure: Measure::Text, read: |state| state.public_address.clone() },
    },
    Entity {
        key: "url",
        name: Some("URL"),
        doc: "Where the page is, as other machines of the house see it.",
        icon: Some("mdi:web"),
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Text,
            read: |state| Some(state.url.clone()).filter(|url| !url.is_empty()),
        },
    },
    Entity {
        key: "events_kept",
        name: Some("Events kept"),
        doc: "How many events the archive holds.",
        icon: Some("mdi:archive"),
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Number { unit: "", class: None, decimals: 0 },
            read: |state| state.archive.events.map(|events| events.to_string()),
        },
    },
    Entity {
        key: "archive_mb",
        name: Some("Archive size"),
        doc: "What the events take on the disk, with pictures and clips.",
        icon: None,
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Number { unit: "MiB", class: Some("data_size"), decimals: 0 },
            read: |state| state.archive.events.map(|_| (state.archive.bytes >> 20).to_string()),
        },
    },
];

/// The entities of a camera.
pub const CAMERA: &[Entity<CameraState>] = &[
    Entity {
        key: "image/live",
        name: None,
        doc: "The live picture, a still every few seconds.",
        icon: None,
        category: Category::Primary,
        kind: Kind::Camera,
    },
    Entity {
        key: "motion",
        name: Some("Motion"),
        doc: "Something moves in the picture.",
        icon: None,
        category: Category::Primary,
        kind: Kind::BinarySensor { class: "motion", read: |camera| camera.motion },
    },
    Entity {
        key: "event/motion",
        name: Some("Motion event"),
        doc: "Motion began or ended, or was held back for a reason.",
        icon: Some("mdi:motion-sensor"),
        category: Category::Primary,
        kind: Kind::Event { types: &["start", "end", "suppressed"], class: Some("motion") },
    },
    Entity {
        key: "event/face",
        name: Some("Face event"),
        doc: "A face was named, is unknown, or cannot be told for sure.",
        icon: Some("mdi:face-recognition"),
        category: Category::Primary,
        kind: Kind::Event { types: &["known", "unknown", "unsure", "corrected", "left"], class: None },
    },
    Entity {
        key: "event/camera",
        name: Some("Camera event"),
        doc: "The camera was lost or is back, or its privacy was switched.",
        icon: Some("mdi:cctv"),
        category: Category::Diagnostic,
        kind: Kind::Event { types: &["lost", "recovered", "privacy_on", "privacy_off"], class: None },
    },
    Entity {
        key: "image/motion",
        name: Some("Last motion"),
        doc: "The picture of the last motion.",
        icon: None,
        category: Category::Primary,
        kind: Kind::Image,
    },
    Entity {
        key: "image/face",
        name: Some("Last face"),
        doc: "The picture of the last face event.",
        icon: None,
        category: Category::Primary,
        kind: Kind::Image,
    },
    Entity {
        key: STRIP,
        name: Some("Today"),
        doc: "The pictures of today's events in one; only with events.strip_image.",
        icon: Some("mdi:view-grid"),
        category: Category::Primary,
        kind: Kind::Image,
    },
    Entity {
        key: "person/unknown",
        name: Some("Unknown person"),
        doc: "Somebody is in view whom nobody has enrolled.",
        icon: Some("mdi:account-question"),
        category: Category::Primary,
        kind: Kind::BinarySensor { class: "occupancy", read: |camera| camera.unknown_present },
    },
    Entity {
        key: "faces/present",
        name: Some("Faces present"),
        doc: "Who is in view; for people to read, not proof of identity: automations trigger on the face event.",
        icon: Some("mdi:account-eye"),
        category: Category::Primary,
        kind: Kind::Sensor { measure: Measure::People, read: |camera| Some(present(camera)) },
    },
    Entity {
        key: "motion_detection",
        name: Some("Motion detection"),
        doc: "Watches for motion.",
        icon: Some("mdi:motion-sensor"),
        category: Category::Primary,
        kind: Kind::Switch {
            read: |camera| camera.settings.motion_detection,
            write: Command::MotionDetection,
        },
    },
    Entity {
        key: "face_recognition",
        name: Some("Face recognition"),
        doc: "Looks for faces while something moves.",
        icon: Some("mdi:face-recognition"),
        category: Category::Primary,
        kind: Kind::Switch {
            read: |camera| camera.settings.face_recognition,
            write: Command::FaceRecognition,
        },
    },
    Entity {
        key: "privacy",
        name: Some("Privacy"),
        doc: "Closes the camera; no picture leaves it and none is kept.",
        icon: Some("mdi:eye-off"),
        category: Category::Primary,
        kind: Kind::Switch { read: |camera| camera.settings.privacy, write: Command::Privacy },
    },
    Entity {
        key: "notifications",
        name: Some("Notifications"),
        doc: "Lets events of this camera be told to people; off, they go on with `notify` false.",
        icon: Some("mdi:bell"),
        category: Category::Config,
        kind: Kind::Switch { read: |camera| camera.settings.notifications, write: Command::Notifications },
    },
    Entity {
        key: "mqtt_pictures",
        name: Some("MQTT pictures"),
        doc: "Sends pictures over MQTT.",
        icon: Some("mdi:image-move"),
        category: Category::Config,
        kind: Kind::Switch { read: |camera| camera.settings.mqtt_pictures, write: Command::MqttPictures },
    },
    Entity {
        key: "overlay",
        name: Some("Overlay"),
        doc: "Draws boxes into the streams and stills over HTTP: blue where it moves, green with the name around known faces, amber around others.",
        icon: Some("mdi:face-recognition"),
        category: Category::Config,
        kind: Kind::Switch { read: |camera| camera.settings.overlay, write: Command::Overlay },
    },
    Entity {
        key: "motion_threshold",
        name: Some("Motion threshold"),
        doc: "Gray levels by which a pixel must differ from the background to count as moved; less is more sensitive.",
        icon: Some("mdi:tune"),
        category: Category::Config,
        kind: Kind::Number {
            min: 1.0,
            max: 255.0,
            step: 1.0,
            unit: "",
            read: |camera| camera.settings.motion_threshold,
            write: Command::MotionThreshold,
        },
    },
    Entity {
        key: "motion_min_area",
        name: Some("Motion minimum area"),
        doc: "Square pixels of the camera's picture that must move together.",
        icon: Some("mdi:crop"),
        category: Category::Config,
        kind: Kind::Number {
            min: 1.0,
            max: 10_000_000.0,
            step: 1.0,
            unit: "px²",
            read: |camera| camera.settings.motion_min_area,
            write: Command::MotionMinArea,
        },
    },
    Entity {
        key: "face_threshold",
        name: Some("Face threshold"),
        doc: "Likeness from which a face may be named; more is stricter.",
        icon: Some("mdi:account-check"),
        category: Category::Config,
        kind: Kind::Number {
            min: 0.3,
            max: 0.9,
            step: 0.01,
            unit: "",
            read: |camera| camera.settings.face_threshold,
            write: Command::FaceThreshold,
        },
    },
    Entity {
        key: "fps",
        name: Some("Frame rate"),
        doc: "Frames per second taken from the camera.",
        icon: Some("mdi:filmstrip"),
        category: Category::Config,
        kind: Kind::Number {
            min: 1.0,
            max: 60.0,
            step: 1.0,
            unit: "fps",
            read: |camera| camera.settings.fps,
            write: Command::Fps,
        },
    },
    Entity {
        key: "snapshot",
        name: Some("Snapshot"),
        doc: "Takes the present picture; it goes to the live picture, to image/event/<id> and to the page.",
        icon: Some("mdi:camera"),
        category: Category::Primary,
        kind: Kind::Button { press: Command::Snapshot },
    },
    Entity {
        key: "background_reset",
        name: Some("Reset background"),
        doc: "Takes the present picture as the still background of motion detection.",
        icon: Some("mdi:image-refresh"),
        category: Category::Config,
        kind: Kind::Button { press: Command::BackgroundReset },
    },
    Entity {
        key: "state",
        name: Some("State"),
        doc: "Whether there is a picture, and if not, why.",
        icon: Some("mdi:information-outline"),
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Words(Status::WORDS),
            read: |camera| Some(camera.status.word().into()),
        },
    },
    Entity {
        key: "measured_fps",
        name: Some("Measured frame rate"),
        doc: "Frames per second that the camera delivers.",
        icon: Some("mdi:speedometer"),
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Number { unit: "fps", class: None, decimals: 1 },
            read: |camera| Some(number((camera.measured_fps * 10.0).round() / 10.0)),
        },
    },
    Entity {
        key: "latency_ms",
        name: Some("Event latency"),
        doc: "Milliseconds from the camera's picture to the newest event.",
        icon: None,
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Number { unit: "ms", class: Some("duration"), decimals: 0 },
            read: |camera| camera.latency_ms.map(|ms| ms.to_string()),
        },
    },
    Entity {
        key: "viewers",
        name: Some("Viewers"),
        doc: "People who watch the stream now.",
        icon: Some("mdi:eye"),
        category: Category::Diagnostic,
        kind: Kind::Sensor {
            measure: Measure::Number { unit: "", class: None, decimals: 0 },
            read: |camera| Some(camera.viewers.to_string()),
        },
    },
    Entity {
        key: "last_face_at",
        name: Some("Last face at"),
        doc: "When a face was last in view.",
        icon: None,
        category: Category::Diagnostic,
        kind: Kind::Sensor { measure: Measure::Time, read: |camera| camera.last_face_at.map(timestamp) },
    },
];

/// Every `event_type` that an event entity may tell.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    let of_cameras = CAMERA.iter().filter_map(|entity| types_of(&entity.kind));
    let of_node = NODE.iter().filter_map(|entity| types_of(&entity.kind));
    of_cameras.chain(of_node).flatten().copied()
}

fn types_of<S>(kind: &Kind<S>) -> Option<&'static [&'static str]> {
    match kind {
        Kind::Event { types, .. } => Some(types),
        Kind::Camera
        | Kind::Image
        | Kind::BinarySensor { .. }
        | Kind::Sensor { .. }
        | Kind::Switch { .. }
        | Kind::Number { .. }
        | Kind::Button { .. } => None,
    }
}

/// Finds a camera's entity by its key.
///
/// # Errors
/// When no row has the key.
pub fn camera_entity(key: &str) -> Result<&'static Entity<CameraState>, Problem> {
    CAMERA
        .iter()
        .find(|entity| entity.key == key)
        .ok_or_else(|| Problem::NotFound { what: format!("entity {}", quoted(key)) })
}

/// The text of `faces/present`.
fn present(camera: &CameraState) -> String {
    let mut names: Vec<&str> = camera.present.values().map(String::as_str).collect();
    if camera.unknown_present {
        names.push("somebody unknown");
    }
    if names.is_empty() {
        return "nobody".into();
    }
    // Home Assistant takes 255 characters at most.
    let mut text = names.join(", ");
    // Home Assistant takes these words for "no value"; somebody may be called so.
    if ["unknown", "unavailable", "none"].contains(&text.to_lowercase().as_str()) {
        text = format!("{text} (a person)");
    }
    while text.chars().count() > 255 {
        names.pop();
        text = format!("{}, …", names.join(", "));
    }
    text
}

#[cfg(test)]
mod tests;
