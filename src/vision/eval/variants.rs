//! Each face again as a camera might see it (small, gray, compressed, blurred, tilted), and boxes where no face is.
//!
//! This says where recognition ends, and whether a second detector that looks at every box would help: it should confirm faces and
//! nothing else.
//!
//! Not here: the making of the pictures (see `scenes`).

use std::fmt::Write;

use image::RgbImage;

use super::progress::Progress;
use super::report::percent;
use super::scenes::{self, Change};
use super::shots::Shots;
use super::statistics::{median, share};
use super::trials::{Household, Outcome, Set, judge};
use crate::logic::faces::quality::{CLEAR_NORM, Grade, Limits, MIN_NORM};
use crate::logic::faces::tracker::{Answer, Ask};
use crate::logic::faces::verdict::of_equal_looks;
use crate::logic::faces::{Face, Gallery, PixelRect};
use crate::vision::faces::{CAMERA_SIDE, Models};
use crate::vision::model::{Detector, Picture, SecondOpinion, YuNet};
use crate::vision::photo;

/// A box is the face that was put there when they share so much (intersection over union).
const SAME_FACE_OVERLAP: f32 = 0.3;
/// Boxes are studied from this score of the detector up.
const LOW_SCORE: f32 = 0.3;

/// Measures and tells.
///
/// # Errors
/// When a built-in model does not load.
pub(super) fn measure(
    shots: &Shots,
    household: &Household<'_>,
    limits: Limits,
    photo_side: usize,
    models: &mut Models,
    progress: &mut Progress<'_>,
) -> Result<String, String> {
    let second = SecondOpinion::load().map_err(|error| error.to_string())?;
    let mut detector = YuNet::load(CAMERA_SIDE).map_err(|error| error.to_string())?;
    detector.report_from(LOW_SCORE);
    let mut study = Study { second, models, detector, limits, milliseconds: Vec::new() };

    let mut rows: Vec<Row> = Change::ALL.iter().map(|change| Row::new(change.name())).collect();
    let mut boxes =
        [Boxes::new("no face in it"), Boxes::new("faces upside down"), Boxes::new("faces in pieces")];
    let n_photos =
        shots.people.iter().chain(&shots.strangers).map(|subject| subject.shots.len()).sum::<usize>();
    progress.begin("photos in variants", n_photos + shots.no_faces.len());
    let whole = household.gallery();
    let known = shots.people.iter().enumerate().map(|(at, subject)| (Some(at), subject));
    for (at, subject) in known.chain(shots.strangers.iter().map(|subject| (None, subject))) {
        for (n, shot) in subject.shots.iter().enumerate() {
            progress.step();
            let (Some(seen), Ok(photo)) = (shot.main(), photo::open(&shot.path, photo_side)) else {
                continue;
            };
            let own = at.and_then(|at| household.gallery_without_shot(at, n));
            let (set, gallery) = match (at, own) {
                (Some(_), Some(gallery)) => (Set::Enrolled, gallery),
                (Some(at), None) => (Set::LeftOut, household.gallery_without(at).unwrap_or_default()),
                (None, _) => (Set::Stranger, whole.clone()),
            };
            for (row, change) in rows.iter_mut().zip(Change::ALL) {
                if let Some((frame, place)) = scenes::frame(photo.pixels(), &seen.face, change) {
                    study.face(row, &frame, &place, set, &subject.name, &gallery, household.known());
                }
            }
            if let Some((frame, _)) = scenes::frame(photo.pixels(), &seen.face, Change::Width(112)) {
                study.boxes(&mut boxes[1], &image::imageops::rotate180(&frame));
                study.boxes(&mut boxes[2], &scenes::in_pieces(&frame));
            }
        }
    }
    for shot in &shots.no_faces {
        progress.step();
        let Ok(photo) = photo::open(&shot.path, photo_side) else { continue };
        scenes::views(photo.pixels()).iter().for_each(|view| study.boxes(&mut boxes[0], view));
    }
    Ok(text(&rows, &boxes, median(study.milliseconds)))
}

struct Study<'a> {
    second: SecondOpinion,
    models: &'a mut Models,
    detector: YuNet,
    limits: Limits,
    milliseconds: Vec<f64>,
}

