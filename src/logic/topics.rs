//! Every MQTT topic, rendered and parsed in one place; parsing is the inverse of rendering.
//!
//! Not here: what is published when ([`crate::mqtt`]), and which entities exist ([`super::entities`]).

/// Where all topics begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// `doorward/<node>`.
    base: String,
    /// Home Assistant's discovery prefix.
    discovery: String,
}

/// What a message that reached us is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A value for an entity: `<camera>/<key>/set`.
    Set {
        /// Camera id.
        camera: String,
        /// Entity key.
        key: String,
    },
    /// A button: `<camera>/<key>/press`.
    Press {
        /// Camera id.
        camera: String,
        /// Entity key.
        key: String,
    },
    /// A request: `request/<verb>`.
    Request {
        /// The verb, such as `motion/reset`.
        verb: String,
    },
    /// Facts about this node, perhaps said by another one of the same name.
    Info,
    /// Home Assistant comes or goes.
    HomeAssistant,
    /// A device document under the discovery prefix, perhaps ours.
    Document {
        /// The object id, such as `doorward_<uuid>`.
        object: String,
    },
}

impl Topics {
    /// Topics of one node; `node` is a topic segment.
    #[must_use]
    pub fn new(base: &str, node: &str, discovery: &str) -> Self {
        Self { base: format!("{base}/{node}"), discovery: discovery.into() }
    }

    /// The common beginning, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Home Assistant's discovery prefix, without a slash at the end.
    #[must_use]
    pub fn discovery(&self) -> &str {
        &self.discovery
    }

    /// Whether an appliance of this house may have published there: below the base topic, whatever the node was called.
    #[must_use]
    pub fn is_ours(&self, topic: &str) -> bool {
        below(topic, self.house()).is_some() && !topic.contains(['+', '#'])
    }

    /// A filter for everything of the appliances of this house.
    #[must_use]
    pub fn everything(&self) -> String {
        format!("{}/#", self.house())
    }

    /// The id of the node: the last segment of the common beginning.
    #[must_use]
    pub fn node(&self) -> &str {
        self.base.rsplit_once('/').map_or(&self.base, |(_, node)| node)
    }

    /// The base topic of all nodes.
    #[must_use]
    pub fn house(&self) -> &str {
        self.base.rsplit_once('/').map_or("", |(house, _)| house)
    }

    /// Availability of the node; last will.
    #[must_use]
    pub fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    /// Facts about the node.
    #[must_use]
    pub fn info(&self) -> String {
        format!("{}/info", self.base)
    }

    /// Health of the node.
    #[must_use]
    pub fn health(&self) -> String {
        format!("{}/health", self.base)
    }

    /// Warnings for people who watch the topics.
    #[must_use]
    pub fn log(&self) -> String {
        format!("{}/log", self.base)
    }

    /// The state (or picture) topic of an entity of the node itself.
    #[must_use]
    pub fn node_entity(&self, key: &str) -> String {
        format!("{}/{key}", self.base)
    }

    /// Details beside the state of an entity of the node itself.
    #[must_use]
    pub fn node_attributes(&self, key: &str) -> String {
        format!("{}/{key}/attributes", self.base)
    }

    /// Availability of a camera.
    #[must_use]
    pub fn camera_status(&self, camera: &str) -> String {
        self.entity(camera, "status")
    }

    /// The state (or picture, or event) topic of an entity.
    #[must_use]
    pub fn entity(&self, camera: &str, key: &str) -> String {
        format!("{}/{camera}/{key}", self.base)
    }

    /// The topic of an entity of a camera, or of the node itself without one.
    #[must_use]
    pub fn of(&self, camera: Option<&str>, key: &str) -> String {
        camera.map_or_else(|| self.node_entity(key), |camera| self.entity(camera, key))
    }

    /// Details beside an entity's state.
    #[must_use]
    pub fn attributes(&self, camera: &str, key: &str) -> String {
        format!("{}/{camera}/{key}/attributes", self.base)
    }

    /// Where an entity takes values.
    #[must_use]
    pub fn set(&self, camera: &str, key: &str) -> String {
        format!("{}/{camera}/{key}/set", self.base)
    }

    /// Where a button is pressed.
    #[must_use]
    pub fn press(&self, camera: &str, key: &str) -> String {
        format!("{}/{camera}/{key}/press", self.base)
    }

    /// Presence of a person.
    #[must_use]
    pub fn person(&self, camera: &str, person: &str) -> String {
        format!("{}/{camera}/person/{person}", self.base)
    }

