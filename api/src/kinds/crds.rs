//! The definitions of all kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube_core::CustomResourceExt as _;

use super::column::Column;
use super::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser,
    auto_approver, headscale, names, policy, pre_auth_key, user,
};

/// Counts the changes of the schemas, so that a program can see that a cluster has older ones. Add
/// one whenever a schema changes between releases.
pub const CRD_VERSION: u32 = 1;

/// The definitions of all kinds, sorted by name and ready to apply. Each has the label
/// `app.kubernetes.io/part-of: headscale` and, as the annotation
/// `headscale.infrado.cloud/crd-version`, [`CRD_VERSION`].
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let kinds = [
        (Headscale::crd(), headscale::columns()),
        (HeadscaleAutoApprover::crd(), auto_approver::columns()),
        (HeadscalePolicy::crd(), policy::columns()),
        (HeadscalePreAuthKey::crd(), pre_auth_key::columns()),
        (HeadscaleUser::crd(), user::columns()),
    ];
    let mut crds: Vec<_> = kinds.map(|(crd, columns)| completed(crd, columns)).into();
    crds.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    crds
}

/// Adds what is not derived, and takes out what should not be.
fn completed(mut crd: CustomResourceDefinition, columns: Vec<Column>) -> CustomResourceDefinition {
    let labels = crd.metadata.labels.get_or_insert_default();
    labels.insert(names::PART_OF_LABEL.to_owned(), names::PART_OF.to_owned());
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert(names::CRD_VERSION_ANNOTATION.to_owned(), CRD_VERSION.to_string());
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    let columns: Vec<_> = columns.into_iter().map(Column::into_definition).collect();
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(columns.clone());
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            schema.title = None;
            leave_as_written(schema);
        }
    }
    crd
}

/// Takes out what would change an object or let a `null` in: what is derived says how Rust reads,
/// and Rust reads more than the API server should store. Lines of doc comments are joined, since
/// `kubectl explain` breaks them itself.
fn leave_as_written(schema: &mut JSONSchemaProps) {
    schema.default = None;
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        leave_as_written(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => leave_as_written(items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(leave_as_written),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(members)) = &mut schema.additional_properties {
        leave_as_written(members);
    }
}
