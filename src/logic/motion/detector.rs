//! The detector: asks the parts in order and draws the conclusion.
//!
//! Not here: how each part works; see its own file.

use std::time::{Duration, Instant};

use super::background::{Background, Follow, Lesson};
use super::blobs::{Blob, Finder, Measured, WHOLE};
use super::episode::{Episode, Sight, Times};
use super::light::{BLOCK, Judgement, Verdict};
use super::mask::{Mask, blur};
use super::shake::{Seen, Shake};
use super::{Change, Gray, Knobs, MAX_BOXES, Reason, Rect, Report, Tally};

/// How long a new scene is learnt: cameras set exposure and white balance in their first second.
const STARTING: Duration = Duration::from_millis(1500);
/// How long reporting is held after the light changed: lamps warm up, the camera follows.
const LIGHT_SETTLES: Duration = Duration::from_millis(800);
/// Light that flickers on may not hold reporting for longer than this at once, or it would swallow real motion.
const LIGHT_AT_MOST: Duration = Duration::from_secs(3);
/// Of the time that passes, this part may be held again.
const LIGHT_PART: u32 = 4;
/// A camera that stays out of place for this long was moved on purpose.
const MOVED_AFTER: Duration = Duration::from_secs(2);
/// Share of the blocks that a shake touches at least.
const SHAKE_SPREAD: f32 = 0.2;
/// What was learnt before a pause of this length is out of date.
const STALE: Duration = Duration::from_secs(30);
/// A thing of one in so many parts of the minimum area is near enough that a person may wonder.
const NOTEWORTHY: u64 = 4;
/// Larger radii would only cost time.
const MAX_RADIUS: u8 = 16;

/// Finds motion in the pictures of one camera.
pub struct Detector {
    knobs: Knobs,
    /// None until the first picture after a start or a reset.
    shape: Option<Shape>,
    phase: Phase,
    background: Background,
    /// 1 where motion counts, one byte a pixel.
    counts: Vec<u8>,
    masks: Masks,
    finder: Finder,
    judgement: Judgement,
    shake: Shake,
    /// The last change of light that held reporting, and how long light might still hold it then.
    light: Option<(Instant, Duration)>,
    shaking_since: Option<Instant>,
    episode: Episode,
    inhibited_until: Option<Instant>,
    looked_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    width: usize,
    height: usize,
    scale: usize,
}

#[derive(Clone, Copy)]
enum Phase {
    Learning { until: Instant, reason: Reason },
    Watching,
}

/// Memory that is used anew for each picture.
#[derive(Default)]
struct Masks {
    raw: Mask,
    clean: Mask,
    grown: Mask,
    scratch: Mask,
    blurred: Vec<u8>,
    blur_scratch: Vec<u8>,
}

impl Masks {
    fn resize(&mut self, width: usize, height: usize) {
        for mask in [&mut self.raw, &mut self.clean, &mut self.grown, &mut self.scratch] {
            mask.resize(width, height);
        }
    }
}

/// What the foreground of one picture amounts to.
struct Finding {
    sight: Sight,
    lesson: Lesson,
    blobs: Vec<Blob>,
    biggest: u64,
}

impl Finding {
    fn of(sight: Sight, lesson: Lesson) -> Self {
        Self { sight, lesson, blobs: Vec::new(), biggest: 0 }
    }
}

impl Detector {
    /// A detector that has seen nothing; its first pictures teach it the scene.
    #[must_use]
    pub fn new(knobs: Knobs) -> Self {
        Self {
            knobs,
            shape: None,
            phase: Phase::Watching,
            background: Background::default(),
            counts: Vec::new(),
            masks: Masks::default(),
            finder: Finder::default(),
            judgement: Judgement::default(),
            shake: Shake::default(),
            light: None,
            shaking_since: None,
            episode: Episode::default(),
            inhibited_until: None,
            looked_at: None,
        }
    }

    /// Turns the knobs; what was learnt stays, unless the blur changes what pictures look like.
    pub fn set_knobs(&mut self, knobs: Knobs) {
        let blur_changed = self.knobs.blur != knobs.blur;
        self.knobs = knobs;
        match self.shape {
            Some(shape) if !blur_changed => self.mark_counting(shape),
            Some(_) | None => self.shape = None,
        }
    }

    /// Forgets the scene and ends motion at once: the next picture is the scene. Also for a camera that was away or a detection turned off.
    pub fn reset(&mut self) -> Option<Change> {
        self.shape = None;
        self.episode.stop()
    }

