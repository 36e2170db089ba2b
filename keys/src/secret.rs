//! How key and record lie in a Secret: names that consumers and the Go sidecar know.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use thiserror::Error;

use crate::api_key::ApiKey;
use crate::current::Record;
use crate::plan::Stored;

/// The two labels by which a Secret is ours, and the Go sidecar's.
pub const OWNER_LABELS: [(&str, &str); 2] = [
    ("app.kubernetes.io/managed-by", "headscale-operator"),
    ("app.kubernetes.io/component", "api-key"),
];
/// When the key expires, RFC 3339.
pub const EXPIRATION_ANNOTATION: &str = "api-key.headscale.infrado.cloud/expiration";
/// When the key was made, RFC 3339.
pub const CREATED_AT_ANNOTATION: &str = "api-key.headscale.infrado.cloud/created-at";
/// The [`Record`] as JSON.
pub const RECORD_ANNOTATION: &str = "api-key.headscale.infrado.cloud/record";
/// The key's text.
pub const KEY: &str = "api-key";
/// When the key expires, once more.
pub const EXPIRATION: &str = "expiration";
/// When the key was made, once more.
pub const CREATED_AT: &str = "created-at";
/// The only type of Secret that is written.
pub const TYPE: &str = "Opaque";

/// A Secret's labels, annotations and data. Whatever is not ours in them is left as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `data`, decoded.
    pub data: BTreeMap<String, Vec<u8>>,
    /// `type`; where it is absent, Kubernetes means `Opaque`.
    pub kind: Option<String>,
    /// `immutable`: no key can be written to it.
    pub immutable: bool,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of `data` are secrets.
        f.debug_struct("Contents")
            .field("labels", &self.labels)
            .field("annotations", &self.annotations)
            .field("data", &self.data.keys())
            .field("kind", &self.kind)
            .field("immutable", &self.immutable)
            .finish()
    }
}

/// Why a Secret is not ours to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Foreign {
    /// It does not have the label, or with another value.
    #[error(
        "it belongs to somebody else: label {label} is {found}, expected {expected}; choose \
         another --secret-name, or delete the Secret if nothing uses it"
    )]
    Label {
        /// The label's name.
        label: &'static str,
        /// The value that makes it ours.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// It is of another type, which cannot be changed.
    #[error(
        "it is of type {0}, expected Opaque; choose another --secret-name, or delete the Secret"
    )]
    Type(String),
    /// Nobody can write to it.
    #[error("it is immutable; delete the Secret, and it is made anew")]
    Immutable,
}

/// What was read out of a Secret of ours.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What a plan is made from.
    pub stored: Stored,
    /// The key, where there is a whole one.
    pub key: Option<ApiKey>,
    /// What is wrong with it, a line each; never with any part of the key.
    pub defects: Vec<String>,
}

impl Contents {
    /// Those of a Secret that is to be made: ours, and empty.
    #[must_use]
    pub fn ours() -> Self {
        let labels = OWNER_LABELS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { labels: BTreeMap::from(labels), kind: Some(TYPE.to_owned()), ..Self::default() }
    }

    /// Reads key and record. What cannot be read is told in `defects` and otherwise taken as
    /// absent, so that it is written anew.
    ///
    /// # Errors
    ///
    /// When the Secret is not ours.
    pub fn load(&self) -> Result<Loaded, Foreign> {
        for (label, expected) in OWNER_LABELS {
            let found = self.labels.get(label).map(String::as_str);
            if found != Some(expected) {
                let found = found.map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
                return Err(Foreign::Label { label, expected, found });
            }
        }
        if let Some(kind) = self.kind.as_deref().filter(|kind| !kind.is_empty() && *kind != TYPE) {
            return Err(Foreign::Type(kind.to_owned()));
        }
        if self.immutable {
            return Err(Foreign::Immutable);
        }
        let mut defects = Vec::new();
        let record = self.annotations.get(RECORD_ANNOTATION).and_then(|text| {
            let read = Record::from_json(text);
            let why = read.as_ref().err().map(|error| {
                format!(
                    "annotation {RECORD_ANNOTATION} is not the record that was written: {error}"
                )
            });
            defects.extend(why);
            read.ok()
        });
        let key = self.data.get(KEY).and_then(|bytes| {
            let read = std::str::from_utf8(bytes).ok().and_then(|text| ApiKey::parse(text).ok());
            if read.is_none() {
                let count = bytes.len();
                defects.push(format!("data.{KEY} ({count} bytes) is not a whole API key"));
            }
            read
        });
        let created_at = self.time(CREATED_AT_ANNOTATION, &mut defects);
        self.time(EXPIRATION_ANNOTATION, &mut defects);
        let tidy = record.as_ref().is_some_and(|record| {
            let mut written = self.clone();
            written.write(record, None);
            written == *self
        });
        let prefix = key.as_ref().map(|key| key.prefix().clone());
        Ok(Loaded { stored: Stored { record, prefix, created_at, tidy }, key, defects })
    }

    fn time(&self, annotation: &'static str, defects: &mut Vec<String>) -> Option<Timestamp> {
        let text = self.annotations.get(annotation)?;
        let read = text.parse();
        if read.is_err() {
            defects.push(format!(
                "annotation {annotation} is {:?}, expected a time such as 2027-01-31T12:00:00Z",
                text.chars().take(64).collect::<String>()
            ));
        }
        read.ok()
    }

    /// Writes the record, what follows from it, and the key if there is a new one. Without a new
    /// one the old stays, whatever the record says.
    pub fn write(&mut self, record: &Record, new: Option<&ApiKey>) {
        let mut annotate = |name: &str, value: String| {
            self.annotations.insert(name.to_owned(), value);
        };
        annotate(RECORD_ANNOTATION, record.to_json());
        if let Some(current) = &record.current {
            let expiration = current.token.to_string();
            annotate(EXPIRATION_ANNOTATION, expiration.clone());
            self.data.insert(EXPIRATION.to_owned(), expiration.into_bytes());
            if let Some(created_at) = current.created_at {
                let created_at = created_at.to_string();
                self.annotations.insert(CREATED_AT_ANNOTATION.to_owned(), created_at.clone());
                self.data.insert(CREATED_AT.to_owned(), created_at.into_bytes());
            } else {
                self.annotations.remove(CREATED_AT_ANNOTATION);
                self.data.remove(CREATED_AT);
            }
        }
        if let Some(key) = new {
            self.data.insert(KEY.to_owned(), key.expose().as_bytes().to_vec());
        }
    }
}
