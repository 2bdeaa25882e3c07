//! The certificate over months, with a clock of the test's own; and the owner's files as they come and go.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::*;

const START: &str = "2026-03-01T12:00:00Z";

fn day(days: u64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + Duration::from_hours(24 * days)
}

fn made_in(folder: &Path) -> Source {
    Source::Made { folder: folder.join("tls"), names: vec!["door".into(), "127.0.0.1".into()] }
}

fn open(folder: &Path, now: Timestamp) -> (Keeper, String) {
    let (keeper, news) = Keeper::open(made_in(folder), now).unwrap();
    let text: Vec<String> = news.into_iter().map(|news| news.text).collect();
    (keeper, text.join("\n"))
}

fn fingerprint(keeper: &Keeper) -> String {
    keeper.certificate().facts().fingerprint
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_run_makes_one_and_the_next_ones_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, told) = open(folder.path(), day(0));
    let facts = first.certificate().facts();
    assert!(told.contains(&facts.fingerprint) && told.contains("self-signed"), "{told}");
    assert_eq!((facts.names.join(" "), facts.not_after), ("door 127.0.0.1".into(), day(365)));
    let [cert_file, key_file] = files(&folder.path().join("tls"));
    assert_eq!((mode(&key_file), mode(&cert_file)), (0o600, 0o644));
    // A copy that everybody may read is mended.
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    for days in [1, 100, 334] {
        assert_eq!(fingerprint(&open(folder.path(), day(days)).0), facts.fingerprint, "after {days} days");
    }
    assert_eq!(mode(&key_file), 0o600);
    // A clock that has not been set yet is no reason for another one.
    assert_eq!(
        fingerprint(&open(folder.path(), "1970-01-01T00:00:09Z".parse().unwrap()).0),
        facts.fingerprint
    );
}

#[test]
fn it_is_renewed_in_time_and_after_its_end() {
    for (days, is_renewed) in [(1, false), (334, false), (335, true), (366, true), (4000, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut keeper, _) = open(folder.path(), day(0));
        let before = fingerprint(&keeper);
        let news = keeper.look(day(days));
        assert_eq!(fingerprint(&keeper) != before, is_renewed, "after {days} days");
        assert_eq!(news.is_some(), is_renewed, "{news:?}");
        assert_eq!(fingerprint(&open(folder.path(), day(days)).0), fingerprint(&keeper), "it was written");
        assert_eq!(keeper.look(day(days)), None, "once");

        let folder = tempfile::tempdir().unwrap();
        let before = fingerprint(&open(folder.path(), day(0)).0);
        let (after, told) = open(folder.path(), day(days));
        assert_eq!(fingerprint(&after) != before, is_renewed, "started after {days} days");
        assert_eq!(told.contains("a new one is made"), is_renewed, "{told}");
        assert_eq!(after.certificate().facts().not_after, day(if is_renewed { days + 365 } else { 365 }));
    }
}

#[test]
fn what_is_damaged_is_replaced() {
    type Damage = fn(&Path, &Path);
    let damages: [(&str, Damage); 5] = [
        ("no key", |_, key| std::fs::remove_file(key).unwrap()),
        ("no certificate", |cert, _| std::fs::remove_file(cert).unwrap()),
        ("an empty certificate", |cert, _| std::fs::write(cert, "").unwrap()),
        ("half a key", |_, key| {
            let text = std::fs::read(key).unwrap();
            std::fs::write(key, &text[..text.len() / 2]).unwrap();
        }),
        // A power cut between the two files.
        ("another key", |_, key| std::fs::write(key, pair::make(&[], day(0)).unwrap().key).unwrap()),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        let before = fingerprint(&open(folder.path(), day(0)).0);
        let [cert_file, key_file] = files(&folder.path().join("tls"));
        damage(&cert_file, &key_file);
        let (keeper, told) = open(folder.path(), day(1));
        assert_ne!(fingerprint(&keeper), before, "{name}");
        assert!(told.contains("a new certificate is made"), "{name}: {told}");
        assert_eq!(fingerprint(&open(folder.path(), day(2)).0), fingerprint(&keeper), "{name}");
    }
}