    /// Holds motion back until then; `None` ends it. Motion that is on ends after its hold time.
    pub fn inhibit(&mut self, until: Option<Instant>) {
        self.inhibited_until = until;
    }

    /// Whether motion is on.
    #[must_use]
    pub fn moving(&self) -> bool {
        self.episode.moving()
    }

    /// How often what happened, for "why was there no motion?".
    #[must_use]
    pub fn tally(&self) -> &Tally {
        self.episode.tally()
    }

    /// When [`Detector::pass_time`] has something to say even if no picture comes.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.episode.next_deadline(self.times())
    }

    /// Ends motion that was quiet for the hold time.
    pub fn pass_time(&mut self, now: Instant) -> Option<Change> {
        self.episode.pass_time(now, self.times())
    }

    /// Looks at a picture. A picture of another size, or the first after a long pause, is a new scene.
    pub fn look(&mut self, now: Instant, gray: &Gray) -> Report {
        let now = self.looked_at.map_or(now, |last| last.max(now));
        let stale = self.looked_at.is_some_and(|last| now.duration_since(last) >= STALE);
        self.looked_at = Some(now);
        let shape = Shape { width: gray.width, height: gray.height, scale: gray.scale };
        let pixels = gray.width * gray.height;
        if pixels == 0 || gray.data.len() < pixels {
            let change = self.pass_time(now);
            return Report { change, moving: self.moving(), ..Report::default() };
        }
        let ended = if stale || self.shape.is_some_and(|known| known != shape) { self.reset() } else { None };
        let mut blurred = std::mem::take(&mut self.masks.blurred);
        let picture = self.smooth(gray, &mut blurred);
        let finding = if self.shape == Some(shape) {
            self.find(now, shape, picture)
        } else {
            self.begin(now, shape, picture);
            Finding::of(Sight::Quiet, Lesson { follow: Follow::All, noise: true })
        };
        self.background.learn(now, picture, finding.lesson, self.knobs.threshold, self.knobs.learning_time);
        self.masks.blurred = blurred;
        let change = self.episode.see(now, finding.sight, self.times());
        self.report(shape, finding, ended.or(change))
    }

    fn times(&self) -> Times {
        Times { min_duration: self.knobs.min_duration, hold: self.knobs.hold }
    }

    fn smooth<'a>(&mut self, gray: &'a Gray, blurred: &'a mut Vec<u8>) -> &'a [u8] {
        let data = &gray.data[..gray.width * gray.height];
        let radius = self.knobs.blur.min(MAX_RADIUS);
        if radius == 0 {
            return data;
        }
        blur(gray.width, data, usize::from(radius), &mut self.masks.blur_scratch, blurred);
        blurred
    }

    /// Takes the picture as a new scene.
    fn begin(&mut self, now: Instant, shape: Shape, picture: &[u8]) {
        self.shape = Some(shape);
        self.masks.resize(shape.width, shape.height);
        self.mark_counting(shape);
        self.light = None;
        self.shaking_since = None;
        self.relearn(now, picture, STARTING, Reason::Starting);
    }

    fn relearn(&mut self, now: Instant, picture: &[u8], time: Duration, reason: Reason) {
        self.background.retake(now, picture, self.knobs.threshold);
        self.phase = Phase::Learning { until: now + time, reason };
    }

    /// A pixel counts when its middle lies in a region and in no mask.
    fn mark_counting(&mut self, shape: Shape) {
        let Shape { width, height, .. } = shape;
        self.counts.clear();
        self.counts.resize(width * height, u8::from(self.knobs.regions.is_empty()));
        let marked = self.knobs.regions.iter().map(|rect| (rect, 1));
        for (rect, value) in marked.chain(self.knobs.masks.iter().map(|rect| (rect, 0))) {
            let span = |from: f32, length: f32, side: usize| {
                let at = |edge: f32| (edge * side as f32 - 0.5).ceil().clamp(0.0, side as f32) as usize;
                at(from)..at(from + length).max(at(from))
            };
            let across = span(rect.x, rect.w, width);
            for y in span(rect.y, rect.h, height) {
                self.counts[y * width..(y + 1) * width][across.clone()].fill(value);
            }
        }
    }

    /// Foreground of this many pixels of the small picture reaches the minimum area.
    fn enough(&self, shape: Shape, pixels: u64) -> bool {
        pixels * (shape.scale * shape.scale) as u64 >= u64::from(self.knobs.min_area.max(1))
    }

    fn find(&mut self, now: Instant, shape: Shape, picture: &[u8]) -> Finding {
        self.masks.raw.compare(picture, &self.background.mean, &self.background.limit);
        let learning = match self.phase {
            Phase::Learning { until, reason } if now < until => Some(reason),
            Phase::Learning { .. } | Phase::Watching => None,
        };
        let follow = if learning.is_some() { Follow::All } else { Follow::Calm };
        let lesson = Lesson { follow, noise: learning != Some(Reason::LightChange) };
        if learning.is_none() {
            self.phase = Phase::Watching;
        }
        // Most pictures end here: even all specks together are not worth a note.
        if !self.enough(shape, NOTEWORTHY * self.masks.raw.count() as u64) {
            return Finding::of(Sight::Quiet, lesson);
        }
        self.masks.raw.despeckle_into(&mut self.masks.clean);
        if !self.enough(shape, NOTEWORTHY * self.masks.clean.count() as u64) {
            return Finding::of(Sight::Quiet, lesson);
        }
        match learning {
            Some(reason) => self.keep_learning(now, picture, reason, lesson),
            None => self.watch(now, shape, picture),
        }
    }

    /// The scene still changes while it is learnt; more changes of light prolong it, up to a limit.
    fn keep_learning(&mut self, now: Instant, picture: &[u8], reason: Reason, lesson: Lesson) -> Finding {
        if reason == Reason::LightChange && self.judge(picture) == Verdict::Room && self.light_may_hold(now) {
            self.relearn(now, picture, LIGHT_SETTLES, reason);
        }
        Finding::of(Sight::Held(reason), lesson)
    }

    fn judge(&mut self, picture: &[u8]) -> Verdict {
        let (mean, noise) = (&self.background.mean, self.background.sensor_noise());
        self.judgement.judge(&self.masks.clean, picture, mean, noise)
    }

    /// Whether a change of light may hold reporting again; takes the time from its allowance.
    fn light_may_hold(&mut self, now: Instant) -> bool {
        let allowance = self.light.map_or(LIGHT_AT_MOST, |(last, left)| {
            LIGHT_AT_MOST.min(left + now.duration_since(last) / LIGHT_PART)
        });
        let Some(left) = allowance.checked_sub(LIGHT_SETTLES) else { return false };
        self.light = Some((now, left));
        true
    }

    fn watch(&mut self, now: Instant, shape: Shape, picture: &[u8]) -> Finding {
        let held = match self.judge(picture) {
            Verdict::Things => self.shaken(now, picture),
            Verdict::Room if self.light_may_hold(now) => {
                self.relearn(now, picture, LIGHT_SETTLES, Reason::LightChange);
                return Finding::of(
                    Sight::Held(Reason::LightChange),
                    Lesson { follow: Follow::All, noise: false },
                );
            }
            Verdict::Room => {
                self.judgement.clear(&mut self.masks.clean, true);
                Some(Reason::LightChange)
            }
            Verdict::Patch => {
                self.judgement.clear(&mut self.masks.clean, false);
                Some(Reason::LightChange)
            }
        };
        if held == Some(Reason::LightChange) {
            self.background.adopt(picture, self.judgement.same());
        }
        if held == Some(Reason::Shake) && self.moved_away(now) {
            self.relearn(now, picture, LIGHT_SETTLES, Reason::Shake);
            return Finding::of(Sight::Held(Reason::Shake), Lesson { follow: Follow::All, noise: false });
        }
        self.measure(now, shape, picture, held)
    }

    /// Whether the camera shook; then the mask keeps only what the shake does not explain.
    fn shaken(&mut self, now: Instant, picture: &[u8]) -> Option<Reason> {
        let Masks { clean, grown: rest, scratch, .. } = &mut self.masks;
        let Background { mean, limit, .. } = &self.background;
        let seen = Seen { picture, mean, limit };
        let shaken = spread(clean) >= SHAKE_SPREAD && self.shake.explains(clean, seen, rest);
        if !shaken {
            self.shaking_since = None;
            return None;
        }
        self.shaking_since.get_or_insert(now);
        rest.despeckle_into(scratch);
        std::mem::swap(clean, scratch);
        Some(Reason::Shake)
    }

    fn moved_away(&self, now: Instant) -> bool {
        self.shaking_since.is_some_and(|since| now.duration_since(since) >= MOVED_AFTER)
    }

    /// Weighs what is left of the foreground.
    fn measure(&mut self, now: Instant, shape: Shape, picture: &[u8], held: Option<Reason>) -> Finding {
        let Masks { clean, grown, scratch, .. } = &mut self.masks;
        clean.dilate_into(usize::from(self.knobs.dilate.min(MAX_RADIUS)), scratch, grown);
        let (counts, mean) = (&self.counts, &self.background.mean);
        let on = Measured { mask: clean, grown, counts, picture, mean };
        let found = self.finder.find(&on).to_vec();
        let biggest = found.iter().map(|blob| blob.area).max().unwrap_or(0);
        let big = |area: u64| self.enough(shape, area / WHOLE);
        let blobs: Vec<Blob> = found.iter().filter(|blob| big(blob.counted)).copied().collect();
        let inhibited = self.inhibited_until.is_some_and(|until| now < until);
        let sight = match (blobs.is_empty(), held) {
            (false, _) if inhibited => Sight::Held(Reason::Inhibited),
            (false, _) => Sight::Motion,
            (true, Some(reason)) => Sight::Held(reason),
            (true, None) if big(biggest) => Sight::Held(Reason::Masked),
            (true, None) if big(NOTEWORTHY * biggest) => Sight::Note(Reason::BelowArea),
            (true, None) => Sight::Quiet,
        };
        let follow = if held == Some(Reason::Shake) { Follow::Nothing } else { Follow::Calm };
        let lesson = Lesson { follow, noise: held != Some(Reason::LightChange) };
        Finding { sight, lesson, blobs, biggest }
    }

    fn report(&self, shape: Shape, finding: Finding, change: Option<Change>) -> Report {
        let Finding { sight, blobs, biggest, .. } = finding;
        let camera_pixels = |area: u64| area * (shape.scale * shape.scale) as u64 / WHOLE;
        let moving: u64 = blobs.iter().map(|blob| blob.counted).sum();
        let raw = sight == Sight::Motion;
        Report {
            moving: self.moving(),
            change,
            raw,
            why: match sight {
                Sight::Quiet | Sight::Motion => None,
                Sight::Held(reason) | Sight::Note(reason) => Some(reason),
            },
            area_pct: 100.0 * moving as f32 / (WHOLE as f32 * (shape.width * shape.height) as f32),
            area_px: camera_pixels(biggest).min(u64::from(u32::MAX)) as u32,
            boxes: if raw { boxes(shape, blobs) } else { Vec::new() },
        }
    }
}

