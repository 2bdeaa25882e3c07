//! What follows from what people teach, whom they are told of, and why they are not.

use serde_json::json;

use super::*;
use crate::logic::faces::training::{Changed, Job, Look, Shot, Subject, Training, Whom};
use crate::logic::why::Question;

impl Stage {
    fn asks(&mut self, training: Training) -> Result<Vec<Effect>, Problem> {
        Ok(self.appliance.handle(self.now, Input::Training(training))?.1)
    }

    /// A decision with a face in its record.
    fn decides(&mut self, event_type: &'static str, person: Option<&str>) -> Event {
        let record =
            serde_json::from_value(json!({ "face": { "box": [0.25, 0.5, 0.1, 0.2] }, "group": 3 })).unwrap();
        let person = person.map(|slug| (slug.to_owned(), slug.to_uppercase()));
        let news = FaceNews { event_type, person, record, ..self.is_known() };
        let effects = self.sees(&[], false, vec![news]);
        (*events(&effects)[0]).clone()
    }

    fn why(&mut self, question: Question) -> Result<Value, Problem> {
        match self.appliance.handle(self.now, Input::Why(question))?.0 {
            Answer::Data(data) => Ok(data),
            other => panic!("{other:?}"),
        }
    }

    fn reasons(&mut self) -> Vec<String> {
        let all = self.why(Question::default()).unwrap();
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
        let entries = all["decisions"].as_array().unwrap().iter();
        entries.map(|entry| text(entry, "missing") + " " + &text(entry, "reason")).collect()
    }
}

#[test]
fn states_stay_true_while_people_are_left_in_peace() {
    let mut stage = Stage::new();
    assert!(stage.decides("known", Some("anna")).is_worth_telling());
    stage.later(30.0);
    for (event_type, person, quiet) in [
        ("known", Some("anna"), Some("known_quiet")),
        ("unknown", None, Some("suppress_unknown_after_known")),
        ("unsure", None, Some("suppress_unknown_after_known")),
        ("known", Some("ben"), None),
        ("left", Some("anna"), None),
    ] {
        let event = stage.decides(event_type, person);
        assert_eq!(
            (event.quiet, event.payload(stage.now.instant, &topics(), false).get("quiet").is_some()),
            (quiet, quiet.is_some())
        );
        assert_eq!(event.is_worth_telling(), quiet.is_none() && event_type != "left", "{event_type}");
    }
    let effects = stage.motion(MotionChange::Started);
    assert_eq!(events(&effects)[0].quiet, Some("suppress_motion_after_known"));
    assert!(stage.porch().motion, "the state is true all the same");
    stage.sees(&[("anna", "Anna")], true, Vec::new());
    assert_eq!(stage.present(), (vec!["Anna"], true));
    let reasons = stage.reasons();
    for wanted in
        ["notify known_quiet", "notify suppress_unknown_after_known", "notify suppress_motion_after_known"]
    {
        assert!(reasons.contains(&wanted.to_owned()), "{reasons:?}");
    }
}

#[test]
fn a_household_that_is_still_being_read_takes_nobody_away() {
    let mut stage = Stage::new();
    let carl = Person { name: "Carl".into(), uuid: "c".into() };
    let people = BTreeMap::from([("carl".to_owned(), carl)]);
    let part = Input::People { people: people.clone(), self_test: Arc::default(), is_complete: false };
    stage.does(part);
    assert_eq!(stage.appliance.state().people.keys().collect::<Vec<_>>(), ["anna", "ben", "carl"]);
    stage.people(people);
    assert_eq!(stage.appliance.state().people.keys().collect::<Vec<_>>(), ["carl"]);
}

