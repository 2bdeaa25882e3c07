//! Carries out what people teach: photographs come, move and go, and everything else follows from the folder.
//!
//! Each job changes the disk in one step (a file renamed into place, a folder renamed), so that a power cut leaves the old household
//! or the new one. Jobs come one after the other from one thread.
//! Not here: reading requests (see `logic::faces::training`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::examine::{Seen, cut_out};
use super::folder::{Folder, IGNORED, MAX_PHOTOS, REJECTED, Role, UNKNOWN};
use super::household::fit;
use super::{Enroller, Eyes, Household};
use crate::logic::checksum::sha256;
use crate::logic::faces::name::meant;
use crate::logic::faces::template::{COPY, OUTLIER, choose};
use crate::logic::faces::training::{Changed, EventFace, Job, Shot, Whom};
use crate::logic::faces::verdict::KNOWN;
use crate::logic::faces::{PersonId, Refusal, cosine};
use crate::logic::problem::{Problem, quoted};

/// Photographs that we wrote begin so; only those make room for newer ones.
const OURS: [&str; 3] = ["event-", "capture-", "photo-"];

/// What a job led to.
#[derive(Debug)]
pub struct Taught {
    /// The answer.
    pub data: Value,
    /// The household, if it changed.
    pub household: Option<Household>,
    /// What others have to know.
    pub changed: Changed,
}

impl Taught {
    /// An answer that changed nothing.
    pub(super) fn told(data: Value) -> Taught {
        Taught { data, household: None, changed: Changed::default() }
    }
}

/// A face that is to become a file.
struct NewFace {
    bytes: Vec<u8>,
    seen: Seen,
    file: String,
}

impl Enroller {
    /// Carries out a job.
    ///
    /// # Errors
    /// When it cannot be done; nothing has changed then.
    pub fn teach(&mut self, job: Job, eyes: &mut Eyes<'_>) -> Result<Taught, Problem> {
        self.look_up(eyes);
        match job {
            Job::List { last_seen } => Ok(Taught::told(self.list(&last_seen))),
            Job::Enrol { name, shot, force } => self.enrol(&name, &shot, force, eyes),
            Job::Assign { whom, name, force } => self.assign(whom, &name, force, eyes),
            Job::Reject { person, shot } => self.reject(&person, &shot, eyes),
            Job::Ignore(whom) => self.ignore(whom, eyes),
            Job::Forget(whom) => self.forget(whom, eyes),
            Job::Test(None) => Ok(Taught::told(self.self_test())),
            Job::Test(Some(shot)) => self.test(&shot, eyes).map(Taught::told),
        }
    }

    /// Sees what was changed in the folder since the last poll, so that nobody is taken for new who is there.
    fn look_up(&mut self, eyes: &mut Eyes<'_>) {
        if self.told_at.is_none() {
            self.is_untold = self.poll(eyes).is_some();
        }
        let folder = Folder::read(&self.root);
        if !folder.is_unreadable && folder != self.folder {
            self.folder = folder;
            self.is_untold = true;
        }
    }

    fn enrol(
        &mut self,
        name: &str,
        shot: &Shot,
        force: bool,
        eyes: &mut Eyes<'_>,
    ) -> Result<Taught, Problem> {
        let (person, folder) = self.person_or_new(name)?;
        let face = new_face(shot, eyes)?;
        let warnings = self.check(&person, &face.seen, force)?;
        let made_room = self.make_room(&person)?;
        let path = folder.join(&face.file);
        self.write(&path, &face.bytes, &face.seen).map_err(disk)?;
        if let Some(path) = made_room {
            // The new one counts already; an old one that stays is only one too many.
            let _ = std::fs::remove_file(self.root.join(path));
        }
        let household = self.look_again(&[path], eyes);
        let data = self.enrolled(&person, Some(&face.seen), warnings, &household);
        Ok(Taught { data, household: Some(household), changed: Changed::default() })
    }

