//! What Headscale reads.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::plan::{POLICY_FILE, Plan};

/// The configuration, and the policy where it is a file.
pub(super) fn config_map(plan: &Plan<'_>) -> ConfigMap {
    let mut data = BTreeMap::from([("config.yaml".to_owned(), plan.config.clone())]);
    data.extend(plan.policy.clone().map(|policy| (POLICY_FILE.to_owned(), policy)));
    ConfigMap {
        metadata: plan.metadata(&plan.names.config),
        data: Some(data),
        ..ConfigMap::default()
    }
}

/// The secrets that stand in the spec; `None` where there are none.
pub(super) fn inline_secrets(plan: &Plan<'_>) -> Option<Secret> {
    let secrets = plan.inline_secrets();
    if secrets.is_empty() {
        return None;
    }
    // Not `stringData`: a key that is left out there stays in the Secret.
    let data = secrets
        .iter()
        .map(|secret| (secret.environment(), ByteString(secret.expose().as_bytes().to_vec())))
        .collect();
    Some(Secret {
        metadata: plan.metadata(&plan.names.inline_secrets()),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    })
}
