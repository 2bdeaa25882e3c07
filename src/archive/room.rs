//! Room on the disk: what is too old or too much goes, oldest first; what is pinned stays.
//!
//! Pictures that a damaged database left behind cannot be listed any more. They go before any event when there is too
//! much, and for their age like events.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use ulid::Ulid;

use super::read::{Row, row_of};
use super::{Archive, database, files};
use crate::database::Fault;
use crate::logic::input::Now;
use crate::logic::kept_file;

/// Events that go in one transaction.
const ROUND: u64 = 64;
/// How often age is looked at while nothing happens.
pub(super) const EVERY: Duration = Duration::from_secs(60);
/// Room for the database beside the pictures, when there is too little.
const SLACK: u64 = 1 << 20;

/// Files without a row, oldest first.
#[derive(Default)]
pub(super) struct Strays {
    /// Ids and bytes.
    list: VecDeque<(Ulid, u64)>,
    bytes: u64,
}

impl Strays {
    fn add(&mut self, id: Ulid, bytes: u64) {
        self.list.push_back((id, bytes));
        self.bytes += bytes;
    }

    /// Says how many bytes that gave; 0 when there is none.
    fn drop_oldest(&mut self, folder: &Path) -> u64 {
        let Some((id, bytes)) = self.list.pop_front() else { return 0 };
        files::remove(folder, &id.to_string());
        self.bytes -= bytes;
        bytes.max(1)
    }
}

impl Archive {
    /// Bytes of everything that is kept.
    pub(super) fn bytes(&self) -> u64 {
        self.index.bytes() + self.strays.bytes + database::bytes(&self.db).unwrap_or(0)
    }

    /// Files that no row names: a leftover of an interrupted write goes, those of a lost database stay for now.
    pub(super) fn sort_strays(&mut self, found: BTreeMap<Ulid, u8>) -> Result<(), Fault> {
        let mut fact = self.db.prepare("SELECT value FROM facts WHERE name = 'lost_up_to'")?;
        let lost_up_to: Option<String> = fact.query_row([], |row| row.get(0)).optional()?;
        drop(fact);
        let lost_up_to = lost_up_to.and_then(|id| kept_file::ulid(&id));
        self.strays = Strays::default();
        for id in found.into_keys() {
            let name = id.to_string();
            if lost_up_to.is_some_and(|last| id <= last) {
                self.strays.add(id, files::measure(&self.folder, &name).1);
            } else {
                files::remove(&self.folder, &name);
            }
        }
        Ok(())
    }

    /// Removes all files without a row.
    pub(super) fn drop_strays(&mut self) {
        while self.strays.drop_oldest(&self.folder) > 0 {}
    }

    /// What the minute brings: the clock is watched, and what became too old goes.
    pub fn tick(&mut self, now: Now) {
        for slug in std::mem::take(&mut self.to_forget) {
            self.forget(now, &slug);
        }
        if self.retained_at.is_some_and(|at| now.instant.saturating_duration_since(at) < EVERY) {
            return;
        }
        let before = self.index.len();
        if let Err(fault) = self.retain(now) {
            tracing::warn!("old events could not be removed: {}", fault.words());
        }
        if self.index.len() != before {
            self.tell_size();
        }
    }

    /// Removes what exceeds the limits.
    pub(super) fn retain(&mut self, now: Now) -> Result<(), Fault> {
        self.retained_at = Some(now.instant);
        let is_trusted = self.steady.look(now);
        let now_ms = now.wall.as_millisecond();
        let cutoff = now_ms - i64::from(self.limits.keep_days) * 86_400_000;
        let by_age = is_trusted && self.limits.keep_days > 0;
        let aged = if by_age { self.index.aged(cutoff, now_ms) } else { 0 };
        let is_old = |(id, _): &(Ulid, u64)| (id.timestamp_ms() as i64) < cutoff;
        while by_age && self.strays.list.front().is_some_and(is_old) {
            self.strays.drop_oldest(&self.folder);
        }
        loop {
            let over_bytes = self.bytes().saturating_sub(self.limits.keep_bytes);
            if over_bytes > 0 && self.strays.drop_oldest(&self.folder) > 0 {
                continue;
            }
            let over_count = self.index.len().saturating_sub(self.limits.keep_count);
            let (mut count, mut freed) = (0, 0);
            let rows = self.oldest()?.into_iter().take_while(|(row, bytes)| {
                let goes = row.seq <= aged || count < over_count || freed < over_bytes;
                (count, freed) = (count + 1, freed + bytes);
                goes
            });
            let rows: Vec<Row> = rows.map(|(row, _)| row).collect();
            if rows.is_empty() {
                return database::shrink(&self.db);
            }
            self.guarded(|archive| archive.drop_events(&rows))?;
        }
    }

