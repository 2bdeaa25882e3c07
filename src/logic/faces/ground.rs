//! Where in the picture faces count: the regions and masks that the user drew for motion hold for faces too.
//!
//! Not here: where motion counts (see `logic::motion`).

use super::face::PixelRect;
use crate::logic::picture::Rect;

/// Where faces count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ground {
    /// Here; empty means everywhere.
    pub regions: Vec<Rect>,
    /// Not here, even within a region.
    pub masks: Vec<Rect>,
}

impl Ground {
    /// Whether a face counts: its centre lies in a region and in no mask of a picture of that size.
    pub fn counts(&self, face: &PixelRect, width: usize, height: usize) -> bool {
        let [x, y] = face.centre();
        let (x, y) = (x / width.max(1) as f32, y / height.max(1) as f32);
        let lies_in =
            |rect: &Rect| (rect.x..rect.x + rect.w).contains(&x) && (rect.y..rect.y + rect.h).contains(&y);
        (self.regions.is_empty() || self.regions.iter().any(lies_in)) && !self.masks.iter().any(lies_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_of_a_face_decides() {
        let face = |x: f32, y: f32| PixelRect { x: x - 20.0, y: y - 25.0, width: 40.0, height: 50.0 };
        let left = Rect { x: 0.0, y: 0.0, w: 0.5, h: 1.0 };
        let television = Rect { x: 0.1, y: 0.1, w: 0.2, h: 0.2 };
        let counts = |regions: &[Rect], masks: &[Rect], x, y| {
            Ground { regions: regions.to_vec(), masks: masks.to_vec() }.counts(&face(x, y), 1000, 500)
        };
        assert!(counts(&[], &[], 999.0, 499.0));
        assert!(counts(&[left], &[], 499.0, 10.0) && !counts(&[left], &[], 501.0, 10.0));
        assert!(!counts(&[], &[television], 200.0, 100.0) && counts(&[], &[television], 99.0, 100.0));
        assert!(!counts(&[left], &[television], 200.0, 100.0), "a mask wins over a region");
        assert!(counts(&[left, television], &[], 400.0, 400.0));
    }
}
