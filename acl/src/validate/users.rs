//! References to users, against the users of a tailnet.

use foldhash::HashMap;

use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Group, NodeAttr, Policy, Spanned, go_quote};
use crate::rules::{NODE_ATTR_USER, USER_AMBIGUOUS};
use crate::span::Span;
use crate::tailnet::{Tailnet, UserMatch};

impl Context<'_> {
    pub(super) fn check_users(&mut self, policy: &Policy<'_>, tailnet: &Tailnet) {
        if self.semantics.ambiguous_users_refused {
            self.check_ambiguous(policy, tailnet);
        }
        let groups = policy.groups.iter().map(|group| (&*group.name.value, group)).collect();
        for entry in policy.node_attrs.iter().filter(|entry| !entry.attrs.is_empty()) {
            self.check_targets(entry, &groups, tailnet);
        }
    }

    /// Headscale looks at groups, owners, approvers, `acls` and `ssh`; not at `grants`, `nodeAttrs`
    /// and tests.
    fn check_ambiguous(&mut self, policy: &Policy<'_>, tailnet: &Tailnet) {
        let acls = policy.acls.iter().flatten();
        let aliases = (policy.tag_owners.iter().flat_map(|tag| &tag.owners))
            .chain(policy.auto_approvers.routes.iter().flat_map(|route| &route.approvers))
            .chain(&policy.auto_approvers.exit_node)
            .chain(policy.ssh.iter().flat_map(|rule| rule.sources.iter().chain(&rule.destinations)))
            .chain(acls.clone().flat_map(|acl| &acl.sources))
            .map(|alias| (&alias.value, alias.span));
        let destinations = acls.flat_map(|acl| &acl.destinations).map(|d| (&d.alias, d.span));
        let users = aliases.chain(destinations).filter_map(|(alias, span)| match alias {
            Alias::User(user) => Some((&**user, span)),
            _ => None,
        });
        let members = policy.groups.iter().flat_map(|group| &group.members);
        for (user, span) in members.map(|user| (&*user.value, user.span)).chain(users) {
            self.ambiguous(user, span, tailnet);
        }
    }

    fn ambiguous(&mut self, user: &str, span: Span, tailnet: &Tailnet) {
        let UserMatch::Several(_) = tailnet.find_user(user) else {
            return;
        };
        self.push(&USER_AMBIGUOUS, || {
            let message = unresolved_user(user, tailnet).unwrap_or_default();
            Finding::new(&USER_AMBIGUOUS, span, message)
                .help("name the user by e-mail or provider id, which only one user has")
        });
    }

    /// Headscale does not start where a target of `nodeAttrs` names a user that is not there.
    fn check_targets(
        &mut self,
        entry: &NodeAttr<'_>,
        groups: &HashMap<&str, &Group<'_>>,
        tailnet: &Tailnet,
    ) {
        let mut wrong: Vec<(Span, String)> = Vec::new();
        for Spanned { value, span } in &entry.targets {
            match value {
                Alias::User(user) => {
                    wrong.extend(unresolved_user(user, tailnet).map(|why| (*span, why)));
                }
                Alias::Group(group) => {
                    let members = groups.get(&**group).into_iter().flat_map(|g| &g.members);
                    wrong.extend(
                        members.filter_map(|user| {
                            Some((*span, unresolved_user(&user.value, tailnet)?))
                        }),
                    );
                }
                _ => {}
            }
        }
        let Some((span, why)) = wrong.first().cloned() else {
            return;
        };
        self.push(&NODE_ATTR_USER, || {
            let targets: Vec<String> = entry.targets.iter().map(|t| t.value.to_string()).collect();
            let why = match wrong.as_slice() {
                [_] => why,
                several => {
                    let lines: Vec<&str> = several.iter().map(|(_, why)| &**why).collect();
                    format!("multiple errors:\n\t{}", lines.join("\n\t"))
                }
            };
            let message =
                format!("compiling nodeAttrs: nodeAttrs target [{}]: {why}", targets.join(" "));
            Finding::new(&NODE_ATTR_USER, span, message)
                .help("create the user first, or target a tag or `autogroup:member`")
        });
    }
}

/// Headscale's sentence on a user that does not resolve to exactly one.
pub(crate) fn unresolved_user(user: &str, tailnet: &Tailnet) -> Option<String> {
    let token = go_quote(user);
    match tailnet.find_user(user) {
        UserMatch::One(_) => None,
        UserMatch::None => Some(format!("user not found: token {token}")),
        UserMatch::Several(found) => {
            let found: String =
                found.iter().map(|user| format!("{}: {}, ", user.id, user.name)).collect();
            Some(format!("multiple users found: token {token} found: [ {found} ]"))
        }
    }
}
