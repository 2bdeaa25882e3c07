//! The appliance with a clock that is turned by hand.

use serde_json::json;

use super::*;
use crate::logic::input::{FaceNews, FaceSighting, MotionChange, MotionLook, MotionSighting};
use crate::logic::request::Discovery;
use crate::logic::state::{Opened, Person};
use crate::logic::topics::Topics;

const PORCH: &str = "porch";

fn topics() -> Topics {
    Topics::new("doorward", "home", "homeassistant")
}

/// An appliance with a clock that is turned by hand.
struct Stage {
    appliance: Appliance,
    now: Now,
}

impl Stage {
    fn new() -> Self {
        let now = Now { instant: Instant::now(), wall: "2026-01-02T03:04:05Z".parse().unwrap() };
        let plan = CameraPlan { id: PORCH.into(), name: "Porch".into(), ..CameraPlan::default() };
        let mut stage = Self { appliance: appliance(vec![plan], now), now };
        let known = |name: &str| Person { name: name.into(), uuid: name.into() };
        stage.people([("anna".into(), known("Anna")), ("ben".into(), known("Ben"))].into());
        stage.camera(CameraNews::Opened(Opened::default()));
        // What is due by the clock is due because of the test.
        stage.appliance.started = None;
        stage
    }

    fn people(&mut self, people: BTreeMap<String, Person>) {
        self.does(Input::People { people, self_test: Arc::default(), is_complete: true });
    }

    fn later(&mut self, seconds: f64) {
        let by = Duration::from_secs_f64(seconds);
        self.now = Now { instant: self.now.instant + by, wall: self.now.wall.checked_add(by).unwrap() };
    }

    fn does(&mut self, input: Input) -> Vec<Effect> {
        self.appliance.handle(self.now, input).unwrap().1
    }

    fn camera(&mut self, news: CameraNews) -> Vec<Effect> {
        self.does(Input::Camera { camera: PORCH.into(), news })
    }

    fn command(&mut self, command: Command) -> Result<(Answer, Vec<Effect>), Problem> {
        self.appliance.handle(self.now, Input::Command { camera: PORCH.into(), command })
    }

    fn motion(&mut self, change: MotionChange) -> Vec<Effect> {
        let boxes = vec![super::super::picture::Rect::WHOLE];
        let jpeg = Some(Bytes::from_static(b"jpeg"));
        let captured_at = self.now.instant;
        let sighting = MotionSighting {
            change: Some(change),
            area_pct: 3.12,
            boxes,
            captured_at,
            jpeg,
            look: MotionLook::default(),
        };
        self.does(Input::Motion { camera: PORCH.into(), sighting })
    }

    fn sees(&mut self, known: &[(&str, &str)], unknown: bool, decisions: Vec<FaceNews>) -> Vec<Effect> {
        let known: Vec<_> =
            known.iter().map(|(slug, name)| ((*slug).to_owned(), (*name).to_owned())).collect();
        let sighting = FaceSighting {
            any: unknown || !known.is_empty(),
            known,
            unknown,
            decisions,
            ..FaceSighting::default()
        };
        self.does(Input::Faces { camera: PORCH.into(), sighting })
    }

    fn is_known(&self) -> FaceNews {
        FaceNews {
            event_type: "known",
            person: Some(("anna".into(), "Anna".into())),
            record: Map::new(),
            captured_at: self.now.instant,
            jpeg: Some(Bytes::from_static(b"face")),
        }
    }

    fn porch(&self) -> &CameraState {
        &self.appliance.state().cameras[PORCH]
    }

    fn present(&self) -> (Vec<&str>, bool) {
        (self.porch().present.values().map(String::as_str).collect(), self.porch().unknown_present)
    }
}

fn appliance(cameras: Vec<CameraPlan>, now: Now) -> Appliance {
    Appliance::new(Plan { cameras, ..Plan::default() }, now, 7)
}

fn events(effects: &[Effect]) -> Vec<&Event> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Announce(event) => Some(&**event),
        _ => None,
    });
    told.collect()
}

mod kept;
mod training;

#[test]
fn presence_holds_and_ends_by_the_clock() {
    let mut stage = Stage::new();
    assert_eq!(stage.appliance.next_deadline(), None);
    stage.sees(&[("anna", "Anna")], true, Vec::new());
    assert_eq!(stage.present(), (vec!["Anna"], true));
    stage.later(6.0);
    stage.sees(&[("anna", "Anna")], false, Vec::new());
    stage.later(3.9);
    stage.does(Input::Tick);
    assert_eq!(stage.present(), (vec!["Anna"], true), "each stays ten seconds");
    stage.later(0.2);
    assert_eq!(stage.appliance.next_deadline().map(|at| at <= stage.now.instant), Some(true));
    stage.does(Input::Tick);
    assert_eq!(stage.present(), (vec!["Anna"], false), "the stranger was seen last before");
    stage.later(6.0);
    stage.does(Input::Tick);
    assert_eq!((stage.present(), stage.appliance.next_deadline()), ((vec![], false), None));
}

