//! Facts that stand in several files around the code, compared: versions, and what the build needs.
//!
//! Not here: whether the image, the app or the unit work; they need their own systems. Uses nothing but std.

use std::fs;
use std::path::Path;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first text between `before` and `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} after {before:?}")).0
}

#[test]
fn every_file_names_the_same_version() {
    let cargo = file("Cargo.toml");
    let version = between(&cargo, "\nversion = \"", "\"");
    let dockerfile = file("ha-addon/doorward/Dockerfile");
    assert_eq!(between(&file("ha-addon/doorward/config.yaml"), "\nversion: ", "\n"), version);
    assert_eq!(between(&dockerfile, "io.hass.version=\"", "\""), version);
    assert_eq!(between(&dockerfile, "ARG DOORWARD_IMAGE=localhost/doorward:", "\n"), version);
    assert!(file("ha-addon/doorward/CHANGELOG.md").contains(&format!("\n## {version}\n")));
}

#[test]
fn the_image_is_built_with_the_oldest_supported_rust() {
    let cargo = file("Cargo.toml");
    let oldest = between(&cargo, "\nrust-version = \"", "\"");
    assert_eq!(between(&file("Dockerfile"), "FROM rust:", "-"), oldest);
}

#[test]
fn the_image_is_built_with_the_packages_that_setup_installs() {
    let setup = file(".ci/setup");
    let mut expected: Vec<&str> = between(&setup, "list_for_run() {", "\n}\n")
        .lines()
        .filter_map(|line| line.split_once(" || lacks ")?.1.split(' ').nth(1))
        .collect();
    expected.sort_unstable();
    let dockerfile = file("Dockerfile");
    let mut found: Vec<&str> =
        between(&dockerfile, "--no-install-recommends ", " \\\n").split_whitespace().collect();
    found.sort_unstable();
    assert!(expected.len() > 3, "{expected:?}");
    assert_eq!(found, expected);
}
