//! How the manager is doing, as probes and Prometheus ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headscale_service::http_server::Page;
use jiff::Timestamp;

use super::metrics::Metrics;

/// Without a turn for so long, over and above the pause between turns, the process hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What is shared between the manager and the HTTP server.
#[derive(Clone, Debug)]
pub(super) struct Status(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    /// Until when the key in the Secret is known to work.
    works_until: Option<Timestamp>,
    /// What is wrong, as it was told last.
    trouble: String,
    next_turn_by: Instant,
}

impl Default for Status {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            metrics: Metrics::default(),
            works_until: None,
            trouble: "Headscale has not answered yet".to_owned(),
            next_turn_by: Instant::now(),
        })))
    }
}

impl Status {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the metrics be written to.
    pub(super) fn metrics<T>(&self, f: impl FnOnce(&mut Metrics) -> T) -> T {
        self.with(|inner| f(&mut inner.metrics))
    }

    /// Notes until when the key in the Secret works; `None` where none does.
    pub(super) fn works_until(&self, until: Option<Timestamp>) {
        self.with(|inner| {
            inner.works_until = until;
            inner.metrics.works_until(until);
        });
    }

    /// Notes what is wrong. A key that works goes on working through it.
    pub(super) fn trouble(&self, text: &str) {
        self.with(|inner| text.clone_into(&mut inner.trouble));
    }

    /// Notes that the manager is alive, and comes again after `pause`.
    pub(super) fn alive(&self, pause: Duration) {
        self.with(|inner| inner.next_turn_by = Instant::now() + pause);
    }

    /// The page at `path`: `/healthz` (the process does not hang), `/readyz` (the Secret holds a
    /// key that works), `/metrics`.
    #[must_use]
    pub(super) fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/healthz" => Some(self.with(|inner| {
                let hangs = inner.next_turn_by.elapsed() > HANGS_AFTER;
                Page::health(!hangs, if hangs { "the manager hangs" } else { "ok" })
            })),
            "/readyz" => Some(self.with(|inner| {
                let works = inner.works_until.is_some_and(|until| Timestamp::now() < until);
                Page::health(works, if works { "ok" } else { &inner.trouble })
            })),
            "/metrics" => {
                Some(Page::metrics(self.with(|inner| inner.metrics.encode(Timestamp::now()))))
            }
            _ => None,
        }
    }
}
