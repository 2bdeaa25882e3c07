//! Our own address: a web server and a name server that tell it, lie, or say nothing.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use doorward::config::PublicAddress;
use doorward::public_address;
use doorward::shutdown::Shutdown;
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Name, Packet, Question, ResourceRecord, TYPE};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::kit::{PATIENCE, Server, configured};

struct Asking {
    told: UnboundedReceiver<Result<IpAddr, String>>,
    shutdown: Shutdown,
}

impl Asking {
    fn new(ask: &str) -> Asking {
        let settings = configured(&format!("public_address.ask = \"{ask}\"")).public_address.unwrap();
        let settings = PublicAddress { interval: Duration::from_millis(100), ..settings };
        let (tell, told) = unbounded_channel();
        let shutdown = Shutdown::new();
        let tell = move |answer| {
            let _ = tell.send(answer);
        };
        tokio::spawn(public_address::run(settings, tell, shutdown.clone()));
        Asking { told, shutdown }
    }

    async fn next(&mut self) -> Result<IpAddr, String> {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.expect("nothing is told in time").unwrap()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_may_answer_with_text_or_json() {
    let answers = [
        "text:203.0.113.7\n",
        "text:{\"ip\": \"2001:db8::7\"}",
        "text:<html>203.0.113.7</html>",
        "500",
        "301",
        "text:203.0.113.8",
    ];
    let server = Server::http(&answers).await;
    let mut asking = Asking::new(&format!("http://127.0.0.1:{}/?key=s3cret", server.port));
    assert_eq!(asking.next().await, Ok("203.0.113.7".parse().unwrap()));
    assert_eq!(asking.next().await, Ok("2001:db8::7".parse().unwrap()));
    assert_eq!(asking.next().await, Err("the server answers with something that is no address".into()));
    assert_eq!(asking.next().await, Err("the server answers 500".into()));
    assert_eq!(asking.next().await, Err("the server answers 301".into()));
    assert_eq!(asking.next().await, Ok("203.0.113.8".parse().unwrap()));
    drop(server);
    let why = loop {
        if let Err(why) = asking.next().await {
            break why;
        }
    };
    assert!(why.starts_with("the server cannot be asked: ") && !why.contains("s3cret"), "{why}");
}

/// What the name server sends to one question.
type Answers = fn(&Packet, SocketAddr, &UdpSocket);

/// A name server that answers each question as `answers` says.
fn name_server(answers: Answers) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            answers(&Packet::parse(&buffer[..length]).unwrap(), from, &socket);
        }
    });
    port
}

/// An answer to `question` with this id, question and address.
fn answer(id: u16, question: &Question, name: &str, address: Option<&str>) -> Vec<u8> {
    let name = Name::new(name).unwrap();
    let mut reply = Packet::new_reply(id);
    let asked = Question::new(name.clone(), question.qtype, question.qclass, false);
    reply.questions.push(asked);
    if let Some(address) = address {
        let data = match address.parse().unwrap() {
            IpAddr::V4(v4) => RData::A(A::from(v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA::from(v6)),
        };
        reply.answers.push(ResourceRecord::new(name, CLASS::IN, 60, data));
    }
    reply.build_bytes_vec().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_answers_of_a_name_server_are_passed_over() {
    let port = name_server(|asked, from, socket| {
        let question = &asked.questions[0];
        let (id, name) = (asked.id(), "home.example.org");
        let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = elsewhere.send_to(&answer(id, question, name, Some("198.51.100.1")), from);
        for forged in [
            b"no packet at all".to_vec(),
            answer(id ^ 1, question, name, Some("198.51.100.2")),
            answer(id, question, "other.example.org", Some("198.51.100.3")),
            asked.build_bytes_vec().unwrap(),
        ] {
            socket.send_to(&forged, from).unwrap();
        }
        socket.send_to(&answer(id, question, "HOME.example.org", Some("203.0.113.7")), from).unwrap();
    });
    let mut asking = Asking::new(&format!("dns:home.example.org@127.0.0.1:{port}"));
    for _ in 0..3 {
        assert_eq!(asking.next().await, Ok("203.0.113.7".parse().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_only_an_ipv6_address_has_that() {
    let port = name_server(|asked, from, socket| {
        let question = &asked.questions[0];
        let address = (question.qtype == TYPE::AAAA.into()).then_some("2001:db8::7");
        socket.send_to(&answer(asked.id(), question, "home.example.org", address), from).unwrap();
    });
    let mut asking = Asking::new(&format!("dns:home.example.org@127.0.0.1:{port}"));
    assert_eq!(asking.next().await, Ok("2001:db8::7".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_knows_nothing_or_is_silent_is_said_to_be() {
    let port = name_server(|asked, from, socket| {
        socket.send_to(&answer(asked.id(), &asked.questions[0], "home.example.org", None), from).unwrap();
    });
    let mut asking = Asking::new(&format!("dns:home.example.org@127.0.0.1:{port}"));
    let why = asking.next().await.unwrap_err();
    assert_eq!(why, "the name server 127.0.0.1 knows no address of home.example.org");

    let port = name_server(|_, _, _| {});
    let mut asking = Asking::new(&format!("dns:home.example.org@127.0.0.1:{port}"));
    assert_eq!(asking.next().await.unwrap_err(), "the name server 127.0.0.1 does not answer");
}
