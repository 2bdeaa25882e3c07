//! Did things move, or did only the light change? Light changes brightness and keeps the edges where they are.
//!
//! Not here: what follows from the answer; see [`super`].
//!
//! The picture is judged in blocks. In a block that changed, the changed pixels are compared with what was expected there: when both rise and
//! fall together (normalised correlation) only the light is different; when they do not, something else is there now.
//! A block without structure, a bare wall, says nothing; then the whole picture has to have changed in the same way.

use super::mask::Mask;

/// Side of a block in pixels of the small picture: big enough for structure, small enough to be filled by one thing.
pub(super) const BLOCK: usize = 16;
/// A block changed if more than one pixel in this many did.
const CHANGED_PART: u32 = 5;
/// Correlation above which a block shows the same structure.
const SAME: f32 = 0.7;
/// Structure weaker than this standard deviation (gray levels) is not trusted, nor structure weaker than twice the noise.
const LEAST_STRUCTURE: f32 = 3.0;
/// Share of the picture that light of the whole room changes at least. Smaller changes must be clearer, see [`Judgement::local`].
const ROOM: f32 = 0.3;
/// Share of the picture that must have changed when nothing in it has structure.
const FLAT_ROOM: f32 = 0.7;
/// Fewer blocks than this prove nothing about a part of the picture: a ramp of gray correlates with any other by chance.
const LOCAL_BLOCKS: usize = 6;
/// Gray levels below and above which a picture hides what is in it.
const DARK: u8 = 40;
const BLOWN: u8 = 225;

/// What a block shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Calm,
    Same,
    Different,
    Unsure,
}

/// The blocks of one picture, and what they say together. Keeps its memory from picture to picture.
#[derive(Default)]
pub(super) struct Judgement {
    across: usize,
    width: usize,
    height: usize,
    blocks: Vec<Block>,
    /// Mean gray of expected and seen pixels of each block that changed.
    means: Vec<(f32, f32)>,
    scratch: Vec<f32>,
}

/// Which kind of light change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Things moved.
    Things,
    /// The light of the whole picture.
    Room,
    /// The light in the blocks that show the same structure: a patch of sun, a lamp at the edge.
    Patch,
}

/// Sums over the changed pixels of a block; `expected` and `seen` gray.
#[derive(Default)]
struct Sums {
    count: u32,
    expected: u32,
    seen: u32,
    expected_squares: u32,
    seen_squares: u32,
    products: u32,
}

impl Judgement {
    /// Judges a picture; `noise` is the sensor's noise in gray levels.
    pub(super) fn judge(&mut self, changed: &Mask, picture: &[u8], mean: &[u8], noise: f32) -> Verdict {
        (self.width, self.height) = (changed.width, changed.height);
        self.across = changed.width.div_ceil(BLOCK);
        self.blocks.clear();
        self.means.clear();
        for top in (0..changed.height).step_by(BLOCK) {
            for left in (0..changed.width).step_by(BLOCK) {
                let (sums, pixels) = add_up(changed, picture, mean, left, top);
                let block = sums.block(pixels, noise);
                if block != Block::Calm {
                    self.means.push(sums.means());
                }
                self.blocks.push(block);
            }
        }
        if self.room(picture, mean) {
            Verdict::Room
        } else if self.local() {
            Verdict::Patch
        } else {
            Verdict::Things
        }
    }

    fn count(&self, which: Block) -> usize {
        self.blocks.iter().filter(|block| **block == which).count()
    }

    fn room(&mut self, picture: &[u8], mean: &[u8]) -> bool {
        let (same, different) = (self.count(Block::Same), self.count(Block::Different));
        let changed = self.means.len();
        let share = changed as f32 / self.blocks.len() as f32;
        if share < ROOM {
            return false;
        }
        if blind(picture) || blind(mean) {
            return true;
        }
        let decided = same + different;
        if decided >= LOCAL_BLOCKS && decided * 6 >= changed {
            return same * 10 >= decided * 7;
        }
        share >= FLAT_ROOM && self.uniform()
    }

    /// Nine of ten changed blocks became brighter (or darker) by about the same amount or the same factor.
    fn uniform(&mut self) -> bool {
        let spread = |values: &mut Vec<f32>| {
            values.sort_by(f32::total_cmp);
            let at = |part: usize| values[(values.len() - 1) * part / 20];
            (at(1), at(10), at(19))
        };
        self.scratch.clear();
        self.scratch.extend(self.means.iter().map(|(expected, seen)| seen - expected));
        let (low, middle, high) = spread(&mut self.scratch);
        if low * high <= 0.0 {
            return false;
        }
        if high - low <= 10.0 + 0.5 * middle.abs() {
            return true;
        }
        self.scratch.clear();
        self.scratch.extend(self.means.iter().map(|(expected, seen)| (seen + 1.0) / (expected + 1.0)));
        let (low, _, high) = spread(&mut self.scratch);
        high <= low * 1.35
    }

