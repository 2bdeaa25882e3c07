//! The self-test as a picture: who in the household is how much like whom, as a table that needs no explanation.
//!
//! The picture is SVG, which every browser and Home Assistant show and which has letters for every name.
//! Not here: the figures ([`super::self_test`]).

use std::fmt::Write;

use super::self_test::{ALIKE, SelfTest};

/// Side of a cell, in units of the picture.
const CELL: usize = 56;
/// Room for names at the left, and above.
const LEFT: usize = 170;
const ABOVE: usize = 150;
/// Room for the words below.
const BELOW: usize = 92;
/// People in the table at most; a larger one could not be read.
const MAX_PEOPLE: usize = 24;
/// Characters of a name that are shown.
const MAX_NAME: usize = 18;

/// Draws the table.
pub fn svg(test: &SelfTest) -> String {
    let n = test.people.len().min(MAX_PEOPLE);
    let (width, height) = ((LEFT + n * CELL + 40).max(480), ABOVE + n * CELL + BELOW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"15\">\n<title>How alike the household is</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, 16, 32, "font-size=\"20\" fill=\"#202124\"", "How alike the household is");
    if n == 0 {
        text(&mut svg, 16, 70, "fill=\"#5f6368\"", "Nobody is enrolled yet.");
    }
    for (row, person) in test.people.iter().take(n).enumerate() {
        let (y, x) = (ABOVE + row * CELL, LEFT + row * CELL);
        let name = shortened(&person.id.name);
        text(&mut svg, LEFT - 10, y + CELL / 2 + 5, "text-anchor=\"end\" fill=\"#202124\"", &name);
        let place = format!("transform=\"rotate(-40 {} {})\" fill=\"#202124\"", x + CELL / 2, ABOVE - 10);
        text(&mut svg, x + CELL / 2, ABOVE - 10, &place, &name);
        for column in 0..n {
            let own = person.worst_genuine.as_ref().map(|(_, likeness)| *likeness);
            let (value, colour) = if row == column {
                (own, own.map_or("#e8eaed", |own| own_colour(own, test.threshold)))
            } else {
                let likeness = test.table[row][column];
                (Some(likeness), other_colour(likeness))
            };
            cell(&mut svg, LEFT + column * CELL, y, value, colour);
        }
    }
    let below = ABOVE + n * CELL + 26;
    let lines = [
        "Diagonal: a person's least typical photo against the others of that person; high is good, ? is a single photo."
            .to_owned(),
        format!(
            "Elsewhere: two people; above {ALIKE:.2} (orange) they may be mixed up, a name needs {:.2}.",
            test.threshold
        ),
        hidden(test, n),
    ];
    for (line, words) in lines.iter().enumerate() {
        text(&mut svg, 16, below + 22 * line, "font-size=\"12\" fill=\"#5f6368\"", words);
    }
    svg.push_str("</svg>\n");
    svg
}

fn hidden(test: &SelfTest, shown: usize) -> String {
    let more = test.people.len() - shown;
    if more == 0 { String::new() } else { format!("{more} more people do not fit into the picture.") }
}

fn cell(svg: &mut String, x: usize, y: usize, value: Option<f32>, colour: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"2\"/>"
    );
    let words = value.map_or("?".into(), |value| format!("{:.2}", value.max(0.0)));
    text(svg, x + CELL / 2, y + CELL / 2 + 5, "text-anchor=\"middle\" fill=\"#202124\"", &words);
}

/// A person's own photographs: green where they get the name, amber where only just, red where not.
fn own_colour(likeness: f32, threshold: f32) -> &'static str {
    if likeness >= threshold + 0.1 {
        "#81c995"
    } else if likeness >= threshold {
        "#fdd663"
    } else {
        "#f28b82"
    }
}

/// Two people: the paler the better.
fn other_colour(likeness: f32) -> &'static str {
    if likeness > ALIKE {
        "#fcad70"
    } else if likeness > ALIKE - 0.1 {
        "#feefc3"
    } else {
        "#f1f3f4"
    }
}

fn text(svg: &mut String, x: usize, y: usize, style: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {style}>{}</text>", escaped(words));
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.into();
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::faces::gallery::PersonId;
    use crate::logic::faces::self_test::Tested;

    fn person(name: &str, worst: Option<f32>) -> Tested {
        Tested {
            id: PersonId::named(name).unwrap(),
            n_photos: 3,
            worst_genuine: worst.map(|likeness| ("a.jpg".into(), likeness)),
            best_impostor: None,
            confused: Vec::new(),
        }
    }

    #[test]
    fn the_table_shows_every_pair_and_escapes_names() {
        let test = SelfTest {
            people: vec![person("A<b>&\"c", Some(0.62)), person("Bob", None)],
            table: vec![vec![1.0, 0.47], vec![0.47, 1.0]],
            alike: Vec::new(),
            threshold: 0.45,
        };
        let svg = svg(&test);
        assert!(svg.contains("A&lt;b&gt;&amp;&quot;c") && !svg.contains("<b>"));
        assert_eq!(svg.matches(">0.47</text>").count(), 2);
        assert!(svg.contains(">0.62</text>") && svg.contains(">?</text>") && svg.contains("#fcad70"));
        assert_eq!(svg.matches("<rect").count(), 5);
    }

    #[test]
    fn an_empty_and_a_huge_household_can_be_drawn() {
        assert!(svg(&SelfTest::default()).contains("Nobody is enrolled"));
        let people: Vec<Tested> = (0..200).map(|i| person(&format!("P{i}"), None)).collect();
        let huge = SelfTest { table: vec![vec![0.1; 200]; 200], people, ..SelfTest::default() };
        let svg = svg(&huge);
        assert!(svg.contains("176 more people") && svg.len() < 200_000);
    }
}
