//! What a look for motion costs: decode and detection of 720p MJPG frames of a moving scene with noise, milliseconds.
//!
//! `cargo bench --bench motion` prints median and 99th percentile; numbers for people, nothing is asserted.
#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]

mod room;

use std::time::{Duration, Instant};

use doorward::jpeg;
use doorward::logic::motion::{Detector, Knobs};
use room::{HEIGHT, WIDTH};

const FRAMES: usize = 60;
const ROUNDS: usize = 10;

fn main() {
    let frames: Vec<_> = (0..FRAMES).map(frame).collect();
    let bytes = frames.iter().map(|frame| frame.len()).sum::<usize>() / FRAMES;
    println!("{WIDTH} x {HEIGHT} MJPG, {} KB a frame, {} looks", bytes / 1024, ROUNDS * FRAMES);
    let mut detector = Detector::new(Knobs::default());
    let (mut decode, mut busy, mut calm) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = Instant::now();
    for _ in 0..ROUNDS {
        for frame in &frames {
            now += Duration::from_millis(200);
            let began = Instant::now();
            let gray = jpeg::decode_gray(frame).expect("the frame was just encoded");
            decode.push(began.elapsed());
            let began = Instant::now();
            let report = detector.look(now, &gray);
            if report.raw { &mut busy } else { &mut calm }.push(began.elapsed());
        }
    }
    for (what, times) in [("decode", decode), ("detect, calm", calm), ("detect, motion", busy)] {
        print(what, times);
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f32| {
        let index = ((times.len() as f32 * part) as usize).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |time| 1000.0 * time.as_secs_f64())
    };
    println!("{what:15} median {:.3} ms, p99 {:.3} ms, {} looks", at(0.5), at(0.99), times.len());
}

/// A room, and for two thirds of the time a person who walks through it.
fn frame(number: usize) -> bytes::Bytes {
    let walks = number < 2 * FRAMES / 3;
    room::picture(77 + number as u32, walks.then(|| 20 * number.saturating_sub(10)))
}
