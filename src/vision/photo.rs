//! Reading a photograph from a file as pixels, upright and no larger than wanted.
//!
//! Not here: which photographs are wanted and why one is refused (see `enrol`); frames of a camera (see `frame`).

use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits, imageops::FilterType};

use super::model::Picture;

/// A photograph's file may hold so many bytes.
pub const MAX_FILE_BYTES: u64 = 40 << 20;
/// A photograph may be so many pixels wide or high; beyond that its decoder would need hundreds of megabytes.
pub const MAX_SIDE: u32 = 12_000;
/// Memory that decoding one photograph may take: enough for 80 megapixels.
const MAX_ALLOC: u64 = 256 << 20;

/// Why a file is no usable photograph.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or it is larger than [`MAX_FILE_BYTES`].
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// More than [`MAX_FILE_BYTES`].
    #[error("is larger than {} MB", MAX_FILE_BYTES >> 20)]
    FileTooLarge,
    /// Its pixels do not fit the limits.
    #[error("has too many pixels (at most {MAX_SIDE} on a side)")]
    TooManyPixels,
    /// No picture, an unknown format, or a broken one.
    #[error("is not a readable JPEG or PNG picture")]
    Broken,
}

/// A photograph in memory.
#[derive(Debug)]
pub struct Photo {
    pixels: image::RgbImage,
}

impl Photo {
    /// The picture as the `image` crate keeps it.
    pub(super) fn pixels(&self) -> &image::RgbImage {
        &self.pixels
    }

    /// Its pixels.
    pub fn picture(&self) -> Picture<'_> {
        let (width, height) = self.pixels.dimensions();
        Picture::new(width as usize, height as usize, self.pixels.as_raw())
            .expect("an opened photo has at least one pixel")
    }
}

/// Reads a JPEG or PNG, turns it as its EXIF orientation says and shrinks it so that no side is longer than `longest_side`.
///
/// # Errors
/// See [`Error`]; a panic inside a decoder counts as `Broken`.
pub fn open(path: &Path, longest_side: usize) -> Result<Photo, Error> {
    if std::fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(Error::FileTooLarge);
    }
    read(&std::fs::read(path)?, longest_side)
}

/// The same from memory.
///
/// # Errors
/// See [`Error`]; a panic inside a decoder counts as `Broken`.
pub fn read(bytes: &[u8], longest_side: usize) -> Result<Photo, Error> {
    let decoded = std::panic::catch_unwind(|| decode(bytes)).unwrap_or(Err(Error::Broken))?;
    let longest = decoded.width().max(decoded.height());
    let limit = u32::try_from(longest_side).unwrap_or(u32::MAX);
    let fitted = if longest > limit { decoded.resize(limit, limit, FilterType::Triangle) } else { decoded };
    let pixels = fitted.into_rgb8();
    if pixels.is_empty() { Err(Error::Broken) } else { Ok(Photo { pixels }) }
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, Error> {
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refusal)?;
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn refusal(error: image::ImageError) -> Error {
    match error {
        image::ImageError::Limits(_) => Error::TooManyPixels,
        _ => Error::Broken, // the library's own kinds of damage; a person can do the same about all of them
    }
}