#[test]
fn an_event_brings_its_face_to_the_lesson() {
    let mut stage = Stage::new();
    let event = stage.decides("unknown", None);
    let assign =
        Training::Assign { subject: Subject::Event(event.id.clone()), name: "Carl".into(), force: false };
    let effects = stage.asks(assign).unwrap();
    let [Effect::Teach(Job::Assign { whom: Whom::Event(face), .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((face.place.x, face.place.h, face.group, face.person.as_deref()), (0.25, 0.2, Some(3), None));
    assert_eq!(&face.jpeg[..], b"face");
    // No name was given, so none can be rejected.
    let problem = stage.asks(Training::Reject { event_id: event.id }).unwrap_err();
    assert!(problem.advice().contains("names nobody"), "{problem}");
    let effects = stage.motion(MotionChange::Started);
    let motion = events(&effects)[0].id.clone();
    let problem = stage.asks(Training::Test { look: Some(Look::Event(motion)) }).unwrap_err();
    assert!(problem.advice().contains("no face"), "{problem}");
}

#[test]
fn a_capture_fetches_the_picture_first() {
    let mut stage = Stage::new();
    let enrol = Training::Enrol { name: "Carl".into(), look: Look::Capture(None), force: false };
    let effects = stage.asks(enrol.clone()).unwrap();
    let [Effect::Capture { camera, training }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(camera, PORCH);
    let effects = stage.asks(training.clone().with_frame(Bytes::from_static(b"now"))).unwrap();
    assert!(
        matches!(&effects[..], [Effect::Teach(Job::Enrol { shot: Shot::Frame(jpeg), .. })] if jpeg == "now")
    );
    stage.command(Command::Privacy(true)).unwrap();
    assert_eq!(stage.asks(enrol).unwrap_err(), Problem::Privacy);
    let elsewhere = Training::Test { look: Some(Look::Capture(Some("attic".into()))) };
    assert_eq!(stage.asks(elsewhere).unwrap_err().code(), "not_found");
}

#[test]
fn a_wrong_name_is_taken_back() {
    let mut stage = Stage::new();
    let event = stage.decides("known", Some("anna"));
    stage.sees(&[("anna", "Anna")], false, Vec::new());
    let corrected = Some((event.id.clone(), Some(("ben".to_owned(), "Ben".to_owned()))));
    let effects = stage.does(Input::Taught(Changed { corrected, ..Changed::default() }));
    let told = events(&effects)[0];
    assert_eq!((told.event_type, told.title.as_str()), ("corrected", "It was Ben, not Anna"));
    assert_eq!((&told.detail["was"], &told.detail["person"]), (&json!("anna"), &json!("ben")));
    assert_eq!(stage.present(), (vec![], false), "who was never there is not present");
    // Nothing follows from the wrong name: the next stranger is told.
    assert_eq!(stage.decides("unknown", None).quiet, None);
    let effects =
        stage.does(Input::Taught(Changed { corrected: Some((event.id, None)), ..Changed::default() }));
    assert_eq!(events(&effects)[0].title, "It was not Anna");
}

#[test]
fn the_forgotten_leave_no_event_and_no_picture() {
    let mut stage = Stage::new();
    stage.decides("unknown", None);
    let record =
        serde_json::from_value(json!({ "second": { "person": "anna", "score": 0.2 }, "rule": "r" })).unwrap();
    let news = FaceNews { person: Some(("ben".into(), "Ben".into())), record, ..stage.is_known() };
    stage.sees(&[], false, vec![news]);
    stage.decides("known", Some("anna"));
    let effects = stage.does(Input::Taught(Changed { forgotten: Some("anna".into()), ..Changed::default() }));
    let [Effect::BlankFace(camera), Effect::ForgetPerson(slug)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((camera.as_str(), slug.as_str()), (PORCH, "anna"));
    let recent = &stage.appliance.state().recent;
    assert_eq!(recent.len(), 2);
    assert!(recent.iter().all(|event| !Value::Object(event.detail.clone()).to_string().contains("anna")));
    let list = stage.asks(Training::List).unwrap();
    assert!(matches!(&list[..], [Effect::Teach(Job::List { last_seen })] if last_seen.is_empty()));
}

#[test]
fn why_there_was_nothing_is_remembered() {
    let mut stage = Stage::new();
    let sighting = FaceSighting {
        unfit: vec![("too_small", 22), ("too_small", 23), ("masked", 90)],
        silent: vec!["still"],
        ..FaceSighting::default()
    };
    stage.does(Input::Faces { camera: PORCH.into(), sighting });
    let look = |raw, area_px, why| MotionLook { raw, area_px, why };
    for look in [
        look(false, 10, None),
        look(false, 2900, None),
        look(true, 5000, None),
        look(false, 0, None),
        look(false, 0, Some("inhibited")),
    ] {
        let (boxes, captured_at) = (Vec::new(), stage.now.instant);
        let sighting = MotionSighting { change: None, area_pct: 0.0, boxes, captured_at, jpeg: None, look };
        stage.does(Input::Motion { camera: PORCH.into(), sighting });
    }
    let mut reasons = stage.reasons();
    reasons.sort();
    let wanted = [
        "face masked",
        "face still",
        "face too_small",
        "motion below_area",
        "motion inhibited",
        "motion too_short",
    ];
    assert_eq!(reasons, wanted);
    let all = stage.why(Question::default()).unwrap();
    let small =
        all["decisions"].as_array().unwrap().iter().find(|entry| entry["reason"] == "too_small").unwrap();
    assert_eq!(
        (&small["count"], &small["detail"]["px"], &all["now"][PORCH]["state"]),
        (&json!(2), &json!(23), &json!("running"))
    );
    // Ten minutes later one has to ask for it.
    stage.later(700.0);
    assert!(stage.reasons().is_empty());
    let from = stage.now.wall.checked_sub(Duration::from_secs(800)).ok();
    assert_eq!(
        stage.why(Question { from, ..Question::default() }).unwrap()["decisions"].as_array().unwrap().len(),
        6
    );
    let later = stage.now.wall.checked_add(Duration::from_secs(1)).ok();
    let upside_down = Question { from: later, ..Question::default() };
    assert_eq!(stage.why(upside_down).unwrap_err().code(), "bad_request");
    // Privacy leaves nothing to ask about.
    stage.command(Command::Privacy(true)).unwrap();
    assert!(
        stage.why(Question { from, ..Question::default() }).unwrap()["decisions"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
