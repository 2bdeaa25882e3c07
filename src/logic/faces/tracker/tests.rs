//! Scenes with a clock that is only a number: who walks where, and what is told.

use super::*;
use crate::logic::faces::EMBEDDING_LENGTH;
use crate::logic::faces::gallery::Person;

mod household;
mod still;

/// A gallery of alice (axis 0) and bob (axis 1), a tracker and a clock.
struct Stage {
    tracker: Tracker,
    gallery: Gallery,
    start: Instant,
    now: Instant,
    frame: u64,
    log: Vec<String>,
    looks: usize,
    settings: Settings,
}

/// Somebody in a frame: where, how wide, and how much like alice and bob.
#[derive(Clone, Copy)]
struct Actor {
    x: f32,
    width: f32,
    alice: f32,
    bob: f32,
    norm: f32,
    /// What else distinguishes them, so that strangers differ from each other.
    axis: usize,
}

const ALICE: Actor = Actor { x: 100.0, width: 80.0, alice: 0.7, bob: 0.1, norm: 12.0, axis: 5 };
const BOB: Actor = Actor { x: 600.0, alice: 0.1, bob: 0.7, axis: 6, ..ALICE };
const STRANGER: Actor = Actor { x: 100.0, alice: 0.1, bob: 0.05, axis: 7, ..ALICE };

impl Actor {
    fn at(self, x: f32) -> Actor {
        Actor { x, ..self }
    }

    fn face(&self) -> Face {
        let Actor { x, width, .. } = *self;
        let rect = PixelRect { x, y: 200.0, width, height: width * 1.2 };
        let points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
            .map(|[u, v]| [rect.x + u * rect.width, rect.y + v * rect.height]);
        Face { rect, score: 0.9, points }
    }

    fn answer(&self) -> Answer {
        let mut raw = [0.0; EMBEDDING_LENGTH];
        (raw[0], raw[1]) = (self.alice, self.bob);
        raw[self.axis] = (1.0 - self.alice * self.alice - self.bob * self.bob).sqrt();
        let embedding = Embedding { norm: self.norm, ..Embedding::from_raw(&raw).unwrap() };
        Answer { embedding, sharpness: 0.7, detail_across: 0.7, is_confirmed: true }
    }
}

impl Stage {
    fn new() -> Stage {
        Stage::with(Settings::default())
    }

    fn with(settings: Settings) -> Stage {
        let person = |slug: &str, axis| {
            let mut raw = [0.0; EMBEDDING_LENGTH];
            raw[axis] = 1.0;
            let id = PersonId { slug: slug.into(), name: slug.to_uppercase().into() };
            Person::from_photos(id, &[&Embedding::from_raw(&raw).unwrap()]).unwrap()
        };
        let start = Instant::now();
        Stage {
            tracker: Tracker::new(settings),
            gallery: Gallery::new(vec![person("alice", 0), person("bob", 1)]),
            start,
            now: start,
            frame: 0,
            log: Vec::new(),
            looks: 0,
            settings,
        }
    }

    /// One frame, 250 ms after the one before, with motion around each actor if anything `moves`.
    fn frame(&mut self, actors: &[Actor], moves: bool) -> Observed {
        self.now += Duration::from_millis(250);
        self.frame += 1;
        let faces: Vec<Face> = actors.iter().map(Actor::face).collect();
        let motion: Vec<PixelRect> =
            faces.iter().filter(|_| moves).map(|face| face.rect.grown(0.5)).collect();
        let scene = Scene {
            width: 1280,
            height: 720,
            frame: self.frame,
            captured_at: self.now - Duration::from_millis(30),
            faces: &faces,
            motion: &motion,
        };
        let observed = self.tracker.observe(&scene, self.now);
        for ask in &observed.asks {
            let actor = actors.iter().find(|actor| actor.face() == ask.face).unwrap();
            self.tracker.looked(&scene, ask, &actor.answer(), &self.gallery, self.now);
            self.looks += 1;
        }
        self.decide();
        observed
    }

    fn decide(&mut self) {
        for decision in self.tracker.decide(self.now) {
            let who = decision.person.as_ref().map_or("-", |person| &person.slug);
            let at = (self.now - self.start).as_millis();
            self.log.push(format!("{at} {} {who} {}", decision.kind.word(), decision.rule.word()));
        }
    }

    /// Walks an actor to the right for so many frames.
    fn walk(&mut self, actor: Actor, n_frames: usize) -> &mut Stage {
        for i in 0..n_frames {
            self.frame(&[actor.at(actor.x + 15.0 * i as f32)], true);
        }
        self
    }

    /// Nobody for so many milliseconds; `decide` is called at each deadline, as the face loop does.
    fn wait(&mut self, ms: u64) -> &mut Stage {
        let end = self.now + Duration::from_millis(ms);
        while let Some(deadline) = self.tracker.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.now, "a deadline in the past would spin");
            self.now = deadline;
            self.decide();
        }
        self.now = end;
        self
    }

    /// What was told, without times.
    fn told(&self) -> Vec<&str> {
        self.log.iter().map(|line| line.split_once(' ').unwrap().1).collect()
    }
}

