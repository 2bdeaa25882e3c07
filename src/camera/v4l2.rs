//! USB and built-in cameras through Video4Linux2.
//!
//! MJPG is preferred, since it is passed on without being encoded; YUYV is the second choice. The `v4l` crate unwraps what
//! drivers say in places and panics when closing fails, so callers run this under `catch_unwind` (the camera thread does).
//! Not here: when to try again, and rates ([`super::run()`]).

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use v4l::buffer::{Flags, Metadata, Type};
use v4l::capability::Flags as Capability;
use v4l::format::FourCC;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::prelude::MmapStream;
use v4l::video::Capture;

use super::{Defect, Fault, Picture, Source, Wish};
use crate::frame::Raw;
use crate::logic::problem::Problem;
use crate::logic::source::{Device, PixelFormat, Spec};
use crate::logic::state::Opened;

/// Buffers that are shared with the driver: one held, three to be filled while we are busy.
const BUFFERS: u32 = 4;
const NODES: &str = "/dev";
const BY_ID: &str = "/dev/v4l/by-id";

mod choose;

/// A device that can capture in a format we read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its node, which may change when it is plugged in again.
    pub path: PathBuf,
    /// The link that stays, if the system makes such links.
    pub by_id: Option<PathBuf>,
    /// What the device calls itself.
    pub name: String,
    /// The formats that we read, best first.
    pub formats: Vec<PixelFormat>,
}

/// All cameras that could be used, in the order of their numbers. Nodes for metadata, radios, encoders and what may not be
/// opened are left out.
#[must_use]
pub fn list() -> Vec<Found> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("video")?.parse::<u16>().ok();
    let entries = std::fs::read_dir(NODES).into_iter().flatten().flatten();
    let mut nodes: Vec<_> =
        entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
    nodes.sort();
    // One odd driver must not hide the other cameras.
    let look = |path: PathBuf| std::panic::catch_unwind(|| look_at(&path)).ok().flatten();
    nodes.into_iter().filter_map(|(_, path)| look(path)).collect()
}

fn look_at(path: &Path) -> Option<Found> {
    let device = v4l::Device::with_path(path).ok()?;
    let name = capture_name(&device).ok()??;
    let formats: Vec<PixelFormat> = formats_of(&device).ok()?.into_iter().map(|(format, _)| format).collect();
    let links = std::fs::read_dir(BY_ID).into_iter().flatten().flatten().map(|entry| entry.path());
    let by_id = links.filter(|link| std::fs::canonicalize(link).is_ok_and(|node| node == path)).min();
    (!formats.is_empty()).then(|| Found { path: path.to_owned(), by_id, name, formats })
}

/// The name, if this very node (not only another node of the same device) captures video.
fn capture_name(device: &v4l::Device) -> io::Result<Option<String>> {
    let about = device.query_caps()?;
    let needed = Capability::VIDEO_CAPTURE | Capability::STREAMING;
    Ok(about.capabilities.contains(needed).then(|| once(&about.card)))
}

/// The USB driver joins the names of device and function, which are mostly the same.
fn once(name: &str) -> String {
    match name.split_once(": ") {
        Some((device, function)) if device.starts_with(function) => device.to_owned(),
        Some(_) | None => name.to_owned(),
    }
}

/// The formats that both sides know, best first.
fn formats_of(device: &v4l::Device) -> io::Result<Vec<(PixelFormat, FourCC)>> {
    let offered: Vec<FourCC> = device.enum_formats()?.into_iter().map(|format| format.fourcc).collect();
    let known = [(PixelFormat::Mjpg, b"MJPG"), (PixelFormat::Mjpg, b"JPEG"), (PixelFormat::Yuyv, b"YUYV")];
    let known = known.into_iter().map(|(format, letters)| (format, FourCC::new(letters)));
    Ok(known.filter(|(_, fourcc)| offered.contains(fourcc)).collect())
}

/// An open camera that streams from the first [`Source::next`] on.
pub struct Camera {
    /// `None` only while dropping.
    stream: Option<MmapStream<'static>>,
    device: v4l::Device,
    source: String,
    format: PixelFormat,
    width: usize,
    height: usize,
    /// Bytes from one row to the next; some drivers pad rows.
    stride: usize,
    state: Streaming,
    /// The driver's number of the last picture.
    sequence: Option<u32>,
    /// Pictures a second that the driver delivers.
    fps: f64,
    opened: Opened,
}

