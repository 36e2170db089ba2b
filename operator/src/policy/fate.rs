//! What becomes of a document.

use headscale_acl::Version;
use headscale_api::kinds::ReachabilityDiff;
use headscale_client::ErrorKind;

use super::judge::Judged;
use super::say::PUSH_FAILED;
use crate::conditions::Verdict;
use crate::instance::AskError;

/// What became of a document.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Headscale has it, and this was its last change, where it was changed now.
    Applied { hash: String, change: Option<Option<ReachabilityDiff>> },
    /// It is not given to Headscale.
    Refused(Verdict),
    /// It could not be given to Headscale. Where it is known what Headscale has instead, its hash is
    /// here, and what its last change was where that is not what was written.
    Failed {
        verdict: Verdict,
        hash: Option<Option<String>>,
        reachability: Option<Option<ReachabilityDiff>>,
        /// Whether Headscale says that it is wrong.
        is_refusal: bool,
    },
    /// Headscale gets it, and does not have it yet.
    Pushing(String),
    /// It is not ours to give.
    Unsupported(Verdict),
}

/// What was found out about a document.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) unfit: Vec<Option<Verdict>>,
    pub(super) judged: Judged,
    /// What the instance is told; `None` where there is no policy, or nothing is known of it.
    pub(super) valid: Option<Verdict>,
    /// Whether it is users or nodes for whom it is refused, of whose coming nobody tells.
    pub(super) is_live: bool,
    /// Whether nobody says a whole policy.
    pub(super) is_bare: bool,
    /// The hash of the policy that Headscale has, where that is known.
    pub(super) has: Option<Option<String>>,
}

/// That a policy can be given to Headscale.
pub(super) fn valid(versions: &[Version]) -> Verdict {
    let names: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
    Verdict::good("PolicyValid", format!("Headscale {} takes the policy", names.join(", ")))
}

/// What went wrong with Headscale, without what changes from one time to the next.
pub(super) fn said(error: &AskError) -> String {
    match error {
        AskError::Resting(error) => AskError::Headscale(error.clone()).with_hint(),
        error => error.with_hint(),
    }
}

pub(super) fn away(error: &AskError) -> Fate {
    let verdict = Verdict::bad(PUSH_FAILED, said(error));
    Fate::Failed { verdict, hash: None, reachability: None, is_refusal: false }
}

/// That whoever answers is not the one that the policy is for.
pub(super) fn replaced() -> Fate {
    let message = "the pod of Headscale is not ready, or about to be replaced: the next one gets \
                   the policy";
    let verdict = Verdict::bad(PUSH_FAILED, message);
    Fate::Failed { verdict, hash: None, reachability: None, is_refusal: false }
}

/// How a change is told.
pub(super) fn verdict(change: Option<&ReachabilityDiff>) -> String {
    let verdict = change.map(|change| &*change.verdict);
    match verdict {
        None => "what it changes cannot be told".to_owned(),
        Some("same") => "reachability stays the same".to_owned(),
        Some(verdict) => format!("reachability {verdict}"),
    }
}

pub(super) fn not_known(error: &AskError) -> String {
    format!("It is not known whether Headscale has the policy: {}", said(error))
}

/// A policy that Headscale did not take, and has another one.
pub(super) fn not_taken(
    error: &AskError,
    hash: Option<String>,
    reachability: Option<Option<ReachabilityDiff>>,
) -> Fate {
    let message =
        format!("Headscale does not take the policy, and keeps what it has: {}", said(error));
    let verdict = Verdict::bad(PUSH_FAILED, message);
    let is_refusal = error.kind() == Some(ErrorKind::Invalid);
    Fate::Failed { verdict, hash: Some(hash), reachability, is_refusal }
}
