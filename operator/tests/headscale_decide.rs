//! What is decided about instances, without a cluster.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by a panic, as the test does")]

use std::collections::BTreeSet;

use headscale_acl::Severity;
use headscale_api::desired::{Inputs, Object, desired_state, findings};
use headscale_api::kinds::{Headscale, HeadscaleStatus};
use headscale_operator::conditions::{Verdict, find};
use headscale_operator::headscale::decide::{Block, Decision, Observed, decide, version_of};
use headscale_operator::headscale::requirements::{Keys, missing, requirements};
use headscale_operator::headscale::rollout::{Rollout, Trouble, is_in_the_way, trouble};
use headscale_operator::headscale::status::{Facts, status};
use headscale_operator::headscale::subset::has_all;
use headscale_operator::headscale::takeover::taken_over;
use headscale_operator::headscale::tolerant::Stored;
use headscale_operator::headscale::upgrade::{Course, Question, ahead, course, minor};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Value, json};

fn question<'a>(running: Option<&'a str>, wanted: &'a str) -> Question<'a> {
    Question {
        wanted,
        running,
        is_healthy: true,
        is_off: false,
        is_pinned: false,
        is_postgres: false,
        consent: None,
    }
}

/// `run`, `step` or the reason for which it stays, with the version that is run.
fn came(course: &Course) -> String {
    match course {
        Course::Run(version) => format!("run {version}"),
        Course::Step(version) => format!("step {version}"),
        Course::Stay { version, why } => {
            format!("{} {}", why.reason(), version.as_deref().unwrap_or("-"))
        }
    }
}

#[test]
fn each_pair_of_versions_has_its_course() {
    let cases = [
        // What runs, what is wanted, what comes of it.
        (None, "0.28.0", "run 0.28.0"),
        (None, "v0.30.0-beta.1", "run v0.30.0-beta.1"),
        (None, "0.29", "run 0.29"),
        (None, "0.27.1", "VersionUnsupported -"),
        (None, "0.31.0", "VersionUnsupported -"),
        (None, "1.0.0", "VersionUnsupported -"),
        (None, "*", "VersionUnsupported -"),
        (None, "0.29.*", "VersionUnsupported -"),
        (None, "29", "VersionUnsupported -"),
        (None, "", "VersionUnsupported -"),
        (None, "0.29.2.1", "VersionUnsupported -"),
        (Some("0.28.0"), "*", "VersionUnsupported 0.28.0"),
        (Some("0.28.0"), "0.28.0", "run 0.28.0"),
        (Some("0.28.0"), "0.28.3", "run 0.28.3"),
        (Some("0.29.2"), "0.29.0", "run 0.29.0"),
        (Some("0.28.0"), "0.29.1", "step 0.29.1"),
        (Some("0.28.0"), "0.30.0", "step 0.29.2"),
        (Some("v0.28.0"), "v0.30.0", "step v0.29.2"),
        (Some("0.29.2"), "0.30.0", "step 0.30.0"),
        (Some("0.27.1"), "0.28.0", "step 0.28.0"),
        (Some("0.27.1"), "0.30.0", "step 0.28.0"),
        (Some("0.26.0"), "0.28.0", "UpgradeRefused -"),
        (Some("latest"), "0.28.0", "UpgradeRefused -"),
        (Some("0.30.0"), "0.29.2", "DowngradeRefused 0.30.0"),
        (Some("0.29.2"), "0.28.0", "DowngradeRefused 0.29.2"),
        (Some("0.31.0"), "0.30.0", "DowngradeRefused -"),
        (Some("0.30.0"), "0.31.0", "VersionUnsupported 0.30.0"),
    ];
    for (running, wanted, expected) in cases {
        let is = course(&question(running, wanted));
        assert_eq!(came(&is), expected, "{running:?} -> {wanted}");
        if let Course::Stay { why, .. } = is {
            assert!(why.to_string().contains("spec.") || running == Some("latest"), "{why}");
        }
    }
}

