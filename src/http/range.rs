//! Files, whole or in part: the `Range` header (RFC 9110, section 14), and the answer that goes with it.
//!
//! Browsers ask for parts to jump in a film, and Safari plays none without. Not here: who may have which file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use hyper::StatusCode;

use super::reply;
use crate::logic::problem::Problem;

/// Read and sent at once.
const BLOCK: usize = 64 * 1024;

/// What the header asks for.
pub(super) struct Range;

/// What is to be sent of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// The bytes from `from` to `to`, both of them included.
    Part { from: u64, to: u64 },
    /// Nothing of what was asked for is there.
    Unsatisfiable,
}

impl Range {
    /// Reads the header for a file of this length. What is no range of bytes, or several of them, may be answered with the whole file,
    /// so it is.
    pub(super) fn parse(header: &str, length: u64) -> Asked {
        Self::bounds(header).map_or(Asked::Whole, |bounds| match bounds {
            (None, Some(0)) => Asked::Unsatisfiable,
            _ if length == 0 => Asked::Unsatisfiable,
            (None, Some(last)) => Asked::Part { from: length.saturating_sub(last), to: length - 1 },
            (Some(from), _) if from >= length => Asked::Unsatisfiable,
            (Some(from), to) => Asked::Part { from, to: to.unwrap_or(u64::MAX).min(length - 1) },
            (None, None) => Asked::Whole,
        })
    }

    /// The numbers on either side of the one hyphen, if they are one valid range.
    fn bounds(header: &str) -> Option<(Option<u64>, Option<u64>)> {
        let (unit, range) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (from, to) = range.trim().split_once('-')?;
        let bounds = (number(from)?, number(to)?);
        match bounds {
            (None, None) => None,
            (Some(from), Some(to)) if from > to => None,
            bounds => Some(bounds),
        }
    }
}

/// Digits, or nothing; none when it is neither. More digits than a `u64` has are a number beyond the end of any file.
fn number(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    }
}

