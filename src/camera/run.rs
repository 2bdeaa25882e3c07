//! The camera thread: opens, publishes, notices loss, shows a card meanwhile, tries again, and closes at once for privacy.
//!
//! Not here: devices and files (the sources), and what a lost camera means for the household ([`crate::logic`]).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::card::Card;
use super::pace::{Gate, Rate, interval_of};
use super::trace::Trace;
use super::{Defect, Fault, Picture, Source, Wish};
use crate::frame::{Frame, Raw};
use crate::hub::Hub;
use crate::jpeg;
use crate::logic::effect::CameraOrder;
use crate::logic::problem::Problem;
use crate::logic::source::Spec;
use crate::logic::state::Opened;
use crate::shutdown::Shutdown;

/// How long a camera may stay silent before it counts as lost, unless the configuration says otherwise.
pub const STALL_AFTER: Duration = Duration::from_secs(5);
/// Orders and the stop signal wait this long at most.
const SLICE: Duration = Duration::from_millis(50);
/// How often a card is shown again, for viewers that came later and clients that expect a picture now and then.
const CARD_EVERY: Duration = Duration::from_secs(1);
/// First and longest pause between two attempts to open.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How often an absent device or file is looked for; looking is one `stat`, so a replug is noticed long before the pause ends.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const STATS_EVERY: Duration = Duration::from_secs(1);

/// What the camera thread is given.
pub struct Parts {
    /// The camera's name, for cards and the log.
    pub name: String,
    /// Where pictures come from.
    pub spec: Spec,
    /// Size and rate wanted.
    pub wish: Wish,
    /// Privacy from the first moment: nothing is opened.
    pub private: bool,
    /// Silence that counts as loss; [`STALL_AFTER`] by default.
    pub stall_after: Duration,
    /// Where frames go. Closed when the thread ends.
    pub hub: Arc<Hub>,
    /// What the thread is told.
    pub orders: Receiver<CameraOrder>,
    /// What the thread tells; called on its own thread, so it must not wait.
    pub news: Box<dyn FnMut(News) + Send>,
}

/// What the camera thread tells.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The first good picture has come since the start or since the loss.
    Opened(Opened),
    /// No more pictures; told once until the reason changes.
    Lost(Problem),
    /// The device is closed for privacy and the last picture is replaced.
    Private,
    /// Counts, about once a second while pictures come and once after they end.
    Stats(Stats),
}

/// How a camera does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Pictures a second that were published lately.
    pub fps: f64,
    /// Pictures published since the start.
    pub frames: u64,
    /// Pictures that could not be used since the start.
    pub dropped: Drops,
    /// Good pictures that a newer one overtook before we could look at them, since the start.
    pub overtaken: u64,
}

/// Broken pictures by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Cut short.
    pub truncated: u64,
    /// No picture, or damaged.
    pub damaged: u64,
    /// Of an absurd size.
    pub size: u64,
    /// Marked as faulty by the driver.
    pub flagged: u64,
    /// Never handed over: the driver found them faulty itself, or had no room because we were slow.
    pub lost: u64,
}

impl Drops {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.truncated + self.damaged + self.size + self.flagged + self.lost
    }

    fn count(&mut self, defect: Defect) {
        match defect {
            Defect::Truncated => self.truncated += 1,
            Defect::Damaged => self.damaged += 1,
            Defect::Size => self.size += 1,
            Defect::Flagged => self.flagged += 1,
        }
    }
}

/// The body of the camera thread. Returns within a second of the stop signal (a driver that hangs in a system call may
/// take longer); the hub is closed last.
pub fn run(parts: Parts, shutdown: &Shutdown) {
    run_with(parts, shutdown, super::open);
}

fn run_with(parts: Parts, shutdown: &Shutdown, opener: impl Fn(&Spec, Wish) -> OpenResult) {
    let hub = Arc::clone(&parts.hub);
    let mut thread = Thread::new(parts, opener);
    while !shutdown.is_triggered() {
        thread.obey();
        thread.step(shutdown);
    }
    thread.close();
    hub.close();
}

type OpenResult = Result<Box<dyn Source>, Problem>;

/// What the thread is at. The source lives in the state it belongs to, so leaving the state closes the device.
enum State {
    Private,
    /// Waiting to open; `found` is what the device or file looked like when it was last tried.
    Closed {
        retry_at: Instant,
        look_at: Instant,
        found: Trace,
    },
    /// `since_good` is when the last good picture came, or when it was opened.
    Open {
        source: Box<dyn Source>,
        since_good: Instant,
        good: bool,
    },
}

struct Thread<O> {
    parts: Parts,
    opener: O,
    state: State,
    pause: Duration,
    /// The fault that was last told; `None` while all is well.
    told: Option<Problem>,
    card: Option<Card>,
    card_due: Instant,
    gate: Gate,
    size: (usize, usize),
    seq: u64,
    stats: Stats,
    broken_since_good: u64,
    rate: Rate,
    stats_due: Instant,
    orders_over: bool,
}