/// Which call brings the next buffer: the crate's `next` gives the held one back first, and goes wrong when none is held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Streaming {
    Stopped,
    /// Streaming, all buffers are the driver's.
    Empty,
    /// Streaming, one buffer is ours.
    Holding,
}

impl Camera {
    /// Opens a device in the best format it has, at the nearest size and rate.
    ///
    /// # Errors
    /// With the sentence to show to the user.
    pub fn open(
        spec: &Spec,
        device: &Device,
        format: Option<PixelFormat>,
        wish: Wish,
    ) -> Result<Self, Problem> {
        let source = spec.to_string();
        let path = match device {
            Device::Path(path) => path.clone(),
            Device::First => first(format).ok_or_else(|| Problem::NoCamera { source: source.clone() })?,
        };
        Self::open_path(&path, source.clone(), format, wish).map_err(|error| match error {
            Failure::System(error) => problem(&source, &error),
            Failure::Told(problem) => problem,
        })
    }

    fn open_path(
        path: &Path,
        source: String,
        only: Option<PixelFormat>,
        wish: Wish,
    ) -> Result<Self, Failure> {
        let device = v4l::Device::with_path(path)?;
        let unusable = |detail: String| Failure::Told(Problem::NoUsableFormat { detail });
        let name = capture_name(&device).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL) => unusable(format!("{} is not a camera", path.display())),
            _ => Failure::System(error),
        })?;
        let name =
            name.ok_or_else(|| unusable(format!("{} sends no video (try the next node)", path.display())))?;
        let offered = formats_of(&device)?;
        let chosen = offered.iter().find(|(format, _)| only.is_none_or(|only| only == *format));
        let Some((format, fourcc)) = chosen.copied() else {
            return Err(unusable(format!("{name} offers {}", offer(&device))));
        };
        let set = choose::set_size(&device, format, fourcc, wish)?;
        if set.fourcc != fourcc {
            return Err(unusable(format!("{name} insists on {}", set.fourcc)));
        }
        let fps = choose::set_rate(&device, &set, wish.fps);
        let stream = MmapStream::with_buffers(&device, Type::VideoCapture, BUFFERS)?;
        let (width, height) = (set.width as usize, set.height as usize);
        let opened = Opened {
            width,
            height,
            format: fourcc.to_string(),
            description: format!("{name} ({})", path.display()),
        };
        let (stream, stride, state) =
            (Some(stream), (set.stride as usize).max(2 * width), Streaming::Stopped);
        Ok(Self { stream, device, source, format, width, height, stride, state, sequence: None, fps, opened })
    }

    /// True when the driver has a picture for us.
    fn ready(&self, until: Instant) -> Result<bool, Fault> {
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up, or the last part of a millisecond would be spent asking in a circle.
        let millis = left.as_micros().div_ceil(1000).min(60_000) as i32;
        match self.device.handle().poll(libc::POLLIN, millis) {
            Ok(events) => Ok(events > 0),
            Err(error) if passing(&error) => Ok(false),
            Err(error) => Err(Fault::Lost(problem(&self.source, &error))),
        }
    }

    /// Starts streaming, or takes the buffer that is ready. Leaves the camera `Holding` on success.
    fn advance(&mut self, until: Instant) -> Result<(), Fault> {
        let source = &self.source;
        let stream = self.stream.as_mut().expect("the stream is taken only by drop");
        let done = if self.state == Streaming::Empty {
            CaptureStream::dequeue(stream).map(drop)
        } else {
            // The wait matters for the very first buffer only; later ones are ready before we ask.
            stream.set_timeout(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
            stream.next().map(drop)
        };
        match done {
            Ok(()) => {
                self.state = Streaming::Holding;
                Ok(())
            }
            Err(error) if passing(&error) => {
                self.state = Streaming::Empty;
                Err(Fault::Quiet)
            }
            Err(error) => Err(Fault::Lost(problem(source, &error))),
        }
    }

    /// Gives the held buffer back and copies the next one, which must be ready, out of the driver's memory.
    fn take(&mut self) -> Result<Picture, Fault> {
        let (width, height, stride, format) = (self.width, self.height, self.stride, self.format);
        let stream = self.stream.as_mut().expect("the stream is taken only by drop");
        let (buffer, meta) = match CaptureStream::next(stream) {
            Ok(taken) => taken,
            Err(error) if passing(&error) => {
                self.state = Streaming::Empty;
                return Err(Fault::Quiet);
            }
            Err(error) => return Err(Fault::Lost(problem(&self.source, &error))),
        };
        let lost = gap(self.sequence.replace(meta.sequence), meta.sequence);
        if meta.flags.contains(Flags::ERROR) {
            return Err(Fault::Broken(Defect::Flagged));
        }
        let filled = &buffer[..(meta.bytesused as usize).min(buffer.len())];
        let raw = match format {
            PixelFormat::Mjpg => Raw::Jpeg(Bytes::copy_from_slice(filled)),
            PixelFormat::Yuyv => {
                Raw::Yuyv(rows(filled, 2 * width, stride, height).ok_or(Fault::Broken(Defect::Truncated))?)
            }
        };
        Ok(Picture { raw, width, height, captured_at: taken_at(meta), overtaken: 0, lost })
    }
}

