//! Every face against a household: who it would be taken for, and whether that is right.
//!
//! A photograph stands for two frames that look like it, and is judged by the rules of `logic::faces`.
//!
//! Not here: sums and rates (see `measure`), frames that follow each other (see `passages`).

use super::shots::{Seen, Shot, Shots, Subject};
use crate::logic::faces::gallery::{Match, Person};
use crate::logic::faces::quality::Grade;
use crate::logic::faces::template::{COPY, choose};
use crate::logic::faces::verdict::of_equal_looks;
use crate::logic::faces::{Embedding, Gallery, Kind, PersonId, cosine, slug};

/// What is asked of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Somebody enrolled, by all photographs but this one.
    Enrolled,
    /// Somebody of `_strangers` against everybody enrolled.
    Stranger,
    /// Somebody with a folder, against everybody else: one stranger more.
    LeftOut,
    /// A box on a picture of `_nofaces`.
    NoFace,
}

impl Set {
    pub(super) fn word(self) -> &'static str {
        match self {
            Set::Enrolled => "enrolled",
            Set::Stranger => "stranger",
            Set::LeftOut => "left_out",
            Set::NoFace => "no_face",
        }
    }
}

/// Whether it came out right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    /// A wrong name; or anybody at all where there is no face.
    Wrong,
    /// Nothing was claimed.
    Unsure,
    /// Somebody enrolled was taken for a stranger, or not seen.
    Missed,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Outcome::Right => "right",
            Outcome::Wrong => "wrong",
            Outcome::Unsure => "unsure",
            Outcome::Missed => "missed",
        }
    }
}

/// One face and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) set: Set,
    pub(super) file: String,
    /// The folder's name, empty for strangers and where nobody is.
    pub(super) truth: String,
    /// `None` when the detector found nothing.
    pub(super) seen: Option<Seen>,
    pub(super) found: Match,
    /// `known`, `unknown`, `unsure`, or `nothing`.
    pub(super) decision: &'static str,
    pub(super) rule: &'static str,
    pub(super) outcome: Outcome,
}

/// The people of the evaluated folder.
pub(super) struct Household<'a> {
    subjects: &'a [Subject],
    /// With all photographs; `None` for those who cannot be enrolled.
    people: Vec<Option<Person>>,
    known: f32,
}

