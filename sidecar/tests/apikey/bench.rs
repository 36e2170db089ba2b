//! A namespace with the role that we ship, a stand-in Headscale, and the real program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use headscale_controlplane::ControlPlane;
use headscale_keys::secret::{KEY, RECORD_ANNOTATION};
use headscale_keys::{ApiKey, KeyPrefix, Record};
use headscale_standin::{Options, StandIn, Version};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
pub(crate) const SECRET: &str = "headscale-api-key";

/// By which way the sidecar asks Headscale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The Unix socket of 0.29: gRPC.
    Grpc,
    /// The Unix socket of 0.30: HTTP.
    Http,
    /// TCP with a key.
    Tcp,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Grpc, Self::Http, Self::Tcp];

    pub(crate) fn version(self) -> Version {
        match self {
            Self::Grpc | Self::Tcp => Version::V0_29,
            Self::Http => Version::V0_30,
        }
    }
}

/// All that a test needs around the program.
pub(crate) struct Bench {
    pub(crate) cluster: &'static ControlPlane,
    pub(crate) namespace: String,
    pub(crate) directory: TempDir,
    pub(crate) token: String,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) headscale: Arc<StandIn>,
    /// Headscale's.
    pub(crate) clock: headscale_standin::Clock,
    pub(crate) way: Way,
    /// A key that somebody made for something else.
    pub(crate) foreign: ApiKey,
}

impl Bench {
    /// `None`, and a line that says so, where there is no API server.
    pub(crate) async fn new(way: Way) -> Option<Self> {
        Self::with_manifest(way, include_str!("../../manifests/rbac.yaml")).await
    }

    /// With what a manifest of the service account and its rights applies.
    pub(crate) async fn with_manifest(way: Way, manifest: &str) -> Option<Self> {
        let cluster = ControlPlane::shared().await?;
        let namespace = cluster.namespace().await;
        let client = cluster.client();
        for document in manifest.split("---\n") {
            let kind = document.lines().find_map(|line| line.strip_prefix("kind: "));
            match kind.expect("a kind") {
                "ServiceAccount" => create::<ServiceAccount>(&client, &namespace, document).await,
                "Role" => create::<Role>(&client, &namespace, document).await,
                "RoleBinding" => {
                    let subject = format!("\n    namespace: {namespace}\n");
                    let document = format!("{}{subject}", document.trim_end());
                    create::<RoleBinding>(&client, &namespace, &document).await;
                }
                "StatefulSet" => create::<StatefulSet>(&client, &namespace, document).await,
                kind => panic!("no {kind} is expected"),
            }
        }
        let token = cluster.token_for(&namespace, "headscale").await;
        let directory = tempfile::tempdir().expect("a directory");
        let kubeconfig = cluster.kubeconfig(directory.path(), &token, &namespace, None);
        let options = Options::new(way.version(), directory.path().join("headscale"))
            .on_socket(directory.path().join("headscale.sock"))
            .on_tcp();
        let clock = options.clock.clone();
        let headscale = StandIn::start(options).await.expect("a stand-in");
        let foreign = format!("hskey-api-somebodyelse-{}", "f".repeat(64));
        let foreign = ApiKey::parse(&foreign).expect("a key");
        let headscale = Arc::new(headscale);
        let bench = Self {
            cluster,
            namespace,
            directory,
            token,
            kubeconfig,
            headscale,
            clock,
            way,
            foreign,
        };
        bench.plant_foreign();
        Some(bench)
    }

    fn plant_foreign(&self) {
        let expiration = Timestamp::now() + SignedDuration::from_hours(9);
        self.headscale.plant_api_key(self.foreign.expose(), Some(expiration));
    }

    /// As after the loss of Headscale's database.
    pub(crate) fn start_over_headscale(&self) {
        self.headscale.wipe();
        self.plant_foreign();
    }

