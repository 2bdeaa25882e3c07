//! The people of the household as templates, and who a face is most like.
//!
//! Not here: which photographs count (see `template`), folders (see `vision::enrol`), and decisions over several frames (see `track`).

use std::sync::Arc;

use super::face::{EMBEDDING_LENGTH, Embedding, cosine};
use super::template::template;

/// Who somebody is: shared text, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId {
    /// For topics, files and addresses: `[a-z0-9_]`, not empty, unique in a gallery.
    pub slug: Arc<str>,
    /// For people, as the folder is called.
    pub name: Arc<str>,
}

impl PersonId {
    /// Somebody whom nobody wants to hear of; `group` is the number of the folder.
    pub fn ignored(group: u32) -> PersonId {
        PersonId { slug: format!("_ignored_{group}").into(), name: format!("ignored {group}").into() }
    }

    /// Whether it is somebody whom nobody wants to hear of. A person's slug never begins with an underscore.
    pub fn is_ignored(&self) -> bool {
        self.slug.starts_with('_')
    }
}

/// One person with the template of their photographs.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who it is.
    pub id: PersonId,
    /// Photographs that count.
    pub n_photos: usize,
    template: [f32; EMBEDDING_LENGTH],
    /// Looks that somebody said are not this person.
    rejected: Vec<[f32; EMBEDDING_LENGTH]>,
}

impl Person {
    /// A person from the embeddings of the photographs that count; `None` without any, or when they cancel each other out.
    pub fn from_photos(id: PersonId, photos: &[&Embedding]) -> Option<Person> {
        Some(Person { id, n_photos: photos.len(), template: template(photos)?, rejected: Vec::new() })
    }

    /// The same person, who is certainly not the one on these photographs.
    #[must_use]
    pub fn but_not(mut self, rejected: &[&Embedding]) -> Person {
        self.rejected.extend(rejected.iter().map(|embedding| embedding.vector));
        self
    }

    /// Cosine of the template with another's, or with one photograph.
    pub fn likeness(&self, vector: &[f32; EMBEDDING_LENGTH]) -> f32 {
        cosine(&self.template, vector)
    }

    /// Whether a look is more like one that was rejected than like the person.
    ///
    /// So a stranger who was once called by this name keeps their own look and does not get the name again, while the person, who
    /// is more like their own photographs than like the stranger's, still does.
    pub fn is_rejected(&self, vector: &[f32; EMBEDDING_LENGTH]) -> bool {
        let likeness = self.likeness(vector);
        self.rejected.iter().any(|rejected| cosine(rejected, vector) >= likeness)
    }

    /// The template, of unit length.
    pub fn template(&self) -> &[f32; EMBEDDING_LENGTH] {
        &self.template
    }
}

/// How much a face is like one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeness {
    /// The person.
    pub person: PersonId,
    /// Cosine, -1 to 1.
    pub score: f32,
}

/// The two people a face is most like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// The most likely person; `None` in an empty gallery.
    pub best: Option<Likeness>,
    /// The second; `None` with fewer than two people.
    pub second: Option<Likeness>,
    /// Somebody who would have been the best, had not this look been rejected for them.
    pub rejected: Option<PersonId>,
}

impl Match {
    /// Score of the best, or -1 in an empty gallery: as unlike as can be.
    pub fn score(&self) -> f32 {
        self.best.as_ref().map_or(-1.0, |best| best.score)
    }

    /// By how much the best is better than the second; `None` when there is no second.
    pub fn margin(&self) -> Option<f32> {
        Some(self.best.as_ref()?.score - self.second.as_ref()?.score)
    }
}

/// Everybody who is enrolled or ignored. Never changed: a new photograph makes a new gallery.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    people: Vec<Person>,
}

impl Gallery {
    /// A gallery of these people, whose slugs differ.
    pub fn new(people: Vec<Person>) -> Gallery {
        Gallery { people }
    }

