//! The page in a real browser: headless Chromium, driven through chromedriver's own HTTP protocol.
//!
//! Screenshots are left in the test's folder of the target directory, for people to look at. Not here: the server's answers
//! (`http.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorward::http::Limits;
use doorward::jpeg;
use doorward::logic::access::Role;
use doorward::logic::input::{FaceNews, FaceSighting, Input, MotionChange, MotionLook, MotionSighting};
use doorward::logic::picture::Rect;
use doorward::logic::state::Person;
use rig::ingress::{HomeAssistant, PREFIX, PROXY};
use rig::{CAMERA, PASSWORD, Rig, TOKEN, wait_for};
use serde_json::{Value, json};

/// The live picture and everything that has happened are there.
const SHOWING: &str = "document.querySelector('.view img')?.naturalWidth > 0 && document.querySelectorAll('.event').length === 6";

/// Chromium with its driver; both end with it.
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (apt-get install chromium chromium-driver)");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let started = lines.find(|line| line.contains("started successfully on port")).expect("it starts");
        let port: u16 = started.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut browser =
            Self { driver, address: ([127, 0, 0, 1], port).into(), session: String::new(), profile };
        let data = format!("--user-data-dir={}", browser.profile.path().display());
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", data] });
        let answer = browser.call(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            // A stream never ends, and so neither does loading the page.
            "pageLoadStrategy": "none",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } }),
        );
        browser.session = format!("/session/{}", answer["sessionId"].as_str().expect("a session"));
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" || method == "DELETE" { String::new() } else { body.to_string() };
        let path = format!("{}{path}", self.session);
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = rig::connect(self.address);
        // The first start of a browser on a busy machine takes a while.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let answer = rig::read_answer(&mut BufReader::new(stream), false).unwrap();
        let value = answer.json()["value"].clone();
        assert_eq!(answer.status, 200, "{path}: {value}");
        value
    }

    fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Fills a form and sends it.
    fn type_in(&self, form: &str, values: &[(&str, &str)]) {
        let values: serde_json::Map<String, Value> =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.run(&format!(
            "const form = document.getElementById('{form}');
             for (const [name, value] of Object.entries({})) {{
               form.elements[name].value = value;
               form.elements[name].dispatchEvent(new Event('input', {{ bubbles: true }}));
             }}
             form.requestSubmit()",
            Value::Object(values)
        ));
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn wait_until(&self, script: &str) {
        wait_for(script, || self.run(&format!("return Boolean({script})")) == json!(true));
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.call("POST", "/se/log", &json!({ "type": kind }));
        entries.as_array().unwrap().clone()
    }

    fn shoot(&self, name: &str, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media);
        let spill = self.run("return document.documentElement.scrollWidth - window.innerWidth");
        assert!(spill.as_i64().unwrap() <= 0, "{name}: the page is {spill} pixels too wide");
        std::thread::sleep(Duration::from_millis(300));
        let picture = self.call("GET", "/screenshot", &Value::Null);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), base64(picture.as_str().unwrap())).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.call("DELETE", "", &Value::Null);
        }
        // The group, so that no browser stays behind when the driver never came to know it.
        let _ = Command::new("kill").args(["--", &format!("-{}", self.driver.id())]).status();
        let _ = self.driver.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits =
            (0..4).fold(0u32, |bits, at| bits << 6 | u32::from(chunk.get(at).map_or(0, |c| value(*c))));
        bytes.extend(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8][..chunk.len() - 1]);
    }
    bytes
}

/// Pictures for the camera: the file named by the environment, else a drawn doorway at dusk.
fn pictures() -> Vec<Bytes> {
    if let Ok(path) = std::env::var("DOORWARD_TEST_PICTURE") {
        return vec![std::fs::read(path).unwrap().into()];
    }
    let (width, height) = (1280usize, 720usize);
    let draw = |step: usize| {
        let mut rgb = Vec::with_capacity(3 * width * height);
        for at in 0..width * height {
            let (x, y) = (at % width, at / width);
            let glow = 255usize.saturating_sub(x.abs_diff(640 + step) / 3 + y.abs_diff(250) / 2);
            let door = (520..760).contains(&x) && (180..600).contains(&y);
            let ground = y > 600;
            let base = if door {
                [120, 60, 40]
            } else if ground {
                [60, 64, 60]
            } else {
                [70, 84, 110]
            };
            rgb.extend(base.map(|channel: usize| (channel + glow / 2).min(255) as u8));
        }
        jpeg::encode_rgb(width, height, &rgb, 85).unwrap()
    };
    (0..4).map(|step| draw(step * 15)).collect()
}

