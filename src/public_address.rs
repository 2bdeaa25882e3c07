//! The address under which the house is seen from outside, asked for only when the user names whom to ask.
//!
//! Not here: noticing a change, which is for whoever is told each answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question as Asked, RCODE, TYPE};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Ask, PublicAddress, Question, Secret, Trust};
use crate::shutdown::Shutdown;

/// How long a web server may take for its answer.
const WEB_LIMIT: Duration = Duration::from_secs(20);
/// How long a name server may take; UDP may lose a packet, so it is asked more than once.
const DNS_LIMIT: Duration = Duration::from_secs(3);
const DNS_ATTEMPTS: usize = 3;
/// An address is much shorter, even within JSON.
const MOST_ANSWER_BYTES: usize = 4096;
/// The first question is put somewhere in this time, so that houses do not ask in step after a power cut.
const LATEST_START: Duration = Duration::from_secs(30);

/// Asks again and again until the stop signal and tells each answer, or why there was none, in a sentence.
pub async fn run(settings: PublicAddress, tell: impl Fn(Result<IpAddr, String>), shutdown: Shutdown) {
    let mut complaint = None;
    let mut pause = LATEST_START.min(settings.interval).mul_f32(chance());
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.triggered() => return,
        }
        let answer = tokio::select! {
            answer = ask(&settings) => answer,
            () = shutdown.triggered() => return,
        };
        let fault = answer.as_ref().err().cloned();
        if fault != complaint {
            match &fault {
                Some(why) => tracing::info!("the public address is not known: {why}; asking again"),
                None => tracing::info!("the public address is known again"),
            }
            complaint = fault;
        }
        tell(answer);
        // A tenth earlier or later.
        pause = settings.interval.mul_f32(0.9 + 0.2 * chance());
    }
}

async fn ask(settings: &PublicAddress) -> Result<IpAddr, String> {
    match &settings.ask {
        Ask::Http(url) => {
            let answer = timeout(WEB_LIMIT, ask_web(url, &settings.trust)).await;
            answer.unwrap_or_else(|_| Err("the server does not answer in time".to_owned()))
        }
        Ask::Dns(question) => ask_dns(question).await,
    }
}

async fn ask_web(url: &Secret, trust: &Trust) -> Result<IpAddr, String> {
    let url = Url::parse(url.expose()).expect("the address was checked when it was read");
    let client = Client::builder()
        .tls_backend_preconfigured(trust.client_config(&url)?)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| cause(&error))?;
    let failed =
        |error: reqwest::Error| format!("the server cannot be asked: {}", cause(&error.without_url()));
    let mut response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(format!("the server answers {}", response.status().as_u16()));
    }
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        answer.extend_from_slice(&chunk);
        if answer.len() > MOST_ANSWER_BYTES {
            return Err("the server answers with much more than an address".to_owned());
        }
    }
    read(&answer).ok_or_else(|| "the server answers with something that is no address".to_owned())
}

/// Nothing but an address, or JSON that has it as `ip`.
fn read(answer: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(answer).ok()?.trim();
    let address = text.parse().ok().or_else(|| {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        json.get("ip")?.as_str()?.parse().ok()
    })?;
    plausible(address)
}

/// An address that a house can have towards others.
fn plausible(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let is_nobody = address.is_unspecified() || address.is_multicast() || address.is_loopback();
    (!is_nobody).then_some(address)
}

/// Asks for an IPv4 address, and for an IPv6 address where there is none.
async fn ask_dns(question: &Question) -> Result<IpAddr, String> {
    let Question { name, server, port } = question;
    let found = timeout(DNS_LIMIT, tokio::net::lookup_host((server.as_str(), *port))).await;
    let found = found.map_err(|_| format!("the name server {server} cannot be found in time"))?;
    let mut found = found.map_err(|error| format!("the name server {server} cannot be found: {error}"))?;
    let address = found.next().ok_or_else(|| format!("the name server {server} has no address"))?;
    match lookup(address, name, TYPE::A).await? {
        Some(found) => Ok(found),
        None => lookup(address, name, TYPE::AAAA)
            .await?
            .ok_or_else(|| format!("the name server {server} knows no address of {name}")),
    }
}

