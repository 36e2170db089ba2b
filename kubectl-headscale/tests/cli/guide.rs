//! The way to a plugin in docs/plugins.md: its files are written, its commands run, and what they
//! print is what stands there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use headscale_testkit::tell;

/// Stands before the part of the section that is run.
const MARKER: &str =
    "<!-- A test runs the commands of this section, writes its files, and holds its output. -->\n";

/// A step of the guide.
enum Step<'g> {
    /// A file to write: its name, and what is in it.
    File(&'g str, &'g str),
    /// A command, and what it prints; nothing where the guide does not show it.
    Command(&'g str, String),
}

/// The steps of a text. A file's name stands in backticks right before it.
fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```") {
        let (language, after) = after.split_once('\n').unwrap();
        let (block, after) = after.split_once("\n```\n").unwrap();
        rest = after;
        if language == "console" {
            for command in block.split("$ ").filter(|command| !command.is_empty()) {
                let (command, output) = command.split_once('\n').unwrap_or((command, ""));
                steps.push(Step::Command(command, output.trim_end().to_owned()));
            }
        } else {
            let name = before.trim_end().strip_suffix("`:").unwrap().rsplit('`').next().unwrap();
            steps.push(Step::File(name, block));
        }
    }
    steps
}

/// Where the guide is followed.
struct Walk {
    root: PathBuf,
    directory: PathBuf,
    cache: PathBuf,
}

impl Walk {
    fn run(&mut self, command: &str) -> Output {
        let mut words = command.split(' ');
        let first = words.next().unwrap();
        let mut process = match first {
            "kubectl" => {
                assert_eq!(words.next(), Some("headscale"), "{command}");
                Command::new(env!("CARGO_BIN_EXE_kubectl-headscale"))
            }
            program => Command::new(program),
        };
        process.args(words);
        process
            .current_dir(&self.directory)
            .env("CARGO_TARGET_DIR", self.root.join("target/guide"))
            .env("XDG_CACHE_HOME", &self.cache)
            .env("CARGO_TERM_QUIET", "true")
            .env("COLUMNS", "100");
        // Cargo that runs this test sets what would rule the cargo of the guide.
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| is_cargos(&name.to_string_lossy())) {
            process.env_remove(name);
        }
        process.output().unwrap()
    }
}

fn is_cargos(name: &str) -> bool {
    name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// A text without the numbers of steps, which the next compiler changes.
fn without_steps(text: &str) -> String {
    let word = |word: &str| match word.strip_prefix('(') {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => "(N".to_owned(),
        _ => word.to_owned(),
    };
    text.trim_end().split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_guide_leads_to_a_plugin() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let guide = fs::read_to_string(root.join("docs/plugins.md")).unwrap();
    let (_, section) = guide.split_once(MARKER).unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let mut walk = Walk { root, directory: directory.path().to_owned(), cache };
    let (mut files, mut commands) = (0, 0);
    for step in steps(section) {
        match step {
            Step::File(name, text) => {
                fs::write(walk.directory.join(name), format!("{text}\n")).unwrap();
                files += 1;
            }
            Step::Command(command, shown) => {
                commands += 1;
                if let Some(directory) = command.strip_prefix("cd ") {
                    walk.directory.push(directory);
                    continue;
                }
                let output = walk.run(command);
                let stdout = String::from_utf8(output.stdout).unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr);
                if stderr.contains("has no target wasm32-unknown-unknown") {
                    tell(
                        "guide to plugins: 1 walk skipped: needs a compiler for wasm32-unknown-unknown",
                    );
                    return;
                }
                if shown.is_empty() {
                    assert!(output.status.success(), "{command}\n{stdout}{stderr}");
                } else {
                    assert_eq!(
                        without_steps(&shown),
                        without_steps(&stdout),
                        "{command}\n{stderr}"
                    );
                }
            }
        }
    }
    assert_eq!((files, commands), (6, 7));
}
