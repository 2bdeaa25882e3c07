//! Files as a camera: a folder of JPEGs, one JPEG, or a clip of JPEGs, played in a loop.
//!
//! Pictures are read one at a time when they are due, so memory does not grow with the clip. A folder is listed anew at each
//! round, so pictures may come and go. Folders, single pictures and bare MJPEG streams play at the wished rate; AVI and MP4
//! clips at their own, of which the camera thread takes as many as are wished.
//! Not here: the inside of clips ([`super::clip`]).

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::clip::Clip;
use super::{Defect, Fault, Pace, Picture, Source, Wish, interval_of};
use crate::frame::Raw;
use crate::logic::problem::Problem;
use crate::logic::state::Opened;

/// Larger pictures are refused unread: no camera makes them, and several would fill a small machine's memory.
pub(super) const MAX_PICTURE_BYTES: u64 = 16 << 20;
/// More pictures of a folder are left out.
const MAX_FOLDER: usize = 100_000;

/// A file or folder that is being played.
pub(super) struct File {
    path: PathBuf,
    media: Media,
    /// The clip's own rate, if it has one.
    own_fps: Option<f64>,
    pace: Pace,
    opened: Opened,
}

enum Media {
    Folder { pictures: Vec<PathBuf>, next: usize },
    Still,
    Clip { clip: Clip, pictures_this_round: u64 },
}

impl File {
    pub(super) fn open(path: &Path, wish: Wish) -> Result<Self, Problem> {
        let about = std::fs::metadata(path).map_err(|error| failed(path, &error))?;
        let name = |path: &Path| path.extension().unwrap_or_default().to_ascii_lowercase();
        let media = if about.is_dir() {
            Media::Folder { pictures: pictures_in(path)?, next: 0 }
        } else if ["jpg", "jpeg"].iter().any(|ending| name(path) == *ending) {
            Media::Still
        } else {
            Media::Clip { clip: Clip::open(path)?, pictures_this_round: 0 }
        };
        let (own_fps, format) = match &media {
            Media::Folder { pictures, .. } => (None, format!("{} JPEG files", pictures.len())),
            Media::Still => (None, "JPEG".to_owned()),
            Media::Clip { clip, .. } => (clip.fps(), clip.format().to_owned()),
        };
        let (width, height) = wish.size();
        let opened = Opened { width, height, format, description: path.display().to_string() };
        let mut file =
            Self { path: path.to_owned(), media, own_fps, pace: Pace::new(Duration::ZERO), opened };
        file.set_fps(wish.fps);
        Ok(file)
    }

    fn read(&mut self) -> Result<Bytes, Fault> {
        match &mut self.media {
            Media::Still => read_picture(&self.path),
            Media::Folder { pictures, next } => {
                if *next >= pictures.len() {
                    (*pictures, *next) = (pictures_in(&self.path).map_err(Fault::Lost)?, 0);
                }
                *next += 1;
                match read_picture(&pictures[*next - 1]) {
                    // One picture was taken away: play on, unless the whole folder is gone.
                    Err(Fault::Lost(_)) if self.path.is_dir() => Err(Fault::Quiet),
                    read => read,
                }
            }
            Media::Clip { clip, pictures_this_round } => {
                if !self.path.exists() {
                    return Err(Fault::Lost(missing(&self.path)));
                }
                if let Some(picture) = clip.next()? {
                    *pictures_this_round += 1;
                    return Ok(picture);
                }
                if *pictures_this_round == 0 {
                    return Err(Fault::Lost(no_pictures(&self.path)));
                }
                (*clip, *pictures_this_round) = (Clip::open(&self.path).map_err(Fault::Lost)?, 0);
                clip.next()?.ok_or(Fault::Quiet)
            }
        }
    }
}

impl Source for File {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    fn next(&mut self, until: Instant) -> Result<Picture, Fault> {
        if !self.pace.wait(until) {
            return Err(Fault::Quiet);
        }
        let raw = Raw::Jpeg(self.read()?);
        // The header of the JPEG tells the size; nobody asks these numbers.
        Ok(Picture { raw, width: 0, height: 0, captured_at: Instant::now(), overtaken: 0, lost: 0 })
    }

    fn set_fps(&mut self, fps: f64) -> bool {
        let own = self.own_fps.map(|own| Duration::from_secs_f64(1.0 / own));
        self.pace.set_interval(own.unwrap_or_else(|| interval_of(fps)));
        true
    }
}

fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    let is_jpeg = |path: &PathBuf| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        ending == "jpg" || ending == "jpeg"
    };
    let mut pictures: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_jpeg).collect();
    pictures.sort();
    pictures.truncate(MAX_FOLDER);
    if pictures.is_empty() { Err(no_pictures(folder)) } else { Ok(pictures) }
}

fn read_picture(path: &Path) -> Result<Bytes, Fault> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_PICTURE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.len() as u64 > MAX_PICTURE_BYTES => Err(Fault::Broken(Defect::Size)),
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(Fault::Lost(failed(path, &error))),
    }
}

fn missing(path: &Path) -> Problem {
    Problem::NoCamera { source: format!("file:{}", path.display()) }
}

pub(super) fn no_pictures(path: &Path) -> Problem {
    Problem::NoUsableFormat { detail: format!("{} holds no JPEG pictures", path.display()) }
}

/// The sentence for a file that cannot be read.
pub(super) fn failed(path: &Path, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        io::ErrorKind::PermissionDenied => {
            Problem::CameraDenied { source: format!("file:{}", path.display()) }
        }
        _ => Problem::CameraFailed { detail: format!("{} cannot be read: {error}", path.display()) },
    }
}

#[cfg(test)]
mod tests;
