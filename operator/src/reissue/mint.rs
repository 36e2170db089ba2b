//! How a key is made for a node: a token is taken, the intent written down, the key asked for and
//! written.

use std::time::Duration;

use headscale_api::kinds::HeadscalePreAuthKey;
use headscale_client::{HeadscaleApi as _, HttpClient};
use headscale_keys::Token;
use headscale_keys::pre_auth_key::KeyName;
use headscale_keys::reissue::{Intent, KeyId, NodeId};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::called;
use super::limit::Bucket;
use super::record::{Pending, Reason, Record};
use super::request;
use super::tell::{Note, reasons};
use super::turn::{Failure, Place, Read, Seen, Turn, Turns};
use crate::kubernetes::within;
use crate::names::{FIELD_MANAGER, REISSUE_LIMIT_ANNOTATION};
use crate::pre_auth_key::decide::Shape;
use crate::pre_auth_key::shape_of;
use crate::stored::Stored;
use crate::user::Next;

/// How long a key works that is made for a node.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

impl Turns<'_> {
    /// What the key is to be.
    async fn shape(&self, place: &Place) -> Result<Shape, Failure> {
        let shape = shape_of(self.context, &place.template, &place.headscale).await?;
        let shape = shape.map_err(|verdict| {
            let name = place.template.name_any();
            Failure::Refused(format!("HeadscalePreAuthKey {name}: {}", verdict.message))
        })?;
        Ok(Shape { reusable: false, lifetime: LIFETIME, ..shape })
    }

    /// Takes a token, and writes down what is to be done. `stays` is a node that is not deleted.
    pub(super) async fn begin(
        &self,
        read: &Read,
        place: &Place,
        seen: &Seen,
        intent: Intent,
        reason: Reason,
        stays: Option<NodeId>,
    ) -> Result<Turn, Failure> {
        // What cannot be made or written costs nothing.
        self.shape(place).await?;
        self.files(read, place, None)?;
        if let Some(wait) = self.take_token(place).await? {
            let wait = Duration::try_from(wait).unwrap_or_default();
            let text = "all nodes of the HeadscalePreAuthKey together had as many keys as they \
                        may: another one is made in a while";
            let note = Note::bad(reasons::RATE_LIMITED, text.to_owned());
            return Ok(Turn::Rest(Next::After(wait.max(Duration::from_millis(50))), Some(note)));
        }
        self.pend(read, seen, |token, now| Pending::new(intent, token, now, reason)).await?;
        Ok(Turn::Did(stays.map(|node| {
            Note::bad(
                reasons::KEPT,
                format!(
                    "device_id names {}, which did not come in with a key that was made for this \
                     node: it is left as it is",
                    called(node)
                ),
            )
        })))
    }

    /// Writes down what is to be done, with a fresh token.
    async fn pend(
        &self,
        read: &Read,
        seen: &Seen,
        pending: impl FnOnce(Token, Timestamp) -> Pending,
    ) -> Result<(), Failure> {
        let taken = seen.keys.iter().filter_map(|key| key.expiration).collect();
        let nonce = getrandom::u32()
            .map_err(|error| Failure::NotMade(format!("no random number to be had: {error}")))?;
        let (now, begun) = (Timestamp::now(), self.context.clock.now());
        let token = Token::choose(now, LIFETIME, nonce, &taken);
        let record = Record { pending: Some(pending(token, now)), ..read.record.clone() };
        self.write(read, &record, read.files.clone()).await?;
        self.context.memory(&self.uid, |memory| memory.begun = Some((token, Some(begun))));
        Ok(())
    }

    /// Takes a token of the bucket that all nodes share whose keys are like this one; gives how long
    /// to wait where there is none. It stands in the HeadscalePreAuthKey, so that no restart fills
    /// it, and is taken by compare-and-set.
    async fn take_token(&self, place: &Place) -> Result<Option<SignedDuration>, Failure> {
        let name = place.template.name_any();
        let api: Api<Stored<HeadscalePreAuthKey>> =
            Api::namespaced(self.context.client.clone(), &self.namespace);
        let what = || format!("read HeadscalePreAuthKey {name}");
        let Some(Stored(template)) = within(what, api.get_opt(&name)).await? else {
            return Err(Failure::Refused(format!("HeadscalePreAuthKey {name} is gone")));
        };
        request::may_be_like(&template, &self.name).map_err(Failure::Refused)?;
        let burst = self.context.nodes_of(&self.namespace, &name).len();
        let every = SignedDuration::try_from(self.context.settings.reissue_interval)
            .unwrap_or(SignedDuration::MAX);
        let old = template.annotations().get(REISSUE_LIMIT_ANNOTATION);
        let old = old.and_then(|text| text.parse().ok());
        let burst = u32::try_from(burst).unwrap_or(u32::MAX);
        let bucket = match Bucket::take(old, Timestamp::now(), every, burst) {
            Ok(bucket) => bucket,
            Err(wait) => return Ok(Some(wait)),
        };
        let patch = Patch::Merge(json!({ "metadata": {
            "resourceVersion": template.resource_version(),
            "annotations": { REISSUE_LIMIT_ANNOTATION: bucket.to_string() },
        }}));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let what = || format!("write the metadata of HeadscalePreAuthKey {name}");
        within(what, api.patch(&name, &params, &patch)).await?;
        self.context.metrics.wrote("HeadscalePreAuthKey", "patch");
        Ok(None)
    }

    /// Makes the key that is pending, and writes it.
    pub(super) async fn mint(
        &self,
        read: &Read,
        place: &Place,
        seen: &Seen,
    ) -> Result<Turn, Failure> {
        let Some(pending) = &read.record.pending else { return Ok(Turn::Did(None)) };
        // Headscale may be asked for its users, and that may take most of the time that is left.
        let shape = self.shape(place).await?;
        let (clock, deadline) = (&self.context.clock, self.context.settings.send_deadline);
        let begun = self.context.memory(&self.uid, |memory| memory.begun);
        let begun = begun.filter(|(token, _)| *token == pending.token).and_then(|(_, at)| at);
        let passed = begun.map(|at| clock.now().saturating_sub(at));
        let Some(left) = passed.and_then(|passed| deadline.checked_sub(passed)) else {
            // It is too late to ask for this one: a request would be taken for one that came in time.
            self.pend(read, seen, |token, at| Pending { token, at, ..pending.clone() }).await?;
            return Ok(Turn::Did(None));
        };
        let request = shape.request(pending.token.expiration());
        // Whatever comes of it, it is not asked for again.
        self.context.memory(&self.uid, |memory| memory.begun = None);
        let call = async |http: &HttpClient| http.create_preauth_key(&request).await;
        let asked = seen.instance.ask("create_preauth_key", call);
        let late = "the key was not made in time: it is tried again";
        let made = match tokio::time::timeout(left, asked).await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) if !error.may_have_acted() => {
                self.clear(pending.token);
                return Err(if error.is_away() {
                    error.into()
                } else {
                    Failure::NotMade(error.with_hint())
                });
            }
            Ok(Err(error)) => return Err(error.into()),
            // A call that is given up sends nothing any more.
            Err(_) => return Err(Failure::NotMade(late.to_owned())),
        };
        let id = made.details.id;
        let record = read.record.made(KeyName { id, prefix: made.key.prefix().cloned() });
        let written = match self.files(read, place, Some(&made.key)) {
            Ok(files) => self.write(read, &record, files).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = written {
            // Where it may have been written all the same, the next turn sees whether it was.
            if is_certain(&failure) {
                self.expire(seen, KeyId(id)).await?;
                self.clear(pending.token);
            }
            return Err(failure);
        }
        let waited = read.request.since.filter(|_| pending.reason != Reason::First);
        let waited = waited.map(|since| Timestamp::now().duration_since(since));
        let waited = waited.and_then(|waited| Duration::try_from(waited).ok());
        self.context.metrics.reissued(pending.reason.as_str(), waited);
        let (reason, what) = match pending.reason {
            Reason::First => (reasons::ISSUED, "key"),
            _ => (reasons::REISSUED, "another key"),
        };
        let text = format!(
            "{what} {id} is in Secret {} and works until {} ({})",
            self.store.name,
            pending.token,
            pending.reason.as_str()
        );
        Ok(Turn::Did(Some(Note::good(reason, text))))
    }

    /// Notes that no request is on its way for this token, and none will be sent.
    fn clear(&self, token: Token) {
        self.context.memory(&self.uid, |memory| memory.begun = Some((token, None)));
    }
}

/// Whether nothing was written, and nothing will be: the API server said so.
fn is_certain(failure: &Failure) -> bool {
    match failure {
        Failure::Kubernetes(error) => error.code().is_some_and(|code| (400..500).contains(&code)),
        Failure::Refused(_) => true,
        Failure::Headscale(_) | Failure::NotMade(_) => false,
    }
}
