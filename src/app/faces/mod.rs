//! The faces thread: looks at every camera's newest picture in turn while something moves, and keeps the household up to date.
//!
//! One thread and one set of models for all cameras: a look takes tens of milliseconds and the models tens of megabytes.
//! Not here: finding and naming ([`crate::vision::faces`]) and what follows from a name.

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use serde_json::json;

use super::crew::Crew;
use super::plan::CameraSetup;
use crate::config::{Config, Detector};
use crate::hub::Hub;
use crate::inbox::{Inbox, Reply};
use crate::logic::command::Answer;
use crate::logic::effect::FacesOrder;
use crate::logic::faces::quality::Limits;
use crate::logic::faces::tracker::Settings;
use crate::logic::faces::training::Job;
use crate::logic::faces::{Gallery, Ground, Kind};
use crate::logic::input::{FaceNews, Input};
use crate::logic::state::Person;
use crate::shutdown::Shutdown;
use crate::store::IdentityFile;
use crate::vision::enrol::{Enroller, Grouped, Household, Owner};
use crate::vision::faces::{FaceLoop, Finder, Models};
use watch::Watch;

/// How often the folder of photographs is looked at.
const ENROL_EVERY: Duration = Duration::from_secs(2);
/// Listing the folder takes at most one part in so many of the thread's time.
const POLL_SHARE: u32 = 20;
/// Lessons that may wait.
const MAX_LESSONS: usize = 16;
/// Longest wait without a look at the stop signal.
const PATIENCE: Duration = Duration::from_millis(100);

/// An order to one camera's face loop.
pub(super) struct Order {
    pub(super) camera: String,
    pub(super) order: FacesOrder,
}

/// Something that people teach, or ask about faces; whoever waits hears of the outcome.
pub(super) struct Lesson {
    pub(super) job: Job,
    pub(super) reply: Option<Reply>,
}

/// The ways to the thread.
pub(super) struct Ways {
    pub(super) orders: Sender<Order>,
    /// Bounded: each lesson may hold a picture of many megabytes.
    pub(super) lessons: SyncSender<Lesson>,
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
) -> Ways {
    let (orders, received) = channel();
    let (lessons, taught) = sync_channel(MAX_LESSONS);
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
    let is_ours = config.faces.folder.starts_with(&config.data_dir);
    let owner = if is_ours { Owner::Ours } else { Owner::Shared };
    let room = Room {
        watches: watches.collect(),
        orders: received,
        lessons: taught,
        inbox: inbox.clone(),
        identity,
        enroller: Enroller::new(config.faces.folder.clone(), owner),
        keep_unknown: config.faces.keep_unknown,
        interval: config.faces.interval,
        always: config.faces.always,
        told: BTreeSet::new(),
        enrolled: String::new(),
    };
    let finder = match config.faces.detector {
        Detector::Yunet => Finder::YuNet,
        Detector::Rustface => Finder::Rustface,
    };
    let (side, stop) = (config.faces.detect_width as usize, stop.clone());
    let second_opinion = config.faces.second_opinion;
    crew.spawn("faces", move || {
        let models = Models::load(finder, side);
        let models = if second_opinion { models.and_then(Models::with_second_opinion) } else { models };
        let models = models.expect("the models were built in and tested");
        room.run(models, &stop);
    });
    Ways { orders, lessons }
}

/// Everything the thread works with.
struct Room {
    watches: BTreeMap<String, Watch>,
    orders: Receiver<Order>,
    lessons: Receiver<Lesson>,
    inbox: Inbox,
    identity: IdentityFile,
    enroller: Enroller,
    /// How long unknown faces are kept, so that they can be named; nothing is kept at zero.
    keep_unknown: Duration,
    interval: Duration,
    always: bool,
    /// Remarks about photographs that were told already.
    told: BTreeSet<String>,
    /// The names that were last told.
    enrolled: String,
}

