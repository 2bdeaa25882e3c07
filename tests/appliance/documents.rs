//! What Home Assistant is told, word for word, and the manual of the entities: both compared with files that people review.
//!
//! `DOORWARD_BLESS=1 cargo test --test appliance documents` writes the files anew. The rules of Home Assistant are those of its
//! schema (`homeassistant/components/mqtt`, 2024.12 to 2026.11): a key too many at the root loses the whole device.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use doorward::logic::discovery::Installation;
use doorward::logic::entities::{CAMERA, Category, Entity, Kind, Measure, NODE};
use doorward::logic::state::{CameraState, Person, State};
use doorward::logic::topics::Topics;
use serde_json::{Map, Value};

fn documents() -> Vec<(String, Value)> {
    let person = |name: &str, uuid: &str| Person { name: name.into(), uuid: uuid.into() };
    let people = BTreeMap::from([
        ("alice".into(), person("Alice", "a11ce000000000000000000000000000")),
        ("jorg".into(), person("Jörg", "70e60000000000000000000000000000")),
    ]);
    let porch = CameraState { name: "Porch".into(), area: "Front garden".into(), ..CameraState::default() };
    let state = State { cameras: BTreeMap::from([("porch".into(), porch)]), people, ..State::default() };
    let installation = Installation {
        node_uuid: "0de00000000000000000000000000000".into(),
        node_name: "House".into(),
        camera_uuids: BTreeMap::from([("porch".into(), "ca3e7a00000000000000000000000000".into())]),
        version: "1.2.3".into(),
        hardware: "Raspberry Pi 4 Model B Rev 1.4".into(),
        has_temperature: true,
        url: "http://192.0.2.7:8420/".into(),
    };
    let documents = installation.documents(&state, &Topics::new("doorward", "n1", "homeassistant"));
    documents.into_iter().map(|document| (document.object, document.body)).collect()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The file says this, or is made to.
fn is_in_file(name: &str, wanted: &str) {
    let path = path(name);
    if std::env::var_os("DOORWARD_BLESS").is_some() {
        std::fs::write(&path, wanted).expect("the file can be written");
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = file.lines().zip(wanted.lines()).find(|(file, wanted)| file != wanted);
    assert!(
        file == wanted,
        "{name} is not what the program makes, first at {differs:?}; if the change is wanted, write it with \
         DOORWARD_BLESS=1 cargo test --test appliance documents"
    );
}

#[test]
fn documents_are_the_golden_ones() {
    for ((object, body), name) in documents().into_iter().zip(["node", "camera"]) {
        assert!(object.starts_with("doorward_0de0"));
        let pretty = serde_json::to_string_pretty(&body).expect("it is JSON");
        is_in_file(&format!("tests/golden/{name}.json"), &(pretty + "\n"));
    }
}

/// Keys that every Home Assistant since 2024.12 takes.
const ROOT: [&str; 6] = ["dev", "o", "availability", "availability_mode", "qos", "cmps"];
const DEVICE: [&str; 10] = ["ids", "name", "mf", "mdl", "sw", "hw", "sn", "via_device", "sa", "cu"];
const ORIGIN: [&str; 3] = ["name", "sw", "url"];

fn keys<'a>(value: &'a Value, what: &str) -> Vec<&'a str> {
    value.as_object().unwrap_or_else(|| panic!("{what} is no object")).keys().map(String::as_str).collect()
}

