//! The document of one instance: made, judged, given to Headscale, and told of.

use std::sync::Arc;

use headscale_acl::Version;
use headscale_api::desired::{PolicyPlace, policy_hash};
use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy, ReachabilityDiff};
use headscale_client::{ErrorKind, HeadscaleApi as _, HttpClient};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::change::{Step, reachability, step};
use super::declared::{Assembled, Base, Declared, place, versions};
use super::desk::Place;
use super::file;
use super::judge::Judged;
use super::live::{live, unproven};
use super::plugins::apart;
use super::say::{self, APPLIED, PUSH_FAILED, PUSHING, Saying, say_approver, say_policy};
use crate::conditions::{self, Verdict};
use crate::context::Context;
use crate::instance::AskError;
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Made, Managed};
use crate::pause::jittered;
use crate::user::Next;

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
}

/// That a policy can be given to Headscale.
pub(super) fn valid(versions: &[Version]) -> Verdict {
    let names: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
    Verdict::good("PolicyValid", format!("Headscale {} takes the policy", names.join(", ")))
}

/// The policy that Headscale has in its database.
pub(super) async fn ask_policy(
    context: &Context,
    headscale: &Headscale,
) -> Result<Option<Arc<str>>, AskError> {
    let instance = context.instances.get(headscale).await?;
    let now = context.clock.now();
    match instance.policy(now).await {
        Err(error) if error.kind() == Some(ErrorKind::Unauthorized) => {
            let again = context.instances.get(headscale).await?;
            if Arc::ptr_eq(&again, &instance) {
                return Err(error);
            }
            Ok((*again.policy(now).await?.value).clone())
        }
        policy => Ok((*policy?.value).clone()),
    }
}

/// What went wrong with Headscale, without what changes from one time to the next.
fn said(error: &AskError) -> String {
    match error {
        AskError::Resting(error) => AskError::Headscale(error.clone()).with_hint(),
        error => error.with_hint(),
    }
}

/// Looks at the policy of an instance, and has Headscale take it.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
pub(crate) async fn reconcile(
    context: &Context,
    headscale: &Headscale,
) -> Result<Next, KubernetesError> {
    if objects::deleted_at(headscale).is_some() || objects::is_paused(headscale) {
        return Ok(Next::Sometime);
    }
    let at = (headscale.namespace().unwrap_or_default(), headscale.name_any());
    let Some(mut declared) = Declared::read(context, &at).await? else {
        return Ok(Next::Sometime);
    };
    let base = declared.base(context, &context.desk, headscale).await?;
    let has_base = !matches!(base, Ok(None));
    let (place, randomize) = place(headscale, has_base);
    let nothing = declared.is_empty() && !has_base;
    if let PolicyPlace::OwnFile(path) = &place {
        let verdict = unsupported(path);
        let is_said = !declared.is_empty();
        note(context, headscale, &at, is_said.then(|| verdict.clone()));
        let unfit = vec![None; declared.approvers.len()];
        let look = Look { unfit, ..Look::default() };
        let fate = Fate::Unsupported(verdict);
        return tell(context, headscale, declared, &look, &fate).await;
    }
    if nothing && !declared.needs_running(headscale, None) && !(randomize && is_database(&place)) {
        note(context, headscale, &at, None);
        return Ok(Next::Sometime);
    }
    move_here(context, &at, &mut declared).await?;
    let work = Work { context, headscale, at: &at, place, randomize };
    let (look, fate) = work.work(&mut declared, base).await?;
    note(context, headscale, &at, look.valid.clone());
    let next = tell(context, headscale, declared, &look, &fate).await?;
    Ok(match next {
        Next::Sometime if is_database(&work.place) => {
            Next::After(jittered(context.settings.check_interval))
        }
        next => next,
    })
}

fn is_database(place: &PolicyPlace) -> bool {
    *place == PolicyPlace::Database
}

