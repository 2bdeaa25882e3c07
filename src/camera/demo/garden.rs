//! The place of the demo scene: a garden path, a lawn, a hedge, a tree and the corner of a brick house with a door.
//!
//! Painted once when the scene is opened. The path is a photograph, the rest is drawn.
//! Not here: people ([`super::paint`]).

use super::scene::Dice;
use crate::logic::picture::{Gray, Rgb};

type Colour = [f32; 3];

const HORIZON: f32 = 0.52;
/// Left edge of the house wall as a fraction of the width.
const WALL: f32 = 0.69;

/// Paints the garden at a size. `path` is the photograph of a paved path, as seen by somebody who stands on it.
pub(super) fn paint(width: usize, height: usize, path: &Gray) -> Rgb {
    let mut data = Vec::with_capacity(3 * width * height);
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (column as f32 / width as f32, row as f32 / height as f32);
            data.extend(colour(x, y, path).map(|channel| channel.clamp(0.0, 255.0) as u8));
        }
    }
    Rgb { width, height, data }
}

/// The colour at a place; both coordinates go from 0 to 1.
fn colour(x: f32, y: f32, path: &Gray) -> Colour {
    let behind = if y < HORIZON { sky(x, y) } else { ground(x, y, path) };
    let with_tree = tree(x, y).unwrap_or_else(|| hedge(x, y).unwrap_or(behind));
    let with_house = if x > WALL { house(x, y) } else { with_tree };
    // The house throws a soft shadow on the lawn.
    let shadow = if x <= WALL && y > HORIZON { smooth((x - WALL + 0.10) / 0.10) * 0.25 } else { 0.0 };
    shade(with_house, 1.0 - shadow)
}

fn sky(x: f32, y: f32) -> Colour {
    let down = smooth(y / HORIZON);
    let clear = mix([120.0, 168.0, 214.0], [205.0, 222.0, 232.0], down);
    let cloud = smooth((cloudy(x * 5.0, y * 11.0, 3) - 0.52) * 4.0) * 0.75;
    mix(clear, [240.0, 242.0, 244.0], cloud)
}

fn hedge(x: f32, y: f32) -> Option<Colour> {
    let top = HORIZON - 0.115 + 0.02 * (value(x * 26.0, 3.0) - 0.5) + 0.015 * (value(x * 70.0, 9.0) - 0.5);
    if !(top..HORIZON + 0.012).contains(&y) {
        return None;
    }
    let leaves = cloudy(x * 90.0, y * 60.0, 3);
    Some(shade([66.0, 92.0, 52.0], 0.55 + 0.8 * leaves - 0.5 * smooth((y - top) / 0.15)))
}

fn tree(x: f32, y: f32) -> Option<Colour> {
    let aspect = 16.0 / 9.0;
    let crown = [(0.115, 0.22, 0.150), (0.055, 0.30, 0.105), (0.185, 0.31, 0.105), (0.12, 0.36, 0.11)];
    let ragged = 0.035 * (cloudy(x * 40.0, y * 24.0, 2) - 0.5);
    let depth = crown.iter().map(|(cx, cy, radius)| {
        let (dx, dy) = ((x - cx) * aspect, y - cy);
        radius + ragged - (dx * dx + dy * dy).sqrt()
    });
    if depth.fold(f32::MIN, f32::max) > 0.0 {
        let leaves = cloudy(x * 110.0, y * 66.0, 3);
        return Some(shade([84.0, 116.0, 58.0], 0.45 + 0.85 * leaves + 0.35 * (0.35 - y)));
    }
    let bark = (x - 0.118).abs() < 0.011 + 0.004 * y && (0.40..HORIZON + 0.05).contains(&y);
    bark.then(|| shade([96.0, 76.0, 60.0], 0.7 + 0.5 * value(x * 400.0, y * 30.0)))
}

fn ground(x: f32, y: f32, path: &Gray) -> Colour {
    let near = (y - HORIZON) / (1.0 - HORIZON);
    let (middle, half) = (0.46 + 0.02 * near, 0.045 + 0.21 * near);
    let across = (x - middle) / half;
    if across.abs() < 1.0 {
        let (u, v) = ((across + 1.0) / 2.0 * (path.width - 1) as f32, near * (path.height - 1) as f32);
        let stone = f32::from(path.data[v as usize * path.width + u as usize]) / 100.0;
        let edge = smooth((1.0 - across.abs()) * 12.0);
        return shade([158.0, 132.0, 112.0], (0.35 + 0.75 * stone) * (0.6 + 0.4 * edge));
    }
    let blades = cloudy(x * (160.0 - 90.0 * near), y * 120.0, 3);
    mix([118.0, 142.0, 84.0], [82.0, 122.0, 58.0], near).map(|channel| channel * (0.72 + 0.56 * blades))
}

