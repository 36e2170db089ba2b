//! What can be seen in the schemas without a server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use headscale_api::kinds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// The schemas of all kinds, by kind.
pub(crate) fn schemas() -> BTreeMap<String, Value> {
    kinds::crds()
        .iter()
        .map(|crd| {
            let crd = serde_json::to_value(crd).expect("JSON");
            let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind").to_owned();
            (kind, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
        })
        .collect()
}

/// Calls `visit` with the path and schema of each field, list and map of `schema`.
pub(crate) fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(&below, property, visit);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&format!("{path}.*"), &schema["additionalProperties"], visit);
    }
}

#[test]
fn every_field_is_described_in_sentences() {
    let mut wrong = Vec::new();
    for (kind, schema) in schemas() {
        walk("", &schema, &mut |path, schema| {
            // What an item is may be said at its list.
            if path.ends_with("[]") || path.ends_with(".*") {
                return;
            }
            let said = schema["description"].as_str().unwrap_or_default();
            let begins = said.chars().next().is_some_and(|c| c.is_uppercase() || c == '`');
            if !begins || !said.ends_with('.') || said.contains('\n') || said.contains("  ") {
                wrong.push(format!("{kind} {path}: {said:?}"));
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_defaulted_and_nothing_may_be_null() {
    for (kind, schema) in schemas() {
        walk("", &schema, &mut |path, schema| {
            assert_eq!(schema.get("default"), None, "{kind} {path}");
            assert_eq!(schema.get("nullable"), None, "{kind} {path}");
        });
    }
}

#[test]
fn conditions_are_the_same_everywhere() {
    let schemas = schemas();
    let of = |kind: &str| {
        let mut conditions =
            schemas[kind]["properties"]["status"]["properties"]["conditions"].clone();
        conditions["description"].take();
        conditions
    };
    for kind in schemas.keys() {
        assert_eq!(of(kind), of("Headscale"), "{kind}");
        assert_eq!(of(kind)["x-kubernetes-list-map-keys"][0], "type");
    }
}

#[test]
fn names_columns_and_labels_are_those_that_users_know() {
    let mut text = String::new();
    for crd in kinds::crds() {
        let names = &crd.spec.names;
        let columns: Vec<_> = crd.spec.versions[0]
            .additional_printer_columns
            .iter()
            .flatten()
            .map(|column| match column.priority {
                Some(priority) if priority > 0 => format!("({})", column.name),
                _ => column.name.clone(),
            })
            .collect();
        writeln!(
            text,
            "{} {} {:?}: {}",
            names.kind,
            names.plural,
            names.short_names.clone().unwrap_or_default(),
            columns.join(" "),
        )
        .expect("text");
        assert_eq!(names.categories.as_deref(), Some(["headscale".to_owned()].as_slice()));
        assert_eq!(crd.spec.scope, "Namespaced");
        let labels = crd.metadata.labels.expect("labels");
        assert_eq!(labels["app.kubernetes.io/part-of"], "headscale");
        let annotations = crd.metadata.annotations.expect("annotations");
        let version = &annotations["headscale.infrado.cloud/crd-version"];
        assert_eq!(*version, kinds::CRD_VERSION.to_string());
    }
    insta::assert_snapshot!(text, @r#"
    HeadscaleAutoApprover headscaleautoapprovers ["hsaa"]: Headscale Ready Age (Reason)
    HeadscalePolicy headscalepolicies ["hspolicy"]: Headscale Ready Age (Reachability) (Hash) (Reason)
    HeadscalePreAuthKey headscalepreauthkeys ["hspak", "hspre"]: Headscale HeadscaleUser UserID Tags Reusable Ephemeral Ready Age (KeyID) (Expires) (Used) (Reason)
    Headscale headscales ["hs"]: Version Ready URL Age (Running) (Reason)
    HeadscaleUser headscaleusers ["hsuser"]: Headscale Username Ready Age (UserID) (Email) (Reason)
    "#);
}

#[test]
fn the_yaml_reads_back_as_the_same_definitions() {
    let crds = kinds::crds();
    let all: Vec<CustomResourceDefinition> =
        serde_saphyr::from_multiple(&kinds::crds_yaml()).expect("definitions");
    assert_eq!(all, crds);
    let files = kinds::crd_files();
    assert_eq!(files.len(), crds.len());
    for ((name, text), crd) in files.iter().zip(&crds) {
        assert_eq!(*name, format!("{}.yaml", crd.spec.names.plural));
        let read: CustomResourceDefinition = serde_saphyr::from_str(text).expect("a definition");
        assert_eq!(read, *crd);
        assert!(text.starts_with("# Made by `cargo xtask generate`"), "{name}");
        // A bound such as `1.0` is nothing that a person would write.
        assert!(!text.lines().any(|line| line.contains("mum: ") && line.ends_with(".0")), "{name}");
    }
    assert_eq!(kinds::crds_yaml(), kinds::crds_yaml());
}

#[test]
fn the_reference_names_every_field() {
    let reference = kinds::reference();
    for (kind, schema) in schemas() {
        assert!(reference.contains(&format!("\n## {kind}\n")), "{kind}");
        walk("", &schema, &mut |path, _| {
            let is_field = !path.is_empty() && !path.ends_with("[]") && !path.ends_with(".*");
            if is_field && !path.contains("conditions[]") {
                assert!(reference.contains(&format!("| `{path}` |")), "{kind} {path}");
            }
        });
    }
}
