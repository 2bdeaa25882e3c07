//! From photographs that were looked at to the household: who can be recognised, what does not count and why.
//!
//! Not here: files (see `folder`), the models (see `examine`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::examine::Seen;
use super::folder::{Folder, Role};
use super::memory::Examined;
use super::{Group, Household, Remark, remark};
use crate::logic::faces::gallery::Person;
use crate::logic::faces::quality::{CLEAR_NORM, MIN_NORM};
use crate::logic::faces::self_test::Sample;
use crate::logic::faces::template::{Choice, choose};
use crate::logic::faces::verdict::KNOWN;
use crate::logic::faces::{Embedding, Gallery, PersonId, Refusal, SelfTest};

/// A face that stands for a person is at least so many pixels wide: SFace misses no more owners at 64 than at 112 pixels.
pub(in crate::vision) const MIN_WIDTH: f32 = 64.0;
/// Any other face, of a camera's picture, may be as narrow as the narrowest that is looked at.
const MIN_WIDTH_SEEN: f32 = 32.0;

/// Whether a photograph is good enough for its role.
pub(super) fn fit<'a>(role: &Role, seen: &'a Seen) -> Result<&'a Embedding, Refusal> {
    let (width, norm) = match role {
        Role::Person(_) => (MIN_WIDTH, CLEAR_NORM),
        Role::Rejected(_) | Role::Unknown(_) | Role::Ignored(_) => (MIN_WIDTH_SEEN, MIN_NORM),
    };
    if seen.look.px < width {
        return Err(Refusal::TooSmall { px: seen.look.px, needed: width });
    }
    if seen.embedding.norm < norm {
        return Err(Refusal::Blurred { norm: seen.embedding.norm });
    }
    Ok(&seen.embedding)
}

/// Everybody, from the folder and from what is known about its files.
pub(super) fn household(folder: &Folder, photos: &BTreeMap<PathBuf, Examined>) -> Household {
    let mut household = Household { refusals: folder.refusals.clone(), ..Household::default() };
    let mut people = Vec::new();
    let mut samples = Vec::new();
    for (id, _) in &folder.people {
        let good = usable(folder, photos, &Role::Person(id.clone()), &mut household.refusals);
        let embeddings: Vec<&Embedding> = good.iter().map(|(_, embedding)| *embedding).collect();
        let choice = choose(&embeddings);
        note(id, &good, &choice, &mut household);
        let counted: Vec<&Embedding> = choice.counted.iter().map(|i| embeddings[*i]).collect();
        let rejected = usable(folder, photos, &Role::Rejected(id.clone()), &mut household.refusals);
        let rejected: Vec<&Embedding> = rejected.into_iter().map(|(_, embedding)| embedding).collect();
        let Some(person) = Person::from_photos(id.clone(), &counted) else { continue };
        people.push(person.but_not(&rejected));
        let photos =
            choice.counted.iter().map(|i| (good[*i].0.display().to_string(), embeddings[*i].clone()));
        samples.push(Sample { id: id.clone(), photos: photos.collect() });
    }
    for number in folder.groups(Role::Ignored) {
        let seen = usable(folder, photos, &Role::Ignored(number), &mut household.refusals);
        let embeddings: Vec<&Embedding> = seen.iter().map(|(_, embedding)| *embedding).collect();
        people.extend(Person::from_photos(PersonId::ignored(number), &embeddings));
        household.ignored.push(Group { number, n_photos: seen.len() });
    }
    for number in folder.groups(Role::Unknown) {
        let n_photos = folder.of(&Role::Unknown(number)).count();
        household.unknown.push(Group { number, n_photos });
    }
    household.self_test = Arc::new(SelfTest::of(&samples, KNOWN));
    for pair in &household.self_test.alike {
        let sentence = format!(
            "{} and {} look alike to the recogniser ({:.2}); they may be told as unsure, or one as the other. More photos of \
             both may help.",
            pair.one.name, pair.other.name, pair.likeness
        );
        household.notes.push(Remark { path: pair.other.name.to_string(), sentence });
    }
    household.gallery = Arc::new(Gallery::new(people));
    household
}

/// The photographs of a role that are good enough, each with its file; the others are told.
fn usable<'a>(
    folder: &'a Folder,
    photos: &'a BTreeMap<PathBuf, Examined>,
    role: &Role,
    refusals: &mut Vec<Remark>,
) -> Vec<(&'a Path, &'a Embedding)> {
    let mut good = Vec::new();
    for path in folder.of(role) {
        let Some(examined) = photos.get(path) else { continue };
        match examined.outcome.as_ref().map_err(Clone::clone).and_then(|seen| fit(role, seen)) {
            Ok(embedding) => good.push((path.as_path(), embedding)),
            Err(refusal) => refusals.push(remark(path, refusal.sentence())),
        }
    }
    good
}

/// Tells which photographs of a person do not count although each is good.
fn note(id: &PersonId, good: &[(&Path, &Embedding)], choice: &Choice, household: &mut Household) {
    for (i, of) in &choice.copies {
        let of = good[*of].0.file_name().unwrap_or_default().display().to_string();
        household.notes.push(remark(good[*i].0, Refusal::Copy { of }.sentence()));
    }
    for (i, likeness) in &choice.outliers {
        let refusal = Refusal::Unlike { name: id.name.to_string(), likeness: *likeness };
        household.refusals.push(remark(good[*i].0, refusal.sentence()));
    }
    for i in &choice.redundant {
        let sentence = "The photo is left out: others show the same, and there are enough of them.";
        household.notes.push(remark(good[*i].0, sentence.into()));
    }
}