    /// As before the first key: no Secret, and only somebody else's key in Headscale.
    pub(crate) async fn start_over(&self) {
        if self.secret().await.is_some() {
            self.secrets().delete(SECRET, &DeleteParams::default()).await.expect("deleted");
        }
        self.start_over_headscale();
    }

    /// P10: nothing that was said contains a key or a token.
    pub(crate) async fn tells_no_secret(&self) {
        let mut said: Vec<(String, String)> = fs::read_dir(self.directory.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("log-"))
            })
            .map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("a log")))
            .collect();
        assert!(!said.is_empty(), "somebody said something");
        let events: Api<Event> = Api::namespaced(self.cluster.client(), &self.namespace);
        let events = events.list(&ListParams::default()).await.expect("events").items;
        said.push(("events".to_owned(), serde_json::to_string(&events).expect("JSON")));
        if let Some(mut secret) = self.secret().await {
            secret.data = None;
            said.push(("metadata".to_owned(), serde_json::to_string(&secret).expect("JSON")));
        }
        let mut secrets = self.headscale.every_key_ever();
        secrets.push(self.foreign.expose().to_owned());
        secrets.push(self.token.clone());
        for (place, text) in said {
            for secret in &secrets {
                // The part after the prefix is what is secret.
                let start = secret.len().saturating_sub(40);
                assert!(!text.contains(&secret[start..]), "P10: a secret in {place}");
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    pub(crate) async fn secret(&self) -> Option<Secret> {
        self.secrets().get_opt(SECRET).await.expect("Secrets can be read")
    }

    /// The key that a consumer reads.
    pub(crate) async fn key(&self) -> Option<ApiKey> {
        key_of(&self.secret().await?)
    }

    pub(crate) async fn record(&self) -> Record {
        let secret = self.secret().await.expect("a Secret");
        let annotations = secret.metadata.annotations.expect("annotations");
        Record::from_json(&annotations[RECORD_ANNOTATION]).expect("a record")
    }

    /// What names the keys that Headscale has, but for somebody else's.
    pub(crate) fn ours(&self) -> Vec<KeyPrefix> {
        let keys = self.headscale.api_keys();
        let theirs = keys.iter().any(|key| key.prefix == self.foreign.prefix().as_str());
        assert!(theirs, "P5: somebody else's key is gone");
        keys.iter()
            .filter(|key| key.prefix != self.foreign.prefix().as_str())
            .map(|key| KeyPrefix::parse(&key.prefix).expect("a prefix"))
            .collect()
    }

    /// The program, with what is needed to reach both sides.
    pub(crate) fn sidecar(&self) -> Sidecar {
        let socket = self.path("headscale.sock");
        let url = self.headscale.url().expect("it listens");
        self.sidecar_at(&self.kubeconfig, &socket, &url)
    }

    /// The program with other ways to both sides.
    pub(crate) fn sidecar_at(&self, kubeconfig: &Path, socket: &Path, url: &str) -> Sidecar {
        let mut sidecar = Sidecar::new(self.directory.path())
            .flag("kubeconfig", &kubeconfig.display().to_string())
            .flag("headscale-url", url)
            // Two processes of one test are one pod that starts anew, unless it says otherwise.
            .flag("pod-name", "headscale-0")
            .flag("check-interval", "50ms")
            .flag("send-deadline", "2s")
            .flag("in-flight", "500ms");
        if self.way == Way::Tcp {
            let file = self.path("bootstrap");
            fs::write(&file, format!("{}\n", self.foreign.expose())).expect("written");
            sidecar = sidecar
                .flag("socket-path", "")
                .flag("bootstrap-key-file", &file.display().to_string());
        } else {
            sidecar = sidecar.flag("socket-path", &socket.display().to_string());
        }
        sidecar
    }

    /// Runs until the Secret holds a key that works and nothing is left to do.
    pub(crate) async fn settle(&self) {
        let mut running = self.sidecar().flag("grace", "0").arg("--once").start();
        let status = running.ended().await;
        assert!(status.success(), "{status}: {}", running.log());
    }

    /// P7: one key of ours that works, nothing pending, and another run writes nothing.
    pub(crate) async fn is_at_rest(&self) {
        let key = self.key().await.expect("P7: a key");
        assert!(self.headscale.authenticates(key.expose()), "P7: the key works");
        assert_eq!(self.ours(), [key.prefix().clone()], "P3: no other key of ours");
        let record = self.record().await;
        assert_eq!(record.unresolved().count(), 0, "P7: nothing is pending: {record:?}");
        let before = self.secret().await;
        self.settle().await;
        assert_eq!(self.secret().await, before, "P7: a run without work writes nothing");
    }
}

pub(crate) fn key_of(secret: &Secret) -> Option<ApiKey> {
    let text = secret.data.as_ref()?.get(KEY)?;
    ApiKey::parse(std::str::from_utf8(&text.0).expect("text")).ok()
}

async fn create<T>(client: &kube::Client, namespace: &str, document: &str)
where
    T: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + serde::Serialize,
{
    let object: T = serde_saphyr::from_str(document).expect("a manifest");
    let api: Api<T> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &object).await.expect("created");
}

