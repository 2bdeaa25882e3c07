//! Pictures made of pictures: a face as a camera might see it, and pictures that hold no upright face.
//!
//! Not here: what is measured on them (see `variants`).

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::jpeg;
use crate::logic::faces::{Face, PixelRect};

/// Width of a made picture in pixels: the usual camera.
pub(super) const WIDTH: u32 = 1280;
/// Height of a made picture in pixels.
pub(super) const HEIGHT: u32 = 720;
const GRAY: u8 = 96;
/// Width of the face in the variants that change something else.
const USUAL: u32 = 80;

/// What is changed of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The face is so many pixels wide.
    Width(u32),
    /// No colour, as by infrared light.
    Gray,
    /// Strong compression: JPEG of this quality.
    Jpeg(u8),
    /// Blurred along a line of so many pixels, as by motion.
    Blur(u32),
    /// The head is tilted by so many degrees.
    Roll(u32),
}

impl Change {
    /// Every change that is measured.
    pub(super) const ALL: [Change; 10] = [
        Change::Width(112),
        Change::Width(80),
        Change::Width(64),
        Change::Width(48),
        Change::Width(40),
        Change::Width(32),
        Change::Gray,
        Change::Jpeg(30),
        Change::Blur(5),
        Change::Roll(15),
    ];

    /// For the table.
    pub(super) fn name(self) -> String {
        match self {
            Change::Width(width) => format!("{width} px wide"),
            Change::Gray => format!("{USUAL} px gray"),
            Change::Jpeg(quality) => format!("{USUAL} px JPEG {quality}"),
            Change::Blur(length) => format!("{USUAL} px blur {length}"),
            Change::Roll(degrees) => format!("{USUAL} px roll {degrees}"),
        }
    }
}

/// The face in the middle of a gray picture, changed, and where it is; `None` when that would enlarge it.
pub(super) fn frame(photo: &RgbImage, face: &Face, change: Change) -> Option<(RgbImage, PixelRect)> {
    let width = match change {
        Change::Width(width) => width,
        Change::Gray | Change::Jpeg(_) | Change::Blur(_) | Change::Roll(_) => USUAL,
    };
    let ratio = width as f32 / face.rect.width;
    if ratio > 1.0 {
        return None;
    }
    let fit = |side: u32| ((side as f32 * ratio).round() as u32).max(1);
    let small = imageops::resize(photo, fit(photo.width()), fit(photo.height()), FilterType::Triangle);
    let [x, y] = face.rect.centre().map(|v| v * ratio);
    let (left, top) = (WIDTH as f32 / 2.0 - x, HEIGHT as f32 / 2.0 - y);
    let mut frame = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([GRAY; 3]));
    imageops::replace(&mut frame, &small, left.round() as i64, top.round() as i64);
    let (w, h) = (face.rect.width * ratio, face.rect.height * ratio);
    let place = PixelRect { x: (WIDTH as f32 - w) / 2.0, y: (HEIGHT as f32 - h) / 2.0, width: w, height: h };
    let changed = match change {
        Change::Width(_) => frame,
        Change::Gray => map(&frame, |frame, x, y| {
            let [red, green, blue] = frame.get_pixel(x, y).0.map(f32::from);
            [(0.299 * red + 0.587 * green + 0.114 * blue) as u8; 3]
        }),
        Change::Jpeg(quality) => compressed(&frame, quality)?,
        Change::Blur(length) => map(&frame, |frame, x, y| {
            let from = x.saturating_sub(length / 2).min(WIDTH - length);
            let sum = |channel: usize| {
                (from..from + length).map(|x| u32::from(frame.get_pixel(x, y).0[channel])).sum::<u32>()
            };
            [0, 1, 2].map(|channel| (sum(channel) / length) as u8)
        }),
        Change::Roll(degrees) => turned(&frame, degrees as f32),
    };
    Some((changed, place))
}

fn map(frame: &RgbImage, pixel: impl Fn(&RgbImage, u32, u32) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(frame.width(), frame.height(), |x, y| Rgb(pixel(frame, x, y)))
}

fn compressed(frame: &RgbImage, quality: u8) -> Option<RgbImage> {
    let (width, height) = frame.dimensions();
    let bytes = jpeg::encode_rgb(width as usize, height as usize, frame.as_raw(), quality).ok()?;
    RgbImage::from_raw(width, height, jpeg::decode_rgb(&bytes).ok()?.data)
}

