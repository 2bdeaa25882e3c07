//! The face loop: from a frame to decisions about the people in it.
//!
//! One [`Models`] serves all cameras from one thread; each camera has its own [`FaceLoop`].
//!
//! Not here: the thread and its frames (see `app`), when it is worth looking (motion says so), and what a decision causes (see `logic`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::enrol::Eyes;
use super::model::{BadModel, Detector, Error, Picture, Recogniser, SecondOpinion, Seeta, YuNet};
use crate::logic::faces::quality::{CLEAR_NORM, Flaw};
use crate::logic::faces::tracker::{Answer, Ask, Present, Scene, Settings};
use crate::logic::faces::verdict::UNKNOWN;
use crate::logic::faces::{Decision, Face, Gallery, Ground, PersonId, PixelRect, Tracker};
use crate::logic::picture::Rect;

/// Longest side of YuNet's input for cameras, in pixels: finds faces of 64 pixels in a 1280 pixel picture practically always.
pub const CAMERA_SIDE: usize = 640;
/// The same for photographs.
const PHOTO_SIDE: usize = 640;
/// The moving part of a picture is grown by this share of its size before it is searched: a head may stick out of it.
const REGION_MARGIN: f32 = 0.25;
/// The searched part is at least this many pixels wide and high.
const REGION_SIDE: f32 = 320.0;
/// A part larger than this share of the picture gains nothing over the whole.
const REGION_SHARE: f32 = 0.6;
/// Durations kept for a median.
const KEPT_DURATIONS: usize = 64;

/// Which detector looks at the cameras' frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finder {
    /// YuNet: finds more, and faster. The default.
    #[default]
    YuNet,
    /// The SeetaFace cascade of the `rustface` crate; faces from the front, from 40 pixels in a picture 480 wide.
    Rustface,
}

impl Finder {
    /// Every detector, for configuration.
    pub const ALL: [Finder; 2] = [Finder::YuNet, Finder::Rustface];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Finder::YuNet => "yunet",
            Finder::Rustface => "rustface",
        }
    }
}

/// The loaded models, and how long they take.
pub struct Models {
    detector: Box<dyn Detector>,
    photo_detector: YuNet,
    recogniser: Recogniser,
    second: Option<SecondOpinion>,
    detect: Durations,
    embed: Durations,
    n_failures: u64,
}

impl Models {
    /// Loads the built-in models; takes some 100 ms. `camera_side` is the longest side of YuNet's input, see [`YuNet::load`].
    ///
    /// # Errors
    /// Only when the program was built with a damaged file.
    pub fn load(finder: Finder, camera_side: usize) -> Result<Models, BadModel> {
        let detector: Box<dyn Detector> = match finder {
            Finder::YuNet => Box::new(YuNet::load(camera_side)?),
            Finder::Rustface => Box::new(Seeta::load()?),
        };
        Ok(Models {
            detector,
            photo_detector: YuNet::load(PHOTO_SIDE)?,
            recogniser: Recogniser::load()?,
            second: None,
            detect: Durations::default(),
            embed: Durations::default(),
            n_failures: 0,
        })
    }

    /// The same models with a second detector, which has to see a face too before it is called unknown or taught.
    ///
    /// # Errors
    /// Only when the program was built with a damaged file.
    pub fn with_second_opinion(self) -> Result<Models, BadModel> {
        Ok(Models { second: Some(SecondOpinion::load()?), ..self })
    }

    /// Asks for the second opinion where it matters: on a clear face that is like nobody.
    fn doubt(&self, picture: &Picture<'_>, ask: &Ask, answer: &mut Answer, gallery: &Gallery) {
        let Some(second) = &self.second else { return };
        if answer.embedding.norm >= CLEAR_NORM && gallery.find(&answer.embedding).score() < UNKNOWN {
            // A cascade that fails has no opinion.
            answer.is_confirmed = second.confirms(picture, &ask.face).unwrap_or(true);
        }
    }

