//! The same against a real API server, under the rights that the documentation names, and as the
//! program that ships.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use headscale_controlplane::ControlPlane;
use headscale_sidecar::authkey::{self, args};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tempfile::TempDir;

use crate::support::http::serve;
use crate::support::tailscaled::Tailscaled;
use crate::support::{Mount, PATIENCE, config, parse};

/// A namespace with the state Secret `proxy-0`, and the token of an account that may read and patch
/// it and nothing else.
struct Namespace {
    plane: &'static ControlPlane,
    name: String,
    token: String,
    secrets: Api<Secret>,
}

impl Namespace {
    async fn new(data: &[(&str, &str)]) -> Option<Self> {
        let plane = ControlPlane::shared().await?;
        let name = plane.namespace().await;
        let token = plane.token_for(&name, "proxy").await;
        let role: Role = serde_json::from_value(json!({
            "metadata": { "name": "proxy" },
            "rules": [{
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": ["proxy-0"],
                "verbs": ["get", "patch"],
            }],
        }))
        .expect("a role");
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "proxy" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "proxy",
            },
            "subjects": [{ "kind": "ServiceAccount", "name": "proxy", "namespace": name }],
        }))
        .expect("a binding");
        let client = plane.client();
        let post = PostParams::default();
        Api::namespaced(client.clone(), &name).create(&post, &role).await.expect("made");
        Api::namespaced(client.clone(), &name).create(&post, &binding).await.expect("made");
        let secrets: Api<Secret> = Api::namespaced(client, &name);
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "name": "proxy-0" },
            "stringData": data.iter().copied().collect::<BTreeMap<_, _>>(),
        }))
        .expect("a secret");
        secrets.create(&post, &secret).await.expect("made");
        Some(Self { plane, name, token, secrets })
    }

    fn client(&self) -> kube::Client {
        self.plane.client_as(&self.token)
    }

    async fn data(&self) -> BTreeMap<String, String> {
        let secret = self.secrets.get("proxy-0").await.expect("is there");
        let text = |value: ByteString| String::from_utf8(value.0).expect("text");
        secret.data.into_iter().flatten().map(|(name, value)| (name, text(value))).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn(&BTreeMap<String, String>) -> bool) {
        let poll = async {
            while !condition(&self.data().await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "never: {what}");
    }

    /// The words that name its Secret.
    fn words<'w>(&'w self, words: &[&'w str]) -> args::Command {
        let its = ["--secret", "proxy-0", "--namespace", &self.name];
        parse(words.iter().copied().chain(its))
    }
}

const LOGGED_IN: [(&str, &str); 5] = [
    ("_current-profile", "profile-abc1"),
    ("_daemon", "kept"),
    ("_machinekey", "privkey:1"),
    ("device_id", "7"),
    ("profile-abc1", "{}"),
];

#[tokio::test]
async fn a_request_and_its_acknowledgement_are_what_a_real_api_server_takes() {
    let Some(namespace) = Namespace::new(&LOGGED_IN).await else { return };
    for key in [None, Some("k1")] {
        let mount = Mount::with_key("http://x", key);
        let args::Command::Request(args) =
            namespace.words(&["request", "--config-dir", mount.arg()])
        else {
            panic!("request")
        };
        authkey::ask(&args, &namespace.client()).await.expect("asks");
        let marker = namespace.data().await.get("reissue_authkey").cloned();
        assert_eq!(marker.as_deref(), Some(key.unwrap_or_default()));
    }
    let managed = namespace.secrets.get("proxy-0").await.expect("is there").metadata;
    let managers = managed.managed_fields.unwrap_or_default();
    assert!(managers.iter().any(|by| by.manager.as_deref() == Some("headscale-sidecar")));
    let args::Command::Clear(args) = namespace.words(&["clear"]) else { panic!("clear") };
    authkey::clear(&args, &namespace.client()).await.expect("clears");
    let data = namespace.data().await;
    assert_eq!(data.keys().collect::<Vec<_>>(), ["_daemon"]);
    // Again, there is nothing to clear.
    authkey::clear(&args, &namespace.client()).await.expect("clears");
}

