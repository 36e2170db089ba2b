//! SSH policies of nodes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::inventory::{Inventory, Node};
use super::ip_set::{IpSet, IpSetBuilder};
use super::output::{SshAction, SshPolicy, SshPrincipal, SshRule};
use super::resolve::Resolver;
use crate::policy::{self, Alias, CheckPeriod, Policy, Spanned, Ssh};
use crate::semantics::{CheckPeriodSyntax, Semantics};

/// The server's answer to a checked connection; the client fills in the variables.
const HOLD_AND_DELEGATE: &str =
    "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER";

/// The SSH rules of a policy, each resolved once for all nodes.
pub(crate) struct SshRules<'p, 'd> {
    /// Those whose sources hold an address.
    rules: Vec<Resolved<'p, 'd>>,
    has_rules: bool,
    inventory: &'p Inventory<'p>,
    semantics: &'static Semantics,
}

/// A rule with what does not depend on the node.
struct Resolved<'p, 'd> {
    /// The entry in `ssh`, from 0.
    index: usize,
    rule: &'p Ssh<'d>,
    sources: IpSet,
    has_own_devices: bool,
    /// The addresses of all destinations but `autogroup:self`; `None` where there are none such.
    destinations: Option<IpSet>,
    /// Login users and what they become.
    users: BTreeMap<String, String>,
    /// The local part of each user's e-mail address, where it is of a domain that the rule names;
    /// `None` where the rule names none.
    localparts: Option<BTreeMap<u64, String>>,
    /// Addresses of untagged source devices by the id of their user.
    by_user: BTreeMap<u64, Vec<IpAddr>>,
    /// Addresses of tagged source nodes, once for each tag of theirs.
    tagged: Vec<IpAddr>,
}

/// One rule of a node's SSH policy. Nodes with equal ones have equal policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Applied {
    /// Place in the rules that hold an address.
    pub(crate) rule: usize,
    /// Who connects.
    pub(crate) from: Principals,
    /// The user whose local part is the only login user; `None` for the rule's own.
    localpart_of: Option<u64>,
}

/// Who connects under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principals {
    /// Every address of the sources.
    Sources,
    /// The source devices of all users, and tagged source nodes.
    Nodes,
    /// The source devices of the user with this id.
    User(u64),
    /// Tagged source nodes.
    Tagged,
    /// The node with this index, itself.
    Node(usize),
}

impl<'p, 'd> SshRules<'p, 'd> {
    /// The rules of `policy`.
    pub(crate) fn of(policy: &'p Policy<'d>, resolver: &Resolver<'p, 'd>) -> Self {
        let rules = policy.ssh.iter().enumerate();
        Self {
            rules: rules
                .map(|(index, rule)| Resolved::of(index, rule, resolver))
                .filter(|rule| !rule.sources.is_empty())
                .collect(),
            has_rules: !policy.ssh.is_empty(),
            inventory: resolver.inventory,
            semantics: resolver.semantics,
        }
    }

    /// The SSH policy of the node with this index, its principals in the form that `principals`
    /// gives them; `None` where the policy has no SSH rules at all.
    pub(crate) fn policy_of_node<P>(
        &self,
        at: usize,
        principals: impl Fn(Applied) -> P,
    ) -> Option<SshPolicy<P>> {
        if !self.has_rules {
            return None;
        }
        let rules = self.applied(at).into_iter();
        let rules = rules.filter_map(|applied| self.rule(applied, principals(applied)));
        let mut rules: Vec<SshRule<P>> = rules.collect();
        // The client takes the first rule that matches, and a check must come before an accept.
        rules.sort_by_key(|rule| rule.action.hold_and_delegate.is_none());
        Some(SshPolicy { rules })
    }

    /// The rules for the node with this index, in the order of the policy.
    pub(crate) fn applied(&self, at: usize) -> Vec<Applied> {
        let mut applied = Vec::new();
        let Some(node) = self.inventory.node(at) else { return applied };
        for (rule, resolved) in self.rules.iter().enumerate() {
            let mut push = |from, localpart_of| {
                applied.push(Applied { rule, from, localpart_of });
            };
            match self.semantics.check_period {
                CheckPeriodSyntax::Prometheus => resolved.apply_0_28(node, &mut push),
                CheckPeriodSyntax::Go => resolved.apply_0_29(at, node, &mut push),
            }
        }
        applied
    }

