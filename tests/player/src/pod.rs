//! The life of one pod.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Container, Pod, ServiceAccount};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::container::{self, Exit, Place, Running};
use crate::environment;
use crate::forwarder;
use crate::probe;
use crate::status::{Conditions, Report, State, now};
use crate::volumes::{Trouble, Volumes};
use crate::world::{Start, World};

/// The node that pods are bound to. It has no object: nobody here asks for one.
pub(crate) const NODE: &str = "player";
/// What tells pods of one template from those of another.
const REVISION_LABEL: &str = "controller-revision-hash";
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a container that is ready is asked whether it still is.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// The pause before a container is started again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a token is good for, in seconds: longer than any test.
const TOKEN_SECONDS: i64 = 6 * 60 * 60;
/// Where clients of Kubernetes look for their account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A container with what it is now.
struct Slot {
    container: Container,
    report: Report,
    running: Option<Running>,
    since: String,
    /// When something is to be done with it next.
    due: Instant,
    pause: Duration,
    has_run: bool,
}

impl Slot {
    fn new(container: &Container, reason: &'static str) -> Self {
        Self {
            container: container.clone(),
            report: Report::new(reason),
            running: None,
            since: String::new(),
            due: Instant::now(),
            pause: FIRST_PAUSE,
            has_run: false,
        }
    }