#[tokio::test]
async fn a_clear_gets_through_while_others_write() {
    let Some(namespace) = Namespace::new(&LOGGED_IN).await else { return };
    let secrets = namespace.secrets.clone();
    let writer = tokio::spawn(async move {
        for number in 0.. {
            let profile = json!({ "stringData": { "_daemon": format!("{number}") } });
            let patch = Patch::Strategic(profile);
            secrets.patch("proxy-0", &PatchParams::default(), &patch).await.expect("written");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    let args::Command::Clear(args) = namespace.words(&["clear"]) else { panic!("clear") };
    authkey::clear(&args, &namespace.client()).await.expect("clears");
    writer.abort();
    assert_eq!(namespace.data().await.keys().collect::<Vec<_>>(), ["_daemon"]);
}

#[tokio::test]
async fn what_the_role_does_not_allow_is_told() {
    let Some(namespace) = Namespace::new(&[]).await else { return };
    let mount = Mount::with_key("http://x", Some("k1"));
    let of_another = ["--secret", "other", "--namespace", &namespace.name];
    let words = ["request", "--config-dir", mount.arg()].into_iter().chain(of_another);
    let args::Command::Request(args) = parse(words) else { panic!("request") };
    let error = authkey::ask(&args, &namespace.client()).await.expect_err("forbidden");
    assert!(error.to_string().contains("the Role needs patch on it"), "{error}");
}

/// The program as it ships, with its output in a file.
struct Program {
    child: Child,
    output: File,
}

impl Program {
    fn start(kubeconfig: &Path, output: &Path, words: &[&str]) -> Self {
        let output = File::options().create(true).append(true).open(output).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_headscale-sidecar"))
            .args(["authkey", "--log-level", "debug", "--kubeconfig"])
            .arg(kubeconfig)
            .args(words)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output.try_clone().expect("a file"))
            .spawn()
            .expect("starts");
        Self { child, output }
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().expect("kill").success());
    }

    async fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                drop(self.output);
                return status;
            }
            assert!(Instant::now() < deadline, "never ends");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn the_program_asks_ends_by_sigterm_goes_on_and_never_prints_a_key() {
    let Some(namespace) = Namespace::new(&LOGGED_IN).await else { return };
    let url = serve(|_| (503, String::new()));
    let mut mount = Mount::with_key(&url, None);
    let Some(tailscaled) = Tailscaled::start(&mount.file()) else { return };
    let directory = TempDir::new().expect("a directory");
    let token = &namespace.token;
    let kubeconfig = namespace.plane.kubeconfig(directory.path(), token, &namespace.name, None);
    let socket = tailscaled.socket();
    let mounted = mount.arg().to_owned();
    let words = [
        "run",
        "--secret",
        "proxy-0",
        "--localapi",
        socket.to_str().expect("text"),
        "--config-dir",
        &mounted,
        "--interval",
        "50ms",
    ];
    let output = directory.path().join("output");
    let program = Program::start(&kubeconfig, &output, &words);
    namespace.until("the marker", |data| data.contains_key("reissue_authkey")).await;
    let before = Instant::now();
    program.terminate();
    assert!(program.ended().await.success());
    assert!(before.elapsed() < Duration::from_secs(5));
    let data = namespace.data().await;
    assert_eq!(data.get("reissue_authkey").map(String::as_str), Some(""));
    assert_eq!(data.get("_machinekey").map(String::as_str), Some("privkey:1"));

    let program = Program::start(&kubeconfig, &output, &words);
    namespace.until("the marker", |data| data.contains_key("reissue_authkey")).await;
    let key = format!("hskey-auth-{}-{}", "A1b2C3d4E5f6", "x7".repeat(32));
    mount.swap(&config(&url, Some(&key)));
    assert!(program.ended().await.success());
    assert_eq!(namespace.data().await.keys().collect::<Vec<_>>(), ["_daemon"]);
    let told = fs::read_to_string(&output).expect("text");
    assert!(told.contains("another key has come"), "{told}");
    assert!(told.contains("A1b2C3d4E5f6"), "{told}");
    assert!(!told.contains("x7x7"), "a secret is told");
}