#[test]
fn a_step_needs_health_a_server_a_tag_and_a_backup() {
    let base = question(Some("0.28.0"), "0.30.0");
    let consent = |consent| Question { is_postgres: true, consent, ..base };
    let cases = [
        (Question { is_healthy: false, ..base }, "UpgradeWaiting 0.28.0"),
        (Question { is_off: true, ..base }, "ScaledToZero 0.28.0"),
        (Question { is_off: true, is_healthy: false, ..base }, "ScaledToZero 0.28.0"),
        (Question { is_pinned: true, ..base }, "UpgradeRefused 0.28.0"),
        (consent(None), "BackupNotConfirmed 0.28.0"),
        (consent(Some("0.28")), "BackupNotConfirmed 0.28.0"),
        (consent(Some("0.29")), "step 0.29.2"),
        (consent(Some("v0.30")), "step 0.29.2"),
        (consent(Some("0.31")), "BackupNotConfirmed 0.28.0"),
        (Question { is_postgres: true, is_healthy: false, ..base }, "BackupNotConfirmed 0.28.0"),
    ];
    for (question, expected) in cases {
        assert_eq!(came(&course(&question)), expected, "{question:?}");
    }
    // One minor version can be stepped to with an image that has a digest.
    let next = Question { is_pinned: true, ..question(Some("0.28.0"), "0.29.2") };
    assert_eq!(came(&course(&next)), "step 0.29.2");
    // A patch version needs none of it.
    let patch = Question {
        is_healthy: false,
        is_off: true,
        is_postgres: true,
        is_pinned: true,
        ..question(Some("0.29.0"), "0.29.2")
    };
    assert_eq!(came(&course(&patch)), "run 0.29.2");
}

const VERSIONS: [&str; 14] = [
    "0.26.3",
    "0.27.1",
    "0.28.0",
    "v0.28.0",
    "0.28",
    "0.29.0",
    "0.29.2",
    "0.30.0",
    "v0.30.0-beta.1",
    "0.31.0",
    "1.0.0",
    "*",
    "latest",
    "",
];

/// A minor version as a number.
fn number(version: &str) -> Option<u64> {
    let minor = minor(version)?;
    minor.strip_prefix("0.")?.parse().ok()
}

#[test]
fn whatever_there_is_no_course_goes_back_or_skips_a_minor_version() {
    let mut steps = 0;
    for wanted in VERSIONS {
        for running in VERSIONS.map(Some).into_iter().chain([None]) {
            for bits in 0..16_u8 {
                for consent in [None, Some("0.29"), Some("0.30"), Some("nonsense")] {
                    let is = |bit: u8| bits & (1 << bit) != 0;
                    let asked = Question {
                        wanted,
                        running,
                        is_healthy: is(0),
                        is_off: is(1),
                        is_pinned: is(2),
                        is_postgres: is(3),
                        consent,
                    };
                    let (next, is_step) = match course(&asked) {
                        Course::Run(version) => (Some(version), false),
                        Course::Step(version) => (Some(version), true),
                        Course::Stay { version, .. } => (version, false),
                    };
                    let Some(next) = next else { continue };
                    let to = number(&next).unwrap_or_else(|| panic!("{next} is a version"));
                    assert!((28..=30).contains(&to), "{asked:?}: {next} is known");
                    let Some(from) = running.and_then(number) else { continue };
                    assert!(to == from || is_step && to == from + 1, "{asked:?}: {next}");
                    if is_step {
                        steps += 1;
                        assert!(asked.is_healthy && !asked.is_off, "{asked:?}");
                        assert!(!asked.is_postgres || consent.is_some(), "{asked:?}");
                        assert!(number(wanted).unwrap() >= to, "{asked:?}: {next}");
                    }
                }
            }
        }
    }
    assert!(steps > 100, "{steps}");
}

#[test]
fn what_is_ahead_ends_with_what_is_wanted() {
    assert_eq!(ahead("0.28.0", "0.30.0"), ["0.29.2", "0.30.0"]);
    assert_eq!(ahead("0.27.0", "v0.30.0"), ["0.28.0", "0.29.2", "v0.30.0"]);
    assert_eq!(ahead("0.29.2", "0.30.0"), ["0.30.0"]);
    assert_eq!(ahead("0.29.2", "0.29.0"), Vec::<String>::new());
    assert_eq!(ahead("0.30.0", "0.29.0"), Vec::<String>::new());
    assert_eq!(ahead("latest", "0.29.0"), Vec::<String>::new());
}

