//! A stand-in for the kubelet of one node: pods are as ready as a test says, and their ports lead to
//! servers of the test.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::ControlPlane;
use crate::kubelet_port_forward::serve;

/// Where the ports of pods lead, by `NAMESPACE/POD`.
pub(crate) type Pods = Arc<Mutex<HashMap<String, SocketAddr>>>;

/// A node whose kubelet forwards ports. It has a thread of its own: a test may block. It ends with
/// the value; its node and pods stay in the API server.
pub struct Kubelet {
    plane: &'static ControlPlane,
    node: String,
    pods: Pods,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Kubelet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubelet").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Kubelet {
    /// Starts one on a free port, and registers its node as `name`.
    ///
    /// # Panics
    ///
    /// When there is such a node, or no port.
    pub async fn start(plane: &'static ControlPlane, name: &str) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let port = listener.local_addr().expect("bound").port();
        let pods = Pods::default();
        let (end, ended) = oneshot::channel();
        let serving = Arc::clone(&pods);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = accept(listener, serving) => {}
                    _ = ended => {}
                }
            });
        });
        let node = json!({ "metadata": { "name": name } });
        let node: Node = serde_json::from_value(node).expect("a node");
        let nodes: Api<Node> = Api::all(plane.client());
        nodes.create(&PostParams::default(), &node).await.expect("a new node");
        let status = json!({ "status": {
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
        } });
        let patch = Patch::Merge(status);
        let patched = nodes.patch_status(name, &PatchParams::default(), &patch).await;
        patched.expect("its address is known");
        Self { plane, node: name.to_owned(), pods, end: Some(end), thread: Some(thread) }
    }

    /// Makes the pod `name` with these labels and a container that has `port` by the name `http`.
    /// All its ports lead to `server`. It is ready at once.
    ///
    /// # Panics
    ///
    /// When the API server does not take it.
    pub async fn run(
        &self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        port: u16,
        server: SocketAddr,
    ) {
        let labels: HashMap<&str, &str> = labels.iter().copied().collect();
        let container = json!({
            "name": "headscale",
            "image": "headscale",
            "ports": [{ "name": "http", "containerPort": port }],
        });
        let pod = json!({
            "metadata": { "name": name, "labels": labels },
            "spec": { "nodeName": self.node, "containers": [container] },
        });
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let made = self.api(namespace).create(&PostParams::default(), &pod).await;
        made.expect("the pod is taken");
        self.pods.lock().expect("not poisoned").insert(format!("{namespace}/{name}"), server);
        self.set_ready(namespace, name, true).await;
    }

    /// Makes a pod ready, or running and not ready.
    ///
    /// # Panics
    ///
    /// When there is no such pod.
    pub async fn set_ready(&self, namespace: &str, name: &str, ready: bool) {
        let status = if ready { "True" } else { "False" };
        let status = json!({ "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": status }],
        } });
        let patched = self
            .api(namespace)
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await;
        patched.expect("the pod is there");
    }

    fn api(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.plane.client(), namespace)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // It has ended by itself where nobody listens.
            end.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Takes the connections of the API server, which does not ask who it talks to.
async fn accept(listener: std::net::TcpListener, pods: Pods) {
    let listener = TcpListener::from_std(listener).expect("a listener of the runtime");
    let tls = TlsAcceptor::from(Arc::new(certificate()));
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, pods) = (tls.clone(), Arc::clone(&pods));
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, &pods).await;
            }
        });
    }
}

fn certificate() -> ServerConfig {
    let made = generate_simple_self_signed(["kubelet".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a certificate that serves")
}
