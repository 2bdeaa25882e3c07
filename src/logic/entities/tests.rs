//! The whole table at once: keys, docs, and that every value comes back as its command.

use std::collections::BTreeSet;

use super::*;
use crate::logic::appliance::{CameraPlan, restore_settings};
use crate::logic::state::Settings;

#[test]
fn every_row_is_well_formed() {
    let (mut keys, mut components, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entity in CAMERA {
        let key = entity.key;
        assert!(keys.insert(key) && components.insert(entity.component()), "{key} is there twice");
        assert!(key.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '/')), "{key}");
        assert!(key.split('/').count() <= 2 && key.split('/').all(|part| !part.is_empty()), "{key}");
        assert!(entity.doc.ends_with('.') && entity.doc.len() > 10 && !entity.doc.contains('|'), "{key}");
        assert!(entity.icon.is_none_or(|icon| icon.starts_with("mdi:")), "{key}");
        if let Some(name) = entity.name {
            assert!(names.insert(name), "{name} is there twice");
        }
        // A command topic has three segments, so a key with a slash could never be set.
        let is_sent = entity.is_setting() || matches!(entity.kind, Kind::Button { .. });
        assert!(!is_sent || !key.contains('/'), "{key} could not be reached");
        if let Kind::Number { min, max, step, .. } = entity.kind {
            assert!(min < max && step > 0.0 && step <= max - min, "{key}");
        }
    }
    assert_eq!(CAMERA.iter().filter(|entity| entity.name.is_none()).count(), 1, "one main entity");
}

#[test]
fn what_is_published_reads_back_to_the_same_state() {
    let mut settings = Settings::default();
    let other = Settings {
        motion_detection: false,
        face_recognition: false,
        notifications: false,
        mqtt_pictures: false,
        overlay: true,
        privacy: true,
        motion_threshold: 77.0,
        motion_min_area: 123_456.0,
        face_threshold: 0.615,
        fps: 29.0,
    };
    for wanted in [Settings::default(), other] {
        let camera = CameraState { settings: wanted.clone(), ..CameraState::default() };
        let told = CAMERA.iter().filter(|entity| entity.is_setting());
        let told =
            told.map(|entity| (entity.key.to_owned(), entity.state(&camera).unwrap().into())).collect();
        let mut plan = CameraPlan { settings, ..CameraPlan::default() };
        assert!(restore_settings(&mut plan, &told).is_empty());
        assert_eq!(plan.settings, wanted);
        settings = plan.settings;
    }
}

#[test]
fn numbers_have_limits_and_words_are_exact() {
    for entity in CAMERA {
        let code = |text: &str| entity.command(text).map_err(|problem| problem.code());
        match entity.kind {
            Kind::Number { min, max, .. } => {
                for good in [min, max, (min + max) / 2.0] {
                    assert!(code(&format!(" {good} ")).is_ok(), "{}: {good}", entity.key);
                }
                for bad in [min - 0.001, max + 0.001, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX] {
                    assert_eq!(code(&bad.to_string()), Err("out_of_range"), "{}: {bad}", entity.key);
                }
                for bad in ["NaN", "-nan", "", "ON", "1,5", "0x10", "1 2", "\u{0}", "５"] {
                    assert_eq!(code(bad), Err("not_a_number"), "{}: {bad}", entity.key);
                }
            }
            Kind::Switch { write, .. } => {
                assert_eq!((code("ON"), code(" OFF\n")), (Ok(write(true)), Ok(write(false))));
                for bad in ["on", "", "1", "true", "ON OFF"] {
                    assert_eq!(code(bad), Err("not_a_choice"), "{}: {bad}", entity.key);
                }
            }
            Kind::Button { press } => {
                assert_eq!(
                    (code("PRESS"), code("press"), code("")),
                    (Ok(press), Err("not_a_choice"), Err("not_a_choice"))
                );
            }
            Kind::Camera
            | Kind::Image
            | Kind::Event { .. }
            | Kind::BinarySensor { .. }
            | Kind::Sensor { .. } => {
                assert_eq!(code("ON"), Err("read_only"), "{}", entity.key);
            }
        }
    }
    assert_eq!(
        camera_entity("nothing").map(|entity| entity.key).map_err(|problem| problem.code()),
        Err("not_found")
    );
}

#[test]
fn what_names_people_is_known_as_such() {
    let naming: Vec<&str> =
        CAMERA.iter().filter(|entity| entity.names_people()).map(|entity| entity.key).collect();
    assert_eq!(naming, ["person/unknown", "faces/present"]);
    let mut camera = CameraState::default();
    let says = |camera: &CameraState| camera_entity("faces/present").unwrap().state(camera).unwrap();
    assert_eq!(says(&camera), "nobody");
    camera.present.insert("none".into(), "None".into());
    assert_eq!(says(&camera), "None (a person)", "alone the word would mean that there is no value");
    camera.present.clear();
    camera.present.insert("bob".into(), "Bob".into());
    camera.present.insert("alice".into(), "Alice".into());
    camera.unknown_present = true;
    assert_eq!(says(&camera), "Alice, Bob, somebody unknown");
    camera.present.extend((0..90).map(|n| (format!("p{n}"), format!("Person Ü{n}"))));
    let long = says(&camera);
    assert!(long.chars().count() <= 255 && long.chars().count() > 230 && long.ends_with(", …"), "{long}");
}
