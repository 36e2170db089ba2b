//! A real PostgreSQL, where the machine has the programs.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use headscale_controlplane::Process;
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::stage::Stage;

/// Who it runs as where the test is root, which it refuses to be.
const NOBODY: u32 = 65534;
/// Where Debian keeps the programs of each version, which are on no PATH.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Those that are run.
const PROGRAMS: [&str; 4] = ["initdb", "pg_isready", "postgres", "psql"];
const START: Duration = Duration::from_secs(60);
pub(crate) const USER: &str = "headscale";

/// A server with one database, `postgres`; gone with the value.
pub(crate) struct PostgresServer {
    // Ended before its directory goes.
    _process: Process,
    directory: TempDir,
    programs: PathBuf,
}

/// The folder with its programs.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_debian = fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
    std::env::split_paths(&path)
        .chain(of_debian.map(|version| version.path().join("bin")))
        .find(|folder| PROGRAMS.iter().all(|name| folder.join(name).is_file()))
}

impl PostgresServer {
    /// Starts one that lets in [`USER`] with this password alone; `None`, and a line that says so,
    /// where there are no programs.
    pub(crate) fn start(stage: &Stage, password: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            headscale_testkit::tell("skipped: needs the programs of a PostgreSQL server");
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        let secret = directory.path().join("password");
        fs::write(&secret, password).expect("written");
        if geteuid().is_root() {
            for path in [directory.path(), &secret] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        let data = directory.path().join("data");
        let made = command(&programs, "initdb", directory.path())
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", secret.display()))
            .arg(format!("--pgdata={}", data.display()))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let mut server = command(&programs, "postgres", directory.path());
        server
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let process =
            stage.plane.start_process(&format!("{}-postgres", stage.namespace), &mut server);
        let mut server = Self { _process: process, directory, programs };
        server.wait();
        Some(server)
    }

    /// The folder of its socket, which is a host to its clients.
    pub(crate) fn host(&self) -> &Path {
        self.directory.path()
    }

    /// What a query answers, one line for each row.
    pub(crate) fn ask(&self, password: &str, query: &str) -> String {
        let answer = command(&self.programs, "psql", self.host())
            .env("PGPASSWORD", password)
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname=postgres"])
            .arg(format!("--username={USER}"))
            .arg(format!("--host={}", self.host().display()))
            .arg(format!("--command={query}"))
            .output()
            .expect("psql runs");
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + START;
        loop {
            let answers = command(&self.programs, "pg_isready", self.host())
                .arg(format!("--host={}", self.host().display()))
                .output()
                .expect("pg_isready runs");
            if answers.status.success() {
                return;
            }
            let log = || fs::read_to_string(self.directory.path().join("log"));
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {:?}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One of its programs, as somebody who is not root.
fn command(programs: &Path, name: &str, directory: &Path) -> Command {
    let mut command = Command::new(programs.join(name));
    command.env_clear().env("LC_ALL", "C").current_dir(directory);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}
