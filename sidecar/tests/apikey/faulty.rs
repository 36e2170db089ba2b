//! Both sides behind a proxy that counts requests and does harm, and somebody who watches the key.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headscale_faults::{Protocol, Proxy, Upstream};
use headscale_keys::secret::{EXPIRATION, EXPIRATION_ANNOTATION, RECORD_ANNOTATION};
use headscale_keys::{ApiKey, Record};
use k8s_openapi::api::core::v1::Secret;
use tokio::task::JoinHandle;

use crate::bench::{Bench, Sidecar, Way, key_of};

/// A bench whose sidecars go through a proxy.
pub(crate) struct Faulty {
    pub(crate) bench: Bench,
    pub(crate) proxy: Proxy,
    kubeconfig: PathBuf,
    socket: PathBuf,
    url: String,
}

impl Faulty {
    pub(crate) async fn new(way: Way) -> Option<Self> {
        let bench = Bench::new(way).await?;
        let proxy = Proxy::new();
        let address = bench.cluster.url().strip_prefix("https://").expect("a URL").to_owned();
        let kubernetes = proxy
            .listen_tcp(Upstream::Tls {
                addr: address.parse().expect("an address"),
                ca_pem: bench.cluster.ca_pem().to_owned(),
                server_name: "127.0.0.1".to_owned(),
            })
            .await;
        let headscale = bench.headscale.address().expect("it listens");
        let headscale = proxy.listen_tcp(Upstream::Tcp(headscale)).await;
        let socket = bench.path("proxy.sock");
        let protocol = if way == Way::Grpc { Protocol::Http2 } else { Protocol::Http1 };
        proxy.listen_unix(&socket, Upstream::Unix(bench.path("headscale.sock")), protocol).await;
        let server = format!("http://{kubernetes}");
        let kubeconfig = bench.cluster.kubeconfig(
            bench.directory.path(),
            &bench.token,
            &bench.namespace,
            Some(&server),
        );
        let url = format!("http://{headscale}");
        Some(Self { bench, proxy, kubeconfig, socket, url })
    }

    /// The program behind the proxy, with times that suit a test.
    pub(crate) fn sidecar(&self) -> Sidecar {
        self.bench
            .sidecar_at(&self.kubeconfig, &self.socket, &self.url)
            .flag("grace", "0")
            .flag("send-deadline", "1s")
            .flag("in-flight", "200ms")
    }

    /// P3: at most one key of ours is neither current nor retiring, and the record names it.
    pub(crate) async fn has_no_unnamed_orphan(&self) {
        let Some(_) = self.bench.secret().await else {
            assert!(self.bench.ours().is_empty(), "P3: keys without a record");
            return;
        };
        let record = self.bench.record().await;
        let keys = self.bench.headscale.api_keys();
        let ours = self.bench.ours();
        let orphans: Vec<_> = ours
            .iter()
            .filter(|prefix| {
                record.current.as_ref().is_none_or(|current| current.prefix != **prefix)
                    && !record.retiring.iter().any(|retiring| retiring.key == **prefix)
            })
            .collect();
        assert!(orphans.len() <= 1, "P3: {orphans:?}, {record:?}");
        for orphan in orphans {
            let key = keys.iter().find(|key| key.prefix == orphan.as_str()).expect("listed");
            let named = record.unresolved().any(|it| Some(it.expiration()) == key.expiration);
            assert!(named, "P3: {orphan} is not in {record:?}");
        }
    }
}

/// Whether what describes the key in the Secret is about that key.
fn is_of_one_piece(secret: &Secret, key: &ApiKey) -> bool {
    let annotations = secret.metadata.annotations.clone().unwrap_or_default();
    let record = annotations.get(RECORD_ANNOTATION).map(|text| Record::from_json(text));
    let Some(Ok(Record { current: Some(current), .. })) = record else {
        return false;
    };
    let expiration = current.token.to_string();
    let data = secret.data.as_ref().and_then(|data| data.get(EXPIRATION));
    current.prefix == *key.prefix()
        && annotations.get(EXPIRATION_ANNOTATION) == Some(&expiration)
        && data.is_some_and(|data| data.0 == expiration.as_bytes())
}

/// Looks all the time whether the key in the Secret works, once there is one (P1), and whether what
/// stands beside it is about it (P11).
pub(crate) struct Watcher {
    task: JoinHandle<Result<u32, String>>,
    is_over: Arc<AtomicBool>,
}

impl Watcher {
    pub(crate) fn over(bench: &Bench) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, secrets) = (Arc::clone(&is_over), bench.secrets());
        let headscale = Arc::clone(&bench.headscale);
        let task = tokio::spawn(async move {
            let (mut had_one, mut looks) = (false, 0);
            while !over.load(Ordering::Relaxed) {
                let read = async || {
                    let secret = secrets.get_opt(crate::bench::SECRET).await;
                    secret.map_err(|error| error.to_string())
                };
                let secret = read().await?;
                let key = secret.as_ref().and_then(key_of);
                if let (Some(secret), Some(key)) = (&secret, &key)
                    && !is_of_one_piece(secret, key)
                {
                    return Err(format!("P11: what stands beside {} is not of it", key.prefix()));
                }
                match key {
                    None if had_one => return Err("P1: there is no key any more".to_owned()),
                    None => {}
                    Some(key) => {
                        had_one = true;
                        looks += 1;
                        if !headscale.authenticates(key.expose()) {
                            // It may have been replaced between the two looks.
                            let now = read().await?.as_ref().and_then(key_of);
                            if now.is_none_or(|now| now.expose() == key.expose()) {
                                return Err(format!("P1: {} does not work", key.prefix()));
                            }
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(looks)
        });
        Self { task, is_over }
    }

    pub(crate) async fn saw_nothing_wrong(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let looks = self.task.await.expect("it does not panic");
        assert!(looks.expect("P1") > 0, "it saw no key");
    }
}