impl Source for Camera {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    fn next(&mut self, until: Instant) -> Result<Picture, Fault> {
        if self.state == Streaming::Stopped {
            // The first picture is given up: it is of no use to a camera that has yet to find its exposure.
            self.advance(until)?;
        }
        if !self.ready(until)? {
            return Err(Fault::Quiet);
        }
        if self.state == Streaming::Empty {
            self.advance(until)?;
            return Err(Fault::Quiet);
        }
        let mut picture = self.take();
        // If we were busy for long, older pictures wait in line; the newest is wanted.
        for overtaken in 1..=u64::from(BUFFERS) {
            if self.state != Streaming::Holding || picture.is_err() || !self.ready(Instant::now())? {
                break;
            }
            let lost = picture.as_ref().map_or(0, |older| older.lost);
            picture = self.take().map(|newer| Picture { overtaken, lost: newer.lost + lost, ..newer });
        }
        picture
    }

    fn set_fps(&mut self, fps: f64) -> bool {
        // Drivers refuse another rate while they stream; a lower one needs no help from the driver.
        fps <= self.fps
    }
}

impl Drop for Camera {
    /// The crate panics when the driver fails to stop, and again while cleaning up after that, which would end the process.
    /// So stop first; if that fails, let go of the crate's parts and close the device by hand, for the camera must be off.
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        match stream.stop() {
            Ok(()) => drop(stream),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => drop(stream),
            Err(error) => {
                tracing::warn!("{} does not stop: {error}", self.source);
                let fd = self.device.handle().fd();
                std::mem::forget(stream);
                #[allow(
                    unsafe_code,
                    reason = "closing a descriptor whose owner must not run its own clean-up"
                )]
                // SAFETY: the descriptor is open, and the forgotten stream holds the only other handle and its count, so
                // nobody else will close it or use it again. The mapped buffers are lost with it.
                unsafe {
                    libc::close(fd);
                }
            }
        }
    }
}

