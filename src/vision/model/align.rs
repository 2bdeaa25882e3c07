//! Cutting a face out of the full picture, turned and scaled so that its five points lie where the recogniser expects them.
//!
//! Not here: finding the points (see `yunet`) and what the cut is used for (see `sface`).

use super::Picture;

/// Side of the cut in pixels.
pub(super) const SIDE: usize = 112;

/// Where the points of a face belong in the cut: the usual template of ArcFace, on which SFace was trained.
const TEMPLATE: [[f32; 2]; 5] =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

/// A turn, a scale and a shift: `x' = a x - b y + dx`, `y' = b x + a y + dy`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Similarity {
    a: f32,
    b: f32,
    dx: f32,
    dy: f32,
}

impl Similarity {
    /// The transform from the cut to the picture that belongs to these points of a face.
    ///
    /// It is the inverse of the transform that brings the points to the template with the least squared error, as OpenCV's
    /// `alignCrop` does it. (Fitting the template to the points instead is not the same: the cut comes out some 2 % larger and
    /// embeddings differ.) `None` when the points coincide or are not numbers, because then no turn or scale is the best.
    pub(super) fn to_points(points: &[[f32; 2]; 5]) -> Option<Similarity> {
        let (from, to) = (mean(points), mean(&TEMPLATE));
        let (mut a, mut b, mut spread) = (0.0, 0.0, 0.0);
        for (point, template) in points.iter().zip(&TEMPLATE) {
            let (x, y) = (point[0] - from[0], point[1] - from[1]);
            let (u, v) = (template[0] - to[0], template[1] - to[1]);
            a += x * u + y * v;
            b += x * v - y * u;
            spread += x * x + y * y;
        }
        // The inverse of a turn and scale (a, b) is (a, -b) divided by its squared scale.
        let factor = spread / (a * a + b * b);
        let (a, b) = (a * factor, -b * factor);
        (factor.is_finite() && spread > 1.0).then(|| Similarity {
            a,
            b,
            dx: from[0] - (a * to[0] - b * to[1]),
            dy: from[1] - (b * to[0] + a * to[1]),
        })
    }

    /// Pixels of the picture for each pixel of the cut.
    pub(super) fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Where a point of the picture lies in the cut.
    pub(super) fn invert(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y, square) = (x - self.dx, y - self.dy, self.a * self.a + self.b * self.b);
        [(self.a * x + self.b * y) / square, (self.a * y - self.b * x) / square]
    }

    pub(super) fn apply(&self, x: f32, y: f32) -> [f32; 2] {
        [self.a * x - self.b * y + self.dx, self.b * x + self.a * y + self.dy]
    }
}

fn mean(points: &[[f32; 2]; 5]) -> [f32; 2] {
    [0, 1].map(|i| points.iter().map(|p| p[i]).sum::<f32>() / 5.0)
}

/// Cuts the face out as planes of red, green and blue (0 to 255), each `SIDE * SIDE`; black where the picture ends.
///
/// Each pixel of the cut is one bilinear sample, as OpenCV's `warpAffine` takes it and the published accuracy was measured.
pub(super) fn cut(picture: &Picture<'_>, transform: &Similarity) -> Vec<f32> {
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let [px, py] = transform.apply(x as f32, y as f32);
            let sample = bilinear(picture, px, py);
            for (channel, value) in sample.into_iter().enumerate() {
                planes[channel * SIDE * SIDE + y * SIDE + x] = value;
            }
        }
    }
    planes
}

pub(super) fn bilinear(picture: &Picture<'_>, x: f32, y: f32) -> [f32; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let mut sum = [0.0; 3];
    for (dx, dy, weight) in [
        (0.0, 0.0, (1.0 - fx) * (1.0 - fy)),
        (1.0, 0.0, fx * (1.0 - fy)),
        (0.0, 1.0, (1.0 - fx) * fy),
        (1.0, 1.0, fx * fy),
    ] {
        let (px, py) = (left + dx, top + dy);
        if px >= 0.0 && py >= 0.0 && px < picture.width as f32 && py < picture.height as f32 {
            let pixel = picture.pixel(px as usize, py as usize);
            for (sum, byte) in sum.iter_mut().zip(pixel) {
                *sum += weight * f32::from(byte);
            }
        }
    }
    sum
}

/// Sharpness of a cut, 0 (a blur) to 1 (crisp): the logarithm of the variance of the Laplacian of its brightness.
///
/// The middle of the cut is measured, where the face is. A face in focus has 300 to 1000 at this size (0.8 to 1), blurred by three
/// pixels about 10 (0.35); one that had to be enlarged is soft by itself and so scores lower, as it should.
pub(super) fn sharpness(planes: &[f32]) -> f32 {
    const DECADES: f32 = 3.0;
    let grey = grey(planes);
    let (mut sum, mut squares, mut n) = (0.0_f32, 0.0_f32, 0.0_f32);
    for y in 24..SIDE - 12 {
        for x in 20..SIDE - 20 {
            let edge = grey(x - 1, y) + grey(x + 1, y) + grey(x, y - 1) + grey(x, y + 1) - 4.0 * grey(x, y);
            sum += edge;
            squares += edge * edge;
            n += 1.0;
        }
    }
    let mean = sum / n;
    ((squares / n - mean * mean).max(0.0) + 1.0).log10().min(DECADES) / DECADES
}

