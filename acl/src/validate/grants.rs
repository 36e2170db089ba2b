//! `grants`

use super::{Names, Site};
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Grant, Policy, Spanned};
use crate::rules::{
    CAPABILITY_NAME, GRANT_APP_INTERNET, GRANT_DEFAULT_ROUTE, GRANT_EMPTY, SELF_SOURCES,
    TAG_UNDEFINED,
};
use crate::semantics::Semantics;
use crate::wording;

impl Context<'_> {
    pub(super) fn check_grants(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for grant in policy.grants.iter().flatten() {
            if !grant.grants_something {
                self.push(&GRANT_EMPTY, || {
                    let message = "ip and app can not both be empty".to_owned();
                    Finding::new(&GRANT_EMPTY, grant.span, message)
                        .help("add \"ip\": [\"*\"] for all protocols and ports")
                });
            }
            self.check_capabilities(grant);
            self.references(&grant.sources, Site::Source, names);
            self.references(&grant.destinations, Site::GrantDestination, names);
            for tag in grant.via.iter().filter(|tag| !names.tags.contains(&*tag.value)) {
                self.push(&TAG_UNDEFINED, || {
                    let message = Semantics::via_tag_undefined(&tag.value);
                    Finding::new(&TAG_UNDEFINED, tag.span, message)
                        .help(format!("define it: \"tagOwners\": {{\"{}\": []}}", tag.value))
                });
            }
            self.check_grant_self_sources(grant);
        }
    }

    fn check_capabilities(&mut self, grant: &Grant<'_>) {
        let semantics = self.semantics;
        for Spanned { value: name, span } in grant.app.iter().map(|capability| &capability.name) {
            let (message, help) = if name.contains("://") {
                (
                    "capability name must have the form {domain}/{path}",
                    format!(
                        "write it without the scheme: \"{}\"",
                        name.split("://").last().unwrap_or_default()
                    ),
                )
            } else if name.starts_with("tailscale.com/")
                && !semantics.tailscale_capabilities.contains(&&**name)
            {
                (
                    "capability name must not be in the tailscale.com domain",
                    format!(
                        "use a domain of your own, or one of {}",
                        semantics.tailscale_capabilities.join(", ")
                    ),
                )
            } else {
                continue;
            };
            self.push(&CAPABILITY_NAME, || {
                Finding::new(&CAPABILITY_NAME, *span, message.to_owned()).help(help)
            });
        }
        let internet = |d: &&Spanned<Alias<'_>>| d.value.is_autogroup("autogroup:internet");
        if let Some(destination) = grant.destinations.iter().find(internet)
            && !grant.app.is_empty()
        {
            self.push(&GRANT_APP_INTERNET, || {
                let message = "cannot use app grants with autogroup:internet".to_owned();
                Finding::new(&GRANT_APP_INTERNET, destination.span, message)
                    .help("give the capability in a grant of its own, to nodes of the tailnet")
            });
        }
        let default_route =
            grant.destinations.iter().find_map(|destination| match destination.value {
                Alias::Prefix(prefix) if prefix.bits == 0 => Some((prefix, destination.span)),
                _ => None,
            });
        if let Some((prefix, span)) = default_route {
            self.push(&GRANT_DEFAULT_ROUTE, || {
                Finding::new(&GRANT_DEFAULT_ROUTE, span, Semantics::default_route(prefix)).help(
                    "write `autogroup:internet` for what lies behind exit nodes, `*` for the \
                     tailnet",
                )
            });
        }
    }

    /// As for `acls`, but `*` is refused too: it includes tagged nodes.
    fn check_grant_self_sources(&mut self, grant: &Grant<'_>) {
        if !grant.destinations.iter().any(|d| d.value.is_autogroup("autogroup:self")) {
            return;
        }
        let wrong = grant.sources.iter().find(|source| match &source.value {
            Alias::User(_) | Alias::Group(_) => false,
            alias => !alias.is_autogroup("autogroup:member"),
        });
        if let Some(source) = wrong {
            self.push(&SELF_SOURCES, || {
                Finding::new(&SELF_SOURCES, source.span, wording::SELF_SOURCES.to_owned()).help(
                    "put this source into a grant of its own; `autogroup:self` is for users, \
                     groups and `autogroup:member`",
                )
            });
        }
    }
}
