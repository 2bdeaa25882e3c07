//! Bad configurations and what people are told about them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::super::cli::Flags;
use super::super::keys::{self, KEYS};
use super::super::load;
use super::{Case, faults_of};

#[test]
fn every_bad_value_names_key_value_range_and_line() {
    let table: &[(&str, &str)] = &[
        ("[mqtt]\nport = 70000", "mqtt.port = 70000: out of range, allowed: 0 to 65535 (doorward.toml:2)"),
        ("mqtt.port = -1", "mqtt.port = -1: out of range, allowed: 0 to 65535 (doorward.toml:1)"),
        (
            "mqtt.port = 1883.0",
            "mqtt.port = 1883.0: not a whole number, allowed: 0 to 65535 (doorward.toml:1)",
        ),
        (
            "mqtt.port = \"1883\"",
            "mqtt.port = \"1883\": not a whole number, allowed: 0 to 65535 (doorward.toml:1)",
        ),
        (
            "mqtt.port = 99999999999999999999",
            "mqtt.port = 99999999999999999999: not a whole number, allowed: 0 to 65535 (doorward.toml:1)",
        ),
        (
            "[mqtt]\n\n\ntls = \"yes\"",
            "mqtt.tls = \"yes\": not a switch, allowed: true or false (doorward.toml:4)",
        ),
        ("mqtt.tls = 1", "mqtt.tls = 1: not a switch, allowed: true or false (doorward.toml:1)"),
        (
            "mqtt.picture_interval = 0.1",
            "mqtt.picture_interval = 0.1: out of range, allowed: 0.5 to 60 seconds (doorward.toml:1)",
        ),
        (
            "faces.unknown_grace = nan",
            "faces.unknown_grace = nan: not a number, allowed: 0 to 60 seconds (doorward.toml:1)",
        ),
        (
            "faces.unknown_grace = inf",
            "faces.unknown_grace = inf: not a number, allowed: 0 to 60 seconds (doorward.toml:1)",
        ),
        (
            "faces.detector = \"yolo\"",
            "faces.detector = \"yolo\": not known, allowed: yunet, rustface (doorward.toml:1)",
        ),
        ("mqtt.username = 7", "mqtt.username = 7: needs to be text in \"quotes\" (doorward.toml:1)"),
        (
            "node.id = \"Front Door\"",
            "node.id = \"Front Door\": needs 1 to 32 characters, only a-z, 0-9 and _ (doorward.toml:1)",
        ),
        ("node.name = \" \"", "node.name = \" \": needs 1 to 64 characters (doorward.toml:1)"),
        (
            "mqtt.host = \"mqtt://10.0.0.1\"",
            "mqtt.host = \"mqtt://10.0.0.1\": needs only the host name; the port goes to mqtt.port, and TLS is switched on \
             with mqtt.tls (doorward.toml:1)",
        ),
        (
            "mqtt.host = \"10.0.0.1:1883\"",
            "mqtt.host = \"10.0.0.1:1883\": needs only the host name; the port goes to mqtt.port (doorward.toml:1)",
        ),
        (
            "mqtt.base_topic = \"a/#\"",
            "mqtt.base_topic = \"a/#\": needs a topic without + # $ and without a slash at either end (doorward.toml:1)",
        ),
        (
            "http.bind = \"8420\"",
            "http.bind = \"8420\": needs an IP address and a port, such as 127.0.0.1:1883 or 0.0.0.0:8420 (doorward.toml:1)",
        ),
        ("data_dir = \"\"", "data_dir = \"\": needs a path (doorward.toml:1)"),
        (
            "log.level = \"inof\"",
            "log.level = \"inof\": needs error, warn, info, debug, trace or a filter such as info,doorward::mqtt=debug \
             (doorward.toml:1)",
        ),
        (
            "[cameras.porch.motion]\nmasks = [[0.5, 0, 0.6, 1]]",
            "cameras.porch.motion.masks = a list: a rectangle is empty or leaves the picture, allowed: a list of [x, y, \
             width, height], each 0 to 1, inside the picture (doorward.toml:2)",
        ),
        (
            "[cameras.porch.motion]\nmasks = [[0, 0, 1]]",
            "cameras.porch.motion.masks = a list: a rectangle needs four numbers, allowed: a list of [x, y, width, \
             height], each 0 to 1, inside the picture (doorward.toml:2)",
        ),
        (
            "cameras.porch.fps = 0",
            "cameras.porch.fps = 0: out of range, allowed: 1 to 60 frames per second (doorward.toml:1)",
        ),
        (
            "cameras.porch.source = \"usb\"",
            "cameras.porch.source = \"usb\": \"usb\" is no kind of camera; v4l2, file, demo or libcamera are (doorward.toml:1)",
        ),
        ("mqtt = 5", "mqtt: a section with keys, not a value (doorward.toml:1)"),
        (
            "mqtt.port.x = 5",
            "mqtt.port = a section: not a whole number, allowed: 0 to 65535 (doorward.toml:1)",
        ),
        (
            "[mqtt]\nport = 1979-05-27",
            "mqtt.port = 1979-05-27: not a whole number, allowed: 0 to 65535 (doorward.toml:2)",
        ),
    ];
    for (file, expected) in table {
        assert_eq!(faults_of(file), [*expected], "{file}");
    }
}