    fn assign(
        &mut self,
        whom: Whom,
        name: &str,
        force: bool,
        eyes: &mut Eyes<'_>,
    ) -> Result<Taught, Problem> {
        match whom {
            Whom::Event(EventFace { group: Some(group), id, .. }) if self.is_group(group) => {
                let mut taught = self.assign_group(group, name, force, eyes)?;
                taught.changed.corrected = self.correction(id, name);
                Ok(taught)
            }
            Whom::Event(event) => {
                let (id, was) = (event.id.clone(), event.person.clone());
                let shot = Shot::Event(event);
                let mut taught = self.enrol(name, &shot, force, eyes)?;
                let person = self.find(name);
                if let Some(was) =
                    was.filter(|was| person.as_ref().is_none_or(|(person, _)| *person.slug != **was))
                {
                    taught.household = self.reject(&was, &shot, eyes)?.household;
                    taught.changed.retracted = Some(was);
                }
                taught.changed.corrected = self.correction(id, name);
                Ok(taught)
            }
            Whom::Group(group) => self.assign_group(group, name, force, eyes),
            Whom::Person(_) => Err(Problem::BadRequest {
                detail: "faces/assign names somebody who was seen: give \"event_id\" or \"group\"".into(),
            }),
        }
    }

    /// Gives a whole group of faces to a person: those that are good enough stay, the others go.
    fn assign_group(
        &mut self,
        group: u32,
        name: &str,
        force: bool,
        eyes: &mut Eyes<'_>,
    ) -> Result<Taught, Problem> {
        let from = self.group_folder(group)?;
        let (person, folder) = self.person_or_new(name)?;
        let files: Vec<(PathBuf, Seen)> = self
            .photos
            .iter()
            .filter(|(path, _)| path.starts_with(&from))
            .filter_map(|(path, examined)| Some((path.clone(), examined.outcome.clone().ok()?)))
            .collect();
        let mut refused = Problem::Photo(Refusal::NoFace);
        let mut good: Vec<(PathBuf, Seen, Vec<String>)> = Vec::new();
        for (path, seen) in files {
            match self.check(&person, &seen, force) {
                Ok(warnings) => good.push((path, seen, warnings)),
                Err(problem) => refused = problem,
            }
        }
        let room = MAX_PHOTOS.saturating_sub(self.folder.of(&Role::Person(person.clone())).count());
        good.truncate(room.max(1));
        let Some((_, best, warnings)) = good.first().cloned() else { return Err(refused) };
        let mut moved = Vec::new();
        for (path, ..) in &good {
            let to = folder.join(format!("event-{}", path.file_name().unwrap_or_default().display()));
            self.move_file(path, &to).map_err(disk)?;
            moved.push(to);
        }
        self.remove(&from).map_err(disk)?;
        let household = self.look_again(&moved, eyes);
        let data = self.enrolled(&person, Some(&best), warnings, &household);
        Ok(Taught { data, household: Some(household), changed: Changed::default() })
    }

    fn reject(&mut self, person: &str, shot: &Shot, eyes: &mut Eyes<'_>) -> Result<Taught, Problem> {
        let (id, folder) = self.find(person).ok_or_else(|| no_person(person))?;
        let face = new_face(shot, eyes)?;
        fit(&Role::Rejected(id.clone()), &face.seen).map_err(Problem::Photo)?;
        // A photograph that was learnt from this very event was the mistake.
        let learnt = folder.join(&face.file);
        let path = folder.join(REJECTED).join(&face.file);
        self.write(&path, &face.bytes, &face.seen).map_err(disk)?;
        if self.root.join(&learnt).is_file() {
            std::fs::remove_file(self.root.join(&learnt)).map_err(disk)?;
        }
        let household = self.look_again(&[path], eyes);
        let likeness = self.likeness(&id, &face.seen);
        let mut warnings = Vec::new();
        if likeness.is_some_and(|likeness| likeness > 0.6) {
            warnings.push(format!(
                "The face is much like {} all the same ({:.2}). If it was the right person after all, remove {} from the folder \
                 of faces.",
                id.name,
                likeness.unwrap_or_default(),
                folder.join(REJECTED).join(&face.file).display()
            ));
        }
        let mut data = self.enrolled(&id, Some(&face.seen), warnings, &household);
        data["rejected"] = json!(self.folder.of(&Role::Rejected(id.clone())).count());
        let corrected = match shot {
            Shot::Event(event) => Some((event.id.clone(), None)),
            Shot::Image(_) | Shot::Frame(_) => None,
        };
        Ok(Taught {
            data,
            household: Some(household),
            changed: Changed { corrected, retracted: Some(id.slug.to_string()), forgotten: None },
        })
    }

