//! Secrets that the pod does not start without.

use std::collections::{BTreeMap, BTreeSet};

use headscale_api::kinds::HeadscaleSpec;
use k8s_openapi::api::core::v1::KeyToPath;

/// A key of a Secret, or the whole, that the spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The Secret.
    pub secret: String,
    /// Its key; `None` for the whole of it.
    pub key: Option<String>,
    /// The field that names it.
    pub field: String,
}

impl Requirement {
    fn new(secret: &str, key: Option<&str>, field: impl Into<String>) -> Self {
        Self { secret: secret.to_owned(), key: key.map(str::to_owned), field: field.into() }
    }
}

/// By the name of a Secret, the keys that it has; `None` where it is not there.
pub type Keys = BTreeMap<String, Option<BTreeSet<String>>>;

/// All that the spec names, but for what may be missing.
#[must_use]
pub fn requirements(spec: &HeadscaleSpec) -> Vec<Requirement> {
    let mut all = Vec::new();
    let secrets = spec.secrets.clone().unwrap_or_default();
    let references = [
        ("database_password", secrets.database_password),
        ("oidc_client_secret", secrets.oidc_client_secret),
        ("ca", secrets.ca),
    ];
    for (field, reference) in references {
        let Some(reference) = reference else { continue };
        let field = format!("spec.secrets.{field}");
        all.push(Requirement::new(&reference.name, Some(&reference.key), field));
    }
    if let Some(tls) = secrets.tls {
        for key in ["tls.crt", "tls.key"] {
            all.push(Requirement::new(&tls.name, Some(key), "spec.secrets.tls"));
        }
    }
    for (number, variable) in spec.extra_env.iter().enumerate() {
        let Some(source) = &variable.value_from else { continue };
        let Some(reference) = &source.secret_key_ref else { continue };
        if reference.optional != Some(true) {
            let field = format!("spec.extra_env[{number}].valueFrom.secretKeyRef");
            all.push(Requirement::new(&reference.name, Some(&reference.key), field));
        }
    }
    for (number, volume) in spec.extra_volumes.iter().enumerate() {
        // One that nothing mounts is not waited for.
        if !spec.extra_volume_mounts.iter().any(|mount| mount.name == volume.name) {
            continue;
        }
        let field = format!("spec.extra_volumes[{number}]");
        if let Some(secret) = volume.secret.as_ref().filter(|it| it.optional != Some(true)) {
            let name = secret.secret_name.clone().unwrap_or_default();
            mounted(&mut all, &name, secret.items.as_deref(), &format!("{field}.secret"));
        }
        let sources = volume.projected.as_ref().and_then(|projected| projected.sources.as_ref());
        for (number, source) in sources.into_iter().flatten().enumerate() {
            if let Some(secret) = source.secret.as_ref().filter(|it| it.optional != Some(true)) {
                let field = format!("{field}.projected.sources[{number}].secret");
                mounted(&mut all, &secret.name, secret.items.as_deref(), &field);
            }
        }
    }
    all.retain(|requirement| !requirement.secret.is_empty());
    all
}

fn mounted(all: &mut Vec<Requirement>, name: &str, items: Option<&[KeyToPath]>, field: &str) {
    all.push(Requirement::new(name, None, field));
    for item in items.unwrap_or_default() {
        all.push(Requirement::new(name, Some(&item.key), field));
    }
}

/// What is missing: a sentence for each, which names Secret, key and field. Secrets that `known`
/// does not have are not looked at.
#[must_use]
pub fn missing(spec: &HeadscaleSpec, known: &Keys) -> Vec<String> {
    let mut sentences = Vec::new();
    for requirement in requirements(spec) {
        let Requirement { secret, key, field } = requirement;
        let sentence = match (known.get(&secret), key) {
            (Some(None), _) => format!("Secret {secret} is not there, which {field} names"),
            (Some(Some(keys)), Some(key)) if !keys.contains(&key) => {
                format!("Secret {secret} has no key {key}, which {field} names")
            }
            _ => continue,
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}
