//! One camera as the faces thread sees it: when to look, the newest picture, and what of it is told.
//!
//! Not here: the thread and its turns ([`super`]), finding and naming ([`crate::vision::faces`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::frame::Frame;
use crate::hub::Hub;
use crate::logic::effect::FacesOrder;
use crate::logic::faces::tracker::Settings;
use crate::logic::faces::{Decision, Kind, PixelRect};
use crate::logic::input::{FaceNews, FacePlace, FaceSighting};
use crate::logic::picture::Rect;
use crate::vision::faces::{FaceLoop, Look, Models, Report};
use crate::vision::model::Picture;

/// After motion has ended faces are looked for a little longer: people stand still at doors.
const LINGER: Duration = Duration::from_secs(2);
/// In calm the whole picture is looked at so often, for faces that hang still; oftener than such a place is forgotten.
const CALM_EVERY: Duration = Duration::from_secs(300);
/// When there was no picture to look at, the next try comes after this.
const RETRY: Duration = Duration::from_millis(200);

/// One camera as the thread sees it.
pub(super) struct Watch {
    hub: Arc<Hub>,
    pub(super) faces: FaceLoop,
    enabled: bool,
    /// Where it moves now; `None` while nothing does.
    motion: Option<Vec<Rect>>,
    moved_at: Option<Instant>,
    pub(super) due: Instant,
    /// When the picture is to be searched for faces that hang still.
    calm_due: Instant,
    /// No picture was searched since the camera came up: what hangs in it is unknown.
    is_new: bool,
    seen: u64,
    /// The best picture of each track that may still be decided.
    best: BTreeMap<u64, Bytes>,
    /// Whether the last report named anybody: the end of presence has to be told too.
    pub(super) told: bool,
}

impl Watch {
    pub(super) fn new(hub: Arc<Hub>, faces: FaceLoop) -> Self {
        let (motion, moved_at, due) = (None, None, Instant::now());
        Self {
            hub,
            faces,
            enabled: false,
            motion,
            moved_at,
            due,
            calm_due: due,
            is_new: true,
            seen: 0,
            best: BTreeMap::new(),
            told: false,
        }
    }

    /// When this camera is to be looked at; `None` while there is no reason to.
    pub(super) fn next_look(&self, always: bool) -> Option<Instant> {
        let moves = self.motion.is_some() || self.moved_at.is_some_and(|at| at.elapsed() < LINGER);
        let follows = self.faces.next_deadline().is_some();
        (self.enabled && (always || moves || follows)).then_some(self.due)
    }

    /// It moves there now, or no longer anywhere. The calm after a motion is looked at anew: people put up pictures and sit down.
    fn moved(&mut self, boxes: Option<Vec<Rect>>) {
        let now = Instant::now();
        if boxes.is_some() {
            self.moved_at = Some(now);
        } else if self.motion.is_some() {
            self.calm_due = now + LINGER;
        }
        self.motion = boxes;
    }

    /// Learns which faces hang still, if the time has come: while nothing moves and nobody is followed, or as soon as the camera is up.
    pub(super) fn look_in_calm(&mut self, models: &mut Models, now: Instant) {
        let lingers = self.moved_at.is_some_and(|at| now.saturating_duration_since(at) < LINGER);
        let calm = self.motion.is_none() && !lingers && self.faces.next_deadline().is_none();
        if !self.enabled || now < self.calm_due || !(calm || self.is_new) {
            return;
        }
        self.calm_due = now + RETRY;
        let Some(frame) = self.hub.latest().filter(|frame| frame.live) else { return };
        let Some((picture, motion)) = self.view(&frame) else { return };
        let look = Look { picture, frame: frame.seq, captured_at: frame.captured_at, motion: &motion };
        match self.faces.look_in_calm(models, &look, now) {
            Ok(()) => (self.calm_due, self.is_new) = (now + CALM_EVERY, false),
            Err(error) => tracing::debug!("the calm picture could not be looked at: {error}"),
        }
    }

    /// Looks at the newest picture; `None` if there is no new one. Also returns the picture as JPEG.
    pub(super) fn take_look(&mut self, models: &mut Models, now: Instant) -> Option<(Report, Option<Bytes>)> {
        let frame = self.hub.latest().filter(|frame| frame.live && frame.seq != self.seen)?;
        self.seen = frame.seq;
        let (picture, motion) = self.view(&frame)?;
        let look = Look { picture, frame: frame.seq, captured_at: frame.captured_at, motion: &motion };
        let report = self.faces.look(models, &look, now);
        Some((report, frame.jpeg().ok().cloned()))
    }

    /// The pixels of a frame, and where among them it moves.
    fn view<'a>(&self, frame: &'a Frame) -> Option<(Picture<'a>, Vec<PixelRect>)> {
        let rgb = frame.rgb().ok()?;
        let picture = Picture::new(rgb.width, rgb.height, &rgb.data)?;
        let motion = self.motion.iter().flatten().map(|rect| pixels(*rect, &picture)).collect();
        Some((picture, motion))
    }

    pub(super) fn sighting(&mut self, report: Report, taken: Option<Bytes>) -> FaceSighting {
        for track in &report.best_of {
            if let Some(jpeg) = &taken {
                self.best.insert(*track, jpeg.clone());
            }
        }
        let decisions = report.decisions.iter().map(|decision| self.news(decision)).collect();
        let faces = &self.faces;
        self.best.retain(|track, _| faces.is_followed(*track));
        let known = report.present.known.iter();
        FaceSighting {
            known: known.map(|person| (person.slug.to_string(), person.name.to_string())).collect(),
            unknown: report.present.unknown,
            any: report.present.any,
            places: report
                .places
                .into_iter()
                .map(|(place, person)| FacePlace {
                    place,
                    name: person.map(|person| person.name.to_string()),
                })
                .collect(),
            decisions,
            unfit: report.refused.iter().map(|(flaw, px)| (flaw.word(), px.round() as u32)).collect(),
            silent: report.silent,
        }
    }

    fn news(&self, decision: &Decision) -> FaceNews {
        let person = decision.person.as_ref();
        // Who has left is in no picture; what is told is that nobody is there now.
        let has_left = decision.kind == Kind::Left;
        let mut record = decision.record();
        if has_left {
            record.retain(|key, _| key == "rule");
        }
        FaceNews {
            event_type: decision.kind.word(),
            person: person.map(|person| (person.slug.to_string(), person.name.to_string())),
            record,
            captured_at: if has_left { Instant::now() } else { decision.captured_at },
            jpeg: self.best.get(&decision.track).filter(|_| !has_left).cloned(),
        }
    }

    /// Does as it is told.
    pub(super) fn obey(&mut self, order: FacesOrder) {
        match order {
            FacesOrder::Enabled(on) => {
                self.enabled = on;
                if !on {
                    self.forget();
                }
            }
            FacesOrder::Threshold(known) => {
                let settings = Settings { known: known as f32, ..*self.faces.settings() };
                self.faces.set(settings);
            }
            FacesOrder::Moving(boxes) => self.moved(boxes),
            FacesOrder::Forget => self.forget(),
        }
    }

    fn forget(&mut self) {
        self.faces.forget();
        self.best.clear();
        (self.motion, self.moved_at) = (None, None);
        (self.calm_due, self.is_new) = (Instant::now(), true);
    }
}

fn pixels(rect: Rect, picture: &Picture<'_>) -> PixelRect {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    PixelRect { x: rect.x * width, y: rect.y * height, width: rect.w * width, height: rect.h * height }
}