fn happenings(rig: &Rig, picture: &Bytes) {
    let camera = || CAMERA.to_owned();
    let motion = |change, ago: u64, jpeg| Input::Motion {
        camera: camera(),
        sighting: MotionSighting {
            area_pct: 4.2,
            boxes: vec![Rect { x: 0.4, y: 0.3, w: 0.2, h: 0.5 }],
            change: Some(change),
            captured_at: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(),
            jpeg,
            look: MotionLook::default(),
        },
    };
    let face = |event_type, person: Option<(&str, &str)>, ago: u64| {
        let person = person.map(|(slug, name)| (slug.to_owned(), name.to_owned()));
        let news = FaceNews {
            event_type,
            person: person.clone(),
            record: serde_json::Map::new(),
            captured_at: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(),
            jpeg: Some(picture.clone()),
        };
        let known = person.into_iter().collect();
        Input::Faces {
            camera: camera(),
            sighting: FaceSighting {
                known,
                unknown: false,
                any: true,
                decisions: vec![news],
                ..FaceSighting::default()
            },
        }
    };
    for input in [
        motion(MotionChange::Suppressed { reason: "light_change" }, 900, None),
        motion(MotionChange::Started, 610, Some(picture.clone())),
        face("unknown", None, 605),
        motion(MotionChange::Ended { lasted: Duration::from_secs(12) }, 590, None),
        Input::People {
            people: [("anna".into(), Person { name: "Anna".into(), uuid: "1".into() })].into(),
            self_test: Arc::default(),
            is_complete: true,
        },
        motion(MotionChange::Started, 9, Some(picture.clone())),
        face("known", Some(("anna", "Anna")), 6),
        Input::EventSent { camera: camera(), latency_ms: 84 },
    ] {
        rig.inbox.tell(input);
    }
}

#[test]
fn the_page_works_in_a_browser() {
    let pictures = pictures();
    let rig = Rig::with_pictures(Limits::default(), 15.0, pictures.clone());
    happenings(&rig, &pictures[0]);
    let browser = Browser::start();
    let home = format!("http://{}/", rig.address);

    rig.user("anna", Role::Admin);
    browser.open(&format!("{home}?token={TOKEN}"));
    browser.wait_until("document.getElementById('user')");
    browser.shoot("sign-in-390", 390, 844, "light");
    browser.shoot("sign-in-1280-dark", 1280, 900, "dark");
    browser.wait_until(&format!("location.href === '{home}'"));
    browser.type_in("sign-in", &[("user", "anna"), ("password", "not that one")]);
    browser.wait_until("!document.querySelector('.fault').hidden && document.querySelector('.fault').textContent.includes('wrong')");
    browser.shoot("sign-in-wrong-390", 390, 844, "light");
    browser.log("browser");
    browser.type_in("sign-in", &[("user", "anna"), ("password", PASSWORD)]);
    browser.wait_until(SHOWING);
    assert_eq!(browser.run("return document.cookie"), json!(""), "scripts cannot read the cookie");
    browser.wait_until("[...document.querySelectorAll('.thumb img')].some(img => img.naturalWidth > 0)");
    for (name, width, height, scheme) in [
        ("page-390", 390, 844, "light"),
        ("page-390-dark", 390, 844, "dark"),
        ("page-1280", 1280, 900, "light"),
        ("page-1280-dark", 1280, 900, "dark"),
    ] {
        browser.shoot(name, width, height, scheme);
    }
    controls_work(&browser, &rig);
    browser.shoot("page-settings-1280", 1280, 1500, "light");
    browser.shoot("page-settings-390", 390, 2300, "light");

    let faults: Vec<_> =
        browser.log("browser").into_iter().filter(|entry| entry["level"] == "SEVERE").collect();
    let expected = |entry: &Value| entry["message"].as_str().unwrap().contains("entities/fps");
    assert!(faults.iter().all(expected), "{faults:?}");
    asks_nobody_else(&browser, &home);
    names_are_text(&browser, &rig);
    hiding_ends_the_stream(&browser, &rig);
}

