//! Looking at the photographs: every face that the detector finds in them, with what the recogniser makes of it.
//!
//! Not here: which photographs there are (see `album`), and what the faces say about the limits (see `measure`).

use std::path::{Path, PathBuf};

use super::album::{Album, Someone};
use super::progress::Progress;
use super::statistics::median;
use crate::logic::faces::quality::{CLEAR_NORM, Grade, Limits};
use crate::logic::faces::tracker::{Answer, Ask};
use crate::logic::faces::{Embedding, Face};
use crate::vision::enrol;
use crate::vision::faces::Models;
use crate::vision::model::Picture;
use crate::vision::photo;

/// With `--json` each step is measured so many times and the median told: the first run of a network also fills caches.
const TIMED_RUNS: usize = 5;

/// One face on a photograph.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) face: Face,
    /// `None` where the recogniser could make nothing of the box.
    pub(super) answer: Option<Answer>,
    /// What a camera's frame with this face would be worth.
    pub(super) grade: Grade,
    pub(super) embed_ms: f64,
}

impl Seen {
    /// Length of the embedding; 0 where there is none.
    pub(super) fn norm(&self) -> f32 {
        self.answer.as_ref().map_or(0.0, |answer| answer.embedding.norm)
    }
}

/// One photograph.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    pub(super) path: PathBuf,
    /// Relative to the evaluated folder.
    pub(super) file: String,
    /// Width and height in pixels of the picture that was searched.
    pub(super) size: [usize; 2],
    /// Every box from the detector's limit up, the widest first.
    pub(super) faces: Vec<Seen>,
    pub(super) detect_ms: f64,
    /// The embedding, if the photograph would be accepted for enrolment.
    pub(super) enrols: Option<Embedding>,
}

impl Shot {
    /// The face that the photograph is about: the widest.
    pub(super) fn main(&self) -> Option<&Seen> {
        self.faces.first()
    }
}

/// Everybody with their photographs looked at.
#[derive(Debug, Default)]
pub(super) struct Shots {
    pub(super) people: Vec<Subject>,
    pub(super) strangers: Vec<Subject>,
    pub(super) no_faces: Vec<Shot>,
}

/// One person's photographs.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) shots: Vec<Shot>,
}

/// How photographs are looked at.
pub(super) struct Eye<'a> {
    pub(super) root: &'a Path,
    pub(super) limits: Limits,
    /// Longest side of a photograph in pixels.
    pub(super) side: usize,
    pub(super) is_timed: bool,
}

impl Eye<'_> {
    /// Looks at every photograph; files that cannot be used become remarks.
    pub(super) fn look_at(
        &self,
        album: &Album,
        models: &mut Models,
        remarks: &mut Vec<String>,
        progress: &mut Progress<'_>,
    ) -> Shots {
        let n_of = |people: &[Someone]| people.iter().map(|one| one.photos.len()).sum::<usize>();
        progress.begin("photos", n_of(&album.people) + n_of(&album.strangers) + album.no_faces.len());
        let mut look = |photos: &[PathBuf]| -> Vec<Shot> {
            let mut shots = Vec::new();
            for path in photos {
                match self.shot(path, models) {
                    Ok(shot) => shots.push(shot),
                    Err(sentence) => remarks.push(sentence),
                }
                progress.step();
            }
            shots
        };
        let mut subjects = |people: &[Someone]| -> Vec<Subject> {
            let subject = |one: &Someone| Subject { name: one.name.clone(), shots: look(&one.photos) };
            people.iter().map(subject).collect()
        };
        let (people, strangers) = (subjects(&album.people), subjects(&album.strangers));
        Shots { people, strangers, no_faces: look(&album.no_faces) }
    }

    /// # Errors
    /// A sentence about the file.
    fn shot(&self, path: &Path, models: &mut Models) -> Result<Shot, String> {
        let photo = photo::open(path, self.side)
            .map_err(|error| format!("{}: the picture {error}; it does not count.", path.display()))?;
        let picture = photo.picture();
        let failed = |error| format!("{}: {error}; the picture does not count.", path.display());
        let mut faces = models.find(&picture, None).map_err(failed)?;
        let mut times = Vec::new();
        for _ in 0..if self.is_timed { TIMED_RUNS } else { 1 } {
            faces = models.find(&picture, None).map_err(failed)?;
            times.extend(models.detect_times().last().map(|time| time.as_secs_f64() * 1e3));
        }
        faces.retain(|face| face.score >= self.limits.min_score);
        let only = enrol::only_face(&faces).is_ok_and(|face| face.rect.width >= enrol::MIN_WIDTH);
        let mut seen: Vec<Seen> = faces.into_iter().map(|face| self.seen(&picture, face, models)).collect();
        seen.sort_by(|a, b| b.face.rect.width.total_cmp(&a.face.rect.width));
        let answer = seen.first().filter(|_| only).and_then(|seen| seen.answer.as_ref());
        let enrols = answer.map(|answer| answer.embedding.clone());
        Ok(Shot {
            path: path.to_owned(),
            file: path.strip_prefix(self.root).unwrap_or(path).display().to_string(),
            size: [picture.width(), picture.height()],
            faces: seen,
            detect_ms: median(times).unwrap_or_default(),
            enrols: enrols.filter(|embedding| embedding.norm >= CLEAR_NORM),
        })
    }

    fn seen(&self, picture: &Picture<'_>, face: Face, models: &mut Models) -> Seen {
        let (mut answer, mut times) = (None, Vec::new());
        for _ in 0..if self.is_timed { TIMED_RUNS } else { 1 } {
            answer = models.embed(picture, &Ask { track: 0, face }).ok();
            times.extend(models.embed_times().last().map(|time| time.as_secs_f64() * 1e3));
        }
        let measured = |answer: &Answer| (answer.embedding.norm, answer.detail_across);
        let (norm, detail_across) = answer.as_ref().map_or((0.0, 0.0), measured);
        let grade = self.limits.grade_with(&face, norm, detail_across);
        Seen { face, answer, grade, embed_ms: median(times).unwrap_or_default() }
    }
}
