//! Where policies are judged, and what was thought of them is kept.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headscale_acl::{Date, Version};
use headscale_api::kinds::{PluginRef, RenderSpec};
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::judge::{Judged, Subject, judge, judged};
use super::plugins::{Found, PLUGIN_FAILED, Plugins, Wanted, apart, failed};
use super::pulls::Wake;
use crate::conditions::Verdict;
use crate::context::Triggers;

/// How many answers are kept of each instance.
const KEPT: usize = 6;
/// For how long it is not tried again to run a plugin that failed, which mostly fails again.
const REST: Duration = Duration::from_secs(5 * 60);

/// A namespace, and the name of a Headscale in it.
pub(super) type Place = (String, String);

/// Judges policies, one at a time: it may take memory and time.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plugins: Plugins,
    turn: tokio::sync::Mutex<()>,
    drawers: Mutex<HashMap<Place, Drawer>>,
}

/// What is kept of one instance.
#[derive(Debug, Default)]
struct Drawer {
    /// The newest last.
    answers: Vec<Kept>,
    outcome: Option<Option<Verdict>>,
}

#[derive(Debug)]
struct Kept {
    key: Key,
    answer: Answer,
    until: Option<Instant>,
}

type Key = [u8; 32];

#[derive(Clone, Debug)]
enum Answer {
    Judged(Arc<Judged>),
    Rendered(Result<Arc<str>, Verdict>),
}

fn key(parts: &[&str]) -> Key {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A document with what is needed to tell about it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) text: Arc<str>,
    /// The text of a person that it was made of, and what that is called.
    pub(super) base: Arc<str>,
    pub(super) name: Arc<str>,
}

impl Document {
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { text: &self.text, base: &self.base, name: &self.name }
    }
}

fn today() -> Option<Date> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Some(Date {
        year: today.year(),
        month: u8::try_from(today.month()).ok()?,
        day: u8::try_from(today.day()).ok()?,
    })
}