/// An instance with a good configuration.
fn headscale(version: &str) -> Headscale {
    serde_json::from_value(json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "Headscale",
        "metadata": { "name": "hs", "namespace": "ns", "uid": "u", "generation": 3 },
        "spec": {
            "version": version,
            "replicas": 1,
            "config": {
                "server_url": "https://headscale.example.com",
                "dns": { "base_domain": "tailnet.example.com" },
            },
        },
    }))
    .unwrap()
}

/// The StatefulSet of an instance, as the cluster has it.
fn set_of(headscale: &Headscale, inputs: &Inputs, is_ready: bool) -> StatefulSet {
    let objects = desired_state(headscale, inputs);
    let set = objects.into_iter().find_map(|object| match object {
        Object::StatefulSet(set) => Some(*set),
        _ => None,
    });
    let mut set = set.unwrap();
    set.metadata.generation = Some(4);
    set.status = serde_json::from_value(json!({
        "observedGeneration": 4,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": u8::from(is_ready),
        "currentRevision": "r4",
        "updateRevision": "r4",
    }))
    .unwrap();
    set
}

fn observed<'a>(
    headscale: &'a Headscale,
    set: Option<&'a StatefulSet>,
    secrets: &'a Keys,
    inputs: &'a Inputs,
) -> Observed<'a> {
    Observed {
        headscale,
        unreadable: None,
        names: None,
        set,
        secrets,
        rival: None,
        policy: None,
        policy_error: None,
        is_ailing: false,
        inputs,
    }
}

fn reason(decision: &Decision) -> &str {
    decision.blocked.as_ref().map_or("", |block| block.reason)
}

#[test]
fn no_version_is_applied_whose_configuration_is_wrong_on_the_way() {
    let configs = [
        json!({}),
        json!({ "oidc": { "strip_email_domain": true } }),
        json!({ "node": { "expiry": "180d" } }),
        json!({ "oidc": { "expiry": "90d" } }),
        json!({ "dns": { "magic_dns": true, "base_domain": "" } }),
        json!({ "server_url": "" }),
        json!({ "prefixes": { "v4": "nonsense" } }),
        json!({ "randomize_client_port": true }),
        json!({ "derp": { "urls": ["https://derp.example.com"], "server": { "enabled": true } } }),
        json!({ "policy": { "mode": "nonsense" } }),
    ];
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let (mut applied, mut held) = (0, 0);
    for config in configs {
        for wanted in VERSIONS {
            let mut it = headscale(wanted);
            let members = it.spec.config.as_mut().unwrap();
            members.extend(config.as_object().unwrap().clone());
            for running in VERSIONS.map(Some).into_iter().chain([None]) {
                for is_ready in [true, false] {
                    let set = running
                        .map(|version| set_of(&headscale(version), &Inputs::default(), is_ready));
                    let seen = observed(&it, set.as_ref(), &secrets, &inputs);
                    let decision = decide(&seen);
                    let Some(next) = decision.apply else {
                        held += 1;
                        continue;
                    };
                    applied += 1;
                    let found = findings(&next.headscale, &next.inputs);
                    let errors = found.iter().filter(|it| it.finding.severity == Severity::Error);
                    assert_eq!(errors.count(), 0, "{wanted} on {running:?}: {config}");
                    let to = number(&next.headscale.spec.version).unwrap();
                    if let Some(from) = running.and_then(number) {
                        assert!(to == from || is_ready && to == from + 1, "{from} -> {to}");
                        assert_eq!(next.inputs.backup, to != from, "{from} -> {to}");
                    }
                    assert_eq!(decision.step.is_some(), next.inputs.backup);
                }
            }
        }
    }
    assert!(applied > 100 && held > 100, "{applied} {held}");
}

