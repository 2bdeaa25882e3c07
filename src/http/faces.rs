//! Training over HTTP: the same requests as over MQTT, with a picture as the body if one likes.
//!
//! Not here: what a request means ([`crate::logic::faces::training`]).

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value};

use super::reply::{self, Reply};
use super::{Shared, api};
use crate::logic::command::Answer;
use crate::logic::faces::training::{MAX_IMAGE_BYTES, Training, image_text};
use crate::logic::input::Input;
use crate::logic::problem::{Problem, quoted};

/// Bytes of a request: a picture as base64 inside JSON.
pub(super) const MAX_BODY: usize = MAX_IMAGE_BYTES / 3 * 4 + 64 * 1024;
/// A picture may come over a slow wireless link.
pub(super) const BODY_TIME: Duration = Duration::from_secs(60);
/// Looking at one photograph takes a second or two on the slowest machine, and others may wait before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// `POST /api/faces/<verb>`: `fields` come from the query, and the body adds to them.
pub(super) async fn teach(
    shared: &Shared,
    verb: &str,
    mut fields: Map<String, Value>,
    body: &Bytes,
) -> Result<Reply, Problem> {
    let is_picture = body.starts_with(&[0xff, 0xd8]) || body.starts_with(b"\x89PNG");
    if is_picture {
        fields.insert("image_b64".into(), Value::String(image_text(body)));
    } else if !body.is_empty() {
        fields.extend(json_fields(body)?);
    }
    match api::ask(shared, Input::Training(Training::parse(verb, &fields)?), PATIENCE).await? {
        Answer::Data(data) => Ok(reply::json(StatusCode::OK, &data)),
        Answer::Done | Answer::Event { .. } | Answer::Picture(_) => Err(Problem::Busy),
    }
}

fn json_fields(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let start: String = String::from_utf8_lossy(body).chars().take(40).collect();
    let detail =
        format!("The body has to be a JPEG, a PNG or a JSON object, and begins with \"{}\"", quoted(&start));
    serde_json::from_slice(body).map_err(|_| Problem::BadRequest { detail })
}

/// `GET /api/faces/self_test.svg`
pub(super) fn self_test_picture(shared: &Shared) -> Reply {
    let picture = shared.now().self_test_picture.clone();
    reply::body(StatusCode::OK, "image/svg+xml", Bytes::copy_from_slice(picture.as_bytes()))
}
