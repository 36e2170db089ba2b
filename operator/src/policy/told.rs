//! What an instance is told of its policy.

use headscale_api::desired::{PolicyPlace, policy_hash};
use headscale_api::kinds::Headscale;
use kube::ResourceExt as _;

use super::compose::NOTHING;
use super::declared::{self, Base, Declared, place, versions};
use super::desk::{self, Place};
use super::shift::{Configured, Held, Shift, told_of};
use super::{database, fate, file, live};
use crate::conditions::{Holds, Verdict};
use crate::context::Context;
use crate::kubernetes::KubernetesError;

/// What is allowed where a policy was declared that Headscale must not have, or not yet, and none
/// runs: nothing.
const DENY_ALL: &str = "{\"acls\": []}\n";

/// Why a policy stays in its file.
const OPEN: &str = "a database without a policy allows everything";
const NOT_GIVEN: &str = "the declared one is not given to Headscale";
/// Why it stays where it is for a moment.
const ABOUT_TO_BE_TOLD: &str = "what the declared one changes is about to be told";

/// What an instance is told of its policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The policy that its ConfigMap should hold where its mode is `file`: that of the sources where
    /// Headscale takes it, else the one that runs. `None`: that of `spec.acl_policy`, as
    /// `desired_state` makes it.
    pub(crate) text: Option<String>,
    /// What the condition `PolicyValid` of the instance says; `None` where there is no policy.
    pub(crate) valid: Option<Verdict>,
    /// Why it is not known whether the policy suits the version that is to come: Headscale alone has
    /// it, and does not answer.
    pub(crate) unknown: Option<String>,
    /// What it is made as, where its policy must not be moved yet.
    pub(crate) held: Option<Held>,
    end: End,
}

/// How it comes to what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// Nothing was declared.
    #[default]
    Nothing,
    /// The declared policy is refused, paused or not known.
    Kept,
    /// It is good, and its status does not say yet what it changes.
    Waiting,
    /// It is good.
    Given,
}

/// The policy of an instance whose ConfigMap is like this now.
///
/// A new one of a `HeadscalePolicy` comes only once its status says what it changes. Where none runs
/// and the declared one is refused or paused, a new instance starts with a policy that allows
/// nothing. One whose policy is to move keeps what it has until that can be known: see [`Shift`].
///
/// # Errors
///
/// When the API server cannot be read.
pub(crate) async fn of_instance(
    context: &Context,
    headscale: &Headscale,
    configured: &Configured,
) -> Result<Told, KubernetesError> {
    let at = (headscale.namespace().unwrap_or_default(), headscale.name_any());
    let lost;
    let configured = if configured.place.is_none() && file::is_in_template(context, headscale) {
        lost = lost_file(context, headscale).await;
        &lost
    } else {
        configured
    };
    let declared = Declared::read(context, &at).await?;
    let base = match &declared {
        Some(declared) => declared.base(context, &context.desk, headscale).await?,
        None => Ok(None),
    };
    let has_base = declared.is_none() || !matches!(base, Ok(None));
    // What an approver that cannot be read approved is in the policy that runs.
    let keeps = declared.as_ref().is_some_and(Declared::keeps_approvals);
    let is_whole = matches!(base, Ok(Some(_))) && !keeps;
    let (wanted, randomize) = place(headscale, has_base);
    let shift = Shift::of(context, headscale, configured, &wanted).await;
    let own = configured.text.as_deref();
    let (place, running) = match &shift {
        Shift::IntoFile(_, former) => {
            let former = former.as_ref().ok().and_then(Option::as_deref);
            (PolicyPlace::File, former.filter(|text| !text.is_empty()))
        }
        // Until it can move, all is as if it were not to.
        Shift::OutOfFile(PolicyPlace::File, _) => (PolicyPlace::File, own),
        Shift::None | Shift::OutOfFile(..) => {
            let running = own.filter(|_| wanted != PolicyPlace::Database);
            (wanted, running)
        }
    };
    let was_elsewhere =
        matches!(configured.place, Some(PolicyPlace::Database | PolicyPlace::OwnFile(_)));
    // Then nothing ran there, or nothing can be known of it.
    let is_unknown = was_elsewhere && matches!(shift, Shift::None);
    let is_new = !file::has_pods(context, headscale) || (is_unknown && place == PolicyPlace::File);
    let teller = Teller { context, headscale, at, place, randomize, running, is_new };
    let told = match declared {
        Some(declared) => teller.tell(&declared, base).await?,
        None => teller.tell_paused(),
    };
    let is_upgrading = versions(headscale).len() > 1;
    Ok(shifted(told, shift, is_whole, is_upgrading))
}

