//! What viewers cost: processor time of the server with 0, 1, 10 and 50 MJPEG viewers, who run in a process of their own.
//!
//! Ignored in the normal run, because it takes half a minute and only prints:
//! `cargo test --release --test http_load -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doorward::http::Limits;
use rig::tls::{secure, trust};
use rig::{Mjpeg, Rig, noisy_picture, wait_for};

const FPS: f64 = 15.0;
const SECONDS: u64 = 6;
/// Tells the child which server to watch, and with how many viewers.
const CLIENT: &str = "DOORWARD_LOAD_CLIENT";

#[test]
#[ignore = "prints figures instead of judging"]
fn viewers_cost_little() {
    let pictures = vec![noisy_picture(1), noisy_picture(2)];
    println!("pictures of {} kB, {FPS} a second, {SECONDS} s", pictures[0].len() / 1000);
    println!("viewers | over | fps per viewer | server CPU, % of one core | per viewer | RSS MB");
    let rig = Rig::with_pictures(Limits::default(), FPS, pictures);
    let mut idle = 0.0;
    for (viewers, over) in
        [(0, "-"), (1, "TCP"), (1, "TLS"), (10, "TCP"), (10, "TLS"), (50, "TCP"), (50, "TLS")]
    {
        let certificate = if over == "TLS" { rig.run_dir.path().join("tls/cert.pem") } else { "".into() };
        let child = (viewers > 0).then(|| spawn_client(rig.address, viewers, &certificate));
        wait_for("the viewers", || rig.hub.watching() == viewers);
        let (begin, before) = (Instant::now(), cpu_seconds());
        std::thread::sleep(Duration::from_secs(SECONDS));
        let cpu = 100.0 * (cpu_seconds() - before) / begin.elapsed().as_secs_f64();
        let fps = child.map_or(0.0, |mut child| {
            child.kill().unwrap();
            let mut heard = String::new();
            child.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
            child.wait().unwrap();
            heard
                .lines()
                .rfind(|line| line.starts_with("fps "))
                .map_or(0.0, |line| line[4..].parse().unwrap())
        });
        wait_for("nobody", || rig.hub.watching() == 0);
        idle = if viewers == 0 { cpu } else { idle };
        let each = if viewers == 0 { 0.0 } else { (cpu - idle) / viewers as f64 };
        println!("{viewers:7} | {over:4} | {fps:14.1} | {cpu:25.1} | {each:10.2} | {:.0}", rss_mb());
    }
}

/// The viewers; does nothing unless the environment says that this process is the client.
#[test]
#[ignore = "the other half of viewers_cost_little"]
fn client() {
    let Ok(task) = std::env::var(CLIENT) else { return };
    let [address, viewers, certificate] = task.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("{task}")
    };
    let (address, viewers): (SocketAddr, usize) = (address.parse().unwrap(), viewers.parse().unwrap());
    let trust = (!certificate.is_empty()).then(|| trust(&[&std::fs::read(certificate).unwrap()]));
    let frames = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    for _ in 0..viewers {
        let frames = std::sync::Arc::clone(&frames);
        let count = move |mut next: Box<dyn FnMut() -> bool + Send>| {
            while next() {
                frames.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let next: Box<dyn FnMut() -> bool + Send> = match &trust {
            None => {
                let mut viewer = Mjpeg::open(address, "").unwrap();
                Box::new(move || viewer.next().is_ok())
            }
            Some(trust) => {
                let mut viewer = Mjpeg::over(secure(address, trust).unwrap(), "").unwrap();
                Box::new(move || viewer.next().is_ok())
            }
        };
        std::thread::spawn(move || count(next));
    }
    let (begin, before) = (Instant::now(), frames.load(std::sync::atomic::Ordering::Relaxed));
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let shown = frames.load(std::sync::atomic::Ordering::Relaxed) - before;
        println!("fps {}", shown as f64 / begin.elapsed().as_secs_f64() / viewers as f64);
    }
}

fn spawn_client(address: SocketAddr, viewers: usize, certificate: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "client", "--nocapture"])
        .env(CLIENT, format!("{address} {viewers} {}", certificate.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Processor time of this process so far, user and system.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    // Linux counts in hundredths of a second on every architecture we run on.
    ticks as f64 / 100.0
}

fn rss_mb() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0 / 1e6
}
