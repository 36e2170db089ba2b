//! Claims about names against every pair of addresses, one by one.

use headscale_acl::Tailnet;
use headscale_acl::engine::{self, Claim, Expect};
use headscale_testkit::tailnets::Random;
use headscale_testkit::tell;

use super::case::{Case, Node, USERS};
use super::evaluator::{Probe, Rule};

const CASES: usize = 2_000;
const CLAIMS: usize = 12;
const EXPECTED: [Expect; 4] = [Expect::All, Expect::Any, Expect::None, Expect::NotAll];
const PROTOCOLS: [(&str, u8); 2] = [("tcp", 6), ("udp", 17)];
const PORTS: [&[u16]; 4] = [&[22], &[80], &[443, 22], &[5000, 53, 80]];

/// A name with the indexes of the nodes behind it.
fn name(case: &Case, random: &mut Random) -> (String, Vec<usize>) {
    let of = |is: &dyn Fn(&Node) -> bool| -> Vec<usize> {
        let nodes = case.nodes.iter().enumerate();
        nodes.filter(|(_, node)| is(node)).map(|(at, _)| at).collect()
    };
    let owner = |node: &Node| node.user.filter(|_| node.tags.is_empty());
    match random.below(6) {
        0 => {
            let at = random.below(case.nodes.len());
            (format!("n{}", at + 1), vec![at])
        }
        1 => {
            let at = random.below(USERS.len());
            (USERS[at].to_owned(), of(&|node| owner(node) == Some(at)))
        }
        2 => {
            let (group, members) = &case.groups[random.below(case.groups.len())];
            let is_member = |user: usize| members.iter().any(|member| member == USERS[user]);
            (group.clone(), of(&|node| owner(node).is_some_and(is_member)))
        }
        3 => ("tag:a".to_owned(), of(&|node| node.tags.iter().any(|tag| tag == "tag:a"))),
        4 => ("autogroup:member".to_owned(), of(&|node| node.tags.is_empty())),
        _ => ("*".to_owned(), of(&|_| true)),
    }
}

/// Whether the claim holds; `None` where there is no pair.
fn slow(
    case: &Case,
    rules: &[Vec<Rule>],
    (from, to): (&[usize], &[usize]),
    (protocol, ports): (u8, &[u16]),
    expect: Expect,
) -> Option<bool> {
    let mut by_port = Vec::new();
    for port in ports {
        let mut allowed = Vec::new();
        for (a, b) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))) {
            if a == b {
                continue;
            }
            let (source, target) = (&case.nodes[a], &case.nodes[b]);
            for from in source.addrs() {
                for to in target.addrs().into_iter().filter(|to| to.0 == from.0) {
                    let probe = Probe { from, to, protocol, port: *port };
                    allowed.push(case.allows(target, &rules[b], &probe));
                }
            }
        }
        by_port.push(allowed);
    }
    if by_port.iter().any(Vec::is_empty) {
        return None;
    }
    let mut each = by_port.iter();
    Some(match expect {
        Expect::All => each.all(|port| port.iter().all(|allowed| *allowed)),
        Expect::NotAll => !each.all(|port| port.iter().all(|allowed| *allowed)),
        Expect::Any => each.all(|port| port.iter().any(|allowed| *allowed)),
        Expect::None | Expect::Only => each.all(|port| port.iter().all(|allowed| !*allowed)),
    })
}

#[test]
fn claims_hold_where_they_hold_for_each_pair() {
    let (mut judged, mut vacuous, mut broken) = (0, 0, 0);
    let mut wrong = Vec::new();
    for seed in 0..CASES as u64 {
        let case = Case::of(seed);
        let tailnet = Tailnet::from_value(&case.tailnet()).unwrap();
        let policy = case.policy().to_string();
        let rules: Vec<Vec<Rule>> = case.nodes.iter().map(|node| case.rules(node)).collect();
        let random = &mut Random(seed);
        let version = case.version().parse().unwrap();
        let asked = engine::ask(policy.as_bytes(), Some(&tailnet), version, |network| {
            for _ in 0..CLAIMS {
                let ((from, sources), (to, targets)) = (name(&case, random), name(&case, random));
                let (protocol, number) = PROTOCOLS[random.below(PROTOCOLS.len())];
                let ports = PORTS[random.below(PORTS.len())];
                let expect = EXPECTED[random.below(EXPECTED.len())];
                let texts: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let to = format!("{to}:{}", texts.join(","));
                let from = [from.as_str()];
                let claim = Claim { from: &from, to: &to, protocol: Some(protocol), expect };
                let expected = slow(&case, &rules, (&sources, &targets), (number, ports), expect);
                let found = match network.judge(&claim) {
                    Ok(judgement) if judgement.vacuous.is_some() => None,
                    Ok(judgement) => Some(judgement.holds),
                    Err(error) => panic!("{error}"),
                };
                judged += 1;
                vacuous += usize::from(found.is_none());
                broken += usize::from(found == Some(false));
                if found != expected {
                    wrong.push(format!("case {seed}: {claim:?}: {found:?}, not {expected:?}"));
                }
            }
        });
        drop(asked);
    }
    tell(&format!("claims: {judged} judged, {vacuous} vacuous, {broken} broken"));
    assert!(judged > CASES * 4 && broken > CASES && vacuous * 4 < judged * 3);
    assert!(wrong.is_empty(), "{}", wrong[..wrong.len().min(5)].join("\n"));
}
