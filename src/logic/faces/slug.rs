//! The short word for a person's name: for topics, files and addresses.
//!
//! Not here: the names themselves; a person is shown by the name as it was written.

use crate::logic::checksum::sha256;

/// A slug is at most so long.
const MAX_LENGTH: usize = 40;

/// Makes `[a-z0-9_]+` of a name; the same name always gives the same word.
///
/// Latin letters with marks become plain ones. Where letters of other scripts are lost or the name is too long, six or eight digits of
/// the name's checksum keep two such names apart: `Иван` becomes `person_` and eight digits.
pub fn slug(name: &str) -> String {
    slug_or(name, "person")
}

/// The same for a thing with another word in front of the checksum.
pub fn slug_or(name: &str, thing: &str) -> String {
    let mut word = String::new();
    let mut lost = false;
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => word.push(c),
            _ if plain(c).is_some() => word.push_str(plain(c).unwrap_or_default()),
            _ if c.is_alphanumeric() => lost = true,
            '\u{300}'..='\u{36f}' => {} // a mark on the letter before it
            _ if !word.is_empty() && !word.ends_with('_') => word.push('_'),
            _ => {}
        }
    }
    let word = word.trim_end_matches('_');
    let checksum = || sha256(name);
    if word.is_empty() {
        format!("{thing}_{}", &checksum()[..8])
    } else if lost || word.len() > MAX_LENGTH {
        format!("{}_{}", word.get(..MAX_LENGTH - 7).unwrap_or(word).trim_end_matches('_'), &checksum()[..6])
    } else {
        word.to_owned()
    }
}

/// The name in plain ASCII letters, for fonts that have no others.
pub fn plain_letters(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c.to_lowercase().next().and_then(plain) {
            Some(letters) if c.is_uppercase() => {
                let mut letters = letters.chars();
                text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                text.extend(letters);
            }
            Some(letters) => text.push_str(letters),
            None => text.push(c),
        }
    }
    text
}

fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'þ' => "th",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' | 'ĉ' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' | 'ģ' | 'ĝ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ł' | 'ľ' | 'ĺ' | 'ļ' => "l",
        'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ř' | 'ŕ' => "r",
        'ś' | 'š' | 'ş' | 'ș' | 'ŝ' => "s",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None, // every other character of Unicode
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_with_marks_become_plain_ones() {
        for (name, wanted) in
            [("Jürgen", "Juergen"), ("Ägidius Øre", "Aegidius Ore"), ("Ann", "Ann"), ("Иван", "Иван")]
        {
            assert_eq!(plain_letters(name), wanted);
        }
    }

    #[test]
    fn names_become_words() {
        for (name, wanted) in [
            ("Alice", "alice"),
            ("Mary-Ann  O'Neil", "mary_ann_o_neil"),
            ("Zoë", "zoe"),
            ("Zoe\u{308}", "zoe"),
            ("Jürgen Groß", "juergen_gross"),
            ("  Łukasz 2 ", "lukasz_2"),
            ("__init__", "init"),
            ("../etc", "etc"),
        ] {
            assert_eq!(slug(name), wanted, "{name}");
        }
    }

    #[test]
    fn other_scripts_and_long_names_stay_distinct() {
        let odd = ["Иван", "Олег", "李雷", "Anna Иван", "Anna Олег", "", "🙂", "!!!"];
        let long = ["x".repeat(300), "x".repeat(301), "ä".repeat(90)];
        let slugs: Vec<String> =
            odd.into_iter().map(slug).chain(long.iter().map(|name| slug(name))).collect();
        for (i, word) in slugs.iter().enumerate() {
            let allowed = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(allowed && !word.is_empty() && word.len() <= MAX_LENGTH, "{word}");
            assert!(!slugs[..i].contains(word), "{word} twice");
        }
    }
}
