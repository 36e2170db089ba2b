//! How far the pod is, and what is wrong with it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim, Pod,
};
use kube::ResourceExt as _;

/// The longest message of a container that is repeated, in bytes.
const LONGEST: usize = 400;

/// How far the StatefulSet is with what it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// There is none.
    Missing,
    /// It runs nothing, and is not to.
    Off,
    /// Its pod is not the one that it should be, or has not been ready.
    Rolling,
    /// Its pod is the one that it should be, and ready.
    Done,
}

impl Rollout {
    /// That of a StatefulSet.
    #[must_use]
    pub fn of(set: Option<&StatefulSet>) -> Self {
        let Some(set) = set else { return Self::Missing };
        let status = set.status.clone().unwrap_or_default();
        let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let is_seen = status.observed_generation >= set.metadata.generation;
        if replicas == 0 {
            return if is_seen && status.replicas == 0 { Self::Off } else { Self::Rolling };
        }
        let is_new = status.updated_replicas.unwrap_or(0) >= replicas
            && status.current_revision == status.update_revision;
        let is_ready = status.ready_replicas.unwrap_or(0) >= replicas;
        if is_seen && is_new && is_ready { Self::Done } else { Self::Rolling }
    }
}

/// What keeps a pod from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One word for programs.
    pub reason: &'static str,
    /// What a person should know.
    pub message: String,
}

impl Trouble {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What is wrong with a pod and its volume; `None` where it may be on its way.
#[must_use]
pub fn trouble(pod: Option<&Pod>, claim: Option<&PersistentVolumeClaim>) -> Option<Trouble> {
    if let Some(trouble) = claim.and_then(of_claim) {
        return Some(trouble);
    }
    let pod = pod?;
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    if let Some(trouble) = all.clone().find_map(|container| of_container(&name, container)) {
        return Some(trouble);
    }
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let why = condition.message.clone().unwrap_or_default();
        let message = format!("pod {name} finds no node: {}", cut(&why));
        return Some(Trouble::new("Unschedulable", message));
    }
    if status.phase.as_deref() == Some("Failed") {
        let why = status.message.clone().or_else(|| status.reason.clone()).unwrap_or_default();
        return Some(Trouble::new("PodFailed", format!("pod {name} failed: {}", cut(&why))));
    }
    None
}

/// Whether a pod is of a template that is no longer wanted and will never be ready: a StatefulSet
/// waits for it for ever.
#[must_use]
pub fn is_in_the_way(set: &StatefulSet, pod: &Pod) -> bool {
    let revision = set.status.as_ref().and_then(|status| status.update_revision.as_ref());
    let is_seen = set.status.as_ref().and_then(|status| status.observed_generation)
        >= set.metadata.generation;
    is_seen
        && revision.is_some()
        && pod.labels().get("controller-revision-hash") != revision
        && pod.metadata.deletion_timestamp.is_none()
        && trouble(Some(pod), None).is_some()
}

fn of_claim(claim: &PersistentVolumeClaim) -> Option<Trouble> {
    let name = claim.name_any();
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase == Some("Lost") {
        let message = format!(
            "the volume of PersistentVolumeClaim {name} is gone, and the database with it: restore \
             a backup, or delete the claim and the pod to start with an empty one"
        );
        return Some(Trouble::new("VolumeLost", message));
    }
    if claim.metadata.deletion_timestamp.is_some() {
        let message = format!(
            "PersistentVolumeClaim {name} is being deleted, and the database with it: it goes when \
             the pod does"
        );
        return Some(Trouble::new("VolumeLost", message));
    }
    None
}

fn of_container(pod: &str, container: &ContainerStatus) -> Option<Trouble> {
    let name = &container.name;
    let state = container.state.as_ref()?;
    let waiting = state.waiting.as_ref();
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    // Amounts and times of Kubernetes' own messages change all the time, so those are left out.
    match reason {
        "ImagePullBackOff"
        | "ErrImagePull"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable" => {
            let image = &container.image;
            let message = format!(
                "image {image} of container {name} cannot be pulled: see whether it exists, and \
                 spec.version, spec.image and spec.image_pull_secrets"
            );
            Some(Trouble::new("ImagePullFailed", message))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let why = waiting.and_then(|waiting| waiting.message.clone()).unwrap_or_default();
            let message = format!("container {name} of pod {pod} cannot be made: {}", cut(&why));
            Some(Trouble::new("ContainerFailed", message))
        }
        "CrashLoopBackOff" => Some(ended(pod, container)),
        _ => (container.restart_count > 0
            && !container.ready
            && state.running.is_none()
            && last_end(container).is_some_and(|end| end.exit_code != 0))
        .then(|| ended(pod, container)),
    }
}

fn last_end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let of = |state: &Option<ContainerState>| state.as_ref().and_then(|it| it.terminated.clone());
    if of(&container.state).is_some() {
        return container.state.as_ref().and_then(|state| state.terminated.as_ref());
    }
    container.last_state.as_ref().and_then(|state| state.terminated.as_ref())
}

/// A container that ends again and again.
fn ended(pod: &str, container: &ContainerStatus) -> Trouble {
    let name = &container.name;
    let said = last_end(container)
        .and_then(|end| end.message.as_deref())
        .and_then(last_words)
        .map_or_else(String::new, |said| format!(": {said}"));
    let code = last_end(container).map_or_else(String::new, |end| match end.reason.as_deref() {
        Some("OOMKilled") => ", out of memory: raise spec.resources.limits.memory".to_owned(),
        _ => format!(" with exit code {}", end.exit_code),
    });
    if name == "backup" {
        let message = format!(
            "the copy of the database before the step fails{code}{said} (`kubectl logs {pod} -c \
             backup`): nothing was migrated; make room on the volume"
        );
        return Trouble::new("BackupFailed", message);
    }
    let message =
        format!("container {name} ends{code}{said} (`kubectl logs {pod} -c {name} --previous`)");
    Trouble::new("CrashLoop", message)
}

/// The last line, without the time that it starts with.
fn last_words(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| !line.trim().is_empty())?;
    let is_time = |word: &&str| word.starts_with("20") && word.contains(':');
    let words: Vec<&str> = line.split_whitespace().skip_while(is_time).collect();
    let plain: String = words.join(" ").chars().filter(|char| !char.is_control()).collect();
    Some(cut(&plain)).filter(|plain| !plain.is_empty())
}

fn cut(text: &str) -> String {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().trim().to_owned()
}
