//! The two ends of a question: aliases, names of nodes, addresses.

use std::cell::OnceCell;
use std::rc::Rc;

use foldhash::HashMap;
use thiserror::Error;

use crate::engine::flow::{Concern, End};
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;
use crate::engine::resolve::TAILNET;
use crate::policy::{Alias, Prefix};
use crate::suggest::nearest;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong with it.
    pub message: String,
    /// What to do about it, if anything is known.
    pub hint: Option<String>,
    /// What kind of thing is wrong.
    pub problem: Problem,
}

/// What is wrong with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It cannot be read, or makes no sense.
    Invalid,
    /// It names what neither the policy nor the tailnet has.
    Unknown,
    /// There is nothing that it is about: what it names has no node.
    Empty,
}

impl QueryError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, problem: Problem::Invalid }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same where there is nothing that the question is about.
    pub(super) fn empty(self) -> Self {
        Self { problem: Problem::Empty, ..self }
    }
}

/// One end of a question.
#[derive(Clone, Debug)]
pub(super) struct Party<'t> {
    /// As it was asked for.
    pub(super) text: &'t str,
    /// The alias that it is; `None` for a node's name.
    pub(super) alias: Option<Alias<'t>>,
    /// Its addresses; empty only for `autogroup:self`.
    pub(super) set: Rc<IpSet>,
    /// What the flows have to do with these addresses, or with more.
    concerns: Rc<Concerns>,
}

/// What the flows have to do with a set of addresses as the source and as the target, each found
/// out when it is first asked for.
#[derive(Debug, Default)]
struct Concerns {
    source: OnceCell<Concern>,
    target: OnceCell<Concern>,
}

/// Names that questions were about, and what they stand for.
#[derive(Debug, Default)]
pub(crate) struct Parties {
    known: HashMap<String, Result<Known, QueryError>>,
    /// Ranges of all of their sets.
    parts: usize,
}

#[derive(Clone, Debug)]
struct Known {
    set: Rc<IpSet>,
    concerns: Rc<Concerns>,
    is_alias: bool,
}

impl Parties {
    /// Ranges of the sets that are remembered: 32 MiB.
    const MOST: usize = 1 << 20;

    fn remember(&mut self, text: &str, party: &Result<Party<'_>, QueryError>) {
        // At least some, so that names are bounded too.
        let own = party.as_ref().map_or(0, |party| party.set.parts()).max(64);
        let parts = self.parts.saturating_add(own);
        if parts > Self::MOST {
            return;
        }
        self.parts = parts;
        let known = party.as_ref().map_err(QueryError::clone).map(|party| Known {
            set: Rc::clone(&party.set),
            concerns: Rc::clone(&party.concerns),
            is_alias: party.alias.is_some(),
        });
        self.known.insert(text.to_owned(), known);
    }
}

impl<'t> Party<'t> {
    pub(super) fn new(text: &'t str, alias: Option<Alias<'t>>, set: IpSet) -> Self {
        Self { text, alias, set: Rc::new(set), concerns: Rc::default() }
    }

    /// The same with some of the addresses only.
    pub(super) fn narrowed(self, set: IpSet) -> Self {
        Self { set: Rc::new(set), ..self }
    }

    /// What the flows have to do with it, and perhaps with more.
    pub(super) fn concern(&self, network: &Network<'_, '_>, end: End) -> &Concern {
        let known = match end {
            End::Source => &self.concerns.source,
            End::Target => &self.concerns.target,
        };
        known.get_or_init(|| network.flows().concern(network, end, &self.set))
    }

    pub(super) fn is_own_devices(&self) -> bool {
        self.alias.as_ref().is_some_and(|alias| alias.is_autogroup("autogroup:self"))
    }
}

/// A destination's name and its port: `tag:web:443`, `[fd7a::1]:80`, `bob@`. A `*` is no port.
///
/// # Errors
///
/// When what stands behind the last colon is meant as a port and is none.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), QueryError> {
    let (name, ports) = split_ports(text)?;
    Ok((name, ports.map(port).transpose()?.flatten()))
}

/// A destination's name and the text of its ports: `tag:web:80,443`.
///
/// # Errors
///
/// When an address in brackets is followed by what is no port.
pub(super) fn split_ports(text: &str) -> Result<(&str, Option<&str>), QueryError> {
    if let Some((addr, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((addr, Some(ports))),
            None if rest.is_empty() => Ok((addr, None)),
            None => Err(QueryError::new(format!("{text:?} is no address with a port"))),
        };
    }
    if Prefix::parse(text).is_ok() {
        return Ok((text, None));
    }
    let Some((name, ports)) = text.rsplit_once(':') else { return Ok((text, None)) };
    if matches!(name, "tag" | "group" | "autogroup") {
        return Ok((text, None));
    }
    let is_port = ports == "*" || ports.starts_with(|c: char| c.is_ascii_digit());
    // A name with a colon has its own, so that another one asks for a port.
    if is_port || name.contains(':') {
        return Ok((name, Some(ports)));
    }
    Ok((text, None))
}

fn port(text: &str) -> Result<Option<u16>, QueryError> {
    if text == "*" {
        return Ok(None);
    }
    match text.parse() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(QueryError::new(format!("{text:?} is no port"))
            .hint("a question is about one port from 1 to 65535, or about any without one")),
    }
}

