//! One step of the protocol: reads the Secret and Headscale, has [`plan`] decide, and does it.

use std::collections::BTreeSet;
use std::time::Duration;

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, names};
use headscale_client::{ErrorKind, HeadscaleApi as _, HttpClient, PreAuthKey};
use headscale_keys::pre_auth_key::{
    self as protocol, Action, Claim, Current, KeyName, Listed, Need, Observed, Record, State,
    Stored, Waste, Why, plan,
};
use headscale_keys::{Contents, Foreign, Token, Witness};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use thiserror::Error;

use super::decide::{Shape, secret_name};
use super::store::{Store, contents};
use crate::conditions;
use crate::context::Context;
use crate::instance::{AskError, Instance, Snapshot};
use crate::kubernetes::KubernetesError;
use crate::names::OWNER_LABEL;
use crate::objects::{self, Managed as _};
use crate::secret_home::Home;
use crate::stored;
use crate::user::RECENT;

/// What a turn did.
#[derive(Debug)]
pub(super) enum Turn {
    /// A new key is in the Secret.
    Published {
        /// Its number.
        id: u64,
        /// Until when it works.
        expiration: Timestamp,
        /// Why there had to be one.
        need: Need,
    },
    /// The record was written, or a Secret moved or removed.
    Wrote,
    /// A key was expired or deleted in Headscale.
    Ended {
        /// Its number.
        id: u64,
        /// Why.
        waste: Waste,
    },
    /// There was nothing to do.
    Idle(Idle),
}

/// How things stand when there is nothing to do.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) state: State,
    /// For how long, at most.
    pub(super) pause: Option<Duration>,
    /// The key that consumers read.
    pub(super) current: Option<Current>,
    /// Whether nodes are let in with it.
    pub(super) works: bool,
    /// Whether a node has used it up; `None` where Headscale does not have it.
    pub(super) used: Option<bool>,
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
    /// Headscale does not make the key.
    #[error("{0}")]
    Refused(AskError),
    /// The Secret is somebody else's.
    #[error("Secret {name}: {why}")]
    Foreign {
        /// The Secret.
        name: String,
        /// Whose.
        why: String,
    },
    /// The object is gone, is about to be, or wants something else by now.
    #[error("the object is not what it was")]
    Gone,
    /// So much time passed since the intent was written that asking for the key is not safe.
    #[error(
        "a key was not asked for or did not come within {}s after it was written down; trying again",
        .0.as_secs()
    )]
    TooLate(Duration),
    /// There is no randomness to be had.
    #[error("no random number to be had from the system: {0}")]
    Random(String),
}

/// What is read of one Secret.
struct Read {
    name: String,
    secret: Option<Secret>,
    contents: Contents,
    stored: Stored,
    at: Duration,
}

/// One object's key.
pub(super) struct Turns<'a> {
    pub(super) context: &'a Context,
    pub(super) key: &'a HeadscalePreAuthKey,
    pub(super) headscale: &'a Headscale,
    pub(super) store: Store,
    pub(super) uid: String,
}

impl<'a> Turns<'a> {
    /// `None` of an object that was never stored.
    pub(super) fn new(
        context: &'a Context,
        key: &'a HeadscalePreAuthKey,
        headscale: &'a Headscale,
    ) -> Option<Self> {
        let store = Store::new(context.client.clone(), key, context.metrics.clone())?;
        Some(Self { context, key, headscale, store, uid: key.uid()? })
    }

    /// Takes one step towards a key of this shape, or finds that there is none to take.
    pub(super) async fn live(&self, shape: &Shape) -> Result<Turn, Failure> {
        let name =
            secret_name(self.key.metadata.name.as_deref().unwrap_or_default(), &self.key.spec);
        let home = match self.store.get(name).await? {
            Home::Foreign(why) => return Err(Failure::Foreign { name: name.to_owned(), why }),
            Home::Ours(secret) => Some(*secret),
            Home::Missing => None,
        };
        let mut former = self.former(name);
        if home.is_none() && self.key.metadata.generation != Some(1) {
            // Nobody may have seen yet where it was. In its first generation it was nowhere else.
            former.extend(self.store.all().await?.iter().map(kube::ResourceExt::name_any));
        }
        let home = self.load(name, home)?;
        for name in former {
            if let Home::Ours(old) = self.store.get(&name).await? {
                return self.absorb(&home, *old).await;
            }
        }
        self.step(home, Some(shape)).await
    }

