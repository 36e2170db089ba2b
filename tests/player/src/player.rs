//! A player, as tests hold it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt as _;
use headscale_controlplane::ControlPlane;
use headscale_standin::StandIn;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::forwarder;
use crate::pod::{NODE, play};
use crate::world::{Start, World};

/// A Service that is to be led to its pod.
struct Opened {
    listener: std::net::TcpListener,
    service: String,
}

/// Plays the pods of one namespace, on threads of its own: a test may block. All ends with the
/// value; the pods' objects stay.
///
/// The pod of a StatefulSet `NAME` is `NAME-0`.
pub struct Player {
    world: Arc<World>,
    services: mpsc::UnboundedSender<Opened>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("namespace", &self.world.namespace).finish_non_exhaustive()
    }
}

impl Player {
    /// Plays what is in `namespace`, and what comes. It makes no pods: that is for a StatefulSet
    /// and the [controller manager](ControlPlane::start_controller_manager), or for a test.
    ///
    /// # Panics
    ///
    /// When there is no thread to be had.
    #[must_use]
    pub fn start(plane: &'static ControlPlane, namespace: &str) -> Self {
        let directory = plane.scratch();
        let (end, ended) = oneshot::channel();
        let (services, opened) = mpsc::unbounded_channel();
        let (give, given) = std::sync::mpsc::channel();
        let namespace = namespace.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                // The client belongs to this runtime.
                let world = World::new(plane, plane.client(), &namespace, &directory);
                let world = Arc::new(world);
                give.send(Arc::clone(&world)).expect("it is waited for");
                tokio::select! {
                    () = run(world, opened) => {}
                    _ = ended => {}
                }
            });
        });
        let world = given.recv().expect("the thread has started");
        Self { world, services, end: Some(end), thread: Some(thread) }
    }

    /// Where the Service `service` is for those outside of the cluster: an address that leads to the
    /// Headscale of the pod `SERVICE-0` while that is ready. It stays the same.
    ///
    /// # Panics
    ///
    /// When there is no port to be had.
    #[must_use]
    pub fn address(&self, service: &str) -> SocketAddr {
        let mut known = self.world.known();
        if let Some(address) = known.services.get(service) {
            return *address;
        }
        let (listener, address) = forwarder::bind();
        let service = service.to_owned();
        known.services.insert(service.clone(), address);
        self.services.send(Opened { listener, service }).expect("the player has not ended");
        address
    }

    /// What the operator's `--resolve` is given for that Service: `HOST=ADDRESS`.
    #[must_use]
    pub fn resolve(&self, service: &str) -> String {
        format!("{service}.{}.svc={}", self.world.namespace, self.address(service))
    }

    /// The pods of that name that were started, in order. Those that are made of one template are
    /// one: a controller of StatefulSets that is behind with its own status makes the former pod once
    /// more before it makes the next.
    #[must_use]
    pub fn starts(&self, pod: &str) -> Vec<Start> {
        self.world.known().starts.get(pod).cloned().unwrap_or_default()
    }

    /// Asks the stand-in of a pod for something; `None` where none is running.
    pub fn stand_in<T>(&self, pod: &str, ask: impl FnOnce(&StandIn) -> T) -> Option<T> {
        self.world.known().stand_ins.get(pod).map(ask)
    }

    /// What a container that is a process has said, all of its runs together.
    #[must_use]
    pub fn log(&self, pod: &str, container: &str) -> String {
        let key = (pod.to_owned(), container.to_owned());
        let path = self.world.known().logs.get(&key).cloned();
        path.map(|path| fs::read_to_string(path).unwrap_or_default()).unwrap_or_default()
    }

    /// The directory of a claim, once a pod has had it.
    #[must_use]
    pub fn data(&self, claim: &str) -> Option<PathBuf> {
        self.world.known().claims.get(claim).cloned()
    }

    /// Loses what a claim has, while no pod has it: a disk that was replaced.
    ///
    /// # Panics
    ///
    /// When it cannot be removed.
    pub fn lose(&self, claim: &str) {
        let Some(path) = self.data(claim) else { return };
        fs::remove_dir_all(&path).expect("a directory");
        fs::create_dir(&path).expect("a directory");
    }

    /// From now on no image can be pulled whose name contains `part`.
    pub fn withhold_image(&self, part: &str) {
        self.world.known().orders.unpullable.insert(part.to_owned());
    }

    /// Takes that back.
    pub fn give_image(&self, part: &str) {
        self.world.known().orders.unpullable.remove(part);
    }

    /// From now on containers end as soon as they start, whose image's name contains `part`.
    pub fn crash_image(&self, part: &str) {
        self.world.known().orders.crashing.insert(part.to_owned());
    }

    /// Takes that back.
    pub fn mend_image(&self, part: &str) {
        self.world.known().orders.crashing.remove(part);
    }

    /// Has pods of that name that are not ready run, and stay so.
    pub fn hold(&self, pod: &str) {
        self.world.known().orders.held.insert(pod.to_owned());
    }

    /// Takes that back.
    pub fn release(&self, pod: &str) {
        self.world.known().orders.held.remove(pod);
    }

    /// Kills a running container, which is started again.
    pub fn kill(&self, pod: &str, container: &str) {
        self.world.known().orders.killed.insert((pod.to_owned(), container.to_owned()));
    }

    /// Gives API-key managers that start from now on these arguments too, such as
    /// `--check-interval=1s`.
    pub fn tell_api_key_managers(&self, arguments: &[&str]) {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.world.known().orders.flags = arguments;
    }

    /// How much longer calls with a key take with stand-ins that start from now on.
    pub fn charge_for_keys(&self, cost: Duration) {
        self.world.known().orders.key_cost = cost;
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // It has ended by itself where nobody listens.
            end.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        self.world.known().stand_ins.clear();
    }
}

/// Plays all pods, until the future is dropped.
async fn run(world: Arc<World>, opened: mpsc::UnboundedReceiver<Opened>) {
    let mut opened = opened;
    let api: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut events = pin!(watcher(api, watcher::Config::default()));
    // All end with it.
    let mut tasks = JoinSet::new();
    let mut deleted: HashMap<String, watch::Sender<bool>> = HashMap::new();
    loop {
        tokio::select! {
            Some(Opened { listener, service }) = opened.recv() => {
                let (pod, world) = (format!("{service}-0"), Arc::clone(&world));
                let leads = move || {
                    let known = world.known();
                    known.listening.get(&pod).copied().filter(|_| known.ready.contains(&pod))
                };
                tasks.spawn(forwarder::serve(listener, leads));
            }
            Some(event) = events.next() => match event {
                Ok(Event::Apply(pod) | Event::InitApply(pod)) => {
                    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
                    if node.is_some_and(|node| node != NODE) {
                        continue;
                    }
                    let is_deleted = pod.metadata.deletion_timestamp.is_some();
                    let uid = pod.uid().unwrap_or_default();
                    if let Some(sender) = deleted.get(&uid) {
                        sender.send_if_modified(|it| !std::mem::replace(it, is_deleted) && is_deleted);
                    } else {
                        let (sender, receiver) = watch::channel(is_deleted);
                        deleted.insert(uid, sender);
                        tasks.spawn(play(Arc::clone(&world), pod, receiver));
                    }
                }
                Ok(Event::Delete(pod)) => {
                    // Dropped, it tells the same.
                    drop(deleted.remove(&pod.uid().unwrap_or_default()));
                }
                Ok(Event::Init | Event::InitDone) => {}
                // It lists again.
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}
