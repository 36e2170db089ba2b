//! The whole round with a real tailscaled beside our sidecar: it asks, the operator answers, it logs
//! in. Logging in needs a real Headscale, which `HEADSCALE_BIN` names.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use clap::Parser;
use headscale_client::{HeadscaleApi as _, HttpClient};
use headscale_keys::ApiKey;
use headscale_sidecar::authkey::{self, args};
use headscale_standin::Version;
use headscale_testkit::headscale::{Headscale, programs};
use headscale_testkit::tell;
use headscale_testkit::tools::tool;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::bench::{Bench, HEADSCALE};
use crate::program::Running;
use crate::reissue::operator;
use crate::replica::{Replica, TEMPLATE, prepare};

/// The config Secret as the kubelet mounts it: files are links through `..data`, which it swaps.
struct Mount {
    directory: TempDir,
    generation: u32,
}

impl Mount {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), generation: 0 }
    }

    /// Hands on what the Secret has.
    fn sync(&mut self, secret: &Secret) {
        self.generation += 1;
        let (root, name) = (self.directory.path(), format!("..{}", self.generation));
        fs::create_dir(root.join(&name)).expect("made");
        for (file, ByteString(bytes)) in secret.data.iter().flatten() {
            fs::write(root.join(&name).join(file), bytes).expect("written");
            // It may be there.
            symlink(format!("..data/{file}"), root.join(file)).ok();
        }
        symlink(&name, root.join("..data_tmp")).expect("linked");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("swapped");
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("cap-106.hujson")
    }
}

/// A real one, without a network of its own. It ends with this.
struct Tailscaled {
    child: Child,
    directory: TempDir,
}

impl Tailscaled {
    /// `None` where there is no such program, which is told.
    fn start(mount: &Mount) -> Option<Self> {
        let program = tool("tailscaled")?;
        let directory = tempfile::tempdir().expect("a directory");
        let log = File::create(directory.path().join("log")).expect("a log");
        let child = Command::new(program)
            .args(["--tun=userspace-networking", "--no-logs-no-support", "--port=0"])
            .args(["--statedir".as_ref(), directory.path().as_os_str()])
            .args(["--socket".as_ref(), directory.path().join("s").as_os_str()])
            .args(["--config".as_ref(), mount.file().as_os_str()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("tailscaled starts");
        Some(Self { child, directory })
    }
}

impl Drop for Tailscaled {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: authkey::Args,
}

/// Lets pods of the replica read and patch its state Secret, and nothing else; gives a client that
/// may do so.
async fn pod(bench: &Bench, replica: &Replica<'_>) -> kube::Client {
    let token = bench.cluster.token_for(&bench.namespace, &replica.name).await;
    let role: Role = serde_json::from_value(json!({
        "metadata": { "name": replica.name },
        "rules": [{
            "apiGroups": [""], "resources": ["secrets"],
            "resourceNames": [replica.name], "verbs": ["get", "patch"],
        }],
    }))
    .expect("a role");
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": { "name": replica.name },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": replica.name,
        },
        "subjects": [{
            "kind": "ServiceAccount", "name": replica.name, "namespace": bench.namespace,
        }],
    }))
    .expect("a binding");
    bench.api().create(&PostParams::default(), &role).await.expect("made");
    bench.api().create(&PostParams::default(), &binding).await.expect("made");
    bench.cluster.client_as(&token)
}

/// Starts our sidecar beside tailscaled.
fn sidecar(
    client: &kube::Client,
    replica: &Replica<'_>,
    mount: &Mount,
    tailscaled: &Tailscaled,
    on_new_key: &str,
) -> JoinHandle<Result<(), authkey::Error>> {
    let socket = tailscaled.directory.path().join("s");
    let words = [
        "authkey",
        "run",
        "--secret",
        &replica.name,
        "--namespace",
        &replica.bench.namespace,
        "--localapi",
        socket.to_str().expect("text"),
        "--config-dir",
        mount.directory.path().to_str().expect("text"),
        "--on-new-key",
        on_new_key,
        "--interval",
        "50ms",
    ];
    let line = Line::try_parse_from(words).expect("parses");
    let args::Command::Run(args) = line.args.command else { panic!("run") };
    let client = client.clone();
    tokio::spawn(async move { authkey::watch(&args, &client).await })
}

/// Waits until `holds`, handing on the config meanwhile, as the kubelet does.
async fn until(
    running: &mut Running,
    replica: &Replica<'_>,
    mount: &mut Mount,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let mut seen = None;
    let handing_on = async || {
        let config = replica.config().await.expect("a config Secret");
        if seen != config.metadata.resource_version {
            seen.clone_from(&config.metadata.resource_version);
            mount.sync(&config);
        }
        holds().await
    };
    running.until(what, handing_on).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_tailscaled_without_a_key_asks_and_takes_the_answer() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    Replica { bench: &bench, name: "proxy-0".to_owned() }.put_config(None).await;
    let replica = Replica::new(&bench, "proxy-0", json!({ "_machinekey": "privkey:1" })).await;
    let client = pod(&bench, &replica).await;
    let mut mount = Mount::new();
    mount.sync(&replica.config().await.expect("a Secret"));
    let Some(tailscaled) = Tailscaled::start(&mount) else { return };
    let run = sidecar(&client, &replica, &mount, &tailscaled, "exit");
    let ended = async || run.is_finished();
    until(&mut running, &replica, &mut mount, "acknowledged", ended).await;
    run.await.expect("does not panic").expect("ends well");
    assert_eq!(replica.state().await.len(), 0, "the login and the marker are cleared");
    drop(tailscaled);
    // As the kubelet starts it again, with a file that it takes, made by the operator or by hand.
    let key = replica.key().await.expect("a key");
    replica.settles(&mut running, &key).await;
    bench.tells_no_secret().await;
}

