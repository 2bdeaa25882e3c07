//! Writes an MP4 file (ISO/IEC 14496-12) with one video track, while the pictures come.
//!
//! The index stands before the pictures, in space that is reserved for it, so the file plays while it is downloaded; pictures
//! are never all in memory. Our own because the crates that write MP4 are stale, or change their ways with every release, and
//! what one track needs is little. Not here: coding pictures ([`super::h264`]), and when to film ([`super`]).

use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

/// Ticks a second of all times in the file: the clock of MPEG, in which every usual frame rate is a whole number.
const TIMESCALE: u32 = 90_000;
/// Samples of one chunk: players read a chunk at a time, so it should be about a second.
const CHUNK: usize = 10;
/// What the index may need for one sample: duration (8), size (4), key frame (4), and its share of a chunk's place (8 / [`CHUNK`]).
const INDEX_BYTES: usize = 17;
/// The rest of the index, parameter sets included. Real ones take less than 800 bytes.
const INDEX_BASE: usize = 2048;
/// Size and name of a box, and of one with a 64-bit size.
const HEAD: u64 = 8;
const LARGE_HEAD: u64 = 16;

/// How the samples are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Whole JPEGs.
    Mjpeg,
    /// NAL units with their length in four bytes before each (ISO/IEC 14496-15); the parameter sets stand in the index only.
    #[cfg_attr(not(feature = "h264"), expect(dead_code, reason = "only the encoder makes it"))]
    Avc {
        /// Sequence parameter set.
        sps: Vec<u8>,
        /// Picture parameter set.
        pps: Vec<u8>,
    },
}

/// What all samples have in common.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) codec: Codec,
}

struct Sample {
    ticks: u64,
    size: u32,
    is_key: bool,
}

/// A file in the making.
pub(super) struct Writer<W> {
    to: W,
    /// Where the index goes, and how many bytes it has.
    index_at: u64,
    index_size: u64,
    samples: Vec<Sample>,
    capacity: usize,
    /// Bytes of all samples.
    bytes: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file for at most so many samples.
    pub(super) fn new(mut to: W, capacity: usize) -> io::Result<Self> {
        // Brands: the base format with 64-bit sizes (iso2), MPEG-4 part 14 (mp41).
        to.write_all(&boxed(b"ftyp", &[b"isom", &512u32.to_be_bytes(), b"isomiso2mp41"]))?;
        let index_at = to.stream_position()?;
        let index_size = (INDEX_BASE + INDEX_BYTES * capacity) as u64;
        free(&mut to, index_size)?;
        // The size is filled in at the end; 1 stands for a size of 64 bits behind the name.
        to.write_all(&[&1u32.to_be_bytes()[..], b"mdat", &LARGE_HEAD.to_be_bytes()].concat())?;
        Ok(Self { to, index_at, index_size, samples: Vec::new(), capacity, bytes: 0 })
    }

    /// Whether the reserved space takes another sample.
    pub(super) fn has_room(&self) -> bool {
        self.samples.len() < self.capacity
    }

    /// Samples so far.
    pub(super) fn samples(&self) -> u32 {
        self.samples.len() as u32
    }

