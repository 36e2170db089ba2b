//! From names to addresses: what each alias of a policy stands for in a tailnet.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::LazyLock;

use foldhash::HashMap;

use super::inventory::Inventory;
use super::ip_set::{IpSet, IpSetBuilder};
use crate::policy::{Alias, Policy, Prefix, go_quote};
use crate::semantics::Semantics;
use crate::tailnet::UserMatch;
use crate::validate::unresolved_user;

/// A constant set, by the prefixes in it and those that are not.
fn constant(prefixes: &[&str], but: &[&str]) -> IpSet {
    let set =
        |texts: &[&str]| IpSet::of_all(texts.iter().filter_map(|text| Prefix::parse(text).ok()));
    set(prefixes).difference(&set(but))
}

/// Every address.
pub(crate) static EVERYTHING: LazyLock<IpSet> =
    LazyLock::new(|| constant(&["0.0.0.0/0", "::/0"], &[]));

/// `autogroup:internet`: what is neither private nor the tailnet's.
pub(crate) static INTERNET: LazyLock<IpSet> = LazyLock::new(|| {
    constant(
        &["0.0.0.0/0", "2000::/3"],
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"],
    )
});

/// The addresses that tailnets take theirs from: `*` since 0.29. The hole is for Chrome OS.
pub(crate) static TAILNET: LazyLock<IpSet> =
    LazyLock::new(|| constant(&["100.64.0.0/10", "fd7a:115c:a1e0::/48"], &["100.115.92.0/23"]));

/// What an alias stands for.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// Its addresses; `None` where it has no meaning outside a rule for one node.
    pub(crate) set: Option<Rc<IpSet>>,
    /// Why not all of it could be resolved: Headscale's sentence.
    pub(crate) error: Option<String>,
}

impl Resolved {
    /// Its addresses, or none.
    pub(crate) fn set(&self) -> Rc<IpSet> {
        self.set.clone().unwrap_or_default()
    }
}

/// Resolves aliases, each once.
pub(crate) struct Resolver<'p, 'd> {
    policy: &'p Policy<'d>,
    pub(crate) inventory: &'p Inventory<'p>,
    pub(crate) semantics: &'static Semantics,
    groups: HashMap<&'p str, usize>,
    hosts: HashMap<&'p str, Prefix>,
    known: RefCell<HashMap<Alias<'d>, Resolved>>,
}

impl<'p, 'd> Resolver<'p, 'd> {
    pub(crate) fn new(
        policy: &'p Policy<'d>,
        inventory: &'p Inventory<'p>,
        semantics: &'static Semantics,
    ) -> Self {
        let groups = policy.groups.iter().enumerate();
        let hosts = policy.hosts.iter();
        Self {
            policy,
            inventory,
            semantics,
            groups: groups.map(|(at, group)| (&*group.name.value, at)).collect(),
            hosts: hosts
                .filter_map(|host| Some((&*host.name.value, host.prefix.as_ref()?.value)))
                .collect(),
            known: RefCell::default(),
        }
    }

    /// What `alias` stands for.
    pub(crate) fn resolve(&self, alias: &Alias<'d>) -> Resolved {
        if let Some(known) = self.known.borrow().get(alias) {
            return known.clone();
        }
        let resolved = self.resolve_any(alias);
        self.known.borrow_mut().insert(alias.clone(), resolved.clone());
        resolved
    }

