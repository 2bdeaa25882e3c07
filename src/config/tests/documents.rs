//! The table of keys, and the documents that are written from it.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::keys::{KEYS, Kind, SECTIONS, is_section};
use super::super::{Camera, Config, Id, document};
use super::{Case, faults_of};

#[test]
fn the_table_of_keys_is_sound() {
    let mut seen = BTreeSet::new();
    for key in KEYS {
        assert!(seen.insert(key.path), "{} is there twice", key.path);
        assert!(key.doc.ends_with('.'), "{}: the description is a sentence", key.path);
        assert!(is_section(key.section()) || key.section().is_empty(), "{}", key.path);
        assert!(SECTIONS.iter().any(|section| section.path == key.section()), "{}", key.path);
        // The default passes the key's own check, but for "empty" where that means "not set".
        let line = format!("{} = {}", key.path.replace('*', "porch"), document::default(&key.kind));
        let mut faults = faults_of(&line);
        // A target needs more than one key; only what is said of this value counts.
        faults.retain(|fault| key.section() != "notify.*" || fault.contains(" = "));
        assert_eq!(faults, Vec::<String>::new(), "{line}");
        if let Kind::Choice(words) = &key.kind {
            assert!(words.len() > 1, "{}", key.path);
        }
    }
}

/// Compares a file of the repository with what it should be, or rewrites it when `DOORWARD_BLESS=1`.
fn compare(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("DOORWARD_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is not up to date; run the tests with DOORWARD_BLESS=1", path.display());
}

#[test]
fn the_manual_is_up_to_date() {
    compare("docs/config.md", &document::manual());
}

/// Read from the file itself, not from the table, so that a fault in the writer is found too.
#[test]
fn the_annotated_file_means_the_defaults_and_names_every_key() {
    compare("config/doorward.toml", &document::annotated());
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/doorward.toml")).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 120));
    let shown = |config: &Config| format!("{config:?}");
    assert_eq!(shown(&Case::new().file(&text).good()), shown(&Case::new().good()));

    // With the example camera switched on: a camera at its defaults.
    let is_example = |line: &&str| {
        line.starts_with("#[") || line.starts_with('#') && line[1..].starts_with(char::is_alphabetic)
    };
    let on: String = text
        .lines()
        .map(|line| if is_example(&line) { &line[1..] } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    let (without_target, _) = on.split_once("[notify.phone]").unwrap();
    let config = Case::new().file(without_target).good();
    let expected = Camera::automatic(Id::new("front_door").unwrap(), "v4l2");
    assert_eq!(format!("{:?}", config.cameras), format!("{:?}", [expected]));

    let table: toml::Table = on.parse().unwrap();
    for key in KEYS {
        let mut at = &toml::Value::Table(table.clone());
        for part in document::example(key.path).split('.') {
            at = at.get(part).unwrap_or_else(|| panic!("{} is missing", key.path));
        }
    }
}
