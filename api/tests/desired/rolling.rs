//! What replaces a pod, and what does not.

use headscale_api::desired::{Inputs, Names, Object, desired_state};
use headscale_api::kinds::{Headscale, HeadscaleStatus, SecretKeyRef, ServiceType};
use serde_json::{Value, json};

use crate::cases::{Case, named};

/// The template of the pod, a change of which replaces it.
fn template(headscale: &Headscale, inputs: &Inputs) -> Value {
    let objects = desired_state(headscale, inputs);
    let is_server = |object: &&Object| object.kind() == "StatefulSet";
    objects.iter().find(is_server).expect("a server").to_value()["spec"]["template"].clone()
}

/// The annotations that differ between two templates, or `template` where more than those does.
fn rolled_by(before: &Value, after: &Value) -> Vec<String> {
    let annotations = |template: &Value| template["metadata"]["annotations"].clone();
    let (old, new) = (annotations(before), annotations(after));
    let mut rest = (before.clone(), after.clone());
    rest.0["metadata"]["annotations"] = Value::Null;
    rest.1["metadata"]["annotations"] = Value::Null;
    if rest.0 != rest.1 {
        return vec!["template".to_owned()];
    }
    let old = old.as_object().expect("annotations");
    let new = new.as_object().expect("annotations");
    let mut names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| old.get(name) != new.get(name));
    names
}

fn rolls(case: &str, change: impl FnOnce(&mut Headscale, &mut Inputs)) -> Vec<String> {
    let case = named(case);
    let (mut headscale, mut inputs) = (case.headscale.clone(), case.inputs.clone());
    change(&mut headscale, &mut inputs);
    rolled_by(&template(&case.headscale, &case.inputs), &template(&headscale, &inputs))
}

fn set(headscale: &mut Headscale, path: &str, value: Value) {
    let mut config = Value::Object(headscale.spec.config.clone().unwrap_or_default());
    let pointer = format!("/{}", path.replace('.', "/"));
    *config.pointer_mut(&pointer).expect("it is there") = value;
    headscale.spec.config = config.as_object().cloned();
}

const CONFIG: [&str; 1] = ["headscale.infrado.cloud/config-hash"];
const POLICY: [&str; 1] = ["headscale.infrado.cloud/policy-hash"];
const SECRETS: [&str; 1] = ["headscale.infrado.cloud/secrets-hash"];
const NOTHING: [&str; 0] = [];

#[test]
fn what_the_server_does_not_read_rolls_nothing() {
    let rolled = rolls("full", |headscale, inputs| {
        let metadata = &mut headscale.metadata;
        metadata.labels = Some([("team".to_owned(), "x".to_owned())].into());
        metadata.annotations = Some([("note".to_owned(), "x".to_owned())].into());
        metadata.generation = Some(7);
        metadata.resource_version = Some("12".to_owned());
        metadata.uid = Some("00000000-0000-0000-0000-000000000001".to_owned());
        headscale.status = Some(HeadscaleStatus { replicas: Some(1), ..Default::default() });
        let spec = &mut headscale.spec;
        spec.replicas = 0;
        spec.ingress = None;
        spec.upgrade = Some(Default::default());
        spec.service.as_mut().expect("a service").type_ = Some(ServiceType::NodePort);
        spec.persistent_volume_claim = None;
        inputs.secret_hashes.insert("unrelated".to_owned(), "1".to_owned());
        inputs.policy = Some("{}".to_owned());
        spec.acl_policy = None;
    });
    assert_eq!(rolled, NOTHING);
}

#[test]
fn a_configuration_that_means_the_same_rolls_nothing() {
    let rolled = rolls("minimal", |headscale, _| {
        let spec = &mut headscale.spec;
        let config = spec.config.as_mut().expect("a configuration");
        config.sort_keys();
        config.insert("listen_addr".to_owned(), json!("0.0.0.0:8080"));
        config.insert("randomize_client_port".to_owned(), json!(false));
    });
    assert_eq!(rolled, NOTHING);
}

#[test]
fn the_configuration_rolls() {
    let rolled = rolls("minimal", |headscale, _| {
        set(headscale, "dns.base_domain", json!("other.example.com"));
    });
    assert_eq!(rolled, CONFIG);
}

#[test]
fn a_policy_in_a_file_rolls_and_one_in_the_database_does_not() {
    let change = |headscale: &mut Headscale, _: &mut Inputs| {
        headscale.spec.acl_policy.as_mut().expect("a policy").inline = Some("{} //".to_owned());
    };
    assert_eq!(rolls("policy-file", change), POLICY);
    assert_eq!(rolls("full", change), NOTHING);
}