impl<O: Fn(&Spec, Wish) -> OpenResult> Thread<O> {
    fn new(parts: Parts, opener: O) -> Self {
        let now = Instant::now();
        let state = State::Closed { retry_at: now, look_at: now, found: Trace::default() };
        let mut thread = Self {
            gate: Gate::new(interval_of(parts.wish.fps)),
            size: parts.wish.size(),
            parts,
            opener,
            state,
            pause: RETRY.0,
            told: None,
            card: None,
            card_due: now,
            seq: 0,
            stats: Stats::default(),
            broken_since_good: 0,
            rate: Rate::default(),
            stats_due: now + STATS_EVERY,
            orders_over: false,
        };
        if thread.parts.private {
            thread.become_private();
        }
        thread
    }

    /// Carries out what was ordered.
    fn obey(&mut self) {
        loop {
            match self.parts.orders.try_recv() {
                Ok(order) => self.carry_out(order),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.orders_over = true;
                    return;
                }
            }
        }
    }

    fn carry_out(&mut self, order: CameraOrder) {
        match order {
            CameraOrder::Privacy(true) => self.become_private(),
            CameraOrder::Privacy(false) => {
                if matches!(self.state, State::Private) {
                    info!(camera = self.parts.name, "privacy off");
                    self.card = None;
                    self.try_again_at(Instant::now());
                }
            }
            CameraOrder::Fps(fps) => self.set_fps(fps),
        }
    }

    /// Closes the device first, replaces the picture second, tells third.
    fn become_private(&mut self) {
        self.close();
        self.state = State::Private;
        self.told = None;
        self.pause = RETRY.0;
        self.show(&Problem::Privacy);
        info!(camera = self.parts.name, "privacy on, camera closed");
        (self.parts.news)(News::Private);
    }

    fn set_fps(&mut self, fps: f64) {
        self.parts.wish.fps = fps;
        self.gate.set_interval(interval_of(fps));
        let reopen = match &mut self.state {
            State::Open { source, .. } => !source.set_fps(fps),
            State::Private | State::Closed { .. } => false,
        };
        if reopen {
            self.close();
            self.try_again_at(Instant::now());
        }
    }

    fn try_again_at(&mut self, retry_at: Instant) {
        let found = Trace::of(&self.parts.spec);
        self.state = State::Closed { retry_at, look_at: Instant::now() + LOOK_EVERY, found };
    }

    /// One bounded piece of work.
    fn step(&mut self, shutdown: &Shutdown) {
        let now = Instant::now();
        self.tell_stats(now);
        match &mut self.state {
            State::Private => self.idle(shutdown),
            State::Closed { retry_at, look_at, found } => {
                let mut open_now = now >= *retry_at;
                if !open_now && now >= *look_at {
                    *look_at = now + LOOK_EVERY;
                    if Trace::of(&self.parts.spec) != *found {
                        self.pause = RETRY.0;
                        open_now = true;
                    }
                }
                if open_now { self.open() } else { self.idle(shutdown) }
            }
            State::Open { source, .. } => {
                let took = guarded(|| source.next(now + SLICE));
                self.took(took);
            }
        }
    }

    /// Nothing to do but to keep the card alive and to listen.
    fn idle(&mut self, shutdown: &Shutdown) {
        self.repeat_card();
        if self.orders_over {
            let _ = shutdown.wait(SLICE);
            return;
        }
        match self.parts.orders.recv_timeout(SLICE) {
            Ok(order) => self.carry_out(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.orders_over = true,
        }
    }

    fn open(&mut self) {
        match guarded(|| (self.opener)(&self.parts.spec, self.parts.wish)) {
            Ok(Ok(source)) => {
                debug!(camera = self.parts.name, "opened, waiting for the first picture");
                self.broken_since_good = 0;
                self.gate.reset();
                self.state = State::Open { source, since_good: Instant::now(), good: false };
            }
            Ok(Err(problem)) => self.lose(problem),
            Err(panic) => self.lose(panic),
        }
    }

    fn took(&mut self, took: Result<Result<Picture, Fault>, Problem>) {
        let now = Instant::now();
        match took {
            Ok(Ok(picture)) => {
                self.stats.overtaken += picture.overtaken;
                self.stats.dropped.lost += picture.lost;
                // A picture that was taken before the order to stop must not be seen after it.
                self.obey();
                if matches!(self.state, State::Open { .. }) {
                    self.receive(picture);
                }
            }
            Ok(Err(Fault::Broken(defect))) => self.drop_broken(defect),
            Ok(Err(Fault::Quiet)) => self.repeat_card(),
            Ok(Err(Fault::Lost(problem))) => return self.lose(problem),
            Err(panic) => return self.lose(panic),
        }
        if let State::Open { since_good, .. } = &self.state
            && now.saturating_duration_since(*since_good) > self.parts.stall_after
        {
            self.lose(self.why_silent());
        }
    }

    fn why_silent(&self) -> Problem {
        if self.broken_since_good == 0 {
            return Problem::NoSignal;
        }
        let drops = self.stats.dropped;
        Problem::CameraFailed {
            detail: format!(
                "The pictures cannot be used (so far {} cut short, {} damaged, {} of an absurd size, {} marked as faulty)",
                drops.truncated, drops.damaged, drops.size, drops.flagged
            ),
        }
    }

    fn drop_broken(&mut self, defect: Defect) {
        self.stats.dropped.count(defect);
        self.broken_since_good += 1;
        debug!(camera = self.parts.name, ?defect, "a broken picture was dropped");
    }

    fn receive(&mut self, picture: Picture) {
        let at = picture.captured_at;
        if !self.gate.is_due(at) {
            // Still a sign of life.
            if let State::Open { since_good, good: true, .. } = &mut self.state {
                *since_good = Instant::now();
            }
            return;
        }
        match checked(picture) {
            Ok((raw, width, height)) => {
                self.gate.pass(at);
                self.publish_live(at, width, height, raw);
            }
            Err(defect) => self.drop_broken(defect),
        }
    }

    fn publish_live(&mut self, at: Instant, width: usize, height: usize, raw: Raw) {
        let now = Instant::now();
        self.seq += 1;
        self.size = (width, height);
        self.parts.hub.publish(Arc::new(Frame::live(self.seq, at, width, height, raw)));
        self.stats.frames += 1;
        self.rate.count(now);
        self.broken_since_good = 0;
        let State::Open { source, since_good, good } = &mut self.state else { return };
        *since_good = now;
        if !*good {
            *good = true;
            let mut opened = source.opened().clone();
            (opened.width, opened.height) = (width, height);
            self.card = None;
            self.told = None;
            self.pause = RETRY.0;
            info!(camera = self.parts.name, "{}, {width} x {height}, {}", opened.description, opened.format);
            (self.parts.news)(News::Opened(opened));
        }
    }

    /// Closes what is left of the source, shows the reason and plans the next attempt.
    fn lose(&mut self, problem: Problem) {
        self.close();
        self.rate = Rate::default();
        let now = Instant::now();
        self.try_again_at(now + self.pause);
        self.pause = (self.pause * 2).min(RETRY.1);
        if self.told.as_ref() == Some(&problem) {
            return self.repeat_card();
        }
        warn!(camera = self.parts.name, "{problem}");
        self.show(&problem);
        (self.parts.news)(News::Lost(problem.clone()));
        (self.parts.news)(News::Stats(Stats { fps: 0.0, ..self.stats }));
        self.told = Some(problem);
    }

    /// Drops the source, if any, which closes the device. Drivers' cleanup may panic; that must not end the thread.
    fn close(&mut self) {
        let now = Instant::now();
        let closed = State::Closed { retry_at: now, look_at: now, found: Trace::default() };
        let old = std::mem::replace(&mut self.state, closed);
        if let Err(problem) = guarded(move || drop(old)) {
            warn!(camera = self.parts.name, "closing the camera: {problem}");
        }
    }

    fn show(&mut self, problem: &Problem) {
        self.card = Some(Card::new(&self.parts.name, problem, Instant::now()));
        self.card_due = Instant::now();
        self.repeat_card();
    }

    /// Publishes the card again when it is time and there is one.
    fn repeat_card(&mut self) {
        let now = Instant::now();
        let Some(card) = self.card.as_mut().filter(|_| now >= self.card_due) else { return };
        self.card_due = now + CARD_EVERY;
        let (width, height) = self.size;
        match card.jpeg(width, height, now) {
            Ok(jpeg) => {
                self.seq += 1;
                self.parts.hub.publish(Arc::new(Frame::card(self.seq, now, width, height, jpeg)));
            }
            Err(error) => warn!(camera = self.parts.name, "drawing the card: {error}"),
        }
    }

    fn tell_stats(&mut self, now: Instant) {
        if now < self.stats_due || !matches!(self.state, State::Open { good: true, .. }) {
            return;
        }
        self.stats_due = now + STATS_EVERY;
        self.stats.fps = self.rate.per_second(now);
        (self.parts.news)(News::Stats(self.stats));
    }
}

/// Looks at the outside of a picture; a JPEG's own size wins over what the source claims.
fn checked(picture: Picture) -> Result<(Raw, usize, usize), Defect> {
    let (width, height) = match &picture.raw {
        Raw::Jpeg(bytes) => jpeg::check(bytes).map_err(|error| match error {
            jpeg::Error::Truncated => Defect::Truncated,
            jpeg::Error::Size(..) => Defect::Size,
            jpeg::Error::Damaged(_) => Defect::Damaged,
        })?,
        Raw::Yuyv(bytes) if bytes.len() < 2 * picture.width * picture.height => {
            return Err(Defect::Truncated);
        }
        Raw::Rgb(bytes) if bytes.len() < 3 * picture.width * picture.height => return Err(Defect::Truncated),
        Raw::Yuyv(_) | Raw::Rgb(_) => (picture.width, picture.height),
    };
    Ok((picture.raw, width, height))
}

/// Runs code of a source; a panic in it (drivers' data is unwrapped in places) becomes a fault of the camera.
fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| Problem::CameraFailed {
        detail: format!("The code that reads the camera failed ({})", words_of(panic.as_ref())),
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests;
