//! Where the pictures and the clip of an event lie: a pure function of its id, so that nobody needs the database to serve them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ulid::Ulid;

/// What may lie on the disk for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptFile {
    /// The picture as it was told.
    Picture,
    /// A better one that was found later.
    Best,
    /// The best picture, at most 320 pixels wide.
    Thumbnail,
    /// The clip.
    Clip,
}

impl KeptFile {
    pub(crate) const ALL: [KeptFile; 4] =
        [KeptFile::Picture, KeptFile::Best, KeptFile::Thumbnail, KeptFile::Clip];

    /// What follows the id in the name.
    fn ending(self) -> &'static str {
        match self {
            KeptFile::Picture => ".jpg",
            KeptFile::Best => ".best.jpg",
            KeptFile::Thumbnail => ".thumb.jpg",
            KeptFile::Clip => ".mp4",
        }
    }

    /// The last part of its address.
    pub(crate) fn name(self) -> &'static str {
        match self {
            KeptFile::Picture => "snapshot.jpg",
            KeptFile::Best => "best.jpg",
            KeptFile::Thumbnail => "thumbnail.jpg",
            KeptFile::Clip => "clip.mp4",
        }
    }

    /// Its bit in the set of files that an event has.
    pub(crate) fn bit(self) -> u8 {
        match self {
            KeptFile::Picture => 1,
            KeptFile::Best => 2,
            KeptFile::Thumbnail => 4,
            KeptFile::Clip => 8,
        }
    }

    pub(crate) fn is_in(self, files: u8) -> bool {
        files & self.bit() != 0
    }
}

/// The path of a file in the archive's folder; none for anything that is not the id of an event, such as `../secret`.
#[must_use]
pub fn path(folder: &Path, id: &str, kind: KeptFile) -> Option<PathBuf> {
    Some(folder.join(day(ulid(id)?)?).join(format!("{id}{}", kind.ending())))
}

/// The path of a file at our HTTP server, as payloads and records tell it.
#[must_use]
pub fn url(id: &str, kind: KeptFile) -> String {
    format!("/api/events/{id}/{}", kind.name())
}

/// A ULID in its one spelling: 26 capital letters and digits of Crockford's alphabet.
pub(crate) fn ulid(id: &str) -> Option<Ulid> {
    // The library also reads small letters, which would be another file name.
    Ulid::from_string(id).ok().filter(|ulid| ulid.to_string() == id)
}

/// The folder of its day in UTC.
fn day(id: Ulid) -> Option<String> {
    let at = Timestamp::from_millisecond(i64::try_from(id.timestamp_ms()).ok()?).ok()?;
    Some(at.strftime("%Y-%m-%d").to_string())
}

/// Whether a folder may be one of ours, so that nothing else is ever touched.
pub(crate) fn is_day(name: &str) -> bool {
    name.parse::<jiff::civil::Date>().is_ok_and(|date| date.to_string() == name)
}

/// Whose file it is, and which; none for names that are not ours, and for ours in the wrong folder.
pub(crate) fn parse(day_name: &str, name: &str) -> Option<(Ulid, KeptFile)> {
    let id = ulid(name.get(..26)?)?;
    let kind = KeptFile::ALL.into_iter().find(|kind| kind.ending() == &name[26..])?;
    (day(id)? == day_name).then_some((id, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn paths_follow_from_ids_and_back() {
        for (kind, name) in [
            (KeptFile::Picture, "01ARZ3NDEKTSV4RRFFQ69G5FAV.jpg"),
            (KeptFile::Best, "01ARZ3NDEKTSV4RRFFQ69G5FAV.best.jpg"),
            (KeptFile::Thumbnail, "01ARZ3NDEKTSV4RRFFQ69G5FAV.thumb.jpg"),
            (KeptFile::Clip, "01ARZ3NDEKTSV4RRFFQ69G5FAV.mp4"),
        ] {
            // The id's first ten letters are the time 1469922850259 ms.
            assert_eq!(path(Path::new("/e"), ID, kind), Some(Path::new("/e/2016-07-30").join(name)));
            assert_eq!(parse("2016-07-30", name), Some((ulid(ID).unwrap(), kind)));
            assert_eq!(parse("2016-07-31", name), None);
        }
    }

    #[test]
    fn nothing_else_is_an_id() {
        let small = ID.to_lowercase();
        for id in ["", "x", "../../../../etc/passwd.....", &ID[1..], &small, "01ARZ3NDEKTSV4RRFFQ69G5FAU/"] {
            assert_eq!(path(Path::new("/e"), id, KeptFile::Picture), None, "{id}");
        }
        // Too large for 128 bits, with a letter that Crockford leaves out, and in the year 10889.
        for id in ["8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"] {
            assert_eq!(path(Path::new("/e"), id, KeptFile::Clip), None, "{id}");
        }
        assert!(is_day("2026-02-28") && !is_day("2026-02-30") && !is_day("..") && !is_day("2026-2-3"));
        assert_eq!(parse("2016-07-30", "01ARZ3NDEKTSV4RRFFQ69G5FAV.jpg.tmp"), None);
        assert_eq!(parse("2016-07-30", "ü"), None);
    }
}
