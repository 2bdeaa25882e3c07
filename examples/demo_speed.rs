//! Measures what a 1280 x 720 picture of the demo scene costs: `cargo run --release --example demo_speed`.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::time::Instant;

use doorward::camera::{Wish, demo};

const PICTURES: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut scene = demo::Demo::new(1, 1.0, Wish { width: None, height: None, fps: 15.0 })?;
    println!("opened in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    for (start, end, what) in demo::scene::schedule(1) {
        let (mut millis, mut bytes) = (Vec::new(), 0);
        for number in 0..PICTURES {
            let moment = start + (end - start) * f64::from(number) / f64::from(PICTURES);
            let began = Instant::now();
            bytes += scene.picture(moment)?.len();
            millis.push(began.elapsed().as_secs_f64() * 1e3);
        }
        millis.sort_by(f64::total_cmp);
        let (median, p99) = (millis[millis.len() / 2], millis[millis.len() * 99 / 100]);
        println!(
            "{what:?}: median {median:.2} ms, p99 {p99:.2} ms, {} kB each",
            bytes / 1000 / PICTURES as usize
        );
    }
    Ok(())
}