#[test]
fn who_is_told_to_have_left_is_no_longer_present() {
    let mut stage = Stage::new();
    let left = |stage: &Stage| FaceNews { event_type: "left", jpeg: None, ..stage.is_known() };
    stage.sees(&[("anna", "Anna")], true, vec![stage.is_known()]);
    stage.sees(&[("anna", "Anna")], true, vec![left(&stage)]);
    assert_eq!(stage.present(), (vec!["Anna"], true), "a second face of that name is still there");
    let told = stage.sees(&[], true, vec![left(&stage)]);
    assert_eq!(stage.present(), (vec![], true));
    let payload = events(&told)[0].payload(stage.now.instant, &topics(), false);
    assert_eq!((&payload["event_type"], &payload["notify"]), (&json!("left"), &json!(false)));
}

#[test]
fn the_end_of_motion_is_told_though_detection_was_switched_off() {
    let mut stage = Stage::new();
    stage.motion(MotionChange::Started);
    stage.command(Command::MotionDetection(false)).unwrap();
    assert_eq!(events(&stage.motion(MotionChange::Started)).len(), 0);
    let lasted = Duration::from_millis(2345);
    let ended = stage.motion(MotionChange::Ended { lasted });
    assert_eq!(events(&ended)[0].payload(stage.now.instant, &topics(), false)["lasted_s"], json!(2.3));
}

#[test]
fn a_jitter_of_the_rate_is_not_told() {
    let mut stage = Stage::new();
    for (measured, told) in [(15.0, 15.0), (15.3, 15.0), (14.4, 14.4), (0.0, 0.0)] {
        stage.camera(CameraNews::Rate(measured));
        assert_eq!(stage.porch().measured_fps, told);
    }
}

#[test]
fn somebody_who_is_no_longer_enrolled_is_not_present() {
    let mut stage = Stage::new();
    stage.sees(&[("anna", "Anna"), ("ben", "Ben")], false, Vec::new());
    let anna = Person { name: "Anna".into(), uuid: "Anna".into() };
    stage.people([("anna".into(), anna)].into());
    assert_eq!(stage.present(), (vec!["Anna"], false));
}

#[test]
fn privacy_ends_and_clears_everything_and_nothing_comes_in() {
    let mut stage = Stage::new();
    stage.motion(MotionChange::Started);
    let known = stage.is_known();
    let told = stage.sees(&[("anna", "Anna")], true, vec![known]);
    assert_eq!(events(&told)[0].title, "Anna is at Porch");
    assert!(stage.porch().motion && stage.appliance.state().recent.len() == 2);

    let (_, effects) = stage.command(Command::Privacy(true)).unwrap();
    let closes = |effect: &Effect| matches!(effect, Effect::Camera(_, CameraOrder::Privacy(true)));
    assert!(effects.iter().any(closes), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::BlankPictures(camera) if camera == PORCH)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::SavePrivacy)));
    let recent = &stage.appliance.state().recent;
    assert_eq!(recent.iter().map(|event| event.event_type).collect::<Vec<_>>(), ["privacy_on", "end"]);
    assert_eq!((stage.present(), stage.porch().motion), ((vec![], false), false));
    assert_eq!(stage.porch().status, Status::Privacy);

    // What was on its way when the camera closed.
    let known = stage.is_known();
    let late = [
        stage.motion(MotionChange::Started),
        stage.sees(&[("anna", "Anna")], true, vec![known]),
        stage.camera(CameraNews::Opened(Opened::default())),
    ];
    let id = "01".into();
    let jpeg = Bytes::from_static(b"x");
    let snapshot =
        stage.does(Input::Snapshot { camera: PORCH.into(), id, captured_at: stage.now.instant, jpeg });
    assert!(late.iter().chain([&snapshot]).all(|effects| events(effects).is_empty()));
    assert_eq!((stage.present(), stage.porch().motion), ((vec![], false), false));
    assert_eq!((&stage.porch().status, stage.appliance.state().recent.len()), (&Status::Privacy, 2));
    assert_eq!(stage.command(Command::Snapshot).unwrap_err(), Problem::Privacy);

    // Once more is nothing new; off opens again.
    assert!(
        stage
            .command(Command::Privacy(true))
            .unwrap()
            .1
            .iter()
            .all(|effect| !matches!(effect, Effect::SaveSettings | Effect::SavePrivacy | Effect::Camera(..)))
    );
    stage.command(Command::Privacy(false)).unwrap();
    assert_eq!(stage.porch().status, Status::Starting);
    stage.camera(CameraNews::Opened(Opened::default()));
    assert_eq!(events(&stage.motion(MotionChange::Started)).len(), 1);
}

