//! How well the household can be told apart, found out with its own photographs.
//!
//! Each photograph is taken out in turn and compared with what is left: with the rest of its own person (genuine) and with everybody
//! else (impostor). Whatever goes wrong here would go wrong at the door.
//!
//! Not here: drawing the result ([`super::likeness_table`]).

use super::face::{EMBEDDING_LENGTH, Embedding, cosine};
use super::gallery::PersonId;
use super::template::template;

/// Two people more alike than this may be taken for each other (sisters have 0.31 to 0.43, twins 0.54 to 0.79).
pub const ALIKE: f32 = 0.40;
/// Pairs that are named at most.
const MAX_PAIRS: usize = 20;

/// A person with the photographs that count.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Who.
    pub id: PersonId,
    /// File and embedding of each photograph.
    pub photos: Vec<(String, Embedding)>,
}

/// How the household stands, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A photograph of somebody would get another one's name.
    Confused,
    /// Two people are so alike that they may be taken for each other or told as unsure.
    LookAlikes,
    /// A photograph is so unlike the others of its person that it would get no name.
    Weak,
    /// Somebody has a single photograph, which can be compared with nothing.
    FewPhotos,
    /// Every photograph gets its name.
    Good,
    /// Nobody is enrolled.
    Nobody,
}

impl Standing {
    /// Every word, for Home Assistant.
    pub const WORDS: &'static [&'static str] =
        &["good", "few_photos", "weak", "look_alikes", "confused", "nobody"];

    /// The word in topics and answers.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Confused => "confused",
            Standing::LookAlikes => "look_alikes",
            Standing::Weak => "weak",
            Standing::FewPhotos => "few_photos",
            Standing::Good => "good",
            Standing::Nobody => "nobody",
        }
    }
}

/// One person's part of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// Who.
    pub id: PersonId,
    /// Photographs that count.
    pub n_photos: usize,
    /// The photograph least like the others of this person; `None` with a single one.
    pub worst_genuine: Option<(String, f32)>,
    /// The other person that a photograph of this one is most like; `None` when nobody else is enrolled.
    pub best_impostor: Option<(PersonId, f32)>,
    /// Photographs that are more like somebody else, and alike enough to get that name.
    pub confused: Vec<String>,
}

/// Two people who are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// One.
    pub one: PersonId,
    /// The other.
    pub other: PersonId,
    /// Cosine of their templates.
    pub likeness: f32,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelfTest {
    /// Everybody.
    pub people: Vec<Tested>,
    /// Likeness of the templates, in the order of `people`; 1 on the diagonal.
    pub table: Vec<Vec<f32>>,
    /// Pairs above [`ALIKE`], the most alike first, at most 20.
    pub alike: Vec<Pair>,
    /// The likeness that a name needed.
    pub threshold: f32,
}

impl SelfTest {
    /// Tests the household; `threshold` is the likeness from which a face is named.
    pub fn of(samples: &[Sample], threshold: f32) -> SelfTest {
        let templates: Vec<Option<[f32; EMBEDDING_LENGTH]>> =
            samples.iter().map(|sample| template(&embeddings(sample, None))).collect();
        let likeness = |i: usize, j: usize| match (&templates[i], &templates[j]) {
            (Some(one), Some(other)) => cosine(one, other),
            _ => 0.0,
        };
        let n = samples.len();
        let table: Vec<Vec<f32>> = (0..n).map(|i| (0..n).map(|j| likeness(i, j)).collect()).collect();
        let mut alike: Vec<Pair> = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .filter(|(i, j)| table[*i][*j] > ALIKE)
            .map(|(i, j)| Pair {
                one: samples[j].id.clone(),
                other: samples[i].id.clone(),
                likeness: table[i][j],
            })
            .collect();
        alike.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
        alike.truncate(MAX_PAIRS);
        let people = (0..n).map(|i| tested(samples, i, &templates, threshold)).collect();
        SelfTest { people, table, alike, threshold }
    }

    /// The lowest likeness of a photograph to the others of its own person.
    pub fn worst_genuine(&self) -> Option<f32> {
        let all = self.people.iter().filter_map(|person| person.worst_genuine.as_ref());
        all.map(|(_, likeness)| *likeness).min_by(f32::total_cmp)
    }

    /// The highest likeness of a photograph to somebody else.
    pub fn best_impostor(&self) -> Option<f32> {
        let all = self.people.iter().filter_map(|person| person.best_impostor.as_ref());
        all.map(|(_, likeness)| *likeness).max_by(f32::total_cmp)
    }

    /// Photographs that count, of everybody.
    pub fn n_photos(&self) -> usize {
        self.people.iter().map(|person| person.n_photos).sum()
    }