    /// The same for an alias that is not part of the policy, such as one in a question.
    pub(crate) fn resolve_any(&self, alias: &Alias<'_>) -> Resolved {
        let found = |set: IpSet| Resolved { set: Some(Rc::new(set)), error: None };
        let nothing = |error: String| Resolved { set: None, error: Some(error) };
        match alias {
            Alias::Wildcard if self.semantics.wildcard_is_everything => found(EVERYTHING.clone()),
            Alias::Wildcard => found(TAILNET.clone()),
            Alias::Prefix(prefix) => found(self.address(*prefix)),
            Alias::Host(name) => match self.hosts.get(&**name) {
                Some(prefix) => found(self.host(*prefix)),
                None => nothing(format!("error resolving host: {}", go_quote(name))),
            },
            Alias::User(user) => self.users(std::iter::once(&**user)),
            Alias::Group(name) => {
                let group = self.groups.get(&**name).and_then(|at| self.policy.groups.get(*at));
                let members = group.map(|group| group.members.as_slice()).unwrap_or_default();
                self.users(members.iter().map(|user| &*user.value))
            }
            Alias::Tag(tag) => {
                let nodes = self.inventory.nodes_with_tag(tag);
                found(self.inventory.addresses(nodes.iter().copied()))
            }
            Alias::Autogroup(name) => match &**name {
                "autogroup:internet" => found(INTERNET.clone()),
                "autogroup:member" => found(self.nodes(|tagged| !tagged)),
                "autogroup:tagged" => found(self.nodes(|tagged| tagged)),
                "autogroup:danger-all" => found(EVERYTHING.clone()),
                "autogroup:self" => nothing(
                    "autogroup:self requires per-node resolution and cannot be resolved in this \
                     context"
                        .to_owned(),
                ),
                name => nothing(format!("unknown autogroup: {}", go_quote(name))),
            },
        }
    }

    fn nodes(&self, wanted: impl Fn(bool) -> bool) -> IpSet {
        let nodes = self.inventory.nodes.iter().enumerate();
        let wanted = nodes.filter(|(_, node)| wanted(node.is_tagged()));
        self.inventory.addresses(wanted.map(|(index, _)| index))
    }

    /// The untagged nodes of these users; those that are not exactly one user have none.
    fn users<'u>(&self, users: impl Iterator<Item = &'u str>) -> Resolved {
        let mut builder = IpSetBuilder::default();
        let mut errors = Vec::new();
        for token in users {
            match self.inventory.tailnet.find_user(token) {
                UserMatch::One(user) => {
                    let nodes = self.inventory.nodes_of_user(user.id).iter();
                    for node in nodes.filter_map(|index| self.inventory.node(*index)) {
                        node.add_to(&mut builder);
                    }
                }
                _ => errors.extend(unresolved_user(token, self.inventory.tailnet)),
            }
        }
        let error = match errors.as_slice() {
            [] => None,
            [error] => Some(error.clone()),
            errors => Some(format!("multiple errors:\n\t{}", errors.join("\n\t"))),
        };
        Resolved { set: Some(Rc::new(builder.build())), error }
    }

    fn address(&self, prefix: Prefix) -> IpSet {
        let mut builder = IpSetBuilder::default();
        builder.add_prefix(prefix);
        if self.semantics.addresses_mean_nodes {
            self.add_owner(prefix, &mut builder);
        }
        builder.build()
    }

    fn host(&self, prefix: Prefix) -> IpSet {
        let set = self.address(prefix);
        if !self.semantics.addresses_mean_nodes {
            return set;
        }
        let mut builder = IpSetBuilder::default();
        builder.add_set(&set);
        builder.add_set(&self.inventory.addresses(self.inventory.nodes_in(&set).iter()));
        builder.build()
    }

    /// Up to 0.28 the address of a node, or a tailnet prefix that starts with it, is all of the
    /// node's addresses.
    fn add_owner(&self, prefix: Prefix, builder: &mut IpSetBuilder) {
        if !prefix.is_single() && !is_tailnet_addr(prefix.addr) {
            return;
        }
        let single =
            IpSet::of(Prefix { bits: if prefix.addr.is_ipv4() { 32 } else { 128 }, ..prefix });
        builder.add_set(&self.inventory.addresses(self.inventory.nodes_in(&single).iter()));
    }
}

fn is_tailnet_addr(addr: IpAddr) -> bool {
    TAILNET.contains(addr)
}
