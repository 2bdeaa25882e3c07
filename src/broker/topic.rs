//! Topic names and filters of MQTT: which are valid, and which match.
//!
//! Not here: who may use them; see [`super::acl`]. rumqttd's own `matches` is never called, because it cuts a topic
//! after its first byte and so panics on one that starts with `Ü`.

/// Whether `name` may be published on: not empty, no wildcard, no NUL, and not in the broker's own `$` space.
pub(super) fn valid_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('$') && !name.contains(['+', '#', '\0'])
}

/// What is wrong with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterFault {
    /// Empty, a NUL, a misplaced wildcard, or in the `$` space, of which this broker has none.
    Invalid,
    /// A `$share` subscription, which this broker does not offer.
    Shared,
}

/// Checks a subscription filter: MQTT 3.1.1 and 5, section 4.7.
pub(super) fn check_filter(filter: &str) -> Result<(), FilterFault> {
    if filter.starts_with("$share/") || filter == "$share" {
        return Err(FilterFault::Shared);
    }
    if filter.is_empty() || filter.starts_with('$') || filter.contains('\0') {
        return Err(FilterFault::Invalid);
    }
    let last = filter.split('/').count() - 1;
    let fits = filter.split('/').enumerate().all(|(at, level)| match level {
        "+" => true,
        "#" => at == last,
        plain => !plain.contains(['+', '#']),
    });
    if fits { Ok(()) } else { Err(FilterFault::Invalid) }
}

/// Whether a filter holds a wildcard and so can match more than its own text.
pub(super) fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// Whether a valid filter matches a valid name. `a/#` matches `a` too (section 4.7.1.2).
pub(super) fn matches(filter: &str, name: &str) -> bool {
    let mut levels = name.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (plain, Some(level)) if plain == level => {}
            (_, _) => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "/", "a/b", "Über/x", "a//b", "日本", "a b"] {
            assert!(valid_name(good), "{good}");
        }
        for bad in ["", "$SYS/x", "$denied", "a/+", "#", "a\0b"] {
            assert!(!valid_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn filters() {
        for good in ["a", "#", "+", "a/#", "+/b/+", "/+", "Über/#", "a/+/b"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "$SYS/#", "a\0", "++"] {
            assert_eq!(check_filter(bad), Err(FilterFault::Invalid), "{bad:?}");
        }
        for shared in ["$share/g/x", "$share/", "$share"] {
            assert_eq!(check_filter(shared), Err(FilterFault::Shared), "{shared}");
        }
    }

    #[test]
    fn matching() {
        for (filter, name, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "Über/x", true),
            ("+/x", "Über/x", true),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("+/+", "/a", true),
            ("a//c", "a/b/c", false),
            ("a/+/c", "a//c", true),
        ] {
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
        }
    }
}
