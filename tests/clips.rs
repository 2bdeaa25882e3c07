//! Films of events through the public loop, judged by programs that are not ours: ffprobe, ffmpeg and Chromium.
//!
//! Pictures carry times that the tests make up, ten times as quick as a camera, so a film of a minute takes seconds. The loop may
//! skip pictures on a busy machine; the hub counts them, and the tests count on that. Not here: when an event begins and ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "figures, and why a test was left out")]

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorward::clips::{self, Finished, News, Parts};
use doorward::config::{ClipCodec, Clips};
use doorward::frame::{Frame, Raw};
use doorward::hub::Hub;
use doorward::jpeg;
use doorward::logic::effect::ClipOrder;
use doorward::shutdown::Shutdown;
use serde_json::Value;

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
/// Between two pictures of the made-up camera.
const STEP: Duration = Duration::from_millis(100);
/// No camera is punctual.
fn taken_after(number: u32) -> Duration {
    number * STEP + Duration::from_millis(u64::from(number * 7 % 23))
}

/// How much quicker the made-up camera is than its times say.
const QUICKER: u32 = 8;
/// A busy machine may take so long for anything.
const DEADLINE: Duration = Duration::from_secs(60);

/// H.264 when this build has it.
const CODECS: &[ClipCodec] =
    if cfg!(feature = "h264") { &[ClipCodec::H264, ClipCodec::Mjpeg] } else { &[ClipCodec::Mjpeg] };

fn settings(codec: ClipCodec) -> Clips {
    Clips {
        codec,
        pre_roll: Duration::from_secs(3),
        post_roll: Duration::from_secs(2),
        max_length: Duration::from_secs(60),
        ring_bytes: 8_000_000,
        fps: 10,
        bits_per_second: 1_000_000,
    }
}

/// A clip loop, and a camera that takes a picture when the test says so.
struct Lab {
    hub: Arc<Hub>,
    orders: mpsc::Sender<ClipOrder>,
    news: mpsc::Receiver<News>,
    folder: tempfile::TempDir,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
    pictures: Vec<Bytes>,
    size: (usize, usize),
    start: Instant,
    shown: u32,
    /// Real time between two pictures.
    pause: Duration,
}

impl Lab {
    fn start(settings: Clips) -> Self {
        Self::with(settings, (WIDTH, HEIGHT), walk(WIDTH, HEIGHT))
    }

    fn with(settings: Clips, size: (usize, usize), pictures: Vec<Bytes>) -> Self {
        Self::within(tempfile::tempdir().unwrap(), settings, size, pictures)
    }

    fn within(
        folder: tempfile::TempDir,
        settings: Clips,
        size: (usize, usize),
        pictures: Vec<Bytes>,
    ) -> Self {
        let (hub, shutdown) = (Hub::new(), Shutdown::new());
        let (orders, for_loop) = mpsc::channel();
        let (to_test, news) = mpsc::channel();
        let tell = move |told| to_test.send(told).unwrap();
        let parts =
            Parts { hub: Arc::clone(&hub), orders: for_loop, folder: folder.path().into(), settings, tell };
        let stop = shutdown.clone();
        let thread = Some(std::thread::spawn(move || clips::run(parts, &stop)));
        let start = Instant::now();
        Self {
            hub,
            orders,
            news,
            folder,
            shutdown,
            thread,
            pictures,
            size,
            start,
            shown: 0,
            pause: STEP / QUICKER,
        }
    }

    /// The camera takes pictures for so many of its seconds.
    fn shoot(&mut self, seconds: f64) {
        for _ in 0..(seconds / STEP.as_secs_f64()).round() as u32 {
            let jpeg = self.pictures[self.shown as usize % self.pictures.len()].clone();
            self.show(jpeg);
        }
    }

