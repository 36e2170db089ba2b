//! A real tailscaled without a network of its own, and one that says what it is told to.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use headscale_testkit::tools::tool;
use tempfile::TempDir;

use super::http;

/// A real one. It ends with this.
pub(crate) struct Tailscaled {
    child: Child,
    directory: TempDir,
}

impl Tailscaled {
    /// Starts one with this config. `None` where there is no such program, which is told.
    pub(crate) fn start(config: &Path) -> Option<Self> {
        Self::start_with(&["--config".as_ref(), config.as_os_str()])
    }

    /// Starts one with these arguments more.
    pub(crate) fn start_with(arguments: &[&OsStr]) -> Option<Self> {
        let program = tool("tailscaled")?;
        let directory = TempDir::new().expect("a directory");
        let log = File::create(directory.path().join("log")).expect("a log");
        let child = Command::new(program)
            .args(["--tun=userspace-networking", "--no-logs-no-support", "--port=0"])
            .args(["--statedir".as_ref(), directory.path().as_os_str()])
            .args(["--socket".as_ref(), directory.path().join("s").as_os_str()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("tailscaled starts");
        Some(Self { child, directory })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }
}

impl Drop for Tailscaled {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One that says `lines` to each that watches, and does nothing.
pub(crate) struct Told {
    directory: TempDir,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    lines: Vec<String>,
    watchers: Vec<UnixStream>,
    calls: Vec<String>,
    failing: Option<String>,
}

impl Told {
    pub(crate) fn new(lines: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("s")).expect("a socket");
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let inner = Arc::new(Mutex::new(Inner { lines, ..Inner::default() }));
        thread::spawn({
            let inner = Arc::clone(&inner);
            move || {
                for stream in listener.incoming().flatten() {
                    handle(&inner, stream);
                }
            }
        });
        Self { directory, inner }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// Says `line` to all that watch.
    pub(crate) fn say(&self, line: &str) {
        for mut watcher in &self.inner.lock().expect("not poisoned").watchers {
            drop(writeln!(watcher, "{line}"));
        }
    }

    /// The next `call` goes wrong: nothing is said to one that watches, else it hangs up.
    pub(crate) fn fail(&self, call: &str) {
        self.inner.lock().expect("not poisoned").failing = Some(call.to_owned());
    }

    /// What it was asked to do, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.inner.lock().expect("not poisoned").calls.clone()
    }
}

const DEVICE: &str = r#"{"BackendState":"Running","Self":
    {"ID":"7","DNSName":"proxy-0.tail.example.","TailscaleIPs":["100.64.0.7"]}}"#;

fn handle(inner: &Mutex<Inner>, mut stream: UnixStream) {
    let Some(request) = http::read(&stream) else { return };
    let mut inner = inner.lock().expect("not poisoned");
    let call = request.path.trim_start_matches("/localapi/v0/");
    let call = call.split('?').next().unwrap_or_default().to_owned();
    let fails = inner.failing.take_if(|failing| *failing == call).is_some();
    match call.as_str() {
        "watch-ipn-bus" => {
            drop(write!(stream, "HTTP/1.1 200 OK\r\nTailscale-Cap: 131\r\n\r\n"));
            for line in inner.lines.iter().filter(|_| !fails) {
                drop(writeln!(stream, "{line}"));
            }
            inner.watchers.push(stream);
        }
        _ if fails => {}
        "reload-config" => http::answer(&stream, 200, r#"{"Reloaded":true,"Err":""}"#),
        "status" => http::answer(&stream, 200, DEVICE),
        _ => http::answer(&stream, 200, ""),
    }
    inner.calls.push(call);
}
