//! What differs between Headscale versions, as one value that the engine asks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::Protocol;

/// A Headscale minor version whose policy engine is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// 0.28
    #[serde(rename = "0.28")]
    V0_28,
    /// 0.29
    #[serde(rename = "0.29")]
    V0_29,
    /// 0.30, the development head.
    #[serde(rename = "0.30")]
    V0_30,
}

impl Version {
    /// All known versions, oldest first.
    pub const ALL: [Self; 3] = [Self::V0_28, Self::V0_29, Self::V0_30];
    /// The newest released one: what is checked unless another is asked for.
    pub const DEFAULT: Self = Self::V0_29;

    /// `0.29`
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_28 => "0.28",
            Self::V0_29 => "0.29",
            Self::V0_30 => "0.30",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A version that is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Headscale {0:?} is not known: expected 0.28, 0.29 or 0.30")]
pub struct UnknownVersion(String);

impl FromStr for Version {
    type Err = UnknownVersion;

    /// Reads `0.29`, `0.29.2` or `v0.29.2`.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|version| {
                bare.strip_prefix(version.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            })
            .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

/// How Headscale words its sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// As 0.28 and older do.
    V0_28,
    /// As 0.29 and newer do.
    V0_29,
}

/// How `ssh[].checkPeriod` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPeriodSyntax {
    /// Prometheus durations (`7d`, `1h30m`): up to 0.28.
    Prometheus,
    /// Go durations (`168h`, `1.5h`) and `always`: since 0.29.
    Go,
}

/// The form of packet filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterForm {
    /// Up to 0.28: everything as prefixes with their length, one rule for each entry; announced
    /// routes count without approval.
    V0_28,
    /// Since 0.29: sources as ranges, `*` as such, rules with the same sources merged.
    V0_29,
}

/// Everything that depends on the version: the one place where versions differ.
///
/// Facts: `hscontrol/policy/v2` of Headscale 0.28.0, 0.29.2 and the development head of 2026-07-21.
#[derive(Debug, PartialEq, Eq)]
pub struct Semantics {
    /// The version.
    pub version: Version,
    /// How sentences are worded.
    pub wording: Wording,
    /// `grants`, `nodeAttrs`, `tests`, `sshTests`, `randomizeClientPort` and `ssh[].acceptEnv`
    /// exist.
    pub has_grants_and_tests: bool,
    /// White space around aliases in lists, SSH users and SSH actions is dropped.
    pub trims: bool,
    /// A tag's name starts with a letter.
    pub tags_start_with_letter: bool,
    /// The autogroups that can be written at all, in Headscale's order.
    pub autogroups: &'static [&'static str],
    /// The autogroups that can be a source, in Headscale's order.
    pub source_autogroups: &'static [&'static str],
    /// `[fd7a::1]:80` can be written.
    pub bracketed_ipv6: bool,
    /// Protocol names.
    pub protocols: &'static [(&'static str, u8)],
    /// `"6"` is read as `tcp`, and so on for every number that has a name.
    pub protocol_numbers_have_names: bool,
    /// A group within a group is refused before its name is looked at.
    pub nested_groups_checked_first: bool,
    /// Sources of a rule with the destination `autogroup:self` must be users or groups.
    pub self_needs_user_sources: bool,
    /// A rule in `acls` without an action is refused.
    pub acl_action_required: bool,
    /// `ssh` rules need an action and users; their users, environment and check period are checked.
    pub ssh_rules_checked: bool,
    /// An entry of `hosts` can be an SSH destination.
    pub ssh_host_destinations: bool,
    /// Syntax of `ssh[].checkPeriod`.
    pub check_period: CheckPeriodSyntax,
    /// Tags that own each other in a circle are refused.
    pub tag_cycles_refused: bool,
    /// A name that matches several users is refused.
    pub ambiguous_users_refused: bool,
    /// Capabilities of the domain `tailscale.com` that a grant can give.
    pub tailscale_capabilities: &'static [&'static str],
    /// `*` means all addresses rather than those of the tailnet.
    pub wildcard_is_everything: bool,
    /// The form of packet filters.
    pub filter_form: FilterForm,
    /// `localpart:*@DOMAIN` is read in SSH rules.
    pub localparts: bool,
    /// The address of a node means all addresses of the node.
    pub addresses_mean_nodes: bool,
}

const PROTOCOLS_0_29: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipv4", 4),
    ("ip-in-ip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("sctp", 132),
    ("ipv6-icmp", 58),
    ("fc", 133),
];
/// 0.28 knows all but the last two.
const PROTOCOLS_0_28: &[(&str, u8)] = PROTOCOLS_0_29.split_at(12).0;

