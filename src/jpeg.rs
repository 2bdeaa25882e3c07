//! JPEG in and out, through libjpeg-turbo: scaled gray decode for motion, full decode for faces, encode for raw cameras.
//!
//! Not here: when to do any of it; a [`crate::frame::Frame`] does it at most once, only when asked.

use bytes::Bytes;
use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp, YuvImage};

use crate::logic::picture::{Gray, Rgb};

/// No camera we know sends more; a header that claims more is damaged, and believing it would allocate gigabytes.
pub const MAX_SIDE: usize = 8192;
/// Smaller pictures hold nothing to detect.
pub const MIN_SIDE: usize = 16;
/// Gray pictures are made at the smallest reduction that is at most this wide: quick, yet a child at the gate still covers several pixels.
const GRAY_WIDTH: usize = 320;

/// Why a picture could not be read or made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes do not begin or do not end as a JPEG does.
    #[error("the picture is cut short")]
    Truncated,
    /// The size is one that no camera has.
    #[error(
        "the picture is {0} x {1} pixels; {MIN_SIDE} x {MIN_SIDE} to {MAX_SIDE} x {MAX_SIDE} are accepted"
    )]
    Size(usize, usize),
    /// libjpeg-turbo cannot read it.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
}

impl From<turbojpeg::Error> for Error {
    fn from(error: turbojpeg::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Looks at a JPEG without decoding it: markers from start to end, size in pixels. Costs microseconds.
///
/// Damage that makes no stray marker can be found only by decoding.
///
/// # Errors
/// When a marker is missing or out of place, or the size is absurd; padding after the end marker is fine.
pub fn check(jpeg: &[u8]) -> Result<(usize, usize), Error> {
    if !jpeg.starts_with(&[0xff, 0xd8]) {
        return Err(Error::Damaged("it does not begin with a JPEG start marker".into()));
    }
    walk(jpeg)?;
    let header = Decompressor::new()?.read_header(jpeg)?;
    checked_size(header.width, header.height)
}

/// Goes from marker to marker up to the end marker (ITU-T T.81, annex B). What follows that is the camera's padding.
fn walk(jpeg: &[u8]) -> Result<(), Error> {
    let mut at = 2;
    loop {
        let marker = match jpeg.get(at..at + 2) {
            None => return Err(Error::Truncated),
            Some([0xff, 0xff]) => {
                // A fill byte.
                at += 1;
                continue;
            }
            Some([0xff, marker]) => *marker,
            Some(_) => return Err(Error::Damaged("a marker is missing".into())),
        };
        match marker {
            0xd9 => return Ok(()),
            0x01 | 0xd0..=0xd7 => at += 2,
            // Tables, frame headers, scans, comments and what applications add; the rest is reserved or out of place.
            0xc0..=0xcf | 0xda..=0xdf | 0xe0..=0xef | 0xfe => {
                let Some([high, low]) = jpeg.get(at + 2..at + 4) else { return Err(Error::Truncated) };
                at += 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2);
            }
            _ => return Err(Error::Damaged(format!("it has a stray marker {marker:#04x}"))),
        }
        if marker == 0xda {
            at += scan_length(jpeg.get(at..).unwrap_or_default());
        }
    }
}

/// Bytes up to the next marker that is not part of the scan; stuffed bytes and restart markers are.
fn scan_length(scan: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = find_ff(&scan[at..]) {
        at += found;
        match scan.get(at + 1) {
            Some(0x00 | 0xd0..=0xd7) => at += 2,
            Some(_) | None => return at,
        }
    }
    scan.len()
}

/// `contains` on short pieces is several times as quick as looking at each byte.
fn find_ff(bytes: &[u8]) -> Option<usize> {
    const PIECE: usize = 64;
    let (number, piece) = bytes.chunks(PIECE).enumerate().find(|(_, piece)| piece.contains(&0xff))?;
    piece.iter().position(|byte| *byte == 0xff).map(|at| number * PIECE + at)
}

fn checked_size(width: usize, height: usize) -> Result<(usize, usize), Error> {
    let fits = |side| (MIN_SIDE..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok((width, height)) } else { Err(Error::Size(width, height)) }
}

/// The whole factor (1, 2, 4 or 8) by which gray pictures of a camera of this width are reduced.
#[must_use]
pub fn gray_scale(width: usize) -> usize {
    [1, 2, 4].into_iter().find(|scale| width.div_ceil(*scale) <= GRAY_WIDTH).unwrap_or(8)
}

/// Decodes only the brightness, reduced by [`gray_scale`]: the cheapest look at a JPEG there is.
///
/// # Errors
/// When the picture is damaged or truncated.
pub fn decode_gray(jpeg: &[u8]) -> Result<Gray, Error> {
    let mut decoder = Decompressor::new()?;
    let header = decoder.read_header(jpeg)?;
    let (full_width, full_height) = checked_size(header.width, header.height)?;
    let scale = gray_scale(full_width);
    let factor = ScalingFactor::new(1, scale);
    decoder.set_scaling_factor(factor)?;
    let (width, height) = (factor.scale(full_width), factor.scale(full_height));
    let mut data = vec![0; width * height];
    let target = Image { pixels: &mut data[..], width, pitch: width, height, format: PixelFormat::GRAY };
    decoder.decompress(jpeg, target)?;
    Ok(Gray { width, height, scale, data })
}

/// Decodes the whole picture in colour.
///
/// # Errors
/// When the picture is damaged or truncated.
pub fn decode_rgb(jpeg: &[u8]) -> Result<Rgb, Error> {
    let mut decoder = Decompressor::new()?;
    let header = decoder.read_header(jpeg)?;
    let (width, height) = checked_size(header.width, header.height)?;
    let mut data = vec![0; 3 * width * height];
    let target = Image { pixels: &mut data[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    decoder.decompress(jpeg, target)?;
    Ok(Rgb { width, height, data })
}

/// Planar 4:2:0 in JPEG's full range: all of the brightness, then the blue and the red difference at half the size. Both sides are even.
#[derive(Clone, Debug)]
pub struct I420 {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The three planes without padding.
    pub planes: Vec<u8>,
}

/// Decodes to planar 4:2:0 without a detour over RGB, for video encoders; an odd side loses its last row or column.
///
/// # Errors
/// When the picture is damaged or truncated, or stores its colours in a way that no camera does.
pub fn decode_i420(jpeg: &[u8]) -> Result<I420, Error> {
    let mut decoder = Decompressor::new()?;
    let header = decoder.read_header(jpeg)?;
    let (full_width, full_height) = checked_size(header.width, header.height)?;
    // Pixels of brightness for one of colour, across and down; none for gray.
    let (across, down) = match header.subsamp {
        Subsamp::None => (1, 1),
        Subsamp::Sub2x1 => (2, 1),
        Subsamp::Sub2x2 => (2, 2),
        Subsamp::Sub1x2 => (1, 2),
        Subsamp::Sub4x1 => (4, 1),
        Subsamp::Sub1x4 => (1, 4),
        Subsamp::Gray => (0, 0),
        // The enum may grow, and this one is for what the library does not know itself.
        _ => return Err(Error::Damaged("it stores colours in an unusual way".into())),
    };
    let luma_width = full_width.next_multiple_of(across.max(1));
    let luma_height = full_height.next_multiple_of(down.max(1));
    let (chroma_width, chroma_height) =
        (luma_width.checked_div(across).unwrap_or(0), luma_height.checked_div(down).unwrap_or(0));
    let mut planes = vec![0; luma_width * luma_height + 2 * chroma_width * chroma_height];
    let (subsamp, pixels) = (header.subsamp, &mut planes[..]);
    decoder.decompress_to_yuv(
        jpeg,
        YuvImage { pixels, width: full_width, align: 1, height: full_height, subsamp },
    )?;
    let (width, height) = (full_width & !1, full_height & !1);
    if (across, down, width, height) == (2, 2, full_width, full_height) {
        return Ok(I420 { width, height, planes });
    }
    let (luma, chroma) = planes.split_at(luma_width * luma_height);
    let mut even = Vec::with_capacity(width * height * 3 / 2);
    luma.chunks_exact(luma_width).take(height).for_each(|row| even.extend(&row[..width]));
    if across == 0 {
        even.resize(width * height * 3 / 2, 128);
        return Ok(I420 { width, height, planes: even });
    }
    for plane in chroma.chunks_exact(chroma_width * chroma_height) {
        for y in (0..height).step_by(2) {
            let row = |y: usize| &plane[y / down * chroma_width..][..chroma_width];
            halve(row(y), row(y + 1), across, width / 2, &mut even);
        }
    }
    Ok(I420 { width, height, planes: even })
}

/// Averages two rows of colour down to one of 4:2:0; `across` as in [`decode_i420`].
fn halve(upper: &[u8], lower: &[u8], across: usize, width: usize, to: &mut Vec<u8>) {
    if across == 2 {
        // What nearly every USB camera sends.
        to.extend(upper.iter().zip(lower).take(width).map(|(a, b)| a.midpoint(*b)));
        return;
    }
    to.extend((0..width).map(|x| {
        let (left, right) = (2 * x / across, (2 * x + 1) / across);
        let sum: u16 = [upper[left], upper[right], lower[left], lower[right]].map(u16::from).iter().sum();
        (sum / 4) as u8
    }));
}

/// Encodes a colour picture. `quality` is libjpeg's 1 to 100.
///
/// # Errors
/// When the data is shorter than the size says.
pub fn encode_rgb(width: usize, height: usize, rgb: &[u8], quality: u8) -> Result<Bytes, Error> {
    if rgb.len() < 3 * width * height {
        return Err(Error::Truncated);
    }
    let mut encoder = encoder(quality)?;
    encoder.set_subsamp(Subsamp::Sub2x2)?;
    let source = Image { pixels: rgb, width, pitch: 3 * width, height, format: PixelFormat::RGB };
    Ok(encoder.compress_to_vec(source)?.into())
}

/// Encodes planar 4:2:0: all of the brightness, then the blue and the red difference at half the size, JPEG's full range.
///
/// # Errors
/// When the data is shorter than the size says, or a side is odd.
pub fn encode_i420(width: usize, height: usize, planes: &[u8], quality: u8) -> Result<Bytes, Error> {
    if !width.is_multiple_of(2) || !height.is_multiple_of(2) || planes.len() < width * height * 3 / 2 {
        return Err(Error::Truncated);
    }
    let source = YuvImage { pixels: planes, width, align: 1, height, subsamp: Subsamp::Sub2x2 };
    Ok(encoder(quality)?.compress_yuv_to_vec(source)?.into())
}

/// Encodes packed 4:2:2 (YUYV) without a detour over RGB: the planes are taken apart and compressed as they are.
///
/// # Errors
/// When the data is shorter than the size says, or the width is odd.
pub fn encode_yuyv(width: usize, height: usize, yuyv: &[u8], quality: u8) -> Result<Bytes, Error> {
    if !width.is_multiple_of(2) || yuyv.len() < 2 * width * height {
        return Err(Error::Truncated);
    }
    let pixels = width * height;
    let mut planes = vec![0; 2 * pixels];
    let (luma, chroma) = planes.split_at_mut(pixels);
    let (blue, red) = chroma.split_at_mut(pixels / 2);
    let pairs = yuyv.chunks_exact(4).zip(luma.chunks_exact_mut(2)).zip(blue.iter_mut().zip(red));
    for ((packed, luma), (blue, red)) in pairs {
        (luma[0], *blue, luma[1], *red) = (packed[0], packed[1], packed[2], packed[3]);
    }
    let source = YuvImage { pixels: &planes[..], width, align: 1, height, subsamp: Subsamp::Sub2x1 };
    Ok(encoder(quality)?.compress_yuv_to_vec(source)?.into())
}

fn encoder(quality: u8) -> Result<Compressor, Error> {
    let mut encoder = Compressor::new()?;
    encoder.set_quality(i32::from(quality.clamp(1, 100)))?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with structure, so that scaled decodes can be told apart.
    fn gradient(width: usize, height: usize) -> Vec<u8> {
        (0..width * height).flat_map(|at| [(at % width * 255 / width) as u8; 3]).collect()
    }

    #[test]
    fn gray_is_the_right_size_and_brightness() {
        for (width, height, scale) in
            [(320, 240, 1), (640, 480, 2), (1280, 720, 4), (1920, 1080, 8), (645, 481, 4)]
        {
            let jpeg = encode_rgb(width, height, &gradient(width, height), 90).unwrap();
            assert_eq!(check(&jpeg).unwrap(), (width, height));
            let gray = decode_gray(&jpeg).unwrap();
            assert_eq!(gray.scale, scale);
            assert_eq!((gray.width, gray.height), (width.div_ceil(scale), height.div_ceil(scale)));
            let middle = gray.data[gray.width * (gray.height / 2) + gray.width / 2];
            assert!(middle.abs_diff(127) < 6, "{middle}");
        }
    }

    #[test]
    fn padding_fill_bytes_thumbnails_and_several_scans_are_fine() {
        let whole = encode_rgb(64, 48, &gradient(64, 48), 90).unwrap();
        let inner = &whole[..];
        let length = (inner.len() as u16 + 2).to_be_bytes();
        let thumbnail = [&whole[..2], &[0xff, 0xff, 0xe1], &length, inner, &whole[2..]].concat();
        let padded = [&whole[..], &[0; 9000]].concat();
        for sound in [&thumbnail, &padded] {
            assert_eq!(check(sound).unwrap(), (64, 48));
        }
        let mut encoder = encoder(90).unwrap();
        encoder.set_progressive(true).unwrap();
        let (pixels, format) = (gradient(64, 48), PixelFormat::RGB);
        let image = Image { pixels: &pixels[..], width: 64, pitch: 3 * 64, height: 48, format };
        assert_eq!(check(&encoder.compress_to_vec(image).unwrap()).unwrap(), (64, 48));
        assert!(
            matches!(check(&thumbnail[..inner.len() + 50]), Err(Error::Truncated)),
            "the thumbnail's end is not the end"
        );
    }

    #[test]
    fn damage_is_refused() {
        let whole = encode_rgb(64, 48, &gradient(64, 48), 90).unwrap();
        assert!(matches!(check(&whole[..whole.len() / 2]), Err(Error::Truncated)));
        assert!(matches!(check(&whole[..whole.len() - 2]), Err(Error::Truncated)));
        let mut stray = whole.to_vec();
        let scan = stray.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        stray[scan + 20..scan + 22].copy_from_slice(&[0xff, 0x5a]);
        assert!(matches!(check(&stray), Err(Error::Damaged(_))), "a marker in the middle of the picture");
        assert!(matches!(check(b"no picture at all"), Err(Error::Damaged(_))));
        assert!(matches!(check(&[]), Err(Error::Damaged(_))));
        let mut absurd = whole.to_vec();
        let frame_header = absurd.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        absurd[frame_header + 5..frame_header + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
        assert!(matches!(check(&absurd), Err(Error::Size(65000, 65000))));
        assert!(decode_gray(&whole[..whole.len() / 2]).is_err());
        assert!(matches!(encode_rgb(64, 48, &[0; 5], 90), Err(Error::Truncated)));
        assert!(matches!(encode_yuyv(63, 48, &[0; 9999], 90), Err(Error::Truncated)));
    }

    #[test]
    fn planes_look_like_the_picture_however_its_colours_are_stored() {
        let kinds = [
            Subsamp::None,
            Subsamp::Sub2x1,
            Subsamp::Sub2x2,
            Subsamp::Sub1x2,
            Subsamp::Sub4x1,
            Subsamp::Sub1x4,
            Subsamp::Gray,
        ];
        for (width, height) in [(64, 48), (67, 49), (66, 50)] {
            // Red grows to the right, blue downwards.
            let pixels: Vec<u8> = (0..width * height)
                .flat_map(|at| [(at % width * 3) as u8, 90, (at / width * 4) as u8])
                .collect();
            for kind in kinds {
                let mut encoder = encoder(95).unwrap();
                encoder.set_subsamp(kind).unwrap();
                let format = PixelFormat::RGB;
                let image = Image { pixels: &pixels[..], width, pitch: 3 * width, height, format };
                let found = decode_i420(&encoder.compress_to_vec(image).unwrap()).unwrap();
                assert_eq!((found.width, found.height), (width & !1, height & !1));
                let again = encode_i420(found.width, found.height, &found.planes, 95).unwrap();
                let again = decode_rgb(&again).unwrap();
                for (x, y) in [(10, 10), (50, 12), (12, 40), (52, 42)] {
                    let was = &pixels[3 * (y * width + x)..][..3];
                    let is = &again.data[3 * (y * again.width + x)..][..3];
                    let far = was.iter().zip(is).any(|(was, is)| was.abs_diff(*is) > 24);
                    assert!(kind == Subsamp::Gray || !far, "{kind:?} {width} x {height}: {was:?} {is:?}");
                }
            }
        }
        assert!(decode_i420(b"no picture").is_err());
    }

    #[test]
    fn yuyv_keeps_its_colours() {
        let yuyv: Vec<u8> = [81, 90, 81, 240].repeat(32 * 32 / 2);
        let rgb = decode_rgb(&encode_yuyv(32, 32, &yuyv, 95).unwrap()).unwrap();
        let pixel = &rgb.data[3 * (16 * 32 + 16)..][..3];
        assert!(pixel[0] > 230 && pixel[1] < 40 && pixel[2] < 40, "red expected, got {pixel:?}");
    }
}
