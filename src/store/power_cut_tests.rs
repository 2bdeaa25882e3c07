//! A power cut at every moment of a save: the file holds the old or the new values, never neither.
//!
//! Three views of it: stopped after every step, with every prefix of the content; a process killed for real at many
//! moments; and the order of the steps, on which a disk's promise rests once the power is gone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::atomic::{self, Step};

fn stored_with(count: u64) -> Stored {
    let mut stored = Stored::default();
    stored.set("porch", "motion_min_area", count);
    // Longer and shorter by turns, so that an old tail behind new content would be seen.
    stored.set("porch", "note", "x".repeat(usize::try_from(count % 7).unwrap() * 40));
    stored
}

fn count_in(folder: &Path) -> Option<u64> {
    let (_, stored, warning) = StateFile::open(folder).unwrap();
    assert_eq!(warning, None, "the file is never damaged");
    let count = stored.get("porch", "motion_min_area")?.as_u64().unwrap();
    assert_eq!(stored, stored_with(count), "never a mixture");
    Some(count)
}

#[test]
fn a_cut_after_any_step_and_any_byte_leaves_old_or_new() {
    let (old, new) = (3, 4);
    let bytes = encode(&stored_with(new));
    let n_steps = atomic::steps(Path::new("state.json"), &bytes, 0o644).len();
    let (mut found_old, mut found_new) = (0, 0);
    for had_old in [false, true] {
        // The write is cut at every byte; every other step happened or did not.
        for done in 0..=n_steps {
            let cuts = if done == 1 { bytes.len() } else { 0 };
            for cut in 0..=cuts {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("state.json");
                if had_old {
                    atomic::replace(&path, &encode(&stored_with(old)), 0o644).unwrap();
                }
                let steps = atomic::steps(&path, &bytes, 0o644);
                steps[..done].iter().for_each(|step| step.run().unwrap());
                if let (1, Step::Write { temp, bytes }) = (done, &steps[1]) {
                    Step::Write { temp: temp.clone(), bytes: bytes[..cut].to_vec() }.run().unwrap();
                }
                let expected_old = if had_old { Some(old) } else { None };
                match count_in(folder.path()) {
                    found if found == expected_old && done < 4 => found_old += 1,
                    Some(found) if found == new && done >= 4 => found_new += 1,
                    found => panic!("step {done}, byte {cut}: found {found:?}"),
                }
                // Whatever was left behind, the next save works.
                let (mut file, _, _) = StateFile::open(folder.path()).unwrap();
                file.save(&stored_with(5)).unwrap();
                assert_eq!(count_in(folder.path()), Some(5));
                assert!(!atomic::temp_of(&path).exists());
            }
        }
    }
    assert_eq!((found_old, found_new), (2 * (4 + bytes.len()), 2 * 2));
}

/// The order matters more than the steps: the content is synced before the name, the name before the end.
#[test]
fn the_content_is_synced_before_the_name_moves() {
    let steps = atomic::steps(Path::new("/data/state.json"), b"x", 0o644);
    let at = |wanted: fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
    let write = at(|step| matches!(step, Step::Write { .. }));
    let sync = at(|step| matches!(step, Step::SyncFile { .. }));
    let rename = at(|step| matches!(step, Step::Rename { .. }));
    let folder = at(|step| matches!(step, Step::SyncFolder { folder } if folder == Path::new("/data")));
    assert!(write < sync && sync < rename && rename < folder);
}

const CHILD_FOLDER: &str = "DOORWARD_TEST_POWER_CUT";

/// Not a test by itself: the process that [`a_process_killed_at_any_moment_leaves_old_or_new`] starts and kills.
#[test]
fn child_that_saves_for_ever() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    let mut count = count_in(folder).unwrap_or(0);
    let (mut file, _, _) = StateFile::open(folder).unwrap();
    let started = Instant::now();
    // A parent that died must not leave this behind.
    while started.elapsed() < Duration::from_secs(20) {
        count += 1;
        file.save(&stored_with(count)).unwrap();
        println!("saved {count}");
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_old_or_new() {
    const KILLS: u32 = 60;
    let folder = tempfile::tempdir().unwrap();
    let (mut newest, mut leftovers) = (0, 0);
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::state_file::power_cut_tests::child_that_saves_for_ever", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut saved = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.rsplit_once("saved ").and_then(|(_, count)| count.parse::<u64>().ok()));
        // It runs; then it is killed at a moment that moves over several saves.
        let first = saved.next().expect("the child saves");
        std::thread::sleep(Duration::from_micros(u64::from(round) * 397 % 9_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died was safe; the save that the kill met may have happened or not.
        let said = saved.last().unwrap_or(first);
        leftovers += u32::from(atomic::temp_of(&folder.path().join("state.json")).exists());
        let found = count_in(folder.path()).expect("a saved state never vanishes");
        assert!((said..=said + 1).contains(&found), "round {round}: found {found}, it said {said}");
        assert!(found > newest, "round {round}: {found} is not newer than {newest}");
        newest = found;
    }
    assert!(leftovers > 0, "at least one kill fell into the middle of a save");
}
