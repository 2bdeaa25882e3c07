//! Follows the faces of one camera and tells each decision once.
//!
//! For each frame: [`Tracker::observe`] says which faces deserve a look of the recogniser, [`Tracker::looked`] takes the answers,
//! [`Tracker::decide`] gives the decisions that are due. Between frames, `decide` is called again at [`Tracker::next_deadline`].
//!
//! Not here: detector and recogniser (see `vision::faces`), and what the looks at one face say (see `verdict`).

use std::time::{Duration, Instant};

use super::decision::{Decision, FaceView, Kind, Rule};
use super::face::{Embedding, Face, PixelRect};
use super::gallery::{Gallery, PersonId};
use super::ground::Ground;
use super::quality::{Flaw, Grade, Limits};
use super::still::StillPlaces;
use super::telling::{doubt_or_deny, is_gone, name, silence};
use super::track::{Track, is_covered};
use super::verdict::{self, Vote};

/// Looks in one frame at most, so that a crowd does not hold up the next frame.
const MAX_LOOKS: usize = 2;
/// Faces followed at the same time at most; further ones wait until one is gone.
const MAX_TRACKS: usize = 32;
/// Boxes that overlap by more (intersection over union) in consecutive frames are the same face.
const SAME_OVERLAP: f32 = 0.2;
/// Or their centres are not farther apart than so many face widths, plus once more for each second since.
const SAME_DISTANCE: f32 = 1.0;
/// A face that has not moved for this long, with nothing moving there, is a picture on a wall.
const STILL_AFTER: Duration = Duration::from_secs(2);
/// A face that was not seen for so long is not shown any more.
const FRESH: Duration = Duration::from_secs(1);

/// What a person may set, at run time too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Cosine from which a face may be named, see [`verdict::KNOWN`].
    pub known: f32,
    /// Size and score from which a face counts.
    pub limits: Limits,
    /// So long somebody unknown waits for a known face before being told: the same person often turns to the camera a little later.
    pub unknown_grace: Duration,
    /// A face not seen for this long is gone.
    pub track_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            known: verdict::KNOWN,
            limits: Limits::default(),
            unknown_grace: Duration::from_secs(7),
            track_timeout: Duration::from_secs(3),
        }
    }
}

/// One frame as the detector saw it.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Width of the picture in pixels.
    pub width: usize,
    /// Height of the picture in pixels.
    pub height: usize,
    /// Sequence number of the frame.
    pub frame: u64,
    /// When the camera delivered it.
    pub captured_at: Instant,
    /// The faces in it.
    pub faces: &'a [Face],
    /// Where it moves.
    pub motion: &'a [PixelRect],
}

/// A wish for a look at a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Whose.
    pub track: u64,
    /// The face to look at.
    pub face: Face,
}

/// What a frame holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Faces that the recogniser should look at, most promising first.
    pub asks: Vec<Ask>,
    /// Why the other boxes do not count as faces, and how many pixels wide they are.
    pub refused: Vec<(Flaw, f32)>,
}

/// The recogniser's answer to an [`Ask`].
#[derive(Clone, Debug)]
pub struct Answer {
    /// The embedding.
    pub embedding: Embedding,
    /// 0 (a blur) to 1 (crisp).
    pub sharpness: f32,
    /// Detail across the face in units of that up and down: about 0.7, and less when it moved along the row.
    pub detail_across: f32,
    /// False when a second detector was asked and saw no face.
    pub is_confirmed: bool,
}

/// Who is in view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// People with a name, each once.
    pub known: Vec<PersonId>,
    /// Whether somebody was decided to be unknown.
    pub unknown: bool,
    /// Whether any face is in view that is not a picture on a wall.
    pub any: bool,
}

