//! The document of one instance: made and judged.

use std::sync::Arc;

use headscale_api::desired::{PolicyPlace, policy_hash};
use headscale_api::kinds::Headscale;
use kube::ResourceExt as _;

use super::change::Step;
use super::database::ask_policy;
use super::declared::{Assembled, Base, Declared, place, versions};
use super::desk::Place;
use super::fate::{Fate, Look, away, valid};
use super::file;
use super::live::{live, unproven};
use super::push::{About, Change};
use super::say::{PUSHING, Saying, say_policy};
use super::shift::has_run;
use super::tell::tell;
use crate::conditions::Verdict;
use crate::context::Context;
use crate::instance::AskError;
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Made};
use crate::pause::jittered;
use crate::user::Next;

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
    // A server that reads a file takes no policy, wherever the next one will have it.
    let is_leaving = is_database(&place) && file::is_in_template(context, headscale);
    let place = if is_leaving { PolicyPlace::File } else { place };
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
    let work = Work { context, headscale, at: &at, place, randomize, is_leaving };
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

pub(super) fn is_database(place: &PolicyPlace) -> bool {
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
        let has_moved = objects::made_in(&policy).is_some_and(|former| former != at.1);
        let policy = if has_moved {
            // What another Headscale was given says nothing of what this one has.
            let message = format!("Headscale {} is to get the policy", at.1);
            let ready = Some(Verdict::unknown(PUSHING, message));
            let saying = Saying { ready, hash: Some(None), ..Saying::default() };
            say_policy(context, policy, saying).await?
        } else {
            policy
        };
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

/// A document that is worked on.
pub(super) struct Work<'a> {
    pub(super) context: &'a Context,
    pub(super) headscale: &'a Headscale,
    pub(super) at: &'a Place,
    pub(super) place: PolicyPlace,
    randomize: bool,
    /// Whether the place is the file that the policy is to leave for the database.
    pub(super) is_leaving: bool,
}

impl Work<'_> {
    /// What runs now: in the database, or in the file.
    async fn running(&self) -> Result<Result<Option<Arc<str>>, AskError>, KubernetesError> {
        if is_database(&self.place) {
            return Ok(ask_policy(self.context, self.headscale).await);
        }
        let (context, headscale) = (self.context, self.headscale);
        let configured = file::configured(context, headscale).await?;
        let is_elsewhere = match configured.as_ref().map(|configured| &configured.place) {
            // It is about to move into the file.
            Some(Some(PolicyPlace::Database | PolicyPlace::OwnFile(_))) => has_run(headscale),
            Some(_) => false,
            // The ConfigMap is gone, and the pod has the file still.
            None => file::is_in_template(context, headscale),
        };
        if is_elsewhere {
            return Ok(ask_policy(context, headscale).await);
        }
        Ok(Ok(configured.and_then(|configured| configured.text).map(Arc::from)))
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
        let has = running.is_ok().then(|| now.map(policy_hash));
        // What a file says of ports is added at the end.
        let randomize = self.randomize && is_database(&self.place);
        let Assembled { document, unfit } =
            declared.assemble(self.headscale, base.as_ref(), now, randomize);
        let Some(document) = document else {
            // Nothing is left, and Headscale keeps what it has.
            let hash = now.map(policy_hash).unwrap_or_default();
            let look = Look { unfit, is_bare: true, ..Look::default() };
            return Ok((look, Fate::Applied { hash, change: None }));
        };
        let versions = versions(self.headscale);
        let plugins = declared.plugins();
        let judged = self
            .context
            .desk
            .judge(&self.context.triggers, self.at, &document, &versions, plugins)
            .await;
        let is_bare = base.is_none();
        let mut look = Look { unfit, judged: (*judged).clone(), is_bare, has, ..Look::default() };
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
}
