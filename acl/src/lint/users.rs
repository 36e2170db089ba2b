//! Users and tags that match nobody.

use super::names::{Use, Uses};
use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Edit, quote};
use crate::policy::{Alias, Policy};
use crate::rules::{SURROUNDING_SPACE, SUSPICIOUS_USER, USER_IGNORED, USER_UNKNOWN};
use crate::span::Span;
use crate::tailnet::{Tailnet, UserMatch};

/// Every user that the policy names, members of groups first; and whether the string holds the name
/// alone.
fn users<'p>(
    policy: &'p Policy<'_>,
    uses: &'p Uses<'_, '_>,
) -> impl Iterator<Item = (&'p str, Span, bool)> {
    let members = policy.groups.iter().flat_map(|group| &group.members);
    let members = members.map(|user| (&*user.value, user.span, true));
    members.chain(uses.aliases.iter().filter_map(|used| match used.alias {
        Alias::User(user) => Some((&**user, used.span, used.alone)),
        _ => None,
    }))
}

impl Context<'_> {
    pub(super) fn lint_users(&mut self, policy: &Policy<'_>, uses: &Uses<'_, '_>) {
        for (user, span, alone) in users(policy, uses) {
            if user.trim() != user {
                self.surrounding_space(user, span, alone);
            } else {
                self.suspicious_user(user, span);
            }
        }
        let tags = policy.tag_owners.iter().map(|owner| &owner.tag);
        let groups = policy.groups.iter().map(|group| &group.name);
        let hosts = policy.hosts.iter().map(|host| &host.name);
        for name in tags.chain(groups).chain(hosts) {
            if name.value.trim() != name.value {
                self.surrounding_space(&name.value, name.span, true);
            }
        }
        for Use { alias, span, alone } in &uses.aliases {
            if let Alias::Tag(tag) | Alias::Group(tag) | Alias::Host(tag) = alias
                && tag.trim() != &**tag
            {
                self.surrounding_space(tag, *span, *alone);
            }
        }
        for test in &policy.tests {
            let source = &test.source;
            if source.value.trim() != source.value {
                self.surrounding_space(&source.value, source.span, true);
            }
        }
    }

    /// `alone` tells that nothing but the name stands in the string.
    fn surrounding_space(&mut self, name: &str, span: Span, alone: bool) {
        let trimmed = name.trim();
        self.push(&SURROUNDING_SPACE, || {
            let message =
                format!("the space around `{trimmed}` is part of the name: it matches nothing");
            let finding = Finding::new(&SURROUNDING_SPACE, span, message)
                .help(format!("write \"{trimmed}\""));
            if alone {
                let edit = Edit::replace(span, quote(trimmed));
                return finding.fix("remove the space", vec![edit]);
            }
            finding
        });
    }

    fn suspicious_user(&mut self, user: &str, span: Span) {
        let Some(help) = suspicion(user) else { return };
        self.push(&SUSPICIOUS_USER, || {
            let message = format!("`{user}` is taken for the name of a user");
            Finding::new(&SUSPICIOUS_USER, span, message).help(help)
        });
    }

    pub(super) fn lint_unknown_users(
        &mut self,
        policy: &Policy<'_>,
        uses: &Uses<'_, '_>,
        tailnet: &Tailnet,
    ) {
        let known = tailnet.users.iter().flat_map(|user| [&*user.name, &*user.email]);
        let known: Vec<&str> = known.filter(|name| !name.is_empty()).collect();
        for (user, span, _) in users(policy, uses) {
            // What is wrong with these is said already.
            if user.trim() != user || suspicion(user).is_some() {
                continue;
            }
            match tailnet.find_user(user) {
                UserMatch::One(_) => {}
                UserMatch::None => {
                    let near = self.nearest(user.trim_end_matches('@'), known.iter().copied());
                    self.push(&USER_UNKNOWN, || {
                        let message = format!("the tailnet has no user `{user}`");
                        let finding = Finding::new(&USER_UNKNOWN, span, message);
                        match near {
                            Some(near) if near.contains('@') => {
                                finding.help(format!("did you mean `{near}`?"))
                            }
                            Some(near) => finding.help(format!("did you mean `{near}@`?")),
                            None => finding.help(
                                "Headscale accepts this and the name matches nobody; create the \
                                 user, or remove the name",
                            ),
                        }
                    });
                }
                UserMatch::Several(found) => self.push(&USER_IGNORED, || {
                    let message = format!("`{user}` is {} users, so it matches none", found.len());
                    Finding::new(&USER_IGNORED, span, message)
                        .help("name the user by e-mail or provider id, which only one user has")
                }),
            }
        }
    }
}

/// What a user that is most likely none should have been.
fn suspicion(user: &str) -> Option<String> {
    if ["group:", "tag:", "autogroup:"].iter().any(|prefix| user.starts_with(prefix)) {
        return Some(
            "a name with an `@` is a user, whatever it starts with; remove the `@`".to_owned(),
        );
    }
    if user.starts_with("user:") || user.starts_with("*@") {
        return Some("Headscale has no patterns for users; name each, or a group".to_owned());
    }
    if user.starts_with("localpart:") {
        return Some("`localpart:` is for login users of SSH rules".to_owned());
    }
    let (name, ports) = user.rsplit_once("@:")?;
    let numeric = ports.chars().all(|c| c.is_ascii_digit() || "*,-".contains(c));
    (!ports.is_empty() && numeric).then(|| format!("ports belong into `dst`; write \"{name}@\""))
}
