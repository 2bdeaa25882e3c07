//! Tests of the camera thread with real sources.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;

use super::*;
use crate::hub::Next;

const LONG: Duration = Duration::from_secs(20);

/// A camera thread that is running.
struct Rig {
    hub: Arc<Hub>,
    orders: Sender<CameraOrder>,
    news: Receiver<News>,
    shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    fn start(spec: &str, fps: f64) -> Self {
        Self::with(spec, fps, STALL_AFTER, false, crate::camera::open)
    }

    fn with<O>(spec: &str, fps: f64, stall_after: Duration, private: bool, opener: O) -> Self
    where
        O: Fn(&Spec, Wish) -> OpenResult + Send + 'static,
    {
        let (hub, shutdown) = (Hub::new(), Shutdown::new());
        let ((orders, order_rx), (news_tx, news)) = (channel(), channel());
        let parts = Parts {
            name: "Test".into(),
            spec: spec.parse().unwrap(),
            wish: Wish { width: Some(320), height: Some(180), fps },
            private,
            stall_after,
            hub: Arc::clone(&hub),
            orders: order_rx,
            news: Box::new(move |news| drop(news_tx.send(news))),
        };
        let signal = shutdown.clone();
        let thread = std::thread::spawn(move || run_with(parts, &signal, opener));
        Self { hub, orders, news, shutdown, thread: Some(thread) }
    }

