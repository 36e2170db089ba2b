//! Whole manifests: ours, and what the Go operator's releases stored and published.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use headscale_acl::{Options, Severity, Version};
use headscale_api::config::{self, Given};
use serde_json::Value;

use crate::cluster::Namespace;
use crate::typed::through_our_types;

/// The manifests of every file below `directory`, each with where it is from.
fn manifests(directory: &str) -> Vec<(String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut manifests = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        let name = file.file_name().expect("a name").display().to_string();
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        manifests.extend(documents.into_iter().map(|document| (name.clone(), document)));
    }
    manifests
}

/// Applies all, each in a namespace of its own file; what is stored must be what was applied, and
/// so must what our types make of it.
async fn apply_unchanged(directory: &str) {
    let manifests = manifests(directory);
    for (file, manifest) in &manifests {
        let read = through_our_types(manifest);
        assert_eq!(read["spec"], manifest["spec"], "{file}: our types change it");
        assert_eq!(read["metadata"], manifest["metadata"], "{file}: our types change it");
    }
    let mut namespaces = BTreeMap::new();
    for (file, manifest) in &manifests {
        if !namespaces.contains_key(file) {
            let Some(namespace) = Namespace::new().await else { return };
            namespaces.insert(file, namespace);
        }
        let namespace = &namespaces[file];
        // It belongs to this namespace here, whatever it names.
        let mut manifest = manifest.clone();
        manifest["metadata"].as_object_mut().expect("metadata").shift_remove("namespace");
        let stored = namespace
            .apply(&manifest)
            .await
            .unwrap_or_else(|said| panic!("{file} is refused: {said}\n{manifest:#}"));
        assert_eq!(stored["spec"], manifest["spec"], "{file}: the API server changes it");
        let labels = &manifest["metadata"]["labels"];
        assert_eq!(stored["metadata"]["labels"], *labels, "{file}");
        if manifest.get("status").is_some() {
            let stored = namespace.set_status(&manifest, &manifest["status"]).await;
            let stored = stored.unwrap_or_else(|said| panic!("{file}: the status: {said}"));
            assert_eq!(stored["status"], manifest["status"], "{file}: the status");
            assert_eq!(through_our_types(&stored)["status"], stored["status"], "{file}");
        }
    }
}

#[tokio::test]
async fn our_samples_apply_unchanged() {
    apply_unchanged("../examples/manifests").await;
}

#[tokio::test]
async fn what_the_go_operator_stored_and_published_applies_unchanged() {
    apply_unchanged("tests/kinds/go").await;
}

#[test]
fn there_is_a_sample_of_each_kind_and_a_set_of_all() {
    let kinds_in = |file: &str| -> Vec<String> {
        let all = manifests("../examples/manifests");
        let of = all.iter().filter(|(name, _)| name == file);
        of.map(|(_, manifest)| manifest["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    let mut complete = kinds_in("complete.yaml");
    complete.sort();
    let all: Vec<String> =
        headscale_api::kinds::crds().iter().map(|crd| crd.spec.names.kind.clone()).collect();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(complete, sorted);
    for kind in all {
        assert_eq!(kinds_in(&format!("{}.yaml", kind.to_lowercase())), [kind]);
    }
}

#[test]
fn nothing_is_wrong_with_our_samples() {
    for (file, manifest) in manifests("../examples/manifests") {
        let spec = &manifest["spec"];
        if let Some(policy) = spec["inline"].as_str() {
            let options = Options { versions: &[Version::V0_29], ..Options::default() };
            let found = headscale_acl::check(policy.as_bytes(), &options).findings;
            let worse: Vec<_> =
                found.iter().filter(|found| found.severity > Severity::Info).collect();
            assert!(worse.is_empty(), "{file}: {worse:#?}");
        }
        if spec["config"].is_object() {
            let elsewhere: &[_] = match spec["secrets"]["oidc_client_secret"] {
                Value::Null => &[],
                _ => &["oidc.client_secret"],
            };
            let given = Given { elsewhere: elsewhere.to_vec(), ..Given::default() };
            let rendered = config::render(&spec["config"], Version::V0_29, &given);
            assert!(rendered.notes.is_empty(), "{file}: {:#?}", rendered.notes);
            let whole = Value::Object(rendered.config);
            let found = config::check_beside(&whole, Version::V0_29, elsewhere);
            assert!(found.is_empty(), "{file}: {found:#?}");
        }
    }
}
