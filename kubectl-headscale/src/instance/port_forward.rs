//! Instances in the cluster, through the API server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headscale_api::kinds::Headscale;
use headscale_client::HttpClient;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::connector::{Connection, Connector};
use super::{key, pod};
use crate::environment::Environment;
use crate::error::CommandError;
use crate::kubernetes::{Cluster, ConnectionArgs, Resource};

/// How long a call may take unless `--request-timeout` says so: a forwarded port is slower than a
/// network.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long the pod's side may take to say that nobody listens; where somebody does it says nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// An instance of the cluster.
pub(super) struct PortForward<'a> {
    pub(super) name: &'a str,
    pub(super) connection: &'a ConnectionArgs,
}

impl Connector for PortForward<'_> {
    async fn connect(&self, environment: &Environment) -> Result<Connection, CommandError> {
        let cluster = self.connection.connect(environment).await?;
        let name = self.name;
        let headscale = headscale(name, &cluster).await?;
        let (api_key, place) =
            key::of_instance(name, &headscale, &cluster, environment.now).await?;
        let (pod, port) = pod::ready(name, &headscale, &cluster).await?;
        let tls = pod::tls(&headscale, &cluster).await?;
        let asked = self.connection.request_timeout.filter(|timeout| !timeout.is_zero());
        let timeout = asked.unwrap_or(TIMEOUT);
        let tunnel = Tunnel::open(&cluster, pod, port, timeout).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut builder =
            HttpClient::builder(&format!("{scheme}://{}", tunnel.address)).timeout(timeout);
        if let Some(tls) = tls {
            if let Some(name) = &tls.server_name {
                builder = builder.server_name(name);
            }
            if let Some(ca) = tls.ca {
                builder = builder.ca(ca);
            }
        }
        let client = builder.api_key(api_key).build();
        let client = client.map_err(|error| CommandError::failed(error.to_string()))?;
        let name = format!("headscale/{name}");
        Ok(Connection { client, name, key: place, tunnel: Some(tunnel) })
    }
}

async fn headscale(name: &str, cluster: &Cluster) -> Result<Headscale, CommandError> {
    let api: Api<Headscale> = cluster.api();
    let resource = Resource::of_kind("Headscale");
    api.get(name).await.map_err(|error| {
        let is_missing = matches!(&error, kube::Error::Api(status) if status.code == 404);
        let error = match resource {
            Some(resource) => cluster.resource_error(error, resource),
            None => cluster.error(error),
        };
        match error.hints.is_empty() && is_missing {
            true => error.hint(format!(
                "`kubectl headscale get instances -n {}` shows those that there are",
                cluster.namespace
            )),
            false => error,
        }
    })
}

