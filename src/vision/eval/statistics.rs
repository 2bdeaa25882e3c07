//! Rates and thresholds of two heaps of scores: of the same person ("genuine") and of different people ("impostor").
//!
//! Everything here is a pure function of numbers. Not here: where the scores come from (see `measure`).

/// One-sided 95 % of the normal distribution, for [`upper_bound`].
const Z95: f64 = 1.645;

/// Scores in ascending order, so that every question is a binary search.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted(Vec<f32>);

impl Sorted {
    /// Sorts; what is not a number is left out.
    pub(super) fn new(mut scores: Vec<f32>) -> Sorted {
        scores.retain(|score| !score.is_nan());
        scores.sort_by(f32::total_cmp);
        Sorted(scores)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn scores(&self) -> &[f32] {
        &self.0
    }

    /// How many reach the threshold.
    pub(super) fn accepted(&self, threshold: f32) -> usize {
        self.0.len() - self.0.partition_point(|score| *score < threshold)
    }

    /// Which share reaches the threshold; `None` of nothing.
    pub(super) fn accept_rate(&self, threshold: f32) -> Option<f64> {
        share(self.accepted(threshold), self.len())
    }

    /// The score below which this part (0 to 1) of all lies, by the nearest rank.
    pub(super) fn quantile(&self, part: f64) -> Option<f32> {
        let last = self.0.len().checked_sub(1)?;
        self.0.get((part.clamp(0.0, 1.0) * last as f64).round() as usize).copied()
    }

    /// The lowest threshold that at most this share reaches.
    pub(super) fn threshold_for(&self, rate: f64) -> f32 {
        let allowed = (rate * self.0.len() as f64 + 1e-9) as usize;
        match self.0.len().checked_sub(allowed + 1) {
            Some(at) => self.0[at].next_up(),
            None => -1.0,
        }
    }
}

/// `n` of `all` as 0 to 1; `None` of nothing.
pub(super) fn share(n: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| n as f64 / all as f64)
}

/// Where as many genuine scores are refused as impostors accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EqualError {
    /// The mean of both error rates at that threshold, 0 to 1.
    pub(super) rate: f64,
    pub(super) threshold: f32,
}

/// The equal error rate; `None` when a heap is empty.
///
/// Only observed scores are tried as thresholds; where the two rates never meet, the nearest pair counts with its mean.
pub(super) fn equal_error(genuine: &Sorted, impostor: &Sorted) -> Option<EqualError> {
    if let (Some(least), Some(most)) = (genuine.0.first(), impostor.0.last())
        && least > most
    {
        // Every threshold between the heaps is free of errors.
        return Some(EqualError { rate: 0.0, threshold: (least + most) / 2.0 });
    }
    let mut best: Option<(f64, EqualError)> = None;
    for threshold in genuine.0.iter().chain(&impostor.0).flat_map(|score| [*score, score.next_up()]) {
        let refused = 1.0 - genuine.accept_rate(threshold)?;
        let accepted = impostor.accept_rate(threshold)?;
        let gap = (refused - accepted).abs();
        if best.is_none_or(|(least, _)| gap < least) {
            best = Some((gap, EqualError { rate: (refused + accepted) / 2.0, threshold }));
        }
    }
    best.map(|(_, error)| error)
}

/// The curve of (false accept rate, true accept rate), from the strictest threshold to the laxest; empty when a heap is.
pub(super) fn roc(genuine: &Sorted, impostor: &Sorted) -> Vec<[f64; 2]> {
    if genuine.len() == 0 || impostor.len() == 0 {
        return Vec::new();
    }
    let mut curve = vec![[0.0, 0.0]];
    let thresholds = Sorted::new(genuine.0.iter().chain(&impostor.0).copied().collect());
    for threshold in thresholds.0.iter().rev() {
        let (Some(far), Some(tar)) = (impostor.accept_rate(*threshold), genuine.accept_rate(*threshold))
        else {
            return Vec::new();
        };
        if curve.last() != Some(&[far, tar]) {
            curve.push([far, tar]);
        }
    }
    curve
}

/// How many scores fall into each of `n_bins` equal bins between `from` and `to`; what lies outside goes into the first or last.
pub(super) fn histogram(scores: &[f32], from: f32, to: f32, n_bins: usize) -> Vec<usize> {
    let mut bins = vec![0; n_bins];
    for score in scores {
        let at = ((score - from) / (to - from) * n_bins as f32).floor().clamp(0.0, n_bins as f32 - 1.0);
        bins[at as usize] += 1;
    }
    bins
}

