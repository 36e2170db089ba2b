//! `acls`

use super::{Names, Site};
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Acl, Alias, Policy, PortRange};
use crate::rules::{ACL_ACTION, PROTOCOL_PORTS, SELF_SOURCES};
use crate::wording;

impl Context<'_> {
    pub(super) fn check_acls(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for acl in policy.acls.iter().flatten() {
            self.references(&acl.sources, Site::Source, names);
            for destination in &acl.destinations {
                self.reference(&destination.alias, destination.span, Site::Destination, names);
            }
            self.check_protocol_ports(acl);
            if self.semantics.self_needs_user_sources {
                self.check_self_sources(acl);
            }
            if self.semantics.acl_action_required && !acl.has_action {
                self.push(&ACL_ACTION, || {
                    let message = "compiling filter rules: invalid action".to_owned();
                    Finding::new(&ACL_ACTION, acl.span, message).help("add \"action\": \"accept\"")
                });
            }
        }
    }

    fn check_protocol_ports(&mut self, acl: &Acl<'_>) {
        let Some(protocol) = acl.protocol.as_ref().filter(|p| !p.value.has_ports()) else {
            return;
        };
        let single = |ports: &PortRange| *ports != PortRange::ANY;
        let with_ports = acl.destinations.iter().find(|d| d.ports.iter().any(single));
        if let Some(destination) = with_ports {
            let message = self.semantics.protocol_without_ports(protocol.value.as_str());
            self.push(&PROTOCOL_PORTS, || {
                Finding::new(&PROTOCOL_PORTS, destination.span, message).help(format!(
                    "write `*` for the ports, or \"proto\": \"tcp\" if `{}` was not meant",
                    protocol.value.as_str()
                ))
            });
        }
    }

    fn check_self_sources(&mut self, acl: &Acl<'_>) {
        if !acl.destinations.iter().any(|d| d.alias.is_autogroup("autogroup:self")) {
            return;
        }
        let wrong = acl.sources.iter().find(|source| match &source.value {
            Alias::User(_) | Alias::Group(_) | Alias::Wildcard => false,
            alias => !alias.is_autogroup("autogroup:member"),
        });
        if let Some(source) = wrong {
            self.push(&SELF_SOURCES, || {
                Finding::new(&SELF_SOURCES, source.span, wording::SELF_SOURCES.to_owned()).help(
                    "put this source into a rule of its own; `autogroup:self` is for users, \
                     groups, `autogroup:member` and `*`",
                )
            });
        }
    }
}
