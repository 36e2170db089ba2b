//! Addresses and prefixes that mean something else than they look like.

use super::names::{Use, Uses};
use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Edit, quote};
use crate::policy::{Alias, Policy, Prefix};
use crate::rules::{EXIT_ROUTE_APPROVER, HOST_BITS, HOST_UNREACHABLE};
use crate::span::Span;

impl Context<'_> {
    pub(super) fn lint_addresses(&mut self, policy: &Policy<'_>, uses: &Uses<'_, '_>) {
        for host in &policy.hosts {
            let name = &host.name.value;
            if is_unreachable(name) {
                self.push(&HOST_UNREACHABLE, || {
                    let message = format!("no rule can name the host `{name}`");
                    Finding::new(&HOST_UNREACHABLE, host.name.span, message).help(
                        "an address stands for itself and `*` for all; give the host another name",
                    )
                });
            }
            if let Some(prefix) = &host.prefix {
                self.host_bits(prefix.value, prefix.span, true);
            }
        }
        for Use { alias, span, alone } in &uses.aliases {
            if let Alias::Prefix(prefix) = alias {
                self.host_bits(*prefix, *span, *alone);
            }
        }
        for route in &policy.auto_approvers.routes {
            let Some(prefix) = route.prefix.value else {
                continue;
            };
            self.host_bits(prefix, route.prefix.span, true);
            if prefix.bits == 0 {
                self.push(&EXIT_ROUTE_APPROVER, || {
                    let message = format!("a route to {prefix} never approves an exit node");
                    Finding::new(&EXIT_ROUTE_APPROVER, route.prefix.span, message)
                        .help("name the approvers in `autoApprovers.exitNode`")
                });
            }
        }
    }

    fn host_bits(&mut self, prefix: Prefix, span: Span, alone: bool) {
        let masked = prefix.masked();
        if masked == prefix {
            return;
        }
        self.push(&HOST_BITS, || {
            let finding =
                Finding::new(&HOST_BITS, span, format!("{prefix} means {masked}: all of it"))
                    .help(format!("write {masked}, or {} for this address alone", prefix.addr));
            if !alone {
                return finding;
            }
            let edit = Edit::replace(span, quote(&masked.to_string()));
            finding.fix(format!("write `{masked}`"), vec![edit])
        });
    }
}

/// Whether a name of `hosts` means something else wherever it is written.
pub(super) fn is_unreachable(name: &str) -> bool {
    name == "*" || name.is_empty() || Prefix::parse(name).is_ok()
}