fn house(x: f32, y: f32) -> Colour {
    // The door, seen a little from the side; its frame is white.
    let (left, right, top, sill) = (0.785, 0.925, 0.20, 0.93);
    let inside = |margin: f32| {
        (left - margin..right + margin).contains(&x) && (top - margin * 1.78..sill).contains(&y)
    };
    if inside(0.0) {
        return door((x - left) / (right - left), (y - top) / (sill - top));
    }
    if inside(0.012) {
        return shade([226.0, 224.0, 216.0], 0.92 + 0.08 * value(x * 300.0, y * 200.0));
    }
    if y >= sill {
        let step = if y < sill + 0.018 { 1.1 } else { 0.82 };
        return shade([150.0, 146.0, 138.0], step * (0.85 + 0.3 * cloudy(x * 200.0, y * 110.0, 2)));
    }
    if let Some(lamp) = lamp(x, y) {
        return lamp;
    }
    let corner = 0.72 + 0.28 * smooth((x - WALL) / 0.03);
    shade(bricks(x, y), corner)
}

fn bricks(x: f32, y: f32) -> Colour {
    let (course, across) = (y * 26.0, x * 22.0);
    let row = course.floor();
    let shifted = across + if row as i32 % 2 == 0 { 0.5 } else { 0.0 };
    let (in_brick_x, in_brick_y) = (shifted.fract(), course.fract());
    let grain = cloudy(x * 260.0, y * 150.0, 2);
    if in_brick_y < 0.11 || in_brick_x < 0.045 {
        return shade([176.0, 166.0, 152.0], 0.8 + 0.3 * grain);
    }
    let fired = value(shifted.floor() * 7.3 + 0.5, row * 3.1 + 0.5);
    shade(mix([146.0, 78.0, 60.0], [176.0, 104.0, 78.0], fired), 0.8 + 0.35 * grain)
}

/// `x` and `y` from 0 to 1 within the door.
fn door(x: f32, y: f32) -> Colour {
    let paint = [44.0, 74.0, 92.0];
    let (dx, dy) = ((x - 0.12) * 0.34, y - 0.55);
    if dx * dx + dy * dy < 0.0002 {
        return [214.0, 182.0, 96.0];
    }
    let columns = [(0.20, 0.46), (0.54, 0.80)];
    let rows = [(0.08, 0.40), (0.48, 0.66), (0.72, 0.92)];
    for (left, right) in columns {
        for (top, bottom) in rows {
            if (left..right).contains(&x) && (top..bottom).contains(&y) {
                let rim = (x - left).min(right - x).min((y - top) * 2.0).min((bottom - y) * 2.0);
                let glass = top < 0.1;
                let base =
                    if glass { mix([150.0, 170.0, 180.0], [92.0, 112.0, 126.0], y * 2.0) } else { paint };
                return shade(base, if rim < 0.02 { 0.7 } else { 1.06 });
            }
        }
    }
    shade(paint, 0.95 + 0.1 * value(x * 60.0, y * 8.0))
}

fn lamp(x: f32, y: f32) -> Option<Colour> {
    let (dx, dy) = ((x - 0.745) * 16.0 / 9.0, y - 0.36);
    let arm = dx.abs() < 0.005 && (-0.075..-0.04).contains(&dy);
    if arm || (dx.abs() < 0.03 && (-0.05..-0.04).contains(&dy)) {
        return Some([40.0, 42.0, 46.0]);
    }
    (dx.abs() < 0.024 - dy * 0.12 && (-0.04..0.05).contains(&dy))
        .then(|| mix([250.0, 236.0, 190.0], [214.0, 186.0, 120.0], dx.abs() * 40.0))
}

fn mix(from: Colour, to: Colour, part: f32) -> Colour {
    let part = part.clamp(0.0, 1.0);
    [0, 1, 2].map(|channel| from[channel] * (1.0 - part) + to[channel] * part)
}

fn shade(colour: Colour, light: f32) -> Colour {
    colour.map(|channel| channel * light)
}

fn smooth(part: f32) -> f32 {
    let part = part.clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

/// A smooth random landscape (value noise) from 0 to 1.
fn value(x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right_part, lower_part) = (smooth(x - left), smooth(y - top));
    let corner = |dx: f32, dy: f32| {
        let place = ((left + dx) as i64 as u64).wrapping_mul(0x1_0001)
            ^ ((top + dy) as i64 as u64).wrapping_mul(0x9_e377_79b1);
        Dice(place).roll() as f32
    };
    let upper = corner(0.0, 0.0) * (1.0 - right_part) + corner(1.0, 0.0) * right_part;
    let lower = corner(0.0, 1.0) * (1.0 - right_part) + corner(1.0, 1.0) * right_part;
    upper * (1.0 - lower_part) + lower * lower_part
}

/// Several landscapes on top of each other, each half as large and half as high as the one before.
fn cloudy(x: f32, y: f32, layers: u32) -> f32 {
    let (mut sum, mut height, mut scale) = (0.0, 0.5, 1.0);
    for _ in 0..layers {
        sum += height * value(x * scale, y * scale);
        (height, scale) = (height / 2.0, scale * 2.0);
    }
    sum + height
}
