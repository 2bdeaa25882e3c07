//! What people may ask about faces: the one vocabulary behind MQTT requests, REST and the command line.
//!
//! Not here: carrying it out (see `vision::enrol`), and which event an id belongs to ([`crate::logic::appliance`]).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::{alphabet, engine::DecodePaddingMode};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::logic::fields::Fields;
use crate::logic::picture::Rect;
use crate::logic::problem::{Problem, quoted};

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Training {
    /// Who is enrolled, who came unknown, who is ignored.
    List,
    /// Adds a photograph to a person, who may be new.
    Enrol {
        /// Name or slug.
        name: String,
        /// Where the face comes from.
        look: Look,
        /// Take it although it looks like somebody else.
        force: bool,
    },
    /// Says who somebody is whom the appliance has seen.
    Assign {
        /// Whom.
        subject: Subject,
        /// Name or slug.
        name: String,
        /// Take it although it looks like somebody else.
        force: bool,
    },
    /// Says that the name in an event is wrong: this look never gets that name again.
    Reject {
        /// The event.
        event_id: String,
    },
    /// Never tells of this face again.
    Ignore {
        /// Whose.
        subject: Subject,
    },
    /// Removes a person, or a group, with everything that is kept about them.
    Forget {
        /// Whom.
        subject: Subject,
    },
    /// Decides about one picture, or tests the household with its own photographs.
    Test {
        /// The picture; `None` for the household.
        look: Option<Look>,
    },
}

/// Where a face comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// A picture that was sent, as a JPEG or PNG file.
    Image(Bytes),
    /// The face of an event.
    Event(String),
    /// The face in front of a camera now; `None` is the only camera.
    Capture(Option<String>),
    /// What that camera showed, as a JPEG; no request says so, the answer to `Capture` does.
    Frame(Bytes),
}

/// Somebody who was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The face of an event.
    Event(String),
    /// A group of unknown or ignored faces.
    Group(u32),
    /// A person, by name or slug.
    Person(String),
}

/// A request with its pictures, for the thread that has the face models.
#[derive(Clone, Debug)]
pub enum Job {
    /// See [`Training::List`].
    List {
        /// When each person was last seen, by slug.
        last_seen: BTreeMap<String, Timestamp>,
    },
    /// See [`Training::Enrol`].
    Enrol {
        /// Name or slug.
        name: String,
        /// The face.
        shot: Shot,
        /// Take it although it looks like somebody else.
        force: bool,
    },
    /// See [`Training::Assign`].
    Assign {
        /// Whom.
        whom: Whom,
        /// Name or slug.
        name: String,
        /// Take it although it looks like somebody else.
        force: bool,
    },
    /// See [`Training::Reject`].
    Reject {
        /// Slug of the person that the event names.
        person: String,
        /// The face.
        shot: Shot,
    },
    /// See [`Training::Ignore`].
    Ignore(Whom),
    /// See [`Training::Forget`].
    Forget(Whom),
    /// See [`Training::Test`].
    Test(Option<Shot>),
}

/// A picture in which a face is meant.
#[derive(Clone, Debug)]
pub enum Shot {
    /// A picture with one face.
    Image(Bytes),
    /// The picture of an event.
    Event(EventFace),
    /// A camera's picture with one face.
    Frame(Bytes),
}

/// The face of an event.
#[derive(Clone, Debug)]
pub struct EventFace {
    /// The event.
    pub id: String,
    /// The camera's picture.
    pub jpeg: Bytes,
    /// Where the face is in it.
    pub place: Rect,
    /// Who it was said to be.
    pub person: Option<String>,
    /// The group of faces that it was put into.
    pub group: Option<u32>,
}

/// Somebody who was seen, with the pictures at hand.
#[derive(Clone, Debug)]
pub enum Whom {
    /// The face of an event.
    Event(EventFace),
    /// A group of unknown or ignored faces.
    Group(u32),
    /// A person, by name or slug.
    Person(String),
}

/// What a job changed that concerns more than the faces thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Slug of a person who is forgotten, with everything that was told about them.
    pub forgotten: Option<String>,
    /// An event that was wrong, and the slug and name that are right; `None` for "not that person".
    pub corrected: Option<(String, Option<(String, String)>)>,
    /// Slug of a person whose name was given to somebody else.
    pub retracted: Option<String>,
}

/// Every verb, as in `request/faces/<verb>` and `/api/faces/<verb>`.
pub const VERBS: [&str; 7] = ["list", "enrol", "assign", "reject", "ignore", "forget", "test"];

/// Bytes of a picture that is sent.
pub const MAX_IMAGE_BYTES: usize = 15 << 20;

