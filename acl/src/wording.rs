//! Headscale's sentences, word for word, by version. A finding's message is one of these wherever
//! Headscale has one, so that people find it in their logs and in search engines.
//!
//! The envelope (`parsing policy: …`, Go type names, JSON pointers) is left out: the finding has a
//! place in the text instead.

use crate::policy::{Alias, Prefix, go_quote};
use crate::semantics::{Semantics, Wording};

/// `[a b c]`: how Go prints a list.
fn go_list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

/// What can own a tag or approve a route, in the words of 0.28.
const OWNERS: &[&str] = &[
    "user (containing an \"@\")",
    "group (starting with \"group:\")",
    "tag (starting with \"tag:\")",
];

/// How 0.28 says that a name is of none of these types.
fn none_of(what: &str, name: &str, types: &[&str]) -> String {
    let name = go_quote(name);
    let types: String = types.iter().map(|kind| format!("- {kind}\n")).collect();
    format!(
        "Invalid {what} {name}. An alias must be one of the following types:\n{types}\n\
         Please check the format and try again."
    )
}

impl Semantics {
    /// The old sentence up to 0.28, the new one since 0.29.
    fn words(&self, old: impl FnOnce() -> String, new: impl FnOnce() -> String) -> String {
        match self.wording {
            Wording::V0_28 => old(),
            Wording::V0_29 => new(),
        }
    }

    pub(crate) fn unknown_field(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(|| format!("unknown field {name}"), || format!("unknown field: {name}"))
    }

    pub(crate) fn group_name(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(
            || format!("Group has to start with \"group:\", got: {name}"),
            || format!("group must start with 'group:', got: {name}"),
        )
    }

    pub(crate) fn group_value(&self, group: &str, got: &str) -> String {
        self.words(
            || format!("Group \"{group}\" value must be an array of users, got {got}"),
            || {
                let group = go_quote(group);
                format!("group value must be an array of users: group {group} got {got}")
            },
        )
    }

    pub(crate) fn group_member_type(&self, group: &str, got: &str) -> String {
        self.words(
            || {
                format!(
                    "Group \"{group}\" contains invalid member type, expected string but got {got}"
                )
            },
            || {
                let group = go_quote(group);
                format!("invalid group member type: group {group} expected string but got {got}")
            },
        )
    }

    pub(crate) fn nested_group(&self, group: &str, member: &str) -> String {
        let (group, member) = (go_quote(group), go_quote(member));
        self.words(
            || format!("Nested groups are not allowed, found {member} inside {group}"),
            || format!("groups[{group}]: {member}: group members cannot be recursive"),
        )
    }

    pub(crate) fn username(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(
            || format!("Username has to contain @, got: {name}"),
            || format!("username must contain @, got: {name}"),
        )
    }

    pub(crate) fn host_name(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(|| format!("Hostname {name} is invalid"), || format!("invalid hostname: {name}"))
    }

    pub(crate) fn host_address(&self, host: &str, address: &str) -> String {
        self.words(
            || format!("Hostname \"{host}\" contains an invalid IP address: \"{address}\""),
            || {
                let (host, address) = (go_quote(host), go_quote(address));
                format!("hostname contains invalid IP address: hostname {host} address {address}")
            },
        )
    }

    pub(crate) fn tag_format(&self, tag: &str) -> String {
        let tag = go_quote(tag);
        self.words(
            || format!("tag has to start with \"tag:\", got: {tag}"),
            || format!("tag must start with 'tag:', got: {tag}"),
        )
    }

    /// `place` is the last part of the JSON pointer: a tag's name, or the index in a list.
    pub(crate) fn tag_letter(place: &str) -> String {
        let place = go_quote(place);
        format!("tagOwners[{place}]: tag names must start with a letter, after 'tag:'")
    }

    pub(crate) fn owner_format(&self, owner: &str) -> String {
        self.words(
            || none_of("Owner", owner, OWNERS),
            || format!("invalid owner format: {}", go_quote(owner)),
        )
    }

