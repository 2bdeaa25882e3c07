//! One picture of a camera, and the views of it that are made at most once, only when somebody asks.
//!
//! Not here: who asks ([`crate::hub`] hands frames out), and how JPEG works ([`crate::jpeg`]).

use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;

use crate::canvas::Canvas;
use crate::jpeg;
use crate::logic::picture::{Gray, Mark, Rgb};

/// JPEG quality for cameras that send raw pixels (libjpeg's scale of 1 to 100).
const QUALITY: u8 = 80;

/// What the camera sent. Cheap to clone: the bytes are shared.
#[derive(Clone)]
pub enum Raw {
    /// A JPEG, passed on to viewers byte for byte.
    Jpeg(Bytes),
    /// Packed 4:2:2, two bytes a pixel, rows without padding.
    Yuyv(Bytes),
    /// Three bytes a pixel, red, green, blue, rows without padding.
    Rgb(Bytes),
}

/// One picture with its views. Shared as `Arc<Frame>`; never changed.
pub struct Frame {
    /// Number of the frame since the camera thread began, from 1; it never goes back.
    pub seq: u64,
    /// When the camera delivered it.
    pub captured_at: Instant,
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// False for a drawn card (no camera, privacy …), which no detector must look at.
    pub live: bool,
    raw: Raw,
    jpeg: OnceLock<Result<Bytes, jpeg::Error>>,
    gray: OnceLock<Result<Gray, jpeg::Error>>,
    rgb: OnceLock<Result<Rgb, jpeg::Error>>,
    marked: OnceLock<Result<Bytes, jpeg::Error>>,
}

impl Frame {
    /// A picture that a camera took.
    #[must_use]
    pub fn live(seq: u64, captured_at: Instant, width: usize, height: usize, raw: Raw) -> Self {
        let (jpeg, gray, rgb, marked) = (OnceLock::new(), OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { seq, captured_at, width, height, live: true, raw, jpeg, gray, rgb, marked }
    }

    /// A drawn card that takes the place of a picture; `jpeg` is complete.
    #[must_use]
    pub fn card(seq: u64, drawn_at: Instant, width: usize, height: usize, jpeg: Bytes) -> Self {
        Self { live: false, ..Self::live(seq, drawn_at, width, height, Raw::Jpeg(jpeg)) }
    }

    /// The picture as JPEG: the camera's own bytes if it sent JPEG, else encoded once.
    ///
    /// # Errors
    /// When raw data does not fill the size; a camera's own JPEG is not decoded to find out.
    pub fn jpeg(&self) -> Result<&Bytes, jpeg::Error> {
        let encoded = self.jpeg.get_or_init(|| match &self.raw {
            Raw::Jpeg(bytes) => Ok(bytes.clone()),
            Raw::Yuyv(bytes) => jpeg::encode_yuyv(self.width, self.height, bytes, QUALITY),
            Raw::Rgb(bytes) => jpeg::encode_rgb(self.width, self.height, bytes, QUALITY),
        });
        encoded.as_ref().map_err(Clone::clone)
    }

    /// The picture with `marks` drawn on it, as JPEG. All who ask share what the first one's marks made; without marks, and for a
    /// card, it is the picture itself.
    ///
    /// # Errors
    /// When the picture is damaged.
    pub fn marked(&self, marks: &[Mark]) -> Result<&Bytes, jpeg::Error> {
        if marks.is_empty() || !self.live {
            return self.jpeg();
        }
        let drawn = self.marked.get_or_init(|| {
            let rgb = self.rgb()?;
            let mut canvas = Canvas { width: rgb.width, height: rgb.height, pixels: rgb.data.clone() };
            marks.iter().for_each(|mark| canvas.mark(mark));
            jpeg::encode_rgb(canvas.width, canvas.height, &canvas.pixels, QUALITY)
        });
        drawn.as_ref().map_err(Clone::clone)
    }

    /// The small gray picture for motion, reduced by [`jpeg::gray_scale`].
    ///
    /// # Errors
    /// When the picture is damaged.
    pub fn gray(&self) -> Result<&Gray, jpeg::Error> {
        let reduced = self.gray.get_or_init(|| match &self.raw {
            Raw::Jpeg(bytes) => jpeg::decode_gray(bytes),
            Raw::Yuyv(bytes) => reduce(self.width, self.height, bytes, 2, |pixel| u32::from(pixel[0])),
            // Integer form of the luma weights 0.299, 0.587, 0.114 (ITU-R BT.601).
            Raw::Rgb(bytes) => reduce(self.width, self.height, bytes, 3, |pixel| {
                (77 * u32::from(pixel[0]) + 150 * u32::from(pixel[1]) + 29 * u32::from(pixel[2])) >> 8
            }),
        });
        reduced.as_ref().map_err(Clone::clone)
    }

    /// The whole picture in colour, for faces.
    ///
    /// # Errors
    /// When the picture is damaged.
    pub fn rgb(&self) -> Result<&Rgb, jpeg::Error> {
        let decoded = self.rgb.get_or_init(|| match &self.raw {
            Raw::Jpeg(bytes) => jpeg::decode_rgb(bytes),
            Raw::Yuyv(bytes) => Ok(yuyv_to_rgb(self.width, self.height, bytes)),
            Raw::Rgb(bytes) => Ok(Rgb { width: self.width, height: self.height, data: bytes.to_vec() }),
        });
        decoded.as_ref().map_err(Clone::clone)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "frame {} ({} x {})", self.seq, self.width, self.height)
    }
}

