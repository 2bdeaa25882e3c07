//! What is kept and told: the picture of a motion, cool-downs, events of cameras and of the appliance itself.

use serde_json::json;

use super::*;
use crate::logic::effect::ClipOrder;
use crate::logic::history::{Addition, ArchiveNews, Request};
use crate::logic::input::{Alarm, AlarmKind};
use crate::logic::rules::{Kind, Rule};

fn additions(effects: &[Effect]) -> Vec<(&str, &Addition)> {
    let added = effects.iter().filter_map(|effect| match effect {
        Effect::Add(id, addition) => Some((id.as_str(), addition)),
        _ => None,
    });
    added.collect()
}

fn films(effects: &[Effect]) -> Vec<&ClipOrder> {
    let films = effects.iter().filter_map(|effect| match effect {
        Effect::Clip(_, order) => Some(order),
        _ => None,
    });
    films.collect()
}

fn face(event_type: &'static str, sharpness: f64, jpeg: &'static [u8]) -> FaceNews {
    FaceNews {
        event_type,
        person: None,
        record: Map::from_iter([("face".into(), json!({ "sharpness": sharpness }))]),
        captured_at: Instant::now(),
        jpeg: Some(Bytes::from_static(jpeg)),
    }
}

const ENDED: MotionChange = MotionChange::Ended { lasted: Duration::from_secs(3) };

#[test]
fn motion_gets_its_largest_picture_and_a_sharp_face_before_that() {
    for (faces, best) in [
        (vec![], &b"jpeg"[..]),
        (
            vec![face("unsure", 0.4, b"blurred"), face("unknown", 0.8, b"sharp"), face("left", 0.5, b"back")],
            b"sharp",
        ),
    ] {
        let mut stage = Stage::new();
        let begun = stage.motion(MotionChange::Started);
        let start = events(&begun)[0].id.clone();
        assert_eq!(films(&begun), [&ClipOrder::Begin { event: start.clone() }]);
        stage.later(2.5);
        let filmed = stage.sees(&[], true, faces);
        assert!(films(&filmed).is_empty(), "it belongs to the film of the motion");
        stage.later(3.0);
        let ended = stage.motion(ENDED);
        let [(id, addition)] = additions(&ended)[..] else { panic!("{ended:?}") };
        assert_eq!((id, addition.best.as_deref()), (start.as_str(), Some(best)));
        let fields = Value::Object(addition.fields.clone());
        assert_eq!(fields, json!({ "lasted_s": 3.0, "ended_at": "2026-01-02T03:04:10.500Z" }));
        let [end] = events(&ended)[..] else { panic!("{ended:?}") };
        assert_eq!((end.event_type, end.detail["start_event"].as_str()), ("end", Some(start.as_str())));
        assert!(end.picture.is_none(), "the picture belongs to the beginning");
        assert_eq!(films(&ended), [&ClipOrder::End]);
        assert!(additions(&stage.motion(ENDED)).is_empty());
    }
}

#[test]
fn motion_that_is_cut_short_is_completed_all_the_same() {
    // Privacy at once; what comes from the motion loop afterwards is not heard any more.
    let mut stage = Stage::new();
    let start = events(&stage.motion(MotionChange::Started))[0].id.clone();
    stage.later(4.0);
    let (_, effects) = stage.command(Command::Privacy(true)).unwrap();
    let told: Vec<_> = events(&effects).iter().map(|event| event.event_type).collect();
    assert_eq!(told, ["end", "privacy_on"]);
    let end = &events(&effects)[0].detail;
    assert_eq!(
        (&end["start_event"], &end["lasted_s"], &end["reason"]),
        (&json!(start), &json!(4.0), &json!("privacy"))
    );
    assert_eq!(
        (additions(&effects)[0].0, films(&effects)),
        (start.as_str(), vec![&ClipOrder::End, &ClipOrder::Forget])
    );
    assert!(stage.motion(ENDED).is_empty());
    // Otherwise with the end that the loop tells.
    for cut in [false, true] {
        let mut stage = Stage::new();
        let start = events(&stage.motion(MotionChange::Started))[0].id.clone();
        if cut {
            stage.command(Command::MotionDetection(false)).unwrap();
        } else {
            stage.camera(CameraNews::Lost(Problem::NoSignal));
        }
        assert!(!stage.porch().motion);
        let effects = stage.motion(ENDED);
        assert_eq!(events(&effects)[0].detail["start_event"], start);
        assert_eq!((additions(&effects)[0].0, films(&effects)), (start.as_str(), vec![&ClipOrder::End]));
    }
}