#[test]
fn what_is_in_the_way_is_told_and_nothing_is_applied() {
    let inputs = Inputs::default();
    let good = headscale("0.29.2");
    let mut long = headscale("0.29.2");
    long.metadata.name = Some("x".repeat(53));
    let mut bad = headscale("0.29.2");
    bad.spec.config.as_mut().unwrap().insert("server_url".to_owned(), json!(""));
    let mut with_secret = headscale("0.29.2");
    with_secret.spec.secrets = serde_json::from_value(json!({
        "oidc_client_secret": { "name": "oidc", "key": "secret" },
    }))
    .unwrap();
    let no_secrets = Keys::new();
    let no_key: Keys = [("oidc".to_owned(), Some(BTreeSet::new()))].into();
    let gone: Keys = [("oidc".to_owned(), None)].into();
    let there: Keys = [("oidc".to_owned(), Some(BTreeSet::from(["secret".to_owned()])))].into();
    let is = |headscale, secrets, change: fn(&mut Observed<'_>)| {
        let mut observed = observed(headscale, None, secrets, &inputs);
        change(&mut observed);
        decide(&observed)
    };
    let cases = [
        (is(&good, &no_secrets, |_| {}), "", ""),
        (is(&with_secret, &there, |_| {}), "", ""),
        (
            is(&good, &no_secrets, |it| it.unreadable = Some("spec.tolerations: no")),
            "InvalidSpec",
            "spec.tolerations: no",
        ),
        (is(&long, &no_secrets, |_| {}), "InvalidName", "53 characters"),
        (
            is(&good, &no_secrets, |it| it.rival = Some("other")),
            "SecretNameTaken",
            "spec.api_key.secret_name",
        ),
        (is(&bad, &no_secrets, |_| {}), "ConfigInvalid", "spec.config"),
        (is(&with_secret, &gone, |_| {}), "SecretNotFound", "Secret oidc is not there"),
        (is(&with_secret, &no_key, |_| {}), "SecretNotFound", "has no key secret"),
    ];
    for (decision, expected, says) in cases {
        assert_eq!(reason(&decision), expected);
        assert_eq!(decision.apply.is_some(), expected.is_empty(), "{expected}");
        let message = decision.blocked.map_or_else(String::new, |block| block.message);
        assert!(message.contains(says), "{expected}: {message}");
    }
}

#[test]
fn a_step_waits_for_a_policy_that_suits_it() {
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let set = set_of(&headscale("0.28.0"), &inputs, true);
    let it = headscale("0.29.2");
    let mut seen = observed(&it, Some(&set), &secrets, &inputs);
    assert_eq!(decide(&seen).step.as_deref(), Some("0.29.2"));
    seen.policy_error = Some("3:4: no such user");
    let decision = decide(&seen);
    assert_eq!((reason(&decision), &decision.step), ("PolicyInvalid", &None));
    assert_eq!(decision.apply.unwrap().headscale.spec.version, "0.28.0");
    seen.policy_error = None;
    seen.is_ailing = true;
    let decision = decide(&seen);
    assert_eq!(decision.step, None);
    assert!(decision.waiting.unwrap().contains("0.28.0 is ready"));
}

#[test]
fn a_copy_before_the_server_starts_stays() {
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let it = headscale("0.29.2");
    let fresh = decide(&observed(&it, None, &secrets, &inputs));
    assert!(!fresh.apply.unwrap().inputs.backup);
    let with_copy = Inputs { backup: true, ..Inputs::default() };
    let set = set_of(&it, &with_copy, true);
    let decision = decide(&observed(&it, Some(&set), &secrets, &inputs));
    assert!(decision.apply.unwrap().inputs.backup);
    assert_eq!(decision.step, None);
}

#[test]
fn a_stateful_set_that_is_gone_does_not_forget_the_version_of_its_database() {
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let mut it = headscale("0.30.0");
    it.status = Some(HeadscaleStatus { version: Some("0.28.0".to_owned()), ..Default::default() });
    let decision = decide(&observed(&it, None, &secrets, &inputs));
    // Nothing is healthy, so what was there comes first.
    assert_eq!(decision.apply.unwrap().headscale.spec.version, "0.28.0");
}

#[test]
fn an_image_with_a_digest_is_not_changed_beside_its_version() {
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let pinned = |version: &str| {
        let mut it = headscale(version);
        it.spec.image = Some(format!("headscale/headscale@sha256:{}", "a".repeat(64)));
        it
    };
    let mut set = set_of(&pinned("0.28.0"), &inputs, false);
    let annotation = ("headscale.infrado.cloud/version".to_owned(), "0.28.0".to_owned());
    set.metadata.annotations = Some([annotation].into());
    assert_eq!(version_of(&set).as_deref(), Some("0.28.0"));
    let it = pinned("0.29.2");
    let decision = decide(&observed(&it, Some(&set), &secrets, &inputs));
    assert!(decision.apply.is_none() && decision.waiting.is_some(), "{decision:?}");
}

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

