//! The pictures that benches look at: a room with furniture and noise, and somebody who walks through it.

use doorward::jpeg;

/// Pixels a row.
pub(crate) const WIDTH: usize = 1280;
/// Rows.
pub(crate) const HEIGHT: usize = 720;

/// One picture; `seed` makes its noise, and `person` is where somebody begins, in pixels from the left.
pub(crate) fn picture(seed: u32, person: Option<usize>) -> bytes::Bytes {
    let mut random = seed;
    let mut rgb = Vec::with_capacity(3 * WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (random >> 24) % 9;
            let furniture = if (x / 160 + y / 120) % 2 == 0 { 60 } else { 150 } + (x * y / 4096) % 40;
            let walks =
                person.filter(|person| (*person..*person + 160).contains(&x) && (200..650).contains(&y));
            let gray = walks.map_or(furniture, |person| 20 + (x - person) % 50);
            rgb.extend([(gray as u32 + noise) as u8; 3]);
        }
    }
    jpeg::encode_rgb(WIDTH, HEIGHT, &rgb, 80).expect("the size is valid")
}