/// How much detail the eyes, the nose and the mouth of a cut have across, compared with up and down: what walking or turning the head
/// smears along the row is missing across only.
///
/// Root mean squares of second differences over four pixels, which is coarser than the noise of sensors and JPEG. Nine photographs at
/// 56 and 90 pixels, with noise and JPEG, blurred along the row by a share of the face's width: none 0.61 to 0.88, 6 % 0.44 to 0.68,
/// 10 % 0.30 to 0.42, 15 % 0.23 to 0.36, 20 % and more below 0.30.
pub(super) fn detail_across(planes: &[f32]) -> f32 {
    const STEP: usize = 4;
    let grey = grey(planes);
    let (mut across, mut down) = (0.0_f32, 0.0_f32);
    for y in 28..SIDE - 14 {
        for x in 26..SIDE - 26 {
            let twice = 2.0 * grey(x, y);
            across += (grey(x + STEP, y) + grey(x - STEP, y) - twice).powi(2);
            down += (grey(x, y + STEP) + grey(x, y - STEP) - twice).powi(2);
        }
    }
    // Something without any detail is not smeared; its embedding is short enough.
    if down > 0.0 { (across / down).sqrt() } else { 1.0 }
}

/// Brightness of the pixels of a cut.
fn grey(planes: &[f32]) -> impl Fn(usize, usize) -> f32 {
    let (red, rest) = planes.split_at(SIDE * SIDE);
    let (green, blue) = rest.split_at(SIDE * SIDE);
    |x, y| {
        let at = y * SIDE + x;
        0.299 * red[at] + 0.587 * green[at] + 0.114 * blue[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_finds_a_known_turn_scale_and_shift() {
        let (a, b, dx, dy) = (1.8, 0.6, 40.0, -7.0);
        let points = TEMPLATE.map(|[x, y]| [a * x - b * y + dx, b * x + a * y + dy]);
        let found = Similarity::to_points(&points).unwrap();
        for (found, wanted) in [(found.a, a), (found.b, b), (found.dx, dx), (found.dy, dy)] {
            assert!((found - wanted).abs() < 1e-3, "{found} is not {wanted}");
        }
        let [x, y] = found.invert(found.apply(10.0, 20.0));
        assert!((x - 10.0).abs() < 1e-3 && (y - 20.0).abs() < 1e-3, "{x} {y}");
        assert!((found.scale() - 1.8_f32.hypot(0.6)).abs() < 1e-3);
        assert_eq!(Similarity::to_points(&[[5.0, 5.0]; 5]), None);
        assert_eq!(Similarity::to_points(&[[f32::NAN, 5.0]; 5]), None);
    }

    #[test]
    fn a_cut_in_place_is_the_picture_itself() {
        let rgb: Vec<u8> = (0..SIDE * SIDE).flat_map(|i| [(i % 251) as u8, (i % 13) as u8, 9]).collect();
        let picture = Picture::new(SIDE, SIDE, &rgb).unwrap();
        let planes = cut(&picture, &Similarity { a: 1.0, b: 0.0, dx: 0.0, dy: 0.0 });
        assert!((0..SIDE * SIDE).all(|i| planes[i] == f32::from(rgb[3 * i])));
        let beside = cut(&picture, &Similarity { a: 1.0, b: 0.0, dx: -1000.0, dy: 0.0 });
        assert!(beside.iter().all(|v| *v == 0.0));
    }

    #[test]
    fn a_blur_is_less_sharp() {
        let noisy: Vec<f32> =
            (0..3 * SIDE * SIDE).map(|i| if (i / 2 + i / 224) % 2 == 0 { 90.0 } else { 160.0 }).collect();
        assert!(sharpness(&noisy) > 0.9);
        assert_eq!(sharpness(&vec![128.0; 3 * SIDE * SIDE]), 0.0);
    }

    #[test]
    fn what_is_smeared_along_the_row_lacks_detail_across() {
        let waves = |x: usize, y: usize| 128.0 + 50.0 * ((x as f32 / 3.0).sin() + (y as f32 / 3.0).sin());
        let picture = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            (0..3 * SIDE * SIDE).map(|i| value(i % SIDE, i / SIDE % SIDE)).collect()
        };
        let crisp = detail_across(&picture(&waves));
        assert!((0.9..1.1).contains(&crisp), "{crisp}");
        let smeared = |x: usize, y: usize| (0..20).map(|step| waves(x + step, y)).sum::<f32>() / 20.0;
        let smeared = detail_across(&picture(&smeared));
        assert!(smeared < 0.35, "{smeared}");
        assert_eq!(detail_across(&vec![128.0; 3 * SIDE * SIDE]), 1.0);
    }
}
