//! The words in which people are told of events: a title and a message for each kind that is worth telling, with places to fill in.
//!
//! Not here: events whose words are fixed, such as a full disk; they stand where the event is made ([`super::appliance`]).

/// One kind of event and its words when nothing is configured.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What the settings are called: `wording.<key>_title`, `wording.<key>_message`.
    pub key: &'static str,
    /// The `event_type` of its payload.
    pub event_type: &'static str,
    /// One line.
    pub title: &'static str,
    /// What there is to say besides.
    pub message: &'static str,
}

/// Somebody of the household.
pub const KNOWN: Kind = Kind {
    key: "known",
    event_type: "known",
    title: "{name} is at {camera}",
    message: "{name} was recognised at {time}.",
};
/// Somebody whom nobody has enrolled.
pub const UNKNOWN: Kind = Kind {
    key: "unknown",
    event_type: "unknown",
    title: "Somebody unknown is at {camera}",
    message: "Seen at {time}; nobody of the household was recognised.",
};
/// A face between two people, or near a name but not near enough.
pub const UNSURE: Kind = Kind {
    key: "unsure",
    event_type: "unsure",
    title: "A face at {camera} could not be told for sure",
    message: "Seen at {time}.",
};
/// Something began to move.
pub const MOTION: Kind =
    Kind { key: "motion", event_type: "start", title: "Motion at {camera}", message: "Seen at {time}." };
/// A camera delivers no pictures any more.
pub const LOST: Kind =
    Kind { key: "lost", event_type: "lost", title: "{camera} is lost", message: "{advice}" };
/// It delivers again.
pub const RECOVERED: Kind = Kind {
    key: "recovered",
    event_type: "recovered",
    title: "{camera} is back",
    message: "There are pictures again since {time}.",
};

/// Every kind whose words can be changed.
pub const KINDS: [Kind; 6] = [KNOWN, UNKNOWN, UNSURE, MOTION, LOST, RECOVERED];

/// What may stand in braces.
const PLACES: [&str; 5] = ["name", "camera", "time", "date", "advice"];
/// Characters of a title or a message.
const LONGEST: usize = 300;

/// The words of one installation: for each of [`KINDS`] a title and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording(pub [(String, String); KINDS.len()]);

impl Default for Wording {
    fn default() -> Self {
        Self(KINDS.map(|kind| (kind.title.to_owned(), kind.message.to_owned())))
    }
}

/// What is filled in. What an event does not have is empty.
#[derive(Clone, Debug, Default)]
pub struct Places<'a> {
    /// Name of the person.
    pub name: &'a str,
    /// Name of the camera.
    pub camera: &'a str,
    /// `14:03`, where the appliance is.
    pub time: String,
    /// `2026-01-31`.
    pub date: String,
    /// What to do about a lost camera.
    pub advice: &'a str,
}

impl Wording {
    /// Title and message of an event; none for kinds whose words are fixed.
    #[must_use]
    pub fn say(&self, event_type: &str, places: &Places<'_>) -> Option<(String, String)> {
        let at = KINDS.iter().position(|kind| kind.event_type == event_type)?;
        let (title, message) = &self.0[at];
        Some((fill(title, places), fill(message, places)))
    }
}

/// Whether a text can be filled in.
///
/// # Errors
/// What is wrong with it, in a sentence without the key's name.
pub fn check(text: &str) -> Result<(), String> {
    if text.chars().count() > LONGEST || text.chars().any(char::is_control) {
        return Err(format!("needs at most {LONGEST} characters in one line"));
    }
    let odd = parts(text).find_map(|part| match part {
        Part::Place(place) if !PLACES.contains(&place) => Some(place),
        Part::Place(_) | Part::Plain(_) => None,
    });
    match odd {
        None => Ok(()),
        Some(odd) => {
            Err(format!("there is no {{{odd}}}; there are {{{}}}", PLACES.map(String::from).join("}, {")))
        }
    }
}

enum Part<'a> {
    Plain(&'a str),
    Place(&'a str),
}

/// The text in pieces; a brace that nothing closes is plain.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let whole = rest;
        if whole.is_empty() {
            return None;
        }
        let place = whole.strip_prefix('{').and_then(|after| after.split_once('}'));
        if let Some((place, after)) = place {
            rest = after;
            return Some(Part::Place(place));
        }
        // From the second byte on: an opening brace at the beginning was found to be plain.
        let end = whole.bytes().skip(1).position(|byte| byte == b'{').map_or(whole.len(), |at| at + 1);
        rest = &whole[end..];
        Some(Part::Plain(&whole[..end]))
    })
}

fn fill(text: &str, places: &Places<'_>) -> String {
    parts(text)
        .map(|part| match part {
            Part::Plain(plain) => plain,
            Part::Place("name") => places.name,
            Part::Place("camera") => places.camera,
            Part::Place("time") => &places.time,
            Part::Place("date") => &places.date,
            Part::Place("advice") => places.advice,
            Part::Place(_) => "",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in() {
        let places = Places { name: "Jörg", camera: "Haustür", time: "14:03".into(), ..Places::default() };
        for (text, filled) in [
            ("{name} steht an der {camera} ({time}).", "Jörg steht an der Haustür (14:03)."),
            ("{camera}{name}", "HaustürJörg"),
            ("{advice}", ""),
            ("nothing", "nothing"),
            ("ö{name", "ö{name"),
            ("{", "{"),
            ("", ""),
        ] {
            assert_eq!(fill(text, &places), filled, "{text}");
            assert_eq!(check(text), Ok(()), "{text}");
        }
        // A name that looks like a place is not filled in again.
        assert_eq!(fill("{name}", &Places { name: "{time}", ..places }), "{time}");
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        let odd = check("{person} is here").unwrap_err();
        assert!(odd.contains("{person}") && odd.contains("{name}, {camera}"), "{odd}");
        assert!(check("two\nlines").is_err() && check(&"x".repeat(301)).is_err());
        assert!(KINDS.iter().all(|kind| check(kind.title).is_ok() && check(kind.message).is_ok()));
    }
}
