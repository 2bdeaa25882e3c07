//! The motion loop of one camera: takes a few frames a second from the hub, shows them to the detector and tells what it saw.
//!
//! Not here: what motion is ([`crate::logic::motion`]) and what follows from it. Frames between two looks are not even decoded.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crate::frame::Frame;
use crate::hub::{Hub, Next, Viewer};
use crate::logic::motion::{Change, Detector, Knobs, Report, Tally};
use crate::shutdown::Shutdown;

/// Longest wait without a glance at orders and the stop signal.
const PATIENCE: Duration = Duration::from_millis(200);
/// Weight of the newest look in the mean cost: about ten looks are remembered.
const COST_WEIGHT: f32 = 0.1;

/// What the loop needs.
pub struct Parts<T> {
    /// The camera's frames.
    pub hub: Arc<Hub>,
    /// Orders; when every sender is gone the loop goes on with what it has.
    pub orders: Receiver<Order>,
    /// The detector's settings at the start.
    pub knobs: Knobs,
    /// Looks a second, more than 0; the camera's own rate is the upper end.
    pub analysis_fps: f32,
    /// Whether motion detection is on at the start.
    pub enabled: bool,
    /// Hears every look, in order, on the loop's own thread; must not wait.
    pub tell: T,
}

/// What the loop may be told while it runs.
#[derive(Clone, Debug)]
pub enum Order {
    /// Turn the knobs.
    Knobs(Knobs),
    /// Look so many times a second.
    AnalysisFps(f32),
    /// The next picture is the scene.
    Reset,
    /// Detection on or off; off decodes nothing.
    Enabled(bool),
    /// Hold motion back until then, or no longer.
    Inhibit(Option<Instant>),
}

/// What one look, or the passing of time, gave.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The detector's word. Its `boxes` are what moves now: where faces are worth looking for.
    pub report: Report,
    /// The picture, when motion began with it; at its end the picture in which most moved.
    pub frame: Option<Arc<Frame>>,
    /// When the picture was taken, or when time alone ended motion.
    pub captured_at: Instant,
    /// Decoding and detection of a picture, milliseconds, mean over the last looks.
    pub cost_ms: f32,
    /// Pictures that could not be decoded, since the start.
    pub broken: u64,
    /// What happened how often since the start.
    pub tally: Tally,
}

/// Runs until the hub is closed or the stop signal comes. Motion that is on then is told as ended.
pub fn run<T: FnMut(Sighting)>(parts: Parts<T>, shutdown: &Shutdown) {
    let viewer = parts.hub.viewer();
    let mut watch = Watch {
        detector: Detector::new(parts.knobs),
        enabled: parts.enabled,
        every: interval(parts.analysis_fps),
        live: false,
        cost_ms: 0.0,
        broken: 0,
        largest: None,
        tell: parts.tell,
    };
    watch.until_closed(viewer, &parts.orders, shutdown);
    let ended = watch.detector.reset();
    watch.tell_change(Instant::now(), ended);
}

struct Watch<T> {
    detector: Detector,
    enabled: bool,
    /// Time between two looks.
    every: Duration,
    /// Whether the last frame was a picture and not a card.
    live: bool,
    cost_ms: f32,
    broken: u64,
    /// The picture in which most has moved since motion began, and how much, in square pixels.
    largest: Option<(u32, Arc<Frame>)>,
    tell: T,
}

impl<T: FnMut(Sighting)> Watch<T> {
    fn until_closed(&mut self, mut viewer: Viewer, orders: &Receiver<Order>, shutdown: &Shutdown) {
        let mut due = Instant::now();
        loop {
            self.obey(orders);
            let now = Instant::now();
            let ended = self.detector.pass_time(now);
            self.tell_change(now, ended);
            if shutdown.wait(due.saturating_duration_since(now).min(PATIENCE)) {
                return;
            }
            if Instant::now() < due {
                continue;
            }
            match viewer.next_blocking(self.patience()) {
                Next::Frame(frame) => {
                    // From the frame's own time, so that looks do not drift by the time that they take.
                    due = frame.captured_at.max(due) + self.every.mul_f32(0.9);
                    due = due.min(Instant::now() + self.every);
                    self.take(&frame);
                }
                Next::Quiet => {}
                Next::Closed => return,
            }
        }
    }

