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
#[derive(Clone)]
pub(crate) struct Operator {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directory: PathBuf,
}

impl Operator {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { arguments: Vec::new(), environment: Vec::new(), directory: directory.to_owned() }
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

    /// With a variable of the environment, which is empty otherwise.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
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
                .envs(self.environment.clone())
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

/// What the program says where it is started with these arguments and a kubeconfig that is not
/// there, and the code that it ends with.
fn said(arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_headscale-operator"))
        .env_clear()
        .args(["--kubeconfig=/nowhere", "--health-probe-bind-address=0"])
        .args(arguments)
        .output()
        .expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).expect("UTF-8"), output.status.code())
}

#[test]
fn the_command_line_of_the_go_operator_is_taken() {
    let (text, code) = said(&[
        "-leader-elect",
        "--health-probe-bind-address=:0",
        "--metrics-bind-address=127.0.0.1:0",
        "--metrics-secure",
        "--metrics-cert-path=/tls",
        "--metrics-cert-name=tls.crt",
        "--metrics-cert-key=tls.key",
        "--webhook-cert-path=",
        "--webhook-cert-name=tls.crt",
        "--webhook-cert-key=tls.key",
        "--enable-http2=false",
        "--zap-devel=false",
        "--zap-encoder=json",
        "--zap-log-level=info",
        "-zap-stacktrace-level=error",
        "-zap-time-encoding",
        "rfc3339",
    ]);
    assert_eq!(code, Some(1), "{text}");
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
    let [ignored, plain] = *warnings else { panic!("two warnings: {text}") };
    assert!(
        ignored.contains(
            "flags of the Go operator that change nothing here: --zap-stacktrace-level, \
             --zap-time-encoding, --metrics-cert-path, --metrics-cert-name, --metrics-cert-key, \
             --webhook-cert-path, --webhook-cert-name, --webhook-cert-key"
        ),
        "{ignored}"
    );
    assert!(plain.contains("over plain HTTP at 127.0.0.1:0"), "{plain}");
    assert!(text.lines().any(|line| line.contains("kubeconfig /nowhere")), "{text}");
}

#[test]
fn what_the_go_operator_would_serve_as_ours_does_is_nothing_to_warn_of() {
    let metrics = "--metrics-bind-address=127.0.0.1:0";
    for arguments in [
        &[metrics, "--metrics-secure=false", "--enable-http2=f"][..],
        &[metrics],
        &["--metrics-bind-address=0", "--metrics-secure=true"],
    ] {
        let (text, _) = said(arguments);
        assert!(!text.contains("WARN"), "{arguments:?}: {text}");
    }
}

#[test]
fn logs_are_as_zap_is_told() {
    // A format and the least of levels; what the program ends with is an error, and shown by all.
    for (arguments, is_json, is_info_shown) in [
        (&[][..], true, true),
        (&["--zap-encoder=console"], false, true),
        (&["--zap-devel"], false, true),
        (&["--zap-devel", "--zap-encoder=JSON"], true, true),
        (&["--log-format=text", "--zap-log-level=error"], false, false),
        (&["--zap-log-level=panic"], true, false),
        (&["--log-level=error", "--zap-log-level=5"], true, true),
        (&["--zap-log-level=error", "--zap-log-level=Debug"], true, true),
    ] {
        let (text, _) = said(&[&["--metrics-bind-address=127.0.0.1:0"], arguments].concat());
        assert!(text.contains("kubeconfig /nowhere"), "{arguments:?}: {text}");
        assert_eq!(text.starts_with('{'), is_json, "{arguments:?}: {text}");
        assert_eq!(text.contains("serving /metrics"), is_info_shown, "{arguments:?}: {text}");
    }
}

#[test]
fn a_wrong_value_of_a_go_flag_is_refused_with_what_can_be_written() {
    for (argument, hint) in [
        ("--zap-log-level=loud", "write debug, info or error"),
        ("--zap-log-level=0", "write debug, info or error"),
        ("--zap-encoder=xml", "write json or console"),
        ("--metrics-secure=maybe", "neither true nor false"),
        ("--zap-nothing=1", "unexpected argument"),
    ] {
        let (text, code) = said(&[argument]);
        assert_eq!(code, Some(2), "{argument}: {text}");
        assert!(text.contains(hint), "{argument}: {text}");
    }
}

#[test]
fn help_shows_no_flag_that_is_there_for_the_go_operator_only() {
    let (text, code) = said(&["--help"]);
    assert_eq!(code, Some(0), "{text}");
    for flag in ["zap", "webhook", "metrics-secure", "metrics-cert", "http2"] {
        assert!(!text.contains(flag), "{flag} in {text}");
    }
    assert!(text.contains("--log-level"), "{text}");
}
