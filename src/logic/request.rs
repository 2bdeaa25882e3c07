//! Everything that may be asked of the appliance in words: a verb and the fields of a body become an [`Input`]. MQTT (`request/<verb>`),
//! REST (`/api/requests/<verb>`) and the command line share it.
//!
//! Not here: who may ask and how often ([`crate::mqtt`], [`crate::http`]), and carrying it out ([`super::appliance`]).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::access::Role;
use super::accounts::{self, verbs as access_verbs};
use super::admin;
use super::command::{Answer, Command};
use super::entities::on_off;
use super::faces::training::{self, Training};
use super::fields::Fields;
use super::history;
use super::input::Input;
use super::kept_file::{self, KeptFile};
use super::problem::{Problem, quoted};
use super::state::State;
use super::topics::Topics;
use super::why::Question;

/// The verbs that belong to no group with a room of its own.
const OWN: [&str; 9] = [
    "ping",
    "snapshot",
    "why",
    "motion/reset",
    "motion/inhibit",
    "notify/test",
    "discovery/republish",
    "discovery/lint",
    "discovery/clear",
];

/// Every verb.
pub fn verbs() -> impl Iterator<Item = String> {
    let own = OWN.into_iter().chain(admin::VERBS).chain(access_verbs::VERBS).map(str::to_owned);
    let faces = training::VERBS.into_iter().map(|verb| format!("faces/{verb}"));
    own.chain(faces).chain(history::VERBS.into_iter().map(|verb| format!("events/{verb}")))
}

/// Those that only look, so that viewers may ask them.
const LOOKS: [&str; 6] = ["ping", "health", "why", "events/list", "events/get", "faces/list"];
/// Those that remove or restart something, beside all of [`access_verbs::VERBS`]; a login at the broker is not enough for them unless somebody
/// says so.
const DRASTIC: [&str; 7] =
    ["faces/forget", "events/delete", "config/set", "config/reload", "backup", "restart", "discovery/clear"];
/// The word for all others.
const SAFE: &str = "safe";

/// Longest time for which motion can be held back: a day.
pub const LONGEST_INHIBITION: u64 = 86_400;
/// Characters of the reason for it.
const LONGEST_REASON: usize = 100;

/// What is asked about the devices in Home Assistant; the MQTT session answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Announce every device anew, those that were deleted too.
    Republish,
    /// Look at everything that the broker holds of ours and say what is wrong with it.
    Lint,
    /// Take everything of ours from the broker, and stay silent.
    Clear,
}

/// What it takes to ask this verb; what does not exist is an admin's.
#[must_use]
pub fn role(verb: &str) -> Role {
    if LOOKS.contains(&verb) { Role::Viewer } else { Role::Admin }
}

fn is_drastic(verb: &str) -> bool {
    DRASTIC.contains(&verb) || access_verbs::VERBS.contains(&verb)
}

/// The fields of a body; an empty one asks for nothing special.
///
/// # Errors
/// When it is no JSON object.
pub fn fields(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|error| Problem::BadRequest {
        detail: format!("The body is not the expected JSON ({error})"),
    })
}

/// Reads a request: its verb and the fields of its body, without `transaction`. `state` tells which camera is meant if none is named.
///
/// # Errors
/// What is unknown, missing or of the wrong kind, with the field and what it takes.
pub fn read(verb: &str, body: &Map<String, Value>, state: &State) -> Result<Input, Problem> {
    if let Some(verb) = verb.strip_prefix("faces/") {
        return Ok(Input::Training(Training::parse(verb, body)?));
    }
    if let Some(verb) = verb.strip_prefix("events/") {
        return Ok(Input::Events(history::Request::parse(verb, body)?));
    }
    let fields = Fields { request: verb, body };
    let plain = |input: Input| fields.only(&[]).map(|()| input);
    let camera = || state.camera_meant(fields.text("camera")?.as_deref());
    let of_camera = |command| {
        fields.only(&["camera"])?;
        Ok(Input::Command { camera: camera()?, command })
    };
    match verb {
        "ping" => plain(Input::Ping),
        "discovery/republish" => plain(Input::Discovery(Discovery::Republish)),
        "discovery/lint" => plain(Input::Discovery(Discovery::Lint)),
        "discovery/clear" => plain(Input::Discovery(Discovery::Clear)),
        "notify/test" => Ok(Input::TryNotify(history::target_to_try(body)?)),
        "why" => Ok(Input::Why(Question::parse(body)?)),
        "snapshot" => of_camera(Command::Snapshot),
        "motion/reset" => of_camera(Command::BackgroundReset),
        "motion/inhibit" => {
            fields.only(&["camera", "seconds", "reason"])?;
            let seconds = fields.count("seconds", 0, LONGEST_INHIBITION)?;
            let needs = format!("a whole number from 0 to {LONGEST_INHIBITION}; 0 ends it,");
            let seconds = seconds.ok_or_else(|| fields.bad("seconds", &needs))?;
            let reason = fields.text("reason")?.unwrap_or_default();
            let reason = reason.chars().take(LONGEST_REASON).collect();
            Ok(Input::Inhibit { camera: camera()?, time: Duration::from_secs(seconds), reason })
        }
        verb if access_verbs::VERBS.contains(&verb) => access(verb, body, state),
        verb if admin::VERBS.contains(&verb) => Ok(Input::Admin(admin::Request::parse(verb, body)?)),
        other => Err(Problem::NotFound { what: format!("request {}", quoted(other)) }),
    }
}