/// The highest true rate that `n` of `all` still fits with (95 %, one-sided): the score interval of Wilson (1927).
///
/// "0 of 40" says no more than "below 6 %", and small sets of photographs make such claims easily.
pub(super) fn upper_bound(n: usize, all: usize) -> Option<f64> {
    let rate = share(n, all)?;
    let (all, z2) = (all as f64, Z95 * Z95);
    let centre = rate + z2 / (2.0 * all);
    let spread = Z95 * (rate * (1.0 - rate) / all + z2 / (4.0 * all * all)).sqrt();
    Some(((centre + spread) / (1.0 + z2 / all)).min(1.0))
}

/// The middle of some figures; `None` of nothing.
pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(scores: &[f32]) -> Sorted {
        Sorted::new(scores.to_vec())
    }

    #[test]
    fn rates_count_what_reaches_the_threshold() {
        let scores = sorted(&[0.5, 0.1, 0.3, f32::NAN, 0.3]);
        assert_eq!(scores.len(), 4);
        assert_eq!([0.0, 0.3, 0.31, 0.6].map(|t| scores.accepted(t)), [4, 3, 1, 0]);
        assert_eq!(scores.accept_rate(0.3), Some(0.75));
        assert_eq!(sorted(&[]).accept_rate(0.3), None);
        assert_eq!(scores.quantile(0.0), Some(0.1));
        assert_eq!(scores.quantile(0.5), Some(0.3));
        assert_eq!(scores.quantile(1.0), Some(0.5));
    }

    #[test]
    fn a_threshold_lets_through_no_more_than_it_may() {
        let scores = sorted(&[0.1, 0.2, 0.3, 0.4]);
        assert_eq!(scores.accepted(scores.threshold_for(0.0)), 0);
        assert_eq!(scores.accepted(scores.threshold_for(0.25)), 1);
        assert_eq!(scores.accepted(scores.threshold_for(0.49)), 1);
        assert_eq!(scores.accepted(scores.threshold_for(1.0)), 4);
        assert!(scores.threshold_for(0.0) > 0.4 && scores.threshold_for(0.0) < 0.4001);
        // Equal scores go together or not at all.
        let equal = sorted(&[0.2, 0.4, 0.4]);
        assert_eq!(equal.accepted(equal.threshold_for(0.34)), 0);
    }

    #[test]
    fn the_equal_error_rate_of_heaps_that_overlap_or_not() {
        let apart = equal_error(&sorted(&[0.6, 0.7, 0.8]), &sorted(&[0.1, 0.2])).unwrap();
        assert_eq!(apart.rate, 0.0);
        assert!((apart.threshold - 0.4).abs() < 1e-6);
        // One of four genuine lies below 0.4, and one of four impostors above it.
        let mixed = equal_error(&sorted(&[0.3, 0.5, 0.6, 0.7]), &sorted(&[0.0, 0.1, 0.2, 0.4])).unwrap();
        assert_eq!(mixed.rate, 0.25);
        // Never equal: at the nearest thresholds 1/2 is refused and 1/3 accepted.
        let odd = equal_error(&sorted(&[0.2, 0.8]), &sorted(&[0.1, 0.15, 0.5])).unwrap();
        assert!((odd.rate - (0.5 + 1.0 / 3.0) / 2.0).abs() < 1e-9, "{odd:?}");
        assert_eq!(equal_error(&sorted(&[]), &sorted(&[0.1])), None);
    }

    #[test]
    fn the_curve_climbs_from_corner_to_corner() {
        let curve = roc(&sorted(&[0.3, 0.9]), &sorted(&[0.1, 0.5]));
        assert_eq!(curve, [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]);
        assert!(roc(&sorted(&[0.3]), &sorted(&[])).is_empty());
    }

    #[test]
    fn bins_hold_everything_once() {
        assert_eq!(histogram(&[-2.0, 0.0, 0.24, 0.25, 0.99, 1.0, 7.0], 0.0, 1.0, 4), [3, 1, 0, 3]);
        assert_eq!(histogram(&[], 0.0, 1.0, 2), [0, 0]);
    }

    #[test]
    fn nothing_seen_in_few_trials_is_no_proof() {
        assert!((upper_bound(0, 40).unwrap() - 0.0634).abs() < 0.001);
        assert!((upper_bound(0, 7624).unwrap() - 0.000_355).abs() < 0.000_01);
        assert!(upper_bound(5, 10).unwrap() > 0.5);
        assert_eq!(upper_bound(10, 10), Some(1.0));
        assert_eq!(upper_bound(0, 0), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
