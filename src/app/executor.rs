//! Carries out what the appliance decides: the loop around it, and the way of each effect.
//!
//! Not here: decisions ([`crate::logic::appliance`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::admin::Desk;
use super::faces::{Lesson, Order, Ways};
use crate::archive;
use crate::audit;
use crate::door::Door;
use crate::hub::Hub;
use crate::inbox::{Inbox, Reply, Request};
use crate::logic::appliance::{Appliance, settings_to_json};
use crate::logic::command::Answer;
use crate::logic::effect::{CameraOrder, ClipOrder, Effect, MotionOrder};
use crate::logic::entities::STRIP;
use crate::logic::events::Event;
use crate::logic::faces::training::{Job, Training};
use crate::logic::history;
use crate::logic::input::{Input, Now};
use crate::logic::motion::Knobs;
use crate::logic::problem::Problem;
use crate::logic::request::Discovery;
use crate::logic::state::State;
use crate::mqtt::{News, Outbox};
use crate::notify::Trial;
use crate::shutdown::Shutdown;
use crate::store::{StateFile, Stored};
use crate::vision::motion;

/// Longest wait without a look at the stop signal.
const PATIENCE: Duration = Duration::from_millis(200);
/// After a change settings wait this long for more of them: a slider sends many, and memory cards wear out.
const SAVE_DELAY: Duration = Duration::from_millis(300);

/// Where effects go.
pub(super) struct Executor {
    cameras: BTreeMap<String, Orders>,
    inbox: Inbox,
    hubs: BTreeMap<String, Arc<Hub>>,
    outbox: Arc<Outbox>,
    published: watch::Sender<Arc<State>>,
    pub(super) faces: Option<Ways>,
    pub(super) saves: Option<Sender<Save>>,
    pub(super) archive: Option<SyncSender<archive::Order>>,
    pub(super) trials: Option<UnboundedSender<Trial>>,
    pub(super) desk: Option<Desk>,
    pub(super) door: Option<Arc<Door>>,
    pub(super) audit: Option<audit::Log>,
    pub(super) discovery: Option<UnboundedSender<(Discovery, Reply)>>,
    /// Orders that the archive was too busy to take.
    unkept: u64,
    /// People whom it has to forget when it has time: that is never left out.
    to_forget: Vec<String>,
}

/// The ways to the loops of one camera.
pub(super) struct Orders {
    pub(super) camera: Sender<CameraOrder>,
    pub(super) motion: Sender<motion::Order>,
    /// None while no clips are made.
    pub(super) clips: Option<Sender<ClipOrder>>,
    pub(super) knobs: Knobs,
}

impl Executor {
    pub(super) fn new(
        hubs: BTreeMap<String, Arc<Hub>>,
        inbox: Inbox,
        outbox: Arc<Outbox>,
        published: watch::Sender<Arc<State>>,
    ) -> Self {
        Self {
            cameras: BTreeMap::new(),
            inbox,
            hubs,
            outbox,
            published,
            faces: None,
            saves: None,
            archive: None,
            trials: None,
            desk: None,
            door: None,
            audit: None,
            discovery: None,
            unkept: 0,
            to_forget: Vec::new(),
        }
    }

    pub(super) fn add_camera(&mut self, id: String, orders: Orders) {
        self.cameras.insert(id, orders);
    }

