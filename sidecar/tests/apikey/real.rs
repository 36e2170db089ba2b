//! The same life with a real Headscale, where `HEADSCALE_BIN` names one or more.

use std::sync::{Arc, OnceLock};

use headscale_client::{ApiKeys as _, HttpClient};
use headscale_controlplane::ControlPlane;
use headscale_faults::{Protocol, Proxy, Upstream, When};
use headscale_keys::ApiKey;
use headscale_testkit::headscale::{Headscale, Program, programs};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::bench::{SECRET, Sidecar, key_of};

struct Real {
    headscale: Headscale,
    proxy: Proxy,
    directory: TempDir,
    secrets: Api<Secret>,
    flags: Vec<(&'static str, String)>,
}

impl Real {
    async fn start(program: &Program) -> Option<Self> {
        let cluster = ControlPlane::shared().await?;
        let namespace = cluster.namespace().await;
        let directory = tempfile::tempdir().expect("a directory");
        let headscale = Headscale::start(program);
        let proxy = Proxy::new();
        let kubernetes = cluster.url().strip_prefix("https://").expect("a URL");
        let kubernetes = Upstream::Tls {
            addr: kubernetes.parse().expect("an address"),
            ca_pem: cluster.ca_pem().to_owned(),
            server_name: "127.0.0.1".to_owned(),
        };
        let server = format!("http://{}", proxy.listen_tcp(kubernetes).await);
        let socket = directory.path().join("proxy.sock");
        let is_grpc = !program.version.starts_with("0.30");
        let protocol = if is_grpc { Protocol::Http2 } else { Protocol::Http1 };
        proxy.listen_unix(&socket, Upstream::Unix(headscale.socket()), protocol).await;
        let token = cluster.admin_token();
        let kubeconfig = cluster.kubeconfig(directory.path(), token, &namespace, Some(&server));
        let flags = vec![
            ("kubeconfig", kubeconfig.display().to_string()),
            ("socket-path", socket.display().to_string()),
            ("headscale-url", format!("http://{}", headscale.address())),
            ("pod-name", "headscale-0".to_owned()),
            ("grace", "0".to_owned()),
            ("check-interval", "100ms".to_owned()),
            // Making a key takes a real one some tenths of a second.
            ("send-deadline", "5s".to_owned()),
            ("in-flight", "2s".to_owned()),
        ];
        let secrets = Api::namespaced(cluster.client(), &namespace);
        Some(Self { headscale, proxy, directory, secrets, flags })
    }

    fn sidecar(&self) -> Sidecar {
        self.flags.iter().fold(Sidecar::new(self.directory.path()), |sidecar, (name, value)| {
            sidecar.flag(name, value)
        })
    }

    async fn key(&self) -> Option<ApiKey> {
        key_of(&self.secrets.get_opt(SECRET).await.expect("an answer")?)
    }

    /// Whether Headscale takes the key of the Secret; it then lists that one and no other.
    async fn is_alone(&self) -> bool {
        let key = self.key().await.expect("a key");
        let url = format!("http://{}", self.headscale.address());
        let client = HttpClient::builder(&url).api_key(key.clone()).build().expect("a client");
        let listed = client.list_api_keys().await.expect("the key works");
        listed.iter().all(|it| it.prefix == *key.prefix())
    }

    async fn settle(&self) {
        let mut running = self.sidecar().arg("--once").start();
        let status = running.ended().await;
        assert!(status.success(), "{}", running.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_headscale_has_one_key_whenever_the_sidecar_was_killed() {
    for program in programs() {
        let Some(real) = Real::start(&program).await else { return };
        let (mut kills, mut is_whole) = (0, false);
        'all: for n in 1..60 {
            for when in [When::Before, When::After] {
                let hours = 2160 + kills;
                let process: Arc<OnceLock<Pid>> = Arc::default();
                let killed = Arc::clone(&process);
                real.proxy.reset();
                real.proxy.at(n, when, move |_| {
                    kill_process(*killed.wait(), Signal::KILL).expect("it is running");
                });
                let mut running = real
                    .sidecar()
                    .flag("expiration", &format!("{}h", hours + 1))
                    .flag("rotation-buffer", &format!("{hours}h30m"))
                    .arg("--once")
                    .start();
                let pid = i32::try_from(running.pid()).expect("a number");
                process.set(Pid::from_raw(pid).expect("not zero")).expect("set once");
                let status = running.ended().await;
                if status.success() {
                    is_whole = true;
                    break 'all;
                }
                kills += 1;
                real.settle().await;
                assert!(real.is_alone().await, "{n}, {when:?}");
            }
        }
        assert!(is_whole && kills > 20, "{kills} kills");
        let version = real.headscale.version();
        headscale_testkit::tell(&format!("Headscale {version}: {kills} kills, one key after each"));
    }
}
