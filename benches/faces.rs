//! What faces cost: finding one, embedding one, looking one up among many people, and the memory of the models.
//!
//! `cargo bench --bench faces [-- ROUNDS]`. Times are wall-clock times of one thread. Not here: how good it is; see `doorward eval`.
#![allow(clippy::print_stdout, reason = "it is a report")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use doorward::logic::faces::gallery::Person;
use doorward::logic::faces::{EMBEDDING_LENGTH, Embedding, Gallery, PersonId};
use doorward::vision::enrol::{Enroller, Eyes, Owner};
use doorward::vision::model::{Detector, Picture, Recogniser, SecondOpinion, YuNet};
use doorward::vision::photo;

/// The usual picture of a camera, in pixels.
const WIDTH: usize = 1280;
const HEIGHT: usize = 720;

fn main() {
    let rounds: usize = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(40);
    let profile = if cfg!(debug_assertions) { "dev profile, NOT for documents" } else { "release" };
    println!("{profile}, {rounds} rounds; milliseconds unless it says otherwise");
    let before = memory();
    let start = Instant::now();
    let mut yunet = YuNet::load(640).expect("the models were built in and tested");
    let mut small = YuNet::load(320).expect("the models were built in and tested");
    let mut recogniser = Recogniser::load().expect("the models were built in and tested");
    let loading = start.elapsed().as_secs_f64() * 1e3;
    let loaded = memory();
    let second = SecondOpinion::load().expect("the models were built in and tested");

    let frame = frame();
    let picture = Picture::new(WIDTH, HEIGHT, &frame).expect("the frame is full");
    let face = yunet.detect(&picture, None).expect("the network runs")[0];
    tell("find faces, YuNet, 640 wide", rounds, || drop(black_box(yunet.detect(&picture, None))));
    tell("find faces, YuNet, 320 wide", rounds, || drop(black_box(small.detect(&picture, None))));
    tell("embed one face, SFace", rounds, || drop(black_box(recogniser.embed(&picture, &face))));
    tell("second opinion on one face", rounds, || drop(black_box(second.confirms(&picture, &face))));
    let used = memory();
    for n_people in [1, 100, 1000] {
        let gallery = gallery(n_people);
        let probe = embedding(7);
        let start = Instant::now();
        let n = 200 * rounds / (n_people / 100 + 1);
        (0..n).for_each(|_| drop(black_box(gallery.find(black_box(&probe)))));
        let micros = start.elapsed().as_secs_f64() * 1e6 / n as f64;
        println!("{:<36} {micros:>9.2} microseconds", format!("best and second of {n_people} people"));
    }
    println!("{:<36} {loading:>9.1}", "loading two YuNets and SFace");
    enrolment(yunet, recogniser);
    let mb =
        |[total, file]: [f64; 2]| format!("{total:.0} MB resident ({file:.0} MB of it the program's file)");
    println!("memory: {}, loaded {}, used {}", mb(before), mb(loaded), mb(used));
}

/// A folder of 100 photographs that differ: the first start, and the next one, which remembers.
fn enrolment(mut yunet: YuNet, mut recogniser: Recogniser) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces/single/hopper.jpg");
    let portrait = image::open(&file).expect("the photograph is there").to_rgb8();
    for n in 0..100_u32 {
        let person = root.path().join(format!("Person {}", n / 10));
        std::fs::create_dir_all(&person).expect("a folder");
        // Another cut each time, so that no two files are equal.
        let cut = image::imageops::crop_imm(
            &portrait,
            n % 20,
            n / 20,
            portrait.width() - 40,
            portrait.height() - 20,
        );
        cut.to_image().save(person.join(format!("{n}.jpg"))).expect("a photograph");
    }
    for what in ["100 photos, the first start", "100 photos, the next start"] {
        let start = Instant::now();
        let mut enroller = Enroller::new(root.path().to_owned(), Owner::Shared);
        let mut eyes = Eyes { detector: &mut yunet, recogniser: &mut recogniser, second: None };
        let mut polls = 0;
        while polls == 0 || enroller.is_busy() {
            black_box(enroller.poll(&mut eyes));
            polls += 1;
        }
        println!("{what:<36} {:>9.0} in {polls} turns", start.elapsed().as_secs_f64() * 1e3);
    }
}

/// A portrait in an empty frame.
fn frame() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces/single/hopper.jpg");
    let photo = photo::open(&file, HEIGHT).expect("the photograph is there");
    let portrait = photo.picture();
    let mut frame = vec![96; 3 * WIDTH * HEIGHT];
    for (row, line) in portrait.rgb().chunks_exact(3 * portrait.width()).enumerate() {
        frame[3 * (WIDTH * row + 300)..][..line.len()].copy_from_slice(line);
    }
    frame
}

fn tell(what: &str, rounds: usize, mut run: impl FnMut()) {
    run();
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what:<36} {:>9.1} median, {:.1} best", times[rounds / 2], times[0]);
}

fn gallery(n_people: usize) -> Gallery {
    let person = |n: usize| {
        let word = format!("person_{n}");
        let id = PersonId { slug: word.as_str().into(), name: word.as_str().into() };
        Person::from_photos(id, &[&embedding(n as u64 + 100)]).expect("it has a direction")
    };
    Gallery::new((0..n_people).map(person).collect())
}

/// An embedding in some direction: xorshift, because the values do not matter.
fn embedding(seed: u64) -> Embedding {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let raw: [f32; EMBEDDING_LENGTH] = std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    });
    Embedding::from_raw(&raw).expect("it has a direction")
}

/// Resident memory of this process and its part that is backed by files, in MB of 2^20 bytes (proc(5)).
fn memory() -> [f64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    ["VmRSS:", "RssFile:"].map(|key| {
        let line = status.lines().find(|line| line.starts_with(key)).expect("Linux has it");
        let kilobytes: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
        kilobytes / 1024.0
    })
}
