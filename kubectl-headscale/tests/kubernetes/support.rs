//! A namespace of the real API server, and the plugin on the PATH of the real kubectl.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use headscale_api::kinds;
use headscale_controlplane::ControlPlane;
use headscale_testkit::tools::tool;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// How long anything may take that the tests wait for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A namespace, and a directory with a kubeconfig of the one who may do everything.
pub(crate) struct Sandbox {
    /// The API server.
    pub(crate) plane: &'static ControlPlane,
    /// The name of the namespace; snapshots show `[NAMESPACE]`.
    pub(crate) namespace: String,
    kubectl: PathBuf,
    root: TempDir,
}

impl Sandbox {
    /// A namespace of its own in a cluster with all kinds. `None`, and a line that says so, where
    /// the API server or kubectl is not there.
    pub(crate) async fn new() -> Option<Self> {
        let sandbox = Self::without_kinds().await?;
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        INSTALLED.get_or_init(|| install_kinds(sandbox.plane.client())).await;
        Some(sandbox)
    }

    /// The same in a cluster that may or may not have the kinds.
    pub(crate) async fn without_kinds() -> Option<Self> {
        Self::on(ControlPlane::shared().await?).await
    }

    /// A namespace of `plane`.
    pub(crate) async fn on(plane: &'static ControlPlane) -> Option<Self> {
        let kubectl = tool("kubectl")?;
        let namespace = plane.namespace().await;
        let root = tempfile::tempdir().expect("a directory");
        let programs = root.path().join("bin");
        fs::create_dir(&programs).expect("a directory for programs");
        let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-headscale"));
        for (name, program) in [("kubectl-headscale", plugin), ("kubectl", kubectl.as_path())] {
            std::os::unix::fs::symlink(program, programs.join(name)).expect("a program on PATH");
        }
        let home = root.path().join(".kube");
        fs::create_dir(&home).expect("a directory for the kubeconfig");
        let written = plane.kubeconfig(root.path(), plane.admin_token(), &namespace, None);
        fs::rename(written, home.join("config")).expect("a kubeconfig");
        Some(Self { plane, namespace, kubectl, root })
    }

    /// A client that may do everything, of the runtime of the test.
    pub(crate) fn client(&self) -> Client {
        self.plane.client()
    }

