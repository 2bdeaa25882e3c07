//! Small pictures: the thumbnail of an event, and the strip of a day.
//!
//! Not here: which events belong on a strip.

use bytes::Bytes;
use image::RgbImage;
use image::imageops::{FilterType, overlay, resize, thumbnail};

use crate::font;
use crate::jpeg;

/// Pixels a row of a thumbnail, at most.
const THUMB_WIDTH: u32 = 320;
const THUMB_QUALITY: u8 = 70;
const STRIP_QUALITY: u8 = 75;
/// Pictures on a strip, at most.
pub(super) const ON_A_STRIP: usize = 48;
const IN_A_ROW: usize = 8;
/// Width and height of a picture on a strip.
const CELL: (u32, u32) = (160, 90);
/// Pixels a dot of the letters.
const DOT: u32 = 2;

/// The picture at a width of at most 320 pixels.
///
/// # Errors
/// When it is no picture.
pub(super) fn thumb(picture: &[u8]) -> Result<Bytes, jpeg::Error> {
    let whole = decoded(picture)?;
    let (width, height) = whole.dimensions();
    if width <= THUMB_WIDTH {
        return encoded(&whole, THUMB_QUALITY);
    }
    let lower = (height * THUMB_WIDTH).div_ceil(width).max(jpeg::MIN_SIDE as u32);
    encoded(&thumbnail(&whole, THUMB_WIDTH, lower), THUMB_QUALITY)
}

/// The pictures of a day beside each other, each with its time; a picture that cannot be read stays dark.
///
/// # Errors
/// When it cannot be encoded.
pub(super) fn strip(thumbs: &[(String, Option<Vec<u8>>)]) -> Result<Bytes, jpeg::Error> {
    if thumbs.is_empty() {
        let mut card = blank(1, 1);
        let left = (CELL.0 - width_of("no events")) / 2;
        write(&mut card, left, (CELL.1 - 9 * DOT) / 2, "no events");
        return encoded(&card, STRIP_QUALITY);
    }
    let columns = thumbs.len().min(IN_A_ROW) as u32;
    let mut sheet = blank(columns, thumbs.len().div_ceil(IN_A_ROW) as u32);
    for (at, (time, thumb)) in thumbs.iter().take(ON_A_STRIP).enumerate() {
        let (left, top) = ((at % IN_A_ROW) as u32 * CELL.0, (at / IN_A_ROW) as u32 * CELL.1);
        if let Some(picture) = thumb.as_deref().and_then(|thumb| decoded(thumb).ok()) {
            let (width, height) = fitted(picture.dimensions());
            let small = resize(&picture, width, height, FilterType::Triangle);
            let (left, top) = (left + (CELL.0 - width) / 2, top + (CELL.1 - height) / 2);
            overlay(&mut sheet, &small, left.into(), top.into());
        }
        write(&mut sheet, left + 4, top + CELL.1 - 9 * DOT, time);
    }
    encoded(&sheet, STRIP_QUALITY)
}

/// The largest size of the same shape that fits into a cell.
fn fitted((width, height): (u32, u32)) -> (u32, u32) {
    if width * CELL.1 >= height * CELL.0 {
        (CELL.0, (height * CELL.0 / width).max(1))
    } else {
        ((width * CELL.1 / height).max(1), CELL.1)
    }
}

fn blank(columns: u32, rows: u32) -> RgbImage {
    RgbImage::from_pixel(columns * CELL.0, rows * CELL.1, image::Rgb([27, 33, 43]))
}

fn width_of(text: &str) -> u32 {
    text.chars().count() as u32 * font::ADVANCE as u32 * DOT
}

/// White letters with a dark rim, which can be read on any picture.
fn write(sheet: &mut RgbImage, left: u32, top: u32, text: &str) {
    let dot = DOT as f32;
    for (place, letter) in text.chars().enumerate() {
        let left = left + place as u32 * font::ADVANCE as u32 * DOT;
        let ink = |x: i32, y: i32| font::ink(letter, (x as f32 + 0.5) / dot, (y as f32 + 0.5) / dot, dot);
        for y in 0..(font::ROWS as u32 * DOT) as i32 {
            for x in -1..(font::ADVANCE as u32 * DOT) as i32 {
                let around = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)];
                let rim = around.into_iter().map(|(dx, dy)| ink(x + dx, y + dy)).fold(0.0, f32::max);
                let (x_on, y_on) = (left.saturating_add_signed(x), top + y as u32);
                if let Some(pixel) = sheet.get_pixel_mut_checked(x_on, y_on) {
                    for channel in &mut pixel.0 {
                        let dark = f32::from(*channel) * (1.0 - rim);
                        *channel = (dark + (255.0 - dark) * ink(x, y)) as u8;
                    }
                }
            }
        }
    }
}

fn decoded(picture: &[u8]) -> Result<RgbImage, jpeg::Error> {
    let rgb = jpeg::decode_rgb(picture)?;
    RgbImage::from_raw(rgb.width as u32, rgb.height as u32, rgb.data).ok_or(jpeg::Error::Truncated)
}

fn encoded(picture: &RgbImage, quality: u8) -> Result<Bytes, jpeg::Error> {
    jpeg::encode_rgb(picture.width() as usize, picture.height() as usize, picture.as_raw(), quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(width: usize, height: usize, gray: u8) -> Bytes {
        jpeg::encode_rgb(width, height, &vec![gray; 3 * width * height], 90).unwrap()
    }

    #[test]
    fn thumbnails_keep_the_shape_and_small_pictures_their_size() {
        for (size, small) in [
            ((1280, 720), (320, 180)),
            ((100, 80), (100, 80)),
            ((720, 1280), (320, 569)),
            ((2000, 20), (320, 16)),
        ] {
            let thumb = thumb(&flat(size.0, size.1, 99)).unwrap();
            assert_eq!(jpeg::check(&thumb).unwrap(), small, "{size:?}");
        }
        assert!(thumb(b"no picture").is_err());
    }

    #[test]
    fn a_strip_has_eight_a_row_and_shows_the_time() {
        for (count, size) in
            [(0, (160, 90)), (1, (160, 90)), (8, (1280, 90)), (9, (1280, 180)), (48, (1280, 540))]
        {
            let thumbs = vec![("12:34".to_owned(), Some(flat(320, 180, 128).to_vec())); count];
            assert_eq!(jpeg::check(&strip(&thumbs).unwrap()).unwrap(), size, "{count}");
        }
        let cell = |time: &str| strip(&[(time.to_owned(), Some(flat(320, 180, 128).to_vec()))]).unwrap();
        let bright =
            jpeg::decode_rgb(&cell("12:34")).unwrap().data.iter().filter(|value| **value > 200).count();
        assert!(bright > 300, "{bright} bright values are no text");
        assert_ne!(cell("12:34"), cell("12:35"));
        // A picture that is gone leaves its place and its time.
        assert!(strip(&[("01:00".into(), None), ("02:00".into(), Some(b"?".to_vec()))]).is_ok());
        for shape in [(1000, 20), (20, 1000), (160, 90)] {
            let (width, height) = fitted(shape);
            assert!(
                width <= CELL.0 && height <= CELL.1 && (width == CELL.0 || height == CELL.1),
                "{shape:?}"
            );
        }
    }
}