/// The first address in the answer; none if the server knows none.
async fn lookup(server: SocketAddr, name: &str, kind: TYPE) -> Result<Option<IpAddr>, String> {
    let unasked = |error: std::io::Error| format!("the name server {} cannot be asked: {error}", server.ip());
    let own: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    // The system chooses a port by chance, and a connected socket takes only what comes from the server.
    let socket = UdpSocket::bind(own).await.map_err(unasked)?;
    socket.connect(server).await.map_err(unasked)?;
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| format!("no random number for a question: {error}"))?;
    let id = u16::from_ne_bytes(id);
    let packet = question(id, name, kind)?;
    for _ in 0..DNS_ATTEMPTS {
        socket.send(&packet).await.map_err(unasked)?;
        let until = Instant::now() + DNS_LIMIT;
        let mut buffer = [0; MOST_ANSWER_BYTES];
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            let length = received.map_err(unasked)?;
            // What does not answer our question may be forged; the true answer may still come.
            if let Some(answer) = answer(&buffer[..length], id, name, kind) {
                return answer.map_err(|code| format!("the name server {} answers {code:?}", server.ip()));
            }
        }
    }
    Err(format!("the name server {} does not answer", server.ip()))
}

fn question(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, String> {
    let wrong = |error: simple_dns::SimpleDnsError| format!("{name} cannot be asked for: {error}");
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(wrong)?;
    packet.questions.push(Asked::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(wrong)
}

/// What a packet says to our question; none when it is no answer to it.
fn answer(packet: &[u8], id: u16, name: &str, kind: TYPE) -> Option<Result<Option<IpAddr>, RCODE>> {
    let packet = Packet::parse(packet).ok()?;
    let [asked] = packet.questions.as_slice() else { return None };
    let same_name = |found: &Name| found.to_string().eq_ignore_ascii_case(name.trim_end_matches('.'));
    let is_ours = packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && asked.qtype == QTYPE::TYPE(kind)
        && asked.qclass == QCLASS::CLASS(CLASS::IN)
        && same_name(&asked.qname);
    if !is_ours {
        return None;
    }
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => {}
        code => return Some(Err(code)),
    }
    // Any name will do: the one that was asked for may be an alias.
    let found = packet.answers.iter().find_map(|record| match (&record.rdata, kind) {
        (RData::A(a), TYPE::A) => plausible(IpAddr::V4(a.address.into())),
        (RData::AAAA(aaaa), TYPE::AAAA) => plausible(IpAddr::V6(aaaa.address.into())),
        _ => None,
    });
    Some(Ok(found))
}

/// The innermost cause: what wraps it only repeats that something failed.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Something from 0 to 1, for spreading load; not for secrets.
fn chance() -> f32 {
    let mut byte = [0u8];
    // Without randomness nothing is spread, which is no fault.
    let _ = getrandom::fill(&mut byte);
    f32::from(byte[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_is_an_answer() {
        let table = [
            ("203.0.113.7", Some("203.0.113.7")),
            (" 203.0.113.7\r\n", Some("203.0.113.7")),
            ("2001:db8::7\n", Some("2001:db8::7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            (r#"{"ip":"203.0.113.7","country":"AT"}"#, Some("203.0.113.7")),
            (r#"{"ip":7}"#, None),
            (r#"{"address":"203.0.113.7"}"#, None),
            ("203.0.113.7 and more", None),
            ("203.0.113.007", None),
            ("203.0.113", None),
            ("<html>203.0.113.7</html>", None),
            ("0.0.0.0", None),
            ("127.0.0.1", None),
            ("224.0.0.1", None),
            ("", None),
        ];
        for (text, expected) in table {
            let expected: Option<IpAddr> = expected.map(|text| text.parse().unwrap());
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(read(b"\xff"), None);
    }
}
