//! One film from its first picture to the complete file.
//!
//! Not here: which pictures belong to it ([`super`]).

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mp4::{Codec, Track, Writer};
use super::{Finished, Picture};
use crate::config;

#[cfg(feature = "h264")]
use super::h264::Encoder;
#[cfg(feature = "h264")]
use crate::jpeg;

/// Why a film cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the disk is full, so the clip could not be kept; make room on it, or let clips be shorter")]
    DiskFull,
    #[error("the clip could not be written to {}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
    #[error("the camera gave no picture that could be filmed")]
    NoPicture,
    #[cfg(feature = "h264")]
    #[error("the H.264 encoder failed: {0}")]
    Encoder(String),
    #[cfg(not(feature = "h264"))]
    #[error("this program was built without H.264; set clips.format to \"mjpeg\"")]
    NotBuilt,
    #[error("pictures of {0} x {1} pixels are too large for a film")]
    Size(usize, usize),
}

enum Coder {
    Mjpeg,
    #[cfg(feature = "h264")]
    H264(Box<Encoder>),
}

/// A film in the making: a file that is not complete yet.
pub(super) struct Film {
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
    coder: Coder,
    /// Size of the camera's pictures.
    width: usize,
    height: usize,
    /// Time between two pictures, for how long the last one is shown.
    every: Duration,
    /// When the first picture in the file was captured, the last in the file, and the last at all: the encoder may leave some out.
    first: Option<Instant>,
    written: Option<Instant>,
    last: Option<Instant>,
    /// Pictures that could not be read.
    #[cfg(feature = "h264")]
    broken: u32,
}

impl Film {
    /// Opens the file for pictures like this one.
    pub(super) fn open(path: &Path, like: &Picture, settings: &config::Clips) -> Result<Self, Fault> {
        let (width, height) = (like.width, like.height);
        let coder = match settings.codec {
            config::ClipCodec::Mjpeg => Coder::Mjpeg,
            #[cfg(feature = "h264")]
            config::ClipCodec::H264 => {
                let encoder = Encoder::new(settings.fps, settings.bits_per_second).map_err(Fault::Encoder)?;
                Coder::H264(Box::new(encoder))
            }
            #[cfg(not(feature = "h264"))]
            config::ClipCodec::H264 => return Err(Fault::NotBuilt),
        };
        // The beat lets through a little more in the first moment.
        let capacity = settings.fps as usize * (settings.max_length.as_secs() as usize + 2);
        let writer = File::create(path)
            .and_then(|file| Writer::new(BufWriter::new(file), capacity))
            .map_err(|error| disk(path, error));
        let writer = writer.inspect_err(|_| discard(path))?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            coder,
            width,
            height,
            every: settings.interval(),
            first: None,
            written: None,
            last: None,
            #[cfg(feature = "h264")]
            broken: 0,
        })
    }

    /// Whether this picture can follow the ones before: a film has one size and an end, and its time does not go back.
    pub(super) fn takes(&self, captured_at: Instant, picture: &Picture) -> bool {
        let is_later = self.last.is_none_or(|last| captured_at > last);
        is_later && (picture.width, picture.height) == (self.width, self.height) && self.writer.has_room()
    }

    /// Appends a picture. One that cannot be read is left out.
    pub(super) fn add(&mut self, captured_at: Instant, picture: &Picture) -> Result<(), Fault> {
        let at = self.first.map_or(Duration::ZERO, |first| captured_at.saturating_duration_since(first));
        self.last = Some(captured_at);
        let written = match &mut self.coder {
            Coder::Mjpeg => self.writer.sample(at, true, &picture.jpeg),
            #[cfg(feature = "h264")]
            Coder::H264(encoder) => {
                let decoded = jpeg::decode_i420(&picture.jpeg);
                let size = (self.width & !1, self.height & !1);
                let planes = match decoded.map_err(|error| error.to_string()) {
                    Ok(planes) if (planes.width, planes.height) == size => planes,
                    other => {
                        self.broken += 1;
                        if self.broken == 1 {
                            let error =
                                other.err().unwrap_or_else(|| "it has another size than it says".into());
                            tracing::warn!(%error, "a clip leaves out a picture; further ones of this clip are not told");
                        }
                        return Ok(());
                    }
                };
                let coded = encoder.encode(at, &planes).map_err(Fault::Encoder)?;
                // Left out to hold the bit rate: the picture before is shown for longer.
                if coded.data.is_empty() {
                    return Ok(());
                }
                self.writer.sample(at, coded.is_key, &coded.data)
            }
        };
        self.first.get_or_insert(captured_at);
        self.written = Some(captured_at);
        written.map_err(|error| disk(&self.path, error))
    }

    /// Completes the file and waits until it is on the disk.
    pub(super) fn finish(self, event: String, also: Vec<String>) -> Result<Finished, Fault> {
        let path = self.path.clone();
        let finished = self.complete(event, also);
        finished.inspect_err(|_| discard(&path))
    }

    fn complete(self, event: String, also: Vec<String>) -> Result<Finished, Fault> {
        let (codec, name, even) = match &self.coder {
            Coder::Mjpeg => (Codec::Mjpeg, "mjpeg", !0),
            #[cfg(feature = "h264")]
            Coder::H264(encoder) => (encoder.codec(), "h264", !1),
        };
        let frames = self.writer.samples();
        if frames == 0 {
            return Err(Fault::NoPicture);
        }
        let (width, height) = (self.width & even, self.height & even);
        let side = |side: usize| u16::try_from(side).map_err(|_| Fault::Size(width, height));
        let track = Track { width: side(width)?, height: side(height)?, codec };
        let left_out =
            self.written.zip(self.last).map(|(written, last)| last.saturating_duration_since(written));
        let shown = left_out.unwrap_or_default() + self.every;
        let on_disk = || -> io::Result<(f64, u64)> {
            let (file, seconds) = self.writer.finish(&track, shown)?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok((seconds, file.metadata()?.len()))
        };
        let (seconds, bytes) = on_disk().map_err(|error| disk(&self.path, error))?;
        let (width, height) = (u32::from(track.width), u32::from(track.height));
        Ok(Finished { event, also, file: self.path, seconds, frames, codec: name, bytes, width, height })
    }

    /// Gives up and removes the file.
    pub(super) fn discard(self) {
        discard(&self.path);
    }
}

/// The file is of no use to anybody; if it cannot be removed now, it is at the next start.
fn discard(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn disk(path: &Path, error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull,
        _ => Fault::Disk { path: path.to_owned(), error },
    }
}
