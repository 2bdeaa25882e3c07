//! Who is told of what: the rules of one target against one event.
//!
//! Not here: whether an event is worth telling at all ([`super::quiet`]), and how a target is told ([`crate::notify`]).

use std::time::Duration;

use jiff::civil::{DateTime, Time, Weekday};

/// What an event is, as far as rules go. Each is one word in `events` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something begins to move. Ends and what was held back as suppressed are only in [`Kind::All`].
    Motion,
    /// A face has a name.
    Known,
    /// A face of nobody in the household.
    Unknown,
    /// A face that may be somebody's.
    Unsure,
    /// A name that was told before was wrong.
    Corrected,
    /// A camera is lost or is back.
    Camera,
    /// Somebody tries to get in: wrong tokens and the like.
    Security,
    /// The appliance itself: its disk, its broker.
    System,
    /// The address of the home has changed.
    AddressChanged,
    /// Every event there is.
    All,
}

const WORDS: [(&str, Kind); 10] = [
    ("motion", Kind::Motion),
    ("known", Kind::Known),
    ("unknown", Kind::Unknown),
    ("unsure", Kind::Unsure),
    ("corrected", Kind::Corrected),
    ("camera", Kind::Camera),
    ("security", Kind::Security),
    ("system", Kind::System),
    ("address_changed", Kind::AddressChanged),
    ("all", Kind::All),
];

/// What is known of an event when somebody has to be told.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The word of its sort, as in topics.
    pub sort: &'a str,
    /// Its `event_type`.
    pub event_type: &'a str,
    /// Id of its camera, if it has one.
    pub camera: Option<&'a str>,
    /// Slug of the person that it names.
    pub person: Option<&'a str>,
    /// Its `notify`: false for what is held back or only for automations.
    pub is_worth_telling: bool,
}

impl About<'_> {
    /// None for what only [`Kind::All`] means.
    fn kind(&self) -> Option<Kind> {
        Some(match (self.sort, self.event_type) {
            (_, "address_changed") | ("address_changed", _) => Kind::AddressChanged,
            ("motion", "start") => Kind::Motion,
            ("face", "known") => Kind::Known,
            ("face", "unknown") => Kind::Unknown,
            ("face", "unsure") => Kind::Unsure,
            ("face", "corrected") => Kind::Corrected,
            ("camera", _) => Kind::Camera,
            ("security", _) => Kind::Security,
            ("system", _) => Kind::System,
            _ => return None,
        })
    }
}

/// A part of the day: from the first moment up to, but without, the last. The last may lie on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from: Minute,
    to: Minute,
}

/// Minutes since midnight on the clock on the wall, 0 to 1440.
type Minute = i16;

/// The rules of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Any of these kinds.
    pub kinds: Vec<Kind>,
    /// Ids of cameras; empty = all. Events without a camera pass.
    pub cameras: Vec<String>,
    /// Slugs of people; empty = everybody. Events that name nobody pass.
    pub people: Vec<String>,
    /// Any of these parts of the day; empty = always.
    pub hours: Vec<Span>,
    /// Any of these days; empty = every day.
    pub days: Vec<Weekday>,
    /// Only when nobody of the household was recognised for so long.
    pub away_after: Option<Duration>,
    /// Also events that are not worth telling.
    pub quiet_too: bool,
}

impl Rule {
    /// Whether the target is told. `local` is the time of the place; `nobody_known_for` says how long before this event a camera
    /// last recognised somebody, `None` that none ever did, which counts as away.
    #[must_use]
    pub fn wants(&self, about: &About<'_>, local: DateTime, nobody_known_for: Option<Duration>) -> bool {
        self.wants_kind(about)
            && passes(&self.cameras, about.camera)
            && passes(&self.people, about.person)
            && self.wants_time(local)
            && self.away_after.is_none_or(|least| nobody_known_for.is_none_or(|time| time >= least))
    }

    fn wants_kind(&self, about: &About<'_>) -> bool {
        let kind = about.kind();
        let named = kind.is_some_and(|kind| self.kinds.contains(&kind));
        // A correction is never worth telling by itself; who asks for it by name means it.
        let meant = named && kind == Some(Kind::Corrected);
        (named || self.kinds.contains(&Kind::All)) && (about.is_worth_telling || self.quiet_too || meant)
    }

    /// A span over midnight belongs to the day on which it begins.
    fn wants_time(&self, local: DateTime) -> bool {
        let today = local.date().weekday();
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.hours.is_empty() {
            return on(today);
        }
        let now = minute(local.time());
        self.hours.iter().any(|span| {
            if span.from < span.to {
                (span.from..span.to).contains(&now) && on(today)
            } else {
                (now >= span.from && on(today)) || (now < span.to && on(today.previous()))
            }
        })
    }
}

fn passes(allowed: &[String], found: Option<&str>) -> bool {
    allowed.is_empty() || found.is_none_or(|found| allowed.iter().any(|word| word == found))
}

fn minute(time: Time) -> Minute {
    i16::from(time.hour()) * 60 + i16::from(time.minute())
}

