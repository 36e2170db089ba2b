//! The files of a config Secret, which nodes read: configs of tailscaled.
//!
//! What people write into them stays, comments too; only the auth key is the operator's.

use std::collections::BTreeMap;

use headscale_acl::hujson::{Change, Document, Kind, Node, apply, change};
use headscale_keys::AuthKey;
use headscale_keys::reissue::{CONFIG_VERSION, choose_config, config_capability};
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The file that is made where there is none: for capability version 106, which is of September
/// 2024 and knows every field that is written.
pub const FILE: &str = "cap-106.hujson";
/// The file of nodes that speak for the API server of Kubernetes, which has a format of its own.
const PROXY_FILE: &str = "config.hujson";
/// The field of the key, matched without regard to case as Go does.
const AUTH_KEY: &str = "AuthKey";

/// The files of a Secret by name.
pub type Files = BTreeMap<String, ByteString>;

/// Why a file cannot be read or written. It never contains what stands in one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// It is no HuJSON object.
    #[error("{file}:{line}:{column} is not HuJSON")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The key stands there twice.
    #[error("{file} has the field {AUTH_KEY} twice")]
    Twice {
        /// The file.
        file: String,
    },
    /// The key is no text.
    #[error("{file}: {AUTH_KEY} must be a string")]
    NotText {
        /// The file.
        file: String,
    },
    /// The key has no place in it.
    #[error("{file}: {AUTH_KEY} cannot be written")]
    NoPlace {
        /// The file.
        file: String,
    },
}

fn is_config(name: &str) -> bool {
    config_capability(name).is_some() || name == PROXY_FILE
}

/// The file that the node reads, of capability version `own` where that is known.
fn chosen(files: &Files, own: Option<u32>) -> Option<&str> {
    let names = files.keys().map(String::as_str);
    let proxy = || files.contains_key(PROXY_FILE).then_some(PROXY_FILE);
    choose_config(names, own.unwrap_or(u32::MAX)).or_else(proxy)
}

/// The key in the file that the node reads; `None` where it has none, or an empty one.
///
/// # Errors
///
/// When there is no telling.
pub fn key(files: &Files, own: Option<u32>) -> Result<Option<AuthKey>, DocumentError> {
    let Some(name) = chosen(files, own) else { return Ok(None) };
    let bytes = files.get(name).map_or(&[][..], |bytes| &bytes.0);
    let document = Document::parse(bytes);
    let Some(member) = member(&document, name)? else { return Ok(None) };
    match member.1.kind() {
        Kind::Null => Ok(None),
        Kind::String => {
            let text = member.1.as_str().unwrap_or_default();
            Ok((!text.is_empty()).then(|| AuthKey::new(&text)))
        }
        _ => Err(DocumentError::NotText { file: name.to_owned() }),
    }
}

/// Name and value of the field of the key.
fn member<'d>(
    document: &'d Document<'_>,
    file: &str,
) -> Result<Option<(String, Node<'d>)>, DocumentError> {
    if let Some(error) = document.errors().first() {
        return Err(syntax(file, document.text(), error.span.start as usize));
    }
    let root = document.root().filter(|root| root.kind() == Kind::Object);
    let root = root.ok_or_else(|| syntax(file, "", 0))?;
    let mut found = root.members().filter_map(|member| {
        let name = member.name.as_str()?.into_owned();
        name.eq_ignore_ascii_case(AUTH_KEY).then_some((name, member.value))
    });
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(DocumentError::Twice { file: file.to_owned() }),
    }
}

fn syntax(file: &str, text: &str, at: usize) -> DocumentError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    DocumentError::Syntax { file: file.to_owned(), line, column }
}

/// What a new file says beside the key.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// Where Headscale is for nodes. Without it they would go to Tailscale.
    pub server_url: &'a str,
    /// The node's name.
    pub hostname: &'a str,
}

/// The files with this key, or without one: each of them, for a node takes the one that it can
/// read. Where there is none for the node, it is made.
///
/// # Errors
///
/// When one cannot be read. Nothing must be written then.
pub fn with_key(
    files: &Files,
    own: Option<u32>,
    key: Option<&AuthKey>,
    defaults: Defaults<'_>,
) -> Result<Files, DocumentError> {
    let mut written = files.clone();
    for (name, bytes) in written.iter_mut().filter(|(name, _)| is_config(name)) {
        bytes.0 = edited(name, &bytes.0, key)?.into_bytes();
    }
    if chosen(files, own).is_none() {
        written.insert(FILE.to_owned(), ByteString(new(key, defaults).into_bytes()));
    }
    Ok(written)
}

fn edited(name: &str, bytes: &[u8], key: Option<&AuthKey>) -> Result<String, DocumentError> {
    let document = Document::parse(bytes);
    let present = member(&document, name)?.map(|(field, _)| field);
    let field = match (&present, name) {
        (Some(field), _) => field,
        (None, PROXY_FILE) => "authKey",
        (None, _) => AUTH_KEY,
    };
    let pointer = format!("/{field}");
    let json = key.map(|key| Value::from(key.expose()).to_string());
    let step = match (&json, &present) {
        (Some(json), _) => Change::Add { pointer: &pointer, json },
        (None, Some(_)) => Change::Remove { pointer: &pointer },
        (None, None) => return Ok(document.text().to_owned()),
    };
    let nowhere = || DocumentError::NoPlace { file: name.to_owned() };
    let edits = change(&document, &[step]).map_err(|_| nowhere())?;
    apply(document.text(), &edits).map_err(|_| nowhere())
}

fn new(key: Option<&AuthKey>, defaults: Defaults<'_>) -> String {
    let mut config = Map::new();
    config.insert("Version".to_owned(), json!(CONFIG_VERSION));
    config.insert("ServerURL".to_owned(), json!(defaults.server_url));
    if let Some(key) = key {
        config.insert(AUTH_KEY.to_owned(), json!(key.expose()));
    }
    config.insert("Hostname".to_owned(), json!(defaults.hostname));
    for off in ["acceptDNS", "acceptRoutes", "Locked"] {
        config.insert(off.to_owned(), json!(false));
    }
    format!("{:#}\n", Value::Object(config))
}
