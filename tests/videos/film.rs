//! Clips made of photographs: a wall of bricks, people and things cut out and moved in front of it, the noise of a sensor.
//!
//! Each clip is a folder of JPEGs: calm, the action, calm, then a bird along the upper edge as the sign that it is over, and calm again
//! for much longer than anybody watches. All is painted from a seed, so each run sees the same pictures.
//! Not here: which scenes there are and what must follow from them (`main.rs`).

use std::path::{Path, PathBuf};

use doorward::jpeg;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage, Rgba, RgbaImage};

pub(crate) const WIDTH: u32 = 640;
pub(crate) const HEIGHT: u32 = 480;
pub(crate) const FPS: u32 = 8;
/// The scene is learnt in this time.
const CALM_SECS: u32 = 3;
/// Everything happens in this time.
pub(crate) const ACTION_SECS: u32 = 6;
/// Motion ends, the grace of strangers ends, and whoever was there has left, all in this time.
const SETTLE_SECS: u32 = 9;
const BIRD_SECS: u32 = 2;
const TAIL_SECS: u32 = 30;
/// The bird stays above this part of the picture, and nobody else comes there.
pub(crate) const SKY: f64 = 0.15;

/// Paints what is to be seen besides the wall, `0.0` to `1.0` through the action; below and above it is calm.
pub(crate) type Scene = Box<dyn Fn(&mut RgbImage, f32) + Send>;

/// How much light there is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Light {
    Day,
    /// Gray, less than half of the light, and twice the noise.
    Night,
}

/// A file of this repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn photo(path: &str) -> RgbImage {
    image::open(file(path)).unwrap_or_else(|error| panic!("{path}: {error}")).to_rgb8()
}

/// Somebody cut out of a photograph, so many pixels high.
pub(crate) fn cutout(name: &str, height: u32) -> RgbaImage {
    let mask = image::open(file(&format!("assets/demo/{name}-mask.png"))).unwrap().to_luma8();
    let colours = photo(&format!("assets/demo/{name}.jpg"));
    let whole = RgbaImage::from_fn(mask.width(), mask.height(), |x, y| {
        let [red, green, blue] = colours.get_pixel(x, y).0;
        Rgba([red, green, blue, mask.get_pixel(x, y).0[0]])
    });
    scaled(&whole, height)
}

fn scaled(image: &RgbaImage, height: u32) -> RgbaImage {
    imageops::resize(image, image.width() * height / image.height(), height, FilterType::Triangle)
}

/// The same person from behind: hair where the face was.
pub(crate) fn from_behind(mut person: RgbaImage) -> RgbaImage {
    let (width, height) = (person.width() as f32, person.height() as f32);
    let mut dice = Dice(3);
    for (x, y, pixel) in person.enumerate_pixels_mut() {
        let (dx, dy) = ((x as f32 / width - 0.5) / 0.25, (y as f32 / height - 0.34) / 0.26);
        if dx * dx + dy * dy < 1.0 {
            let hair = 24 + (dice.next() % 16) as u8;
            pixel.0 = [hair + 8, hair, hair - 6, pixel.0[3]];
        }
    }
    person
}

/// Moved by so many pixels while the shutter was open.
pub(crate) fn blurred(person: &RgbaImage, pixels: u32) -> RgbaImage {
    let (width, height) = (person.width() + pixels, person.height());
    RgbaImage::from_fn(width, height, |x, y| {
        let mut sums = [0_u32; 4];
        for step in 0..=pixels {
            let Some(from) = x.checked_sub(step).filter(|from| *from < person.width()) else { continue };
            let [red, green, blue, opacity] = person.get_pixel(from, y).0.map(u32::from);
            sums =
                [0, 1, 2, 3].map(|i| sums[i] + [red * opacity, green * opacity, blue * opacity, opacity][i]);
        }
        let colour = |sum: u32| (sum / sums[3].max(1)) as u8;
        Rgba([colour(sums[0]), colour(sums[1]), colour(sums[2]), (sums[3] / (pixels + 1)) as u8])
    })
}

