//! Tests of a plugin without WebAssembly and without a host.
//!
//! [`Tailnet`] answers the questions of [`Reachability`] from what a test says: who is there, and
//! what which rule lets through. It reads no policy, so that a test of a plugin does not stand or
//! fall with an engine.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    Access, Cause, Explanation, Extent, Finding, Node, Problem, Query, Reachability, Renderer,
    Request, Resolved, Validator,
};

/// What a validator finds in a policy.
///
/// # Errors
/// When the settings cannot be read or are refused by [`Validator::check_settings`], and those of
/// the plugin.
pub fn validate<V: Validator>(
    policy: &Value,
    settings: &Value,
    reachability: &dyn Reachability,
) -> Result<Vec<Finding>, String> {
    let request = Request::read(&policy.to_string(), None, None, &settings.to_string())?;
    let problems = V::check_settings(&request.settings);
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    V::validate(&request, reachability)
}

/// What a renderer makes of parameters.
///
/// # Errors
/// When the parameters cannot be read, and those of the plugin.
pub fn render<R: Renderer>(params: &Value) -> Result<String, String> {
    crate::plugin::render::<R>(&params.to_string())
}

/// A made-up tailnet with the answers that a test wants.
///
/// # Examples
///
/// ```
/// use headscale_policy_sdk::testing::Tailnet;
/// use headscale_policy_sdk::{Extent, Query, Reachability};
///
/// let tailnet = Tailnet::new()
///     .node("alice-laptop", &["alice@", "group:dev"])
///     .node("bob-laptop", &["bob@", "group:dev"])
///     .node("db-1", &["tag:db"])
///     .allow("/acls/0", "alice@", "tag:db", "tcp", "5432");
/// let query = Query::new("group:dev", "tag:db").protocol("tcp").port(5432);
/// assert_eq!(tailnet.can_reach(&query), Ok(Extent::Some));
/// let explanation = tailnet.explain(&query).unwrap();
/// assert_eq!(explanation.causes[0].source_chain, ["alice@"]);
/// assert!(tailnet.can_reach(&Query::new("group:dve", "tag:db")).is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tailnet {
    nodes: Vec<(Node, Vec<String>)>,
    names: BTreeSet<String>,
    allowed: Vec<Allowed>,
    logins: Vec<Login>,
    is_symbolic: bool,
}

/// What a rule lets through.
#[derive(Clone, Debug)]
struct Allowed {
    rule: String,
    access: Access,
}

#[derive(Clone, Debug)]
struct Login {
    source: String,
    destination: String,
    user: String,
}

impl Tailnet {
    /// Nobody, and nothing is let through.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a node and every name that it is meant by: users (`alice@`), groups, tags. Each node is
    /// meant by `*`, and by its own name.
    #[must_use]
    pub fn node(mut self, name: &str, meant_by: &[&str]) -> Self {
        let tags: Vec<String> = texts(meant_by, |name| name.starts_with("tag:"));
        let user = meant_by.iter().find(|name| name.ends_with('@') && tags.is_empty());
        let node = Node {
            name: name.to_owned(),
            user: user.map(|user| (*user).to_owned()),
            tags,
            addresses: vec![format!("100.64.0.{}", self.nodes.len() + 1)],
        };
        self.nodes.push((node, texts(meant_by, |_| true)));
        self
    }

    /// With a name that nobody is behind.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.insert(name.to_owned());
        self
    }

    /// With what the rule at a pointer lets through: from one name to another, by protocols (`tcp`,
    /// `*`), on ports (`80,443`, `8000-8100`, `*`).
    #[must_use]
    pub fn allow(
        mut self,
        rule: &str,
        source: &str,
        destination: &str,
        protocol: &str,
        ports: &str,
    ) -> Self {
        let access = Access {
            source: source.to_owned(),
            destination: destination.to_owned(),
            protocol: protocol.to_owned(),
            ports: ports.to_owned(),
        };
        self.allowed.push(Allowed { rule: rule.to_owned(), access });
        self
    }

    /// With logins by Tailscale SSH.
    #[must_use]
    pub fn log_in(mut self, source: &str, destination: &str, user: &str) -> Self {
        self.logins.push(Login {
            source: source.to_owned(),
            destination: destination.to_owned(),
            user: user.to_owned(),
        });
        self
    }

    /// As where there is no tailnet: nodes are made up from the policy.
    #[must_use]
    pub const fn symbolic(mut self) -> Self {
        self.is_symbolic = true;
        self
    }

    /// The indexes of the nodes that a name stands for.
    fn nodes_of(&self, name: &str) -> Result<BTreeSet<usize>, Problem> {
        let meant = |(node, names): &(Node, Vec<String>)| {
            name == "*"
                || node.name == name
                || node.addresses.iter().any(|address| address == name)
                || names.iter().any(|known| known == name)
        };
        let nodes = self.nodes.iter().enumerate();
        let found: BTreeSet<usize> =
            nodes.filter(|(_, node)| meant(node)).map(|(at, _)| at).collect();
        match found.is_empty() {
            false => Ok(found),
            true if self.names.contains(name) => Err(Problem::Empty(name.to_owned())),
            true => Err(Problem::Unknown(name.to_owned())),
        }
    }

    fn name_of(&self, at: usize) -> String {
        self.nodes.get(at).map_or_else(String::new, |(node, _)| {
            format!("{} ({})", node.name, node.addresses.join(", "))
        })
    }

    /// The names from one that was asked for to that of a rule, as the host tells them: each is a
    /// part of the next, so that what is more than the rule's name is no part of the chain.
    fn chain(&self, asked: &str, rule: &str) -> Result<Vec<String>, Problem> {
        let (whole, part) = (self.nodes_of(asked)?, self.nodes_of(rule)?);
        Ok(match asked == rule || (whole.is_superset(&part) && whole != part) {
            true => vec![rule.to_owned()],
            false => vec![asked.to_owned(), rule.to_owned()],
        })
    }

    fn overlapping<'a>(
        &'a self,
        side: impl Fn(&'a Access) -> &'a str,
        name: &str,
    ) -> Result<Vec<&'a Access>, Problem> {
        let nodes = self.nodes_of(name)?;
        let mut rows = Vec::new();
        for allowed in &self.allowed {
            if !self.nodes_of(side(&allowed.access))?.is_disjoint(&nodes) {
                rows.push(&allowed.access);
            }
        }
        Ok(rows)
    }
}

