//! Has Headscale take a document.

use headscale_acl::Version;
use headscale_api::desired::policy_hash;
use headscale_api::kinds::ReachabilityDiff;
use headscale_client::ErrorKind;

use super::change::{Step, reachability, step};
use super::database::ask_policy;
use super::declared::Declared;
use super::document::{Work, is_database};
use super::fate::{Fate, Look, not_known, not_taken, replaced, verdict};
use super::file;
use super::plugins::apart;
use super::say::{self, APPLIED, PUSHING, Saying, say_policy};
use crate::conditions::Verdict;
use crate::kubernetes::KubernetesError;
use crate::objects;

/// What the status of the policy says of the last change.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The hash of the document.
    hash: String,
    /// Whether a change was written down that may not have come.
    is_pushing: bool,
    /// Whether it was written that Headscale has what was written.
    is_applied: bool,
    /// The hash that was written, and with it what changed.
    written: Option<String>,
    former: Option<ReachabilityDiff>,
}

impl About {
    pub(super) fn of(declared: &Declared, text: &str) -> Self {
        let status = declared.policy.as_ref().and_then(|policy| policy.status.as_ref());
        let reason = declared.policy.as_ref().and_then(say::reason);
        Self {
            hash: policy_hash(text),
            is_pushing: reason == Some(PUSHING),
            is_applied: reason == Some(APPLIED),
            written: status.and_then(|status| status.hash.clone()),
            former: status.and_then(|status| status.reachability.clone()),
        }
    }

    pub(super) fn step(&self, text: &str, running: Option<&str>) -> Step {
        let given = self.written.as_deref().filter(|_| !self.is_pushing);
        step(text, running, given, policy_hash)
    }
}

/// A document that is to run, and what runs.
pub(super) struct Change<'a> {
    pub(super) text: &'a str,
    pub(super) running: Option<&'a str>,
    pub(super) about: About,
}

impl Work<'_> {
    /// Gives a document to Headscale, where that has another one.
    ///
    /// # Errors
    ///
    /// When the API server cannot be written.
    pub(super) async fn push(
        &self,
        declared: &mut Declared,
        change: &Change<'_>,
        versions: &[Version],
        look: &Look,
    ) -> Result<Fate, KubernetesError> {
        let Change { text, running, about } = change;
        let About { hash, is_pushing, is_applied, written, former } = about.clone();
        let (text, running) = (*text, *running);
        let is_in_database = is_database(&self.place);
        let step = about.step(text, running);
        // Not where it was refused meanwhile: then it may never have come.
        let is_known = written.as_deref() == Some(&*hash) && is_applied;
        let is_rolling = || file::is_rolling(self.context, self.headscale);
        if is_in_database && !(step == Step::Keep && is_known) && is_rolling() {
            // The one that answers may have its policy from elsewhere.
            return Ok(replaced());
        }
        if step == Step::Keep {
            // A change that was about to come and never did is none.
            let change = (is_pushing && written.as_deref() != Some(&*hash)).then_some(None);
            let is_there = || file::is_rolled_out(self.context, self.headscale, &hash, is_known);
            // One that nobody says the whole of stays in its file.
            let is_leaving = self.is_leaving && !look.is_bare;
            if !is_in_database && (is_leaving || !is_there()) {
                self.context.triggers.headscale(&self.at.0, &self.at.1);
                return Ok(Fate::Pushing(hash));
            }
            return Ok(Fate::Applied { hash, change });
        }
        let version = versions.first().copied().unwrap_or(Version::DEFAULT);
        let change = {
            let (old, new) = (running.unwrap_or_default().to_owned(), text.to_owned());
            let is_repair = step == Step::Repair;
            let work = move || match is_repair {
                true => reachability(Some(&new), &old, version),
                false => reachability(Some(&old), &new, version),
            };
            // What was written down before a server was started without a policy holds.
            let is_written = is_pushing && running.is_none() && written.as_deref() == Some(&*hash);
            match &former {
                Some(former) if is_written => Some(former.clone()),
                _ => apart(work).await.flatten(),
            }
        };
        let before = running.map(policy_hash);
        if is_in_database && let Err(error) = self.check(text, versions).await {
            return Ok(not_taken(&error, before, None));
        }
        if step == Step::Change
            && let Some(policy) = declared.policy.take()
        {
            let message = format!("Headscale gets the policy {hash}");
            let saying = Saying {
                ready: Some(Verdict::unknown(PUSHING, message)),
                valid: look.valid.clone(),
                findings: Some(look.judged.findings.clone()),
                reachability: Some(change.clone()),
                hash: Some(Some(hash.clone())),
            };
            declared.policy = Some(say_policy(self.context, policy, saying).await?);
        }
        if !is_in_database {
            self.context.triggers.headscale(&self.at.0, &self.at.1);
            return Ok(Fate::Pushing(hash));
        }
        if let Err((error, may_have_acted)) = self.set(text).await {
            let former = (step == Step::Change).then_some(former);
            if !may_have_acted {
                // The change that was written down did not come.
                return Ok(not_taken(&error, before, former));
            }
            // What was answered is over; what was not may still come.
            let is_over = matches!(error.kind(), Some(ErrorKind::Internal | ErrorKind::Protocol));
            let now =
                if is_over { ask_policy(self.context, self.headscale).await.ok() } else { None };
            match now.as_ref().map(|now| now.as_deref()) {
                Some(now) if now == Some(text) => {}
                Some(now) => return Ok(not_taken(&error, now.map(policy_hash), former)),
                None => {
                    let verdict = Verdict::unknown(PUSHING, not_known(&error));
                    return Ok(Fate::Failed {
                        verdict,
                        hash: None,
                        reachability: None,
                        is_refusal: false,
                    });
                }
            }
        }
        self.tell_of(declared, step, change.as_ref(), before.as_deref()).await;
        Ok(Fate::Applied { hash, change: (step == Step::Change).then_some(change) })
    }

    /// Tells of a policy that nobody declared and that was replaced, and of a change of one that is
    /// in no object of its own.
    async fn tell_of(
        &self,
        declared: &Declared,
        step: Step,
        change: Option<&ReachabilityDiff>,
        before: Option<&str>,
    ) {
        let verdict = verdict(change);
        let (is_good, reason, note) = match step {
            Step::Repair if before.is_none() => (
                false,
                "PolicyRepaired",
                format!(
                    "Headscale had no policy, by which {verdict}: it has the declared one again"
                ),
            ),
            Step::Repair => (
                false,
                "PolicyRepaired",
                format!(
                    "somebody else gave Headscale another policy ({}), by which {verdict}: it \
                     has the declared one again",
                    before.unwrap_or_default()
                ),
            ),
            _ if declared.policy.is_some() => return,
            _ => (true, APPLIED, format!("Headscale has another policy: {verdict}")),
        };
        match &declared.policy {
            Some(policy) => objects::tell(self.context, policy, is_good, reason, &note).await,
            None => objects::tell(self.context, self.headscale, is_good, reason, &note).await,
        }
    }
}
