//! What the objects of an instance are called, and how its pods are found.

use std::collections::BTreeMap;

use thiserror::Error;

/// The longest name that an instance can have: the pods carry a label with it and eleven more
/// characters, and labels have 63.
const LONGEST: usize = 52;

/// Names of the objects of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the StatefulSet, the Service, the Ingress, and the ServiceAccount with its Role and
    /// RoleBinding.
    pub main: String,
    /// Of the ConfigMap.
    pub config: String,
    /// Of the Service for metrics.
    pub metrics: String,
    /// Of the Secret of the API key, where the spec does not name it.
    pub api_key: String,
}

impl Names {
    /// Those of a new instance, so that several have room in one namespace.
    #[must_use]
    pub fn of(instance: &str) -> Self {
        Self {
            main: instance.to_owned(),
            config: format!("{instance}-config"),
            metrics: format!("{instance}-metrics"),
            api_key: format!("{instance}-api-key"),
        }
    }

    /// Those that v0.2.2 of the Go operator gave to every instance.
    #[must_use]
    pub fn legacy() -> Self {
        Self::of("headscale")
    }

    /// Of the Secret with the secrets that the spec has inline, where it has some.
    #[must_use]
    pub fn inline_secrets(&self) -> String {
        format!("{}-secrets", self.config)
    }
}

/// The labels of all objects of the instance, which its pods are selected by. They are the Go
/// operator's, because a selector never changes.
#[must_use]
pub fn labels(instance: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "headscale"),
        ("app.kubernetes.io/instance", instance),
        ("app.kubernetes.io/managed-by", "headscale-operator"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Why an instance cannot have a name, although a `Headscale` can.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// It has no characters, or more than pods have room for.
    #[error("the name has {0} characters, expected 1 to {LONGEST}: its pods carry it in a label")]
    Length(usize),
    /// A Service cannot be called that.
    #[error(
        "the name {0:?} is also a Service's: expected lower case letters, digits and '-', a letter \
         first and no '-' last"
    )]
    Characters(String),
}

/// Whether the objects of a new instance can have its name: names of Services are stricter than that
/// of a `Headscale`.
///
/// # Errors
///
/// When the API server would refuse one of the objects.
pub fn check_name(instance: &str) -> Result<(), NameError> {
    let length = instance.chars().count();
    if !(1..=LONGEST).contains(&length) {
        return Err(NameError::Length(length));
    }
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_good = instance.bytes().all(is_known)
        && instance.starts_with(|first: char| first.is_ascii_lowercase())
        && !instance.ends_with('-');
    if is_good { Ok(()) } else { Err(NameError::Characters(instance.to_owned())) }
}