/// Answers with the file, or the part of it that the `Range` header asks for, in blocks; with `only_head`, without the bytes.
///
/// The inner error is to be answered; the outer one means that the client has gone, or that the file cannot be read to its end.
pub(super) fn send_file(
    file: &Path,
    range: Option<&str>,
    only_head: bool,
    content_type: &str,
    to: &mut dyn Write,
) -> io::Result<Result<(), Problem>> {
    let opened = File::open(file).and_then(|file| Ok((file.metadata()?, file)));
    let (mut file, length) = match opened {
        Ok((about, file)) if about.is_file() => (file, about.len()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Ok(Err(Problem::Disk { detail: error.to_string() }));
        }
        Ok(_) | Err(_) => return Ok(Err(Problem::NotFound { what: "file of this film".into() })),
    };
    let asked = range.map_or(Asked::Whole, |header| Range::parse(header, length));
    let (status, from, n_bytes) = match asked {
        Asked::Whole => (StatusCode::OK, 0, length),
        Asked::Part { from, to } => (StatusCode::PARTIAL_CONTENT, from, to - from + 1),
        Asked::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let head = reply::raw_head(status, content_type, None);
    write!(to, "{head}Accept-Ranges: bytes\r\nContent-Length: {n_bytes}\r\n")?;
    match asked {
        Asked::Whole => {}
        Asked::Part { from, to: last } => write!(to, "Content-Range: bytes {from}-{last}/{length}\r\n")?,
        Asked::Unsatisfiable => write!(to, "Content-Range: bytes */{length}\r\n")?,
    }
    to.write_all(b"\r\n")?;
    if !only_head && n_bytes > 0 {
        file.seek(SeekFrom::Start(from))?;
        copy(&mut file, n_bytes, to)?;
    }
    Ok(Ok(()))
}

/// Sends exactly so many bytes: a file that became shorter must not look complete.
fn copy(file: &mut File, n_bytes: u64, to: &mut dyn Write) -> io::Result<()> {
    let (mut block, mut left) = (vec![0; BLOCK], n_bytes);
    while left > 0 {
        let part = &mut block[..usize::try_from(left).unwrap_or(BLOCK).min(BLOCK)];
        file.read_exact(part)?;
        to.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = u64::MAX;

    fn part(from: u64, to: u64) -> Asked {
        Asked::Part { from, to }
    }

    #[test]
    fn headers_are_read_as_rfc_9110_says() {
        let rows = [
            ("bytes=0-0", 100, part(0, 0)),
            ("bytes=0-99", 100, part(0, 99)),
            ("bytes=10-19", 100, part(10, 19)),
            ("bytes=10-", 100, part(10, 99)),
            ("bytes=0-", 100, part(0, 99)),
            ("bytes=99-", 100, part(99, 99)),
            ("bytes=50-1000", 100, part(50, 99)),
            ("bytes=-1", 100, part(99, 99)),
            ("bytes=-100", 100, part(0, 99)),
            ("bytes=-1000", 100, part(0, 99)),
            ("BYTES=0-1", 100, part(0, 1)),
            (" bytes = 0-1 ", 100, part(0, 1)),
            ("bytes=100-", 100, Asked::Unsatisfiable),
            ("bytes=100-200", 100, Asked::Unsatisfiable),
            ("bytes=-0", 100, Asked::Unsatisfiable),
            ("bytes=0-", 0, Asked::Unsatisfiable),
            ("bytes=-5", 0, Asked::Unsatisfiable),
            // Several ranges may be answered with the whole.
            ("bytes=0-1,5-6", 100, Asked::Whole),
            ("bytes=0-1, -1", 100, Asked::Whole),
            // What is not valid is as if it were not there.
            ("bytes=20-10", 100, Asked::Whole),
            ("bytes=-", 100, Asked::Whole),
            ("bytes=", 100, Asked::Whole),
            ("bytes", 100, Asked::Whole),
            ("", 100, Asked::Whole),
            ("bytes=a-b", 100, Asked::Whole),
            ("bytes=+1-5", 100, Asked::Whole),
            ("bytes=--5", 100, Asked::Whole),
            ("bytes=1-5-9", 100, Asked::Whole),
            ("bytes=0x1-5", 100, Asked::Whole),
            ("items=0-1", 100, Asked::Whole),
            ("bytes=\u{661}-5", 100, Asked::Whole),
            // Numbers at the end of a u64 and beyond.
            ("bytes=0-18446744073709551615", 100, part(0, 99)),
            ("bytes=0-99999999999999999999999", 100, part(0, 99)),
            ("bytes=99999999999999999999999-", 100, Asked::Unsatisfiable),
            ("bytes=-99999999999999999999999", 100, part(0, 99)),
            ("bytes=0-", MAX, part(0, MAX - 1)),
            ("bytes=18446744073709551614-18446744073709551615", MAX, part(MAX - 1, MAX - 1)),
        ];
        for (header, length, expected) in rows {
            assert_eq!(Range::parse(header, length), expected, "{header:?} of {length}");
        }
    }

    /// Status, head in small letters, body.
    fn answer(file: &Path, range: Option<&str>, only_head: bool) -> (u16, String, Vec<u8>) {
        let mut sent = Vec::new();
        send_file(file, range, only_head, "video/mp4", &mut sent).unwrap().unwrap();
        let end = sent.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(sent[..end].to_vec()).unwrap().to_ascii_lowercase();
        (head[9..12].parse().unwrap(), head, sent[end..].to_vec())
    }

    #[test]
    fn a_file_is_sent_whole_and_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.mp4");
        // Longer than a block, and no multiple of one.
        let bytes: Vec<u8> = (0..200_001u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&file, &bytes).unwrap();
        let rows: [(Option<&str>, u16, &str, &[u8]); 5] = [
            (None, 200, "content-length: 200001", &bytes),
            (Some("bytes=zero"), 200, "content-length: 200001", &bytes),
            (Some("bytes=100-199"), 206, "content-range: bytes 100-199/200001\r\n", &bytes[100..200]),
            (Some("bytes=-70000"), 206, "content-range: bytes 130001-200000/200001\r\n", &bytes[130_001..]),
            (Some("bytes=200001-"), 416, "content-range: bytes */200001\r\n", &[]),
        ];
        for (range, status, line, body) in rows {
            for only_head in [false, true] {
                let (was, head, sent) = answer(&file, range, only_head);
                assert_eq!(was, status, "{range:?}");
                let length = format!("content-length: {}\r\n", body.len());
                for needed in [line, &length, "accept-ranges: bytes\r\n", "nosniff", "no-store", "video/mp4"]
                {
                    assert!(head.contains(needed), "{range:?}: {needed} is missing in {head}");
                }
                assert!(sent == if only_head { &[][..] } else { body }, "{range:?}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_a_problem_and_a_reader_who_leaves_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none.mp4"), folder.path().to_owned()] {
            let answer = send_file(&path, None, false, "video/mp4", &mut io::sink()).unwrap();
            assert!(matches!(answer, Err(Problem::NotFound { .. })), "{answer:?}");
        }
        let file = folder.path().join("film.mp4");
        std::fs::write(&file, [7; 5000]).unwrap();
        let mut small = [0; 1000];
        assert!(send_file(&file, None, false, "video/mp4", &mut &mut small[..]).is_err());
    }
}