enum Failure {
    System(io::Error),
    Told(Problem),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

fn first(format: Option<PixelFormat>) -> Option<PathBuf> {
    let fits = |found: &Found| format.is_none_or(|format| found.formats.contains(&format));
    list().into_iter().find(fits).map(|found| found.path)
}

fn offer(device: &v4l::Device) -> String {
    let offered = device.enum_formats().unwrap_or_default();
    let names: Vec<String> = offered.into_iter().map(|format| format.fourcc.to_string()).collect();
    if names.is_empty() { "no format".into() } else { names.join(", ") }
}

/// Packs rows that may be padded; `None` when the picture is shorter than its size says.
fn rows(filled: &[u8], row_bytes: usize, stride: usize, height: usize) -> Option<Bytes> {
    if filled.len() < stride * height.saturating_sub(1) + row_bytes {
        return None;
    }
    if stride == row_bytes {
        return Some(Bytes::copy_from_slice(&filled[..row_bytes * height]));
    }
    let mut packed = Vec::with_capacity(row_bytes * height);
    for row in filled.chunks(stride).take(height) {
        packed.extend_from_slice(&row[..row_bytes]);
    }
    Some(packed.into())
}

/// Pictures between two numbers of the driver; jumps that are no plausible loss (a driver that does not count) are none.
fn gap(before: Option<u32>, now: u32) -> u64 {
    const PLAUSIBLE: std::ops::Range<u32> = 1..1000;
    let step = before.map_or(1, |before| now.wrapping_sub(before));
    if PLAUSIBLE.contains(&step) { u64::from(step - 1) } else { 0 }
}

/// Drivers stamp pictures with the monotonic clock, the one of [`Instant`]; other stamps are not believed.
fn taken_at(meta: &Metadata) -> Instant {
    let now = Instant::now();
    let stamp = Duration::new(meta.timestamp.sec.try_into().unwrap_or(0), 0)
        + Duration::from_micros(meta.timestamp.usec.try_into().unwrap_or(0));
    let mut clock = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[allow(unsafe_code, reason = "std does not show the clock's reading")]
    // SAFETY: the pointer is to a timespec of ours that outlives the call.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut clock) };
    if read != 0 || !meta.flags.contains(Flags::TIMESTAMP_MONOTONIC) {
        return now;
    }
    let clock = Duration::new(clock.tv_sec.try_into().unwrap_or(0), clock.tv_nsec.try_into().unwrap_or(0));
    let age = clock.checked_sub(stamp).filter(|age| *age < Duration::from_secs(2)).unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}

/// Nothing is wrong, there is only nothing yet.
fn passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn problem(source: &str, error: &io::Error) -> Problem {
    let source = source.to_owned();
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Problem::NoCamera { source },
        Some(libc::EBUSY) => Problem::CameraBusy { source },
        Some(libc::EACCES | libc::EPERM) => Problem::CameraDenied { source },
        _ => Problem::CameraFailed { detail: format!("{source}: {error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_name_is_said_once() {
        // The kernel cuts the name after 31 letters.
        for name in ["HD Webcam: HD Webcam", "HD Webcam", "HD Webcam: HD Web"] {
            assert_eq!(once(name), "HD Webcam");
        }
        assert_eq!(once("UVC Camera: Infrared"), "UVC Camera: Infrared");
    }

    #[test]
    fn gaps_in_the_drivers_numbers_are_lost_pictures() {
        let table = [
            (None, 7, 0),
            (Some(7), 8, 0),
            (Some(7), 11, 3),
            (Some(u32::MAX), 1, 1),
            (Some(0), 0, 0),
            (Some(9), 2, 0),
        ];
        for (before, now, lost) in table {
            assert_eq!(gap(before, now), lost, "{before:?} {now}");
        }
    }

    #[test]
    fn padded_rows_are_packed_and_short_pictures_refused() {
        let padded = [1, 1, 0, 2, 2];
        assert_eq!(rows(&padded, 2, 3, 2).unwrap(), Bytes::from_static(&[1, 1, 2, 2]));
        assert_eq!(rows(&padded[..4], 2, 3, 2), None);
        assert_eq!(rows(&[1, 1, 2, 2, 9], 2, 2, 2).unwrap(), Bytes::from_static(&[1, 1, 2, 2]));
    }

    #[test]
    fn errors_of_the_system_become_sentences() {
        let of = |code| problem("v4l2", &io::Error::from_raw_os_error(code)).code();
        let table = [
            (libc::ENODEV, "no_camera"),
            (libc::ENOENT, "no_camera"),
            (libc::EBUSY, "camera_busy"),
            (libc::EACCES, "camera_denied"),
            (libc::EIO, "camera_failed"),
        ];
        for (code, name) in table {
            assert_eq!(of(code), name);
        }
        assert!(look_at(Path::new("/dev/null")).is_none() && look_at(Path::new("/does/not/exist")).is_none());
    }

    #[test]
    fn what_is_no_camera_is_refused_with_a_sentence() {
        for (path, code) in [("/dev/null", "no_usable_format"), ("/dev/video-that-is-not-there", "no_camera")]
        {
            let spec: Spec = format!("v4l2:{path}").parse().unwrap();
            let wish = Wish { width: None, height: None, fps: 15.0 };
            let failed = Camera::open(&spec, &Device::Path(path.into()), None, wish)
                .err()
                .map(|problem| problem.code());
            assert_eq!(failed, Some(code), "{path}");
        }
    }
}