#[test]
fn home_assistant_takes_every_document() {
    let mut ids = BTreeSet::new();
    for (object, body) in documents() {
        assert!(object.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{object}");
        for (found, allowed) in [
            (keys(&body, "root"), &ROOT[..]),
            (keys(&body["dev"], "dev"), &DEVICE),
            (keys(&body["o"], "o"), &ORIGIN),
        ] {
            assert!(found.iter().all(|key| allowed.contains(key)), "{found:?}");
        }
        assert!(body["o"]["name"].is_string() && body["dev"]["ids"][0] == object.as_str());
        let device = body["dev"]["name"].as_str().expect("a name");
        assert!(body["availability"].as_array().is_some_and(|list| !list.is_empty()));
        for (id, component) in body["cmps"].as_object().expect("components") {
            let component = component.as_object().unwrap_or_else(|| panic!("{id} is no object"));
            let unique = component["unique_id"].as_str().unwrap_or_else(|| panic!("{id} has no unique id"));
            assert!(ids.insert(unique.to_owned()) && unique.starts_with(&object), "{unique}");
            is_good(id, component, device);
        }
        // Home Assistant keeps no limit, but brokers do.
        assert!(body.to_string().len() < 64 * 1024);
    }
}

/// Platform, the keys that it needs, and those that it may have besides.
const PLATFORMS: [(&str, &[&str], &[&str]); 8] = [
    ("camera", &["topic"], &[]),
    ("image", &["image_topic", "content_type"], &[]),
    ("event", &["state_topic", "event_types"], &["device_class"]),
    ("binary_sensor", &["state_topic", "device_class"], &["expire_after", "json_attributes_topic"]),
    (
        "sensor",
        &["state_topic"],
        &[
            "device_class",
            "options",
            "expire_after",
            "json_attributes_topic",
            "value_template",
            "unit_of_measurement",
            "state_class",
            "suggested_display_precision",
        ],
    ),
    ("switch", &["state_topic", "command_topic"], &[]),
    ("number", &["state_topic", "command_topic", "min", "max", "step", "mode"], &["unit_of_measurement"]),
    ("button", &["command_topic"], &["device_class"]),
];
/// `en` is short for `enabled_by_default`. Versions that do not know `default_entity_id` pass over it.
const COMMON: [&str; 7] = ["p", "unique_id", "name", "icon", "entity_category", "en", "default_entity_id"];
/// Device class of a sensor, and the units that it takes.
const UNITS: [(&str, &[&str]); 3] = [
    ("temperature", &["°C"]),
    ("duration", &["d", "h", "min", "s", "ms"]),
    ("data_size", &["B", "kB", "MB", "GB", "KiB", "MiB", "GiB"]),
];

fn is_good(id: &str, component: &Map<String, Value>, device: &str) {
    let text = |key: &str| component.get(key).and_then(Value::as_str);
    let platform = text("p").unwrap_or_else(|| panic!("{id} has no platform"));
    let (_, needed, allowed) = PLATFORMS
        .iter()
        .find(|(name, ..)| *name == platform)
        .unwrap_or_else(|| panic!("{id}: {platform} is a platform that not every Home Assistant knows"));
    for key in *needed {
        assert!(component.contains_key(*key), "{id} lacks {key}");
    }
    for key in component.keys().map(String::as_str) {
        assert!(COMMON.contains(&key) || needed.contains(&key) || allowed.contains(&key), "{id}: {key}");
    }
    // Only the device's main entity has none.
    assert!(
        text("name").is_some() || (component["name"].is_null() && platform == "camera"),
        "{id} has no name"
    );
    let name = text("name").unwrap_or_default();
    assert!(
        !name.starts_with(device) && name.chars().count() <= 64,
        "{id}: {name} repeats the device's name"
    );
    let category = text("entity_category");
    assert!(category.is_none_or(|category| ["config", "diagnostic"].contains(&category)), "{id}");
    if ["sensor", "binary_sensor", "event", "image"].contains(&platform) {
        assert_ne!(category, Some("config"), "{id}: Home Assistant refuses a {platform} that is a setting");
    }
    for topic in ["topic", "image_topic", "state_topic", "command_topic", "json_attributes_topic"] {
        let Some(topic) = text(topic) else { continue };
        assert!(topic.starts_with("doorward/n1/") && !topic.contains(['+', '#', ' ']), "{id}: {topic}");
    }
    if platform == "sensor" {
        is_good_sensor(id, component);
    }
}

fn is_good_sensor(id: &str, component: &Map<String, Value>) {
    let text = |key: &str| component.get(key).and_then(Value::as_str);
    let (class, unit) = (text("device_class"), text("unit_of_measurement"));
    match class {
        Some("enum") => {
            let options = component["options"].as_array().map_or(0, Vec::len);
            assert!(options > 1 && unit.is_none() && !component.contains_key("state_class"), "{id}");
        }
        Some("timestamp") => assert!(unit.is_none() && !component.contains_key("state_class"), "{id}"),
        Some(class) => {
            let units =
                UNITS.iter().find(|(name, _)| *name == class).unwrap_or_else(|| panic!("{id}: {class}")).1;
            assert!(unit.is_some_and(|unit| units.contains(&unit)), "{id}: {class} in {unit:?}");
        }
        None => assert!(unit.is_none() || component.contains_key("state_class"), "{id}"),
    }
}

#[test]
fn the_manual_of_the_entities_is_the_table() {
    is_in_file("docs/entities.md", &manual());
}

fn manual() -> String {
    let mut text = String::from(
        "# Entities\n\n\
         <!-- Written by the test `the_manual_of_the_entities_is_the_table`; change src/logic/entities.rs instead. -->\n\n\
         Every camera is a device in Home Assistant with these entities. Topics are below `doorward/<node>/<camera>/`. What can be\n\
         set is set on the topic with `/set` after it, buttons are pressed by `PRESS` on the topic with `/press` after it. The REST\n\
         interface uses the same keys: `GET` and `PUT /api/cameras/<camera>/entities/<key>`.\n",
    );
    for (title, category) in [
        ("Everyday use", Category::Primary),
        ("Settings", Category::Config),
        ("How the camera does", Category::Diagnostic),
    ] {
        let _ = write!(
            text,
            "\n## {title}\n\n| Topic | Name | In Home Assistant | Values | What it is |\n|---|---|---|---|---|\n"
        );
        CAMERA.iter().filter(|entity| entity.category == category).for_each(|entity| row(&mut text, entity));
    }
    let mut node = String::from(
        "\n## The appliance\n\n\
         The appliance is a device of its own. Start, memory, processor, temperature and what was written to the disk are diagnostic sensors, read\n\
         from `doorward/<node>/health`. Its other entities are below `doorward/<node>/`; those that few need are switched off in Home\n\
         Assistant until you enable them.\n\n\
         | Topic | Name | In Home Assistant | Values | What it is |\n|---|---|---|---|---|\n",
    );
    NODE.iter().for_each(|entity| row(&mut node, entity));
    text + "\n## People\n\n\
        Each enrolled person has a `binary_sensor` of the class occupancy on `person/<slug>`, `ON` while they are in view. Topics that\n\
        name people (`person/…`, `faces/present`, `event/…`, `image/…`) are never retained; presence is sent again every 30 seconds and\n\
        expires after 90.\n"
        + &node
}

fn row<S>(text: &mut String, entity: &Entity<S>) {
    let (kind, values) = words(entity);
    let name = entity.name.unwrap_or("(the device)");
    let _ = writeln!(text, "| `{}` | {name} | {kind} | {values} | {} |", entity.key, entity.doc);
}

fn words<S>(entity: &Entity<S>) -> (&'static str, String) {
    let list = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match &entity.kind {
        Kind::Camera => ("camera", "JPEG".into()),
        Kind::Image => ("image", "JPEG".into()),
        Kind::Event { types, .. } => ("event", list(types)),
        Kind::BinarySensor { .. } => ("binary_sensor", list(&["ON", "OFF"])),
        Kind::Switch { .. } => ("switch", list(&["ON", "OFF"])),
        Kind::Button { .. } => ("button", list(&["PRESS"])),
        Kind::Number { min, max, unit, .. } => ("number", format!("{min} to {max} {unit}").trim_end().into()),
        Kind::Sensor { measure, .. } => (
            "sensor",
            match measure {
                Measure::Words(words) => list(words),
                Measure::Text => "text".into(),
                Measure::People => "names, or `nobody`".into(),
                Measure::Time => "a time, RFC 3339".into(),
                Measure::Number { unit: "", .. } => "a number".into(),
                Measure::Number { unit, .. } => (*unit).into(),
            },
        ),
    }
}