fn run(headscale: &Headscale, words: &[&str]) -> String {
    let output = headscale.command(words);
    assert!(output.status.success(), "{words:?} fails");
    String::from_utf8(output.stdout).expect("text")
}

/// The operator at work with a real Headscale in the place of the stand-in.
async fn with_real(bench: &Bench, headscale: &Headscale) -> (Running, HttpClient) {
    let told = run(headscale, &["apikeys", "create", "-e", "1h"]);
    let key = ApiKey::parse(told.split_whitespace().last().expect("a key")).expect("a key");
    let text = key.expose().to_owned();
    let secret = json!({ "stringData": { "api-key": text } });
    bench.patch::<Secret>("hs-api-key", secret).await;
    let url = format!("http://{}", headscale.address());
    let config = json!({ "spec": { "config": { "server_url": url } } });
    bench.patch::<headscale_api::kinds::Headscale>(HEADSCALE, config).await;
    let resolve = format!("{HEADSCALE}.{}.svc={}", bench.namespace, headscale.address());
    // It takes its time to hash a key.
    let operator = operator(bench).flag("resolve", &resolve).flag("send-deadline", "10s");
    let running = operator.start();
    (running, HttpClient::builder(&url).api_key(key).build().expect("a client"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_is_let_in_again_by_a_real_headscale() {
    for program in programs() {
        let headscale = Headscale::start(&program);
        let version = headscale.version();
        let Some(bench) = Bench::new(Version::V0_29).await else { return };
        prepare(&bench).await;
        let (mut running, http) = with_real(&bench, &headscale).await;
        let replica = Replica::new(&bench, "proxy-0", json!({})).await;
        replica.another(&mut running, None).await;
        let client = pod(&bench, &replica).await;
        let mut mount = Mount::new();
        mount.sync(&replica.config().await.expect("a Secret"));
        let Some(first) = Tailscaled::start(&mount) else { return };
        let beside = sidecar(&client, &replica, &mount, &first, "login");
        let device = async || replica.state().await.get("device_id").cloned();
        let rests = async || {
            device().await.is_some()
                && replica.key().await.is_none()
                && replica.record().await.kept.is_none()
        };
        until(&mut running, &replica, &mut mount, "in and at rest", rests).await;
        assert_eq!(device().await.as_deref(), Some("1"), "{version}");
        let node = http.get_node(1).await.expect("a node");
        assert_eq!(node.tags, ["tag:proxy"], "{version}");

        // Another machine: all that the first one logged in with is lost. Nothing was wrong with the
        // node as Headscale has it, so it goes once the other one is in.
        beside.abort();
        drop(first);
        let Some(second) = Tailscaled::start(&mount) else { return };
        let beside = sidecar(&client, &replica, &mount, &second, "login");
        let is_second = async || device().await.as_deref() == Some("2") && rests().await;
        until(&mut running, &replica, &mut mount, "in as another one", is_second).await;
        assert!(http.get_node(1).await.is_err(), "{version}: the old node is deleted");

        // Its login expires: the old node is deleted first, so that the new one has the name.
        run(&headscale, &["nodes", "expire", "-i", "2"]);
        let is_third = async || device().await.as_deref() == Some("3") && rests().await;
        until(&mut running, &replica, &mut mount, "in once more", is_third).await;
        assert!(http.get_node(2).await.is_err(), "{version}: the old node is deleted");
        assert_eq!(http.get_node(3).await.expect("a node").given_name, "proxy-0", "{version}");
        // It keeps its machine key, and the old node would be let in again if it had no tags.
        let keep = "headscale.infrado.cloud/reissue-policy";
        let keep = json!({ "metadata": { "annotations": { keep: "KeepOld" } } });
        bench.patch::<Secret>("proxy-0", keep).await;
        run(&headscale, &["nodes", "expire", "-i", "3"]);
        let is_fourth = async || device().await.as_deref() == Some("4") && rests().await;
        until(&mut running, &replica, &mut mount, "in with a fourth key", is_fourth).await;
        assert_eq!(replica.record().await.keys.len(), 4, "{version}: one key each time");

        // Somebody else's pod says that it is this node.
        let attacker = Replica::new(&bench, "attacker", json!({})).await;
        let key = attacker.another(&mut running, None).await;
        let lies = json!({ "device_id": "4", "reissue_authkey": key });
        attacker.write(lies).await;
        attacker.another(&mut running, Some(&key)).await;
        let told = async || attacker.is_told("StaleNodeKept", "").await;
        running.until("told", told).await;
        assert!(http.get_node(4).await.is_ok(), "{version}");

        for reason in ["AuthKeyIssued", "AuthKeyReissued", "StaleNodeDeleted"] {
            assert!(replica.is_told(reason, "").await, "{version}: {reason}");
        }
        let usable = http.list_preauth_keys().await.expect("keys").into_iter().filter(|key| {
            !key.used
                && !key.reusable
                && key.expiration.is_some_and(|it| it > jiff::Timestamp::now())
        });
        assert_eq!(
            usable.count(),
            1,
            "{version}: none but that of the attacker is left that works"
        );
        beside.abort();
        tell(&format!("a node came in again by the operator and Headscale {version}"));
    }
}
