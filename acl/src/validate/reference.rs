//! References to groups, hosts, tags and autogroups, by where they stand.

use foldhash::{HashMap, HashSet};

use crate::context::Context;
use crate::decode::autogroup_help;
use crate::finding::Finding;
use crate::hujson::{Edit, quote};
use crate::policy::{Alias, Policy, Prefix, Spanned, go_quote};
use crate::rules::{
    AUTOGROUP_MISPLACED, GROUP_UNDEFINED, HOST_UNDEFINED, SSH_DESTINATION, TAG_UNDEFINED,
};
use crate::semantics::Semantics;
use crate::span::Span;
use crate::tailnet::Tailnet;

/// Where a reference stands: it decides what can be named and how Headscale words its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// `src` of a rule in `acls` or `grants`.
    Source,
    /// `dst` in `acls`.
    Destination,
    /// `dst` in `grants`.
    GrantDestination,
    /// `src` in `ssh`.
    SshSource,
    /// `dst` in `ssh`.
    SshDestination,
    /// `target` in `nodeAttrs`.
    Target,
    /// An owner of a tag or an approver of a route.
    Owner,
}

/// The names that a policy defines, and the users that it or the tailnet knows.
pub(crate) struct Names<'p> {
    pub(crate) groups: HashSet<&'p str>,
    pub(crate) tags: HashSet<&'p str>,
    /// With the prefix, where that could be read.
    pub(crate) hosts: HashMap<&'p str, Option<Prefix>>,
    /// Users by the token that names them in a policy: `alice@`.
    users: HashSet<String>,
}

impl<'p> Names<'p> {
    /// The names that `policy` defines. Linear in the policy.
    pub(crate) fn of(policy: &'p Policy<'_>, tailnet: Option<&Tailnet>) -> Self {
        let members = policy.groups.iter().flat_map(|group| &group.members);
        let owners = policy.tag_owners.iter().flat_map(|owner| &owner.owners);
        let mut users: HashSet<String> = members.map(|user| user.value.to_string()).collect();
        users.extend(owners.filter_map(|owner| match &owner.value {
            Alias::User(user) => Some(user.to_string()),
            _ => None,
        }));
        if let Some(tailnet) = tailnet {
            users.extend(tailnet.users.iter().map(|user| format!("{}@", user.name)));
        }
        Self {
            groups: policy.groups.iter().map(|group| &*group.name.value).collect(),
            tags: policy.tag_owners.iter().map(|owner| &*owner.tag.value).collect(),
            hosts: policy
                .hosts
                .iter()
                .map(|host| (&*host.name.value, host.prefix.as_ref().map(|p| p.value)))
                .collect(),
            users,
        }
    }
}

