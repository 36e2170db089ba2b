//! Whether the API key of an instance works.

use std::time::Duration;

use headscale_api::kinds::{Headscale, names};
use headscale_client::ErrorKind;
use kube::ResourceExt as _;

use super::rollout::Rollout;
use crate::conditions::{self, Holds, Verdict};
use crate::context::Context;
use crate::instance::{AddressError, AskError};
use crate::objects::Managed as _;

/// What was found when Headscale was asked last.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    at: Duration,
    verdict: Verdict,
    is_ailing: bool,
}

/// What is said of the key, and whether Headscale answers anything but that it works. It is asked
/// once for each interval, with what is asked for its users.
pub(super) async fn look(
    context: &Context,
    headscale: &Headscale,
    secret: &str,
    rollout: Rollout,
) -> (Verdict, bool) {
    if rollout != Rollout::Done {
        let message = "it is tried when the server is ready";
        return (Verdict::unknown("ServerNotReady", message), false);
    }
    let uid = headscale.uid().unwrap_or_default();
    let now = context.clock.now();
    let interval = context.settings.check_interval;
    let asked = context.memory(&uid, |memory| memory.instance.key.clone());
    if let Some(asked) = asked.filter(|asked| now < asked.at.saturating_add(interval)) {
        return (asked.verdict, asked.is_ailing);
    }
    let since = now.saturating_sub(interval);
    let answer = match context.instances.get(headscale).await {
        Ok(instance) => instance.users(since).await.map(|_| ()),
        Err(error) => Err(error),
    };
    let (verdict, is_ailing) = match answer {
        Ok(()) => {
            let message = format!("Headscale takes the API key in Secret {secret}");
            (Verdict::good("KeyWorks", message), false)
        }
        Err(error) => of_error(headscale, &error),
    };
    let asked = Asked { at: now, verdict: verdict.clone(), is_ailing };
    context.memory(&uid, |memory| memory.instance.key = Some(asked));
    (verdict, is_ailing)
}

fn of_error(headscale: &Headscale, error: &AskError) -> (Verdict, bool) {
    if error.is_untrusted() {
        return (Verdict::bad("CertificateRefused", error.with_hint()), true);
    }
    if error.is_away() {
        let said = conditions::find(headscale.conditions(), names::API_KEY_READY);
        // Nothing is known that would change it.
        if let Some(said) = said.filter(|said| said.status == "True") {
            return (Verdict::good("KeyWorks", said.message.clone()), false);
        }
        let message = format!(
            "Headscale cannot be asked by the operator: {}; see whether a NetworkPolicy is in the \
             way",
            error.with_hint()
        );
        return (Verdict::unknown("HeadscaleUnreachable", message), false);
    }
    let reason = match error {
        AskError::Address(address) => match &**address {
            AddressError::NoSecret(_) => "SecretNotFound",
            AddressError::NoKey { .. } => "KeyMissing",
            AddressError::NoCertificates { .. } => "CANotFound",
            AddressError::Unreadable(_)
            | AddressError::Builder(_)
            | AddressError::Kubernetes(_) => "AddressInvalid",
        },
        AskError::Headscale(_) | AskError::Resting(_) => match error.kind() {
            Some(ErrorKind::Unauthorized) => "KeyRefused",
            _ => "HeadscaleFails",
        },
    };
    let holds = if reason == "HeadscaleFails" { Holds::Unknown } else { Holds::False };
    let verdict = Verdict { holds, reason, message: error.with_hint() };
    (verdict, reason == "HeadscaleFails")
}