/// A port of this machine whose connections end at a port of a pod, as long as this value lives.
pub(super) struct Tunnel {
    address: SocketAddr,
    forward: Forward,
    accepting: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Tunnel {
    /// Opens one to `port` of `pod`. It has forwarded once by then, so that who may not is told.
    /// Each forwarding may take `timeout` to begin.
    async fn open(
        cluster: &Cluster,
        pod: String,
        port: u16,
        timeout: Duration,
    ) -> Result<Self, CommandError> {
        let pods: Api<Pod> = cluster.api();
        let opened = tokio::time::timeout(timeout, pods.portforward(&pod, &[port])).await;
        let opened = opened.map_err(|_| {
            CommandError::failed(format!("cannot forward a port to pod/{pod}: {}", late(timeout)))
                .hint("the API server asks the kubelet of the pod's node: is the node up?")
        })?;
        let first = opened.map_err(|error| {
            let no_upgrade = matches!(error, kube::Error::UpgradeConnection(_));
            let error = match no_upgrade {
                true => {
                    CommandError::failed(format!("cannot forward a port to pod/{pod}: {error}"))
                }
                false => cluster.error(error),
            };
            error.hint(format!(
                "this needs `get` and `create` of `pods/portforward` in namespace {}",
                cluster.namespace
            ))
        })?;
        let no_port = |error| CommandError::failed(format!("cannot forward a port: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let forward = Forward { pods, pod, port, timeout, failures: Arc::default() };
        let accepting = tokio::spawn(forward.clone().accept(listener, first));
        Ok(Self { address, forward, accepting })
    }

    /// What the cluster says about connections that come to nothing.
    pub(super) async fn failure(&self) -> Option<String> {
        let Failures { pod, way } = self.forward.failures();
        match pod {
            Some(told) => Some(told),
            None => self.forward.ask().await.or(way),
        }
    }
}

/// The first things that went wrong.
#[derive(Clone, Debug, Default)]
struct Failures {
    /// What the pod's side told.
    pod: Option<String>,
    /// What happened on the way there.
    way: Option<String>,
}

/// What is said of a cluster that does not begin to forward.
fn late(timeout: Duration) -> String {
    format!("no answer in {} s", timeout.as_secs_f64())
}

/// Forwards connections.
#[derive(Clone)]
struct Forward {
    pods: Api<Pod>,
    pod: String,
    port: u16,
    timeout: Duration,
    failures: Arc<Mutex<Failures>>,
}

impl Forward {
    async fn accept(self, listener: TcpListener, first: Portforwarder) {
        let mut first = Some(first);
        while let Ok((stream, _)) = listener.accept().await {
            // One that does not begin holds up no other.
            drop(tokio::spawn(self.clone().serve(stream, first.take())));
        }
    }

    /// Forwards one connection.
    async fn serve(self, stream: TcpStream, opened: Option<Portforwarder>) {
        let forwarder = match opened {
            Some(forwarder) => Ok(forwarder),
            None => self.open().await,
        };
        match forwarder {
            Ok(forwarder) => self.carry(stream, forwarder).await,
            Err(error) => self.keep(|failures| &mut failures.way, &error),
        }
    }

    async fn open(&self) -> Result<Portforwarder, String> {
        let ports = [self.port];
        let opening = self.pods.portforward(&self.pod, &ports);
        match tokio::time::timeout(self.timeout, opening).await {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err(late(self.timeout)),
        }
    }

    /// Carries one connection to its end.
    async fn carry(&self, mut stream: TcpStream, mut forwarder: Portforwarder) {
        let Some(mut pod) = forwarder.take_stream(self.port) else { return };
        let failed = forwarder.take_error(self.port);
        let told = async {
            match failed {
                Some(failed) => failed.await,
                None => None,
            }
        };
        let answered = tokio::select! {
            // What went wrong comes before the end of the connection that it causes.
            biased;
            Some(text) = told => {
                self.keep(|failures| &mut failures.pod, &text);
                false
            }
            copied = tokio::io::copy_bidirectional(&mut stream, &mut pod) => {
                copied.is_ok_and(|(_, from_pod)| from_pod > 0)
            }
        };
        drop((stream, pod));
        // Who got an answer and left knows better why than the connection that they left.
        if let Err(error) = forwarder.join().await
            && !answered
        {
            self.keep(|failures| &mut failures.way, &error.to_string());
        }
    }

    /// Asks the pod's side why it takes no connection. One that is closed while something is sent
    /// on it may take with it what was told, so nothing is sent on this one.
    async fn ask(&self) -> Option<String> {
        let told = async {
            let mut forwarder = self.open().await.ok()?;
            let _open = forwarder.take_stream(self.port)?;
            forwarder.take_error(self.port)?.await
        };
        let told = tokio::time::timeout(PATIENCE, told).await.ok().flatten();
        told.map(|text| text.trim().to_owned())
    }

    fn failures(&self) -> Failures {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the first thing that went wrong of its kind.
    fn keep(&self, kind: impl FnOnce(&mut Failures) -> &mut Option<String>, text: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        kind(&mut failures).get_or_insert_with(|| text.trim().to_owned());
    }
}
