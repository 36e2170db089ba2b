//! The compiled answer against an evaluator that works it out slowly and on its own, for 10,000
//! small policies and tailnets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod address;
mod case;
mod claims;
mod evaluator;
mod json;
mod resolve;

use std::collections::BTreeSet;

use headscale_acl::engine::{Compiled, NodeOutput};
use headscale_acl::{Tailnet, compile};
use headscale_testkit::tailnets::Random;
use headscale_testkit::tell;

use address::{Addr, addr};
use case::Case;
use evaluator::{Probe, Rule, texts_hold};

const CASES: u64 = 10_000;
/// Questions asked of each packet filter.
const PROBES: usize = 40;
/// Addresses beside those of nodes.
const PLACES: [&str; 9] = [
    "10.1.2.3",
    "10.1.9.9",
    "10.200.0.1",
    "8.8.8.8",
    "192.168.0.5",
    "100.100.0.1",
    "fd00:1::7",
    "2001:4860::8888",
    "172.16.3.4",
];
const PROTOCOLS: [u8; 5] = [6, 17, 1, 58, 132];
const NUMBERS: [u16; 5] = [22, 53, 80, 443, 5000];

/// Whether a packet filter as it is sent lets a connection in.
fn allows(node: &NodeOutput, probe: &Probe) -> bool {
    node.packet_filter.iter().any(|rule| {
        let protocols: &[u8] =
            if rule.ip_proto.is_empty() { &[6, 17, 1, 58] } else { &rule.ip_proto };
        protocols.contains(&probe.protocol)
            && texts_hold(&rule.src_ips, probe.from)
            && rule.dst_ports.iter().any(|dst| {
                (dst.ports.first..=dst.ports.last).contains(&probe.port)
                    && texts_hold([&dst.ip], probe.to)
            })
    })
}

fn capabilities<'n>(node: &'n NodeOutput, probe: &Probe) -> BTreeSet<&'n str> {
    let rules = node.packet_filter.iter().filter(|rule| texts_hold(&rule.src_ips, probe.from));
    let grants = rules.flat_map(|rule| &rule.cap_grant);
    let grants = grants.filter(|grant| texts_hold(&grant.dsts, probe.to));
    grants.flat_map(|grant| grant.cap_map.keys()).map(String::as_str).collect()
}

/// The first difference between ours and the slow answer.
fn difference(case: &Case, ours: &Compiled, random: &mut Random) -> Option<String> {
    let rules: Vec<Vec<Rule>> = case.nodes.iter().map(|node| case.rules(node)).collect();
    let mut places: Vec<Addr> = PLACES.iter().map(|text| addr(text)).collect();
    places.extend(case.nodes.iter().flat_map(case::Node::addrs));
    for (at, (node, ours)) in case.nodes.iter().zip(&ours.nodes).enumerate() {
        let name = &ours.name;
        let approved: BTreeSet<String> = ours.auto_approved.iter().cloned().collect();
        if approved != case.approved(node) {
            return Some(format!("{name}: approved {approved:?}, not {:?}", case.approved(node)));
        }
        for (other_at, other) in case.nodes.iter().enumerate().filter(|(other, _)| *other != at) {
            let id = (other_at + 1).to_string();
            let sees = ours.peers.contains(&id);
            let expected = case.see((node, &rules[at]), (other, &rules[other_at]));
            if sees != expected {
                return Some(format!("{name}: sees n{id}: {sees}, not {expected}"));
            }
            let routes = [other.routes(false), other.routes(true)].concat();
            let usable = routes
                .into_iter()
                .filter(|route| expected && case.may_use(node, &rules[at], route));
            let usable: BTreeSet<&str> = usable.collect();
            let theirs = ours.peer_routes.get(&format!("n{id}")).into_iter().flatten();
            let theirs: BTreeSet<&str> = theirs.map(String::as_str).collect();
            if theirs != usable {
                return Some(format!("{name}: routes of n{id} {theirs:?}, not {usable:?}"));
            }
        }
        for _ in 0..PROBES {
            let to = match node.addrs().as_slice() {
                own if random.below(2) == 0 && !own.is_empty() => own[random.below(own.len())],
                _ => places[random.below(places.len())],
            };
            let probe = Probe {
                from: places[random.below(places.len())],
                to,
                protocol: PROTOCOLS[random.below(PROTOCOLS.len())],
                port: NUMBERS[random.below(NUMBERS.len())],
            };
            let (ours_says, expected) =
                (allows(ours, &probe), case.allows(node, &rules[at], &probe));
            if ours_says != expected {
                return Some(format!("{name}: allows {probe:x?}: {ours_says}, not {expected}"));
            }
            let found = capabilities(ours, &probe);
            let expected = case.capabilities(node, &rules[at], &probe);
            if found != expected {
                return Some(format!("{name}: {probe:x?}: {found:?}, not {expected:?}"));
            }
        }
    }
    None
}

#[test]
fn compiled_answers_are_what_the_rules_say() {
    let (mut compared, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for seed in 0.. {
        if compared == CASES {
            break;
        }
        let case = Case::of(seed);
        let tailnet = Tailnet::from_value(&case.tailnet()).unwrap();
        let policy = case.policy();
        let version = case.version().parse().unwrap();
        let compiled = match compile(policy.to_string().as_bytes(), &tailnet, version) {
            Ok(compiled) => compiled,
            // Not every combination is one that Headscale takes.
            Err(checked) => {
                refused += 1;
                let finding = checked.findings.first();
                assert!(refused < 100 + CASES / 2, "too few are valid: {finding:?}\n{policy}");
                continue;
            }
        };
        compared += 1;
        if let Some(difference) = difference(&case, &compiled, &mut Random(seed)) {
            let version = case.version();
            wrong.push(format!(
                "case {seed} ({version}): {difference}\n{policy}\n{}",
                case.tailnet()
            ));
        }
    }
    tell(&format!("reference: {compared} compared, {refused} refused, {} differ", wrong.len()));
    assert!(wrong.is_empty(), "{}", wrong[..wrong.len().min(3)].join("\n\n"));
}
