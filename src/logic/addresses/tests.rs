//! Tables of addresses, networks and routes.

use super::*;

fn list(text: &str) -> List {
    List::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn networks_wildcards_and_words_hold_what_they_say() {
    // list, inside, outside
    for (text, inside, outside) in [
        ("192.168.1.7", vec!["192.168.1.7", "::ffff:192.168.1.7"], vec!["192.168.1.8", "::1"]),
        ("192.168.1.*", vec!["192.168.1.0", "192.168.1.255"], vec!["192.168.2.1", "192.168.0.255"]),
        ("10.*", vec!["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], vec!["11.0.0.0", "9.255.255.255"]),
        ("192.168.*.*", vec!["192.168.77.1"], vec!["192.169.0.1"]),
        ("172.16.0.0/12", vec!["172.16.0.1", "172.31.255.255"], vec!["172.32.0.1", "172.15.255.255"]),
        ("2001:db8:*", vec!["2001:db8::1", "2001:db8:ffff::1"], vec!["2001:db9::1", "::ffff:32.1.13.184"]),
        ("2001:DB8:0:7:*", vec!["2001:db8:0:7::9"], vec!["2001:db8:0:8::9"]),
        ("fd00::/8", vec!["fd12:3456::1"], vec!["fc00::1", "fe80::1"]),
        ("fe80::1", vec!["fe80::1"], vec!["fe80::2"]),
        ("::ffff:10.0.0.0/104", vec!["10.9.9.9", "::ffff:10.9.9.9"], vec!["11.0.0.1", "::10.9.9.9"]),
        ("::ffff:192.168.1.7", vec!["192.168.1.7"], vec!["192.168.1.8"]),
        (
            "private",
            vec![
                "127.0.0.1",
                "127.255.0.1",
                "10.1.2.3",
                "172.20.0.1",
                "192.168.255.255",
                "169.254.0.9",
                "::1",
                "fc00::1",
                "fdff::1",
                "fe80::5",
                "febf::1",
                "::ffff:192.168.0.1",
            ],
            vec![
                "8.8.8.8",
                "172.32.0.1",
                "192.169.0.1",
                "100.64.0.1",
                "2001:db8::1",
                "fec0::1",
                "::ffff:8.8.8.8",
                "::",
                "0.0.0.0",
            ],
        ),
        ("ALL", vec!["8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "::"], vec![]),
        // Every IPv6 address is not every IPv4 address in its clothes.
        ("::/0", vec!["2001:db8::1"], vec!["::ffff:8.8.8.8", "8.8.8.8"]),
        (" 10.0.0.1 ,, fd00:* ", vec!["10.0.0.1", "fd00::5"], vec!["10.0.0.2"]),
        ("", vec![], vec!["127.0.0.1", "::1"]),
    ] {
        for address in inside {
            assert!(list(text).holds(ip(address)), "{address} is in {text:?}");
        }
        for address in outside {
            assert!(!list(text).holds(ip(address)), "{address} is not in {text:?}");
        }
    }
}

#[test]
fn a_wrong_word_is_named_with_what_would_do() {
    for (text, word, part) in [
        ("10.0.0.1, home", "home", "192.168.1.0/24"),
        ("*", "*", "private and all"),
        ("192.168.*.7", "192.168.*.7", "addresses such as"),
        ("192.168.1*", "192.168.1*", "addresses such as"),
        ("300.*", "300.*", "addresses such as"),
        ("010.*", "010.*", "addresses such as"),
        ("1.2.3.4.*", "1.2.3.4.*", "addresses such as"),
        ("2001:db8::*", "2001:db8::*", "addresses such as"),
        ("1:2:3:4:5:6:7:8:*", "1:2:3:4:5:6:7:8:*", "addresses such as"),
        ("10.0.0.0/33", "10.0.0.0/33", "addresses such as"),
        ("10.0.0.010", "10.0.0.010", "addresses such as"),
        ("fe80::1%eth0", "fe80::1%eth0", "addresses such as"),
        ("192.168.1.0/255.255.255.0", "192.168.1.0/255", "addresses such as"),
        ("192.168.1.7/24", "192.168.1.7/24", "write 192.168.1.0/24 or 192.168.1.7"),
        ("fd00::1/8", "fd00::1/8", "write fd00::/8 or fd00::1"),
    ] {
        let error = List::parse(text).unwrap_err();
        assert!(error.contains(word) && error.contains(part), "{text}: {error}");
    }
}

#[test]
fn blocking_wins_and_the_machine_itself_is_never_shut_out() {
    let own = "192.168.1.2";
    // allow, block, address, may come
    for (allow, block, address, expected) in [
        ("private", "", "192.168.1.9", true),
        ("private", "", "::ffff:192.168.1.9", true),
        ("private", "", "8.8.8.8", false),
        ("private", "", "::ffff:8.8.8.8", false),
        ("private", "192.168.1.9", "192.168.1.9", false),
        ("private", "192.168.1.9", "::ffff:192.168.1.9", false),
        ("private", "192.168.*", "192.168.1.9", false),
        ("all", "private", "10.0.0.1", false),
        ("all", "private", "8.8.8.8", true),
        ("192.168.1.9", "", "192.168.1.8", false),
        ("", "", "192.168.1.9", false),
        ("", "all", "127.0.0.1", true),
        ("", "all", "::1", true),
        ("", "all", "::ffff:127.0.0.1", true),
        ("", "all", own, true),
        ("", "all", "::ffff:192.168.1.2", true),
    ] {
        let addresses = Addresses { allow: list(allow), block: list(block), ..Addresses::default() };
        assert_eq!(addresses.admits(ip(address), ip(own)), expected, "{allow:?} {block:?} {address}");
    }
}

/// Peer, what it forwards, the client, how many hops are known.
#[test]
fn a_route_is_walked_from_our_end() {
    let addresses = Addresses { trusted_proxies: list("10.0.0.1, 10.0.0.2, ::1"), ..Addresses::default() };
    for (peer, forwarded, client, n_known) in [
        ("192.168.1.9", vec![], "192.168.1.9", 1),
        ("192.168.1.9", vec!["127.0.0.1"], "192.168.1.9", 1),
        ("10.0.0.1", vec![], "10.0.0.1", 1),
        ("10.0.0.1", vec!["192.168.1.9"], "192.168.1.9", 2),
        ("::ffff:10.0.0.1", vec!["::ffff:192.168.1.9"], "192.168.1.9", 2),
        ("10.0.0.1", vec!["127.0.0.1", "8.8.8.8"], "8.8.8.8", 2),
        ("10.0.0.1", vec!["127.0.0.1", "8.8.8.8", "10.0.0.2"], "8.8.8.8", 3),
        ("10.0.0.1", vec!["127.0.0.1"], "127.0.0.1", 2),
        ("::1", vec!["10.0.0.1", "10.0.0.2"], "10.0.0.1", 3),
    ] {
        let named: Vec<IpAddr> = forwarded.iter().map(|hop| ip(hop)).collect();
        let journey = addresses.walk(ip(peer), &named);
        assert_eq!((journey.client, journey.n_known), (ip(client), n_known), "{peer} {forwarded:?}");
    }
    let journey = addresses.walk(ip("10.0.0.1"), &[ip("1.2.3.4"), ip("8.8.8.8")]);
    assert_eq!(journey.route(), "1.2.3.4, 8.8.8.8, 10.0.0.1");
    assert_eq!(journey.known(), [ip("8.8.8.8"), ip("10.0.0.1")]);
}

#[test]
fn every_hop_has_to_pass() {
    let addresses = Addresses {
        trusted_proxies: list("10.0.0.1"),
        trusted_networks: list("192.168.1.*, 10.0.0.1"),
        block: list("192.168.1.66"),
        ..Addresses::default()
    };
    let own = ip("10.0.0.5");
    // peer, forwarded, who is refused, whether it is trusted
    for (peer, forwarded, refused, trusted) in [
        ("192.168.1.9", vec![], None, true),
        ("192.168.2.9", vec![], None, false),
        ("8.8.8.8", vec!["192.168.1.9"], Some("8.8.8.8"), false),
        ("10.0.0.1", vec!["192.168.1.9"], None, true),
        ("10.0.0.1", vec!["8.8.8.8"], Some("8.8.8.8"), false),
        ("10.0.0.1", vec!["8.8.8.8", "192.168.1.9"], Some("8.8.8.8"), false),
        ("10.0.0.1", vec!["192.168.1.66", "192.168.1.9"], Some("192.168.1.66"), true),
        ("10.0.0.1", vec!["192.168.2.9", "192.168.1.9"], None, false),
        ("10.0.0.1", vec!["127.0.0.1"], None, false),
    ] {
        let named: Vec<IpAddr> = forwarded.iter().map(|hop| ip(hop)).collect();
        let journey = addresses.walk(ip(peer), &named);
        let outcome = addresses.check(&journey, own).err();
        assert_eq!(outcome, refused.map(ip), "{peer} {forwarded:?}");
        assert_eq!(addresses.is_trusted(&journey), trusted, "{peer} {forwarded:?}");
    }
    assert!(!Addresses::default().is_trusted(&Journey::direct(ip("127.0.0.1"))), "nobody by default");
}

#[test]
fn words_of_forwarded_headers_are_read_strictly() {
    for (word, expected) in [
        (" 192.168.1.9 ", Some("192.168.1.9")),
        ("192.168.1.9:4711", Some("192.168.1.9")),
        ("2001:db8::7", Some("2001:db8::7")),
        ("[2001:db8::7]", Some("2001:db8::7")),
        ("[2001:db8::7]:443", Some("2001:db8::7")),
        ("::ffff:10.0.0.1", Some("10.0.0.1")),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("10.0.0.1;", None),
        ("10.0.0.01", None),
        ("fe80::1%eth0", None),
    ] {
        assert_eq!(hop(word), expected.map(ip), "{word:?}");
    }
}

#[test]
fn what_the_internet_reaches_is_known() {
    for (address, expected) in [
        ("8.8.8.8", true),
        ("::ffff:8.8.8.8", true),
        ("2a00:1450::1", true),
        ("192.168.1.1", false),
        ("100.64.1.1", false),
        ("203.0.113.5", false),
        ("239.1.1.1", false),
        ("0.0.0.0", false),
        ("fd00::1", false),
        ("fe80::1", false),
        ("2001:db8::1", false),
        ("::1", false),
    ] {
        assert_eq!(is_public(ip(address)), expected, "{address}");
    }
    for (text, beyond) in [
        ("private, 192.168.1.*", vec![]),
        ("192.168.0.0/15", vec!["192.168.0.0/15"]),
        ("all", vec!["0.0.0.0/0", "::/0"]),
        ("10.1.2.3, 8.8.8.8", vec!["8.8.8.8/32"]),
    ] {
        let found: Vec<String> = list(text).beyond_private().iter().map(ToString::to_string).collect();
        assert_eq!(found, beyond, "{text}");
    }
    assert!(list("all").holds_everybody() && !list("private").holds_everybody());
}
