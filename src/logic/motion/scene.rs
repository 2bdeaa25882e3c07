//! Pictures with known truth, for the tests: a room with structure, things in it, light, noise and a clock.
//!
//! Not here: what the detector should say about them; see [`super::tests`].

use std::time::{Duration, Instant};

use super::{Change, Detector, Gray, Knobs, Report};

/// What a thing looks like.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Flat(f32),
    /// Structure of its own, from this seed.
    Cloth(u32),
}

/// A rectangle in camera pixels; its edges mix with the scene where they cover a pixel in part.
#[derive(Clone, Copy)]
pub(super) struct Thing {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) w: f32,
    pub(super) h: f32,
    pub(super) look: Look,
}

pub(super) struct Scene {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) scale: usize,
    /// The empty scene, gray levels.
    pub(super) room: Vec<f32>,
    pub(super) things: Vec<Thing>,
    /// Light: `gain` times the gray plus `offset`.
    pub(super) gain: f32,
    pub(super) offset: f32,
    /// Standard deviation of the sensor's noise, gray levels.
    pub(super) noise: f32,
    /// The camera out of place, pixels of the small picture.
    pub(super) shift: (f32, f32),
    grain: Vec<f32>,
    random: u64,
}

impl Scene {
    /// A furnished room as a 640 x 480 camera sees it.
    pub(super) fn room() -> Self {
        let room =
            (0..320 * 240).map(|at| 115.0 + 120.0 * structure(1, (at % 320) as f32, (at / 320) as f32));
        Self::of(room.collect())
    }

    /// A wall that tells nothing, a little darker towards the right.
    pub(super) fn wall(gray: f32) -> Self {
        Self::of((0..320 * 240).map(|at| gray - 10.0 * (at % 320) as f32 / 320.0).collect())
    }

    fn of(room: Vec<f32>) -> Self {
        Self {
            width: 320,
            height: 240,
            scale: 2,
            room,
            things: Vec::new(),
            gain: 1.0,
            offset: 0.0,
            noise: 1.5,
            shift: (0.0, 0.0),
            grain: bell(),
            random: 7,
        }
    }

    /// The next picture, with fresh noise.
    pub(super) fn picture(&mut self) -> Gray {
        let mut data: Vec<f32> = Vec::with_capacity(self.width * self.height);
        for y in 0..self.height {
            for x in 0..self.width {
                let (at_x, at_y) = (x as f32 + self.shift.0, y as f32 + self.shift.1);
                let mut gray = self.scenery(at_x, at_y);
                for thing in &self.things {
                    let share = self.covered(thing, x, y);
                    if share > 0.0 {
                        let own = match thing.look {
                            Look::Flat(gray) => gray,
                            Look::Cloth(seed) => {
                                let (x, y) = (at_x - thing.x / 2.0, at_y - thing.y / 2.0);
                                70.0 + 90.0 * structure(seed, x, y)
                            }
                        };
                        gray += share * (own - gray);
                    }
                }
                data.push(gray);
            }
        }
        let data = data.chunks(self.width).flat_map(|row| {
            // Each row takes another piece of the grain, so that no two pictures are alike.
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let grain = &self.grain[(self.random >> 40) as usize % (self.grain.len() - self.width)..];
            row.iter().zip(grain).map(|(gray, grain)| {
                (self.gain * gray + self.offset + self.noise * grain + 0.5).clamp(0.0, 255.0) as u8
            })
        });
        Gray { width: self.width, height: self.height, scale: self.scale, data: data.collect() }
    }

    fn scenery(&self, x: f32, y: f32) -> f32 {
        if self.shift == (0.0, 0.0) {
            return self.room[y as usize * self.width + x as usize];
        }
        let at = |x: usize, y: usize| self.room[y.min(self.height - 1) * self.width + x.min(self.width - 1)];
        let (x, y) = (x.max(0.0), y.max(0.0));
        let (left, top, right, below) = (x as usize, y as usize, x.fract(), y.fract());
        let above = at(left, top) * (1.0 - right) + at(left + 1, top) * right;
        let under = at(left, top + 1) * (1.0 - right) + at(left + 1, top + 1) * right;
        above * (1.0 - below) + under * below
    }

    fn covered(&self, thing: &Thing, x: usize, y: usize) -> f32 {
        let scale = self.scale as f32;
        let along = |pixel: usize, from: f32, length: f32| {
            let start = pixel as f32 * scale;
            (((start + scale).min(from + length) - start.max(from)) / scale).clamp(0.0, 1.0)
        };
        along(x, thing.x, thing.w) * along(y, thing.y, thing.h)
    }
}

/// Smooth structure at three sizes, about -1 to 1.
fn structure(seed: u32, x: f32, y: f32) -> f32 {
    [(40.0, 0.6), (14.0, 0.35), (5.0, 0.25)]
        .iter()
        .map(|(cell, weight)| weight * smooth(seed, x / cell, y / cell))
        .sum()
}

fn smooth(seed: u32, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let at = |dx: i32, dy: i32| {
        let mut hash =
            (left as i32 + dx) as u32 ^ ((top as i32 + dy) as u32).wrapping_mul(0x9e37_79b9) ^ (seed << 20);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let (right, below) = (x - left, y - top);
    let above = at(0, 0) * (1.0 - right) + at(1, 0) * right;
    let under = at(0, 1) * (1.0 - right) + at(1, 1) * right;
    above * (1.0 - below) + under * below
}

/// Random numbers of variance 1: each is the sum of four uniform ones, close enough to a bell.
fn bell() -> Vec<f32> {
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 40) as f32 / (1 << 24) as f32
    };
    (0..100_000).map(|_| (next() + next() + next() + next() - 2.0) * 1.732).collect()
}

/// A detector, a scene and a clock.
pub(super) struct Watch {
    pub(super) detector: Detector,
    pub(super) scene: Scene,
    pub(super) start: Instant,
    /// Looks a second.
    pub(super) fps: f32,
    /// Seconds since the start.
    pub(super) now: f32,
    pub(super) last: Report,
}

impl Watch {
    /// Has watched the empty scene for three seconds.
    pub(super) fn new(scene: Scene, knobs: Knobs, fps: f32) -> Self {
        let detector = Detector::new(knobs);
        let mut watch =
            Self { detector, scene, start: Instant::now(), fps, now: 0.0, last: Report::default() };
        assert_eq!(watch.run(3.0, |_, _| ()), [], "an empty scene must be calm from the first picture on");
        watch
    }

    /// Watches for so many seconds; `act` changes the scene before each picture and gets the seconds since this call.
    pub(super) fn run(&mut self, seconds: f32, mut act: impl FnMut(&mut Scene, f32)) -> Vec<Change> {
        let from = self.now;
        let mut changes = Vec::new();
        while self.now < from + seconds - 0.001 {
            act(&mut self.scene, self.now - from);
            let picture = self.scene.picture();
            let at = self.start + Duration::from_secs_f32(self.now);
            self.last = self.detector.look(at, &picture);
            changes.extend(self.last.change);
            self.now += 1.0 / self.fps;
        }
        changes
    }
}
