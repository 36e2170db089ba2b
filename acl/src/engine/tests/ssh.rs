//! `sshTests`: from a source to the nodes of a destination, as a login user.
//!
//! Headscale goes through every address of a source, and runs out of memory on a wide one. Here
//! the source stays a set, and what is let in is compared with it as a whole.

use std::rc::Rc;

use foldhash::{HashMap, HashSet};

use super::{Outcome, TestFailure, TestSection, What};
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::network::Network;
use crate::engine::node_set::NodeSet;
use crate::engine::ssh::{Applied, SshRules};
use crate::policy::{Alias, Prefix, Spanned, SshTest, Text, go_quote};
use crate::tailnet::UserMatch;

/// Runs the `sshTests` of the policy.
pub(super) fn run(network: &Network<'_, '_>, report: &mut dyn FnMut(&TestFailure<'_>)) {
    if network.policy.ssh_tests.is_empty() {
        return;
    }
    let mut runner = Runner {
        network,
        rules: network.ssh_rules(),
        profiles: Vec::new(),
        profile_of_node: HashMap::default(),
        by_rules: HashMap::default(),
    };
    for test in &network.policy.ssh_tests {
        let source = test.source.as_ref().map(|s| s.value.to_string()).unwrap_or_default();
        runner.run(test, &source, report);
    }
}

/// What a login user's sources are let in by.
#[derive(Debug, Default)]
struct LetIn {
    /// By any rule.
    accept: IpSet,
    /// By a rule that asks for a fresh login.
    check: IpSet,
}

/// The rules of some nodes that have the same ones.
#[derive(Default)]
struct Profile {
    applied: Vec<Applied>,
    let_in: HashMap<String, Rc<LetIn>>,
}

struct Runner<'r, 'n, 'd> {
    network: &'r Network<'n, 'd>,
    rules: SshRules<'n, 'd>,
    profiles: Vec<Profile>,
    profile_of_node: HashMap<usize, usize>,
    by_rules: HashMap<Vec<Applied>, usize>,
}

