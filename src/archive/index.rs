//! The order of all events in memory: which of them a question means, how many, and what they take.
//!
//! 32 bytes an event instead of an index for each combination of filters: a million events are looked through in a few
//! milliseconds, and the database has to find only the rows that are shown.
//! Not here: the rows themselves; this follows what was committed.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::logic::history::Query;
use crate::logic::kept_file::KeptFile;

/// One event. Words are numbers of [`Index::word`], 0 is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    /// Milliseconds since 1970.
    pub ts: i64,
    pub seq: i64,
    /// Of its files; a clip is never longer than 4 GB.
    pub bytes: u32,
    pub sort: u16,
    pub event_type: u16,
    pub camera: u16,
    pub person: u16,
    /// Bits of [`KeptFile`].
    pub files: u8,
    pub pinned: bool,
}

impl Slot {
    fn place(&self) -> (i64, i64) {
        (self.ts, self.seq)
    }
}

#[derive(Default)]
pub(super) struct Index {
    /// By time, then by the order in which they were kept.
    slots: VecDeque<Slot>,
    words: HashMap<String, u16>,
    bytes: u64,
    next_seq: i64,
    /// Counts every change but the arrival of an event.
    edits: u64,
}

impl Index {
    /// All events, in the order of the database.
    pub(super) fn fill(&mut self, mut slots: Vec<Slot>) {
        slots.sort_unstable_by_key(Slot::place);
        self.bytes = slots.iter().map(|slot| u64::from(slot.bytes)).sum();
        self.next_seq = slots.iter().map(|slot| slot.seq).max().unwrap_or(0) + 1;
        self.slots = slots.into();
    }

    pub(super) fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the next event; never given twice while the program runs.
    pub(super) fn next_seq(&self) -> i64 {
        self.next_seq
    }

    /// How often something but the arrival of an event has changed.
    pub(super) fn edits(&self) -> u64 {
        self.edits
    }

    /// The number of a word, a new one if need be. Beyond 65534 words they share one, which no question means.
    pub(super) fn word(&mut self, word: Option<&str>) -> u16 {
        let Some(word) = word else { return 0 };
        if let Some(number) = self.words.get(word) {
            return *number;
        }
        let number = u16::try_from(self.words.len() + 1).unwrap_or(u16::MAX);
        if number < u16::MAX {
            self.words.insert(word.to_owned(), number);
        }
        number
    }

    pub(super) fn add(&mut self, slot: Slot) {
        self.next_seq = self.next_seq.max(slot.seq + 1);
        self.bytes += u64::from(slot.bytes);
        // Nearly always the last: camera threads tell of slightly older frames at worst.
        let at = self.slots.partition_point(|other| other.place() < slot.place());
        self.slots.insert(at, slot);
    }

    pub(super) fn remove(&mut self, ts: i64, seq: i64) {
        if let Ok(at) = self.slots.binary_search_by_key(&(ts, seq), Slot::place)
            && let Some(slot) = self.slots.remove(at)
        {
            self.bytes -= u64::from(slot.bytes);
            self.edits += 1;
        }
    }

    /// Changes what may change of an event.
    pub(super) fn change(&mut self, ts: i64, seq: i64, change: impl FnOnce(&mut Slot)) {
        if let Ok(at) = self.slots.binary_search_by_key(&(ts, seq), Slot::place) {
            let slot = &mut self.slots[at];
            self.bytes -= u64::from(slot.bytes);
            change(slot);
            self.bytes += u64::from(slot.bytes);
            self.edits += 1;
        }
    }