/// Follows the faces of one camera.
#[derive(Debug, Default)]
pub struct Tracker {
    settings: Settings,
    tracks: Vec<Track>,
    n_tracks: u64,
    /// Tracks that got a name, and when.
    named: Vec<(u64, Instant)>,
    /// Places of pictures on a wall.
    still: StillPlaces,
    /// Where faces count.
    ground: Ground,
    /// Why nothing was told about faces that are gone, until somebody asks.
    silent: Vec<&'static str>,
}

impl Tracker {
    /// A tracker that has seen nothing yet.
    pub fn new(settings: Settings) -> Tracker {
        Tracker { settings, ..Tracker::default() }
    }

    /// Faces count only there.
    #[must_use]
    pub fn within(self, ground: Ground) -> Tracker {
        Tracker { ground, ..self }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings; faces already followed are judged by the new ones.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Forgets every face without a word, when recognition is switched off or the camera is lost.
    pub fn forget(&mut self) {
        let ground = std::mem::take(&mut self.ground);
        *self = Tracker { settings: self.settings, n_tracks: self.n_tracks, ground, ..Tracker::default() };
    }

    /// Takes the faces of a frame and says which ones to look at.
    pub fn observe(&mut self, scene: &Scene<'_>, now: Instant) -> Observed {
        self.still.forget_old(now);
        let timeout = self.settings.track_timeout;
        self.drop_tracks(|track| !track.arrived && now.saturating_duration_since(track.last_seen) >= timeout);
        let mut observed = Observed::default();
        let mut faces = Vec::new();
        for face in scene.faces {
            match self.grade(face, scene, now) {
                Grade::Useless(flaw) => observed.refused.push((flaw, face.rect.width)),
                grade @ (Grade::Clear | Grade::Fair(_) | Grade::Doubtful(_)) => faces.push((*face, grade)),
            }
        }
        let tracks = self.follow(&faces, scene.motion, now);
        self.note_companions(&tracks);
        self.note_still(now);
        for ((face, grade), id) in faces.iter().zip(&tracks) {
            let track = id.and_then(|id| self.track(id));
            if let Some(track) = track.filter(|track| track.is_worth_a_look(face, *grade, now)) {
                observed.asks.push(Ask { track: track.id, face: *face });
            }
        }
        observed.asks.sort_by(|a, b| promise(b).total_cmp(&promise(a)));
        observed.asks.truncate(MAX_LOOKS);
        observed
    }

    /// What a face can be worth at best, where it is.
    fn grade(&mut self, face: &Face, scene: &Scene<'_>, now: Instant) -> Grade {
        if !self.ground.counts(&face.rect, scene.width, scene.height) {
            return Grade::Useless(Flaw::Masked);
        }
        match self.settings.limits.grade(face) {
            useless @ Grade::Useless(_) => useless,
            _ if self.still.hold(&face.rect, now) => Grade::Useless(Flaw::Still),
            grade @ (Grade::Clear | Grade::Fair(_) | Grade::Doubtful(_)) => grade,
        }
    }

    /// Takes the faces of a calm picture: where nothing moves, a face that nobody brought is a picture on a wall.
    ///
    /// A face of somebody who has arrived and is in view is none, nor is one where something moves after all. Boxes of any score
    /// count: whatever looks a little like a face now may look more like one when a shadow passes.
    pub fn learn_still(&mut self, faces: &[Face], motion: &[PixelRect], now: Instant) {
        let found: Vec<PixelRect> = faces.iter().map(|face| face.rect).collect();
        self.still.keep_only(&found);
        let in_view = |track: &&Track| {
            track.arrived && now.saturating_duration_since(track.last_seen) < self.settings.track_timeout
        };
        for rect in found {
            let mut in_view = self.tracks.iter().filter(in_view);
            let brought = in_view.any(|track| track.rect.overlap(&rect) >= SAME_OVERLAP);
            let counts_ever = rect.width >= self.settings.limits.min_width / 2.0;
            if counts_ever && !brought && !is_covered(&rect, motion) {
                self.still.note(rect, now);
            }
        }
    }

    /// Gives each face its track, an old or a new one; `None` when there are too many.
    fn follow(&mut self, faces: &[(Face, Grade)], motion: &[PixelRect], now: Instant) -> Vec<Option<u64>> {
        let mut pairs = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            for (f, (face, _)) in faces.iter().enumerate() {
                if let Some(fit) = fit(track, &face.rect, now) {
                    pairs.push((fit, t, f));
                }
            }
        }
        let is_alone = |t: usize, f: usize| pairs.iter().filter(|(_, u, g)| *u == t || *g == f).count() == 1;
        let mixed_up: Vec<_> =
            pairs.iter().map(|(_, t, f)| (*t, *f)).filter(|(t, f)| !is_alone(*t, *f)).collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut track_of = vec![None; faces.len()];
        let mut taken = vec![false; self.tracks.len()];
        for (_, t, f) in pairs {
            if !taken[t] && track_of[f].is_none() {
                taken[t] = true;
                track_of[f] = Some(self.tracks[t].id);
                self.tracks[t].seen(faces[f].0.rect, motion, now);
                self.tracks[t].mixed_up |= mixed_up.contains(&(t, f));
            }
        }
        for (id, (face, _)) in track_of.iter_mut().zip(faces).filter(|(id, _)| id.is_none()) {
            *id = self.begin(face.rect, motion, now);
        }
        track_of
    }

