//! Listing what holds, and changing the file for somebody.

use serde_json::{Value, json};

use super::super::Sources;
use super::super::cli::Flags;
use super::super::edit::{annotated, changed, has_secret, keys_of};
use super::Case;
use crate::logic::admin::{Change, Mistake};

const FILE: &str = "\
# My house.
data_dir = \"data\"

[node]
name = \"House\" # as the neighbours say

# At the door.
[cameras.porch]
source = \"demo\"
fps = 10
";

fn toml(text: &str) -> Change {
    Change::Toml(text.to_owned())
}

fn key(path: &str, value: Value) -> Change {
    Change::Key { path: path.to_owned(), value: Some(value).filter(|value| !value.is_null()) }
}

fn of(case: &Case, change: &Change) -> Result<String, Vec<Mistake>> {
    changed(&case.sources, FILE, change).map(|(text, _)| text)
}

fn case() -> Case {
    Case::new().file(FILE)
}

#[test]
fn a_change_keeps_comments_and_order() {
    let case = case();
    let text = of(&case, &key("cameras.porch.fps", json!(12))).unwrap();
    assert_eq!(text, FILE.replace("fps = 10", "fps = 12"));
    let text =
        of(&case, &toml("node.name = \"Villa\"\n[cameras.porch]\nwidth = 640\nheight = 0x1e0")).unwrap();
    let expected = FILE
        .replace("\"House\" #", "\"Villa\" #")
        .replace("fps = 10\n", "fps = 10\nwidth = 640\nheight = 480\n");
    assert_eq!(text, expected);
    let text = of(&case, &toml("[cameras.shed]\n[mqtt]\nhost = \"10.0.0.2\"\n")).unwrap();
    assert!(text.starts_with(FILE), "{text}");
    assert!(text.contains("[cameras.shed]") && text.contains("[mqtt]\nhost = \"10.0.0.2\""), "{text}");
    assert_eq!(of(&case, &key("cameras.porch.fps", Value::Null)).unwrap(), FILE.replace("fps = 10\n", ""));
    let text = of(&case, &key("cameras.porch", Value::Null)).unwrap();
    assert!(!text.contains("porch") && text.contains("# My house."), "{text}");
    // What is not there can be taken out too.
    assert_eq!(of(&case, &key("mqtt.host", Value::Null)).unwrap(), FILE);
}

#[test]
fn an_empty_file_becomes_a_small_one() {
    let case = case();
    let change = toml("data_dir = \"x\"\n[cameras.porch.motion]\nmasks = [[0, 0, 0.5, 1]]");
    let (text, config) = changed(&case.sources, "", &change).unwrap();
    assert_eq!(text, "data_dir = \"x\"\n\n[cameras.porch.motion]\nmasks = [[0.0, 0.0, 0.5, 1.0]]\n");
    let (commented, _) = changed(&case.sources, "# Mine.\n", &toml("node.name = \"x\"")).unwrap();
    assert_eq!(commented, "# Mine.\n\n[node]\nname = \"x\"\n");
    assert_eq!(config.cameras[0].motion.masks.len(), 1);
    assert_eq!(keys_of(&change), ["cameras.porch.motion.masks", "data_dir"]);
}