impl<'a> Household<'a> {
    /// `known` is the cosine from which somebody is named.
    pub(super) fn new(subjects: &'a [Subject], known: f32) -> Household<'a> {
        let people = subjects.iter().map(|subject| person(subject, None)).collect();
        Household { subjects, people, known }
    }

    /// The cosine from which somebody is named.
    pub(super) fn known(&self) -> f32 {
        self.known
    }

    /// Everybody who can be enrolled.
    pub(super) fn gallery(&self) -> Gallery {
        Gallery::new(self.people.iter().flatten().cloned().collect())
    }

    /// Everybody, one of them by all photographs but that one; `None` when that leaves no photograph of them.
    pub(super) fn gallery_without_shot(&self, subject: usize, shot: usize) -> Option<Gallery> {
        let reduced = person(&self.subjects[subject], Some(shot))?;
        let mut people = self.people.clone();
        people[subject] = Some(reduced);
        Some(Gallery::new(people.into_iter().flatten().collect()))
    }

    /// Everybody else; `None` when there is nobody else.
    pub(super) fn gallery_without(&self, subject: usize) -> Option<Gallery> {
        let others = self.people.iter().enumerate().filter(|(at, _)| *at != subject);
        let people: Vec<Person> = others.filter_map(|(_, person)| person.clone()).collect();
        (!people.is_empty()).then(|| Gallery::new(people))
    }

    /// Every trial that the photographs give.
    pub(super) fn trials(&self, shots: &Shots) -> Vec<Trial> {
        let mut trials = Vec::new();
        for (at, subject) in self.subjects.iter().enumerate() {
            for (n, shot) in subject.shots.iter().enumerate() {
                if let Some(gallery) = self.gallery_without_shot(at, n) {
                    trials.push(self.trial(Set::Enrolled, shot, shot.main(), &subject.name, &gallery));
                }
            }
        }
        for (at, subject) in self.subjects.iter().enumerate() {
            let Some(gallery) = self.gallery_without(at) else { continue };
            let left_out = |shot| self.trial(Set::LeftOut, shot, shot.main(), &subject.name, &gallery);
            trials.extend(subject.shots.iter().map(left_out));
        }
        let gallery = self.gallery();
        for shot in shots.strangers.iter().flat_map(|stranger| &stranger.shots) {
            let n_before = trials.len();
            let faces = shot.faces.iter();
            trials.extend(faces.map(|seen| self.trial(Set::Stranger, shot, Some(seen), "", &gallery)));
            if trials.len() == n_before {
                trials.push(self.trial(Set::Stranger, shot, None, "", &gallery));
            }
        }
        for shot in &shots.no_faces {
            let faces = shot.faces.iter();
            trials.extend(faces.map(|seen| self.trial(Set::NoFace, shot, Some(seen), "", &gallery)));
        }
        trials
    }

    fn trial(&self, set: Set, shot: &Shot, seen: Option<&Seen>, truth: &str, gallery: &Gallery) -> Trial {
        let answer = seen.and_then(|seen| seen.answer.as_ref());
        let found = answer.map(|answer| gallery.find(&answer.embedding)).unwrap_or_default();
        let told = seen
            .filter(|seen| seen.answer.is_some())
            .and_then(|seen| of_equal_looks(seen.grade, &found, self.known));
        let (decision, rule) = match (&told, seen) {
            (Some((kind, rule, _)), _) => (kind.word(), rule.word()),
            (None, None) => ("nothing", "not_found"),
            (None, Some(seen)) => match seen.grade {
                Grade::Useless(flaw) | Grade::Doubtful(flaw) | Grade::Fair(flaw) => ("nothing", flaw.word()),
                Grade::Clear => ("nothing", "no_shape"),
            },
        };
        let named = told.as_ref().and_then(|(_, _, person)| person.clone());
        let outcome = judge(set, told.as_ref().map(|(kind, _, _)| *kind), named.as_ref(), truth);
        let (file, truth) = (shot.file.clone(), if set == Set::Enrolled { truth } else { "" });
        Trial { set, file, truth: truth.into(), seen: seen.cloned(), found, decision, rule, outcome }
    }
}

/// Whether a claim about somebody is right.
pub(super) fn judge(set: Set, told: Option<Kind>, named: Option<&PersonId>, truth: &str) -> Outcome {
    match (set, told) {
        (Set::Enrolled, Some(Kind::Known)) if named.is_some_and(|person| &*person.name == truth) => {
            Outcome::Right
        }
        (_, Some(Kind::Known)) | (Set::NoFace, Some(Kind::Unknown)) => Outcome::Wrong,
        (_, Some(Kind::Unsure)) => Outcome::Unsure,
        (Set::Enrolled, Some(Kind::Unknown | Kind::Left) | None) => Outcome::Missed,
        (Set::Stranger | Set::LeftOut, Some(Kind::Unknown | Kind::Left)) => Outcome::Right,
        (Set::Stranger | Set::LeftOut, None) => Outcome::Missed,
        (Set::NoFace, Some(Kind::Left) | None) => Outcome::Right,
    }
}

/// Somebody by the photographs that can be enrolled, without that one and its copies.
fn person(subject: &Subject, without: Option<usize>) -> Option<Person> {
    let left_out = without.and_then(|at| subject.shots[at].main()?.answer.as_ref());
    let is_copy = |embedding: &Embedding| {
        left_out.is_some_and(|other| cosine(&other.embedding.vector, &embedding.vector) > COPY)
    };
    let photos: Vec<&Embedding> = subject
        .shots
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != without)
        .filter_map(|(_, shot)| shot.enrols.as_ref())
        .filter(|embedding| !is_copy(embedding))
        .collect();
    let id = PersonId { slug: slug(&subject.name).into(), name: subject.name.as_str().into() };
    let counted: Vec<&Embedding> = choose(&photos).counted.into_iter().map(|at| photos[at]).collect();
    Person::from_photos(id, &counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::faces::quality::Limits;
    use crate::logic::faces::tracker::Answer;
    use crate::logic::faces::{EMBEDDING_LENGTH, Face, PixelRect};

    /// A sharp face of 100 pixels with this direction; the second number turns it a little.
    fn shot(file: &str, axis: usize, turn: f32) -> Shot {
        let mut raw = [0.0; EMBEDDING_LENGTH];
        (raw[axis], raw[100 + file.len()]) = (11.0, 11.0 * turn);
        let points = [[0.0, 0.0], [40.0, 0.0], [20.0, 25.0], [5.0, 45.0], [35.0, 45.0]];
        let rect = PixelRect { x: 0.0, y: 0.0, width: 100.0, height: 120.0 };
        let face = Face { rect, score: 0.9, points };
        let embedding = Embedding::from_raw(&raw).unwrap();
        let grade = Limits::default().grade_with(&face, embedding.norm, 0.7);
        let answer = Some(Answer {
            embedding: embedding.clone(),
            sharpness: 0.8,
            detail_across: 0.7,
            is_confirmed: true,
        });
        let seen = Seen { face, answer, grade, embed_ms: 0.0 };
        let (path, file) = (file.into(), file.into());
        Shot { path, file, size: [640, 480], faces: vec![seen], detect_ms: 0.0, enrols: Some(embedding) }
    }

    fn subject(name: &str, shots: Vec<Shot>) -> Subject {
        Subject { name: name.into(), shots }
    }

    fn outcomes(shots: &Shots) -> Vec<String> {
        let household = Household::new(&shots.people, 0.45);
        let told = household.trials(shots).into_iter();
        told.map(|t| format!("{} {} {} {}", t.set.word(), t.file, t.decision, t.outcome.word())).collect()
    }

    #[test]
    fn a_household_is_asked_about_everybody() {
        let alice = subject("Alice", vec![shot("a", 0, 0.5), shot("aa", 0, 0.6)]);
        let bob = subject("Bob", vec![shot("b", 1, 0.0)]);
        let strangers =
            vec![subject("s", vec![shot("s", 5, 0.0)]), subject("like Bob", vec![shot("l", 1, 0.5)])];
        let wall = Shot { faces: Vec::new(), ..shot("wall", 9, 0.0) };
        let shots = Shots { people: vec![alice, bob], strangers, no_faces: vec![wall, shot("tree", 7, 0.0)] };
        let wanted = [
            "enrolled a known right",
            "enrolled aa known right",
            "left_out a unknown right",
            "left_out aa unknown right",
            "left_out b unknown right",
            "stranger s unknown right",
            "stranger l known wrong",
            "no_face tree unknown wrong",
        ];
        assert_eq!(outcomes(&shots), wanted);
    }

    #[test]
    fn a_copy_does_not_vouch_for_itself() {
        let twice = subject("Alice", vec![shot("a", 0, 0.0), shot("b", 0, 0.0)]);
        let shots = Shots { people: vec![twice], ..Shots::default() };
        assert!(outcomes(&shots).is_empty(), "without the copy nothing of Alice is left to compare with");
        let wrong = subject("Alice", vec![shot("a", 0, 0.0), shot("bb", 3, 0.4)]);
        let shots = Shots { people: vec![wrong], ..Shots::default() };
        assert_eq!(outcomes(&shots), ["enrolled a unknown missed", "enrolled bb unknown missed"]);
    }
}
