//! What the manager of a key tells Prometheus.

use std::sync::atomic::{AtomicI64, AtomicU64};

use headscale_keys::{Record, Waste};
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, &'static str)>;

/// The metrics of one key.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    age: Gauge<f64, AtomicU64>,
    expires_in: Gauge<f64, AtomicU64>,
    verified: Gauge<i64, AtomicI64>,
    orphans: Gauge<i64, AtomicI64>,
    retiring: Gauge<i64, AtomicI64>,
    rotations: Family<Labels, Counter>,
    deleted: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    created_at: Option<Timestamp>,
    works_until: Option<Timestamp>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("headscale_apikey");
        let age = Gauge::default();
        registry.register("age_seconds", "Since when the key is in the Secret", age.clone());
        let expires_in = Gauge::<f64, AtomicU64>::default();
        expires_in.set(f64::NAN);
        registry.register(
            "expires_in_seconds",
            "How long the key still works; 0 without one that works, NaN before that is known",
            expires_in.clone(),
        );
        let verified = Gauge::default();
        registry.register(
            "verified",
            "1 where Headscale let the key in, 0 where it only lists it",
            verified.clone(),
        );
        let orphans = Gauge::default();
        registry.register(
            "orphans",
            "Keys that were asked for, were not published, and may exist",
            orphans.clone(),
        );
        let retiring = Gauge::default();
        registry.register("retiring", "Replaced keys that still work", retiring.clone());
        let rotations = Family::default();
        registry.register("rotations", "Keys that were published, by why", rotations.clone());
        let deleted = Family::default();
        registry.register("deleted", "Keys that were deleted, by why", deleted.clone());
        let failures = Family::default();
        registry.register("failures", "Turns that failed, by why", failures.clone());
        Self {
            registry,
            age,
            expires_in,
            verified,
            orphans,
            retiring,
            rotations,
            deleted,
            failures,
            created_at: None,
            works_until: None,
        }
    }
}

impl Metrics {
    /// Notes what is written down.
    pub fn record(&mut self, record: &Record) {
        let unresolved = i64::try_from(record.unresolved().count()).unwrap_or(i64::MAX);
        self.orphans.set(unresolved);
        self.retiring.set(i64::try_from(record.retiring.len()).unwrap_or(i64::MAX));
        let verified = record.current.as_ref().and_then(|current| current.verified);
        self.verified.set((verified == Some(headscale_keys::Verified::Authenticated)).into());
        self.created_at = record.current.as_ref().and_then(|current| current.created_at);
    }

    /// Notes until when the key in the Secret works; `None` where none does.
    pub fn works_until(&mut self, until: Option<Timestamp>) {
        self.works_until = until;
        if until.is_none() {
            self.expires_in.set(0.0);
        }
    }

    /// Counts a published key.
    pub fn rotated(&self, reason: &'static str) {
        self.rotations.get_or_create(&vec![("reason", reason)]).inc();
    }

    /// Counts a deleted key.
    pub fn deleted(&self, waste: Waste) {
        let reason = match waste {
            Waste::Orphan => "orphan",
            Waste::Retired => "retired",
        };
        self.deleted.get_or_create(&vec![("reason", reason)]).inc();
    }

    /// Counts a failed turn.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&vec![("reason", reason)]).inc();
    }

    /// All of them in the text format of OpenMetrics, as they are at `now`.
    #[must_use]
    pub fn encode(&self, now: Timestamp) -> String {
        if let Some(until) = self.works_until {
            self.expires_in.set(until.duration_since(now).as_secs_f64().max(0.0));
        }
        if let Some(created_at) = self.created_at {
            self.age.set(now.duration_since(created_at).as_secs_f64());
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.registry).map_or_else(|_| String::new(), |()| text)
    }
}
