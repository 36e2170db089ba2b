//! What is to be done.

use std::collections::BTreeSet;

use headscale_acl::Severity;
use headscale_api::desired::{Inputs, findings};
use headscale_api::kinds::HeadscaleStatus;
use headscale_operator::headscale::decide::{Observed, decide, version_of};
use headscale_operator::headscale::requirements::Keys;
use serde_json::json;

use crate::versions::{VERSIONS, number};
use crate::world::{headscale, observed, reason, set_of};

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
    // The policy that nobody declared is what Headscale says it is.
    seen.policy_unknown = Some("no answer");
    let decision = decide(&seen);
    assert_eq!((reason(&decision), &decision.step), ("", &None));
    assert_eq!(decision.apply.unwrap().headscale.spec.version, "0.28.0");
    assert!(decision.waiting.unwrap().contains("no answer"));
    seen.policy_unknown = None;
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