#[test]
fn the_start_is_told_when_somebody_can_hear_it() {
    let now = Stage::new().now;
    let mut stage = Stage { appliance: Appliance::new(Plan::default(), now, 7), now };
    stage.later(14.9);
    assert!(stage.does(Input::Tick).is_empty());
    stage.later(0.1);
    let effects = stage.does(Input::Tick);
    assert_eq!((events(&effects)[0].event_type, events(&effects)[0].is_worth_telling()), ("started", false));
    stage.later(100.0);
    assert!(stage.does(Input::Tick).is_empty());
}

#[test]
fn a_face_without_motion_is_filmed_by_itself() {
    let mut stage = Stage::new();
    let effects = stage.sees(&[], true, vec![face("unknown", 0.8, b"sharp")]);
    let event = events(&effects)[0].id.clone();
    assert_eq!(films(&effects), [&ClipOrder::Begin { event }, &ClipOrder::End]);
    assert!(films(&stage.sees(&[], true, vec![face("left", 0.8, b"sharp")])).is_empty());
}

#[test]
fn a_second_motion_within_the_pause_is_true_but_not_told() {
    let mut stage = Stage::new();
    let mut told = Vec::new();
    for _ in 0..2 {
        let begun = stage.motion(MotionChange::Started);
        assert!(stage.porch().motion);
        told.push((events(&begun)[0].is_worth_telling(), events(&begun)[0].quiet));
        stage.later(20.0);
        stage.motion(ENDED);
        assert!(!stage.porch().motion);
        stage.later(40.0);
    }
    assert_eq!(told, [(true, None), (false, Some("motion_cooldown"))]);
}

#[test]
fn notifications_off_tells_nobody_but_goes_on() {
    let mut stage = Stage::new();
    let (_, effects) = stage.command(Command::Notifications(false)).unwrap();
    assert!(matches!(effects[..], [Effect::SaveSettings]));
    for effects in [
        stage.motion(MotionChange::Started),
        stage.sees(&[], true, vec![face("unknown", 0.8, b"sharp")]),
        stage.camera(CameraNews::Lost(Problem::NoSignal)),
    ] {
        let [event] = events(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!((event.is_worth_telling(), event.quiet), (false, Some("notifications")));
        assert_eq!(event.payload(stage.now.instant, &topics(), false)["notify"], false);
    }
    stage.command(Command::Notifications(true)).unwrap();
    stage.camera(CameraNews::Opened(Opened::default()));
    assert!(
        events(&stage.motion(MotionChange::Started))[0].is_worth_telling(),
        "what was not told cools nothing down"
    );
}

#[test]
fn a_camera_is_lost_and_back_once() {
    let mut stage = Stage::new();
    let lost = |stage: &mut Stage, problem| {
        let effects = stage.camera(CameraNews::Lost(problem));
        events(&effects)
            .iter()
            .map(|event| event.payload(stage.now.instant, &topics(), false))
            .collect::<Vec<_>>()
    };
    let told = lost(&mut stage, Problem::NoSignal);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["event_type"], &told[0]["reason"]), (&json!("lost"), &json!("no_signal")));
    assert_eq!(lost(&mut stage, Problem::NoCamera { source: "v4l2".into() }).len(), 0);
    stage.later(12.0);
    let back = stage.camera(CameraNews::Opened(Opened::default()));
    assert_eq!(
        (events(&back)[0].event_type, &events(&back)[0].detail["lasted_s"]),
        ("recovered", &json!(12.0))
    );
    assert!(events(&stage.camera(CameraNews::Opened(Opened::default()))).is_empty());
    let (_, effects) = stage.command(Command::Privacy(true)).unwrap();
    assert_eq!(events(&effects)[0].event_type, "privacy_on");
    let (_, effects) = stage.command(Command::Privacy(false)).unwrap();
    assert_eq!(
        (events(&effects)[0].event_type, events(&effects)[0].is_worth_telling()),
        ("privacy_off", false)
    );
}

