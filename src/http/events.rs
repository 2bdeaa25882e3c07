//! Events that are kept: pictures, clips, the day of a camera, what stays for good.
//!
//! Not here: lists and single events, which are requests in words ([`super::api::request`]).

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use jiff::civil::Date;
use serde_json::json;

use super::picture::Served;
use super::reply::{self, Reply};
use super::{Shared, api, range};
use crate::logic::command::Answer;
use crate::logic::history::Request;
use crate::logic::input::Input;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::problem::{Problem, quoted};
use crate::logic::request::Wanted;

/// The archive looks through a million events in a fraction of this; a slow memory card may be writing before.
const PATIENCE: Duration = Duration::from_secs(20);

/// `PUT /api/events/<id>/pinned`: `ON` or `OFF`, as text or as JSON.
pub(super) async fn pin(shared: &Shared, id: &str, body: &[u8]) -> Result<Reply, Problem> {
    let pinned = match Wanted::parse(body)?.value.as_str() {
        "ON" => true,
        "OFF" => false,
        other => {
            return Err(Problem::NotAChoice { value: quoted(other), allowed: "ON or OFF".into() });
        }
    };
    ask(shared, Request::Pin { id: id.into(), pinned }).await
}

/// `GET /api/cameras/<cam>/strip.jpg`
pub(super) async fn strip(shared: &Shared, camera: String, day: Option<Date>) -> Result<Reply, Problem> {
    ask(shared, Request::Strip { camera, day }).await
}

async fn ask(shared: &Shared, request: Request) -> Result<Reply, Problem> {
    match api::ask(shared, Input::Events(request), PATIENCE).await? {
        Answer::Data(data) => Ok(reply::json(StatusCode::OK, &data)),
        Answer::Picture(jpeg) => Ok(reply::body(StatusCode::OK, "image/jpeg", jpeg)),
        Answer::Done => Ok(reply::json(StatusCode::OK, &json!({}))),
        Answer::Event { .. } => Err(Problem::Busy),
    }
}

/// A picture of an event: of a fresh one from memory, else from the disk.
pub(super) fn picture(
    shared: &Shared,
    id: &str,
    file: KeptFile,
    only_head: bool,
    to: &mut dyn Write,
) -> Served {
    let Some(jpeg) = bytes_of(shared, id, file) else {
        return Ok(Err(Problem::NotFound { what: format!("picture of event {}", quoted(id)) }));
    };
    let head = reply::raw_head(StatusCode::OK, "image/jpeg", Some(jpeg.len()));
    write!(to, "{head}\r\n")?;
    if !only_head {
        to.write_all(&jpeg)?;
    }
    Ok(Ok(()))
}

fn bytes_of(shared: &Shared, id: &str, file: KeptFile) -> Option<Bytes> {
    let read = |file| std::fs::read(kept_file::path(&shared.events_dir, id, file)?).ok();
    let told = || {
        let state = shared.now();
        let event = state.recent.iter().find(|event| event.id == id)?;
        event.picture.as_ref().map(|picture| picture.jpeg.clone())
    };
    // Each is made from the next, and may not be there yet or never.
    let made: &[KeptFile] = match file {
        KeptFile::Thumbnail => &[KeptFile::Thumbnail, KeptFile::Best],
        KeptFile::Best => &[KeptFile::Best],
        KeptFile::Picture | KeptFile::Clip => &[],
    };
    let made = made.iter().find_map(|file| read(*file)).map(Bytes::from);
    made.or_else(told).or_else(|| read(KeptFile::Picture).map(Bytes::from))
}

/// The film of an event, or the part of it that is asked for.
pub(super) fn clip(
    shared: &Shared,
    id: &str,
    range: Option<&str>,
    only_head: bool,
    to: &mut dyn Write,
) -> Served {
    match kept_file::path(&shared.events_dir, id, KeptFile::Clip) {
        Some(path) => range::send_file(&path, range, only_head, "video/mp4", to),
        None => Ok(Err(Problem::NotFound { what: format!("clip of event {}", quoted(id)) })),
    }
}
