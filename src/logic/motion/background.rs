//! What the scene looks like when nothing moves, and how much each pixel trembles by itself.
//!
//! Not here: which differences are motion; see [`super`] for the decision and `light` and `shake` for what looks like it.
//!
//! Detection reads only bytes (`mean`, `limit`), so it vectorises; everything slow is learnt at most every [`TICK`], which also makes
//! it independent of the frame rate: 5 and 30 pictures a second teach the same.

use std::time::{Duration, Instant};

/// Learning step: long enough that leaves and lamps change between two of them at every frame rate.
const TICK: Duration = Duration::from_millis(150);
/// How fast calm pixels follow drift: slower than a person who stops for a moment, faster than the sun and the clouds.
const FOLLOW: Duration = Duration::from_secs(4);
/// How fast everything follows while the scene is learnt anew.
const SETTLE: Duration = Duration::from_millis(300);
/// How fast the noise of the whole sensor is followed; its gain changes within a second at dusk.
const SENSOR: Duration = Duration::from_secs(1);
/// Limit over the mean frame-to-frame difference of a pixel. For normal noise that mean is 1.13 sigma, so this is 4.5 sigma.
const OVER_PIXEL: u32 = 4;
/// The same 4.5 sigma over the median frame-to-frame difference of the picture, which is 0.95 sigma.
const OVER_SENSOR: f32 = 4.7;
/// A limit above this would blind the pixel for good.
const MAX_LIMIT: u8 = 200;
/// Fraction bits of a level: gray levels 0 to 255 fit an `i16`.
const LEVEL_BITS: u32 = 7;
/// Fraction bits of a noise, which is cut at 63 gray levels to fit a `u16`.
const NOISE_BITS: u32 = 10;
/// Fraction bits of a rate of learning.
const RATE_BITS: u32 = 15;

/// What to learn from a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lesson {
    pub(super) follow: Follow,
    /// Whether the difference to the last picture is noise; a change of light is not.
    pub(super) noise: bool,
}

/// Which pixels follow the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// Those that are calm; others must stay the same for the learning time.
    Calm,
    /// All, at once: the scene is new.
    All,
    /// None: the picture is out of place.
    Nothing,
}

/// The learnt scene. All arrays are as long as the picture.
#[derive(Default)]
pub(super) struct Background {
    /// Expected gray of each pixel, rounded from `level`.
    pub(super) mean: Vec<u8>,
    /// A pixel that differs from `mean` by more than this is foreground.
    pub(super) limit: Vec<u8>,
    level: Vec<i16>,
    noise: Vec<u16>,
    previous: Vec<u8>,
    /// What a foreground pixel shows, a level.
    candidate: Vec<i16>,
    /// For how long it has shown that, less the time that it showed something else, milliseconds.
    age: Vec<u32>,
    learnt_at: Option<Instant>,
    sensor_noise: f32,
    /// False until two pictures were compared, so that the first comparison counts fully.
    sensor_known: bool,
}

impl Background {
    /// Takes the picture as the scene; what is known of the noise is kept if the size is the same.
    pub(super) fn retake(&mut self, now: Instant, picture: &[u8], threshold: u8) {
        let pixels = picture.len();
        if self.mean.len() != pixels {
            self.noise = vec![0; pixels];
            self.sensor_known = false;
            self.sensor_noise = 0.0;
        }
        for bytes in [&mut self.mean, &mut self.previous] {
            bytes.clear();
            bytes.extend_from_slice(picture);
        }
        self.level.clear();
        self.level.extend(picture.iter().map(|gray| level_of(*gray)));
        self.candidate.clear();
        self.candidate.extend_from_slice(&self.level);
        self.age.clear();
        self.age.resize(pixels, 0);
        self.limit.resize(pixels, threshold);
        self.learnt_at = Some(now);
        self.set_limits(threshold);
    }

    /// Noise of the sensor as the median difference of two pictures, gray levels.
    pub(super) fn sensor_noise(&self) -> f32 {
        self.sensor_noise
    }