#[test]
fn events_of_the_appliance_itself_have_no_camera() {
    let mut stage = Stage::new();
    for (input, event_type) in [
        (
            Input::Alarm(Alarm { kind: AlarmKind::TooManyAttempts, address: "192.0.2.7".into(), user: None }),
            "too_many_attempts",
        ),
        (Input::Archive(ArchiveNews::Full("no space".into())), "disk_full"),
        (Input::Archive(ArchiveNews::Free { lost: 3 }), "disk_free"),
        (Input::Archive(ArchiveNews::Damaged("x".into())), "archive_damaged"),
        (Input::NotifyFailed("no".into()), "notify_failed"),
    ] {
        let effects = stage.does(input);
        let [event] = events(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!((event.event_type, event.is_worth_telling()), (event_type, true));
        let payload = event.payload(stage.now.instant, &topics(), false);
        assert!(payload.get("camera").is_none() && payload.get("latency").is_none(), "{payload}");
        assert_eq!(payload["title"], event.title);
    }
    assert!(stage.does(Input::Archive(ArchiveNews::Holds { events: 5, bytes: 1 << 21 })).is_empty());
    assert_eq!(stage.appliance.state().archive.events, Some(5));
}

#[test]
fn an_address_is_told_once_per_change_and_remembered() {
    let mut stage = Stage::new();
    let mut seen = |address: &str| {
        let effects = stage.does(Input::PublicAddress(address.into()));
        let saved = effects.iter().any(|effect| matches!(effect, Effect::SaveSettings));
        (saved, events(&effects).iter().map(|event| event.title.clone()).collect::<Vec<_>>())
    };
    assert_eq!(seen("192.0.2.1"), (true, vec![]));
    assert_eq!(seen("192.0.2.1"), (false, vec![]));
    assert_eq!(
        seen("192.0.2.2"),
        (true, vec!["The house is now seen as 192.0.2.2, not 192.0.2.1".to_owned()])
    );
    assert_eq!(seen("192.0.2.2"), (false, vec![]));
    let now = stage.now;
    let plan = Plan { public_address: Some("192.0.2.2".into()), ..Plan::default() };
    let mut restarted = Appliance::new(plan, now, 1);
    let (_, effects) = restarted.handle(now, Input::PublicAddress("192.0.2.3".into())).unwrap();
    assert_eq!(events(&effects).len(), 1, "a change while it was off is told");
}

#[test]
fn an_older_event_is_fetched_from_the_archive() {
    let mut stage = Stage::new();
    let id = "01JGJ0000000000000000000AB";
    let reject = || {
        let body = json!({ "event_id": id });
        crate::logic::faces::training::Training::parse("reject", body.as_object().unwrap()).unwrap()
    };
    let effects = stage.does(Input::Training(reject()));
    assert!(matches!(&effects[..], [Effect::Recall { id: wanted, .. }] if wanted == id), "{effects:?}");
    let error = stage.appliance.handle(stage.now, Input::Recalled { training: reject(), event: None });
    assert_eq!(error.unwrap_err().code(), "not_found");
    let record = json!({ "camera": PORCH, "person": "anna", "face": { "box": [0.1, 0.1, 0.2, 0.2] } });
    let record = record.as_object().unwrap().clone();
    let jpeg = Some(Bytes::from_static(b"jpeg"));
    let event = Arc::new(Event::recalled(id.into(), record, jpeg, stage.now.instant));
    let effects = stage.does(Input::Recalled { training: reject(), event: Some(event) });
    assert!(matches!(effects[..], [Effect::Teach(_)]), "{effects:?}");
}

#[test]
fn the_day_is_drawn_anew_a_minute_after_a_picture() {
    let now = Stage::new().now;
    let camera = CameraPlan { id: PORCH.into(), ..CameraPlan::default() };
    let plan = Plan { cameras: vec![camera], has_strips: true, ..Plan::default() };
    let mut stage = Stage { appliance: Appliance::new(plan, now, 7), now };
    stage.camera(CameraNews::Opened(Opened::default()));
    let drawn = |effects: &[Effect]| {
        effects.iter().filter(|effect| matches!(effect, Effect::RenewStrip(id) if id == PORCH)).count()
    };
    stage.later(60.0);
    assert_eq!(drawn(&stage.does(Input::Tick)), 1, "the day so far, after the start");
    assert_eq!(stage.appliance.next_deadline(), None);
    stage.motion(MotionChange::Started);
    stage.later(59.0);
    stage.motion(MotionChange::Started);
    assert_eq!(drawn(&stage.does(Input::Tick)), 0);
    stage.later(1.0);
    assert!(stage.appliance.next_deadline().is_some_and(|due| due <= stage.now.instant));
    assert_eq!(drawn(&stage.does(Input::Tick)), 1);
    assert_eq!(stage.appliance.next_deadline(), None);
    // Somebody who comes later gets it too, but nobody in privacy.
    assert_eq!(drawn(&stage.does(Input::RenewStrips)), 1);
    stage.command(Command::Privacy(true)).unwrap();
    assert_eq!(drawn(&stage.does(Input::Tick)) + drawn(&stage.does(Input::RenewStrips)), 0);
    stage.command(Command::Privacy(false)).unwrap();
    assert_eq!(drawn(&stage.does(Input::Tick)), 1);
}

#[test]
fn rules_say_who_is_told() {
    let rule = |kinds, away_after| Rule {
        kinds,
        cameras: Vec::new(),
        people: Vec::new(),
        hours: Vec::new(),
        days: Vec::new(),
        away_after,
        quiet_too: false,
    };
    let now = Stage::new().now;
    let hour = Duration::from_secs(3600);
    let plan = Plan {
        cameras: vec![CameraPlan { id: PORCH.into(), ..CameraPlan::default() }],
        targets: vec![
            ("phone".into(), rule(vec![Kind::Known, Kind::System], None)),
            ("alarm".into(), rule(vec![Kind::Motion, Kind::Known], Some(hour))),
        ],
        ..Plan::default()
    };
    let mut stage = Stage { appliance: Appliance::new(plan, now, 7), now };
    stage.camera(CameraNews::Opened(Opened::default()));
    let anna = Person { name: "Anna".into(), uuid: "Anna".into() };
    stage.people([("anna".into(), anna)].into());
    let told = |effects: &[Effect]| events(effects)[0].tell.join(" ");
    assert_eq!(told(&stage.motion(MotionChange::Started)), "alarm");
    assert_eq!(told(&stage.motion(ENDED)), "");
    let known = stage.is_known();
    assert_eq!(told(&stage.sees(&[("anna", "Anna")], false, vec![known])), "phone alarm", "she comes home");
    stage.later(1800.0);
    let known = stage.is_known();
    assert_eq!(told(&stage.sees(&[("anna", "Anna")], false, vec![known])), "", "told an hour ago at most");
    stage.later(3599.0);
    assert_eq!(told(&stage.motion(MotionChange::Started)), "", "she is at home");
    stage.later(3602.0);
    assert_eq!(told(&stage.motion(MotionChange::Started)), "alarm");
    assert_eq!(told(&stage.does(Input::Archive(ArchiveNews::Full("x".into())))), "phone");
    assert_eq!(told(&stage.does(Input::NotifyFailed("x".into()))), "", "it would fare no better");
}

#[test]
fn a_day_of_an_unknown_camera_and_a_deleted_event() {
    let mut stage = Stage::new();
    let strip = Input::Events(Request::Strip { camera: "shed".into(), day: None });
    assert_eq!(stage.appliance.handle(stage.now, strip).unwrap_err().code(), "not_found");
    stage.motion(MotionChange::Started);
    let id = stage.appliance.state().recent[0].id.clone();
    let effects = stage.does(Input::Events(Request::Delete(id.clone())));
    assert!(matches!(effects[..], [Effect::Archive(Request::Delete(_))]));
    assert!(stage.appliance.state().recent.iter().all(|event| event.id != id));
}
