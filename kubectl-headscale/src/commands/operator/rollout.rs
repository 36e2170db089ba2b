//! Waits until a Deployment runs as it is written.

use std::time::Duration;

use headscale_api::operator::selector;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use tokio::time::{Instant, sleep};

use super::Reference;
use crate::error::CommandError;
use crate::kubernetes::Cluster;
use crate::report::visible::folded;
use crate::ui::Ui;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits for the Deployment of the operator of `namespace`, at most for `timeout`, and tells how far it
/// has come.
///
/// # Errors
///
/// kubectl's when the time is over, with what is known of why; that it is gone; what the server says.
pub(super) async fn wait(
    cluster: &Cluster,
    namespace: &str,
    timeout: Duration,
    ui: &mut Ui<'_>,
) -> Result<(), CommandError> {
    let reference = Reference::deployment(namespace);
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
    let deadline = Instant::now().checked_add(timeout);
    let mut told = String::new();
    loop {
        let found = api.get_opt(&reference.name).await.map_err(|error| cluster.error(error))?;
        let Some(deployment) = found else {
            ui.progress(None);
            let gone = format!("{} was deleted while it was waited for", reference.called());
            return Err(CommandError::failed(gone));
        };
        let Some(mut state) = left(&deployment) else {
            ui.progress(None);
            return Ok(());
        };
        if let Some(why) = trouble(cluster, namespace).await {
            state = format!("{state}: {why}");
        }
        let line = format!("{}: {state}", reference.called());
        if line != told {
            if ui.error_style().color {
                ui.progress(Some(&folded(&line)));
            } else {
                ui.note(&line);
            }
            told = line;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            ui.progress(None);
            return Err(CommandError::failed(format!(
                "timed out waiting for the condition on {}",
                reference.called()
            ))
            .hint(format!("it last was: {state}"))
            .hint(format!(
                "`kubectl describe pods -n {namespace}` and `kubectl logs -n {namespace} {}` say more",
                reference.called()
            )));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What is still missing; `None` where all pods are of the newest template and available.
fn left(deployment: &Deployment) -> Option<String> {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let [updated, available, all] =
        [status.updated_replicas, status.available_replicas, status.replicas]
            .map(Option::unwrap_or_default);
    if status.observed_generation < deployment.metadata.generation {
        return Some("not seen by Kubernetes yet".to_owned());
    }
    if updated < wanted {
        return Some(format!("{updated} of {wanted} pods are new"));
    }
    if available < wanted {
        return Some(format!("{available} of {wanted} pods are available"));
    }
    (all > updated).then(|| format!("{} old pods still end", all - updated))
}

/// Why a container does not run, in the kubelet's words.
async fn trouble(cluster: &Cluster, namespace: &str) -> Option<String> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let labels: Vec<String> =
        selector().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pods = api.list(&ListParams::default().labels(&labels.join(","))).await.ok()?;
    let mut containers = pods.items.into_iter().filter_map(|pod| pod.status).flat_map(|status| {
        status.container_statuses.unwrap_or_default().into_iter().filter_map(|it| it.state)
    });
    containers.find_map(|state| {
        let waiting = state.waiting?;
        let reason = waiting.reason.filter(|reason| reason != "ContainerCreating")?;
        Some(match waiting.message {
            Some(message) => format!("{reason}: {message}"),
            None => reason,
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_ends_when_all_pods_are_new_and_available_and_no_old_one_is_left() {
        let left = |status: serde_json::Value| {
            let deployment = json!({ "metadata": { "generation": 2 }, "status": status,
                "spec": { "replicas": 2, "selector": {}, "template": {} } });
            left(&serde_json::from_value(deployment).expect("a Deployment"))
        };
        let status = |seen: i64, all: i32, updated: i32, available: i32| {
            json!({ "observedGeneration": seen, "replicas": all, "updatedReplicas": updated,
                "availableReplicas": available })
        };
        assert_eq!(left(status(1, 2, 2, 2)).as_deref(), Some("not seen by Kubernetes yet"));
        assert_eq!(left(status(2, 3, 1, 2)).as_deref(), Some("1 of 2 pods are new"));
        assert_eq!(left(status(2, 3, 2, 1)).as_deref(), Some("1 of 2 pods are available"));
        assert_eq!(left(status(2, 3, 2, 2)).as_deref(), Some("1 old pods still end"));
        assert_eq!(left(status(2, 2, 2, 2)), None);
    }
}
