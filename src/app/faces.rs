//! The faces thread: looks at every camera's newest picture in turn while something moves, and keeps the household up to date.
//!
//! One thread and one set of models for all cameras: a look takes tens of milliseconds and the models tens of megabytes.
//! Not here: finding and naming ([`crate::vision::faces`]) and what follows from a name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::crew::Crew;
use super::plan::CameraSetup;
use crate::config::{Config, Detector};
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::effect::FacesOrder;
use crate::logic::faces::quality::Limits;
use crate::logic::faces::tracker::Settings;
use crate::logic::faces::{Decision, Gallery, Kind, PixelRect};
use crate::logic::input::{FaceNews, FaceSighting, Input};
use crate::logic::picture::Rect;
use crate::logic::state::Person;
use crate::shutdown::Shutdown;
use crate::store::IdentityFile;
use crate::vision::enrol::{Enroller, Update};
use crate::vision::faces::{FaceLoop, Finder, Look, Models, Report};
use crate::vision::model::Picture;

/// How often the folder of photographs is looked at.
const ENROL_EVERY: Duration = Duration::from_secs(2);
/// Longest wait without a look at the stop signal.
const PATIENCE: Duration = Duration::from_millis(100);
/// After motion has ended faces are looked for a little longer: people stand still at doors.
const LINGER: Duration = Duration::from_secs(2);

/// An order to one camera's face loop.
pub(super) struct FaceOrder {
    pub(super) camera: String,
    pub(super) order: FacesOrder,
}

/// Starts the thread; the sender gives it orders.
pub(super) fn start(
    crew: &mut Crew,
    config: &Config,
    setups: &[CameraSetup],
    hubs: &BTreeMap<String, Arc<Hub>>,
    inbox: &Inbox,
    identity: IdentityFile,
    stop: &Shutdown,
) -> Sender<FaceOrder> {
    let (orders, received) = channel();
    let gallery = Arc::new(Gallery::new(Vec::new()));
    let watches = setups.iter().map(|setup| {
        let settings = Settings {
            known: setup.plan.settings.face_threshold as f32,
            limits: Limits {
                min_width: config.faces.min_size as f32,
                min_score: config.faces.min_score as f32,
            },
            unknown_grace: config.faces.unknown_grace,
            ..Settings::default()
        };
        let id = setup.plan.id.clone();
        let hub = Arc::clone(&hubs[&id]);
        (id, Watch::new(hub, FaceLoop::new(settings, Arc::clone(&gallery))))
    });
    let room = Room {
        watches: watches.collect(),
        orders: received,
        inbox: inbox.clone(),
        identity,
        folder: config.faces.folder.clone(),
        interval: config.faces.interval,
        always: config.faces.always,
        told: BTreeSet::new(),
    };
    let finder = match config.faces.detector {
        Detector::Yunet => Finder::YuNet,
        Detector::Rustface => Finder::Rustface,
    };
    let (side, stop) = (config.faces.detect_width as usize, stop.clone());
    crew.spawn("faces", move || {
        let models = Models::load(finder, side).expect("the models were built in and tested");
        room.run(models, &stop);
    });
    orders
}

/// Everything the thread works with.
struct Room {
    watches: BTreeMap<String, Watch>,
    orders: Receiver<FaceOrder>,
    inbox: Inbox,
    identity: IdentityFile,
    folder: PathBuf,
    interval: Duration,
    always: bool,
    /// Remarks about photographs that were told already.
    told: BTreeSet<String>,
}

/// One camera as the thread sees it.
struct Watch {
    hub: Arc<Hub>,
    faces: FaceLoop,
    enabled: bool,
    /// Where it moves now; `None` while nothing does.
    motion: Option<Vec<Rect>>,
    moved_at: Option<Instant>,
    due: Instant,
    seen: u64,
    /// The best picture of each track that may still be decided.
    best: BTreeMap<u64, Bytes>,
    /// Whether the last report named anybody: the end of presence has to be told too.
    told: bool,
}

