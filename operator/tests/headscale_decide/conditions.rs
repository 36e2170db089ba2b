//! What the status says.

use headscale_api::desired::Inputs;
use headscale_api::kinds::HeadscaleStatus;
use headscale_operator::conditions::{Verdict, find};
use headscale_operator::headscale::decide::{Block, decide};
use headscale_operator::headscale::requirements::Keys;
use headscale_operator::headscale::rollout::Trouble;
use headscale_operator::headscale::status::{Facts, status};
use jiff::Timestamp;
use serde_json::json;

use crate::world::{headscale, observed, set_of};

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
