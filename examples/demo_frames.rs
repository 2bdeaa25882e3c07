//! Writes pictures of the demo scene, one for each part of a round: `cargo run --example demo_frames -- FOLDER [SEED]`.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use doorward::camera::{Wish, demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(arguments.next().unwrap_or_else(|| ".".into()));
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let mut scene = demo::Demo::new(seed, 1.0, Wish { width: None, height: None, fps: 15.0 })?;
    for (number, (start, end, what)) in demo::scene::schedule(seed).into_iter().enumerate() {
        for part in [0.2, 0.5, 0.75] {
            let seconds = start + part * (end - start);
            let path = folder.join(format!("{number}-{part}-{what:?}.jpg").to_lowercase());
            std::fs::write(&path, scene.picture(seconds)?)?;
            println!("{seconds:5.1} s  {}", path.display());
        }
    }
    Ok(())
}