    /// The addresses that connect.
    pub(crate) fn principals(&self, applied: Applied) -> Cow<'_, [IpAddr]> {
        let Some(rule) = self.rules.get(applied.rule) else { return Cow::default() };
        match applied.from {
            // Sources are names of users and tags, so their addresses are few.
            Principals::Sources => Cow::Owned(rule.sources.iter().collect()),
            Principals::Nodes => {
                let users = rule.by_user.values().flatten();
                Cow::Owned(users.chain(&rule.tagged).copied().collect())
            }
            Principals::User(user) => {
                Cow::Borrowed(rule.by_user.get(&user).map(Vec::as_slice).unwrap_or_default())
            }
            Principals::Tagged => Cow::Borrowed(&rule.tagged),
            Principals::Node(at) => Cow::Owned(self.inventory.addresses([at]).iter().collect()),
        }
    }

    /// Whether it lets its principals log in as `user`.
    pub(crate) fn allows(&self, applied: Applied, user: &str) -> bool {
        let Some(rule) = self.rules.get(applied.rule) else { return false };
        if user.is_empty() {
            return false;
        }
        if applied.localpart_of.is_some() {
            return rule.localpart(applied) == Some(user);
        }
        let named = rule.users.get(user);
        // What stands for all users does not stand for root.
        let all = || rule.users.get("*").filter(|_| user != "root");
        named.or_else(all).is_some_and(|becomes| !becomes.is_empty())
    }

    /// Whether it asks for a fresh login.
    pub(crate) fn is_check(&self, applied: Applied) -> bool {
        self.rules.get(applied.rule).is_some_and(Resolved::is_check)
    }

    /// The entry in `ssh`, from 0.
    pub(crate) fn index(&self, applied: Applied) -> Option<usize> {
        self.rules.get(applied.rule).map(|rule| rule.index)
    }

    /// The addresses that connect, as they are written.
    pub(crate) fn written_principals(&self, applied: Applied) -> Vec<SshPrincipal> {
        let principal = |addr: &IpAddr| SshPrincipal { node_ip: addr.to_string() };
        self.principals(applied).iter().map(principal).collect()
    }

    fn rule<P>(&self, applied: Applied, principals: P) -> Option<SshRule<P>> {
        let rule = self.rules.get(applied.rule)?;
        let accept_env = rule.rule.accept_env.iter();
        Some(SshRule {
            principals,
            ssh_users: match rule.localpart(applied) {
                Some(name) => BTreeMap::from([(name.to_owned(), name.to_owned())]),
                None => rule.users.clone(),
            },
            action: rule.action(self.semantics),
            accept_env: accept_env.map(|name| name.value.to_string()).collect(),
        })
    }
}

fn union<'d>(aliases: &[Spanned<Alias<'d>>], resolver: &Resolver<'_, 'd>) -> IpSet {
    let mut builder = IpSetBuilder::default();
    for alias in aliases {
        builder.add_set(&resolver.resolve(&alias.value).set());
    }
    builder.build()
}

impl<'p, 'd> Resolved<'p, 'd> {
    fn of(index: usize, rule: &'p Ssh<'d>, resolver: &Resolver<'p, 'd>) -> Self {
        let sources = union(&rule.sources, resolver);
        let inventory = resolver.inventory;
        let mut by_user: BTreeMap<u64, IpSetBuilder> = BTreeMap::new();
        let mut tagged = Vec::new();
        for node in inventory.nodes_in(&sources).iter().filter_map(|at| inventory.node(at)) {
            match node.user {
                Some(user) => node.add_to(by_user.entry(user).or_default()),
                None => {
                    for _ in &node.tags {
                        tagged.extend_from_slice(&node.addrs);
                    }
                }
            }
        }
        let by_user = by_user.into_iter().map(|(user, set)| (user, set.build().iter().collect()));
        let is_self = |dst: &Spanned<Alias<'_>>| dst.value.is_autogroup("autogroup:self");
        Self {
            index,
            rule,
            sources,
            has_own_devices: rule.destinations.iter().any(is_self),
            destinations: rule
                .destinations
                .iter()
                .any(|dst| !is_self(dst))
                .then(|| union(&rule.destinations, resolver)),
            users: users(rule, resolver.semantics),
            localparts: localparts(rule, inventory),
            by_user: by_user.collect(),
            tagged,
        }
    }

