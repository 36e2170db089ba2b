//! Plugins as registries keep them.

use headscale_policy_registry::{Annotations, Artifact, ArtifactError, Digest, Part};
use serde_json::{Value, json};

use crate::support;

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).expect("JSON");
    serde_json::to_string_pretty(&value).expect("JSON")
}

#[test]
fn the_layout() {
    let artifact =
        Artifact::pack(support::component("a"), Some("headscale:policy/plugin@0.1.0"), &{
            support::annotations()
        })
        .expect("it is a component");
    let told = format!("{}\n{}", pretty(artifact.manifest()), pretty(artifact.config()));
    let digests = [
        (Digest::of(artifact.component()), "COMPONENT"),
        (Digest::of(artifact.config()), "CONFIG"),
    ];
    let told = digests.iter().fold(told, |told, (digest, name)| told.replace(digest.hex(), name));
    insta::assert_snapshot!(told);
    assert_eq!(artifact.annotation("version"), Some("1.2.0"));
    assert_eq!(artifact.annotation("vendor"), None);
}

#[test]
fn the_same_component_has_the_same_digest() {
    assert_eq!(support::artifact("a"), support::artifact("a"));
    assert_ne!(support::artifact("a").digest(), support::artifact("b").digest());
    let other =
        Artifact::pack(support::component("a"), None, &Annotations::default()).expect("packed");
    assert_ne!(other.digest(), support::artifact("a").digest());
}

#[test]
fn what_is_packed_is_unpacked() {
    let artifact = support::artifact("a");
    let unpacked = Artifact::unpack(
        Some(artifact.digest()),
        artifact.manifest().to_vec(),
        artifact.config().to_vec(),
        artifact.component().to_vec(),
    );
    assert_eq!(unpacked, Ok(artifact));
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let artifact = support::artifact("a");
    let whole = [artifact.manifest(), artifact.config(), artifact.component()];
    let names = [Part::Manifest, Part::Config, Part::Component];
    for (part, name) in names.into_iter().enumerate() {
        for at in 0..whole[part].len() {
            let mut parts = whole.map(<[u8]>::to_vec);
            parts[part][at] ^= 1;
            let [manifest, config, component] = parts;
            let found = Artifact::unpack(Some(artifact.digest()), manifest, config, component);
            match found {
                Err(ArtifactError::Integrity { part, .. }) => assert_eq!(part, name),
                other => panic!("{name} at {at}: {other:?}"),
            }
        }
    }
}

/// What is said of the artifact with its manifest and configuration changed, the digests being
/// right.
fn changed(change: impl Fn(&mut Value, &mut Value)) -> String {
    let artifact = support::artifact("a");
    let mut manifest: Value = serde_json::from_slice(artifact.manifest()).expect("JSON");
    let mut config: Value = serde_json::from_slice(artifact.config()).expect("JSON");
    change(&mut manifest, &mut config);
    let config = config.to_string().into_bytes();
    if let Some(descriptor) = manifest.get_mut("config").and_then(Value::as_object_mut) {
        descriptor.insert("digest".into(), Digest::of(&config).to_string().into());
        descriptor.insert("size".into(), config.len().into());
    }
    let manifest = manifest.to_string().into_bytes();
    match Artifact::unpack(None, manifest, config, artifact.component().to_vec()) {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_plugin_says_what_it_is() {
    let told = [
        changed(|_, _| {}),
        changed(|_, config| config["future"] = json!([1])),
        changed(|manifest, _| manifest["artifactType"] = json!("application/x")),
        changed(|manifest, _| *manifest = json!("text")),
        changed(|manifest, _| *manifest = json!({"schemaVersion": 1})),
        changed(|manifest, _| *manifest = json!({"schemaVersion": 2, "manifests": []})),
        changed(|manifest, _| manifest["mediaType"] = json!("application/vnd.docker.v2")),
        changed(|manifest, _| {
            manifest["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        }),
        changed(|manifest, _| manifest["layers"] = json!([])),
        changed(|manifest, _| manifest["layers"][0]["mediaType"] = json!("application/tar")),
        changed(|manifest, _| manifest["layers"][0]["size"] = json!(200_u64 << 20)),
        changed(|manifest, _| manifest["layers"][0]["digest"] = json!("sha512:abc")),
        changed(|_, config| config["architecture"] = json!("amd64")),
        changed(|_, config| config["layerDigests"] = json!([])),
        changed(|_, config| *config = json!({})),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn only_components_are_packed() {
    let module = wat::parse_str("(module)").expect("well-formed");
    let mut broken = support::component("a");
    broken.pop();
    let evil = Annotations { title: Some("a\n::error::b".to_owned()), ..Annotations::default() };
    let large = [support::component("a"), vec![0; 32 << 20]].concat();
    let pack = |component, annotations| Artifact::pack(component, None, annotations);
    let told = [
        pack(module, &Annotations::default()),
        pack(b"#!/bin/sh".to_vec(), &Annotations::default()),
        pack(broken, &Annotations::default()),
        pack(large, &Annotations::default()),
        pack(support::component("a"), &evil),
    ];
    let told = told.map(|error| error.expect_err("refused").to_string());
    insta::assert_snapshot!(told.join("\n"));
}
