//! MQTT over TLS on the one port: stock clients, client certificates, and who may do without.
//!
//! Not here: the certificate itself (`src/tls`).

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use doorward::broker::{Limits, Settings};
use doorward::logic::addresses::{Addresses, List};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use tokio::net::TcpSocket;

use crate::kit::{
    CLIENT, Hello, Kit, Raw, ca_file, mosquitto_pub, mosquitto_pub_as, mosquitto_sub, mosquitto_sub_start,
    paho, paho_over, settings,
};

/// An authority of somebody's own, in a folder.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named(&["Authority"]);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a client whose subject has these common names; the files of certificate and key.
    fn issue(&self, file: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["client.test".into()]).unwrap();
        params.distinguished_name = named(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [cert_file, key_file] =
            ["pem", "key"].map(|ending| self.folder.path().join(format!("{file}.{ending}")));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }
}

fn named(names: &[&str]) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for name in names {
        subject.push(DnType::CommonName, *name);
    }
    subject
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn with(certificate: &(PathBuf, PathBuf)) -> [(&'static str, &Path); 3] {
    [("CAFILE", ca_file()), ("CERT", &certificate.0), ("KEY", &certificate.1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_speak_tls_and_plain_on_one_port() {
    let kit = Kit::new().await;
    for scene in ["alive", "wrong_password", "large", "order"] {
        let outcome = paho_over(kit.port, scene, &[], &[("CAFILE", ca_file())]).await;
        assert_eq!(outcome.ok(), "ok\n", "{scene}");
    }
    for (listener, speaker) in [("311", "5"), ("5", "311")] {
        let topic = format!("tls/{listener}");
        let tls = ["--cafile", text(ca_file()), "-t", &topic];
        mosquitto_pub(kit.port, speaker, &[&tls[..], &["-r", "-q", "1", "-m", "sealed"]].concat()).await.ok();
        let heard = mosquitto_sub(kit.port, listener, &[&tls[..], &["-C", "1"]].concat()).await.ok();
        assert_eq!(heard, "sealed\n");
        // The same over plain TCP.
        assert_eq!(mosquitto_sub(kit.port, listener, &["-t", &topic, "-C", "1"]).await.ok(), "sealed\n");
    }
    // A client that does not know the certificate does not talk.
    let foreign = Authority::new();
    let strange = foreign.file();
    let args = ["--cafile", text(&strange), "-t", "x", "-m", "y"];
    assert_ne!(mosquitto_pub(kit.port, "5", &args).await.code, Some(0));
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_listed_authority_needs_no_password() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let kit = Kit::trusting(&ours.file()).await;
    let kitchen = ours.issue("kitchen", &["kitchen"]);
    assert_eq!(paho_over(kit.port, "certificate", &[], &with(&kitchen)).await.ok(), "ok\n");
    let shown = ["--cafile", text(ca_file()), "--cert", text(&kitchen.0), "--key", text(&kitchen.1)];
    for version in ["311", "5"] {
        // Some clients cannot leave out the password; one that is wrong does no harm beside the certificate.
        let args = [&shown[..], &["-t", "x", "-m", "y"]].concat();
        mosquitto_pub_as(("anybody", "wrong"), kit.port, version, &args).await.ok();
    }
    assert_eq!(paho_over(kit.port, "alive", &[], &[("CAFILE", ca_file())]).await.ok(), "ok\n", "by password");
    assert_eq!(kit.broker.stats().refused_logins, 0);
    for (file, names) in
        [("none", &[][..]), ("empty", &[" "]), ("appliance", &["doorward"]), ("line", &["two\nlines"])]
    {
        let certificate = ours.issue(file, names);
        assert_eq!(paho_over(kit.port, "refused", &[], &with(&certificate)).await.ok(), "ok\n", "{names:?}");
    }
    assert_eq!(kit.broker.stats().refused_logins, 8);
    let stranger = foreign.issue("kitchen", &["kitchen"]);
    assert_eq!(paho_over(kit.port, "no_handshake", &[], &with(&stranger)).await.ok(), "ok\n");
    assert_eq!(paho_over(kit.port, "wrong_password", &[], &[("CAFILE", ca_file())]).await.ok(), "ok\n");
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_takes_over_nobody_elses_session() {
    let ours = Authority::new();
    let kit = Kit::trusting(&ours.file()).await;
    let kitchen = ours.issue("kitchen", &["kitchen"]);
    let mut other = kit.client(5, "same").await;
    let tls = ["--cafile", text(ca_file()), "--cert", text(&kitchen.0), "--key", text(&kitchen.1)];
    mosquitto_pub(kit.port, "5", &[&tls[..], &["-i", "same", "-t", "x", "-m", "y"]].concat()).await.ok();
    assert!(other.ping().await.is_empty(), "the client with that id and another user stays");
    kit.broker.stop().await;
}

/// An address of this machine that is not a loopback one. Connecting from there to a loopback address, we look like another machine.
fn elsewhere() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").expect("this test needs a network interface besides the loopback");
    socket.local_addr().unwrap().ip()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_plain_other_machines_need_tls() {
    for plain in [true, false] {
        // The machine that runs the tests may have any address.
        let addresses = Addresses { allow: List::parse("all").unwrap(), ..Addresses::default() };
        let kit = Kit::start(Settings { plain, addresses, ..settings(Limits::default()) }).await;
        for version in [4, 5] {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(elsewhere(), 0)).unwrap();
            let socket = socket.connect(SocketAddr::from(([127, 0, 0, 1], kit.port))).await.unwrap();
            let mut raw = Raw { socket, version };
            let connack = raw.greet(&Hello { login: Some(CLIENT), ..Hello::new("far") }).await;
            let refusal = if version == 4 { 5 } else { 0x87 };
            assert_eq!(connack[3], if plain { 0 } else { refusal }, "plain = {plain}, version {version}");
            if !plain {
                raw.assert_last_word(None).await;
            }
        }
        let bind = elsewhere().to_string();
        let args = ["-A", &bind, "--cafile", text(ca_file()), "-t", "x", "-m", "y"];
        mosquitto_pub(kit.port, "5", &args).await.ok();
        assert_eq!(kit.broker.stats().refused_logins, if plain { 0 } else { 2 });
        // This machine itself.
        kit.assert_alive().await;
        kit.broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_ipv4_and_ipv6_is_served() {
    let kit = Kit::start(Settings { bind: "[::]:0".parse().unwrap(), ..settings(Limits::default()) }).await;
    let last = ["-t", "six", "-m", "y", "-q", "1"];
    for host in ["127.0.0.1", "::1", "localhost"] {
        let address = ["-h", host, "--cafile", text(ca_file())];
        mosquitto_pub(kit.port, "5", &[&address[..], &last].concat()).await.ok();
        mosquitto_pub(kit.port, "311", &[&address[..2], &last].concat()).await.ok();
    }
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_subscriber_that_stops_reading_is_cut_and_stopping_tells_the_others() {
    let limits = Limits { write_time: Duration::from_secs(2), ..Limits::default() };
    let kit = Kit::with(limits).await;
    let tls = ["--cafile", text(ca_file())];
    let stalled = mosquitto_sub_start(kit.port, "5", &[&tls[..], &["-t", "flood", "-q", "0"]].concat());
    let polite = mosquitto_sub_start(kit.port, "5", &[&tls[..], &["-d", "-t", "quiet"]].concat());
    kit.until("both are there", |stats| stats.filters == 2).await;
    stalled.signal("-STOP");
    let mut loud = kit.client(5, "loud").await;
    let payload = vec![7; 1 << 20];
    let begin = Instant::now();
    while kit.broker.stats().connections == 3 {
        assert!(begin.elapsed() < Duration::from_secs(25), "still there: {:?}", kit.broker.stats());
        loud.publish("flood", &payload, 0).await;
        loud.ping().await;
    }
    stalled.signal("-CONT");
    kit.broker.stop().await;
    let told = polite.finish().await;
    // 139 is "server shutting down".
    assert!(told.stdout.contains("Received DISCONNECT (139)"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_comes_to_nothing_harms_nobody() {
    let kit = Kit::new().await;
    let mut strangers = Vec::new();
    for n in 0..200u8 {
        let mut tls = Raw::open(kit.port, 4).await;
        // Garbage after the first byte, and the beginning of a hello that never ends.
        let bytes: &[u8] = if n % 2 == 0 { &[0x16, 3, 1, 0, 4, 9, 9, 9, 9] } else { &[0x16, 3, 1, 2, 0, 1] };
        tls.send(bytes).await;
        strangers.push(tls);
    }
    assert_eq!(paho(kit.port, "alive", &[]).await.ok(), "ok\n");
    assert_eq!(paho_over(kit.port, "alive", &[], &[("CAFILE", ca_file())]).await.ok(), "ok\n");
    kit.broker.stop().await;
}