    /// Learns from a picture if the last lesson is long enough ago; `learning` is after how long a thing that stays belongs to the scene.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        picture: &[u8],
        lesson: Lesson,
        threshold: u8,
        learning: Duration,
    ) {
        let Some(learnt_at) = self.learnt_at else { return };
        let step = now.saturating_duration_since(learnt_at);
        if step < TICK && lesson.follow != Follow::All {
            return;
        }
        self.learnt_at = Some(now);
        if step >= TICK {
            if lesson.noise {
                self.learn_sensor(picture, step);
                self.learn_noise(picture, step, learning);
            }
            self.previous.copy_from_slice(picture);
        }
        match lesson.follow {
            Follow::All => self.settle(picture, step),
            Follow::Calm => self.watch(picture, step, learning),
            Follow::Nothing => {}
        }
        for (mean, level) in self.mean.iter_mut().zip(&self.level) {
            *mean = gray_of(*level);
        }
        self.set_limits(threshold);
    }

    /// Takes over the picture where `chosen` is set: what changed there was light.
    pub(super) fn adopt(&mut self, picture: &[u8], chosen: impl Iterator<Item = std::ops::Range<usize>>) {
        for range in chosen {
            self.mean[range.clone()].copy_from_slice(&picture[range.clone()]);
            for (level, gray) in self.level[range.clone()].iter_mut().zip(&picture[range]) {
                *level = level_of(*gray);
            }
        }
    }

    /// The median frame-to-frame difference, from a histogram of a seventh of the pixels.
    fn learn_sensor(&mut self, picture: &[u8], step: Duration) {
        let mut counts = [0u32; 256];
        for (now, before) in picture.iter().zip(&self.previous).step_by(7) {
            counts[usize::from(now.abs_diff(*before))] += 1;
        }
        let half = counts.iter().sum::<u32>() as f32 / 2.0;
        let mut below = 0.0;
        let mut median = 0.0;
        for (gray, count) in counts.iter().enumerate() {
            if below + *count as f32 >= half && *count > 0 {
                // Differences are whole numbers: gray 2 stands for 1.5 to 2.5, and 0 for 0 to 0.5.
                let (from, width) = if gray == 0 { (0.0, 0.5) } else { (gray as f32 - 0.5, 1.0) };
                median = from + width * (half - below) / *count as f32;
                break;
            }
            below += *count as f32;
        }
        let rate = if self.sensor_known { share(step, SENSOR) } else { 1.0 };
        self.sensor_noise += (median - self.sensor_noise) * rate;
        self.sensor_known = true;
    }

    /// Each pixel's mean frame-to-frame difference. Foreground teaches half as fast: a person must not be learnt like leaves.
    fn learn_noise(&mut self, picture: &[u8], step: Duration, learning: Duration) {
        let calm_rate = rate(step, learning / 2);
        let busy_rate = rate(step, learning);
        let pixels =
            self.noise.iter_mut().zip(picture).zip(self.previous.iter().zip(&self.mean).zip(&self.limit));
        for ((noise, gray), ((previous, mean), limit)) in pixels {
            let rate = if gray.abs_diff(*mean) > *limit { busy_rate } else { calm_rate };
            let seen = i32::from(gray.abs_diff(*previous).min(63)) << NOISE_BITS;
            *noise = approach(i32::from(*noise), seen, rate) as u16;
        }
    }

    fn settle(&mut self, picture: &[u8], step: Duration) {
        let rate = rate(step, SETTLE);
        for (level, gray) in self.level.iter_mut().zip(picture) {
            *level = approach(i32::from(*level), i32::from(level_of(*gray)), rate) as i16;
        }
    }

    /// A thing that stays is learnt although people pass before it: passing costs as much time as it takes, not all that was waited.
    fn watch(&mut self, picture: &[u8], step: Duration, learning: Duration) {
        let follow = rate(step, FOLLOW);
        let settle = rate(step, SENSOR);
        let millis = |time: Duration| time.as_millis().min(u128::from(u32::MAX / 2)) as u32;
        let (step, learning) = (millis(step), millis(learning));
        let expected = self.level.iter_mut().zip(&self.mean).zip(&self.limit);
        let candidates = self.candidate.iter_mut().zip(&mut self.age);
        for ((gray, ((level, mean), limit)), (candidate, age)) in picture.iter().zip(expected).zip(candidates)
        {
            let seen = i32::from(level_of(*gray));
            let expected = i32::from(*level);
            let shown = i32::from(*candidate);
            let busy = gray.abs_diff(*mean) > *limit;
            let stays = busy & ((seen - shown).abs() <= i32::from(*limit) << LEVEL_BITS);
            let older = if stays { (*age + step).min(learning) } else { age.saturating_sub(step) };
            let replaced = if older == 0 { seen } else { shown };
            let now_shown = if stays { approach(shown, seen, settle) } else { replaced };
            let absorbed = stays & (older >= learning);
            let watched = if busy { expected } else { approach(expected, seen, follow) };
            *level = if absorbed { now_shown } else { watched } as i16;
            *candidate = now_shown as i16;
            *age = older;
        }
    }

    fn set_limits(&mut self, threshold: u8) {
        let sensor = (OVER_SENSOR * self.sensor_noise).ceil().min(f32::from(MAX_LIMIT)) as u8;
        let least = threshold.max(sensor).max(1);
        for (limit, noise) in self.limit.iter_mut().zip(&self.noise) {
            let own = (u32::from(*noise) * OVER_PIXEL) >> NOISE_BITS;
            *limit = least.max(own.min(u32::from(MAX_LIMIT)) as u8);
        }
    }
}

fn level_of(gray: u8) -> i16 {
    i16::from(gray) << LEVEL_BITS
}

fn gray_of(level: i16) -> u8 {
    ((i32::from(level) + (1 << (LEVEL_BITS - 1))) >> LEVEL_BITS) as u8
}

/// One step of an exponential mean in fixed point: 32640 (a level) or 64512 (a noise) times a rate fits an `i32`.
fn approach(from: i32, to: i32, rate: i32) -> i32 {
    from + (((to - from) * rate + (1 << (RATE_BITS - 1))) >> RATE_BITS)
}

/// The share of the way that a mean with this time constant goes in `step`, 0 to 1.
fn share(step: Duration, constant: Duration) -> f32 {
    1.0 - (-step.as_secs_f32() / constant.as_secs_f32().max(0.001)).exp()
}

fn rate(step: Duration, constant: Duration) -> i32 {
    (share(step, constant) * ((1 << RATE_BITS) - 1) as f32) as i32
}