#[test]
fn a_known_person_is_told_once_and_leaves_once() {
    let mut stage = Stage::new();
    stage.walk(ALICE, 20);
    assert_eq!(
        stage.log,
        ["500 known alice margin_ok"],
        "two agreeing frames make a name, the first does not"
    );
    assert_eq!(stage.tracker.present().known[0].slug.as_ref(), "alice");
    assert!(stage.looks <= 6, "{} looks at a face with a name", stage.looks);
    stage.wait(60_000);
    assert_eq!(stage.told(), ["known alice margin_ok", "left alice not_seen"]);
    assert_eq!(stage.tracker.present(), Present::default());
    assert_eq!(stage.tracker.next_deadline(), None);
}

#[test]
fn never_a_name_from_one_frame() {
    let mut stage = Stage::new();
    stage.walk(Actor { alice: 0.95, ..ALICE }, 1).wait(60_000);
    assert_eq!(stage.log, [] as [&str; 0], "one frame without movement is not even an arrival");
    let once = Actor { alice: 0.95, ..ALICE };
    let later = Actor { norm: 5.0, ..ALICE };
    stage.frame(&[once], true);
    stage.frame(&[later.at(120.0)], true);
    stage.frame(&[later.at(140.0)], true);
    stage.wait(60_000);
    assert_eq!(stage.told(), ["unsure - too_few_good_frames"]);
}

#[test]
fn a_stranger_is_told_after_the_grace() {
    let mut stage = Stage::new();
    stage.walk(STRANGER, 40);
    assert_eq!(stage.log, ["7500 unknown - below_lower"], "the second clear look came after 500 ms");
    assert!(stage.tracker.present().unknown);
    assert!(stage.looks <= 12, "{} looks", stage.looks);
    stage.wait(60_000);
    assert_eq!(stage.told(), ["unknown - below_lower", "left - not_seen"]);
}

#[test]
fn a_stranger_who_is_gone_before_the_grace_ends_is_told_too() {
    let mut stage = Stage::new();
    stage.walk(STRANGER, 4).wait(60_000);
    assert_eq!(stage.log, ["7500 unknown - below_lower"]);
}

#[test]
fn a_known_face_within_the_grace_excuses_the_unknown_one() {
    // The same track turns to the camera at last.
    let mut stage = Stage::new();
    stage.walk(STRANGER, 4).walk(Actor { axis: 7, ..ALICE }.at(160.0), 12).wait(60_000);
    assert!(stage.told().iter().all(|line| !line.contains("unknown")), "{:?}", stage.log);
    // Another track, five seconds later: unknown at 0, known at 5.
    let mut stage = Stage::new();
    stage.walk(STRANGER, 4).wait(4_000).walk(ALICE.at(900.0), 4).wait(60_000);
    assert_eq!(stage.told(), ["known alice margin_ok", "left alice not_seen"]);
    // No known face: unknown at 7.
    let mut stage = Stage::new();
    stage.walk(STRANGER, 4).wait(60_000);
    assert_eq!(stage.told(), ["unknown - below_lower"]);
}

#[test]
fn a_companion_excuses_nobody() {
    let mut stage = Stage::new();
    for i in 0..40 {
        let x = 15.0 * i as f32;
        stage.frame(&[STRANGER.at(50.0 + x), BOB.at(400.0 + x)], true);
    }
    assert_eq!(stage.told(), ["known bob margin_ok", "unknown - below_lower"]);
    let present = stage.tracker.present();
    assert_eq!((present.known.len(), present.unknown, present.any), (1, true, true));
}

#[test]
fn a_later_name_corrects_unknown_and_unsure() {
    let mut stage = Stage::with(Settings { unknown_grace: Duration::ZERO, ..Settings::default() });
    stage.walk(STRANGER, 3);
    stage.walk(Actor { axis: 7, alice: 0.6, ..ALICE }.at(150.0), 1);
    assert_eq!(stage.told(), ["unknown - below_lower"]);
    // One look speaks for alice and none against her; the strangers' looks name nobody.
    let corrected = {
        stage.now += Duration::from_millis(1500);
        stage.frame(&[Actor { axis: 7, alice: 0.6, ..ALICE }.at(170.0)], true);
        stage.told()
    };
    assert_eq!(corrected, ["unknown - below_lower", "known alice margin_ok"]);
}

#[test]
fn look_alikes_are_unsure() {
    let twins = Actor { alice: 0.62, bob: 0.6, ..ALICE };
    let mut stage = Stage::new();
    stage.walk(twins, 8).wait(60_000);
    assert_eq!(stage.told(), ["unsure - small_margin"]);
    let between = Actor { alice: 0.39, bob: 0.1, ..ALICE };
    let mut stage = Stage::new();
    stage.walk(between, 8).wait(60_000);
    assert_eq!(stage.told(), ["unsure - between_limits"]);
}

