//! Ends servers with the test that started them, however it ends.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// Reads until whoever holds the other end of the pipe is gone, kills what is still noted, and
/// removes the directory.
const SCRIPT: &str = r#"trap '' INT TERM HUP
cat >/dev/null
for note in "$1"/*.pid; do
  [ -f "$note" ] && kill -9 "$(cat "$note")" 2>/dev/null
done
rm -rf "$1""#;

/// A process of its own that outlives the test's. It holds the read end of a pipe, and so notices
/// that the test's process is gone even when that is killed, and when a static is never dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    process: Child,
    pipe: Option<ChildStdin>,
    directory: PathBuf,
}

impl Watchdog {
    /// Watches over the processes that are started through it, and over `directory`.
    pub(crate) fn over(directory: &Path) -> Self {
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to the terminal's group must not end the watchdog before what it watches.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let pipe = process.stdin.take();
        Self { process, pipe, directory: directory.to_owned() }
    }

    /// Starts `command` as the server `name`.
    pub(crate) fn start(&self, name: &str, command: &mut Command) -> Process {
        let note = self.directory.join(format!("{name}.pid"));
        let process = command.process_group(0).spawn().unwrap_or_else(|error| {
            panic!("{name} does not run: {error}");
        });
        fs::write(&note, process.id().to_string()).expect("the process is noted");
        Process { process, note }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        drop(self.process.wait());
    }
}

/// A process that is killed with this value, or when the test's process has ended.
#[derive(Debug)]
pub struct Process {
    process: Child,
    note: PathBuf,
}

impl Process {
    /// How it has ended, where it has.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The number may belong to another process as soon as this one is waited for. It may have
        // ended by itself.
        drop(fs::remove_file(&self.note));
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