fn access(verb: &str, body: &Map<String, Value>, state: &State) -> Result<Input, Problem> {
    let request = accounts::Request::parse(verb, body)?;
    // A token for a camera that does not exist would open nothing, until one gets the name.
    if let accounts::Request::CreateToken { camera: Some(camera), .. } = &request
        && !state.cameras.contains_key(camera)
    {
        return Err(Problem::NotFound { what: format!("camera {}", quoted(camera)) });
    }
    Ok(Input::Access(request))
}

/// The answer as everybody gets it.
#[must_use]
pub fn data(answer: Answer, topics: &Topics) -> Value {
    match answer {
        Answer::Done => json!({}),
        Answer::Data(data) => data,
        // Days as pictures have a path of their own.
        Answer::Picture(_) => Value::Null,
        Answer::Event { camera, id } => json!({
            "topic": topics.event_image(&camera, &id),
            "path": kept_file::url(&id, KeptFile::Picture),
            "id": id,
        }),
    }
}

/// A value for an entity as somebody sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The value as plain text.
    pub value: String,
    /// What the answer shall repeat.
    pub transaction: Option<Value>,
    /// Whether it came as JSON, so that somebody waits for an answer.
    pub is_json: bool,
}

impl Wanted {
    /// Reads plain text, or JSON `{"value": …, "transaction": …}` with text, a number or a truth as the value.
    ///
    /// # Errors
    /// When it is not UTF-8, or JSON with other fields.
    pub fn parse(payload: &[u8]) -> Result<Self, Problem> {
        let bad = |detail: &str| Problem::BadRequest { detail: detail.into() };
        let text = std::str::from_utf8(payload).map_err(|_| bad("The value is not UTF-8 text"))?.trim();
        if !text.starts_with('{') {
            return Ok(Self { value: text.to_owned(), transaction: None, is_json: false });
        }
        let mut fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| bad("The value is not valid JSON"))?;
        let transaction = fields.remove("transaction");
        let value = fields.remove("value").filter(|_| fields.is_empty());
        let value = match value {
            Some(Value::String(text)) => text,
            Some(Value::Bool(on)) => on_off(on).to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {
                return Err(bad(
                    "A value is plain text, or JSON with the field \"value\" and perhaps \"transaction\"",
                ));
            }
        };
        Ok(Self { value, transaction, is_json: true })
    }
}

/// Which verbs may be asked over MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// Reads verbs with commas between them; `faces/*` stands for all that begin so, `*` for all, and `safe` for all that neither remove
    /// nor restart anything.
    ///
    /// # Errors
    /// The first word that stands for nothing, with those that would.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<String> =
            text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
        let list = Self(words);
        match list.0.iter().find(|word| !verbs().any(|verb| covers(word, &verb))) {
            None => Ok(list),
            Some(odd) => Err(format!(
                "there is no request {}; there are {SAFE}, {}",
                quoted(odd),
                verbs().collect::<Vec<_>>().join(", ")
            )),
        }
    }

    /// Whether this verb may be asked. What does not exist may be: the answer says so.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        !verbs().any(|known| known == verb) || self.0.iter().any(|word| covers(word, verb))
    }
}

