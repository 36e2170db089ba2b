//! Real Headscale servers, which no registry has: `HEADSCALE_BIN` names programs that were built
//! elsewhere, as `0.28.0=PATH,0.29.2=PATH`.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(60);
/// How long it may take to say how it is.
const PROBE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often one is started: somebody else may take a port that was free.
const ATTEMPTS: u32 = 3;

/// A version and the program that is it.
#[derive(Clone, Debug)]
pub struct Program {
    /// As it was named, such as `0.29.2`.
    pub version: String,
    path: PathBuf,
}

impl Program {
    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Those that `HEADSCALE_BIN` names; none, and a line that says so, where it is not set.
///
/// # Panics
///
/// When it is not `VERSION=PATH,…`.
#[must_use]
pub fn programs() -> Vec<Program> {
    let named = std::env::var("HEADSCALE_BIN").unwrap_or_default();
    let named = named.split(',').filter(|named| !named.is_empty());
    let programs: Vec<_> = named
        .map(|named| {
            let (version, path) = named.split_once('=').expect("HEADSCALE_BIN is VERSION=PATH,…");
            Program { version: version.to_owned(), path: path.into() }
        })
        .collect();
    if programs.is_empty() {
        crate::tell("skipped: needs HEADSCALE_BIN, which names real servers: 0.29.2=PATH,…");
    }
    programs
}

/// A running server with a database of its own, on loopback; gone with the value.
#[derive(Debug)]
pub struct Headscale {
    program: Program,
    directory: TempDir,
    address: String,
    child: Child,
}

impl Headscale {
    /// Starts `program`, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not, with what it said.
    #[must_use]
    pub fn start(program: &Program) -> Self {
        for _ in 0..ATTEMPTS {
            let directory = tempfile::tempdir().expect("a directory");
            let address = format!("127.0.0.1:{}", free_port());
            write_config(directory.path(), &address);
            let child = spawn(program, directory.path());
            let mut server = Self { program: program.clone(), directory, address, child };
            if server.answers() {
                return server;
            }
        }
        panic!("Headscale {} does not start", program.version)
    }

    /// As it was named.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.program.version
    }

    /// Where it listens, host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("headscale.sock")
    }

    /// Kills it, and starts it again with what it had stored, on the same port.
    ///
    /// # Panics
    ///
    /// When it does not answer again.
    pub fn kill_and_start(&mut self) {
        self.child.kill().expect("a process");
        self.child.wait().expect("a process");
        self.child = spawn(&self.program, self.directory.path());
        assert!(self.answers(), "Headscale does not start again");
    }

    /// Runs its own command line against it.
    ///
    /// # Panics
    ///
    /// When the program cannot be run.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.program.path);
        command.arg("-c").arg(self.directory.path().join("config.yaml")).args(words);
        command.output().expect("HEADSCALE_BIN names programs")
    }

    /// Whether it answers before it ends, and before too long.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("a process").is_some() {
                break;
            }
            if is_healthy(&self.address) && self.socket().exists() {
                return true;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let log = fs::read_to_string(self.directory.path().join("log"));
        crate::tell(&log.unwrap_or_default());
        false
    }
}

impl Drop for Headscale {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_healthy(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.set_read_timeout(Some(PROBE)).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200 ")
}

fn spawn(program: &Program, directory: &Path) -> Child {
    let log = File::options().create(true).append(true).open(directory.join("log"));
    let log = log.expect("a file");
    Command::new(&program.path)
        .args(["serve", "-c"])
        .arg(directory.join("config.yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("HEADSCALE_BIN names programs")
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("a port").port()
}

fn write_config(directory: &Path, address: &str) {
    let config = format!(
        "\
server_url: http://{address}
listen_addr: {address}
metrics_listen_addr: 127.0.0.1:{metrics}
grpc_listen_addr: 127.0.0.1:{grpc}
grpc_allow_insecure: false
noise: {{private_key_path: {dir}/noise_private.key}}
prefixes: {{v4: 100.64.0.0/10, v6: \"fd7a:115c:a1e0::/48\", allocation: sequential}}
derp: {{server: {{enabled: false}}, urls: [], paths: [{dir}/derp.yaml], auto_update_enabled: false}}
disable_check_updates: true
database: {{type: sqlite, sqlite: {{path: {dir}/db.sqlite, write_ahead_log: true}}}}
log: {{level: info, format: text}}
policy: {{mode: database}}
dns: {{magic_dns: true, base_domain: tail.example, override_local_dns: false}}
unix_socket: {dir}/headscale.sock
unix_socket_permission: \"0770\"
logtail: {{enabled: false}}
",
        metrics = free_port(),
        grpc = free_port(),
        dir = directory.display(),
    );
    fs::write(directory.join("config.yaml"), config).expect("a file");
    // One region, so that the map is not empty and nothing leaves this machine.
    let derp = "\
regions:
  900:
    regionid: 900
    regioncode: none
    regionname: none
    nodes:
      - {name: 900a, regionid: 900, hostname: 127.0.0.1, stunport: -1, derpport: 3340}
";
    fs::write(directory.join("derp.yaml"), derp).expect("a file");
}
