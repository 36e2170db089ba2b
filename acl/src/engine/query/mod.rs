//! Questions to a policy: who reaches what, and by which rule.

mod access;
mod asked;
mod claim;
mod coverage;
mod explain;
mod extent;
mod nearest;
mod party;
mod resolve;
mod ssh;

pub use access::{Access, AccessRow, Side};
pub use claim::{Claim, Expect, Judgement, Touch};
pub use coverage::{Coverage, NameCoverage, RuleCoverage};
pub use explain::{Cause, Explanation, Question, RuleSection};
pub use extent::Extent;
pub use nearest::{Lack, Miss};
pub(crate) use party::Parties;
pub use party::{Problem, QueryError};
pub use resolve::Resolved;

use crate::check::{Checked, Options, OwnTests, check_and};
use crate::context::Context;
use crate::decode;
use crate::engine::{Inventory, Network, symbolic};
use crate::finding::{Findings, Severity};
use crate::hujson::Document;
use crate::policy::Policy;
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;

/// Compiles `text` for the nodes of `tailnet` as Headscale of `version` would, and asks it.
///
/// Without a tailnet the nodes are made up from the policy: see [`symbolic`]. An empty text is no
/// policy and allows everything.
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
/// let text = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
/// let compiled = engine::ask(text, None, Version::V0_29, |network| network.compiled()).unwrap();
/// assert!(compiled.symbolic);
/// let bob = compiled.nodes.iter().find(|node| node.name == "bob").unwrap();
/// assert_eq!(bob.packet_filter[0].dst_ports[0].ports.first, 22);
/// ```
pub fn ask<T>(
    text: &[u8],
    tailnet: Option<&Tailnet>,
    version: Version,
    question: impl FnOnce(&Network<'_, '_>) -> T,
) -> Result<T, Checked> {
    let doc = accepted(text, tailnet, version)?;
    let semantics = Semantics::of(version);
    let policy = read(&doc, semantics);
    match tailnet {
        Some(tailnet) => {
            let inventory = Inventory::of(tailnet);
            Ok(question(&Network::new(&policy, &doc, &inventory, semantics)))
        }
        None => {
            let tailnet = symbolic(&policy);
            let inventory = Inventory::of(&tailnet);
            let network = Network::new(&policy, &doc, &inventory, semantics).of_made_up_nodes();
            Ok(question(&network))
        }
    }
}

/// The document of a policy that Headscale of `version` takes; an empty text is read as `null`. The
/// policy's own tests are not run.
///
/// # Errors
///
/// What is wrong with a policy that Headscale would not take.
pub fn accepted<'t>(
    text: &'t [u8],
    tailnet: Option<&Tailnet>,
    version: Version,
) -> Result<Document<'t>, Checked> {
    let options = Options { versions: &[version], tailnet, today: None };
    let checked = check_and(text, &options, OwnTests::Skip);
    if checked.findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(checked);
    }
    Ok(Document::parse(if text.is_empty() { b"null" } else { text }))
}

/// The policy in a document that has no errors.
pub(crate) fn read<'d>(doc: &'d Document<'_>, semantics: &'static Semantics) -> Policy<'d> {
    let mut findings = Findings::new();
    decode::policy(doc, &mut Context { semantics, findings: &mut findings })
}