    fn apply_0_29(&self, at: usize, node: &Node, push: &mut impl FnMut(Principals, Option<u64>)) {
        let mut push_user = |user: u64| {
            push(Principals::User(user), None);
            if self.localparts.as_ref().is_some_and(|found| found.contains_key(&user)) {
                push(Principals::User(user), Some(user));
            }
        };
        let own = node.user.filter(|user| self.by_user.contains_key(user));
        if let (true, Some(user)) = (self.has_own_devices, own) {
            push_user(user);
        }
        let Some(destinations) = &self.destinations else { return };
        if node.is_in(destinations) {
            if self.localparts.is_some() {
                self.by_user.keys().copied().for_each(&mut push_user);
                if !self.tagged.is_empty() {
                    push(Principals::Tagged, None);
                }
            } else if !self.by_user.is_empty() || !self.tagged.is_empty() {
                push(Principals::Nodes, None);
            }
        } else if self.localparts.is_some() && node.is_in(&self.sources) {
            // A source that is no destination gets the rules for its own user, as Tailscale gives
            // them.
            if node.is_tagged() {
                push(Principals::Node(at), None);
            } else if let Some(user) = own {
                push_user(user);
            }
        }
    }

    fn apply_0_28(&self, node: &Node, push: &mut impl FnMut(Principals, Option<u64>)) {
        let own = node.user.filter(|user| self.by_user.contains_key(user));
        if let (true, Some(user), false) = (self.has_own_devices, own, node.addrs.is_empty()) {
            push(Principals::User(user), None);
        }
        if self.destinations.as_ref().is_some_and(|destinations| node.is_in(destinations)) {
            push(Principals::Sources, None);
        }
    }

    fn is_check(&self) -> bool {
        self.rule.action == Some(Some(policy::SshAction::Check))
    }

    fn localpart(&self, applied: Applied) -> Option<&str> {
        let name = self.localparts.as_ref()?.get(&applied.localpart_of?)?;
        Some(name)
    }

    fn action(&self, semantics: &Semantics) -> SshAction {
        match semantics.check_period {
            CheckPeriodSyntax::Go if self.is_check() => SshAction::hold(HOLD_AND_DELEGATE),
            CheckPeriodSyntax::Go => SshAction::accept(0),
            CheckPeriodSyntax::Prometheus => {
                let period = self.rule.check_period.as_ref().map(|period| period.value);
                match period {
                    Some(CheckPeriod::For(length)) if self.is_check() => {
                        SshAction::accept(length.0)
                    }
                    _ => SshAction::accept(0),
                }
            }
        }
    }
}

/// Login users and what they become. Since 0.29 root is named even where it is not allowed.
fn users(rule: &Ssh<'_>, semantics: &Semantics) -> BTreeMap<String, String> {
    let always_root = semantics.check_period == CheckPeriodSyntax::Go;
    let mut users = BTreeMap::new();
    let names = || rule.users.iter().flatten().map(|user| &*user.value);
    let non_root = names().any(|name| name == "autogroup:nonroot");
    if non_root {
        users.insert("*".to_owned(), "=".to_owned());
    }
    if names().any(|name| name == "root") {
        users.insert("root".to_owned(), "root".to_owned());
    } else if non_root || always_root {
        users.insert("root".to_owned(), String::new());
    }
    for name in names() {
        let special = matches!(name, "root" | "autogroup:nonroot");
        let localpart = semantics.localparts && localpart_domain(name).is_some();
        if !special && !localpart {
            users.insert(name.to_owned(), name.to_owned());
        }
    }
    users
}

fn localparts(rule: &Ssh<'_>, inventory: &Inventory<'_>) -> Option<BTreeMap<u64, String>> {
    let names = rule.users.iter().flatten();
    let domains: Vec<&str> = names.filter_map(|name| localpart_domain(&name.value)).collect();
    if domains.is_empty() {
        return None;
    }
    let found = inventory.users().iter().filter_map(|user| {
        let (local, domain) = user.email.rsplit_once('@')?;
        let named = domains.iter().any(|named| named.eq_ignore_ascii_case(domain));
        named.then(|| (user.id, local.to_owned()))
    });
    Some(found.collect())
}

/// The domain of `localpart:*@DOMAIN`; `None` for any other login user.
pub(crate) fn localpart_domain(user: &str) -> Option<&str> {
    let pattern = user.strip_prefix("localpart:")?;
    let (local, domain) = pattern.rsplit_once('@')?;
    (local == "*" && !domain.is_empty()).then_some(domain)
}
