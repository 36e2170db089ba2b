//! Waits until an object is ready, and tells how far it has come.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::api::WatchParams;
use kube::core::Request;
use serde_json::Value;
use tokio::time::Instant;

use super::request;
use crate::error::CommandError;
use crate::kubernetes::{Cluster, Resource, go_duration};
use crate::ui::Ui;

const READY: &str = "Ready";
/// What kubectl makes of a negative `--timeout`.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The server ends a watch after this long, in seconds; then another one begins.
const WATCH_SECONDS: u32 = 290;
/// Before asking again where a watch could not be had.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads what `--timeout` takes: a duration, 0 to look once, or a negative one for a week.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match text.strip_prefix('-') {
        Some(positive) if go_duration(positive).is_some() => Some(WEEK),
        Some(_) => None,
        None => go_duration(text),
    }
    .ok_or_else(|| format!("{text:?} is no duration: expected one as in 30s, 5m or 1h"))
}

/// The object that is waited for, and what is known of it.
pub(super) struct Waiter<'c> {
    cluster: &'c Cluster,
    resource: &'static Resource,
    namespace: &'c str,
    name: &'c str,
    /// What was last told of each condition.
    told: BTreeMap<String, String>,
    /// Why it is not ready, in the words of its last condition.
    why: Option<String>,
}

/// Why there is nothing more to wait for.
enum Ended {
    Ready,
    /// The watch ended, and another one has to begin.
    Watch,
}

impl<'c> Waiter<'c> {
    /// Waits for the object of `resource` called `name`.
    pub(super) fn new(
        cluster: &'c Cluster,
        resource: &'static Resource,
        namespace: &'c str,
        name: &'c str,
    ) -> Self {
        Self { cluster, resource, namespace, name, told: BTreeMap::new(), why: None }
    }

    /// Why it is not ready, as far as anyone said.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Waits until the object is ready as it is written now, at most for `timeout`; zero looks once.
    ///
    /// # Errors
    ///
    /// kubectl's when the time is over; that the object is gone; and what the server says.
    pub(super) async fn wait(
        &mut self,
        timeout: Duration,
        ui: &mut Ui<'_>,
    ) -> Result<(), CommandError> {
        let deadline = Instant::now().checked_add(timeout);
        let waited = match deadline {
            Some(deadline) if !timeout.is_zero() => {
                tokio::time::timeout_at(deadline, self.until_ready(ui)).await.ok()
            }
            Some(_) => match self.look(ui).await {
                Ok((Some(_), Ended::Watch)) => None,
                Ok((None, _)) => Some(Err(self.gone())),
                Ok((Some(_), Ended::Ready)) => Some(Ok(())),
                Err(error) => Some(Err(error)),
            },
            None => Some(self.until_ready(ui).await),
        };
        ui.progress(None);
        waited.unwrap_or_else(|| Err(self.timed_out()))
    }

    async fn until_ready(&mut self, ui: &mut Ui<'_>) -> Result<(), CommandError> {
        loop {
            match self.look(ui).await? {
                (None, _) => return Err(self.gone()),
                (Some(_), Ended::Ready) => return Ok(()),
                (Some(version), Ended::Watch) => match self.watch(&version, ui).await? {
                    Ended::Ready => return Ok(()),
                    Ended::Watch => {}
                },
            }
        }
    }

    /// Asks for the object. Gives the version to watch from, where there is such an object.
    async fn look(&mut self, ui: &mut Ui<'_>) -> Result<(Option<String>, Ended), CommandError> {
        let list =
            request::list(self.cluster, self.resource, self.namespace, Some(self.name)).await?;
        let Some(object) = list.pointer("/items/0") else { return Ok((None, Ended::Watch)) };
        let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let ended = self.tell(object, ui);
        Ok((Some(version.unwrap_or_default().to_owned()), ended))
    }