    /// The path of `name` in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The directory that comes first on PATH.
    pub(crate) fn programs(&self) -> PathBuf {
        self.path("bin")
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    /// Writes a kubeconfig for the bearer of `token`, with the server given or the real one; gives
    /// its path.
    pub(crate) fn kubeconfig(&self, token: &str, server: Option<&str>) -> String {
        let path = self.plane.kubeconfig(self.root.path(), token, &self.namespace, server);
        path.display().to_string()
    }

    /// Applies `object` to the namespace, with `status` where it has one.
    pub(crate) async fn apply(&self, object: Value) -> DynamicObject {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (group, version) = match text("/apiVersion").expect("a version") {
            version if version.contains('/') => version.split_once('/').expect("a group"),
            version => ("", version),
        };
        let kind = GroupVersionKind::gvk(group, version, text("/kind").expect("a kind"));
        let resource = match kind.kind.as_str() {
            "HeadscalePolicy" => ApiResource::from_gvk_with_plural(&kind, "headscalepolicies"),
            _ => ApiResource::from_gvk(&kind),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client(), &self.namespace, &resource);
        let name = text("/metadata/name").expect("a name");
        let params = PatchParams::apply("tests").force();
        let mut made = api.patch(name, &params, &Patch::Apply(&object)).await.expect("applied");
        if let Some(status) = object.get("status") {
            let patch = Patch::Merge(json!({ "status": status }));
            let params = PatchParams::default();
            made = api.patch_status(name, &params, &patch).await.expect("status is taken");
        }
        made
    }

    /// The instance `name`.
    pub(crate) async fn instance(&self, name: &str) -> DynamicObject {
        let spec = json!({ "version": "0.29.2", "replicas": 1,
            "config": { "server_url": "https://headscale.example.com" } });
        self.apply(object("Headscale", name, &spec)).await
    }

    /// The user `name` of `instance`.
    pub(crate) async fn user(&self, instance: &str, name: &str) -> DynamicObject {
        let spec = json!({ "headscaleRef": instance, "username": name });
        self.apply(object("HeadscaleUser", name, &spec)).await
    }

    /// The pre-auth key `name` of `instance` for the user object `user`.
    pub(crate) async fn key(&self, instance: &str, name: &str, user: &str) -> DynamicObject {
        let spec = json!({ "headscaleRef": instance, "headscaleUserRef": user });
        self.apply(object("HeadscalePreAuthKey", name, &spec)).await
    }

    /// `program` with `args`, not started yet, and nothing of the machine in its environment.
    pub(crate) fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.programs().display());
        let mut command = Command::new(program.as_ref());
        command
            .args(args)
            .current_dir(self.root.path())
            .env_clear()
            .env("HOME", self.root.path())
            .env("PATH", path)
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    /// Runs the real kubectl.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Run {
        self.finish(&self.command(&self.kubectl, args).output().expect("kubectl runs"))
    }

    /// Runs `kubectl headscale ARGS`, through the real kubectl.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.kubectl(&[&["headscale"], args].concat())
    }

    /// The same with `stdin` on standard input.
    pub(crate) fn run_with(&self, stdin: impl AsRef<[u8]>, args: &[&str]) -> Run {
        let mut command = self.command(&self.kubectl, &[&["headscale"], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        // The plugin may refuse its arguments before it reads.
        pipe.write_all(stdin.as_ref()).ok();
        drop(pipe);
        self.finish(&child.wait_with_output().expect("it ends"))
    }

    /// Runs a line of the shell, in which `kubectl headscale` is found.
    pub(crate) fn shell(&self, line: &str) -> Run {
        self.finish(&self.command("sh", &["-c", line]).output().expect("sh runs"))
    }

    /// Presses Ctrl-C, as far as `child` sees.
    pub(crate) fn interrupt(&self, child: &std::process::Child) {
        let line = format!("kill -INT {}", child.id());
        let sent = self.command("sh", &["-c", &line]).status().expect("sh runs");
        assert!(sent.success());
    }

    /// What a run gave back, without what differs between runs.
    pub(crate) fn finish(&self, output: &Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: self.hide(&output.stdout),
            stderr: self.hide(&output.stderr),
        }
    }

    /// `text` without the path of the directory, the namespace and the address of the server.
    fn hide(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(text);
        let server = self.plane.url().trim_start_matches("https://");
        text.replace(&self.root.path().display().to_string(), "[ROOT]")
            .replace(server, "[SERVER]")
            .replace(&self.namespace, "[NAMESPACE]")
    }
}

/// An object of ours, without a namespace.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": kinds::API_VERSION, "kind": kind, "metadata": { "name": name },
        "spec": spec })
}

/// Installs all kinds, and waits until the server serves them.
async fn install_kinds(client: Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let params = PatchParams::apply("tests").force();
    for crd in kinds::crds() {
        let name = crd.metadata.name.clone().expect("a name");
        api.patch(&name, &params, &Patch::Apply(&crd)).await.expect("a definition that is taken");
        let deadline = Instant::now() + PATIENCE;
        while !is_established(&api.get(&name).await.expect("it is there")) {
            assert!(Instant::now() < deadline, "{name} is never served");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let states: BTreeMap<&str, &str> =
        conditions.map(|condition| (condition.type_.as_str(), condition.status.as_str())).collect();
    states.get("Established") == Some(&"True")
}

/// What a run gave back; printed for snapshots.
#[must_use = "snapshot it or assert its code"]
#[derive(Clone, Debug, PartialEq, Eq)]
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
