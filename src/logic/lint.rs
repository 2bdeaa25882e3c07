//! What the broker holds of our appliances, looked at with Home Assistant's eyes: what it would refuse, what stands there that must
//! not, what is missing. `doorward doctor` and `discovery/lint` tell it.
//!
//! Other people's devices and topics are none of our business. Not here: fetching it ([`crate::mqtt::inspect()`]).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::topics::Topics;

/// One retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work, or tells what it must not.
    Fault,
    /// It works, but perhaps not as it is meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The topic that it is about.
    pub topic: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// One device document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its object id.
    pub object: String,
    /// The name that Home Assistant shows.
    pub name: String,
    /// Bytes of the document.
    pub bytes: usize,
    /// Entities in it.
    pub components: usize,
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every device of ours, whatever node it belongs to.
    pub devices: Vec<Device>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The report as data of an answer.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let devices = self.devices.iter().map(|device| {
            json!({
                "object": device.object,
                "name": device.name,
                "bytes": device.bytes,
                "components": device.components,
            })
        });
        let findings = self.findings.iter().map(|finding| {
            let severity = match finding.severity {
                Severity::Fault => "fault",
                Severity::Warning => "warning",
            };
            json!({
                "severity": severity,
                "topic": finding.topic,
                "message": finding.what,
                "advice": finding.advice,
            })
        });
        json!({ "devices": devices.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>() })
    }
}

/// Keys that every Home Assistant since 2024.12 takes at the root of a device document; any other loses the whole device.
const ROOT: [&str; 6] = ["dev", "o", "availability", "availability_mode", "qos", "cmps"];
/// Platforms of ours; one that Home Assistant does not know loses the whole device.
const PLATFORMS: [&str; 8] =
    ["binary_sensor", "button", "camera", "event", "image", "number", "sensor", "switch"];
/// Longest state that Home Assistant takes, in characters.
const LONGEST_STATE: usize = 255;
/// Attributes that are larger are not recorded, in bytes.
const LARGEST_ATTRIBUTES: usize = 16 * 1024;
/// Small brokers refuse messages beyond this, in bytes.
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// Topics and documents of this node alone, the documents first: Home Assistant then removes the devices instead of showing them as
/// unavailable. `own` is the object id of the node's device.
#[must_use]
pub fn of_node(held: &[Held], topics: &Topics, own: &str) -> Vec<String> {
    let is_document = |topic: &str| object_of(topic, topics).is_some_and(|object| object.starts_with(own));
    let below = format!("{}/", topics.base());
    let (first, rest): (Vec<_>, Vec<_>) = held
        .iter()
        .map(|held| held.topic.clone())
        .filter(|topic| is_document(topic) || topic.starts_with(&below))
        .partition(|topic| is_document(topic));
    first.into_iter().chain(rest).collect()
}

/// Looks at everything; `own` is the object id of the device of the node that asks.
#[must_use]
pub fn lint(held: &[Held], topics: &Topics, own: &str) -> Report {
    let mut look = Look {
        topics,
        held: held.iter().map(|held| (held.topic.as_str(), &held.payload)).collect(),
        report: Report::default(),
        ids: BTreeMap::new(),
        names: BTreeMap::new(),
        nodes: BTreeMap::new(),
    };
    for held in held {
        if let Some(object) = object_of(&held.topic, topics) {
            look.document(&held.topic, object, &held.payload);
        }
    }
    if !look.report.devices.iter().any(|device| device.object == own) {
        look.warn(
            &topics.document(own),
            "This appliance is not announced to Home Assistant",
            "Start it; if it runs, mqtt.discovery is off or its device was deleted in Home Assistant: discovery/republish brings it back.",
        );
    }
    look.doubles(own);
    for held in held {
        look.topic(&held.topic, &held.payload);
    }
    look.left_behind();
    look.report.findings.sort_by(|one, other| {
        (one.severity, &one.topic, &one.what).cmp(&(other.severity, &other.topic, &other.what))
    });
    look.report
}

/// The object id of a device document of ours.
fn object_of<'a>(topic: &'a str, topics: &Topics) -> Option<&'a str> {
    let rest = topic.strip_prefix(topics.discovery())?.strip_prefix("/device/")?;
    rest.strip_suffix("/config").filter(|object| object.starts_with("doorward_"))
}

