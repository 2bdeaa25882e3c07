//! The whole path on real photographs: enrol, walk by, decide. The clock is only a number.

use std::path::Path;

use image::{RgbImage, imageops};

use super::*;
use crate::logic::faces::{Kind, Rule};
use crate::vision::enrol::{Enroller, Owner};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
/// Time between two frames that the face loop sees.
const STEP: Duration = Duration::from_millis(200);

fn photo(file: &str) -> RgbImage {
    image::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces").join(file)).unwrap().to_rgb8()
}

/// People in a folder, a loop and a clock.
struct Porch {
    models: Models,
    faces: FaceLoop,
    now: Instant,
    frame: u64,
    decisions: Vec<Decision>,
    refused: Vec<Flaw>,
}

impl Porch {
    fn new(finder: Finder, people: &[(&str, &[&str])]) -> Porch {
        let mut models = Models::load(finder, CAMERA_SIDE).unwrap();
        let root = tempfile::tempdir().unwrap();
        for (name, files) in people {
            std::fs::create_dir(root.path().join(name)).unwrap();
            for (i, file) in files.iter().enumerate() {
                let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces").join(file);
                std::fs::copy(from, root.path().join(name).join(format!("{i}.jpg"))).unwrap();
            }
        }
        let mut enroller = Enroller::new(root.path().to_owned(), Owner::Shared);
        let mut update = enroller.poll(&mut models.eyes()).unwrap();
        while enroller.is_busy() {
            update = enroller.poll(&mut models.eyes()).unwrap_or(update);
        }
        assert_eq!((update.gallery.people().count(), update.refusals.len()), (people.len(), 0));
        let settings = Settings { unknown_grace: Duration::from_secs(2), ..Settings::default() };
        let (now, decisions, refused) = (Instant::now(), Vec::new(), Vec::new());
        Porch { models, faces: FaceLoop::new(settings, update.gallery), now, frame: 0, decisions, refused }
    }

    fn frame(&mut self, picture: &RgbImage, motion: &[PixelRect]) -> Report {
        self.now += STEP;
        self.frame += 1;
        let (width, height) = picture.dimensions();
        let picture = Picture::new(width as usize, height as usize, picture.as_raw()).unwrap();
        let look = Look { picture, frame: self.frame, captured_at: self.now, motion };
        let report = self.faces.look(&mut self.models, &look, self.now);
        assert!(report.error.is_none(), "{:?}", report.error);
        self.decisions.extend(report.decisions.iter().cloned());
        self.refused.extend(report.refused.iter().map(|(flaw, _)| *flaw));
        report
    }

    /// Lets time pass until nobody is followed.
    fn wait(&mut self) {
        while let Some(deadline) = self.faces.next_deadline() {
            self.now = deadline;
            self.decisions.extend(self.faces.tick(deadline).decisions);
        }
    }

    /// Somebody walks from left to right and comes nearer: 15 frames, the portrait between `from` and `to` pixels high.
    fn walk(&mut self, portrait: &RgbImage, from: u32, to: u32) {
        for step in 0..15 {
            let (picture, place) =
                scene(portrait, from + (to - from) * step / 14, i64::from(60 + step * 45), step);
            self.frame(&picture, &[place]);
        }
        self.wait();
    }

    fn kinds(&self) -> Vec<(Kind, Option<&str>)> {
        self.decisions.iter().map(|d| (d.kind, d.person.as_ref().map(|person| &*person.slug))).collect()
    }
}

/// A wall with a portrait in front of it, and where that is; a little noise that differs from frame to frame.
fn scene(portrait: &RgbImage, height: u32, x: i64, seed: u32) -> (RgbImage, PixelRect) {
    let width = portrait.width() * height / portrait.height();
    let small = imageops::resize(portrait, width, height, imageops::FilterType::Triangle);
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut picture = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = (state % 9) as u8;
        image::Rgb([90 + (x / 40 % 3) as u8 * 8 + noise, 100 + (y / 30 % 2) as u8 * 10 + noise, 96 + noise])
    });
    let y = i64::from(HEIGHT - height) / 2;
    imageops::replace(&mut picture, &small, x, y);
    let place = PixelRect { x: x as f32, y: y as f32, width: width as f32, height: height as f32 };
    (picture, place)
}

const OBAMA: (&str, &[&str]) = ("Barack", &["known/obama/1.jpg", "known/obama/2.jpg"]);

#[test]
fn other_photos_of_the_enrolled_are_named_and_strangers_never() {
    let mut porch = Porch::new(Finder::YuNet, &[OBAMA]);
    let score = |porch: &mut Porch, file: &str| {
        let image = photo(file);
        let picture = Picture::new(image.width() as usize, image.height() as usize, image.as_raw()).unwrap();
        let face = porch.models.find(&picture, None).unwrap()[0];
        let answer = porch.models.embed(&picture, &Ask { track: 0, face }).unwrap();
        porch.faces.gallery.find(&answer.embedding).score()
    };
    for file in ["known/obama/3.jpg", "known/obama/4.jpg"] {
        let score = score(&mut porch, file);
        assert!(score >= 0.45, "{file}: {score}");
    }
    let strangers = [
        "single/biden.jpg",
        "single/collins.jpg",
        "single/hopper.jpg",
        "known/macron/2.jpg",
        "known/ardern/2.jpg",
    ];
    for file in strangers {
        let score = score(&mut porch, file);
        assert!(score < 0.36, "{file}: {score}");
    }
}