    fn show(&mut self, jpeg: Bytes) {
        let (width, height) = self.size;
        self.shown += 1;
        let at = self.start + taken_after(self.shown);
        let skipped = self.hub.skipped();
        self.hub.publish(Arc::new(Frame::live(self.shown.into(), at, width, height, Raw::Jpeg(jpeg))));
        std::thread::sleep(self.pause);
        if self.hub.skipped() > skipped {
            // A busy machine gets a camera that is less quick.
            self.pause = (2 * self.pause).min(2 * STEP);
        }
    }

    /// Whether it is so long, but for what the loop did not see: it can only be as far behind as pictures are skipped.
    fn lasts(&self, film: &Finished, seconds: f64) -> bool {
        let slack = 0.4 + self.hub.skipped() as f64 * STEP.as_secs_f64();
        (film.seconds - seconds).abs() < slack
    }

    fn card(&mut self) {
        self.shown += 1;
        let jpeg = jpeg::encode_rgb(64, 48, &[0; 3 * 64 * 48], 80).unwrap();
        let at = self.start + taken_after(self.shown);
        self.hub.publish(Arc::new(Frame::card(self.shown.into(), at, 64, 48, jpeg)));
        // A card stays for as long as there is no picture.
        std::thread::sleep(Duration::from_millis(100));
    }

    fn begin(&self, event: &str) {
        self.orders.send(ClipOrder::Begin { event: event.into() }).unwrap();
    }

    fn end(&self) {
        self.orders.send(ClipOrder::End).unwrap();
    }

    /// The next film, with pictures going on until it is told.
    fn told(&mut self) -> News {
        let give_up = Instant::now() + DEADLINE;
        while Instant::now() < give_up {
            if let Ok(news) = self.news.try_recv() {
                return news;
            }
            self.shoot(0.1);
        }
        panic!("the loop must tell what became of the film");
    }

    fn finished(&mut self) -> Finished {
        finished(self.told())
    }

    /// The next film, without any further picture.
    fn finished_at_once(&self) -> Finished {
        finished(self.news.recv_timeout(DEADLINE).expect("the film must end"))
    }

    fn unfinished(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }

    fn stop(&mut self) {
        self.shutdown.trigger();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shutdown.trigger();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(ended, Some(Err(_))));
    }
}

fn finished(news: News) -> Finished {
    match news {
        News::Finished(film) => film,
        News::Failed { reason, .. } => panic!("{reason}"),
    }
}

/// Somebody walks through a room, with the noise of a sensor: six seconds, then again.
fn walk(width: usize, height: usize) -> Vec<Bytes> {
    (0..60).map(|step| drawn(width, height, step * width / 60, 7)).collect()
}

fn drawn(width: usize, height: usize, left: usize, noise: u32) -> Bytes {
    let mut random = 77 + left as u32;
    let mut rgb = Vec::with_capacity(3 * width * height);
    for at in 0..width * height {
        let (x, y) = (at % width, at / width);
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = ((random >> 24) % noise) as usize;
        let person = (left..left + width / 8).contains(&x) && y > height / 4;
        let wall = if (x / 80 + y / 60) % 2 == 0 { [70, 80, 110] } else { [150, 130, 100] };
        let colour: [usize; 3] = if person { [190, 60, 40] } else { wall };
        rgb.extend(colour.map(|channel| (channel + noise).min(255) as u8));
    }
    jpeg::encode_rgb(width, height, &rgb, 80).unwrap()
}

/// Runs a program that says nothing on its error output unless something is wrong.
fn silent(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(["-v", "warning"])
        .args(
            arguments
                .iter()
                .map(|argument| if *argument == "FILE" { file.as_os_str() } else { argument.as_ref() }),
        )
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg and ffprobe are installed (apt-get install ffmpeg)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{program}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).or(value.as_f64()).unwrap_or_else(|| panic!("{value}"))
}

