//! Findings that are known already, and that a run does not tell again.

use std::collections::HashMap;

use headscale_acl::Finding;
use serde::Deserialize;
use thiserror::Error;

/// A baseline as it is stored: the JSON report of an earlier run.
#[derive(Deserialize)]
#[serde(expecting = "an object with `version` and `findings`")]
struct Stored {
    version: u32,
    findings: Vec<StoredFinding>,
}

#[derive(Deserialize)]
#[serde(expecting = "a finding with `rule`, `file` and `message`")]
struct StoredFinding {
    rule: String,
    file: String,
    message: String,
}

/// Why a file is no baseline.
#[derive(Debug, Error)]
pub(crate) enum BaselineError {
    /// It is not the JSON report of a run.
    #[error("it is not the JSON report of an earlier run: {0}")]
    Json(#[from] serde_json::Error),
    /// It is one of a later program.
    #[error("its version is {0}, expected 1")]
    Version(u32),
}

/// How often each finding is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Baseline {
    /// Rule, file and message: a finding stays known where lines move.
    known: HashMap<(String, String, String), usize>,
}

impl Baseline {
    /// Reads the JSON report of an earlier run.
    pub(crate) fn read(json: &[u8]) -> Result<Self, BaselineError> {
        let stored: Stored = serde_json::from_slice(json)?;
        if stored.version != 1 {
            return Err(BaselineError::Version(stored.version));
        }
        let mut known = HashMap::new();
        for finding in stored.findings {
            let key = (finding.rule, finding.file, finding.message);
            *known.entry(key).or_default() += 1;
        }
        Ok(Self { known })
    }

    /// Takes what is known out of `findings` in `file`, each as often as it is known. Returns how
    /// many that were.
    pub(crate) fn subtract(&mut self, file: &str, findings: &mut Vec<Finding>) -> usize {
        let before = findings.len();
        findings.retain(|finding| {
            let key = (finding.rule.clone().into_owned(), file.to_owned(), finding.message.clone());
            match self.known.get_mut(&key) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            }
        });
        before - findings.len()
    }
}
