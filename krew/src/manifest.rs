//! The manifest from which krew learns where the archives of a release are.

use std::path::Path;

use crate::digest::sha256;
use crate::error::KrewError;
use crate::platform::PLATFORMS;
use crate::version::Version;

const TEMPLATE: &str = include_str!("../headscale.yaml.tmpl");

/// What a URL may have in it without meaning something else in YAML.
const PLAIN: &str = "-._~:/?@!$&()*+,;=%";

/// The manifest of `version`, whose archives stand in `dir` now and will stand below `base_url`, with
/// or without a `/` at its end. krew wants it in a file `headscale.yaml`.
///
/// # Errors
///
/// [`KrewError::BaseUrl`] where krew cannot download from it, [`KrewError::Io`] where an archive is
/// missing or cannot be read.
pub fn render(version: &Version, dir: &Path, base_url: &str) -> Result<String, KrewError> {
    let base = base_url.trim_end_matches('/');
    let rest = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
    let plain = |rest: &str| rest.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c));
    if !rest.is_some_and(|rest| !rest.is_empty() && plain(rest)) {
        return Err(KrewError::BaseUrl { url: base_url.to_owned() });
    }
    let mut platforms = Vec::new();
    for platform in &PLATFORMS {
        let archive = platform.archive(version);
        platforms.push(format!(
            "  - selector:\n      matchLabels:\n        os: {}\n        arch: {}\n    \
             uri: {base}/{archive}\n    sha256: {}\n    bin: {}",
            platform.os,
            platform.arch,
            sha256(&dir.join(&archive))?,
            platform.program()
        ));
    }
    Ok(TEMPLATE
        .replace("{{version}}", &version.to_string())
        .replace("{{platforms}}", &platforms.join("\n")))
}
