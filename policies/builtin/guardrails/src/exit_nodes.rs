//! `exitNodesOnlyFor`: who goes out to the internet through exit nodes.

use headscale_policy_sdk::{Extent, Query};

use crate::judge::{ByRule, Judge, chain};
use crate::rules::EXIT_NODE;
use crate::settings::Settings;

const INTERNET: &str = "autogroup:internet";

/// Judges `exitNodesOnlyFor`.
pub(crate) fn judge(judge: &mut Judge<'_>, settings: &Settings) {
    let Some(names) = &settings.exit_nodes_only_for else { return };
    let allowed = judge.everyone("/exitNodesOnlyFor", names.iter());
    let mut uses = ByRule::default();
    // Where there is no exit node the question has no answer; what rules say of them counts below.
    for row in judge.reachability.who_can_reach(INTERNET, None).unwrap_or_default() {
        let source = judge.behind(&row.source);
        for address in source.beyond(&allowed) {
            let Ok(answer) = judge.reachability.explain(&Query::new(address, INTERNET)) else {
                continue;
            };
            if answer.extent == Extent::None {
                continue;
            }
            for cause in &answer.causes {
                let chain = chain(cause, address, source.name(address));
                uses.note(&cause.rule, format!("{chain} -> {INTERNET}"));
            }
        }
    }
    let acls = judge.policy.acls.iter().map(|acl| (&acl.pointer, &acl.src, &acl.dst));
    let grants = judge.policy.grants.iter().map(|grant| (&grant.pointer, &grant.src, &grant.dst));
    for (pointer, sources, destinations) in acls.chain(grants) {
        if uses.has(pointer) || !destinations.iter().any(|to| to.starts_with(INTERNET)) {
            continue;
        }
        for source in sources {
            let behind = judge.behind(source);
            for address in behind.beyond(&allowed) {
                let name = behind.name(address);
                uses.note(pointer, format!("{name} ∈ {source} -> {INTERNET}"));
            }
        }
    }
    let only = names.only();
    for finding in uses.findings(EXIT_NODE, &format!("{only} may use exit nodes"), None) {
        judge.add(finding);
    }
}