/// From the first run with the pairing code to the second factor, users, tokens and the way out, as a person would.
#[test]
fn people_come_in_through_the_pages() {
    let pictures = pictures();
    let rig = Rig::with_pictures(Limits::default(), 15.0, pictures.clone());
    let browser = Browser::start();
    let home = format!("http://{}/", rig.address);
    browser.open(&format!("{home}#code={}", rig.pairing));
    browser.wait_until(&format!("document.getElementById('code')?.value === '{}'", rig.pairing));
    assert_eq!(browser.run("return location.href"), json!(home), "the code has left the address bar");
    browser.shoot("first-run-390", 390, 844, "light");
    browser.type_in(
        "set-up",
        &[("name", "anna"), ("password", "a lion in the yard"), ("again", "a lion in the yarn")],
    );
    browser.wait_until("document.querySelector('.fault').textContent.includes('not the same')");
    browser.shoot("first-run-1280-dark", 1280, 900, "dark");
    browser.type_in("set-up", &[("again", "a lion in the yard")]);
    browser.wait_until("document.querySelector('.view img')?.naturalWidth > 0");
    browser.wait_until("document.getElementById('account').textContent.includes('anna')");
    browser.shoot("page-signed-in-390", 390, 844, "light");
    browser.shoot("page-signed-in-1280", 1280, 900, "light");

    browser.run("document.getElementById('account').click()");
    browser.wait_until("document.getElementById('users')?.textContent.includes('anna')");
    assert_eq!(browser.run("return location.pathname"), json!("/status"));
    let secret = second_factor(&browser);
    users_and_tokens(&browser, &rig);
    browser.run("scrollTo(0, 0)");
    browser.shoot("status-390", 390, 2400, "light");
    browser.shoot("status-1280", 1280, 1250, "light");
    browser.shoot("status-1280-dark", 1280, 1250, "dark");

    browser.run("document.getElementById('sign-out').click()");
    browser.wait_until("document.getElementById('user')");
    browser.type_in("sign-in", &[("user", "anna"), ("password", "a lion in the yard")]);
    browser.wait_until("!document.getElementById('second').hidden");
    browser.shoot("sign-in-code-390", 390, 844, "dark");
    // The code of the next half minute: the one before was used up when it was confirmed.
    browser.type_in("sign-in", &[("code", &rig::totp_code(&secret, 1))]);
    browser.wait_until("document.querySelector('.view img')?.naturalWidth > 0");
    browser.run("document.getElementById('sign-out').click()");
    browser.wait_until("document.getElementById('user')");

    browser.type_in("sign-in", &[("user", "ben"), ("password", "three old grey cats")]);
    browser.wait_until("document.querySelector('.view img')?.naturalWidth > 0");
    browser.wait_until("document.body.classList.contains('looks')");
    browser.shoot("page-viewer-390", 390, 844, "light");
    browser.open(&format!("{home}status"));
    browser.wait_until("document.getElementById('you')?.textContent.includes('ben')");
    assert_eq!(
        browser.run("return [...document.querySelectorAll('[data-admin]')].some(card => !card.hidden)"),
        json!(false)
    );
    browser.shoot("status-viewer-390", 390, 844, "light");
    let faults: Vec<_> =
        browser.log("browser").into_iter().filter(|entry| entry["level"] == "SEVERE").collect();
    // The sign-in page itself comes with 401, and so does the question for the code; a password was too short on purpose.
    let expected = |entry: &Value| {
        let message = entry["message"].as_str().unwrap();
        message.contains("401") || message.contains("/api/v1/users -")
    };
    assert!(faults.iter().all(expected), "{faults:?}");
}

/// Turns the second factor on; its secret.
fn second_factor(browser: &Browser) -> String {
    browser.run("document.getElementById('factor-on').open = true");
    browser.type_in("begin", &[("password", "a lion in the yard")]);
    browser.wait_until("document.querySelector('#secret img').naturalWidth > 0");
    browser.run("document.getElementById('own').scrollIntoView()");
    browser.shoot("status-factor-390", 390, 844, "light");
    let secret = browser.run("return document.querySelector('#secret code').textContent");
    let secret = secret.as_str().unwrap().to_owned();
    browser.type_in("confirm", &[("code", &rig::totp_code(&secret, 0))]);
    browser.wait_until("document.querySelectorAll('#recovery li').length === 10");
    browser.wait_until("document.getElementById('factor').textContent.includes('is on')");
    secret
}