/// Status and reason of each condition.
fn said(facts: &Facts<'_>) -> Vec<(String, String, String)> {
    let status = status(facts);
    let types = ["Ready", "Progressing", "Degraded"];
    types
        .into_iter()
        .map(|type_| {
            let condition = find(&status.conditions, type_).unwrap();
            assert_eq!(condition.observed_generation, Some(3));
            (condition.status.clone(), condition.reason.clone(), condition.message.clone())
        })
        .collect()
}

#[test]
fn conditions_say_how_things_are() {
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let it = headscale("0.29.2");
    let ready = set_of(&it, &inputs, true);
    let rolling = set_of(&it, &inputs, false);
    let decision = decide(&observed(&it, Some(&ready), &secrets, &inputs));
    let works = Verdict::good("KeyWorks", "it works");
    let refused = Verdict::bad("KeyRefused", "no");
    let crash = Trouble { reason: "CrashLoop", message: "it ends".to_owned() };
    let taken = Block::new("NameTaken", "Service hs");
    let volume = Block::new("VolumeNotGrown", "no");
    let facts = Facts {
        headscale: &it,
        decision: &decision,
        refused: None,
        set: Some(&ready),
        trouble: None,
        is_overdue: false,
        volume: None,
        policy: None,
        api_key: Some(&works),
        now: Timestamp::UNIX_EPOCH,
    };
    let mut off = it.clone();
    off.spec.replicas = 0;
    let mut own_key = it.clone();
    own_key.spec.api_key = serde_json::from_value(json!({ "auto_manage": false })).unwrap();
    let cases = [
        ("as it should", facts, ["True Reconciled", "False Complete", "False AsExpected"]),
        (
            "no key",
            Facts { api_key: Some(&refused), ..facts },
            ["False APIKeyNotReady", "False Complete", "False AsExpected"],
        ),
        (
            "a key of its own",
            Facts { headscale: &own_key, api_key: Some(&refused), ..facts },
            ["True Reconciled", "False Complete", "False AsExpected"],
        ),
        (
            "rolling",
            Facts { set: Some(&rolling), ..facts },
            ["False PodNotReady", "True RollingOut", "False AsExpected"],
        ),
        (
            "crashing",
            Facts { set: Some(&rolling), trouble: Some(&crash), ..facts },
            ["False CrashLoop", "True RollingOut", "True CrashLoop"],
        ),
        (
            "overdue",
            Facts { set: Some(&rolling), is_overdue: true, ..facts },
            [
                "False PodNotReady",
                "False ProgressDeadlineExceeded",
                "True ProgressDeadlineExceeded",
            ],
        ),
        (
            "taken",
            Facts { refused: Some(&taken), ..facts },
            ["False NameTaken", "False NameTaken", "True NameTaken"],
        ),
        (
            "too small",
            Facts { volume: Some(&volume), ..facts },
            ["True Reconciled", "False Complete", "True VolumeNotGrown"],
        ),
        (
            "off",
            Facts { headscale: &off, ..facts },
            ["False ScaledToZero", "True ScalingDown", "False AsExpected"],
        ),
    ];
    for (name, facts, expected) in cases {
        let is: Vec<String> = said(&facts).iter().map(|it| format!("{} {}", it.0, it.1)).collect();
        assert_eq!(is, expected, "{name}");
    }
    let is = status(&facts);
    assert_eq!(is.version.as_deref(), Some("0.29.2"));
    assert_eq!(is.observed_generation, Some(3));
    assert!(find(&is.conditions, "SingleActive").is_none());
    let mut two = it.clone();
    two.spec.replicas = 2;
    let is = status(&Facts { headscale: &two, ..facts });
    let single = find(&is.conditions, "SingleActive").unwrap();
    assert!(single.message.contains("one server runs"), "{}", single.message);
    // Once written, it is the same again.
    let mut again = it.clone();
    again.status = Some(status(&facts));
    let later = Timestamp::from_second(1_000_000).unwrap();
    assert_eq!(Some(status(&Facts { headscale: &again, now: later, ..facts })), again.status);
}

