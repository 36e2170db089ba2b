//! One step: reads the Secrets and Headscale, has [`decide`] say what comes next, and does it.

use std::sync::Arc;
use std::time::Duration;

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey};
use headscale_client::{ErrorKind, HeadscaleApi as _, HttpClient, Node, PreAuthKey};
use headscale_keys::AuthKey;
use headscale_keys::reissue::{
    Answer, Config, Control, KeyId, KeyView, NodeId, NodeView, Occasion, Policy, Replica, decide,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use thiserror::Error;

use super::called;
use super::document::{self, Defaults, Files};
use super::proof;
use super::record::{Pending, Reason, Record};
use super::request::{self, Request};
use super::store::{Contents, Store};
use super::tell::{Note, reasons};
use crate::context::Context;
use crate::instance::{AskError, Instance};
use crate::kubernetes::KubernetesError;
use crate::names::{REISSUE_KEY_ANNOTATION, REISSUE_LABEL, REISSUE_RECORD_ANNOTATION};
use crate::objects;
use crate::secret_home::Home;
use crate::user::{InstanceView, Next, instance_view};

/// No two clocks are further apart. What is said to be written later was written by none of ours.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);

/// What a turn did.
pub(super) enum Turn {
    /// One step.
    Did(Option<Note>),
    /// There was none to take.
    Rest(Next, Option<Note>),
}

/// Why a turn failed. The next one goes on from whatever became of it.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The API server.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// Headscale.
    #[error(transparent)]
    Headscale(#[from] AskError),
    /// Somebody has to mend something.
    #[error("{0}")]
    Refused(String),
    /// Headscale does not make the key.
    #[error("{0}")]
    NotMade(String),
}

/// What is read of the two Secrets.
pub(super) struct Read {
    pub(super) request: Request,
    pub(super) secret: Option<Secret>,
    pub(super) record: Record,
    pub(super) files: Files,
    pub(super) key: Option<AuthKey>,
}

impl Read {
    fn replica(&self, policy: Policy) -> Replica<'_> {
        Replica {
            marker: self.request.marker.as_ref(),
            config: match (&self.secret, &self.key) {
                (None, _) => Config::Missing,
                (Some(_), None) => Config::NoKey,
                (Some(_), Some(key)) => Config::Key(key),
            },
            intent: self.record.pending.as_ref().map(Pending::intent),
            kept: self.record.kept.map(NodeId),
            device_id: self.request.device,
            control: Control::Unavailable,
            token: false,
            policy,
        }
    }
}

/// What is read of Headscale.
pub(super) struct Seen {
    pub(super) instance: Arc<Instance>,
    pub(super) keys: Arc<Vec<PreAuthKey>>,
    device: Option<Node>,
    /// Whether that is the replica's own.
    is_proven: bool,
}

/// Whom the node's keys are like, and where they are made.
pub(super) struct Place {
    pub(super) template: Arc<HeadscalePreAuthKey>,
    pub(super) headscale: Arc<Headscale>,
    server_url: String,
}

