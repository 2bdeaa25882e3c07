//! Did the camera move instead of things? Then the picture is the expected one, put down a few pixels beside it.
//!
//! Not here: what follows from the answer; see [`super`].

use super::mask::Mask;

/// How far a shake may shift the small picture, pixels in each direction.
const REACH: isize = 3;
/// Each how many rows are compared when the shift is looked for.
const ROW_STEP: usize = 4;
/// Smaller pictures have no middle that stays in view.
const LEAST_SIDE: usize = 32;

/// A picture, what was expected of it, and by how much a pixel may differ; one byte a pixel.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) picture: &'a [u8],
    pub(super) mean: &'a [u8],
    pub(super) limit: &'a [u8],
}

/// Looks for a shake; keeps its memory from picture to picture.
#[derive(Default)]
pub(super) struct Shake {
    low: Vec<u8>,
    high: Vec<u8>,
}

impl Shake {
    /// Tries to explain `changed` by a shift; if it can, `rest` has what the shift does not explain.
    ///
    /// A part of a pixel remains of nearly every shift, so a pixel counts as explained when it lies within what the pixels around the
    /// shifted place show.
    pub(super) fn explains(&mut self, changed: &Mask, seen: Seen<'_>, rest: &mut Mask) -> bool {
        let (width, height) = (changed.width, changed.height);
        if width < LEAST_SIDE || height < LEAST_SIDE {
            return false;
        }
        let still = difference(width, height, seen, (0, 0));
        let (best, shift) = descend(width, height, seen, still);
        let shifted = best * 10 <= still * 7;
        let shift = if shifted { shift } else { (0, 0) };
        // Without a clear shift the proof has to be nearly complete.
        let part = if shifted { 3 } else { 10 };
        // Some rows first: motion is refuted by them.
        [ROW_STEP, 1].into_iter().all(|step| {
            let (mut left, mut all) = (0, 0);
            for y in (0..height).step_by(step) {
                self.unexplained(changed.row(y), y, height, seen, shift, rest.row_mut(y));
                let set = |row: &[u8]| row.iter().map(|cell| u32::from(*cell)).sum::<u32>();
                left += set(rest.row(y));
                all += set(changed.row(y));
            }
            left * part <= all
        })
    }

    /// Keeps of a changed row what lies outside the range of the nine expected pixels around the shifted place, by more than the limit.
    fn unexplained(
        &mut self,
        changed: &[u8],
        y: usize,
        height: usize,
        seen: Seen<'_>,
        (dx, dy): (isize, isize),
        rest: &mut [u8],
    ) {
        let width = changed.len();
        let row_of = |below: isize| {
            let y = (y as isize + dy + below).clamp(0, height as isize - 1) as usize;
            &seen.mean[y * width..(y + 1) * width]
        };
        let margin = REACH as usize + 1;
        for (range, pick) in [(&mut self.low, u8::min as fn(u8, u8) -> u8), (&mut self.high, u8::max)] {
            range.resize(width + 2 * margin, 0);
            let rows = row_of(-1).iter().zip(row_of(0)).zip(row_of(1));
            for (cell, ((above, here), below)) in range[margin..].iter_mut().zip(rows) {
                *cell = pick(pick(*above, *here), *below);
            }
            let (first, last) = (range[margin], range[margin + width - 1]);
            range[..margin].fill(first);
            range[margin + width..].fill(last);
        }
        let start = (margin - 1).wrapping_add_signed(dx);
        let low = &self.low[start..start + width + 2];
        let high = &self.high[start..start + width + 2];
        let here = y * width..(y + 1) * width;
        let (picture, limit) = (&seen.picture[here.clone()], &seen.limit[here]);
        let (rest, limit, picture) = (&mut rest[..width], &limit[..width], &picture[..width]);
        for x in 0..width {
            let lowest = low[x].min(low[x + 1]).min(low[x + 2]);
            let highest = high[x].max(high[x + 1]).max(high[x + 2]);
            let outside = lowest.saturating_sub(picture[x]).max(picture[x].saturating_sub(highest));
            rest[x] = changed[x] & u8::from(outside > limit[x]);
        }
    }
}

/// Walks from no shift to the nearest best one; a scene without a shift is left after one round.
fn descend(width: usize, height: usize, seen: Seen<'_>, still: u64) -> (u64, (isize, isize)) {
    let mut best = (still, (0isize, 0isize));
    for _ in 0..2 * REACH {
        let (dx, dy) = best.1;
        let around = (-1..=1).flat_map(|y| (-1..=1).map(move |x| (dx + x, dy + y)));
        let near = around.filter(|(dx, dy)| dx.abs() <= REACH && dy.abs() <= REACH && (*dx, *dy) != best.1);
        let tried = near.map(|shift| (difference(width, height, seen, shift), shift));
        match tried.min_by_key(|(difference, _)| *difference) {
            Some(better) if better.0 < best.0 => best = better,
            Some(_) | None => break,
        }
    }
    best
}

/// Sum of absolute differences between the picture and the expected one, shifted; the edge is left out.
fn difference(width: usize, height: usize, seen: Seen<'_>, (dx, dy): (isize, isize)) -> u64 {
    let edge = REACH as usize;
    let mut sum = 0;
    for y in (edge..height - edge).step_by(ROW_STEP) {
        let here = &seen.picture[y * width + edge..(y + 1) * width - edge];
        let start = (y * width + edge).wrapping_add_signed(dy * width as isize + dx);
        let there = &seen.mean[start..start + here.len()];
        let row: u32 = here.iter().zip(there).map(|(here, there)| u32::from(here.abs_diff(*there))).sum();
        sum += u64::from(row);
    }
    sum
}
