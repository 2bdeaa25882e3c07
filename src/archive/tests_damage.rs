//! Databases that are damaged, foreign or from the future, and what kills and power cuts leave.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};

use super::tests::{ALL, Kit, entry, id, pictured};
use super::{Archive, Error, Limits};
use crate::logic::history::ArchiveNews;
use crate::logic::kept_file::KeptFile;

fn database(kit: &Kit) -> std::path::PathBuf {
    kit.folder.join("events.sqlite")
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

fn many() -> Kit {
    Kit::kept(ALL, (1..=200).map(|number| if number == 7 { pictured(number) } else { entry(number) }))
}

#[test]
fn a_damaged_database_is_set_aside_and_a_fresh_one_begun() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("garbage at the front", |path| overwrite(path, 0, &[0x5a; 100])),
        ("all garbage", |path| std::fs::write(path, [0x5a; 9000]).unwrap()),
        ("cut in the middle", |path| {
            let length = path.metadata().unwrap().len();
            OpenOptions::new().write(true).open(path).unwrap().set_len(length / 2).unwrap();
        }),
        ("empty", |path| std::fs::write(path, b"").unwrap()),
        ("garbage in a table", |path| {
            let length = path.metadata().unwrap().len();
            overwrite(path, 4096, &vec![0x5a; length as usize - 4096]);
        }),
    ];
    for (what, harm) in harms {
        let kit = many();
        // Closing writes the log back.
        let kit = kit.reopen(ALL).0;
        let path = database(&kit);
        let (mut kit, news) = kit.reopen_after(|| harm(&path));
        let Some(ArchiveNews::Damaged(aside)) = news else { panic!("{what}: {news:?}") };
        assert!(aside.ends_with("events.sqlite.damaged-1") && Path::new(&aside).exists(), "{what}: {aside}");
        assert_eq!(kit.all(), [], "{what}");
        assert!(kit.has(7, KeptFile::Picture), "{what}: pictures stay");
        kit.keep(pictured(300));
        assert_eq!(kit.all(), [300], "{what}");
        let (kit, news) = kit.reopen(ALL);
        assert_eq!(news, None, "{what}: said once");
        assert!(kit.has(7, KeptFile::Picture), "{what}: pictures stay for good");
        // Room is made from what cannot be listed first.
        let (mut kit, _) = kit.reopen(Limits { keep_bytes: 1, ..ALL });
        kit.keep(entry(301));
        kit.flush();
        assert!(!kit.has(7, KeptFile::Picture), "{what}");
    }
}

#[test]
fn damage_that_shows_later_does_not_stop_the_keeping() {
    let mut kit = many();
    kit = kit.reopen(ALL).0;
    let length = database(&kit).metadata().unwrap().len();
    overwrite(&database(&kit), 4096, &vec![0x5a; length as usize - 4096]);
    kit.archive.db.execute_batch("PRAGMA shrink_memory").unwrap();
    kit.keep(pictured(300));
    kit.flush();
    let all = kit.all();
    assert!(all.contains(&300), "{all:?}");
    // Whether writing or reading met it first does not matter.
    for number in 1..=100 {
        kit.get(number);
    }
    let news = kit.news();
    assert!(matches!(&news[..], [ArchiveNews::Damaged(_)]), "{news:?}");
    kit.keep(pictured(301));
    assert!(kit.all().contains(&301));
    assert!(kit.has(7, KeptFile::Picture));
}

#[test]
fn whoever_is_forgotten_is_not_in_what_damage_left_either() {
    let kit = Kit::kept(ALL, [pictured(1)]);
    let path = database(&kit);
    let (mut kit, news) = kit.reopen_after(|| std::fs::write(&path, [0x5a; 9000]).unwrap());
    assert!(news.is_some() && kit.has(1, KeptFile::Picture));
    kit.archive.forget(kit.now(), "anna");
    assert!(!kit.has(1, KeptFile::Picture));
    assert!(!kit.folder.join("events.sqlite.damaged-1").exists());
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let kit = many();
    kit.archive.db.pragma_update(None, "user_version", 99).unwrap();
    let folder = kit.folder.clone();
    let error = kit.closed(|folder| Archive::open(folder, ALL).err().unwrap());
    assert!(matches!(error, Error::Newer { found: 99, known: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("newer Doorward"), "{error}");
    assert!(!folder.join("events.sqlite.damaged-1").exists());
}

#[test]
fn one_process_writes() {
    let kit = many();
    let error = Archive::open(&kit.folder, ALL).err().unwrap();
    assert!(error.to_string().contains("no other Doorward"), "{error}");
}

#[test]
fn leftovers_go_and_rows_say_what_is_lost() {
    let kit = Kit::kept(ALL, (1..=4).map(pictured));
    let day = kit.path(1, KeptFile::Picture).parent().unwrap().to_owned();
    let (half, note) = (day.join(format!("{}.jpg.tmp", id(5))), day.join("note.txt"));
    let (orphan, lost) = (kit.path(6, KeptFile::Picture), kit.path(2, KeptFile::Picture));
    let better = kit.path(3, KeptFile::Best);
    let (mut kit, news) = kit.reopen_after(|| {
        for path in [&half, &orphan, &note, &better] {
            std::fs::write(path, b"something").unwrap();
        }
        std::fs::remove_file(lost).unwrap();
    });
    assert_eq!(news, None);
    assert!(!half.exists() && !orphan.exists());
    assert!(note.exists(), "what is not ours is left alone");
    assert_eq!(kit.all(), [4, 3, 2, 1]);
    let record = kit.get(2).unwrap();
    assert_eq!((&record["image"], &record["image_missing"]), (&Value::Null, &json!(true)));
    assert!(record["thumbnail"].is_string());
    assert!(kit.get(3).unwrap()["best"].is_string(), "a picture that came before its row is taken up");
    assert!(kit.get(1).unwrap()["image"].is_object());
}

#[test]
fn nobody_else_may_look() {
    let kit = Kit::kept(ALL, [pictured(1)]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let day = kit.path(1, KeptFile::Picture).parent().unwrap().to_owned();
    assert_eq!((mode(&kit.folder), mode(&day)), (0o700, 0o700));
    for path in [database(&kit), kit.folder.join("events.sqlite-wal"), kit.path(1, KeptFile::Picture)] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
