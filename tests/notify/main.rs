//! Notifications against real servers: mail (aiosmtpd), web hooks (a web server with bad days), name servers.
//!
//! Needs a Python with aiosmtpd (named by `DOORWARD_PYTHON`); without aiosmtpd the mail scenes are skipped, never where CI is set.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

mod address;
mod hook;
mod kit;
mod mail;

/// Every complete example of `docs/notify.md` is a good configuration.
#[test]
fn the_examples_of_the_manual_are_good() {
    let manual = include_str!("../../docs/notify.md");
    let folder = tempfile::tempdir().unwrap();
    let mut targets = 0;
    for example in manual.split("```toml\n").skip(1) {
        let (example, _) = example.split_once("```").unwrap();
        for path in example.split('"').filter_map(|text| text.strip_prefix("/etc/doorward/")) {
            std::fs::write(folder.path().join(path), "secret\n").unwrap();
        }
        let here = format!("{}/", folder.path().display());
        let config = kit::configured(&example.replace("/etc/doorward/", &here));
        targets += config.notify.len() + usize::from(config.public_address.is_some());
    }
    assert_eq!(targets, 8);
}