/// The times of the pictures in the file, after everything that must hold for any film.
fn examine(film: &Finished) -> Vec<f64> {
    assert_eq!(std::fs::metadata(&film.file).unwrap().len(), film.bytes);
    let wanted = ["-of", "json", "-show_streams", "-show_packets", "-show_format", "-count_frames", "FILE"];
    let about: Value = serde_json::from_str(&silent("ffprobe", &wanted, &film.file)).unwrap();
    let (stream, packets) = (&about["streams"][0], about["packets"].as_array().unwrap());
    assert_eq!(about["streams"].as_array().unwrap().len(), 1);
    assert_eq!(stream["codec_name"], film.codec);
    assert!(stream["pix_fmt"].as_str().unwrap().starts_with("yuvj4"), "full range, as JPEG has it");
    assert_eq!((&stream["width"], &stream["height"]), (&film.width.into(), &film.height.into()));
    assert_eq!(number(&stream["nb_read_frames"]) as u32, film.frames, "each picture can be decoded");
    assert_eq!(packets.len() as u32, film.frames);
    assert!((number(&about["format"]["duration"]) - film.seconds).abs() < 0.002);
    // With the clock of the file: by itself, ffmpeg rounds times to a fixed frame rate and then complains of equal ones.
    let decode =
        ["-xerror", "-i", "FILE", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"];
    silent("ffmpeg", &decode, &film.file);
    let times: Vec<f64> = packets.iter().map(|packet| number(&packet["pts_time"])).collect();
    assert!(times[0] == 0.0 && times.is_sorted_by(|a, b| a < b), "{times:?}");
    // They are those of the camera, from any picture on.
    let camera: Vec<f64> = (0..3000).map(|number| taken_after(number).as_secs_f64()).collect();
    let is_first = |first: &f64| {
        times.iter().all(|time| {
            let near = camera.partition_point(|at| at - first < time - 0.0001);
            camera.get(near).is_some_and(|at| at - first < time + 0.0001)
        })
    };
    assert!(camera.iter().any(is_first), "{times:?}");
    let last = number(&packets.last().unwrap()["duration_time"]);
    assert!((times.last().unwrap() + last - film.seconds).abs() < 0.002);
    let keys: Vec<f64> = packets
        .iter()
        .filter(|packet| packet["flags"].as_str().unwrap().starts_with('K'))
        .map(|packet| number(&packet["pts_time"]))
        .collect();
    assert_eq!(keys[0], 0.0);
    assert!(keys.windows(2).all(|pair| pair[1] - pair[0] < 4.0), "one can jump to {keys:?}");
    times
}

/// The index stands before the pictures, so that a film plays while it comes.
fn index_is_in_front(film: &Finished) {
    let bytes = std::fs::read(&film.file).unwrap();
    let (mut at, mut names) = (0, Vec::new());
    while at < bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        names.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
        let large = || u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize;
        at += if size == 1 { large() } else { size as usize };
    }
    assert_eq!((names.join(" ").as_str(), at), ("ftyp moov free mdat", bytes.len()));
}

#[test]
fn a_film_has_the_seconds_before_and_after_and_no_picture_is_missing() {
    for codec in CODECS {
        let mut lab = Lab::start(settings(*codec));
        lab.shoot(6.0);
        lab.begin("01A");
        lab.shoot(5.0);
        lab.end();
        let film = lab.finished();
        let times = examine(&film);
        index_is_in_front(&film);
        assert_eq!(film.event, "01A");
        // 3 s before, 5 s, 2 s after; orders are read with the picture that follows.
        assert!(lab.lasts(&film, 10.0), "{film:?}");
        let missing = (film.seconds / STEP.as_secs_f64()).round() as u64 - u64::from(film.frames);
        assert!(
            missing <= lab.hub.skipped(),
            "{film:?} lacks {missing} pictures, the hub {}",
            lab.hub.skipped()
        );
        assert_eq!(times.len() as u32, film.frames);
        if *codec == ClipCodec::H264 {
            let bits = 8 * film.bytes;
            assert!(bits as f64 <= 1.3 * 1e6 * film.seconds, "{bits} bits in {} s", film.seconds);
        }
        // The next film is one of its own.
        lab.begin("01B");
        lab.shoot(1.0);
        lab.end();
        let next = lab.finished();
        examine(&next);
        assert!(next.event == "01B" && next.seconds < 6.5, "{next:?}");
    }
}

