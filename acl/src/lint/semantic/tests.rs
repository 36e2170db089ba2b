//! Tests of the policy that pass, though what they seem to say does not hold.

use foldhash::HashSet;

use super::cover::Budget;
use super::made_up;
use crate::context::Context;
use crate::engine::{Claim, Expect, Judgement, Network, TestSection};
use crate::finding::Finding;
use crate::policy::{Alias, Test, TestDestination};
use crate::rules::TEST_UNSOUND;
use crate::span::Span;

/// Reports destinations in `tests` that are as expected as Headscale judges it, but not for all
/// sources, all destinations and every packet.
pub(super) fn report(network: &Network<'_, '_>, budget: &mut Budget, context: &mut Context<'_>) {
    let policy = network.policy;
    if policy.tests.is_empty() {
        return;
    }
    let rules = network.origins().count();
    let destinations = policy.tests.iter().map(|test| test.accept.len() + test.deny.len());
    // What the tests themselves cost.
    if budget.spend(rules.saturating_mul(destinations.sum())).is_none() {
        return;
    }
    let mut failed: HashSet<Span> = HashSet::default();
    network.failed_tests(&mut |failure| {
        if failure.section == TestSection::Tests {
            failed.insert(failure.span);
        }
    });
    for test in policy.tests.iter().filter(|test| !failed.contains(&test.source.span)) {
        let accept = test.accept.iter().map(|destination| (destination, Expect::All));
        let deny = test.deny.iter().map(|destination| (destination, Expect::None));
        for (destination, expect) in accept.chain(deny) {
            if failed.contains(&destination.text.span) {
                continue;
            }
            if spend(test, destination, network, budget).is_none() {
                return;
            }
            let claim = Claim {
                from: &[&test.source.value],
                to: &destination.text.value,
                protocol: test.protocol.as_ref().map(|protocol| protocol.value.as_str()),
                expect,
            };
            if let Ok(judgement) = network.judge(&claim)
                && !judgement.holds
                && judgement.vacuous.is_none()
            {
                report_one(destination, expect, &judgement, network, context);
            }
        }
    }
}

/// Spends what it costs to judge a destination: the rules about it, times what tells them apart.
fn spend(
    test: &Test<'_>,
    destination: &TestDestination<'_>,
    network: &Network<'_, '_>,
    budget: &mut Budget,
) -> Option<()> {
    let alias = Alias::parse(test.source.value.as_ref().into());
    let sources = alias.map(|alias| network.resolver.resolve_any(&alias).set());
    let to = destination.parsed.as_ref().ok();
    let targets = to.map(|(alias, _)| network.resolver.resolve_any(alias).set());
    let flows = network.flows().about(network, sources.as_deref(), targets.as_deref());
    let names = network.policy.groups.iter().map(|group| group.members.len()).sum::<usize>();
    budget.spend(flows.len().saturating_mul(network.origins().count() + names))
}

fn report_one(
    destination: &TestDestination<'_>,
    expect: Expect,
    judgement: &Judgement,
    network: &Network<'_, '_>,
    context: &mut Context<'_>,
) {
    let Some((from, to)) = &judgement.pair else { return };
    context.push(&TEST_UNSOUND, || {
        let (packet, made_up) = (&judgement.packet, made_up(network));
        let (message, help) = match expect {
            Expect::None => {
                let rule = judgement.rules.first();
                let rule = rule.map(|rule| format!(", by {}", rule.section.entry(rule.index)));
                let rule = rule.unwrap_or_default();
                (
                    format!(
                        "Headscale passes this, though {from} reaches {to} with {packet}{rule}\
                         {made_up}"
                    ),
                    "Headscale fails a `deny` only where all of the source is let in, and sees neither \
                     `autogroup:self` nor `via`; narrow the rule, or name in the test who must \
                     not get in",
                )
            }
            _ => (
                format!(
                    "Headscale passes this, though {from} does not reach {to} with {packet}{made_up}"
                ),
                "for Headscale one address of the destination is enough, and without `proto` a \
                 rule for ICMP; widen the rule, or name in the test what must be reached",
            ),
        };
        Finding::new(&TEST_UNSOUND, destination.text.span, message).help(help)
    });
}
