//! A broker on a port of its own, a client made of raw bytes, and stock clients under a deadline.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use doorward::broker::{self, Broker, Limits, Ours, Role, Settings, User};
use doorward::logic::addresses::Addresses;
use doorward::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const BASE: &str = "doorward/n1";
pub(crate) const CLIENT: (&str, &str) = ("ha", "client-secret");
pub(crate) const APPLIANCE: (&str, &str) = ("doorward", "appliance-secret");
/// No step of a test takes longer on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn settings(limits: Limits) -> Settings {
    let user =
        |(name, password): (&str, &str), role| User { name: name.into(), password: password.into(), role };
    Settings {
        bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        addresses: Addresses::default(),
        users: vec![user(APPLIANCE, Role::Appliance), user(CLIENT, Role::Client)],
        ours: Ours {
            base: BASE.into(),
            discovery: "homeassistant".into(),
            device_prefix: "doorward_".into(),
        },
        limits,
    }
}

pub(crate) struct Kit {
    pub(crate) broker: Broker,
    pub(crate) port: u16,
}

impl Kit {
    pub(crate) async fn new() -> Kit {
        Kit::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Kit {
        let broker = broker::start(settings(limits), Shutdown::new()).await.unwrap();
        let port = broker.local_addr().port();
        Kit { broker, port }
    }

    /// A client with a clean session and keep-alive 60 that was let in.
    pub(crate) async fn client(&self, version: u8, id: &str) -> Raw {
        self.client_as(CLIENT, version, id).await
    }

    pub(crate) async fn client_as(&self, login: (&str, &str), version: u8, id: &str) -> Raw {
        let mut raw = Raw::open(self.port, version).await;
        let connack = raw.greet(&Hello { login: Some(login), ..Hello::new(id) }).await;
        assert_eq!(connack[3], 0, "{connack:x?}");
        raw
    }

    /// Waits until a figure is as it should be.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&broker::Stats) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(&self.broker.stats()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.broker.stats());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Proves with stock clients that the broker delivers, live and retained, between both versions.
    pub(crate) async fn assert_alive(&self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        for (subscriber, publisher) in [("311", "5"), ("5", "311")] {
            let topic = format!("alive/{n}/{subscriber}");
            mosquitto_pub(self.port, publisher, &["-r", "-q", "1", "-t", &topic, "-m", "yes"]).await.ok();
            let heard = mosquitto_sub(self.port, subscriber, &["-t", &topic, "-C", "1"]).await;
            assert_eq!(heard.ok(), "yes\n");
        }
        assert_eq!(paho(self.port, "alive", &[]).await.ok(), "ok\n");
        assert!(!self.broker.stats().router_failed);
    }
}

/// What a CONNECT says.
pub(crate) struct Hello<'a> {
    pub(crate) id: &'a str,
    pub(crate) login: Option<(&'a str, &'a str)>,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    /// Topic, payload, flags (QoS and retain bits of CONNECT).
    pub(crate) will: Option<(&'a str, &'a str, u8)>,
    /// MQTT 5 properties without their length.
    pub(crate) properties: &'a [u8],
    /// MQTT 5 will properties without their length.
    pub(crate) will_properties: &'a [u8],
}