    /// The models that look at photographs.
    pub fn eyes(&mut self) -> Eyes<'_> {
        let second = self.second.as_ref();
        Eyes { detector: &mut self.photo_detector, recogniser: &mut self.recogniser, second }
    }

    /// How long looking for faces in a frame takes.
    pub fn detect_times(&self) -> &Durations {
        &self.detect
    }

    /// How long one look at a face takes.
    pub fn embed_times(&self) -> &Durations {
        &self.embed
    }

    /// Frames and faces on which a model failed since the start.
    pub fn n_failures(&self) -> u64 {
        self.n_failures
    }

    /// The faces in a picture, or in that part of it.
    pub(super) fn find(
        &mut self,
        picture: &Picture<'_>,
        region: Option<PixelRect>,
    ) -> Result<Vec<Face>, Error> {
        let start = Instant::now();
        let faces = self.detector.detect(picture, region);
        self.detect.add(start.elapsed());
        self.n_failures += u64::from(faces.is_err());
        faces
    }

    /// What the recogniser makes of a face.
    pub(super) fn embed(&mut self, picture: &Picture<'_>, ask: &Ask) -> Result<Answer, Error> {
        let start = Instant::now();
        let answer = self.recogniser.embed(picture, &ask.face);
        self.embed.add(start.elapsed());
        self.n_failures += u64::from(answer.is_err());
        answer
    }
}

/// The last durations of something.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    last: VecDeque<Duration>,
}

impl Durations {
    fn add(&mut self, duration: Duration) {
        self.last.truncate(KEPT_DURATIONS - 1);
        self.last.push_front(duration);
    }

    /// The latest one.
    pub fn last(&self) -> Option<Duration> {
        self.last.front().copied()
    }

    /// The median of the last 64.
    pub fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// A frame to look at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Its pixels.
    pub picture: Picture<'a>,
    /// Its sequence number.
    pub frame: u64,
    /// When the camera delivered it.
    pub captured_at: Instant,
    /// Where it moves, in pixels. Only there and around known faces is searched; the whole picture when empty.
    pub motion: &'a [PixelRect],
}

/// What a frame brought.
#[derive(Debug, Default)]
pub struct Report {
    /// Decisions that are due.
    pub decisions: Vec<Decision>,
    /// Who is in view after this frame.
    pub present: Present,
    /// Where faces are, in fractions of the picture, and whose.
    pub places: Vec<(Rect, Option<PersonId>)>,
    /// Faces in this frame that count.
    pub n_faces: usize,
    /// Why other boxes do not count: `too_small` and so on.
    pub refused: Vec<(Flaw, f32)>,
    /// Why nothing was told about faces that are gone, see [`Tracker::take_silent`].
    pub silent: Vec<&'static str>,
    /// Tracks of which this frame is now the best picture: keep the frame for their decision
    /// (`Decision::best_frame`) and drop it when [`FaceLoop::is_followed`] says no.
    pub best_of: Vec<u64>,
    /// The first thing that failed; the rest of the frame still counted.
    pub error: Option<Error>,
}

/// Looks for faces in the frames of one camera.
pub struct FaceLoop {
    tracker: Tracker,
    gallery: Arc<Gallery>,
    /// Pixels of the last picture.
    size: (usize, usize),
}

impl FaceLoop {
    /// A loop that has seen nothing yet.
    pub fn new(settings: Settings, gallery: Arc<Gallery>) -> FaceLoop {
        FaceLoop { tracker: Tracker::new(settings), gallery, size: (1, 1) }
    }

    /// Faces count only there.
    #[must_use]
    pub fn within(self, ground: Ground) -> FaceLoop {
        FaceLoop { tracker: self.tracker.within(ground), ..self }
    }

    /// Changes limits and times from the next frame on.
    pub fn set(&mut self, settings: Settings) {
        self.tracker.set(settings);
    }

    /// The settings now.
    pub fn settings(&self) -> &Settings {
        self.tracker.settings()
    }

    /// Takes a new gallery for the looks that follow.
    pub fn set_gallery(&mut self, gallery: Arc<Gallery>) {
        self.gallery = gallery;
    }

