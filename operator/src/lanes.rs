//! How many objects are looked at at a time: so many of each kind and each Headscale, so that one
//! that is slow, or says nothing, holds up nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser,
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The pace of a Headscale that takes a tenth of a second for each call.
const AT_A_TIME: usize = 16;

/// An object that a Headscale is asked about.
pub(crate) trait OfHeadscale {
    /// The name of that Headscale, in the object's namespace.
    fn headscale(&self) -> String;
}

impl OfHeadscale for Headscale {
    fn headscale(&self) -> String {
        self.name_any()
    }
}

impl OfHeadscale for HeadscaleUser {
    fn headscale(&self) -> String {
        self.spec.headscale_ref.clone()
    }
}

impl OfHeadscale for HeadscalePreAuthKey {
    fn headscale(&self) -> String {
        self.spec.headscale_ref.clone()
    }
}

impl OfHeadscale for HeadscalePolicy {
    fn headscale(&self) -> String {
        self.spec.headscale_ref.clone()
    }
}

impl OfHeadscale for HeadscaleAutoApprover {
    fn headscale(&self) -> String {
        self.spec.headscale_ref.clone()
    }
}

/// Nothing tells whose node it is: those of a namespace share a lane.
impl OfHeadscale for PartialObjectMeta<Secret> {
    fn headscale(&self) -> String {
        String::new()
    }
}

/// A kind, a namespace, and a Headscale of it.
type Lane = (&'static str, String, String);

/// All lanes that are in use.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<Lane, Arc<Semaphore>>>);

impl Lanes {
    /// Waits until it is the object's turn, which lasts as long as what is given.
    pub(crate) async fn turn(
        &self,
        kind: &'static str,
        namespace: String,
        headscale: String,
    ) -> Option<OwnedSemaphorePermit> {
        let lane = {
            let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let place = (kind, namespace, headscale);
            if !lanes.contains_key(&place) {
                // Those that nobody is in or waits for.
                lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            }
            let lane = lanes.entry(place);
            Arc::clone(lane.or_insert_with(|| Arc::new(Semaphore::new(AT_A_TIME))))
        };
        // It fails where a lane is closed, and none is.
        lane.acquire_owned().await.ok()
    }
}