impl Room {
    fn run(mut self, mut models: Models, stop: &Shutdown) {
        let mut poll_due = Instant::now();
        while !stop.is_triggered() {
            let began = Instant::now();
            if began >= poll_due {
                if let Some(household) = self.enroller.poll(&mut models.eyes()) {
                    self.welcome(household);
                }
                // A folder of thousands of files takes a while to list; it must not take all the time there is.
                let rest = ENROL_EVERY.max(began.elapsed() * POLL_SHARE);
                poll_due = Instant::now() + if self.enroller.is_busy() { Duration::ZERO } else { rest };
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
            // One a turn: faces in front of the cameras do not wait for a pile of photographs.
            if let Ok(lesson) = self.lessons.try_recv() {
                self.teach(lesson, &mut models);
            }
        }
    }

    /// A new household: everybody gets an id, the loops get the gallery, people get told what was refused.
    fn welcome(&mut self, household: Household) {
        let remarks: BTreeSet<String> = household
            .refusals
            .iter()
            .chain(&household.notes)
            .map(|remark| format!("{}: {}", remark.path, remark.sentence))
            .collect();
        // Each is told once, not again with every new photograph.
        remarks.difference(&self.told).for_each(|remark| tracing::warn!("{remark}"));
        self.told = remarks;
        let mut people = BTreeMap::new();
        for person in household.gallery.people() {
            let slug = person.id.slug.to_string();
            match self.identity.person(&slug) {
                Ok(uuid) => {
                    let uuid = uuid.simple().to_string();
                    people.insert(slug, Person { name: person.id.name.to_string(), uuid });
                }
                Err(error) => tracing::error!("{slug} gets no entity: {error}"),
            }
        }
        for watch in self.watches.values_mut() {
            watch.faces.set_gallery(Arc::clone(&household.gallery));
        }
        let self_test = household.self_test;
        if household.n_left > 0 {
            tracing::info!("photos: {} looked at, {} left", self_test.n_photos(), household.n_left);
        }
        if household.is_unreadable {
            return;
        }
        let is_complete = household.n_left == 0;
        let names: Vec<&str> = people.values().map(|person| person.name.as_str()).collect();
        let names = if names.is_empty() { "nobody".into() } else { names.join(", ") };
        if is_complete && names != self.enrolled {
            tracing::info!("people enrolled: {names}; self-test: {}", self_test.standing().word());
            self.enrolled = names;
        }
        self.inbox.tell(Input::People { people, self_test, is_complete });
    }

    fn obey(&mut self, Order { camera, order }: Order) {
        if let Some(watch) = self.watches.get_mut(&camera) {
            watch.obey(order);
        }
    }

    /// Carries out what people teach: first everybody else hears of it, then whoever asked.
    fn teach(&mut self, Lesson { job, reply }: Lesson, models: &mut Models) {
        let outcome = self.enroller.teach(job, &mut models.eyes()).map(|taught| {
            if let Some(household) = taught.household {
                self.welcome(household);
            }
            for watch in self.watches.values_mut() {
                let retracted = taught.changed.retracted.as_deref();
                retracted.into_iter().for_each(|slug| watch.faces.retract(slug, Instant::now()));
            }
            if let Some(slug) = &taught.changed.forgotten
                && let Err(error) = self.identity.forget_person(slug)
            {
                tracing::warn!("the id of {slug} is still in identity.json: {error}");
            }
            self.inbox.tell(Input::Taught(taught.changed));
            Answer::Data(taught.data)
        });
        if let Some(reply) = reply {
            reply(outcome);
        }
    }

    /// Keeps a face that nobody could name, and says in the record with which others it belongs.
    fn group(&mut self, news: &mut FaceNews, models: &mut Models) {
        let Some(jpeg) = news.jpeg.as_ref().filter(|_| news.event_type == Kind::Unknown.word()) else {
            return;
        };
        let Some(place) = news.place() else { return };
        let noted = self.enroller.note_unknown(jpeg, place, self.keep_unknown, &mut models.eyes());
        if let Some((Grouped { group, is_new }, household)) = noted {
            news.record.insert("group".into(), json!(group));
            news.record.insert("seen_before".into(), json!(!is_new));
            household.into_iter().for_each(|household| self.welcome(household));
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
        let mut sighting = watch.sighting(report, taken);
        let told_before = std::mem::take(&mut watch.told);
        sighting.decisions.iter_mut().for_each(|news| self.group(news, models));
        let names_somebody = !sighting.known.is_empty() || sighting.unknown || sighting.any;
        if let Some(watch) = self.watches.get_mut(id) {
            watch.told = names_somebody;
        }
        let is_silent =
            sighting.decisions.is_empty() && sighting.unfit.is_empty() && sighting.silent.is_empty();
        if names_somebody || told_before || !is_silent {
            self.inbox.tell(Input::Faces { camera: id.into(), sighting });
        }
    }
}
