//! What a change of the policy changes: in words, and against what every node is told.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::net::IpAddr;

use headscale_acl::engine::{Diff, Verdict, diff};
use headscale_acl::hujson::{Document, standardize};
use headscale_acl::{Tailnet, Version, compile};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Two users with two devices each, one of them a router; two servers with tags; a router.
fn tailnet() -> Tailnet {
    let user = |id: u32, name: &str| json!({"id": id, "name": name});
    let node = |id: u32, name: &str, user: Option<u32>, tags: &[&str], routes: &[&str]| {
        json!({
            "id": id,
            "name": name,
            "user": user.map(|user| json!({"id": user, "name": "unused"})),
            "ip_addresses": [format!("100.64.0.{id}"), format!("fd7a:115c:a1e0::{id}")],
            "tags": tags,
            "available_routes": routes,
            "approved_routes": routes,
        })
    };
    let snapshot = json!({
        "users": [user(1, "alice"), user(2, "bob")],
        "nodes": [
            node(1, "alice-laptop", Some(1), &[], &[]),
            node(2, "alice-phone", Some(1), &[], &[]),
            node(3, "bob-laptop", Some(2), &[], &[]),
            node(4, "web", None, &["tag:web"], &[]),
            node(5, "db", None, &["tag:db"], &[]),
            node(6, "gateway", None, &["tag:router"], &["10.33.0.0/16"]),
        ],
    });
    Tailnet::from_value(&snapshot).unwrap()
}

fn diff_of(old: &[u8], new: &[u8]) -> Diff {
    diff(old, new, Some(&tailnet()), Version::V0_29).unwrap_or_else(|refused| {
        panic!("{refused:?}\n{}\n{}", String::from_utf8_lossy(old), String::from_utf8_lossy(new))
    })
}

fn told(diff: &Diff) -> String {
    let mut text = diff.verdict.to_string();
    for (sign, rows) in [('+', &diff.added), ('-', &diff.removed)] {
        for row in rows {
            write!(text, "\n{sign} {} {} -> {}", row.kind, row.src, row.dst).unwrap();
            for part in [&row.proto, &row.ports, &row.users] {
                if !part.is_empty() {
                    write!(text, " {part}").unwrap();
                }
            }
        }
    }
    text
}

