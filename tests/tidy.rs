//! The rules of the house that a program can check: layers, file docs, pure logic, file sizes.
//!
//! Not here: taste; see `docs/style.md`.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use std::path::{Path, PathBuf};

/// Everything an edge may import besides itself.
const SHARED: [&str; 15] = [
    "atomic", "audit", "canvas", "database", "logic", "config", "door", "font", "frame", "hub", "inbox",
    "journal", "jpeg", "shutdown", "tls",
];
const EDGES: [&str; 12] = [
    "archive",
    "broker",
    "camera",
    "clips",
    "http",
    "mqtt",
    "notify",
    "oidc",
    "public_address",
    "store",
    "supervisor",
    "vision",
];
/// Tables and generated text may be longer.
const LONGEST_FILE: usize = 520;
const TABLES: [&str; 3] = ["src/config/keys.rs", "src/http/table.rs", "src/logic/entities.rs"];
/// Built for tests only, under a name that does not say so.
const TEST_FILES: [&str; 1] = ["src/logic/motion/scene.rs"];

struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push(Source { path: name, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {folder}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl Source {
    /// The room: `mqtt` for `src/mqtt/session.rs` and for `src/mqtt.rs`.
    fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap();
        below.split(['/', '.']).next().unwrap()
    }

    /// The code before the unit tests; files that are only for tests have none.
    fn code(&self) -> &str {
        if self.path.contains("tests") || TEST_FILES.contains(&self.path.as_str()) {
            return "";
        }
        self.text.split("#[cfg(test)]\nmod tests {").next().unwrap()
    }

    /// The rooms that are imported, with line numbers.
    fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in self.code().lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for rest in line.split("crate::").skip(1) {
                let room: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.push((number + 1, room));
            }
        }
        found
    }
}

fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn layers_import_only_what_lies_below() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let room = source.room().to_owned();
        for (line, import) in source.imports() {
            let fine = match room.as_str() {
                "app" | "main" | "lib" => true,
                "logic" => import == "logic",
                "config" => ["config", "logic"].contains(&import.as_str()),
                edge if EDGES.contains(&edge) => import == room || SHARED.contains(&import.as_str()),
                _shared => SHARED.contains(&import.as_str()),
            };
            if !fine {
                faults.push(format!("{}:{line} imports crate::{import}", source.path));
            }
        }
    }
    assert_none("these imports cross a wall", &faults);
}

#[test]
fn every_file_says_what_belongs_in_it() {
    let files = ["src", "tests", "benches", "examples"].into_iter().flat_map(sources);
    let silent: Vec<_> = files.filter(|s| !s.text.starts_with("//!")).map(|s| s.path).collect();
    assert_none("these files do not begin with //!", &silent);
}

#[test]
fn logic_is_pure() {
    let forbidden = [
        "Instant::now",
        "SystemTime::now",
        "Timestamp::now",
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "ToSocketAddrs",
        "std::thread",
        "tokio",
        "getrandom",
        "tracing",
    ];
    let mut faults = Vec::new();
    for source in sources("src/logic") {
        for (number, line) in source.code().lines().enumerate() {
            let code = line.split("//").next().unwrap();
            if let Some(word) = forbidden.iter().find(|word| code.contains(*word)) {
                faults.push(format!("{}:{} uses {word}", source.path, number + 1));
            }
        }
    }
    assert_none("logic takes time and everything random as arguments", &faults);
}

#[test]
fn topics_are_rendered_in_one_place() {
    let mut faults = Vec::new();
    // The table of HTTP routes has paths that look the same.
    let elsewhere = |s: &Source| !["src/logic/topics.rs", "src/http/table.rs"].contains(&s.path.as_str());
    for source in sources("src").into_iter().filter(elsewhere) {
        for (number, line) in source.code().lines().enumerate() {
            let code = line.trim_start();
            let builds =
                ["}/set\"", "}/press\"", "/status\"", "homeassistant/device", "}/event/", "}/image/"];
            if !code.starts_with("//") && builds.iter().any(|part| code.contains(part)) {
                faults.push(format!("{}:{} {}", source.path, number + 1, code));
            }
        }
    }
    assert_none("these lines build topics", &faults);
}

#[test]
fn files_stay_small_enough_to_read() {
    let long: Vec<_> = sources("src")
        .into_iter()
        .filter(|s| !TABLES.contains(&s.path.as_str()) && s.text.lines().count() > LONGEST_FILE)
        .map(|s| format!("{} has {} lines", s.path, s.text.lines().count()))
        .collect();
    assert_none("longer than a file should be", &long);
}

#[test]
fn nothing_is_left_over() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", "FIXME"];
    let mut faults = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")).filter(|s| s.path != "tests/tidy.rs") {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                faults.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    assert_none("left-over marks", &faults);
}