    pub(crate) fn approver_format(&self, approver: &str) -> String {
        self.words(
            || none_of("AutoApprover", approver, OWNERS),
            || format!("invalid auto approver format: {}", go_quote(approver)),
        )
    }

    pub(crate) fn alias_format(&self, alias: &str) -> String {
        let types =
            [&["wildcard (*)"], OWNERS, &["autogroup (starting with \"autogroup:\")", "host"]];
        self.words(
            || none_of("alias", alias, &types.concat()),
            || format!("invalid alias format: {}", go_quote(alias)),
        )
    }

    pub(crate) fn autogroup_unknown(&self, name: &str) -> String {
        let (name, known) = (go_quote(name), go_list(self.autogroups));
        self.words(
            || format!("AutoGroup is invalid, got: {name}, must be one of {known}"),
            || format!("invalid autogroup: got {name}, must be one of {known}"),
        )
    }

    pub(crate) fn host_undefined(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(
            || format!("Host {name} {UNDEFINED_0_28}"),
            || format!("host not defined in policy: {name}"),
        )
    }

    pub(crate) fn group_undefined(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(
            || format!("Group {name} {UNDEFINED_0_28}"),
            || format!("group not defined in policy: {name}"),
        )
    }

    pub(crate) fn tag_undefined(&self, name: &str) -> String {
        let name = go_quote(name);
        self.words(|| format!("Tag {name} {UNDEFINED_0_28}"), || format!("tag not found: {name}"))
    }

    pub(crate) fn source_tag_undefined(&self, name: &str) -> String {
        let undefined = self.tag_undefined(name);
        self.words(|| undefined.clone(), || format!("src={undefined}"))
    }

    pub(crate) fn destination_tag_undefined(&self, name: &str) -> String {
        let undefined = self.tag_undefined(name);
        self.words(|| undefined.clone(), || format!("dst={}: {undefined}", go_quote(name)))
    }

    pub(crate) fn via_tag_undefined(name: &str) -> String {
        format!("tag {} not found", go_quote(name))
    }

    pub(crate) fn owner_tag_undefined(tag: &str, owner: &str) -> String {
        format!("tag {} references undefined tag {}", go_quote(tag), go_quote(owner))
    }

    pub(crate) fn tag_cycle(tags: &[&str]) -> String {
        format!("circular reference detected: {}", tags.join(" -> "))
    }

    pub(crate) fn source_autogroup(&self, name: &str) -> String {
        match name {
            "autogroup:internet" => self.words(
                || {
                    "\"autogroup:internet\" used in source, it can only be used in ACL destinations"
                        .to_owned()
                },
                || INTERNET_SOURCE.to_owned(),
            ),
            "autogroup:self" => self.words(
                || {
                    "\"autogroup:self\" used in source, it can only be used in ACL destinations"
                        .to_owned()
                },
                || "\"autogroup:self\" not valid on the src side of a rule".to_owned(),
            ),
            _ => self.autogroup_not_for("ACL sources", name, self.source_autogroups),
        }
    }

    pub(crate) fn destination_autogroup(&self, name: &str) -> String {
        if self.wording == Wording::V0_29 && name == "autogroup:danger-all" {
            return "cannot use autogroup:danger-all as a dst".to_owned();
        }
        self.autogroup_not_for("ACL destinations", name, Self::DESTINATION_AUTOGROUPS)
    }

    pub(crate) fn ssh_source_autogroup(&self, name: &str) -> String {
        if name == "autogroup:internet" {
            return self.words(
                || {
                    "\"autogroup:internet\" used in SSH source, it can only be used in ACL \
                    destinations"
                        .to_owned()
                },
                || INTERNET_SOURCE.to_owned(),
            );
        }
        self.autogroup_not_for("SSH sources", name, Self::SSH_SOURCE_AUTOGROUPS)
    }

    pub(crate) fn ssh_destination_autogroup(&self, name: &str) -> String {
        if name == "autogroup:internet" {
            return self.words(
                || {
                    "\"autogroup:internet\" used in SSH destination, it can only be used in ACL \
                    destinations"
                        .to_owned()
                },
                || INTERNET_SOURCE.to_owned(),
            );
        }
        // 0.28 says "sources" here too.
        let place = match self.wording {
            Wording::V0_28 => "SSH sources",
            Wording::V0_29 => "SSH destinations",
        };
        self.autogroup_not_for(place, name, Self::SSH_DESTINATION_AUTOGROUPS)
    }

