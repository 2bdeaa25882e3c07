//! Puts the camera thread through its paces on a real V4L2 driver, in the test guest of `tests/guest/run`.
//!
//! The guest has one USB webcam made of software (MJPG and YUYV, two nodes) and the command `lab-camera`, which unplugs it,
//! stalls it and damages its pictures. Everything is seen as the rest of the appliance sees it: through the hub and the news.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use doorward::camera::{News, Parts, Stats, Wish, run, v4l2};
use doorward::frame::Frame;
use doorward::hub::{Hub, Next, Viewer};
use doorward::jpeg;
use doorward::logic::effect::CameraOrder;
use doorward::logic::problem::Problem;
use doorward::logic::state::Opened;
use doorward::shutdown::Shutdown;

const PATIENCE: Duration = Duration::from_secs(15);
const STALL_AFTER: Duration = Duration::from_millis(1500);

fn main() -> Result<()> {
    let found = the_one_camera()?;
    let by_id = found.by_id.clone().context("the guest makes links by id")?;
    for (name, part) in PARTS {
        let began = Instant::now();
        part(&by_id).with_context(|| format!("FAILED: {name}"))?;
        println!("ok  {:5.1} s  {name}", began.elapsed().as_secs_f32());
    }
    println!("all {} passed", PARTS.len());
    Ok(())
}

type Part = fn(&Path) -> Result<()>;

const PARTS: [(&str, Part); 9] = [
    ("the metadata node is refused with a sentence", metadata_node),
    ("MJPG comes whole, at the wished size and rate, and is not old", mjpg),
    ("YUYV comes at the nearest size", yuyv),
    ("a higher rate is taken up", higher_rate),
    ("a second program is told that the camera is in use", busy),
    ("privacy closes the device", privacy),
    ("truncated, damaged and faulty pictures are dropped and counted", damage),
    ("a stall is a loss that ends by itself", stall),
    ("unplugged and plugged in again, early and late", replug),
];

/// Metadata nodes do not count.
fn the_one_camera() -> Result<v4l2::Found> {
    ensure!(Path::new("/dev/video1").exists(), "the guest's webcam has a second node");
    let mut found = v4l2::list();
    ensure!(
        found.len() == 1 && found[0].formats.len() == 2,
        "one camera with two formats expected: {found:?}"
    );
    println!("found {:?}", found[0]);
    found.pop().context("there is one")
}

fn metadata_node(_: &Path) -> Result<()> {
    let rig = Rig::start("v4l2:/dev/video1", (640, 480), 15.0)?;
    let problem = rig.lost()?;
    ensure!(problem.code() == "no_usable_format", "{problem}");
    Ok(())
}

fn mjpg(_: &Path) -> Result<()> {
    let rig = Rig::start("v4l2", (1280, 720), 15.0)?;
    let opened = rig.opened()?;
    ensure!((opened.width, opened.height, opened.format.as_str()) == (1280, 720, "MJPG"), "{opened:?}");
    let mut viewer = rig.hub.viewer();
    let mut ages = Vec::new();
    for _ in 0..30 {
        let frame = next_live(&mut viewer)?;
        ages.push(frame.captured_at.elapsed());
        ensure!(jpeg::check(frame.jpeg()?)? == (1280, 720));
        let gray = frame.gray()?;
        ensure!(gray.width * gray.scale == 1280, "libjpeg-turbo decodes it");
    }
    ages.sort();
    println!("    age when seen: median {:?}, worst {:?}; {}", ages[15], ages[29], opened.description);
    ensure!(ages[15] < Duration::from_millis(70), "pictures are older than a frame's interval: {ages:?}");
    // A guest that shares its processor may hold its breath; the rate has to come all the same.
    let stats = rig.stats(|stats| stats.frames > 45 && (stats.fps - 15.0).abs() <= 1.5)?;
    ensure!(stats.dropped.total() == 0, "{stats:?}");
    println!("    {stats:?}");
    Ok(())
}