    /// The body of the appliance thread. Ends with the stop signal, once the inbox is empty.
    pub(super) fn run(mut self, mut appliance: Appliance, requests: &Receiver<Request>, stop: &Shutdown) {
        for effect in appliance.first_effects() {
            self.carry_out(&mut appliance, effect, &mut None);
        }
        loop {
            let until = appliance.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
            let patience = until.map_or(PATIENCE, |until| until.min(PATIENCE));
            match requests.recv_timeout(patience) {
                Ok(request) => self.handle(&mut appliance, request),
                Err(RecvTimeoutError::Timeout) if stop.is_triggered() => return,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if appliance.next_deadline().is_some_and(|at| at <= Instant::now()) {
                        self.handle(&mut appliance, Request { input: Input::Tick, reply: None });
                    }
                }
            }
        }
    }

    fn handle(&mut self, appliance: &mut Appliance, request: Request) {
        for slug in std::mem::take(&mut self.to_forget) {
            self.archive(archive::Order::Forget(slug));
        }
        let Request { input, mut reply } = request;
        let now = Now { instant: Instant::now(), wall: Timestamp::now() };
        let (outcome, effects) = match appliance.handle(now, input) {
            Ok((answer, effects)) => (Ok(answer), effects),
            Err(problem) => (Err(problem), Vec::new()),
        };
        self.publish(appliance, &effects);
        for effect in effects {
            self.carry_out(appliance, effect, &mut reply);
        }
        if let Some(reply) = reply {
            reply(outcome);
        }
    }

    /// Readers see the new state before anybody hears of what follows from it; MQTT gets its news in the same moment, because there the
    /// picture of an event comes even before the state.
    fn publish(&self, appliance: &Appliance, effects: &[Effect]) {
        let news = effects.iter().filter_map(news).collect();
        let state = Arc::new(appliance.state().clone());
        self.outbox.push(news, || drop(self.published.send_replace(state)));
    }

    /// Hands something to the archive without waiting: a slow disk must not hold up a camera.
    fn archive(&mut self, order: archive::Order) {
        let Some(archive) = &self.archive else { return };
        if let Err(TrySendError::Full(refused)) = archive.try_send(order) {
            if self.unkept == 0 {
                tracing::warn!("the disk is too slow to keep every event; further ones are only counted");
            }
            self.unkept += 1;
            // Whoever waits must not wait for ever.
            match refused {
                archive::Order::Ask(_, reply) => reply(Err(Problem::Busy)),
                archive::Order::Recall(_, then) => then(None),
                archive::Order::Forget(slug) => self.to_forget.push(slug),
                archive::Order::Copy(_, then) => then(Err("the disk is too slow".into())),
                archive::Order::Keep(_)
                | archive::Order::Add { .. }
                | archive::Order::Clip { .. }
                | archive::Order::Delivered { .. } => {}
            }
        }
    }

    /// Asks the archive for an event and goes on with the request when it is there.
    fn recall(&mut self, id: String, training: Training, reply: Option<Reply>) {
        let (inbox, wanted) = (self.inbox.clone(), id.clone());
        let then = move |kept: Option<archive::Kept>| {
            let now = Instant::now();
            let event = kept.map(|kept| Arc::new(Event::recalled(wanted, kept.record, kept.picture, now)));
            // With the queue full the asker waits in vain and is told so.
            let _ = inbox.send(Input::Recalled { training, event }, reply);
        };
        self.archive(archive::Order::Recall(id, Box::new(then)));
    }

    /// Has the day of a camera drawn and shown to those who listen over MQTT.
    fn renew_strip(&mut self, camera: String) {
        let (outbox, id) = (Arc::clone(&self.outbox), camera.clone());
        let show = move |outcome: Result<Answer, Problem>| {
            if let Ok(Answer::Picture(jpeg)) = outcome {
                outbox.push(vec![News::Picture { camera: id, key: STRIP, jpeg }], || {});
            }
        };
        let request = history::Request::Strip { camera, day: None };
        self.archive(archive::Order::Ask(request, Box::new(show)));
    }

    fn try_notify(&self, target: Option<String>, reply: Option<Reply>) {
        let Some(reply) = reply else { return };
        let reply = Box::new(|outcome: Result<Value, Problem>| reply(outcome.map(Answer::Data)));
        if let Some(trials) = &self.trials {
            // The task ends only with the process.
            let _ = trials.send(Trial { target, reply });
        }
    }

    /// The MQTT session has the devices; without a broker there are none.
    fn discovery(&self, wish: Discovery, reply: Option<Reply>) {
        let Some(reply) = reply else { return };
        match &self.discovery {
            Some(session) if self.outbox.is_connected() => drop(session.send((wish, reply))),
            Some(_) | None => reply(Err(Problem::NoBroker)),
        }
    }

    fn teach(&self, job: Job, reply: Option<Reply>) {
        let Some(faces) = &self.faces else { return };
        match faces.lessons.try_send(Lesson { job, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(lesson) | TrySendError::Disconnected(lesson)) => {
                lesson.reply.into_iter().for_each(|reply| reply(Err(Problem::Busy)));
            }
        }
    }

    fn capture(&mut self, appliance: &mut Appliance, camera: &str, training: Training, reply: Option<Reply>) {
        match self.picture(camera) {
            Some((_, jpeg)) => {
                let input = Input::Training(training.with_frame(jpeg));
                self.handle(appliance, Request { input, reply });
            }
            None => reply.into_iter().for_each(|reply| reply(Err(Problem::NoSignal))),
        }
    }

    /// The newest live picture of a camera, and when it was taken.
    fn picture(&self, camera: &str) -> Option<(Instant, Bytes)> {
        let frame = self.hubs.get(camera)?.latest().filter(|frame| frame.live)?;
        Some((frame.captured_at, frame.jpeg().ok()?.clone()))
    }

    /// Orders to a thread that has just ended are lost, which is what its end means. Who does work that somebody waits for takes the
    /// reply along.
    fn carry_out(&mut self, appliance: &mut Appliance, effect: Effect, reply: &mut Option<Reply>) {
        match effect {
            Effect::Camera(id, order) => {
                if let Some(orders) = self.cameras.get(&id) {
                    let _ = orders.camera.send(order);
                }
            }
            Effect::Motion(id, order) => {
                if let Some(orders) = self.cameras.get_mut(&id) {
                    let order = motion_order(&mut orders.knobs, order);
                    let _ = orders.motion.send(order);
                }
            }
            Effect::Faces(id, order) => {
                if let Some(faces) = &self.faces {
                    let _ = faces.orders.send(Order { camera: id, order });
                }
            }
            Effect::Announce(event) => {
                if event.is_worth_telling() {
                    tracing::info!("{}", event.title);
                }
                self.archive(archive::Order::Keep(event.entry()));
            }
            // Went out with the state.
            Effect::BlankPictures(_) | Effect::BlankFace(_) => {}
            Effect::Archive(request) => {
                if let Some(reply) = reply.take() {
                    self.archive(archive::Order::Ask(request, reply));
                }
            }
            Effect::Recall { id, training } => self.recall(id, training, reply.take()),
            Effect::Add(id, addition) => self.archive(archive::Order::Add { id, addition }),
            Effect::ForgetPerson(slug) => self.archive(archive::Order::Forget(slug)),
            Effect::RenewStrip(camera) => self.renew_strip(camera),
            Effect::TryNotify(target) => self.try_notify(target, reply.take()),
            Effect::Admin(request) => {
                if let (Some(desk), Some(reply)) = (&self.desk, reply.take()) {
                    desk.ask(request, reply);
                }
            }
            Effect::Discovery(wish) => self.discovery(wish, reply.take()),
            Effect::Access(request) => {
                if let (Some(door), Some(reply)) = (&self.door, reply.take()) {
                    door.ask(request, reply);
                }
            }
            Effect::Audit(request) => {
                if let (Some(audit), Some(reply)) = (&self.audit, reply.take()) {
                    audit.ask(request, reply);
                }
            }
            Effect::Clip(id, order) => {
                if let Some(clips) = self.cameras.get(&id).and_then(|orders| orders.clips.as_ref()) {
                    let _ = clips.send(order);
                }
            }
            Effect::Teach(job) => self.teach(job, reply.take()),
            Effect::Capture { camera, training } => self.capture(appliance, &camera, training, reply.take()),
            Effect::TakeSnapshot { camera, id } => self.take_snapshot(appliance, camera, id),
            Effect::SaveSettings => self.save(appliance.state(), false, None),
            Effect::SavePrivacy => self.save(appliance.state(), true, reply.take()),
        }
    }

    fn take_snapshot(&mut self, appliance: &mut Appliance, camera: String, id: String) {
        let Some((captured_at, jpeg)) = self.picture(&camera) else {
            tracing::warn!(camera, "there was no picture for the snapshot");
            return;
        };
        let input = Input::Snapshot { camera, id, captured_at, jpeg };
        self.handle(appliance, Request { input, reply: None });
    }

    fn save(&self, state: &State, at_once: bool, waiting: Option<Reply>) {
        let mut stored = Stored::default();
        stored.public_address.clone_from(&state.public_address);
        stored.declined.clone_from(&state.declined);
        for (id, camera) in &state.cameras {
            for (key, value) in settings_to_json(camera) {
                stored.set(id, &key, value);
            }
        }
        if let Some(saves) = &self.saves {
            let _ = saves.send(Save { stored, at_once, waiting });
        }
    }
}

