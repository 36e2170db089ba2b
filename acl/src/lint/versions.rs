//! What means something else in one version than in another, where both are asked for. What one of
//! them refuses is an error already.

use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Policy, Prefix, SshAction};
use crate::rules::{ADDRESS_NARROWS, ICMP_NARROWS, SSH_CHECK_CHANGES, WILDCARD_NARROWS};
use crate::semantics::{Semantics, Version};
use crate::span::Span;
use crate::validate::Names;

impl Context<'_> {
    /// `policy` is as the oldest of the versions reads it.
    pub(super) fn lint_versions(
        &mut self,
        policy: &Policy<'_>,
        names: &Names<'_>,
        versions: &[Version],
    ) {
        let everything = |version: &Version| Semantics::of(*version).wildcard_is_everything;
        if !versions.iter().any(everything) || versions.iter().all(everything) {
            return;
        }
        for acl in policy.acls.iter().flatten() {
            let sources = acl.sources.iter().map(|source| (&source.value, source.span));
            let destinations = acl.destinations.iter().map(|dst| (&dst.alias, dst.span));
            for (alias, span) in sources.chain(destinations) {
                self.lint_narrowed(alias, span, names);
            }
            if acl.protocol().as_str() == "icmp" {
                let span = acl.protocol.as_ref().map(|protocol| protocol.span);
                self.push(&ICMP_NARROWS, || {
                    let message = "`icmp` is ICMP and ICMPv6 up to 0.28, ICMP alone since 0.29";
                    Finding::new(&ICMP_NARROWS, span, message.to_owned())
                        .help("add the same rule with \"proto\": \"58\" for ICMPv6")
                });
            }
        }
        for rule in policy.ssh.iter().filter(|rule| rule.action == Some(Some(SshAction::Check))) {
            self.push(&SSH_CHECK_CHANGES, || {
                let message = "`check` accepts like `accept` up to 0.28, and asks for a fresh \
                               login since 0.29";
                Finding::new(&SSH_CHECK_CHANGES, rule.span, message.to_owned())
                    .help("make sure that no script depends on this rule")
            });
        }
    }

    fn lint_narrowed(&mut self, alias: &Alias<'_>, span: Span, names: &Names<'_>) {
        let single = match alias {
            Alias::Wildcard => {
                self.push(&WILDCARD_NARROWS, || {
                    let message = "`*` is every address up to 0.28, and the tailnet's own since \
                                   0.29";
                    Finding::new(&WILDCARD_NARROWS, span, message.to_owned()).help(
                        "name subnets and, for exit nodes, `autogroup:internet` in rules of their \
                         own",
                    )
                });
                return;
            }
            Alias::Prefix(prefix) => prefix.is_single(),
            Alias::Host(name) => {
                names.hosts.get(&**name).copied().flatten().is_some_and(Prefix::is_single)
            }
            _ => false,
        };
        if single {
            self.push(&ADDRESS_NARROWS, || {
                let alias = alias.written();
                let message = format!(
                    "`{alias}` is also the other addresses of its node up to 0.28, and this one \
                     alone since 0.29"
                );
                Finding::new(&ADDRESS_NARROWS, span, message)
                    .help("name the node's tag or user, or its IPv4 and its IPv6 address")
            });
        }
    }
}