    fn begin(&mut self, rect: PixelRect, motion: &[PixelRect], now: Instant) -> Option<u64> {
        if self.tracks.len() >= MAX_TRACKS {
            return None;
        }
        self.n_tracks += 1;
        let mut track = Track::new(self.n_tracks, rect, now);
        track.seen(rect, motion, now);
        self.tracks.push(track);
        Some(self.n_tracks)
    }

    fn note_companions(&mut self, ids: &[Option<u64>]) {
        for id in ids.iter().flatten() {
            let others = ids.iter().flatten().filter(|other| *other != id);
            if let Some(track) = self.tracks.iter_mut().find(|track| track.id == *id) {
                for other in others {
                    if !track.companions.contains(other) && track.companions.len() < MAX_TRACKS {
                        track.companions.push(*other);
                    }
                }
            }
        }
    }

    /// A face that was there for a while and did nothing is a picture on a wall, and is followed no longer.
    fn note_still(&mut self, now: Instant) {
        let Tracker { tracks, still, .. } = self;
        tracks.retain(|track| {
            let lasted = track.last_seen.saturating_duration_since(track.first_seen);
            let hangs = !track.arrived && track.last_seen == now && lasted >= STILL_AFTER;
            if hangs {
                still.note(track.rect, now);
            }
            !hangs
        });
    }

    /// The recogniser could not look at the face.
    pub fn failed(&mut self, ask: &Ask, now: Instant) {
        if let Some(track) = self.track_mut(ask.track) {
            track.tried(&ask.face, now);
        }
    }

    /// Takes a look at a face of this scene. Returns the track for which this frame is now the best picture, if it is.
    ///
    /// The track may be another one than the asked: a face that is clearly somebody else begins a new track, and one that is clearly
    /// somebody who was lost a moment ago continues that one.
    pub fn looked(
        &mut self,
        scene: &Scene<'_>,
        ask: &Ask,
        answer: &Answer,
        gallery: &Gallery,
        now: Instant,
    ) -> Option<u64> {
        let grade =
            match self.settings.limits.grade_with(&ask.face, answer.embedding.norm, answer.detail_across) {
                Grade::Clear if !answer.is_confirmed => Grade::Fair(Flaw::NotConfirmed),
                grade => grade, // nothing else needs a second opinion
            };
        self.track_mut(ask.track)?.tried(&ask.face, now);
        if let Grade::Useless(flaw) = grade {
            self.track_mut(ask.track)?.last_flaw = Some(flaw);
            return None;
        }
        let id = if grade == Grade::Clear { self.identity(ask, &answer.embedding, now)? } else { ask.track };
        let face = &ask.face;
        let view = FaceView {
            fractions: face.rect.fractions(scene.width, scene.height),
            px: face.rect.width,
            sharpness: answer.sharpness,
            yaw: face.yaw_degrees(),
            roll: face.roll_degrees(),
            score: face.score,
            norm: answer.embedding.norm,
        };
        let track = self.track_mut(id)?;
        track.add(
            Vote { grade, found: gallery.find(&answer.embedding) },
            &answer.embedding,
            scene.captured_at,
        );
        track.keep_best(scene.frame, face, answer.embedding.norm, view).then_some(id)
    }

