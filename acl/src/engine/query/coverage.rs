//! Which rules tests go through, and by which of their names.

use super::asked::{Asked, aliases};
use super::claim::{Claim, Expect, Touch};
use super::explain::RuleSection;
use super::party::party;
use super::ssh::ssh_flows;
use crate::engine::network::Network;
use crate::policy::{Alias, Spanned};
use crate::span::Span;

/// Which rules of a policy tests go through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// All rules: those of `acls`, `grants` and `ssh`.
    pub rules: Vec<RuleCoverage>,
}

/// What goes through a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCoverage {
    /// Its section.
    pub section: RuleSection,
    /// The entry in the section, from 0.
    pub index: usize,
    /// Where it stands.
    pub span: Span,
    /// How many tests expect what it allows.
    pub tests: usize,
    /// Its `src`.
    pub sources: Vec<NameCoverage>,
    /// Its `dst`.
    pub destinations: Vec<NameCoverage>,
}

/// Whether anything goes through a name in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCoverage {
    /// The name, without ports.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Whether a test that goes through the rule is about it.
    pub is_tested: bool,
}

impl NameCoverage {
    fn of((alias, span): (&Alias<'_>, Span)) -> Self {
        Self { name: alias.written(), span, is_tested: false }
    }
}

impl Coverage {
    /// Counts a test that goes through these rules.
    pub fn add(&mut self, touched: &[Touch]) {
        for touch in touched {
            let same = |rule: &&mut RuleCoverage| {
                (rule.section, rule.index) == (touch.section, touch.index)
            };
            let Some(rule) = self.rules.iter_mut().find(same) else { continue };
            rule.tests += 1;
            let sources = touch.sources.iter().copied().zip(std::iter::repeat(true));
            let destinations = touch.destinations.iter().copied().zip(std::iter::repeat(false));
            for (at, is_source) in sources.chain(destinations) {
                let names = if is_source { &mut rule.sources } else { &mut rule.destinations };
                if let Some(name) = names.get_mut(at) {
                    name.is_tested = true;
                }
            }
        }
    }
}

impl<'d> Network<'_, 'd> {
    /// All rules of the policy, none of them tested yet.
    #[must_use]
    pub fn untested(&self) -> Coverage {
        let values = |aliases: &[Spanned<Alias<'d>>]| -> Vec<NameCoverage> {
            aliases.iter().map(|alias| NameCoverage::of((&alias.value, alias.span))).collect()
        };
        let acls = self.policy.acls.iter().flatten().enumerate().map(|(index, acl)| {
            let destinations = acl.destinations.iter().map(|dst| (&dst.alias, dst.span));
            let destinations = destinations.map(NameCoverage::of).collect();
            (RuleSection::Acls, index, acl.span, values(&acl.sources), destinations)
        });
        let grants = self.policy.grants.iter().flatten().enumerate().map(|(index, grant)| {
            let (sources, destinations) = (values(&grant.sources), values(&grant.destinations));
            (RuleSection::Grants, index, grant.span, sources, destinations)
        });
        let ssh = self.policy.ssh.iter().enumerate().map(|(index, rule)| {
            let (sources, destinations) = (values(&rule.sources), values(&rule.destinations));
            (RuleSection::Ssh, index, rule.span, sources, destinations)
        });
        let rules = acls.chain(grants).chain(ssh);
        let rules = rules.map(|(section, index, span, sources, destinations)| RuleCoverage {
            section,
            index,
            span,
            tests: 0,
            sources,
            destinations,
        });
        Coverage { rules: rules.collect() }
    }

    /// What the policy's own `tests` and `sshTests` go through: for each destination or login that
    /// is expected, the rules that allow it.
    #[must_use]
    pub fn own_touches(&self) -> Vec<Vec<Touch>> {
        let tests = self.policy.tests.iter().flat_map(|test| {
            test.accept.iter().filter_map(|destination| {
                let claim = Claim {
                    from: &[&*test.source.value],
                    to: &destination.text.value,
                    protocol: test.protocol.as_ref().map(|protocol| protocol.value.as_str()),
                    expect: Expect::Any,
                };
                Some(self.judge(&claim).ok()?.touched)
            })
        });
        let ssh_tests = self.policy.ssh_tests.iter().flat_map(|test| {
            let users = test.accept.iter().chain(&test.check).map(|user| &*user.value);
            let ends = test.source.iter().flat_map(|source| {
                test.destinations.iter().map(|dst| (source.value.written(), dst.value.written()))
            });
            ends.flat_map(move |(from, to)| {
                users
                    .clone()
                    .map(move |user| self.ssh_touched(&from, &to, user))
                    .collect::<Vec<_>>()
            })
        });
        tests.chain(ssh_tests).filter(|touched| !touched.is_empty()).collect()
    }

    /// The SSH rules that let anyone of `from` log in to anyone of `to`.
    fn ssh_touched(&self, from: &str, to: &str, user: &str) -> Vec<Touch> {
        let (Ok(from), Ok(to)) = (party(from, self), party(to, self)) else { return Vec::new() };
        let asked = Asked::new(self, &from, &to);
        let mut touched: Vec<Touch> = Vec::new();
        for login in ssh_flows(self, user) {
            let Some(rule) = self.policy.ssh.get(login.index) else { continue };
            if asked.overlap(&login.flow).is_none() {
                continue;
            }
            let sources = asked.holding(&aliases(&rule.sources), &from.set);
            let destinations = asked.holding(&aliases(&rule.destinations), &to.set);
            match touched.iter_mut().find(|touch| touch.index == login.index) {
                Some(known) => known.destinations.extend(destinations),
                None => touched.push(Touch {
                    section: RuleSection::Ssh,
                    index: login.index,
                    sources,
                    destinations,
                }),
            }
        }
        touched
    }
}
