//! The session of the README that needs a cluster: its commands are run, and their output must be
//! what stands there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use headscale_controlplane::ControlPlane;

use crate::support::Sandbox;

/// Stands before the block in the README.
const MARKER: &str =
    "<!-- A test runs the commands of this block on a control plane and holds their output. -->\n";

#[tokio::test]
async fn the_session_in_the_readme_is_a_real_one() {
    // It installs the kinds, so its cluster must not have them.
    let Some(plane) = ControlPlane::start().await else { return };
    let Some(sandbox) = Sandbox::on(Box::leak(Box::new(plane))).await else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let policy = "examples/small/policy.hujson";
    fs::create_dir_all(sandbox.path("examples/small")).expect("a directory");
    sandbox.write(policy, fs::read(root.join(policy)).expect("the example"));

    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(MARKER).expect("its marker");
    let block = rest.strip_prefix("```console\n").expect("a block");
    let (block, after) = block.split_once("```\n").expect("its end");
    let mut real = String::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let run = sandbox.shell(command);
        write!(real, "$ {command}\n{}{}\n", run.stdout, run.stderr).expect("text");
    }
    let real = format!("{}\n", without_ages(real.trim_end())).replace("[NAMESPACE]", "headscale");

    if std::env::var_os("UPDATE_README").is_some() {
        let readme = format!("{before}{MARKER}```console\n{real}```\n{after}");
        fs::write(&path, readme).expect("written");
    } else {
        assert_eq!(block, real, "run `make generate` and read what changed");
    }
}

/// `text` with every age of seconds, which stands last in a row, as two seconds.
fn without_ages(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((row, age)) if is_age(age) => format!("{row} 2s"),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn is_age(word: &str) -> bool {
    let seconds = word.strip_suffix('s');
    seconds.is_some_and(|seconds| seconds.parse::<u32>().is_ok())
}
