//! Clips whose every picture is a JPEG: bare MJPEG streams, AVI, and MP4 or MOV, read one picture at a time.
//!
//! The kind is told by the first bytes, not by the name. Other codecs (H.264 …) are refused with a sentence.
//! AVI is read by hand: the chunks are few and plain, and no kept crate reads them. MP4 goes through `re_mp4`, which knows no
//! JPEG codec but gives the place of every sample, and whether a sample is a JPEG can be seen. Its table of samples is the
//! only thing whose memory grows with the clip, some 60 bytes a picture.
//! Not here: when a picture is due, and what comes after the end ([`super::file`]).

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::file::{MAX_PICTURE_BYTES, failed, no_pictures};
use super::{Defect, Fault};
use crate::logic::problem::Problem;

const START: [u8; 2] = [0xff, 0xd8];
/// Rates outside of this are a fault of the clip and not believed.
const BELIEVABLE_FPS: std::ops::RangeInclusive<f64> = 0.5..=240.0;

/// An open clip, before the picture that [`Clip::next`] gives.
pub(super) struct Clip {
    reader: BufReader<File>,
    kind: Kind,
    fps: Option<f64>,
}

enum Kind {
    Bare,
    Avi,
    /// Place and length of each picture, last first.
    Mp4(Vec<(u64, u64)>),
}

impl Clip {
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let fail = |error: io::Error| failed(path, &error);
        let mut reader = BufReader::with_capacity(64 << 10, File::open(path).map_err(fail)?);
        let mut head = [0; 12];
        let known = read_up_to(&mut reader, &mut head).map_err(fail)?;
        reader.rewind().map_err(fail)?;
        let clip = match &head[..known] {
            [0xff, 0xd8, ..] => Some((Kind::Bare, None)),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' '] => avi_header(&mut reader),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4_table(&mut reader),
            _ => None,
        };
        let (kind, fps) = clip.ok_or_else(|| no_pictures(path))?;
        Ok(Self { reader, kind, fps: fps.filter(|fps| BELIEVABLE_FPS.contains(fps)) })
    }

    /// The clip's own rate in pictures a second, if it has one.
    pub(super) fn fps(&self) -> Option<f64> {
        self.fps
    }

    pub(super) fn format(&self) -> &'static str {
        match self.kind {
            Kind::Bare => "MJPEG stream",
            Kind::Avi => "AVI (MJPG)",
            Kind::Mp4(_) => "MP4 (MJPG)",
        }
    }

    /// The next picture; `None` at the end of the clip, or where it breaks off.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let read = match &mut self.kind {
            Kind::Bare => next_bare(&mut self.reader),
            Kind::Avi => next_avi(&mut self.reader),
            Kind::Mp4(places) => places.pop().map_or(Ok(None), |(offset, length)| {
                self.reader.seek(SeekFrom::Start(offset))?;
                read_bytes(&mut self.reader, length).map(Some)
            }),
        };
        match read {
            Ok(picture) => Ok(picture.map(Bytes::from)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(Fault::Broken(Defect::Size)),
            Err(error) => Err(Fault::Lost(Problem::CameraFailed {
                detail: format!("The clip cannot be read: {error}"),
            })),
        }
    }
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