    /// Makes room if the disk has less than what is needed and what shall stay free.
    pub(super) fn ensure_room(&mut self, need: u64) -> Result<(), Fault> {
        let enough = need + self.limits.min_free_bytes;
        if files::free(&self.folder)? >= enough {
            return Ok(());
        }
        self.make_room(need)?;
        let free = files::free(&self.folder)?;
        if free >= enough {
            return Ok(());
        }
        let stays = self.limits.min_free_bytes;
        Err(Fault::NoRoom(format!("the disk has {free} bytes free, of which {stays} shall stay free")))
    }

    /// Removes the oldest until there is room, and some more, so that it lasts; says whether anything went.
    pub(super) fn make_room(&mut self, need: u64) -> Result<bool, Fault> {
        let enough = need + self.limits.min_free_bytes;
        // A quota does not show in the free bytes, so at least what is needed goes.
        let missing = enough.saturating_sub(files::free(&self.folder)?).max(need) + SLACK;
        let mut freed = 0;
        while freed < missing {
            let stray = self.strays.drop_oldest(&self.folder);
            if stray > 0 {
                freed += stray;
                continue;
            }
            let mut sum = freed;
            let rows = self.oldest()?.into_iter().take_while(|(_, bytes)| {
                let goes = sum < missing;
                sum += bytes;
                goes
            });
            let (rows, bytes): (Vec<Row>, Vec<u64>) = rows.unzip();
            if rows.is_empty() {
                break;
            }
            self.guarded(|archive| archive.drop_events(&rows))?;
            freed += bytes.iter().sum::<u64>().max(1);
        }
        Ok(freed > 0)
    }

    /// Removes rows, then their files. On a full disk the files go first, or even the database could not shrink.
    pub(super) fn drop_events(&mut self, rows: &[Row]) -> Result<(), Fault> {
        let remove_files = || rows.iter().for_each(|row| files::remove(&self.folder, &row.id));
        match self.delete_rows(rows) {
            Err(Fault::NoRoom(_)) => {
                // Between these two steps a row has no picture; the next start would say so in its record.
                remove_files();
                self.delete_rows(rows)?;
            }
            Err(fault) => return Err(fault),
            Ok(()) => remove_files(),
        }
        for row in rows {
            self.index.remove(row.ts, row.seq);
        }
        Ok(())
    }

    fn delete_rows(&self, rows: &[Row]) -> Result<(), Fault> {
        let change = self.db.unchecked_transaction()?;
        for row in rows {
            change.prepare_cached("DELETE FROM events WHERE seq = ?1")?.execute([row.seq])?;
            change.prepare_cached("DELETE FROM records WHERE seq = ?1")?.execute([row.seq])?;
            change.prepare_cached("DELETE FROM outbox WHERE event = ?1")?.execute([&row.id])?;
        }
        Ok(change.commit()?)
    }

    /// The oldest that are not pinned, with the bytes of their files.
    fn oldest(&self) -> Result<Vec<(Row, u64)>, Fault> {
        let mut rows = self.db.prepare_cached(
            "SELECT seq, id, ts, pinned, files, bytes FROM events WHERE pinned = 0 ORDER BY seq LIMIT ?1",
        )?;
        let rows = rows.query_map(params![ROUND as i64], |row| {
            Ok((row_of(row)?, row.get::<_, i64>(5)?.unsigned_abs()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
