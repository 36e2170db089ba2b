//! API keys, from wherever they are kept.

use headscale_api::kinds::Headscale;
use headscale_keys::ApiKey;
use headscale_keys::secret::{EXPIRATION, EXPIRATION_ANNOTATION, KEY};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use crate::error::CommandError;
use crate::kubernetes::Cluster;

/// The Secret that the Go operator's sidecar wrote for every instance.
const OLD_SECRET: &str = "headscale-api-key";

/// The key in a text, with or without white space around it.
pub(super) fn parse(text: &str) -> Option<ApiKey> {
    ApiKey::parse(text.trim()).ok()
}

/// The error where there is none.
pub(super) fn none_in(place: &str) -> CommandError {
    CommandError::failed(format!("there is no API key in {place}"))
        .hint("`headscale apikeys create` makes one: `hskey-api-` and 77 characters")
}

/// The key of an instance, and where it comes from, for messages.
///
/// # Errors
///
/// Where there is no Secret, or none with a key.
pub(super) async fn of_instance(
    name: &str,
    headscale: &Headscale,
    cluster: &Cluster,
    now: Timestamp,
) -> Result<(ApiKey, String), CommandError> {
    let secrets: Api<Secret> = cluster.api();
    let names = match headscale.spec.api_key().secret_name {
        Some(name) => vec![name],
        None => vec![format!("{name}-api-key"), OLD_SECRET.to_owned()],
    };
    let mut found = None;
    for name in &names {
        let secret = secrets.get_opt(name).await.map_err(|error| cluster.error(error))?;
        if let Some(secret) = secret {
            found = Some((name, secret));
            break;
        }
    }
    let Some((secret_name, secret)) = found else {
        let message = format!(
            "headscale/{name} has no API key: there is no secret/{}",
            names.join(" or secret/")
        );
        return Err(CommandError::failed(message).hint(
            "its sidecar makes one where `spec.api_key.auto_manage` is true; another one is named by \
             `spec.api_key.secret_name`",
        ));
    };
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key)?;
        std::str::from_utf8(&bytes.0).ok()
    };
    let Some(key) = text(KEY).and_then(parse) else {
        return Err(none_in(&format!("{KEY} of secret/{secret_name}")));
    };
    let annotations = secret.metadata.annotations.as_ref();
    let annotated = annotations.and_then(|all| all.get(EXPIRATION_ANNOTATION)).map(String::as_str);
    let expiration: Option<Timestamp> =
        annotated.or_else(|| text(EXPIRATION)).and_then(|text| text.trim().parse().ok());
    let place = match expiration {
        Some(then) if then <= now => format!("secret/{secret_name}, which expired at {then}"),
        Some(then) => format!("secret/{secret_name}, which says that it is good until {then}"),
        None => format!("secret/{secret_name}"),
    };
    Ok((key, place))
}
