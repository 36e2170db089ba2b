//! What a policy means, worked out slowly: plain loops over rules, nodes and ranges. Nothing here
//! is taken from the engine.

use std::collections::BTreeSet;

use crate::address::{
    Addr, Cidr, Range, addr, cidr, covers, covers_all, holds, joined, overlap, prefixes, written,
};
use crate::case::{Case, Node, Ports};
use crate::resolve::{ALL, internet, range_text};

const DRIVE: &str = "tailscale.com/cap/drive";

/// A rule of one node's list before reduction.
pub(crate) struct Rule {
    /// As text, in order: rules for ports with the same text and protocols are one.
    written: Vec<String>,
    sources: Vec<Range>,
    what: What,
}

enum What {
    Ports { protocols: Vec<u8>, targets: Vec<(Target, Ports)> },
    Caps(Vec<(Vec<Cidr>, &'static str)>),
}

#[derive(Clone, Copy)]
enum Target {
    Any,
    Net(Cidr),
}

/// A question of a packet filter.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) from: Addr,
    pub(crate) to: Addr,
    pub(crate) protocol: u8,
    pub(crate) port: u16,
}

impl Node {
    pub(crate) fn addrs(&self) -> Vec<Addr> {
        self.addrs.iter().map(|text| addr(text)).collect()
    }

    pub(crate) fn is_in(&self, set: &[Range]) -> bool {
        self.addrs().into_iter().any(|addr| holds(set, addr))
    }

    pub(crate) fn ranges(&self) -> Vec<Range> {
        self.addrs().into_iter().map(|(v4, value)| (v4, value, value)).collect()
    }

    /// Announced and approved routes: exit routes, or the others.
    pub(crate) fn routes(&self, exit: bool) -> Vec<&str> {
        let served = self.announced.iter().filter(|route| self.approved.contains(route));
        served.map(String::as_str).filter(|route| route.ends_with("/0") == exit).collect()
    }

    pub(crate) fn subnets(&self) -> Vec<Range> {
        self.routes(false).into_iter().map(|route| cidr(route).range()).collect()
    }

    fn is_exit_node(&self) -> bool {
        !self.routes(true).is_empty()
    }
}

impl Case {
    /// The rules of a node before reduction, merged.
    pub(crate) fn rules(&self, node: &Node) -> Vec<Rule> {
        let mut rules = Vec::new();
        if self.no_rules {
            let what = What::Ports { protocols: vec![], targets: vec![(Target::Any, (0, 65535))] };
            return vec![Rule { written: vec!["*".to_owned()], sources: ALL.to_vec(), what }];
        }
        for grant in &self.grants {
            if grant.via.is_empty() {
                self.part(&grant.src, &grant.dst, &grant.ip, grant.app, node, &mut rules);
            } else {
                self.via(grant, node, &mut rules);
            }
        }
        for acl in &self.acls {
            if self.old {
                self.old_acl(acl, node, &mut rules);
                continue;
            }
            let (own, others): (Vec<_>, Vec<_>) =
                acl.dst.iter().partition(|(dst, _)| dst == "autogroup:self");
            let moved = others.iter().any(|(dst, _)| !dst.starts_with("autogroup:"));
            let order = if moved {
                others.into_iter().chain(own).collect()
            } else {
                acl.dst.iter().collect::<Vec<_>>()
            };
            for (dst, ports) in order {
                let ip = [(acl.protocol, *ports)];
                self.part(&acl.src, std::slice::from_ref(dst), &ip, None, node, &mut rules);
            }
        }
        if self.old {
            return rules;
        }
        let mut merged: Vec<Rule> = Vec::new();
        for rule in rules {
            let known = merged.iter_mut().find_map(|known| match (&mut known.what, &rule.what) {
                (
                    What::Ports { protocols, targets },
                    What::Ports { protocols: same, targets: _ },
                ) if known.written == rule.written && protocols == same => Some(targets),
                _ => None,
            });
            match (known, rule) {
                (Some(targets), Rule { what: What::Ports { targets: more, .. }, .. }) => {
                    targets.extend(more);
                }
                (_, rule) => merged.push(rule),
            }
        }
        merged
    }