/// A command line of the program.
pub(crate) struct Sidecar {
    command: Command,
    log: PathBuf,
}

impl Sidecar {
    pub(crate) fn new(directory: &Path) -> Self {
        let log = tempfile::Builder::new().prefix("log-").tempfile_in(directory).expect("a file");
        let log = log.into_temp_path().keep().expect("kept");
        let mut command = Command::new(env!("CARGO_BIN_EXE_headscale-sidecar"));
        command.env_clear().arg("apikey").stdin(Stdio::null());
        Self { command, log }
    }

    /// Without a command, as manifests of the Go sidecar have it.
    pub(crate) fn bare(directory: &Path) -> Self {
        let mut sidecar = Self::new(directory);
        sidecar.command = Command::new(env!("CARGO_BIN_EXE_headscale-sidecar"));
        sidecar.command.env_clear().stdin(Stdio::null());
        sidecar
    }

    /// A later flag takes the place of an earlier one.
    pub(crate) fn flag(mut self, name: &str, value: &str) -> Self {
        let start = format!("--{name}=");
        let others: Vec<_> = self
            .command
            .get_args()
            .filter(|argument| !argument.to_string_lossy().starts_with(&start))
            .map(ToOwned::to_owned)
            .collect();
        let mut command = Command::new(self.command.get_program());
        command.env_clear().stdin(Stdio::null()).args(others).arg(format!("{start}{value}"));
        for (name, value) in self.command.get_envs() {
            command.env(name, value.expect("set"));
        }
        self.command = command;
        self
    }

    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// As another user, which only root can do; that one gets a copy of the program in `directory`.
    pub(crate) fn by_user(mut self, user: u32, directory: &Path) -> Self {
        let program = directory.join("headscale-sidecar");
        fs::copy(self.command.get_program(), &program).expect("copied");
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).args(self.command.get_args());
        std::os::unix::process::CommandExt::uid(&mut command, user);
        self.command = command;
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let log = File::create(&self.log).expect("a log");
        self.command.stdout(log.try_clone().expect("a log")).stderr(log);
        let child = self.command.spawn().expect("the program starts");
        Running { child, log: self.log }
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
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it can be signalled");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
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
            assert!(!self.has_ended(), "it ended before {what}: {}", self.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn until_it_says(&mut self, text: &str) {
        let path = self.log.clone();
        let said = async || fs::read_to_string(&path).expect("a log").contains(text);
        self.until(&format!("said {text:?}"), said).await;
    }

    /// Where health is served, once it is.
    pub(crate) async fn health_address(&mut self) -> String {
        self.until_it_says("serving /healthz").await;
        let log = self.log();
        let (_, rest) = log.split_once("\"address\":\"").expect("an address");
        let (address, _) = rest.split_once('"').expect("an address");
        address.to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }
}
