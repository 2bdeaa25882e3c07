//! What filming costs: processor time and bytes for each second of 720p film at ten pictures a second.
//!
//! `cargo bench --bench clips` feeds the clip loop with a moving scene, a minute of camera time for each format, and prints; nothing is
//! asserted. Between films only the ring is kept, which is the first line.
#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]

mod room;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use doorward::clips::{self, News, Parts};
use doorward::config::{ClipCodec, Clips};
use doorward::frame::{Frame, Raw};
use doorward::hub::Hub;
use doorward::logic::effect::ClipOrder;
use doorward::shutdown::Shutdown;
use room::{HEIGHT, WIDTH};

const SECONDS: u32 = 60;
const FPS: u32 = 10;
/// Between two pictures in real time: long enough for any encoder, shorter than a camera's.
const PAUSE: Duration = Duration::from_millis(25);

fn main() {
    let pictures: Vec<_> = (0..100).map(picture).collect();
    let bytes = pictures.iter().map(|picture| picture.len()).sum::<usize>() / pictures.len();
    println!("{WIDTH} x {HEIGHT} at {FPS} pictures a second, JPEGs of {} kB, {SECONDS} s", bytes / 1000);
    film("ring only", ClipCodec::Mjpeg, &pictures, false);
    film("mjpeg", ClipCodec::Mjpeg, &pictures, true);
    if cfg!(feature = "h264") {
        film("h264", ClipCodec::H264, &pictures, true);
    }
}

fn film(what: &str, codec: ClipCodec, pictures: &[bytes::Bytes], begin: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Clips {
        codec,
        pre_roll: Duration::ZERO,
        post_roll: Duration::ZERO,
        max_length: Duration::from_secs(600),
        ring_bytes: 24_000_000,
        fps: FPS,
        bits_per_second: 1_500_000,
    };
    let (hub, shutdown) = (Hub::new(), Shutdown::new());
    let ((orders, for_loop), (tell, told)) = (mpsc::channel(), mpsc::channel());
    let tell = move |news| tell.send(news).expect("the bench waits for it");
    let parts =
        Parts { hub: Arc::clone(&hub), orders: for_loop, folder: folder.path().into(), settings, tell };
    let stop = shutdown.clone();
    let thread = std::thread::spawn(move || clips::run(parts, &stop));
    if begin {
        orders.send(ClipOrder::Begin { event: "bench".into() }).expect("the loop listens");
    }
    let (start, before) = (Instant::now(), processor_seconds());
    for number in 0..SECONDS * FPS {
        let at = start + number * (Duration::from_secs(1) / FPS);
        let raw = Raw::Jpeg(pictures[number as usize % pictures.len()].clone());
        hub.publish(Arc::new(Frame::live(number.into(), at, WIDTH, HEIGHT, raw)));
        std::thread::sleep(PAUSE);
    }
    shutdown.trigger();
    thread.join().expect("the loop ends");
    let cost = 1000.0 * (processor_seconds() - before) / f64::from(SECONDS);
    print!("{what:10} {cost:6.1} ms of processor time for a second");
    match told.try_recv() {
        Ok(News::Finished(film)) => {
            let kilobytes = film.bytes as f64 / film.seconds / 1000.0;
            println!(", {kilobytes:.0} kB a second, {} pictures in {:.1} s", film.frames, film.seconds);
        }
        Ok(News::Failed { reason, .. }) => println!(", failed: {reason}"),
        Err(_) => println!(),
    }
}

/// Of all threads of this process, user and system.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 of proc(5), counted behind the name, in the hundredths of a second that Linux shows everywhere.
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (next() + next()) / 100.0
}

/// A room through which a person walks.
fn picture(number: usize) -> bytes::Bytes {
    room::picture(77 + number as u32, Some(12 * number))
}