    /// Takes one step towards no key at all. It is done when it is idle and released.
    pub(super) async fn die(&self) -> Result<Turn, Failure> {
        let name =
            secret_name(self.key.metadata.name.as_deref().unwrap_or_default(), &self.key.spec);
        let mut homes = self.store.all().await?;
        for name in self.former("").into_iter().chain([name.to_owned()]) {
            if !homes.iter().any(|home| home.name_any() == name)
                && let Home::Ours(home) = self.store.get(&name).await?
            {
                homes.push(*home);
            }
        }
        let Some(home) = homes.into_iter().next() else {
            return self.step(self.load(name, None)?, None).await;
        };
        let turn = self.step(self.load(&home.name_any(), Some(home.clone()))?, None).await?;
        match turn {
            Turn::Idle(Idle { state: State::Released, .. }) => {
                self.store.delete(&home).await?;
                Ok(Turn::Wrote)
            }
            turn => Ok(turn),
        }
    }

    /// Removes what is ours in Kubernetes, without asking Headscale for anything.
    pub(super) async fn abandon(store: &Store, names: Vec<String>) -> Result<(), KubernetesError> {
        let mut homes = store.all().await?;
        for name in names {
            if !homes.iter().any(|home| home.name_any() == name)
                && let Home::Ours(home) = store.get(&name).await?
            {
                homes.push(*home);
            }
        }
        for home in homes {
            store.delete(&home).await?;
        }
        Ok(())
    }

    /// Names of Secrets that are ours, but for this one, as far as they were seen.
    fn former(&self, name: &str) -> BTreeSet<String> {
        let secrets = self.context.stores.secrets.state_filter(|secret| {
            let owners = secret.owner_references();
            match owners.iter().find(|owner| owner.controller == Some(true)) {
                Some(owner) => owner.uid == self.uid,
                // Somebody took us out of it.
                None => secret.labels().get(OWNER_LABEL) == Some(&self.uid),
            }
        });
        secrets.iter().map(|secret| secret.name_any()).filter(|it| it != name).collect()
    }

    fn load(&self, name: &str, secret: Option<Secret>) -> Result<Read, Failure> {
        let at = self.context.clock.now();
        let contents = secret.as_ref().map_or_else(protocol::ours, contents);
        let loaded = protocol::load(&contents).map_err(|foreign| {
            let why = match foreign {
                Foreign::Type(kind) => format!("it is of type {kind}, expected Opaque"),
                Foreign::Immutable => "it is immutable".to_owned(),
                Foreign::Label { .. } => foreign.to_string(),
            };
            Failure::Foreign { name: name.to_owned(), why }
        })?;
        for defect in &loaded.defects {
            tracing::warn!(secret = name, "{defect}; it is written anew");
        }
        let mut stored = loaded.stored;
        stored.tidy &= secret.as_ref().is_some_and(|secret| self.store.is_owned(secret));
        Ok(Read { name: name.to_owned(), secret, contents, stored, at })
    }

    /// Moves what another Secret of ours has here, and then removes it.
    async fn absorb(&self, home: &Read, old: Secret) -> Result<Turn, Failure> {
        let old_contents = contents(&old);
        // One that is of another type by now has nothing for us.
        let loaded = protocol::load(&old_contents).unwrap_or_default();
        let here = home.stored.record.clone().unwrap_or_default();
        let there = loaded.stored.record.unwrap_or_default();
        let merged = here.absorb(&there, Timestamp::now());
        let takes_key = here.current.is_none() && home.stored.holds.is_none();
        let key = loaded.key.filter(|_| takes_key);
        if merged != here || key.is_some() || home.secret.is_none() {
            let mut contents = home.contents.clone();
            match (there == Record::default(), &key) {
                // The Go operator's: it is taken over when it is here.
                (true, Some(key)) if home.stored.record.is_none() => {
                    contents
                        .data
                        .insert(protocol::KEY.to_owned(), key.expose().as_bytes().to_vec());
                }
                _ => protocol::write(&mut contents, &merged, key.as_ref()),
            }
            self.store.replace(&home.name, home.secret.as_ref(), &contents).await?;
        } else {
            self.store.delete(&old).await?;
        }
        Ok(Turn::Wrote)
    }

