//! Pieces of foreground that hang together: their areas and boxes.
//!
//! Not here: what is foreground; see [`super::mask`].

use super::mask::Mask;

/// Full weight of a pixel in an area.
pub(super) const WHOLE: u64 = 255;

/// One piece. Areas are in pixels of the small picture times [`WHOLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    /// Area of everything, masked or not.
    pub(super) area: u64,
    /// Area of the part that counts (regions and masks).
    pub(super) counted: u64,
    /// Box of the counted part, right and lower edge excluded; empty when nothing counts.
    pub(super) bounds: [usize; 4],
}

const NOTHING: Blob = Blob { area: 0, counted: 0, bounds: [usize::MAX, usize::MAX, 0, 0] };

impl Blob {
    fn join(&mut self, other: &Self) {
        self.area += other.area;
        self.counted += other.counted;
        let [left, top, right, bottom] = other.bounds;
        self.bounds = [
            self.bounds[0].min(left),
            self.bounds[1].min(top),
            self.bounds[2].max(right),
            self.bounds[3].max(bottom),
        ];
    }
}

/// Finds pieces; keeps its memory from picture to picture.
#[derive(Default)]
pub(super) struct Finder {
    parent: Vec<u32>,
    stats: Vec<Blob>,
    above: Vec<Run>,
    here: Vec<Run>,
    found: Vec<Blob>,
}

/// Neighbouring set cells of one row, `end` excluded.
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    label: u32,
}

/// What areas are measured on.
pub(super) struct Measured<'a> {
    /// The foreground as it is.
    pub(super) mask: &'a Mask,
    /// The foreground grown, which decides what hangs together.
    pub(super) grown: &'a Mask,
    /// 1 where motion counts, one byte a pixel.
    pub(super) counts: &'a [u8],
    /// The picture and the expected picture, one byte a pixel.
    pub(super) picture: &'a [u8],
    pub(super) mean: &'a [u8],
}

impl Finder {
    /// All pieces, in no order. Pieces touch by side or corner of `grown`.
    pub(super) fn find(&mut self, on: &Measured<'_>) -> &[Blob] {
        self.parent.clear();
        self.stats.clear();
        self.above.clear();
        for y in 0..on.grown.height {
            self.here.clear();
            self.label_row(on.grown.row(y));
            for run in &self.here {
                let stats = &mut self.stats[run.label as usize];
                measure(on, y, run.start..run.end, stats);
            }
            std::mem::swap(&mut self.above, &mut self.here);
        }
        self.collect();
        &self.found
    }

    fn label_row(&mut self, row: &[u8]) {
        let mut x = 0;
        let mut first = 0;
        while let Some(skip) = row[x..].iter().position(|cell| *cell != 0) {
            let start = x + skip;
            let end =
                row[start..].iter().position(|cell| *cell == 0).map_or(row.len(), |length| start + length);
            while self.above.get(first).is_some_and(|run| run.end < start) {
                first += 1;
            }
            let mut label = None;
            for index in first..self.above.len() {
                let run = self.above[index];
                if run.start > end {
                    break;
                }
                label = Some(label.map_or(run.label, |label| self.unite(label, run.label)));
            }
            let label = label.unwrap_or_else(|| self.new_label());
            self.here.push(Run { start, end, label });
            x = end;
        }
    }

    fn new_label(&mut self) -> u32 {
        let label = self.parent.len() as u32;
        self.parent.push(label);
        self.stats.push(NOTHING);
        label
    }

    fn root(&mut self, mut label: u32) -> u32 {
        while self.parent[label as usize] != label {
            let above = self.parent[label as usize];
            self.parent[label as usize] = self.parent[above as usize];
            label = above;
        }
        label
    }

    fn unite(&mut self, one: u32, other: u32) -> u32 {
        let (one, other) = (self.root(one), self.root(other));
        // The older label wins, so that a parent is never younger than its child.
        let (old, young) = (one.min(other), one.max(other));
        self.parent[young as usize] = old;
        old
    }