/// What MQTT has to tell of an effect.
fn news(effect: &Effect) -> Option<News> {
    match effect {
        Effect::Announce(event) => Some(News::Event(Arc::clone(event))),
        Effect::BlankPictures(id) => Some(News::Blank(id.clone())),
        Effect::BlankFace(id) => Some(News::BlankFace(id.clone())),
        Effect::Camera(..)
        | Effect::Motion(..)
        | Effect::Faces(..)
        | Effect::TakeSnapshot { .. }
        | Effect::Capture { .. }
        | Effect::Teach(_)
        | Effect::Archive(_)
        | Effect::Recall { .. }
        | Effect::Add(..)
        | Effect::Clip(..)
        | Effect::ForgetPerson(_)
        | Effect::RenewStrip(_)
        | Effect::TryNotify(_)
        | Effect::Admin(_)
        | Effect::Access(_)
        | Effect::Audit(_)
        | Effect::Discovery(_)
        | Effect::SaveSettings
        | Effect::SavePrivacy => None,
    }
}

fn motion_order(knobs: &mut Knobs, order: MotionOrder) -> motion::Order {
    match order {
        MotionOrder::Enabled(on) => motion::Order::Enabled(on),
        MotionOrder::Reset => motion::Order::Reset,
        MotionOrder::Inhibit(until) => motion::Order::Inhibit(until),
        MotionOrder::Sensitivity { threshold, min_area } => {
            // The table of entities has checked the ranges.
            knobs.threshold = threshold as u8;
            knobs.min_area = min_area as u32;
            motion::Order::Knobs(knobs.clone())
        }
    }
}

/// Settings to keep.
pub(super) struct Save {
    stored: Stored,
    /// Not a step of a slider, which others will follow.
    at_once: bool,
    /// Who hears when they are on the disk.
    waiting: Option<Reply>,
}

/// The body of the store thread: keeps the newest settings, soon but not at every step of a slider, unless they are to be kept at once.
pub(super) fn keep(mut file: StateFile, saves: &Receiver<Save>) {
    while let Ok(mut newest) = saves.recv() {
        let due = Instant::now() + SAVE_DELAY;
        while !newest.at_once
            && let Ok(newer) = saves.recv_timeout(due.saturating_duration_since(Instant::now()))
        {
            newest = newer;
        }
        if let Err(error) = file.save(&newest.stored) {
            tracing::error!("settings are not kept: {error}");
        }
        if let Some(reply) = newest.waiting {
            reply(Ok(Answer::Done));
        }
    }
}
