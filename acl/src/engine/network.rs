//! A policy compiled for a tailnet, ready for questions.

use std::cell::{OnceCell, RefCell};

use super::answers::Answers;
use super::approve::Approvers;
use super::compile::{Origin, Plan};
use super::flow::Flows;
use super::inventory::Inventory;
use super::ip_set::IpSet;
use super::names::{Names, Used, vacant};
use super::output::Compiled;
use super::packet_filters::PacketFilters;
use super::peers::Peers;
use super::query::Parties;
use super::reach::Reach;
use super::resolve::Resolver;
use super::scoped::{Scoped, scoped_rules};
use super::ssh::SshRules;
use crate::hujson::Document;
use crate::policy::{Alias, Policy};
use crate::semantics::Semantics;
use crate::tailnet::Tailnet;

/// A policy compiled for the nodes of a tailnet.
pub struct Network<'n, 'd> {
    pub(crate) policy: &'n Policy<'d>,
    pub(crate) doc: &'d Document<'d>,
    pub(crate) inventory: &'n Inventory<'n>,
    pub(crate) resolver: Resolver<'n, 'd>,
    pub(crate) plan: Plan,
    pub(crate) semantics: &'static Semantics,
    pub(crate) is_symbolic: bool,
    scoped: OnceCell<Vec<Scoped>>,
    flows: OnceCell<Flows>,
    names: OnceCell<Names<'n>>,
    parties: RefCell<Parties>,
}

impl<'n, 'd> Network<'n, 'd> {
    /// Compiles `policy`, read from `doc`, for the nodes of `inventory`.
    ///
    /// The policy must be one that Headscale takes; of another one only what could be read counts.
    #[must_use]
    pub fn new(
        policy: &'n Policy<'d>,
        doc: &'d Document<'d>,
        inventory: &'n Inventory<'n>,
        semantics: &'static Semantics,
    ) -> Self {
        let resolver = Resolver::new(policy, inventory, semantics);
        let plan = Plan::of(policy, doc, &resolver);
        let (scoped, flows, names) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let is_symbolic = false;
        Self {
            policy,
            doc,
            inventory,
            resolver,
            plan,
            semantics,
            is_symbolic,
            scoped,
            flows,
            names,
            parties: RefCell::default(),
        }
    }

    /// The same network, whose nodes are made up: [`symbolic`](super::symbolic). Its answers say so.
    #[must_use]
    pub fn of_made_up_nodes(mut self) -> Self {
        self.is_symbolic = true;
        self
    }

    /// The users and nodes that it is about.
    #[must_use]
    pub const fn tailnet(&self) -> &'n Tailnet {
        self.inventory.tailnet
    }

    /// Whether they are made up from the policy.
    #[must_use]
    pub const fn is_symbolic(&self) -> bool {
        self.is_symbolic
    }

    /// How many entries `tests` and `sshTests` have.
    #[must_use]
    pub fn own_tests(&self) -> usize {
        self.policy.tests.len() + self.policy.ssh_tests.len()
    }

    /// Where the rules stand in the policy, in Headscale's order: `grants` before `acls`; since
    /// 0.29 an entry of `acls` once for each of its destinations.
    pub fn origins(&self) -> impl Iterator<Item = Origin> {
        self.plan.entries.iter().flatten().map(|entry| entry.origin)
    }

    /// The packet filters of all nodes.
    #[must_use]
    pub fn packet_filters(&self) -> PacketFilters<'_> {
        let form = self.semantics.filter_form;
        PacketFilters::of(&self.plan, self.scoped(), self.inventory, form)
    }

    /// The SSH rules, each resolved once.
    pub(crate) fn ssh_rules(&self) -> SshRules<'n, 'd> {
        SshRules::of(self.policy, &self.resolver)
    }

    /// The peers of all nodes.
    #[must_use]
    pub fn peers(&self) -> Peers {
        self.reach().peers(self.inventory)
    }

    /// What every node is told, all at once: for many nodes [`Network::answers`] needs less memory.
    #[must_use]
    pub fn compiled(&self) -> Compiled {
        let answers = self.answers();
        answers.around(answers.nodes().collect())
    }

    /// What every node is told, to be made node by node.
    #[must_use]
    pub fn answers(&self) -> Answers<'_, 'n, 'd> {
        Answers::of(self)
    }

    pub(crate) fn reach(&self) -> Reach {
        Reach::of(&self.plan, self.scoped(), self.inventory, self.semantics)
    }

    /// The rules for some nodes only, made when they are first asked for.
    pub(crate) fn scoped(&self) -> &[Scoped] {
        let form = self.semantics.filter_form;
        self.scoped.get_or_init(|| scoped_rules(&self.plan, self.inventory, form))
    }

    /// What may flow, made when it is first asked for.
    pub(crate) fn flows(&self) -> &Flows {
        self.flows.get_or_init(|| Flows::of(self))
    }

    /// The names to answer with, made when they are first asked for.
    pub(crate) fn names(&self) -> &Names<'n> {
        let inventory = self.inventory;
        self.names.get_or_init(|| Names::of(inventory, [Used::by(self)], &vacant(inventory)))
    }

    /// The names that questions were about.
    pub(crate) fn parties(&self) -> &RefCell<Parties> {
        &self.parties
    }

    /// Who approves which routes.
    pub(crate) fn approvers(&self) -> Approvers {
        Approvers::of(self.policy, &self.resolver)
    }

    /// The addresses of untagged nodes.
    pub(crate) fn members(&self) -> IpSet {
        self.resolver
            .resolve_any(&Alias::Autogroup("autogroup:member".into()))
            .set()
            .as_ref()
            .clone()
    }

    /// Every alias that the policy defines or names, more than once perhaps.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = Alias<'d>> {
        let policy = self.policy;
        let users = policy.groups.iter().flat_map(|group| &group.members);
        let users = users.map(|user| Alias::User(user.value.clone()));
        let groups = policy.groups.iter().map(|group| Alias::Group(group.name.value.clone()));
        let hosts = policy.hosts.iter().map(|host| Alias::Host(host.name.value.clone()));
        let tags = policy.tag_owners.iter().map(|owner| Alias::Tag(owner.tag.value.clone()));
        let acls = policy.acls.iter().flatten();
        let destinations = acls.clone().flat_map(|acl| &acl.destinations).map(|dst| &dst.alias);
        let grants = policy.grants.iter().flatten();
        let listed = (acls.flat_map(|acl| &acl.sources))
            .chain(grants.flat_map(|grant| grant.sources.iter().chain(&grant.destinations)))
            .chain(policy.ssh.iter().flat_map(|rule| rule.sources.iter().chain(&rule.destinations)))
            .chain(policy.auto_approvers.routes.iter().flat_map(|route| &route.approvers))
            .chain(&policy.auto_approvers.exit_node)
            .chain(policy.tag_owners.iter().flat_map(|tag| &tag.owners));
        let named = listed.map(|alias| &alias.value).chain(destinations).cloned();
        users.chain(groups).chain(hosts).chain(tags).chain(named)
    }
}
