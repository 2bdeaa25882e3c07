//! Which names a person can have, and how a word that somebody wrote finds the person.
//!
//! Not here: the word in topics ([`super::slug()`]).

use super::gallery::PersonId;
use super::slug;

/// Characters of a name at most.
pub const MAX_NAME: usize = 60;
/// The word that stands for a face nobody knows, so no person can have it.
const RESERVED: &str = "unknown";

impl PersonId {
    /// The person of that name; the name is also the name of a folder.
    ///
    /// # Errors
    /// A sentence when the name is empty, longer than [`MAX_NAME`], means somebody unknown, or cannot be a folder's name.
    pub fn named(name: &str) -> Result<PersonId, String> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(format!(
                "A name has 1 to {MAX_NAME} characters; this one has {}.",
                name.chars().count()
            ));
        }
        if name.chars().any(char::is_control) {
            return Err("The name has control characters, such as a line break; leave them out.".into());
        }
        if name.contains(['/', '\\']) || name.starts_with(['.', '_']) {
            return Err("A name has no slash and does not begin with a dot or an underscore, because it is the name of a \
                        folder; leave them out."
                .into());
        }
        let word = slug(name);
        if word == RESERVED {
            return Err(format!("\"{RESERVED}\" stands for a face nobody knows; use a person's name."));
        }
        Ok(PersonId { slug: word.into(), name: name.into() })
    }
}

/// The one of `people` that somebody means: by name, by slug, or by a name that gives the same slug.
pub fn meant<'a>(text: &str, people: impl IntoIterator<Item = &'a PersonId>) -> Option<&'a PersonId> {
    let (text, word) = (text.trim(), slug(text));
    people.into_iter().find(|person| *person.name == *text || *person.slug == *text || *person.slug == *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_are_refused_with_the_reason() {
        for (name, why) in [
            ("", "1 to 60"),
            ("   ", "1 to 60"),
            (&"x".repeat(300), "this one has 300"),
            ("a\nb", "control"),
            ("../x", "slash"),
            ("a/b", "slash"),
            ("a\\b", "slash"),
            ("..", "dot"),
            ("_ignored", "underscore"),
            ("Unknown", "nobody knows"),
        ] {
            let sentence = PersonId::named(name).unwrap_err();
            assert!(sentence.contains(why), "{name:?}: {sentence}");
        }
        for (name, word) in [(" Alice ", "alice"), ("Zoë 2", "zoe_2"), (&"ä".repeat(60), "aeaeae")] {
            assert!(PersonId::named(name).unwrap().slug.starts_with(word), "{name}");
        }
        assert!(PersonId::named("🙂").unwrap().slug.starts_with("person_"));
    }

    #[test]
    fn a_person_is_found_by_name_and_by_slug() {
        let people = ["Alice", "Jürgen Groß"].map(|name| PersonId::named(name).unwrap());
        for text in ["Jürgen Groß", "juergen_gross", "jürgen groß", " Jürgen  Groß "] {
            assert_eq!(meant(text, &people), Some(&people[1]), "{text}");
        }
        assert_eq!(meant("Bob", &people), None);
    }
}
