//! The faces thread: looks at every camera's newest picture in turn while something moves, and keeps the household up to date.
//!
//! One thread and one set of models for all cameras: a look takes tens of milliseconds and the models tens of megabytes.
//! Not here: finding and naming ([`crate::vision::faces`]) and what follows from a name.

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::plan::CameraSetup;
use crate::config::{Config, Detector};
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::effect::FacesOrder;
use crate::logic::faces::quality::Limits;
use crate::logic::faces::tracker::Settings;
use crate::logic::faces::{Gallery, Ground};
use crate::logic::input::Input;
use crate::logic::state::Person;
use crate::shutdown::Shutdown;
use crate::store::IdentityFile;
use crate::vision::enrol::{Enroller, Update};
use crate::vision::faces::{FaceLoop, Finder, Models};
use watch::Watch;

/// How often the folder of photographs is looked at.
const ENROL_EVERY: Duration = Duration::from_secs(2);
/// Longest wait without a look at the stop signal.
const PATIENCE: Duration = Duration::from_millis(100);

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
        let knobs = &setup.motion.knobs;
        let ground = Ground { regions: knobs.regions.clone(), masks: knobs.masks.clone() };
        (id, Watch::new(hub, FaceLoop::new(settings, Arc::clone(&gallery)).within(ground)))
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
            FacesOrder::Moving(boxes) => watch.moved(boxes),
            FacesOrder::Forget => watch.forget(),
        }
    }

    fn look(&mut self, id: &str, models: &mut Models) {
        let (interval, always) = (self.interval, self.always);
        let Some(watch) = self.watches.get_mut(id) else { return };
        let now = Instant::now();
        watch.look_in_calm(models, now);
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
