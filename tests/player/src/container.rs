//! Starting and ending what a container is.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use headscale_controlplane::Process;
use k8s_openapi::api::core::v1::Container;
use rustix::process::{Pid, Signal, kill_process};

use crate::headscale;
use crate::program;
use crate::volumes::Volumes;
use crate::world::{Orders, World};

/// The longest that a container is given to end, however long its pod allows.
const GRACE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much of a log is told as the last words of a container, as a kubelet does.
const LAST_WORDS: usize = 2048;

/// Where the containers of a pod run.
pub(crate) struct Place<'a> {
    pub(crate) world: &'a World,
    /// The pod's name.
    pub(crate) pod: &'a str,
    pub(crate) volumes: &'a Volumes,
    /// The pod's own.
    pub(crate) directory: &'a Path,
    /// What leads to its Headscale.
    pub(crate) headscale: Option<SocketAddr>,
    /// How the pod's account reaches the API server, where it has a token.
    pub(crate) kubeconfig: Option<&'a Path>,
    pub(crate) environment: &'a [(String, String)],
}

/// What a container is while it runs.
#[derive(Debug)]
pub(crate) enum Running {
    /// The stand-in that the world has under the pod's name.
    StandIn,
    /// A process.
    Process(Process),
    /// Nothing: it only seems to.
    Nothing,
}

/// How a container ended.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    /// Its last words.
    pub(crate) message: String,
}

impl Exit {
    pub(crate) fn new(code: i32, message: String) -> Self {
        Self { code, message }
    }
}

/// Whether an image can be had.
pub(crate) fn can_be_pulled(world: &World, container: &Container) -> bool {
    let image = container.image.as_deref().unwrap_or_default();
    let is_withheld = Orders::names(&world.known().orders.unpullable, image);
    !is_withheld && (container.name != "headscale" || headscale::is_known(image))
}

impl Place<'_> {
    /// Starts a container; gives where it listens, if it does.
    pub(crate) async fn start(
        &self,
        container: &Container,
    ) -> Result<(Running, Option<SocketAddr>), Exit> {
        let image = container.image.as_deref().unwrap_or_default();
        if Orders::names(&self.world.known().orders.crashing, image) {
            return Err(Exit::new(1, "it was told to crash".to_owned()));
        }
        match container.name.as_str() {
            "headscale" => {
                let (running, address) = headscale::start(self, container).await?;
                Ok((running, Some(address)))
            }
            "apikey-manager" | "backup" => Ok((self.sidecar(container)?, None)),
            _ => Ok((Running::Nothing, None)),
        }
    }

    /// The real sidecar, with paths and addresses that are right here.
    fn sidecar(&self, container: &Container) -> Result<Running, Exit> {
        let mut arguments = Vec::new();
        for argument in container.args.iter().flatten() {
            let Some((flag, value)) = argument.split_once('=') else {
                arguments.push(argument.clone());
                continue;
            };
            let value = match flag.trim_start_matches('-') {
                "headscale-url" if !value.is_empty() => {
                    let address = self.headscale.expect("what leads to it comes first");
                    let scheme = if value.starts_with("https:") { "https" } else { "http" };
                    format!("{scheme}://{address}")
                }
                "health-addr" => "127.0.0.1:0".to_owned(),
                _ if value.starts_with('/') => {
                    let path = self.volumes.path(container, value);
                    let path = path.ok_or_else(|| {
                        Exit::new(1, format!("{value}: no such file or directory"))
                    })?;
                    path.display().to_string()
                }
                _ => value.to_owned(),
            };
            arguments.push(format!("{flag}={value}"));
        }
        if container.name == "apikey-manager" {
            let has_url = arguments.iter().any(|it| it.contains("-headscale-url"));
            if !has_url && let Some(address) = self.headscale {
                // Its default is a port of the pod.
                arguments.push(format!("--headscale-url=http://{address}"));
            }
            arguments.extend(self.world.known().orders.flags.iter().cloned());
        }
        let mut command = program::command(&arguments);
        if let Some(kubeconfig) = self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        Ok(self.spawn(container, command))
    }

    /// Starts a process that is the container, and has its variables and its log.
    pub(crate) fn spawn(&self, container: &Container, command: Command) -> Running {
        let mut command = command;
        let path = self.log(container);
        let log = File::options().create(true).append(true).open(&path).expect("a log");
        let key = (self.pod.to_owned(), container.name.clone());
        self.world.known().logs.insert(key, path);
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let name = format!("{}-{}-{}", self.world.namespace, container.name, self.world.number());
        Running::Process(self.world.plane.start_process(&name, &mut command))
    }

    /// The log of a container.
    fn log(&self, container: &Container) -> PathBuf {
        self.directory.join(format!("{}.log", container.name))
    }

    /// How a running container has ended by itself, if it has.
    pub(crate) fn ended(&self, container: &Container, running: &mut Running) -> Option<Exit> {
        let key = (self.pod.to_owned(), container.name.clone());
        if self.world.known().orders.killed.remove(&key) {
            kill(self.world, self.pod, running);
            return Some(Exit::new(137, String::new()));
        }
        let Running::Process(process) = running else { return None };
        let status = process.ended().expect("it can be asked for")?;
        let words = fs::read_to_string(self.log(container)).unwrap_or_default();
        let words = words.trim_end();
        let start = words.len().saturating_sub(LAST_WORDS);
        let start = (start..=words.len()).find(|start| words.is_char_boundary(*start));
        let words = words[start.unwrap_or_default()..].to_owned();
        Some(Exit::new(status.code().unwrap_or(137), words))
    }
}

/// Ends a container at once.
fn kill(world: &World, pod: &str, running: &mut Running) {
    if let Running::StandIn = running {
        let server = world.known().stand_ins.remove(pod);
        if let Some(server) = server {
            server.crash();
        }
    }
    *running = Running::Nothing;
}

/// Ends a container as a kubelet does: it is asked to, and killed where it does not.
pub(crate) async fn stop(world: &World, pod: &str, running: Running) {
    match running {
        Running::StandIn => {
            let server = world.known().stand_ins.remove(pod);
            if let Some(server) = server {
                server.stop().await;
            }
        }
        Running::Process(mut process) => {
            let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
            if let Some(id) = id {
                // It may have ended.
                kill_process(id, Signal::TERM).ok();
            }
            let deadline = Instant::now() + GRACE;
            while process.ended().expect("it can be asked for").is_none()
                && Instant::now() < deadline
            {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Running::Nothing => {}
    }
}