#[test]
fn a_step_that_fails_says_how_to_go_back() {
    let (secrets, inputs) = (Keys::new(), Inputs::default());
    let mut it = headscale("0.30.0");
    it.status = Some(HeadscaleStatus { version: Some("0.28.0".to_owned()), ..Default::default() });
    let with_copy = Inputs { backup: true, ..Inputs::default() };
    let set = set_of(&headscale("0.29.2"), &with_copy, false);
    let decision = decide(&observed(&it, Some(&set), &secrets, &inputs));
    assert_eq!(decision.apply.as_ref().unwrap().headscale.spec.version, "0.29.2");
    let crash = Trouble { reason: "CrashLoop", message: "it ends".to_owned() };
    let facts = Facts {
        headscale: &it,
        decision: &decision,
        refused: None,
        set: Some(&set),
        trouble: Some(&crash),
        is_overdue: true,
        volume: None,
        policy: None,
        api_key: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let [ready, progressing, degraded] = <[_; 3]>::try_from(said(&facts)).unwrap();
    assert_eq!((&*ready.0, &*ready.1), ("False", "CrashLoop"));
    assert_eq!((&*progressing.0, &*progressing.1), ("False", "ProgressDeadlineExceeded"));
    assert_eq!((&*degraded.0, &*degraded.1), ("True", "CrashLoop"));
    for text in ["0.28.0 to 0.29.2", "delete StatefulSet hs", "spec.version to 0.28.0", "backup"] {
        assert!(degraded.2.contains(text), "{}", degraded.2);
    }
    assert_eq!(status(&facts).version.as_deref(), Some("0.28.0"), "it never ran");
}

#[test]
fn all_that_the_pod_reads_is_required_unless_it_may_be_missing() {
    let mut it = headscale("0.29.2");
    let spec = json!({
        "version": "0.29.2",
        "replicas": 1,
        "secrets": {
            "database_password": { "name": "db", "key": "password" },
            "tls": { "name": "tls" },
            "ca": { "name": "ca", "key": "ca.crt" },
        },
        "extra_env": [
            { "name": "A", "valueFrom": { "secretKeyRef": { "name": "env", "key": "a" } } },
            {
                "name": "B",
                "valueFrom": { "secretKeyRef": { "name": "maybe", "key": "b", "optional": true } },
            },
        ],
        "extra_volumes": [
            { "name": "v", "secret": { "secretName": "vol", "items": [{ "key": "k", "path": "p" }] } },
            { "name": "unseen", "secret": { "secretName": "unseen" } },
            { "name": "w", "projected": { "sources": [
                { "secret": { "name": "part" } },
                { "secret": { "name": "maybe", "optional": true } },
            ] } },
        ],
        "extra_volume_mounts": [
            { "name": "v", "mountPath": "/v" },
            { "name": "w", "mountPath": "/w" },
        ],
    });
    it.spec = serde_json::from_value(spec).unwrap();
    let names: Vec<String> = requirements(&it.spec)
        .into_iter()
        .map(|it| format!("{}/{}", it.secret, it.key.unwrap_or_default()))
        .collect();
    let expected = [
        "db/password",
        "ca/ca.crt",
        "tls/tls.crt",
        "tls/tls.key",
        "env/a",
        "vol/",
        "vol/k",
        "part/",
    ];
    assert_eq!(names, expected);
    let known: Keys = [
        ("db".to_owned(), None),
        ("tls".to_owned(), Some(BTreeSet::from(["tls.crt".to_owned()]))),
        ("part".to_owned(), None),
    ]
    .into();
    assert_eq!(
        missing(&it.spec, &known),
        [
            "Secret db is not there, which spec.secrets.database_password names",
            "Secret tls has no key tls.key, which spec.secrets.tls names",
            "Secret part is not there, which spec.extra_volumes[2].projected.sources[0].secret \
             names",
        ]
    );
}

fn entry(manager: &str, operation: &str, subresource: &str, fields: &Value) -> ManagedFieldsEntry {
    serde_json::from_value(json!({
        "manager": manager,
        "operation": operation,
        "subresource": subresource,
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }))
    .unwrap()
}

#[test]
fn what_the_go_operator_owns_becomes_ours_and_nobody_elses() {
    let theirs = entry("manager", "Update", "", &json!({ "f:spec": { "f:a": {}, "f:b": {} } }));
    let status = entry("manager", "Update", "status", &json!({ "f:status": {} }));
    let person = entry("kubectl-edit", "Update", "", &json!({ "f:spec": { "f:c": {} } }));
    let ours = entry("headscale-operator", "Apply", "", &json!({ "f:spec": { "f:a": {} } }));
    assert_eq!(taken_over(&[person.clone(), ours.clone(), status.clone()]), None);
    let all = taken_over(&[theirs.clone(), status.clone(), person.clone()]).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].manager.as_deref(), Some("headscale-operator"));
    assert_eq!(all[0].operation.as_deref(), Some("Apply"));
    assert_eq!(all[1..], [status, person]);
    let more = entry("headscale-operator", "Apply", "", &json!({ "f:spec": { "f:d": {} } }));
    let all = taken_over(&[more, theirs]).unwrap();
    assert_eq!(
        serde_json::to_value(&all[0].fields_v1).unwrap(),
        json!({ "f:spec": { "f:d": {}, "f:a": {}, "f:b": {} } })
    );
}