#[test]
fn rows_are_few_and_in_the_policies_own_names() {
    let text = standardize(&Document::parse(include_bytes!("diff.hujson")));
    let cases: Value = serde_json::from_str(&text).unwrap();
    for case in cases.as_array().unwrap() {
        let [old, new] = ["old", "new"].map(|side| case[side].to_string().into_bytes());
        let diff = diff_of(&old, &new);
        let lines: Vec<&str> =
            case["diff"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(told(&diff), lines.join("\n"), "{}", case["name"]);
        // The other way round it is the same, seen from the other side.
        let back = diff_of(&new, &old);
        assert_eq!((&back.added, &back.removed), (&diff.removed, &diff.added), "{}", case["name"]);
    }
}

/// An address behind the router.
const OFFICE: &str = "10.33.0.5";

const SOURCES: &[&str] = &[
    "*",
    "autogroup:member",
    "autogroup:tagged",
    "group:all",
    "group:ops",
    "alice@",
    "bob@",
    "tag:web",
    "tag:db",
    "100.64.0.1",
    "100.64.0.0/29",
    "10.33.0.0/24",
];
const DESTINATIONS: &[&str] = &[
    "*",
    "autogroup:member",
    "autogroup:self",
    "tag:web",
    "tag:db",
    "alice@",
    "group:ops",
    "web",
    "10.33.0.0/16",
];
const PORTS: &[&str] = &["*", "22", "80,443", "20-90"];
const PROTOCOLS: &[&str] = &["", "tcp", "udp", "icmp"];

/// A rule, as indexes into the lists.
type Pick = (usize, usize, usize, usize);

fn policy(rules: &[Pick]) -> Vec<u8> {
    let rules = rules.iter().map(|(source, destination, ports, protocol)| {
        let (source, destination) = (SOURCES[*source], DESTINATIONS[*destination]);
        // Only people have own devices.
        let source = if destination == "autogroup:self" { "autogroup:member" } else { source };
        let ports = if PROTOCOLS[*protocol] == "icmp" { "*" } else { PORTS[*ports] };
        let dst = format!("{destination}:{ports}");
        json!({"action": "accept", "src": [source], "dst": [dst], "proto": PROTOCOLS[*protocol]})
    });
    let acls: Vec<Value> = rules.collect();
    let text = json!({
        "groups": {"group:all": ["alice@", "bob@"], "group:ops": ["bob@"]},
        "tagOwners": {"tag:web": [], "tag:db": [], "tag:router": []},
        "hosts": {"web": "100.64.0.4"},
        "acls": acls,
    });
    text.to_string().into_bytes()
}

/// The packets of a sample that the nodes let in: from, to, protocol and port.
fn packets(policy: &[u8]) -> Vec<(String, String, u64, u64)> {
    let tailnet = tailnet();
    let compiled = compile(policy, &tailnet, Version::V0_29).unwrap();
    let compiled = serde_json::to_value(compiled).unwrap();
    let addrs = |at: usize| tailnet.nodes[at].addresses.iter().map(ToString::to_string);
    let from: Vec<String> =
        (0..tailnet.nodes.len()).flat_map(addrs).chain([OFFICE.into()]).collect();
    let mut packets = Vec::new();
    for (at, node) in compiled["nodes"].as_array().unwrap().iter().enumerate() {
        let mut to: Vec<String> = addrs(at).collect();
        if node["name"] == "gateway" {
            to.push(OFFICE.to_owned());
        }
        for rule in node["packetFilter"].as_array().into_iter().flatten() {
            let lets_in = |from: &str, to: &str, protocol: u64, port: u64| {
                let protocols = rule["IPProto"].as_array();
                // ICMP knows no ports: a rule for some of them lets all of it in.
                let is_icmp = matches!(protocol, 1 | 58);
                let sources = rule["SrcIPs"].as_array().unwrap();
                protocols.is_none_or(|protocols| protocols.contains(&json!(protocol)))
                    && sources.iter().any(|source| holds(source.as_str().unwrap(), from))
                    && rule["DstPorts"].as_array().unwrap().iter().any(|target| {
                        let [first, last] =
                            ["First", "Last"].map(|end| target["Ports"][end].as_u64().unwrap());
                        (is_icmp || (first..=last).contains(&port))
                            && holds(target["IP"].as_str().unwrap(), to)
                    })
            };
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                for protocol in [6, 17, 1, 58] {
                    for port in [0, 19, 20, 22, 80, 90, 443, 65535] {
                        if lets_in(from, to, protocol, port) {
                            packets.push((from.clone(), to.clone(), protocol, port));
                        }
                    }
                }
            }
        }
    }
    packets.sort_unstable();
    packets.dedup();
    packets
}

/// Whether an address, a range, a prefix or `*` holds an address.
fn holds(text: &str, addr: &str) -> bool {
    let number = |text: &str| match text.parse() {
        Ok(IpAddr::V4(addr)) => (32, u128::from(addr.to_bits())),
        Ok(IpAddr::V6(addr)) => (128, addr.to_bits()),
        Err(_) => panic!("{text:?} is no address"),
    };
    let (width, addr) = number(addr);
    if text == "*" {
        return true;
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (number(first), number(last));
        return first.0 == width && (first.1..=last.1).contains(&addr);
    }
    let (network, bits) = text.split_once('/').unwrap_or((text, "128"));
    let shift = width - bits.parse::<u32>().unwrap().min(width);
    let masked = |value: u128| value.checked_shr(shift).unwrap_or(0);
    number(network).0 == width && masked(number(network).1) == masked(addr)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_those_of_the_packets(
        rules in prop::collection::vec(
            (0..SOURCES.len(), 0..DESTINATIONS.len(), 0..PORTS.len(), 0..PROTOCOLS.len()),
            1..6,
        ),
        more in prop::collection::vec(
            (0..SOURCES.len(), 0..DESTINATIONS.len(), 0..PORTS.len(), 0..PROTOCOLS.len()),
            0..3,
        ),
        gone in 0..4_usize,
    ) {
        let old = policy(&rules);
        let new: Vec<Pick> = rules.iter().skip(gone).chain(&more).copied().collect();
        let new = policy(&new);
        let diff = diff_of(&old, &new);
        let (before, after) = (packets(&old), packets(&new));
        let grows = after.iter().any(|packet| !before.contains(packet));
        let shrinks = before.iter().any(|packet| !after.contains(packet));
        let expected = match (grows, shrinks) {
            (false, false) => Verdict::Same,
            (true, false) => Verdict::Grows,
            (false, true) => Verdict::Shrinks,
            (true, true) => Verdict::Changes,
        };
        prop_assert_eq!(diff.verdict, expected, "{}", told(&diff));
    }
}