fn users_and_tokens(browser: &Browser, rig: &Rig) {
    let button = |list: &str, name: &str, label: &str| {
        browser.run(&format!(
            "const row = [...document.querySelectorAll('#{list} li')].find(row => row.textContent.includes('{name}'));
             [...row.querySelectorAll('button')].find(button => button.textContent === '{label}').click()"
        ));
    };
    browser.type_in("add", &[("name", "ben"), ("password", "short")]);
    browser.wait_until("document.querySelector('#add .fault').textContent.includes('10')");
    browser.type_in("add", &[("name", "ben"), ("password", "three old grey cats")]);
    browser.wait_until("document.getElementById('users').textContent.includes('ben')");
    button("users", "ben", "Lock");
    browser.wait_until("document.querySelector('#users .locked')");
    button("users", "ben", "Unlock");
    browser.wait_until("!document.querySelector('#users .locked')");
    browser.type_in(
        "make",
        &[("kind", "stream"), ("camera", CAMERA), ("name", "kitchen tablet"), ("ttl_s", "86400")],
    );
    browser.wait_until("!document.getElementById('made').hidden");
    let address = browser.run("return document.querySelector('#made code').textContent");
    let path = address.as_str().unwrap().strip_prefix(&format!("http://{}", rig.address)).unwrap().to_owned();
    rig::Mjpeg::open_path(rig.address, &path, "").unwrap().next().unwrap();
    browser.wait_until("document.getElementById('tokens').textContent.includes('kitchen tablet')");
    browser.type_in("make", &[("kind", "viewer"), ("camera", ""), ("name", "old"), ("ttl_s", "")]);
    browser.wait_until("document.getElementById('tokens').textContent.includes('old')");
    button("tokens", "old", "Revoke");
    button("tokens", "old", "Sure?");
    browser.wait_until("!document.getElementById('tokens').textContent.includes('old')");
    assert!(rig::Mjpeg::open_path(rig.address, &path, "").is_ok(), "the other one stays");
}

/// Below Home Assistant's path, inside its page, from another address than ours: with no token and no link that leaves.
#[test]
fn the_page_works_in_home_assistants_side_bar() {
    let pictures = pictures();
    let rig = Rig::behind(Some(PROXY), Limits::default(), 15.0, pictures.clone());
    happenings(&rig, &pictures[0]);
    let home = HomeAssistant::start(rig.address);
    let browser = Browser::start();
    browser.open(&format!("http://{}/", home.address));
    browser.wait_until("document.querySelector('iframe')");
    browser.call("POST", "/frame", &json!({ "id": 0 }));
    browser.wait_until(SHOWING);
    let inside = format!("http://{}{PREFIX}/", home.address);
    assert_eq!(browser.run("return location.href"), json!(inside));
    browser.wait_until("[...document.querySelectorAll('.thumb img')].some(img => img.naturalWidth > 0)");
    let frames = "const live = document.querySelector('.view img'); return live.src";
    assert!(
        browser.run(frames).as_str().unwrap().starts_with(&inside),
        "the live picture comes through the proxy"
    );
    controls_work(&browser, &rig);
    browser.shoot("side-bar-1280", 1280, 900, "light");
    browser.wait_until("document.getElementById('account').textContent.includes('Jürgen')");
    assert_eq!(browser.run("return document.getElementById('sign-out').hidden"), json!(true));
    browser.run("document.getElementById('account').click()");
    browser.wait_until("document.getElementById('you')?.textContent.includes('Home Assistant')");
    browser.wait_until("document.getElementById('users').textContent.includes('Nobody has an account')");
    assert_eq!(
        browser.run("return document.getElementById('own').hidden"),
        json!(true),
        "there is no password"
    );
    browser.shoot("side-bar-status-390", 390, 844, "dark");
    let faults: Vec<_> =
        browser.log("browser").into_iter().filter(|entry| entry["level"] == "SEVERE").collect();
    let expected = |entry: &Value| entry["message"].as_str().unwrap().contains("entities/fps");
    assert!(faults.iter().all(expected), "{faults:?}");
    assert_eq!(home.strays(), Vec::<String>::new(), "the page asks for nothing outside its own path");
}

