//! Documents, and the steps from what a broker holds to what it should.

use super::*;

fn document(components: Value) -> Value {
    json!({ "dev": { "ids": ["a"] }, "o": { "name": "doorward" }, "cmps": components })
}

#[test]
fn nothing_is_sent_that_the_broker_holds() {
    let wanted = document(json!({ "motion": { "p": "binary_sensor", "name": "Motion" } }));
    assert_eq!(steps(None, &wanted), std::slice::from_ref(&wanted));
    assert!(steps(Some(&wanted), &wanted).is_empty());
    // The order of keys says nothing.
    let text = r#"{"o":{"name":"doorward"},"cmps":{"motion":{"name":"Motion","p":"binary_sensor"}},"dev":{"ids":["a"]}}"#;
    assert!(steps(Some(&serde_json::from_str(text).unwrap()), &wanted).is_empty());
}

#[test]
fn what_is_added_or_changed_is_one_step() {
    let held = document(json!({ "motion": { "p": "binary_sensor" } }));
    for wanted in [
        document(json!({ "motion": { "p": "binary_sensor" }, "fps": { "p": "number" } })),
        document(json!({ "motion": { "p": "binary_sensor", "name": "Moves" } })),
    ] {
        assert_eq!(steps(Some(&held), &wanted), std::slice::from_ref(&wanted));
    }
}

#[test]
fn what_is_removed_says_farewell_first() {
    let held = document(
        json!({ "motion": { "p": "binary_sensor", "name": "M" }, "fps": { "p": "number", "min": 1 } }),
    );
    let wanted = document(json!({ "motion": { "p": "binary_sensor", "name": "M" } }));
    let farewell =
        document(json!({ "motion": { "p": "binary_sensor", "name": "M" }, "fps": { "p": "number" } }));
    assert_eq!(steps(Some(&held), &wanted), [farewell.clone(), wanted.clone()]);
    // After the first step the broker holds the farewell, of which the second is left.
    assert_eq!(steps(Some(&farewell), &wanted), std::slice::from_ref(&wanted));
    let nothing = document(json!({}));
    let all_gone = document(json!({ "motion": { "p": "binary_sensor" }, "fps": { "p": "number" } }));
    assert_eq!(steps(Some(&held), &nothing), [all_gone, nothing]);
}

#[test]
fn people_are_kept_until_the_household_is_known() {
    let anna = json!({ "p": "binary_sensor", "unique_id": "x_anna", "name": "Anna" });
    let held = document(
        json!({ "person_anna": anna, "person_gone": { "p": "binary_sensor" }, "old": { "p": "sensor", "unique_id": "x" } }),
    );
    let unknown = json!({ "p": "binary_sensor", "unique_id": "x_unknown", "name": "Unknown person" });
    let mut wanted = document(json!({ "person_unknown": unknown }));
    keep_people(&held, &mut wanted);
    assert_eq!(wanted, document(json!({ "person_unknown": unknown, "person_anna": anna })));
    keep_people(&json!({ "cmps": [] }), &mut wanted);
    assert_eq!(wanted["cmps"].as_object().map(Map::len), Some(2));
}

#[test]
fn topics_that_nobody_names_any_more_are_left_behind() {
    let named = |camera: &str| {
        json!({
            "availability": [{ "topic": "d/n/status" }, { "topic": format!("d/n/{camera}/status") }],
            "cmps": {
                "motion": {
                    "p": "binary_sensor",
                    "state_topic": format!("d/n/{camera}/motion"),
                    "json_attributes_topic": format!("d/n/{camera}/motion/attributes"),
                },
                "fps": { "p": "number", "state_topic": format!("d/n/{camera}/fps"), "command_topic": format!("d/n/{camera}/fps/set") },
                "live": { "p": "camera", "topic": format!("d/n/{camera}/image/live") },
            },
        })
    };
    let wanted = [Document { object: "o".into(), body: named("shed") }];
    let left = |before: &Value| left_behind(Some(before), &wanted).into_iter().collect::<Vec<_>>();
    // The node's own status lives on, commands and pictures were never kept.
    assert_eq!(
        left(&named("porch")),
        ["d/n/porch/fps", "d/n/porch/motion", "d/n/porch/motion/attributes", "d/n/porch/status"]
    );
    assert!(
        left(&named("shed")).is_empty()
            && left(&json!([])).is_empty()
            && left_behind(None, &wanted).is_empty()
    );
}

#[test]
fn foreign_and_damaged_documents_are_replaced() {
    let wanted = document(json!({ "fps": { "p": "number" } }));
    for held in [
        json!({}),
        json!([1]),
        json!("x"),
        json!({ "cmps": 5 }),
        document(json!({ "old": { "name": "no platform" } })),
    ] {
        assert_eq!(steps(Some(&held), &wanted), std::slice::from_ref(&wanted), "{held}");
    }
}

#[test]
fn another_platform_in_the_same_place_says_farewell_first() {
    let held = document(json!({ "last_face_at": { "p": "image", "unique_id": "x" } }));
    let wanted = document(json!({ "last_face_at": { "p": "sensor", "unique_id": "x" } }));
    let farewell = document(json!({ "last_face_at": { "p": "image" } }));
    assert_eq!(steps(Some(&held), &wanted), [farewell.clone(), wanted.clone()]);
    assert_eq!(steps(Some(&farewell), &wanted), [wanted]);
}
