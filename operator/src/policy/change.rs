//! What a change of the policy changes, and whether one is to be made.

use headscale_acl::Version;
use headscale_acl::engine::{self, Row};
use headscale_api::kinds::{ReachabilityDiff, ReachabilityRow};

use super::compose::is_same_policy;

/// How many rows of each kind a status shows.
const SHOWN: usize = 20;
/// Bytes of one list of names in a status.
const NAMES: usize = 1000;

/// What is to be done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Headscale has it.
    Keep,
    /// Headscale is to get it, because it is not what was declared before.
    Change,
    /// Headscale is to get it again, because somebody else gave it another.
    Repair,
}

/// What is to be done with the document `declared` where Headscale has `running`.
///
/// `given` is the hash of what Headscale was given last and took, as far as that is known. Another
/// writer's comments and layout are left alone, our own are replaced.
#[must_use]
pub fn step(declared: &str, running: Option<&str>, given: Option<&str>, hash: Hash) -> Step {
    let Some(running) = running.filter(|running| !running.is_empty()) else {
        return if given == Some(&*hash(declared)) { Step::Repair } else { Step::Change };
    };
    if declared == running {
        return Step::Keep;
    }
    let is_repair = given == Some(&*hash(declared));
    if is_same_policy(declared, running) && (is_repair || given != Some(&*hash(running))) {
        return Step::Keep;
    }
    if is_repair { Step::Repair } else { Step::Change }
}

/// How a document is hashed.
pub type Hash = fn(&str) -> String;

/// What a change from `old` to `new` makes of who reaches what, for nodes that are made up from
/// both; `None` where one of them cannot be compared. No policy at all allows everything.
#[must_use]
pub fn reachability(old: Option<&str>, new: &str, version: Version) -> Option<ReachabilityDiff> {
    let old = old.unwrap_or_default().as_bytes();
    let diff = engine::diff(old, new.as_bytes(), None, version).ok()?;
    let rows = |rows: Vec<Row>| rows.into_iter().take(SHOWN).map(row).collect();
    Some(ReachabilityDiff {
        verdict: diff.verdict.to_string(),
        added: rows(diff.added),
        removed: rows(diff.removed),
    })
}

fn row(row: Row) -> ReachabilityRow {
    let given = |text: String| Some(shortened(text)).filter(|text| !text.is_empty());
    ReachabilityRow {
        kind: row.kind.to_string(),
        src: shortened(row.src),
        dst: shortened(row.dst),
        proto: given(row.proto),
        ports: given(row.ports),
        users: given(row.users),
    }
}

/// A status has room for some names, and not for ten thousand.
fn shortened(names: String) -> String {
    if names.len() <= NAMES {
        return names;
    }
    let end = (0..=NAMES).rev().find(|end| names.is_char_boundary(*end)).unwrap_or(0);
    let kept = names.get(..end).unwrap_or_default();
    let kept = kept.rsplit_once(", ").map_or(kept, |(kept, _)| kept);
    let left = names.get(kept.len()..).unwrap_or_default().matches(", ").count();
    format!("{kept} and {left} more")
}
