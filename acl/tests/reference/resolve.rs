//! What names stand for, and sources as they are written.

use crate::address::{Range, cidr, joined, overlap, prefixes};
use crate::case::{Case, Node, USERS};

/// Every address.
pub(crate) const ALL: [Range; 2] = [(true, 0, 0xffff_ffff), (false, 0, u128::MAX)];

pub(crate) fn minus(from: &[Range], gone: &[&str]) -> Vec<Range> {
    let mut left = joined(from);
    for gone in gone {
        let (v4, first, last) = cidr(gone).range();
        left = left
            .into_iter()
            .flat_map(|range| {
                if range.0 != v4 || last < range.1 || range.2 < first {
                    return vec![range];
                }
                let before = (range.1 < first).then(|| (v4, range.1, first - 1));
                let after = (last < range.2).then(|| (v4, last + 1, range.2));
                before.into_iter().chain(after).collect()
            })
            .collect();
    }
    left
}

pub(crate) fn internet() -> Vec<Range> {
    let all = [cidr("0.0.0.0/0").range(), cidr("2000::/3").range()];
    let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"];
    minus(&minus(&all, &private), &["100.64.0.0/10"])
}

pub(crate) fn range_text(range: Range) -> String {
    let prefix = prefixes(&[range]);
    match prefix.as_slice() {
        [prefix] => format!("{prefix:?}"),
        _ => format!("{range:?}"),
    }
}

impl Case {
    pub(crate) fn nodes_where(&self, is: impl Fn(&Node) -> bool) -> Vec<Range> {
        self.nodes.iter().filter(|node| is(node)).flat_map(Node::ranges).collect()
    }

    /// What an alias stands for; `None` for `autogroup:self`.
    pub(crate) fn resolve(&self, alias: &str) -> Option<Vec<Range>> {
        let of_user = |user: &str| {
            let user = USERS.iter().position(|name| *name == user);
            self.nodes_where(|node| node.tags.is_empty() && node.user == user)
        };
        Some(match alias {
            "*" if self.old => ALL.to_vec(),
            "*" => {
                let tailnet = [cidr("100.64.0.0/10").range(), cidr("fd7a:115c:a1e0::/48").range()];
                minus(&tailnet, &["100.115.92.0/23"])
            }
            "autogroup:self" => return None,
            "autogroup:member" => self.nodes_where(|node| node.tags.is_empty()),
            "autogroup:tagged" => self.nodes_where(|node| !node.tags.is_empty()),
            "autogroup:internet" => internet(),
            "autogroup:danger-all" => ALL.to_vec(),
            tag if tag.starts_with("tag:") => {
                self.nodes_where(|node| node.tags.iter().any(|of| of == tag))
            }
            group if group.starts_with("group:") => {
                let (_, members) = self.groups.iter().find(|(name, _)| name == group).unwrap();
                members.iter().flat_map(|user| of_user(user)).collect()
            }
            user if user.ends_with('@') => of_user(user),
            other => match self.hosts.iter().find(|(name, _)| name == other) {
                Some((_, prefix)) => {
                    let mut set = self.prefix(prefix);
                    if self.old {
                        set.extend(self.nodes_where(|node| node.is_in(&set)));
                    }
                    set
                }
                None => self.prefix(other),
            },
        })
    }

    /// A prefix; up to 0.28 with the other addresses of the node that its first address belongs
    /// to, where it is one address or in the tailnet's range.
    pub(crate) fn prefix(&self, text: &str) -> Vec<Range> {
        let prefix = cidr(text);
        let range = prefix.range();
        let mut set = vec![range];
        let tailnet = ["100.64.0.0/10", "fd7a:115c:a1e0::/48"].map(|text| cidr(text).range());
        let first = (range.0, range.1, range.1);
        if self.old && (range.1 == range.2 || overlap(&tailnet, first)) {
            set.extend(self.nodes_where(|node| node.is_in(&[first])));
        }
        set
    }

    pub(crate) fn resolve_all(&self, aliases: &[String]) -> Vec<Range> {
        aliases.iter().filter_map(|alias| self.resolve(alias)).flatten().collect()
    }

    /// Approved subnet routes of all nodes, each once.
    pub(crate) fn approved_routes(&self) -> Vec<Range> {
        let mut routes = Vec::new();
        for route in self.nodes.iter().flat_map(Node::subnets) {
            if !routes.contains(&route) {
                routes.push(route);
            }
        }
        routes
    }

    /// Sources as they are written, and what they hold; `None` where they hold nothing.
    pub(crate) fn sources(
        &self,
        aliases: &[String],
        via: bool,
    ) -> Option<(Vec<String>, Vec<Range>)> {
        let all = joined(&self.resolve_all(aliases));
        if all.is_empty() {
            return None;
        }
        if aliases.iter().any(|alias| alias == "autogroup:danger-all") {
            let mut texts = vec!["*".to_owned()];
            let mut holds = ALL.to_vec();
            if !via && aliases.iter().any(|alias| alias == "*") {
                self.add_named(aliases, &mut texts, &mut holds);
            }
            return Some((texts, holds));
        }
        let mut texts: Vec<String> = all.iter().map(|range| range_text(*range)).collect();
        let mut holds = all;
        if !self.old && aliases.iter().any(|alias| alias == "*") {
            for route in self.approved_routes() {
                texts.push(range_text(route));
                holds.push(route);
            }
            if !via {
                self.add_named(aliases, &mut texts, &mut holds);
            }
        }
        Some((texts, holds))
    }

    pub(crate) fn add_named(
        &self,
        aliases: &[String],
        texts: &mut Vec<String>,
        holds: &mut Vec<Range>,
    ) {
        for alias in aliases.iter().filter(|alias| *alias != "*") {
            for range in joined(&self.resolve(alias).unwrap_or_default()) {
                if !texts.contains(&range_text(range)) {
                    texts.push(range_text(range));
                    holds.push(range);
                }
            }
        }
    }

    pub(crate) fn protocols(&self, name: &str) -> Vec<u8> {
        match (name, self.old) {
            ("", true) => vec![6, 17],
            ("", false) => vec![],
            ("icmp", true) => vec![1, 58],
            ("icmp", false) => vec![1],
            ("tcp", _) => vec![6],
            ("udp", _) => vec![17],
            _ => vec![132],
        }
    }
}