#[test]
fn small_faces_are_refused_with_a_reason() {
    let mut stage = Stage::new();
    let observed = stage.frame(&[Actor { width: 30.0, ..ALICE }], true);
    assert_eq!((observed.asks.len(), observed.refused), (0, vec![(Flaw::TooSmall, 30.0)]));
    stage.walk(Actor { width: 30.0, ..ALICE }, 20).wait(60_000);
    assert_eq!((stage.looks, stage.log.len()), (0, 0));
    stage.walk(Actor { width: 36.0, ..ALICE }, 20).wait(60_000);
    assert_eq!(stage.told(), ["unsure - too_few_good_frames"], "wide enough for a doubt, not for a name");
    assert!(stage.looks <= 3);
}

#[test]
fn a_box_without_a_face_is_nothing() {
    let mut stage = Stage::new();
    stage.walk(Actor { norm: 4.1, alice: 0.5, ..ALICE }, 30).wait(60_000);
    assert_eq!((stage.log.len(), stage.looks <= 12), (0, true));
}

#[test]
fn two_people_who_cross_keep_their_names() {
    let mut stage = Stage::new();
    for i in 0..24 {
        let x = 30.0 * i as f32;
        let (alice, bob) = (ALICE.at(100.0 + x), BOB.at(700.0 - x));
        // At the crossing only the one in front is found.
        if (9..12).contains(&i) {
            stage.frame(&[bob], true)
        } else {
            stage.frame(&[alice, bob], true)
        };
    }
    stage.wait(60_000);
    let mut told = stage.told();
    told.sort_unstable();
    let wanted = ["known alice margin_ok", "known bob margin_ok", "left alice not_seen", "left bob not_seen"];
    assert_eq!(told, wanted);
}

#[test]
fn two_who_cross_after_one_look_each_are_told_apart() {
    let mut stage = Stage::new();
    let stranger = STRANGER.at(0.0);
    // From look to look they change places.
    for i in 0..3 {
        let (one, other) = if i % 2 == 0 { (300.0, 380.0) } else { (380.0, 300.0) };
        stage.frame(&[ALICE.at(one), stranger.at(other)], true);
    }
    stage.walk(ALICE.at(380.0), 4).wait(60_000);
    let mut told = stage.told();
    told.sort_unstable();
    assert_eq!(told, ["known alice margin_ok", "left alice not_seen", "unknown - below_lower"]);
}

#[test]
fn somebody_else_in_the_same_place_is_a_new_face() {
    let mut stage = Stage::new();
    stage.walk(ALICE, 4).walk(BOB.at(160.0), 8).wait(60_000);
    let told = stage.told();
    assert_eq!(told.iter().filter(|line| line.starts_with("known")).count(), 2, "{told:?}");
    assert!(told.contains(&"known bob margin_ok"), "{told:?}");
}

#[test]
fn a_face_that_jumps_is_followed_by_its_likeness() {
    let mut stage = Stage::new();
    stage.walk(ALICE, 4);
    stage.walk(ALICE.at(900.0), 4).wait(60_000);
    assert_eq!(stage.told(), ["known alice margin_ok", "left alice not_seen"]);
}

#[test]
fn the_best_frame_is_chosen_by_quality_not_by_likeness() {
    let mut stage = Stage::new();
    let mut decisions = Vec::new();
    for (frame, actor) in
        [(1, Actor { width: 60.0, alice: 0.9, ..ALICE }), (2, Actor { width: 100.0, alice: 0.5, ..ALICE })]
    {
        let faces = [actor.face()];
        let motion = [faces[0].rect];
        stage.now += Duration::from_millis(100);
        let (width, height, captured_at) = (1280, 720, stage.now);
        let scene = Scene { width, height, frame, captured_at, faces: &faces, motion: &motion };
        for ask in stage.tracker.observe(&scene, stage.now).asks {
            stage.tracker.looked(&scene, &ask, &actor.answer(), &stage.gallery, stage.now);
        }
        decisions.extend(stage.tracker.decide(stage.now));
    }
    let [decision] = &decisions[..] else { panic!("{decisions:?}") };
    assert_eq!((decision.best_frame, decision.frames, decision.face.px), (2, 2, 100.0));
    assert_eq!(decision.score, Some(0.9));
    assert_eq!(decision.captured_at, stage.start + Duration::from_millis(100));
}

#[test]
fn forgetting_says_nothing_and_a_crowd_is_bounded() {
    let mut stage = Stage::new();
    stage.walk(ALICE, 4);
    stage.tracker.forget();
    assert_eq!(stage.tracker.settings(), &stage.settings);
    stage.wait(60_000);
    assert_eq!(stage.told(), ["known alice margin_ok"]);
    let crowd: Vec<Actor> = (0..100).map(|i| STRANGER.at(120.0 * i as f32)).collect();
    for _ in 0..50 {
        assert!(stage.frame(&crowd, true).asks.len() <= MAX_LOOKS);
    }
    assert!(stage.tracker.tracks.len() <= MAX_TRACKS);
}