/// Averages blocks of the brightness of raw pixels; blocks cut by the right or lower edge are left out.
fn reduce(
    width: usize,
    height: usize,
    data: &[u8],
    bytes_per_pixel: usize,
    luma: impl Fn(&[u8]) -> u32,
) -> Result<Gray, jpeg::Error> {
    if data.len() < width * height * bytes_per_pixel {
        return Err(jpeg::Error::Truncated);
    }
    let scale = jpeg::gray_scale(width);
    let (small_width, small_height) = (width / scale, height / scale);
    let mut small = Vec::with_capacity(small_width * small_height);
    let mut sums = vec![0u32; small_width];
    for rows in data.chunks_exact(width * bytes_per_pixel * scale).take(small_height) {
        sums.fill(0);
        for row in rows.chunks_exact(width * bytes_per_pixel) {
            for (sum, block) in sums.iter_mut().zip(row.chunks_exact(bytes_per_pixel * scale)) {
                *sum += block.chunks_exact(bytes_per_pixel).map(&luma).sum::<u32>();
            }
        }
        small.extend(sums.iter().map(|sum| (sum / (scale * scale) as u32) as u8));
    }
    Ok(Gray { width: small_width, height: small_height, scale, data: small })
}

/// Full-range conversion (JFIF), the one that JPEG uses, so that both kinds of camera give faces alike.
fn yuyv_to_rgb(width: usize, height: usize, yuyv: &[u8]) -> Rgb {
    let mut data = Vec::with_capacity(3 * width * height);
    for pair in yuyv.chunks_exact(4).take(width * height / 2) {
        let (blue, red) = (i32::from(pair[1]) - 128, i32::from(pair[3]) - 128);
        // Fixed-point (16 bits) factors of JFIF: 1.402, 0.344, 0.714, 1.772.
        let (to_red, to_green, to_blue) = (91881 * red, 22554 * blue + 46802 * red, 116_130 * blue);
        for luma in [pair[0], pair[2]] {
            let luma = i32::from(luma) << 16;
            let channel = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
            data.extend([channel(luma + to_red), channel(luma - to_green), channel(luma + to_blue)]);
        }
    }
    data.resize(3 * width * height, 0);
    Rgb { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_made_once_and_a_jpeg_is_passed_on_untouched() {
        let jpeg = jpeg::encode_rgb(64, 48, &[90; 3 * 64 * 48], 90).unwrap();
        let frame = Frame::live(1, Instant::now(), 64, 48, Raw::Jpeg(jpeg.clone()));
        assert_eq!(frame.jpeg().unwrap().as_ptr(), jpeg.as_ptr(), "the bytes must not be copied");
        assert_eq!(frame.gray().unwrap().data.as_ptr(), frame.gray().unwrap().data.as_ptr());
        assert_eq!(frame.rgb().unwrap().data.len(), 3 * 64 * 48);
    }

    #[test]
    fn raw_kinds_agree_on_gray_and_colour() {
        let (width, height) = (640, 480);
        let rgb: Vec<u8> = (0..width * height).flat_map(|at| [(at % width / 3) as u8; 3]).collect();
        let yuyv: Vec<u8> = rgb.chunks_exact(6).flat_map(|two| [two[0], 128, two[3], 128]).collect();
        let from_rgb = Frame::live(1, Instant::now(), width, height, Raw::Rgb(rgb.clone().into()));
        let from_yuyv = Frame::live(1, Instant::now(), width, height, Raw::Yuyv(yuyv.into()));
        assert_eq!(from_rgb.gray().unwrap(), from_yuyv.gray().unwrap());
        assert_eq!(from_yuyv.rgb().unwrap().data, rgb);
        let decoded = jpeg::decode_gray(from_yuyv.jpeg().unwrap()).unwrap();
        let near = decoded.data.iter().zip(&from_rgb.gray().unwrap().data).all(|(a, b)| a.abs_diff(*b) < 8);
        assert!(near, "the encoded picture must look like the raw one");
    }

    #[test]
    fn short_data_is_an_error_not_a_crash() {
        let frame = Frame::live(1, Instant::now(), 640, 480, Raw::Yuyv(Bytes::from_static(&[0; 10])));
        assert!(frame.gray().is_err() && frame.jpeg().is_err());
        assert_eq!(frame.rgb().unwrap().data.len(), 3 * 640 * 480);
    }
}