/// A picture of a length that the clip claims; nothing is allocated for lengths that cannot be.
fn read_bytes(reader: &mut (impl Read + Seek), length: u64) -> io::Result<Vec<u8>> {
    if length > MAX_PICTURE_BYTES {
        reader.seek_relative(i64::try_from(length).map_err(|_| ErrorKind::UnexpectedEof)?)?;
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn byte(reader: &mut impl BufRead) -> io::Result<u8> {
    let mut one = [0];
    reader.read_exact(&mut one)?;
    Ok(one[0])
}

/// Cuts one JPEG out of a bare stream. Segments with a length are passed over whole, since a thumbnail in one of them holds
/// start and end markers of its own (ITU-T T.81, annex B). A picture without an end goes up to the next start.
fn next_bare(reader: &mut (impl BufRead + Seek)) -> io::Result<Option<Vec<u8>>> {
    find_start(reader)?;
    let mut picture = START.to_vec();
    let mut in_scan = false;
    while picture.len() as u64 <= MAX_PICTURE_BYTES {
        let next = byte(reader)?;
        if next != 0xff {
            picture.push(next);
            if !in_scan {
                // Lost in the middle of a header: what there is is broken and has no end marker, which the caller counts.
                return Ok(Some(picture));
            }
            continue;
        }
        let marker = match byte(reader)? {
            0xff => {
                // A fill byte; the second one may begin a marker.
                reader.seek_relative(-1)?;
                continue;
            }
            marker => marker,
        };
        match marker {
            0xd8 => {
                reader.seek_relative(-2)?;
                return Ok(Some(picture));
            }
            0xd9 => {
                picture.extend([0xff, marker]);
                return Ok(Some(picture));
            }
            // A stuffed byte of the scan, restart markers, and the one marker without a length.
            0x00 | 0x01 | 0xd0..=0xd7 => picture.extend([0xff, marker]),
            _ => {
                picture.extend([0xff, marker]);
                let length = [byte(reader)?, byte(reader)?];
                picture.extend(length);
                let rest = u64::from(u16::from_be_bytes(length)).saturating_sub(2);
                picture.extend(read_bytes(reader, rest)?);
                // 0xda starts a scan.
                in_scan = marker == 0xda;
            }
        }
    }
    Err(ErrorKind::FileTooLarge.into())
}

fn find_start(reader: &mut impl BufRead) -> io::Result<()> {
    let mut last = 0;
    loop {
        let next = byte(reader)?;
        if [last, next] == START {
            return Ok(());
        }
        last = next;
    }
}

/// One chunk of a RIFF file: four letters and the length of what follows. Lists are entered by reading on.
fn chunk(reader: &mut (impl Read + Seek)) -> io::Result<([u8; 4], u32)> {
    let mut head = [0; 8];
    reader.read_exact(&mut head)?;
    let (name, length) = head.split_at(4);
    let name = [name[0], name[1], name[2], name[3]];
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
    if matches!(&name, b"RIFF" | b"LIST") {
        reader.seek_relative(4)?;
    }
    Ok((name, length))
}

/// Chunks are padded to an even length.
fn padded(length: u32) -> i64 {
    i64::from(length) + i64::from(length % 2)
}

/// Reads up to the first picture and goes back to it.
fn avi_header(reader: &mut BufReader<File>) -> Option<(Kind, Option<f64>)> {
    let mut fps = None;
    loop {
        let at = reader.stream_position().ok()?;
        let (name, length) = chunk(reader).ok()?;
        match &name {
            b"RIFF" | b"LIST" => {}
            b"avih" => {
                let mut micros = [0; 4];
                reader.read_exact(&mut micros).ok()?;
                fps = Some(1e6 / u32::from_le_bytes(micros) as f64);
                reader.seek_relative(padded(length) - 4).ok()?;
            }
            _ if is_video(name) && length > 0 => {
                let mut start = [0; 2];
                reader.read_exact(&mut start).ok()?;
                reader.seek(SeekFrom::Start(at)).ok()?;
                return (start == START).then_some((Kind::Avi, fps));
            }
            _ => reader.seek_relative(padded(length)).ok()?,
        }
    }
}

/// Pictures of stream 00 to 99: `00dc` compressed, `00db` not (some cameras write that for JPEG as well).
fn is_video(name: [u8; 4]) -> bool {
    name[0].is_ascii_digit() && name[1].is_ascii_digit() && matches!(&name[2..], b"dc" | b"db")
}

fn next_avi(reader: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    loop {
        let (name, length) = chunk(reader)?;
        match &name {
            b"RIFF" | b"LIST" => {}
            // An empty chunk stands for "the same picture again".
            _ if is_video(name) && length > 0 => {
                let picture = read_bytes(reader, u64::from(length));
                reader.seek_relative(i64::from(length % 2))?;
                return picture.map(Some);
            }
            _ => reader.seek_relative(padded(length))?,
        }
    }
}

/// The first track whose first sample is a JPEG.
fn mp4_table(reader: &mut BufReader<File>) -> Option<(Kind, Option<f64>)> {
    let size = reader.get_ref().metadata().ok()?.len();
    let mp4 = re_mp4::Mp4::read(&mut *reader, size).ok()?;
    for track in mp4.tracks().values() {
        let Some(first) = track.samples.first() else { continue };
        let mut start = [0; 2];
        reader.seek(SeekFrom::Start(first.offset)).ok()?;
        if reader.read_exact(&mut start).is_err() || start != START {
            continue;
        }
        let seconds = track.duration as f64 / track.timescale as f64;
        let fps = (seconds > 0.0).then(|| track.samples.len() as f64 / seconds);
        let places = track.samples.iter().rev().map(|sample| (sample.offset, sample.size)).collect();
        return Some((Kind::Mp4(places), fps));
    }
    None
}
