//! The configuration through its front door: layers in, a checked `Config` or the list of mistakes out.
//!
//! Here: good configurations. Bad ones are in [`mistakes`], the written documents in [`documents`], who is told of what in
//! [`outward`].

mod documents;
mod edit;
mod mistakes;
mod oidc;
mod options;
mod outward;

use std::path::Path;
use std::time::Duration;

use clap::Parser;

use super::cli::{Cli, Command};
use super::{Camera, ClipCodec, Config, Detector, Faults, Id, LogFormat, Sources, load};

/// Layers to hand to `load`, built up by the test.
struct Case {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Case {
    fn new() -> Self {
        let sources = Sources { host_name: "Porch-Pi.lan".to_owned(), ..Sources::default() };
        Self { folder: tempfile::tempdir().unwrap(), sources }
    }

    fn file(mut self, text: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join("doorward.toml");
        std::fs::write(&path, text).unwrap();
        self.sources.file = Some(path);
        self
    }

    fn env(mut self, name: &str, text: &str) -> Self {
        self.sources.env.push((name.into(), text.into()));
        self
    }

    fn set(mut self, text: &str) -> Self {
        self.sources.flags.set.push(text.to_owned());
        self
    }

    fn load(&self) -> Result<Config, Faults> {
        load(&self.sources)
    }