impl Study<'_> {
    /// One face in one variant.
    #[allow(clippy::too_many_arguments)]
    fn face(
        &mut self,
        row: &mut Row,
        frame: &RgbImage,
        place: &PixelRect,
        set: Set,
        truth: &str,
        gallery: &Gallery,
        known: f32,
    ) {
        row.n += 1;
        let picture = picture(frame);
        let faces = self.models.find(&picture, None).unwrap_or_default();
        let of_limit = faces.into_iter().filter(|face| face.score >= self.limits.min_score);
        let mut same = of_limit.filter(|face| face.rect.overlap(place) >= SAME_FACE_OVERLAP);
        let looked = same
            .next()
            .and_then(|face| Some((face, self.models.embed(&picture, &Ask { track: 0, face }).ok()?)));
        let told = looked.as_ref().and_then(|(face, answer)| {
            let grade = self.limits.grade_with(face, answer.embedding.norm, answer.detail_across);
            of_equal_looks(grade, &gallery.find(&answer.embedding), known)
        });
        let named = told.as_ref().and_then(|(_, _, person)| person.as_ref());
        let outcome = judge(set, told.as_ref().map(|(kind, _, _)| *kind), named, truth);
        match set {
            Set::Enrolled => row.enrolled[index(outcome)] += 1,
            Set::Stranger | Set::LeftOut | Set::NoFace => row.strangers[index(outcome)] += 1,
        }
        if let Some((face, answer)) = looked {
            row.found += 1;
            let clear =
                self.limits.grade_with(&face, answer.embedding.norm, answer.detail_across) == Grade::Clear;
            let confirmed = self.confirms(&picture, &face);
            row.clear += usize::from(clear);
            row.confirmed += usize::from(confirmed);
            row.clear_confirmed += usize::from(clear && confirmed);
        }
    }

    fn confirms(&mut self, picture: &Picture<'_>, face: &Face) -> bool {
        let start = std::time::Instant::now();
        let confirmed = self.second.confirms(picture, face).unwrap_or(false);
        self.milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        confirmed
    }

    /// Every box of a picture without an upright face.
    fn boxes(&mut self, boxes: &mut Boxes, frame: &RgbImage) {
        boxes.n_pictures += 1;
        let picture = picture(frame);
        for face in self.detector.detect(&picture, None).unwrap_or_default() {
            let norm = self
                .models
                .embed(&picture, &Ask { track: 0, face })
                .map_or(0.0, |answer: Answer| answer.embedding.norm);
            let confirmed = self.confirms(&picture, &face);
            boxes.add(&face, norm, confirmed, self.limits);
        }
    }
}

fn picture(frame: &RgbImage) -> Picture<'_> {
    Picture::new(frame.width() as usize, frame.height() as usize, frame.as_raw()).expect("a frame has pixels")
}

fn index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Right => 0,
        Outcome::Wrong => 1,
        Outcome::Unsure => 2,
        Outcome::Missed => 3,
    }
}

/// One change of the picture, over all faces.
struct Row {
    name: String,
    n: usize,
    found: usize,
    /// Good enough for "unknown".
    clear: usize,
    confirmed: usize,
    clear_confirmed: usize,
    /// By [`index`].
    enrolled: [usize; 4],
    strangers: [usize; 4],
}

impl Row {
    fn new(name: String) -> Row {
        Row {
            name,
            n: 0,
            found: 0,
            clear: 0,
            confirmed: 0,
            clear_confirmed: 0,
            enrolled: [0; 4],
            strangers: [0; 4],
        }
    }
}

/// Boxes where no upright face is: by the detector's score and by the length of the embedding.
struct Boxes {
    name: &'static str,
    n_pictures: usize,
    /// `[score below the limit, from it up][norm below 7, below 10, from 10 up]`: all boxes, and the confirmed ones.
    all: [[usize; 3]; 2],
    confirmed: [[usize; 3]; 2],
}

impl Boxes {
    fn new(name: &'static str) -> Boxes {
        Boxes { name, n_pictures: 0, all: [[0; 3]; 2], confirmed: [[0; 3]; 2] }
    }

    fn add(&mut self, face: &Face, norm: f32, confirmed: bool, limits: Limits) {
        let score = usize::from(face.score >= limits.min_score);
        let norm = usize::from(norm >= MIN_NORM) + usize::from(norm >= CLEAR_NORM);
        self.all[score][norm] += 1;
        self.confirmed[score][norm] += usize::from(confirmed);
    }
}

fn text(rows: &[Row], boxes: &[Boxes], milliseconds: Option<f64>) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        text,
        "\nVariants: each face alone on a gray picture of {} x {} pixels\n\
         \x20                        found                  enrolled                      strangers          second opinion confirms\n\
         \x20 variant            n      of n   clear   right  wrong unsure missed   unknown  named unsure    of found    of clear",
        scenes::WIDTH,
        scenes::HEIGHT
    );
    for row in rows {
        let [right, wrong, unsure, missed] = row.enrolled;
        let [unknown, named, doubt, unseen] = row.strangers;
        let _ = writeln!(
            text,
            "  {:<16}{:>4} {:>9} {:>7} {right:>7} {wrong:>6} {unsure:>6} {missed:>6}   {unknown:>7} {named:>6} {:>6}  {:>10}  {:>10}",
            row.name,
            row.n,
            percent(share(row.found, row.n)),
            row.clear,
            doubt + unseen,
            percent(share(row.confirmed, row.found)),
            percent(share(row.clear_confirmed, row.clear)),
        );
    }
    let _ = writeln!(
        text,
        "\nBoxes where no upright face is: how many, and how many of them the second opinion confirms\n\
         \x20                                  score {LOW_SCORE} up to the limit              score from the limit up\n\
         \x20 pictures                 n    norm < 7     7 - 10    from 10      norm < 7     7 - 10    from 10"
    );
    for of in boxes {
        let cell = |score: usize, norm: usize| {
            format!("{:>11}", format!("{} ({})", of.all[score][norm], of.confirmed[score][norm]))
        };
        let cells = |score| (0..3).map(|norm| cell(score, norm)).collect::<String>();
        let _ = writeln!(text, "  {:<20}{:>6} {}   {}", of.name, of.n_pictures, cells(0), cells(1));
    }
    if let Some(milliseconds) = milliseconds {
        let _ = writeln!(text, "  A second opinion takes {milliseconds:.1} ms (median).");
    }
    text
}