impl Training {
    /// Reads a request: its verb and the fields of its body, without those that every request may have.
    ///
    /// # Errors
    /// What is missing, unknown or of the wrong kind, with the field.
    pub fn parse(verb: &str, body: &Map<String, Value>) -> Result<Training, Problem> {
        let request = format!("faces/{verb}");
        let fields = Faces(Fields { request: &request, body });
        let known: &[&str] = match verb {
            "list" => &[],
            "enrol" => &["name", "person", "image_b64", "event_id", "capture", "camera", "force"],
            "assign" => &["event_id", "group", "name", "person", "force"],
            "reject" => &["event_id"],
            "ignore" | "forget" => &["event_id", "group", "person"],
            "test" => &["image_b64", "event_id", "capture", "camera"],
            other => return Err(Problem::NotFound { what: format!("request faces/{}", quoted(other)) }),
        };
        fields.0.only(known)?;
        Ok(match verb {
            "enrol" => Training::Enrol {
                name: fields.name()?,
                look: fields.look()?.ok_or_else(|| {
                    fields.bad(
                        "needs \"image_b64\", \"event_id\" or \"capture\": true to know which face is meant",
                    )
                })?,
                force: fields.flag("force")?,
            },
            "assign" => Training::Assign {
                subject: fields.seen()?,
                name: fields.name()?,
                force: fields.flag("force")?,
            },
            "reject" => Training::Reject { event_id: fields.0.needed("event_id", "the id of an event")? },
            "ignore" => Training::Ignore { subject: fields.anybody()? },
            "forget" => Training::Forget { subject: fields.anybody()? },
            "test" => Training::Test { look: fields.look()? },
            _ => Training::List,
        })
    }
}

impl Training {
    /// The camera whose picture is needed first, by id, or `None` for the only one; the outer `None` when no picture is.
    pub fn camera_to_capture(&self) -> Option<Option<&str>> {
        match self {
            Training::Enrol { look: Look::Capture(camera), .. }
            | Training::Test { look: Some(Look::Capture(camera)) } => Some(camera.as_deref()),
            Training::Enrol { .. }
            | Training::Test { .. }
            | Training::List
            | Training::Assign { .. }
            | Training::Reject { .. }
            | Training::Ignore { .. }
            | Training::Forget { .. } => None,
        }
    }

    /// Id of the event that the request is about.
    pub fn event_named(&self) -> Option<&str> {
        match self {
            Training::Enrol { look: Look::Event(id), .. }
            | Training::Test { look: Some(Look::Event(id)) }
            | Training::Assign { subject: Subject::Event(id), .. }
            | Training::Ignore { subject: Subject::Event(id) }
            | Training::Forget { subject: Subject::Event(id) }
            | Training::Reject { event_id: id } => Some(id),
            Training::Enrol { .. }
            | Training::Test { .. }
            | Training::List
            | Training::Assign { .. }
            | Training::Ignore { .. }
            | Training::Forget { .. } => None,
        }
    }

    /// The same request with the camera's picture.
    #[must_use]
    pub fn with_frame(self, jpeg: Bytes) -> Training {
        match self {
            Training::Enrol { name, look: Look::Capture(_), force } => {
                Training::Enrol { name, look: Look::Frame(jpeg), force }
            }
            Training::Test { look: Some(Look::Capture(_)) } => {
                Training::Test { look: Some(Look::Frame(jpeg)) }
            }
            other => other, // needs none
        }
    }
}

/// The fields of a body, as these requests name faces and people.
struct Faces<'a>(Fields<'a>);

impl Faces<'_> {
    fn bad(&self, what: &str) -> Problem {
        self.0.wrong(what)
    }

    fn text(&self, key: &str) -> Result<Option<String>, Problem> {
        self.0.text(key)
    }

    fn flag(&self, key: &str) -> Result<bool, Problem> {
        Ok(self.0.flag(key)?.unwrap_or(false))
    }

    /// People write either word; both mean the same here.
    fn name(&self) -> Result<String, Problem> {
        match (self.text("name")?, self.text("person")?) {
            (Some(name), None) | (None, Some(name)) => Ok(name),
            (Some(_), Some(_)) => Err(self.bad("takes \"name\" or \"person\", not both")),
            (None, None) => Err(self.bad("needs \"name\": who it is")),
        }
    }

    fn group(&self) -> Result<Option<u32>, Problem> {
        let number = self.0.count("group", 0, u64::from(u32::MAX))?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    /// Somebody who was seen: an event or a group.
    fn seen(&self) -> Result<Subject, Problem> {
        match (self.text("event_id")?, self.group()?) {
            (Some(id), None) => Ok(Subject::Event(id)),
            (None, Some(group)) => Ok(Subject::Group(group)),
            _ => Err(self.bad("needs \"event_id\" or \"group\" (one of them) to know who is meant")),
        }
    }

    fn anybody(&self) -> Result<Subject, Problem> {
        match self.text("person")? {
            None if self.0.body.is_empty() => {
                Err(self.bad("needs \"person\", \"event_id\" or \"group\" to know who is meant"))
            }
            None => self.seen(),
            Some(person) if self.0.body.len() == 1 => Ok(Subject::Person(person)),
            Some(_) => Err(self.bad("takes \"person\", \"event_id\" or \"group\", only one of them")),
        }
    }

    fn look(&self) -> Result<Option<Look>, Problem> {
        let camera = self.text("camera")?;
        let capture = self.flag("capture")?.then(|| Look::Capture(camera.clone()));
        if camera.is_some() && capture.is_none() {
            return Err(self.bad("takes \"camera\" only together with \"capture\": true"));
        }
        let image = self.text("image_b64")?.map(|text| self.image(&text)).transpose()?;
        let event = self.text("event_id")?.map(Look::Event);
        let mut looks = [image, event, capture].into_iter().flatten();
        match (looks.next(), looks.next()) {
            (look, None) => Ok(look),
            (_, Some(_)) => {
                Err(self.bad("takes \"image_b64\", \"event_id\" or \"capture\", only one of them"))
            }
        }
    }

    fn image(&self, text: &str) -> Result<Look, Problem> {
        let bytes = unpadded().decode(text.split_once(";base64,").map_or(text, |(_, data)| data).trim());
        let bytes = bytes.map_err(|_| self.0.bad("image_b64", "the picture as base64"))?;
        picture(bytes.into())
    }
}

