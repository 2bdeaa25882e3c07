//! Random bytes as signs that people can read out and type, and what they type as signs again.
//!
//! Not here: what the signs open.

/// Crockford's base 32: no letters that look like digits, and no accidental words. 256 is a multiple of 32, so that a random byte
/// chooses each sign equally often; each is worth 5 bits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// One sign a byte, in small letters.
pub(super) fn signs(random: &[u8]) -> String {
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// What somebody typed: large or small letters, with or without dashes and spaces, an O for a zero.
pub(super) fn typed(text: &str) -> String {
    let plain = text.chars().filter(|sign| !matches!(sign, '-' | ' ' | '\u{2010}'..='\u{2015}'));
    plain
        .map(|sign| match sign.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

/// The same in groups of `size`, with dashes.
pub(super) fn grouped(signs: &str, size: usize) -> String {
    let signs: Vec<char> = signs.chars().collect();
    signs.chunks(size).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_was_shown() {
        let all: Vec<u8> = (0..=255).collect();
        let shown = grouped(&signs(&all), 4);
        assert!(shown.starts_with("0123-4567-89ab-cdef-ghjk-mnpq-rstv-wxyz-0123"));
        assert_eq!(typed(&shown.to_uppercase()), signs(&all));
        assert_eq!(typed(" oIl–ab "), "011ab");
    }
}