#[test]
fn the_policy_that_is_given_counts_before_that_of_the_spec() {
    let case = named("policy-file");
    let inputs = Inputs { policy: Some("{\"acls\": []}".to_owned()), ..case.inputs };
    let objects = desired_state(&case.headscale, &inputs);
    let map = objects.iter().find(|object| object.kind() == "ConfigMap").expect("a ConfigMap");
    insta::assert_snapshot!(
        map.to_value()["data"]["policy.hujson"].as_str().expect("a policy"),
        @r#"{"acls": [], "randomizeClientPort": true}"#
    );
}

#[test]
fn a_secret_that_is_read_at_the_start_rolls_and_another_does_not() {
    let rolled = |secret: &str| {
        rolls("postgres", |_, inputs| {
            inputs.secret_hashes.insert(secret.to_owned(), "5678".to_owned());
        })
    };
    assert_eq!(rolled("demo-database"), SECRETS);
    assert_eq!(rolled("demo-oidc"), SECRETS);
    assert_eq!(rolled("somebody-elses"), NOTHING);
}

#[test]
fn a_secret_in_the_configuration_rolls_by_what_is_known_of_its_secret() {
    let rolled = rolls("inline-secrets", |_, inputs| {
        inputs.secret_hashes.insert(Names::of("demo").inline_secrets(), "5678".to_owned());
    });
    assert_eq!(rolled, SECRETS);
    // A hash of the value would be one to try guesses on.
    let rolled = rolls("inline-secrets", |headscale, _| {
        set(headscale, "oidc.client_secret", json!("hush-another"));
    });
    assert_eq!(rolled, NOTHING);
    let rolled = rolls("minimal", |_, inputs| {
        inputs.secret_hashes.insert(Names::of("demo").inline_secrets(), "5678".to_owned());
    });
    assert_eq!(rolled, NOTHING);
}

#[test]
fn a_certificate_that_the_sidecar_does_not_check_by_rolls_nothing() {
    let rolled = |case: &str, change: fn(&mut Headscale)| {
        let Case { mut headscale, inputs, .. } = named(case);
        let reference = SecretKeyRef { name: "demo-ca".to_owned(), key: "ca.crt".to_owned() };
        headscale.spec.secrets.get_or_insert_default().ca = Some(reference);
        change(&mut headscale);
        let mut renewed = inputs.clone();
        renewed.secret_hashes.insert("demo-ca".to_owned(), "5678".to_owned());
        rolled_by(&template(&headscale, &inputs), &template(&headscale, &renewed))
    };
    assert_eq!(rolled("tls", |_| ()), SECRETS);
    assert_eq!(rolled("minimal", |_| ()), NOTHING);
    let unmanaged = |headscale: &mut Headscale| {
        headscale.spec.api_key.get_or_insert_default().auto_manage = Some(false);
    };
    assert_eq!(rolled("tls", unmanaged), NOTHING);
}

#[test]
fn a_secret_in_a_volume_of_the_user_rolls() {
    let Case { mut headscale, inputs, .. } = named("minimal");
    let volumes = json!([
        { "name": "certificate", "secret": { "secretName": "mine" } },
        { "name": "both", "projected": { "sources": [{ "secret": { "name": "also-mine" } }] } },
        { "name": "unseen", "secret": { "secretName": "unseen" } },
    ]);
    headscale.spec.extra_volumes = serde_json::from_value(volumes).expect("volumes");
    let mounts = json!([
        { "name": "certificate", "mountPath": "/srv/tls" },
        { "name": "both", "mountPath": "/srv/oidc" },
    ]);
    headscale.spec.extra_volume_mounts = serde_json::from_value(mounts).expect("mounts");
    for (secret, expected) in [("mine", &SECRETS[..]), ("also-mine", &SECRETS), ("unseen", &[])] {
        let mut renewed = inputs.clone();
        renewed.secret_hashes.insert(secret.to_owned(), "5678".to_owned());
        let rolled = rolled_by(&template(&headscale, &inputs), &template(&headscale, &renewed));
        assert_eq!(rolled, expected, "{secret}");
    }
}

#[test]
fn a_version_rolls() {
    let rolled = rolls("minimal", |headscale, _| headscale.spec.version = "0.29.3".to_owned());
    assert_eq!(rolled, ["template"]);
}
