//! From which addresses people may come: lists of networks, and the way of a request that proxies passed on.
//!
//! Pure. Not here: reading sockets and headers ([`crate::http`], [`crate::broker`]), and who somebody is ([`super::accounts`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::access::Role;
use super::problem::quoted;

/// What a list takes, for messages and the manual.
pub const ALLOWED: &str = "addresses such as 192.168.1.7 or fd00::7, networks such as 192.168.1.0/24, 192.168.1.* or fd00:*, and \
                           the words private and all, with commas between them";

/// The word for [`PRIVATE`].
const PRIVATE_WORD: &str = "private";
/// The word for every address.
const ALL_WORD: &str = "all";
/// What no router of the Internet passes on: the machine itself, RFC 1918, link-local and unique local addresses.
const PRIVATE: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
/// IPv4 addresses that are nobody's on the Internet, besides [`PRIVATE`]: this network, carriers' own, protocol assignments, documentation,
/// benchmarks, multicast and reserved.
const NOT_PUBLIC: [&str; 8] = [
    "0.0.0.0/8",
    "100.64.0.0/10",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(Vec<IpNet>);

impl List {
    /// Reads words with commas between them; see [`ALLOWED`]. No word at all is a list that holds nobody.
    ///
    /// # Errors
    /// The first word that is none of them, with what it could be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                PRIVATE_WORD => networks.extend(known(&PRIVATE)),
                ALL_WORD => networks.extend(Self::everybody().0),
                word => networks.push(network(word)?),
            }
        }
        Ok(Self(networks))
    }

    /// A list that holds everybody.
    #[must_use]
    pub fn everybody() -> Self {
        Self(known(&["0.0.0.0/0", "::/0"]).collect())
    }

    /// Whether the address is in one of the networks. IPv4 in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether it holds nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks that reach beyond those of `private`.
    #[must_use]
    pub fn beyond_private(&self) -> Vec<IpNet> {
        let private: Vec<IpNet> = known(&PRIVATE).collect();
        let is_inside = |network: &&IpNet| private.iter().any(|private| private.contains(*network));
        self.0.iter().filter(|network| !is_inside(network)).copied().collect()
    }

    /// Whether it holds every IPv4 or every IPv6 address.
    #[must_use]
    pub fn holds_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

impl fmt::Display for List {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        to.write_str(&words.join(", "))
    }
}

fn known(words: &'static [&'static str]) -> impl Iterator<Item = IpNet> {
    words.iter().map(|word| word.parse().expect("our own networks are written well"))
}

fn network(word: &str) -> Result<IpNet, String> {
    let found = if word.ends_with('*') {
        wildcard(word)
    } else if word.contains('/') {
        word.parse::<IpNet>().ok()
    } else {
        word.parse::<IpAddr>().ok().map(IpNet::from)
    };
    let network = found.ok_or_else(|| format!("needs {ALLOWED}, not \"{}\"", quoted(word)))?;
    if network.addr() != network.trunc().addr() {
        let (whole, alone) = (network.trunc(), network.addr());
        return Err(format!("\"{}\" is an address inside a network; write {whole} or {alone}", quoted(word)));
    }
    Ok(canonical(network))
}

/// `10.*`, `192.168.1.*`, `192.168.*.*`, `2001:db8:*`: whole groups, then only stars.
fn wildcard(word: &str) -> Option<IpNet> {
    let separator = if word.contains(':') { ':' } else { '.' };
    let groups: Vec<&str> = word.split(separator).collect();
    let n_fixed = groups.iter().position(|group| *group == "*")?;
    let (fixed, stars) = groups.split_at(n_fixed);
    if n_fixed == 0 || stars.iter().any(|group| *group != "*") {
        return None;
    }
    if separator == '.' {
        let is_plain = |group: &&str| group.parse::<u8>().is_ok_and(|number| number.to_string() == **group);
        if groups.len() > 4 || !fixed.iter().all(is_plain) {
            return None;
        }
        let rest = [".0"; 4][n_fixed..].concat();
        let address: Ipv4Addr = format!("{}{rest}", fixed.join(".")).parse().ok()?;
        return Some(Ipv4Net::new(address, 8 * n_fixed as u8).ok()?.into());
    }
    let is_group =
        |group: &&str| (1..=4).contains(&group.len()) && group.bytes().all(|c| c.is_ascii_hexdigit());
    if groups.len() > 8 || !fixed.iter().all(is_group) {
        return None;
    }
    let rest = [":0"; 8][n_fixed..].concat();
    let address: Ipv6Addr = format!("{}{rest}", fixed.join(":")).parse().ok()?;
    Some(Ipv6Net::new(address, 16 * n_fixed as u8).ok()?.into())
}