/// Icon and logo of the app are what the browser makes of our drawings; with `DOORWARD_BLESS=1` they are written anew.
#[test]
fn the_pictures_of_the_app_are_rendered_from_their_drawings() {
    let browser = Browser::start();
    let clear = json!({ "color": { "r": 0, "g": 0, "b": 0, "a": 0 } });
    browser.devtools("Emulation.setDefaultBackgroundColorOverride", clear);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for (name, width, height) in [("icon", 128, 128), ("logo", 250, 100)] {
        browser.open(&format!("file://{}", root.join(format!("assets/brand/{name}.svg")).display()));
        browser.wait_until(&format!(
            "document.readyState === 'complete' && document.documentElement.getAttribute('width') === '{width}'"
        ));
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let shot = browser.devtools("Page.captureScreenshot", json!({ "format": "png", "clip": clip }));
        let drawn = image::load_from_memory(&base64(shot["data"].as_str().unwrap())).unwrap().to_rgba8();
        let path = root.join(format!("ha-addon/doorward/{name}.png"));
        if std::env::var_os("DOORWARD_BLESS").is_some_and(|bless| bless == "1") {
            drawn.save(&path).unwrap();
        }
        let kept = image::open(&path).unwrap().to_rgba8();
        assert_eq!(kept.dimensions(), drawn.dimensions(), "{name}");
        let differ = kept.iter().zip(drawn.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        // Another browser may round the edges otherwise.
        let mean = differ as f64 / f64::from(4 * width * height);
        assert!(
            mean < 2.0,
            "{name}.png is not its drawing (off by {mean:.2}); run this with DOORWARD_BLESS=1"
        );
    }
}

/// Whatever our page asked for, it asked of us.
fn asks_nobody_else(browser: &Browser, home: &str) {
    let mut n_requests = 0;
    for entry in browser.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        let (method, about) = (&message["message"]["method"], &message["message"]["params"]);
        // The browser's own start page asks for things too.
        let is_ours = about["documentURL"].as_str().is_some_and(|url| url.starts_with(home));
        if method == "Network.requestWillBeSent" && is_ours {
            let url = about["request"]["url"].as_str().unwrap();
            assert!(url.starts_with(home) || url.starts_with("data:"), "a request to {url}");
            n_requests += 1;
        }
    }
    assert!(n_requests > 5, "{n_requests} requests were seen");
}

/// Names come from people and folders, so they may hold anything.
fn names_are_text(browser: &Browser, rig: &Rig) {
    let name = "<img src=x id=evil><script>document.title = 'evil'</script>";
    let person = ("eve".to_owned(), name.to_owned());
    let news = FaceNews {
        event_type: "known",
        person: Some(person.clone()),
        record: serde_json::Map::new(),
        captured_at: Instant::now(),
        jpeg: None,
    };
    let sighting = FaceSighting {
        known: vec![person],
        unknown: false,
        any: true,
        decisions: vec![news],
        ..FaceSighting::default()
    };
    rig.inbox.tell(Input::Faces { camera: CAMERA.into(), sighting });
    browser.wait_until("document.querySelector('.event .title').textContent.includes('<script>')");
    browser.wait_until("document.querySelector('.line').textContent.includes('<script>')");
    assert_eq!(browser.run("return document.querySelectorAll('#evil').length"), json!(0));
    assert_eq!(browser.run("return document.title"), json!("Doorward"));
}

fn controls_work(browser: &Browser, rig: &Rig) {
    let setting = |key: &str| {
        let state = rig.state.borrow().clone();
        doorward::logic::entities::camera_entity(key).unwrap().state(&state.cameras[CAMERA]).unwrap()
    };
    let click = |id: &str| browser.run(&format!("document.getElementById('porch-{id}').click()"));
    assert_eq!(setting("mqtt_pictures"), "ON");
    click("mqtt_pictures");
    wait_for("the switch to reach the state", || setting("mqtt_pictures") == "OFF");
    rig::put(rig, "mqtt_pictures", "ON");
    browser.wait_until("document.getElementById('porch-mqtt_pictures').checked");
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true })");
    let type_in = |value: &str| {
        browser.run(&format!(
            "const box = document.getElementById('porch-fps'); box.value = '{value}'; box.dispatchEvent(new Event('change'))"
        ))
    };
    type_in("12");
    wait_for("the number to reach the state", || setting("fps") == "12");
    type_in("900");
    browser.wait_until("[...document.querySelectorAll('.fault')].some(fault => !fault.hidden && fault.textContent.includes('outside'))");
    browser.wait_until("document.getElementById('porch-fps').value === '12'");
    assert_eq!(setting("fps"), "12");
    browser.run("document.querySelector('.primary').click()");
    wait_for("the snapshot", || {
        rig.state.borrow().recent.front().is_some_and(|event| event.event_type == "snapshot")
    });
    browser.wait_until("document.querySelectorAll('.event').length === 7");
    browser.run("document.querySelector('button.event').click()");
    browser.wait_until("document.querySelector('dialog img').naturalWidth > 0");
    browser.shoot("event-390", 390, 844, "dark");
    browser.run("document.querySelector('dialog').close()");
}

/// A page in the background must not hold a stream.
fn hiding_ends_the_stream(browser: &Browser, rig: &Rig) {
    wait_for("one viewer", || rig.hub.watching() == 1);
    let hide = |hidden: bool| {
        browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'))"
        ))
    };
    hide(true);
    wait_for("no viewer", || rig.hub.watching() == 0);
    hide(false);
    wait_for("the viewer again", || rig.hub.watching() == 1);
}
