//! The proxy as tests use it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::fault::{Fault, RequestInfo, When};
use crate::forward::Target;
use crate::harm::{Harm, Plan};
use crate::listener::{self, Listener, Order, Place, Protocol};
use crate::upstream::Upstream;

/// What a proxy and its connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    plan: Mutex<Plan>,
    arrived: watch::Sender<usize>,
    paused: watch::Sender<bool>,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no rule of the test panics")
    }

    pub(crate) fn count(
        &self,
        listener: &str,
        method: &str,
        path: &str,
    ) -> (RequestInfo, Option<Harm>) {
        let counted = self.plan().count(listener, method, path);
        self.arrived.send_replace(counted.0.n);
        counted
    }

    pub(crate) async fn unpaused(&self) {
        // It fails only when the proxy is gone.
        self.paused.subscribe().wait_for(|paused| !paused).await.ok();
    }
}

/// A reverse proxy that counts the requests of all its listeners together, and does to them what
/// the test has planned. Each request is read to its end and goes to its upstream on a connection
/// of its own; answers are streamed. When an upstream cannot be reached, the client's connection is
/// cut. It runs on threads of its own, so that a test may block; it ends with the value.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listeners: Mutex<Vec<UnboundedSender<Order>>>,
    // Taken when the value is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::new()
    }
}

impl Proxy {
    /// One without listeners.
    ///
    /// # Panics
    ///
    /// When the system gives it no threads.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()
            .expect("threads");
        let shared = Shared {
            plan: Mutex::default(),
            arrived: watch::Sender::new(0),
            paused: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared), listeners: Mutex::default(), runtime: Some(runtime) }
    }

    /// Listens on a free port of 127.0.0.1 for HTTP/1.1 without TLS; gives the address.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub async fn listen_tcp(&self, upstream: Upstream) -> SocketAddr {
        let place = Place::free_port().expect("a free port");
        let Place::Tcp { address, .. } = place else { unreachable!("a port is asked for") };
        self.listen(place, Target { upstream, protocol: Protocol::Http1 }).await;
        address
    }

    /// Listens on a new Unix socket at `path`.
    ///
    /// # Panics
    ///
    /// When there can be none.
    pub async fn listen_unix(
        &self,
        path: impl AsRef<Path>,
        upstream: Upstream,
        protocol: Protocol,
    ) {
        let place = Place::Unix(path.as_ref().to_owned());
        self.listen(place, Target { upstream, protocol }).await;
    }

    async fn listen(&self, place: Place, target: Target) {
        let listener =
            Arc::new(Listener { name: place.name(), target, shared: Arc::clone(&self.shared) });
        let (orders, received) = unbounded_channel();
        let runtime = self.runtime.as_ref().expect("it is there until the value is dropped");
        let started: io::Result<()> = runtime
            .spawn(async move {
                let socket = place.listen()?;
                tokio::spawn(listener::run(place, socket, listener, received));
                Ok(())
            })
            .await
            .expect("it does not panic");
        started.expect("it can listen");
        self.listeners.lock().expect("not poisoned").push(orders);
    }

    /// Runs `action` when the `n`-th request (from 1 on) is there, before it is forwarded or after
    /// its answer is there, and then cuts the connection. `action` may block. It comes before other
    /// rules, and counts once.
    pub fn at(&self, n: usize, when: When, action: impl FnOnce(&RequestInfo) + Send + 'static) {
        self.shared.plan().at.insert(n, Harm::Action(when, Box::new(action)));
    }

    /// Does `fault` to the `n`-th request (from 1 on).
    pub fn fault_at(&self, n: usize, fault: Fault) {
        self.shared.plan().at.insert(n, Harm::Fault(fault));
    }

    /// Asks `rule` about each request that nothing else is planned for. The first rule that gives a
    /// fault decides. A rule must not use the proxy.
    pub fn faults(&self, rule: impl FnMut(&RequestInfo) -> Option<Fault> + Send + 'static) {
        self.shared.plan().rules.push(Box::new(rule));
    }

    /// All requests so far, in the order in which they came in.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestInfo> {
        self.shared.plan().requests.clone()
    }

    /// Waits until at least `n` requests have come in, whatever became of them.
    pub async fn arrived(&self, n: usize) {
        // It fails only when the proxy is gone.
        self.shared.arrived.subscribe().wait_for(|arrived| *arrived >= n).await.ok();
    }

    /// Forgets all requests and all plans, counts from 1 again, and lets everything through.
    /// Listeners stay, as do requests that wait for their release.
    ///
    /// # Panics
    ///
    /// When a listener has no place to come back to.
    pub fn reset(&self) {
        *self.shared.plan() = Plan::default();
        self.shared.arrived.send_replace(0);
        self.refuse(false);
        self.resume();
    }

    /// Holds all new requests until [`Proxy::resume`]. They are counted when they come in.
    pub fn pause(&self) {
        self.shared.paused.send_replace(true);
    }

    /// Lets requests through that were held.
    pub fn resume(&self) {
        self.shared.paused.send_replace(false);
    }

    /// Closes all listeners and cuts all connections, as servers that are gone (a Unix socket's
    /// file stays, as after a crash), or opens the listeners again.
    ///
    /// # Panics
    ///
    /// When a listener has no place to come back to.
    pub fn refuse(&self, refuse: bool) {
        for listener in self.listeners.lock().expect("not poisoned").iter() {
            let (done, heard) = mpsc::channel();
            listener.send(Order { refuse, done }).ok();
            heard.recv().expect("the listener does as told");
        }
    }
}
