//! Sums and rates of an evaluation.
//!
//! Not here: the single trials (see `trials`) and how the figures are shown (see `report`, `files`, `plots`).

use serde_json::{Value, json};

use super::shots::{Seen, Shot, Shots, Subject};
use super::statistics::{EqualError, Sorted, equal_error, median, roc, share, upper_bound};
use super::trials::{Outcome, Set, Trial};
use crate::logic::faces::cosine;
use crate::logic::faces::quality::{Grade, MIN_NORM};
use crate::logic::faces::template::COPY;

/// Upper ends of the width bands in pixels: below the least for a name, small, middling, at least what the recogniser cuts out.
pub(super) const BANDS: [(&str, f32); 4] =
    [("< 40", 40.0), ("40-64", 64.0), ("64-112", 112.0), (">= 112", f32::INFINITY)];
/// The limits of interest: published equal error of SFace, what confirms a name, what gives one.
pub(super) const THRESHOLDS: [f32; 3] = [0.363, 0.40, 0.45];

/// How well faces are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Detection {
    /// Photographs that should hold a face.
    pub(super) n_photos: usize,
    /// Of those, where one was found.
    pub(super) n_found: usize,
    /// Files without one.
    pub(super) not_found: Vec<String>,
    /// Faces found in them, by [`BANDS`].
    pub(super) by_band: [usize; BANDS.len()],
    /// Pictures that hold none.
    pub(super) n_empty: usize,
    /// Boxes in them, by [`BANDS`].
    pub(super) false_by_band: [usize; BANDS.len()],
    /// Boxes in them that the length of the embedding does not give away.
    pub(super) false_past_norm: [usize; BANDS.len()],
    /// Of those, what would count for a name or for "unknown".
    pub(super) n_false_clear: usize,
}

impl Detection {
    pub(super) fn of(shots: &Shots) -> Detection {
        let mut found = Detection { n_empty: shots.no_faces.len(), ..Detection::default() };
        for shot in everybody(shots).flat_map(|subject| &subject.shots) {
            found.n_photos += 1;
            match shot.main() {
                Some(_) => found.n_found += 1,
                None => found.not_found.push(shot.file.clone()),
            }
            shot.faces.iter().for_each(|seen| found.by_band[band(seen)] += 1);
        }
        for seen in shots.no_faces.iter().flat_map(|shot| &shot.faces) {
            found.false_by_band[band(seen)] += 1;
            found.false_past_norm[band(seen)] += usize::from(seen.norm() >= MIN_NORM);
            found.n_false_clear += usize::from(matches!(seen.grade, Grade::Clear | Grade::Fair(_)));
        }
        found
    }
}

fn everybody(shots: &Shots) -> impl Iterator<Item = &Subject> {
    shots.people.iter().chain(&shots.strangers)
}

/// The index of a face's band.
pub(super) fn band(seen: &Seen) -> usize {
    BANDS.iter().position(|(_, end)| seen.face.rect.width < *end).unwrap_or(BANDS.len() - 1)
}

/// Every two photographs compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// Of one person.
    pub(super) genuine: Sorted,
    /// Of two.
    pub(super) impostor: Sorted,
    /// Best scores of strangers against the household.
    pub(super) strangers: Sorted,
    /// Pairs of one person that are copies of one picture; they are not counted as genuine.
    pub(super) n_copies: usize,
}

impl Pairs {
    pub(super) fn of(shots: &Shots, trials: &[Trial]) -> Pairs {
        let subjects: Vec<Vec<&Seen>> = everybody(shots)
            .map(|subject| {
                subject.shots.iter().filter_map(Shot::main).filter(|seen| is_usable(seen)).collect()
            })
            .collect();
        let likeness = |a: &Seen, b: &Seen| {
            Some(cosine(&a.answer.as_ref()?.embedding.vector, &b.answer.as_ref()?.embedding.vector))
        };
        let (mut genuine, mut impostor, mut n_copies) = (Vec::new(), Vec::new(), 0);
        for (at, subject) in subjects.iter().enumerate() {
            for (n, seen) in subject.iter().enumerate() {
                let same = subject[..n].iter().filter_map(|other| likeness(seen, other));
                let (copies, real): (Vec<f32>, Vec<f32>) = same.partition(|score| *score > COPY);
                n_copies += copies.len();
                genuine.extend(real);
                impostor.extend(subjects[..at].iter().flatten().filter_map(|other| likeness(seen, other)));
            }
        }
        let strangers = trials.iter().filter(|trial| matches!(trial.set, Set::Stranger | Set::LeftOut));
        let strangers = strangers.filter_map(|trial| trial.found.best.as_ref().map(|best| best.score));
        Pairs {
            genuine: Sorted::new(genuine),
            impostor: Sorted::new(impostor),
            strangers: Sorted::new(strangers.collect()),
            n_copies,
        }
    }

