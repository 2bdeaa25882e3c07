//! Making a picture, or a part of it, smaller for a detector.
//!
//! Not here: cutting out a face (see `align`), which must keep every pixel it can get.

use super::Picture;

/// Which source pixels, and with which weight, one target pixel is made of.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// The mean of the source pixels that each target pixel covers.
///
/// That is area averaging: exact for any ratio, and no fine pattern of the picture turns into a false coarse one.
fn taps(source: usize, target: usize) -> Vec<Tap> {
    let ratio = source as f32 / target as f32;
    (0..target)
        .map(|i| {
            let (start, end) = (i as f32 * ratio, (i + 1) as f32 * ratio);
            let first = (start as usize).min(source - 1);
            let last = (end.ceil() as usize).clamp(first + 1, source);
            let cover = |p: usize| ((p + 1) as f32).min(end) - (p as f32).max(start);
            let mut weights: Vec<f32> = (first..last).map(|p| cover(p).max(0.0)).collect();
            let sum: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum.max(f32::MIN_POSITIVE));
            Tap { first, weights }
        })
        .collect()
}

/// Scales the window `[x, y, width, height]` of `picture` down to `width` x `height` pixels and hands each target row to `each`
/// as three floats (red, green, blue, 0 to 255) per pixel.
///
/// The window must lie inside the picture and the target must not be larger than the window.
pub(super) fn shrink(
    picture: &Picture<'_>,
    window: [usize; 4],
    width: usize,
    height: usize,
    mut each: impl FnMut(usize, &[f32]),
) {
    let [left, top, window_width, window_height] = window;
    let (columns, rows) = (taps(window_width, width), taps(window_height, height));
    let mut sums = vec![0.0_f32; 3 * window_width];
    let mut row = vec![0.0_f32; 3 * width];
    for (y, tap) in rows.iter().enumerate() {
        sums.fill(0.0);
        for (i, weight) in tap.weights.iter().enumerate() {
            let start = 3 * ((top + tap.first + i) * picture.width + left);
            let line = &picture.rgb[start..start + 3 * window_width];
            for (sum, byte) in sums.iter_mut().zip(line) {
                *sum += weight * f32::from(*byte);
            }
        }
        for (target, tap) in row.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
            *target = [0.0; 3];
            let pixels = &sums.as_chunks::<3>().0[tap.first..];
            for (weight, pixel) in tap.weights.iter().zip(pixels) {
                for (sum, channel) in target.iter_mut().zip(pixel) {
                    *sum += weight * channel;
                }
            }
        }
        each(y, &row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrunk(picture: &Picture<'_>, window: [usize; 4], width: usize, height: usize) -> Vec<f32> {
        let mut all = Vec::new();
        shrink(picture, window, width, height, |_, row| all.extend_from_slice(row));
        all
    }

    #[test]
    fn a_target_pixel_is_the_mean_of_what_it_covers() {
        let rgb: Vec<u8> = [0, 10, 20, 40, 80, 120].iter().flat_map(|v| [*v, 0, 255 - *v]).collect();
        let picture = Picture::new(6, 1, &rgb).unwrap();
        let reds = |v: Vec<f32>| v.chunks(3).map(|p| p[0]).collect::<Vec<_>>();
        assert_eq!(reds(shrunk(&picture, [0, 0, 6, 1], 3, 1)), [5.0, 30.0, 100.0]);
        assert_eq!(reds(shrunk(&picture, [2, 0, 2, 1], 1, 1)), [30.0]);
        assert_eq!(reds(shrunk(&picture, [0, 0, 6, 1], 6, 1)), [0.0, 10.0, 20.0, 40.0, 80.0, 120.0]);
        let three_halves = reds(shrunk(&picture, [0, 0, 6, 1], 4, 1));
        assert!((three_halves[0] - (0.0 + 5.0) / 1.5).abs() < 1e-3, "{three_halves:?}");
    }

    #[test]
    fn a_plain_picture_stays_plain_at_any_ratio() {
        let rgb = vec![77; 3 * 97 * 61];
        let picture = Picture::new(97, 61, &rgb).unwrap();
        for (width, height) in [(97, 61), (96, 60), (31, 17), (1, 1)] {
            let all = shrunk(&picture, [0, 0, 97, 61], width, height);
            assert_eq!(all.len(), 3 * width * height);
            assert!(all.iter().all(|v| (v - 77.0).abs() < 0.01));
        }
    }
}
