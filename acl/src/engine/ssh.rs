//! SSH policies of nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::inventory::Node;
use super::ip_set::{IpSet, IpSetBuilder};
use super::output::{SshAction, SshPolicy, SshPrincipal, SshRule};
use super::resolve::Resolver;
use crate::policy::{self, Alias, CheckPeriod, Policy, Spanned, Ssh};
use crate::semantics::CheckPeriodSyntax;

/// The server's answer to a checked connection; the client fills in the variables.
const HOLD_AND_DELEGATE: &str =
    "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER";

/// The SSH policy of a node; `None` where the policy has no SSH rules at all.
pub(crate) fn policy_of_node<'d>(
    policy: &Policy<'d>,
    node: &Node,
    resolver: &Resolver<'_, 'd>,
) -> Option<SshPolicy> {
    if policy.ssh.is_empty() {
        return None;
    }
    let mut rules = Vec::new();
    for rule in &policy.ssh {
        let sources = union(&rule.sources, resolver);
        if sources.is_empty() {
            continue;
        }
        let compiler = Compiler { rule, sources, node, resolver };
        match resolver.semantics.check_period {
            CheckPeriodSyntax::Prometheus => compiler.rules_0_28(&mut rules),
            CheckPeriodSyntax::Go => compiler.rules_0_29(&mut rules),
        }
    }
    // The client takes the first rule that matches, and a check must come before an accept.
    rules.sort_by_key(|rule: &SshRule| rule.action.hold_and_delegate.is_none());
    Some(SshPolicy { rules })
}

fn union<'d>(aliases: &[Spanned<Alias<'d>>], resolver: &Resolver<'_, 'd>) -> IpSet {
    let mut builder = IpSetBuilder::default();
    for alias in aliases {
        builder.add_set(&resolver.resolve(&alias.value).set());
    }
    builder.build()
}

/// One rule for one node.
struct Compiler<'c, 'r, 'd> {
    rule: &'c Ssh<'d>,
    sources: IpSet,
    node: &'c Node,
    resolver: &'c Resolver<'r, 'd>,
}

/// Principals of a rule by whose devices they are.
struct Principals {
    /// Addresses of untagged devices by the id of their user.
    by_user: BTreeMap<u64, Vec<IpAddr>>,
    /// Addresses of tagged nodes, once for each tag of theirs.
    tagged: Vec<IpAddr>,
}

