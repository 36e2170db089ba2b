//! Hashes that roll a pod.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// How much of a hash stands in an annotation, in bytes.
const BYTES: usize = 8;

/// 16 hex digits that change with the parts, and with where each ends.
pub(super) fn hash<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut text = String::with_capacity(2 * BYTES);
    for byte in hasher.finalize().iter().take(BYTES) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