/// A network of IPv4 addresses in IPv6 clothes as what it is.
fn canonical(network: IpNet) -> IpNet {
    const CLOTHES: u8 = 96;
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(CLOTHES)) {
        (IpAddr::V4(address), Some(prefix)) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, prefix).map_or(network, IpNet::from)
        }
        _ => network,
    }
}

/// Whether the Internet can reach somebody at this address, if no router and no firewall stands before it.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_in = |words: &'static [&'static str]| known(words).any(|network| network.contains(&address));
    match address {
        IpAddr::V4(_) => !is_in(&PRIVATE) && !is_in(&NOT_PUBLIC),
        IpAddr::V6(_) => is_in(&["2000::/3"]) && !is_in(&["2001:db8::/32"]),
    }
}

/// Whether the address is of a home: what the word `private` stands for.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    known(&PRIVATE).any(|network| network.contains(&address))
}

/// The address in one word of `X-Forwarded-For`, with or without a port.
#[must_use]
pub fn hop(word: &str) -> Option<IpAddr> {
    let word = word.trim();
    let bare = || word.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let address = word.parse().ok().or_else(bare);
    let with_port = || word.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    address.or_else(with_port).map(|address| address.to_canonical())
}

/// Who may come from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Only from here.
    pub allow: List,
    /// Not from here, even if it is allowed.
    pub block: List,
    /// Whose word about the clients behind them is believed.
    pub trusted_proxies: List,
    /// From here nobody needs to sign in.
    pub trusted_networks: List,
    /// What may be done from there.
    pub trusted_role: Role,
}

impl Default for Addresses {
    /// The home, and nobody is believed.
    fn default() -> Self {
        Self {
            allow: List(known(&PRIVATE).collect()),
            block: List::default(),
            trusted_proxies: List::default(),
            trusted_networks: List::default(),
            trusted_role: Role::Viewer,
        }
    }
}

/// The way of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The client: the last address on the way to us that is no trusted proxy.
    pub client: IpAddr,
    /// Every address that somebody named, the farthest first, the peer last.
    pub hops: Vec<IpAddr>,
    /// How many of them, counted from the end, are known: the client and the trusted proxies.
    pub n_known: usize,
}

impl Journey {
    /// A connection without any proxy.
    #[must_use]
    pub fn direct(peer: IpAddr) -> Self {
        let peer = peer.to_canonical();
        Self { client: peer, hops: vec![peer], n_known: 1 }
    }

    /// The hops as text, with commas.
    #[must_use]
    pub fn route(&self) -> String {
        self.hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The hops that are known: the client first, the peer last.
    #[must_use]
    pub fn known(&self) -> &[IpAddr] {
        &self.hops[self.hops.len() - self.n_known..]
    }
}

impl Addresses {
    /// The way of a request from `peer`, with what the proxies before it said; `forwarded` is empty or believed only if `peer` is a
    /// trusted proxy. It is walked from our end: each trusted proxy vouches for the address before it.
    #[must_use]
    pub fn walk(&self, peer: IpAddr, forwarded: &[IpAddr]) -> Journey {
        if !self.trusted_proxies.holds(peer) {
            return Journey::direct(peer);
        }
        let hops: Vec<IpAddr> = forwarded.iter().chain([&peer]).map(IpAddr::to_canonical).collect();
        let n_proxies = hops.iter().rev().take_while(|hop| self.trusted_proxies.holds(**hop)).count();
        let n_known = hops.len().min(n_proxies + 1);
        Journey { client: hops[hops.len() - n_known], hops, n_known }
    }

    /// Whether one address may come. This machine itself (loopback, and `own`, our end of the connection) always may.
    #[must_use]
    pub fn admits(&self, address: IpAddr, own: IpAddr) -> bool {
        let is_own = address.to_canonical().is_loopback() || address.to_canonical() == own.to_canonical();
        is_own || (self.allow.holds(address) && !self.block.holds(address))
    }

    /// Whether a request may come: every hop has to pass, those that a stranger claims too.
    ///
    /// # Errors
    /// The first hop that may not, seen from the client.
    pub fn check(&self, journey: &Journey, own: IpAddr) -> Result<(), IpAddr> {
        // Only what is known of this machine counts as this machine.
        let n_claimed = journey.hops.len() - journey.n_known;
        let (claimed, known) = journey.hops.split_at(n_claimed);
        let passes = |hop: &&IpAddr| self.allow.holds(**hop) && !self.block.holds(**hop);
        let refused = claimed.iter().find(|hop| !hop.is_loopback() && !passes(hop));
        refused.or_else(|| known.iter().find(|hop| !self.admits(**hop, own))).map_or(Ok(()), |hop| Err(*hop))
    }

    /// Whether every hop is in a trusted network.
    #[must_use]
    pub fn is_trusted(&self, journey: &Journey) -> bool {
        !self.trusted_networks.is_empty() && journey.hops.iter().all(|hop| self.trusted_networks.holds(*hop))
    }
}

#[cfg(test)]
mod tests;
