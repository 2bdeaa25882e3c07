//! Device discovery for Home Assistant: one document a device, and what to publish so that the broker holds just that.
//!
//! Documents follow Home Assistant 2024.12 and newer. An unknown key at the root, or a component without `unique_id`, makes
//! Home Assistant refuse the whole device, so nothing optional is added lightly.
//! Not here: when to publish ([`crate::mqtt`]).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::command::Command;
use super::entities::{CAMERA, Category, Entity, Kind, Measure, NODE, STRIP};
use super::faces::self_test::Standing;
use super::state::{CameraState, Person, State};
use super::topics::Topics;

/// Presence that is not repeated within this many seconds is no longer believed.
pub const EXPIRE_AFTER_S: u32 = 90;
/// Beginning of the component ids of people.
const PERSON: &str = "person_";
/// Health older than this many seconds is no longer believed.
const HEALTH_EXPIRE_AFTER_S: u32 = 180;

/// What the documents say about this installation.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Random id of the node, made once.
    pub node_uuid: String,
    /// Name of the node.
    pub node_name: String,
    /// Random id of each camera by camera id.
    pub camera_uuids: std::collections::BTreeMap<String, String>,
    /// Version of this program.
    pub version: String,
    /// The machine in its own words, such as `Raspberry Pi 4 Model B Rev 1.4`; empty if unknown.
    pub hardware: String,
    /// Whether it tells how warm its processor is.
    pub has_temperature: bool,
    /// Address of the page, for the "Visit" link; empty if unknown.
    pub url: String,
}

/// A device's document: its object id and JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Last but one segment of the topic; never changes.
    pub object: String,
    /// The document.
    pub body: Value,
}

/// Object id of the device of the node with this id.
#[must_use]
pub fn node_object(uuid: &str) -> String {
    format!("doorward_{uuid}")
}

impl Installation {
    /// Object id of the node's own device; every device of ours begins with it.
    #[must_use]
    pub fn node_object(&self) -> String {
        node_object(&self.node_uuid)
    }

    /// Object id of a camera's device.
    #[must_use]
    pub fn camera_object(&self, camera: &str) -> String {
        let uuid = self.camera_uuids.get(camera).map_or(camera, String::as_str);
        format!("{}_{uuid}", self.node_object())
    }

    /// The documents that the broker should hold, the node's first.
    #[must_use]
    pub fn documents(&self, state: &State, topics: &Topics) -> Vec<Document> {
        let cameras = state.cameras.iter().map(|(id, camera)| self.camera(id, camera, state, topics));
        std::iter::once(self.node(state, topics)).chain(cameras).collect()
    }

    fn node(&self, state: &State, topics: &Topics) -> Document {
        let object = self.node_object();
        let mut components: Map<String, Value> = NODE_SENSORS
            .iter()
            .filter(|sensor| sensor.field != TEMPERATURE || self.has_temperature)
            .map(|sensor| (sensor.field.to_owned(), sensor.component(&object, topics)))
            .collect();
        let asked_only = ["event/address_changed", "public_address"];
        for entity in NODE.iter().filter(|entity| state.asks_address || !asked_only.contains(&entity.key)) {
            let mut node = component(entity, &object, &topics.node_entity(entity.key));
            if matches!(entity.kind, Kind::Button { .. }) {
                node.insert("command_topic".into(), json!(topics.node_press(entity.key)));
            }
            components.insert(entity.component(), Value::Object(node));
        }
        components.extend(self_test_components(&object, topics));
        suggest_ids(&mut components, &format!("doorward_{}", topics.node()));
        let mut device = self.device(&object, &self.node_name, "Doorward");
        device.insert("sn".into(), json!(self.node_uuid));
        if !self.hardware.is_empty() {
            device.insert("hw".into(), json!(self.hardware));
        }
        let body = json!({
            "dev": device,
            "o": self.origin(),
            "availability": [availability(topics.status())],
            "qos": 1,
            "cmps": components,
        });
        Document { object, body }
    }

    fn camera(&self, id: &str, camera: &CameraState, state: &State, topics: &Topics) -> Document {
        let object = self.camera_object(id);
        let mut components = Map::new();
        for entity in CAMERA.iter().filter(|entity| entity.key != STRIP || state.has_strips) {
            components.insert(entity.component(), camera_component(entity, &object, id, topics));
        }
        for (slug, person) in &state.people {
            let component = person_component(&object, id, slug, person, topics);
            components.insert(format!("{PERSON}{slug}"), component);
        }
        suggest_ids(&mut components, id);
        let mut device = self.device(&object, &camera.name, "Camera");
        device.insert("via_device".into(), json!(self.node_object()));
        if !camera.area.is_empty() {
            device.insert("sa".into(), json!(camera.area));
        }
        let body = json!({
            "dev": device,
            "o": self.origin(),
            "availability": [availability(topics.status()), availability(topics.camera_status(id))],
            "availability_mode": "all",
            "qos": 1,
            "cmps": components,
        });
        Document { object, body }
    }

