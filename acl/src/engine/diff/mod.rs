//! What a change of the policy changes: what becomes reachable, and what stops being.

mod meaning;
mod rules;

use std::fmt;

use serde::Serialize;

use self::meaning::Meaning;
use super::inventory::Inventory;
use super::names::{Names, Used, vacant};
use super::network::Network;
use super::query::{accepted, read};
use super::symbolic::symbolic;
use crate::check::Checked;
use crate::policy::Policy;
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;

/// What a change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing.
    Same,
    /// More is reachable, and nothing stops being.
    Grows,
    /// Less is reachable, and nothing new is.
    Shrinks,
    /// Both.
    Changes,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Same => "same",
            Self::Grows => "grows",
            Self::Shrinks => "shrinks",
            Self::Changes => "changes",
        })
    }
}

/// What a row of a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Connections.
    Net,
    /// Capabilities that an application on the node honours.
    App,
    /// SSH logins.
    Ssh,
    /// Approved routes of a node.
    Route,
    /// Who approves which routes.
    Approval,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Net => "net",
            Self::App => "app",
            Self::Ssh => "ssh",
            Self::Route => "route",
            Self::Approval => "approval",
        })
    }
}

/// Something that becomes possible or stops being, in the policies' own names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Row {
    /// What it is about.
    pub kind: Kind,
    /// Who; names with commas between.
    pub src: String,
    /// Whom or what; names with commas between, or `autogroup:self` for one's own devices.
    pub dst: String,
    /// The protocols, with commas between; empty for the client's default ones, and where there
    /// are none. For an application the name of the capability.
    pub proto: String,
    /// The ports; empty where there are none.
    pub ports: String,
    /// Login users, for SSH.
    pub users: String,
}

/// The difference between two policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What it comes to.
    pub verdict: Verdict,
    /// What becomes possible.
    pub added: Vec<Row>,
    /// What stops being possible.
    pub removed: Vec<Row>,
}

/// Which of two policies Headscale would not take, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The old one.
    Old(Checked),
    /// The new one.
    New(Checked),
}

/// What changes from `old` to `new` for the nodes of `tailnet`, as Headscale of `version` reads
/// both.
///
/// Without a tailnet the nodes are made up from both policies: see [`symbolic`]. An empty text is
/// no policy and allows everything.
///
/// # Errors
///
/// What is wrong with a policy that Headscale would not take.
///
/// # Examples
///
/// ```
/// use headscale_acl::{Version, engine};
///
/// let old = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
/// let new = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22,80"]}]}"#;
/// let diff = engine::diff(old, new, None, Version::V0_29).unwrap();
/// assert_eq!(diff.verdict, engine::Verdict::Grows);
/// assert_eq!((&*diff.added[0].src, &*diff.added[0].ports), ("alice@", "80"));
/// ```
pub fn diff(
    old: &[u8],
    new: &[u8],
    tailnet: Option<&Tailnet>,
    version: Version,
) -> Result<Diff, Refused> {
    let old_doc = accepted(old, tailnet, version).map_err(Refused::Old)?;
    let new_doc = accepted(new, tailnet, version).map_err(Refused::New)?;
    let semantics = Semantics::of(version);
    let (old, new) = (read(&old_doc, semantics), read(&new_doc, semantics));
    let made_up;
    let tailnet = match tailnet {
        Some(tailnet) => tailnet,
        None => {
            made_up = symbolic(&together(&old, &new));
            &made_up
        }
    };
    let inventory = Inventory::of(tailnet);
    let old = Network::new(&old, &old_doc, &inventory, semantics);
    let new = Network::new(&new, &new_doc, &inventory, semantics);
    Ok(Diff::between(&old, &new))
}

/// A policy that names all that either of the two does.
fn together<'d>(old: &Policy<'d>, new: &Policy<'d>) -> Policy<'d> {
    let mut both = old.clone();
    let new = new.clone();
    both.groups.extend(new.groups);
    both.hosts.extend(new.hosts);
    both.tag_owners.extend(new.tag_owners);
    both.acls.get_or_insert_default().extend(new.acls.into_iter().flatten());
    both.grants.get_or_insert_default().extend(new.grants.into_iter().flatten());
    both.node_attrs.extend(new.node_attrs);
    both.auto_approvers.routes.extend(new.auto_approvers.routes);
    both.auto_approvers.exit_node.extend(new.auto_approvers.exit_node);
    both.ssh.extend(new.ssh);
    both.tests.extend(new.tests);
    both.ssh_tests.extend(new.ssh_tests);
    both
}

impl Diff {
    /// What changes from `old` to `new`, two policies for one inventory.
    ///
    /// Sources and destinations are compared as sets of addresses: the same meaning in other words
    /// is no difference. Rows are as few as grouping by source and destination finds.
    ///
    /// Rules that stand in both cost little: a walk along the bounds of their sets. For the others
    /// it costs the pairs of classes of addresses that they join, times the rules about each pair.
    #[must_use]
    pub fn between(old: &Network<'_, '_>, new: &Network<'_, '_>) -> Self {
        let vacant = vacant(old.inventory);
        let names = Names::of(old.inventory, [Used::by(old), Used::by(new)], &vacant);
        let (before, after) = (Meaning::of(old, &vacant), Meaning::of(new, &vacant));
        let inventory = old.inventory;
        let added = before.gains(&after, &names, inventory);
        let removed = after.gains(&before, &names, inventory);
        let verdict = match (added.is_empty(), removed.is_empty()) {
            (true, true) => Verdict::Same,
            (false, true) => Verdict::Grows,
            (true, false) => Verdict::Shrinks,
            (false, false) => Verdict::Changes,
        };
        Self { verdict, added, removed }
    }
}

impl Row {
    const fn new(kind: Kind, src: String, dst: String) -> Self {
        Self { kind, src, dst, proto: String::new(), ports: String::new(), users: String::new() }
    }
}
