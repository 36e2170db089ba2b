//! What makes a finding the same finding in the next run, when lines have moved.

use std::collections::HashMap;
use std::fmt::Write as _;

use headscale_acl::Finding;
use sha2::{Digest, Sha256};

use super::source::Source;

/// Of a line longer than twice this, the bytes this near to the finding count.
const NEAR: usize = 512;

/// Gives each finding of a report its fingerprint; findings that look the same are numbered.
#[derive(Default)]
pub(super) struct Fingerprints {
    seen: HashMap<[u8; 32], u32>,
}

impl Fingerprints {
    /// The fingerprint of `finding` in the file `path`: lower-case hex SHA-256 over the rule, the
    /// path, the source line without the white space around it, and the number of equal ones
    /// before.
    pub(super) fn next(&mut self, path: &str, source: &Source<'_>, finding: &Finding) -> String {
        let line = finding.span.map_or(&[][..], |span| {
            let (start, _) = source.places(span);
            let line = source.line(start.line);
            if line.len() <= 2 * NEAR {
                return line.trim_ascii();
            }
            let at = (start.column as usize - 1).min(line.len());
            let near = at.saturating_sub(NEAR)..at.saturating_add(NEAR).min(line.len());
            line.get(near).unwrap_or_default()
        });
        let mut hash = Sha256::new();
        for part in [finding.rule.as_bytes(), path.as_bytes(), line] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let ordinal = self.seen.entry(hash.clone().finalize().into()).or_default();
        hash.update(ordinal.to_be_bytes());
        *ordinal += 1;
        let mut hex = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a String cannot fail.
            _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}
