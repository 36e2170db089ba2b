//! Who of several operators is at work: the one that holds a Lease.
//!
//! A holder renews it, and stops all work when it could not for [`Timing::give_up`], which is
//! shorter than the time after which others take it. How long ago it was renewed is told by one's
//! own clock: those of other machines do not matter.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, timeout};

use crate::kubernetes::{KubernetesError, within};
use crate::names::{FIELD_MANAGER, LEASE};
use crate::pause::jittered;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long after it was renewed another one may take the Lease.
    pub lasts: Duration,
    /// How long after it was renewed its holder stops.
    pub give_up: Duration,
    /// How often it is renewed; those that wait for it look twice as often.
    pub every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(15),
            give_up: Duration::from_secs(10),
            every: Duration::from_secs(2),
        }
    }
}

/// What a Lease says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// By whom; empty where it was released.
    pub by: String,
    /// When, by the clock of the holder.
    pub renewed: Option<Timestamp>,
    /// For how long.
    pub lasts: Duration,
}

impl Held {
    fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|it| u64::try_from(it).ok());
        Self {
            by: spec.holder_identity.unwrap_or_default(),
            renewed: spec.renew_time.map(|time| time.0),
            lasts: Duration::from_secs(seconds.unwrap_or(0)),
        }
    }
}

/// Whether the Lease may be taken: it is ours, was released, or was not renewed for as long as it
/// lasts since it was `seen` first as it is.
#[must_use]
pub fn may_take(held: &Held, me: &str, seen_for: Duration) -> bool {
    held.by.is_empty() || held.by == me || seen_for >= held.lasts
}

/// One that wants the Lease.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    me: String,
    timing: Timing,
    /// What was seen last, and since when it has been so.
    seen: Option<(Held, Instant)>,
}

impl Elector {
    /// One that is called `me`, of the operators of `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, me: &str, timing: Timing) -> Self {
        Self { api: Api::namespaced(client, namespace), me: me.to_owned(), timing, seen: None }
    }

    /// Waits until it is the holder.
    pub async fn acquire(&mut self) {
        let mut told = String::new();
        loop {
            let text = match timeout(self.timing.give_up, self.try_once()).await {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) => {
                    let holder = self.seen.as_ref().map(|(held, _)| held.by.clone());
                    format!("{} is at work; waiting for Lease {LEASE}", holder.unwrap_or_default())
                }
                // Somebody was faster.
                Ok(Err(error)) if error.is_conflict() => String::new(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer of the API server".to_owned(),
            };
            if !text.is_empty() && text != told {
                tracing::info!("{text}");
                told = text;
            }
            // Whoever waits for it is to notice soon that it is free.
            sleep(jittered(self.timing.every / 2)).await;
        }
    }

    /// Renews it for as long as that can be done; returns when it is not the holder any more.
    pub async fn keep(&mut self) {
        let mut renewed = Instant::now();
        loop {
            sleep(jittered(self.timing.every)).await;
            let Some(left) = self.timing.give_up.checked_sub(renewed.elapsed()) else {
                tracing::error!("Lease {LEASE} could not be renewed");
                return;
            };
            let began = Instant::now();
            match timeout(left, self.try_once()).await {
                // The answer to a process that was stopped meanwhile may have come long ago.
                Ok(Ok(true)) if began.elapsed() >= self.timing.give_up => {
                    tracing::error!("Lease {LEASE} was renewed too long ago");
                    return;
                }
                Ok(Ok(true)) => renewed = began,
                Ok(Ok(false)) => {
                    tracing::error!("somebody else took Lease {LEASE}");
                    return;
                }
                Ok(Err(error)) => tracing::warn!("Lease {LEASE} is not renewed: {error}"),
                Err(_) => tracing::warn!("Lease {LEASE} is not renewed: no answer"),
            }
        }
    }

    /// Gives it up, so that another one need not wait.
    pub async fn release(&self) {
        let releasing = async {
            let Some(lease) = self.get().await? else { return Ok(()) };
            if Held::of(&lease).by != self.me {
                return Ok(());
            }
            self.write(Some(lease), "", Duration::from_secs(1)).await.map(|_| ())
        };
        if let Ok(Err(error)) = timeout(self.timing.give_up, releasing).await {
            tracing::warn!("Lease {LEASE} is not released: {error}");
        }
    }

    /// Takes or renews it where that may be; gives whether it is held then.
    async fn try_once(&mut self) -> Result<bool, KubernetesError> {
        let lease = self.get().await?;
        if let Some(lease) = &lease {
            let held = Held::of(lease);
            let since = match &self.seen {
                Some((seen, since)) if *seen == held => *since,
                _ => Instant::now(),
            };
            let seen_for = since.elapsed();
            let may_take = may_take(&held, &self.me, seen_for);
            self.seen = Some((held, since));
            if !may_take {
                return Ok(false);
            }
        }
        let me = self.me.clone();
        let written = self.write(lease, &me, self.timing.lasts).await?;
        self.seen = Some((Held::of(&written), Instant::now()));
        Ok(true)
    }

    async fn get(&self) -> Result<Option<Lease>, KubernetesError> {
        within(|| format!("read Lease {LEASE}"), self.api.get_opt(LEASE)).await
    }

    /// Replaces exactly what was read, or makes it where nothing was.
    async fn write(
        &self,
        read: Option<Lease>,
        holder: &str,
        lasts: Duration,
    ) -> Result<Lease, KubernetesError> {
        let now = MicroTime(Timestamp::now());
        let is_new = read.is_none();
        let mut lease = read.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
            spec: None,
        });
        let old = lease.spec.take().unwrap_or_default();
        let changes = old.holder_identity.as_deref() != Some(holder) && !holder.is_empty();
        let transitions = old.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(i32::try_from(lasts.as_secs()).unwrap_or(i32::MAX)),
            renew_time: Some(now.clone()),
            acquire_time: if changes { Some(now) } else { old.acquire_time },
            lease_transitions: Some(transitions.saturating_add((changes && !is_new).into())),
            ..old
        });
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let what = || format!("write Lease {LEASE}");
        if is_new {
            within(what, self.api.create(&params, &lease)).await
        } else {
            within(what, self.api.replace(LEASE, &params, &lease)).await
        }
    }
}
