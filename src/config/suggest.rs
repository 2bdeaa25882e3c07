//! The nearest known name for a misspelt one.
//!
//! Not here: the names; see [`super::keys`].

use super::keys::{FAMILIES, KEYS, SECTIONS, family, pattern};

/// `, did you mean X?`, or the names that are known at this place when nothing is near.
pub(super) fn instead_of(path: &str) -> String {
    let wanted = pattern(path);
    if let Some(near) = nearest(&wanted) {
        return format!(", did you mean {}?", with_id_of(path, near));
    }
    let (section, _) = wanted.rsplit_once('.').unwrap_or(("", &wanted));
    let names: Vec<&str> = KEYS.iter().filter(|key| key.section() == section).map(|key| key.name()).collect();
    if names.is_empty() { String::new() } else { format!(", known here: {}", names.join(", ")) }
}

/// The best candidate: misspelt at its place, or spelt rightly at the wrong place.
fn nearest(wanted: &str) -> Option<&'static str> {
    let families = FAMILIES.iter().map(|family| family.path);
    let sections =
        SECTIONS.iter().map(|section| section.path).filter(|path| !path.is_empty()).chain(families);
    let known = || KEYS.iter().map(|key| key.path).chain(sections.clone());
    let by_spelling = known()
        .map(|path| (strsim::damerau_levenshtein(wanted, path), path))
        .filter(|(distance, path)| *distance <= allowance(path))
        .min_by_key(|(distance, _)| *distance);
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    by_spelling.map(|(_, path)| path).or_else(|| known().find(|path| last(path) == last(wanted)))
}

/// A third of the name may be wrong, at least one letter and at most three.
fn allowance(path: &str) -> usize {
    let name = path.rsplit('.').next().unwrap_or(path);
    (name.len() / 3).clamp(1, 3)
}

/// The suggestion for the camera or target in question, or for any.
fn with_id_of(path: &str, near: &str) -> String {
    let name = family(path).map(|(_, name)| name);
    near.replace('*', name.unwrap_or("<id>"))
}