fn yuyv(by_id: &Path) -> Result<()> {
    let rig = Rig::start(&format!("v4l2:{},format=yuyv", by_id.display()), (800, 600), 10.0)?;
    let opened = rig.opened()?;
    ensure!((opened.width, opened.height, opened.format.as_str()) == (640, 480, "YUYV"), "{opened:?}");
    let frame = next_live(&mut rig.hub.viewer())?;
    let (gray, rgb) = (frame.gray()?, frame.rgb()?);
    let contrast = gray.data.iter().max().zip(gray.data.iter().min()).map(|(high, low)| high - low);
    ensure!(contrast > Some(60), "a test picture has contrast: {contrast:?}");
    ensure!(rgb.data.len() == 3 * 640 * 480 && jpeg::check(frame.jpeg()?)? == (640, 480));
    rig.stats(|stats| stats.frames > 25 && (stats.fps - 10.0).abs() <= 1.0)?;
    Ok(())
}

fn higher_rate(by_id: &Path) -> Result<()> {
    let rig = Rig::start(&by_id_spec(by_id), (640, 480), 5.0)?;
    rig.opened()?;
    rig.stats(|stats| stats.frames > 8 && (stats.fps - 5.0).abs() <= 0.5)?;
    rig.orders.send(CameraOrder::Fps(25.0))?;
    rig.stats(|stats| (stats.fps - 25.0).abs() <= 2.5)?;
    Ok(())
}

fn busy(by_id: &Path) -> Result<()> {
    let first = Rig::start(&by_id_spec(by_id), (640, 480), 15.0)?;
    first.opened()?;
    let second = Rig::start(&by_id_spec(by_id), (640, 480), 15.0)?;
    let problem = second.lost()?;
    ensure!(problem.code() == "camera_busy", "{problem}");
    drop(first);
    second.opened()?;
    Ok(())
}

fn privacy(by_id: &Path) -> Result<()> {
    let rig = Rig::start(&by_id_spec(by_id), (640, 480), 15.0)?;
    for _ in 0..3 {
        rig.opened()?;
        ensure!(open_devices()? == 1);
        rig.orders.send(CameraOrder::Privacy(true))?;
        rig.news_of(|news| (news == News::Private).then_some(()))?;
        ensure!(open_devices()? == 0, "the device must be closed");
        ensure!(rig.hub.latest().is_some_and(|frame| !frame.live), "the card must be shown");
        rig.orders.send(CameraOrder::Privacy(false))?;
    }
    Ok(())
}

fn damage(by_id: &Path) -> Result<()> {
    let rig = Rig::start(&by_id_spec(by_id), (1280, 720), 15.0)?;
    rig.opened()?;
    lab(&["ctl", "truncate", "5"])?;
    let stats = rig.stats(|stats| stats.dropped.total() >= 5)?;
    ensure!(stats.dropped.truncated + stats.dropped.flagged >= 5, "{stats:?}");
    // By default the driver keeps faulty pictures to itself, which shows in its numbers …
    lab(&["ctl", "error", "5"])?;
    println!("    {:?}", rig.stats(|stats| stats.dropped.lost >= 5)?);
    // … and on demand it hands them over, marked.
    std::fs::write("/sys/module/uvcvideo/parameters/nodrop", "1")?;
    lab(&["unplug"])?;
    rig.lost()?;
    lab(&["plug"])?;
    rig.opened()?;
    lab(&["ctl", "error", "5"])?;
    println!("    {:?}", rig.stats(|stats| stats.dropped.flagged >= 5)?);
    lab(&["ctl", "corrupt", "30"])?;
    let stats = rig.stats(|stats| stats.dropped.damaged + stats.dropped.truncated >= 15)?;
    println!("    {stats:?}");
    let after = rig.stats(|later| later.frames > stats.frames + 10)?;
    ensure!(rig.hub.latest().is_some_and(|frame| frame.live), "{after:?}");
    Ok(())
}

fn stall(by_id: &Path) -> Result<()> {
    let rig = Rig::start(&by_id_spec(by_id), (640, 480), 15.0)?;
    for _ in 0..2 {
        rig.opened()?;
        lab(&["ctl", "stall", "4"])?;
        let problem = rig.lost()?;
        ensure!(problem == Problem::NoSignal, "{problem}");
        ensure!(rig.hub.latest().is_some_and(|frame| !frame.live));
    }
    rig.opened()?;
    Ok(())
}

