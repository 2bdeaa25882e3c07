//! Two plots as SVG text: the scores, and true against false accepts.
//!
//! Not here: the figures themselves (see `measure`).

use std::fmt::Write;

use super::measure::{Pairs, THRESHOLDS};
use super::statistics::{Sorted, histogram};
use crate::logic::faces::verdict::unknown_below;

const WIDTH: f64 = 880.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 74.0;
const INK: &str = "#1f2933";
const FAINT: &str = "#d9dee3";
const BLUE: &str = "#2f6fb2";
const RED: &str = "#c2453c";
const AMBER: &str = "#d08a1d";

/// The part of the cosine's range that is drawn; what lies outside goes into the first or last bar.
const FROM: f32 = -0.3;
const TO: f32 = 1.0;
const N_BINS: usize = 65;
const PANEL: f64 = 130.0;
const GAP: f64 = 48.0;

/// Histograms of the three kinds of scores below each other, with the limits for a name and for "unknown" across them.
pub(super) fn scores(pairs: &Pairs, known: f32) -> String {
    let panels = [
        ("Two photos of one person", &pairs.genuine, BLUE),
        ("Two photos of two people", &pairs.impostor, RED),
        ("A stranger and the most similar person", &pairs.strangers, AMBER),
    ];
    let height = TOP + 3.0 * PANEL + 2.0 * GAP + 62.0;
    let mut svg = open(height, "How alike faces are", "Share of all scores of a kind in each bar of 0.02");
    let bottom = TOP + 3.0 * PANEL + 2.0 * GAP;
    for (n, (title, scores, colour)) in panels.into_iter().enumerate() {
        panel(&mut svg, TOP + n as f64 * (PANEL + GAP), title, scores, colour);
    }
    let limits = [(unknown_below(known), "unknown below", "end", -5.0), (known, "a name from", "start", 5.0)];
    for (limit, label, anchor, shift) in limits {
        let x = x_of(limit);
        dashes(&mut svg, [x, TOP - 6.0, x, bottom]);
        words(&mut svg, [x + shift, TOP - 10.0], 12.0, anchor, INK, &format!("{label} {limit:.2}"));
    }
    for tick in -1..=5_i8 {
        let value = f32::from(tick) * 0.2;
        words(&mut svg, [x_of(value), bottom + 20.0], 12.0, "middle", INK, &format!("{value:.1}"));
    }
    words(
        &mut svg,
        [(LEFT + WIDTH - RIGHT) / 2.0, bottom + 44.0],
        13.0,
        "middle",
        INK,
        "Cosine of two embeddings",
    );
    svg + "</svg>\n"
}

fn panel(svg: &mut String, top: f64, title: &str, scores: &Sorted, colour: &str) {
    let bottom = top + PANEL;
    let bins = histogram(scores.scores(), FROM, TO, N_BINS);
    let most = bins.iter().max().copied().unwrap_or(0);
    let full = (100.0 * most as f64 / scores.len().max(1) as f64 / 5.0).ceil().max(1.0) * 5.0;
    for half in 0..=2_u8 {
        let y = bottom - PANEL * f64::from(half) / 2.0;
        line(svg, [LEFT, y, WIDTH - RIGHT, y], if half == 0 { INK } else { FAINT });
        let label = full * f64::from(half) / 2.0;
        let digits = usize::from(label.fract() != 0.0);
        words(svg, [LEFT - 8.0, y + 4.0], 11.0, "end", INK, &format!("{label:.digits$} %"));
    }
    let bar = (WIDTH - RIGHT - LEFT) / N_BINS as f64;
    for (n, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = PANEL * (100.0 * *count as f64 / scores.len() as f64) / full;
        let x = LEFT + n as f64 * bar;
        let _ = writeln!(
            svg,
            r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{tall:.1}" fill="{colour}"/>"#,
            x + 0.5,
            bottom - tall,
            bar - 1.0
        );
    }
    let note = if scores.len() == 0 { "none".into() } else { format!("{} scores", scores.len()) };
    words(svg, [WIDTH - RIGHT, top + 14.0], 12.0, "end", colour, &format!("{title}, {note}"));
}

fn x_of(score: f32) -> f64 {
    LEFT + f64::from((score - FROM) / (TO - FROM)) * (WIDTH - RIGHT - LEFT)
}

/// The lowest false accept rate on the axis; rates below it, 0 among them, stand at its left end.
const LEAST_FAR: f64 = 1e-4;
const SIDE: f64 = 420.0;

