//! A small reverse proxy under a path, as nginx, Caddy and Traefik are set up: it takes the path away, rewrites `Host`, and adds the
//! addresses that it saw.
//!
//! Not here: assertions.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use super::ingress::connect_from;

/// The path below which the appliance appears.
pub const PREFIX: &str = "/x/y";
/// Where it comes from.
pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// A running proxy; `client` is the address that it says each client has, after what the client said itself.
pub struct Proxy {
    pub address: SocketAddr,
}

impl Proxy {
    pub fn start(appliance: SocketAddr, client: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                std::thread::spawn(move || serve(&visitor, appliance, client));
            }
        });
        Self { address }
    }
}

fn serve(mut visitor: &TcpStream, appliance: SocketAddr, client: &str) -> io::Result<()> {
    let mut from = BufReader::new(visitor);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let [method, target, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { return Ok(()) };
    let (mut head, mut host, mut hops, mut length) = (String::new(), String::new(), String::new(), 0);
    loop {
        let mut header = String::new();
        from.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value.to_owned(),
            "x-forwarded-for" => hops = format!("{value}, "),
            // What a client says of these is not passed on.
            "x-forwarded-host" | "x-forwarded-proto" | "connection" => {}
            "content-length" => {
                length = value.parse().unwrap();
                head += &header;
            }
            _ => head += &header,
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let Some(path) = target.strip_prefix(PREFIX).filter(|path| path.starts_with('/')) else {
        return write!(visitor, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut upstream = connect_from(PROXY, appliance)?;
    write!(
        upstream,
        "{method} {path} HTTP/1.1\r\nHost: {appliance}\r\n{head}X-Forwarded-For: {hops}{client}\r\n\
         X-Forwarded-Host: {host}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: {PREFIX}\r\nConnection: close\r\n\r\n"
    )?;
    upstream.write_all(&body)?;
    io::copy(&mut upstream, &mut visitor).map(drop)
}
