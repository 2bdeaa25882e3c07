//! What is told: title, words and picture of one event.
//!
//! Not here: the form in which a target takes it ([`super::mail`], [`super::hook`]).

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::logic::history::Delivery;

/// More than any camera's still; a file that is larger is not one of ours.
const MOST_PICTURE_BYTES: u64 = 10 << 20;

/// One event, ready to be told.
pub(super) struct Message {
    /// The event's id.
    pub(super) id: String,
    /// When it happened.
    pub(super) ts: Timestamp,
    /// What happened, in a sentence, on one line.
    pub(super) title: String,
    /// The event's record, as in lists.
    pub(super) record: Map<String, Value>,
    pub(super) picture: Picture,
}

/// The picture of a message.
#[derive(Clone, Debug)]
pub(super) enum Picture {
    /// The event has none, or the target wants none.
    None,
    /// A JPEG.
    Jpeg(Bytes),
    /// There was one; why it does not go along, in a sentence.
    Missing(&'static str),
}

impl Message {
    /// Reads the picture, which may have been replaced by a better one or removed since the event.
    pub(super) async fn of(delivery: &Delivery, with_picture: bool) -> Message {
        let picture = match delivery.picture.clone().filter(|_| with_picture) {
            None => Picture::None,
            Some(path) => read(path).await,
        };
        let text =
            |key: &str| delivery.record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("id").map_or_else(|| delivery.number.to_string(), str::to_owned);
        let title = text("title").or(text("event_type")).unwrap_or("Something happened");
        Message {
            // It becomes part of headers and of a file's name.
            id: id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect(),
            ts: delivery.ts,
            title: title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            record: delivery.record.clone(),
            picture,
        }
    }

    /// The JPEG, if there is one.
    pub(super) fn jpeg(&self) -> Option<&Bytes> {
        match &self.picture {
            Picture::Jpeg(jpeg) => Some(jpeg),
            Picture::None | Picture::Missing(_) => None,
        }
    }

    /// The name under which the picture goes along.
    pub(super) fn file_name(&self) -> String {
        format!("{}.jpg", self.id)
    }

    /// What there is to say besides the title, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let local = self.ts.to_zoned(TimeZone::system());
        let mut lines = vec![local.strftime("%A, %Y-%m-%d %H:%M:%S (%Z)").to_string()];
        for (key, name) in [("camera", "Camera"), ("person", "Person")] {
            if let Some(value) = self.record.get(key).and_then(Value::as_str) {
                let mut line = String::new();
                let _ = write!(line, "{name}: {value}");
                lines.push(line.chars().filter(|c| !c.is_control()).collect());
            }
        }
        if let Picture::Missing(why) = &self.picture {
            lines.push((*why).to_owned());
        }
        lines
    }
}

async fn read(path: PathBuf) -> Picture {
    let read = tokio::task::spawn_blocking(move || read_limited(&path)).await;
    read.expect("reading a file does not panic")
}

fn read_limited(path: &Path) -> Picture {
    let mut jpeg = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MOST_PICTURE_BYTES + 1).read_to_end(&mut jpeg));
    match read {
        Ok(_) if jpeg.len() as u64 > MOST_PICTURE_BYTES => {
            Picture::Missing("The picture is too large to be sent.")
        }
        Ok(_) => Picture::Jpeg(jpeg.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Picture::Missing("The picture is no longer kept.")
        }
        Err(_) => Picture::Missing("The picture cannot be read."),
    }
}