    async fn step(&self, home: Read, shape: Option<&Shape>) -> Result<Turn, Failure> {
        let context = self.context;
        let record = home.stored.record.clone().unwrap_or_default();
        let settings = &context.settings;
        context.memory(&self.uid, |memory| {
            let witness = memory
                .witness
                .get_or_insert_with(|| Witness::new(settings.send_deadline, settings.in_flight));
            witness.read(&record, home.at);
            let current = record.current.as_ref().map(|current| current.token);
            // What the record names needs no remembering here.
            memory.unpublished.retain(|token| {
                current != Some(*token) && !record.unresolved().any(|other| other == *token)
            });
        });
        let instance = context.instances.get(self.headscale).await?;
        // An old answer will do to see that all is as it was.
        let recent = instance.keys(home.at.saturating_sub(RECENT)).await?;
        let mut planned = self.planned(&home, &recent, shape)?;
        let mut list = recent;
        let is_rest = |action: &Action| {
            matches!(action, Action::Wait { state: State::Works | State::Ended(_), .. })
        };
        if list.begun < home.at && !is_rest(&planned) {
            list = instance.keys(home.at).await?;
            planned = self.planned(&home, &list, shape)?;
        }
        match planned {
            Action::Commit { record, why } => {
                let mut contents = home.contents.clone();
                protocol::write(&mut contents, &record, None);
                self.store.replace(&home.name, home.secret.as_ref(), &contents).await?;
                if why != Why::Repair {
                    tracing::info!(secret = home.name, step = ?why, "the record is written");
                }
                Ok(Turn::Wrote)
            }
            Action::Begin { record, token, need, old_until } => match shape {
                Some(shape) => {
                    self.renew(&instance, home, shape, record, token, need, old_until).await
                }
                None => Ok(Turn::Wrote),
            },
            Action::Expire { key, waste } => {
                let id = key.id;
                let call = async |http: &HttpClient| http.expire_preauth_key(id).await;
                gone(instance.ask("expire_preauth_key", call).await)?;
                Ok(Turn::Ended { id, waste })
            }
            Action::Delete { key, waste } => {
                let id = key.id;
                let call = async |http: &HttpClient| http.delete_preauth_key(id).await;
                gone(instance.ask("delete_preauth_key", call).await)?;
                Ok(Turn::Ended { id, waste })
            }
            Action::Wait { until, state } => {
                Ok(Turn::Idle(self.idle(&home, &list, record, until, state)))
            }
        }
    }

    fn planned(
        &self,
        home: &Read,
        list: &Snapshot<Vec<PreAuthKey>>,
        shape: Option<&Shape>,
    ) -> Result<Action, Failure> {
        let listed: Vec<Listed> = list
            .value
            .iter()
            .map(|key| Listed {
                key: KeyName { id: key.id, prefix: key.prefix.clone() },
                expiration: key.expiration,
                used: key.used,
                reusable: key.reusable,
                fits: shape.is_some_and(|shape| shape.fits(key)),
            })
            .collect();
        let (settled, unpublished) = self.context.memory(&self.uid, |memory| {
            let settled = memory.witness.as_ref().map(|witness| witness.settled(list.begun));
            (settled.unwrap_or_default(), memory.unpublished.clone())
        });
        let wanted = shape.map(|shape| shape.wanted(self.key.spec.rotate == Some(true)));
        let observed = Observed {
            stored: &home.stored,
            keys: &listed,
            settled: &settled,
            unpublished: &unpublished,
            me: &self.context.settings.identity,
            alone: self.context.settings.alone,
            claimed: self.claimed(),
            ended: self.ended(),
            wanted: wanted.as_ref(),
        };
        let nonce = getrandom::u32().map_err(|error| Failure::Random(error.to_string()))?;
        Ok(plan(&observed, Timestamp::now(), nonce))
    }

    /// The key that the status names.
    fn claimed(&self) -> Option<Claim> {
        let status = self.key.status.as_ref()?;
        let id = status.key_id.as_ref()?.parse().ok()?;
        let expiration = status.expiration.as_ref().and_then(|time| time.parse().ok());
        Some(Claim { id, expiration })
    }

    /// How the key ended, as the status says.
    fn ended(&self) -> Option<Need> {
        let ready = conditions::find(self.key.conditions(), names::READY)?;
        match ready.reason.as_str() {
            super::USED => Some(Need::Used),
            super::EXPIRED => Some(Need::Expired),
            _ => None,
        }
    }

