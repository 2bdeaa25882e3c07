//! One camera as the faces thread sees it: when to look, the newest picture, and what of it is told.
//!
//! Not here: the thread and its turns ([`super`]), finding and naming ([`crate::vision::faces`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::hub::Hub;
use crate::logic::effect::FacesOrder;
use crate::logic::faces::tracker::Settings;
use crate::logic::faces::{Decision, Kind, PixelRect};
use crate::logic::input::{FaceNews, FaceSighting};
use crate::logic::picture::Rect;
use crate::vision::faces::{FaceLoop, Look, Models, Report};
use crate::vision::model::Picture;

/// After motion has ended faces are looked for a little longer: people stand still at doors.
const LINGER: Duration = Duration::from_secs(2);

/// One camera as the thread sees it.
pub(super) struct Watch {
    hub: Arc<Hub>,
    pub(super) faces: FaceLoop,
    enabled: bool,
    /// Where it moves now; `None` while nothing does.
    motion: Option<Vec<Rect>>,
    moved_at: Option<Instant>,
    pub(super) due: Instant,
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

    /// Looks at the newest picture; `None` if there is no new one. Also returns the picture as JPEG.
    pub(super) fn take_look(&mut self, models: &mut Models, now: Instant) -> Option<(Report, Option<Bytes>)> {
        let frame = self.hub.latest().filter(|frame| frame.live && frame.seq != self.seen)?;
        self.seen = frame.seq;
        let rgb = frame.rgb().ok()?;
        let picture = Picture::new(rgb.width, rgb.height, &rgb.data)?;
        let motion: Vec<PixelRect> =
            self.motion.iter().flatten().map(|rect| pixels(*rect, &picture)).collect();
        let look = Look { picture, frame: frame.seq, captured_at: frame.captured_at, motion: &motion };
        let report = self.faces.look(models, &look, now);
        Some((report, frame.jpeg().ok().cloned()))
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
            FacesOrder::Moving(boxes) => {
                if boxes.is_some() {
                    self.moved_at = Some(Instant::now());
                }
                self.motion = boxes;
            }
            FacesOrder::Forget => self.forget(),
        }
    }

    fn forget(&mut self) {
        self.faces.forget();
        self.best.clear();
        (self.motion, self.moved_at) = (None, None);
    }
}

fn pixels(rect: Rect, picture: &Picture<'_>) -> PixelRect {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    PixelRect { x: rect.x * width, y: rect.y * height, width: rect.w * width, height: rect.h * height }
}
