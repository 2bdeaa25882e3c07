//! The pixels of the demo scene: people cut out of photographs walk in front of a painted garden, with the noise of a sensor.
//!
//! Everything is planar 4:2:0 in JPEG's full range, so that encoding needs no conversion.
//! Not here: who is where ([`super::scene`]), and what the garden looks like ([`super::garden`]).

use super::scene::{Dice, Layout, Walker};
use crate::jpeg;
use crate::logic::picture::{Gray, Rgb};

/// Brightness that is left when the lights are off.
const DARK: f32 = 0.22;
/// The largest step of the sensor's noise, in levels of brightness; its middle is 0 and its usual size about half of this.
const NOISE: i8 = 4;
/// Enough noise to start each row of each picture somewhere else in it.
const NOISE_BYTES: usize = 1 << 16;

/// Pictures of one size.
pub(super) struct Painter {
    width: usize,
    height: usize,
    lit: Vec<u8>,
    dark: Vec<u8>,
    known: Cutout,
    stranger: Cutout,
    canvas: Vec<u8>,
    noise: Vec<i8>,
    dice: Dice,
}

/// Somebody cut out of a photograph, every value of a pixel in a plane of its own.
pub(super) struct Cutout {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
    opacity: Vec<u8>,
}

impl Cutout {
    /// Joins a photograph and the opacity of its pixels, which must be of one size.
    pub(super) fn new(photo: &Rgb, opacity: &Gray) -> Option<Self> {
        let same = (photo.width, photo.height) == (opacity.width, opacity.height);
        let pixels: Vec<[u8; 3]> = photo.data.chunks_exact(3).map(yuv).collect();
        let plane = |channel: usize| pixels.iter().map(|pixel| pixel[channel]).collect();
        let opacity = opacity.data.clone();
        let (width, height) = (photo.width, photo.height);
        same.then(|| Self { width, height, luma: plane(0), blue: plane(1), red: plane(2), opacity })
    }
}