    pub(super) fn equal_error(&self) -> Option<EqualError> {
        equal_error(&self.genuine, &self.impostor)
    }

    /// Which share of genuine pairs is accepted where at most `far` of the impostors are, and at which threshold.
    pub(super) fn tar_at(&self, far: f64) -> Option<(f64, f32)> {
        let threshold = (self.impostor.len() > 0).then(|| self.impostor.threshold_for(far))?;
        Some((self.genuine.accept_rate(threshold)?, threshold))
    }

    pub(super) fn roc(&self) -> Vec<[f64; 2]> {
        roc(&self.genuine, &self.impostor)
    }
}

fn is_usable(seen: &Seen) -> bool {
    !matches!(seen.grade, Grade::Useless(_))
}

/// How the trials of one kind came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) right: usize,
    pub(super) wrong: usize,
    pub(super) unsure: usize,
    pub(super) missed: usize,
}

impl Tally {
    pub(super) fn of(trials: &[Trial], set: Set) -> Tally {
        let mut tally = Tally::default();
        trials.iter().filter(|trial| trial.set == set).for_each(|trial| tally.add(trial.outcome));
        tally
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Right => self.right += 1,
            Outcome::Wrong => self.wrong += 1,
            Outcome::Unsure => self.unsure += 1,
            Outcome::Missed => self.missed += 1,
        }
    }

    pub(super) fn all(&self) -> usize {
        self.right + self.wrong + self.unsure + self.missed
    }

    fn json(&self) -> Value {
        json!({
            "right": self.right, "wrong": self.wrong, "unsure": self.unsure, "missed": self.missed,
            "wrong_upper_bound_95": upper_bound(self.wrong, self.all()),
        })
    }
}

/// Median milliseconds of a search and of a look.
pub(super) fn costs(shots: &Shots) -> (Option<f64>, Option<f64>) {
    let all = || everybody(shots).flat_map(|subject| &subject.shots).chain(&shots.no_faces);
    let detect = all().map(|shot| shot.detect_ms).collect();
    (median(detect), median(all().flat_map(|shot| &shot.faces).map(|seen| seen.embed_ms).collect()))
}

/// Everything for programs; the text says the same to people.
pub(super) fn summary(shots: &Shots, detection: &Detection, pairs: &Pairs, trials: &[Trial]) -> Value {
    let at = |threshold: &f32| {
        json!({
            "threshold": round(*threshold),
            "tar": pairs.genuine.accept_rate(*threshold), "far": pairs.impostor.accept_rate(*threshold),
        })
    };
    let tar = |far: f64| {
        pairs.tar_at(far).map(|(tar, threshold)| json!({"tar": tar, "threshold": round(threshold)}))
    };
    let error = pairs.equal_error().map(|e| json!({"rate": e.rate, "threshold": round(e.threshold)}));
    let bands = |counts: &[usize]| {
        BANDS
            .iter()
            .zip(counts)
            .map(|((name, _), n)| ((*name).to_owned(), json!(n)))
            .collect::<serde_json::Map<_, _>>()
    };
    let (detect_ms, embed_ms) = costs(shots);
    json!({
        "detection": {
            "photos": detection.n_photos, "found": detection.n_found,
            "recall": share(detection.n_found, detection.n_photos), "not_found": detection.not_found,
            "faces_by_width": bands(&detection.by_band),
            "pictures_without_face": detection.n_empty, "false_boxes_by_width": bands(&detection.false_by_band),
            "false_boxes_past_norm_by_width": bands(&detection.false_past_norm),
            "false_boxes_good_enough_for_a_name": detection.n_false_clear,
        },
        "pairs": {
            "genuine": pairs.genuine.len(), "impostor": pairs.impostor.len(), "copies": pairs.n_copies,
            "equal_error": error, "tar_at_far_0.001": tar(0.001), "tar_at_far_0": tar(0.0),
            "at": THRESHOLDS.iter().map(at).collect::<Vec<_>>(),
        },
        "enrolled": Tally::of(trials, Set::Enrolled).json(),
        "strangers": Tally::of(trials, Set::Stranger).json(),
        "left_out": Tally::of(trials, Set::LeftOut).json(),
        "no_face": Tally::of(trials, Set::NoFace).json(),
        "median_ms": {"detect": detect_ms, "embed": embed_ms},
    })
}

/// Four digits: an `f32` printed as `f64` would show digits that mean nothing.
pub(super) fn round(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}