    /// Everybody who has a name, in the order given.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|person| !person.id.is_ignored())
    }

    /// Who the face is most like.
    pub fn find(&self, embedding: &Embedding) -> Match {
        let mut found = Match::default();
        let mut most_rejected = -1.0;
        for person in &self.people {
            let score = person.likeness(&embedding.vector);
            if person.is_rejected(&embedding.vector) {
                if score > most_rejected {
                    (most_rejected, found.rejected) = (score, Some(person.id.clone()));
                }
                continue;
            }
            let likeness = || Some(Likeness { person: person.id.clone(), score });
            if score > found.score() {
                found.second = found.best.take();
                found.best = likeness();
            } else if found.second.as_ref().is_none_or(|second| score > second.score) {
                found.second = likeness();
            }
        }
        if most_rejected < found.score() {
            found.rejected = None;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slug: &str) -> PersonId {
        PersonId { slug: slug.into(), name: slug.to_uppercase().into() }
    }

    fn direction(parts: &[(usize, f32)]) -> Embedding {
        let mut raw = [0.0; EMBEDDING_LENGTH];
        parts.iter().for_each(|(i, v)| raw[*i] = *v);
        Embedding::from_raw(&raw).unwrap()
    }

    #[test]
    fn best_second_and_margin() {
        let person = |slug: &str, axis| Person::from_photos(id(slug), &[&direction(&[(axis, 1.0)])]).unwrap();
        let gallery = Gallery::new(vec![person("alice", 0), person("bob", 1), person("carol", 2)]);
        let found = gallery.find(&direction(&[(0, 0.3), (1, 0.8), (2, 0.52)]));
        assert_eq!(found.best.as_ref().unwrap().person, id("bob"));
        assert_eq!(found.second.as_ref().unwrap().person, id("carol"));
        assert!((found.margin().unwrap() - 0.28).abs() < 0.01);
        let nobody = Gallery::default().find(&direction(&[(0, 1.0)]));
        assert_eq!((nobody.best.is_none(), nobody.margin(), nobody.score()), (true, None, -1.0));
        let alone = Gallery::new(vec![person("alice", 0)]).find(&direction(&[(1, 1.0)]));
        assert_eq!((alone.score(), alone.margin()), (0.0, None));
    }

    #[test]
    fn a_template_is_the_mean_of_its_photos() {
        let photos = [&direction(&[(0, 1.0)]), &direction(&[(1, 5.0)])];
        let person = Person::from_photos(id("alice"), &photos).unwrap();
        assert!((person.likeness(&photos[0].vector) - person.likeness(&photos[1].vector)).abs() < 1e-6);
        assert!((cosine(person.template(), person.template()) - 1.0).abs() < 1e-5);
        assert!(Person::from_photos(id("alice"), &[]).is_none());
        let opposite = [&direction(&[(0, 1.0)]), &direction(&[(0, -1.0)])];
        assert!(Person::from_photos(id("alice"), &opposite).is_none());
    }

    #[test]
    fn a_rejected_look_never_gets_the_name_again_and_the_person_keeps_it() {
        let alice = Person::from_photos(id("alice"), &[&direction(&[(0, 1.0)])]).unwrap();
        let bob = Person::from_photos(id("bob"), &[&direction(&[(5, 1.0)])]).unwrap();
        // A stranger at 0.5 to Alice.
        let stranger = direction(&[(0, 0.5), (1, 0.866)]);
        let before = Gallery::new(vec![alice.clone(), bob.clone()]).find(&stranger);
        assert_eq!((before.best.unwrap().person, before.rejected), (id("alice"), None));
        let gallery = Gallery::new(vec![alice.but_not(&[&stranger]), bob]);
        let again = direction(&[(0, 0.55), (1, 0.8), (2, 0.2)]);
        for look in [&stranger, &again] {
            let found = gallery.find(look);
            assert_eq!((found.best.unwrap().person, found.rejected), (id("bob"), Some(id("alice"))));
        }
        let herself = direction(&[(0, 0.8), (1, 0.3), (3, 0.5)]);
        let found = gallery.find(&herself);
        assert_eq!((found.best.unwrap().person, found.rejected), (id("alice"), None));
    }

    #[test]
    fn the_ignored_are_compared_with_and_not_listed() {
        let gallery = Gallery::new(vec![
            Person::from_photos(PersonId::ignored(3), &[&direction(&[(0, 1.0)])]).unwrap(),
            Person::from_photos(id("bob"), &[&direction(&[(5, 1.0)])]).unwrap(),
        ]);
        assert_eq!(gallery.people().map(|person| &*person.id.slug).collect::<Vec<_>>(), ["bob"]);
        assert!(gallery.find(&direction(&[(0, 1.0)])).best.unwrap().person.is_ignored());
    }
}
