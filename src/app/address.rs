//! Where we are: the page's address for other machines, and a private folder for sockets.
//!
//! Not here: listening.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::logic::checksum::hex;

/// The address of the page as another machine in the house would type it.
pub(super) fn page_url(bound: SocketAddr) -> String {
    let host = if bound.ip().is_unspecified() { own_address() } else { bound.ip() };
    format!("http://{}/", SocketAddr::new(host, bound.port()))
}

/// The machine in its own words; empty if it does not say.
pub(super) fn machine() -> String {
    // The device tree of ARM boards ends its text with a zero byte; PCs tell through DMI.
    ["/proc/device-tree/model", "/sys/class/dmi/id/product_name"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| text.trim_matches(['\0', '\n', ' ']).chars().take(64).collect())
        .unwrap_or_default()
}

/// An address that can be dialled from this machine.
pub(super) fn reachable(bound: SocketAddr) -> SocketAddr {
    let host = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(host, bound.port())
}

/// Asks an appliance on this machine whether it is well.
///
/// # Errors
/// With its words, or why there were none.
pub fn probe(bound: SocketAddr) -> Result<(), String> {
    const LIMIT: Duration = Duration::from_secs(5);
    let address = reachable(bound);
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| format!("no answer from {address}: {error}"))?;
    let is_well = answer.split(' ').nth(1) == Some("200");
    if is_well { Ok(()) } else { Err(answer.lines().last().unwrap_or("an empty answer").to_owned()) }
}

/// The address that the system would use towards the outside. Connecting a UDP socket sends nothing.
fn own_address() -> IpAddr {
    // TEST-NET-1 of RFC 5737: never a real host.
    towards(SocketAddr::from(([192, 0, 2, 1], 9))).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// The addresses that the system would use towards the outside, of both families.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    // The prefix for documentation (RFC 3849): never a real host.
    let outside = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9));
    [own_address()].into_iter().chain(towards(outside)).collect()
}

fn towards(outside: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if outside.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(outside).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A private folder for our Unix sockets, removed at the end.
pub(super) struct RunDir(PathBuf);

impl RunDir {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).context("the system gives no random numbers")?;
        let name = hex(&random);
        let base = std::env::var_os("RUNTIME_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = base.join(format!("doorward-{name}"));
        // Fails if it exists, so nobody can have prepared it for us.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("the folder {} for sockets cannot be made", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
