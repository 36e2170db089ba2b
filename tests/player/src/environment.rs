//! The variables of a container.

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret};
use kube::ResourceExt as _;
use kube::api::Api;

use crate::volumes::Trouble;
use crate::world::World;

/// Those that the container is given, with what they refer to.
pub(crate) async fn of(
    world: &World,
    pod: &Pod,
    container: &Container,
) -> Result<Vec<(String, String)>, Trouble> {
    let mut variables = Vec::new();
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            None => Some(variable.value.clone().unwrap_or_default()),
            Some(source) => referred(world, pod, source).await?,
        };
        variables.extend(value.map(|value| (variable.name.clone(), value)));
    }
    Ok(variables)
}

/// What a variable refers to; `None` where it may be missing and is.
async fn referred(
    world: &World,
    pod: &Pod,
    source: &EnvVarSource,
) -> Result<Option<String>, Trouble> {
    let missing = |what: String| Trouble::new("CreateContainerConfigError", what);
    if let Some(reference) = &source.secret_key_ref {
        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
        let name = &reference.name;
        let secret = secrets.get_opt(name).await.map_err(Trouble::api)?;
        let is_there = secret.is_some();
        let value = secret.and_then(|secret| secret.data?.remove(&reference.key));
        return match value {
            Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes.0).into_owned())),
            None if reference.optional == Some(true) => Ok(None),
            None if is_there => Err(missing(format!(
                "couldn't find key {} in Secret {}/{name}",
                reference.key, world.namespace
            ))),
            None => Err(missing(format!("secret \"{name}\" not found"))),
        };
    }
    if let Some(reference) = &source.config_map_key_ref {
        let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
        let name = &reference.name;
        let map = maps.get_opt(name).await.map_err(Trouble::api)?;
        let value = map.and_then(|map| map.data?.remove(&reference.key));
        return match value {
            None if reference.optional != Some(true) => {
                Err(missing(format!("configmap \"{name}\" not found")))
            }
            value => Ok(value),
        };
    }
    let field = source.field_ref.as_ref().map(|field| field.field_path.as_str());
    Ok(match field {
        Some("metadata.name") => Some(pod.name_any()),
        Some("metadata.namespace") => Some(world.namespace.clone()),
        Some("metadata.uid") => pod.uid(),
        Some("status.podIP") => Some("127.0.0.1".to_owned()),
        _ => None,
    })
}
