//! `doorward notify test`: one attempt right now, with a drawn picture, so that a person sees what would arrive.
//!
//! Not here: who asks; the answer goes back through a function.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Limits;
use super::fault::Fault;
use super::message::{Message, Picture};
use super::target::attempt;
use crate::config::Notify;
use crate::jpeg;
use crate::logic::events::timestamp;
use crate::logic::problem::{Problem, quoted};

/// A wish to try one target, or all, at once and only once.
pub struct Trial {
    /// The name of the target; none = every one.
    pub target: Option<String>,
    /// Takes `{"targets": [{"target", "ok", "detail"}, …]}`; unknown names are a [`Problem`].
    pub reply: Box<dyn FnOnce(Result<Value, Problem>) + Send>,
}

impl Trial {
    /// Tries the targets at the same time and answers when the last has an end.
    pub(super) async fn run(self, targets: Vec<Arc<Notify>>, limits: Limits) {
        let Trial { target, reply } = self;
        reply(match chosen(target.as_deref(), &targets) {
            Ok(chosen) => Ok(json!({ "targets": attempts(chosen, limits).await })),
            Err(problem) => Err(problem),
        });
    }
}

fn chosen(wanted: Option<&str>, targets: &[Arc<Notify>]) -> Result<Vec<Arc<Notify>>, Problem> {
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    if names.is_empty() {
        let what = "target to notify; add a section [notify.<name>] to the configuration first".into();
        return Err(Problem::NotFound { what });
    }
    let is_wanted = |target: &&Arc<Notify>| wanted.is_none_or(|name| name == target.name.as_str());
    let chosen: Vec<_> = targets.iter().filter(is_wanted).cloned().collect();
    if chosen.is_empty() {
        let name = quoted(wanted.unwrap_or_default());
        let what = format!("target to notify called \"{name}\", only {}", names.join(", "));
        return Err(Problem::NotFound { what });
    }
    Ok(chosen)
}

async fn attempts(targets: Vec<Arc<Notify>>, limits: Limits) -> Vec<Value> {
    let drawn = tokio::task::spawn_blocking(drawn).await.expect("drawing a picture does not panic");
    let mut tasks = JoinSet::new();
    for target in targets {
        let picture = if target.picture { drawn.clone() } else { Picture::None };
        tasks.spawn(async move {
            let outcome = attempt(&target, &message(picture), &limits).await;
            (target, outcome)
        });
    }
    let mut outcomes = tasks.join_all().await;
    outcomes.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    outcomes.iter().map(|(target, outcome)| result(target, outcome)).collect()
}

fn result(target: &Notify, outcome: &Result<(), Fault>) -> Value {
    let name = target.name.as_str();
    let detail = match outcome {
        Ok(()) => format!("The target {name} took the test message."),
        Err(fault) => format!("The target {name} {}.", fault.why()),
    };
    json!({ "target": name, "ok": outcome.is_ok(), "detail": detail })
}

fn message(picture: Picture) -> Message {
    let ts = Timestamp::now();
    let mut chance = [0; 16];
    // Without randomness two tests in one millisecond have the same id, which harms nobody.
    let _ = getrandom::fill(&mut chance);
    let since_1970 = u64::try_from(ts.as_millisecond()).unwrap_or_default();
    let id = ulid::Ulid::from_parts(since_1970, u128::from_ne_bytes(chance)).to_string();
    let title = "Test of Doorward: messages reach you here";
    let record =
        json!({ "id": id, "sort": "test", "event_type": "test", "title": title, "ts": timestamp(ts) });
    let Value::Object(record) = record else { unreachable!("it was written as an object") };
    Message { id, ts, title: title.to_owned(), record, picture }
}

/// A door, from above a lamp; nothing that could be taken for a camera's picture.
fn drawn() -> Picture {
    const SIZE: (usize, usize) = (320, 240);
    let mut rgb = Vec::with_capacity(3 * SIZE.0 * SIZE.1);
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            let (is_door, is_knob) =
                ((110..210).contains(&x) && y >= 60, x.abs_diff(195) + y.abs_diff(150) < 8);
            let is_lamp = x.abs_diff(160) + y.abs_diff(34) < 14;
            rgb.extend(match (is_knob || is_lamp, is_door) {
                (true, _) => [250u8, 210, 90],
                (false, true) => [150, 60, 50],
                (false, false) => [70, 90, 120],
            });
        }
    }
    match jpeg::encode_rgb(SIZE.0, SIZE.1, &rgb, 80) {
        Ok(jpeg) => Picture::Jpeg(jpeg),
        Err(_) => Picture::Missing("The test picture could not be drawn."),
    }
}