/// What `text` names: an alias, the name of a node, or an address. Found out once for each name.
///
/// # Errors
///
/// When it names nothing that has an address.
pub(super) fn party<'t>(text: &'t str, network: &Network<'_, '_>) -> Result<Party<'t>, QueryError> {
    if let Some(known) = network.parties().borrow().known.get(text) {
        let Known { set, concerns, is_alias } = known.clone()?;
        let alias = if is_alias { Alias::parse(text.into()) } else { None };
        return Ok(Party { text, alias, set, concerns });
    }
    let party = resolved(text, network);
    network.parties().borrow_mut().remember(text, &party);
    party
}

fn resolved<'t>(text: &'t str, network: &Network<'_, '_>) -> Result<Party<'t>, QueryError> {
    let all = || network.flows().nodes.clone();
    let Some(alias) = Alias::parse(text.into()) else { return Err(unknown(text, network)) };
    let set = match &alias {
        Alias::Wildcard => all(),
        Alias::Prefix(prefix) => existing(&IpSet::of(*prefix), network),
        Alias::Host(name) => {
            let hosts = &network.policy.hosts;
            let host = hosts.iter().find(|host| host.name.value == *name);
            match host.and_then(|host| host.prefix.as_ref()) {
                Some(prefix) => existing(&IpSet::of(prefix.value), network),
                None => {
                    let set = node_named(text, network);
                    if set.is_empty() {
                        return Err(unknown(text, network));
                    }
                    return Ok(Party::new(text, None, set));
                }
            }
        }
        Alias::Autogroup(name) => match &**name {
            "autogroup:self" => {
                return Ok(Party::new(text, Some(alias), IpSet::default()));
            }
            "autogroup:danger-all" => all(),
            _ => match network.resolver.resolve_any(&alias).set {
                Some(set) => (*set).clone(),
                None => return Err(unknown(text, network)),
            },
        },
        Alias::Group(name) => {
            if !network.policy.groups.iter().any(|group| group.name.value == *name) {
                return Err(unknown(text, network));
            }
            (*network.resolver.resolve_any(&alias).set()).clone()
        }
        alias => (*network.resolver.resolve_any(alias).set()).clone(),
    };
    if set.is_empty() {
        return Err(no_addresses(text, &alias, network));
    }
    Ok(Party::new(text, Some(alias), set))
}

/// What there is of `set`: of the tailnet's own addresses those that nodes have.
fn existing(set: &IpSet, network: &Network<'_, '_>) -> IpSet {
    let unused = set.intersection(&TAILNET).difference(&network.flows().nodes);
    set.difference(&unused)
}

fn node_named(name: &str, network: &Network<'_, '_>) -> IpSet {
    let inventory = network.inventory;
    // Both lists are of the same nodes in the same order.
    let nodes = inventory.tailnet.nodes.iter().enumerate();
    let named = nodes.filter(|(_, node)| node.name == name || node.given_name == name);
    inventory.addresses(named.map(|(at, _)| at))
}

fn no_addresses(text: &str, alias: &Alias<'_>, network: &Network<'_, '_>) -> QueryError {
    let error = match alias {
        Alias::User(user) => match network.resolver.resolve_any(alias).error {
            Some(error) => QueryError::new(format!("{text:?} is no user here: {error}")),
            None => QueryError::new(format!("the user {user:?} has no untagged node")),
        },
        Alias::Group(_) => QueryError::new(format!("no member of {text:?} has an untagged node")),
        Alias::Tag(_) => QueryError::new(format!("no node carries {text:?}")),
        Alias::Prefix(_) | Alias::Host(_) => {
            QueryError::new(format!("no node has an address in {text:?}"))
        }
        _ => QueryError::new(format!("{text:?} stands for no node")),
    };
    with_nearest(error.empty(), text, network)
}

fn unknown(text: &str, network: &Network<'_, '_>) -> QueryError {
    let error = QueryError::new(format!(
        "{text:?} is no name of the policy, no node and no address{}",
        if network.is_symbolic { " (the nodes are made up from the policy)" } else { "" }
    ));
    with_nearest(QueryError { problem: Problem::Unknown, ..error }, text, network)
}

fn with_nearest(error: QueryError, text: &str, network: &Network<'_, '_>) -> QueryError {
    let (policy, tailnet) = (network.policy, network.inventory.tailnet);
    let users = tailnet.users.iter().map(|user| match user.name.contains('@') {
        true => user.name.clone(),
        false => format!("{}@", user.name),
    });
    let nodes = tailnet.nodes.iter();
    let mut names: Vec<String> = users.collect();
    names.extend(policy.groups.iter().map(|group| group.name.value.to_string()));
    names.extend(policy.hosts.iter().map(|host| host.name.value.to_string()));
    names.extend(nodes.clone().flat_map(|node| node.tags.iter().cloned()));
    names.extend(nodes.map(|node| node.name.clone()));
    match nearest(text, names.iter().map(String::as_str).filter(|name| *name != text)) {
        Some(name) => error.hint(format!("did you mean {name:?}?")),
        None => error.hint(
            "name a user (`alice@`), group, tag, host, autogroup, node or address of the policy \
             or the tailnet",
        ),
    }
}
