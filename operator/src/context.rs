//! What all controllers of one scope share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser,
};
use headscale_keys::{Token, Witness};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};
use tokio::sync::mpsc::UnboundedSender;

use crate::events::Events;
use crate::headscale;
use crate::headscale::children::Children;
use crate::headscale::secrets::Secrets;
use crate::instance::{Clock, Instances};
use crate::lanes::Lanes;
use crate::metrics::Metrics;
use crate::names::REISSUE_LABEL;
use crate::policy::Desk;

/// How the operator goes about its work.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long an object that is deleted waits for a Headscale that does not answer.
    pub(crate) deletion_patience: Duration,
    /// How often each object is looked at when nothing happens.
    pub(crate) resync: Duration,
    /// How often what Headscale has is held against what was said of it.
    pub(crate) check_interval: Duration,
    /// After this a key that was written down is not asked for any more.
    pub(crate) send_deadline: Duration,
    /// After this a request that was sent does not arrive any more.
    pub(crate) in_flight: Duration,
    /// The image of the sidecar, where a spec names none.
    pub(crate) sidecar_image: String,
    /// How long a pod may take to be ready.
    pub(crate) progress_deadline: Duration,
    /// How often the bucket gets a token from which keys of nodes are reissued.
    pub(crate) reissue_interval: Duration,
    /// The name of this process.
    pub(crate) identity: String,
    /// Whether no other operator may be at work.
    pub(crate) alone: bool,
}

/// What happens to which objects.
#[derive(Debug)]
pub(crate) struct Triggers {
    /// Instances whose objects are looked at.
    pub(crate) headscales: UnboundedSender<ObjectRef<Headscale>>,
    /// Instances whose policy is looked at.
    pub(crate) documents: UnboundedSender<ObjectRef<Headscale>>,
    pub(crate) policies: UnboundedSender<ObjectRef<HeadscalePolicy>>,
    pub(crate) approvers: UnboundedSender<ObjectRef<HeadscaleAutoApprover>>,
    /// State Secrets of nodes whose auth keys are reissued.
    pub(crate) nodes: UnboundedSender<ObjectRef<PartialObjectMeta<Secret>>>,
    pub(crate) users: UnboundedSender<ObjectRef<HeadscaleUser>>,
    pub(crate) keys: UnboundedSender<ObjectRef<HeadscalePreAuthKey>>,
}

impl Triggers {
    /// Has this instance looked at.
    pub(crate) fn headscale(&self, namespace: &str, name: &str) {
        // It fails when the operator ends.
        self.headscales.send(ObjectRef::new(name).within(namespace)).ok();
    }

    /// Has the policy of this instance looked at.
    pub(crate) fn document(&self, namespace: &str, headscale: &str) {
        self.documents.send(ObjectRef::new(headscale).within(namespace)).ok();
    }

    /// Has this user looked at.
    pub(crate) fn user(&self, user: &HeadscaleUser) {
        // It fails when the operator ends.
        self.users.send(ObjectRef::from_obj(user)).ok();
    }

    /// Has the node of this state Secret looked at.
    pub(crate) fn node(&self, namespace: &str, state: &str) {
        // It fails when the operator ends.
        self.nodes.send(ObjectRef::new(state).within(namespace)).ok();
    }

    /// Has this key looked at.
    pub(crate) fn key(&self, key: &HeadscalePreAuthKey) {
        self.keys.send(ObjectRef::from_obj(key)).ok();
    }
}

/// The objects of a scope, as they were seen last.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) headscales: Store<Headscale>,
    pub(crate) policies: Store<HeadscalePolicy>,
    pub(crate) approvers: Store<HeadscaleAutoApprover>,
    /// Those of instances, with their status.
    pub(crate) stateful_sets: Store<StatefulSet>,
    /// The other objects of instances: names, owners and versions.
    pub(crate) children: Children,
    /// State Secrets of nodes: names and labels.
    pub(crate) nodes: Store<PartialObjectMeta<Secret>>,
    pub(crate) users: Store<HeadscaleUser>,
    pub(crate) keys: Store<HeadscalePreAuthKey>,
    /// Secrets of pre-auth keys: names, labels and owners.
    pub(crate) secrets: Store<PartialObjectMeta<Secret>>,
}

