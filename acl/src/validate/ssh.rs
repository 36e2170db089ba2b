//! `ssh`

use foldhash::HashSet;

use super::{Names, Site};
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, CheckPeriod, Nanoseconds, Policy, Ssh, SshAction, go_quote};
use crate::rules::{
    SSH_ACCEPT_ENV, SSH_ACTION, SSH_CHECK_PERIOD, SSH_COMBINATION, SSH_USER, SSH_USERS,
};
use crate::span::Span;

impl Context<'_> {
    pub(super) fn check_ssh(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for rule in &policy.ssh {
            if self.semantics.ssh_rules_checked {
                self.check_ssh_rule(rule);
            } else {
                self.check_ssh_user_autogroups(rule);
            }
            self.references(&rule.sources, Site::SshSource, names);
            self.references(&rule.destinations, Site::SshDestination, names);
            if let Some((span, message, help)) = wrong_combination(rule) {
                self.push(&SSH_COMBINATION, || {
                    Finding::new(&SSH_COMBINATION, span, message).help(help)
                });
            }
        }
    }

    /// What 0.29 and newer ask of every rule.
    fn check_ssh_rule(&mut self, rule: &Ssh<'_>) {
        if rule.action == Some(None) {
            self.push(&SSH_ACTION, || {
                Finding::new(&SSH_ACTION, rule.span, "action must be specified".to_owned())
                    .help("add \"action\": \"accept\", or \"check\" to ask for a fresh login")
            });
        }
        if rule.users.as_ref().is_some_and(Vec::is_empty) {
            self.push(&SSH_USERS, || {
                Finding::new(&SSH_USERS, rule.span, "users must be specified".to_owned())
                    .help("add the login users: \"users\": [\"autogroup:nonroot\"]")
            });
        }
        for user in rule.users.iter().flatten() {
            if !matches!(&*user.value, "" | "*") {
                continue;
            }
            self.push(&SSH_USER, || {
                let message = format!("user {} is not valid", go_quote(&user.value));
                Finding::new(&SSH_USER, user.span, message).help(match &*user.value {
                    "" => "remove the empty user",
                    _ => "write `autogroup:nonroot` for all users but root, and `root` itself",
                })
            });
        }
        for name in rule.accept_env.iter().filter(|name| name.value.is_empty()) {
            self.push(&SSH_ACCEPT_ENV, || {
                let message = "acceptEnv values cannot be empty".to_owned();
                Finding::new(&SSH_ACCEPT_ENV, name.span, message).help("remove the empty name")
            });
        }
        self.check_ssh_period(rule);
    }

    fn check_ssh_period(&mut self, rule: &Ssh<'_>) {
        let (Some(period), Some(action)) = (rule.check_period.as_ref(), rule.action) else {
            return;
        };
        let (message, help) = match (action, period.value) {
            (Some(SshAction::Check), CheckPeriod::For(length)) if length < Nanoseconds(0) => (
                format!("checkPeriod {} must be a positive duration", length.to_go()),
                "write a duration without a minus, or \"always\"",
            ),
            (Some(SshAction::Check), CheckPeriod::For(length)) if length > Nanoseconds::WEEK => (
                format!("checkPeriod {} is above the max (168h)", length.to_go()),
                "write at most \"168h\"",
            ),
            (Some(SshAction::Check), _) => return,
            _ => (
                "checkPeriod is only valid with action \"check\"".to_owned(),
                "write \"action\": \"check\", or remove `checkPeriod`",
            ),
        };
        self.push(&SSH_CHECK_PERIOD, || {
            Finding::new(&SSH_CHECK_PERIOD, period.span, message).help(help)
        });
    }

    /// Up to 0.28 a login user that starts with `autogroup:` must be one that exists.
    fn check_ssh_user_autogroups(&mut self, rule: &Ssh<'_>) {
        for user in rule.users.iter().flatten() {
            if user.value.starts_with("autogroup:") && user.value != "autogroup:nonroot" {
                let message = self.semantics.ssh_user_autogroup(&user.value);
                self.push(&SSH_USER, || {
                    Finding::new(&SSH_USER, user.span, message)
                        .help("write `autogroup:nonroot`, or a login name")
                });
            }
        }
    }
}

/// The first destination that its sources may not reach, as Headscale says it, with a help.
fn wrong_combination(rule: &Ssh<'_>) -> Option<(Span, String, &'static str)> {
    let tagged = rule.sources.iter().any(|source| {
        matches!(source.value, Alias::Tag(_)) || source.value.is_autogroup("autogroup:tagged")
    });
    let grouped = rule.sources.iter().any(|source| {
        matches!(source.value, Alias::Group(_)) || source.value.is_autogroup("autogroup:member")
    });
    let users: HashSet<&str> = rule
        .sources
        .iter()
        .filter_map(|source| match &source.value {
            Alias::User(user) => Some(&**user),
            _ => None,
        })
        .collect();
    rule.destinations.iter().find_map(|destination| {
        let (message, help) = match &destination.value {
            Alias::User(user) if tagged => (
                format!(
                    "tags in SSH source cannot access user-owned devices ({user}); use \
                     autogroup:tagged or specific tags as destinations instead"
                ),
                "tag the device, or let the user connect instead of the tag",
            ),
            Alias::User(user) if grouped || users.len() != 1 || !users.contains(&**user) => (
                format!(
                    "user destination requires source to contain only that same user {}; use \
                     autogroup:self instead for same-user SSH access",
                    go_quote(user)
                ),
                "users reach their own devices only: write `autogroup:self`, or tag the device",
            ),
            Alias::Autogroup(name) if name == "autogroup:self" && tagged => (
                "autogroup:self destination requires source to contain only users or groups, not \
                 tags or autogroup:tagged"
                    .to_owned(),
                "put the tag into a rule of its own",
            ),
            Alias::Autogroup(name) if name == "autogroup:member" && tagged => (
                "tags in SSH source cannot access autogroup:member (user-owned devices)".to_owned(),
                "tagged nodes reach tagged nodes only: write `autogroup:tagged` or a tag",
            ),
            _ => return None,
        };
        Some((destination.span, message, help))
    })
}