#[test]
fn what_fits_alone_but_not_together_is_told() {
    let table: &[(&str, &str)] = &[
        (
            "[mqtt]\nhost = \"h\"\nusername = \"u\"\npassword = \"s3cret\"\npassword_file = \"/etc/hostname\"",
            "mqtt.password_file: remove it, or mqtt.password (doorward.toml:4): only one can be (doorward.toml:5)",
        ),
        (
            "[mqtt]\nhost = \"h\"\npassword = \"s3cret\"",
            "mqtt.password: needs mqtt.username too (doorward.toml:3)",
        ),
        (
            "[mqtt]\nhost = \"h\"\nca_file = \"/etc/hostname\"",
            "mqtt.ca_file: needs mqtt.tls = true (doorward.toml:3)",
        ),
        (
            "[mqtt]\nhost = \"h\"\ntls = true\nclient_key_file = \"/etc/hostname\"",
            "mqtt.client_key_file: needs mqtt.client_cert_file too (doorward.toml:4)",
        ),
        (
            "[mqtt]\nhost = \"h\"\ntls = true\nca_file = \"/no/such.pem\"",
            "mqtt.ca_file = \"/no/such.pem\": cannot be read: No such file or directory (os error 2) (doorward.toml:4)",
        ),
        ("[tls]\ncert_file = \"/etc/hostname\"", "tls.cert_file: needs tls.key_file too (doorward.toml:2)"),
        ("[tls]\nkey_file = \"/etc/hostname\"", "tls.key_file: needs tls.cert_file too (doorward.toml:2)"),
        (
            "[tls]\ncert_file = \"/etc/hostname\"\nkey_file = \"/no/such.pem\"",
            "tls.key_file = \"/no/such.pem\": cannot be read: No such file or directory (os error 2) (doorward.toml:3)",
        ),
        (
            "broker.client_ca_file = \"/no/such.pem\"",
            "broker.client_ca_file = \"/no/such.pem\": cannot be read: No such file or directory (os error 2) (doorward.toml:1)",
        ),
        (
            "mqtt.port = 1884",
            "mqtt.port: only for an external broker, but mqtt.host is empty; set mqtt.host, or remove this key (the \
             embedded broker makes its own users) (doorward.toml:1)",
        ),
        (
            "broker.enabled = \"off\"",
            "broker.enabled: no broker is left to talk to; set mqtt.host, or broker.enabled to \"auto\" (doorward.toml:1)",
        ),
        (
            "broker.bind = \"127.0.0.1:8420\"",
            "broker.bind = \"127.0.0.1:8420\": the same port as http.bind = \"0.0.0.0:8420\"; choose another (doorward.toml:1)",
        ),
        (
            "http.max_viewers = 500",
            "http.max_viewers = 500: more than http.max_connections, which is 256 (doorward.toml:1)",
        ),
        (
            "cameras.porch.width = 640",
            "cameras.porch.width = 640: needs cameras.porch.height too (doorward.toml:1)",
        ),
        (
            "[cameras.a]\nsource = \"v4l2:0\"\n[cameras.b]\nsource = \"v4l2:/dev/video0\"",
            "cameras.b.source = \"v4l2:/dev/video0\": the same device as cameras.a; each device can be one camera (doorward.toml:4)",
        ),
        (
            "[[cameras]]",
            "cameras: each camera is a section of its own, such as [cameras.front_door] (doorward.toml:1)",
        ),
        (
            "mqtt.base_topic = \"homeassistant/doorward\"",
            "mqtt.base_topic = \"homeassistant/doorward\": must not be below mqtt.discovery_prefix, which is \"homeassistant\" (doorward.toml:1)",
        ),
        (
            "[cameras.status]",
            "cameras.status: the camera's id \"status\" is taken by a topic; choose another (doorward.toml:1)",
        ),
        (
            "[cameras.Porch]",
            "cameras.Porch: the camera's id \"Porch\" needs 1 to 32 characters, only a-z, 0-9 and _ (doorward.toml:1)",
        ),
    ];
    for (file, expected) in table {
        assert_eq!(faults_of(file), [*expected], "{file}");
    }
}

