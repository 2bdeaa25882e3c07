//! TLS towards a Mosquitto with an authority of its own, and what is said when there is no trust.

use std::path::{Path, PathBuf};

use crate::kit::{Home, Mosquitto, t, wait_for_log};
use crate::observer::{run_with_input, tool};

/// Certificates made by the system's `openssl`, in a folder of their own.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Self { folder };
        let ca = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test authority", "-days", "2"];
        let (key, cert) = (authority.file("ca.key"), authority.file("ca.pem"));
        let constraints = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        openssl("req", &[&ca[..], &["-keyout", &key, "-out", &cert], &constraints].concat());
        authority
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for `name` with these alternative names.
    fn issue(&self, name: &str, alternative: &str) {
        let file = |ending: &str| self.file(&format!("{name}.{ending}"));
        let request = ["-newkey", "rsa:2048", "-nodes", "-subj", &format!("/CN={name}")];
        openssl("req", &[&request[..], &["-keyout", &file("key"), "-out", &file("csr")]].concat());
        std::fs::write(self.path(&format!("{name}.ext")), format!("subjectAltName={alternative}\n"))
            .expect("a file");
        let (ca, key) = (self.file("ca.pem"), self.file("ca.key"));
        let sign = ["-req", "-in", &file("csr"), "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-days", "2"];
        openssl("x509", &[&sign[..], &["-out", &file("pem"), "-extfile", &file("ext")]].concat());
    }
}

fn openssl(command: &str, options: &[&str]) {
    let mut program = tool("openssl");
    program.arg(command).args(options);
    let output = run_with_input(program, b"");
    assert!(output.status.success(), "openssl {command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn camera() -> [&'static str; 2] {
    ["cameras.porch.source=demo", "cameras.porch.privacy=true"]
}

fn is_online(broker: &Mosquitto, authority: &Authority) {
    // The observer enters as the appliance does.
    let mut watch = broker.door.client("mosquitto_sub");
    watch.args(["--cafile", &authority.file("ca.pem"), "-t", &t("status"), "-C", "1", "-W", "20"]);
    watch.args(["--cert", &authority.file("client.pem"), "--key", &authority.file("client.key")]);
    let output = watch.output().expect("mosquitto_sub runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "online",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn set(key: &str, path: &Path) -> String {
    format!("mqtt.{key}={}", path.display())
}

#[test]
fn tls_with_an_own_authority_and_without_trust() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    ours.issue("server", "IP:127.0.0.1,DNS:localhost");
    ours.issue("client", "DNS:doorward");
    foreign.issue("client", "DNS:doorward");
    let certificates = format!(
        "cafile {}\ncertfile {}\nkeyfile {}\n",
        ours.file("ca.pem"),
        ours.file("server.pem"),
        ours.file("server.key")
    );
    let broker = Mosquitto::start(&certificates);
    let asking = Mosquitto::start(&format!("{certificates}require_certificate true\n"));
    let start = |broker: &Mosquitto, more: &[String]| {
        let sets: Vec<&str> =
            camera().into_iter().chain(["mqtt.tls=true"]).chain(more.iter().map(String::as_str)).collect();
        Home::external(&broker.door, &sets)
    };
    let trust = set("ca_file", &ours.path("ca.pem"));
    let client = |authority: &Authority| {
        [
            set("client_cert_file", &authority.path("client.pem")),
            set("client_key_file", &authority.path("client.key")),
        ]
    };

    let home = start(&broker, std::slice::from_ref(&trust));
    is_online(&broker, &ours);
    drop(home);

    let port = format!("127.0.0.1:{}", broker.door.port);
    let home = start(&broker, &[set("ca_file", &foreign.path("ca.pem"))]);
    let line = wait_for_log(&["WARN", "no secure connection to", &port]);
    assert!(line.contains("certificate"), "{line}");
    assert!(!home.state().node.mqtt_connected);
    drop(home);

    let port = asking.door.port.to_string();
    let [cert, key] = client(&ours);
    let home = start(&asking, &[trust.clone(), cert, key]);
    is_online(&asking, &ours);
    drop(home);

    let [cert, key] = client(&foreign);
    let home = start(&asking, &[trust, cert, key]);
    let line = wait_for_log(&["WARN", "MQTT", &port]);
    println!("a foreign client certificate: {line}");
    assert!(!home.state().node.mqtt_connected);
}