    fn device(&self, object: &str, name: &str, model: &str) -> Map<String, Value> {
        let mut device = Map::new();
        device.insert("ids".into(), json!([object]));
        device.insert("name".into(), json!(name));
        device.insert("mf".into(), json!("Doorward"));
        device.insert("mdl".into(), json!(model));
        device.insert("sw".into(), json!(self.version));
        if !self.url.is_empty() {
            device.insert("cu".into(), json!(self.url));
        }
        device
    }

    fn origin(&self) -> Value {
        json!({ "name": "doorward", "sw": self.version })
    }
}

/// A topic on which availability is said. The words are Home Assistant's defaults, but 2025.4 was seen to miss them at times.
fn availability(topic: String) -> Value {
    json!({ "topic": topic, "payload_available": "online", "payload_not_available": "offline" })
}

/// Entity ids for a new device, the same in every version and language of Home Assistant; what people changed stays.
fn suggest_ids(components: &mut Map<String, Value>, prefix: &str) {
    for (id, component) in components {
        let Some(component) = component.as_object_mut() else { continue };
        let platform = component.get("p").and_then(Value::as_str).unwrap_or_default();
        // The device's main entity has no name of its own.
        let is_main = component.get("name").is_none_or(Value::is_null);
        let name = if is_main { String::new() } else { format!("_{id}") };
        let suggestion = format!("{platform}.{prefix}{name}");
        component.insert("default_entity_id".into(), json!(suggestion));
    }
}

/// A sensor of the node, read from its `health` topic.
struct NodeSensor {
    field: &'static str,
    name: &'static str,
    /// Unit and device class of Home Assistant; either may be empty.
    unit: &'static str,
    class: &'static str,
    icon: &'static str,
    /// Home Assistant's `state_class`: `measurement`, or `total_increasing` for what begins anew with each start; empty for a time.
    state_class: &'static str,
    is_enabled: bool,
}

/// Field of the one that not every machine has.
const TEMPERATURE: &str = "temp_c";

const NODE_SENSORS: &[NodeSensor] = &[
    NodeSensor {
        field: "started",
        name: "Started",
        unit: "",
        class: "timestamp",
        icon: "",
        state_class: "",
        is_enabled: true,
    },
    NodeSensor {
        field: "rss_mb",
        name: "Memory",
        unit: "MiB",
        class: "data_size",
        icon: "",
        state_class: "measurement",
        is_enabled: true,
    },
    NodeSensor {
        field: "cpu_pct",
        name: "Processor",
        unit: "%",
        class: "",
        icon: "mdi:cpu-64-bit",
        state_class: "measurement",
        is_enabled: true,
    },
    NodeSensor {
        field: TEMPERATURE,
        name: "Temperature",
        unit: "°C",
        class: "temperature",
        icon: "",
        state_class: "measurement",
        is_enabled: true,
    },
    NodeSensor {
        field: "disk_written_kb_h",
        name: "Written to disk per hour",
        unit: "KiB/h",
        class: "",
        icon: "mdi:harddisk",
        state_class: "measurement",
        is_enabled: true,
    },
    NodeSensor {
        field: "disk_written_kb",
        name: "Written to disk",
        unit: "KiB",
        class: "data_size",
        icon: "",
        state_class: "total_increasing",
        is_enabled: false,
    },
];

impl NodeSensor {
    fn component(&self, object: &str, topics: &Topics) -> Value {
        let icon = Some(self.icon).filter(|icon| !icon.is_empty());
        let mut component = base_component("sensor", object, self.field, Some(self.name), icon);
        component.insert("state_topic".into(), json!(topics.health()));
        component.insert("value_template".into(), json!(format!("{{{{ value_json.{} }}}}", self.field)));
        component.insert("expire_after".into(), json!(HEALTH_EXPIRE_AFTER_S));
        component.insert("entity_category".into(), json!("diagnostic"));
        let texts = [
            ("unit_of_measurement", self.unit),
            ("device_class", self.class),
            ("state_class", self.state_class),
        ];
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        component.extend(given.map(|(key, text)| (key.to_owned(), json!(text))));
        if !self.state_class.is_empty() {
            component.insert("suggested_display_precision".into(), json!(0));
        }
        if !self.is_enabled {
            component.insert("en".into(), json!(false));
        }
        Value::Object(component)
    }
}

