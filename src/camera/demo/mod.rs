//! The built-in scene: a camera for those who have none, and for tests, with real faces in real pixels.
//!
//! Nothing here tells anybody what is to be seen: motion and faces must be found in the pictures, as with any camera.
//! [`scene`] says what happens when, `paint` makes the pixels. The photographs lie in `assets/demo` (their origin is in
//! `docs/third-party.md`) and are part of the program.

use std::time::Instant;

use super::{Fault, Pace, Picture, Source, Wish, interval_of};
use crate::frame::Raw;
use crate::jpeg;
use crate::logic::picture::{Gray, Rgb};
use crate::logic::problem::Problem;
use crate::logic::state::Opened;

mod garden;
mod paint;
pub mod scene;

/// As most webcams have it.
const QUALITY: u8 = 80;
/// Sizes outside of this are brought into it.
const WIDTHS: std::ops::RangeInclusive<usize> = 160..=1920;
const HEIGHTS: std::ops::RangeInclusive<usize> = 120..=1080;

/// The person that the house knows: name and photographs to learn the face from. None of them is the one in the scene.
#[must_use]
pub fn faces() -> Vec<(&'static str, Vec<&'static [u8]>)> {
    let photos: Vec<&[u8]> = vec![
        include_bytes!("../../../assets/demo/known-1.jpg"),
        include_bytes!("../../../assets/demo/known-2.jpg"),
    ];
    vec![("Barack", photos)]
}

/// The scene, being played from its beginning.
pub struct Demo {
    painter: paint::Painter,
    seed: u64,
    speed: f32,
    started: Instant,
    pace: Pace,
    opened: Opened,
}

impl Demo {
    /// Paints the garden and cuts the people out; takes some tens of milliseconds.
    ///
    /// # Errors
    /// Only if a photograph in the program were damaged.
    pub fn new(seed: u64, speed: f32, wish: Wish) -> Result<Self, Problem> {
        let (width, height) = wish.size();
        let width = width.clamp(*WIDTHS.start(), *WIDTHS.end()) & !1;
        let height = height.clamp(*HEIGHTS.start(), *HEIGHTS.end()) & !1;
        let broken =
            |detail: &str| Problem::CameraFailed { detail: format!("The demo scene is damaged: {detail}") };
        let photo = |jpeg: &[u8]| jpeg::decode_rgb(jpeg).map_err(|error| broken(&error.to_string()));
        let path = brightness(&photo(include_bytes!("../../../assets/demo/brick.jpg"))?);
        let cut = |jpeg: &[u8], opacity: &[u8]| {
            let opacity = read_gray(opacity).map_err(|error| broken(&error.to_string()))?;
            paint::Cutout::new(&photo(jpeg)?, &opacity).ok_or_else(|| broken("a cutout has two sizes"))
        };
        let known = cut(
            include_bytes!("../../../assets/demo/walker-known.jpg"),
            include_bytes!("../../../assets/demo/walker-known-mask.png"),
        )?;
        let stranger = cut(
            include_bytes!("../../../assets/demo/walker-stranger.jpg"),
            include_bytes!("../../../assets/demo/walker-stranger-mask.png"),
        )?;
        let painter = paint::Painter::new(&garden::paint(width, height, &path), known, stranger, seed);
        let (format, description) = ("JPEG".to_owned(), format!("Demo scene (seed {seed}, speed {speed})"));
        let opened = Opened { width, height, format, description };
        Ok(Self {
            painter,
            seed,
            speed,
            started: Instant::now(),
            pace: Pace::new(interval_of(wish.fps)),
            opened,
        })
    }

    /// The picture `seconds` after the start of the scene, as a JPEG.
    ///
    /// # Errors
    /// If libjpeg-turbo fails, for want of memory.
    pub fn picture(&mut self, seconds: f64) -> Result<bytes::Bytes, jpeg::Error> {
        self.painter.paint(scene::at(self.seed, seconds), QUALITY)
    }
}

impl Source for Demo {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    fn next(&mut self, until: Instant) -> Result<Picture, Fault> {
        if !self.pace.wait(until) {
            return Err(Fault::Quiet);
        }
        let captured_at = Instant::now();
        let seconds = captured_at.duration_since(self.started).as_secs_f64() * f64::from(self.speed);
        let failed = |error: jpeg::Error| Fault::Lost(Problem::CameraFailed { detail: error.to_string() });
        let raw = Raw::Jpeg(self.picture(seconds).map_err(failed)?);
        Ok(Picture {
            raw,
            width: self.opened.width,
            height: self.opened.height,
            captured_at,
            overtaken: 0,
            lost: 0,
        })
    }

    fn set_fps(&mut self, fps: f64) -> bool {
        self.pace.set_interval(interval_of(fps));
        true
    }
}

fn brightness(photo: &Rgb) -> Gray {
    let data = photo.data.chunks_exact(3).map(|pixel| pixel[1]).collect();
    Gray { width: photo.width, height: photo.height, scale: 1, data }
}

fn read_gray(png: &[u8]) -> Result<Gray, image::ImageError> {
    let read = image::load_from_memory_with_format(png, image::ImageFormat::Png)?.into_luma8();
    Ok(Gray { width: read.width() as usize, height: read.height() as usize, scale: 1, data: read.into_raw() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(width: usize, height: usize) -> Demo {
        Demo::new(1, 1.0, Wish { width: Some(width), height: Some(height), fps: 15.0 }).unwrap()
    }

    #[test]
    fn pictures_have_the_wished_size_within_bounds() {
        for (wished, got) in [((640, 480), (640, 480)), ((1281, 721), (1280, 720)), ((1, 9999), (160, 1080))]
        {
            let picture = demo(wished.0, wished.1).picture(0.0).unwrap();
            assert_eq!(jpeg::check(&picture).unwrap(), got);
        }
    }

    #[test]
    fn the_scene_shows_what_the_schedule_says() {
        let mut demo = demo(640, 360);
        let mut gray = |seconds: f64| jpeg::decode_gray(&demo.picture(seconds).unwrap()).unwrap().data;
        let empty = gray(0.0);
        let differing = |other: &[u8]| {
            let many = empty.iter().zip(other).filter(|(a, b)| a.abs_diff(**b) > 24).count();
            many as f32 / empty.len() as f32
        };
        for (start, end, what) in scene::schedule(1) {
            let part = differing(&gray((start + end) / 2.0));
            let expected = match what {
                scene::What::Empty => 0.0..0.005,
                scene::What::Known | scene::What::Stranger => 0.08..0.35,
                scene::What::Dark => 0.9..1.01,
            };
            assert!(expected.contains(&part), "{what:?}: {part}");
        }
    }

    #[test]
    fn the_photographs_to_learn_from_are_small_pictures() {
        for (name, photos) in faces() {
            assert!(!name.is_empty() && photos.len() >= 2);
            assert!(photos.iter().all(|photo| jpeg::check(photo).is_ok() && photo.len() < 100_000));
        }
    }
}
