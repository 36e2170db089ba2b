//! Any spec gives objects, and the same ones.

use std::panic::{AssertUnwindSafe, catch_unwind};

use headscale_api::desired::{Existing, Inputs, Names, desired_state};
use headscale_api::kinds::Headscale;
use k8s_openapi::api::core::v1::{EnvVar, Volume, VolumeMount};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Keys that something here reads, and some that nothing does.
const KEYS: [&str; 24] = [
    "server_url",
    "listen_addr",
    "metrics_listen_addr",
    "grpc_listen_addr",
    "unix_socket",
    "tls_cert_path",
    "tls_key_path",
    "tls_letsencrypt_hostname",
    "tls_letsencrypt_listen",
    "noise",
    "private_key_path",
    "derp",
    "server",
    "enabled",
    "stun_listen_addr",
    "database",
    "type",
    "sqlite",
    "path",
    "policy",
    "mode",
    "oidc",
    "client_secret",
    "unknown",
];

const TEXTS: [&str; 16] = [
    "",
    "/",
    "//",
    "/a",
    "/tmp/x",
    "/etc/headscale/x",
    "/var/lib/headscale/x",
    "relative",
    ":",
    ":http",
    "[::]:65536",
    "0.0.0.0:8081",
    "https://[::1",
    "http://user@host:99999/path",
    "postgres",
    "database",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned), any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![
            4 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(key, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A spec with texts of any kind wherever it has texts.
fn headscale() -> impl Strategy<Value = Headscale> {
    let names = (of(text()), of(text()), text(), of(text()), any::<i32>());
    let key = (of(any::<bool>()), of(text()), of(text()), of(text()), of(text()));
    let secrets = (of(text()), of(text()), of(text()), of(text()));
    let lists = (vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3));
    let ways = (of(text()), of(text()), of(text()), any::<bool>(), of(text()), of(text()));
    (names, value(), key, secrets, lists, ways).prop_map(
        |((name, namespace, version, image, replicas), config, key, secrets, lists, ways)| {
            let reference =
                |name: Option<String>| name.map(|name| json!({ "name": name, "key": name }));
            let mut spec = json!({
                "version": version,
                "image": image,
                "replicas": replicas,
                "api_key": {
                    "auto_manage": key.0,
                    "secret_name": key.1,
                    "expiration": key.2,
                    "rotation_buffer": key.3,
                    "manager_image": key.4,
                },
                "secrets": {
                    "database_password": reference(secrets.0),
                    "oidc_client_secret": reference(secrets.1),
                    "ca": reference(secrets.2),
                    "tls": reference(secrets.3),
                },
                "image_pull_secrets": lists.0,
                "ingress": { "class_name": ways.0, "host": ways.1, "tls_secret_name": ways.2 },
                "service": { "load_balancer_class": ways.0 },
                "acl_policy": { "inline": ways.4, "tag_owners": { "tag:a": lists.0 } },
                "persistent_volume_claim": { "size": ways.5, "storage_class_name": ways.0 },
            });
            if !ways.3 {
                spec["ingress"] = Value::Null;
            }
            if config.is_object() {
                spec["config"] = config;
            }
            let mut headscale: Headscale = serde_json::from_value(json!({
                "apiVersion": "headscale.infrado.cloud/v1beta1",
                "kind": "Headscale",
                "metadata": { "name": name, "namespace": namespace },
                "spec": spec,
            }))
            .expect("a Headscale");
            let named = |name: String| EnvVar { name, ..EnvVar::default() };
            headscale.spec.extra_env = lists.1.into_iter().map(named).collect();
            let named = |name: String| Volume { name, ..Volume::default() };
            headscale.spec.extra_volumes = lists.2.into_iter().map(named).collect();
            let at = |path: String| VolumeMount { mount_path: path, ..VolumeMount::default() };
            headscale.spec.extra_volume_mounts = lists.3.into_iter().map(at).collect();
            headscale
        },
    )
}

fn inputs() -> impl Strategy<Value = Inputs> {
    (of(text()), btree_map(text(), text(), 0..3), any::<bool>(), any::<bool>()).prop_map(
        |(policy, secret_hashes, is_legacy, backup)| {
            let names = is_legacy.then(Names::legacy);
            let existing = Existing { names, ..Existing::default() };
            Inputs { policy, secret_hashes, existing, backup, ..Inputs::default() }
        },
    )
}

fn bytes(headscale: &Headscale, inputs: &Inputs) -> String {
    let objects = desired_state(headscale, inputs);
    objects.iter().map(|object| object.to_value().to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_spec_gives_the_same_objects_twice(headscale in headscale(), inputs in inputs()) {
        let first = catch_unwind(AssertUnwindSafe(|| bytes(&headscale, &inputs)));
        prop_assert!(first.is_ok(), "it panics");
        prop_assert_eq!(first.unwrap_or_default(), bytes(&headscale, &inputs));
    }

    #[test]
    fn keys_of_lists_are_different(headscale in headscale(), inputs in inputs()) {
        for object in desired_state(&headscale, &inputs) {
            let value = object.to_value();
            different(&value["spec"]["ports"], &["port", "protocol"])?;
            let pod = &value["spec"]["template"]["spec"];
            different(&pod["volumes"], &["name"])?;
            different(&pod["imagePullSecrets"], &["name"])?;
            for container in pod["containers"].as_array().into_iter().flatten() {
                different(&container["env"], &["name"])?;
                different(&container["ports"], &["containerPort", "protocol"])?;
                different(&container["volumeMounts"], &["mountPath"])?;
            }
        }
    }
}

/// Server-side apply refuses a list with two items of one key.
fn different(list: &Value, keys: &[&str]) -> Result<(), TestCaseError> {
    let all: Vec<Vec<&Value>> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| keys.iter().map(|key| &item[*key]).collect())
        .collect();
    let twice = all.iter().enumerate().any(|(at, item)| all.iter().skip(at + 1).any(|i| i == item));
    prop_assert!(!twice, "{list}");
    Ok(())
}
