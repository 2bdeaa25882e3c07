//! Who may say what: publish rights by role and topic.
//!
//! Pure. Everybody who logged in may read everything, so there is no read rule. Not here: whether a topic is valid
//! at all ([`super::topic`]) and who somebody is ([`super::login`]).

/// What a login stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Our own MQTT client: may publish anything and is let in even when the broker is full.
    Appliance,
    /// People, Home Assistant and other devices: may publish anything but what only the appliance may say.
    Client,
}

/// The topics that belong to the appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Base of all our topics, without a slash at the end: `doorward/<node>`.
    pub base: String,
    /// Home Assistant's discovery prefix, without a slash at the end: `homeassistant`.
    pub discovery: String,
    /// What the discovery ids of our devices start with: `doorward_`.
    pub device_prefix: String,
}

/// Whether `role` may publish `payload_is_empty`/`retain` on the valid topic `name`.
///
/// A client may command us (`…/set`, `…/press`, `request/…`), may say anything outside our base because other
/// people's devices live on the same broker, and may delete our discovery document the way Home Assistant does (an
/// empty retained payload). It may not write our states, events, pictures or discovery: nobody forges a face event.
pub(super) fn may_publish(role: Role, ours: &Ours, name: &str, retain: bool, payload_is_empty: bool) -> bool {
    match role {
        Role::Appliance => return true,
        Role::Client => {}
    }
    if let Some(rest) = below(name, &ours.base) {
        return is_command(rest);
    }
    if let Some(id) = below(name, &ours.discovery).and_then(|rest| rest.strip_prefix("device/")) {
        return !id.starts_with(&ours.device_prefix) || (retain && payload_is_empty);
    }
    true
}

/// The part of `name` below `base`; the base itself counts as below with nothing left.
fn below<'a>(name: &'a str, base: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(base)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn is_command(rest: &str) -> bool {
    let levels: Vec<&str> = rest.split('/').collect();
    match levels.as_slice() {
        ["request", _, ..] | ["restart", "press"] => true,
        ["request" | "response" | "event", ..] => false,
        [_camera, _what, "set" | "press"] => true,
        _other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let ours = Ours {
            base: "doorward/n1".into(),
            discovery: "homeassistant".into(),
            device_prefix: "doorward_".into(),
        };
        // topic, a client may publish it
        let table = [
            ("doorward/n1/porch/privacy/set", true),
            ("doorward/n1/porch/snapshot/press", true),
            ("doorward/n1/restart/press", true),
            ("doorward/n1/request/snapshot", true),
            ("doorward/n1/request/faces/assign", true),
            ("doorward/n1/request", false),
            ("doorward/n1", false),
            ("doorward/n1/", false),
            ("doorward/n1/status", false),
            ("doorward/n1/health", false),
            ("doorward/n1/set", false),
            ("doorward/n1/porch/set", false),
            ("doorward/n1/event/security", false),
            ("doorward/n1/event/security/set", false),
            ("doorward/n1/response/x/set", false),
            ("doorward/n1/porch/event/face", false),
            ("doorward/n1/porch/person/alice", false),
            ("doorward/n1/porch/image/live", false),
            ("doorward/n1/porch/image/event/01J", false),
            ("doorward/n1/porch/zone/yard/motion", false),
            ("doorward/n1/response/snapshot", false),
            ("doorward/n1/porch/privacy/set/more", false),
            ("doorward/n10/porch/event/face", true),
            ("doorward/n2/status", true),
            ("zigbee2mqtt/lamp/set", true),
            ("homeassistant/status", true),
            ("homeassistant/sensor/other/config", true),
            ("homeassistant/device/other/config", true),
            ("homeassistant/device/doorward_1/config", false),
            ("homeassistant/device/doorward_1_2/config", false),
        ];
        for (topic, allowed) in table {
            assert_eq!(may_publish(Role::Client, &ours, topic, true, false), allowed, "{topic}");
            assert!(may_publish(Role::Appliance, &ours, topic, true, false), "{topic}");
        }
        let document = "homeassistant/device/doorward_1/config";
        assert!(may_publish(Role::Client, &ours, document, true, true), "Home Assistant deletes a device");
        assert!(!may_publish(Role::Client, &ours, document, false, true));
        assert!(
            !may_publish(Role::Client, &ours, "doorward/n1/status", true, true),
            "nobody clears our state"
        );
    }
}
