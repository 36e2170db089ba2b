//! What a player's test and its pods both know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use headscale_controlplane::ControlPlane;
use headscale_standin::StandIn;
use kube::Client;

/// A pod that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What its StatefulSet calls the template that it was made of.
    pub revision: Option<String>,
    /// The image of its container `headscale`, or else of its first.
    pub image: String,
}

/// What a test asked for.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Parts of the names of images that cannot be pulled.
    pub(crate) unpullable: BTreeSet<String>,
    /// Parts of the names of images whose containers end as soon as they start.
    pub(crate) crashing: BTreeSet<String>,
    /// Pods that do not become ready, where they are not.
    pub(crate) held: BTreeSet<String>,
    /// Containers to be killed, by pod and name.
    pub(crate) killed: BTreeSet<(String, String)>,
    /// Arguments that the API-key manager gets after its own.
    pub(crate) flags: Vec<String>,
    /// What calls with a key cost the stand-in.
    pub(crate) key_cost: Duration,
}

impl Orders {
    /// Whether an image is among those whose names are given in part.
    pub(crate) fn names(parts: &BTreeSet<String>, image: &str) -> bool {
        parts.iter().any(|part| image.contains(part.as_str()))
    }
}

/// What pods are and have, each by its name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) orders: Orders,
    pub(crate) starts: BTreeMap<String, Vec<Start>>,
    /// Where the Headscale of each pod listens.
    pub(crate) listening: HashMap<String, SocketAddr>,
    /// Pods that are ready.
    pub(crate) ready: BTreeSet<String>,
    pub(crate) stand_ins: HashMap<String, StandIn>,
    /// The directories of claims, by their names.
    pub(crate) claims: HashMap<String, PathBuf>,
    /// The logs of containers, by pod and name.
    pub(crate) logs: HashMap<(String, String), PathBuf>,
    /// Where Services lead from, by their names.
    pub(crate) services: HashMap<String, SocketAddr>,
    numbers: u32,
}

/// A namespace that is played.
pub(crate) struct World {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) directory: PathBuf,
    known: Mutex<Known>,
}

impl World {
    pub(crate) fn new(
        plane: &'static ControlPlane,
        client: Client,
        namespace: &str,
        directory: &Path,
    ) -> Self {
        Self {
            plane,
            client,
            namespace: namespace.to_owned(),
            directory: directory.to_owned(),
            known: Mutex::default(),
        }
    }

    /// Never to be held across a wait.
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("not poisoned")
    }

    /// A number that nothing else here has: names of files are short, because those of sockets must
    /// be.
    pub(crate) fn number(&self) -> u32 {
        let mut known = self.known();
        known.numbers += 1;
        known.numbers
    }
}
