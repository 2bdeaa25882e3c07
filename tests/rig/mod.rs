//! The real HTTP server on a free port, with real hubs and a real appliance behind it, and a plain client.
//!
//! Not here: assertions. The cameras are hubs into which a thread publishes JPEGs.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the rig")]

pub mod ingress;
pub mod log;
pub mod proxy;
pub mod tls;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorward::archive::{self, Archive};
use doorward::audit;
use doorward::door::{self, Door};
use doorward::frame::{Frame, Raw};
use doorward::http::{self, Limits, Parts};
use doorward::hub::Hub;
use doorward::inbox::{Inbox, Reply, Request};
use doorward::jpeg;
use doorward::logic::access::Role;
use doorward::logic::accounts::{Origin, Request as AccessRequest, SelfService, Settings};
use doorward::logic::addresses::Addresses;
use doorward::logic::appliance::{Appliance, CameraPlan, Plan};
use doorward::logic::command;
use doorward::logic::effect::{CameraOrder, Effect};
use doorward::logic::input::{CameraNews, Input, Now};
use doorward::logic::problem::Problem;
use doorward::logic::state::{NodeState, Opened, State};
use doorward::logic::topics::Topics;
use doorward::shutdown::Shutdown;
use doorward::store::AccountsFile;
use doorward::tls::{Keeper, Source};
use tokio::sync::watch;

pub const TOKEN: &str = "9f2c4b7e1d8a4c03b5e6f7a8091b2c3d";
pub const CAMERA: &str = "porch";
/// Of every user of the rig.
pub const PASSWORD: &str = "correct horse battery";

/// A running server. Dropping it stops everything.
pub struct Rig {
    pub address: SocketAddr,
    pub hub: Arc<Hub>,
    pub inbox: Inbox,
    pub state: watch::Receiver<Arc<State>>,
    pub shutdown: Shutdown,
    pub run_dir: tempfile::TempDir,
    /// None once the rig has stopped: the door's thread ends with the last door.
    door: Option<Arc<Door>>,
    /// The pairing code, while there is no user.
    pub pairing: String,
    /// Looks after the certificate when it is told to.
    pub keeper: Keeper,
    runtime: Option<tokio::runtime::Runtime>,
    serve: Option<tokio::task::JoinHandle<io::Result<()>>>,
    threads: Vec<JoinHandle<()>>,
}

pub fn now() -> Now {
    Now { instant: Instant::now(), wall: jiff::Timestamp::now() }
}

/// A picture of about 100 kB with structure and noise.
pub fn noisy_picture(seed: u32) -> Bytes {
    let (width, height) = (640, 480);
    let mut dice = seed | 1;
    let mut rgb = Vec::with_capacity(3 * width * height);
    for at in 0..width * height {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        let noise = (dice & 63) as u8;
        rgb.extend([
            (at % width * 180 / width) as u8 + noise,
            90 + noise,
            (at / width * 180 / height) as u8 + noise,
        ]);
    }
    jpeg::encode_rgb(width, height, &rgb, 72).unwrap()
}

/// What is served, and how.
pub struct Serving {
    pub bind: &'static str,
    /// From where people may come.
    pub addresses: Addresses,
    /// Home Assistant's ingress proxy.
    pub ingress_proxy: Option<IpAddr>,
    /// Whether other machines may ask without TLS.
    pub plain: bool,
    /// The owner's certificate; none = one of our own.
    pub certificate: Option<Source>,
    pub limits: Limits,
    pub fps: f64,
    pub pictures: Vec<Bytes>,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:0",
            addresses: Addresses::default(),
            ingress_proxy: None,
            plain: false,
            certificate: None,
            limits: Limits::default(),
            fps: 15.0,
            pictures: vec![noisy_picture(1), noisy_picture(2)],
        }
    }
}

impl Rig {
    pub fn start(limits: Limits) -> Self {
        Self::with_pictures(limits, 15.0, vec![noisy_picture(1), noisy_picture(2)])
    }

    /// Publishes `pictures` in turn, `fps` of them a second, and signs the camera in as running.
    pub fn with_pictures(limits: Limits, fps: f64, pictures: Vec<Bytes>) -> Self {
        Self::behind(None, limits, fps, pictures)
    }

    /// The same, with Home Assistant's ingress proxy at that address.
    pub fn behind(ingress_proxy: Option<IpAddr>, limits: Limits, fps: f64, pictures: Vec<Bytes>) -> Self {
        Self::serving(Serving { ingress_proxy, limits, fps, pictures, ..Serving::default() })
    }

    /// The same, with lists of addresses.
    pub fn among(
        addresses: Addresses,
        ingress_proxy: Option<IpAddr>,
        limits: Limits,
        fps: f64,
        pictures: Vec<Bytes>,
    ) -> Self {
        Self::serving(Serving { addresses, ingress_proxy, limits, fps, pictures, ..Serving::default() })
    }

