//! Paths that only those ask for who look for a hole, and how often somebody is told of it.
//!
//! Pure. Not here: the answer, which is the usual one ([`crate::http`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::addresses::is_private;
use super::throttle::network;

/// Names that a part of such a path has, in small letters. None of our own paths has one of them.
const NAMES: [&str; 44] = [
    ".aws",
    ".ds_store",
    ".git",
    ".hg",
    ".htaccess",
    ".htpasswd",
    ".ssh",
    ".svn",
    ".vscode",
    "_ignition",
    "actuator",
    "adminer",
    "autodiscover",
    "boaform",
    "cgi-bin",
    "goform",
    "hnap1",
    "hudson",
    "jenkins",
    "manager",
    "myadmin",
    "owa",
    "passwd",
    "phpmyadmin",
    "phpunit",
    "pma",
    "sdk",
    "sendgrid.env",
    "server-info",
    "server-status",
    "solr",
    "struts",
    "telescope",
    "vendor",
    "web-inf",
    "webdav",
    "wordpress",
    "wp",
    "wp-admin",
    "wp-content",
    "wp-includes",
    "wp-json",
    "xmlrpc",
    "etc",
];
/// Endings of programs that do not run here.
const ENDINGS: [&str; 8] = [".php", ".asp", ".aspx", ".jsp", ".cgi", ".cfm", ".sql", ".bak"];
/// What search engines ask for first; at home a tool may do so in good faith.
const ROBOTS: &str = "robots.txt";

/// How long nobody is told of the same address again.
pub const COOL_DOWN: Duration = Duration::from_secs(60 * 60);
/// Of how many addresses somebody is told within that time.
const MOST_TOLD: usize = 20;

/// Whether nobody means well who asks for this path, from that address.
#[must_use]
pub fn is_probe(path: &str, from: IpAddr) -> bool {
    let path = plain(path);
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    parts.any(|part| {
        let is_named = NAMES.contains(&part) || ENDINGS.iter().any(|ending| part.ends_with(ending));
        is_named || part == ".env" || part.starts_with(".env.") || (part == ROBOTS && !is_private(from))
    })
}

/// In small letters, with letters that were written as numbers (`%2e`) put back: scanners hide their words so.
fn plain(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let code = rest.strip_prefix('%').and_then(|rest| rest.get(..2));
        let letter = code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(u8::is_ascii);
        let (letter, length) = letter.map_or((first, first.len_utf8()), |letter| (char::from(letter), 3));
        text.push(letter.to_ascii_lowercase());
        rest = &rest[length..];
    }
    text
}

/// Whom somebody was told of.
#[derive(Default)]
pub struct Probes {
    told: BTreeMap<IpAddr, Instant>,
}

impl Probes {
    /// Whether somebody is to be told of a probe from this address now. Beyond so many addresses nobody is: then the whole Internet is at
    /// it, which has been told.
    pub fn tells(&mut self, now: Instant, from: IpAddr) -> bool {
        self.told.retain(|_, told| now.saturating_duration_since(*told) < COOL_DOWN);
        if self.told.len() >= MOST_TOLD || self.told.contains_key(&network(from)) {
            return false;
        }
        self.told.insert(network(from), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_scanners_are_known_and_ours_are_not_among_them() {
        let (home, world) = (IpAddr::from([192, 168, 1, 9]), IpAddr::from([8, 8, 8, 8]));
        for path in [
            "/.env",
            "/.env.production",
            "/%2eenv",
            "/api/.env",
            "/.git/config",
            "/wp-login.php",
            "//blog/wp-admin/",
            "/WP-ADMIN/setup-config.php",
            "/phpMyAdmin/index.php",
            "/cgi-bin/luci/;stok=/locale",
            "/xmlrpc.php",
            "/actuator/health",
            "/.aws/credentials",
            "/server-status",
            "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
            "/HNAP1/",
            "/../../etc/passwd",
            "/..%2f..%2fetc%2fpasswd",
            "/backup.sql",
        ] {
            assert!(is_probe(path, world) && is_probe(path, home), "{path}");
        }
        for path in [
            "/",
            "/healthz",
            "/api/state",
            "/api/v1/events/01ARZ3NDEKTSV4RRFFQ69G5FAV/clip.mp4",
            "/api/cameras/porch/entities/person/unknown",
            "/api/requests/config/set",
            "/favicon.ico",
            "/nothing",
            "/environment",
            "/%",
            "/%zz%ff",
            "/ä/%c3%a4",
        ] {
            assert!(!is_probe(path, world), "{path}");
        }
        assert!(is_probe("/robots.txt", world) && !is_probe("/robots.txt", home));
    }

    #[test]
    fn one_word_an_address_and_hour_and_never_very_many() {
        let (mut probes, start) = (Probes::default(), Instant::now());
        let (one, other) = (IpAddr::from([8, 8, 8, 8]), IpAddr::from([8, 8, 4, 4]));
        assert!(probes.tells(start, one) && !probes.tells(start, one) && probes.tells(start, other));
        assert!(!probes.tells(start + COOL_DOWN - Duration::from_secs(1), one));
        assert!(probes.tells(start + COOL_DOWN, one) && !probes.tells(start + COOL_DOWN, one));
        let mut probes = Probes::default();
        let told = (0..1000u32).filter(|n| probes.tells(start, IpAddr::from(n.to_be_bytes()))).count();
        assert_eq!((told, probes.told.len()), (MOST_TOLD, MOST_TOLD));
    }
}