/// What the file of an instance has whose ConfigMap is gone: what its pod has, where that says so.
async fn lost_file(context: &Context, headscale: &Headscale) -> Configured {
    let asked = database::ask_policy(context, headscale).await.ok().flatten();
    let text = asked.filter(|text| !text.is_empty());
    let text = text.map_or_else(|| DENY_ALL.to_owned(), |text| text.to_string());
    Configured { text: Some(text), place: Some(PolicyPlace::File) }
}

/// What is told where the policy is to move. It moves where that is declared which Headscale gets
/// there, and where what it has now can be taken along.
fn shifted(told: Told, shift: Shift, is_whole: bool, is_upgrading: bool) -> Told {
    let is_given = told.end == End::Given && is_whole;
    match shift {
        Shift::IntoFile(from, Err(error)) if !is_given => {
            let unknown = Some(fate::said(&error));
            Told { held: Some(Held::unknown(from, &error)), unknown, ..told }
        }
        Shift::IntoFile(from, Ok(_)) if told.end == End::Waiting => {
            Told { held: Some(Held::new(from, ABOUT_TO_BE_TOLD)), ..told }
        }
        Shift::OutOfFile(_, Ok(())) if is_given && !is_upgrading => Told { text: None, ..told },
        Shift::OutOfFile(from, asked) => {
            let why = match (&told.valid, told.end) {
                (_, End::Waiting) => ABOUT_TO_BE_TOLD.to_owned(),
                _ if is_given && is_upgrading => "it moves once the upgrade is done".to_owned(),
                _ if is_given && let Err(error) = &asked => {
                    format!("{OPEN}, and nobody can give it one: {}", told_of(error))
                }
                (Some(valid), _) if valid.holds == Holds::False => {
                    format!("{OPEN}, and {NOT_GIVEN}: {}", valid.message)
                }
                (_, End::Kept) => format!("{OPEN}, and the declared one is paused"),
                _ => format!(
                    "{OPEN}, and no whole one was declared: declare the one that is to be there, \
                     with a HeadscalePolicy or spec.acl_policy.inline"
                ),
            };
            Told { held: Some(Held::new(from, &why)), ..told }
        }
        Shift::None | Shift::IntoFile(..) => told,
    }
}

/// Who tells an instance.
struct Teller<'a> {
    context: &'a Context,
    headscale: &'a Headscale,
    at: Place,
    /// Where the policy is, as long as it does not move.
    place: PolicyPlace,
    randomize: bool,
    /// The policy that runs, where that is known without asking.
    running: Option<&'a str>,
    /// Whether nothing ran that could be known.
    is_new: bool,
}