impl Reachability for Tailnet {
    fn is_symbolic(&self) -> bool {
        self.is_symbolic
    }

    fn can_reach(&self, query: &Query) -> Result<Extent, Problem> {
        self.explain(query).map(|explanation| explanation.extent)
    }

    fn explain(&self, query: &Query) -> Result<Explanation, Problem> {
        let (from, to) = (self.nodes_of(&query.source)?, self.nodes_of(&query.destination)?);
        let mut pairs: BTreeSet<(usize, usize)> = from
            .iter()
            .flat_map(|from| to.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from != to)
            .collect();
        let all = pairs.len();
        let mut allowed = None;
        let mut causes = Vec::new();
        for Allowed { rule, access } in &self.allowed {
            if !lets_through(access, query) {
                continue;
            }
            let sources = self.nodes_of(&access.source)?;
            let destinations = self.nodes_of(&access.destination)?;
            let through: Vec<(usize, usize)> = from
                .intersection(&sources)
                .flat_map(|from| to.intersection(&destinations).map(move |to| (*from, *to)))
                .filter(|(from, to)| from != to)
                .collect();
            let Some(first) = through.first() else { continue };
            allowed.get_or_insert(*first);
            pairs.retain(|pair| !through.contains(pair));
            causes.push(Cause {
                rule: rule.clone(),
                source_chain: self.chain(&query.source, &access.source)?,
                destination_chain: self.chain(&query.destination, &access.destination)?,
            });
        }
        let named = |(from, to): (usize, usize)| (self.name_of(from), self.name_of(to));
        Ok(Explanation {
            extent: match pairs.len() {
                left if left == all => Extent::None,
                0 => Extent::All,
                _ => Extent::Some,
            },
            causes,
            allowed: allowed.map(named),
            denied: pairs.first().copied().map(named),
        })
    }

    fn can_log_in(&self, source: &str, destination: &str, user: &str) -> Result<Extent, Problem> {
        let (from, to) = (self.nodes_of(source)?, self.nodes_of(destination)?);
        let mut left = from.len() * to.len();
        for login in self.logins.iter().filter(|login| login.user == user) {
            let sources = self.nodes_of(&login.source)?.intersection(&from).count();
            let destinations = self.nodes_of(&login.destination)?.intersection(&to).count();
            left = left.saturating_sub(sources * destinations);
        }
        Ok(match left {
            0 => Extent::All,
            left if left == from.len() * to.len() => Extent::None,
            _ => Extent::Some,
        })
    }

    fn who_can_reach(&self, destination: &str, port: Option<u16>) -> Result<Vec<Access>, Problem> {
        let rows = self.overlapping(|access| &access.destination, destination)?;
        let open = rows.into_iter().filter(|row| port.is_none_or(|port| has_port(row, port)));
        Ok(open.cloned().collect())
    }

    fn reachable_from(&self, source: &str) -> Result<Vec<Access>, Problem> {
        Ok(self.overlapping(|access| &access.source, source)?.into_iter().cloned().collect())
    }

    fn resolve(&self, name: &str) -> Result<Resolved, Problem> {
        let found = self.nodes_of(name)?;
        let nodes = self.nodes.iter().enumerate().filter(|(at, _)| found.contains(at));
        Ok(Resolved {
            nodes: nodes.map(|(_, (node, _))| node.clone()).collect(),
            others: Vec::new(),
        })
    }
}

fn texts(names: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    names.iter().filter(|name| wanted(name)).map(|name| (*name).to_owned()).collect()
}

fn lets_through(access: &Access, query: &Query) -> bool {
    let protocol = match (&query.protocol, query.port) {
        (Some(protocol), _) => Some(protocol.as_str()),
        // As the host: a port alone is one of TCP.
        (None, Some(_)) => Some("tcp"),
        (None, None) => None,
    };
    let is_known = |wanted| {
        let mut protocols = access.protocol.split(',');
        protocols.any(|protocol| match protocol {
            "*" => matches!(wanted, "tcp" | "udp" | "icmp"),
            protocol => protocol == wanted,
        })
    };
    protocol.is_none_or(is_known) && query.port.is_none_or(|port| has_port(access, port))
}

fn has_port(access: &Access, port: u16) -> bool {
    access.ports.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = first.parse::<u16>().and_then(|first| Ok((first, last.parse::<u16>()?)));
        range == "*" || bounds.is_ok_and(|(first, last)| (first..=last).contains(&port))
    })
}