struct Look<'a> {
    topics: &'a Topics,
    held: BTreeMap<&'a str, &'a Bytes>,
    report: Report,
    /// Topic of the first document with a unique id.
    ids: BTreeMap<String, String>,
    /// Object ids by name of the device.
    names: BTreeMap<String, Vec<String>>,
    /// Object ids of the node devices, by availability topic.
    nodes: BTreeMap<String, BTreeSet<String>>,
}

impl Look<'_> {
    fn fault(&mut self, topic: &str, what: impl Into<String>, advice: impl Into<String>) {
        self.found(Severity::Fault, topic, what.into(), advice.into());
    }

    fn warn(&mut self, topic: &str, what: impl Into<String>, advice: impl Into<String>) {
        self.found(Severity::Warning, topic, what.into(), advice.into());
    }

    fn found(&mut self, severity: Severity, topic: &str, what: String, advice: String) {
        self.report.findings.push(Finding { severity, topic: topic.into(), what, advice });
    }

    fn document(&mut self, topic: &str, object: &str, payload: &[u8]) {
        let republish = "Send discovery/republish to its appliance, or delete the device in Home Assistant.";
        let Ok(Value::Object(document)) = serde_json::from_slice(payload) else {
            return self.fault(topic, "The document of this device is damaged", republish);
        };
        for key in document.keys().filter(|key| !ROOT.contains(&key.as_str())) {
            self.fault(
                topic,
                format!("Home Assistant may refuse the whole device for its key {key:?}"),
                republish,
            );
        }
        let name = document.get("dev").and_then(|dev| dev.get("name")).and_then(Value::as_str);
        let ids = document.get("dev").and_then(|dev| dev.get("ids")).and_then(Value::as_array);
        let origin = document.get("o").and_then(|origin| origin.get("name"));
        if name.is_none() || ids.is_none_or(Vec::is_empty) || origin.is_none() {
            self.fault(
                topic,
                "The document lacks the device's name, its identifiers or the origin",
                republish,
            );
        }
        let empty = Map::new();
        let components = document.get("cmps").and_then(Value::as_object).unwrap_or(&empty);
        for (id, component) in components {
            self.component(topic, id, component);
        }
        self.availability(topic, object, &document);
        if payload.len() > LARGEST_DOCUMENT {
            let what = format!("The document has {} bytes, which small brokers refuse", payload.len());
            self.warn(topic, what, "Enrol fewer people, or raise the broker's limit.");
        }
        let name = name.unwrap_or_default().to_owned();
        self.names.entry(name.clone()).or_default().push(object.into());
        let (object, bytes, components) = (object.to_owned(), payload.len(), components.len());
        self.report.devices.push(Device { object, name, bytes, components });
    }

    fn component(&mut self, topic: &str, id: &str, component: &Value) {
        let text = |key: &str| component.get(key).and_then(Value::as_str);
        let platform = text("p").unwrap_or_default();
        if !PLATFORMS.contains(&platform) {
            self.fault(
                topic,
                format!("Home Assistant may refuse the whole device for {id}, a {platform:?}"),
                "Update the appliance that wrote it.",
            );
        }
        let is_farewell = component.as_object().is_some_and(|fields| fields.len() == 1);
        let Some(unique_id) = text("unique_id") else {
            if !is_farewell {
                let what = format!("Home Assistant refuses the whole device because {id} has no unique_id");
                self.fault(topic, what, "Update the appliance that wrote it.");
            }
            return;
        };
        if let Some(other) = self.ids.insert(unique_id.to_owned(), topic.to_owned()) {
            let what = format!("{unique_id} stands in two documents, the other is on {other}");
            self.fault(topic, what, "Delete one of the two devices in Home Assistant.");
        }
        let is_set_by_people = matches!(platform, "switch" | "number");
        if let Some(state) = text("state_topic").filter(|_| is_set_by_people)
            && !self.held.contains_key(state)
        {
            self.warn(
                state,
                format!("{id} has no value at the broker"),
                "The broker has lost it or the appliance never said it: send discovery/republish.",
            );
        }
    }

    fn availability(&mut self, topic: &str, object: &str, document: &Map<String, Value>) {
        let list = document.get("availability").and_then(Value::as_array).into_iter().flatten();
        let named: Vec<&str> = list.filter_map(|entry| entry.get("topic")?.as_str()).collect();
        if named.is_empty() {
            let advice = "Update the appliance that wrote it.";
            return self.warn(topic, "The document names no availability topic", advice);
        }
        for availability in &named {
            let said = self.held.get(availability).map(|payload| payload.as_ref());
            match said {
                Some(b"online") => {}
                Some(b"offline") => self.warn(
                    availability,
                    format!("{object} is offline, so Home Assistant shows it as unavailable"),
                    "Start the appliance or look after its camera; or delete the device in Home Assistant if it is gone for good.",
                ),
                Some(_) | None => self.fault(
                    availability,
                    format!("{object} waits for online or offline here, so Home Assistant shows it as unavailable for ever"),
                    "Start its appliance, or delete the device in Home Assistant.",
                ),
            }
        }
        // A camera names its node's topic and its own.
        if let [node] = named[..] {
            self.nodes.entry(node.to_owned()).or_default().insert(object.to_owned());
        }
    }

    fn doubles(&mut self, own: &str) {
        for (status, objects) in self.nodes.clone() {
            if objects.len() > 1 {
                let list = objects.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let hint = if objects.contains(own) { format!("This one is {own}. ") } else { String::new() };
                self.fault(
                    &status,
                    format!("Several appliances speak on these topics: {list}"),
                    format!("{hint}Give one of them another node.id; if one is an earlier installation, delete its devices in Home Assistant."),
                );
            }
        }
        for (name, objects) in self.names.clone() {
            if objects.len() > 1 {
                self.warn(
                    &self.topics.document(&objects[1]),
                    format!("{} devices are called {name:?}", objects.len()),
                    "Give them different names (node.name, cameras.<id>.name), or rename them in Home Assistant.",
                );
            }
        }
    }

    fn topic(&mut self, topic: &str, payload: &[u8]) {
        let house = format!("{}/", self.topics.house());
        let Some(rest) = topic.strip_prefix(&house) else { return };
        let segments: Vec<&str> = rest.split('/').collect();
        let clear =
            format!("Clear it: mosquitto_pub -r -n -t '{topic}', with the address and login of your broker.");
        let is_command =
            matches!(segments.last(), Some(&("set" | "press"))) || segments.get(1) == Some(&"request");
        if is_command {
            return self.fault(topic, "A command is retained; it is ignored", clear);
        }
        // The likeness table of the node stands beside those of cameras.
        let shows_people = |word: &&str| matches!(*word, "person" | "faces" | "event" | "image");
        if segments.iter().skip(1).take(2).any(shows_people) {
            let what =
                "This names or shows a person and is retained, so a restart of Home Assistant replays it";
            return self.fault(topic, what, clear);
        }
        let is_details = segments.last() == Some(&"attributes");
        if is_details && payload.len() > LARGEST_ATTRIBUTES {
            let what =
                format!("These attributes have {} bytes; Home Assistant does not record them", payload.len());
            self.warn(topic, what, "Tell the makers of Doorward.");
        }
        let is_text = !is_details && !payload.starts_with(b"{");
        if is_text && String::from_utf8_lossy(payload).chars().count() > LONGEST_STATE {
            let what = format!("Home Assistant takes states of {LONGEST_STATE} characters at most");
            self.warn(topic, what, "Tell the makers of Doorward.");
        }
    }

    /// Nodes that have something at the broker, but no device.
    fn left_behind(&mut self) {
        let house = format!("{}/", self.topics.house());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in self.held.keys() {
            if let Some((node, _)) = topic.strip_prefix(&house).and_then(|rest| rest.split_once('/')) {
                *counts.entry(node).or_default() += 1;
            }
        }
        let own = self.topics.node().to_owned();
        let orphans: Vec<(String, usize)> = counts
            .into_iter()
            .filter(|(node, _)| *node != own && !self.nodes.contains_key(&format!("{house}{node}/status")))
            .map(|(node, count)| (node.to_owned(), count))
            .collect();
        for (node, count) in orphans {
            self.warn(
                &format!("{house}{node}"),
                format!("{count} topics are held for the node {node}, which Home Assistant has no device of"),
                "If that appliance is gone for good, clear them with mosquitto_sub --remove-retained; if it runs with mqtt.discovery \
                 off, all is well.",
            );
        }
    }
}

#[cfg(test)]
mod tests;
