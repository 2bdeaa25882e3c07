//! Ink on pixels: bars, frames and letters, for cards and for what is shown on a live picture.
//!
//! Not here: what is drawn where on a card, and the shapes of letters ([`crate::font`]).

use crate::font;
use crate::logic::faces::plain_letters;
use crate::logic::picture::{Mark, MarkKind};

/// Blue.
const MOTION: [f32; 3] = [51.0, 136.0, 255.0];
/// Green.
const KNOWN: [f32; 3] = [46.0, 204.0, 96.0];
/// Amber.
const FACE: [f32; 3] = [255.0, 176.0, 32.0];
/// Letters on a coloured ground.
const LETTERS: [f32; 3] = [12.0, 16.0, 20.0];

/// A picture to draw on, three bytes a pixel, row by row.
pub(crate) struct Canvas {
    /// Pixels a row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// `3 * width * height` bytes.
    pub(crate) pixels: Vec<u8>,
}

impl Canvas {
    fn blend(&mut self, x: usize, y: usize, colour: [f32; 3], part: f32) {
        let at = 3 * (y * self.width + x);
        for (channel, ink) in self.pixels[at..at + 3].iter_mut().zip(colour) {
            *channel = (f32::from(*channel) * (1.0 - part) + ink * part) as u8;
        }
    }

    /// A filled rectangle; what lies outside is cut.
    pub(crate) fn bar(&mut self, x: f32, y: f32, width: f32, height: f32, colour: [f32; 3]) {
        for row in y as usize..((y + height) as usize).min(self.height) {
            for column in x as usize..((x + width).ceil() as usize).min(self.width) {
                self.blend(column, row, colour, 1.0);
            }
        }
    }

    /// Writes one line; `dot` is the size of a font dot in pixels. What does not fit is cut.
    pub(crate) fn line(&mut self, text: &str, left: f32, top: f32, dot: f32, colour: [f32; 3]) {
        for (index, letter) in text.chars().enumerate() {
            let start = left + index as f32 * font::ADVANCE as f32 * dot;
            self.letter(letter, start, top, dot, colour);
        }
    }

    fn letter(&mut self, letter: char, left: f32, top: f32, dot: f32, colour: [f32; 3]) {
        let (right, bottom) = (left + font::ADVANCE as f32 * dot, top + font::ROWS as f32 * dot);
        for y in top as usize..(bottom as usize).min(self.height) {
            for x in left as usize..(right as usize).min(self.width) {
                let (column, row) = ((x as f32 + 0.5 - left) / dot, (y as f32 + 0.5 - top) / dot);
                let part = font::ink(letter, column, row, dot);
                if part > 0.0 {
                    self.blend(x, y, colour, part);
                }
            }
        }
    }

    /// A frame around a place, with its word above it, or below where there is no room.
    pub(crate) fn mark(&mut self, Mark { place, kind, label }: &Mark) {
        let colour = match kind {
            MarkKind::Motion => MOTION,
            MarkKind::Known => KNOWN,
            MarkKind::Face => FACE,
        };
        let (width, height) = (self.width as f32, self.height as f32);
        let (x, y) = (place.x.clamp(0.0, 1.0) * width, place.y.clamp(0.0, 1.0) * height);
        let (w, h) = ((place.w * width).min(width - x), (place.h * height).min(height - y));
        // Two pixels at 640 pixels a row; lossy colour would wash out a single one.
        let line = (width / 320.0).max(2.0);
        self.bar(x, y, w, line, colour);
        self.bar(x, (y + h - line).max(y), w, line, colour);
        self.bar(x, y, line, h, colour);
        self.bar((x + w - line).max(x), y, line, h, colour);
        if label.is_empty() {
            return;
        }
        let text = plain_letters(label);
        let dot = (width / 480.0).max(1.0);
        let (ground, length) = ((font::ROWS as f32 + 2.0) * dot, text.chars().count() as f32);
        let top = if y >= ground { y - ground } else { (y + h).min(height - ground).max(0.0) };
        self.bar(x, top, (length * font::ADVANCE as f32 + 3.0) * dot, ground, colour);
        self.line(&text, x + 2.0 * dot, top + 1.5 * dot, dot, LETTERS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::picture::Rect;

    fn marked(place: Rect, kind: MarkKind, label: &str) -> Canvas {
        let mut canvas = Canvas { width: 320, height: 240, pixels: vec![100; 3 * 320 * 240] };
        canvas.mark(&Mark { place, kind, label: label.into() });
        canvas
    }

    #[test]
    fn a_mark_is_a_frame_in_its_colour_and_leaves_the_inside_alone() {
        let place = Rect { x: 0.25, y: 0.25, w: 0.5, h: 0.5 };
        for (kind, colour) in [(MarkKind::Motion, MOTION), (MarkKind::Known, KNOWN), (MarkKind::Face, FACE)] {
            let canvas = marked(place, kind, "");
            let at = |x: usize, y: usize| &canvas.pixels[3 * (y * 320 + x)..][..3];
            let ink = colour.map(|channel| channel as u8);
            for (x, y) in [(80, 60), (160, 61), (80, 120), (239, 120), (160, 179)] {
                assert_eq!(at(x, y), ink, "{kind:?} at {x}, {y}");
            }
            for (x, y) in [(160, 120), (79, 60), (80, 58), (241, 120), (160, 181)] {
                assert_eq!(at(x, y), [100; 3], "{kind:?} at {x}, {y}");
            }
        }
    }

    #[test]
    fn marks_at_the_edges_and_outside_are_cut() {
        for (x, y, w, h) in [
            (0.0, 0.0, 1.0, 1.0),
            (0.9, 0.9, 0.5, 0.5),
            (-0.2, -0.2, 0.4, 0.4),
            (2.0, 2.0, 1.0, 1.0),
            (0.5, 0.0, 0.0, 0.0),
        ] {
            let canvas =
                marked(Rect { x, y, w, h }, MarkKind::Known, "Jürgen Wagner-Schmidt and a long tail");
            assert_eq!(canvas.pixels.len(), 3 * 320 * 240);
        }
    }
}