/// How well the household can be told apart: a word with figures, and the table as a picture.
fn self_test_components(object: &str, topics: &Topics) -> [(String, Value); 2] {
    let icon = Some("mdi:account-multiple-check");
    let mut sensor = base_component("sensor", object, "self_test", Some("Face self-test"), icon);
    sensor.insert("state_topic".into(), json!(topics.node_entity("self_test")));
    sensor.insert("json_attributes_topic".into(), json!(topics.node_attributes("self_test")));
    sensor.insert("entity_category".into(), json!("diagnostic"));
    sensor.insert("device_class".into(), json!("enum"));
    sensor.insert("options".into(), json!(Standing::WORDS));
    let mut image = base_component("image", object, "image_self_test", Some("Face likeness table"), icon);
    image.insert("image_topic".into(), json!(topics.node_entity("image/self_test")));
    image.insert("content_type".into(), json!("image/svg+xml"));
    image.insert("entity_category".into(), json!("diagnostic"));
    [("self_test".into(), Value::Object(sensor)), ("image_self_test".into(), Value::Object(image))]
}

fn base_component(
    platform: &str,
    object: &str,
    component: &str,
    name: Option<&str>,
    icon: Option<&str>,
) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("p".into(), json!(platform));
    map.insert("unique_id".into(), json!(format!("{object}_{component}")));
    map.insert("name".into(), json!(name));
    if let Some(icon) = icon {
        map.insert("icon".into(), json!(icon));
    }
    map
}

fn camera_component(entity: &Entity<CameraState>, object: &str, camera: &str, topics: &Topics) -> Value {
    let mut map = component(entity, object, &topics.entity(camera, entity.key));
    if matches!(entity.kind, Kind::Button { .. }) {
        map.insert("command_topic".into(), json!(topics.press(camera, entity.key)));
    }
    if entity.is_setting() {
        map.insert("command_topic".into(), json!(topics.set(camera, entity.key)));
    }
    if matches!(entity.key, "motion" | "state") {
        map.insert("json_attributes_topic".into(), json!(topics.attributes(camera, entity.key)));
    }
    Value::Object(map)
}

/// What a component says whatever it belongs to; `topic` is where it speaks.
fn component<S>(entity: &Entity<S>, object: &str, topic: &str) -> Map<String, Value> {
    let mut map =
        base_component(platform(&entity.kind), object, &entity.component(), entity.name, entity.icon);
    if !entity.is_enabled() {
        map.insert("en".into(), json!(false));
    }
    match entity.category {
        Category::Primary => {}
        Category::Config => drop(map.insert("entity_category".into(), json!("config"))),
        Category::Diagnostic => drop(map.insert("entity_category".into(), json!("diagnostic"))),
    }
    match &entity.kind {
        Kind::Camera => drop(map.insert("topic".into(), json!(topic))),
        Kind::Image => {
            map.insert("image_topic".into(), json!(topic));
            map.insert("content_type".into(), json!("image/jpeg"));
        }
        Kind::Button { .. } => {}
        Kind::Event { .. }
        | Kind::BinarySensor { .. }
        | Kind::Sensor { .. }
        | Kind::Switch { .. }
        | Kind::Number { .. } => drop(map.insert("state_topic".into(), json!(topic))),
    }
    if entity.names_people() {
        map.insert("expire_after".into(), json!(EXPIRE_AFTER_S));
    }
    map.extend(details(&entity.kind));
    map
}

fn platform<S>(kind: &Kind<S>) -> &'static str {
    match kind {
        Kind::Camera => "camera",
        Kind::Image => "image",
        Kind::Event { .. } => "event",
        Kind::BinarySensor { .. } => "binary_sensor",
        Kind::Sensor { .. } => "sensor",
        Kind::Switch { .. } => "switch",
        Kind::Number { .. } => "number",
        Kind::Button { .. } => "button",
    }
}