impl<'r, 'd> Runner<'r, '_, 'd> {
    fn run(
        &mut self,
        test: &'r SshTest<'d>,
        label: &str,
        report: &mut dyn FnMut(&TestFailure<'_>),
    ) {
        let failure = |span, what| TestFailure {
            section: TestSection::SshTests,
            span,
            source: label,
            protocol: "",
            what,
        };
        let source_span = test.source.as_ref().map_or(test.span, |source| source.span);
        let source = match self.source(test) {
            Ok(source) => source,
            Err(what) => return report(&failure(source_span, what)),
        };
        if test.accept.is_empty() && test.deny.is_empty() && test.check.is_empty() {
            return report(&failure(test.span, What::NothingExpected));
        }
        let (nodes, wrong) = self.destinations(test);
        for (span, why) in wrong {
            report(&failure(span, What::Destination(why)));
        }
        let mut login = |user: &'r Spanned<Text<'d>>, destination: &'r str, outcome| {
            let what = What::Login { user: &user.value, destination, outcome };
            report(&failure(user.span, what));
        };
        for user in sorted(&test.accept) {
            for at in &nodes {
                if let Some(outcome) = self.denied(*at, &user.value, &source) {
                    login(user, self.name(*at), outcome);
                }
            }
        }
        for user in sorted(&test.deny) {
            for at in &nodes {
                if let Some(outcome) = self.allowed(*at, &user.value, &source) {
                    login(user, self.name(*at), outcome);
                }
            }
        }
        for user in sorted(&test.check) {
            let expected = test.accept.iter().any(|other| other.value == user.value);
            let accepted = self.accepted(&nodes, &user.value, &source, expected);
            for at in &nodes {
                let let_in = self.let_in(*at, &user.value);
                if let Some(first) = source.difference(&let_in.check).prefixes().next() {
                    let accepted = accepted.contains(self.name(*at));
                    let source = self.network.source_of(first);
                    login(user, self.name(*at), Outcome::Unchecked { accepted, source });
                }
            }
        }
    }

    fn source(&self, test: &SshTest<'d>) -> Result<Rc<IpSet>, What<'static>> {
        let Some(source) = &test.source else { return Err(What::NoSource) };
        let resolved = self.network.resolver.resolve(&source.value);
        match resolved.error {
            Some(why) => Err(What::Source(format!("resolving: {why}"))),
            None => resolved.set.filter(|set| !set.is_empty()).ok_or(What::NoSource),
        }
    }

    /// The nodes of all destinations, in the order in which they are named, and what is wrong with
    /// destinations: where one cannot be resolved, that alone, and no nodes.
    fn destinations(&self, test: &SshTest<'d>) -> (Vec<usize>, Vec<(crate::Span, String)>) {
        let inventory = self.network.inventory;
        let mut seen = inventory.empty_set();
        let mut nodes = Vec::new();
        let mut wrong = Vec::new();
        for destination in &test.destinations {
            let name = || go_quote(&destination.value.to_string());
            let found = match self.nodes(&destination.value, test) {
                Ok(found) => found,
                Err(why) => {
                    let why = format!("resolving destination {}: {why}", name());
                    let why = format!("failed to resolve destinations: {why}");
                    return (Vec::new(), vec![(destination.span, why)]);
                }
            };
            if found.is_empty() {
                let why = format!("dst alias {} resolved to no nodes", name());
                wrong.push((destination.span, why));
            }
            for at in found.iter().filter(|at| !seen.contains(*at)) {
                nodes.push(at);
            }
            seen.union(&found);
        }
        (nodes, wrong)
    }

    fn nodes(&self, alias: &Alias<'d>, test: &SshTest<'d>) -> Result<NodeSet, String> {
        let inventory = self.network.inventory;
        if alias.is_autogroup("autogroup:self") {
            let mut found = inventory.empty_set();
            if let Some(Alias::User(user)) = test.source.as_ref().map(|source| &source.value)
                && let UserMatch::One(user) = inventory.tailnet.find_user(user)
                && user.id != 0
            {
                inventory.nodes_of_user(user.id).iter().for_each(|at| found.insert(*at));
            }
            return Ok(found);
        }
        let resolved = self.network.resolver.resolve(alias);
        match resolved.error {
            Some(why) => Err(why),
            None => Ok(inventory.nodes_in(&resolved.set.unwrap_or_default())),
        }
    }

    fn name(&self, at: usize) -> &'r str {
        self.network.inventory.node(at).map(|node| &*node.name).unwrap_or_default()
    }

    /// What lets `user` in on the node with this index.
    fn let_in(&mut self, at: usize, user: &str) -> Rc<LetIn> {
        let profile = self.profile(at);
        let Some(profile) = self.profiles.get_mut(profile) else { return Rc::default() };
        if let Some(known) = profile.let_in.get(user) {
            return Rc::clone(known);
        }
        let (mut accept, mut check) = (IpSetBuilder::default(), IpSetBuilder::default());
        for applied in profile.applied.iter().filter(|rule| self.rules.allows(**rule, user)) {
            for addr in &*self.rules.principals(*applied) {
                accept.add_addr(*addr);
                if self.rules.is_check(*applied) {
                    check.add_addr(*addr);
                }
            }
        }
        let let_in = Rc::new(LetIn { accept: accept.build(), check: check.build() });
        profile.let_in.insert(user.to_owned(), Rc::clone(&let_in));
        let_in
    }

    fn profile(&mut self, at: usize) -> usize {
        if let Some(known) = self.profile_of_node.get(&at) {
            return *known;
        }
        let applied = self.rules.applied(at);
        let new = self.profiles.len();
        let profile = *self.by_rules.entry(applied.clone()).or_insert(new);
        if profile == new {
            self.profiles.push(Profile { applied, let_in: HashMap::default() });
        }
        self.profile_of_node.insert(at, profile);
        profile
    }

    /// The outcome where not every source is let in.
    fn denied(&mut self, at: usize, user: &str, source: &IpSet) -> Option<Outcome> {
        let denied = source.difference(&self.let_in(at, user).accept);
        let first = denied.prefixes().next()?;
        Some(Outcome::Denied(self.network.source_of(first)))
    }

    /// The outcome where a source is let in.
    fn allowed(&mut self, at: usize, user: &str, source: &IpSet) -> Option<Outcome> {
        if !self.let_in(at, user).accept.intersects(source) {
            return None;
        }
        let profile = self.profile(at);
        let mut rules = self.profiles.get(profile)?.applied.iter().filter(|applied| {
            let principals = self.rules.principals(**applied);
            self.rules.allows(**applied, user)
                && principals.iter().any(|addr| source.contains(*addr))
        });
        let rule = rules.next().and_then(|applied| self.rules.index(*applied));
        Some(Outcome::Allowed(rule.map(|index| ("ssh", index))))
    }

    /// The names of the nodes of which Headscale says that `user` was accepted without a check:
    /// those whose test under `accept` passes where the user is `expected` there, and those where
    /// the first source without a check is let in.
    fn accepted(
        &mut self,
        nodes: &[usize],
        user: &str,
        source: &IpSet,
        expected: bool,
    ) -> HashSet<&'r str> {
        let mut accepted = HashSet::default();
        for at in nodes {
            let let_in = self.let_in(*at, user);
            let unchecked = source.difference(&let_in.check);
            let first = unchecked.prefixes().next().map(|prefix: Prefix| prefix.addr);
            let passes = || expected && source.difference(&let_in.accept).is_empty();
            if first.is_some_and(|addr| let_in.accept.contains(addr)) || passes() {
                accepted.insert(self.name(*at));
            }
        }
        accepted
    }
}

/// The users by name, as Headscale tells of them.
fn sorted<'u, 'd>(users: &'u [Spanned<Text<'d>>]) -> Vec<&'u Spanned<Text<'d>>> {
    let mut users: Vec<_> = users.iter().collect();
    users.sort_by(|a, b| a.value.cmp(&b.value));
    users
}
