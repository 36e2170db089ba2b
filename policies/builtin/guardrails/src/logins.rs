//! `rootLoginOnlyFrom`: who logs in as root by Tailscale SSH.

use headscale_policy_sdk::Extent;

use crate::judge::{ByRule, Judge};
use crate::rules::ROOT_LOGIN;
use crate::settings::Settings;

const ROOT: &str = "root";

/// Judges `rootLoginOnlyFrom`.
pub(crate) fn judge(judge: &mut Judge<'_>, settings: &Settings) {
    let Some(names) = &settings.root_login_only_from else { return };
    let allowed = judge.everyone("/rootLoginOnlyFrom", names.iter());
    let mut logins = ByRule::default();
    for rule in &judge.policy.ssh {
        let may_be_root = |user: &String| user == ROOT || user.starts_with("localpart:");
        if !rule.users.iter().any(may_be_root) {
            continue;
        }
        for source in &rule.src {
            let behind = judge.behind(source);
            for address in behind.beyond(&allowed) {
                let name = behind.name(address);
                for destination in &rule.dst {
                    // A question without an answer is no proof that nobody gets in.
                    let answer = judge.reachability.can_log_in(address, destination, ROOT);
                    if answer != Ok(Extent::None) {
                        logins.note(&rule.pointer, format!("{name} ∈ {source} -> {destination}"));
                    }
                }
            }
        }
    }
    let only = names.only();
    let what = format!("{only} may log in as root");
    for finding in logins.findings(ROOT_LOGIN, &what, None) {
        judge.add(finding);
    }
}