#[test]
fn privacy_of_one_camera_leaves_the_other_alone() {
    let now = Stage::new().now;
    let plan = |id: &str| CameraPlan { id: id.into(), name: id.into(), ..CameraPlan::default() };
    let mut stage = Stage { appliance: appliance(vec![plan(PORCH), plan("shed")], now), now };
    for id in [PORCH, "shed"] {
        stage.does(Input::Camera { camera: id.into(), news: CameraNews::Opened(Opened::default()) });
    }
    stage.motion(MotionChange::Started);
    let sighting = MotionSighting {
        change: Some(MotionChange::Started),
        area_pct: 1.0,
        boxes: Vec::new(),
        captured_at: now.instant,
        jpeg: None,
        look: MotionLook::default(),
    };
    stage.does(Input::Motion { camera: "shed".into(), sighting });
    stage.command(Command::Privacy(true)).unwrap();
    let state = stage.appliance.state();
    assert_eq!(
        state.recent.iter().filter_map(|event| event.camera.as_deref()).collect::<Vec<_>>(),
        ["porch", "porch", "shed"]
    );
    assert!(state.cameras["shed"].motion && !state.cameras[PORCH].motion);
}

#[test]
fn switching_motion_detection_off_ends_it_for_the_face_loop_too() {
    let mut stage = Stage::new();
    let started = stage.motion(MotionChange::Started);
    assert!(started.iter().any(|effect| matches!(effect, Effect::Faces(_, FacesOrder::Moving(Some(_))))));
    let (_, effects) = stage.command(Command::MotionDetection(false)).unwrap();
    assert!(!stage.porch().motion);
    // Faces are not looked for any longer, though the motion loop tells its end only a moment later.
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Faces(_, FacesOrder::Moving(None)))),
        "{effects:?}"
    );
    let ended = stage.motion(MotionChange::Ended { lasted: Duration::ZERO });
    assert_eq!(events(&ended).iter().map(|event| event.event_type).collect::<Vec<_>>(), ["end"]);
    assert!(!stage.porch().motion);
}

#[test]
fn event_ids_are_ordered_even_within_a_millisecond() {
    let mut stage = Stage::new();
    let mut ids = Vec::new();
    for n in 0..300 {
        let change =
            if n % 2 == 0 { MotionChange::Started } else { MotionChange::Ended { lasted: Duration::ZERO } };
        ids.extend(events(&stage.motion(change)).iter().map(|event| event.id.clone()));
        if n % 100 == 99 {
            stage.later(0.001);
        }
    }
    assert_eq!(ids.len(), 300);
    assert!(ids.windows(2).all(|two| two[0] < two[1]) && ids.iter().all(|id| id.len() == 26));
    assert_eq!(stage.appliance.state().recent.len(), RECENT_EVENTS);
    assert_eq!(stage.appliance.state().recent[0].id, ids[299], "the newest is first");
}

#[test]
fn refused_commands_leave_the_state() {
    let mut stage = Stage::new();
    stage.camera(CameraNews::Lost(Problem::NoCamera { source: "file:x".into() }));
    let before = format!("{:?}", stage.appliance.state());
    assert_eq!(stage.command(Command::Snapshot).unwrap_err().code(), "no_camera");
    let elsewhere = Input::Command { camera: "attic".into(), command: Command::Fps(5.0) };
    assert_eq!(stage.appliance.handle(stage.now, elsewhere).unwrap_err().code(), "not_found");
    assert_eq!(format!("{:?}", stage.appliance.state()), before);
}

#[test]
fn a_lost_camera_claims_nothing() {
    let mut stage = Stage::new();
    stage.motion(MotionChange::Started);
    stage.sees(&[("anna", "Anna")], true, Vec::new());
    let effects = stage.camera(CameraNews::Lost(Problem::NoCamera { source: "file:x".into() }));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Faces(_, FacesOrder::Forget))));
    assert_eq!(
        (stage.present(), stage.porch().motion, stage.porch().status.word()),
        ((vec![], false), false, "no_device")
    );
    assert!(stage.porch().opened.is_none() && !stage.porch().status.is_online());
    // Looks that were under way bring nothing back; the end of motion is told.
    let known = stage.is_known();
    let late = [stage.sees(&[("anna", "Anna")], true, vec![known]), stage.motion(MotionChange::Started)];
    assert!(late.iter().all(|effects| events(effects).is_empty()));
    assert_eq!((stage.present(), stage.porch().motion), ((vec![], false), false));
    assert_eq!(events(&stage.motion(MotionChange::Ended { lasted: Duration::ZERO }))[0].event_type, "end");
}

