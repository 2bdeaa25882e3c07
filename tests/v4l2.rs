//! V4L2 against the kernel's own `uvcvideo` driver: runs `examples/v4l2_probe.rs` in a guest, see `tests/guest/run`.
#![cfg(feature = "v4l")]
#![allow(clippy::print_stderr, reason = "a skipped test has to say so")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo builds examples before tests and puts them beside; a single test asked for by name may come without.
fn probe() -> PathBuf {
    let profile = std::env::current_exe()
        .expect("a test has a file")
        .parent()
        .and_then(Path::parent)
        .map(Path::to_owned);
    profile.expect("tests lie in deps/ of the profile's folder").join("examples/v4l2_probe")
}

#[test]
fn a_usb_camera_on_the_real_driver() {
    let probe = probe();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !probe.exists() {
        let build =
            Command::new(env!("CARGO")).args(["build", "--example", "v4l2_probe"]).current_dir(root).status();
        assert!(build.is_ok_and(|status| status.success()), "the probe must build");
    }
    let output = Command::new(root.join("tests/guest/run"))
        .arg(&probe)
        .output()
        .expect("bash and coreutils are there");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        eprintln!("{complained}");
        return;
    }
    assert!(
        output.status.success() && said.contains("all 9 passed"),
        "{}\n{said}\n{complained}",
        output.status
    );
}
