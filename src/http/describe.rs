//! The state as JSON for programs and the page; entities are a loop over the table.
//!
//! Not here: events' payloads ([`crate::logic::events`]).

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::Shared;
use super::reply;
use crate::logic::entities::{CAMERA, Category, Entity, Kind, Measure};
use crate::logic::events::timestamp;
use crate::logic::state::{CameraState, State};

/// Everything that is true now.
pub(super) fn state(shared: &Shared, state: &State, now: Instant) -> Value {
    let node = &state.node;
    let cameras: Vec<Value> = state.cameras.iter().map(|(id, state)| camera(id, state)).collect();
    let people: Vec<Value> = state.people.iter().map(|(slug, person)| somebody(slug, &person.name)).collect();
    json!({
        "node": {
            "version": shared.version,
            "uptime_s": node.uptime_s,
            "rss_mb": node.rss_mb,
            "cpu_pct": node.cpu_pct,
            "mqtt_connected": node.mqtt_connected,
        },
        "cameras": cameras,
        "people": people,
        "events": events(shared, state, now, usize::MAX),
    })
}

/// The newest events, newest first.
pub(super) fn events(shared: &Shared, state: &State, now: Instant, limit: usize) -> Vec<Value> {
    state.recent.iter().take(limit).map(|event| event.payload(now, &shared.topics, true)).collect()
}

fn somebody(slug: &str, name: &str) -> Value {
    json!({ "person": slug, "name": name })
}

fn camera(id: &str, camera: &CameraState) -> Value {
    let opened = camera.opened.as_ref().map(|opened| {
        json!({
            "width": opened.width,
            "height": opened.height,
            "format": opened.format,
            "description": opened.description,
        })
    });
    let entities: Vec<Value> = CAMERA.iter().map(|row| entity(row, camera)).collect();
    json!({
        "id": id,
        "name": camera.name,
        "area": camera.area,
        "status": {
            "state": camera.status.word(),
            "since": timestamp(camera.since),
            "problem": camera.status.problem().map(reply::problem_body),
        },
        "opened": opened,
        "motion": camera.motion,
        "motion_detail": {
            "area_pct": camera.motion_detail.area_pct,
            "boxes": camera.motion_detail.boxes,
            "reason": camera.motion_detail.reason,
            "inhibited_until": camera.inhibited.as_ref().map(|inhibited| timestamp(inhibited.until)),
        },
        "present": camera.present.iter().map(|(slug, name)| somebody(slug, name)).collect::<Vec<_>>(),
        "unknown_present": camera.unknown_present,
        "entities": entities,
    })
}

/// One row of the table with its present value; values are the text of the state topic.
pub(super) fn entity(row: &Entity<CameraState>, camera: &CameraState) -> Value {
    let mut about = Map::new();
    about.insert("key".into(), json!(row.key));
    about.insert("name".into(), json!(row.name.unwrap_or("Live picture")));
    about.insert("doc".into(), json!(row.doc));
    about.insert("category".into(), json!(category(row.category)));
    let kind = match &row.kind {
        Kind::Camera => "camera",
        Kind::Image => "image",
        Kind::Event { types, .. } => {
            about.insert("options".into(), json!(types));
            "event"
        }
        Kind::BinarySensor { class, .. } => {
            about.insert("class".into(), json!(class));
            "binary_sensor"
        }
        Kind::Sensor { measure, .. } => {
            measured(&mut about, measure);
            "sensor"
        }
        Kind::Switch { .. } => "switch",
        Kind::Number { min, max, step, unit, .. } => {
            about.extend([("min", *min), ("max", *max), ("step", *step)].map(|(k, v)| (k.into(), json!(v))));
            about.insert("unit".into(), json!(unit));
            "number"
        }
        Kind::Button { .. } => "button",
    };
    about.insert("kind".into(), json!(kind));
    about.insert("value".into(), json!(row.state(camera)));
    Value::Object(about)
}

fn measured(about: &mut Map<String, Value>, measure: &Measure) {
    match measure {
        Measure::Words(words) => {
            about.insert("options".into(), json!(words));
        }
        Measure::People | Measure::Text => {}
        Measure::Time => {
            about.insert("class".into(), json!("timestamp"));
        }
        Measure::Number { unit, class, decimals } => {
            about.insert("unit".into(), json!(unit));
            about.insert("class".into(), json!(class));
            about.insert("decimals".into(), json!(decimals));
        }
    }
}

fn category(category: Category) -> &'static str {
    match category {
        Category::Primary => "primary",
        Category::Config => "config",
        Category::Diagnostic => "diagnostic",
    }
}
