//! Integers as Go's `strconv.Atoi` reads them.

/// The decimal number in `text`, with an optional sign; `None` where Go refuses it, also for more
/// than 64 bits.
pub(crate) fn go_atoi(text: &str) -> Option<i64> {
    // Rust's parser takes the same: a sign, digits, no underscores, no space.
    text.parse().ok()
}