#[test]
fn unknown_names_are_told_with_the_nearest_known_one() {
    let table: &[(&str, &str)] = &[
        ("mqtt.prot = 1", "mqtt.prot: unknown key, did you mean mqtt.port? (doorward.toml:1)"),
        ("[mqt]\nhost = 1", "mqt: unknown section, did you mean mqtt? (doorward.toml:1)"),
        ("[camera.porch]", "camera: unknown section, did you mean cameras? (doorward.toml:1)"),
        ("host = \"h\"", "host: unknown key, did you mean mqtt.host? (doorward.toml:1)"),
        (
            "[cameras.porch]\nmotion_min_aera = 5",
            "cameras.porch.motion_min_aera: unknown key, did you mean cameras.porch.motion_min_area? (doorward.toml:2)",
        ),
        ("log.zzzzzz = 1", "log.zzzzzz: unknown key, known here: level, format (doorward.toml:1)"),
        ("\"a[9999999999]\" = 1", "unknown key \"a[9999999999]\" (doorward.toml:1)"),
        ("[mqtt]\n\"ho st\" = 1", "mqtt: unknown key \"ho st\" (doorward.toml:2)"),
    ];
    for (file, expected) in table {
        assert_eq!(faults_of(file), [*expected], "{file}");
    }
}

#[test]
fn every_key_misspelt_finds_its_way_back() {
    for key in KEYS {
        let path = key.path.replace('*', "porch");
        let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let swapped = format!("{}{}{}", &name[1..2], &name[..1], &name[2..]);
        for misspelt in [format!("{name}s"), swapped, name[..name.len() - 1].to_owned()] {
            let wrong = format!("{section}.{misspelt}");
            let wrong = wrong.trim_start_matches('.');
            if keys::find(wrong).is_some() {
                continue;
            }
            let lines = faults_of(&format!("{wrong} = 1"));
            assert_eq!(lines[0], format!("{wrong}: unknown key, did you mean {path}? (doorward.toml:1)"));
            // A target without its keys lacks some too.
            assert!(lines.len() == 1 || section.starts_with("notify."), "{lines:?}");
        }
    }
}

#[test]
fn all_mistakes_of_all_layers_are_told_at_once_in_order() {
    let mut case = Case::new()
        .file("data_dir = \"\"\n[mqtt]\nport = 70000\nprot = 1\n[cameras.porch]\nfps = 99\n[cameras.Bad]\nfps = 99")
        .env("DOORWARD__HTTP__MAX_VIEWERS", "many")
        .env("DOORWARD__MQTT__HOSTS", "h")
        .env("DOORWARD_MQTT__HOST", "h")
        .set("log.format=xml")
        .set("nonsense");
    case.sources.flags.http_bind = Some("here".to_owned());
    assert_eq!(
        case.lines(),
        [
            "data_dir = \"\": needs a path (doorward.toml:1)",
            "mqtt.port = 70000: out of range, allowed: 0 to 65535 (doorward.toml:3)",
            "mqtt.prot: unknown key, did you mean mqtt.port? (doorward.toml:4)",
            "cameras.porch.fps = 99: out of range, allowed: 1 to 60 frames per second (doorward.toml:6)",
            "cameras.Bad: the camera's id \"Bad\" needs 1 to 32 characters, only a-z, 0-9 and _ (doorward.toml:7)",
            "cameras.Bad.fps = 99: out of range, allowed: 1 to 60 frames per second (doorward.toml:8)",
            "unknown key, did you mean DOORWARD__MQTT__HOST? (environment variable DOORWARD_MQTT__HOST)",
            "http.max_viewers = \"many\": not a whole number, allowed: 1 to 1000 (environment variable DOORWARD__HTTP__MAX_VIEWERS)",
            "mqtt.hosts: unknown key, did you mean mqtt.host? (environment variable DOORWARD__MQTT__HOSTS)",
            "http.bind = \"here\": needs an IP address and a port, such as 127.0.0.1:1883 or 0.0.0.0:8420 (flag --http-bind)",
            "log.format = \"xml\": not known, allowed: text, json (flag --set log.format)",
            "needs KEY=VALUE, such as mqtt.host=192.168.1.2 (flag --set)",
        ]
    );
    let shown = case.load().unwrap_err().to_string();
    assert!(shown.starts_with("The configuration has 12 mistakes:\n  - data_dir"), "{shown}");
}