/// The words of a list with commas.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Reads `known, unknown`.
///
/// # Errors
/// What is needed, for a word that is no kind and for no word at all.
pub fn kinds(text: &str) -> Result<Vec<Kind>, String> {
    let read = |word: &str| WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
    match list(text).map(read).collect::<Option<Vec<_>>>() {
        Some(kinds) if !kinds.is_empty() => Ok(kinds),
        Some(_) | None => {
            let words = WORDS.map(|(word, _)| word).join(", ");
            Err(format!("needs one or more of {words}, with commas between them"))
        }
    }
}

/// Reads `22:00-06:00, 12:00-13:00`.
///
/// # Errors
/// What is needed.
pub fn hours(text: &str) -> Result<Vec<Span>, String> {
    let needed = "needs spans such as 22:00-06:00, with commas between them; 00:00-24:00 is a whole day";
    list(text).map(|word| span(word).ok_or_else(|| needed.to_owned())).collect()
}

fn span(word: &str) -> Option<Span> {
    let (from, to) = word.split_once('-')?;
    let (from, to) = (clock(from.trim())?, clock(to.trim())?);
    (from != to && from < 1440).then_some(Span { from, to })
}

/// `6:00`, `06:00` or `24:00` as minutes.
fn clock(text: &str) -> Option<Minute> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str, most: usize| {
        let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { text.parse::<Minute>().ok() } else { None }
    };
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2).filter(|_| minute.len() == 2)?);
    let sum = hour * 60 + minute;
    (minute < 60 && sum <= 1440).then_some(sum)
}

/// Reads `mon, wed, fri-sun`.
///
/// # Errors
/// What is needed.
pub fn days(text: &str) -> Result<Vec<Weekday>, String> {
    let needed = || "needs days such as mon, wed or mon-fri, with commas between them".to_owned();
    let mut days = Vec::new();
    for word in list(text) {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (mut at, last) = day(first.trim()).zip(day(last.trim())).ok_or_else(needed)?;
        while at != last {
            days.push(at);
            at = at.next();
        }
        days.push(last);
    }
    Ok(days)
}

