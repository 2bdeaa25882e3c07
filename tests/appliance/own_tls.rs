//! TLS of the appliance's own ports, with the certificate that it makes and with the owner's, seen by curl and mosquitto_pub.
//!
//! Not here: TLS towards other brokers (`tls.rs`).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use doorward::app::App;
use rcgen::{CertificateParams, KeyPair};

use crate::kit::{Home, configuration, until, wait_for_log};
use crate::observer::tool;

const CAMERA: [&str; 2] = ["cameras.porch.source=demo", "cameras.porch.privacy=true"];

/// Whether curl trusts the page, and mosquitto_pub the broker, by that certificate.
fn trusted(home: &Home, certificate: &Path) -> (bool, bool) {
    let mut curl = tool("curl");
    curl.args(["--silent", "--max-time", "20", "--cacert"]).arg(certificate);
    let page = curl.arg(format!("https://{}/healthz", home.facts.http)).output().expect("curl runs");
    let mut publish = home.door().client("mosquitto_pub");
    publish.arg("--cafile").arg(certificate).args(["-t", "elsewhere/x", "-m", "x", "-q", "1"]);
    let broker = publish.output().expect("mosquitto_pub runs");
    (page.stdout == b"ok\n" || page.stdout.starts_with(b"ok"), broker.status.success())
}

#[test]
fn the_first_run_makes_a_certificate_that_stays() {
    let home = Home::embedded(&CAMERA);
    let folder = home.data.path().join("tls");
    let mode = std::fs::metadata(folder.join("key.pem")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let fingerprint = home.facts.certificate.fingerprint.clone();
    wait_for_log(&["INFO", "self-signed", "127.0.0.1", "localhost", "test.local", &fingerprint]);
    assert_eq!(trusted(&home, &folder.join("cert.pem")), (true, true));
    // Only this machine can come, and it needs no TLS.
    assert!(home.facts.url.starts_with("http://127.0.0.1:"));
    let home = home.restart();
    assert_eq!(home.facts.certificate.fingerprint, fingerprint);
}

/// A new pair; the file of its certificate is also kept under another name.
fn put(folder: &Path, name: &str) -> PathBuf {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let copy = folder.join(name);
    for (file, text) in [(&copy, &certificate), (&folder.join("own.pem"), &certificate)] {
        std::fs::write(file, text).expect("a file");
    }
    std::fs::write(folder.join("own.key"), key.serialize_pem()).expect("a file");
    copy
}

#[test]
fn the_owners_pair_is_taken_and_a_new_one_while_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = put(folder.path(), "first.pem");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let own = [format!("tls.cert_file={}", file("own.pem")), format!("tls.key_file={}", file("own.key"))];
    let home = Home::embedded(&[&CAMERA[..], &[&own[0], &own[1]]].concat());
    assert_eq!(trusted(&home, &first), (true, true));
    assert!(!home.data.path().join("tls").exists(), "none of our own is made");

    let second = put(folder.path(), "second.pem");
    until("the second pair", || (trusted(&home, &second) == (true, true)).then_some(()));
    assert_eq!(trusted(&home, &first), (false, false));
    wait_for_log(&["INFO", "read anew"]);

    std::fs::write(folder.path().join("own.key"), "damaged").expect("a file");
    wait_for_log(&["WARN", "the one before stays", "own.key"]);
    assert_eq!(trusted(&home, &second), (true, true));
    drop(home);

    // At a start it is a mistake, told before anything runs.
    let data = tempfile::tempdir().expect("a folder");
    let Err(error) = App::start(&configuration(data.path(), &own)) else {
        panic!("a start with a damaged key")
    };
    assert!(error.to_string().contains("tls.key_file"), "{error:#}");
}