impl Teller<'_> {
    fn is_database(&self) -> bool {
        self.place == PolicyPlace::Database
    }

    /// Where one of the objects is paused: what runs stays.
    fn tell_paused(&self) -> Told {
        let at = &self.at;
        // One that waits is not there yet, and its instance does not start open without it.
        let is_ours = self.place == PolicyPlace::File;
        let has_some = !self.context.policies_of(&at.0, &at.1).is_empty();
        let waits = self.is_new && is_ours && has_some;
        let text = self.running.or_else(|| waits.then_some(DENY_ALL)).map(str::to_owned);
        let valid = self.context.desk.outcome(at).flatten();
        Told { text, valid, end: End::Kept, ..Told::default() }
    }

    /// Where the declared policy is refused, or cannot be had: what runs stays.
    fn keep(&self, valid: Verdict) -> Told {
        let text = match self.running {
            Some(running) => Some(running),
            None if self.is_new => Some(DENY_ALL),
            // A file that says nothing would replace the pod.
            None => declared::says_something(self.headscale).then_some(NOTHING),
        };
        let text = text.filter(|_| !self.is_database()).map(str::to_owned);
        Told { text, valid: Some(valid), end: End::Kept, ..Told::default() }
    }

    async fn tell(
        &self,
        declared: &Declared,
        base: Result<Option<Base>, Verdict>,
    ) -> Result<Told, KubernetesError> {
        let Self { context, headscale, at, running, randomize, .. } = self;
        let (running, randomize, is_database) = (*running, *randomize, self.is_database());
        let outcome = context.desk.outcome(at).flatten();
        if matches!(self.place, PolicyPlace::OwnFile(_)) {
            return Ok(Told { valid: outcome, ..Told::default() });
        }
        let base = match base {
            Ok(base) => base,
            Err(verdict) => return Ok(self.keep(verdict)),
        };
        let versions = versions(headscale);
        let is_upgrading = versions.len() > 1;
        let asked;
        let running_now = if is_database {
            let is_asked = declared.needs_running(headscale, base.as_ref()) || is_upgrading;
            asked = match is_asked {
                true => match database::ask_policy(context, headscale).await {
                    Ok(policy) => policy,
                    // Without a key nobody ever knows.
                    Err(error) if is_upgrading && base.is_none() && error.kind().is_some() => {
                        let unknown = Some(fate::said(&error));
                        return Ok(Told { valid: outcome, unknown, ..Told::default() });
                    }
                    Err(_) => None,
                },
                false => None,
            };
            asked.as_deref()
        } else {
            running
        };
        let assembled =
            declared.assemble(headscale, base.as_ref(), running_now, randomize && is_database);
        let document = match (assembled.document, running_now) {
            (Some(document), _) => document,
            // What nobody declared is checked too before another version reads it.
            (None, Some(running)) if is_upgrading => desk::Document {
                text: running.into(),
                base: running.into(),
                name: "policy of Headscale".into(),
            },
            (None, _) => {
                let text = running.filter(|_| !is_database).map(str::to_owned);
                return Ok(Told { text, ..Told::default() });
            }
        };
        let judged = context
            .desk
            .judge(&context.triggers, at, &document, &versions, declared.plugins())
            .await;
        if let Some(verdict) = &judged.refused {
            return Ok(self.keep(verdict.clone()));
        }
        let outcome = outcome.filter(|outcome| outcome.holds == Holds::False);
        let good = fate::valid(&versions);
        let given = Told { end: End::Given, valid: Some(good), ..Told::default() };
        if is_database {
            return Ok(Told { valid: outcome.or(given.valid.clone()), ..given });
        }
        let text = file::final_text(&document.text, randomize);
        if running == Some(&*text) {
            return Ok(Told { text: Some(text), ..given });
        }
        if judged.needs_users || running.is_some() {
            match live::live(context, headscale, &document, &versions, &judged).await {
                Ok(live) => {
                    if let Some(verdict) = live.refused {
                        return Ok(self.keep(verdict));
                    }
                }
                Err(error) if judged.needs_users => {
                    return Ok(self.keep(live::unproven(&error)));
                }
                Err(_) => {}
            }
        }
        let hash = policy_hash(&text);
        let is_told = declared.policy.as_ref().is_none_or(|policy| {
            policy.status.as_ref().is_some_and(|status| status.hash.as_deref() == Some(&*hash))
        });
        if running.is_some() && !is_told {
            context.triggers.document(&at.0, &at.1);
            let text = running.map(str::to_owned);
            return Ok(Told { text, end: End::Waiting, ..given });
        }
        Ok(Told { text: Some(text), ..given })
    }
}