#[test]
fn a_camera_with_odd_sides_is_cropped_to_even_ones_for_h264_only() {
    for codec in CODECS {
        let pictures = (0..30).map(|step| drawn(323, 241, step * 8, 7)).collect();
        let mut lab = Lab::with(settings(*codec), (323, 241), pictures);
        lab.shoot(1.0);
        lab.begin("odd");
        lab.shoot(2.0);
        lab.end();
        let film = lab.finished();
        let size = if *codec == ClipCodec::H264 { (322, 240) } else { (323, 241) };
        assert_eq!((film.width, film.height), size);
        examine(&film);
    }
}

#[test]
fn what_happens_in_the_seconds_after_extends_the_film() {
    let mut lab = Lab::start(settings(ClipCodec::Mjpeg));
    lab.shoot(1.0);
    lab.begin("first");
    lab.shoot(2.0);
    lab.end();
    lab.shoot(1.0);
    lab.begin("second");
    lab.shoot(4.0);
    assert!(lab.news.try_recv().is_err(), "the film goes on");
    lab.end();
    let film = lab.finished();
    assert_eq!(film.event, "first");
    assert!(lab.lasts(&film, 10.0), "{film:?}");
    examine(&film);
}

#[test]
fn no_film_is_longer_than_allowed_and_another_may_follow() {
    let mut lab = Lab::start(Clips { max_length: Duration::from_secs(5), ..settings(CODECS[0]) });
    lab.shoot(4.0);
    lab.begin("long");
    let film = lab.finished();
    assert!(lab.lasts(&film, 5.0) && film.seconds <= 5.1, "{film:?}");
    examine(&film);
    lab.end();
    lab.shoot(1.0);
    assert!(lab.news.try_recv().is_err(), "its end is no news any more");
    lab.begin("next");
    assert_eq!(lab.finished().event, "next");
}

#[test]
fn a_drawn_card_ends_the_film_and_nothing_from_before_it_is_in_the_next() {
    for codec in CODECS {
        let mut lab = Lab::start(settings(*codec));
        lab.shoot(2.0);
        lab.begin("before");
        lab.shoot(2.0);
        lab.card();
        let film = lab.finished_at_once();
        assert!(film.seconds < 4.2, "{film:?}");
        examine(&film);
        let card_at = lab.shown;
        lab.shoot(1.0);
        lab.begin("after");
        lab.shoot(1.0);
        lab.end();
        let film = lab.finished();
        let since = f64::from(lab.shown - card_at) * STEP.as_secs_f64();
        assert!(film.event == "after" && film.seconds <= since, "{film:?} within {since} s");
        examine(&film);
    }
}

#[test]
fn another_size_ends_the_film() {
    let mut lab = Lab::start(settings(CODECS[0]));
    lab.shoot(1.0);
    lab.begin("wide");
    lab.shoot(2.0);
    lab.size = (320, 240);
    lab.pictures = walk(320, 240);
    let film = lab.finished();
    assert_eq!((film.width, film.height), (WIDTH as u32, HEIGHT as u32));
    examine(&film);
    lab.begin("narrow");
    lab.shoot(1.0);
    lab.end();
    assert_eq!(lab.finished().width, 320);
}

#[test]
fn a_clock_that_goes_back_ends_the_film() {
    let mut lab = Lab::start(settings(CODECS[0]));
    lab.shoot(5.0);
    lab.begin("once");
    lab.shoot(1.0);
    lab.shown = 1;
    let film = lab.finished();
    assert!(film.seconds < 5.0, "{film:?}");
    examine(&film);
}

#[test]
fn the_stop_signal_and_a_closed_hub_complete_the_film() {
    for close in [false, true] {
        let mut lab = Lab::start(settings(CODECS[0]));
        lab.shoot(1.0);
        lab.begin("cut");
        lab.shoot(1.0);
        if close {
            lab.hub.close()
        } else {
            lab.stop()
        }
        let film = lab.finished_at_once();
        assert!(lab.lasts(&film, 2.0), "{film:?}");
        examine(&film);
    }
}

