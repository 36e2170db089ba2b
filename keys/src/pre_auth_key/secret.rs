//! How the key and its record lie in a Secret: names that consumers and the Go operator know.

use std::collections::BTreeMap;

use super::plan::Stored;
use super::record::Record;
use crate::auth_key::AuthKey;
use crate::secret::{Contents, Foreign, TYPE};

/// The two labels of a pre-auth key's Secret, which the Go operator gives too. Whose it is, its
/// owner reference says.
pub const LABELS: [(&str, &str); 2] = [
    ("app.kubernetes.io/managed-by", "headscale-operator"),
    ("headscale.infrado.cloud/type", "preauth-key"),
];
/// The key's text.
pub const KEY: &str = "key";
/// The [`Record`] as JSON.
pub const RECORD_ANNOTATION: &str = "preauthkey.headscale.infrado.cloud/record";
/// When the key expires, RFC 3339.
pub const EXPIRATION_ANNOTATION: &str = "preauthkey.headscale.infrado.cloud/expiration";
/// Headscale's number of the key.
pub const KEY_ID_ANNOTATION: &str = "preauthkey.headscale.infrado.cloud/key-id";

/// What was read out of a Secret of ours.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What a plan is made from.
    pub stored: Stored,
    /// The key, where there is one.
    pub key: Option<AuthKey>,
    /// What is wrong with it, a line each; never with any part of the key.
    pub defects: Vec<String>,
}

/// The contents of a Secret that is to be made: ours, and without a key.
#[must_use]
pub fn ours() -> Contents {
    let labels = LABELS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Contents { labels: BTreeMap::from(labels), kind: Some(TYPE.to_owned()), ..Contents::default() }
}

/// Reads key and record. What cannot be read is told in `defects` and otherwise taken as absent, so
/// that it is written anew.
///
/// # Errors
///
/// [`Foreign`] when it is of a type that no key is written to, or immutable.
pub fn load(contents: &Contents) -> Result<Loaded, Foreign> {
    if let Some(kind) = contents.kind.as_ref().filter(|kind| *kind != TYPE) {
        return Err(Foreign::Type(kind.clone()));
    }
    if contents.immutable {
        return Err(Foreign::Immutable);
    }
    let mut defects = Vec::new();
    let record = contents.annotations.get(RECORD_ANNOTATION).and_then(|text| {
        let read = Record::from_json(text);
        if read.is_err() {
            defects
                .push(format!("annotation {RECORD_ANNOTATION} is not the record that was written"));
        }
        read.ok()
    });
    let text = contents.data.get(KEY).filter(|text| !text.is_empty());
    let key = text.and_then(|text| {
        let read = std::str::from_utf8(text).map(AuthKey::new);
        if read.is_err() {
            defects.push(format!("data.{KEY} ({} bytes) is no text", text.len()));
        }
        read.ok()
    });
    let tidy = record.as_ref().is_some_and(|record| {
        let mut written = contents.clone();
        write(&mut written, record, None);
        written == *contents
    });
    let holds = key.as_ref().map(|key| key.prefix().cloned());
    Ok(Loaded { stored: Stored { record, holds, tidy }, key, defects })
}

/// Writes the record, what follows from it, and the key if there is a new one. Without a new one
/// the old stays, whatever the record says.
pub fn write(contents: &mut Contents, record: &Record, new: Option<&AuthKey>) {
    for (name, value) in LABELS {
        contents.labels.insert(name.to_owned(), value.to_owned());
    }
    let annotations = &mut contents.annotations;
    annotations.insert(RECORD_ANNOTATION.to_owned(), record.to_json());
    if let Some(current) = &record.current {
        annotations.insert(EXPIRATION_ANNOTATION.to_owned(), current.token.to_string());
        annotations.insert(KEY_ID_ANNOTATION.to_owned(), current.key.id.to_string());
    } else {
        annotations.remove(EXPIRATION_ANNOTATION);
        annotations.remove(KEY_ID_ANNOTATION);
    }
    if let Some(key) = new {
        contents.data.insert(KEY.to_owned(), key.expose().as_bytes().to_vec());
    }
}