    /// Waits for news that `wanted` turns into something.
    fn await_news<T>(&self, wanted: impl Fn(News) -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            let news = self.news.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            if let Some(found) = wanted(news.expect("the news must come in time")) {
                return found;
            }
        }
    }

    fn await_opened(&self) -> Opened {
        self.await_news(|news| if let News::Opened(opened) = news { Some(opened) } else { None })
    }

    fn await_lost(&self) -> Problem {
        self.await_news(|news| if let News::Lost(problem) = news { Some(problem) } else { None })
    }

    fn await_stats(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        self.await_news(|news| if let News::Stats(stats) = news { Some(stats).filter(&wanted) } else { None })
    }

    /// Stops the thread; returns how long that took.
    fn stop(&mut self) -> Duration {
        let asked = Instant::now();
        self.shutdown.trigger();
        self.thread.take().expect("stopped once").join().expect("the thread must not panic");
        asked.elapsed()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn next_frame(viewer: &mut crate::hub::Viewer) -> Arc<Frame> {
    match viewer.next_blocking(LONG) {
        Next::Frame(frame) => frame,
        Next::Quiet | Next::Closed => panic!("a picture was expected"),
    }
}

fn jpeg(shade: u8) -> Bytes {
    jpeg::encode_rgb(32, 24, &vec![shade; 3 * 32 * 24], 90).unwrap()
}

/// A source that a test writes: what it does at each turn, and whether it is open.
struct Scripted {
    opened: Opened,
    turn: Box<dyn FnMut(Instant) -> Result<Picture, Fault> + Send>,
    open: Arc<AtomicBool>,
}

impl Scripted {
    fn boxed(
        open: &Arc<AtomicBool>,
        turn: impl FnMut(Instant) -> Result<Picture, Fault> + Send + 'static,
    ) -> Box<dyn Source> {
        open.store(true, Ordering::SeqCst);
        Box::new(Self { opened: Opened::default(), turn: Box::new(turn), open: Arc::clone(open) })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

impl Source for Scripted {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    fn next(&mut self, until: Instant) -> Result<Picture, Fault> {
        (self.turn)(until)
    }

    fn set_fps(&mut self, _: f64) -> bool {
        true
    }
}

fn quiet(until: Instant) -> Result<Picture, Fault> {
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    Err(Fault::Quiet)
}

fn picture() -> Result<Picture, Fault> {
    std::thread::sleep(Duration::from_millis(5));
    Ok(Picture {
        raw: Raw::Jpeg(jpeg(9)),
        width: 0,
        height: 0,
        captured_at: Instant::now(),
        overtaken: 0,
        lost: 0,
    })
}

#[test]
fn the_demo_comes_at_the_wished_size_and_rate() {
    let rig = Rig::start("demo", 10.0);
    let opened = rig.await_opened();
    assert_eq!((opened.width, opened.height, opened.format.as_str()), (320, 180, "JPEG"));
    let stats = rig.await_stats(|stats| stats.frames >= 20 && (stats.fps - 10.0).abs() <= 1.0);
    assert_eq!((stats.dropped.total(), stats.overtaken), (0, 0));
    rig.orders.send(CameraOrder::Fps(20.0)).unwrap();
    rig.await_stats(|stats| (stats.fps - 20.0).abs() <= 2.0);
    rig.orders.send(CameraOrder::Fps(5.0)).unwrap();
    rig.await_stats(|stats| (stats.fps - 5.0).abs() <= 0.5);
    let frame = next_frame(&mut rig.hub.viewer());
    assert!(frame.live && (frame.width, frame.height) == (320, 180));
}

#[test]
fn a_faster_camera_is_thinned_and_never_delayed() {
    let open = Arc::default();
    let rig =
        Rig::with("demo", 20.0, STALL_AFTER, false, move |_, _| Ok(Scripted::boxed(&open, |_| picture())));
    rig.await_stats(|stats| stats.frames > 20 && (stats.fps - 20.0).abs() <= 2.0);
    let mut viewer = rig.hub.viewer();
    let mut ages: Vec<Duration> = (0..20).map(|_| next_frame(&mut viewer).captured_at.elapsed()).collect();
    ages.sort();
    // An interval is 50 ms; a picture that waited for its turn would be tens of milliseconds old.
    assert!(ages[10] < Duration::from_millis(10), "{ages:?}");
}

#[test]
fn privacy_closes_the_device_first_and_leaves_no_live_picture() {
    let open = Arc::new(AtomicBool::new(false));
    let for_opener = Arc::clone(&open);
    let opener = move |_: &Spec, _| Ok(Scripted::boxed(&for_opener, |_| picture()));
    let rig = Rig::with("demo", 60.0, STALL_AFTER, false, opener);
    for _ in 0..10 {
        rig.await_opened();
        let (hub, seen) = (Arc::clone(&rig.hub), Arc::clone(&open));
        let watching = std::thread::spawn(move || {
            let mut viewer = hub.viewer();
            while next_frame(&mut viewer).live {}
            let closed_first = !seen.load(Ordering::SeqCst);
            let live_again = std::iter::from_fn(|| match viewer.next_blocking(Duration::from_millis(100)) {
                Next::Frame(frame) => Some(frame.live),
                Next::Quiet | Next::Closed => None,
            });
            (closed_first, live_again.into_iter().any(|live| live))
        });
        rig.orders.send(CameraOrder::Privacy(true)).unwrap();
        rig.await_news(|news| (news == News::Private).then_some(()));
        assert!(!open.load(Ordering::SeqCst), "the device must be closed when privacy is told");
        assert!(!rig.hub.latest().unwrap().live);
        assert_eq!(watching.join().unwrap(), (true, false), "closed before the card, nothing live after it");
        rig.orders.send(CameraOrder::Privacy(false)).unwrap();
    }
}

#[test]
fn privacy_from_the_start_opens_nothing() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let opener = move |spec: &Spec, wish| {
        count.fetch_add(1, Ordering::SeqCst);
        crate::camera::open(spec, wish)
    };
    let rig = Rig::with("demo", 10.0, STALL_AFTER, true, opener);
    rig.await_news(|news| (news == News::Private).then_some(()));
    let mut viewer = rig.hub.viewer();
    let shown = [next_frame(&mut viewer), next_frame(&mut viewer)];
    assert!(shown.iter().all(|frame| !frame.live), "the card comes again for late viewers");
    assert_eq!(opened.load(Ordering::SeqCst), 0);
    rig.orders.send(CameraOrder::Privacy(false)).unwrap();
    rig.await_opened();
}

#[test]
fn a_file_that_goes_away_and_comes_back_is_lost_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("door.jpg"), folder.path().join("away"));
    std::fs::write(&path, jpeg(80)).unwrap();
    let rig = Rig::start(&format!("file:{}", path.display()), 20.0);
    assert_eq!(rig.await_opened().width, 32);
    let long_gone = [Duration::ZERO, Duration::from_secs(3)];
    for pause in long_gone {
        std::fs::rename(&path, &away).unwrap();
        assert_eq!(rig.await_lost().code(), "no_camera");
        assert!(!rig.hub.latest().unwrap().live, "the card takes the picture's place");
        assert!(!rig.shutdown.wait(pause));
        std::fs::rename(&away, &path).unwrap();
        let back = Instant::now();
        rig.await_opened();
        assert!(back.elapsed() < Duration::from_secs(2), "back after {:?}", back.elapsed());
        assert!(rig.hub.latest().unwrap().live);
    }
}