#[test]
fn a_camera_that_falls_silent_does_not_keep_the_film_open() {
    let mut lab = Lab::start(Clips { post_roll: Duration::from_millis(100), ..settings(CODECS[0]) });
    lab.shoot(1.0);
    lab.begin("silent");
    lab.shoot(0.5);
    lab.end();
    examine(&lab.finished_at_once());
    let mut empty = Lab::start(Clips { post_roll: Duration::from_millis(100), ..settings(CODECS[0]) });
    empty.begin("nothing");
    empty.end();
    let news = empty.news.recv_timeout(DEADLINE).unwrap();
    assert!(
        matches!(&news, News::Failed { event, reason } if event == "nothing" && reason.contains("no picture"))
    );
    empty.stop();
    assert_eq!(empty.unfinished(), 0);
}

#[test]
fn damaged_pictures_are_left_out() {
    for codec in CODECS {
        let mut lab = Lab::start(settings(*codec));
        lab.begin("damaged");
        for _ in 0..20 {
            lab.shoot(0.1);
            if *codec == ClipCodec::H264 {
                lab.show(Bytes::from_static(b"\xff\xd8 no picture \xff\xd9"));
            }
        }
        lab.end();
        let film = lab.finished();
        assert!(film.frames > 5, "{film:?}");
        examine(&film);
    }
}

/// Noise that no rate is enough for makes the encoder leave pictures out; the times of the others stay right.
#[test]
fn a_film_holds_its_bit_rate_and_its_times_in_a_snowstorm() {
    if !CODECS.contains(&ClipCodec::H264) {
        return println!("not tested: this build has no H.264");
    }
    let snow = (0..20).map(|step| drawn(WIDTH, HEIGHT, step, 255)).collect();
    let settings = Clips { bits_per_second: 200_000, ..settings(ClipCodec::H264) };
    let mut lab = Lab::with(settings, (WIDTH, HEIGHT), snow);
    lab.begin("snow");
    lab.shoot(15.0);
    lab.end();
    let film = lab.finished();
    examine(&film);
    let wanted = (film.seconds / STEP.as_secs_f64()) as u32;
    println!(
        "{} of {wanted} pictures, {} bits a second",
        film.frames,
        8.0 * film.bytes as f64 / film.seconds
    );
    assert!(lab.lasts(&film, 17.0) && film.frames < wanted, "{film:?}");
}