/// A picture that was sent, as one that is meant for training.
///
/// # Errors
/// When it is empty or has more than [`MAX_IMAGE_BYTES`].
pub fn picture(bytes: Bytes) -> Result<Look, Problem> {
    if bytes.is_empty() {
        return Err(Problem::BadRequest { detail: "The picture is empty".into() });
    }
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(Problem::TooLarge { limit: MAX_IMAGE_BYTES });
    }
    Ok(Look::Image(bytes))
}

/// `base64 -w0` pads and some languages do not.
fn unpadded() -> GeneralPurpose {
    let config = base64::engine::GeneralPurposeConfig::new();
    GeneralPurpose::new(&alphabet::STANDARD, config.with_decode_padding_mode(DecodePaddingMode::Indifferent))
}

/// A picture as it stands in a request.
#[must_use]
pub fn image_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(verb: &str, body: Value) -> Result<Training, Problem> {
        Training::parse(verb, body.as_object().unwrap())
    }

    #[test]
    fn every_verb_is_read() {
        let jpeg = Look::Image(Bytes::from_static(b"jpeg"));
        let alice = || "Alice".to_owned();
        let event = || Subject::Event("01J".into());
        for (verb, body, wanted) in [
            ("list", json!({}), Training::List),
            (
                "enrol",
                json!({"name": "Alice", "image_b64": image_text(b"jpeg")}),
                Training::Enrol { name: alice(), look: jpeg.clone(), force: false },
            ),
            (
                "enrol",
                json!({"person": "Alice", "capture": true, "camera": "porch", "force": true}),
                Training::Enrol { name: alice(), look: Look::Capture(Some("porch".into())), force: true },
            ),
            (
                "assign",
                json!({"event_id": "01J", "person": "Alice"}),
                Training::Assign { subject: event(), name: alice(), force: false },
            ),
            (
                "assign",
                json!({"group": "7", "name": "Alice"}),
                Training::Assign { subject: Subject::Group(7), name: alice(), force: false },
            ),
            ("reject", json!({"event_id": "01J"}), Training::Reject { event_id: "01J".into() }),
            ("ignore", json!({"group": 7}), Training::Ignore { subject: Subject::Group(7) }),
            ("forget", json!({"person": "Alice"}), Training::Forget { subject: Subject::Person(alice()) }),
            ("test", json!({}), Training::Test { look: None }),
            (
                "test",
                json!({"image_b64": "data:image/jpeg;base64,anBlZw"}),
                Training::Test { look: Some(jpeg) },
            ),
        ] {
            assert_eq!(parse(verb, body.clone()).unwrap(), wanted, "{verb} {body}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_field() {
        for (verb, body, part) in [
            ("enrol", json!({}), "needs \"name\""),
            ("enrol", json!({"name": "A"}), "\"image_b64\""),
            ("enrol", json!({"name": 7, "capture": true}), "text in \"name\""),
            ("enrol", json!({"name": "A", "person": "B", "capture": true}), "not both"),
            ("enrol", json!({"name": "A", "image_b64": "§"}), "base64"),
            ("enrol", json!({"name": "A", "image_b64": ""}), "\"image_b64\""),
            ("enrol", json!({"name": "A", "event_id": "1", "capture": true}), "only one"),
            ("enrol", json!({"name": "A", "camera": "porch", "event_id": "1"}), "\"camera\" only"),
            ("enrol", json!({"name": "A", "capture": "yes"}), "true or false"),
            ("enrol", json!({"name": "A", "photo": "x"}), "takes no \"photo\""),
            ("assign", json!({"person": "A"}), "\"event_id\" or \"group\""),
            ("assign", json!({"event_id": "1"}), "needs \"name\""),
            ("assign", json!({"group": -1, "name": "A"}), "a whole number from 0 to 4294967295 in \"group\""),
            ("reject", json!({}), "the id of an event in \"event_id\""),
            ("forget", json!({}), "needs \"person\""),
            ("forget", json!({"person": "A", "group": 1}), "only one"),
            ("list", json!({"x": 1}), "takes no \"x\""),
        ] {
            let problem = parse(verb, body.clone()).unwrap_err();
            assert!(
                problem.code() == "bad_request" && problem.advice().contains(part),
                "{verb} {body}: {problem}"
            );
        }
        assert_eq!(parse("erase", json!({})).unwrap_err().code(), "not_found");
    }
}
