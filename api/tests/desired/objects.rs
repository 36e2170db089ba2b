//! What the objects are.

use std::collections::BTreeSet;
use std::path::Path;

use headscale_api::desired::{DEFAULT_SIDECAR_IMAGE, Inputs, desired_state, labels};
use serde_json::Value;

use crate::cases::{Case, cases, named, published};

fn yaml(case: &Case) -> String {
    let objects = case.objects();
    let documents = objects.iter().map(|object| {
        format!("---\n{}", serde_saphyr::to_string(&object.to_value()).expect("YAML"))
    });
    documents.collect()
}

/// The pod of a StatefulSet.
fn pod(case: &Case) -> Value {
    let objects = case.objects();
    let set = objects.iter().find(|object| object.kind() == "StatefulSet").expect("a server");
    set.to_value()["spec"]["template"]["spec"].clone()
}

#[test]
fn the_objects_of_each_case_are_as_they_were() {
    for case in cases() {
        insta::assert_snapshot!(case.name.clone(), yaml(&case));
    }
}

#[test]
fn the_same_instance_gives_the_same_bytes() {
    for case in cases().into_iter().chain(published()) {
        assert_eq!(yaml(&case), yaml(&case), "{}", case.name);
    }
}

#[test]
fn manifests_begin_with_what_they_are() {
    for object in cases().iter().flat_map(Case::objects) {
        let value = object.to_value();
        let first: Vec<&str> =
            value.as_object().expect("an object").keys().take(3).map(String::as_str).collect();
        assert_eq!(first, ["apiVersion", "kind", "metadata"], "{object:?}");
        assert_eq!(value["apiVersion"], object.api_version());
        assert_eq!(value["kind"], object.kind());
        assert_eq!(value["metadata"]["name"], object.name());
    }
}

#[test]
fn no_two_objects_have_one_name() {
    for case in cases() {
        let objects = case.objects();
        let names: BTreeSet<_> =
            objects.iter().map(|object| (object.kind(), object.name().to_owned())).collect();
        assert_eq!(names.len(), objects.len(), "{}: {objects:?}", case.name);
    }
}

#[test]
fn the_sidecar_may_do_what_its_own_manifest_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sidecar/manifests/rbac.yaml");
    let text = std::fs::read_to_string(path).expect("the manifest");
    let manifest: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let rules = |objects: &[Value]| {
        objects.iter().find(|object| object["kind"] == "Role").expect("a Role")["rules"].clone()
    };
    let case = named("legacy");
    let objects: Vec<Value> = case.objects().iter().map(|object| object.to_value()).collect();
    assert_eq!(rules(&objects), rules(&manifest));
}

#[test]
fn secrets_stand_in_the_secret_alone() {
    let case = named("inline-secrets");
    for object in case.objects() {
        let text = object.to_value().to_string();
        assert!(!text.contains("hush"), "{object:?}");
        assert!(!format!("{object:?}").contains("hush"), "{object:?}");
    }
    let secrets: Vec<_> =
        case.objects().into_iter().filter(|object| object.kind() == "Secret").collect();
    assert_eq!(format!("{secrets:?}"), "[Secret/demo-config-secrets]");
}

#[test]
fn a_secret_by_reference_counts_before_one_in_the_configuration() {
    let case = named("postgres");
    assert!(!yaml(&case).contains("not-this-one"));
    assert!(case.objects().iter().all(|object| object.kind() != "Secret"));
}

#[test]
fn only_the_sidecar_has_a_token() {
    for case in cases() {
        let pod = pod(&case);
        assert_eq!(pod["automountServiceAccountToken"], false, "{}", case.name);
        for container in pod["containers"].as_array().expect("containers") {
            let mounts = container["volumeMounts"].to_string();
            let has_token = mounts.contains("/var/run/secrets/kubernetes.io/serviceaccount");
            assert_eq!(has_token, container["name"] == "apikey-manager", "{}", case.name);
        }
    }
}

#[test]
fn every_mount_has_its_volume() {
    for case in cases() {
        let pod = pod(&case);
        let volumes = pod["volumes"].as_array().expect("volumes").iter();
        let mut names: BTreeSet<&str> = volumes.filter_map(|v| v["name"].as_str()).collect();
        names.insert("data");
        for container in pod["containers"].as_array().expect("containers") {
            for mount in container["volumeMounts"].as_array().expect("mounts") {
                let name = mount["name"].as_str().expect("a name");
                assert!(names.contains(name), "{}: {mount}", case.name);
            }
        }
    }
}

#[test]
fn what_a_user_mounts_at_a_path_of_ours_counts_and_a_volume_with_a_name_of_ours_does_not() {
    let mut case = named("full");
    let mount = &mut case.headscale.spec.extra_volume_mounts[0];
    mount.mount_path = "/tmp/".to_owned();
    let pod = pod(&case);
    let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts").iter();
    let at_tmp: Vec<&Value> = mounts
        .filter(|mount| mount["mountPath"].as_str().expect("a path").starts_with("/tmp"))
        .map(|mount| &mount["name"])
        .collect();
    assert_eq!(at_tmp, ["records"]);
    let volumes = pod["volumes"].as_array().expect("volumes").iter();
    let config: Vec<&Value> = volumes.filter(|volume| volume["name"] == "config").collect();
    assert_eq!(config.len(), 1);
    assert_eq!(config[0]["configMap"]["name"], "demo-config");
}

#[test]
fn labels_are_those_of_the_go_operator() {
    let expected = [
        ("app.kubernetes.io/instance", "demo"),
        ("app.kubernetes.io/managed-by", "headscale-operator"),
        ("app.kubernetes.io/name", "headscale"),
    ];
    let labels = labels("demo");
    let labels: Vec<_> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, expected);
}

#[test]
fn the_sidecar_is_that_of_this_release() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(DEFAULT_SIDECAR_IMAGE.ends_with(&format!("/sidecar:v{version}")));
    let objects = desired_state(&named("minimal").headscale, &Inputs::default());
    let set = objects.iter().find(|object| object.kind() == "StatefulSet").expect("a server");
    let image = &set.to_value()["spec"]["template"]["spec"]["containers"][1]["image"];
    assert_eq!(image, DEFAULT_SIDECAR_IMAGE);
}