    /// Only a part of the picture changed, but nearly all of it proves to be the same things in another light.
    fn local(&self) -> bool {
        let (same, different) = (self.count(Block::Same), self.count(Block::Different));
        let changed = self.means.len();
        same >= LOCAL_BLOCKS && same * 10 >= changed * 6 && different * 10 <= changed
    }

    /// Clears the blocks where only the light changed; with `all` also those that cannot say, so that only proven things are left.
    pub(super) fn clear(&self, mask: &mut Mask, all: bool) {
        for (index, block) in self.blocks.iter().enumerate() {
            let drop = match block {
                Block::Same => true,
                Block::Unsure | Block::Calm => all,
                Block::Different => false,
            };
            if drop {
                let (left, top) = (index % self.across * BLOCK, index / self.across * BLOCK);
                for y in top..(top + BLOCK).min(self.height) {
                    mask.row_mut(y)[left..(left + BLOCK).min(self.width)].fill(0);
                }
            }
        }
    }

    /// The pixels of the blocks that show the same structure, as ranges of the picture's bytes.
    pub(super) fn same(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let same = self.blocks.iter().enumerate().filter(|(_, block)| **block == Block::Same);
        same.flat_map(move |(index, _)| {
            let (left, top) = (index % self.across * BLOCK, index / self.across * BLOCK);
            let right = (left + BLOCK).min(self.width);
            (top..(top + BLOCK).min(self.height)).map(move |y| y * self.width + left..y * self.width + right)
        })
    }
}

fn add_up(changed: &Mask, picture: &[u8], mean: &[u8], left: usize, top: usize) -> (Sums, u32) {
    let (right, bottom) = ((left + BLOCK).min(changed.width), (top + BLOCK).min(changed.height));
    let mut sums = Sums::default();
    let pixels = ((right - left) * (bottom - top)) as u32;
    let set = |y: usize| changed.row(y)[left..right].iter().sum::<u8>();
    // Most blocks are calm, and counting is the cheap part.
    if (top..bottom).map(|y| u32::from(set(y))).sum::<u32>() * CHANGED_PART <= pixels {
        return (sums, pixels);
    }
    for y in top..bottom {
        let here = y * changed.width + left..y * changed.width + right;
        let cells = &changed.row(y)[left..right];
        let row = cells.iter().zip(&mean[here.clone()]).zip(&picture[here]);
        for ((cell, expected), seen) in row {
            let set = u32::from(*cell);
            let (expected, seen) = (u32::from(*expected) * set, u32::from(*seen) * set);
            sums.count += set;
            sums.expected += expected;
            sums.seen += seen;
            sums.expected_squares += expected * expected;
            sums.seen_squares += seen * seen;
            sums.products += expected * seen;
        }
    }
    (sums, pixels)
}

impl Sums {
    fn means(&self) -> (f32, f32) {
        let count = self.count.max(1) as f32;
        (self.expected as f32 / count, self.seen as f32 / count)
    }

    fn block(&self, pixels: u32, noise: f32) -> Block {
        if self.count * CHANGED_PART <= pixels {
            return Block::Calm;
        }
        let count = self.count as f32;
        let (expected_mean, seen_mean) = self.means();
        let expected = (self.expected_squares as f32 / count - expected_mean * expected_mean).max(0.0).sqrt();
        let seen = (self.seen_squares as f32 / count - seen_mean * seen_mean).max(0.0).sqrt();
        let least = LEAST_STRUCTURE.max(2.0 * noise);
        // What would be left of the expected structure if only the light had changed by this factor.
        let dimmed = expected * ((seen_mean + 1.0) / (expected_mean + 1.0)).min(1.0);
        if dimmed < least {
            return Block::Unsure;
        }
        if seen < least {
            return Block::Different;
        }
        let together = self.products as f32 / count - expected_mean * seen_mean;
        if together >= SAME * expected * seen { Block::Same } else { Block::Different }
    }
}

/// Nearly all of the picture is too dark or too bright to show anything.
fn blind(picture: &[u8]) -> bool {
    let hidden =
        |hides: fn(&u8) -> bool| picture.iter().filter(|gray| hides(gray)).count() * 10 >= picture.len() * 9;
    hidden(|gray| *gray < DARK) || hidden(|gray| *gray > BLOWN)
}
