//! What a detector and a recogniser say about one face: boxes, points, embeddings and their geometry.
//!
//! Not here: how they are computed (see `vision::model`) and what follows from them (see `quality`, `gallery`, `track`).

/// An upright rectangle in pixels of the full picture; the origin is the top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PixelRect {
    /// Left edge in pixels; may lie outside the picture.
    pub x: f32,
    /// Top edge in pixels; may lie outside the picture.
    pub y: f32,
    /// Width in pixels, not negative.
    pub width: f32,
    /// Height in pixels, not negative.
    pub height: f32,
}

impl PixelRect {
    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// The middle of the rectangle.
    pub fn centre(&self) -> [f32; 2] {
        [self.x + self.width / 2.0, self.y + self.height / 2.0]
    }

    /// Area that two rectangles share, in square pixels.
    pub fn common(&self, other: &PixelRect) -> f32 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union of two rectangles, 0 to 1.
    pub fn overlap(&self, other: &PixelRect) -> f32 {
        let common = self.common(other);
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }

    /// Distance of the centres in units of the mean width of both rectangles.
    pub fn distance(&self, other: &PixelRect) -> f32 {
        let ([ax, ay], [bx, by]) = (self.centre(), other.centre());
        (ax - bx).hypot(ay - by) / ((self.width + other.width) / 2.0).max(1.0)
    }

    /// The smallest rectangle that holds both.
    pub fn union(&self, other: &PixelRect) -> PixelRect {
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        PixelRect { x, y, width: right - x, height: bottom - y }
    }

    /// The rectangle grown on each side by `share` of its size.
    pub fn grown(&self, share: f32) -> PixelRect {
        let (dx, dy) = (self.width * share, self.height * share);
        PixelRect {
            x: self.x - dx,
            y: self.y - dy,
            width: self.width + 2.0 * dx,
            height: self.height + 2.0 * dy,
        }
    }

    /// The part of the rectangle inside a picture of that size; its area is 0 when nothing of it is inside.
    pub fn inside(&self, width: usize, height: usize) -> PixelRect {
        let (x, y) = (self.x.clamp(0.0, width as f32), self.y.clamp(0.0, height as f32));
        let right = (self.x + self.width).clamp(x, width as f32);
        let bottom = (self.y + self.height).clamp(y, height as f32);
        PixelRect { x, y, width: right - x, height: bottom - y }
    }

    /// The rectangle as fractions `[x, y, width, height]` of a picture, cut at the picture's edges.
    pub fn fractions(&self, width: usize, height: usize) -> [f32; 4] {
        let cut = self.inside(width, height);
        let (w, h) = (width.max(1) as f32, height.max(1) as f32);
        [cut.x / w, cut.y / h, cut.width / w, cut.height / h]
    }
}

/// One face that a detector found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// Where the face is.
    pub rect: PixelRect,
    /// How sure the detector is, 0 to 1.
    pub score: f32,
    /// The eye on the left of the picture, the right eye, the tip of the nose, the left and the right corner of the mouth,
    /// in pixels of the full picture.
    pub points: [[f32; 2]; 5],
}

impl Face {
    /// Roll of the head in degrees: the angle of the line between the eyes, positive when the right one is lower.
    pub fn roll_degrees(&self) -> f32 {
        let [left, right, ..] = self.points;
        (right[1] - left[1]).atan2(right[0] - left[0]).to_degrees()
    }

    /// How far the nose lies from the middle of the eyes, along the line of the eyes and in units of their distance.
    ///
    /// 0 for a face seen from the front, about -0.5 or 0.5 where the nose passes below an eye.
    pub fn nose_offset(&self) -> f32 {
        let [left, right, nose, ..] = self.points;
        let along = [right[0] - left[0], right[1] - left[1]];
        let length_squared = along[0] * along[0] + along[1] * along[1];
        if length_squared < 1.0 {
            return 1.0;
        }
        let middle = [(left[0] + right[0]) / 2.0, (left[1] + right[1]) / 2.0];
        ((nose[0] - middle[0]) * along[0] + (nose[1] - middle[1]) * along[1]) / length_squared
    }