#[test]
fn a_renewal_that_cannot_be_written_is_told_once_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let (mut keeper, _) = open(folder.path(), day(0));
    let before = fingerprint(&keeper);
    std::fs::remove_dir_all(folder.path().join("tls")).unwrap();
    std::fs::write(folder.path().join("tls"), "in the way").unwrap();
    let news = keeper.look(day(340)).unwrap();
    assert!(news.is_warning && news.text.contains("cannot be written"), "{news:?}");
    assert_eq!(keeper.look(day(340) + Duration::from_secs(3599)), None);
    assert_eq!(fingerprint(&keeper), before, "the old one is shown on");
    std::fs::remove_file(folder.path().join("tls")).unwrap();
    assert!(!keeper.look(day(340) + Duration::from_secs(3600)).unwrap().is_warning);
    assert_ne!(fingerprint(&keeper), before);
}

/// The owner's two files.
struct Given {
    folder: tempfile::TempDir,
}

impl Given {
    fn new(now: Timestamp) -> Self {
        let given = Self { folder: tempfile::tempdir().unwrap() };
        given.put(&pair::make(&["house".into()], now).unwrap());
        given
    }

    fn put(&self, made: &pair::Made) {
        let [cert_file, key_file] = files(self.folder.path());
        // Beside and renamed, as those programs do that renew certificates.
        atomic::replace(&cert_file, made.certificate.as_bytes(), 0o644).unwrap();
        atomic::replace(&key_file, made.key.as_bytes(), 0o600).unwrap();
    }

    fn source(&self) -> Source {
        let [cert_file, key_file] = files(self.folder.path());
        Source::Given { cert_file, key_file }
    }
}

#[test]
fn the_owners_pair_is_reloaded_when_it_has_settled() {
    let given = Given::new(day(0));
    let (mut keeper, news) = Keeper::open(given.source(), day(0)).unwrap();
    assert!(news.iter().all(|news| !news.is_warning), "{news:?}");
    let first = fingerprint(&keeper);
    assert_eq!(keeper.look(day(1)), None);

    given.put(&pair::make(&["house".into()], day(1)).unwrap());
    assert_eq!(keeper.look(day(1)), None, "it may not be complete yet");
    let news = keeper.look(day(1)).unwrap();
    let second = fingerprint(&keeper);
    assert!(!news.is_warning && news.text.contains(&second), "{news:?}");
    assert_ne!(first, second);

    let [cert_file, key_file] = files(given.folder.path());
    let (cert, key) = (std::fs::read(&cert_file).unwrap(), std::fs::read(&key_file).unwrap());
    std::fs::write(&cert_file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert_eq!(keeper.look(day(2)), None);
    let news = keeper.look(day(2)).unwrap();
    assert!(news.is_warning && news.text.contains("tls.cert_file"), "{news:?}");
    assert_eq!((fingerprint(&keeper), keeper.look(day(2))), (second.clone(), None), "told once");

    std::fs::remove_file(&key_file).unwrap();
    assert_eq!(keeper.look(day(3)), None);
    let news = keeper.look(day(3)).unwrap();
    assert!(news.is_warning && news.text.contains("tls.key_file"), "{news:?}");
    std::fs::write(&cert_file, cert).unwrap();
    std::fs::write(&key_file, key).unwrap();
    assert_eq!(keeper.look(day(4)), None);
    assert!(!keeper.look(day(4)).unwrap().is_warning);
    assert_eq!(fingerprint(&keeper), second);
}

#[test]
fn the_owner_is_reminded_of_the_end_and_nothing_is_replaced() {
    let given = Given::new(day(0));
    let (mut keeper, _) = Keeper::open(given.source(), day(0)).unwrap();
    let first = fingerprint(&keeper);
    let mut told = Vec::new();
    for now in 0..400 {
        told.extend(keeper.look(day(now)).map(|news| (now, news.is_warning)));
    }
    assert_eq!(told, [(351, true), (365, true)]);
    assert_eq!(fingerprint(&keeper), first);
    let (keeper, news) = Keeper::open(given.source(), day(400)).unwrap();
    assert!(news.iter().any(|news| news.is_warning && news.text.contains("has ended")), "{news:?}");
    assert_eq!(fingerprint(&keeper), first);
}

#[test]
fn without_a_usable_pair_there_is_no_start() {
    let given = Given::new(day(0));
    let [cert_file, key_file] = files(given.folder.path());
    let missing = Source::Given { cert_file: cert_file.clone(), key_file: given.folder.path().join("none") };
    let said = Keeper::open(missing, day(0)).err().unwrap();
    assert!(said.starts_with("tls.key_file: ") && said.contains("cannot be read"), "{said}");
    std::fs::write(&key_file, pair::make(&[], day(0)).unwrap().key).unwrap();
    let said = Keeper::open(given.source(), day(0)).err().unwrap();
    assert!(said.contains("the key does not belong to the certificate"), "{said}");
}