    /// Until motion is over because time passed, at most [`PATIENCE`].
    fn patience(&self) -> Duration {
        let deadline = self.detector.next_deadline();
        let left = deadline.map_or(PATIENCE, |deadline| deadline.saturating_duration_since(Instant::now()));
        left.clamp(Duration::from_millis(1), PATIENCE)
    }

    fn obey(&mut self, orders: &Receiver<Order>) {
        loop {
            match orders.try_recv() {
                Ok(Order::Knobs(knobs)) => self.detector.set_knobs(knobs),
                Ok(Order::AnalysisFps(fps)) => self.every = interval(fps),
                Ok(Order::Reset) => self.forget(),
                Ok(Order::Enabled(enabled)) => {
                    if self.enabled != enabled {
                        self.forget();
                    }
                    self.enabled = enabled;
                }
                Ok(Order::Inhibit(until)) => self.detector.inhibit(until),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, frame: &Arc<Frame>) {
        if self.live && !frame.live {
            self.forget();
        }
        self.live = frame.live;
        if !frame.live || !self.enabled {
            return;
        }
        let began = Instant::now();
        let gray = match frame.gray() {
            Ok(gray) => gray,
            Err(error) => {
                self.broken += 1;
                if self.broken == 1 {
                    tracing::warn!(%error, "motion cannot read a picture; further ones are only counted");
                }
                return;
            }
        };
        let report = self.detector.look(frame.captured_at, gray);
        let cost = 1000.0 * began.elapsed().as_secs_f32();
        self.cost_ms += (cost - self.cost_ms) * if self.cost_ms == 0.0 { 1.0 } else { COST_WEIGHT };
        let is_larger = self.largest.as_ref().is_none_or(|(area, _)| report.area_px > *area);
        if self.detector.moving() && is_larger {
            self.largest = Some((report.area_px, Arc::clone(frame)));
        }
        let picture = match report.change {
            Some(Change::Started) => Some(Arc::clone(frame)),
            Some(Change::Ended { .. }) => self.take_largest(),
            Some(Change::Suppressed(_)) | None => None,
        };
        self.tell(report, picture, frame.captured_at);
    }

    /// The scene is no longer the one that was learnt.
    fn forget(&mut self) {
        let ended = self.detector.reset();
        self.tell_change(Instant::now(), ended);
    }

    fn tell_change(&mut self, now: Instant, change: Option<Change>) {
        if change.is_some() {
            let report = Report { change, moving: self.detector.moving(), ..Report::default() };
            let picture = self.take_largest();
            self.tell(report, picture, now);
        }
    }

    fn take_largest(&mut self) -> Option<Arc<Frame>> {
        self.largest.take().map(|(_, frame)| frame)
    }

    fn tell(&mut self, report: Report, frame: Option<Arc<Frame>>, captured_at: Instant) {
        let (cost_ms, broken, tally) = (self.cost_ms, self.broken, *self.detector.tally());
        (self.tell)(Sighting { report, frame, captured_at, cost_ms, broken, tally });
    }
}

fn interval(fps: f32) -> Duration {
    // Also keeps a rate of 0 or none at all from stopping the loop for ever.
    let fps = if fps.is_finite() { fps.clamp(0.1, 60.0) } else { 5.0 };
    Duration::from_secs_f32(1.0 / fps)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::frame::Raw;
    use crate::jpeg;
    use crate::logic::motion::Reason;

    const WIDTH: usize = 640;
    const HEIGHT: usize = 480;

    /// A camera whose pictures are taken when the test says so, at times that the test makes up, seen through real JPEG.
    struct Lab {
        hub: Arc<Hub>,
        orders: mpsc::Sender<Order>,
        sightings: mpsc::Receiver<Sighting>,
        thread: Option<std::thread::JoinHandle<()>>,
        shutdown: Shutdown,
        seq: u64,
        random: u32,
    }

    impl Lab {
        fn start(knobs: Knobs) -> Self {
            let (hub, shutdown) = (Hub::new(), Shutdown::new());
            let (orders, for_loop) = mpsc::channel();
            let (to_test, sightings) = mpsc::channel();
            let tell = move |sighting| to_test.send(sighting).unwrap();
            let parts = Parts {
                hub: Arc::clone(&hub),
                orders: for_loop,
                knobs,
                analysis_fps: 60.0,
                enabled: true,
                tell,
            };
            let stop = shutdown.clone();
            let thread = Some(std::thread::spawn(move || run(parts, &stop)));
            Self { hub, orders, sightings, thread, shutdown, seq: 0, random: 1 }
        }

        /// A gray wall with noise and a bright square, `side` camera pixels high and 50 wide.
        fn show(&mut self, side: usize) {
            self.seq += 1;
            let mut rgb = Vec::with_capacity(3 * WIDTH * HEIGHT);
            for at in 0..WIDTH * HEIGHT {
                let (x, y) = (at % WIDTH, at / WIDTH);
                let inside = (201..251).contains(&x) && (101..101 + side).contains(&y);
                self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (self.random >> 24) as usize % 13;
                rgb.extend([(if inside { 200 } else { 84 } + noise) as u8; 3]);
            }
            let jpeg = jpeg::encode_rgb(WIDTH, HEIGHT, &rgb, 80).unwrap();
            self.hub.publish(Arc::new(Frame::live(self.seq, Instant::now(), WIDTH, HEIGHT, Raw::Jpeg(jpeg))));
        }

        fn next(&self) -> Sighting {
            self.sightings.recv_timeout(Duration::from_secs(20)).expect("the loop must tell something")
        }

        /// Shows pictures until the loop tells a change.
        fn until_change(&mut self, side: usize) -> (Change, Sighting) {
            let give_up = Instant::now() + Duration::from_secs(30);
            while Instant::now() < give_up {
                self.show(side);
                let sighting = self.next();
                if let Some(change) = sighting.report.change {
                    return (change, sighting);
                }
            }
            panic!("no change within 30 s");
        }

        /// Shows pictures until the scene is learnt.
        fn settle(&mut self) {
            let learnt = Instant::now() + Duration::from_millis(1700);
            while Instant::now() < learnt {
                self.show(0);
                assert_eq!(self.next().report.change, None);
            }
        }
    }

    impl Drop for Lab {
        fn drop(&mut self) {
            self.shutdown.trigger();
            let ended = self.thread.take().map(std::thread::JoinHandle::join);
            assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
        }
    }

    fn quick() -> Knobs {
        Knobs { hold: Duration::from_millis(300), ..Knobs::default() }
    }

    #[test]
    fn the_limit_of_the_area_holds_through_jpeg() {
        let mut lab = Lab::start(quick());
        lab.settle();
        for _ in 0..20 {
            lab.show(58);
            let report = lab.next().report;
            assert!(!report.raw && report.area_px.abs_diff(2900) < 90, "{report:?}");
        }
        let (change, sighting) = lab.until_change(62);
        assert_eq!(change, Change::Started);
        assert_eq!(sighting.frame.expect("the event needs its picture").seq, lab.seq);
        assert!(
            sighting.report.area_px.abs_diff(3100) < 90 && sighting.cost_ms > 0.0,
            "{:?}",
            sighting.report
        );
    }

    #[test]
    fn motion_ends_without_frames_and_with_a_card() {
        let mut lab = Lab::start(quick());
        lab.settle();
        assert_eq!(lab.until_change(150).0, Change::Started);
        lab.show(220);
        let largest = lab.seq;
        assert_eq!(lab.next().report.change, None);
        lab.show(100);
        assert_eq!(lab.next().report.change, None);
        let ended = lab.next();
        assert!(matches!(ended.report.change, Some(Change::Ended { .. })));
        assert_eq!(ended.frame.expect("the end has the picture with most motion").seq, largest);
        lab.show(0);
        lab.next();
        assert_eq!(lab.until_change(150).0, Change::Started);
        let card = jpeg::encode_rgb(16, 16, &[0; 3 * 16 * 16], 80).unwrap();
        lab.hub.publish(Arc::new(Frame::card(9999, Instant::now(), 16, 16, card)));
        let at = Instant::now();
        assert!(matches!(lab.next().report.change, Some(Change::Ended { .. })));
        assert!(at.elapsed() < Duration::from_millis(290), "a card ends motion before the hold time does");
        // The scene is learnt anew, so a changed one is no motion.
        lab.show(150);
        assert_eq!(lab.next().report.change, None);
    }

    #[test]
    fn a_broken_picture_is_counted_and_the_loop_goes_on() {
        let mut lab = Lab::start(quick());
        let broken = bytes::Bytes::from_static(b"\xff\xd8 no picture \xff\xd9");
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            // A broken one may be replaced before the loop gets it, so they are shown until one is counted.
            let raw = Raw::Jpeg(broken.clone());
            lab.hub.publish(Arc::new(Frame::live(1, Instant::now(), WIDTH, HEIGHT, raw)));
            lab.show(0);
            if lab.next().broken > 0 {
                break;
            }
            assert!(Instant::now() < give_up, "a broken picture must be counted");
        }
        lab.settle();
        assert_eq!(lab.until_change(150).0, Change::Started);
    }

    #[test]
    fn orders_are_obeyed() {
        let mut lab = Lab::start(quick());
        lab.settle();
        lab.orders.send(Order::Inhibit(Some(Instant::now() + Duration::from_secs(600)))).unwrap();
        // At most one look happens before the order is read, and one look is too brief to be motion.
        assert_eq!(lab.until_change(150).0, Change::Suppressed(Reason::Inhibited));
        lab.orders.send(Order::Inhibit(None)).unwrap();
        assert_eq!(lab.until_change(150).0, Change::Started);
        lab.orders.send(Order::Reset).unwrap();
        assert!(matches!(lab.next().report.change, Some(Change::Ended { .. })));
        lab.show(150);
        assert!(!lab.next().report.raw);
        lab.orders.send(Order::Enabled(false)).unwrap();
        // Orders are read within the patience; from then on nothing is decoded.
        let off = Instant::now() + Duration::from_secs(5);
        loop {
            lab.show(150);
            if lab.sightings.recv_timeout(Duration::from_millis(300)).is_err() {
                break;
            }
            assert!(Instant::now() < off, "detection must stop when it is turned off");
        }
        lab.orders.send(Order::Enabled(true)).unwrap();
        lab.settle_after_pause();
    }

    impl Lab {
        fn settle_after_pause(&mut self) {
            let give_up = Instant::now() + Duration::from_secs(5);
            while Instant::now() < give_up {
                self.show(0);
                if let Ok(sighting) = self.sightings.recv_timeout(Duration::from_millis(300)) {
                    assert_eq!(sighting.report.change, None);
                    return;
                }
            }
            panic!("detection must come back");
        }
    }

    #[test]
    fn a_closed_hub_ends_the_loop_and_motion() {
        let mut lab = Lab::start(Knobs { hold: Duration::from_secs(60), ..Knobs::default() });
        lab.settle();
        assert_eq!(lab.until_change(150).0, Change::Started);
        lab.hub.close();
        assert!(matches!(lab.next().report.change, Some(Change::Ended { .. })));
        assert!(lab.thread.take().unwrap().join().is_ok());
        lab.thread = Some(std::thread::spawn(|| ()));
    }
}
