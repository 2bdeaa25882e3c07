//! Home Assistant as far as an app's page sees it: one address, its own page with the app's in a frame, and a proxy that takes
//! the prefix away and names the user.
//!
//! Not here: Home Assistant's login. Requests to the appliance come from an address of their own, as the Supervisor's do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{Answer, Rig, read_answer};

/// The address from which the proxy asks.
pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// What stands before every path of the app.
pub const PREFIX: &str = "/api/hassio_ingress/Zt0x-_9kWqPp3";

const OUTER: &str = "<!doctype html><title>Home Assistant</title><link rel=icon href=data:,>\
                     <style>html, body, iframe { display: block; margin: 0; border: 0; width: 100%; height: 100% }</style>";

/// Home Assistant's address. Its threads end with the test.
pub struct HomeAssistant {
    pub address: SocketAddr,
    strays: Arc<Mutex<Vec<String>>>,
}

impl HomeAssistant {
    pub fn start(appliance: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let strays = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&strays);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                // A browser that goes away in the middle of a stream is no fault.
                std::thread::spawn(move || serve(&client, appliance, &seen));
            }
        });
        Self { address, strays }
    }

    /// Paths that the browser asked for outside the prefix, Home Assistant's own page aside.
    pub fn strays(&self) -> Vec<String> {
        self.strays.lock().unwrap().clone()
    }
}

fn serve(mut client: &TcpStream, appliance: SocketAddr, strays: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut from = BufReader::new(client);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let [method, target, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { return Ok(()) };
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        from.read_line(&mut header)?;
        let name = header.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "content-length" => length = header[name.len() + 1..].trim().parse().unwrap(),
            "connection" => {}
            _ if header.trim().is_empty() => break,
            _ => head += &header,
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    if target == "/" {
        let page = format!("{OUTER}<iframe src=\"{PREFIX}/\"></iframe>");
        return write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n{page}"
        );
    }
    let Some(path) = target.strip_prefix(PREFIX).filter(|path| path.starts_with('/')) else {
        strays.lock().unwrap().push(target.to_owned());
        return write!(client, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut upstream = connect_from(PROXY, appliance)?;
    write!(
        upstream,
        "{method} {path} HTTP/1.1\r\n{head}X-Hass-Source: core.ingress\r\nX-Ingress-Path: {PREFIX}\r\n\
         X-Forwarded-For: 192.0.2.7, 172.30.32.1\r\nX-Remote-User-Id: 0123456789abcdef\r\n\
         X-Remote-User-Name: juergen\r\nX-Remote-User-Display-Name: Jürgen\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )?;
    upstream.write_all(&body)?;
    io::copy(&mut upstream, &mut client).map(drop)
}

/// A connection that comes from that address of this machine.
pub fn connect_from(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// One request from an address of this machine, and the answer.
pub fn ask(rig: &Rig, source: IpAddr, request: &str, headers: &str, body: &str) -> Answer {
    let mut stream = connect_from(source, rig.address).unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    read_answer(&mut BufReader::new(stream), false).unwrap()
}
