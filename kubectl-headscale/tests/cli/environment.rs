//! A directory to run the plugin in, and what a run gives back.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// An empty git repository in which nothing of the machine shows.
pub(crate) struct TestEnvironment {
    root: TempDir,
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // The search for a configuration ends here.
        fs::create_dir(root.path().join(".git")).unwrap();
        Self { root }
    }

    /// The path of `name` in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// What a file holds.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// The names in a directory, sorted.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The plugin with `args`, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_in("", args)
    }

    /// The same in a directory below.
    pub(crate) fn command_in(&self, directory: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-headscale"));
        command
            .args(args)
            .current_dir(self.path(directory))
            .env_clear()
            .env("HOME", self.root.path())
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    /// Runs the plugin with `args`.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.finish(&self.command(args).output().unwrap())
    }

    /// Runs the plugin with `args` in a directory below.
    pub(crate) fn run_in(&self, directory: &str, args: &[&str]) -> Run {
        self.finish(&self.command_in(directory, args).output().unwrap())
    }

    /// Runs the plugin with `args` and `stdin` on its standard input.
    pub(crate) fn run_with(&self, stdin: impl AsRef<[u8]>, args: &[&str]) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // The plugin may refuse its arguments before it reads.
        pipe.write_all(stdin.as_ref()).ok();
        drop(pipe);
        self.finish(&child.wait_with_output().unwrap())
    }

    fn finish(&self, output: &Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: self.hide(&output.stdout),
            stderr: self.hide(&output.stderr),
        }
    }

    /// `text` without the path of the directory.
    fn hide(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(text);
        text.replace(&self.root.path().display().to_string(), "[ROOT]")
    }
}

/// What a run gave back; printed for snapshots.
#[must_use = "snapshot it or assert its code"]
pub(crate) struct Run {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Standard output of a run that went well and had nothing else to say.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self}");
        self.stdout
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit: {code}")?,
            None => writeln!(f, "killed")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}

/// The permission bits of a file.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
