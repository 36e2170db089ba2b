//! What servers say, for the one who reads why a test failed.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

const LINES: usize = 30;

/// A file `NAME.log` in `directory` that takes what a server says, after what it said before.
pub(crate) fn log(directory: &Path, name: &str) -> Stdio {
    let path = directory.join(format!("{name}.log"));
    let file = File::options().create(true).append(true).open(path).expect("a log");
    file.into()
}

/// The last lines of what the servers of `directory` said.
pub(crate) fn tails(directory: &Path, names: &[&str]) -> String {
    let tail = |name: &&str| {
        let said = fs::read_to_string(directory.join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        format!("--- {name}\n{}\n", last.join("\n"))
    };
    names.iter().map(tail).collect()
}
