//! What follows from faces: presence, events, and what people teach about them.
//!
//! Not here: who a face is ([`crate::logic::faces`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Appliance, EventDraft, LAST_FACE_EVERY, no_camera};
use crate::logic::effect::{ClipOrder, Effect};
use crate::logic::events::{Event, Sort, timestamp};
use crate::logic::faces::training::{Changed, EventFace, Job, Look, Shot, Subject, Training, Whom};
use crate::logic::faces::{SelfTest, likeness_table};
use crate::logic::history::Addition;
use crate::logic::input::{FaceNews, FaceSighting, Now, place_in};
use crate::logic::problem::{Problem, quoted};
use crate::logic::quiet::About;
use crate::logic::state::{Person, Status};
use crate::logic::why::{LOOK_BACK, Missing, Question};

impl Appliance {
    pub(super) fn faces(&mut self, now: Now, id: &str, sighting: FaceSighting) -> Vec<Effect> {
        let Some(camera) = self.state.cameras.get_mut(id) else { return Vec::new() };
        // A look that was under way when the camera was lost brings nobody back.
        if !camera.settings.face_recognition || camera.status != Status::Running {
            return Vec::new();
        }
        let name = camera.name.clone();
        // Retained and written by every broker that persists: a few times a minute are enough.
        let told_lately = |at: Timestamp| {
            now.wall.duration_since(at) < SignedDuration::try_from(LAST_FACE_EVERY).unwrap_or_default()
        };
        if sighting.any && !camera.last_face_at.is_some_and(told_lately) {
            camera.last_face_at = Some(now.wall);
        }
        camera.faces = sighting.places;
        for (reason, px) in sighting.unfit {
            let detail = Map::from_iter([("px".into(), json!(px))]);
            self.why.note(id, Missing::Face, reason, now.wall, detail);
        }
        for reason in sighting.silent {
            self.why.note(id, Missing::Face, reason, now.wall, Map::new());
        }
        let decisions = sighting.decisions;
        for news in decisions.iter().filter(|news| news.event_type == "left") {
            // Told to have left means no longer present, unless somebody of that name is seen all the same.
            let slug = news.person.as_ref().map_or("", |(slug, _)| slug);
            self.last_seen.remove(&(id.to_owned(), slug.to_owned()));
            camera.end_presence(slug);
        }
        let known_now = !sighting.known.is_empty();
        for (slug, name) in sighting.known {
            self.last_seen.insert((id.into(), slug.clone()), now.instant);
            self.met.insert(slug.clone(), now.wall);
            camera.present.insert(slug, name);
        }
        if sighting.unknown {
            self.last_seen.insert((id.into(), String::new()), now.instant);
            camera.unknown_present = true;
        }
        let effects = decisions.into_iter().flat_map(|news| self.face_event(now, id, &name, news)).collect();
        // After the events, whose rules ask who was here before them.
        if known_now {
            self.known_at = Some(now.instant);
        }
        effects
    }

    fn face_event(&mut self, now: Now, id: &str, camera: &str, news: FaceNews) -> Vec<Effect> {
        let FaceNews { event_type, person, record, captured_at, jpeg } = news;
        let who = person.as_ref().map_or("Somebody", |(_, name)| name.as_str());
        let title = match event_type {
            "left" => Some(format!("{who} has left {camera}")),
            "corrected" => Some(format!("It was {who}")),
            _ => None,
        };
        let mut detail = Map::new();
        if let Some((slug, name)) = &person {
            detail.insert("person".into(), json!(slug));
            detail.insert("name".into(), json!(name));
        }
        detail.extend(record);
        let about = match (event_type, &person) {
            ("known", Some((slug, _))) => Some(About::Known(slug)),
            ("unknown" | "unsure", _) => Some(About::Unknown),
            _ => None, // ends and corrections are never told anyway
        };
        let quiet = about.and_then(|about| self.hold_back(now, id, about));
        let event = EventDraft { sort: Sort::Face, event_type, title, detail, quiet };
        let event = self.announce(now, id, event, captured_at, jpeg);
        let mut effects = self.film_face(id, &event);
        effects.push(Effect::Announce(event));
        effects
    }

    /// A face is the best picture of the motion that it came with; without motion it is filmed by itself.
    fn film_face(&mut self, id: &str, event: &Event) -> Vec<Effect> {
        let Some(picture) = &event.picture else { return Vec::new() };
        let sharpness = |event: &Event| event.detail.get("face")?.get("sharpness")?.as_f64();
        match self.episodes.get_mut(id) {
            Some(episode) => {
                let sharpness = sharpness(event).unwrap_or(0.0);
                if episode.face.as_ref().is_none_or(|(best, _)| sharpness > *best) {
                    episode.face = Some((sharpness, picture.jpeg.clone()));
                }
                Vec::new()
            }
            None if matches!(event.event_type, "known" | "unknown" | "unsure") => {
                let begin = ClipOrder::Begin { event: event.id.clone() };
                [begin, ClipOrder::End].map(|order| Effect::Clip(id.into(), order)).into()
            }
            None => Vec::new(),
        }
    }

