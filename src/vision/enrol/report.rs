//! What people are told when they ask: the list, the self-test, and what a picture would be decided to show.
//!
//! Not here: changing anything (see `training`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Enroller;
use super::examine::Eyes;
use super::folder::Role;
use crate::jpeg;
use crate::logic::events::timestamp;
use crate::logic::faces::decision::round;
use crate::logic::faces::gallery::Likeness;
use crate::logic::faces::quality::{Grade, Limits};
use crate::logic::faces::training::{EventFace, Shot};
use crate::logic::faces::verdict::{KNOWN, of_equal_looks};
use crate::logic::faces::{Face, Kind, Refusal};
use crate::logic::picture::Rgb;
use crate::logic::problem::Problem;
use crate::vision::model::Picture;
use crate::vision::photo;

impl Enroller {
    /// Everybody, `last_seen` by slug.
    pub(super) fn list(&self, last_seen: &BTreeMap<String, Timestamp>) -> Value {
        let tested = |slug: &str| self.self_test.people.iter().find(|person| *person.id.slug == *slug);
        let people = self.folder.people.iter().map(|(person, _)| {
            let slug = &*person.slug;
            let test = tested(slug);
            json!({
                "person": slug,
                "name": &*person.name,
                "photos": self.folder.of(&Role::Person(person.clone())).count(),
                "counted": test.map_or(0, |test| test.n_photos),
                "rejected": self.folder.of(&Role::Rejected(person.clone())).count(),
                "last_seen": last_seen.get(slug).copied().map(timestamp),
                "self_test": test.map(|test| json!({
                    "worst_genuine": test.worst_genuine.as_ref().map(|(_, likeness)| round(*likeness, 3)),
                    "best_impostor": test.best_impostor.as_ref().map(|(other, likeness)| {
                        json!({ "person": &*other.slug, "score": round(*likeness, 3) })
                    }),
                })),
            })
        });
        let unknown = self.folder.groups(Role::Unknown).into_iter().map(|number| {
            let last = Timestamp::try_from(self.seen_at(number)).ok();
            json!({
                "group": number,
                "photos": self.folder.of(&Role::Unknown(number)).count(),
                "last_seen": last.map(timestamp),
            })
        });
        let ignored = self.folder.groups(Role::Ignored).into_iter().map(
            |number| json!({ "group": number, "photos": self.folder.of(&Role::Ignored(number)).count() }),
        );
        json!({
            "people": people.collect::<Vec<_>>(),
            "unknown": unknown.collect::<Vec<_>>(),
            "ignored": ignored.collect::<Vec<_>>(),
            "self_test": self.self_test.standing().word(),
            "not_examined": self.n_left(),
        })
    }

    /// The whole self-test.
    pub(super) fn self_test(&self) -> Value {
        let test = &self.self_test;
        let people = test.people.iter().map(|person| {
            json!({
                "person": &*person.id.slug,
                "name": &*person.id.name,
                "photos": person.n_photos,
                "worst_genuine": person.worst_genuine.as_ref().map(|(file, likeness)| {
                    json!({ "file": file, "score": round(*likeness, 3) })
                }),
                "best_impostor": person.best_impostor.as_ref().map(|(other, likeness)| {
                    json!({ "person": &*other.slug, "score": round(*likeness, 3) })
                }),
                "confused": person.confused,
            })
        });
        let alike = test.alike.iter().map(
            |pair| json!({ "people": [&*pair.one.slug, &*pair.other.slug], "score": round(pair.likeness, 3) }),
        );
        json!({
            "self_test": test.standing().word(),
            "worst_genuine": test.worst_genuine().map(|value| round(value, 3)),
            "best_impostor": test.best_impostor().map(|value| round(value, 3)),
            "threshold": round(test.threshold, 3),
            "photos": test.n_photos(),
            "people": people.collect::<Vec<_>>(),
            "alike": alike.collect::<Vec<_>>(),
            "picture": "/api/faces/self_test.svg",
        })
    }

    /// What would be decided about each face of a picture, if it were seen again and again like that.
    pub(super) fn test(&self, shot: &Shot, eyes: &mut Eyes<'_>) -> Result<Value, Problem> {
        let decoded;
        let photo;
        let picture = match shot {
            Shot::Image(bytes) => {
                let unreadable = |error: photo::Error| Problem::Photo(Refusal::Unreadable(error.to_string()));
                photo = photo::read(bytes, super::examine::PHOTO_SIDE).map_err(unreadable)?;
                photo.picture()
            }
            Shot::Frame(bytes) | Shot::Event(EventFace { jpeg: bytes, .. }) => {
                decoded = jpeg::decode_rgb(bytes).map_err(|_| unreadable())?;
                let Rgb { width, height, data, .. } = &decoded;
                Picture::new(*width, *height, data).ok_or_else(unreadable)?
            }
        };
        let faces = eyes.faces(&picture).map_err(Problem::Photo)?;
        let records = faces.iter().map(|face| self.decision(face, &picture, eyes));
        let records: Vec<Value> = records.collect();
        if records.is_empty() {
            Err(Problem::Photo(Refusal::NoFace))
        } else {
            Ok(json!({ "faces": records }))
        }
    }

    fn decision(&self, face: &Face, picture: &Picture<'_>, eyes: &mut Eyes<'_>) -> Value {
        let place = face.rect.fractions(picture.width(), picture.height()).map(|value| round(value, 3));
        let seen = match eyes.look(picture, face) {
            Ok(seen) => seen,
            Err(refusal) => return json!({ "box": place, "decision": "none", "rule": refusal.code() }),
        };
        let found = self.gallery.find(&seen.embedding);
        let grade = Limits::default().grade_with(face, seen.embedding.norm, seen.look.detail_across);
        let (decision, rule) = match (of_equal_looks(grade, &found, KNOWN), grade) {
            (Some((_, _, Some(person))), _) if person.is_ignored() => ("none", "ignored"),
            (Some((Kind::Unsure, ..)), Grade::Doubtful(flaw) | Grade::Fair(flaw)) => ("unsure", flaw.word()),
            (Some((kind, rule, _)), _) => (kind.word(), rule.word()),
            (None, Grade::Useless(flaw)) => ("none", flaw.word()),
            (None, Grade::Clear | Grade::Fair(_) | Grade::Doubtful(_)) => ("none", "no_face"),
        };
        let likeness = |likeness: &Likeness| json!({ "person": &*likeness.person.slug, "score": round(likeness.score, 3) });
        json!({
            "box": place,
            "decision": decision,
            "rule": rule,
            "best": found.best.as_ref().map(likeness),
            "second": found.second.as_ref().map(likeness),
            "margin": found.margin().map(|value| round(value, 3)),
            "rejected": found.rejected.as_ref().map(|person| person.slug.to_string()),
            "face": seen.view().figures(),
        })
    }
}

fn unreadable() -> Problem {
    Problem::Photo(Refusal::Unreadable("cannot be read".into()))
}
