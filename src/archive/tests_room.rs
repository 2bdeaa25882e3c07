//! Limits, age, and disks that are full at every single write.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Map;
use tempfile::TempDir;

use super::tests::{ALL, BEGIN_MS, Kit, entry, id, photo, pictured};
use super::write::Work;
use super::{Limits, files};
use crate::database::Fault;
use crate::jpeg;
use crate::logic::history::{ArchiveNews, Request};
use crate::logic::kept_file::KeptFile;

const DAY: Duration = Duration::from_secs(86_400);

fn pin(kit: &mut Kit, number: u128) {
    kit.ask(&Request::Pin { id: id(number), pinned: true }).unwrap();
}

#[test]
fn the_oldest_beyond_the_count_go_and_pinned_stay() {
    let limits = Limits { keep_count: 5, ..ALL };
    let mut kit = Kit::kept(limits, (1..=4).map(pictured));
    pin(&mut kit, 2);
    (5..=20).for_each(|number| kit.keep(pictured(number)));
    assert_eq!(kit.all(), [20, 19, 18, 17, 2]);
    for number in 1..=20 {
        assert_eq!(kit.has(number, KeptFile::Picture), [20, 19, 18, 17, 2].contains(&number), "{number}");
    }
    let (mut kit, _) = kit.reopen(limits);
    assert_eq!(kit.all(), [20, 19, 18, 17, 2]);
}

#[test]
fn bytes_count_pictures_and_the_database_and_the_file_shrinks() {
    let each = photo(640, 360).len() as u64;
    let limits = Limits { keep_bytes: 20 * each, ..ALL };
    let mut kit = Kit::kept(limits, [pictured(1)]);
    pin(&mut kit, 1);
    (2..=60).for_each(|number| kit.keep(pictured(number)));
    kit.flush();
    let all = kit.all();
    assert!(all.len() > 10 && all.len() < 20 && all[0] == 60 && all.ends_with(&[1]), "{all:?}");
    let Some(ArchiveNews::Holds { events, bytes }) = kit.archive.take_news().pop() else { panic!("no size") };
    assert_eq!(events, all.len() as u64);
    assert!(bytes <= 20 * each, "{bytes}");
    let on_disk: u64 = all.iter().map(|number| files::measure(&kit.folder, &id(*number)).1).sum();
    assert!(bytes > on_disk && bytes < on_disk + 200_000, "{bytes}, files {on_disk}");

    let mut kit = Kit::kept(
        ALL,
        (1..=3000).map(|number| {
            let mut entry = entry(number);
            entry.record.insert("detail".into(), "x".repeat(1000).into());
            entry
        }),
    );
    let size = |folder: &Path| folder.join("events.sqlite").metadata().unwrap().len();
    kit = kit.reopen(Limits { keep_count: 10, ..ALL }).0;
    let before = size(&kit.folder);
    kit.keep(entry(3001));
    kit.flush();
    kit = kit.reopen(ALL).0;
    let after = size(&kit.folder);
    assert!(after < before / 4, "from {before} to {after} bytes");
    assert_eq!(kit.all().len(), 10);
}

#[test]
fn age_counts_only_after_the_clock_went_evenly_for_an_hour() {
    let limits = Limits { keep_days: 7, ..ALL };
    let mut kit = Kit::kept(limits, (1..=3).map(pictured));
    pin(&mut kit, 1);
    let minutes = |kit: &mut Kit, minutes| {
        for _ in 0..minutes {
            kit.gone += Duration::from_secs(60);
            kit.archive.tick(kit.now());
        }
    };
    minutes(&mut kit, 60);
    assert_eq!(kit.all(), [3, 2, 1]);
    // The clock jumps a month ahead: nothing goes within the hour, even though events go on coming.
    kit.wall_ms += 30 * DAY.as_millis() as i64;
    minutes(&mut kit, 59);
    kit.keep(pictured(4));
    assert_eq!(kit.all(), [4, 3, 2, 1]);
    // It was wrong and jumps back: nothing goes at all.
    kit.wall_ms = BEGIN_MS;
    minutes(&mut kit, 120);
    assert_eq!(kit.all(), [4, 3, 2, 1]);
    // A week passes in which nothing happens.
    minutes(&mut kit, 7 * 24 * 60 + 1);
    assert_eq!(kit.all(), [1]);
    assert!(!kit.has(2, KeptFile::Picture) && kit.has(1, KeptFile::Picture));
}