/// Keys that depend on the kind alone.
fn details<S>(kind: &Kind<S>) -> Map<String, Value> {
    let details = match kind {
        Kind::Button { press: Command::Restart } => json!({ "device_class": "restart" }),
        Kind::Camera | Kind::Image | Kind::Button { .. } | Kind::Switch { .. } => json!({}),
        Kind::Event { types, class: None } => json!({ "event_types": types }),
        Kind::Event { types, class: Some(class) } => json!({ "event_types": types, "device_class": class }),
        Kind::BinarySensor { class, .. } => json!({ "device_class": class }),
        Kind::Number { min, max, step, unit: "", .. } => {
            json!({ "min": min, "max": max, "step": step, "mode": "box" })
        }
        Kind::Number { min, max, step, unit, .. } => {
            json!({ "min": min, "max": max, "step": step, "mode": "box", "unit_of_measurement": unit })
        }
        Kind::Sensor { measure, .. } => sensor_details(measure),
    };
    match details {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn sensor_details(measure: &Measure) -> Value {
    match measure {
        Measure::Words(words) => json!({ "device_class": "enum", "options": words }),
        Measure::People | Measure::Text => json!({}),
        Measure::Time => json!({ "device_class": "timestamp" }),
        Measure::Number { unit, class, decimals } => {
            let mut map = Map::new();
            map.insert("state_class".into(), json!("measurement"));
            map.insert("suggested_display_precision".into(), json!(decimals));
            if !unit.is_empty() {
                map.insert("unit_of_measurement".into(), json!(unit));
            }
            if let Some(class) = class {
                map.insert("device_class".into(), json!(class));
            }
            Value::Object(map)
        }
    }
}

fn person_component(object: &str, camera: &str, slug: &str, person: &Person, topics: &Topics) -> Value {
    let (id, icon) = (format!("person_{}", person.uuid), Some("mdi:account"));
    let mut map = base_component("binary_sensor", object, &id, Some(&person.name), icon);
    map.insert("state_topic".into(), json!(topics.person(camera, slug)));
    map.insert("device_class".into(), json!("occupancy"));
    map.insert("expire_after".into(), json!(EXPIRE_AFTER_S));
    Value::Object(map)
}

/// Takes the people of the document that the broker holds into `wanted`, for the moment after a start in which nobody knows yet who
/// lives here. Without them Home Assistant would remove their entities, with everything that was set for them.
pub fn keep_people(held: &Value, wanted: &mut Value) {
    let held = held.get("cmps").and_then(Value::as_object);
    let Some(components) = wanted.get_mut("cmps").and_then(Value::as_object_mut) else { return };
    for (id, component) in held.into_iter().flatten() {
        // A farewell has no id.
        if id.starts_with(PERSON) && component.get("unique_id").is_some() {
            components.entry(id.clone()).or_insert_with(|| component.clone());
        }
    }
}

/// State topics that the document `before` names and none of `wanted` does.
#[must_use]
pub fn left_behind(before: Option<&Value>, wanted: &[Document]) -> BTreeSet<String> {
    let alive: BTreeSet<&str> = wanted.iter().flat_map(|document| state_topics(&document.body)).collect();
    let before = before.into_iter().flat_map(state_topics);
    before.filter(|topic| !alive.contains(topic)).map(str::to_owned).collect()
}

fn state_topics(document: &Value) -> Vec<&str> {
    let availability = document.get("availability").and_then(Value::as_array).into_iter().flatten();
    let availability = availability.filter_map(|entry| entry.get("topic"));
    let components = document.get("cmps").and_then(Value::as_object).into_iter().flatten();
    let states = components
        .flat_map(|(_, component)| [component.get("state_topic"), component.get("json_attributes_topic")]);
    availability.chain(states.flatten()).filter_map(Value::as_str).collect()
}

/// The documents to publish, in order, so that the broker goes from what it holds to `wanted`.
///
/// Leaving a component out removes nothing in Home Assistant, and neither does another platform in its place, so a document that loses
/// components is first published with only the platform for each of those.
#[must_use]
pub fn steps(held: Option<&Value>, wanted: &Value) -> Vec<Value> {
    let Some(held) = held else { return vec![wanted.clone()] };
    if held == wanted {
        return Vec::new();
    }
    let empty = Map::new();
    let components = |document: &Value| document.get("cmps").and_then(Value::as_object).cloned();
    let (held, now) = (components(held).unwrap_or_default(), wanted.get("cmps").and_then(Value::as_object));
    let now = now.unwrap_or(&empty);
    let stays =
        |id: &String, component: &Value| now.get(id).is_some_and(|now| now.get("p") == component.get("p"));
    let gone: Map<String, Value> = held
        .iter()
        .filter(|(id, component)| !stays(id, component) && !has_said_farewell(component))
        .filter_map(|(id, component)| Some((id.clone(), json!({ "p": component.get("p")? }))))
        .collect();
    if gone.is_empty() {
        return vec![wanted.clone()];
    }
    let mut farewell = wanted.clone();
    if let Some(components) = farewell.get_mut("cmps").and_then(Value::as_object_mut) {
        components.extend(gone);
    }
    vec![farewell, wanted.clone()]
}

/// Whether nothing is left of a component but its platform.
fn has_said_farewell(component: &Value) -> bool {
    component.as_object().is_none_or(|fields| fields.len() <= 1)
}

#[cfg(test)]
mod tests;
