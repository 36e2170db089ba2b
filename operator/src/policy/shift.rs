//! A policy whose place changes: from the database into a file of ours, or the other way round.
//!
//! Headscale that finds no policy where it looks for one allows everything, and what it has in one
//! place it does not have in the other. So the place does not change before a policy is there that
//! may run: until then the instance keeps the place that it has, and all else of its spec is done.

use std::sync::Arc;

use headscale_api::config::from_yaml;
use headscale_api::desired::{POLICY_FILE, PolicyPlace, policy_place};
use headscale_api::kinds::Headscale;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value, json};

use super::compose::allows_everything;
use super::database::ask_policy;
use super::fate::said;
use crate::context::Context;
use crate::instance::AskError;

/// The file of the configuration in the ConfigMap.
const CONFIG_FILE: &str = "config.yaml";

/// Where the ConfigMap of an instance says that its policy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configured {
    /// The policy, where it is a file of ours.
    pub(super) text: Option<String>,
    /// `None` where there is no policy, and no ConfigMap.
    pub(super) place: Option<PolicyPlace>,
}

impl Configured {
    /// What this ConfigMap says.
    pub(crate) fn of(map: &ConfigMap) -> Self {
        let data = map.data.as_ref();
        let text = data.and_then(|data| data.get(POLICY_FILE)).cloned();
        let config = data.and_then(|data| from_yaml(data.get(CONFIG_FILE)?).ok());
        let policy = config.as_ref().and_then(|config| config.get("policy"));
        let says = |key: &str| policy.and_then(|policy| policy.get(key)).and_then(Value::as_str);
        let place = match (says("mode"), says("path"), &text) {
            (Some("database"), ..) => Some(PolicyPlace::Database),
            (_, _, Some(_)) => Some(PolicyPlace::File),
            (_, Some(path), None) if !path.is_empty() => {
                Some(PolicyPlace::OwnFile(path.to_owned()))
            }
            _ => None,
        };
        Self { text, place }
    }
}

/// Whether a server of this instance was ever ready.
pub(super) fn has_run(headscale: &Headscale) -> bool {
    headscale.status.as_ref().is_some_and(|status| status.version.is_some())
}

/// Whether the policy can stay where it was: a file of the user's own may not be mounted any more.
fn can_stay(headscale: &Headscale, from: &PolicyPlace) -> bool {
    let as_it_was = Held::new(from.clone(), "").apply(headscale);
    policy_place(&as_it_was, true).0 == *from
}

/// How the place of a policy changes.
#[derive(Debug)]
pub(super) enum Shift {
    /// It does not, or nothing can be lost by it.
    None,
    /// Into a file, from this place, where Headscale says that it has this policy.
    IntoFile(PolicyPlace, Result<Option<Arc<str>>, AskError>),
    /// Out of this file into the database, to which it cannot be given before; whether Headscale
    /// answers whoever is to give it.
    OutOfFile(PolicyPlace, Result<(), AskError>),
}

impl Shift {
    /// How it changes from what is configured to what is wanted.
    pub(super) async fn of(
        context: &Context,
        headscale: &Headscale,
        configured: &Configured,
        wanted: &PolicyPlace,
    ) -> Self {
        let Some(from) = configured.place.clone() else { return Self::None };
        let is_closed = configured.text.as_deref().is_some_and(|text| !allows_everything(text));
        let is_out = match (&from, wanted) {
            (PolicyPlace::Database | PolicyPlace::OwnFile(_), PolicyPlace::File) => false,
            (PolicyPlace::File, PolicyPlace::Database) if is_closed => true,
            (PolicyPlace::OwnFile(_), PolicyPlace::Database) => true,
            _ => return Self::None,
        };
        // One that never ran lets nobody in, and may never run as it is.
        if from != PolicyPlace::File && !has_run(headscale) {
            return Self::None;
        }
        let asked = ask_policy(context, headscale).await;
        if (is_out || asked.is_err()) && !can_stay(headscale, &from) {
            return Self::None;
        }
        if is_out { Self::OutOfFile(from, asked.map(drop)) } else { Self::IntoFile(from, asked) }
    }
}

/// Why Headscale cannot be asked, in the same words each time: which call it was that failed last
/// changes all the time.
pub(super) fn told_of(error: &AskError) -> String {
    match error.kind() {
        Some(kind) => format!("it cannot be asked ({})", kind.as_str()),
        None => said(error),
    }
}

/// An instance that keeps the place of its policy for now.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    place: PolicyPlace,
    /// Why, and what ends it.
    pub(crate) message: String,
}

impl Held {
    /// One that stays where it is because of this.
    pub(super) fn new(place: PolicyPlace, why: &str) -> Self {
        let stays = match &place {
            PolicyPlace::Database => "in the database",
            PolicyPlace::File => "in its file",
            PolicyPlace::OwnFile(_) => "in the file that it had",
        };
        let message = format!("the policy stays {stays}, whatever spec.config.policy says: {why}");
        Self { place, message }
    }

    /// One that stays because Headscale does not say which policy it has.
    pub(super) fn unknown(place: PolicyPlace, error: &AskError) -> Self {
        let why = format!(
            "without a declared policy that Headscale takes, the one that it has would be lost, and \
             which that is is not known: {}; mend the policy, declare one, or see the instance",
            told_of(error)
        );
        Self::new(place, &why)
    }

    /// The instance as it is made meanwhile.
    pub(crate) fn apply(&self, headscale: &Headscale) -> Headscale {
        let mut headscale = headscale.clone();
        let config = headscale.spec.config.get_or_insert_default();
        let policy = config.entry("policy").or_insert_with(|| Value::Object(Map::new()));
        if !policy.is_object() {
            *policy = Value::Object(Map::new());
        }
        let Some(policy) = policy.as_object_mut() else { return headscale };
        policy.remove("path");
        let mode = match &self.place {
            PolicyPlace::Database => "database",
            PolicyPlace::File => "file",
            PolicyPlace::OwnFile(path) => {
                policy.insert("path".to_owned(), json!(path));
                "file"
            }
        };
        policy.insert("mode".to_owned(), json!(mode));
        headscale
    }
}