impl Compiler<'_, '_, '_> {
    fn has_own_devices(&self) -> bool {
        self.rule.destinations.iter().any(|dst| dst.value.is_autogroup("autogroup:self"))
    }

    /// The addresses of all destinations but `autogroup:self`; `None` where there are none such.
    fn destinations(&self) -> Option<IpSet> {
        let mut others = self
            .rule
            .destinations
            .iter()
            .filter(|dst| !dst.value.is_autogroup("autogroup:self"))
            .peekable();
        others.peek()?;
        let mut builder = IpSetBuilder::default();
        for destination in others {
            builder.add_set(&self.resolver.resolve(&destination.value).set());
        }
        Some(builder.build())
    }

    fn rules_0_29(&self, rules: &mut Vec<SshRule>) {
        let users = self.users(true);
        let localparts = self.localparts();
        let principals = self.principals();
        let mut push = |principals: &[IpAddr], user: Option<u64>| {
            rules.push(self.make(principals, users.clone()));
            let localpart = localparts.as_ref().and_then(|found| found.get(&user?));
            if let Some(name) = localpart {
                let own = BTreeMap::from([(name.clone(), name.clone())]);
                rules.push(self.make(principals, own));
            }
        };
        let own = self.node.user.and_then(|user| Some((user, principals.by_user.get(&user)?)));
        if let (true, Some((user, own))) = (self.has_own_devices(), own) {
            push(own, Some(user));
        }
        let Some(destinations) = self.destinations() else { return };
        if self.node.is_in(&destinations) {
            if localparts.is_some() {
                for (user, principals) in &principals.by_user {
                    push(principals, Some(*user));
                }
                if !principals.tagged.is_empty() {
                    push(&principals.tagged, None);
                }
            } else {
                let users = principals.by_user.values().flatten();
                let all: Vec<IpAddr> = users.chain(&principals.tagged).copied().collect();
                if !all.is_empty() {
                    push(&all, None);
                }
            }
        } else if localparts.is_some() && self.node.is_in(&self.sources) {
            // A source that is no destination gets the rules for its own user, as Tailscale gives
            // them.
            if self.node.is_tagged() {
                let mut builder = IpSetBuilder::default();
                self.node.add_to(&mut builder);
                let own: Vec<IpAddr> = builder.build().iter().collect();
                if !own.is_empty() {
                    push(&own, None);
                }
            } else if let Some((user, own)) = own {
                push(own, Some(user));
            }
        }
    }

    fn rules_0_28(&self, rules: &mut Vec<SshRule>) {
        let users = self.users(false);
        if let (true, Some(user)) = (self.has_own_devices(), self.node.user) {
            let inventory = self.resolver.inventory;
            let devices = inventory.nodes_of_user(user).iter();
            let sources = devices.filter(|at| {
                inventory.node(**at).is_some_and(|device| device.is_in(&self.sources))
            });
            let own: Vec<IpAddr> = inventory.addresses(sources.copied()).iter().collect();
            if !own.is_empty() && !self.node.addrs.is_empty() {
                rules.push(self.make(&own, users.clone()));
            }
        }
        let Some(destinations) = self.destinations() else { return };
        if self.node.is_in(&destinations) {
            // Sources are names of users and tags, so their addresses are few.
            let all: Vec<IpAddr> = self.sources.iter().collect();
            rules.push(self.make(&all, users));
        }
    }

    fn make(&self, principals: &[IpAddr], users: BTreeMap<String, String>) -> SshRule {
        let check = self.rule.action == Some(Some(policy::SshAction::Check));
        let action = match self.resolver.semantics.check_period {
            CheckPeriodSyntax::Go if check => SshAction::hold(HOLD_AND_DELEGATE),
            CheckPeriodSyntax::Go => SshAction::accept(0),
            CheckPeriodSyntax::Prometheus => {
                let period = self.rule.check_period.as_ref().map(|period| period.value);
                match period {
                    Some(CheckPeriod::For(length)) if check => SshAction::accept(length.0),
                    _ => SshAction::accept(0),
                }
            }
        };
        let principal = |addr: &IpAddr| SshPrincipal { node_ip: addr.to_string() };
        SshRule {
            principals: principals.iter().map(principal).collect(),
            ssh_users: users,
            action,
            accept_env: self.rule.accept_env.iter().map(|name| name.value.to_string()).collect(),
        }
    }

    /// Login users and what they become; `always_root` says whether root is named even where it is
    /// not allowed.
    fn users(&self, always_root: bool) -> BTreeMap<String, String> {
        let mut users = BTreeMap::new();
        let names = || self.rule.users.iter().flatten().map(|user| &*user.value);
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
            let localpart = self.resolver.semantics.localparts && localpart_domain(name).is_some();
            if !special && !localpart {
                users.insert(name.to_owned(), name.to_owned());
            }
        }
        users
    }

    /// The local part of each user's e-mail address, where it is of a domain that the rule names;
    /// `None` where the rule names none.
    fn localparts(&self) -> Option<BTreeMap<u64, String>> {
        let names = self.rule.users.iter().flatten();
        let domains: Vec<&str> = names.filter_map(|name| localpart_domain(&name.value)).collect();
        if domains.is_empty() {
            return None;
        }
        let found = self.resolver.inventory.users().iter().filter_map(|user| {
            let (local, domain) = user.email.rsplit_once('@')?;
            let named = domains.iter().any(|named| named.eq_ignore_ascii_case(domain));
            named.then(|| (user.id, local.to_owned()))
        });
        Some(found.collect())
    }

    fn principals(&self) -> Principals {
        let mut by_user: BTreeMap<u64, IpSetBuilder> = BTreeMap::new();
        let mut tagged = Vec::new();
        let inventory = self.resolver.inventory;
        let sources = inventory.nodes_in(&self.sources);
        for node in sources.iter().filter_map(|at| inventory.node(at)) {
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
        Principals { by_user: by_user.collect(), tagged }
    }
}

/// The domain of `localpart:*@DOMAIN`; `None` for any other login user.
pub(crate) fn localpart_domain(user: &str) -> Option<&str> {
    let pattern = user.strip_prefix("localpart:")?;
    let (local, domain) = pattern.rsplit_once('@')?;
    (local == "*" && !domain.is_empty()).then_some(domain)
}
