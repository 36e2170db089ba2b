//! A made tailnet of any size with its policy, as files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use headscale_acl::tailnet::TailnetError;
use headscale_acl::{Options, Severity, Tailnet, check};
use headscale_testkit::tailnets::Shape;
use thiserror::Error;

/// Why the files were not written.
#[derive(Debug, Error)]
pub enum GenTailnetError {
    /// The snapshot cannot be read back.
    #[error("tailnet.json: {0}")]
    Tailnet(#[from] TailnetError),
    /// Headscale would not take the policy.
    #[error("policy.hujson: {0}")]
    Invalid(String),
    /// A file could not be written.
    #[error("{path}: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes `policy.hujson` and `tailnet.json` into `dir`, which is made if it is not there; gives
/// their paths.
///
/// # Errors
///
/// Where Headscale 0.29 would not take the policy, or a file cannot be written.
pub fn write(shape: &Shape, dir: &Path) -> Result<[PathBuf; 2], GenTailnetError> {
    let (policy, snapshot) = (shape.policy(), shape.tailnet());
    let tailnet = Tailnet::from_value(&snapshot)?;
    let options = Options { tailnet: Some(&tailnet), ..Options::default() };
    let findings = check(policy.as_bytes(), &options).findings;
    if let Some(error) = findings.into_iter().find(|found| found.severity == Severity::Error) {
        return Err(GenTailnetError::Invalid(error.message));
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| GenTailnetError::Write { path, error }
    };
    fs::create_dir_all(dir).map_err(at(dir))?;
    let paths = [dir.join("policy.hujson"), dir.join("tailnet.json")];
    for (path, text) in paths.iter().zip([policy, snapshot.to_string()]) {
        fs::write(path, text).map_err(at(path))?;
    }
    Ok(paths)
}