    fn collect(&mut self) {
        for label in (0..self.parent.len()).rev() {
            let root = self.root(label as u32) as usize;
            if root != label {
                let stats = self.stats[label];
                self.stats[root].join(&stats);
            }
        }
        self.found.clear();
        let roots = self.parent.iter().zip(&self.stats).enumerate();
        self.found.extend(
            roots
                .filter(|(label, (parent, blob))| **parent as usize == *label && blob.area > 0)
                .map(|(_, (_, blob))| *blob),
        );
    }
}

fn measure(on: &Measured<'_>, y: usize, run: std::ops::Range<usize>, into: &mut Blob) {
    let row = on.mask.row(y);
    let counts = &on.counts[y * on.mask.width..];
    for x in run {
        if row[x] == 0 {
            continue;
        }
        let weight = weight(on, x, y);
        into.area += weight;
        if counts[x] != 0 {
            into.counted += weight;
            let [left, top, right, bottom] = &mut into.bounds;
            (*left, *top) = ((*left).min(x), (*top).min(y));
            (*right, *bottom) = ((*right).max(x + 1), (*bottom).max(y + 1));
        }
    }
}

/// A pixel at the edge of a thing shows thing and scene mixed; it counts by how strongly it differs compared with its neighbours inside.
/// Without this the area of a square of 3000 camera pixels would depend on where it stands by up to 7 %.
fn weight(on: &Measured<'_>, x: usize, y: usize) -> u64 {
    let near = on.mask.near(x, y);
    if near[0][1] & near[1][0] & near[1][2] & near[2][1] != 0 {
        return WHOLE;
    }
    let width = on.mask.width;
    let differs = |at: usize| u64::from(on.picture[at].abs_diff(on.mean[at]));
    let own = differs(y * width + x);
    let mut strongest = own;
    for (dy, cells) in near.iter().enumerate() {
        for (dx, cell) in cells.iter().enumerate() {
            if *cell != 0 {
                strongest = strongest.max(differs((y + dy - 1) * width + x + dx - 1));
            }
        }
    }
    WHOLE * own / strongest.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds pieces in drawn rows; `#` differs fully, `+` by half.
    fn find(rows: &[&str], grown_by: usize) -> Vec<Blob> {
        let (width, height) = (rows[0].len(), rows.len());
        let gray = |text| match text {
            b'#' => 200,
            b'+' => 100,
            _ => 0,
        };
        let picture: Vec<u8> = rows.iter().flat_map(|row| row.bytes().map(gray)).collect();
        let mut masks = [Mask::default(), Mask::default(), Mask::default()];
        masks.iter_mut().for_each(|mask| mask.resize(width, height));
        let [mask, scratch, grown] = &mut masks;
        mask.compare(&picture, &vec![0; picture.len()], &vec![25; picture.len()]);
        mask.dilate_into(grown_by, scratch, grown);
        let counts: Vec<u8> = (0..picture.len()).map(|at| u8::from(at % width < width / 2)).collect();
        let mean = vec![0; picture.len()];
        let on = Measured { mask, grown, counts: &counts, picture: &picture, mean: &mean };
        Finder::default().find(&on).to_vec()
    }

    #[test]
    fn pieces_are_told_apart_and_joined() {
        let rows = ["#....#....", "#....#....", "#.....###.", "#........#"];
        let mut areas: Vec<u64> = find(&rows, 0).iter().map(|blob| blob.area / WHOLE).collect();
        areas.sort_unstable();
        assert_eq!(areas, [4, 6]);
        assert_eq!(find(&rows, 2).len(), 1);
    }

    #[test]
    fn a_shape_that_joins_late_is_one_piece() {
        let found = find(&["#.#.#.#.#.", "#.#.#.#.#.", "#########."], 0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].area, 19 * WHOLE);
        assert_eq!((found[0].counted, found[0].bounds), (11 * WHOLE, [0, 0, 5, 3]));
    }

    #[test]
    fn half_covered_edges_count_half() {
        let found = find(&["........", ".+####+.", ".+####+.", ".+####+.", "........"], 0);
        let area = found[0].area as f32 / WHOLE as f32;
        assert!((area - 15.0).abs() < 0.1, "{area}");
    }
}
