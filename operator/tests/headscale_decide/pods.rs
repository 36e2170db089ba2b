//! How far the pod is, and what is wrong with it.

use headscale_api::desired::Inputs;
use headscale_operator::headscale::rollout::{Rollout, is_in_the_way, trouble};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use crate::world::{headscale, set_of};

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "hs-0", "labels": { "controller-revision-hash": "r3" } },
        "status": status,
    }))
    .unwrap()
}

fn container(state: &Value) -> Pod {
    let mut status = json!({
        "name": "headscale",
        "image": "headscale/headscale:0.29.2",
        "imageID": "",
        "ready": false,
        "restartCount": 3,
    });
    status.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    pod(&json!({ "containerStatuses": [status] }))
}

#[test]
fn what_keeps_a_pod_from_being_ready_is_told_without_times_and_counts() {
    let waiting = |reason: &str| {
        let message = "back-off 40s restarting failed container";
        json!({ "state": { "waiting": { "reason": reason, "message": message } } })
    };
    let mut crash = waiting("CrashLoopBackOff");
    crash["lastState"] = json!({ "terminated": {
        "exitCode": 1,
        "message": "2026-11-29T20:00:00Z INF starting\n2026-11-29T20:00:01Z FTL no such \u{7}file\n",
    } });
    let mut memory = waiting("CrashLoopBackOff");
    memory["lastState"] = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
    let mut backup = container(&crash);
    backup.status.as_mut().unwrap().container_statuses.as_mut().unwrap()[0].name =
        "backup".to_owned();
    let unscheduled = pod(&json!({ "conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }] }));
    let cases = [
        (container(&json!({})), "", ""),
        (container(&waiting("ContainerCreating")), "", ""),
        (container(&json!({ "state": { "running": {} } })), "", ""),
        (container(&waiting("ImagePullBackOff")), "ImagePullFailed", "headscale/headscale:0.29.2"),
        (container(&waiting("ErrImagePull")), "ImagePullFailed", "spec.version"),
        (container(&waiting("CreateContainerConfigError")), "ContainerFailed", "back-off"),
        (container(&crash), "CrashLoop", "exit code 1: FTL no such file ("),
        (container(&memory), "CrashLoop", "spec.resources.limits.memory"),
        (backup, "BackupFailed", "nothing was migrated"),
        (unscheduled, "Unschedulable", "0/3 nodes"),
        (pod(&json!({ "phase": "Failed", "reason": "Evicted" })), "PodFailed", "Evicted"),
    ];
    for (pod, expected, says) in cases {
        let is = trouble(Some(&pod), None);
        let (reason, message) = is.map_or(("", String::new()), |is| (is.reason, is.message));
        assert_eq!(reason, expected, "{message}");
        assert!(message.contains(says), "{message}");
        assert!(!message.contains("40s") || reason == "ContainerFailed", "{message}");
    }
    let lost: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": { "name": "data-hs-0" },
        "status": { "phase": "Lost" },
    }))
    .unwrap();
    let is = trouble(None, Some(&lost)).unwrap();
    assert_eq!(is.reason, "VolumeLost");
}

#[test]
fn a_pod_is_in_the_way_where_it_is_of_a_former_template_and_never_gets_ready() {
    let set = set_of(&headscale("0.29.2"), &Inputs::default(), false);
    let stuck = container(&json!({ "state": { "waiting": { "reason": "ImagePullBackOff" } } }));
    assert!(is_in_the_way(&set, &stuck));
    let mut new = stuck.clone();
    new.metadata.labels = Some([("controller-revision-hash".to_owned(), "r4".to_owned())].into());
    assert!(!is_in_the_way(&set, &new));
    // It may be migrating its database.
    assert!(!is_in_the_way(&set, &container(&json!({ "state": { "running": {} } }))));
    let mut unseen = set.clone();
    unseen.metadata.generation = Some(5);
    assert!(!is_in_the_way(&unseen, &stuck));
}

#[test]
fn a_rollout_is_done_when_the_new_pod_is_ready() {
    let is = |change: fn(&mut StatefulSet)| {
        let mut set = set_of(&headscale("0.29.2"), &Inputs::default(), true);
        change(&mut set);
        Rollout::of(Some(&set))
    };
    assert_eq!(Rollout::of(None), Rollout::Missing);
    assert_eq!(is(|_| ()), Rollout::Done);
    assert_eq!(is(|set| set.metadata.generation = Some(5)), Rollout::Rolling);
    assert_eq!(is(|set| set.status = None), Rollout::Rolling);
    assert_eq!(is(|set| set.status.as_mut().unwrap().ready_replicas = Some(0)), Rollout::Rolling);
    let old = |set: &mut StatefulSet| {
        set.status.as_mut().unwrap().current_revision = Some("r3".to_owned());
    };
    assert_eq!(is(old), Rollout::Rolling);
    assert_eq!(is(|set| set.spec.as_mut().unwrap().replicas = Some(0)), Rollout::Rolling);
    let off = |set: &mut StatefulSet| {
        set.spec.as_mut().unwrap().replicas = Some(0);
        set.status.as_mut().unwrap().replicas = 0;
    };
    assert_eq!(is(off), Rollout::Off);
}