/// True accepts over false accepts, with the usual limits marked.
pub(super) fn roc(pairs: &Pairs) -> String {
    let mut svg =
        open(TOP + SIDE + 66.0, "Accepting the right and the wrong", "Pairs of photos, over all thresholds");
    let curve = pairs.roc();
    let Some(first) = curve.iter().filter(|[far, _]| *far <= LEAST_FAR).map(|[_, tar]| *tar).reduce(f64::max)
    else {
        words(
            &mut svg,
            [WIDTH / 2.0, TOP + SIDE / 2.0],
            14.0,
            "middle",
            INK,
            "Needs two photos of somebody, and two people.",
        );
        return svg + "</svg>\n";
    };
    // A curve near the top is seen only when the axis begins near it.
    let floor = ((first * 20.0).floor() / 20.0 - 0.05).clamp(0.0, 0.9);
    let (right, bottom) = (WIDTH - RIGHT, TOP + SIDE);
    let x_of = |far: f64| LEFT + (far.max(LEAST_FAR) / LEAST_FAR).log10() / 4.0 * (right - LEFT);
    let y_of = |tar: f64| bottom - (tar.max(floor) - floor) / (1.0 - floor) * SIDE;
    for (far, label) in
        [(1e-4, "0.01 % or less"), (1e-3, "0.1 %"), (1e-2, "1 %"), (0.1, "10 %"), (1.0, "100 %")]
    {
        let x = x_of(far);
        line(&mut svg, [x, TOP, x, bottom], if far == LEAST_FAR { INK } else { FAINT });
        let anchor = if far == LEAST_FAR {
            "start"
        } else if far == 1.0 {
            "end"
        } else {
            "middle"
        };
        words(&mut svg, [x, bottom + 20.0], 12.0, anchor, INK, label);
    }
    for step in 0..=5_u8 {
        let tar = floor + (1.0 - floor) * f64::from(step) / 5.0;
        let y = y_of(tar);
        line(&mut svg, [LEFT, y, right, y], if step == 0 { INK } else { FAINT });
        words(&mut svg, [LEFT - 8.0, y + 4.0], 12.0, "end", INK, &format!("{:.0} %", 100.0 * tar));
    }
    let mut path = String::new();
    let mut last_y = None;
    for [far, tar] in &curve {
        let (x, y) = (x_of(*far), y_of(*tar));
        // Steps, because between two scores nothing was observed.
        let _ = match last_y {
            None => write!(path, "M{x:.1},{y:.1}"),
            Some(last) => write!(path, " L{x:.1},{last:.1} L{x:.1},{y:.1}"),
        };
        last_y = Some(y);
    }
    let _ = writeln!(
        svg,
        r#"<path d="{path}" fill="none" stroke="{BLUE}" stroke-width="2.5" stroke-linejoin="round"/>"#
    );
    marks(&mut svg, pairs, x_of, y_of);
    words(
        &mut svg,
        [(LEFT + right) / 2.0, bottom + 46.0],
        13.0,
        "middle",
        INK,
        "Pairs of two people that are accepted (FAR)",
    );
    let y = TOP + SIDE / 2.0;
    let _ = writeln!(
        svg,
        r#"<text x="22" y="{y}" font-size="13" text-anchor="middle" fill="{INK}" transform="rotate(-90 22 {y})">Pairs of one person that are accepted (TAR)</text>"#
    );
    svg + "</svg>\n"
}

/// The usual limits on the curve; labels go below it and apart from each other.
fn marks(svg: &mut String, pairs: &Pairs, x_of: impl Fn(f64) -> f64, y_of: impl Fn(f64) -> f64) {
    for (n, threshold) in THRESHOLDS.into_iter().enumerate() {
        let (Some(far), Some(tar)) =
            (pairs.impostor.accept_rate(threshold), pairs.genuine.accept_rate(threshold))
        else {
            continue;
        };
        let (x, y) = (x_of(far), y_of(tar));
        let label = [x + 46.0, y + 26.0 + 26.0 * n as f64];
        line(svg, [x, y, label[0] - 5.0, label[1] - 5.0], INK);
        let _ = writeln!(
            svg,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="5" fill="{RED}" stroke="white" stroke-width="1.5"/>"#
        );
        let rates = format!("at {threshold:.3}: TAR {:.1} %, FAR {:.2} %", 100.0 * tar, 100.0 * far);
        words(svg, label, 12.0, "start", INK, &rates);
    }
}

fn open(height: f64, title: &str, subtitle: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    words(&mut svg, [LEFT, 26.0], 18.0, "start", INK, title);
    words(&mut svg, [LEFT, 45.0], 12.0, "start", "#62707d", subtitle);
    svg
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], colour: &str) {
    let _ =
        writeln!(svg, r#"<path d="M{x1:.1},{y1:.1} L{x2:.1},{y2:.1}" stroke="{colour}" stroke-width="1"/>"#);
}

fn dashes(svg: &mut String, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = writeln!(
        svg,
        r#"<path d="M{x1:.1},{y1:.1} L{x2:.1},{y2:.1}" stroke="{INK}" stroke-width="1.2" stroke-dasharray="5 4"/>"#
    );
}

fn words(svg: &mut String, [x, y]: [f64; 2], size: f64, anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(genuine: &[f32], impostor: &[f32]) -> Pairs {
        let sorted = |scores: &[f32]| Sorted::new(scores.to_vec());
        Pairs { genuine: sorted(genuine), impostor: sorted(impostor), ..Pairs::default() }
    }

    #[test]
    fn every_score_is_drawn_and_nothing_leaves_the_picture() {
        let svg = scores(&pairs(&[0.5, 0.6, 0.7], &[-0.9, 0.1]), 0.45);
        assert_eq!(svg.matches("<rect x=").count(), 3 + 2);
        assert!(svg.contains("a name from 0.45") && svg.contains("3 scores") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_curve_needs_both_kinds_of_pairs() {
        let drawn = roc(&pairs(&[0.5, 0.6, 0.7], &[0.0, 0.1]));
        assert!(drawn.contains("at 0.450: TAR 100.0 %, FAR 0.00 %") && !drawn.contains("NaN"));
        assert!(roc(&Pairs::default()).contains("Needs two photos"));
    }
}