    /// A rough yaw of the head in degrees: positive when the face looks to the right side of the picture.
    ///
    /// A nose stands about 0.6 eye distances in front of the line of the eyes, and turning by the angle `a` moves its tip by
    /// `0.6 sin a` while the eyes come nearer by `cos a`; so the tangent is the offset divided by 0.6. Good to some 10 degrees.
    pub fn yaw_degrees(&self) -> f32 {
        (self.nose_offset() / 0.6).atan().to_degrees()
    }
}

/// Length of an embedding.
pub const EMBEDDING_LENGTH: usize = 128;

/// What the recogniser makes of one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Direction, of unit length: the cosine of two is their likeness.
    pub vector: [f32; EMBEDDING_LENGTH],
    /// Length before it was normalised: a measure of how usable the face was (blurred faces have a short one).
    pub norm: f32,
}

impl Embedding {
    /// Normalises what the network gave; `None` when that has no direction (all zero, infinite or NaN).
    pub fn from_raw(raw: &[f32; EMBEDDING_LENGTH]) -> Option<Embedding> {
        let norm = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
        if !norm.is_finite() || norm < 1e-6 {
            return None;
        }
        Some(Embedding { vector: raw.map(|v| v / norm), norm })
    }
}

/// Cosine of two vectors of unit length, -1 to 1.
pub fn cosine(a: &[f32; EMBEDDING_LENGTH], b: &[f32; EMBEDDING_LENGTH]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(points: [[f32; 2]; 5]) -> Face {
        Face { rect: PixelRect::default(), score: 1.0, points }
    }

    #[test]
    fn rectangles_overlap_and_are_cut() {
        let a = PixelRect { x: 0.0, y: 0.0, width: 10.0, height: 10.0 };
        let b = PixelRect { x: 5.0, y: 0.0, width: 10.0, height: 10.0 };
        assert!((a.overlap(&b) - 50.0 / 150.0).abs() < 1e-6);
        assert_eq!(a.overlap(&PixelRect { x: 20.0, ..a }), 0.0);
        assert_eq!(PixelRect::default().overlap(&PixelRect::default()), 0.0);
        assert!((a.distance(&b) - 0.5).abs() < 1e-6);
        assert_eq!(a.union(&b), PixelRect { x: 0.0, y: 0.0, width: 15.0, height: 10.0 });
        let outside = PixelRect { x: -5.0, y: 95.0, width: 10.0, height: 10.0 };
        assert_eq!(outside.inside(100, 100), PixelRect { x: 0.0, y: 95.0, width: 5.0, height: 5.0 });
        assert_eq!(outside.fractions(100, 100), [0.0, 0.95, 0.05, 0.05]);
        assert_eq!(PixelRect { x: 200.0, ..a }.inside(100, 100).area(), 0.0);
    }

    #[test]
    fn pose_comes_from_the_points() {
        let frontal = face([[0.0, 0.0], [40.0, 0.0], [20.0, 25.0], [5.0, 45.0], [35.0, 45.0]]);
        assert_eq!(frontal.roll_degrees(), 0.0);
        assert_eq!(frontal.nose_offset(), 0.0);
        let tilted = face([[0.0, 0.0], [40.0, 40.0], [20.0, 20.0], [0.0, 0.0], [0.0, 0.0]]);
        assert!((tilted.roll_degrees() - 45.0).abs() < 1e-3);
        let turned = face([[0.0, 0.0], [40.0, 0.0], [36.0, 25.0], [5.0, 45.0], [35.0, 45.0]]);
        assert!((turned.nose_offset() - 0.4).abs() < 1e-6);
        assert!(turned.yaw_degrees() > 25.0 && turned.yaw_degrees() < 45.0);
        let collapsed = face([[7.0, 7.0]; 5]);
        assert_eq!(collapsed.nose_offset(), 1.0);
    }

    #[test]
    fn an_embedding_without_direction_is_none() {
        assert_eq!(Embedding::from_raw(&[0.0; EMBEDDING_LENGTH]), None);
        assert_eq!(Embedding::from_raw(&[f32::NAN; EMBEDDING_LENGTH]), None);
        let e = Embedding::from_raw(&[2.0; EMBEDDING_LENGTH]).unwrap();
        assert!((cosine(&e.vector, &e.vector) - 1.0).abs() < 1e-5);
        assert!((e.norm - 2.0 * (EMBEDDING_LENGTH as f32).sqrt()).abs() < 1e-3);
    }
}