#[test]
fn what_a_crash_has_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["01A.part", "01B.part", "01C.mp4"] {
        std::fs::write(folder.path().join(name), "left over").unwrap();
    }
    let mut lab = Lab::within(folder, settings(CODECS[0]), (WIDTH, HEIGHT), walk(WIDTH, HEIGHT));
    lab.shoot(0.5);
    lab.stop();
    assert!(lab.unfinished() == 1 && lab.folder.path().join("01C.mp4").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let left_over = folder.path().join("left.part");
    std::fs::write(&left_over, "left over").unwrap();
    let mut lab = Lab::within(folder, settings(CODECS[0]), (WIDTH, HEIGHT), walk(WIDTH, HEIGHT));
    // The loop makes its folder at the start, so it has to be past that.
    let give_up = Instant::now() + DEADLINE;
    while left_over.exists() {
        assert!(Instant::now() < give_up, "the loop must tidy up");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::remove_dir_all(lab.folder.path()).unwrap();
    lab.begin("lost");
    let News::Failed { event, reason } = lab.told() else { panic!("there is no folder") };
    assert!(event == "lost" && reason.contains("could not be written to"), "{reason}");
    // The appliance goes on, and so does the next film.
    std::fs::create_dir(lab.folder.path()).unwrap();
    lab.begin("found");
    lab.shoot(1.0);
    lab.end();
    assert_eq!(lab.finished().event, "found");
}

/// The limit of the system on the size of files stands for a full disk; a child process has it, so that nobody else does.
#[test]
fn a_full_disk_ends_the_film_and_leaves_no_file() {
    let limited = "trap '' XFSZ; ulimit -f 500; exec \"$0\" --exact under_a_limit --ignored --nocapture";
    let mut half = Command::new("sh");
    half.args(["-c", limited]).arg(std::env::current_exe().unwrap());
    assert_passes(half);
}

/// Runs the half of a test that needs a process of its own.
fn assert_passes(mut half: Command) {
    let output = half.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

#[test]
#[ignore = "runs in a process where files must stay small"]
fn under_a_limit() {
    let mut lab = Lab::start(settings(ClipCodec::Mjpeg));
    for event in ["first", "second"] {
        lab.begin(event);
        let News::Failed { event: told, reason } = lab.told() else { panic!("the file was too large") };
        assert!(told == event && reason.contains("could not be written"), "{reason}");
        assert_eq!(lab.unfinished(), 0);
        lab.end();
        lab.shoot(2.0);
        assert!(lab.news.try_recv().is_err(), "it is told once");
    }
}

/// Bytes of memory that the process really has.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    4096 * pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
}

/// In a process of its own, since the other tests of this file need memory too.
#[test]
fn memory_does_not_grow_while_a_camera_is_filmed_for_long() {
    let mut half = Command::new(std::env::current_exe().unwrap());
    half.args(["--exact", "minutes_of_film", "--ignored", "--nocapture"]);
    assert_passes(half);
}

#[test]
#[ignore = "runs in a process of its own"]
fn minutes_of_film() {
    let settings = Clips { ring_bytes: 2_000_000, pre_roll: Duration::from_secs(30), ..settings(CODECS[0]) };
    let mut lab = Lab::start(settings);
    // Each picture is memory of its own, as from a camera.
    let shoot = |lab: &mut Lab, seconds: u32| {
        for at in 0..10 * seconds as usize {
            let fresh = Bytes::copy_from_slice(&lab.pictures[at % lab.pictures.len()]);
            lab.show(fresh);
        }
    };
    shoot(&mut lab, 30);
    let calm = resident();
    shoot(&mut lab, 60);
    lab.begin("long");
    shoot(&mut lab, 50);
    let film = lab.finished();
    let grown = resident().saturating_sub(calm) / 1_000_000;
    println!("{} bytes of film, {grown} MB more than when calm", film.bytes);
    assert!(grown < 40, "{grown} MB");
}

/// Says who is in the way of a test that needs a browser, and stops where nobody may be.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.into_iter().find(|name| {
        let version =
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI is set, so Chromium must be installed");
        println!("not tested: there is no Chromium (apt-get install chromium)");
    }
    found
}

/// Plays the film muted to its end, jumps to the middle and to near the end, plays again, and tells the server what it saw.
const PAGE: &str = r#"<!doctype html><title>film</title><video muted playsinline src="/clip.mp4"></video><script>
const video = document.querySelector('video'), saw = { shown: 0 };
const once = name => new Promise(resolve => video.addEventListener(name, resolve, { once: true }));
const colour = () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  return [...context.getImageData(video.videoWidth - 20, 40, 1, 1).data].slice(0, 3);
};
const count = () => { saw.shown += 1; video.requestVideoFrameCallback(count); };
video.requestVideoFrameCallback(count);
const tell = () => fetch('/saw', { method: 'POST', body: JSON.stringify(saw) });
video.addEventListener('error', () => { saw.error = video.error.code + ' ' + video.error.message; tell(); });
(async () => {
  if (video.readyState < 2) await once('loadeddata');
  saw.duration = video.duration;
  saw.size = [video.videoWidth, video.videoHeight];
  saw.seeked = [];
  for (const part of [0.5, 0.9, 0.1]) {
    const seeked = once('seeked');
    video.currentTime = part * video.duration;
    await seeked;
    saw.seeked.push(video.currentTime / video.duration);
  }
  saw.colour = colour();
  video.currentTime = 0;
  await once('seeked');
  saw.shown = 0;
  const ended = once('ended');
  await video.play();
  await ended;
  saw.ended = video.ended;
  saw.at = video.currentTime;
  saw.faults = video.error;
  tell();
})().catch(error => { saw.error = String(error); tell(); });
</script>"#;

