//! One face followed from frame to frame: where it was, how it was looked at, what was said about it.
//!
//! Not here: which face of a frame belongs to which track, and what is told (see `tracker`).

use std::time::{Duration, Instant};

use super::decision::{FaceView, Kind};
use super::face::{EMBEDDING_LENGTH, Embedding, Face, PixelRect, cosine};
use super::quality::{CLEAR_NORM, Flaw, Grade, promise};
use super::verdict::{UNKNOWN, Vote};

/// Looks at one face at most; a look costs some 25 ms of a PC and 250 ms of a Raspberry Pi 4.
const MAX_TRIES: u32 = 12;
/// Looks at a face that has a name; the last ones only make sure that it is still the same person.
const MAX_TRIES_NAMED: u32 = 6;
/// Looks beyond these limits only where two faces came near each other, up to here.
const MAX_TRIES_MIXED_UP: u32 = 30;
/// Looks at a face that is not good enough for a name: one says that somebody was there.
const MAX_TRIES_DOUBTFUL: u32 = 3;
/// So many looks follow each other at once; later ones wait for a better face or for [`PAUSE`].
const TRIES_AT_ONCE: u32 = 4;
/// The same for a face that is like somebody and has no name yet: one more look may make the name. The first looks are often wasted on a
/// face that is still half outside of the picture.
const TRIES_AT_ONCE_HOPEFUL: u32 = 8;
/// A face must promise so many times more than the best one before to be looked at without a pause.
const BETTER: f32 = 1.1;
/// Pause between later looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A face has moved when its centre or its width differs by this share of its width from where the track began. A detector's boxes
/// of a picture on a wall tremble by 2 to 5 %.
const MOVED: f32 = 0.15;
/// A face moves with its surroundings when motion covers this share of it …
const COVERED: f32 = 0.3;
/// … in so many frames.
const COVERED_FRAMES: u32 = 2;
/// Two clear looks less alike than this are of two people, whatever the boxes say (the same person: 98 % above 0.36).
const SOMEBODY_ELSE: f32 = 0.2;
/// A face this much like a lost track continues it.
const SAME_PERSON: f32 = 0.5;

/// The frame whose picture of the face is the best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    quality: f32,
    /// Its sequence number.
    pub(super) frame: u64,
    /// The face in it.
    pub(super) view: FaceView,
}

/// Whether a face moves with its surroundings.
pub(super) fn is_covered(rect: &PixelRect, motion: &[PixelRect]) -> bool {
    motion.iter().map(|place| place.common(rect)).fold(0.0, f32::max) >= COVERED * rect.area()
}

/// One followed face.
#[derive(Debug)]
pub(super) struct Track {
    /// Its number, never used again.
    pub(super) id: u64,
    /// Where the face was last.
    pub(super) rect: PixelRect,
    /// When it was first seen.
    pub(super) first_seen: Instant,
    /// When it was last seen.
    pub(super) last_seen: Instant,
    /// Whether something moved there, or it did itself: a face that never did is a picture on a wall.
    pub(super) arrived: bool,
    /// What the looks said.
    pub(super) votes: Vec<Vote>,
    /// Capture time of the first usable look.
    pub(super) first_usable: Option<Instant>,
    /// The best picture of it.
    pub(super) best: Option<Best>,
    /// Tracks that were seen in the same frame: certainly other people.
    pub(super) companions: Vec<u64>,
    /// Since when the votes say "unknown".
    pub(super) unknown_since: Option<Instant>,
    /// Why nobody is told that this is a stranger: a known face came meanwhile, very probably the same person; or it is somebody
    /// whom nobody wants to hear of.
    pub(super) excused: Option<&'static str>,
    /// Why the last look was of no use.
    pub(super) last_flaw: Option<Flaw>,
    /// What was told last, with what belongs to it.
    pub(super) told: Option<super::decision::Decision>,
    /// Somebody else was near, so a look must tell whether this is still the same person.
    pub(super) mixed_up: bool,
    before: (PixelRect, Instant),
    began_at: PixelRect,
    covered_frames: u32,
    tries: u32,
    last_try: Option<Instant>,
    best_promise: f32,
    sum: [f32; EMBEDDING_LENGTH],
    n_clear: u32,
}

impl Track {
    pub(super) fn new(id: u64, rect: PixelRect, now: Instant) -> Track {
        Track {
            id,
            rect,
            first_seen: now,
            last_seen: now,
            arrived: false,
            votes: Vec::new(),
            first_usable: None,
            best: None,
            companions: Vec::new(),
            unknown_since: None,
            excused: None,
            last_flaw: None,
            told: None,
            mixed_up: false,
            before: (rect, now),
            began_at: rect,
            covered_frames: 0,
            tries: 0,
            last_try: None,
            best_promise: 0.0,
            sum: [0.0; EMBEDDING_LENGTH],
            n_clear: 0,
        }
    }