    fn ignore(&mut self, whom: Whom, eyes: &mut Eyes<'_>) -> Result<Taught, Problem> {
        let number = self.next_group;
        let (number, fresh) = match whom {
            Whom::Event(EventFace { group: Some(group), .. }) | Whom::Group(group)
                if self.is_group(group) =>
            {
                let from = self.group_folder(group)?;
                if from.starts_with(UNKNOWN) {
                    self.move_file(&from, &PathBuf::from(IGNORED).join(group.to_string())).map_err(disk)?;
                }
                (group, Vec::new())
            }
            Whom::Group(group) => return Err(no_group(group)),
            Whom::Event(event) => {
                let face = new_face(&Shot::Event(event), eyes)?;
                fit(&Role::Ignored(number), &face.seen).map_err(Problem::Photo)?;
                let path = PathBuf::from(IGNORED).join(number.to_string()).join(&face.file);
                self.write(&path, &face.bytes, &face.seen).map_err(disk)?;
                (number, vec![path])
            }
            Whom::Person(name) => {
                let (_, folder) = self.find(&name).ok_or_else(|| no_person(&name))?;
                self.move_file(&folder, &PathBuf::from(IGNORED).join(number.to_string())).map_err(disk)?;
                (number, Vec::new())
            }
        };
        let household = self.look_again(&fresh, eyes);
        let data = json!({ "group": number, "ignored": household.ignored.len() });
        Ok(Taught { data, household: Some(household), changed: Changed::default() })
    }

    fn forget(&mut self, whom: Whom, eyes: &mut Eyes<'_>) -> Result<Taught, Problem> {
        let (folder, forgotten, data) = match whom {
            Whom::Person(name) => {
                let (person, folder) = self.find(&name).ok_or_else(|| no_person(&name))?;
                let data = json!({ "person": &*person.slug, "name": &*person.name });
                (folder, Some(person.slug.to_string()), data)
            }
            Whom::Group(group) | Whom::Event(EventFace { group: Some(group), .. }) => {
                (self.group_folder(group)?, None, json!({ "group": group }))
            }
            Whom::Event(event) => {
                let id = quoted(&event.id);
                return Err(Problem::BadRequest {
                    detail: format!("The event {id} has no group of faces; forget the \"person\" instead"),
                });
            }
        };
        self.remove(&folder).map_err(disk)?;
        let household = self.look_again(&[], eyes);
        self.photos.retain(|path, _| !path.starts_with(&folder));
        self.save();
        Ok(Taught { data, household: Some(household), changed: Changed { forgotten, ..Changed::default() } })
    }

    /// Whether a face may stand for a person; warnings if so.
    fn check(&self, person: &PersonId, seen: &Seen, force: bool) -> Result<Vec<String>, Problem> {
        let role = Role::Person(person.clone());
        fit(&role, seen).map_err(Problem::Photo)?;
        for path in self.folder.of(&role) {
            let Some(Ok(known)) = self.photos.get(path).map(|examined| &examined.outcome) else { continue };
            if cosine(&known.embedding.vector, &seen.embedding.vector) > COPY {
                let of = path.file_name().unwrap_or_default().display().to_string();
                return Err(Problem::Photo(Refusal::Copy { of }));
            }
        }
        let own = self.gallery.people().find(|known| known.id == *person);
        let own_likeness = own.map(|own| own.likeness(&seen.embedding.vector));
        let others = self.gallery.people().filter(|known| known.id != *person);
        let others = others.map(|other| (other.id.name.to_string(), other.likeness(&seen.embedding.vector)));
        let nearest = others.max_by(|a, b| a.1.total_cmp(&b.1));
        let mut warnings = Vec::new();
        if let Some((name, likeness)) = nearest.filter(|(_, likeness)| *likeness >= KNOWN) {
            if !force && own_likeness.is_none_or(|own| own < likeness) {
                return Err(Problem::Photo(Refusal::LooksLike { name, likeness }));
            }
            warnings.push(format!("The face is also like {name} ({likeness:.2})."));
        }
        let is_unlike =
            own.is_some_and(|own| own.n_photos >= 2) && own_likeness.is_some_and(|own| own < OUTLIER);
        if is_unlike && !force {
            let likeness = own_likeness.unwrap_or_default();
            return Err(Problem::Photo(Refusal::Unlike { name: person.name.to_string(), likeness }));
        }
        Ok(warnings)
    }

