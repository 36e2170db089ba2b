//! Requests about objects of our kinds, as they are and not as types: what a user wrote is sent,
//! and what the server keeps is shown.

use kube::api::{ListParams, PostParams};
use kube::core::Request;
use serde_json::Value;

use crate::error::CommandError;
use crate::kubernetes::{Cluster, Resource};

/// Makes `object`, or has the server judge it without keeping it, and gives what the server made of
/// it. Fields that the server does not know are errors.
pub(super) async fn create(
    cluster: &Cluster,
    resource: &Resource,
    namespace: &str,
    object: &Value,
    field_manager: &str,
    is_dry_run: bool,
) -> Result<Value, CommandError> {
    let params = PostParams { dry_run: is_dry_run, field_manager: Some(field_manager.to_owned()) };
    let unsent = |error: String| CommandError::failed(format!("cannot make the request: {error}"));
    let body = serde_json::to_vec(object).map_err(|error| unsent(error.to_string()))?;
    let mut request = Request::new(resource.path(Some(namespace)))
        .create(&params, body)
        .map_err(|error| unsent(error.to_string()))?;
    let uri = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = uri.parse().map_err(|_| unsent(uri))?;
    match cluster.client.request(request).await {
        Ok(made) => Ok(made),
        Err(error) => {
            let told = cluster.resource_error(error, resource);
            Err(if told.label.contains("AlreadyExists") {
                exists(told, resource, object)
            } else {
                told
            })
        }
    }
}

fn exists(error: CommandError, resource: &Resource, object: &Value) -> CommandError {
    let noun = resource.noun;
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    error
        .hint(format!("`kubectl headscale get {noun} {name}` shows it; take another name"))
        .hint("to change it, add `--dry-run=client -o yaml | kubectl apply -f -`")
}

/// The objects of `resource` in `namespace`, as a `List`; one of them where `name` says so.
pub(super) async fn list(
    cluster: &Cluster,
    resource: &Resource,
    namespace: &str,
    name: Option<&str>,
) -> Result<Value, CommandError> {
    let mut params = ListParams::default();
    if let Some(name) = name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    let request = Request::new(resource.path(Some(namespace)))
        .list(&params)
        .map_err(|error| CommandError::failed(format!("cannot make the request: {error}")))?;
    let listed = cluster.client.request(request).await;
    listed.map_err(|error| cluster.resource_error(error, resource))
}