fn day(word: &str) -> Option<Weekday> {
    Some(match word {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-18T12:00"; // a Wednesday

    fn rule(text: &str) -> Rule {
        let words = |text: &str| list(text).map(str::to_owned).collect();
        Rule {
            kinds: kinds(text).unwrap(),
            cameras: words(""),
            people: words(""),
            hours: Vec::new(),
            days: Vec::new(),
            away_after: None,
            quiet_too: false,
        }
    }

    fn about<'a>(sort: &'a str, event_type: &'a str) -> About<'a> {
        let is_worth_telling =
            !matches!(event_type, "end" | "suppressed" | "left" | "corrected" | "snapshot");
        About { sort, event_type, camera: Some("porch"), person: None, is_worth_telling }
    }

    fn at(rule: &Rule, local: &str) -> bool {
        rule.wants(&about("face", "unknown"), local.parse().unwrap(), None)
    }

    #[test]
    fn every_kind_has_its_events_and_no_others() {
        let events = [
            ("motion", "start", "motion"),
            ("motion", "end", ""),
            ("motion", "suppressed", ""),
            ("face", "known", "known"),
            ("face", "unknown", "unknown"),
            ("face", "unsure", "unsure"),
            ("face", "corrected", "corrected"),
            ("face", "left", ""),
            ("snapshot", "snapshot", ""),
            ("camera", "lost", "camera"),
            ("camera", "recovered", "camera"),
            ("security", "failed_login", "security"),
            ("system", "disk_full", "system"),
            ("system", "address_changed", "address_changed"),
            ("address_changed", "address_changed", "address_changed"),
        ];
        let noon: DateTime = NOON.parse().unwrap();
        for (sort, event_type, word) in events {
            let about = about(sort, event_type);
            for (kind, _) in WORDS {
                let expected = kind == word || (kind == "all" && about.is_worth_telling);
                assert_eq!(rule(kind).wants(&about, noon, None), expected, "{kind}: {sort} {event_type}");
                let loud = Rule { quiet_too: true, ..rule(kind) };
                let expected = kind == word || kind == "all";
                assert_eq!(
                    loud.wants(&about, noon, None),
                    expected,
                    "{kind}, quiet_too: {sort} {event_type}"
                );
            }
        }
    }

    #[test]
    fn what_was_held_back_is_told_only_to_those_who_want_it() {
        let quiet = About { is_worth_telling: false, ..about("face", "known") };
        let noon = NOON.parse().unwrap();
        assert!(!rule("known, all").wants(&quiet, noon, None));
        assert!(Rule { quiet_too: true, ..rule("known") }.wants(&quiet, noon, None));
    }

    #[test]
    fn cameras_and_people_hold_back_only_events_that_name_one() {
        let noon = NOON.parse().unwrap();
        let table = [
            ("", "", Some("porch"), Some("anna"), true),
            ("porch, yard", "", Some("porch"), None, true),
            ("yard", "", Some("porch"), None, false),
            ("yard", "", None, None, true),
            ("", "anna", Some("porch"), Some("anna"), true),
            ("", "anna", Some("porch"), Some("ben"), false),
            ("", "anna", Some("porch"), None, true),
            ("yard", "anna", Some("porch"), Some("anna"), false),
        ];
        for (cameras, people, camera, person, expected) in table {
            let words = |text: &str| list(text).map(str::to_owned).collect();
            let rule = Rule { cameras: words(cameras), people: words(people), ..rule("all") };
            let about = About { camera, person, ..about("face", "known") };
            assert_eq!(rule.wants(&about, noon, None), expected, "{cameras} {people} {camera:?} {person:?}");
        }
    }

    #[test]
    fn hours_go_over_midnight_and_belong_to_the_day_on_which_they_begin() {
        // 2026-11-20 is a Friday.
        let table = [
            ("22:00-06:00", "", "2026-11-20T21:59:59", false),
            ("22:00-06:00", "", "2026-11-20T22:00", true),
            ("22:00-06:00", "", "2026-11-21T05:59:59", true),
            ("22:00-06:00", "", "2026-11-21T06:00", false),
            ("22:00-06:00, 12:00-13:00", "", "2026-11-20T12:30", true),
            ("22:00-06:00, 12:00-13:00", "", "2026-11-20T13:00", false),
            ("00:00-24:00", "", "2026-11-20T23:59:59", true),
            ("22:00-24:00", "", "2026-11-21T00:00", false),
            ("22:00-00:00", "", "2026-11-21T00:00", false),
            ("22:00-00:00", "", "2026-11-20T23:59", true),
            ("22:00-06:00", "fri", "2026-11-20T23:00", true),
            ("22:00-06:00", "fri", "2026-11-21T02:00", true),
            ("22:00-06:00", "fri", "2026-11-20T02:00", false),
            ("22:00-06:00", "fri", "2026-11-21T23:00", false),
            ("", "fri", "2026-11-20T02:00", true),
            ("", "sat-sun", "2026-11-20T02:00", false),
            ("", "fri-mon", "2026-11-22T02:00", true),
        ];
        for (spans, on, local, expected) in table {
            let rule = Rule { hours: hours(spans).unwrap(), days: days(on).unwrap(), ..rule("all") };
            assert_eq!(at(&rule, local), expected, "{spans} {on} {local}");
        }
    }

    #[test]
    fn the_clock_on_the_wall_counts_when_it_is_changed() {
        // In Berlin the hour from 2 to 3 is missing on 2026-03-29 and comes twice on 2026-10-25.
        let table = [
            ("02:00-03:00", "2026-03-29T00:59:59Z", false), // 01:59:59
            ("02:00-03:00", "2026-03-29T01:00:00Z", false), // 03:00
            ("01:00-03:30", "2026-03-29T01:29:00Z", true),  // 03:29
            ("02:00-03:00", "2026-10-25T00:30:00Z", true),  // 02:30 in summer
            ("02:00-03:00", "2026-10-25T01:30:00Z", true),  // 02:30 in winter
            ("02:00-03:00", "2026-10-25T02:00:00Z", false), // 03:00
            ("22:00-02:30", "2026-10-25T01:15:00Z", true),  // 02:15, the second time
        ];
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        for (spans, utc, expected) in table {
            let moment: jiff::Timestamp = utc.parse().unwrap();
            let rule = Rule { hours: hours(spans).unwrap(), ..rule("all") };
            let local = berlin.to_datetime(moment);
            assert_eq!(rule.wants(&about("motion", "start"), local, None), expected, "{spans} {utc}");
        }
    }

    #[test]
    fn away_means_that_nobody_was_recognised_for_long_enough() {
        let noon = NOON.parse().unwrap();
        let away = Rule { away_after: Some(Duration::from_mins(30)), ..rule("unknown") };
        let about = about("face", "unknown");
        for (minutes, expected) in [(Some(0), false), (Some(29), false), (Some(30), true), (None, true)] {
            assert_eq!(away.wants(&about, noon, minutes.map(Duration::from_mins)), expected, "{minutes:?}");
        }
        assert!(rule("unknown").wants(&about, noon, Some(Duration::ZERO)));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["", ",", "knwon", "known unknown", "Known"] {
            assert!(kinds(text).is_err(), "{text:?}");
        }
        for text in ["22", "22:00", "22:00-22:00", "24:00-06:00", "22:60-06:00", "25:00-06:00", "22:0-06:00"]
        {
            assert!(hours(text).is_err(), "{text:?}");
        }
        for text in ["22:00-06:00-07:00", "-1:00-06:00", "+2:00-06:00", "22:00–06:00", "a:b-c:d"] {
            assert!(hours(text).is_err(), "{text:?}");
        }
        for text in ["monday", "mon-", "mo", "mon fri", "mon-fri-sun"] {
            assert!(days(text).is_err(), "{text:?}");
        }
        assert_eq!((hours(" ").unwrap().len(), days("").unwrap().len()), (0, 0));
        assert_eq!(days("mon-sun").unwrap().len(), 7);
    }
}
