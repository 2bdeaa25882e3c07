//! One byte a pixel, 0 or 1, with a frame of zeros around it, and the few operations that motion needs on it.
//!
//! Not here: pieces and their areas; see [`super::blobs`].

/// A picture of 0 and 1. The frame of zeros spares every neighbour operation its special cases.
#[derive(Default)]
pub(super) struct Mask {
    /// Pixels a row, without the frame.
    pub(super) width: usize,
    /// Rows, without the frame.
    pub(super) height: usize,
    cells: Vec<u8>,
}

impl Mask {
    /// Empties the mask and gives it this size.
    pub(super) fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.cells.clear();
        self.cells.resize((width + 2) * (height + 2), 0);
    }

    fn stride(&self) -> usize {
        self.width + 2
    }

    /// A row without its frame.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        let start = (y + 1) * self.stride() + 1;
        &self.cells[start..start + self.width]
    }

    /// The same row, to be written.
    pub(super) fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let start = (y + 1) * self.stride() + 1;
        &mut self.cells[start..start + self.width]
    }

    /// A row with the cell before and the cell after it; `y` from 0 for the frame's row above to `height + 1`.
    fn framed(&self, y: usize) -> &[u8] {
        &self.cells[y * self.stride()..(y + 1) * self.stride()]
    }

    /// The three cells beside each other around `x` in the row `dy - 1` rows below `y`, for looking at neighbours.
    pub(super) fn near(&self, x: usize, y: usize) -> [&[u8]; 3] {
        [0, 1, 2].map(|dy| &self.framed(y + dy)[x..x + 3])
    }

    /// How many cells are set.
    pub(super) fn count(&self) -> usize {
        // 255 cells fit a byte sum, which adds sixteen at a time.
        let sum = |cells: &[u8]| usize::from(cells.iter().fold(0u8, |sum, cell| sum.wrapping_add(*cell)));
        self.cells.chunks(255).map(sum).sum()
    }

    /// Sets the cells whose gray is more than `limit` away from `mean`.
    pub(super) fn compare(&mut self, picture: &[u8], mean: &[u8], limit: &[u8]) {
        let width = self.width;
        for y in 0..self.height {
            let here = y * width..(y + 1) * width;
            let pixels = picture[here.clone()].iter().zip(&mean[here.clone()]).zip(&limit[here]);
            for (cell, ((gray, mean), limit)) in self.row_mut(y).iter_mut().zip(pixels) {
                *cell = u8::from(gray.abs_diff(*mean) > *limit);
            }
        }
    }

    /// Keeps the cells that have at least three of their eight neighbours: corners of things stay, grains of noise go.
    pub(super) fn despeckle_into(&self, out: &mut Self) {
        let width = self.width;
        for y in 0..self.height {
            let (above, here, below) = (self.framed(y), self.framed(y + 1), self.framed(y + 2));
            let (above, here, below) = (&above[..width + 2], &here[..width + 2], &below[..width + 2]);
            let cells = &mut out.row_mut(y)[..width];
            for x in 0..width {
                let beside = here[x] + here[x + 2];
                let near =
                    above[x] + above[x + 1] + above[x + 2] + below[x] + below[x + 1] + below[x + 2] + beside;
                cells[x] = here[x + 1] & u8::from(near >= 3);
            }
        }
    }

    /// Grows everything by `radius` cells in all eight directions.
    pub(super) fn dilate_into(&self, radius: usize, scratch: &mut Self, out: &mut Self) {
        out.cells.copy_from_slice(&self.cells);
        for _ in 0..radius {
            std::mem::swap(scratch, out);
            scratch.dilate_once_into(out);
        }
    }

    #[expect(
        clippy::needless_range_loop,
        reason = "slices of known length and one index are what vectorises"
    )]
    fn dilate_once_into(&self, out: &mut Self) {
        let width = self.width;
        for y in 0..self.height {
            let (above, here, below) = (self.framed(y), self.framed(y + 1), self.framed(y + 2));
            let (above, here, below) = (&above[..width + 2], &here[..width + 2], &below[..width + 2]);
            let cells = &mut out.row_mut(y)[..width];
            for x in 0..width {
                let column = |x: usize| above[x] | here[x] | below[x];
                cells[x] = column(x) | column(x + 1) | column(x + 2);
            }
        }
    }
}

/// Averages squares of `2 * radius + 1` pixels, cut at the edge.
pub(super) fn blur(width: usize, picture: &[u8], radius: usize, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    let height = picture.len() / width;
    scratch.clear();
    for row in picture.chunks_exact(width) {
        scratch.extend((0..width).map(|x| {
            let window = &row[x.saturating_sub(radius)..(x + radius + 1).min(width)];
            mean(window.iter().map(|gray| u32::from(*gray)).sum(), window.len())
        }));
    }
    out.clear();
    let mut sums = vec![0u32; width];
    for y in 0..height {
        let rows = y.saturating_sub(radius)..(y + radius + 1).min(height);
        sums.fill(0);
        for row in rows.clone() {
            for (sum, gray) in sums.iter_mut().zip(&scratch[row * width..]) {
                *sum += u32::from(*gray);
            }
        }
        out.extend(sums.iter().map(|sum| mean(*sum, rows.len())));
    }
}

fn mean(sum: u32, count: usize) -> u8 {
    let count = count as u32;
    ((sum + count / 2) / count) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let mut mask = Mask::default();
        mask.resize(rows[0].len(), rows.len());
        for (y, row) in rows.iter().enumerate() {
            for (cell, text) in mask.row_mut(y).iter_mut().zip(row.bytes()) {
                *cell = u8::from(text == b'#');
            }
        }
        mask
    }

    fn like(mask: &Mask) -> Mask {
        let mut out = Mask::default();
        out.resize(mask.width, mask.height);
        out
    }

    fn text(mask: &Mask) -> Vec<String> {
        let row = |y| mask.row(y).iter().map(|cell| if *cell == 1 { '#' } else { '.' }).collect();
        (0..mask.height).map(row).collect()
    }

    #[test]
    fn grains_go_and_squares_stay() {
        let noisy = mask(&["#....#.", "...##..", "..##...", "...##..", "#......"]);
        let mut clean = like(&noisy);
        noisy.despeckle_into(&mut clean);
        assert_eq!(text(&clean), [".......", "...##..", "..##...", "...#...", "......."]);
        let square = mask(&[".....", ".###.", ".###.", ".###.", "....."]);
        let mut same = like(&square);
        square.despeckle_into(&mut same);
        assert_eq!(text(&same), text(&square));
        assert_eq!(square.count(), 9);
    }

    #[test]
    fn dilation_grows_in_all_directions_and_stops_at_the_edge() {
        let dot = mask(&["#....", ".....", ".....", ".....", "....."]);
        let (mut scratch, mut grown) = (like(&dot), like(&dot));
        dot.dilate_into(2, &mut scratch, &mut grown);
        assert_eq!(text(&grown), ["###..", "###..", "###..", ".....", "....."]);
    }

    #[test]
    fn blur_keeps_flat_areas_and_spreads_a_dot() {
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        blur(4, &[7; 12], 3, &mut scratch, &mut out);
        assert_eq!(out, [7; 12]);
        let mut dot = [0; 25];
        dot[12] = 90;
        blur(5, &dot, 1, &mut scratch, &mut out);
        assert_eq!((out[12], out[6], out[0]), (10, 10, 0));
    }
}