    /// The picture of one event.
    #[must_use]
    pub fn event_image(&self, camera: &str, event: &str) -> String {
        format!("{}/{camera}/image/event/{event}", self.base)
    }

    /// Where requests go: the verb follows.
    #[must_use]
    pub fn requests(&self) -> String {
        format!("{}/request", self.base)
    }

    /// Where it is told what came of a value for an entity.
    #[must_use]
    pub fn ack(&self, camera: &str, key: &str) -> String {
        format!("{}/{camera}/{key}/ack", self.base)
    }

    /// Where the answer to a request goes.
    #[must_use]
    pub fn response(&self, verb: &str) -> String {
        format!("{}/response/{verb}", self.base)
    }

    /// Home Assistant's birth and will.
    #[must_use]
    pub fn home_assistant(&self) -> String {
        format!("{}/status", self.discovery)
    }

    /// The document of one device.
    #[must_use]
    pub fn document(&self, object: &str) -> String {
        format!("{}/device/{object}/config", self.discovery)
    }

    /// Every filter we subscribe to.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<String> {
        vec![
            self.set("+", "+"),
            self.press("+", "+"),
            format!("{}/#", self.requests()),
            self.home_assistant(),
            self.document("+"),
        ]
    }

    /// What a topic is about; `None` if it is none of those we subscribe to.
    #[must_use]
    pub fn parse(&self, topic: &str) -> Option<Incoming> {
        if topic == self.home_assistant() {
            return Some(Incoming::HomeAssistant);
        }
        if let Some(rest) = below(topic, &self.discovery) {
            let object = rest.strip_prefix("device/")?.strip_suffix("/config")?;
            return (!object.contains('/')).then(|| Incoming::Document { object: object.into() });
        }
        if topic == self.info() {
            return Some(Incoming::Info);
        }
        let rest = below(topic, &self.base)?;
        if let Some(verb) = rest.strip_prefix("request/") {
            return (!verb.is_empty()).then(|| Incoming::Request { verb: verb.into() });
        }
        let mut segments = rest.split('/');
        let (camera, key, action) = (segments.next()?, segments.next()?, segments.next()?);
        if segments.next().is_some() || camera.is_empty() || key.is_empty() {
            return None;
        }
        let (camera, key) = (camera.into(), key.into());
        match action {
            "set" => Some(Incoming::Set { camera, key }),
            "press" => Some(Incoming::Press { camera, key }),
            _ => None,
        }
    }
}

fn below<'a>(topic: &'a str, base: &str) -> Option<&'a str> {
    topic.strip_prefix(base)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics::new("doorward", "home", "homeassistant")
    }

    #[test]
    fn parsing_is_the_inverse_of_rendering() {
        let topics = topics();
        let (camera, key) = ("porch".to_owned(), "fps".to_owned());
        for (topic, meaning) in [
            (topics.set("porch", "fps"), Incoming::Set { camera: camera.clone(), key: key.clone() }),
            (topics.press("porch", "fps"), Incoming::Press { camera, key }),
            (topics.home_assistant(), Incoming::HomeAssistant),
            (topics.document("doorward_1"), Incoming::Document { object: "doorward_1".into() }),
            ("doorward/home/request/motion/reset".into(), Incoming::Request { verb: "motion/reset".into() }),
        ] {
            assert_eq!(topics.parse(&topic), Some(meaning), "{topic}");
        }
    }

    #[test]
    fn topics_of_an_earlier_name_are_ours_and_foreign_ones_are_not() {
        let topics = topics();
        for (topic, ours) in [
            ("doorward/home/porch/motion", true),
            ("doorward/old_home/status", true),
            ("doorward", false),
            ("doorwards/home/status", false),
            ("doorward/+/status", false),
            ("zigbee2mqtt/bridge/state", false),
        ] {
            assert_eq!(topics.is_ours(topic), ours, "{topic}");
        }
    }

    #[test]
    fn what_we_publish_is_never_taken_for_a_command() {
        let topics = topics();
        for ours in [
            topics.status(),
            topics.camera_status("porch"),
            topics.entity("porch", "motion"),
            topics.attributes("porch", "motion"),
            topics.person("porch", "anna"),
            topics.event_image("porch", "01J"),
            topics.response("snapshot"),
            topics.node_entity("self_test"),
            topics.node_attributes("self_test"),
            topics.node_entity("image/self_test"),
            "doorward/homer/porch/fps/set".into(),
            "doorward/home//fps/set".into(),
            "doorward/home/request/".into(),
            "homeassistant/device/a/b/config".into(),
        ] {
            assert_eq!(topics.parse(&ours), None, "{ours}");
        }
    }
}
