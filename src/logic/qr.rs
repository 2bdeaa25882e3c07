//! QR codes: for a page as SVG, for a terminal in half blocks.
//!
//! Not here: what they say.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// As an SVG picture of about 240 points, black on white; none if the text is longer than any code.
#[must_use]
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (black, white) = (svg::Color("#000"), svg::Color("#fff"));
    Some(code.render().min_dimensions(240, 240).dark_color(black).light_color(white).build())
}

/// As lines of half blocks, light on the terminal's dark ground; none if the text is longer than any code.
#[must_use]
pub fn blocks(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (dark, light) = (unicode::Dense1x2::Light, unicode::Dense1x2::Dark);
    Some(code.render().dark_color(dark).light_color(light).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_has_its_quiet_zone() {
        let drawn = blocks("http://192.168.1.5:8420/#code=7K2M-Q0RD").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        let width = lines[0].chars().count();
        // Version 3 has 29 modules, and 4 of quiet on each side.
        assert_eq!((width, lines.len()), (37, 19));
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert!(lines[..2].iter().all(|line| line.chars().all(|block| block == '█')), "{drawn}");
        let picture = svg("otpauth://totp/Doorward:anna?secret=GEZDGNBV").unwrap();
        assert!(
            picture.starts_with("<?xml") && picture.contains("<svg") && picture.contains("#fff"),
            "{picture}"
        );
        assert!(svg(&"x".repeat(5000)).is_none() && blocks(&"x".repeat(5000)).is_none());
    }
}