/// One node's keys.
pub(super) struct Turns<'a> {
    pub(super) context: &'a Context,
    state: &'a Secret,
    pub(super) store: Store<'a>,
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl<'a> Turns<'a> {
    /// `None` of a Secret that was never stored.
    pub(super) fn new(context: &'a Context, state: &'a Secret) -> Option<Self> {
        let (uid, namespace, name) = (state.uid()?, state.namespace()?, state.name_any());
        Some(Self { context, state, store: Store::new(context, state)?, uid, namespace, name })
    }

    fn label(&self) -> &'a str {
        self.state.labels().get(REISSUE_LABEL).map_or("", String::as_str)
    }

    /// The object that the label names, where there is one.
    pub(super) fn template(&self) -> Option<Arc<HeadscalePreAuthKey>> {
        self.context.stores.keys.get(&ObjectRef::new(self.label()).within(&self.namespace))
    }

    /// Takes one step, or finds that there is none to take.
    pub(super) async fn turn(&self) -> Result<Turn, Failure> {
        let read = self.read().await?;
        let policy = request::policy(self.state).map_err(Failure::Refused)?;
        let replica = read.replica(policy);
        if let Some(secret) = &read.secret
            && !self.store.is_owned(secret)
        {
            self.write(&read, &read.record, read.files.clone()).await?;
            return Ok(Turn::Did(None));
        }
        let may_change = (read.key.is_some() || read.record.kept.is_some())
            && read.request.device.is_some()
            && read.request.marker.is_none();
        if matches!(decide(&replica), Answer::Answered | Answer::Idle) && !may_change {
            return Ok(Turn::Rest(Next::Sometime, None));
        }
        let Some(place) = self.place(&read)? else { return Ok(Turn::Rest(Next::Sometime, None)) };
        let now = Timestamp::now();
        if let Some(pause) = self.gate(&read.record, now) {
            return Ok(Turn::Rest(Next::After(pause), None));
        }
        let seen = self.ask(&read, &place).await?;
        let device = proof::view_node(seen.device.as_ref(), now);
        let orphans = proof::orphans(&read.record, &seen.keys, now);
        let key = proof::view_key(read.key.as_ref(), &read.record, &seen.keys, now);
        // Where a node may be deleted for it, one that is not known to be the replica's is none. That
        // it is in is believed of a pod that asks for nothing: all it can lose is its own key.
        let is_foreign = seen.device.is_some() && !seen.is_proven && replica.marker.is_some();
        let (device, device_id) =
            if is_foreign { (NodeView::Missing, None) } else { (device, replica.device_id) };
        let can_return = seen.device.as_ref().is_none_or(|node| proof::can_return(node, now));
        let replica = Replica {
            policy: if can_return { policy } else { Policy::Recreate },
            control: Control::Available { device, key, orphans: &orphans },
            device_id,
            // Whether there is one is seen when it is taken.
            token: true,
            ..replica
        };
        match decide(&replica) {
            Answer::Begin(intent) => {
                let reason = match intent.occasion {
                    Occasion::First => Reason::First,
                    Occasion::Reissue => {
                        proof::reason(read.key.as_ref(), &read.record, &seen.keys, device, now)
                    }
                };
                let stays = is_foreign.then_some(read.request.device).flatten();
                self.begin(&read, &place, &seen, intent, reason, stays).await
            }
            Answer::Mint => self.mint(&read, &place, &seen).await,
            Answer::Abandon => {
                self.write(&read, &read.record.abandoned(), read.files.clone()).await?;
                Ok(Turn::Did(None))
            }
            Answer::DeleteNode(node) => self.delete_node(&seen, node).await,
            Answer::Expire(key) => self.expire(&seen, key).await,
            Answer::DropKey => {
                let files = self.files(&read, &place, None)?;
                self.write(&read, &read.record, files).await?;
                Ok(Turn::Did(None))
            }
            Answer::Retire { delete } => self.retire(&read, &seen, delete).await,
            Answer::Idle if read.key.is_some() && key != KeyView::Missing => {
                // Headscale tells nobody that a key was used or has expired.
                Ok(Turn::Rest(Next::After(self.context.settings.check_interval), None))
            }
            Answer::Idle | Answer::Answered | Answer::ControlUnavailable | Answer::RateLimited => {
                Ok(Turn::Rest(Next::Sometime, None))
            }
        }
    }

    async fn read(&self) -> Result<Read, Failure> {
        let request = Request::read(self.state);
        let secret = match self.store.get().await? {
            Home::Missing => None,
            Home::Ours(secret) => Some(*secret),
            Home::Foreign(why) => {
                return Err(Failure::Refused(format!(
                    "Secret {} is left as it is, because {why}: the keys of the node go there; \
                     delete it if nothing needs it, or give it the labels",
                    self.store.name
                )));
            }
        };
        let written =
            secret.as_ref().and_then(|it| it.annotations().get(REISSUE_RECORD_ANNOTATION));
        let record = written.map_or_else(Record::default, |text| {
            // Without it no node is deleted, which is all that is lost.
            Record::from_json(text).unwrap_or_else(|_| {
                tracing::warn!(
                    secret = self.store.name,
                    "annotation {REISSUE_RECORD_ANNOTATION} is not what was written; it is \
                     written anew"
                );
                Record::default()
            })
        });
        let files = secret.as_ref().and_then(|secret| secret.data.clone()).unwrap_or_default();
        let key = document::key(&files, request.capability).map_err(|e| self.unreadable(&e))?;
        Ok(Read { request, secret, record, files, key })
    }

    fn unreadable(&self, error: &document::DocumentError) -> Failure {
        Failure::Refused(format!("Secret {}: {error}: correct the file", self.store.name))
    }

    /// Whom the keys are like and where they are made; `None` where that is paused.
    fn place(&self, read: &Read) -> Result<Option<Place>, Failure> {
        let refused = |why: String| Err(Failure::Refused(why));
        let (label, namespace) = (self.label(), &self.namespace);
        let pinned =
            read.secret.as_ref().and_then(|it| it.annotations().get(REISSUE_KEY_ANNOTATION));
        if let Some(pinned) = pinned.filter(|pinned| *pinned != label) {
            return refused(format!(
                "label {REISSUE_LABEL} is {label}, and the node's keys are like \
                 HeadscalePreAuthKey {pinned}: set the label back, or set annotation \
                 {REISSUE_KEY_ANNOTATION} of Secret {} to {label}",
                self.store.name
            ));
        }
        let Some(template) = self.template() else {
            return refused(format!(
                "label {REISSUE_LABEL} is {label}, and namespace {namespace} has no \
                 HeadscalePreAuthKey {label}: make it, or correct the label"
            ));
        };
        request::may_be_like(&template, &self.name).map_err(Failure::Refused)?;
        let named = &template.spec.headscale_ref;
        let headscale = self.context.headscale(namespace, named);
        if objects::is_paused(&*template)
            || headscale.as_ref().is_some_and(|headscale| objects::is_paused(&**headscale))
        {
            return Ok(None);
        }
        let Some(headscale) = headscale.filter(|it| instance_view(Some(it)) == InstanceView::There)
        else {
            return refused(format!(
                "HeadscalePreAuthKey {label} is for Headscale {named}, which is not there or is \
                 being deleted"
            ));
        };
        let server_url = headscale.spec.config.as_ref().and_then(|config| config.get("server_url"));
        let server_url = server_url.and_then(Value::as_str).filter(|url| !url.is_empty());
        let Some(server_url) = server_url.map(str::to_owned) else {
            return refused(format!(
                "spec.config.server_url of Headscale {named} is not set: nodes would not find it"
            ));
        };
        Ok(Some(Place { template, headscale, server_url }))
    }

    /// How long to wait until no request can come any more that was sent for what is pending; `None`
    /// where none was sent.
    fn gate(&self, record: &Record, now: Timestamp) -> Option<Duration> {
        let pending = record.pending.as_ref()?;
        let begun = self.context.memory(&self.uid, |memory| memory.begun);
        if begun.is_some_and(|(token, _)| token == pending.token)
            || pending.at.duration_since(now) > CLOCKS
        {
            return None;
        }
        let settings = &self.context.settings;
        let all = settings.send_deadline.saturating_add(settings.in_flight);
        let passed = now.duration_since(pending.at);
        let left = SignedDuration::try_from(all).unwrap_or(SignedDuration::MAX) - passed;
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    async fn ask(&self, read: &Read, place: &Place) -> Result<Seen, Failure> {
        let instance = self.context.instances.get(&place.headscale).await?;
        let since = self.context.clock.now();
        instance.ask("health", async |http| http.health().await).await?;
        let keys = instance.keys(since).await?.value;
        let device = match read.request.device {
            Some(id) => get_node(&instance, id).await?,
            None => None,
        };
        let is_proven =
            device.as_ref().is_some_and(|it| proof::came_in_with(it, &read.record.keys, &keys));
        Ok(Seen { instance, keys, device, is_proven })
    }

    /// The files with this key, or without one.
    pub(super) fn files(
        &self,
        read: &Read,
        place: &Place,
        key: Option<&AuthKey>,
    ) -> Result<Files, Failure> {
        let defaults = Defaults { server_url: &place.server_url, hostname: &self.name };
        document::with_key(&read.files, read.request.capability, key, defaults)
            .map_err(|error| self.unreadable(&error))
    }

    /// Writes the config Secret, where nobody else did since it was read.
    pub(super) async fn write(
        &self,
        read: &Read,
        record: &Record,
        files: Files,
    ) -> Result<Secret, KubernetesError> {
        let pinned =
            read.secret.as_ref().and_then(|it| it.annotations().get(REISSUE_KEY_ANNOTATION));
        let template = pinned.map_or_else(|| self.label(), String::as_str);
        self.store.replace(read.secret.as_ref(), Contents { record, files, template }).await
    }

    async fn delete_node(&self, seen: &Seen, node: NodeId) -> Result<Turn, Failure> {
        let call = async |http: &HttpClient| http.delete_node(node.0).await;
        gone(seen.instance.ask("delete_node", call).await)?;
        let text = format!("{} is deleted: its replica comes in as another one", called(node));
        Ok(Turn::Did(Some(Note::good(reasons::DELETED, text))))
    }

    pub(super) async fn expire(&self, seen: &Seen, key: KeyId) -> Result<Turn, Failure> {
        let call = async |http: &HttpClient| http.expire_preauth_key(key.0).await;
        gone(seen.instance.ask("expire_preauth_key", call).await)?;
        tracing::info!(secret = self.store.name, id = key.0, "an auth key was expired");
        Ok(Turn::Did(None))
    }

    /// Deletes the node that was kept, where it is the replica's, and then removes its note.
    async fn retire(
        &self,
        read: &Read,
        seen: &Seen,
        delete: Option<NodeId>,
    ) -> Result<Turn, Failure> {
        let mut note = None;
        if let Some(id) = delete
            && let Some(node) = get_node(&seen.instance, id).await?
        {
            if proof::came_in_with(&node, &read.record.keys, &seen.keys) {
                let Turn::Did(told) = self.delete_node(seen, id).await? else {
                    return Ok(Turn::Did(None));
                };
                note = told;
            } else {
                let text = format!("{} is not known to be this node's: it is left", called(id));
                note = Some(Note::bad(reasons::KEPT, text));
            }
        }
        let record = Record { kept: None, ..read.record.clone() };
        self.write(read, &record, read.files.clone()).await?;
        Ok(Turn::Did(note))
    }
}

async fn get_node(instance: &Instance, id: NodeId) -> Result<Option<Node>, AskError> {
    match instance.ask("get_node", async |http| http.get_node(id.0).await).await {
        Ok(node) => Ok(Some(node)),
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// That something is not there any more is what was wanted.
fn gone(answer: Result<(), AskError>) -> Result<(), AskError> {
    match answer {
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => Ok(()),
        answer => answer,
    }
}
