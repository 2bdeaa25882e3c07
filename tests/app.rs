//! The rules that Home Assistant's Supervisor and its community's linter have for the files of an app, as they were in the summer
//! of 2026, held against `ha-addon/`.
//!
//! Not here: whether the app starts (`tests/appliance/app.rs`). The Supervisor itself is not run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

const APP: &str = "ha-addon/doorward";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Map<String, Value> {
    serde_saphyr::from_str(&file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn config() -> Map<String, Value> {
    yaml(&format!("{APP}/config.yaml"))
}

fn words(text: &'static str) -> Vec<&'static str> {
    text.split_whitespace().collect()
}

/// The keys of an app's configuration that have no default, and those that have one.
const WITHOUT_DEFAULT: &str = "name version slug description arch machine url ports ports_description webui ingress_entry \
    panel_title homeassistant devices environment privileged services discovery backup_exclude backup_pre backup_post image \
    ulimits labels breaking_versions map options schema";

fn defaults() -> Map<String, Value> {
    let off = "advanced ingress ingress_stream host_network host_pid host_ipc host_uts host_dbus udev tmpfs full_access audio \
        video gpio usb uart devicetree kernel_modules realtime hassio_api homeassistant_api stdin legacy docker_api auth_api \
        journald";
    let mut all: Map<String, Value> =
        words(off).into_iter().map(|key| (key.to_owned(), json!(false))).collect();
    let others = json!({
        "startup": "application", "boot": "auto", "init": true, "stage": "stable", "ingress_port": 8099,
        "panel_icon": "mdi:puzzle", "panel_admin": true, "apparmor": true, "hassio_role": "default", "backup": "hot",
        "timeout": 10,
    });
    all.extend(others.as_object().unwrap().clone());
    all
}

#[test]
fn every_key_is_known_needed_and_not_at_its_default() {
    let config = config();
    for key in ["name", "version", "slug", "description", "arch"] {
        assert!(config.contains_key(key), "{key} is required");
    }
    let (known, defaults) = (words(WITHOUT_DEFAULT), defaults());
    for (key, value) in &config {
        assert!(
            known.contains(&key.as_str()) || defaults.contains_key(key),
            "{key} would be dropped in silence"
        );
        assert_ne!(Some(value), defaults.get(key), "{key} is at its default; leave it out");
    }
    let slug = config["slug"].as_str().unwrap();
    assert!(slug.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && slug == "doorward");
    assert_eq!(config["arch"], json!(["aarch64", "amd64"]), "everything else is deprecated");
    assert_eq!(config["homeassistant"], "2024.12.0", "the oldest version with discovery of whole devices");
    assert_eq!(config["services"], json!(["mqtt:want"]), "the broker is wished for, not needed");
    assert!(["stable", "experimental", "deprecated"].contains(&config["stage"].as_str().unwrap()));
    assert_eq!(config["backup"], "cold", "a database in use cannot be copied file by file");
    assert_eq!(config["backup_exclude"], json!(["*.mp4"]));
    // The Supervisor warns of `addon_config`; the linter does not yet know the new word.
    assert_eq!(config["map"], json!(["addon_config:rw"]));
}

#[test]
fn the_side_bar_is_the_only_open_door() {
    let config = config();
    assert_eq!((&config["ingress"], &config["ingress_port"]), (&json!(true), &json!(8420)));
    for key in [
        "webui",
        "watchdog",
        "host_network",
        "privileged",
        "full_access",
        "docker_api",
        "hassio_api",
        "devices",
    ] {
        assert!(!config.contains_key(key), "{key}");
    }
    assert!(
        config["ports"].as_object().unwrap().values().all(Value::is_null),
        "open only when the user says so"
    );
    assert_eq!(rating(&config), 8);
}

/// The Supervisor's security rating of an app, from 1 to 8.
fn rating(config: &Map<String, Value>) -> i64 {
    let is = |key: &str| config.get(key) == Some(&json!(true));
    let has_profile = root().join(APP).join("apparmor.txt").exists();
    let mut rating = 5;
    rating += match (config.get("apparmor"), has_profile) {
        (Some(Value::Bool(false)), _) => -1,
        (_, true) => 1,
        (_, false) => 0,
    };
    rating += if is("ingress") { 2 } else { i64::from(is("auth_api")) };
    rating -= i64::from(config.get("privileged").is_some() || is("kernel_modules"));
    rating -= match config.get("hassio_role").and_then(Value::as_str) {
        Some("manager") => 1,
        Some("admin") => 2,
        _ => 0,
    };
    rating -= i64::from(is("host_network")) + 2 * i64::from(is("host_pid"));
    if is("docker_api") || is("full_access") { 1 } else { rating.clamp(1, 8) }
}

/// What stands in front of the brackets, if the Supervisor takes the type.
fn type_of(text: &str) -> Option<&str> {
    let text = text.strip_suffix('?').unwrap_or(text);
    let (word, inside) = match text.split_once('(') {
        Some((word, rest)) => (word, Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let is_range = |is_number: fn(&str) -> bool| {
        inside.is_none_or(|inside| {
            inside
                .split_once(',')
                .is_some_and(|(a, b)| [a, b].iter().all(|side| side.is_empty() || is_number(side)))
        })
    };
    let fits = match word {
        "bool" | "email" | "url" | "port" => inside.is_none(),
        "str" | "password" => is_range(|side| side.parse::<u32>().is_ok()),
        "int" => is_range(|side| side.parse::<i64>().is_ok()),
        "float" => is_range(|side| side.parse::<f64>().is_ok()),
        "list" | "match" => inside.is_some_and(|inside| !inside.is_empty()),
        // Its pattern for the filter has letters only, so that video4linux is refused.
        "device" => inside.is_none_or(|inside| {
            let subsystem = inside.strip_prefix("subsystem=");
            subsystem
                .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
        }),
        _ => false,
    };
    fits.then_some(word)
}

#[test]
fn the_supervisors_types_are_judged_as_it_does() {
    for good in [
        "str",
        "str?",
        "int(0,3650)?",
        "float(0.5,60)",
        "list(a|b)?",
        "device(subsystem=tty)",
        "password(8,)",
    ] {
        assert!(type_of(good).is_some(), "{good}");
    }
    for bad in ["text", "int(a,b)", "device(subsystem=video4linux)", "list()", "bool(1)", "str(8", ""] {
        assert_eq!(type_of(bad), None, "{bad}");
    }
}

/// Every option of a schema with its path, fields of groups and lists included.
fn options(schema: &Map<String, Value>, above: &[String], found: &mut Vec<(Vec<String>, String)>) {
    for (name, kind) in schema {
        let path: Vec<String> = above.iter().cloned().chain([name.clone()]).collect();
        let kind = kind.as_array().map_or(kind, |list| &list[0]);
        match kind {
            Value::Object(fields) => {
                assert!(above.is_empty(), "{name}: groups are at most two deep");
                found.push((path.clone(), "group".into()));
                options(fields, &path, found);
            }
            Value::String(kind) => {
                assert!(type_of(kind).is_some(), "{name}: {kind} is no type");
                found.push((path, kind.clone()));
            }
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn every_option_starts_well_and_has_words_in_every_language() {
    let config = config();
    let mut found = Vec::new();
    options(config["schema"].as_object().unwrap(), &[], &mut found);
    assert!(found.len() > 10);
    let given = config["options"].as_object().unwrap();
    for (path, kind) in found.iter().filter(|(path, _)| path.len() == 1) {
        assert!(
            given.contains_key(&path[0]) || kind.ends_with('?'),
            "{path:?} has no default and is not optional"
        );
    }
    let extra: Vec<_> =
        given.keys().filter(|name| !config["schema"].as_object().unwrap().contains_key(*name)).collect();
    assert!(extra.is_empty(), "{extra:?}");
    let languages: Vec<PathBuf> = std::fs::read_dir(root().join(APP).join("translations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(languages.iter().any(|path| path.ends_with("en.yaml")));
    for path in languages {
        let words = yaml(path.to_str().unwrap());
        let mut told = Vec::new();
        translated(words["configuration"].as_object().unwrap(), &[], &mut told);
        let mut wanted: Vec<Vec<String>> = found.iter().map(|(path, _)| path.clone()).collect();
        wanted.sort();
        told.sort();
        assert_eq!(told, wanted, "{}", path.display());
        let ports = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(ports(&words["network"]), ports(&config["ports"]), "{}", path.display());
        assert!(words["network"].as_object().unwrap().values().all(Value::is_string));
    }
}

fn translated(words: &Map<String, Value>, above: &[String], told: &mut Vec<Vec<String>>) {
    for (name, about) in words {
        let path: Vec<String> = above.iter().cloned().chain([name.clone()]).collect();
        for key in ["name", "description"] {
            assert!(about[key].as_str().is_some_and(|text| !text.is_empty()), "{path:?} has no {key}");
        }
        told.push(path.clone());
        if let Some(fields) = about.get("fields") {
            translated(fields.as_object().unwrap(), &path, told);
        }
    }
}

/// The Supervisor takes every such file for an app, wherever it stands.
#[test]
fn nothing_else_looks_like_an_app() {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let is_ours =
                !name.starts_with('.') && name != "rootfs" && !entry.path().join("CACHEDIR.TAG").exists();
            if entry.file_type().unwrap().is_dir() && is_ours {
                folders.push(entry.path());
            } else if ["config.yaml", "config.yml", "config.json"].contains(&name.as_str()) {
                found.push(entry.path().strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(found, [format!("{APP}/config.yaml")]);
    for ending in ["yaml", "yml", "json"] {
        assert!(
            !root().join(APP).join(format!("build.{ending}")).exists(),
            "deprecated; FROM stands in the Dockerfile"
        );
    }
}

#[test]
fn the_repository_says_whose_it_is() {
    let repository = yaml("repository.yaml");
    let known = ["name", "url", "maintainer"];
    assert!(repository.keys().all(|key| known.contains(&key.as_str())), "{repository:?}");
    assert!(repository["name"].is_string() && repository["maintainer"].is_string());
    // An address stands there as soon as there is one.
    assert!(repository.get("url").is_none_or(|url| url.as_str().unwrap().starts_with("https://")));
}

#[test]
fn the_image_says_what_it_is() {
    let (config, dockerfile) = (config(), file(&format!("{APP}/Dockerfile")));
    let arches: Vec<&str> =
        config["arch"].as_array().unwrap().iter().map(|arch| arch.as_str().unwrap()).collect();
    for label in [
        format!("io.hass.version=\"{}\"", config["version"].as_str().unwrap()),
        "io.hass.type=\"app\"".to_owned(),
        format!("io.hass.arch=\"{}\"", arches.join("|")),
    ] {
        assert!(dockerfile.contains(&label), "{label}");
    }
    assert!(!dockerfile.contains("BUILD_FROM"), "the Supervisor does not set it any more");
    assert!(dockerfile.contains(&format!("DOORWARD__HTTP__BIND=0.0.0.0:{}", config["ingress_port"])));
    assert!(dockerfile.contains("DOORWARD__HTTP__INGRESS_PROXY=172.30.32.2"), "the Supervisor's own address");
    assert!(file("Dockerfile").contains("\nHEALTHCHECK "), "the Supervisor's watchdog asks it");
}

#[test]
fn the_profile_has_one_name_and_the_pictures_their_size() {
    let profile = file(&format!("{APP}/apparmor.txt"));
    let names: Vec<&str> = profile.lines().filter(|line| line.starts_with("profile ")).collect();
    assert_eq!(names.len(), 1, "the Supervisor renames the one profile: {names:?}");
    for (name, width, height) in [("icon.png", 128, 128), ("logo.png", 250, 100)] {
        let picture = image::open(root().join(APP).join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (width, height), "{name}");
        assert!(picture.color().has_alpha(), "{name} shows on light and dark");
    }
    for name in ["README.md", "DOCS.md", "CHANGELOG.md"] {
        assert!(Path::new(&root().join(APP).join(name)).exists(), "{name}");
    }
}
