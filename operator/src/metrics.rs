//! What the operator tells Prometheus.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, &'static str)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// The metrics of one operator. Clones are the same.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    leads: Gauge<i64, AtomicI64>,
    reconciles: Family<Labels, Counter>,
    durations: Histograms,
    writes: Family<Labels, Counter>,
    asked: Family<Labels, Counter>,
    answers: Histograms,
    keys: Family<Labels, Counter>,
    reissues: Family<Labels, Counter>,
    reissue_waits: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn seconds() -> Histogram {
    Histogram::new([0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("headscale_operator");
        let leads = Gauge::default();
        registry.register("leads", "1 where this operator is at work", leads.clone());
        let reconciles = Family::default();
        let help = "Times that an object was looked at, by kind and how that ended";
        registry.register("reconciles", help, reconciles.clone());
        let durations = Histograms::new_with_constructor(seconds);
        let help = "How long it took to look at an object, by kind";
        registry.register("reconcile_seconds", help, durations.clone());
        let writes = Family::default();
        let help = "Objects of Kubernetes that were written, by kind and verb";
        registry.register("writes", help, writes.clone());
        let asked = Family::default();
        let help = "Calls of Headscale, by what was asked and how that ended";
        registry.register("headscale_calls", help, asked.clone());
        let answers = Histograms::new_with_constructor(seconds);
        let help = "How long Headscale took to answer, by what was asked";
        registry.register("headscale_call_seconds", help, answers.clone());
        let keys = Family::default();
        registry.register(
            "preauth_keys",
            "Pre-auth keys that were published, by why",
            keys.clone(),
        );
        let reissues = Family::default();
        let help = "Auth keys that were made for nodes, by why";
        registry.register("reissues", help, reissues.clone());
        let reissue_waits = Histogram::new([1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0]);
        let help = "How long nodes that asked for another auth key waited until it was written";
        registry.register("reissue_pending_seconds", help, reissue_waits.clone());
        Self(Arc::new(Inner {
            registry,
            leads,
            reconciles,
            durations,
            writes,
            asked,
            answers,
            keys,
            reissues,
            reissue_waits,
        }))
    }
}

impl Metrics {
    /// Notes whether this operator is at work.
    pub(crate) fn leads(&self, leads: bool) {
        self.0.leads.set(leads.into());
    }

    /// Counts that an object was looked at.
    pub(crate) fn reconciled(&self, kind: &'static str, result: &'static str, took: Duration) {
        let labels = vec![("kind", kind), ("result", result)];
        self.0.reconciles.get_or_create(&labels).inc();
        self.0.durations.get_or_create(&vec![("kind", kind)]).observe(took.as_secs_f64());
    }

    /// Counts a write.
    pub(crate) fn wrote(&self, kind: &'static str, verb: &'static str) {
        self.0.writes.get_or_create(&vec![("kind", kind), ("verb", verb)]).inc();
    }

    /// Counts a call of Headscale.
    pub(crate) fn asked(&self, operation: &'static str, result: &'static str, took: Duration) {
        let labels = vec![("operation", operation), ("result", result)];
        self.0.asked.get_or_create(&labels).inc();
        let answers = self.0.answers.get_or_create(&vec![("operation", operation)]);
        answers.observe(took.as_secs_f64());
    }

    /// Counts a pre-auth key that was published.
    pub(crate) fn published(&self, reason: &'static str) {
        self.0.keys.get_or_create(&vec![("reason", reason)]).inc();
    }

    /// Counts an auth key that was made for a node, and how long that waited where it had asked.
    pub(crate) fn reissued(&self, reason: &'static str, waited: Option<Duration>) {
        self.0.reissues.get_or_create(&vec![("reason", reason)]).inc();
        if let Some(waited) = waited {
            self.0.reissue_waits.observe(waited.as_secs_f64());
        }
    }

    /// All of them in the text format of OpenMetrics.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.0.registry).map_or_else(|_| String::new(), |()| text)
    }
}