fn unsupported(path: &str) -> Verdict {
    Verdict::bad(
        "PolicyModeUnsupported",
        format!(
            "spec.config.policy.path of the Headscale is {path}, a file of your own, which the \
             operator does not write: remove the key, or set spec.config.policy.mode to database"
        ),
    )
}

fn away(error: &AskError) -> Fate {
    let verdict = Verdict::bad(PUSH_FAILED, said(error));
    Fate::Failed { verdict, hash: None, reachability: None, is_refusal: false }
}

/// Remembers what became of the policy, and has the instance look where that is something else than
/// before.
fn note(context: &Context, headscale: &Headscale, at: &Place, outcome: Option<Verdict>) {
    if context.desk.note(at, outcome) {
        context.triggers.headscale(&at.0, &headscale.name_any());
    }
}

/// Holds the objects that count before anything is done with them, and has the instance looked at
/// that they were for before.
async fn move_here(
    context: &Context,
    at: &Place,
    declared: &mut Declared,
) -> Result<(), KubernetesError> {
    if let Some(policy) = declared.policy.take() {
        declared.policy = Some(hold(context, at, policy).await?);
    }
    let mut held = Vec::new();
    for approver in std::mem::take(&mut declared.approvers) {
        held.push(hold(context, at, approver).await?);
    }
    declared.approvers = held;
    Ok(())
}

async fn hold<K: Made>(context: &Context, at: &Place, object: K) -> Result<K, KubernetesError> {
    if let Some(former) = objects::made_in(&object).filter(|former| **former != at.1) {
        context.triggers.document(&at.0, former);
    }
    objects::hold(context, object, None).await
}

/// What the status of the policy says of the last change.
#[derive(Clone, Debug)]
struct About {
    /// The hash of the document.
    hash: String,
    /// Whether a change was written down that may not have come.
    is_pushing: bool,
    /// The hash that was written, and with it what changed.
    written: Option<String>,
    former: Option<ReachabilityDiff>,
}

impl About {
    fn of(declared: &Declared, text: &str) -> Self {
        let status = declared.policy.as_ref().and_then(|policy| policy.status.as_ref());
        Self {
            hash: policy_hash(text),
            is_pushing: declared.policy.as_ref().and_then(say::reason) == Some(PUSHING),
            written: status.and_then(|status| status.hash.clone()),
            former: status.and_then(|status| status.reachability.clone()),
        }
    }

    fn step(&self, text: &str, running: Option<&str>) -> Step {
        let given = self.written.as_deref().filter(|_| !self.is_pushing);
        step(text, running, given, policy_hash)
    }
}

/// A document that is to run, and what runs.
struct Change<'a> {
    text: &'a str,
    running: Option<&'a str>,
    about: About,
}

struct Work<'a> {
    context: &'a Context,
    headscale: &'a Headscale,
    at: &'a Place,
    place: PolicyPlace,
    randomize: bool,
}