    /// Whose track a clear look belongs to.
    fn identity(&mut self, ask: &Ask, embedding: &Embedding, now: Instant) -> Option<u64> {
        let mut others = self.tracks.iter().filter(|other| other.id != ask.track);
        let claimed = others.any(|other| other.is_same_person(embedding));
        if self.track(ask.track)?.is_somebody_else(embedding, claimed) {
            return self.somebody_else(ask, embedding, now);
        }
        let track = self.track(ask.track)?;
        let lost = |lost: &&Track| {
            lost.last_seen < track.last_seen
                && !track.companions.contains(&lost.id)
                && lost.is_same_person(embedding)
        };
        if track.votes.is_empty()
            && let Some(lost) = self.tracks.iter().find(lost)
        {
            let (id, arrived) = (lost.id, track.arrived);
            self.tracks.retain(|track| track.id != ask.track);
            let track = self.track_mut(id)?;
            track.seen(ask.face.rect, &[], now);
            track.arrived |= arrived;
            return Some(id);
        }
        Some(ask.track)
    }

    /// The track of a face that was given to the wrong one because the boxes of two people crossed.
    fn somebody_else(&mut self, ask: &Ask, embedding: &Embedding, now: Instant) -> Option<u64> {
        let wrong = self.tracks.iter().position(|track| track.id == ask.track)?;
        let right =
            self.tracks.iter().position(|track| track.id != ask.track && track.is_same_person(embedding));
        if let Some(right) = right {
            let [wrong, right] = self.tracks.get_disjoint_mut([wrong, right]).ok()?;
            if right.last_seen == now {
                // The look at the other face may have put both right already.
                if right.rect != ask.face.rect {
                    right.swap_place(wrong);
                }
                right.mixed_up = true;
            } else {
                wrong.not_seen();
                right.seen(ask.face.rect, &[], now);
            }
            return Some(right.id);
        }
        let arrived = self.tracks[wrong].arrived;
        self.tracks[wrong].not_seen();
        let id = self.begin(ask.face.rect, &[], now)?;
        self.track_mut(id)?.arrived = arrived;
        self.note_companions(&[Some(ask.track), Some(id)]);
        Some(id)
    }