fn covers(word: &str, verb: &str) -> bool {
    if word == SAFE {
        return !is_drastic(verb);
    }
    word.strip_suffix('*').map_or(word == verb, |beginning| verb.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::state::CameraState;

    fn state(cameras: &[&str]) -> State {
        let cameras = cameras.iter().map(|id| ((*id).to_owned(), CameraState::default())).collect();
        State { cameras, ..State::default() }
    }

    fn ask(verb: &str, body: &Value, cameras: &[&str]) -> Result<String, Problem> {
        let body = body.as_object().unwrap();
        read(verb, body, &state(cameras)).map(|input| format!("{input:?}"))
    }

    #[test]
    fn every_verb_is_read_or_says_what_it_needs() {
        for verb in verbs() {
            match ask(&verb, &json!({}), &["porch"]) {
                Ok(_) | Err(Problem::BadRequest { .. } | Problem::BadField { .. }) => {}
                Err(other) => panic!("{verb}: {other}"),
            }
            let strange = ask(&verb, &json!({"strange": 1}), &["porch"]).unwrap_err();
            assert!(strange.advice().contains("takes no \"strange\""), "{verb}: {strange}");
        }
        assert_eq!(ask("reboot", &json!({}), &["porch"]).unwrap_err().code(), "not_found");
    }

    #[test]
    fn the_only_camera_need_not_be_named() {
        let one = ask("snapshot", &json!({}), &["porch"]).unwrap();
        assert_eq!(one, ask("snapshot", &json!({"camera": "porch"}), &["porch", "shed"]).unwrap());
        let several = ask("snapshot", &json!({}), &["porch", "shed"]).unwrap_err();
        assert!(several.advice().contains("porch, shed"), "{several}");
        assert_eq!(ask("snapshot", &json!({"camera": 5}), &["porch"]).unwrap_err().field(), Some("camera"));
    }

    #[test]
    fn motion_is_held_back_for_a_day_at_most() {
        let read = |seconds: Value| ask("motion/inhibit", &json!({ "seconds": seconds }), &["porch"]);
        assert!(read(json!(0)).is_ok() && read(json!("86400")).is_ok());
        for wrong in [json!(-1), json!(86_401), json!("soon"), json!(null), json!(1.5)] {
            let problem = read(wrong.clone()).unwrap_err();
            assert_eq!(problem.field(), Some("seconds"), "{wrong}");
            assert!(problem.advice().contains("0 to 86400"), "{problem}");
        }
    }

    #[test]
    fn values_come_as_text_or_json() {
        for (payload, value) in [
            ("ON", "ON"),
            (" 12.5\n", "12.5"),
            (r#"{"value":"OFF"}"#, "OFF"),
            (r#"{"value":true}"#, "ON"),
            (r#"{ "value": 0.45, "transaction": [1] }"#, "0.45"),
            ("", ""),
        ] {
            let wanted = Wanted::parse(payload.as_bytes()).unwrap();
            assert_eq!((wanted.value.as_str(), wanted.is_json), (value, payload.contains('{')), "{payload}");
            assert_eq!(wanted.transaction, payload.contains('[').then(|| json!([1])));
        }
        for payload in
            ["{", "{}", r#"{"value":null}"#, r#"{"value":[1]}"#, r#"{"value":1,"x":2}"#, r#"{"v":1}"#]
        {
            assert_eq!(Wanted::parse(payload.as_bytes()).unwrap_err().code(), "bad_request", "{payload}");
        }
        assert_eq!(Wanted::parse(&[0xff, 0xfe]).unwrap_err().code(), "bad_request");
        let deep = format!("{{\"value\":{}", "[".repeat(60_000));
        assert_eq!(Wanted::parse(deep.as_bytes()).unwrap_err().code(), "bad_request");
    }

    #[test]
    fn a_list_of_verbs_allows_what_it_names() {
        let list = Allowed::parse(" ping, faces/* ,events/get").unwrap();
        for (verb, allowed) in [
            ("ping", true),
            ("faces/forget", true),
            ("events/get", true),
            ("events/delete", false),
            ("snapshot", false),
            ("nonsense", true),
        ] {
            assert_eq!(list.allows(verb), allowed, "{verb}");
        }
        assert!(verbs().all(|verb| Allowed::parse("*").unwrap().allows(&verb)));
        assert!(!verbs().any(|verb| Allowed::parse("").unwrap().allows(&verb)));
        let safe = Allowed::parse("safe, faces/forget").unwrap();
        for verb in access_verbs::VERBS {
            assert!(!safe.allows(verb) && role(verb) == Role::Admin, "{verb}");
        }
        assert!(LOOKS.iter().all(|look| verbs().any(|verb| verb == *look) && role(look) == Role::Viewer));
        assert!(safe.allows("snapshot") && safe.allows("faces/forget") && !safe.allows("restart"));
        assert!(DRASTIC.iter().all(|drastic| verbs().any(|verb| verb == *drastic)));
        let odd = Allowed::parse("ping, face/*").unwrap_err();
        assert!(odd.contains("face/*") && odd.contains("faces/list"), "{odd}");
    }
}