    pub(crate) fn ssh_user_autogroup(&self, name: &str) -> String {
        self.autogroup_not_for("SSH user", name, &["autogroup:nonroot"])
    }

    pub(crate) fn target_autogroup(name: &str) -> String {
        format!(
            "nodeAttrs target does not support this autogroup: {}, can be {}",
            go_quote(name),
            go_list(Self::TARGET_AUTOGROUPS)
        )
    }

    fn autogroup_not_for(&self, place: &str, name: &str, allowed: &[&str]) -> String {
        let (name, allowed) = (go_quote(name), go_list(allowed));
        self.words(
            || format!("autogroup {name} is not supported for {place}, can be {allowed}"),
            || format!("autogroup not supported for {place}: {name}, can be {allowed}"),
        )
    }

    pub(crate) fn protocol_without_ports(&self, protocol: &str) -> String {
        let protocol = go_quote(protocol);
        self.words(
            || {
                format!(
                    "protocol {protocol} does not support specific ports; only \"*\" is allowed"
                )
            },
            || {
                format!(
                    "protocol does not support specific ports: {protocol}, only \"*\" is allowed"
                )
            },
        )
    }

    pub(crate) fn acl_action(&self, action: &str) -> String {
        self.words(
            || format!("invalid action {}, must be \"accept\"", go_quote(action)),
            || format!("action={} is not supported: invalid ACL action", go_quote(action)),
        )
    }

    pub(crate) fn destination_ports(&self, dst: &str, ports: &str, why: &str) -> String {
        self.words(
            || why.to_owned(),
            || {
                let (dst, ports) = (go_quote(dst), go_quote(ports));
                format!("dst={dst}: port range {ports}: {why}")
            },
        )
    }

    pub(crate) fn no_colon(&self) -> String {
        self.words(
            || "hostport must contain a colon (\":\")".to_owned(),
            || "hostport must contain a colon".to_owned(),
        )
    }

    pub(crate) fn type_not_supported(&self, got: &str) -> String {
        self.words(|| format!("type {got} not supported"), || format!("type not supported: {got}"))
    }

    pub(crate) fn ssh_action(&self, action: &str) -> String {
        let action = go_quote(action);
        self.words(
            || format!("invalid SSH action {action}, must be one of: accept, check"),
            || format!("{action} is not a valid action"),
        )
    }

    /// What Headscale names here is a Go type, which tells nobody anything: the finding says what
    /// the alias is instead.
    pub(crate) fn ssh_alias(&self, side: &str, alias: &Alias<'_>) -> String {
        let kind = match alias {
            Alias::Wildcard => "the wildcard *",
            Alias::Prefix(_) => "an IP address",
            Alias::User(_) => "a user",
            Alias::Group(_) => "a group",
            Alias::Tag(_) => "a tag",
            Alias::Autogroup(_) => "an autogroup",
            Alias::Host(_) => "a host",
        };
        self.words(
            || format!("alias is not supported for SSH {side}: {kind}"),
            || format!("alias not supported for SSH {side}: {kind}"),
        )
    }

    pub(crate) fn default_route(prefix: Prefix) -> String {
        let prefix = go_quote(&prefix.to_string());
        format!("dst {prefix}: to allow all IP addresses, use \"*\" or \"autogroup:internet\"")
    }
}

const UNDEFINED_0_28: &str =
    "is not defined in the Policy, please define or remove the reference to it";

const INTERNET_SOURCE: &str = "autogroup:internet can only be used in ACL destinations";

pub(crate) const SELF_SOURCES: &str =
    "autogroup:self can only be used with users, groups, or supported autogroups";

pub(crate) const SSH_WILDCARD: &str = "wildcard (*) is not supported as SSH destination; use \
    'autogroup:member' for user-owned devices, 'autogroup:tagged' for tagged devices, or specific \
    tags/users";