    /// The face is here now; `motion` is where the picture moves.
    pub(super) fn seen(&mut self, rect: PixelRect, motion: &[PixelRect], now: Instant) {
        self.before = (self.rect, self.last_seen);
        self.rect = rect;
        self.last_seen = now;
        let ([x, y], [began_x, began_y]) = (rect.centre(), self.began_at.centre());
        let moved = (x - began_x).hypot(y - began_y).max((rect.width - self.began_at.width).abs());
        self.covered_frames += u32::from(is_covered(&rect, motion));
        self.arrived |= moved >= MOVED * self.began_at.width || self.covered_frames >= COVERED_FRAMES;
    }

    /// The face of this frame was not this one after all.
    pub(super) fn not_seen(&mut self) {
        (self.rect, self.last_seen) = self.before;
    }

    /// The faces of two tracks were taken for each other.
    pub(super) fn swap_place(&mut self, other: &mut Track) {
        std::mem::swap(&mut self.rect, &mut other.rect);
        std::mem::swap(&mut self.last_seen, &mut other.last_seen);
        std::mem::swap(&mut self.before, &mut other.before);
    }

    /// What was told last.
    pub(super) fn told_kind(&self) -> Option<Kind> {
        self.told.as_ref().map(|decision| decision.kind)
    }

    /// Whether the face deserves another look; `grade` is what it can be worth.
    pub(super) fn is_worth_a_look(&self, face: &Face, grade: Grade, now: Instant) -> bool {
        let limit = match grade {
            Grade::Useless(_) => return false,
            Grade::Doubtful(_) if !self.votes.is_empty() => return false,
            Grade::Doubtful(_) => MAX_TRIES_DOUBTFUL,
            Grade::Clear | Grade::Fair(_) if self.told_kind() == Some(Kind::Known) => MAX_TRIES_NAMED,
            Grade::Clear | Grade::Fair(_) => MAX_TRIES,
        };
        if self.mixed_up && self.tries < MAX_TRIES_MIXED_UP {
            return true;
        }
        if self.tries >= limit {
            return false;
        }
        let rested = self.last_try.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        let hopeful = self.told.is_none() && self.votes.iter().any(|vote| vote.found.score() >= UNKNOWN);
        let at_once = if hopeful { TRIES_AT_ONCE_HOPEFUL } else { TRIES_AT_ONCE };
        self.tries < at_once || rested || promise(face) > BETTER * self.best_promise
    }

    /// Whether no further look will come.
    pub(super) fn is_worn_out(&self) -> bool {
        self.tries >= MAX_TRIES
    }

    /// A look was taken, whatever came of it.
    pub(super) fn tried(&mut self, face: &Face, now: Instant) {
        self.tries += 1;
        self.mixed_up = false;
        self.last_try = Some(now);
        self.best_promise = self.best_promise.max(promise(face));
    }

    /// Counts a usable look.
    pub(super) fn add(&mut self, vote: Vote, embedding: &Embedding, captured_at: Instant) {
        if vote.grade == Grade::Clear {
            self.sum.iter_mut().zip(&embedding.vector).for_each(|(sum, v)| *sum += v);
            self.n_clear += 1;
        }
        self.votes.push(vote);
        self.first_usable.get_or_insert(captured_at);
    }

    /// Keeps the frame as the best one if its quality is higher; whether it was.
    ///
    /// Quality is size, straightness and the length of the embedding, never likeness to somebody: else the best picture of a
    /// stranger would be the one that looks most like the owner.
    pub(super) fn keep_best(&mut self, frame: u64, face: &Face, norm: f32, view: FaceView) -> bool {
        let quality = promise(face) * (norm / CLEAR_NORM).min(1.3);
        let better = self.best.is_none_or(|best| quality > best.quality);
        if better {
            self.best = Some(Best { quality, frame, view });
        }
        better
    }

    fn mean(&self) -> Option<Embedding> {
        Embedding::from_raw(&self.sum)
    }

    /// Whether a clear look shows somebody else than the looks before; one look before is enough where another track has a claim to it.
    pub(super) fn is_somebody_else(&self, embedding: &Embedding, claimed: bool) -> bool {
        self.n_clear >= if claimed { 1 } else { 2 }
            && self.mean().is_some_and(|mean| cosine(&mean.vector, &embedding.vector) < SOMEBODY_ELSE)
    }

    /// Whether a clear look shows the person of this track again.
    pub(super) fn is_same_person(&self, embedding: &Embedding) -> bool {
        self.mean().is_some_and(|mean| cosine(&mean.vector, &embedding.vector) >= SAME_PERSON)
    }
}