    pub fn serving(serving: Serving) -> Self {
        let Serving { bind, addresses, ingress_proxy, plain, certificate, limits, fps, pictures } = serving;
        let plan = CameraPlan { id: CAMERA.into(), name: "Front porch".into(), ..CameraPlan::default() };
        let mut appliance = Appliance::new(Plan { cameras: vec![plan], ..Plan::default() }, now(), 7);
        let (inbox, requests) = Inbox::new();
        let (tell, state) = watch::channel(Arc::new(appliance.state().clone()));
        let size = jpeg::check(&pictures[0]).unwrap();
        let (hub, shutdown) = (Hub::new(), Shutdown::new());
        let run_dir = tempfile::tempdir().unwrap();
        let (audit_log, noted) = audit::Log::new();
        let mut accounts = AccountsFile::open(run_dir.path()).unwrap();
        let (door, mut keeper) = Door::new(door::Parts {
            local_key: TOKEN,
            settings: Settings::default(),
            book: accounts.book,
            save: Box::new(move |book| accounts.file.save(book).map_err(|error| error.to_string())),
            inbox: inbox.clone(),
            audit: audit_log.clone(),
        });
        let pairing = keeper.pair(jiff::Timestamp::now()).unwrap().code();
        let door = Arc::new(door);
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let made = || Source::Made { folder: run_dir.path().join("tls"), names };
        let (keeper_of_tls, _) = Keeper::open(certificate.unwrap_or_else(made), now().wall).unwrap();
        let (front, inner) = http::new(Parts {
            door: Arc::clone(&door),
            audit: audit_log.clone(),
            outside: None,
            certificate: keeper_of_tls.certificate(),
            plain,
            ingress_proxy,
            addresses,
            limits,
            run_dir: run_dir.path().into(),
            events_dir: run_dir.path().join("events"),
            hubs: BTreeMap::from([(CAMERA.to_owned(), Arc::clone(&hub))]),
            state: state.clone(),
            topics: Topics::new("doorward", "home", "homeassistant"),
            inbox: inbox.clone(),
            version: "0.0.0-test",
        });
        let listener = http::bind(bind.parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let serve = runtime.spawn(front.serve(listener, shutdown.clone()));
        let mut threads = Vec::new();
        threads.push(std::thread::spawn(move || keeper.run()));
        let book = audit::Book::open(run_dir.path()).unwrap();
        threads.push(std::thread::spawn(move || audit::run(book, &noted)));
        let stop = shutdown.clone();
        threads.push(std::thread::spawn(move || inner.run(&stop)));
        let limits =
            archive::Limits { keep_days: 0, keep_count: 1000, keep_bytes: 1 << 30, min_free_bytes: 0 };
        let (kept, _) = Archive::open(&run_dir.path().join("events"), limits).unwrap();
        let (archive, orders) = std::sync::mpsc::channel();
        threads.push(std::thread::spawn(move || archive::run(kept, orders, |_| {}, |_| {})));
        let (stop, slot, asked) = (shutdown.clone(), Arc::clone(&hub), Arc::clone(&door));
        threads.push(std::thread::spawn(move || {
            let ways = Ways { hub: &slot, archive: &archive, door: &asked, audit: &audit_log };
            think(&mut appliance, &requests, &tell, &ways, &stop);
        }));
        let (stop, slot, seen) = (shutdown.clone(), Arc::clone(&hub), state.clone());
        threads.push(std::thread::spawn(move || film(&slot, &seen, fps, &pictures, &stop)));
        let (width, height) = size;
        let opened = Opened { width, height, format: "MJPG".into(), description: "rig".into() };
        inbox.tell(Input::Camera { camera: CAMERA.into(), news: CameraNews::Opened(opened) });
        let node = NodeState {
            mqtt_connected: true,
            uptime_s: 4000,
            rss_mb: 42.5,
            cpu_pct: 3.1,
            disk_written_kb: 0,
            ..NodeState::default()
        };
        inbox.tell(Input::Health(node, vec![(CAMERA.into(), 1)]));
        inbox.tell(Input::Camera { camera: CAMERA.into(), news: CameraNews::Rate(fps) });
        let (runtime, serve) = (Some(runtime), Some(serve));
        let (door, keeper) = (Some(door), keeper_of_tls);
        let rig = Self {
            address,
            hub,
            inbox,
            state,
            shutdown,
            run_dir,
            door,
            pairing,
            keeper,
            runtime,
            serve,
            threads,
        };
        wait_for("the first picture", || get(&rig, "/api/cameras/porch/snapshot.jpg").status == 200);
        rig
    }

    /// Adds a user with the password [`PASSWORD`] and signs in; the value of the session's cookie. The first one has to be an admin.
    pub fn user(&self, name: &str, role: Role) -> String {
        self.verb(AccessRequest::AddUser { name: name.into(), password: PASSWORD.into(), role }).unwrap();
        self.sign_in(name)
    }

    /// Signs a user of [`Rig::user`] in once more; the value of the session's cookie.
    pub fn sign_in(&self, name: &str) -> String {
        let wish = SelfService::SignIn { name: name.into(), password: PASSWORD.into(), code: None };
        match self.serve(wish).unwrap() {
            door::Served::SignedIn { secret, .. } => secret,
            other => panic!("{other:?}"),
        }
    }

    /// A token of that kind, for one camera or for all.
    pub fn token(&self, kind: Role, camera: Option<&str>, ttl_s: Option<u64>) -> String {
        let camera = camera.map(str::to_owned);
        let made = self.verb(AccessRequest::CreateToken { name: "rig".into(), kind, camera, ttl_s }).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    /// Asks the door for something about users or tokens.
    pub fn verb(&self, request: AccessRequest) -> Result<serde_json::Value, Problem> {
        let (tell, told) = std::sync::mpsc::channel();
        self.door().ask(request, Box::new(move |outcome| tell.send(outcome).unwrap()));
        match told.recv_timeout(Duration::from_secs(10)).unwrap()? {
            command::Answer::Data(data) => Ok(data),
            other => panic!("{other:?}"),
        }
    }

    /// Asks the door for something about the asker, who comes from the address 127.0.0.1.
    pub fn serve(&self, wish: SelfService) -> Result<door::Served, Problem> {
        let (tell, told) = std::sync::mpsc::channel();
        let origin = Origin { address: [127, 0, 0, 1].into(), route: "127.0.0.1".into() };
        self.door().serve(wish, origin, Box::new(move |outcome| tell.send(outcome).unwrap()));
        told.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    pub fn door(&self) -> &Door {
        self.door.as_ref().expect("the rig runs")
    }

    /// Gives the signal and says how long all parts took to end.
    pub fn stop(&mut self) -> Duration {
        let begin = Instant::now();
        self.shutdown.trigger();
        if let (Some(runtime), Some(serve)) = (self.runtime.take(), self.serve.take()) {
            runtime.block_on(serve).unwrap().unwrap();
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        self.door = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        begin.elapsed()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where the appliance's effects go.
struct Ways<'a> {
    hub: &'a Hub,
    archive: &'a Sender<archive::Order>,
    door: &'a Door,
    audit: &'a audit::Log,
}

/// The appliance's loop as the app runs it: new state first, then the answer.
fn think(
    appliance: &mut Appliance,
    requests: &std::sync::mpsc::Receiver<Request>,
    tell: &watch::Sender<Arc<State>>,
    ways: &Ways<'_>,
    stop: &Shutdown,
) {
    while !stop.is_triggered() {
        let Ok(Request { input, mut reply }) = requests.recv_timeout(Duration::from_millis(50)) else {
            continue;
        };
        let outcome = appliance.handle(now(), input);
        let (answer, effects) = match outcome {
            Ok((answer, effects)) => (Ok(answer), effects),
            Err(problem) => (Err(problem), Vec::new()),
        };
        for effect in effects {
            carry_out(appliance, effect, ways, &mut reply);
        }
        tell.send_replace(Arc::new(appliance.state().clone()));
        if let Some(reply) = reply {
            reply(answer);
        }
    }
}

fn carry_out(appliance: &mut Appliance, effect: Effect, ways: &Ways<'_>, reply: &mut Option<Reply>) {
    let Ways { hub, archive, door, audit } = ways;
    match effect {
        Effect::Audit(request) => audit.ask(request, reply.take().unwrap()),
        Effect::Announce(event) => archive.send(archive::Order::Keep(event.entry())).unwrap(),
        Effect::Archive(request) => {
            archive.send(archive::Order::Ask(request, reply.take().unwrap())).unwrap();
        }
        Effect::TakeSnapshot { camera, id } => {
            let frame = hub.latest().unwrap();
            let jpeg = frame.jpeg().unwrap().clone();
            let input = Input::Snapshot { camera, id, captured_at: frame.captured_at, jpeg };
            for effect in appliance.handle(now(), input).unwrap().1 {
                carry_out(appliance, effect, ways, reply);
            }
        }
        Effect::Access(request) => door.ask(request, reply.take().unwrap()),
        Effect::Camera(_, CameraOrder::Privacy(true)) => hub.publish(Arc::new(card())),
        _ => {}
    }
}

fn card() -> Frame {
    let jpeg = jpeg::encode_rgb(320, 240, &[40; 3 * 320 * 240], 80).unwrap();
    Frame::card(1, Instant::now(), 320, 240, jpeg)
}

fn film(hub: &Hub, state: &watch::Receiver<Arc<State>>, fps: f64, pictures: &[Bytes], stop: &Shutdown) {
    let begin = Instant::now();
    let mut seq = 0;
    loop {
        seq += 1;
        let due = Duration::from_secs_f64(seq as f64 / fps);
        if stop.wait(due.saturating_sub(begin.elapsed())) {
            return;
        }
        if state.borrow().cameras[CAMERA].settings.privacy {
            continue;
        }
        let jpeg = pictures[seq as usize % pictures.len()].clone();
        let (width, height) = jpeg::check(&jpeg).unwrap();
        hub.publish(Arc::new(Frame::live(seq, Instant::now(), width, height, Raw::Jpeg(jpeg))));
    }
}

/// Waits until it is true; fails after ten seconds.
pub fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_true() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(8))).unwrap();
    stream
}

/// Sends exactly these bytes and reads one answer.
pub fn raw(address: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(address);
    stream.write_all(bytes)?;
    read_answer(&mut BufReader::new(stream), bytes.starts_with(b"HEAD"))
}

/// Reads head and body; the body by Content-Length, else to the end.
pub fn read_answer(from: &mut impl BufRead, is_head: bool) -> io::Result<Answer> {
    let (status, headers) = read_head(from)?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    if !is_head {
        match answer.header("content-length").map(|text| text.parse::<usize>().unwrap()) {
            Some(length) => {
                answer.body.resize(length, 0);
                from.read_exact(&mut answer.body)?;
            }
            None => {
                from.read_to_end(&mut answer.body)?;
            }
        }
    }
    Ok(answer)
}

pub fn read_head(from: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = read_line(from)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => return Ok((status, headers)),
        }
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

/// A request with the given header lines (each ending in a line break) and body.
pub fn send(rig: &Rig, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let text = format!(
        "{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}{length}Connection: close\r\n\r\n{body}"
    );
    raw(rig.address, text.as_bytes()).unwrap()
}

pub fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// GET with the token.
pub fn get(rig: &Rig, target: &str) -> Answer {
    send(rig, "GET", target, &bearer(), "")
}

/// PUT with the token.
pub fn put(rig: &Rig, key: &str, body: &str) -> Answer {
    send(rig, "PUT", &format!("/api/cameras/{CAMERA}/entities/{key}"), &bearer(), body)
}

/// What an authenticator app shows for a secret, so many steps of half a minute from now.
pub fn totp_code(secret: &str, steps: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    app.generate(jiff::Timestamp::now().as_second() as u64 + 30 * steps).to_string()
}

/// One MJPEG viewer; every part is checked as it comes.
pub struct Mjpeg<S: Read = TcpStream> {
    from: BufReader<S>,
}

impl Mjpeg {
    /// Opens the stream with the local key, or says which status it got instead.
    pub fn open(address: SocketAddr, query: &str) -> Result<Self, Answer> {
        Self::open_with(address, query, &bearer())
    }

    /// The same with header lines of one's own.
    pub fn open_with(address: SocketAddr, query: &str, headers: &str) -> Result<Self, Answer> {
        Self::open_path(address, &format!("/api/cameras/{CAMERA}/stream.mjpeg{query}"), headers)
    }

    /// The same at a whole path with its query.
    pub fn open_path(address: SocketAddr, target: &str, headers: &str) -> Result<Self, Answer> {
        Self::begin(connect(address), target, headers)
    }
}

impl<S: Read + Write> Mjpeg<S> {
    /// The same over a connection that is there already.
    pub fn over(stream: S, query: &str) -> Result<Self, Answer> {
        Self::begin(stream, &format!("/api/cameras/{CAMERA}/stream.mjpeg{query}"), &bearer())
    }

    fn begin(mut stream: S, target: &str, headers: &str) -> Result<Self, Answer> {
        write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n").unwrap();
        let mut from = BufReader::with_capacity(128 * 1024, stream);
        let (status, headers) = read_head(&mut from).unwrap();
        if status != 200 {
            let mut body = Vec::new();
            let _ = from.read_to_end(&mut body);
            return Err(Answer { status, headers, body });
        }
        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).unwrap();
        assert_eq!(kind.1, "multipart/x-mixed-replace; boundary=frame");
        Ok(Self { from })
    }

    /// The next picture.
    pub fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let line = read_line(&mut self.from)?;
            if line == "--frame" {
                break;
            }
            assert!(line.is_empty(), "between parts: {line:?}");
        }
        let mut length = None;
        loop {
            let line = read_line(&mut self.from)?;
            match line.split_once(": ") {
                Some(("Content-Length", value)) => length = value.parse().ok(),
                Some(_) => {}
                None => break,
            }
        }
        let mut jpeg = vec![0; length.expect("each part has a Content-Length")];
        self.from.read_exact(&mut jpeg)?;
        assert!(
            jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]),
            "a part is not a whole JPEG"
        );
        Ok(jpeg)
    }
}