/// What is remembered of an object, none of which matters to what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Failures since the last time that went well.
    pub(crate) failures: u32,
    /// The version that was written last.
    pub(crate) written: Option<u64>,
    /// Whether it was let go: it is not looked at again, whatever the stores still show of it.
    pub(crate) is_gone: bool,
    /// What an Event said last.
    pub(crate) told: Option<(String, String)>,
    /// Since when tokens are known, of the record of a pre-auth key.
    pub(crate) witness: Option<Witness>,
    /// Tokens of keys that were asked for and that the record may not name.
    pub(crate) unpublished: Vec<Token>,
    /// What there is of an instance.
    pub(crate) instance: headscale::Kept,
    /// What this process wrote down for a node and has not asked for: when, unless too long ago.
    pub(crate) begun: Option<(Token, Option<Duration>)>,
}

/// What the controllers of a scope share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) instances: Instances,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) recorder: std::sync::Arc<Events>,
    pub(crate) settings: Settings,
    pub(crate) stores: Stores,
    pub(crate) triggers: Triggers,
    /// Those that specs of instances name.
    pub(crate) secrets: Secrets,
    pub(crate) memories: Mutex<HashMap<String, Memory>>,
    pub(crate) lanes: Lanes,
    /// Where policies are judged.
    pub(crate) desk: Desk,
}

impl Context {
    /// Remembers, or looks up, something of the object with this uid.
    pub(crate) fn memory<T>(&self, uid: &str, f: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        f(memories.entry(uid.to_owned()).or_default())
    }

    /// Forgets an object that is seen to be gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// The Headscale of this name, if there is one.
    pub(crate) fn headscale(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<std::sync::Arc<Headscale>> {
        self.stores.headscales.get(&ObjectRef::new(name).within(namespace))
    }

    /// The policies of a Headscale, of which there should be one.
    pub(crate) fn policies_of(
        &self,
        namespace: &str,
        headscale: &str,
    ) -> Vec<std::sync::Arc<HeadscalePolicy>> {
        self.stores.policies.state_filter(|policy| {
            policy.spec.headscale_ref == headscale
                && policy.metadata.namespace.as_deref() == Some(namespace)
        })
    }

    /// The approvers of a Headscale.
    pub(crate) fn approvers_of(
        &self,
        namespace: &str,
        headscale: &str,
    ) -> Vec<std::sync::Arc<HeadscaleAutoApprover>> {
        self.stores.approvers.state_filter(|approver| {
            approver.spec.headscale_ref == headscale
                && approver.metadata.namespace.as_deref() == Some(namespace)
        })
    }

    /// The users of a Headscale.
    pub(crate) fn users_of(
        &self,
        namespace: &str,
        headscale: &str,
    ) -> Vec<std::sync::Arc<HeadscaleUser>> {
        self.stores.users.state_filter(|user| {
            user.spec.headscale_ref == headscale
                && user.metadata.namespace.as_deref() == Some(namespace)
        })
    }

    /// State Secrets of the nodes whose keys are like this HeadscalePreAuthKey.
    pub(crate) fn nodes_of(
        &self,
        namespace: &str,
        key: &str,
    ) -> Vec<std::sync::Arc<PartialObjectMeta<Secret>>> {
        self.stores.nodes.state_filter(|node| {
            node.labels().get(REISSUE_LABEL).is_some_and(|label| label == key)
                && node.namespace().as_deref() == Some(namespace)
        })
    }

    /// The keys of a Headscale.
    pub(crate) fn keys_of(
        &self,
        namespace: &str,
        headscale: &str,
    ) -> Vec<std::sync::Arc<HeadscalePreAuthKey>> {
        self.stores.keys.state_filter(|key| {
            key.spec.headscale_ref == headscale
                && key.metadata.namespace.as_deref() == Some(namespace)
        })
    }
}