#[test]
fn a_broken_file_is_told_with_line_and_column_and_nothing_is_guessed() {
    let lines = faults_of("[mqtt]\nport = 70000\nhost = \n");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("not valid TOML at line 3, column 8"), "{lines:?}");
    let twice = faults_of("[mqtt]\nport = 1\nport = 2\n");
    assert!(twice[0].starts_with("not valid TOML at line 3, column 1: duplicate key"), "{twice:?}");
    for (bytes, expected) in [
        (b"\xff\xfe".as_slice(), "the configuration file is not UTF-8 text (doorward.toml)"),
        (
            &vec![b'#'; 2 << 20],
            "the configuration file is larger than 1 MiB; is the path right? (doorward.toml)",
        ),
    ] {
        assert_eq!(Case::new().file(bytes).lines(), [expected]);
    }
    let mut case = Case::new();
    case.sources.file = Some(PathBuf::from("/no/such.toml"));
    assert_eq!(
        case.lines(),
        ["the configuration file cannot be read: No such file or directory (os error 2) (/no/such.toml)"]
    );
}

#[test]
fn secrets_are_never_shown() {
    for file in [
        "mqtt.password = geheim",
        "mqtt.password = 'geheim",
        "mqtt.password = geheim'",
        "mqtt.password = geheim\nmqtt.password = geheim",
        "[mqtt]\npasswrd = \"geheim\"",
        "mqtt.password = [\"geheim\"]",
        "mqtt.password.geheim2 = \"geheim\"",
        "mqtt = \"geheim\"",
        "mqtt.password = \"geheim\"",
        "mqtt.password = \"geheim\"\nmqtt.password_file = \"/etc/hostname\"",
    ] {
        let faults = Case::new().file(file).load().unwrap_err();
        assert!(!format!("{faults} {faults:?}").contains("geheim"), "{faults}");
    }
    let case =
        Case::new().env("DOORWARD__MQTT__PASSWORD", "geheim").set("mqtt.password:geheim").set("geheim=1");
    let faults = case.load().unwrap_err().to_string();
    assert!(
        !faults.replace("geheim: unknown key", "").replace("--set geheim", "").contains("geheim"),
        "{faults}"
    );
    let good = Case::new().file("mqtt = { host = \"h\", username = \"u\", password = \"geheim\" }").good();
    assert!(!format!("{good:?}").contains("geheim"));
    assert_eq!(good.mqtt.server.unwrap().login.unwrap().password.unwrap().expose(), "geheim");
}

#[test]
fn a_variable_that_is_not_text_is_told() {
    use std::os::unix::ffi::OsStringExt;
    let mut case = Case::new();
    case.sources.env.push(("DOORWARD__NODE__NAME".into(), OsString::from_vec(vec![0xff])));
    case.sources.env.push((OsString::from_vec(b"DOORWARD__\xff".to_vec()), "x".into()));
    let lines = case.lines();
    assert_eq!(lines[0], "node.name: not UTF-8 text (environment variable DOORWARD__NODE__NAME)");
    assert!(lines[1].starts_with("unknown key (environment variable DOORWARD__"), "{lines:?}");
}

/// Bytes made from words of the language and from noise; a fixed seed, so that a failure can be repeated.
#[test]
fn random_text_is_refused_or_taken_but_never_a_panic() {
    const WORDS: [&str; 28] = [
        "[",
        "]",
        "[[",
        "=",
        "\n",
        "\"",
        "'",
        ".",
        ",",
        "{",
        "}",
        "#",
        " ",
        "mqtt",
        "cameras",
        "porch",
        "motion",
        "masks",
        "port",
        "host",
        "1e400",
        "-9223372036854775808",
        "0x7fffffffffffffff",
        "nan",
        "true",
        "\u{1F600}",
        "\u{0}",
        "1979-05-27",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let case = Case::new().file("");
    let path = case.sources.file.clone().unwrap();
    let (mut good, mut syntax, mut other) = (0, 0, 0);
    for round in 0..3000 {
        let mut bytes = Vec::new();
        for _ in 0..random(24) {
            match random(8) {
                0 => bytes.push(u8::try_from(random(256)).unwrap()),
                1 => {
                    let key = &KEYS[random(KEYS.len())];
                    bytes.extend(format!("\n{} = ", key.path.replace('*', "porch")).bytes());
                }
                _ => bytes.extend(WORDS[random(WORDS.len())].bytes()),
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut sources = case.sources.clone();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if round % 2 == 0 {
            // The same noise as the value of a key in the environment, and as a flag.
            let name = KEYS[random(KEYS.len())].path.replace('*', "porch").replace('.', "__").to_uppercase();
            sources.file = None;
            sources.env.push((format!("DOORWARD__{name}").into(), text.replace('\0', "").into()));
            sources.flags = Flags { set: vec![text], ..Flags::default() };
        }
        match load(&sources) {
            Ok(_) => good += 1,
            Err(faults) if faults.to_string().contains("not valid TOML") => syntax += 1,
            Err(_) => other += 1,
        }
    }
    assert!(good > 25 && syntax > 250 && other > 250, "the noise is one-sided: {good} {syntax} {other}");
}