/// JFIF's conversion to brightness, blue difference and red difference.
fn yuv(rgb: &[u8]) -> [u8; 3] {
    let [red, green, blue] = [rgb[0], rgb[1], rgb[2]].map(f32::from);
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [luma, 128.0 + 0.564 * (blue - luma), 128.0 + 0.713 * (red - luma)]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

impl Painter {
    /// Both sides of `garden` must be even.
    pub(super) fn new(garden: &Rgb, known: Cutout, stranger: Cutout, seed: u64) -> Self {
        let lit = planes(garden);
        let luma = garden.width * garden.height;
        let dim = |(at, value): (usize, &u8)| {
            let zero = if at < luma { 0.0 } else { 128.0 };
            (zero + (f32::from(*value) - zero) * DARK).round() as u8
        };
        let dark = lit.iter().enumerate().map(dim).collect();
        let mut dice = Dice(seed);
        // The sum of two dice has a peak in the middle, as a sensor's noise has.
        let mut half = || (dice.roll() * f64::from(NOISE + 1)) as i8;
        let noise = (0..NOISE_BYTES).map(|_| half() - half()).collect();
        let canvas = vec![0; lit.len()];
        Self { width: garden.width, height: garden.height, lit, dark, known, stranger, canvas, noise, dice }
    }

    /// Paints one picture and encodes it.
    pub(super) fn paint(&mut self, layout: Layout, quality: u8) -> Result<bytes::Bytes, jpeg::Error> {
        self.canvas.copy_from_slice(if layout.lit { &self.lit } else { &self.dark });
        if let Some(walker) = layout.walker {
            let cutout = if walker.known { &self.known } else { &self.stranger };
            blend(&mut self.canvas, self.width, self.height, cutout, walker);
        }
        self.add_noise();
        jpeg::encode_i420(self.width, self.height, &self.canvas, quality)
    }

    fn add_noise(&mut self) {
        for row in self.canvas[..self.width * self.height].chunks_exact_mut(self.width) {
            let start = self.dice.bits() as usize % (NOISE_BYTES - self.width.min(NOISE_BYTES - 1));
            for (value, noise) in row.iter_mut().zip(&self.noise[start..]) {
                *value = value.saturating_add_signed(*noise);
            }
        }
    }
}

/// Brightness in full size, both differences at half the size, averaged over squares of four pixels.
fn planes(rgb: &Rgb) -> Vec<u8> {
    let (width, height) = (rgb.width, rgb.height);
    let pixels: Vec<[u8; 3]> = rgb.data.chunks_exact(3).map(yuv).collect();
    let mut planes: Vec<u8> = pixels.iter().map(|pixel| pixel[0]).collect();
    for channel in [1, 2] {
        for y in (0..height).step_by(2) {
            for x in (0..width).step_by(2) {
                let sum: u32 = [0, 1, width, width + 1]
                    .iter()
                    .map(|at| u32::from(pixels[y * width + x + at][channel]))
                    .sum();
                planes.push(((sum + 2) / 4) as u8);
            }
        }
    }
    planes
}

/// Where a column or row of the target lies in the cutout: the pixel before it, and how far past that, in 256ths.
#[derive(Clone, Copy)]
struct Sample {
    target: usize,
    source: usize,
    part: u32,
}

/// The samples for targets `step * (0..count)` of a cutout side of `length` pixels that starts at `start` and is `scale`
/// target pixels per source pixel. Those outside of the picture or the cutout are left out.
fn samples(start: f32, scale: f32, length: usize, step: usize, count: usize) -> Vec<Sample> {
    let middle = step as f32 / 2.0;
    let place = |target: usize| {
        let source = ((target * step) as f32 + middle - start) / scale - 0.5;
        let inside = source >= 0.0 && (source as usize) + 1 < length;
        inside.then(|| Sample { target, source: source as usize, part: (source.fract() * 256.0) as u32 })
    };
    (0..count).filter_map(place).collect()
}

fn blend(canvas: &mut [u8], width: usize, height: usize, cutout: &Cutout, walker: Walker) {
    let scale = walker.height * height as f32 / cutout.height as f32;
    let left = walker.x * width as f32 - cutout.width as f32 * scale / 2.0;
    // A little of the body stays below the edge, so that no step lifts it into sight.
    let top = height as f32 * (1.02 - walker.height - walker.lift);
    let (luma, chroma) = canvas.split_at_mut(width * height);
    let (blue, red) = chroma.split_at_mut(width * height / 4);
    for (step, planes) in
        [(1, vec![(&cutout.luma, luma)]), (2, vec![(&cutout.blue, blue), (&cutout.red, red)])]
    {
        let columns = samples(left, scale, cutout.width, step, width / step);
        let rows = samples(top, scale, cutout.height, step, height / step);
        let (mut values, mut opacity) = (Vec::new(), Vec::new());
        for (plane, target) in planes {
            for row in &rows {
                between(plane, cutout.width, *row, &mut values);
                between(&cutout.opacity, cutout.width, *row, &mut opacity);
                let line = &mut target[row.target * (width / step)..][..width / step];
                for column in &columns {
                    mix(&mut line[column.target], *column, &values, &opacity);
                }
            }
        }
    }
}

/// The line between two rows of a plane; whole rows at once, which the compiler turns into vector instructions.
fn between(plane: &[u8], width: usize, row: Sample, line: &mut Vec<u16>) {
    let (upper, lower) = plane[row.source * width..][..2 * width].split_at(width);
    let part = row.part as u16;
    line.clear();
    line.extend(
        upper.iter().zip(lower).map(|(a, b)| (u16::from(*a) * (256 - part) + u16::from(*b) * part) >> 8),
    );
}

/// Lays a value over a pixel; nothing is computed where the cutout is transparent.
#[inline]
fn mix(target: &mut u8, column: Sample, values: &[u16], opacity: &[u16]) {
    let at = |line: &[u16]| [u32::from(line[column.source]), u32::from(line[column.source + 1])];
    let along = |[a, b]: [u32; 2]| (a * (256 - column.part) + b * column.part) >> 8;
    let opacity = at(opacity);
    if opacity == [0, 0] {
        return;
    }
    let (value, opacity) = (along(at(values)), along(opacity));
    *target = ((u32::from(*target) * (255 - opacity) + value * opacity + 127) / 255) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, colour: [u8; 3]) -> Rgb {
        Rgb { width, height, data: colour.repeat(width * height) }
    }

    fn cutout(colour: [u8; 3]) -> Cutout {
        let opacity = Gray { width: 60, height: 60, scale: 1, data: vec![255; 60 * 60] };
        Cutout::new(&plain(60, 60, colour), &opacity).unwrap()
    }

    #[test]
    fn somebody_stands_where_the_layout_says_and_darkness_is_dark() {
        let mut painter =
            Painter::new(&plain(320, 180, [200; 3]), cutout([250, 20, 20]), cutout([20, 20, 250]), 1);
        let walker = Walker { known: true, x: 0.25, height: 0.5, lift: 0.0 };
        let rgb = jpeg::decode_rgb(&painter.paint(Layout { lit: true, walker: Some(walker) }, 90).unwrap())
            .unwrap();
        let pixel = |x: usize, y: usize| [0, 1, 2].map(|channel| rgb.data[3 * (y * 320 + x) + channel]);
        assert!(pixel(80, 150)[0] > 200 && pixel(80, 150)[2] < 80, "red expected, got {:?}", pixel(80, 150));
        assert!(pixel(240, 150).iter().all(|channel| channel.abs_diff(200) < 16), "{:?}", pixel(240, 150));
        assert!(pixel(80, 60).iter().all(|channel| channel.abs_diff(200) < 16), "{:?}", pixel(80, 60));
        let dark =
            jpeg::decode_gray(&painter.paint(Layout { lit: false, walker: None }, 90).unwrap()).unwrap();
        assert!(dark.data.iter().all(|value| *value < 60));
    }

    #[test]
    fn any_place_and_size_is_safe_and_no_two_pictures_are_the_same() {
        let mut painter = Painter::new(&plain(160, 90, [90; 3]), cutout([250; 3]), cutout([0; 3]), 1);
        for x in [-9.0, -0.2, 0.0, 0.99, 1.3, 50.0] {
            for height in [0.01, 0.7, 3.0] {
                let layout =
                    Layout { lit: true, walker: Some(Walker { known: false, x, height, lift: 0.01 }) };
                assert!(painter.paint(layout, 80).is_ok());
            }
        }
        let empty = Layout { lit: true, walker: None };
        assert_ne!(painter.paint(empty, 80).unwrap(), painter.paint(empty, 80).unwrap());
    }
}
