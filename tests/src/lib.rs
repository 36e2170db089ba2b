//! What the tests of the other crates share.

#![forbid(unsafe_code)]

use std::io::Write as _;

pub mod certificates;
pub mod conformance;
pub mod docker_registry;
pub mod headscale;
pub mod policies;
pub mod tailnets;
pub mod tools;

/// Prints `line` to standard error past the test runner's capture: for what a run is made for, such
/// as counts of agreement, and for what it had to skip.
///
/// # Panics
///
/// When standard error cannot be written.
pub fn tell(line: &str) {
    let line = format!("{line}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}