#[test]
fn values_may_come_as_text() {
    let case = case();
    for (path, value, line) in [
        ("cameras.porch.fps", json!("12"), "fps = 12"),
        ("cameras.porch.privacy", json!("on"), "privacy = true"),
        ("mqtt.picture_interval", json!("2"), "picture_interval = 2.0"),
        ("mqtt.picture_interval", json!(2), "picture_interval = 2.0"),
        ("node.name", json!("5"), "name = \"5\" # as the neighbours say"),
        ("cameras.porch.motion.masks", json!("[[0, 0, 1, 1]]"), "masks = [[0.0, 0.0, 1.0, 1.0]]"),
        ("cameras.porch.motion.masks", json!([[0, 0, 1, 0.25]]), "masks = [[0.0, 0.0, 1.0, 0.25]]"),
    ] {
        let text = of(&case, &key(path, value)).unwrap();
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

#[test]
fn mistakes_are_listed_and_nothing_is_made() {
    let case = case();
    let words = |change: &Change| -> Vec<String> {
        of(&case, change).unwrap_err().iter().map(Mistake::to_string).collect()
    };
    let two = words(&toml("[cameras.porch]\nfsp = 5\nfps = 900\n"));
    assert_eq!(two.len(), 2, "{two:?}");
    assert!(two[0].starts_with("cameras.porch.fsp (line 2): unknown key, did you mean"), "{two:?}");
    assert_eq!(two[1], "cameras.porch.fps (line 3): 900: out of range, allowed: 1 to 60 frames per second");
    // Fits alone, but not with the rest.
    let rest = words(&key("mqtt.port", json!(1884)));
    assert!(rest[0].starts_with("mqtt.port: only") && rest[0].contains("mqtt.host"), "{rest:?}");
    for (change, part) in [
        (toml("fps = "), "(line 1)"),
        (key("cameras.porch.fsp", json!(1)), "did you mean cameras.porch.fps"),
        (key("cameras.porch.fsp", Value::Null), "did you mean cameras.porch.fps"),
        (key("cameras.Porch.fps", json!(1)), "camera's id"),
        (key("cameras.porch.fps", json!({"a": 1})), "not a"),
        (key("cameras.porch.fps", json!([null])), "not a"),
        (key("cameras", json!("x")), "section of its own"),
        (key("a]\nb", json!("x")), "unknown key"),
    ] {
        let words = words(&change).join("; ");
        assert!(words.contains(part) || change == toml("fps = "), "{change:?}: {words}");
    }
    let bad_file = changed(&case.sources, "[cameras.porch]\nfps = 99\n", &key("node.name", json!("x")));
    let bad_file = bad_file.unwrap_err();
    assert_eq!((bad_file[0].line, bad_file[0].place.ends_with("doorward.toml:2")), (Some(2), true));
}

#[test]
fn secrets_are_never_taken_and_never_shown() {
    let case = case().set("mqtt.host=h").set("mqtt.username=u").env("DOORWARD__MQTT__PASSWORD", "geheim");
    for change in [toml("[mqtt]\npassword = \"offen\""), key("mqtt.password", json!("offen"))] {
        let mistakes = of(&case, &change).unwrap_err();
        assert!(mistakes[0].message.contains("mqtt.password_file"), "{mistakes:?}");
        assert!(!format!("{mistakes:?}").contains("offen"));
    }
    let url = of(&case, &key("notify.phone.url", json!("https://x/offen"))).unwrap_err();
    assert!(url[0].message.contains("by hand") && !format!("{url:?}").contains("offen"), "{url:?}");
    let config = case.good();
    let listed = config.origin.at(Some("mqtt.password")).unwrap()[0].to_json();
    assert_eq!((&listed["value"], &listed["secret"]), (&json!("…"), &json!(true)));
    assert_eq!(listed["from"], "environment variable DOORWARD__MQTT__PASSWORD");
    assert!(!format!("{config:?}").contains("geheim"));
}

#[test]
fn every_key_is_listed_with_its_place() {
    let case = case().set("cameras.shed.fps=5");
    let origin = case.good().origin;
    let fps = |camera: &str| origin.at(Some(&format!("cameras.{camera}.fps"))).unwrap()[0].to_json();
    assert!(fps("porch")["from"].as_str().unwrap().ends_with("doorward.toml:10"), "{}", fps("porch"));
    assert_eq!(fps("shed")["from"], "flag --set cameras.shed.fps");
    assert_eq!((&fps("shed")["value"], &fps("shed")["default"]), (&json!(5), &json!(15)));
    assert_eq!(fps("shed")["unit"], "frames per second");
    assert_eq!(origin.at(Some("mqtt.host")).unwrap()[0].to_json()["from"], "default");
    assert!(origin.at(None).unwrap().len() > 100);
    assert!(
        origin.at(Some("cameras.porch")).unwrap().iter().any(|listed| listed.key.ends_with("motion.hold"))
    );
    assert!(origin.at(Some("notify")).unwrap().is_empty());
    for (path, part) in [
        ("mqtt.hots", "did you mean mqtt.host"),
        ("cameras.garden.fps", "a camera that is configured"),
        ("x", "a key or a section"),
    ] {
        assert!(origin.at(Some(path)).err().unwrap().contains(part), "{path}");
    }
    let other = case.set("mqtt.host=h").good().origin;
    assert_eq!(origin.differing(&other), ["mqtt.host"]);
}

#[test]
fn the_first_file_has_what_was_asked_for() {
    let flags =
        |sets: &[&str]| Flags { set: sets.iter().map(|set| (*set).to_owned()).collect(), ..Flags::default() };
    let found = [("camera".to_owned(), "v4l2:/dev/v4l/by-id/usb-cam".to_owned())];
    let text = annotated(&flags(&["mqtt.host=10.0.0.2"]), &found).unwrap();
    assert!(text.contains("# Allowed: a host name") && text.contains("\nhost = \"10.0.0.2\"\n"), "{text}");
    let config = Case::new().file(&text).good();
    assert_eq!(config.cameras[0].source, "v4l2:/dev/v4l/by-id/usb-cam");
    assert_eq!(config.mqtt.server.unwrap().host, "10.0.0.2");
    let own = Case::new().file(annotated(&flags(&["cameras.porch.source=demo"]), &found).unwrap()).good();
    assert_eq!((own.cameras.len(), own.cameras[0].id.as_str()), (1, "porch"));
    assert!(annotated(&flags(&["mqtt.hots=x"]), &[]).unwrap_err().to_string().contains("mqtt.host"));
    assert!(has_secret(&flags(&["mqtt.password=x"])) && !has_secret(&flags(&["mqtt.host=x"])));
}

#[test]
fn a_file_that_appears_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("doorward.toml");
    let sources = Sources { searched: vec![path.clone()], ..Sources::default() }.looked_again();
    assert_eq!(sources.file, None);
    std::fs::write(&path, FILE).unwrap();
    assert_eq!(sources.looked_again().file, Some(path));
}
