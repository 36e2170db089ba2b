//! Starting, ending and restarting the servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use headscale_testkit::tools::tool;
use kube::Client;
use tokio::sync::OnceCell;

use crate::certificates::{self, Authority};
use crate::logs;
use crate::port::Port;
use crate::process::{Process, Watchdog};

/// How long the servers may take until they are ready: seconds, on a machine that does nothing
/// else.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ADMIN: &str = "admin";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// What it does here: pods of StatefulSets, and what is left of what was deleted. The others would
/// take memory and time. A claim has a finalizer that one of them removes.
const CONTROLLERS: [&str; 4] = [
    "statefulset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "persistentvolumeclaim-protection-controller",
];

/// A running etcd and kube-apiserver; gone with the value, or with the test's process.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields are dropped in this order: clients before the API server, that before its store, and
    // all before the directory that they write to.
    controller_manager: Mutex<Option<Process>>,
    apiserver: Mutex<Option<Process>>,
    _etcd: Process,
    watchdog: Watchdog,
    program: PathBuf,
    directory: PathBuf,
    authority: Authority,
    admin_token: String,
    url: String,
    port: Port,
    etcd_port: Port,
    // Nobody else may get the port that etcd would talk to its peers on.
    _peer_port: Port,
}

impl ControlPlane {
    /// The one that all tests of this program share; the first to ask starts it. `None`, and a line
    /// that says so, where etcd or kube-apiserver is not there.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<ControlPlane>> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await.as_ref()
    }

    /// Starts one, and waits until it is ready. `None`, and a line that says so, where etcd or
    /// kube-apiserver is not there.
    ///
    /// # Panics
    ///
    /// When it does not start: with the last lines of what the servers said.
    pub async fn start() -> Option<Self> {
        let (store, program) = (tool("etcd")?, tool("kube-apiserver")?);
        // The watchdog removes it.
        let directory = tempfile::tempdir().expect("a directory").keep();
        let watchdog = Watchdog::over(&directory);
        let authority = certificates::write(&directory);
        let admin_token = random_token();
        let users = format!("{admin_token},{ADMIN},{ADMIN},system:masters\n");
        fs::write(directory.join("tokens.csv"), users).expect("written");

        let (port, etcd_port, peer_port) = (Port::reserve(), Port::reserve(), Port::reserve());
        let etcd = watchdog.start("etcd", &mut etcd(&store, &directory, &etcd_port, &peer_port));
        let plane = Self {
            controller_manager: Mutex::new(None),
            apiserver: Mutex::new(None),
            _etcd: etcd,
            watchdog,
            program,
            directory,
            authority,
            admin_token,
            url: format!("https://127.0.0.1:{}", port.number()),
            port,
            etcd_port,
            _peer_port: peer_port,
        };
        plane.start_apiserver().await;
        Some(plane)
    }

    /// `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that the API server's certificate is from.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// A bearer token that may do everything.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Kills the API server, as a machine that fails. Connections to its port are refused until it
    /// is started again.
    ///
    /// # Panics
    ///
    /// When another thread failed while it did the same.
    pub fn stop_apiserver(&self) {
        drop(self.apiserver.lock().expect("not poisoned").take());
    }

    /// Starts the API server on the port that it had, with what it had stored, and waits until it
    /// is ready. Does nothing but that where it is running.
    ///
    /// # Panics
    ///
    /// When it does not start: with the last lines of what the servers said.
    pub async fn start_apiserver(&self) {
        self.apiserver
            .lock()
            .expect("not poisoned")
            .get_or_insert_with(|| self.watchdog.start("kube-apiserver", &mut self.apiserver()));
        let client = self.client();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = match self.apiserver.lock().expect("not poisoned").as_mut() {
                Some(process) => process.ended().expect("it can be asked for").is_some(),
                None => true,
            };
            if !ended && is_ready(&client).await {
                return;
            }
            if ended || Instant::now() > deadline {
                panic!("kube-apiserver does not start:\n{}", self.said());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Starts kube-controller-manager, where it is not running: it makes the pods of StatefulSets,
    /// collects garbage and ends namespaces. It learns of a kind that is defined later only after
    /// half a minute. `false`, and a line that says so, where the program is not there.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start_controller_manager(&self) -> bool {
        let mut running = self.controller_manager.lock().expect("not poisoned");
        if running.is_none() {
            let Some(program) = tool(CONTROLLER_MANAGER) else { return false };
            let kubeconfig = self.kubeconfig(&self.directory, &self.admin_token, "default", None);
            let mut command = Command::new(program);
            command
                .arg(format!("--kubeconfig={}", kubeconfig.display()))
                .arg(format!("--controllers={}", CONTROLLERS.join(",")))
                .arg("--leader-elect=false")
                // It serves nothing.
                .arg("--secure-port=0")
                // It would wait for itself where many objects are made at once.
                .args(["--kube-api-qps=500", "--kube-api-burst=500"])
                .stdin(Stdio::null())
                .stdout(logs::log(&self.directory, CONTROLLER_MANAGER))
                .stderr(logs::log(&self.directory, CONTROLLER_MANAGER));
            *running = Some(self.watchdog.start(CONTROLLER_MANAGER, &mut command));
        }
        true
    }

    /// A new directory for what a test writes, gone with the value, or with the test's process. Its
    /// path is short: those of sockets must be.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let path = self.directory.join(format!("t{}", MADE.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).expect("a new directory");
        path
    }

    /// The last lines of what the servers said, for the one who reads why a test failed.
    #[must_use]
    pub fn said(&self) -> String {
        logs::tails(&self.directory, &["etcd", "kube-apiserver", CONTROLLER_MANAGER])
    }

    /// Starts `command` as a process that ends with the value, or with the test's process, however
    /// that ends. No other that is running may have the name.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_process(&self, name: &str, command: &mut Command) -> Process {
        self.watchdog.start(name, command)
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Where the servers keep what they have, gone with the value.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn apiserver(&self) -> Command {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let mut command = Command::new(&self.program);
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port.number()))
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--secure-port={}", self.port.number()))
            .arg("--permit-port-sharing")
            .arg(format!("--tls-cert-file={}", file("server.pem")))
            .arg(format!("--tls-private-key-file={}", file("server.key")))
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg("--authorization-mode=RBAC")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", file("accounts.pub")))
            .arg(format!("--service-account-signing-key-file={}", file("accounts.key")))
            .arg("--service-cluster-ip-range=10.96.0.0/16")
            // Nobody makes the account that this would give to each pod.
            .arg("--disable-admission-plugins=ServiceAccount")
            // The address of the server is not one that other machines could reach.
            .arg("--endpoint-reconciler-type=none")
            .arg("--profiling=false")
            .stdin(Stdio::null())
            .stdout(logs::log(&self.directory, "kube-apiserver"))
            .stderr(logs::log(&self.directory, "kube-apiserver"));
        command
    }
}

fn etcd(program: &Path, directory: &Path, port: &Port, peers: &Port) -> Command {
    let address = format!("http://127.0.0.1:{}", port.number());
    let peers = format!("http://127.0.0.1:{}", peers.number());
    let mut command = Command::new(program);
    command
        .arg("--name=tests")
        .arg(format!("--data-dir={}", directory.join("etcd").display()))
        .arg(format!("--listen-client-urls={address}"))
        .arg(format!("--advertise-client-urls={address}"))
        .arg(format!("--listen-peer-urls={peers}"))
        .arg(format!("--initial-advertise-peer-urls={peers}"))
        .arg(format!("--initial-cluster=tests={peers}"))
        .arg("--socket-reuse-port")
        // What is stored need not outlive the machine.
        .arg("--unsafe-no-fsync")
        .arg("--log-level=warn")
        .stdin(Stdio::null())
        .stdout(logs::log(directory, "etcd"))
        .stderr(logs::log(directory, "etcd"));
    command
}

async fn is_ready(client: &Client) -> bool {
    let request = http::Request::get("/readyz").body(Vec::new()).expect("a request");
    client.request_text(request).await.is_ok_and(|answer| answer == "ok")
}

fn random_token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