impl Work<'_> {
    /// What runs now: in the database, or in the file.
    async fn running(&self) -> Result<Result<Option<Arc<str>>, AskError>, KubernetesError> {
        if is_database(&self.place) {
            return Ok(ask_policy(self.context, self.headscale).await);
        }
        Ok(Ok(file::running(self.context, self.headscale).await?.map(Arc::from)))
    }

    /// Makes the document, judges it, and has Headscale take it.
    async fn work(
        &self,
        declared: &mut Declared,
        base: Result<Option<Base>, Verdict>,
    ) -> Result<(Look, Fate), KubernetesError> {
        let unknown = vec![None; declared.approvers.len()];
        let base = match base {
            Ok(base) => base,
            Err(verdict) => {
                let valid = Some(verdict.clone());
                let look = Look { unfit: unknown, valid, ..Look::default() };
                return Ok((look, Fate::Refused(verdict)));
            }
        };
        let running = self.running().await?;
        if let Err(error) = &running
            && declared.needs_running(self.headscale, base.as_ref())
        {
            let look = Look { unfit: unknown, ..Look::default() };
            return Ok((look, away(error)));
        }
        let now = running.as_ref().ok().and_then(Option::as_deref);
        let Assembled { document, unfit } =
            declared.assemble(self.headscale, base.as_ref(), now, self.randomize);
        let Some(document) = document else {
            // Nothing is left, and Headscale keeps what it has.
            let hash = now.map(policy_hash).unwrap_or_default();
            let look = Look { unfit, is_bare: true, ..Look::default() };
            return Ok((look, Fate::Applied { hash, change: None }));
        };
        let versions = versions(self.headscale);
        let plugins = declared.plugins();
        let judged = self.context.desk.judge(self.at, &document, &versions, plugins).await;
        let is_bare = base.is_none();
        let mut look = Look { unfit, judged: (*judged).clone(), is_bare, ..Look::default() };
        let text = file::final_text(&document.text, self.randomize);
        let about = About::of(declared, &text);
        let step = running.as_ref().ok().map(|running| about.step(&text, running.as_deref()));
        if look.judged.refused.is_none() && step.is_some_and(|step| step != Step::Keep) {
            let weighed = live(self.context, self.headscale, &document, &versions, &judged).await;
            match weighed {
                Ok(found) => {
                    look.is_live = found.refused.is_some();
                    look.judged.refused = found.refused;
                    look.judged.add(found.findings);
                }
                // Nothing can be given to it anyway, or it is started with it.
                Err(error) if !is_database(&self.place) && judged.needs_users => {
                    look.is_live = true;
                    look.judged.refused = Some(unproven(&error));
                }
                Err(_) => {}
            }
        }
        look.valid = Some(look.judged.refused.clone().unwrap_or_else(|| valid(&versions)));
        if let Some(verdict) = look.judged.refused.clone() {
            return Ok((look, Fate::Refused(verdict)));
        }
        let running = match running {
            Ok(running) => running,
            Err(error) => return Ok((look, away(&error))),
        };
        let change = Change { text: &text, running: running.as_deref(), about };
        let fate = self.push(declared, &change, &versions, &look).await?;
        if let Fate::Failed { verdict, is_refusal: true, .. } = &fate {
            look.valid = Some(verdict.clone());
        }
        Ok((look, fate))
    }

    async fn push(
        &self,
        declared: &mut Declared,
        change: &Change<'_>,
        versions: &[Version],
        look: &Look,
    ) -> Result<Fate, KubernetesError> {
        let Change { text, running, about } = change;
        let About { hash, is_pushing, written, former } = about.clone();
        let (text, running) = (*text, *running);
        let step = about.step(text, running);
        if step == Step::Keep {
            // A change that was about to come and never did is none.
            let change = (is_pushing && written.as_deref() != Some(&*hash)).then_some(None);
            let is_known = written.as_deref() == Some(&*hash) && !is_pushing;
            if !is_database(&self.place)
                && !file::is_rolled_out(self.context, self.headscale, &hash, is_known)
            {
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
            apart(work).await.flatten()
        };
        let before = running.map(policy_hash);
        if is_database(&self.place)
            && let Err(error) = self.check(text, versions).await
        {
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
        if !is_database(&self.place) {
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

    /// Asks Headscale whether it takes a policy, where it can say.
    async fn check(&self, text: &str, versions: &[Version]) -> Result<(), AskError> {
        if versions.first() < Some(&Version::V0_29) {
            return Ok(());
        }
        let instance = self.context.instances.get(self.headscale).await?;
        let call = async |http: &HttpClient| http.check_policy(text).await;
        match instance.ask("check_policy", call).await {
            Err(error) if error.kind() == Some(ErrorKind::Unsupported) => Ok(()),
            checked => checked,
        }
    }

    /// Gives the policy to Headscale, and reads it back. With the error it is told whether Headscale
    /// may have taken it.
    async fn set(&self, text: &str) -> Result<(), (AskError, bool)> {
        let instance = self.context.instances.get(self.headscale).await;
        let instance = instance.map_err(|error| (error, false))?;
        let call = async |http: &HttpClient| http.set_policy(text).await;
        let set = instance.ask("set_policy", call).await;
        set.map_err(|error| {
            let may_have_acted = error.may_have_acted();
            (error, may_have_acted)
        })?;
        let now = self.context.clock.now();
        let kept = instance.policy(now).await.map_err(|error| (error, true))?;
        // Those who wait for owners of their tags learn of them.
        instance.tag_owners(now).await.ok();
        for key in self.context.keys_of(&self.at.0, &self.at.1) {
            if conditions::find(key.conditions(), "TagsOwned").is_some_and(|it| it.status != "True")
            {
                self.context.triggers.key(&key);
            }
        }
        if (*kept.value).as_deref() != Some(text) {
            let (namespace, headscale) = (&self.at.0, &self.at.1);
            tracing::warn!(namespace, headscale, "somebody else writes the policy too");
        }
        Ok(())
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
        let before = before.unwrap_or("none");
        let (is_good, reason, note) = match step {
            Step::Repair => (
                false,
                "PolicyRepaired",
                format!(
                    "somebody else gave Headscale another policy ({before}), by which {verdict}: \
                     it has the declared one again"
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

/// How a change is told.
fn verdict(change: Option<&ReachabilityDiff>) -> String {
    let verdict = change.map(|change| &*change.verdict);
    match verdict {
        None => "what it changes cannot be told".to_owned(),
        Some("same") => "reachability stays the same".to_owned(),
        Some(verdict) => format!("reachability {verdict}"),
    }
}

fn not_known(error: &AskError) -> String {
    format!("It is not known whether Headscale has the policy: {}", said(error))
}

/// A policy that Headscale did not take, and has another one.
fn not_taken(
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

/// Writes what became of the document to all that it was made of, and lets those go that are no part
/// of it any more.
async fn tell(
    context: &Context,
    headscale: &Headscale,
    declared: Declared,
    look: &Look,
    fate: &Fate,
) -> Result<Next, KubernetesError> {
    let mut next = match fate {
        Fate::Failed { .. } => Next::Failed,
        Fate::Refused(verdict) if look.is_live || verdict.reason == "PluginFailed" => Next::Failed,
        _ => Next::Sometime,
    };
    let approvers = declared.approvers.into_iter().zip(look.unfit.iter().cloned());
    for (approver, unfit) in approvers {
        let verdict = match unfit {
            Some(verdict) => Some(verdict),
            None => approver_verdict(&approver, fate),
        };
        if let Some(verdict) = verdict {
            say_approver(context, approver, &verdict).await?;
        }
    }
    if let Some(policy) = declared.policy {
        let saying = policy_saying(&policy, look, fate.clone());
        say_policy(context, policy, saying).await?;
    }
    for policy in declared.others {
        let message = format!(
            "Headscale {} has another HeadscalePolicy, which is older and counts: delete one of \
             them",
            headscale.name_any()
        );
        let ready = Some(Verdict::bad("PolicyConflict", message));
        say_policy(context, policy, Saying { ready, ..Saying::default() }).await?;
    }
    for approver in declared.leaving_approvers {
        next = leave(context, approver, fate, next).await?;
    }
    for policy in declared.leaving_policies {
        let was_applied = policy.status.as_ref().is_some_and(|status| status.hash.is_some());
        if look.is_bare && was_applied && matches!(fate, Fate::Applied { .. }) {
            let note = "no other policy was declared: Headscale keeps the one that it has";
            objects::tell(context, &policy, false, "PolicyLeft", note).await;
        }
        next = leave(context, policy, fate, next).await?;
    }
    Ok(next)
}

fn applied(hash: &str, change: Option<&ReachabilityDiff>) -> Verdict {
    let change = change.map(|change| format!("; by its last change {}", verdict(Some(change))));
    let message = format!("Headscale has the policy {hash}{}", change.unwrap_or_default());
    Verdict::good(APPLIED, message)
}

fn policy_saying(policy: &HeadscalePolicy, look: &Look, fate: Fate) -> Saying {
    let status = policy.status.as_ref();
    let is_pushing = say::reason(policy) == Some(PUSHING);
    let saying = Saying {
        valid: look.valid.clone(),
        findings: look.valid.as_ref().map(|_| look.judged.findings.clone()),
        ..Saying::default()
    };
    match fate {
        Fate::Applied { hash, change } => {
            let known = status.and_then(|status| status.reachability.as_ref());
            let last = change.as_ref().map_or(known, Option::as_ref);
            let ready = Some(applied(&hash, last));
            Saying { ready, reachability: change, hash: Some(Some(hash)), ..saying }
        }
        Fate::Refused(verdict) | Fate::Unsupported(verdict) => {
            Saying { ready: Some(verdict), ..saying }
        }
        Fate::Pushing(hash) => {
            let message = format!("The pod does not run with the policy {hash} yet");
            let ready = Some(Verdict::unknown(PUSHING, message));
            Saying { ready, hash: Some(Some(hash)), ..saying }
        }
        Fate::Failed { verdict, hash: None, .. } => {
            // Nothing is known that would change what was said.
            let ready = match verdict {
                _ if say::is_ready(policy) => None,
                verdict if is_pushing => Some(Verdict::unknown(PUSHING, verdict.message)),
                verdict => Some(verdict),
            };
            Saying { ready, ..saying }
        }
        Fate::Failed { verdict, hash: Some(hash), reachability, .. } => {
            Saying { ready: Some(verdict), hash: Some(hash), reachability, ..saying }
        }
    }
}

/// What an approver that fits is told; `None` leaves what was said.
fn approver_verdict(approver: &HeadscaleAutoApprover, fate: &Fate) -> Option<Verdict> {
    let failed =
        |message: String| (!say::is_ready(approver)).then(|| Verdict::bad(PUSH_FAILED, message));
    match fate {
        Fate::Applied { .. } => {
            Some(Verdict::good(APPLIED, "The policy of Headscale has the approvals"))
        }
        Fate::Refused(verdict) => {
            failed(format!("The policy is not given to Headscale: {}", verdict.message))
        }
        Fate::Failed { verdict, .. } => failed(verdict.message.clone()),
        Fate::Pushing(_) if say::is_ready(approver) => None,
        Fate::Pushing(_) => {
            Some(Verdict::unknown(PUSHING, "The pod does not run with the approvals yet"))
        }
        Fate::Unsupported(verdict) => Some(verdict.clone()),
    }
}

/// Lets an object go once Headscale has the document without it.
async fn leave<K: Managed>(
    context: &Context,
    object: K,
    fate: &Fate,
    next: Next,
) -> Result<Next, KubernetesError> {
    let why = match fate {
        Fate::Applied { .. } | Fate::Unsupported(_) => None,
        Fate::Pushing(_) => Some("the pod does not run without it yet".to_owned()),
        Fate::Refused(verdict) | Fate::Failed { verdict, .. } => Some(verdict.message.clone()),
    };
    if let Some(why) = why {
        let patience = context.settings.deletion_patience;
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        let since = objects::deleted_at(&object).unwrap_or(Timestamp::UNIX_EPOCH);
        let left = patience.saturating_sub(Timestamp::now().duration_since(since));
        if left.is_positive() {
            let left = left.unsigned_abs();
            return Ok(match next {
                Next::Failed => Next::Failed,
                _ => Next::After(left.min(context.settings.check_interval)),
            });
        }
        let note = format!("the policy of Headscale may still have it: {why}");
        objects::tell(context, &object, false, "PolicyOrphaned", &note).await;
    }
    objects::let_go(context, &object).await?;
    Ok(next)
}