    /// Makes a key: written down, asked for, published.
    #[expect(clippy::too_many_arguments, reason = "what was read and what was decided")]
    async fn renew(
        &self,
        instance: &Instance,
        home: Read,
        shape: &Shape,
        record: Record,
        token: Token,
        need: Need,
        old_until: Timestamp,
    ) -> Result<Turn, Failure> {
        if !self.is_wanted_still().await? {
            return Err(Failure::Gone);
        }
        let (clock, deadline) = (&self.context.clock, self.context.settings.send_deadline);
        let began = clock.now();
        let mut contents = home.contents;
        protocol::write(&mut contents, &record, None);
        let secret = self.store.replace(&home.name, home.secret.as_ref(), &contents).await?;
        let took = clock.now().saturating_sub(began);
        if took >= deadline {
            return Err(Failure::TooLate(deadline));
        }
        // Whatever comes of it, this process knows of it until the record does not name it in vain.
        self.context.memory(&self.uid, |memory| memory.unpublished.push(token));
        let request = shape.request(token.expiration());
        let call = async |http: &HttpClient| http.create_preauth_key(&request).await;
        let asked = instance.ask("create_preauth_key", call);
        let made = match tokio::time::timeout(deadline.saturating_sub(took), asked).await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) if !error.may_have_acted() => {
                // There is no such key, and never will be: this request was the only one.
                self.context.memory(&self.uid, |memory| {
                    memory.unpublished.retain(|other| *other != token);
                });
                protocol::write(&mut contents, &record.refused(), None);
                self.store.replace(&home.name, Some(&secret), &contents).await?;
                return Err(Failure::Refused(error));
            }
            Ok(Err(error)) => return Err(error.into()),
            // A call that is given up sends nothing any more.
            Err(_) => return Err(Failure::TooLate(deadline)),
        };
        let id = made.details.id;
        let current = Current {
            key: KeyName { id, prefix: made.key.prefix().cloned() },
            token,
            made_for: Some(shape.wanted(false).made_for),
            created_at: Some(Timestamp::now()),
        };
        let record = record.publish(current, old_until);
        protocol::write(&mut contents, &record, Some(&made.key));
        self.store.replace(&home.name, Some(&secret), &contents).await?;
        self.context.metrics.published(need.as_str());
        Ok(Turn::Published { id, expiration: token.expiration(), need })
    }

    /// Whether the object is there, is to stay and wants this key, as the API server has it now: what
    /// is seen may be old. A key that is made for one that is gone would be nobody's, and one for
    /// what was wanted before would take the place of the right one.
    async fn is_wanted_still(&self) -> Result<bool, KubernetesError> {
        let read = objects::read_again(self.context, self.key).await?;
        Ok(read.is_some_and(|read| {
            stored::unreadable(&read).is_none()
                && read.metadata.deletion_timestamp.is_none()
                && read.spec == self.key.spec
        }))
    }

    fn idle(
        &self,
        home: &Read,
        list: &Snapshot<Vec<PreAuthKey>>,
        record: Record,
        until: Option<Timestamp>,
        state: State,
    ) -> Idle {
        let now = Timestamp::now();
        let by_the_wall =
            until.map(|until| Duration::try_from(until.duration_since(now)).unwrap_or_default());
        let settles = self.context.memory(&self.uid, |memory| {
            let settles = memory.witness.as_ref().and_then(Witness::next);
            settles.map(|at| at.saturating_sub(self.context.clock.now()))
        });
        let listed = record.current.as_ref().and_then(|current| {
            let is = |it: &&PreAuthKey| it.id == current.key.id && it.prefix == current.key.prefix;
            list.value.iter().find(is)
        });
        let holds = record
            .current
            .as_ref()
            .is_some_and(|current| home.stored.holds.as_ref() == Some(&current.key.prefix));
        let is_valid = |it: &PreAuthKey| {
            it.expiration.is_some_and(|until| until > now) && (it.reusable || !it.used)
        };
        Idle {
            state,
            pause: by_the_wall.into_iter().chain(settles).min(),
            works: holds && listed.is_some_and(is_valid),
            used: listed.map(|listed| listed.used),
            current: record.current,
        }
    }
}

/// That a key is not there any more is what was wanted.
fn gone(answer: Result<(), AskError>) -> Result<(), AskError> {
    match answer {
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => Ok(()),
        answer => answer,
    }
}