#[test]
fn items_that_others_add_to_lists_become_ours_and_go() {
    let port = json!({ ".": {}, "f:port": {} });
    let ports = json!({ "k:{\"port\":1,\"protocol\":\"TCP\"}": port });
    let person =
        entry("kubectl-edit", "Update", "", &json!({ "f:spec": { "f:ports": ports, "f:c": {} } }));
    let ours = entry("headscale-operator", "Apply", "", &json!({ "f:spec": { "f:a": {} } }));
    let all = taken_over(&[person, ours]).unwrap();
    let fields = |entry: &ManagedFieldsEntry| serde_json::to_value(&entry.fields_v1).unwrap();
    assert_eq!(fields(&all[0]), json!({ "f:spec": { "f:a": {}, "f:ports": ports } }));
    assert_eq!(fields(&all[1]), json!({ "f:spec": { "f:ports": {}, "f:c": {} } }));
    assert_eq!(all[1].manager.as_deref(), Some("kubectl-edit"));
}

#[test]
fn an_object_is_as_applied_where_it_has_all_and_no_more_items() {
    let wanted = json!({ "a": 1, "list": [{ "name": "x", "v": 1 }], "empty": [], "no": false });
    assert!(has_all(
        &json!({ "a": 1, "list": [{ "name": "x", "v": 1, "d": 2 }], "b": 2 }),
        &wanted
    ));
    assert!(!has_all(&json!({ "a": 2, "list": [{ "name": "x", "v": 1 }] }), &wanted));
    assert!(!has_all(&json!({ "list": [{ "name": "x", "v": 1 }] }), &wanted));
    let more = json!({ "a": 1, "list": [{ "name": "x", "v": 1 }, { "name": "y" }] });
    assert!(!has_all(&more, &wanted));
}

#[test]
fn what_of_an_object_can_be_read_is_read() {
    let read = |spec: Value| -> Stored {
        serde_json::from_value(json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "Headscale",
            "metadata": { "name": "hs", "uid": "u" },
            "spec": spec,
        }))
        .unwrap()
    };
    let good = read(json!({ "version": "0.29.2", "replicas": 1 }));
    assert_eq!(good.unreadable, None);
    let bad = read(json!({
        "version": "0.29.2",
        "replicas": 1,
        "tolerations": [{ "key": 5 }],
        "affinity": "none",
        "config": { "server_url": "https://headscale.example.com" },
    }));
    assert_eq!(bad.headscale.spec.version, "0.29.2");
    assert!(bad.headscale.spec.config.is_some());
    let says = bad.unreadable.unwrap();
    assert!(says.contains("spec.tolerations cannot be read"), "{says}");
    assert!(says.contains("spec.affinity cannot be read"), "{says}");
    let none = read(json!({ "version": 5, "replicas": "one" }));
    let says = none.unreadable.unwrap();
    assert!(says.contains("spec.version") && says.contains("spec.replicas"), "{says}");
    assert_eq!(none.headscale.spec.version, "");
}