const AUTOGROUPS_0_29: &[&str] = &[
    "autogroup:internet",
    "autogroup:member",
    "autogroup:nonroot",
    "autogroup:tagged",
    "autogroup:self",
    "autogroup:danger-all",
];

const SOURCE_AUTOGROUPS_0_29: &[&str] =
    &["autogroup:member", "autogroup:tagged", "autogroup:danger-all"];

const CAPABILITIES_0_30: &[&str] = &[
    "tailscale.com/cap/drive",
    "tailscale.com/cap/relay",
    "tailscale.com/cap/webui",
    "tailscale.com/cap/kubernetes",
    "tailscale.com/cap/tsidp",
    "tailscale.com/cap/secrets",
];

const V0_28: Semantics = Semantics {
    version: Version::V0_28,
    wording: Wording::V0_28,
    has_grants_and_tests: false,
    trims: false,
    tags_start_with_letter: false,
    autogroups: AUTOGROUPS_0_29.split_at(5).0,
    source_autogroups: SOURCE_AUTOGROUPS_0_29.split_at(2).0,
    bracketed_ipv6: false,
    protocols: PROTOCOLS_0_28,
    protocol_numbers_have_names: false,
    nested_groups_checked_first: false,
    self_needs_user_sources: false,
    acl_action_required: true,
    ssh_rules_checked: false,
    ssh_host_destinations: true,
    check_period: CheckPeriodSyntax::Prometheus,
    tag_cycles_refused: true,
    ambiguous_users_refused: false,
    tailscale_capabilities: &[],
    wildcard_is_everything: true,
    addresses_mean_nodes: true,
    filter_form: FilterForm::V0_28,
    localparts: false,
};

const V0_29: Semantics = Semantics {
    version: Version::V0_29,
    wording: Wording::V0_29,
    has_grants_and_tests: true,
    trims: true,
    tags_start_with_letter: true,
    autogroups: AUTOGROUPS_0_29,
    source_autogroups: SOURCE_AUTOGROUPS_0_29,
    bracketed_ipv6: true,
    protocols: PROTOCOLS_0_29,
    protocol_numbers_have_names: true,
    nested_groups_checked_first: true,
    self_needs_user_sources: true,
    acl_action_required: false,
    ssh_rules_checked: true,
    ssh_host_destinations: false,
    check_period: CheckPeriodSyntax::Go,
    tag_cycles_refused: false,
    ambiguous_users_refused: true,
    tailscale_capabilities: CAPABILITIES_0_30.split_at(5).0,
    wildcard_is_everything: false,
    addresses_mean_nodes: false,
    filter_form: FilterForm::V0_29,
    localparts: true,
};

const V0_30: Semantics =
    Semantics { version: Version::V0_30, tailscale_capabilities: CAPABILITIES_0_30, ..V0_29 };

impl Semantics {
    /// The autogroups that can be a destination in `acls` and `grants`, in Headscale's order.
    pub const DESTINATION_AUTOGROUPS: &'static [&'static str] =
        &["autogroup:internet", "autogroup:member", "autogroup:tagged", "autogroup:self"];
    /// The autogroups that can be an SSH source, in Headscale's order.
    pub const SSH_SOURCE_AUTOGROUPS: &'static [&'static str] =
        &["autogroup:member", "autogroup:tagged"];
    /// The autogroups that can be an SSH destination, in Headscale's order.
    pub const SSH_DESTINATION_AUTOGROUPS: &'static [&'static str] =
        &["autogroup:member", "autogroup:tagged", "autogroup:self"];
    /// The IANA numbers that nodes are sent for the protocol of a rule; none where the client's
    /// default applies, which is TCP, UDP and ICMP.
    pub(crate) fn sent_protocols(&self, protocol: &Protocol) -> Vec<u8> {
        match (self.filter_form, protocol) {
            (FilterForm::V0_28, Protocol::Default) => vec![6, 17],
            (FilterForm::V0_28, Protocol::Named("icmp", _)) => vec![1, 58],
            (_, protocol) => protocol.number().into_iter().collect(),
        }
    }

    /// The autogroups that can be a target in `nodeAttrs`, in Headscale's order.
    pub const TARGET_AUTOGROUPS: &'static [&'static str] =
        &["autogroup:member", "autogroup:tagged"];

    /// The semantics of `version`.
    #[must_use]
    pub const fn of(version: Version) -> &'static Self {
        match version {
            Version::V0_28 => &V0_28,
            Version::V0_29 => &V0_29,
            Version::V0_30 => &V0_30,
        }
    }
}
