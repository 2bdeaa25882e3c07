//! The annotated `config/doorward.toml` and the manual `docs/config.md`, written from the table of keys.
//!
//! A test compares the files with this and rewrites them when `DOORWARD_BLESS=1` is set.

use std::fmt::Write;

use super::keys::{KEYS, Key, Kind, SECTIONS, Section, family};
use super::value::allowed;

/// Columns of a comment in the annotated file.
const WIDTH: usize = 110;

/// The annotated file. Every key stands there with its default, so it means the same as no file, but for the
/// example camera and the example target, which are commented out.
pub(super) fn annotated() -> String {
    let mut out = String::from(
        "# Doorward: every key of the configuration, with its default. Nothing here has to be set.\n\
         # Copy it to ./doorward.toml or /etc/doorward/doorward.toml and keep only the lines you change.\n\
         #\n\
         # Later layers win: defaults, this file, the environment (mqtt.host is DOORWARD__MQTT__HOST), flags\n\
         # (--set mqtt.host=...). `doorward check-config` lists every mistake. This file is written from\n\
         # src/config/keys.rs; the same as a page: docs/config.md.\n",
    );
    for section in SECTIONS {
        annotated_section(section, &mut out);
    }
    out
}

fn annotated_section(section: &Section, out: &mut String) {
    // A camera that is really set would keep a fresh installation from looking for one; a target would be told.
    let prefix = if section.path.contains('*') { "#" } else { "" };
    if !section.path.is_empty() {
        out.push('\n');
        comment(section.doc, out);
        let _ = writeln!(out, "{prefix}[{}]", example(section.path));
    }
    for key in keys_of(section) {
        out.push('\n');
        comment(key.doc, out);
        comment(&format!("Allowed: {}.", allowed(&key.kind)), out);
        let _ = writeln!(out, "{prefix}{} = {}", key.name(), default(&key.kind));
    }
}

/// The path with the family's example for `*`.
pub(super) fn example(path: &str) -> String {
    family(path).map_or_else(|| path.to_owned(), |(family, _)| path.replace('*', family.example))
}

fn keys_of(section: &Section) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section() == section.path)
}

/// The default as TOML.
pub(super) fn default(kind: &Kind) -> String {
    match kind {
        Kind::Text { default, .. } => format!("\"{default}\""),
        Kind::Secret { .. } => "\"\"".to_owned(),
        Kind::Choice(words) => format!("\"{}\"", words[0]),
        Kind::Switch(default) => default.to_string(),
        Kind::Integer { default, .. } => default.to_string(),
        Kind::Number { default, .. } => format!("{default:?}"),
        Kind::Rects => "[]".to_owned(),
    }
}

/// Comment lines, broken between words.
fn comment(text: &str, out: &mut String) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line.replace_range(1.., "");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// The manual.
pub(super) fn manual() -> String {
    let mut out = String::from(MANUAL_HEAD);
    for section in SECTIONS {
        let _ = match section.path {
            "" => writeln!(out, "\n## Top of the file"),
            path => writeln!(out, "\n## `[{}]`", path.replace('*', "<id>")),
        };
        let _ = writeln!(out, "\n{}\n", section.doc);
        out.push_str("| Key | Default | Allowed | What it does |\n| --- | --- | --- | --- |\n");
        for key in keys_of(section) {
            let (default, allowed) = (default(&key.kind), allowed(&key.kind));
            let _ = writeln!(out, "| `{}` | `{default}` | {allowed} | {} |", key.name(), key.doc);
        }
    }
    out
}

const MANUAL_HEAD: &str = "\
# Configuration

Doorward runs without any configuration. What you want to change goes into a file in TOML, the environment, or flags.
This page and the annotated `config/doorward.toml` are written from one table, `src/config/keys.rs`, and a test keeps
them equal.

## Where values come from

Later ones win:

1. the defaults below;
2. the file: `--config PATH`, else the path in `DOORWARD_CONFIG`, else `./doorward.toml`, else
   `/etc/doorward/doorward.toml`, else none;
3. the environment: `DOORWARD__`, then the key in capitals with `__` for each dot, such as `DOORWARD__MQTT__HOST` or
   `DOORWARD__CAMERAS__FRONT_DOOR__FPS`. An empty variable counts as not set. Switches take `true`, `false`, `on`,
   `off`, `yes`, `no`, `1` and `0`; rectangles are written as in the file;
4. flags: `--data-dir`, `--http-bind`, `--log-level`, and `--set KEY=VALUE` for any key, such as
   `--set mqtt.host=192.168.1.2`.

`doorward check-config` reads all of it and lists every mistake at once, with the key, the value, what is allowed, and
the file and line, variable or flag. A key that is not known is a mistake too. Passwords are never shown.

Switches, numbers and selects that you change while it runs, in Home Assistant or on the web page, are remembered in
`state.json` in the data folder and win over the first values in the file. Nothing else changes without a restart.

Paths are relative to the working directory.
";