    fn wait(&mut self, reason: &'static str, message: String) {
        self.report.state = State::Waiting { reason, message };
        self.report.is_ready = false;
        self.due = Instant::now() + self.pause;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    fn has_ended(&mut self, exit: Exit) {
        self.running = None;
        let since = self.since.clone();
        self.report.last = Some(State::Terminated { since, until: now(), exit });
        let name = &self.container.name;
        self.wait("CrashLoopBackOff", format!("back-off restarting failed container {name}"));
    }
}

/// What stands once for a pod.
#[derive(Default)]
struct Ground {
    directory: PathBuf,
    volumes: Volumes,
    kubeconfig: Option<PathBuf>,
    /// What leads to its Headscale, whenever that runs.
    headscale: Option<SocketAddr>,
}

struct Life {
    world: Arc<World>,
    pod: Pod,
    name: String,
    ground: Ground,
    first: Vec<Slot>,
    main: Vec<Slot>,
    conditions: Conditions,
    started: Option<String>,
    shown: Option<Value>,
    forwarder: Option<JoinHandle<()>>,
}

/// Plays a pod until it is to be deleted; then ends it, and removes its object.
pub(crate) async fn play(world: Arc<World>, pod: Pod, deleted: watch::Receiver<bool>) {
    let mut deleted = deleted;
    let mut life = Life::new(world, pod);
    tokio::select! {
        () = life.live() => {}
        // An error is the end of the player.
        _ = deleted.wait_for(|deleted| *deleted) => {}
    }
    life.end().await;
}

impl Life {
    fn new(world: Arc<World>, pod: Pod) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let slots = |containers: &[Container], reason| {
            containers.iter().map(|container| Slot::new(container, reason)).collect()
        };
        let first = spec.init_containers.unwrap_or_default();
        let reason = if first.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        Self {
            name: pod.name_any(),
            ground: Ground::default(),
            first: slots(&first, "PodInitializing"),
            main: slots(&spec.containers, reason),
            conditions: Conditions::default(),
            started: None,
            shown: None,
            forwarder: None,
            world,
            pod,
        }
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.world.client.clone(), &self.world.namespace)
    }

    /// Never ends.
    async fn live(&mut self) {
        for condition in ["ContainersReady", "Initialized", "Ready"] {
            self.conditions.set(condition, false);
        }
        self.find_a_node().await;
        self.note_the_start();
        self.prepare().await;
        for index in 0..self.first.len() {
            self.finish(index).await;
        }
        self.conditions.set("Initialized", true);
        loop {
            for index in 0..self.main.len() {
                self.step(index, false).await;
                self.probe(index).await;
            }
            let is_ready = self.main.iter().all(|slot| slot.report.is_ready);
            self.conditions.set("ContainersReady", is_ready);
            self.conditions.set("Ready", is_ready);
            self.show().await;
            {
                let mut known = self.world.known();
                if is_ready {
                    known.ready.insert(self.name.clone());
                } else {
                    known.ready.remove(&self.name);
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn find_a_node(&mut self) {
        let spec = self.pod.spec.clone().unwrap_or_default();
        if spec.node_name.is_some() {
            return;
        }
        if spec.node_selector.is_some_and(|selector| !selector.is_empty()) {
            let why = "0/1 nodes are available: 1 node(s) didn't match Pod's node selector.";
            self.cannot_be_scheduled(why.to_owned()).await;
            pending::<()>().await;
        }
        let target = json!({ "apiVersion": "v1", "kind": "Node", "name": NODE });
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": { "name": self.name },
            "target": target,
        });
        loop {
            let missing = self.missing_claim().await;
            if let Some(why) = missing {
                self.cannot_be_scheduled(why).await;
                continue;
            }
            let params = PostParams::default();
            let bound: Result<Value, _> =
                self.api().create_subresource("binding", &self.name, &params, &binding).await;
            match bound {
                Ok(_) => break,
                // Somebody was faster, or it is gone.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => break,
                Err(_) => sleep(LOOK_EVERY).await,
            }
        }
        self.conditions.set("PodScheduled", true);
    }

    async fn cannot_be_scheduled(&mut self, why: String) {
        self.conditions.tell("PodScheduled", false, Some("Unschedulable"), why);
        self.show().await;
        sleep(LONGEST_PAUSE).await;
    }

    async fn missing_claim(&self) -> Option<String> {
        let spec = self.pod.spec.as_ref()?;
        for volume in spec.volumes.iter().flatten() {
            let Some(claim) = &volume.persistent_volume_claim else { continue };
            let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
                Api::namespaced(self.world.client.clone(), &self.world.namespace);
            if let Ok(None) = claims.get_opt(&claim.claim_name).await {
                let name = &claim.claim_name;
                return Some(format!("persistentvolumeclaim \"{name}\" not found"));
            }
        }
        None
    }

    fn note_the_start(&mut self) {
        self.started = Some(now());
        let containers = || self.main.iter().map(|slot| &slot.container);
        let container = containers().find(|it| it.name == "headscale").or(containers().next());
        let image = container.and_then(|container| container.image.clone()).unwrap_or_default();
        let revision = self.pod.labels().get(REVISION_LABEL).cloned();
        let mut known = self.world.known();
        let starts = known.starts.entry(self.name.clone()).or_default();
        let is_again =
            revision.is_some() && starts.last().is_some_and(|it| it.revision == revision);
        if !is_again {
            starts.push(Start { revision, image });
        }
    }

    /// Has the volumes and the account be there.
    async fn prepare(&mut self) {
        self.ground.directory = self.world.directory.join(self.world.number().to_string());
        std::fs::create_dir_all(&self.ground.directory).expect("a directory");
        let (listener, address) = forwarder::bind();
        let (pod, world) = (self.name.clone(), Arc::clone(&self.world));
        let leads = move || world.known().listening.get(&pod).copied();
        self.forwarder = Some(tokio::spawn(forwarder::serve(listener, leads)));
        self.ground.headscale = Some(address);
        loop {
            let made = Volumes::make(&self.world, &self.pod, &self.ground.directory).await;
            let trouble = match made {
                Ok(volumes) => {
                    self.ground.volumes = volumes;
                    match self.account().await {
                        Ok(kubeconfig) => {
                            self.ground.kubeconfig = kubeconfig;
                            return;
                        }
                        Err(trouble) => trouble,
                    }
                }
                Err(trouble) => trouble,
            };
            for slot in self.first.iter_mut().chain(&mut self.main) {
                let message = trouble.message.clone();
                slot.report.state = State::Waiting { reason: trouble.reason, message };
            }
            self.show().await;
            sleep(FIRST_PAUSE).await;
        }
    }

    /// A kubeconfig of the pod's account, where a token of it is mounted.
    async fn account(&self) -> Result<Option<PathBuf>, Trouble> {
        let spec = self.pod.spec.clone().unwrap_or_default();
        let name = spec.service_account_name.unwrap_or_else(|| "default".to_owned());
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.world.client.clone(), &self.world.namespace);
        let Some(account) = accounts.get_opt(&name).await.map_err(Trouble::api)? else {
            return Ok(None);
        };
        let mut mounts = spec.containers.iter().flat_map(|it| it.volume_mounts.iter().flatten());
        let is_mounted = mounts.any(|mount| mount.mount_path.trim_end_matches('/') == ACCOUNT);
        let automount = spec.automount_service_account_token;
        let automount = automount.or(account.automount_service_account_token).unwrap_or(true);
        if !is_mounted && !automount {
            return Ok(None);
        }
        let spec = TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let params = PostParams::default();
        let answer = accounts.create_token_request(&name, &params, &request).await;
        let token = answer.map_err(Trouble::api)?.status.expect("an answer has a token").token;
        let (directory, namespace) = (&self.ground.directory, &self.world.namespace);
        Ok(Some(self.world.plane.kubeconfig(directory, &token, namespace, None)))
    }

    /// Runs a container that comes before the others, until it succeeds.
    async fn finish(&mut self, index: usize) {
        loop {
            self.step(index, true).await;
            self.show().await;
            let slot = &self.first[index];
            if matches!(&slot.report.state, State::Terminated { exit, .. } if exit.code == 0) {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Does what is to be done with a container now.
    async fn step(&mut self, index: usize, is_first: bool) {
        let slots = if is_first { &mut self.first } else { &mut self.main };
        let slot = &mut slots[index];
        let container = slot.container.clone();
        let mut place = Place {
            world: &self.world,
            pod: &self.name,
            volumes: &self.ground.volumes,
            directory: &self.ground.directory,
            headscale: self.ground.headscale,
            kubeconfig: self.ground.kubeconfig.as_deref(),
            environment: &[],
        };
        if let Some(running) = &mut slot.running {
            let Some(exit) = place.ended(&container, running) else { return };
            if is_first && exit.code == 0 {
                slot.running = None;
                slot.report.is_ready = true;
                let since = slot.since.clone();
                slot.report.state = State::Terminated { since, until: now(), exit };
            } else {
                slot.has_ended(exit);
            }
            return;
        }
        if Instant::now() < slot.due {
            return;
        }
        if !container::can_be_pulled(&self.world, &container) {
            let image = container.image.as_deref().unwrap_or_default();
            slot.wait("ImagePullBackOff", format!("Back-off pulling image \"{image}\""));
            return;
        }
        let environment = match environment::of(&self.world, &self.pod, &container).await {
            Ok(environment) => environment,
            Err(Trouble { reason, message }) => {
                slot.wait(reason, message);
                return;
            }
        };
        place.environment = &environment;
        if slot.has_run {
            slot.report.restarts += 1;
        }
        slot.has_run = true;
        slot.since = now();
        match place.start(&container).await {
            Ok((running, address)) => {
                slot.running = Some(running);
                slot.report.state = State::Running { since: slot.since.clone() };
                slot.due = Instant::now();
                if let Some(address) = address {
                    self.world.known().listening.insert(self.name.clone(), address);
                }
            }
            Err(exit) => slot.has_ended(exit),
        }
    }

    /// Finds out whether a container that runs is ready.
    async fn probe(&mut self, index: usize) {
        let slot = &mut self.main[index];
        if slot.running.is_none() {
            slot.report.is_ready = false;
            return;
        }
        let is_held = !slot.report.is_ready
            && slot.container.readiness_probe.is_some()
            && self.world.known().orders.held.contains(&self.name);
        if is_held {
            return;
        }
        if !slot.report.is_ready || Instant::now() >= slot.due {
            let address = self.world.known().listening.get(&self.name).copied();
            slot.report.is_ready = probe::is_ready(&slot.container, address).await;
            slot.due = Instant::now() + PROBE_EVERY;
            if slot.report.is_ready {
                slot.pause = FIRST_PAUSE;
            }
        }
    }

    /// Tells the API server how the pod is, where that is news.
    async fn show(&mut self) {
        let is_running = |slot: &Slot| !matches!(slot.report.state, State::Waiting { .. });
        let is_running = self.main.iter().any(|slot| slot.has_run || is_running(slot));
        let reports = |slots: &[Slot]| -> Vec<Value> {
            slots.iter().map(|slot| slot.report.to_value(&slot.container)).collect()
        };
        let status = json!({
            "phase": if is_running { "Running" } else { "Pending" },
            "startTime": self.started,
            "hostIP": self.started.as_ref().map(|_| "127.0.0.1"),
            "podIP": is_running.then_some("127.0.0.1"),
            "podIPs": is_running.then(|| json!([{ "ip": "127.0.0.1" }])),
            "conditions": self.conditions.to_value(),
            "initContainerStatuses": reports(&self.first),
            "containerStatuses": reports(&self.main),
        });
        if self.shown.as_ref() == Some(&status) {
            return;
        }
        // Another pod of that name is none of its business.
        let patch = json!({ "metadata": { "uid": self.pod.uid() }, "status": status });
        let params = PatchParams::default();
        let told = self.api().patch_status(&self.name, &params, &Patch::Merge(patch)).await;
        match told {
            Ok(_) => self.shown = Some(status),
            // It is tried again; where the pod is gone, that is told soon.
            Err(_) => self.shown = None,
        }
    }

    /// Ends all containers, and then the pod.
    async fn end(mut self) {
        self.world.known().ready.remove(&self.name);
        let slots = self.first.iter_mut().chain(&mut self.main);
        let running: Vec<Running> = slots.filter_map(|slot| slot.running.take()).collect();
        join_all(running.into_iter().map(|it| container::stop(&self.world, &self.name, it))).await;
        self.world.known().listening.remove(&self.name);
        if let Some(forwarder) = self.forwarder.take() {
            forwarder.abort();
        }
        let preconditions = Preconditions { uid: self.pod.uid(), ..Preconditions::default() };
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        loop {
            match self.api().delete(&self.name, &params).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return,
                Err(_) => sleep(FIRST_PAUSE).await,
            }
        }
    }
}