    /// How many events a question means, and the numbers of those on its page, newest first.
    pub(super) fn find(&self, query: &Query) -> (u64, Vec<i64>) {
        let number = |word: &String| self.words.get(word).copied();
        let types: Vec<u16> = query.types.iter().filter_map(number).collect();
        let wanted = |word: &Option<String>| word.as_ref().map(|word| number(word).unwrap_or(u16::MAX - 1));
        let (camera, person) = (wanted(&query.camera), wanted(&query.person));
        let all_types = query.types.is_empty();
        let is_meant = |slot: &&Slot| {
            camera.is_none_or(|camera| slot.camera == camera)
                && person.is_none_or(|person| slot.person == person)
                && (all_types || types.contains(&slot.sort) || types.contains(&slot.event_type))
        };
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        let range = self.range(ms(query.from), ms(query.to).map(|to| to.saturating_add(1)));
        if all_types && camera.is_none() && person.is_none() {
            let page =
                range.clone().rev().skip(query.offset).take(query.limit).map(|slot| slot.seq).collect();
            return (range.len() as u64, page);
        }
        let (mut total, mut page) = (0, Vec::new());
        for slot in range.rev().filter(is_meant) {
            if total >= query.offset && page.len() < query.limit {
                page.push(slot.seq);
            }
            total += 1;
        }
        (total as u64, page)
    }

    /// The events of a camera that have a small picture, `from` inclusive and `to` exclusive in milliseconds, oldest first.
    pub(super) fn pictured(&self, camera: &str, from: i64, to: i64) -> Vec<Slot> {
        let Some(camera) = self.words.get(camera) else { return Vec::new() };
        let fits = |slot: &&Slot| slot.camera == *camera && KeptFile::Thumbnail.is_in(slot.files);
        self.range(Some(from), Some(to)).filter(fits).copied().collect()
    }

    /// The number up to which events are too old: the last one from before `cutoff` that no event of a believable time
    /// precedes. Times after `now` are a wrong clock's and prove nothing.
    pub(super) fn aged(&self, cutoff: i64, now: i64) -> i64 {
        let fresh = |slot: &&Slot| !slot.pinned && (cutoff..=now).contains(&slot.ts);
        let first_fresh = self.slots.iter().filter(fresh).map(|slot| slot.seq).min().unwrap_or(i64::MAX);
        let old = self.range(None, Some(cutoff)).filter(|slot| !slot.pinned && slot.seq < first_fresh);
        old.map(|slot| slot.seq).max().unwrap_or(0)
    }

    /// Up to, exclusive, and from, inclusive.
    fn range(&self, from: Option<i64>, to: Option<i64>) -> std::collections::vec_deque::Iter<'_, Slot> {
        let start = from.map_or(0, |from| self.slots.partition_point(|slot| slot.ts < from));
        let end = to.map_or(self.slots.len(), |to| self.slots.partition_point(|slot| slot.ts < to));
        self.slots.range(start..end.max(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(seq: i64, ts: i64) -> Slot {
        Slot { ts, seq, bytes: 10, sort: 0, event_type: 0, camera: 0, person: 0, files: 0, pinned: false }
    }

    #[test]
    fn age_follows_the_order_in_which_events_were_kept() {
        let (cutoff, now) = (100, 200);
        for (what, times, aged) in [
            ("nothing old", &[100, 150, 200][..], 0),
            ("the first two", &[10, 20, 150], 2),
            ("a clock that was behind: younger than what came before", &[10, 150, 20], 1),
            ("a clock that was ahead hides nothing", &[10, 999, 20, 150], 3),
            ("a clock that was ahead at the end stays", &[10, 999], 1),
            ("all", &[10, 20, 30], 3),
        ] {
            let mut index = Index::default();
            index.fill(times.iter().enumerate().map(|(at, ts)| slot(at as i64 + 1, *ts)).collect());
            assert_eq!(index.aged(cutoff, now), aged, "{what}");
        }
    }

    #[test]
    fn sums_follow_every_change() {
        let mut index = Index::default();
        index.fill(vec![slot(2, 50), slot(1, 70)]);
        index.add(slot(3, 60));
        assert_eq!((index.len(), index.bytes(), index.next_seq()), (3, 30, 4));
        assert_eq!(index.find(&Query::default()), (3, vec![1, 3, 2]));
        index.change(60, 3, |slot| slot.bytes = 25);
        index.remove(50, 2);
        index.remove(50, 2);
        assert_eq!((index.len(), index.bytes(), index.edits()), (2, 35, 2));
        assert_eq!(index.next_seq(), 4);
    }

    #[test]
    fn a_slot_stays_small() {
        assert_eq!(size_of::<Slot>(), 32);
    }
}
