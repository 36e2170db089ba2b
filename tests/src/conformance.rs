//! The recorded answers of Headscale and of the HuJSON reference implementation.
//!
//! Cases made for this project stand in `tests/conformance/`, one JSON object a line, gzipped. The
//! captures of Tailscale's service are not part of the repository: they are read from the folder
//! that `HEADSCALE_CONFORMANCE` names (default `../shared/conformance` beside the repository).

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A policy with what Headscale says of it.
#[derive(Debug, Deserialize)]
pub struct PolicyCase {
    /// Name of the case.
    pub id: String,
    /// Version of the Headscale that answered: `0.29.2`.
    pub version: String,
    /// The policy text.
    pub policy: String,
    /// Users and nodes, in the field names of Headscale's REST API.
    pub tailnet: serde_json::Value,
    /// The answer.
    pub expect: Expectation,
}

/// Headscale's answer to a policy.
#[derive(Debug, Deserialize)]
pub struct Expectation {
    /// What it says on load; `None` where the policy is valid.
    pub error: Option<String>,
    /// Where it stopped: `ok`, `parse`, `users`, `new`, `set` or `saas`.
    pub stage: String,
    /// What each node is told; absent where the policy does not load.
    #[serde(default)]
    pub nodes: Option<Vec<serde_json::Value>>,
}

impl Expectation {
    /// Whether the policy loads and its own `tests` or `sshTests` fail.
    #[must_use]
    pub fn own_tests_fail(&self) -> bool {
        self.stage == "set"
    }

    /// Headscale's separate sentences without the envelope; `None` where the text is a JSON or
    /// HuJSON parser's own, which varies from run to run.
    #[must_use]
    pub fn sentences(&self) -> Option<Vec<String>> {
        let error = self.error.as_deref()?;
        let parsers = ["parsing HuJSON", "parsing policy from bytes", "jsontext"];
        if parsers.iter().any(|own| error.contains(own)) {
            return None;
        }
        let error = error
            .strip_prefix("parsing policy: ")
            .or_else(|| error.strip_prefix("validating policy user references: "))
            .unwrap_or(error)
            .replace("test(s) failed:\n", "")
            .replace("multiple errors:\n", "");
        Some(error.split('\n').filter(|s| !s.trim().is_empty()).map(plain).collect())
    }
}

/// A sentence without what differs from run to run: which member of a cycle is named, and which of
/// several unknown fields.
#[must_use]
pub fn plain(sentence: &str) -> String {
    let sentence = sentence.trim();
    for varies in ["circular reference detected", "unknown field"] {
        if let Some(at) = sentence.find(varies) {
            return sentence.split_at(at + varies.len()).0.to_owned();
        }
    }
    sentence.to_owned()
}

/// A text with what the HuJSON reference implementation makes of it.
#[derive(Debug, Deserialize)]
pub struct HujsonCase {
    /// Name of the case.
    pub id: String,
    /// The text.
    pub input: String,
    /// In the standard format.
    pub format: Option<String>,
    /// As JSON of the same length.
    pub standardize: Option<String>,
    /// As JSON without white space.
    pub minimize: Option<String>,
    /// `hujson: line L, column C: …`
    pub error: Option<String>,
}

/// Reads the cases in `tests/conformance/NAME`.
///
/// # Panics
///
/// When the file is missing or does not hold such cases.
#[must_use]
pub fn committed<T: DeserializeOwned>(name: &str) -> Vec<T> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(name))
}

/// Reads the cases in `NAME` of the folder that `HEADSCALE_CONFORMANCE` names; `None`, and a line
/// that says so, where there is no such folder.
#[must_use]
pub fn external<T: DeserializeOwned>(name: &str) -> Option<Vec<T>> {
    let folder = std::env::var_os("HEADSCALE_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let path = folder.join(name);
    if !path.exists() {
        crate::tell(&format!("skipped: needs {name} in HEADSCALE_CONFORMANCE"));
        return None;
    }
    Some(read(&path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| line.unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .collect()
}
