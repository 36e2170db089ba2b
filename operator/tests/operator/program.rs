//! The program as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A command line of the program.
pub(crate) struct Operator {
    arguments: Vec<String>,
    directory: PathBuf,
}

impl Operator {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { arguments: Vec::new(), directory: directory.to_owned() }
    }

    /// A later flag takes the place of an earlier one.
    pub(crate) fn flag(mut self, name: &str, value: &str) -> Self {
        let start = format!("--{name}=");
        self.arguments.retain(|argument| !argument.starts_with(&start));
        self.arguments.push(format!("{start}{value}"));
        self
    }

    /// A flag that is given more than once.
    pub(crate) fn also(mut self, name: &str, value: &str) -> Self {
        self.arguments.push(format!("--{name}={value}"));
        self
    }

    /// Without a flag.
    pub(crate) fn without(mut self, name: &str) -> Self {
        let start = format!("--{name}=");
        self.arguments.retain(|argument| !argument.starts_with(&start));
        self
    }

    /// The flags, each with its value.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    pub(crate) fn start(&self) -> Running {
        let log = tempfile::Builder::new().prefix("log-").tempfile_in(&self.directory);
        let log = log.expect("a file").into_temp_path().keep().expect("kept");
        let output = File::create(&log).expect("a log");
        // Another build of it may be measured.
        let program = std::env::var_os("HEADSCALE_OPERATOR");
        let child =
            Command::new(program.unwrap_or(env!("CARGO_BIN_EXE_headscale-operator").into()))
                .env_clear()
                .args(&self.arguments)
                .stdin(Stdio::null())
                .stdout(output.try_clone().expect("a log"))
                .stderr(output)
                .spawn()
                .expect("the program starts");
        Running { child, log }
    }
}

/// A running program; killed with the value.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it can be signalled");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// How it ended, if it has.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be waited for")
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until `holds`; what the program says is shown where that does not come.
    pub(crate) async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "never {what}: {}", self.log());
            assert!(self.status().is_none(), "it ended before {what}: {}", self.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn until_it_says(&mut self, text: &str) {
        let path = self.log.clone();
        let said = async || fs::read_to_string(&path).expect("a log").contains(text);
        self.until(&format!("said {text:?}"), said).await;
    }

    /// The address that it says it serves `what` at.
    pub(crate) async fn address_of(&mut self, what: &str) -> String {
        let says = format!("serving {what}");
        self.until_it_says(&says).await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains(&says)).expect("a line").to_owned();
        let (_, rest) = line.split_once("\"address\":\"").expect("an address");
        rest.split_once('"').expect("an address").0.to_owned()
    }
}