    /// Looks at a frame.
    pub fn look(&mut self, models: &mut Models, look: &Look<'_>, now: Instant) -> Report {
        let Look { picture, frame, captured_at, motion } = *look;
        let mut report = Report::default();
        let faces = match models.find(&picture, self.region(&picture, motion)) {
            Ok(faces) => faces,
            Err(error) => {
                report.error = Some(error);
                Vec::new()
            }
        };
        let scene = Scene {
            width: picture.width(),
            height: picture.height(),
            frame,
            captured_at,
            faces: &faces,
            motion,
        };
        let observed = self.tracker.observe(&scene, now);
        report.n_faces = faces.len() - observed.refused.len();
        report.refused = observed.refused;
        for ask in &observed.asks {
            match models.embed(&picture, ask) {
                Ok(mut answer) => {
                    models.doubt(&picture, ask, &mut answer, &self.gallery);
                    report.best_of.extend(self.tracker.looked(&scene, ask, &answer, &self.gallery, now))
                }
                Err(error) => {
                    self.tracker.failed(ask, now);
                    report.error.get_or_insert(error);
                }
            }
        }
        report.decisions = self.tracker.decide(now);
        report.silent = self.tracker.take_silent();
        report.present = self.tracker.present();
        self.size = (picture.width(), picture.height());
        report.places = self.places(now);
        report
    }

    /// Looks at the whole of a calm picture for faces that hang still, see [`Tracker::learn_still`]: one detection, no recogniser.
    ///
    /// # Errors
    /// The detector failed; nothing was learnt.
    pub fn look_in_calm(&mut self, models: &mut Models, look: &Look<'_>, now: Instant) -> Result<(), Error> {
        let faces = models.find(&look.picture, None)?;
        self.tracker.learn_still(&faces, look.motion, now);
        Ok(())
    }

    /// What is due without a frame; to be called at [`FaceLoop::next_deadline`].
    pub fn tick(&mut self, now: Instant) -> Report {
        let decisions = self.tracker.decide(now);
        let (present, silent) = (self.tracker.present(), self.tracker.take_silent());
        Report { decisions, present, places: self.places(now), silent, ..Report::default() }
    }

    fn places(&self, now: Instant) -> Vec<(Rect, Option<PersonId>)> {
        let (width, height) = (self.size.0 as f32, self.size.1 as f32);
        let part =
            |r: PixelRect| Rect { x: r.x / width, y: r.y / height, w: r.width / width, h: r.height / height };
        self.tracker.in_view(now).into_iter().map(|(rect, person)| (part(rect), person)).collect()
    }

    /// When `tick` is due; `None` while nobody is followed who arrived.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.tracker.next_deadline()
    }

    /// Whether a track may still have a decision before it.
    pub fn is_followed(&self, track: u64) -> bool {
        self.tracker.is_followed(track)
    }

    /// The name of this person was wrong for somebody in view, see [`Tracker::retract`].
    pub fn retract(&mut self, slug: &str, now: Instant) {
        self.tracker.retract(slug, now);
    }

    /// Forgets everybody in view without a word.
    pub fn forget(&mut self) {
        self.tracker.forget();
    }

    /// The part of the picture worth searching: where it moves and where faces were; `None` for all of it.
    fn region(&self, picture: &Picture<'_>, motion: &[PixelRect]) -> Option<PixelRect> {
        if motion.is_empty() {
            return None;
        }
        let places = motion.iter().copied().chain(self.tracker.places());
        let all = places.reduce(|a, b| a.union(&b))?.grown(REGION_MARGIN);
        let [x, y] = all.centre();
        let (width, height) = (all.width.max(REGION_SIDE), all.height.max(REGION_SIDE));
        let region = PixelRect { x: x - width / 2.0, y: y - height / 2.0, width, height };
        let cut = region.inside(picture.width(), picture.height());
        let whole = (picture.width() * picture.height()) as f32;
        (cut.area() > 0.0 && cut.area() <= REGION_SHARE * whole).then_some(cut)
    }
}

#[cfg(test)]
mod tests;