    /// One of our own photographs that may go when the person has as many as count; an error when there is none.
    fn make_room(&self, person: &PersonId) -> Result<Option<PathBuf>, Problem> {
        let role = Role::Person(person.clone());
        let files: Vec<&PathBuf> = self.folder.of(&role).collect();
        if files.len() < MAX_PHOTOS {
            return Ok(None);
        }
        let is_ours = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            OURS.iter().any(|prefix| name.starts_with(prefix))
        };
        let looked_at = |path: &PathBuf| {
            let examined = self.photos.get(path)?;
            Some(&examined.outcome.as_ref().ok()?.embedding)
        };
        let (good, embeddings): (Vec<&PathBuf>, Vec<_>) =
            files.iter().filter_map(|path| Some((*path, looked_at(path)?))).unzip();
        let mut spare = choose(&embeddings).redundant.into_iter().map(|at| good[at]);
        let spare = spare.find(is_ours).or_else(|| files.iter().copied().find(is_ours));
        let full = || Problem::BadRequest {
            detail: format!(
                "{} has {MAX_PHOTOS} photos already; remove some from the folder of faces",
                person.name
            ),
        };
        spare.map(|path| Some(path.clone())).ok_or_else(full)
    }

    fn likeness(&self, person: &PersonId, seen: &Seen) -> Option<f32> {
        let known = self.gallery.people().find(|known| known.id == *person)?;
        Some(known.likeness(&seen.embedding.vector))
    }

    /// The person that somebody means, and the folder.
    fn find(&self, name: &str) -> Option<(PersonId, PathBuf)> {
        let person = meant(name, self.folder.people.iter().map(|(person, _)| person))?;
        self.folder.people.iter().find(|(other, _)| other == person).cloned()
    }

    fn person_or_new(&self, name: &str) -> Result<(PersonId, PathBuf), Problem> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        let person = PersonId::named(name).map_err(|detail| Problem::BadName { detail })?;
        let folder = PathBuf::from(&*person.name);
        Ok((person, folder))
    }

    fn is_group(&self, group: u32) -> bool {
        self.group_folder(group).is_ok()
    }

    fn group_folder(&self, group: u32) -> Result<PathBuf, Problem> {
        let folders = [UNKNOWN, IGNORED].map(|folder| PathBuf::from(folder).join(group.to_string()));
        folders.into_iter().find(|folder| self.root.join(folder).is_dir()).ok_or_else(|| no_group(group))
    }

    fn correction(&self, event: String, name: &str) -> Option<(String, Option<(String, String)>)> {
        let (person, _) = self.find(name)?;
        Some((event, Some((person.slug.to_string(), person.name.to_string()))))
    }

    fn move_file(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        let to = self.root.join(to);
        super::unknown::make_private(to.parent().unwrap_or(&self.root))?;
        std::fs::rename(self.root.join(from), to)
    }

    fn enrolled(
        &self,
        person: &PersonId,
        seen: Option<&Seen>,
        warnings: Vec<String>,
        household: &Household,
    ) -> Value {
        let photos = self.folder.of(&Role::Person(person.clone())).count();
        let alike =
            household.self_test.alike.iter().filter(|pair| pair.one == *person || pair.other == *person);
        let alike = alike.map(|pair| {
            let other = if pair.one == *person { &pair.other } else { &pair.one };
            format!("{} and {} look alike to the recogniser ({:.2}).", person.name, other.name, pair.likeness)
        });
        json!({
            "person": &*person.slug,
            "name": &*person.name,
            "photos": photos,
            "quality": seen.map(|seen| seen.view().figures()),
            "warnings": warnings.into_iter().chain(alike).collect::<Vec<_>>(),
            "self_test": household.self_test.standing().word(),
        })
    }
}

/// The face of a shot, looked at and ready to be written.
fn new_face(shot: &Shot, eyes: &mut Eyes<'_>) -> Result<NewFace, Problem> {
    let (bytes, prefix) = match shot {
        Shot::Image(bytes) => (bytes.to_vec(), "photo-"),
        Shot::Frame(jpeg) => (cut_out(jpeg, None, eyes).map_err(Problem::Photo)?, "capture-"),
        Shot::Event(event) => {
            (cut_out(&event.jpeg, Some(event.place), eyes).map_err(Problem::Photo)?, "event-")
        }
    };
    let seen = eyes.bytes(&bytes).map_err(Problem::Photo)?;
    let ending = if bytes.starts_with(b"\x89PNG") { "png" } else { "jpg" };
    let file = format!("{prefix}{}.{ending}", &sha256(&bytes)[..16]);
    Ok(NewFace { bytes, seen, file })
}

fn no_person(name: &str) -> Problem {
    Problem::NotFound { what: format!("person {}", quoted(name)) }
}

fn no_group(group: u32) -> Problem {
    Problem::NotFound { what: format!("group {group} of faces") }
}

fn disk(error: std::io::Error) -> Problem {
    Problem::Disk { detail: error.to_string() }
}
