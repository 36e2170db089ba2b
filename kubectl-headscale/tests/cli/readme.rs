//! The session in the README: its commands are run and their output must be what stands there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Stands before the block in the README.
const MARKER: &str = "<!-- A test runs the commands of this block and holds their output. -->\n";

#[test]
fn the_session_in_the_readme_is_a_real_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(MARKER).unwrap();
    let (block, after) = rest.strip_prefix("```console\n").unwrap().split_once("```\n").unwrap();

    let mut real = String::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ kubectl headscale ")) {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-headscale"))
            .args(command.split(' '))
            .current_dir(&root)
            .env_clear()
            .output()
            .unwrap();
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        write!(real, "$ kubectl headscale {command}\n{stdout}{stderr}\n").unwrap();
    }
    let real = format!("{}\n", real.trim_end());

    if std::env::var_os("UPDATE_README").is_some() {
        let readme = format!("{before}{MARKER}```console\n{real}```\n{after}");
        fs::write(&path, readme).unwrap();
    } else {
        assert_eq!(block, real, "run `make generate` and read what changed");
    }
}