    /// The decisions that are due, and forgets faces that are gone.
    pub fn decide(&mut self, now: Instant) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let settings = self.settings;
        for track in self.tracks.iter_mut().filter(|track| track.arrived) {
            if let Some(decision) = name(track, &settings) {
                self.named.push((track.id, now));
                decisions.push(decision);
            }
        }
        let oldest = self.tracks.iter().map(|track| track.first_seen).min();
        self.named.retain(|(_, at)| oldest.is_some_and(|oldest| *at >= oldest));
        for track in self.tracks.iter_mut().filter(|track| track.arrived) {
            decisions.extend(doubt_or_deny(track, &settings, &self.named, now));
        }
        for track in self.tracks.iter().filter(|track| is_gone(track, &settings, now)) {
            let told = track.told.as_ref().filter(|told| !decisions.contains(told)).cloned();
            decisions.extend(told.map(|told| Decision {
                kind: Kind::Left,
                rule: Rule::NotSeen,
                corrects: None,
                ..told
            }));
        }
        self.drop_tracks(|track| is_gone(track, &settings, now));
        decisions
    }

    fn drop_tracks(&mut self, is_over: impl Fn(&Track) -> bool) {
        let silent = self.tracks.iter().filter(|track| is_over(track)).filter_map(silence);
        self.silent.extend(silent);
        self.tracks.retain(|track| !is_over(track));
    }

    /// Why nothing was told about the faces that are gone since the last call.
    pub fn take_silent(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.silent)
    }

    /// The name of this person was wrong here: whoever has it is looked at anew.
    pub fn retract(&mut self, slug: &str, now: Instant) {
        for track in &mut self.tracks {
            let has_it = |told: &Decision| told.person.as_ref().is_some_and(|person| *person.slug == *slug);
            if track.told.as_ref().is_some_and(has_it) {
                let arrived = track.arrived;
                *track = Track::new(track.id, track.rect, now);
                track.arrived = arrived;
            }
        }
    }

    /// When `decide` must be called again although no frame came; `None` while nothing can become due.
    ///
    /// A picture on a wall is followed too, but nothing will ever be said about it, so it keeps nobody awake.
    pub fn next_deadline(&self) -> Option<Instant> {
        let Settings { unknown_grace, track_timeout, .. } = self.settings;
        let due = |track: &Track| match track
            .unknown_since
            .filter(|_| track.told.is_none() && track.excused.is_none())
        {
            // The name may still come until the grace ends, even when the face is gone by then.
            Some(since) => since + unknown_grace,
            None => track.last_seen + track_timeout,
        };
        self.tracks.iter().filter(|track| track.arrived).map(due).min()
    }

    /// Where faces were last seen.
    pub fn places(&self) -> impl Iterator<Item = PixelRect> {
        self.tracks.iter().map(|track| track.rect)
    }

    /// Who is in view.
    pub fn present(&self) -> Present {
        let mut present = Present::default();
        for track in self.tracks.iter().filter(|track| track.arrived) {
            present.any = true;
            let Some(told) = &track.told else { continue };
            match told.kind {
                Kind::Known => present.known.extend(told.person.clone()),
                Kind::Unknown => present.unknown = true,
                Kind::Unsure | Kind::Left => {}
            }
        }
        present.known.sort();
        present.known.dedup();
        present
    }

    /// Where the faces are that were seen within the last second, and whose they were decided to be.
    pub fn in_view(&self, now: Instant) -> Vec<(PixelRect, Option<PersonId>)> {
        let fresh = |track: &&Track| track.arrived && now.saturating_duration_since(track.last_seen) < FRESH;
        let told =
            |track: &Track| track.told.as_ref().filter(|told| told.kind == Kind::Known)?.person.clone();
        self.tracks.iter().filter(fresh).map(|track| (track.rect, told(track))).collect()
    }

    /// Whether a track of that number is still followed: pictures kept for other ones can go.
    pub fn is_followed(&self, id: u64) -> bool {
        self.track(id).is_some()
    }

    fn track(&self, id: u64) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }

    fn track_mut(&mut self, id: u64) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.id == id)
    }
}

fn promise(ask: &Ask) -> f32 {
    super::quality::promise(&ask.face)
}

/// How well a face continues a track; `None` when it cannot.
fn fit(track: &Track, rect: &PixelRect, now: Instant) -> Option<f32> {
    let overlap = track.rect.overlap(rect);
    if overlap >= SAME_OVERLAP {
        return Some(1.0 + overlap);
    }
    let away = now.saturating_duration_since(track.last_seen).as_secs_f32();
    let distance = track.rect.distance(rect);
    let ratio = rect.width / track.rect.width.max(1.0);
    (distance <= SAME_DISTANCE + away && (0.5..=2.0).contains(&ratio)).then(|| 1.0 / (1.0 + distance))
}

#[cfg(test)]
mod tests;