/// Turned around the middle, where the face is.
fn turned(frame: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = (WIDTH as f32 / 2.0, HEIGHT as f32 / 2.0);
    map(frame, |frame, x, y| {
        let (dx, dy) = (x as f32 - middle_x, y as f32 - middle_y);
        let (u, v) = (cos * dx + sin * dy + middle_x, cos * dy - sin * dx + middle_y);
        imageops::interpolate_bilinear(frame, u, v).map_or([GRAY; 3], |pixel| pixel.0)
    })
}

/// The middle of the picture cut into tiles a third of a face wide, in another order: eyes and mouths, and no face.
pub(super) fn in_pieces(frame: &RgbImage) -> RgbImage {
    const TILE: u32 = 37;
    const SIDE: u32 = 6;
    let (left, top) = ((WIDTH - SIDE * TILE) / 2, (HEIGHT - SIDE * TILE) / 2);
    let mut mixed = frame.clone();
    for at in 0..SIDE * SIDE {
        // 7 and 36 have no common divisor, so every tile is used once.
        let from = (at * 7 + 5) % (SIDE * SIDE);
        let place = |at: u32| (left + at % SIDE * TILE, top + at / SIDE * TILE);
        let ((x, y), (to_x, to_y)) = (place(from), place(at));
        let tile = imageops::crop_imm(frame, x, y, TILE, TILE).to_image();
        imageops::replace(&mut mixed, &tile, i64::from(to_x), i64::from(to_y));
    }
    mixed
}

/// A picture without a face in fourteen views: as it is, turned, half as large, its quarters, and those doubled.
pub(super) fn views(picture: &RgbImage) -> Vec<RgbImage> {
    let (width, height) = picture.dimensions();
    let (half_width, half_height) = ((width / 2).max(1), (height / 2).max(1));
    let mut views = vec![
        picture.clone(),
        imageops::rotate90(picture),
        imageops::rotate180(picture),
        imageops::rotate270(picture),
        imageops::resize(picture, half_width, half_height, FilterType::Triangle),
        imageops::resize(picture, half_width.div_ceil(2), half_height.div_ceil(2), FilterType::Triangle),
    ];
    for (x, y) in [
        (0, 0),
        (width - half_width, 0),
        (0, height - half_height),
        (width - half_width, height - half_height),
    ] {
        let quarter = imageops::crop_imm(picture, x, y, half_width, half_height).to_image();
        views.push(imageops::resize(&quarter, 2 * half_width, 2 * half_height, FilterType::Triangle));
        views.push(quarter);
    }
    views
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo() -> (RgbImage, Face) {
        let photo = RgbImage::from_fn(400, 400, |x, y| Rgb([(x / 2) as u8, (y / 2) as u8, 40]));
        let rect = PixelRect { x: 100.0, y: 100.0, width: 160.0, height: 200.0 };
        (photo, Face { rect, score: 0.9, points: [[0.0, 0.0]; 5] })
    }

    #[test]
    fn every_change_keeps_the_face_in_the_middle() {
        let (photo, face) = photo();
        for change in Change::ALL {
            let (frame, place) = frame(&photo, &face, change).unwrap();
            assert_eq!(frame.dimensions(), (WIDTH, HEIGHT));
            assert_eq!(place.centre(), [WIDTH as f32 / 2.0, HEIGHT as f32 / 2.0]);
            // The middle of the face is at (180, 200) of the photograph: red 90, green 100.
            let [red, green, blue] = frame.get_pixel(WIDTH / 2, HEIGHT / 2).0.map(i32::from);
            match change {
                Change::Gray => assert_eq!((red, green), (green, blue)),
                _ => assert!((red - 90).abs() < 5 && (green - 100).abs() < 5, "{change:?} {red} {green}"),
            }
        }
        assert!(
            frame(&photo, &Face { rect: PixelRect { width: 20.0, ..face.rect }, ..face }, Change::Gray)
                .is_none()
        );
    }

    #[test]
    fn pieces_are_the_same_pixels_elsewhere() {
        let (photo, face) = photo();
        let (frame, _) = frame(&photo, &face, Change::Width(112)).unwrap();
        let mixed = in_pieces(&frame);
        let sum = |picture: &RgbImage| picture.as_raw().iter().map(|v| u64::from(*v)).sum::<u64>();
        assert_ne!(frame, mixed);
        assert_eq!(sum(&frame), sum(&mixed));
        assert_eq!(views(&photo).len(), 14);
    }
}