    /// Why nobody is told of an event, noted for those who ask.
    pub(super) fn hold_back(&mut self, now: Now, id: &str, about: About<'_>) -> Option<&'static str> {
        let is_off = self.state.cameras.get(id).is_some_and(|camera| !camera.settings.notifications);
        let reason = if is_off {
            if matches!(about, About::Known(_)) {
                self.quiet.seen(id, now.instant);
            }
            "notifications"
        } else {
            self.quiet.reason(about, id, now.instant)?
        };
        let who = match about {
            About::Known(slug) => Map::from_iter([("person".into(), json!(slug))]),
            About::Unknown | About::Motion | About::Camera(_) | About::Security => Map::new(),
        };
        self.why.note(id, Missing::Notify, reason, now.wall, who);
        Some(reason)
    }

    /// Who lives here, and how well they can be told apart.
    pub(super) fn people(&mut self, people: BTreeMap<String, Person>, self_test: Arc<SelfTest>) {
        if self.state.self_test != self_test || !self.state.people_known {
            self.state.self_test_picture = likeness_table::svg(&self_test).into();
        }
        (self.state.people, self.state.people_known, self.state.self_test) = (people, true, self_test);
        let known = &self.state.people;
        self.met.retain(|slug, _| known.contains_key(slug));
        self.last_seen.retain(|(_, slug), _| slug.is_empty() || known.contains_key(slug));
        for camera in self.state.cameras.values_mut() {
            camera.present.retain(|slug, _| known.contains_key(slug));
        }
    }

    /// Looks up the events that a request names and hands it on to the thread that has the face models.
    pub(super) fn training(&mut self, training: Training) -> Result<Vec<Effect>, Problem> {
        if let Some(wanted) = training.camera_to_capture() {
            let camera = self.state.camera_meant(wanted)?;
            let status = &self.state.cameras.get(&camera).ok_or_else(|| no_camera(&camera))?.status;
            status.shows_picture()?;
            return Ok(vec![Effect::Capture { camera, training }]);
        }
        if let Some(id) = training.event_named().filter(|id| self.event(id).is_none()) {
            return Ok(vec![Effect::Recall { id: id.into(), training }]);
        }
        let job = match training {
            Training::List => Job::List { last_seen: self.met.clone() },
            Training::Enrol { name, look, force } => Job::Enrol { name, shot: self.shot(look)?, force },
            Training::Assign { subject, name, force } => {
                Job::Assign { whom: self.whom(subject)?, name, force }
            }
            Training::Reject { event_id } => {
                let event = self.event_face(&event_id)?;
                let nameless = || Problem::BadRequest {
                    detail: format!(
                        "The event {} names nobody, so there is no name to reject",
                        quoted(&event_id)
                    ),
                };
                Job::Reject { person: event.person.clone().ok_or_else(nameless)?, shot: Shot::Event(event) }
            }
            Training::Ignore { subject } => Job::Ignore(self.whom(subject)?),
            Training::Forget { subject } => Job::Forget(self.whom(subject)?),
            Training::Test { look } => Job::Test(look.map(|look| self.shot(look)).transpose()?),
        };
        Ok(vec![Effect::Teach(job)])
    }

    fn whom(&self, subject: Subject) -> Result<Whom, Problem> {
        Ok(match subject {
            Subject::Event(id) => Whom::Event(self.event_face(&id)?),
            Subject::Group(group) => Whom::Group(group),
            Subject::Person(person) => Whom::Person(person),
        })
    }

    fn shot(&self, look: Look) -> Result<Shot, Problem> {
        Ok(match look {
            Look::Image(bytes) => Shot::Image(bytes),
            Look::Frame(bytes) => Shot::Frame(bytes),
            Look::Event(id) => Shot::Event(self.event_face(&id)?),
            // Was sent out for its picture before.
            Look::Capture(_) => return Err(Problem::NoSignal),
        })
    }

    fn event_face(&self, id: &str) -> Result<EventFace, Problem> {
        let no_event = || Problem::NotFound { what: format!("event {}", quoted(id)) };
        let event = self.event(id).ok_or_else(no_event)?;
        let faceless = || Problem::BadRequest { detail: format!("The event {} shows no face", quoted(id)) };
        let place = place_in(&event.detail).ok_or_else(faceless)?;
        let picture = event.picture.as_ref().ok_or_else(faceless)?;
        let group = event.detail.get("group").and_then(Value::as_u64);
        Ok(EventFace {
            id: id.into(),
            jpeg: picture.jpeg.clone(),
            place,
            person: event.person().map(str::to_owned),
            group: group.and_then(|group| u32::try_from(group).ok()),
        })
    }

    /// What people have taught: wrong events are corrected, the forgotten are forgotten here too.
    pub(super) fn taught(&mut self, now: Now, changed: Changed) -> Vec<Effect> {
        let corrected = changed.corrected.map(|(event, person)| self.correct(now, &event, person));
        let forgotten = changed.forgotten.map(|slug| self.forget_person(&slug));
        corrected.into_iter().chain(forgotten).flatten().collect()
    }

    fn correct(&mut self, now: Now, event_id: &str, person: Option<(String, String)>) -> Vec<Effect> {
        let Some(event) = self.event(event_id).map(Arc::clone) else { return Vec::new() };
        let Some(camera) = &event.camera else { return Vec::new() };
        let was = event.person().map(str::to_owned);
        let wrong = was.as_ref().filter(|was| person.as_ref().is_none_or(|(slug, _)| slug != *was));
        if let Some(wrong) = wrong {
            self.quiet.retract(wrong, camera);
            self.last_seen.remove(&(camera.clone(), wrong.clone()));
            if let Some(camera) = self.state.cameras.get_mut(camera) {
                camera.end_presence(wrong);
            }
        }
        let people = &self.state.people;
        let name_of =
            |slug: &String| people.get(slug).map_or_else(|| slug.clone(), |person| person.name.clone());
        let title = match (&person, wrong) {
            (Some((_, right)), Some(wrong)) => format!("It was {right}, not {}", name_of(wrong)),
            (Some((_, right)), None) => format!("It was {right}"),
            (None, Some(wrong)) => format!("It was not {}", name_of(wrong)),
            (None, None) => "It was nobody known".into(),
        };
        let mut detail = Map::new();
        detail.insert("corrects_event".into(), json!(event_id));
        detail.insert("was".into(), json!(was));
        if let Some((slug, name)) = person {
            detail.insert("person".into(), json!(slug));
            detail.insert("name".into(), json!(name));
        }
        detail.extend(event.detail.get("face").map(|face| ("face".to_owned(), face.clone())));
        let jpeg = event.picture.as_ref().map(|picture| picture.jpeg.clone());
        let draft =
            EventDraft { sort: Sort::Face, event_type: "corrected", title: Some(title), detail, quiet: None };
        let correction = self.announce(now, camera, draft, now.instant, jpeg);
        let fields = Map::from_iter([("corrected_by".into(), json!(correction.id))]);
        let mark = Effect::Add(event.id.clone(), Addition { fields, best: None });
        vec![mark, Effect::Announce(correction)]
    }

    fn forget_person(&mut self, slug: &str) -> Vec<Effect> {
        let names = |event: &Arc<Event>| {
            event.person() == Some(slug) || event.detail.get("was").and_then(Value::as_str) == Some(slug)
        };
        let is_shown = |id: &&String| {
            let of_camera = |event: &&Arc<Event>| event.sort == Sort::Face && event.is_at(id);
            self.state.recent.iter().find(of_camera).is_some_and(names)
        };
        let shown = self.state.cameras.keys().filter(is_shown).cloned().map(Effect::BlankFace);
        let effects = shown.chain([Effect::ForgetPerson(slug.into())]).collect();
        self.state.recent.retain(|event| !names(event));
        self.recalled.retain(|event| !names(event));
        for event in &mut self.state.recent {
            *event = without(event, slug);
        }
        self.met.remove(slug);
        effects
    }

    /// The decisions that led to no event at a camera, or at all of them, between two moments; by default in the last ten minutes.
    ///
    /// # Errors
    /// When there is no such camera, or the time is upside down.
    pub(super) fn why_not(&self, now: Now, question: &Question) -> Result<Value, Problem> {
        let camera = question.camera.as_deref();
        if let Some(id) = camera.filter(|id| !self.state.cameras.contains_key(*id)) {
            return Err(no_camera(id));
        }
        let to = question.to.unwrap_or(now.wall);
        let from = question.from.unwrap_or_else(|| to.checked_sub(LOOK_BACK).unwrap_or(to));
        if from > to {
            return Err(Problem::BadRequest { detail: "\"from\" is later than \"to\"".into() });
        }
        let cameras = self.state.cameras.iter().filter(|(id, _)| camera.is_none_or(|wanted| wanted == *id));
        let present = cameras.map(|(id, camera)| {
            let now = json!({
                "state": camera.status.word(),
                "motion_detection": camera.settings.motion_detection,
                "face_recognition": camera.settings.face_recognition,
            });
            (id.clone(), now)
        });
        Ok(json!({
            "from": timestamp(from),
            "to": timestamp(to),
            "decisions": self.why.between(camera, from, to),
            "now": present.collect::<Map<_, _>>(),
        }))
    }
}

/// The same event without a word about somebody it only compares with.
fn without(event: &Arc<Event>, slug: &str) -> Arc<Event> {
    let second = event.detail.get("second").and_then(|second| second.get("person")).and_then(Value::as_str);
    let rejected = event.detail.get("rejected").and_then(Value::as_str);
    if second != Some(slug) && rejected != Some(slug) {
        return Arc::clone(event);
    }
    let mut event = Event::clone(event);
    for key in ["second", "margin", "rejected"] {
        event.detail.remove(key);
    }
    Arc::new(event)
}