impl<'a> Hello<'a> {
    pub(crate) fn new(id: &'a str) -> Hello<'a> {
        Hello {
            id,
            login: Some(CLIENT),
            clean: true,
            keep_alive: 60,
            will: None,
            properties: &[],
            will_properties: &[],
        }
    }

    pub(crate) fn bytes(&self, level: u8) -> Vec<u8> {
        let mut body = vec![0, 4];
        body.extend(b"MQTT");
        body.push(level);
        let will = self.will.map_or(0, |(_, _, flags)| 4 | flags);
        body.push(u8::from(self.clean) << 1 | will | if self.login.is_some() { 0xc0 } else { 0 });
        body.extend(self.keep_alive.to_be_bytes());
        if level == 5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend(self.properties);
        }
        body.extend(text(self.id));
        if let Some((topic, payload, _)) = self.will {
            if level == 5 {
                body.push(u8::try_from(self.will_properties.len()).unwrap());
                body.extend(self.will_properties);
            }
            body.extend(text(topic));
            body.extend(text(payload));
        }
        if let Some((name, password)) = self.login {
            body.extend(text(name));
            body.extend(text(password));
        }
        packet(0x10, &body)
    }
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left % 128).unwrap();
        left /= 128;
        bytes.push(if left > 0 { low | 128 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A client made of bytes.
pub(crate) struct Raw {
    pub(crate) socket: TcpStream,
    pub(crate) version: u8,
}

impl Raw {
    pub(crate) async fn open(port: u16, version: u8) -> Raw {
        Raw { socket: TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap(), version }
    }

    /// Sends CONNECT and returns the CONNACK.
    pub(crate) async fn greet(&mut self, hello: &Hello<'_>) -> Vec<u8> {
        self.send(&hello.bytes(self.version)).await;
        self.read().await.expect("a CONNACK")
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // A broker that has closed meanwhile is found out by the next read.
        let _ = self.socket.write_all(bytes).await;
    }

    /// The next packet; none when the broker closed.
    pub(crate) async fn read(&mut self) -> Option<Vec<u8>> {
        tokio::time::timeout(PATIENCE, self.read_packet()).await.expect("a packet or the end in time")
    }

    async fn read_packet(&mut self) -> Option<Vec<u8>> {
        let first = self.socket.read_u8().await.ok()?;
        let mut bytes = vec![first];
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.socket.read_u8().await.ok()?;
            bytes.push(byte);
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 {
                break;
            }
        }
        let at = bytes.len();
        bytes.resize(at + length, 0);
        self.socket.read_exact(&mut bytes[at..]).await.ok()?;
        Some(bytes)
    }

    /// Asserts that the broker says this and then closes.
    pub(crate) async fn assert_last_word(&mut self, expected: Option<&[u8]>) {
        if let Some(expected) = expected {
            assert_eq!(self.read().await.as_deref(), Some(expected));
        }
        assert_eq!(self.read().await, None);
    }

    fn no_properties(&self) -> &'static [u8] {
        if self.version == 5 { &[0] } else { &[] }
    }

    /// Subscribes and returns the code of the SUBACK.
    pub(crate) async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        let mut body = vec![0, 9];
        body.extend(self.no_properties());
        body.extend(text(filter));
        body.push(options);
        self.send(&packet(0x82, &body)).await;
        let suback = self.read().await.expect("a SUBACK");
        assert_eq!((suback[0], &suback[2..4]), (0x90, &[0, 9][..]), "{suback:x?}");
        *suback.last().unwrap()
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], flags: u8) {
        let mut body = text(topic);
        if flags & 6 != 0 {
            body.extend([0, 7]);
        }
        body.extend(self.no_properties());
        body.extend(payload);
        self.send(&packet(0x30 | flags, &body)).await;
    }

    /// Sends PINGREQ and reads up to PINGRESP: everything sent before was handled. Returns what came in between.
    pub(crate) async fn ping(&mut self) -> Vec<Vec<u8>> {
        self.send(&[0xc0, 0]).await;
        let mut between = Vec::new();
        loop {
            let packet = self.read().await.expect("an answer to PINGREQ");
            if packet == [0xd0, 0] {
                return between;
            }
            between.push(packet);
        }
    }

    /// Closes with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// What a stock client did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Its output, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}

/// A process that ends with the test.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running(Some(child.unwrap_or_else(|error| panic!("this test needs {program}: {error}"))))
    }

    /// Waits for its end; kills it after the deadline, which fails the caller because there is no exit code then.
    pub(crate) async fn finish(mut self) -> Outcome {
        let child = self.0.take().unwrap();
        tokio::task::spawn_blocking(move || finish(child)).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn finish(mut child: Child) -> Outcome {
    fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let (stdout, stderr) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
    let deadline = Instant::now() + 2 * PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            break child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Outcome { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn mosquitto(program: &str, port: u16, version: &str, login: (&str, &str), args: &[&str]) -> Running {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version, "-u", login.0, "-P", login.1]);
    Running::start(command.args(args))
}

pub(crate) async fn mosquitto_pub(port: u16, version: &str, args: &[&str]) -> Outcome {
    mosquitto("mosquitto_pub", port, version, CLIENT, args).finish().await
}

pub(crate) async fn mosquitto_pub_as(
    login: (&str, &str),
    port: u16,
    version: &str,
    args: &[&str],
) -> Outcome {
    mosquitto("mosquitto_pub", port, version, login, args).finish().await
}

pub(crate) async fn mosquitto_sub(port: u16, version: &str, args: &[&str]) -> Outcome {
    mosquitto_sub_start(port, version, args).finish().await
}

/// A subscriber that runs on; it gives up by itself after the patience of the tests.
pub(crate) fn mosquitto_sub_start(port: u16, version: &str, args: &[&str]) -> Running {
    let mut all = vec!["-W", "30"];
    all.extend(args);
    mosquitto("mosquitto_sub", port, version, CLIENT, &all)
}

/// Runs one scene of `tests/py/broker_client.py`.
pub(crate) async fn paho(port: u16, scene: &str, args: &[&str]) -> Outcome {
    let python = std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/py/broker_client.py"));
    command.args([&port.to_string(), CLIENT.0, CLIENT.1, scene]).args(args);
    Running::start(&mut command).finish().await
}
