//! Names that nothing uses.

use foldhash::HashSet;

use super::addresses::is_unreachable;
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Policy, Spanned};
use crate::rules::{TAG_WITHOUT_OWNER, UNUSED_GROUP, UNUSED_HOST, UNUSED_TAG};
use crate::span::Span;

/// Every place where a policy names something, in the order of its sections.
pub(super) struct Uses<'p, 'd> {
    /// Names in rules, owners, approvers, targets and SSH tests.
    pub(super) aliases: Vec<Use<'p, 'd>>,
    /// Names in `tests`, which Headscale reads when it runs them.
    in_tests: Vec<Alias<'p>>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Use<'p, 'd> {
    pub(super) alias: &'p Alias<'d>,
    pub(super) span: Span,
    /// Whether the string holds the name alone, without ports.
    pub(super) alone: bool,
}

impl<'p, 'd> Uses<'p, 'd> {
    /// Linear in the policy.
    pub(super) fn of(policy: &'p Policy<'d>) -> Self {
        let mut aliases: Vec<Use<'p, 'd>> = Vec::new();
        let mut list = |names: &'p [Spanned<Alias<'d>>]| {
            let alone = |name: &'p Spanned<Alias<'d>>| Use {
                alias: &name.value,
                span: name.span,
                alone: true,
            };
            aliases.extend(names.iter().map(alone));
        };
        for tag in &policy.tag_owners {
            list(&tag.owners);
        }
        for route in &policy.auto_approvers.routes {
            list(&route.approvers);
        }
        list(&policy.auto_approvers.exit_node);
        for acl in policy.acls.iter().flatten() {
            list(&acl.sources);
        }
        for grant in policy.grants.iter().flatten() {
            list(&grant.sources);
            list(&grant.destinations);
        }
        for rule in &policy.ssh {
            list(&rule.sources);
            list(&rule.destinations);
        }
        for entry in &policy.node_attrs {
            list(&entry.targets);
        }
        for test in &policy.ssh_tests {
            list(test.source.as_slice());
            list(&test.destinations);
        }
        let destinations = policy.acls.iter().flatten().flat_map(|acl| &acl.destinations);
        aliases.extend(destinations.map(|dst| Use {
            alias: &dst.alias,
            span: dst.span,
            alone: false,
        }));
        let in_tests = policy
            .tests
            .iter()
            .flat_map(|test| {
                let source = Alias::parse((&*test.source.value).into());
                let destinations = test.accept.iter().chain(&test.deny);
                let destinations =
                    destinations.filter_map(|dst| Some(dst.parsed.as_ref().ok()?.0.clone()));
                source.into_iter().chain(destinations)
            })
            .collect();
        Self { aliases, in_tests }
    }

    /// All of them, without places.
    fn all(&self) -> impl Iterator<Item = &Alias<'_>> {
        self.aliases.iter().map(|used| used.alias).chain(&self.in_tests)
    }
}

impl Context<'_> {
    pub(super) fn lint_unused(&mut self, policy: &Policy<'_>, uses: &Uses<'_, '_>) {
        let named: HashSet<&str> = uses
            .all()
            .filter_map(|alias| match alias {
                Alias::Group(name) | Alias::Tag(name) | Alias::Host(name) => Some(&**name),
                _ => None,
            })
            .chain(policy.grants.iter().flatten().flat_map(|g| &g.via).map(|tag| &*tag.value))
            .collect();
        for group in policy.groups.iter().filter(|g| !named.contains(&*g.name.value)) {
            self.push(&UNUSED_GROUP, || {
                let name = &group.name.value;
                Finding::new(&UNUSED_GROUP, group.name.span, format!("nothing uses `{name}`"))
                    .help("remove it, or name it in a rule")
            });
        }
        for host in policy.hosts.iter().filter(|h| !named.contains(&*h.name.value)) {
            // Another rule says why nothing can use this one.
            if is_unreachable(&host.name.value) {
                continue;
            }
            self.push(&UNUSED_HOST, || {
                let name = &host.name.value;
                Finding::new(
                    &UNUSED_HOST,
                    host.name.span,
                    format!("nothing uses the host `{name}`"),
                )
                .help("remove it, or name it in a rule")
            });
        }
        for owner in &policy.tag_owners {
            let (tag, span) = (&owner.tag.value, owner.tag.span);
            if !named.contains(&**tag) {
                self.push(&UNUSED_TAG, || {
                    Finding::new(&UNUSED_TAG, span, format!("no rule uses `{tag}`")).help(
                        "nodes with this tag reach nothing and are reached by nothing, unless a \
                         rule for all nodes covers them",
                    )
                });
            }
            if owner.owners.is_empty() {
                self.push(&TAG_WITHOUT_OWNER, || {
                    Finding::new(&TAG_WITHOUT_OWNER, span, format!("`{tag}` has no owner")).help(
                        "no user can register a node with it; only an administrator or a tagged \
                         key can",
                    )
                });
            }
        }
    }
}