    fn part(
        &self,
        src: &[String],
        dst: &[String],
        ip: &[(&'static str, Ports)],
        app: Option<&'static str>,
        node: &Node,
        rules: &mut Vec<Rule>,
    ) {
        let sources = self.sources(src, false);
        let others: Vec<&String> = dst.iter().filter(|dst| *dst != "autogroup:self").collect();
        let targets_at = |ports: Ports| -> Vec<(Target, Ports)> {
            let mut targets = Vec::new();
            for dst in &others {
                if *dst == "*" {
                    targets.push((Target::Any, ports));
                } else {
                    let set = self.resolve(dst).unwrap();
                    targets.extend(prefixes(&set).into_iter().map(|at| (Target::Net(at), ports)));
                }
            }
            targets
        };
        for (protocol, ports) in ip {
            let targets = targets_at(*ports);
            if let (Some((written, sources)), false) = (&sources, targets.is_empty()) {
                let what = What::Ports { protocols: self.protocols(protocol), targets };
                rules.push(Rule { written: written.clone(), sources: sources.clone(), what });
            }
        }
        if let (Some(app), false) = (app, others.is_empty()) {
            let (_, from) = sources.unwrap_or_default();
            let sets: Vec<Vec<Range>> =
                others.iter().map(|dst| self.resolve(dst).unwrap()).collect();
            let grants = sets.iter().map(|set| (prefixes(set), app)).collect();
            let what = What::Caps(grants);
            rules.push(Rule { written: Vec::new(), sources: from, what });
            if app == DRIVE {
                let mut back: Vec<Range> = sets.concat();
                if others.iter().any(|dst| *dst == "*") {
                    back.extend(self.approved_routes());
                }
                let to = src.iter().filter_map(|alias| self.resolve(alias));
                let to = to.flat_map(|set| prefixes(&set)).collect();
                let what = What::Caps(vec![(to, "tailscale.com/cap/drive-sharer")]);
                rules.push(Rule { written: Vec::new(), sources: back, what });
            }
        }
        if others.len() < dst.len() {
            self.own_devices(src, ip, app, node, rules);
        }
    }

    fn own_devices(
        &self,
        src: &[String],
        ip: &[(&'static str, Ports)],
        app: Option<&'static str>,
        node: &Node,
        rules: &mut Vec<Rule>,
    ) {
        let Some(user) = node.user else { return };
        let devices: Vec<&Node> = self.nodes.iter().filter(|of| of.user == Some(user)).collect();
        let wanted = self.resolve_all(src);
        let from = devices.iter().filter(|device| device.is_in(&wanted));
        let from = joined(&from.flat_map(|device| device.ranges()).collect::<Vec<_>>());
        if from.is_empty() {
            return;
        }
        let written: Vec<String> = from.iter().map(|range| range_text(*range)).collect();
        let singles =
            |device: &Node| device.addrs.iter().map(|text| cidr(text)).collect::<Vec<_>>();
        for (protocol, ports) in ip {
            let targets = devices.iter().flat_map(|device| singles(device));
            let targets = targets.map(|at| (Target::Net(at), *ports)).collect();
            let what = What::Ports { protocols: self.protocols(protocol), targets };
            rules.push(Rule { written: written.clone(), sources: from.clone(), what });
        }
        let Some(app) = app else { return };
        let what = What::Caps(devices.iter().map(|device| (singles(device), app)).collect());
        rules.push(Rule { written: Vec::new(), sources: from.clone(), what });
        if app == DRIVE {
            let back = devices.iter().flat_map(|device| device.ranges()).collect();
            let what = What::Caps(vec![(prefixes(&from), "tailscale.com/cap/drive-sharer")]);
            rules.push(Rule { written: Vec::new(), sources: back, what });
        }
    }

    fn via(&self, grant: &crate::case::Grant, node: &Node, rules: &mut Vec<Rule>) {
        let Some((written, sources)) = self.sources(&grant.src, true) else { return };
        if !grant.via.iter().any(|tag| node.tags.contains(tag)) {
            return;
        }
        let mut to = Vec::new();
        for dst in &grant.dst {
            if dst == "autogroup:internet" {
                if node.is_exit_node() {
                    to.extend(prefixes(&internet()));
                }
            } else {
                let all = prefixes(&self.resolve(dst).unwrap());
                to.extend(all.into_iter().filter(|at| overlap(&node.subnets(), at.range())));
            }
        }
        for (protocol, ports) in &grant.ip {
            let targets: Vec<_> = to.iter().map(|at| (Target::Net(*at), *ports)).collect();
            if !targets.is_empty() {
                let what = What::Ports { protocols: self.protocols(protocol), targets };
                let (written, sources) = (written.clone(), sources.clone());
                rules.push(Rule { written, sources, what });
            }
        }
    }

    fn old_acl(&self, acl: &crate::case::Acl, node: &Node, rules: &mut Vec<Rule>) {
        let ports: Vec<_> = acl
            .dst
            .iter()
            .filter(|(dst, _)| dst == "autogroup:self")
            .map(|(_, ports)| (acl.protocol, *ports))
            .collect();
        self.own_devices(&acl.src, &ports, None, node, rules);
        let targets: Vec<_> = acl
            .dst
            .iter()
            .filter_map(|(dst, ports)| Some((self.resolve(dst)?, *ports)))
            .flat_map(|(set, ports)| {
                prefixes(&set).into_iter().map(move |at| (Target::Net(at), ports))
            })
            .collect();
        if let (Some((written, sources)), false) =
            (self.sources(&acl.src, false), targets.is_empty())
        {
            let what = What::Ports { protocols: self.protocols(acl.protocol), targets };
            rules.push(Rule { written, sources, what });
        }
    }

    /// Whether the packet filter of `node` keeps a destination.
    fn keeps(&self, node: &Node, target: Target) -> bool {
        let Target::Net(prefix) = target else {
            return !node.addrs.is_empty() || !node.subnets().is_empty();
        };
        let range = prefix.range();
        let announced = || node.announced.iter().map(|route| cidr(route).range()).collect();
        let routes: Vec<Range> = if self.old { announced() } else { node.subnets() };
        node.is_in(&[range])
            || overlap(&routes, range)
            || (!self.old && node.is_exit_node() && covers(&internet(), range))
    }

    /// Whether the packet filter of `node` with these rules lets a connection in.
    pub(crate) fn allows(&self, node: &Node, rules: &[Rule], probe: &Probe) -> bool {
        rules.iter().any(|rule| match &rule.what {
            What::Ports { protocols, targets } => {
                let protocols: &[u8] =
                    if protocols.is_empty() { &[6, 17, 1, 58] } else { protocols };
                protocols.contains(&probe.protocol)
                    && holds(&rule.sources, probe.from)
                    && targets.iter().any(|(target, (first, last))| {
                        let set = match target {
                            Target::Any => ALL.to_vec(),
                            Target::Net(prefix) => vec![prefix.range()],
                        };
                        self.keeps(node, *target)
                            && holds(&set, probe.to)
                            && (*first..=*last).contains(&probe.port)
                    })
            }
            What::Caps(_) => false,
        })
    }

    /// The capabilities that a source has on an address, by the packet filter of `node`.
    pub(crate) fn capabilities(
        &self,
        node: &Node,
        rules: &[Rule],
        probe: &Probe,
    ) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for rule in rules.iter().filter(|rule| holds(&rule.sources, probe.from)) {
            let What::Caps(grants) = &rule.what else { continue };
            for (prefixes, name) in grants {
                for range in prefixes.iter().map(|prefix| prefix.range()) {
                    let own = node.addrs().contains(&probe.to);
                    if holds(&[range], probe.to) && (own || overlap(&node.subnets(), range)) {
                        found.insert(*name);
                    }
                }
            }
        }
        found
    }

    /// Whether `from` reaches `to` by any port or capability of `rules`.
    fn can_access(&self, from: &Node, to: &Node, rules: &[Rule]) -> bool {
        rules.iter().any(|rule| {
            let destinations = rule.destinations();
            let source = from.is_in(&rule.sources)
                || (!self.old && from.subnets().iter().any(|at| overlap(&rule.sources, *at)));
            let everywhere = ALL.iter().any(|all| covers(&destinations, *all))
                || if self.old {
                    joined(&destinations) == joined(&internet())
                } else {
                    covers_all(&destinations, &internet())
                };
            source
                && (to.is_in(&destinations)
                    || to.subnets().iter().any(|at| overlap(&destinations, *at))
                    || (to.is_exit_node() && everywhere))
        })
    }

    /// Whether two nodes see each other, each with its rules.
    pub(crate) fn see(&self, (a, of_a): (&Node, &[Rule]), (b, of_b): (&Node, &[Rule])) -> bool {
        let own = self.can_access(a, b, of_a) || self.can_access(b, a, of_b);
        own || (!self.old && (self.can_access(a, b, of_b) || self.can_access(b, a, of_a)))
    }

    /// Whether `viewer`, with these rules, may use a route.
    pub(crate) fn may_use(&self, viewer: &Node, rules: &[Rule], route: &str) -> bool {
        let route = cidr(route).range();
        let there = |set: &[Range]| {
            viewer.is_in(set) || (!self.old && viewer.subnets().iter().any(|at| overlap(set, *at)))
        };
        rules.iter().any(|rule| {
            let destinations = rule.destinations();
            (there(&rule.sources) && overlap(&destinations, route))
                || (overlap(&rule.sources, route) && there(&destinations))
        })
    }

    /// The approved routes of a node once the policy has approved what it may.
    pub(crate) fn approved(&self, node: &Node) -> BTreeSet<String> {
        let announced = node.announced.iter().filter(|route| {
            if route.ends_with("/0") {
                return node.is_in(&self.resolve_all(&self.exit_nodes));
            }
            self.routes.iter().any(|(key, approvers)| {
                let (key, route) = (cidr(key), cidr(route));
                key.bits <= route.bits
                    && overlap(&[key.range()], route.range())
                    && node.is_in(&self.resolve_all(approvers))
            })
        });
        announced.chain(&node.approved).cloned().collect()
    }
}

impl Rule {
    fn destinations(&self) -> Vec<Range> {
        match &self.what {
            What::Ports { targets, .. } => targets
                .iter()
                .flat_map(|(target, _)| match target {
                    Target::Any => ALL.to_vec(),
                    Target::Net(prefix) => vec![prefix.range()],
                })
                .collect(),
            What::Caps(grants) => {
                grants.iter().flat_map(|(at, _)| at).map(|prefix| prefix.range()).collect()
            }
        }
    }
}

/// Whether a list of texts as they stand in a packet filter holds an address.
pub(crate) fn texts_hold<'t>(texts: impl IntoIterator<Item = &'t String>, at: Addr) -> bool {
    texts.into_iter().any(|text| holds(&written(text), at))
}
