//! Passages: the frames of a clip through the real face loop, with a clock that is only a number.
//!
//! A clip is looked at as if its whole picture moved, so that finding motion is not measured along.
//!
//! Not here: single photographs (see `trials`).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::album::{Clip, Truth};
use super::progress::Progress;
use crate::logic::faces::tracker::Settings;
use crate::logic::faces::{Decision, Gallery, Kind, PixelRect};
use crate::vision::faces::{FaceLoop, Look, Models};
use crate::vision::photo;

/// Frames of cameras are not larger, so nothing is shrunk.
const FRAME_SIDE: usize = 4096;

/// What should be told of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Known(String),
    Unknown,
    Nothing,
}

impl Expected {
    /// Somebody without a usable photograph is nobody the gallery knows.
    pub(super) fn of(truth: &Truth, gallery: &Gallery) -> Expected {
        match truth {
            Truth::Person(name) if gallery.people().any(|person| *person.id.name == **name) => {
                Expected::Known(name.clone())
            }
            Truth::Person(_) | Truth::Stranger => Expected::Unknown,
            Truth::NoFace => Expected::Nothing,
        }
    }

    pub(super) fn word(&self) -> &str {
        match self {
            Expected::Known(name) => name,
            Expected::Unknown => "unknown",
            Expected::Nothing => "nothing",
        }
    }
}

/// How a clip came out.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) folder: String,
    pub(super) expected: Expected,
    /// What was told, in order: a name, `unknown` or `unsure`; who left is not told here.
    pub(super) told: Vec<String>,
    pub(super) outcome: Told,
    /// From the capture of the first usable frame to the name, or to "unknown".
    pub(super) seconds: Option<f64>,
    pub(super) n_frames: usize,
}

/// What the decisions of a clip amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// What was expected, and nothing wrong beside it.
    Right,
    /// A name that is not theirs; or anybody where there is nobody.
    Wrong,
    /// Somebody enrolled was called unknown.
    Missed,
    /// Nothing certain.
    Unsure,
    /// Nothing at all, where somebody is.
    Nothing,
}

impl Told {
    pub(super) fn word(self) -> &'static str {
        match self {
            Told::Right => "right",
            Told::Wrong => "wrong",
            Told::Missed => "missed",
            Told::Unsure => "unsure",
            Told::Nothing => "nothing",
        }
    }
}

/// Plays every clip.
pub(super) fn play(
    root: &Path,
    clips: &[Clip],
    gallery: &Gallery,
    settings: Settings,
    step: Duration,
    models: &mut Models,
    progress: &mut Progress<'_>,
) -> Vec<Passage> {
    progress.begin("frames of clips", clips.iter().map(|clip| clip.frames.len()).sum());
    let gallery = Arc::new(gallery.clone());
    let play_one = |clip: &Clip| {
        let mut faces = FaceLoop::new(settings, Arc::clone(&gallery));
        let (start, mut told, mut n_frames) = (Instant::now(), Vec::new(), 0);
        let mut now = start;
        for (n, path) in clip.frames.iter().enumerate() {
            now = start + step * u32::try_from(n).unwrap_or(u32::MAX);
            progress.step();
            let frame = match photo::open(path, FRAME_SIDE) {
                Ok(frame) => frame,
                Err(error) => {
                    progress.remark(&format!("{}: the frame {error}; it does not count.", path.display()));
                    continue;
                }
            };
            n_frames += 1;
            let picture = frame.picture();
            let (width, height) = (picture.width() as f32, picture.height() as f32);
            let motion = [PixelRect { x: 0.0, y: 0.0, width, height }];
            let look = Look { picture, frame: n as u64, captured_at: now, motion: &motion };
            let report = faces.look(models, &look, now);
            told.extend(report.decisions.into_iter().map(|decision| (decision, now)));
        }
        while let Some(deadline) = faces.next_deadline() {
            now = deadline.max(now + Duration::from_millis(1));
            told.extend(faces.tick(now).decisions.into_iter().map(|decision| (decision, now)));
        }
        let expected = Expected::of(&clip.truth, &gallery);
        let folder = clip.folder.strip_prefix(root).unwrap_or(&clip.folder).display().to_string();
        passage(folder, expected, &told, n_frames)
    };
    clips.iter().map(play_one).collect()
}

fn passage(folder: String, expected: Expected, told: &[(Decision, Instant)], n_frames: usize) -> Passage {
    let told: Vec<&(Decision, Instant)> =
        told.iter().filter(|(decision, _)| decision.kind != Kind::Left).collect();
    let word = |decision: &Decision| match &decision.person {
        Some(person) => person.name.to_string(),
        None => decision.kind.word().to_owned(),
    };
    let wanted = told.iter().find(|(decision, _)| word(decision) == expected.word());
    let seconds = wanted.map(|(decision, at)| at.duration_since(decision.captured_at).as_secs_f64());
    let words: Vec<String> = told.iter().map(|(decision, _)| word(decision)).collect();
    let outcome = judge(&expected, &told.iter().map(|(d, _)| (d.kind, word(d))).collect::<Vec<_>>());
    Passage { folder, expected, told: words, outcome, seconds, n_frames }
}

fn judge(expected: &Expected, told: &[(Kind, String)]) -> Told {
    let is_wrong = |(kind, word): &(Kind, String)| match expected {
        Expected::Known(_) | Expected::Unknown => *kind == Kind::Known && word != expected.word(),
        Expected::Nothing => matches!(kind, Kind::Known | Kind::Unknown),
    };
    if told.iter().any(is_wrong) {
        Told::Wrong
    } else if told.iter().any(|(_, word)| word == expected.word()) {
        Told::Right
    } else if told.iter().any(|(kind, _)| *kind == Kind::Unknown) {
        Told::Missed
    } else if !told.is_empty() {
        Told::Unsure
    } else if *expected == Expected::Nothing {
        Told::Right
    } else {
        Told::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_name_spoils_a_passage() {
        let alice = Expected::Known("Alice".into());
        let told = |words: &[&str]| {
            let kind = |word: &str| match word {
                "unknown" => Kind::Unknown,
                "unsure" => Kind::Unsure,
                _ => Kind::Known,
            };
            words.iter().map(|word| (kind(word), (*word).to_owned())).collect::<Vec<_>>()
        };
        for (expected, words, wanted) in [
            (&alice, &["Alice"][..], Told::Right),
            (&alice, &["unsure", "Alice"], Told::Right),
            (&alice, &["Alice", "Bob"], Told::Wrong),
            (&alice, &["unknown"], Told::Missed),
            (&alice, &["unsure"], Told::Unsure),
            (&alice, &[], Told::Nothing),
            (&Expected::Unknown, &["unknown"], Told::Right),
            (&Expected::Unknown, &["unsure"], Told::Unsure),
            (&Expected::Unknown, &["Alice"], Told::Wrong),
            (&Expected::Nothing, &[], Told::Right),
            (&Expected::Nothing, &["unsure"], Told::Unsure),
            (&Expected::Nothing, &["unknown"], Told::Wrong),
        ] {
            assert_eq!(judge(expected, &told(words)), wanted, "{expected:?} {words:?}");
        }
    }
}