impl Context<'_> {
    /// Checks that what `alias` names exists and can stand at `site`.
    pub(crate) fn reference(
        &mut self,
        alias: &Alias<'_>,
        span: Span,
        site: Site,
        names: &Names<'_>,
    ) {
        match alias {
            Alias::Host(name) => self.host_reference(name, span, site, names),
            Alias::Group(name) if !names.groups.contains(&**name) => {
                let message = self.semantics.group_undefined(name);
                let near = self.nearest(name, names.groups.iter().copied());
                self.push(&GROUP_UNDEFINED, || {
                    let finding = Finding::new(&GROUP_UNDEFINED, span, message);
                    did_you_mean(finding, near, || {
                        format!("define it: \"groups\": {{\"{name}\": [\"alice@\"]}}")
                    })
                });
            }
            Alias::Tag(name) if !names.tags.contains(&**name) => {
                let message = match site {
                    Site::Source => self.semantics.source_tag_undefined(name),
                    Site::Destination => self.semantics.destination_tag_undefined(name),
                    _ => self.semantics.tag_undefined(name),
                };
                let near = self.nearest(name, names.tags.iter().copied());
                self.push(&TAG_UNDEFINED, || tag_undefined(message, name, span, near, names));
            }
            Alias::Autogroup(name) => self.autogroup_reference(name, span, site),
            _ => {}
        }
    }

    /// The same for a list.
    pub(crate) fn references(
        &mut self,
        aliases: &[Spanned<Alias<'_>>],
        site: Site,
        names: &Names<'_>,
    ) {
        for alias in aliases {
            self.reference(&alias.value, alias.span, site, names);
        }
    }

    fn host_reference(&mut self, name: &str, span: Span, site: Site, names: &Names<'_>) {
        match site {
            Site::SshDestination if self.semantics.ssh_host_destinations => {}
            Site::SshDestination => {
                self.push(&SSH_DESTINATION, || {
                    Finding::new(&SSH_DESTINATION, span, format!("invalid dst {}", go_quote(name)))
                        .help(format!(
                            "name a tag, an autogroup or a user; did you mean `tag:{name}` or \
                             `{name}@`?"
                        ))
                });
            }
            _ if names.hosts.contains_key(name) => {}
            _ => {
                let message = self.semantics.host_undefined(name);
                let port = site == Site::Destination;
                let near = self.nearest(name, names.hosts.keys().copied());
                self.push(&HOST_UNDEFINED, || {
                    host_undefined(message, name, span, port, near, names)
                });
            }
        }
    }

    fn autogroup_reference(&mut self, name: &str, span: Span, site: Site) {
        let semantics = self.semantics;
        let allowed = match site {
            Site::Source => semantics.source_autogroups,
            Site::Destination | Site::GrantDestination => Semantics::DESTINATION_AUTOGROUPS,
            Site::SshSource => Semantics::SSH_SOURCE_AUTOGROUPS,
            Site::SshDestination => Semantics::SSH_DESTINATION_AUTOGROUPS,
            Site::Target => Semantics::TARGET_AUTOGROUPS,
            // An owner cannot be an autogroup to begin with.
            Site::Owner => return,
        };
        if allowed.contains(&name) {
            return;
        }
        let message = match site {
            Site::Source => semantics.source_autogroup(name),
            Site::Destination | Site::GrantDestination => semantics.destination_autogroup(name),
            Site::SshSource => semantics.ssh_source_autogroup(name),
            Site::SshDestination => semantics.ssh_destination_autogroup(name),
            Site::Target | Site::Owner => Semantics::target_autogroup(name),
        };
        self.push(&AUTOGROUP_MISPLACED, || {
            let help = match (name, site) {
                ("autogroup:danger-all", Site::Source) => {
                    "`autogroup:danger-all` needs Headscale 0.29".to_owned()
                }
                _ if semantics.autogroups.contains(&name) => {
                    format!("here write one of {}", allowed.join(", "))
                }
                _ => autogroup_help(name),
            };
            Finding::new(&AUTOGROUP_MISPLACED, span, message).help(help)
        });
    }
}

/// A bare word is a host for Headscale; most often it was meant as a user.
fn host_undefined(
    message: String,
    name: &str,
    span: Span,
    port: bool,
    near: Option<&str>,
    names: &Names<'_>,
) -> Finding {
    let finding = Finding::new(&HOST_UNDEFINED, span, message);
    let user = format!("{name}@");
    let known = [
        Some(("user", user.clone())).filter(|(_, user)| names.users.contains(user)),
        Some(("group", format!("group:{name}"))).filter(|(_, g)| names.groups.contains(&**g)),
        Some(("tag", format!("tag:{name}"))).filter(|(_, tag)| names.tags.contains(&**tag)),
    ];
    let mut known = known.into_iter().flatten();
    match (known.next(), known.next()) {
        // Only one thing has this name, so it can be nothing else. A destination's ports stand in
        // the same string, so there the repair is left to the person.
        (Some((kind, only)), None) => {
            let finding = finding.help(format!("did you mean the {kind} `{only}`?"));
            if port {
                return finding;
            }
            let edit = Edit::replace(span, quote(&only));
            finding.fix(format!("write `{only}`"), vec![edit])
        }
        (Some((_, one)), Some((_, other))) => {
            finding.help(format!("did you mean `{one}` or `{other}`?"))
        }
        (None, _) if name.is_empty() => finding.help("remove the empty name"),
        (None, _) if name.trim() != name => {
            finding.help(format!("remove the space around `{}`", name.trim()))
        }
        (None, _) => match near {
            Some(host) => finding.help(format!("did you mean `{host}`?")),
            None => finding.help(format!(
                "did you mean the user `{user}`? A word without `@` or `:` names an entry of \
                 `hosts`"
            )),
        },
    }
}

fn tag_undefined(
    message: String,
    name: &str,
    span: Span,
    near: Option<&str>,
    names: &Names<'_>,
) -> Finding {
    let finding = Finding::new(&TAG_UNDEFINED, span, message);
    // `tag:web:22` where no ports belong.
    if let Some((tag, ports)) = name.rsplit_once(':')
        && names.tags.contains(tag)
    {
        return finding.help(format!(
            "ports cannot stand here: write `{tag}`, and `{ports}` into `ip` of a grant or `dst` \
             of a rule in `acls`"
        ));
    }
    did_you_mean(finding, near, || {
        format!("define it: \"tagOwners\": {{\"{name}\": [\"alice@\"]}}")
    })
}

fn did_you_mean(
    finding: Finding,
    near: Option<&str>,
    otherwise: impl FnOnce() -> String,
) -> Finding {
    match near {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(otherwise()),
    }
}