#[test]
fn broken_pictures_are_counted_by_reason_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let whole = jpeg(60);
    let mut absurd = whole.to_vec();
    let header = absurd.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    absurd[header + 5..header + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
    let files: [(&str, &[u8]); 4] = [
        ("a.jpg", &whole),
        ("b.jpg", &whole[..whole.len() / 2]),
        ("c.jpg", b"no picture"),
        ("d.jpg", &absurd),
    ];
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let rig = Rig::start(&format!("file:{}", folder.path().display()), 40.0);
    let stats = rig.await_stats(|stats| stats.frames >= 5);
    let drops = stats.dropped;
    for count in [drops.truncated, drops.damaged, drops.size] {
        assert!((4..=stats.frames + 1).contains(&count), "{stats:?}");
    }
    assert_eq!((drops.flagged, drops.total()), (0, drops.truncated + drops.damaged + drops.size));
}

#[test]
fn a_camera_that_sends_only_broken_pictures_is_lost_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = folder.path();
    std::fs::write(path.join("a.jpg"), &jpeg(60)[..200]).unwrap();
    let spec = format!("file:{}", path.display());
    let rig = Rig::with(&spec, 40.0, Duration::from_millis(300), false, crate::camera::open);
    let problem = rig.await_lost();
    assert!(problem.code() == "camera_failed" && problem.to_string().contains("cut short"), "{problem}");
}

#[test]
fn silence_is_a_loss_told_once_and_ends_by_itself() {
    let well = Arc::new(AtomicBool::new(true));
    let (for_opener, open) = (Arc::clone(&well), Arc::default());
    let opener = move |_: &Spec, _| {
        let well = Arc::clone(&for_opener);
        Ok(Scripted::boxed(
            &open,
            move |until| if well.load(Ordering::SeqCst) { picture() } else { quiet(until) },
        ))
    };
    let rig = Rig::with("demo", 30.0, Duration::from_millis(200), false, opener);
    rig.await_opened();
    well.store(false, Ordering::SeqCst);
    assert_eq!(rig.await_lost(), Problem::NoSignal);
    // Long enough for two more attempts, each silent as well.
    assert!(!rig.shutdown.wait(Duration::from_secs(2)));
    well.store(true, Ordering::SeqCst);
    let told = Mutex::new(0);
    rig.await_news(|news| {
        *told.lock().unwrap() += usize::from(matches!(news, News::Lost(_)));
        matches!(news, News::Opened(_)).then_some(())
    });
    assert_eq!(*told.lock().unwrap(), 0, "a loss that lasts is told once");
}

#[test]
fn a_source_that_panics_is_a_fault_and_not_the_end() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "closing failed");
        }
    }
    let (attempts, open) = (AtomicUsize::new(0), Arc::default());
    let opener = move |_: &Spec, _| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("odd driver data"),
        1 => Ok(Scripted::boxed(&open, |_| panic!("while reading"))),
        // Its closing panics when it is lost.
        2 => {
            let bomb = Bomb;
            Ok(Scripted::boxed(&open, move |_| {
                let _held = &bomb;
                Err(Fault::Lost(Problem::NoSignal))
            }))
        }
        _ => Ok(Scripted::boxed(&open, |_| picture())),
    };
    let rig = Rig::with("demo", 10.0, STALL_AFTER, false, opener);
    assert!(rig.await_lost().to_string().contains("odd driver data"));
    assert!(rig.await_lost().to_string().contains("while reading"));
    assert_eq!(rig.await_lost(), Problem::NoSignal);
    rig.await_opened();
}

#[test]
fn it_stops_within_a_second_in_every_state_and_closes_the_hub() {
    let gone = "file:/does/not/exist";
    for (spec, private) in [("demo", false), ("demo", true), (gone, false)] {
        let mut rig = Rig::with(spec, 0.2, STALL_AFTER, private, crate::camera::open);
        let mut viewer = rig.hub.viewer();
        next_frame(&mut viewer);
        let took = rig.stop();
        assert!(took < Duration::from_secs(1), "{spec}: {took:?}");
        assert!(matches!(viewer.next_blocking(Duration::ZERO), Next::Closed) && rig.hub.latest().is_none());
    }
}

#[test]
fn it_lives_on_when_nobody_can_give_orders_any_more() {
    let mut rig = Rig::start("file:/does/not/exist", 5.0);
    let (orders, _) = channel();
    drop(std::mem::replace(&mut rig.orders, orders));
    let mut viewer = rig.hub.viewer();
    let numbers = [next_frame(&mut viewer).seq, next_frame(&mut viewer).seq];
    assert!(numbers[0] < numbers[1]);
    assert!(rig.stop() < Duration::from_secs(1));
}