#[test]
fn an_appliance_that_starts_in_private_says_so() {
    let now = Stage::new().now;
    let settings = Settings { privacy: true, ..Settings::default() };
    let plan = CameraPlan { id: PORCH.into(), settings, ..CameraPlan::default() };
    let stage = Stage { appliance: appliance(vec![plan], now), now };
    assert!(stage.porch().status == Status::Privacy && stage.porch().status.is_online());
}

#[test]
fn settings_are_orders_only_where_they_differ() {
    let mut stage = Stage::new();
    let fps = stage.porch().settings.fps;
    assert!(stage.command(Command::Fps(fps)).unwrap().1.is_empty(), "nothing to do, nothing to save");
    let (_, effects) = stage.command(Command::Fps(fps + 1.0)).unwrap();
    assert!(
        matches!(effects.as_slice(), [Effect::Camera(_, CameraOrder::Fps(_)), Effect::SaveSettings]),
        "{effects:?}"
    );
}

#[test]
fn motion_is_held_back_until_a_moment_that_everybody_sees() {
    let mut stage = Stage::new();
    let ask = |stage: &mut Stage, seconds| {
        let time = Duration::from_secs(seconds);
        let input = Input::Inhibit { camera: PORCH.into(), time, reason: "rain".into() };
        let (answer, effects) = stage.appliance.handle(stage.now, input).unwrap();
        let Answer::Data(data) = answer else { panic!("{answer:?}") };
        let [Effect::Motion(_, MotionOrder::Inhibit(until))] = effects[..] else { panic!("{effects:?}") };
        (data["until"].clone(), until)
    };
    let (until, deadline) = ask(&mut stage, 60);
    assert_eq!(until, "2026-01-02T03:05:05.000Z");
    assert_eq!(deadline, Some(stage.now.instant + Duration::from_secs(60)));
    assert_eq!(stage.appliance.next_deadline(), deadline);
    let reason = |stage: &Stage| {
        let camera = &stage.appliance.state().cameras[PORCH];
        camera.inhibited.as_ref().map(|inhibited| inhibited.reason.clone())
    };
    assert_eq!(reason(&stage).as_deref(), Some("rain"));
    stage.later(59.9);
    stage.does(Input::Tick);
    assert!(reason(&stage).is_some());
    stage.later(0.1);
    stage.does(Input::Tick);
    assert_eq!(reason(&stage), None);
    ask(&mut stage, 60);
    assert_eq!(ask(&mut stage, 0), (json!(null), None), "zero ends it");
    assert_eq!(reason(&stage), None);
    let nowhere = Input::Inhibit { camera: "attic".into(), time: Duration::ZERO, reason: String::new() };
    assert_eq!(stage.appliance.handle(stage.now, nowhere).unwrap_err().code(), "not_found");
}

#[test]
fn a_deleted_device_is_remembered_until_somebody_asks_for_it() {
    let mut stage = Stage::new();
    let saves = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::SaveSettings));
    assert!(saves(&stage.does(Input::Declined("doorward_1".into()))));
    assert!(!saves(&stage.does(Input::Declined("doorward_1".into()))), "nothing new to keep");
    assert!(!saves(&stage.does(Input::Discovery(Discovery::Lint))));
    assert!(stage.appliance.state().declined.contains("doorward_1"));
    assert!(saves(&stage.does(Input::Discovery(Discovery::Republish))));
    assert!(stage.appliance.state().declined.is_empty());
}

#[test]
fn events_speak_in_the_words_of_the_configuration() {
    let mut wording = Wording::default();
    wording.0[0] = ("{name} ist an der {camera}".into(), "Um {time} am {date}".into());
    let now = Now { instant: Instant::now(), wall: "2026-01-02T03:04:05Z".parse().unwrap() };
    let cameras = vec![CameraPlan { id: PORCH.into(), name: "Haustür".into(), ..CameraPlan::default() }];
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let appliance = Appliance::new(Plan { cameras, wording, zone, ..Plan::default() }, now, 7);
    let mut stage = Stage { appliance, now };
    stage.camera(CameraNews::Opened(Opened::default()));
    let known = stage.is_known();
    let told = stage.sees(&[("anna", "Anna")], false, vec![known]);
    let payload = events(&told)[0].payload(stage.now.instant, &topics(), false);
    assert_eq!(payload["title"], "Anna ist an der Haustür");
    assert_eq!(payload["message"], "Um 04:04 am 2026-01-02");
    assert_eq!(payload["request_topic"], "doorward/home/request");
}
