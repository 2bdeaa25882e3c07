//! What names and passwords people may have.
//!
//! A password needs length and nothing else: rules about signs make passwords that are short and forgotten. NIST SP 800-63B, section
//! 3.1.1 asks for the same: length, a list of the common ones, no composition. Not here: hashing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::super::problem::Problem;

/// Characters of a name.
pub const NAME_LENGTH: RangeInclusive<usize> = 3..=32;
/// Characters of a password at most: more would only cost time.
pub const LONGEST_PASSWORD: usize = 128;
/// A password of fewer different characters is one key held down.
const FEWEST_DIFFERENT: usize = 4;

/// What everybody tries first, among those that are long enough; in small letters.
const COMMON: [&str; 32] = [
    "0123456789",
    "1234567890",
    "12345678910",
    "123123123123",
    "0987654321",
    "9876543210",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "abcdefghij",
    "abcd123456",
    "administrator",
    "admin12345",
    "asdfghjkl1",
    "changeme123",
    "default123",
    "doorward12",
    "doorward123",
    "doorwarddoorward",
    "homeassistant",
    "home-assistant",
    "home assistant",
    "iloveyou123",
    "letmein123",
    "password12",
    "password123",
    "password1234",
    "passwordpassword",
    "passw0rd123",
    "qwertyuiop",
    "qwerty12345",
    "qwertzuiop",
    "welcome123",
];

/// The same for a limit of eight.
const COMMON_SHORT: [&str; 14] = [
    "12345678",
    "123456789",
    "87654321",
    "password",
    "password1",
    "passw0rd",
    "qwertyui",
    "qwertzui",
    "asdfghjk",
    "iloveyou",
    "changeme",
    "doorward",
    "letmein1",
    "admin123",
];

/// Whether somebody may have this name.
///
/// # Errors
/// [`Problem::BadAccount`].
pub fn check_name(name: &str) -> Result<(), Problem> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_plain && NAME_LENGTH.contains(&name.len()) {
        return Ok(());
    }
    bad("A name has 3 to 32 characters: letters a to z, digits, dots, dashes and underscores")
}

/// Whether the user `name` may have this password. `at_least`: characters.
///
/// # Errors
/// [`Problem::BadAccount`] with what it needs.
pub fn check_password(name: &str, password: &str, at_least: usize) -> Result<(), Problem> {
    let length = password.chars().count();
    if !(at_least..=LONGEST_PASSWORD).contains(&length) {
        return bad(&format!(
            "A password has {at_least} to {LONGEST_PASSWORD} characters; a few words that belong together only for you are best"
        ));
    }
    if password.chars().any(char::is_control) {
        return bad("A password has no control characters such as tabs");
    }
    let small = password.to_lowercase();
    if small == name.to_lowercase() {
        return bad("A password is not the user's own name");
    }
    let n_different = small.chars().collect::<BTreeSet<_>>().len();
    let is_common = COMMON.contains(&small.as_str()) || COMMON_SHORT.contains(&small.as_str());
    if is_common || n_different < FEWEST_DIFFERENT {
        return bad("This password is one of the first that strangers try; take another one");
    }
    Ok(())
}

fn bad(detail: &str) -> Result<(), Problem> {
    Err(Problem::BadAccount { detail: detail.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "a".repeat(32);
        for (name, fits) in [
            ("ann", true),
            ("Anna.B-c_9", true),
            (longest.as_str(), true),
            ("an", false),
            ("", false),
            (&"a".repeat(33), false),
            ("anna b", false),
            ("änna", false),
            ("anna@example.org", false),
            ("anna\n", false),
            ("anna/..", false),
        ] {
            assert_eq!(check_name(name).is_ok(), fits, "{name:?}");
        }
    }

    #[test]
    fn passwords_need_length_and_nothing_else() {
        let longest = "wörter ".repeat(18) + "xy";
        assert_eq!(longest.chars().count(), 128);
        for (password, fits, why) in [
            ("correct horse", true, ""),
            ("nur klein und lang", true, ""),
            ("1029384756", true, ""),
            (longest.as_str(), true, ""),
            ("Ab1!Ab1!x", false, "10 to 128"),
            ("", false, "10 to 128"),
            (&(longest.clone() + "z"), false, "10 to 128"),
            ("ÄÖÜäöüßÄÖ", false, "10 to 128"),
            ("anna.longname", false, "own name"),
            ("ANNA.LongName", false, "own name"),
            ("aaaaaaaaaaaa", false, "first that strangers"),
            ("Password123", false, "first that strangers"),
            ("HomeAssistant", false, "first that strangers"),
            ("with\ttabulator", false, "control"),
            ("with\0zero byte", false, "control"),
        ] {
            match check_password("anna.longname", password, 10) {
                Ok(()) => assert!(fits, "{password:?}"),
                Err(problem) => assert!(!fits && problem.advice().contains(why), "{password:?}: {problem}"),
            }
        }
        assert!(
            check_password("anna", "eight888", 8).is_ok() && check_password("anna", "doorward", 8).is_err()
        );
        assert!(COMMON.iter().all(|word| *word == word.to_lowercase() && word.len() >= 10));
    }
}
