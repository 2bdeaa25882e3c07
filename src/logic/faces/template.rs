//! From the photographs of a person to the template that faces are compared with.
//!
//! Not here: comparing ([`super::gallery`]), and the photographs themselves (see `vision::enrol`).

use super::face::{EMBEDDING_LENGTH, Embedding, cosine};

/// Photographs more alike than this are copies of one.
pub const COPY: f32 = 0.95;
/// A photograph less like the others of its person than this shows somebody else.
pub const OUTLIER: f32 = 0.30;
/// Outliers are looked for from so many photographs on: of two that differ nobody can say which one is wrong.
const OUTLIERS_FROM: usize = 3;
/// So many photographs of a person count at most; those that add the least are left out.
pub const MAX_COUNTED: usize = 24;
/// This share of the photographs, those least like the mean, does not take part in it. Frigate trims the same share.
const TRIMMED: f32 = 0.15;

/// What became of a person's photographs; numbers are places in the list that was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Those that count.
    pub counted: Vec<usize>,
    /// Almost equal to an earlier one, which is named second.
    pub copies: Vec<(usize, usize)>,
    /// Unlike the others, with their likeness to them.
    pub outliers: Vec<(usize, f32)>,
    /// Good, but others show the same and there are enough of them.
    pub redundant: Vec<usize>,
}

/// Chooses the photographs that count.
pub fn choose(photos: &[&Embedding]) -> Choice {
    let mut choice = Choice::default();
    for (i, photo) in photos.iter().enumerate() {
        let same = |of: &&usize| cosine(&photos[**of].vector, &photo.vector) > COPY;
        match choice.counted.iter().find(same) {
            Some(of) => choice.copies.push((i, *of)),
            None => choice.counted.push(i),
        }
    }
    let kept = choice.counted.clone();
    if kept.len() >= OUTLIERS_FROM {
        for i in &kept {
            let others: Vec<&Embedding> = kept.iter().filter(|j| *j != i).map(|j| photos[*j]).collect();
            let likeness = template(&others).map_or(1.0, |others| cosine(&others, &photos[*i].vector));
            if likeness < OUTLIER {
                choice.outliers.push((*i, likeness));
            }
        }
        choice.counted.retain(|i| !choice.outliers.iter().any(|(out, _)| out == i));
    }
    while choice.counted.len() > MAX_COUNTED {
        let Some(place) = most_redundant(&choice.counted, photos) else { break };
        choice.redundant.push(choice.counted.remove(place));
    }
    choice.redundant.sort_unstable();
    choice
}

/// The place in `counted` of the photograph that is most like another one; of such a pair, the later.
fn most_redundant(counted: &[usize], photos: &[&Embedding]) -> Option<usize> {
    let mut worst: Option<(f32, usize)> = None;
    for (place, i) in counted.iter().enumerate() {
        for j in &counted[..place] {
            let likeness = cosine(&photos[*i].vector, &photos[*j].vector);
            if worst.is_none_or(|(most, _)| likeness > most) {
                worst = Some((likeness, place));
            }
        }
    }
    worst.map(|(_, place)| place)
}

/// The trimmed mean of the directions, of unit length; `None` without photographs, or when they cancel each other out.
///
/// With three photographs the plain mean names 99 % of a household's faces and no stranger, in the simulation from which the
/// thresholds come; trimming begins with seven, where one odd photograph more would only blur the template.
pub fn template(photos: &[&Embedding]) -> Option<[f32; EMBEDDING_LENGTH]> {
    let all = mean(photos)?;
    let n_trimmed = (photos.len() as f32 * TRIMMED) as usize;
    if n_trimmed == 0 {
        return Some(all);
    }
    let mut ranked: Vec<&Embedding> = photos.to_vec();
    ranked.sort_by(|a, b| cosine(&all, &b.vector).total_cmp(&cosine(&all, &a.vector)));
    ranked.truncate(photos.len() - n_trimmed);
    mean(&ranked)
}

fn mean(photos: &[&Embedding]) -> Option<[f32; EMBEDDING_LENGTH]> {
    let mut sum = [0.0; EMBEDDING_LENGTH];
    for photo in photos {
        sum.iter_mut().zip(&photo.vector).for_each(|(sum, v)| *sum += v);
    }
    Some(Embedding::from_raw(&sum)?.vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A direction near axis 0, off by `share` towards another axis.
    fn near(axis: usize, share: f32) -> Embedding {
        let mut raw = [0.0; EMBEDDING_LENGTH];
        raw[0] = 1.0;
        raw[axis] += share;
        Embedding::from_raw(&raw).unwrap()
    }

    fn of(photos: &[Embedding]) -> Choice {
        choose(&photos.iter().collect::<Vec<_>>())
    }

    #[test]
    fn copies_and_outliers_do_not_count() {
        let mut odd = near(50, 0.0);
        odd.vector = [0.0; EMBEDDING_LENGTH];
        odd.vector[99] = 1.0;
        let photos = [near(1, 0.5), near(2, 0.5), near(1, 0.51), odd, near(3, 0.5)];
        let choice = of(&photos);
        assert_eq!(choice.counted, [0, 1, 4]);
        assert_eq!(choice.copies, [(2, 0)]);
        let [(3, likeness)] = choice.outliers[..] else { panic!("{choice:?}") };
        assert!(likeness < 0.1);
        // Of two that differ nobody can say which one is wrong.
        assert_eq!(of(&photos[2..4]).counted, [0, 1]);
        assert_eq!(of(&[]), Choice::default());
    }

    #[test]
    fn the_cap_keeps_what_differs() {
        // Twenty looks of their own, and ten in five close pairs.
        let mut photos: Vec<Embedding> = (1..=20).map(|axis| near(axis, 0.9)).collect();
        for axis in 30..35 {
            photos.push(near(axis, 0.9));
            let mut twin = near(axis, 0.9);
            twin.vector[axis + 40] += 0.35;
            photos.push(Embedding::from_raw(&twin.vector).unwrap());
        }
        let choice = of(&photos);
        assert_eq!((choice.counted.len(), choice.redundant.len()), (MAX_COUNTED, 6));
        let twins = choice.redundant.iter().filter(|i| [21, 23, 25, 27, 29].contains(*i)).count();
        assert_eq!(twins, 5, "the second of each pair goes first: {choice:?}");
    }

    #[test]
    fn the_least_typical_photos_are_trimmed() {
        let mut photos: Vec<Embedding> = (1..=6).map(|axis| near(axis, 0.4)).collect();
        let plain = template(&photos.iter().collect::<Vec<_>>()).unwrap();
        assert!((cosine(&plain, &photos[0].vector) - cosine(&plain, &photos[5].vector)).abs() < 1e-6);
        photos.push(near(7, 2.0));
        let trimmed = template(&photos.iter().collect::<Vec<_>>()).unwrap();
        assert!(trimmed[7].abs() < 1e-6, "the seventh photo is the odd one");
        assert_eq!(template(&[]), None);
    }
}