/// A part of a photograph, given in fractions of it, so many pixels wide.
pub(crate) fn part(path: &str, [x, y, width, height]: [f32; 4], pixels: u32) -> RgbaImage {
    let whole = image::open(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (full_width, full_height) = (whole.width() as f32, whole.height() as f32);
    let of = |share: f32, side: f32| (share * side) as u32;
    let cut =
        whole.crop_imm(of(x, full_width), of(y, full_height), of(width, full_width), of(height, full_height));
    let cut = cut.to_rgba8();
    scaled(&cut, cut.height() * pixels / cut.width())
}

/// A rectangle of one colour.
pub(crate) fn plate(width: u32, height: u32, [red, green, blue]: [u8; 3]) -> RgbaImage {
    RgbaImage::from_pixel(width, height, Rgba([red, green, blue, 255]))
}

/// A picture in a wooden frame.
pub(crate) fn framed(picture: &RgbaImage) -> RgbaImage {
    let mut whole = plate(picture.width() + 16, picture.height() + 16, [70, 45, 25]);
    imageops::replace(&mut whole, picture, 8, 8);
    whole
}

/// Lays somebody over the picture; what lies outside of it is cut.
pub(crate) fn lay(canvas: &mut RgbImage, over: &RgbaImage, left: f32, top: f32) {
    let (left, top) = (left.round() as i64, top.round() as i64);
    for (x, y, pixel) in over.enumerate_pixels() {
        let (x, y) = (left + i64::from(x), top + i64::from(y));
        if (0..i64::from(WIDTH)).contains(&x) && (0..i64::from(HEIGHT)).contains(&y) {
            let opacity = u32::from(pixel.0[3]);
            let under = canvas.get_pixel_mut(x as u32, y as u32);
            for (under, over) in under.0.iter_mut().zip(pixel.0) {
                *under =
                    ((u32::from(*under) * (255 - opacity) + u32::from(over) * opacity + 127) / 255) as u8;
            }
        }
    }
}

/// Somebody who walks through the whole picture, to the right or to the left, with a step that lifts the body.
pub(crate) fn walk(canvas: &mut RgbImage, who: &RgbaImage, progress: f32, to_the_right: bool) {
    if !(0.0..=1.0).contains(&progress) {
        return;
    }
    let along = if to_the_right { progress } else { 1.0 - progress };
    let width = who.width() as f32;
    let bob = 4.0 * (progress * 40.0).sin();
    lay(canvas, who, along * (WIDTH as f32 + width) - width, (HEIGHT - who.height()) as f32 + 6.0 + bob);
}

/// Paints a clip into a folder. It stays calm for `wait_secs` longer than usual before the action.
pub(crate) fn shoot(folder: &Path, scene: &Scene, light: Light, wait_secs: u32) {
    std::fs::create_dir_all(folder).unwrap();
    let wall = wall();
    let painted = |name: &str, seconds: f32, bird: Option<f32>, seed: u64| {
        let mut canvas = wall.clone();
        scene(&mut canvas, seconds / ACTION_SECS as f32);
        finish(&mut canvas, light, seed);
        if let Some(progress) = bird {
            fly(&mut canvas, progress);
        }
        let jpeg = jpeg::encode_rgb(WIDTH as usize, HEIGHT as usize, canvas.as_raw(), 85).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, &jpeg).unwrap();
        path
    };
    let mut number = 0;
    let mut name = || {
        number += 1;
        format!("{number:05}.jpg")
    };
    let calm = |name: &mut dyn FnMut() -> String, from: f32, seed: u32| -> Vec<PathBuf> {
        (0..CALM_SECS * FPS)
            .map(|n| painted(&name(), from + n as f32 / FPS as f32, None, (seed + n).into()))
            .collect()
    };
    // The same pictures again: they cost no painting and no room.
    let stay = |name: &mut dyn FnMut() -> String, seconds: u32, calm: &[PathBuf]| {
        for n in 0..seconds * FPS {
            std::fs::hard_link(&calm[n as usize % calm.len()], folder.join(name())).unwrap();
        }
    };
    let before = calm(&mut name, -(CALM_SECS as f32), 0);
    stay(&mut name, wait_secs, &before);
    for n in 0..ACTION_SECS * FPS {
        painted(&name(), n as f32 / FPS as f32, None, 1000 + u64::from(n));
    }
    let after = calm(&mut name, ACTION_SECS as f32 + 0.1, 500);
    stay(&mut name, SETTLE_SECS - CALM_SECS, &after);
    for n in 0..BIRD_SECS * FPS {
        painted(
            &name(),
            ACTION_SECS as f32 + 1.0,
            Some(n as f32 / (BIRD_SECS * FPS) as f32),
            2000 + u64::from(n),
        );
    }
    stay(&mut name, TAIL_SECS, &after);
}

fn wall() -> RgbImage {
    let brick = photo("assets/demo/brick.jpg");
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let [red, green, blue] = brick.get_pixel(x % brick.width(), y % brick.height()).0;
        Rgb([red / 2 + 50, green / 2 + 40, blue / 2 + 34])
    })
}

fn fly(canvas: &mut RgbImage, progress: f32) {
    let mut bird = RgbaImage::from_pixel(120, 50, Rgba([15, 15, 20, 255]));
    for (x, y, pixel) in bird.enumerate_pixels_mut() {
        if (x / 10 + y / 10) % 2 == 0 {
            pixel.0 = [220, 215, 200, 255];
        }
    }
    lay(canvas, &bird, progress * (WIDTH as f32 - 120.0), 8.0);
}

fn finish(canvas: &mut RgbImage, light: Light, seed: u64) {
    let mut dice = Dice(seed);
    for pixel in canvas.pixels_mut() {
        let bits = dice.next();
        // The sum of two dice has a peak in the middle, as a sensor's noise has.
        let noise = (bits % 5) as i16 + (bits >> 8) as i16 % 5 - 4;
        pixel.0 = match light {
            Light::Day => pixel.0.map(|value| (i16::from(value) + noise).clamp(0, 255) as u8),
            Light::Night => {
                let [red, green, blue] = pixel.0.map(u32::from);
                let gray = ((299 * red + 587 * green + 114 * blue) * 9 / 20_000) as i16;
                [(gray + 2 * noise).clamp(0, 255) as u8; 3]
            }
        };
    }
}

/// Pseudo-random numbers (xorshift, Marsaglia 2003): the same seed, the same numbers.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u32 {
        // A seed of 0 would stay 0.
        let mut bits = self.0 ^ 0x9e37_79b9_7f4a_7c15;
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        self.0 = bits ^ 0x9e37_79b9_7f4a_7c15;
        (bits >> 24) as u32
    }
}
