//! How Events are posted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};

/// After so many Events what was posted is forgotten.
const REMEMBERED: usize = 256;

/// Posts Events. The last ones are remembered, so that one that comes again counts on, but not all
/// of the last minutes: those of thousands of objects would be most of the memory.
pub(crate) struct Events {
    client: Client,
    reporter: Reporter,
    last: Mutex<Last>,
}

/// What was posted last. A recorder takes two Events of one reason for the same, whatever they say,
/// and goes on showing the first: so there is one for each note.
#[derive(Default)]
struct Last {
    recorders: HashMap<Option<String>, Recorder>,
    events: usize,
}

impl Events {
    pub(crate) fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter, last: Mutex::default() }
    }

    /// Posts an Event about an object.
    ///
    /// # Errors
    ///
    /// When the API server does not take it.
    pub(crate) async fn publish(&self, event: &Event, about: &ObjectReference) -> kube::Result<()> {
        self.recorder(event).publish(event, about).await
    }

    fn recorder(&self, event: &Event) -> Recorder {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.events >= REMEMBERED {
            *last = Last::default();
        }
        last.events += 1;
        let fresh = || Recorder::new(self.client.clone(), self.reporter.clone());
        last.recorders.entry(event.note.clone()).or_insert_with(fresh).clone()
    }
}
