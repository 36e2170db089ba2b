//! What names stand for, whatever nodes there are.
//!
//! The sets are those of the tailnet that is made up from the policy, with three changes that make
//! what is proved of them true of every tailnet whose nodes have addresses of Tailscale's ranges:
//!
//! - A user or tag stands for nodes of which no rule names the address. What lets those through does
//!   so by their user, tag or autogroup, or by all addresses that nodes may have, and so lets
//!   through every node of that user or tag.
//! - A prefix is its addresses, whoever has them.
//! - The approved routes, which `*` holds as a source, are one address that no rule names.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use foldhash::HashMap;

use crate::engine::ip_set::IpSetBuilder;
use crate::engine::resolve::{EVERYTHING, TAILNET};
use crate::engine::{IpSet, Network};
use crate::policy::{Alias, Prefix, Spanned};
use crate::semantics::Semantics;

/// The sets that the names of a policy stand for.
pub(super) struct Sets<'s, 'n, 'd> {
    pub(super) network: &'s Network<'n, 'd>,
    hosts: HashMap<&'n str, Prefix>,
    /// All addresses of the nodes that are made up for addresses that the policy names.
    pinned: IpSet,
    /// The addresses of untagged nodes.
    pub(super) members: IpSet,
    /// What stands for approved routes; `None` where the policy names every address there is.
    routed: Option<IpAddr>,
    known: RefCell<HashMap<&'n Alias<'d>, Rc<IpSet>>>,
}

impl<'s, 'n, 'd> Sets<'s, 'n, 'd> {
    /// The sets of a symbolic network; `None` where its nodes do not stand for all that there may
    /// be, because the policy names nearly all addresses of the tailnet.
    pub(super) fn of(network: &'s Network<'n, 'd>) -> Option<Self> {
        let inventory = network.inventory;
        let policy = network.policy;
        let hosts = policy.hosts.iter();
        let hosts: HashMap<&'n str, Prefix> = hosts
            .filter_map(|host| Some((&*host.name.value, host.prefix.as_ref()?.value)))
            .collect();
        let (mut named, mut small) = (IpSetBuilder::default(), IpSetBuilder::default());
        let prefixes = network.aliases().filter_map(|alias| prefix(&hosts, &alias));
        for prefix in prefixes.collect::<BTreeSet<_>>() {
            named.add_prefix(prefix);
            let all_of_tailnet = if prefix.addr.is_ipv4() { 10 } else { 48 };
            if prefix.bits > all_of_tailnet {
                small.add_prefix(prefix);
            }
        }
        let small = small.build();
        let pinned = inventory.addresses(inventory.nodes_in(&small).iter());
        let nodes = inventory.addresses(0..inventory.nodes.len());
        let has_both = |set: &IpSet| set.families().iter().all(|family| !family.is_empty());
        let complete = (0..inventory.nodes.len()).all(|at| has_both(&inventory.addresses([at])));
        if !complete || !has_both(&TAILNET.difference(&small).difference(&nodes)) {
            return None;
        }
        Some(Self {
            network,
            hosts,
            pinned,
            members: network.members(),
            routed: EVERYTHING.difference(&TAILNET).difference(&named.build()).first(),
            known: RefCell::default(),
        })
    }

    /// What `alias` stands for as a destination, but for `*`; nothing for `autogroup:self`.
    fn of_name(&self, alias: &'n Alias<'d>) -> Rc<IpSet> {
        if let Some(known) = self.known.borrow().get(alias) {
            return Rc::clone(known);
        }
        let resolved = || self.network.resolver.resolve(alias).set();
        let set = match alias {
            Alias::Prefix(_) | Alias::Host(_) => {
                Rc::new(prefix(&self.hosts, alias).map(IpSet::of).unwrap_or_default())
            }
            Alias::Wildcard => resolved(),
            Alias::Autogroup(name) if name == "autogroup:internet" => resolved(),
            Alias::Autogroup(name) if name == "autogroup:danger-all" => resolved(),
            _ => Rc::new(resolved().difference(&self.pinned)),
        };
        self.known.borrow_mut().insert(alias, Rc::clone(&set));
        set
    }

    /// The addresses of all of `sources`.
    pub(super) fn sources(
        &self,
        sources: &'n [Spanned<Alias<'d>>],
        semantics: &Semantics,
    ) -> IpSet {
        let mut builder = IpSetBuilder::default();
        for source in sources {
            match &source.value {
                Alias::Wildcard if semantics.wildcard_is_everything => {
                    builder.add_set(&EVERYTHING);
                }
                Alias::Wildcard => {
                    builder.add_set(&TAILNET);
                    self.routed.iter().for_each(|addr| builder.add_addr(*addr));
                }
                alias => builder.add_set(&self.of_name(alias)),
            }
        }
        builder.build()
    }

    /// The addresses of all of `destinations`; `autogroup:self` has none.
    pub(super) fn destinations(
        &self,
        destinations: impl IntoIterator<Item = &'n Alias<'d>>,
    ) -> IpSet {
        let mut builder = IpSetBuilder::default();
        for alias in destinations {
            match alias {
                Alias::Wildcard => builder.add_set(&EVERYTHING),
                alias => builder.add_set(&self.of_name(alias)),
            }
        }
        builder.build()
    }

    /// Whether the sets say all that these names can come to. Up to 0.28 a prefix can also be the
    /// other addresses of a node.
    pub(super) fn are_exact_for(
        &self,
        mut aliases: impl Iterator<Item = &'n Alias<'d>>,
        semantics: &Semantics,
    ) -> bool {
        aliases.all(|alias| match alias {
            Alias::Wildcard => semantics.wildcard_is_everything || self.routed.is_some(),
            Alias::Prefix(_) | Alias::Host(_) if semantics.addresses_mean_nodes => {
                prefix(&self.hosts, alias).is_some_and(|prefix| !TAILNET.overlaps(prefix))
            }
            _ => true,
        })
    }
}

/// The prefix that an alias is.
fn prefix(hosts: &HashMap<&str, Prefix>, alias: &Alias<'_>) -> Option<Prefix> {
    match alias {
        Alias::Prefix(prefix) => Some(*prefix),
        Alias::Host(name) => hosts.get(&**name).copied(),
        _ => None,
    }
}
