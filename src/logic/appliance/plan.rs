//! What an appliance is made with.
//!
//! Not here: where it comes from; [`crate::app`] makes it of the configuration and the state file.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::logic::quiet;
use crate::logic::rules::Rule;
use crate::logic::state::Settings;
use crate::logic::wording::Wording;

/// A camera as the configuration describes it.
#[derive(Clone, Debug, Default)]
pub struct CameraPlan {
    /// Id: the topic segment.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Suggested area, may be empty.
    pub area: String,
    /// Values to begin with.
    pub settings: Settings,
}

/// What an appliance is made with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its cameras.
    pub cameras: Vec<CameraPlan>,
    /// Who stays quiet for how long.
    pub quiet: quiet::Policy,
    /// Address of the page as other machines see it; empty if only this machine does.
    pub url: String,
    /// Address of the house as it was seen from outside at last.
    pub public_address: Option<String>,
    /// Whether each camera's day is shown as one picture over MQTT.
    pub has_strips: bool,
    /// Whether somebody is asked for the address of the house as seen from outside.
    pub asks_address: bool,
    /// Names of the targets of messages, and who is told of what.
    pub targets: Vec<(String, Rule)>,
    /// In which words people are told of events.
    pub wording: Wording,
    /// Devices that a person has deleted in Home Assistant.
    pub declined: BTreeSet<String>,
    /// Where the clocks on the wall are, for rules with hours and days.
    pub zone: TimeZone,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            cameras: Vec::new(),
            quiet: quiet::Policy::default(),
            url: String::new(),
            public_address: None,
            has_strips: false,
            asks_address: false,
            targets: Vec::new(),
            wording: Wording::default(),
            declined: BTreeSet::new(),
            zone: TimeZone::UTC,
        }
    }
}
