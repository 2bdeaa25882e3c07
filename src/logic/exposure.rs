//! How far the appliance can be reached: what of its configuration opens it beyond the home, and what to do instead.
//!
//! Pure. Not here: asking the machine for its addresses ([`crate::app::doctor`]).

use std::net::{IpAddr, SocketAddr};

use super::access::Role;
use super::addresses::{Addresses, List, is_public};

/// What is known of the ways in.
#[derive(Clone, Debug)]
pub struct Ways<'a> {
    /// `http.bind`.
    pub http: SocketAddr,
    /// `broker.bind`, if the embedded broker runs.
    pub broker: Option<SocketAddr>,
    /// `http.plain`: passwords and pictures may travel without TLS.
    pub plain: bool,
    /// The addresses of this machine.
    pub own: &'a [IpAddr],
    /// The lists.
    pub addresses: &'a Addresses,
}

/// Something to think about; no fault, since it may be wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// The key.
    pub key: &'static str,
    /// What is so.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

const NO_PORT: &str = "Bind it to an address of your home, and open no port on the router. From elsewhere use Home Assistant's remote access or \
                       a VPN; docs/addresses.md says how";
const LIST: &str =
    "Take it out again, unless you know why it is there: it is the last wall when a port is open by mistake";
const PLAIN: &str =
    "Use https:// and set http.plain to false: everybody in the network can read passwords and watch along";
const NETWORKS: &str =
    "Name only networks in which you would hand everybody the key, guests and every gadget among them";
const PROXIES: &str =
    "Name the addresses of your proxies alone: whoever is on that list can say to be anybody";

/// Everything that opens the appliance beyond the home.
#[must_use]
pub fn concerns(ways: &Ways<'_>) -> Vec<Concern> {
    let Ways { http, broker, plain, own, addresses } = ways;
    let listeners = [("http.bind", Some(*http)), ("broker.bind", *broker)];
    let mut found: Vec<Concern> = listeners
        .into_iter()
        .filter_map(|(key, bind)| {
            let bind = bind?;
            let public = reached(bind.ip(), own)?;
            let what = format!(
                "{key} is {bind}, which the Internet can reach at {public} if no firewall keeps it out"
            );
            Some(Concern { key, what, advice: NO_PORT })
        })
        .collect();
    let mut add = |key, what: String, advice| found.push(Concern { key, what, advice });
    if let Some(words) = beyond(&addresses.allow) {
        add("access.allow", format!("access.allow reaches beyond your home: {words}"), LIST);
    }
    if *plain && !http.ip().is_loopback() {
        add("http.plain", format!("http.plain is on, and the page is served at {http}"), PLAIN);
    }
    if let Some(words) = beyond(&addresses.trusted_networks) {
        let what = format!("access.trusted_networks lets in without a login from beyond your home: {words}");
        add("access.trusted_networks", what, NETWORKS);
    }
    if addresses.trusted_role == Role::Admin && !addresses.trusted_networks.is_empty() {
        let what = format!("everybody in {} is admin without a login", addresses.trusted_networks);
        add("access.trusted_role", what, NETWORKS);
    }
    if addresses.trusted_proxies.holds_everybody() {
        add("access.trusted_proxies", "access.trusted_proxies believes everybody".into(), PROXIES);
    }
    found
}

fn beyond(list: &List) -> Option<String> {
    let beyond: Vec<String> = list.beyond_private().iter().map(ToString::to_string).collect();
    (!beyond.is_empty()).then(|| beyond.join(", "))
}

/// The public address at which a listener can be reached.
fn reached(bind: IpAddr, own: &[IpAddr]) -> Option<IpAddr> {
    if !bind.is_unspecified() {
        return is_public(bind).then_some(bind);
    }
    // 0.0.0.0 takes IPv4 only; [::] takes both.
    own.iter().copied().find(|own| is_public(*own) && (own.is_ipv4() || bind.is_ipv6()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_the_appliance_is_told() {
        let list = |text: &str| List::parse(text).unwrap();
        let (home, hosted): (&[&str], &[&str]) =
            (&["192.168.1.2", "fd00::2", "fe80::2"], &["81.2.3.4", "2a01:4f8::7"]);
        let none = Addresses::default();
        let all = Addresses { allow: list("private, all"), ..none.clone() };
        let open = Addresses {
            trusted_networks: list("192.168.1.*, 8.8.8.0/24"),
            trusted_proxies: list("all"),
            trusted_role: Role::Admin,
            ..none.clone()
        };
        let trusting = Addresses { trusted_networks: list("192.168.1.*"), ..none.clone() };
        let (everywhere, inside) = ("0.0.0.0:8420", "192.168.1.2:1883");
        for (http, broker, plain, own, addresses, expected) in [
            (everywhere, Some(inside), false, home, &none, vec![]),
            (everywhere, None, false, &["fd00::2", "2a01:4f8::7"], &none, vec![]),
            ("[::]:8420", None, false, &["192.168.1.2", "2a01:4f8::7"], &none, vec!["http.bind"]),
            (everywhere, Some("0.0.0.0:1883"), false, hosted, &none, vec!["http.bind", "broker.bind"]),
            ("127.0.0.1:8420", Some("127.0.0.1:1883"), true, hosted, &none, vec![]),
            ("81.2.3.4:8420", Some(inside), false, home, &none, vec!["http.bind"]),
            ("[2a01:4f8::7]:8420", None, false, home, &none, vec!["http.bind"]),
            (everywhere, None, false, home, &all, vec!["access.allow"]),
            (everywhere, None, true, home, &none, vec!["http.plain"]),
            (everywhere, None, false, home, &trusting, vec![]),
            (
                everywhere,
                None,
                false,
                home,
                &open,
                vec!["access.trusted_networks", "access.trusted_role", "access.trusted_proxies"],
            ),
        ] {
            let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().unwrap()).collect();
            let broker = broker.map(|broker| broker.parse().unwrap());
            let http = http.parse().unwrap();
            let found = concerns(&Ways { http, broker, plain, own: &own, addresses });
            let keys: Vec<&str> = found.iter().map(|concern| concern.key).collect();
            assert_eq!(keys, expected, "{http} {broker:?} {plain} {own:?}");
        }
    }
}
