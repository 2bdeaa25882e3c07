//! The card that takes the place of a picture that cannot be had: what is wrong, and what to do.
//!
//! Not here: the sentences themselves ([`Problem`]), and when a card is shown ([`super::run()`]).

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::canvas::Canvas;
use crate::font;
use crate::jpeg;
use crate::logic::problem::Problem;

const BACKGROUND: [f32; 3] = [27.0, 33.0, 43.0];
const ACCENT: [f32; 3] = [232.0, 168.0, 74.0];
const TITLE: [f32; 3] = [240.0, 243.0, 247.0];
const TEXT: [f32; 3] = [190.0, 199.0, 211.0];
const QUIET: [f32; 3] = [122.0, 134.0, 150.0];
/// Few pixels differ, so a high quality stays small.
const QUALITY: u8 = 88;

/// A problem on display, with the picture drawn last.
pub(super) struct Card {
    name: String,
    title: &'static str,
    advice: String,
    since: Instant,
    drawn: Option<(String, (usize, usize), Bytes)>,
}

impl Card {
    pub(super) fn new(name: &str, problem: &Problem, since: Instant) -> Self {
        Self { name: name.to_owned(), title: problem.title(), advice: problem.advice(), since, drawn: None }
    }

    /// The card as a JPEG; drawn anew only when its words change.
    pub(super) fn jpeg(&mut self, width: usize, height: usize, now: Instant) -> Result<Bytes, jpeg::Error> {
        let footer = format!("{}  -  {}", self.name, ago(now.saturating_duration_since(self.since)));
        if let Some((old, size, jpeg)) = &self.drawn
            && *old == footer
            && *size == (width, height)
        {
            return Ok(jpeg.clone());
        }
        let canvas = self.draw(width, height, &footer);
        let jpeg = jpeg::encode_rgb(width, height, &canvas.pixels, QUALITY)?;
        self.drawn = Some((footer, (width, height), jpeg.clone()));
        Ok(jpeg)
    }

    /// Sizes are chosen so that the advice can be read when the picture is 390 pixels wide on a telephone.
    fn draw(&self, width: usize, height: usize, footer: &str) -> Canvas {
        let mut canvas = background(width, height);
        // A picture that is flat for its width has no room for tall letters.
        let unit = (width as f32 / 1280.0).min(height as f32 / 560.0);
        let (margin, room) = (72.0 * unit, width as f32 - 144.0 * unit);
        canvas.bar(margin * 0.5, margin, 8.0 * unit, height as f32 - 2.0 * margin, ACCENT);
        let mut top = margin;
        for (text, dot, colour, gap) in [(self.title, 9.0, TITLE, 24.0), (&self.advice, 5.0, TEXT, 0.0)] {
            let dot = dot * unit;
            for line in wrapped(text, (room / (font::ADVANCE as f32 * dot)) as usize) {
                canvas.line(&line, margin, top, dot, colour);
                top += dot * (font::ROWS as f32 + 1.5);
            }
            top += gap * unit;
        }
        let dot = 4.0 * unit;
        let longest = (room / (font::ADVANCE as f32 * dot)) as usize;
        let footer: String = footer.chars().take(longest).collect();
        canvas.line(&footer, margin, height as f32 - margin - dot * 7.0, dot, QUIET);
        canvas
    }
}

/// How long ago in the largest unit that fits, so that a card rarely has to be drawn anew.
fn ago(time: Duration) -> String {
    match time.as_secs() {
        0..10 => "just now".into(),
        seconds @ 10..60 => format!("for {} s", seconds / 10 * 10),
        seconds @ 60..3600 => format!("for {} min", seconds / 60),
        seconds => format!("for {} h", seconds / 3600),
    }
}

/// Breaks text between words into lines of at most `longest` letters; longer words (paths) are cut.
fn wrapped(text: &str, longest: usize) -> Vec<String> {
    let longest = longest.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        while !letters.is_empty() {
            let line = lines.last_mut().expect("there is always a line");
            let used = if line.is_empty() { 0 } else { line.chars().count() + 1 };
            if used + letters.len() <= longest {
                if used > 0 {
                    line.push(' ');
                }
                line.extend(letters.drain(..));
            } else if used > 0 {
                lines.push(String::new());
            } else {
                line.extend(letters.drain(..longest));
                lines.push(String::new());
            }
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// A background a little lighter towards the top.
fn background(width: usize, height: usize) -> Canvas {
    let mut pixels = Vec::with_capacity(3 * width * height);
    for row in 0..height {
        let light = 10.0 * (1.0 - row as f32 / height as f32);
        let colour = BACKGROUND.map(|channel| (channel + light) as u8);
        pixels.extend(colour.iter().cycle().take(3 * width));
    }
    Canvas { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words_and_long_words_are_cut() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("/dev/v4l/by-id/x is gone", 8), ["/dev/v4l", "/by-id/x", "is gone"]);
        assert_eq!(wrapped("", 8), Vec::<String>::new());
    }

    #[test]
    fn a_card_has_words_in_it_at_any_size_and_is_drawn_once() {
        let start = Instant::now();
        for (width, height) in [(16, 16), (160, 120), (390, 219), (1280, 720), (720, 1280), (1920, 1080)] {
            let problem =
                Problem::NoCamera { source: "v4l2:/dev/v4l/by-id/usb-Some_Camera_0001-video-index0".into() };
            let mut card = Card::new("Front door", &problem, start);
            let jpeg = card.jpeg(width, height, start).unwrap();
            assert_eq!(jpeg::check(&jpeg).unwrap(), (width, height));
            assert_eq!(
                card.jpeg(width, height, start + Duration::from_secs(5)).unwrap().as_ptr(),
                jpeg.as_ptr()
            );
            let later = card.jpeg(width, height, start + Duration::from_secs(300)).unwrap();
            assert_ne!(later.as_ptr(), jpeg.as_ptr(), "the time on the card must move on");
            if width >= 390 {
                let bright =
                    jpeg::decode_rgb(&jpeg).unwrap().data.iter().filter(|value| **value > 180).count();
                assert!(bright > width * height / 100, "{width} x {height}: {bright}");
            }
        }
    }

    #[test]
    fn time_is_told_in_few_steps() {
        let told = [3, 47, 75, 7300].map(|seconds| ago(Duration::from_secs(seconds)));
        assert_eq!(told, ["just now", "for 40 s", "for 1 min", "for 2 h"]);
    }
}