    async fn watch(&mut self, version: &str, ui: &mut Ui<'_>) -> Result<Ended, CommandError> {
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS);
        let request = Request::new(self.resource.path(Some(self.namespace)))
            .watch(&params, version)
            .map_err(|error| CommandError::failed(format!("cannot make the request: {error}")))?;
        let answer = self.cluster.client.send(request.map(Into::into)).await;
        let answer = answer.map_err(|error| self.cluster.resource_error(error, self.resource))?;
        if !answer.status().is_success() {
            // Looking again tells what is wrong, or mends it.
            tokio::time::sleep(PAUSE).await;
            return Ok(Ended::Watch);
        }
        let mut body = answer.into_body();
        let mut line = Vec::new();
        // A watch that breaks off is as good as one that ends.
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            for byte in data {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let event: Value = serde_json::from_slice(&line).unwrap_or_default();
                line.clear();
                match (event.get("type").and_then(Value::as_str), event.get("object")) {
                    (Some("DELETED"), _) => return Err(self.gone()),
                    (Some("ADDED" | "MODIFIED"), Some(object)) => {
                        if let Ended::Ready = self.tell(object, ui) {
                            return Ok(Ended::Ready);
                        }
                    }
                    (Some("BOOKMARK"), _) => {}
                    _ => return Ok(Ended::Watch),
                }
            }
        }
        Ok(Ended::Watch)
    }

    /// Tells what changed in the conditions of `object`.
    fn tell(&mut self, object: &Value, ui: &mut Ui<'_>) -> Ended {
        let is_live = ui.error_style().color;
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        for condition in conditions.into_iter().flatten() {
            let text = |name: &str| condition.get(name).and_then(Value::as_str).unwrap_or_default();
            let mut state = format!("{}={} {}", text("type"), text("status"), text("reason"));
            if !text("message").is_empty() {
                state = format!("{state}: {}", text("message"));
            }
            if text("type") == READY {
                if text("status") == "True" && !is_ready(object) {
                    state.push_str(" (about what it was before)");
                }
                self.why = Some(state.clone());
            }
            let before = self.told.insert(text("type").to_owned(), state.clone());
            if before.as_ref() != Some(&state) {
                let line = format!("{}/{}: {state}", self.resource.singular, self.name);
                if is_live {
                    ui.progress(Some(&crate::report::visible::folded(&line)));
                } else {
                    ui.note(&line);
                }
            }
        }
        if is_ready(object) { Ended::Ready } else { Ended::Watch }
    }

    fn gone(&self) -> CommandError {
        let (plural, name) = (self.resource.plural, self.name);
        CommandError::failed(format!("{plural}/{name} was deleted while it was waited for"))
    }

    fn timed_out(&self) -> CommandError {
        let (plural, name) = (self.resource.plural, self.name);
        let error =
            CommandError::failed(format!("timed out waiting for the condition on {plural}/{name}"));
        match &self.why {
            Some(why) => error.hint(format!("it last was {why}")),
            None => error.hint(
                "nobody said anything about it: does the operator run, and does it look after this \
                 namespace?",
            ),
        }
    }
}

/// Whether `object` is ready as it is written now, not as it was before.
fn is_ready(object: &Value) -> bool {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let is_current = |seen: Option<&Value>| match seen.and_then(Value::as_i64) {
        Some(seen) => generation.is_none_or(|generation| seen >= generation),
        None => true,
    };
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some(READY)
            && condition.get("status").and_then(Value::as_str) == Some("True")
            && is_current(condition.get("observedGeneration"))
    });
    ready && is_current(object.pointer("/status/observedGeneration"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ready_counts_for_the_generation_that_it_is_about() {
        let object = |status: &str, seen: Option<i64>| {
            let mut condition = json!({ "type": "Ready", "status": status });
            if let Some(seen) = seen {
                condition["observedGeneration"] = json!(seen);
            }
            json!({ "metadata": { "generation": 2 }, "status": { "conditions": [condition] } })
        };
        assert!(is_ready(&object("True", Some(2))));
        assert!(is_ready(&object("True", None)));
        assert!(!is_ready(&object("True", Some(1))));
        assert!(!is_ready(&object("False", Some(2))));
        assert!(!is_ready(&json!({ "metadata": { "generation": 2 } })));
        let mut old = object("True", None);
        old["status"]["observedGeneration"] = json!(1);
        assert!(!is_ready(&old));
    }

    #[test]
    fn timeouts_are_kubectls() {
        assert_eq!(timeout("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(timeout("0"), Ok(Duration::ZERO));
        assert_eq!(timeout("-1s"), Ok(WEEK));
        assert!(timeout("soon").is_err());
        assert!(timeout("-").is_err());
    }
}