impl Room {
    fn run(mut self, mut models: Models, stop: &Shutdown) {
        let mut enroller = Enroller::new(self.folder.clone());
        let mut enrol_due = Instant::now();
        while !stop.is_triggered() {
            if Instant::now() >= enrol_due {
                let update = models.enrol(&mut enroller);
                let unfinished = update.as_ref().is_some_and(|update| update.unfinished);
                if let Some(update) = update {
                    self.welcome(update);
                }
                enrol_due = Instant::now() + if unfinished { Duration::ZERO } else { ENROL_EVERY };
            }
            let ids: Vec<String> = self.watches.keys().cloned().collect();
            for id in ids {
                self.look(&id, &mut models);
            }
            let next = self.watches.values().filter_map(|watch| watch.next_look(self.always)).min();
            let patience = next.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
            match self.orders.recv_timeout(patience.clamp(Duration::from_millis(5), PATIENCE)) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(order) = self.orders.try_recv() {
                self.obey(order);
            }
        }
    }

    /// A new household: everybody gets an id, the loops get the gallery, people get told what was refused.
    fn welcome(&mut self, update: Update) {
        let remarks: BTreeSet<String> = update
            .refusals
            .iter()
            .chain(&update.notes)
            .map(|remark| format!("{}: {}", remark.path, remark.sentence))
            .collect();
        // Each is told once, not again with every new photograph.
        remarks.difference(&self.told).for_each(|remark| tracing::warn!("{remark}"));
        self.told = remarks;
        let mut people = BTreeMap::new();
        for person in update.gallery.people() {
            let slug = person.id.slug.to_string();
            match self.identity.person(&slug) {
                Ok(uuid) => {
                    let uuid = uuid.simple().to_string();
                    people.insert(slug, Person { name: person.id.name.to_string(), uuid });
                }
                Err(error) => tracing::error!("{slug} gets no entity: {error}"),
            }
        }
        let names: Vec<&str> = people.values().map(|person| person.name.as_str()).collect();
        tracing::info!(
            "people enrolled: {}",
            if names.is_empty() { "nobody".into() } else { names.join(", ") }
        );
        for watch in self.watches.values_mut() {
            watch.faces.set_gallery(Arc::clone(&update.gallery));
        }
        // Half a household would take away the entities of the other half.
        if !update.unfinished {
            self.inbox.tell(Input::People(people));
        }
    }

    fn obey(&mut self, FaceOrder { camera, order }: FaceOrder) {
        let Some(watch) = self.watches.get_mut(&camera) else { return };
        match order {
            FacesOrder::Enabled(on) => {
                watch.enabled = on;
                if !on {
                    watch.forget();
                }
            }
            FacesOrder::Threshold(known) => {
                let settings = Settings { known: known as f32, ..*watch.faces.settings() };
                watch.faces.set(settings);
            }
            FacesOrder::Moving(boxes) => {
                if boxes.is_some() {
                    watch.moved_at = Some(Instant::now());
                }
                watch.motion = boxes;
            }
            FacesOrder::Forget => watch.forget(),
        }
    }

    fn look(&mut self, id: &str, models: &mut Models) {
        let (interval, always) = (self.interval, self.always);
        let Some(watch) = self.watches.get_mut(id) else { return };
        let now = Instant::now();
        if watch.next_look(always).is_none_or(|at| at > now) {
            return;
        }
        watch.due = now + interval;
        let (report, taken) = match watch.take_look(models, now) {
            Some(looked) => looked,
            None => (watch.faces.tick(now), None),
        };
        if let Some(error) = &report.error {
            tracing::debug!(camera = id, "a face could not be looked at: {error}");
        }
        let sighting = watch.sighting(report, taken);
        let names_somebody = !sighting.known.is_empty() || sighting.unknown || sighting.any;
        if names_somebody || watch.told || !sighting.decisions.is_empty() {
            watch.told = names_somebody;
            self.inbox.tell(Input::Faces { camera: id.into(), sighting });
        }
    }
}

impl Watch {
    fn new(hub: Arc<Hub>, faces: FaceLoop) -> Self {
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
    fn next_look(&self, always: bool) -> Option<Instant> {
        let moves = self.motion.is_some() || self.moved_at.is_some_and(|at| at.elapsed() < LINGER);
        let follows = self.faces.next_deadline().is_some();
        (self.enabled && (always || moves || follows)).then_some(self.due)
    }

    /// Looks at the newest picture; `None` if there is no new one. Also returns the picture as JPEG.
    fn take_look(&mut self, models: &mut Models, now: Instant) -> Option<(Report, Option<Bytes>)> {
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

    fn sighting(&mut self, report: Report, taken: Option<Bytes>) -> FaceSighting {
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