impl Desk {
    /// One that keeps plugins in this directory; they may take `timeout` to come from a registry.
    pub(crate) fn new(cache: &Path, timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            plugins: Plugins::new(cache, timeout),
            turn: tokio::sync::Mutex::new(()),
            drawers: Mutex::default(),
        }))
    }

    /// Forgets an instance that is gone.
    pub(crate) fn forget(&self, namespace: &str, headscale: &str) {
        let place = (namespace.to_owned(), headscale.to_owned());
        self.0.drawers.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
    }

    fn drawer<T>(&self, place: &Place, f: impl FnOnce(&mut Drawer) -> T) -> T {
        let mut drawers = self.0.drawers.lock().unwrap_or_else(PoisonError::into_inner);
        f(drawers.entry(place.clone()).or_default())
    }

    /// Notes what became of the policy of an instance, and gives whether that is something else than
    /// before.
    pub(super) fn note(&self, place: &Place, outcome: Option<Verdict>) -> bool {
        self.drawer(place, |drawer| drawer.outcome.replace(outcome.clone()) != Some(outcome))
    }

    /// What became of it last; `None` before anything did.
    pub(super) fn outcome(&self, place: &Place) -> Option<Option<Verdict>> {
        self.drawer(place, |drawer| drawer.outcome.clone())
    }

    fn look_up(&self, place: &Place, key: &Key) -> Option<Answer> {
        self.drawer(place, |drawer| {
            let now = Instant::now();
            drawer.answers.retain(|kept| kept.until.is_none_or(|until| now < until));
            let kept = drawer.answers.iter().find(|kept| kept.key == *key)?;
            Some(kept.answer.clone())
        })
    }

    fn keep(&self, place: &Place, key: Key, answer: &Answer, rest: Option<Duration>) {
        let until = rest.map(|rest| Instant::now() + rest);
        self.drawer(place, |drawer| {
            drawer.answers.push(Kept { key, answer: answer.clone(), until });
            let surplus = drawer.answers.len().saturating_sub(KEPT);
            drawer.answers.drain(..surplus);
        });
    }

    /// What a plugin makes of values.
    ///
    /// # Errors
    ///
    /// `PluginFailed`.
    pub(super) async fn render(
        &self,
        triggers: &Triggers,
        place: &Place,
        spec: &RenderSpec,
    ) -> Result<Arc<str>, Verdict> {
        let values = json!(spec.values);
        let key = key(&["render", &spec.plugin, &values.to_string()]);
        if let Some(Answer::Rendered(rendered)) = self.look_up(place, &key) {
            return rendered;
        }
        let wanted = Wanted { reference: spec.plugin.clone(), values };
        let found = self.0.plugins.find(&wanted, wake(triggers, place)).await?;
        let _turn = self.0.turn.lock().await;
        if let Some(Answer::Rendered(rendered)) = self.look_up(place, &key) {
            return rendered;
        }
        let inner = Arc::clone(&self.0);
        let rendered = apart(move || inner.plugins.render(&found)).await;
        let rendered = rendered.unwrap_or_else(|| Err(failed("the plugin broke off")));
        let rendered = rendered.map(|text| {
            let document = headscale_acl::hujson::Document::parse(text.as_bytes());
            let formatted = if document.errors().is_empty() {
                headscale_acl::hujson::format(&document)
            } else {
                text
            };
            Arc::from(formatted)
        });
        let rest = rendered.is_err().then_some(REST);
        self.keep(place, key, &Answer::Rendered(rendered.clone()), rest);
        rendered
    }

    /// Judges a document, unless that was done before.
    pub(super) async fn judge(
        &self,
        triggers: &Triggers,
        place: &Place,
        document: &Document,
        versions: &[Version],
        plugins: &[PluginRef],
    ) -> Arc<Judged> {
        let today = today();
        let wanted: Vec<Wanted> = plugins
            .iter()
            .map(|plugin| Wanted {
                reference: plugin.reference.clone(),
                values: json!(plugin.params),
            })
            .collect();
        let about = json!({
            "versions": versions.iter().map(|version| version.as_str()).collect::<Vec<_>>(),
            "today": today.map(|date| (date.year, date.month, date.day)),
            "plugins": wanted.iter().map(|it| (&it.reference, &it.values)).collect::<Vec<(_, &Value)>>(),
        });
        let about = about.to_string();
        let key = key(&["judge", &about, &document.name, &document.base, &document.text]);
        if let Some(Answer::Judged(judged)) = self.look_up(place, &key) {
            return judged;
        }
        let mut found = Vec::new();
        for wanted in &wanted {
            match self.0.plugins.find(wanted, wake(triggers, place)).await {
                Ok(plugin) => found.push(plugin),
                // Whoever asks again is told the same, or that it has come.
                Err(verdict) => {
                    return Arc::new(Judged { refused: Some(verdict), ..Judged::default() });
                }
            }
        }
        let _turn = self.0.turn.lock().await;
        if let Some(Answer::Judged(judged)) = self.look_up(place, &key) {
            return judged;
        }
        let (inner, document, versions) =
            (Arc::clone(&self.0), document.clone(), versions.to_vec());
        let work = move || judge_with(&inner.plugins, &document, &versions, &found, today);
        let judged = apart(work).await.unwrap_or_else(|| Judged {
            refused: Some(failed("the policy could not be judged: there is no thread for it")),
            ..Judged::default()
        });
        let judged = Arc::new(judged);
        // What a plugin could not do says nothing of the policy.
        let has_failed = judged.refused.as_ref().is_some_and(|it| it.reason == PLUGIN_FAILED);
        self.keep(place, key, &Answer::Judged(Arc::clone(&judged)), has_failed.then_some(REST));
        judged
    }
}

/// Has the policy of an instance looked at again.
fn wake(triggers: &Triggers, (namespace, headscale): &Place) -> Wake {
    let documents = triggers.documents.clone();
    let document = ObjectRef::new(headscale).within(namespace);
    Box::new(move || {
        // It fails when the operator ends.
        documents.send(document).ok();
    })
}

fn judge_with(
    plugins: &Plugins,
    document: &Document,
    versions: &[Version],
    found: &[Found],
    today: Option<Date>,
) -> Judged {
    let subject = document.subject();
    let mut judged_alone = judge(&subject, versions, today);
    if judged_alone.refused.is_some() || found.is_empty() {
        return judged_alone;
    }
    let version = versions.iter().max().copied().unwrap_or(Version::DEFAULT);
    match plugins.judge(found, &document.name, &document.text, version, today) {
        Ok(findings) => {
            let theirs = judged(&subject, findings);
            judged_alone.refused = theirs.refused;
            judged_alone.add(theirs.findings);
            judged_alone
        }
        Err(verdict) => Judged { refused: Some(verdict), ..judged_alone },
    }
}