fn replug(by_id: &Path) -> Result<()> {
    for spec in [by_id_spec(by_id), "v4l2".into()] {
        let rig = Rig::start(&spec, (640, 480), 15.0)?;
        rig.opened()?;
        // The pause between attempts has grown to its longest after the second wait.
        for gone in [Duration::ZERO, Duration::from_secs(9)] {
            let mut viewer = rig.hub.viewer();
            let unplugged = Instant::now();
            lab(&["unplug"])?;
            let problem = rig.lost()?;
            ensure!(problem.code() == "no_camera", "{problem}");
            let noticed = unplugged.elapsed();
            std::thread::sleep(gone);
            while let Next::Frame(frame) = viewer.next_blocking(Duration::ZERO) {
                ensure!(!frame.live, "the card takes the picture's place");
            }
            lab(&["plug"])?;
            let plugged = Instant::now();
            rig.opened()?;
            println!(
                "    {spec}: noticed after {noticed:?}, back {:?} after the node was",
                plugged.elapsed()
            );
            ensure!(plugged.elapsed() < Duration::from_secs(2));
            next_live(&mut viewer)?;
        }
    }
    Ok(())
}

/// A camera thread that is running, and ends with this value.
struct Rig {
    hub: Arc<Hub>,
    orders: Sender<CameraOrder>,
    news: Receiver<News>,
    shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    fn start(spec: &str, size: (usize, usize), fps: f64) -> Result<Self> {
        let (hub, shutdown) = (Hub::new(), Shutdown::new());
        let ((orders, order_rx), (news_tx, news)) = (channel(), channel());
        let parts = Parts {
            name: "Probe".into(),
            spec: spec.parse()?,
            wish: Wish { width: Some(size.0), height: Some(size.1), fps },
            private: false,
            stall_after: STALL_AFTER,
            hub: Arc::clone(&hub),
            orders: order_rx,
            news: Box::new(move |news| drop(news_tx.send(news))),
        };
        let signal = shutdown.clone();
        let thread = Some(std::thread::spawn(move || run(parts, &signal)));
        Ok(Self { hub, orders, news, shutdown, thread })
    }

    fn news_of<T>(&self, wanted: impl Fn(News) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Ok(news) = self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            heard.push(news.clone());
            if let Some(found) = wanted(news) {
                return Ok(found);
            }
        }
        bail!("not in time; heard only {heard:?}")
    }

    fn opened(&self) -> Result<Opened> {
        self.news_of(|news| if let News::Opened(opened) = news { Some(opened) } else { None })
            .context("opened")
    }

    fn lost(&self) -> Result<Problem> {
        self.news_of(|news| if let News::Lost(problem) = news { Some(problem) } else { None }).context("lost")
    }

    fn stats(&self, wanted: impl Fn(&Stats) -> bool) -> Result<Stats> {
        self.news_of(|news| if let News::Stats(stats) = news { Some(stats).filter(&wanted) } else { None })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let asked = Instant::now();
        self.shutdown.trigger();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "the camera thread panicked");
        assert!(asked.elapsed() < Duration::from_secs(1), "it stops within a second");
    }
}

fn by_id_spec(by_id: &Path) -> String {
    format!("v4l2:{}", by_id.display())
}

fn next_live(viewer: &mut Viewer) -> Result<Arc<Frame>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Next::Frame(frame) = viewer.next_blocking(Duration::from_millis(500))
            && frame.live
        {
            return Ok(frame);
        }
    }
    bail!("no live picture in time")
}

/// How many video devices this process holds open.
fn open_devices() -> Result<usize> {
    let held =
        std::fs::read_dir("/proc/self/fd")?.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
    Ok(held.filter(|path| path.starts_with("/dev") && path.to_string_lossy().contains("video")).count())
}

/// Tells the guest's webcam something.
fn lab(words: &[&str]) -> Result<()> {
    let output = Command::new("lab-camera").arg("usb").args(words).output().context("lab-camera")?;
    ensure!(output.status.success(), "lab-camera usb {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