/// The share of the blocks that foreground touches.
fn spread(mask: &Mask) -> f32 {
    let across = mask.width.div_ceil(BLOCK);
    let mut touched = 0;
    for top in (0..mask.height).step_by(BLOCK) {
        for left in (0..mask.width).step_by(BLOCK) {
            let mut rows = top..(top + BLOCK).min(mask.height);
            touched +=
                usize::from(rows.any(|y| mask.row(y)[left..(left + BLOCK).min(mask.width)].contains(&1)));
        }
    }
    touched as f32 / (across * mask.height.div_ceil(BLOCK)) as f32
}

/// Boxes as fractions, biggest first; those that overlap become one.
fn boxes(shape: Shape, mut blobs: Vec<Blob>) -> Vec<Rect> {
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.counted));
    let mut merged: Vec<[usize; 4]> = Vec::new();
    for blob in blobs.iter().take(8 * MAX_BOXES) {
        let mut grown = blob.bounds;
        while let Some(index) = merged.iter().position(|other| overlap(grown, *other)) {
            let other = merged.remove(index);
            grown = [
                grown[0].min(other[0]),
                grown[1].min(other[1]),
                grown[2].max(other[2]),
                grown[3].max(other[3]),
            ];
        }
        merged.push(grown);
    }
    merged.sort_by_key(|[left, top, right, bottom]| std::cmp::Reverse((right - left) * (bottom - top)));
    merged.truncate(MAX_BOXES);
    let fraction = |pixel: usize, side: usize| pixel as f32 / side as f32;
    let rect = |[left, top, right, bottom]: [usize; 4]| Rect {
        x: fraction(left, shape.width),
        y: fraction(top, shape.height),
        w: fraction(right - left, shape.width),
        h: fraction(bottom - top, shape.height),
    };
    merged.into_iter().map(rect).collect()
}

fn overlap(one: [usize; 4], other: [usize; 4]) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}
