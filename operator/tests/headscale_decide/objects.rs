//! What is required of Secrets, and how objects are taken over and compared.

use std::collections::BTreeSet;

use headscale_operator::headscale::requirements::{Keys, missing, requirements};
use headscale_operator::headscale::subset::has_all;
use headscale_operator::headscale::takeover::taken_over;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Value, json};

use crate::world::headscale;

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