    fn good(&self) -> Config {
        self.load().unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// The mistakes as shown, without the temporary folder.
    fn lines(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        match self.load() {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect(),
        }
    }
}

fn faults_of(file: &str) -> Vec<String> {
    Case::new().file(file).lines()
}

#[test]
fn nothing_at_all_is_a_good_configuration() {
    let config = Case::new().good();
    assert_eq!(config.data_dir, Path::new("data"));
    assert_eq!((config.node.id.as_str(), config.node.name.as_str()), ("porch_pi", "Doorward"));
    assert_eq!((config.log.filter.as_str(), config.log.format), ("info", LogFormat::Text));
    assert!(config.mqtt.server.is_none() && config.mqtt.discovery);
    assert_eq!(config.broker.unwrap().bind.to_string(), "127.0.0.1:1883");
    assert_eq!(config.http.bind.to_string(), "0.0.0.0:8420");
    assert_eq!(config.faces.folder, Path::new("data/faces"));
    assert_eq!((config.faces.detector, config.faces.interval), (Detector::Yunet, Duration::from_millis(250)));
    assert!(config.cameras.is_empty() && config.origin.sources.file.is_none() && config.clips.is_none());
}

#[test]
fn a_host_without_a_usable_name_is_called_doorward() {
    for name in ["", "...", "ÄÖ", "_-_"] {
        let mut case = Case::new();
        case.sources.host_name = name.to_owned();
        assert_eq!(case.good().node.id.as_str(), "doorward", "{name:?}");
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file =
        "log.level = \"warn\"\nhttp.bind = \"127.0.0.1:1\"\nmqtt.host = \"file\"\nnode.name = \"File\"";
    let mut case = Case::new()
        .file(file)
        .env("DOORWARD__LOG__LEVEL", "debug")
        .env("DOORWARD__HTTP__BIND", "127.0.0.1:2")
        .env("DOORWARD__MQTT__HOST", "env")
        .env("DOORWARD__NODE__NAME", "")
        .set("mqtt.host=flag");
    case.sources.flags.http_bind = Some("127.0.0.1:3".to_owned());
    let config = case.good();
    assert_eq!(config.log.filter, "debug");
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:3");
    assert_eq!(config.mqtt.server.unwrap().host, "flag");
    assert_eq!(config.node.name, "File", "an empty variable is not set");
    assert!(config.broker.is_none(), "auto means off with an external broker");
}

#[test]
fn the_environment_is_text_that_becomes_what_its_key_needs() {
    let config = Case::new()
        .env("DOORWARD__MQTT__HOST", "10.0.0.1")
        .env("DOORWARD__MQTT__USERNAME", "007")
        .env("DOORWARD__MQTT__PASSWORD", "00123")
        .env("DOORWARD__MQTT__TLS", "On")
        .env("DOORWARD__CAMERAS__1__FPS", " 7 ")
        .env("DOORWARD__CAMERAS__FRONT_DOOR__SOURCE", "demo")
        .env("DOORWARD__CAMERAS__FRONT_DOOR__FACE_THRESHOLD", "0.5")
        .env("DOORWARD__CAMERAS__FRONT_DOOR__MOTION__MASKS", "[[0, 0, 0.5, 1], [0.9, 0.1, 0.1, 0.9]]")
        .env("DOORWARD_SERVICE_PORT", "tcp://10.0.0.1:8420")
        .good();
    let server = config.mqtt.server.unwrap();
    assert_eq!((server.host.as_str(), server.port), ("10.0.0.1", 8883));
    let login = server.login.unwrap();
    assert_eq!((login.username.as_str(), login.password.unwrap().expose()), ("007", "00123"));
    let names: Vec<_> =
        config.cameras.iter().map(|camera| (camera.id.as_str(), camera.name.as_str())).collect();
    assert_eq!(names, [("1", "1"), ("front_door", "Front door")]);
    assert_eq!(config.cameras[0].fps, 7);
    assert!((config.cameras[1].start.face_threshold - 0.5).abs() < 1e-9);
    assert_eq!(config.cameras[1].motion.masks.len(), 2);
}

#[test]
fn systemd_chooses_the_data_folder_unless_the_user_does() {
    let case = Case::new().env("STATE_DIRECTORY", "/var/lib/doorward:/var/lib/other");
    let config = case.good();
    assert_eq!(config.data_dir, Path::new("/var/lib/doorward"));
    assert_eq!(config.faces.folder, Path::new("/var/lib/doorward/faces"));
    let copied = case.file("data_dir = \"data\"");
    assert_eq!(copied.good().data_dir, Path::new("/var/lib/doorward"), "a copy of the annotated file");
    assert_eq!(copied.set("data_dir=./data").good().data_dir, Path::new("./data"));
}

#[test]
fn the_password_may_be_in_a_file() {
    let case = Case::new();
    let secret = case.folder.path().join("password");
    std::fs::write(&secret, "geheim \n").unwrap();
    let case = case.set("mqtt.host=h").set("mqtt.username=u");
    let case = case.set(&format!("mqtt.password_file={}", secret.display()));
    let login = case.good().mqtt.server.unwrap().login.unwrap();
    assert_eq!(login.password.unwrap().expose(), "geheim ", "only the line's end is cut off");
    std::fs::write(&secret, "\n").unwrap();
    assert_eq!(
        case.lines(),
        ["mqtt.password_file = \"password\": the file's first line is empty (flag --set mqtt.password_file)"]
    );
}

#[test]
fn an_empty_camera_section_is_a_camera_with_defaults() {
    let config = Case::new().file("[cameras.front_door]").good();
    let expected = Camera::automatic(Id::new("front_door").unwrap(), "v4l2");
    assert_eq!(format!("{:?}", config.cameras), format!("{:?}", [expected]));
    assert_eq!(config.cameras[0].name, "Front door");
    let camera = &config.cameras[0];
    assert_eq!((camera.size, camera.fps, camera.start.motion_min_area), (None, 15, 3000));
}

#[test]
fn the_command_line_reads_as_documented() {
    let cli = Cli::try_parse_from(["doorward"]).unwrap();
    assert_eq!(cli.command(), Command::Run);
    let words = [
        "doorward",
        "check-config",
        "--config",
        "x.toml",
        "--set",
        "a=1",
        "--set",
        "b=2",
        "--log-level",
        "warn",
    ];
    let cli = Cli::try_parse_from(words).unwrap();
    assert_eq!(cli.command(), Command::CheckConfig);
    assert_eq!((cli.flags.set.len(), cli.flags.log_level.as_deref()), (2, Some("warn")));
    let sources = Sources::of_process(cli.flags);
    assert_eq!(
        sources.file.as_deref(),
        Some(Path::new("x.toml")),
        "a named file is used even if it is missing"
    );
    assert!(Cli::try_parse_from(["doorward", "--sett", "a=1"]).is_err());
}

#[test]
fn layers_meet_inside_one_camera_and_lists_replace_lists() {
    let file = "[cameras.porch]\nname = \"Porch\"\nfps = 10\nmotion.hold = 9\nmotion.masks = [[0, 0, 1, 1], [0, 0, 0.5, 1]]";
    let config = Case::new()
        .file(file)
        .env("DOORWARD__CAMERAS__PORCH__FPS", "20")
        .env("DOORWARD__CAMERAS__PORCH__AREA", "Garden")
        .set("cameras.porch.motion.masks=[[0.5, 0, 0.5, 1]]")
        .good();
    let [porch] = config.cameras.as_slice() else { panic!("one camera: {:?}", config.cameras) };
    assert_eq!((porch.name.as_str(), porch.fps, porch.area.as_deref()), ("Porch", 20, Some("Garden")));
    assert_eq!(porch.motion.hold, Duration::from_secs(9));
    assert_eq!(porch.motion.masks, [crate::logic::picture::Rect { x: 0.5, y: 0.0, w: 0.5, h: 1.0 }]);
}

#[test]
fn clips_are_off_until_a_format_is_chosen() {
    let file = "[clips]\nformat = \"mjpeg\"\npre_roll = 2.5\nmax_length = 90\nring_mb = 2\nfps = 5\nbitrate_kbps = 800";
    let clips = Case::new().file(file).good().clips.unwrap();
    assert_eq!((clips.codec, clips.pre_roll), (ClipCodec::Mjpeg, Duration::from_millis(2500)));
    assert_eq!((clips.post_roll, clips.max_length), (Duration::from_secs(5), Duration::from_secs(90)));
    assert_eq!((clips.ring_bytes, clips.fps, clips.bits_per_second), (2_000_000, 5, 800_000));
    assert_eq!(clips.interval(), Duration::from_millis(200));
    let lines = faults_of("clips.format = \"h264\"");
    if cfg!(feature = "h264") {
        assert_eq!(lines, Vec::<String>::new());
    } else {
        assert!(lines[0].contains("built without H.264; use \"mjpeg\""), "{lines:?}");
    }
}
