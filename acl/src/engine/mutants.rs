//! A policy broken rule by rule, to see whether tests notice.

use super::diff::{Diff, Verdict};
use super::network::Network;
use super::query::RuleSection;
use crate::policy::{Alias, Policy, PortRange, Spanned, SshAction};
use crate::span::Span;

/// One way in which a policy is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The section of the rule that is broken.
    pub section: RuleSection,
    /// The entry in the section, from 0.
    pub index: usize,
    /// Where it stands.
    pub span: Span,
    /// How it is broken.
    pub change: Change,
}

/// How a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone.
    Removed,
    /// It is for everyone.
    FromEveryone,
    /// It is for all ports of the protocols that it opens any of.
    AllPorts,
    /// It lets log in as root.
    AsRoot,
    /// It asks for no fresh login.
    Unchecked,
}

impl Change {
    const ALL: [Self; 5] =
        [Self::Removed, Self::FromEveryone, Self::AllPorts, Self::AsRoot, Self::Unchecked];

    /// What it is, as the rest of a sentence that begins with the rule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "is removed",
            Self::FromEveryone => "is opened to everyone",
            Self::AllPorts => "is opened on all ports",
            Self::AsRoot => "allows root",
            Self::Unchecked => "asks for no check",
        }
    }
}

/// What becomes of a broken policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It says the same for these nodes.
    Same,
    /// Nobody notices.
    Survives,
    /// It is noticed.
    Noticed,
}

impl<'d> Network<'_, 'd> {
    /// Breaks the policy rule by rule, compiles each broken one for the same nodes, and asks
    /// `notices` of it. The mutants are the same and in the same order whatever the nodes are.
    /// `progress` is told how many are done, and of how many.
    ///
    /// Costs compiling the policy up to three times for each rule, and comparing it where nobody
    /// notices.
    pub fn mutants(
        &self,
        notices: &mut dyn FnMut(&Network<'_, 'd>) -> bool,
        progress: &dyn Fn(usize, usize),
    ) -> Vec<(Mutant, Fate)> {
        let policy = self.policy;
        let acls = policy.acls.iter().flatten().map(|rule| rule.span).enumerate();
        let grants = policy.grants.iter().flatten().map(|rule| rule.span).enumerate();
        let ssh = policy.ssh.iter().map(|rule| rule.span).enumerate();
        let rules = (acls.map(|rule| (RuleSection::Acls, rule)))
            .chain(grants.map(|rule| (RuleSection::Grants, rule)))
            .chain(ssh.map(|rule| (RuleSection::Ssh, rule)));
        let rules: Vec<_> =
            rules.flat_map(|rule| Change::ALL.map(|change| (rule, change))).collect();
        let mut mutants = Vec::new();
        for (done, ((section, (index, span)), change)) in rules.iter().copied().enumerate() {
            progress(done, rules.len());
            let Some(broken) = broken(policy, section, index, change) else { continue };
            let network = Network::new(&broken, self.doc, self.inventory, self.semantics);
            let fate = if notices(&network) {
                Fate::Noticed
            } else if Diff::between(self, &network).verdict == Verdict::Same {
                Fate::Same
            } else {
                Fate::Survives
            };
            mutants.push((Mutant { section, index, span, change }, fate));
        }
        mutants
    }
}

/// `policy` with one rule broken; `None` where that cannot be.
fn broken<'d>(
    policy: &Policy<'d>,
    section: RuleSection,
    index: usize,
    change: Change,
) -> Option<Policy<'d>> {
    let mut broken = policy.clone();
    let everyone = |sources: &mut Vec<Spanned<Alias<'d>>>, span: Span| {
        let is_new = !sources.iter().any(|source| source.value == Alias::Wildcard);
        *sources = vec![Spanned::new(Alias::Wildcard, span)];
        is_new
    };
    let any = |lists: &mut dyn Iterator<Item = &mut Vec<PortRange>>| {
        let mut is_new = false;
        for ports in lists {
            is_new |= !ports.contains(&PortRange::ANY);
            *ports = vec![PortRange::ANY];
        }
        is_new
    };
    let is_new = match (section, change) {
        (RuleSection::Acls, Change::Removed) => {
            broken.acls.as_mut()?.remove(index);
            true
        }
        (RuleSection::Grants, Change::Removed) => {
            broken.grants.as_mut()?.remove(index);
            true
        }
        (RuleSection::Ssh, Change::Removed) => {
            broken.ssh.remove(index);
            true
        }
        (RuleSection::Acls, Change::FromEveryone) => {
            let rule = broken.acls.as_mut()?.get_mut(index)?;
            everyone(&mut rule.sources, rule.span)
        }
        (RuleSection::Grants, Change::FromEveryone) => {
            let rule = broken.grants.as_mut()?.get_mut(index)?;
            everyone(&mut rule.sources, rule.span)
        }
        (RuleSection::Acls, Change::AllPorts) => {
            let rule = broken.acls.as_mut()?.get_mut(index)?;
            any(&mut rule.destinations.iter_mut().map(|dst| &mut dst.ports))
        }
        (RuleSection::Grants, Change::AllPorts) => {
            let rule = broken.grants.as_mut()?.get_mut(index)?;
            any(&mut rule.ip.iter_mut().map(|ip| &mut ip.value.ports))
        }
        (RuleSection::Ssh, Change::AsRoot) => {
            let users = broken.ssh.get_mut(index)?.users.as_mut()?;
            let root = users.iter().any(|user| user.value == "root");
            users.push(Spanned::new("root".into(), Span::new(0, 0)));
            !root
        }
        (RuleSection::Ssh, Change::Unchecked) => {
            let action = &mut broken.ssh.get_mut(index)?.action;
            action.replace(Some(SshAction::Accept)) == Some(Some(SshAction::Check))
        }
        (RuleSection::Ssh, Change::FromEveryone | Change::AllPorts)
        | (RuleSection::Acls | RuleSection::Grants, Change::AsRoot | Change::Unchecked) => false,
    };
    is_new.then_some(broken)
}
