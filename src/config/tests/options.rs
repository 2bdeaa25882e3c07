//! The options of the Home Assistant app as a layer.

use std::path::Path;

use super::super::options::{BROKER, CAMERA, CAMERAS, MQTT, PLAIN};
use super::super::{Found, FoundBroker};
use super::Case;

impl Case {
    fn options(mut self, json: &str) -> Self {
        let path = self.folder.path().join("options.json");
        std::fs::write(&path, json).unwrap();
        self.sources.options = Some(path);
        self
    }
}

#[test]
fn options_win_over_the_file_and_the_environment_over_them() {
    let case = Case::new()
        .file("log.level = \"warn\"\n[node]\nname = \"File\"\n[cameras.front]\nfps = 7\narea = \"Yard\"\n")
        .options(r#"{"name": "Option", "log_level": "debug", "cameras": [{"name": "Front", "area": "Hall"}], "mqtt": {}}"#)
        .env("DOORWARD__LOG__LEVEL", "error");
    let config = case.good();
    assert_eq!((config.node.name.as_str(), config.log.filter.as_str()), ("Option", "error"));
    let [camera] = &config.cameras[..] else { panic!("{:?}", config.cameras) };
    assert_eq!((camera.fps, camera.area.as_deref(), camera.name.as_str()), (7, Some("Hall"), "Front"));
}

#[test]
fn empty_options_and_empty_values_set_nothing() {
    let shown = |case: &Case| format!("{:?}", case.good());
    let nothing = shown(&Case::new());
    for options in
        ["{}", r#"{"cameras": [], "mqtt": {}}"#, r#"{"name": "", "keep_days": null, "mqtt": {"host": ""}}"#]
    {
        assert_eq!(shown(&Case::new().options(options)), nothing, "{options}");
    }
}

#[test]
fn a_cameras_name_becomes_its_topic() {
    let long = "a very long name for a camera behind the house";
    let cameras = ["Haustür", "Вход", long].map(|name| serde_json::json!({ "name": name, "source": "demo" }));
    let options = serde_json::json!({ "cameras": cameras });
    let config = Case::new().options(&options.to_string()).good();
    let ids: Vec<&str> = config.cameras.iter().map(|camera| camera.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(ids.contains(&"haustuer") && ids.iter().any(|id| id.starts_with("camera_")), "{ids:?}");
    assert!(ids.iter().any(|id| id.starts_with("a_very_long_name")), "{ids:?}");
}

#[test]
fn what_was_found_fills_what_a_copy_of_the_annotated_file_leaves_empty() {
    let annotated =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/doorward.toml")).unwrap();
    let mut case = Case::new().file(annotated);
    let (host, username, password) = ("core-mosquitto".into(), "addons".into(), "secret".into());
    let broker = FoundBroker { host, port: 1883, username, password, tls: false };
    case.sources.found =
        Found { broker: Some(broker), page: Some("homeassistant://hassio/ingress/x".into()) };
    let config = case.good();
    let server = config.mqtt.server.unwrap();
    assert_eq!((server.host.as_str(), server.port, server.tls.is_none()), ("core-mosquitto", 1883, true));
    assert_eq!(server.login.unwrap().username, "addons");
    assert_eq!(config.http.url.as_deref(), Some("homeassistant://hassio/ingress/x"));
    assert!(config.broker.is_none());
}

/// What a sentence about an option calls it is what its page calls it.
#[test]
fn options_are_called_as_on_their_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ha-addon/doorward/translations/en.yaml");
    let words: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let words = &words["configuration"];
    for option in PLAIN {
        assert_eq!(words[option.name]["name"], option.title);
    }
    for ((group, title), options) in [(CAMERAS, CAMERA), (MQTT, BROKER)] {
        assert_eq!(words[group]["name"], title);
        for option in options {
            assert_eq!(words[group]["fields"][option.name]["name"], option.title);
        }
    }
    assert_eq!(words.as_object().unwrap().len(), PLAIN.len() + 2);
}