    /// How the household stands: the worst that was found.
    pub fn standing(&self) -> Standing {
        let is_weak = |person: &Tested| {
            person.worst_genuine.as_ref().is_some_and(|(_, likeness)| *likeness < self.threshold)
        };
        if self.people.is_empty() {
            Standing::Nobody
        } else if self.people.iter().any(|person| !person.confused.is_empty()) {
            Standing::Confused
        } else if !self.alike.is_empty() {
            Standing::LookAlikes
        } else if self.people.iter().any(is_weak) {
            Standing::Weak
        } else if self.people.iter().any(|person| person.n_photos < 2) {
            Standing::FewPhotos
        } else {
            Standing::Good
        }
    }
}

fn embeddings(sample: &Sample, without: Option<usize>) -> Vec<&Embedding> {
    let photos = sample.photos.iter().enumerate();
    photos.filter(|(i, _)| Some(*i) != without).map(|(_, (_, embedding))| embedding).collect()
}

fn tested(
    samples: &[Sample],
    person: usize,
    templates: &[Option<[f32; EMBEDDING_LENGTH]>],
    threshold: f32,
) -> Tested {
    let sample = &samples[person];
    let mut tested = Tested {
        id: sample.id.clone(),
        n_photos: sample.photos.len(),
        worst_genuine: None,
        best_impostor: None,
        confused: Vec::new(),
    };
    for (i, (file, photo)) in sample.photos.iter().enumerate() {
        let others = template(&embeddings(sample, Some(i)));
        let genuine = others.map(|others| cosine(&others, &photo.vector));
        if let Some(genuine) = genuine
            && tested.worst_genuine.as_ref().is_none_or(|(_, worst)| genuine < *worst)
        {
            tested.worst_genuine = Some((file.clone(), genuine));
        }
        let strangers = samples.iter().zip(templates).enumerate().filter(|(j, _)| *j != person);
        let likenesses = strangers.filter_map(|(_, (other, template))| {
            Some((other.id.clone(), cosine(template.as_ref()?, &photo.vector)))
        });
        let Some((other, impostor)) = likenesses.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        if impostor >= threshold && genuine.is_some_and(|genuine| impostor >= genuine) {
            tested.confused.push(file.clone());
        }
        if tested.best_impostor.as_ref().is_none_or(|(_, best)| impostor > *best) {
            tested.best_impostor = Some((other, impostor));
        }
    }
    tested
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(parts: &[(usize, f32)]) -> Embedding {
        let mut raw = [0.0; EMBEDDING_LENGTH];
        parts.iter().for_each(|(i, v)| raw[*i] = *v);
        Embedding::from_raw(&raw).unwrap()
    }

    fn sample(name: &str, photos: &[Embedding]) -> Sample {
        let photos = photos.iter().enumerate().map(|(i, e)| (format!("{name}/{i}.jpg"), e.clone()));
        Sample { id: PersonId::named(name).unwrap(), photos: photos.collect() }
    }

    /// Three photographs around an axis, about 0.8 alike.
    fn looks(axis: usize) -> Vec<Embedding> {
        (0..3).map(|i| direction(&[(axis, 2.0), (60 + 3 * axis + i, 1.0)])).collect()
    }

    #[test]
    fn a_household_that_can_be_told_apart_is_good() {
        let test = SelfTest::of(&[sample("Alice", &looks(0)), sample("Bob", &looks(1))], 0.45);
        assert_eq!((test.standing(), test.n_photos()), (Standing::Good, 6));
        assert!(test.worst_genuine().unwrap() > 0.8 && test.best_impostor().unwrap() < 0.1);
        assert!(test.alike.is_empty() && (test.table[0][0] - 1.0).abs() < 1e-5 && test.table[0][1] < 0.1);
    }

    #[test]
    fn each_weakness_has_its_word() {
        let (alice, bob) = (looks(0), looks(1));
        let standing = |samples: &[Sample]| SelfTest::of(samples, 0.45).standing();
        assert_eq!(standing(&[]), Standing::Nobody);
        assert_eq!(standing(&[sample("Alice", &alice), sample("Bob", &bob[..1])]), Standing::FewPhotos);
        let mut odd = alice.clone();
        odd.push(direction(&[(0, 0.4), (9, 1.0)]));
        assert_eq!(standing(&[sample("Alice", &odd), sample("Bob", &bob)]), Standing::Weak);
        let sister = looks(2).into_iter().map(|mut look| {
            look.vector[0] += 0.6;
            Embedding::from_raw(&look.vector).unwrap()
        });
        let sister: Vec<_> = sister.collect();
        let test = SelfTest::of(&[sample("Alice", &alice), sample("Ann", &sister)], 0.65);
        assert_eq!(test.standing(), Standing::LookAlikes);
        assert_eq!((&*test.alike[0].one.name, &*test.alike[0].other.name), ("Alice", "Ann"));
        // A photograph of Bob in Alice's folder.
        let mut mixed = alice;
        mixed.push(direction(&[(1, 2.0), (99, 0.5)]));
        let test = SelfTest::of(&[sample("Alice", &mixed), sample("Bob", &bob)], 0.45);
        assert_eq!(test.standing(), Standing::Confused);
        assert_eq!(test.people[0].confused, ["Alice/3.jpg"]);
        assert!(Standing::WORDS.contains(&test.standing().word()));
    }
}