/// A small file system of its own, if this user may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(bytes: u64) -> Option<SmallDisk> {
        let dir = TempDir::new().unwrap();
        let options = format!("size={bytes},mode=0700");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(dir)),
            Ok(output) => {
                eprintln!(
                    "skipped: no file system can be mounted: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                None
            }
            Err(error) => {
                eprintln!("skipped: mount(8) cannot be run: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the disk until this much is free.
    fn leave(&self, bytes: u64) {
        let filler = self.path().join("filler");
        let _ = std::fs::remove_file(&filler);
        let much = files::free(self.path()).unwrap().saturating_sub(bytes);
        std::fs::write(filler, vec![0; much as usize]).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Every file below the folder of events, besides the database's own.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let days = std::fs::read_dir(folder).unwrap().map(|day| day.unwrap().path()).filter(|day| day.is_dir());
    days.flat_map(|day| std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path())).collect()
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_nothing_half() {
    let Some(disk) = SmallDisk::new(3 << 20) else { return };
    let clip = TempDir::new().unwrap();
    let mut kit = Kit::at(&disk.path().join("events"), ALL);
    kit.keep(pictured(1));
    pin(&mut kit, 1);
    let (mut stored, mut failed) = (0, std::collections::BTreeSet::new());
    // From nothing to enough for all, in steps of a page: each write is once the one that does not fit.
    for number in 2..100 {
        disk.leave(4096 * (number as u64 - 2));
        let part = clip.path().join("clip");
        std::fs::write(&part, vec![7; 40_000]).unwrap();
        let mut entry = Box::new(pictured(number));
        entry.record.insert("detail".into(), "x".repeat(8000).into());
        let best = Some(photo(320, 180));
        let works =
            [Work::Keep { entry, best }, Work::Clip { id: id(number), file: part, fields: Map::new() }];
        match kit.archive.attempt(&works) {
            Ok(()) => stored += 1,
            Err(Fault::NoRoom(words)) => {
                let what = ["thumb.jpg", "best.jpg", ".jpg", ".mp4", "make", "database"];
                failed.insert(
                    *what.iter().find(|what| words.contains(**what)).unwrap_or_else(|| panic!("{words}")),
                );
            }
            Err(fault) => panic!("{fault:?}"),
        }
        for file in pictures(&kit.folder) {
            let bytes = std::fs::read(&file).unwrap();
            let is_whole = if file.extension().unwrap() == "mp4" {
                bytes.len() == 40_000
            } else {
                jpeg::decode_rgb(&bytes).is_ok()
            };
            assert!(is_whole, "{} is half", file.display());
        }
        files::remove(&kit.folder, &id(number));
    }
    assert!(stored > 0, "it never fitted");
    for what in [".jpg", "best.jpg", "thumb.jpg", ".mp4", "database"] {
        assert!(failed.contains(what), "{what} was never the one that did not fit: {failed:?}");
    }
}

#[test]
fn a_full_disk_stops_the_keeping_and_tells_how_much_was_lost() {
    let Some(disk) = SmallDisk::new(3 << 20) else { return };
    let mut kit = Kit::at(&disk.path().join("events"), ALL);
    kit.keep(pictured(1));
    pin(&mut kit, 1);
    disk.leave(0);
    (2..=4).for_each(|number| kit.keep(pictured(number)));
    assert_eq!(kit.all(), [1], "questions are answered");
    let news = kit.news();
    assert!(matches!(&news[..], [ArchiveNews::Full(words)] if words.contains("free")), "{news:?}");
    kit.gone += Duration::from_secs(59);
    kit.keep(pictured(5));
    assert_eq!(kit.all(), [1]);
    kit.gone += Duration::from_secs(2);
    kit.keep(pictured(6));
    assert_eq!(kit.all(), [1]);
    assert_eq!(kit.news(), [], "said once");
    assert_eq!(pictures(&kit.folder).len(), 2, "of what was not kept nothing is left");
    disk.leave(2 << 20);
    kit.keep(pictured(7));
    assert_eq!(kit.all(), [1], "it is left alone for a minute");
    kit.gone += Duration::from_secs(60);
    kit.keep(pictured(8));
    assert_eq!(kit.all(), [8, 1]);
    assert_eq!(kit.news(), [ArchiveNews::Free { lost: 6 }]);
}

#[test]
fn the_oldest_make_room_on_a_small_disk() {
    let Some(disk) = SmallDisk::new(6 << 20) else { return };
    let min_free_bytes = 1 << 20;
    let mut kit = Kit::at(&disk.path().join("events"), Limits { min_free_bytes, ..ALL });
    kit.keep(pictured(1));
    pin(&mut kit, 1);
    for number in 2..=200 {
        kit.keep(pictured(number));
        if number % 7 == 0 {
            kit.flush();
        }
    }
    let all = kit.all();
    assert!(all[0] == 200 && all.ends_with(&[1]) && all.len() > 5, "{all:?}");
    assert!(
        all[..all.len() - 1].windows(2).all(|pair| pair[0] == pair[1] + 1),
        "the newest are kept: {all:?}"
    );
    assert_eq!(kit.news(), []);
    assert!(files::free(disk.path()).unwrap() >= min_free_bytes);
    // Somebody else fills the disk to the last byte: even deleting has to work.
    disk.leave(0);
    kit.ask(&Request::Delete(id(200))).unwrap();
    kit.keep(pictured(201));
    let all = kit.all();
    assert!(!all.contains(&200) && all.contains(&1), "{all:?}");
}

#[test]
fn too_little_free_space_is_as_good_as_none() {
    let mut kit = Kit::new(Limits { min_free_bytes: u64::MAX / 2, ..ALL });
    kit.keep(crate::logic::history::Entry { picture: Some(Bytes::new()), ..entry(1) });
    assert_eq!(kit.all(), []);
    let news = kit.news();
    assert!(matches!(&news[..], [ArchiveNews::Full(words)] if words.contains("shall stay free")), "{news:?}");
}
