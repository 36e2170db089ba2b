//! The instance that is meant where none is named.

use serde_json::Value;

use super::request;
use crate::error::CommandError;
use crate::kubernetes::{Cluster, Resource};

/// The name of the only instance in `namespace`.
///
/// # Errors
///
/// When there is none, or more than one.
pub(super) async fn instance(cluster: &Cluster, namespace: &str) -> Result<String, CommandError> {
    let resource = Resource::find("instance")?;
    let list = request::list(cluster, resource, namespace, None).await?;
    let items = list.get("items").and_then(Value::as_array);
    let name = |item: &Value| item.pointer("/metadata/name")?.as_str().map(str::to_owned);
    let mut names: Vec<String> = items.into_iter().flatten().filter_map(name).collect();
    match names.len() {
        0 => Err(CommandError::failed(format!("no instance in namespace {namespace:?}"))
            .hint("`kubectl headscale create instance NAME --server-url URL` makes one")
            .hint("-n names another namespace, --instance an instance that is not there yet")),
        1 => Ok(names.remove(0)),
        _ => {
            let all = names.join(", ");
            Err(CommandError::usage(format!(
                "which instance? namespace {namespace:?} has several: {all}"
            ))
            .hint("--instance names it"))
        }
    }
}