    /// Appends a sample that is shown from `at` on, counted from the first; later than the one before.
    pub(super) fn sample(&mut self, at: Duration, is_key: bool, data: &[u8]) -> io::Result<()> {
        let size = u32::try_from(data.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.to.write_all(data)?;
        self.bytes += u64::from(size);
        self.samples.push(Sample { ticks: ticks(at), size, is_key });
        Ok(())
    }

    /// Fills in what was left open: sizes and index. The last sample is shown for `last`. Gives the target and the length in seconds.
    pub(super) fn finish(mut self, track: &Track, last: Duration) -> io::Result<(W, f64)> {
        let durations = self.durations(ticks(last));
        let length: u64 = durations.iter().map(|duration| u64::from(*duration)).sum();
        let index = self.index(track, &durations, length as u32);
        let left = self.index_size.checked_sub(index.len() as u64 + HEAD).ok_or_else(|| {
            io::Error::other("the index of the film does not fit into the space reserved for it")
        })?;
        self.to.seek(SeekFrom::Start(self.index_at))?;
        self.to.write_all(&index)?;
        free(&mut self.to, left + HEAD)?;
        self.to.seek_relative(HEAD as i64)?;
        self.to.write_all(&(LARGE_HEAD + self.bytes).to_be_bytes())?;
        self.to.flush()?;
        Ok((self.to, length as f64 / f64::from(TIMESCALE)))
    }

    /// Differences of the times, so that rounding does not add up.
    fn durations(&self, last: u64) -> Vec<u32> {
        let next = self.samples.iter().skip(1).map(|sample| Some(sample.ticks)).chain([None]);
        let pairs = self.samples.iter().zip(next);
        pairs.map(|(sample, next)| next.map_or(last, |next| next - sample.ticks) as u32).collect()
    }

    /// The `moov` box.
    fn index(&self, track: &Track, durations: &[u32], length: u32) -> Vec<u8> {
        let (width, height) = (u32::from(track.width) << 16, u32::from(track.height) << 16);
        let header = full(
            b"mvhd",
            0,
            &[
                &words(&[0, 0, TIMESCALE, length, RATE_1, VOLUME_1, 0, 0]),
                &words(&UNITY),
                // Six words that are predefined as 0, and the number of the next track.
                &words(&[0, 0, 0, 0, 0, 0, 2]),
            ],
        );
        // Flags: the track is enabled, in the movie, in the preview.
        let track_header = full(
            b"tkhd",
            7,
            &[&words(&[0, 0, 1, 0, length, 0, 0, 0, 0]), &words(&UNITY), &words(&[width, height])],
        );
        let media_header =
            full(b"mdhd", 0, &[&words(&[0, 0, TIMESCALE, length, u32::from(UNDETERMINED) << 16])]);
        let handler = full(b"hdlr", 0, &[&words(&[0]), b"vide", &words(&[0, 0, 0]), b"VideoHandler\0"]);
        let video_header = full(b"vmhd", 1, &[&words(&[0, 0])]);
        // The pictures are in this very file: flag 1.
        let sources = full(b"dref", 0, &[&words(&[1]), &full(b"url ", 1, &[])]);
        let table = self.table(track, durations, length);
        let info = boxed(b"minf", &[&video_header, &boxed(b"dinf", &[&sources]), &table]);
        let media = boxed(b"mdia", &[&media_header, &handler, &info]);
        boxed(b"moov", &[&header, &boxed(b"trak", &[&track_header, &media])])
    }

    /// The `stbl` box: what each sample is, where it lies and how long it is shown.
    fn table(&self, track: &Track, durations: &[u32], length: u32) -> Vec<u8> {
        let mut runs: Vec<[u32; 2]> = Vec::new();
        for duration in durations {
            match runs.last_mut() {
                Some([count, of]) if of == duration => *count += 1,
                Some(_) | None => runs.push([1, *duration]),
            }
        }
        let times = full(b"stts", 0, &[&words(&[runs.len() as u32]), &words(runs.as_flattened())]);
        let keys: Vec<u32> =
            (1..).zip(&self.samples).filter(|(_, sample)| sample.is_key).map(|(number, _)| number).collect();
        // Without this box, each sample is a key frame.
        let keys = if keys.len() == self.samples.len() {
            Vec::new()
        } else {
            full(b"stss", 0, &[&words(&[keys.len() as u32]), &words(&keys)])
        };
        let sizes: Vec<u32> = self.samples.iter().map(|sample| sample.size).collect();
        let sizes = full(b"stsz", 0, &[&words(&[0, sizes.len() as u32]), &words(&sizes)]);
        let (chunks, rest) = (self.samples.len() / CHUNK, self.samples.len() % CHUNK);
        let mut layout = Vec::new();
        if chunks > 0 {
            layout.push([1, CHUNK as u32, 1]);
        }
        if rest > 0 {
            layout.push([chunks as u32 + 1, rest as u32, 1]);
        }
        let layout = full(b"stsc", 0, &[&words(&[layout.len() as u32]), &words(layout.as_flattened())]);
        let mut at = self.index_at + self.index_size + LARGE_HEAD;
        let mut places = Vec::new();
        for chunk in self.samples.chunks(CHUNK) {
            places.extend(at.to_be_bytes());
            at += chunk.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
        }
        let number = (places.len() / 8) as u32;
        let places = full(b"co64", 0, &[&words(&[number]), &places]);
        let entry = self.entry(track, length);
        let descriptions = full(b"stsd", 0, &[&words(&[1]), &entry]);
        boxed(b"stbl", &[&descriptions, &times, &keys, &layout, &sizes, &places])
    }

    /// The sample entry: size in pixels and what a decoder needs to begin.
    fn entry(&self, track: &Track, length: u32) -> Vec<u8> {
        let size = [track.width.to_be_bytes(), track.height.to_be_bytes()].concat();
        // Reserved (6), data reference 1 (2), predefined (16), size (4), 72 dpi twice (8), reserved (4), one frame a sample (2), name
        // of the coder (32), 24 bits of colour (2), predefined -1 (2).
        let common = [
            &[0, 0, 0, 0, 0, 0, 0, 1][..],
            &[0; 16],
            &size,
            &words(&[DPI_72, DPI_72, 0]),
            &[0, 1],
            &[0; 32],
            &[0, 24, 0xff, 0xff],
        ]
        .concat();
        match &track.codec {
            Codec::Mjpeg => {
                let seconds = f64::from(length.max(1)) / f64::from(TIMESCALE);
                let mean = (8.0 * self.bytes as f64 / seconds).min(f64::from(u32::MAX)) as u32;
                boxed(b"mp4v", &[&common, &full(b"esds", 0, &[&descriptor_of_jpeg(mean)])])
            }
            Codec::Avc { sps, pps } => {
                boxed(b"avc1", &[&common, &boxed(b"avcC", &[&configuration(sps, pps)])])
            }
        }
    }
}

const RATE_1: u32 = 0x0001_0000;
const VOLUME_1: u32 = 0x0100_0000;
const DPI_72: u32 = 0x0048_0000;
/// "und", the language of pictures, as three letters of five bits.
const UNDETERMINED: u16 = 0x55c4;
/// Pictures are shown as they are: the unity matrix in fixed point.
const UNITY: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

/// The descriptors of a stream of JPEGs (ISO/IEC 14496-1); object type 0x6c is JPEG.
fn descriptor_of_jpeg(bits_per_second: u32) -> Vec<u8> {
    const VISUAL: u8 = 4 << 2 | 1;
    let rate = bits_per_second.to_be_bytes();
    let decoder = [&[0x6c, VISUAL, 0, 0, 0][..], &rate, &rate].concat();
    let decoder = [&[0x04, decoder.len() as u8][..], &decoder].concat();
    // Synchronisation as MP4 wants it: predefined set 2.
    let sync = [0x06, 1, 2];
    let stream = [&[0, 1, 0][..], &decoder, &sync].concat();
    [&[0x03, stream.len() as u8][..], &stream].concat()
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15): profile and level are bytes 1 to 3 of the sequence parameter set.
fn configuration(sps: &[u8], pps: &[u8]) -> Vec<u8> {
    const LENGTHS_OF_4: u8 = 0b1111_1100 | 3;
    const ONE_SET: u8 = 0b1110_0000 | 1;
    let profile = sps.get(1..4).unwrap_or(&[66, 0, 30]);
    let length = |set: &[u8]| (set.len() as u16).to_be_bytes();
    [&[1][..], profile, &[LENGTHS_OF_4, ONE_SET], &length(sps), sps, &[1], &length(pps), pps].concat()
}

fn ticks(at: Duration) -> u64 {
    let ticks = (at.as_nanos() * u128::from(TIMESCALE) + 500_000_000) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let size = HEAD as u32 + parts.iter().map(|part| part.len() as u32).sum::<u32>();
    [&[&size.to_be_bytes()[..], name], parts].concat().concat()
}

/// A box with version 0 and flags.
fn full(name: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    boxed(name, &[&[&flags.to_be_bytes()[..]], parts].concat())
}

/// A box of nothing, `size` bytes with its head.
fn free(to: &mut impl Write, size: u64) -> io::Result<()> {
    to.write_all(&[&(size as u32).to_be_bytes()[..], b"free"].concat())?;
    io::copy(&mut io::Read::take(io::repeat(0), size - HEAD), to).map(drop)
}