/// A server of one page and one film, with ranges; gives what the page tells.
fn serve(listener: &TcpListener, film: &Path, told: &mpsc::Sender<Value>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let (film, told) = (film.to_owned(), told.clone());
        std::thread::spawn(move || {
            // A browser leaves whenever it has enough.
            let _ = answer(stream, &film, &told);
        });
    }
}

fn answer(stream: TcpStream, film: &Path, told: &mpsc::Sender<Value>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut lines, mut stream) = (Vec::new(), stream);
    for line in reader.by_ref().lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        lines.push(line.to_ascii_lowercase());
    }
    let header = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type:";
    match lines.first().and_then(|line| line.split(' ').nth(1)) {
        Some("/clip.mp4") => {
            let mut file = std::fs::File::open(film)?;
            let length = file.metadata()?.len();
            let range = header("range: bytes=").and_then(|range| range.split_once('-'));
            let (from, to) = range.map_or((0, length - 1), |(from, to)| {
                (from.parse().unwrap(), to.parse().map_or(length - 1, |to: u64| to.min(length - 1)))
            });
            let size = to + 1 - from;
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Type: video/mp4\r\nAccept-Ranges: bytes\r\n\
                 Content-Range: bytes {from}-{to}/{length}\r\nContent-Length: {size}\r\n\r\n"
            )?;
            file.seek(SeekFrom::Start(from))?;
            std::io::copy(&mut file.take(size), &mut stream).map(drop)
        }
        Some("/saw") => {
            let length = header("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let _ = told.send(serde_json::from_slice(&body).unwrap());
            write!(stream, "{head} text/plain\r\nContent-Length: 0\r\n\r\n")
        }
        Some(_) | None => {
            write!(stream, "{head} text/html\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len())
        }
    }
}

/// Chromium without a window; it and its children end with it.
struct Browser {
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(program: &str, url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--mute-audio",
            ])
            .args(["--no-first-run", "--autoplay-policy=no-user-gesture-required"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.wait();
    }
}

#[test]
fn a_browser_plays_the_film_to_its_end_and_jumps_in_it() {
    if !CODECS.contains(&ClipCodec::H264) {
        return println!("not tested: this build has no H.264");
    }
    let Some(program) = browser() else { return };
    let mut lab = Lab::start(settings(ClipCodec::H264));
    lab.shoot(2.0);
    lab.begin("film");
    lab.shoot(3.0);
    lab.end();
    let film = lab.finished();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    let file: PathBuf = film.file.clone();
    std::thread::spawn(move || serve(&listener, &file, &tell));
    let browser = Browser::open(program, &url);
    let saw = told.recv_timeout(2 * DEADLINE).expect("the page must tell what it saw");
    drop(browser);
    println!("{saw}");
    assert!(saw["error"].is_null() && saw["faults"].is_null() && saw["ended"] == true, "{saw}");
    assert!((saw["duration"].as_f64().unwrap() - film.seconds).abs() < 0.05, "{saw} {film:?}");
    assert!((saw["at"].as_f64().unwrap() - film.seconds).abs() < 0.05, "{saw}");
    assert_eq!(saw["size"], serde_json::json!([film.width, film.height]));
    for (seeked, wanted) in saw["seeked"].as_array().unwrap().iter().zip([0.5, 0.9, 0.1]) {
        assert!((seeked.as_f64().unwrap() - wanted).abs() < 0.01, "{saw}");
    }
    // The wall, in the colours that were drawn: the range and the matrix are told to the player.
    let wall = [153, 133, 103];
    for (seen, drawn) in saw["colour"].as_array().unwrap().iter().zip(wall) {
        assert!((seen.as_i64().unwrap() - drawn).abs() < 12, "{saw}: {wall:?} was drawn");
    }
    assert!(saw["shown"].as_u64().unwrap() >= 5, "{saw}");
}