#[test]
fn a_known_person_who_walks_by_is_told_once() {
    fn is_send<T: Send>(_: &T) {}
    let mut porch = Porch::new(Finder::YuNet, &[OBAMA]);
    is_send(&porch.models);
    let wanted = [(Kind::Known, Some("barack")), (Kind::Left, Some("barack"))];
    porch.walk(&photo("known/obama/3.jpg"), 300, 500);
    assert_eq!(porch.kinds(), wanted);
    porch.decisions.clear();
    porch.walk(&photo("known/obama/4.jpg"), 200, 400);
    assert_eq!(porch.kinds(), wanted);
    let known = &porch.decisions[0];
    assert_eq!((known.rule, known.margin, known.second.is_none()), (Rule::MarginOk, None, true));
    assert!(known.score.unwrap() > 0.45 && known.face.px >= 40.0 && known.frames >= 2, "{known:?}");
    assert!(known.face.fractions.iter().all(|v| (0.0..=1.0).contains(v)));
    assert!(porch.models.detect_times().median().is_some() && porch.models.embed_times().last().is_some());
}

#[test]
fn strangers_who_walk_by_are_told_as_unknown() {
    let mut porch = Porch::new(Finder::YuNet, &[OBAMA, ("Grace", &["single/hopper.jpg"])]);
    for file in ["single/biden.jpg", "known/macron/2.jpg"] {
        let n = porch.decisions.len();
        porch.walk(&photo(file), 220, 420);
        let told = &porch.kinds()[n..];
        assert_eq!(told, [(Kind::Unknown, None), (Kind::Left, None)], "{file}: {:?}", &porch.decisions[n..]);
    }
}

#[test]
fn a_tiny_portrait_is_nothing_and_says_why() {
    let mut porch = Porch::new(Finder::YuNet, &[OBAMA]);
    porch.walk(&photo("known/obama/4.jpg"), 60, 70);
    assert!(porch.decisions.is_empty(), "{:?}", porch.decisions);
    assert!(porch.refused.contains(&Flaw::TooSmall), "{:?}", porch.refused);
}

#[test]
fn a_portrait_that_hangs_still_is_no_arrival() {
    let mut porch = Porch::new(Finder::YuNet, &[OBAMA]);
    let portrait = photo("known/obama/4.jpg");
    for step in 0..25 {
        // Something moves in the other corner.
        let (picture, _) = scene(&portrait, 300, 200, step);
        let report = porch
            .frame(&picture, &[PixelRect { x: 900.0 + step as f32, y: 500.0, width: 80.0, height: 80.0 }]);
        assert!(!report.present.any);
    }
    porch.wait();
    assert!(porch.decisions.is_empty(), "{:?}", porch.decisions);
}

#[test]
fn pictures_without_a_face_bring_no_decision() {
    for finder in Finder::ALL {
        let mut porch = Porch::new(finder, &[OBAMA]);
        for file in ["nonface/chelsea.png", "nonface/coffee.png"] {
            let picture = photo(file);
            for step in 0..5 {
                let (picture, place) = scene(&picture, 400, i64::from(100 + 60 * step), step);
                porch.frame(&picture, &[place]);
            }
            porch.wait();
        }
        assert!(porch.decisions.is_empty(), "{}: {:?}", finder.word(), porch.decisions);
    }
}

#[test]
fn rustface_works_as_a_detector() {
    let mut porch = Porch::new(Finder::Rustface, &[OBAMA]);
    porch.walk(&photo("known/obama/4.jpg"), 300, 500);
    assert_eq!(porch.kinds(), [(Kind::Known, Some("barack")), (Kind::Left, Some("barack"))]);
    porch.decisions.clear();
    porch.walk(&photo("known/macron/2.jpg"), 300, 500);
    assert!(porch.decisions.iter().all(|decision| decision.person.is_none()), "{:?}", porch.decisions);
}

#[test]
fn only_the_moving_part_is_searched() {
    let faces = FaceLoop::new(Settings::default(), Arc::default());
    let pixels = vec![0; 3 * 1280 * 720];
    let picture = Picture::new(1280, 720, &pixels).unwrap();
    let motion = |x, y, width, height| [PixelRect { x, y, width, height }];
    assert_eq!(faces.region(&picture, &[]), None);
    assert_eq!(faces.region(&picture, &motion(0.0, 0.0, 1200.0, 700.0)), None);
    let small = faces.region(&picture, &motion(600.0, 300.0, 10.0, 10.0)).unwrap();
    assert_eq!((small.width, small.height, small.centre()), (320.0, 320.0, [605.0, 305.0]));
    let corner = faces.region(&picture, &motion(1270.0, 710.0, 10.0, 10.0)).unwrap();
    assert!(corner.x + corner.width <= 1280.0 && corner.y + corner.height <= 720.0);
    assert_eq!(faces.region(&picture, &motion(5000.0, 0.0, 10.0, 10.0)), None);
}

#[test]
fn with_a_second_opinion_strangers_are_still_unknown_and_the_enrolled_still_named() {
    for (photo, wanted) in [
        ("single/hopper.jpg", (Kind::Unknown, Rule::BelowLower)),
        ("known/obama/2.jpg", (Kind::Known, Rule::MarginOk)),
    ] {
        let mut porch = Porch::new(Finder::YuNet, &[("Barack", &["known/obama/1.jpg"])]);
        porch.models = Models::load(Finder::YuNet, CAMERA_SIDE).unwrap().with_second_opinion().unwrap();
        porch.walk(&self::photo(photo), 260, 400);
        porch.wait();
        let told: Vec<_> = porch.decisions.iter().map(|decision| (decision.kind, decision.rule)).collect();
        assert_eq!(told[0], wanted, "{photo}: {told:?}");
    }
}
