//! The chart and `render operator` make the same objects.

use std::collections::BTreeMap;

use headscale_api::kinds::crd_files;
use headscale_api::operator::{Options, VERSION, desired};
use serde_json::{Value, json};

use crate::helm::{Helm, NAMESPACE, chart, read};
use crate::values::sets;

/// Objects by what they are, without what only the chart has.
fn normalised(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let by_name = objects.into_iter().map(|mut object| {
        if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
            labels.remove("helm.sh/chart");
        }
        if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
            // What it comes to without a word from anybody.
            let policy = container.as_object_mut().and_then(|all| all.remove("imagePullPolicy"));
            assert!(policy.is_none_or(|policy| policy == "IfNotPresent"));
        }
        let metadata = &object["metadata"];
        let name = format!("{} {}/{}", object["kind"], metadata["namespace"], metadata["name"]);
        (name, object)
    });
    let count = by_name.len();
    let by_name: BTreeMap<_, _> = by_name.collect();
    assert_eq!(by_name.len(), count, "no object stands twice");
    by_name
}

#[test]
fn the_chart_makes_what_render_operator_prints() {
    let Some(helm) = Helm::new() else { return };
    let options = Options {
        namespace: NAMESPACE.to_owned(),
        with_namespace: false,
        managed_by: "Helm".to_owned(),
        ..Options::default()
    };
    let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
    let cases = [
        (json!({}), options.clone()),
        (json!({ "replicaCount": 3 }), Options { replicas: 3, ..options.clone() }),
        (
            json!({ "watchNamespaces": ["one", "two"] }),
            Options { watch_namespaces: list(&["one", "two"]), ..options.clone() },
        ),
        (
            json!({
                "logLevel": "debug",
                "sidecar": { "image": "registry.example:5000/sidecar:v1" },
                "args": ["--resync=1m"],
            }),
            Options {
                log_level: Some("debug".to_owned()),
                sidecar_image: Some("registry.example:5000/sidecar:v1".to_owned()),
                extra_args: list(&["--resync=1m"]),
                ..options.clone()
            },
        ),
        (
            json!({ "image": { "repository": "registry.example/operator", "tag": "v2" } }),
            Options { image: "registry.example/operator:v2".to_owned(), ..options.clone() },
        ),
        (
            json!({ "rbac": { "userRoles": false } }),
            Options { with_user_roles: false, ..options.clone() },
        ),
    ];
    for (values, options) in cases {
        let made = normalised(helm.template(&values).expect("objects"));
        let printed = normalised(desired(&options));
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&made), names(&printed), "{values}");
        for (name, object) in printed {
            assert_eq!(made[&name], object, "{values}: {name}");
        }
    }
}

#[test]
fn the_chart_is_of_the_version_of_the_operator() {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")).expect("YAML");
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], VERSION, "{field} in Chart.yaml");
    }
}

#[test]
fn the_chart_has_the_definitions_of_the_kinds() {
    let there = std::fs::read_dir(format!("{}/crds", chart())).expect("a folder");
    let mut there: Vec<_> = there
        .map(|file| file.expect("a file").file_name().into_string().expect("a name in UTF-8"))
        .collect();
    there.sort_unstable();
    let files = crd_files();
    assert_eq!(there, files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    for (name, text) in files {
        assert_eq!(read(&format!("crds/{name}")), text, "{name}");
    }
}

#[test]
fn the_chart_is_packed_under_the_name_that_is_released() {
    let Some(helm) = Helm::new() else { return };
    let folder = helm.folder().to_str().expect("a path in UTF-8");
    helm.run(&["package", &chart(), "--destination", folder]).expect("packed");
    assert!(helm.folder().join(format!("headscale-operator-{VERSION}.tgz")).is_file());
}

#[test]
fn helm_finds_nothing_wrong_with_the_chart() {
    let Some(helm) = Helm::new() else { return };
    for (name, values) in sets() {
        let said = helm.run_with(&values, &["lint", "--strict", &chart()]);
        assert!(said.is_ok(), "{name}: {said:?}");
    }
}
