//! How Events are posted.

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
    last: Mutex<(Recorder, usize)>,
}

impl Events {
    pub(crate) fn new(client: Client, reporter: Reporter) -> Self {
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self { client, reporter, last: Mutex::new((recorder, 0)) }
    }

    /// Posts an Event about an object.
    ///
    /// # Errors
    ///
    /// When the API server does not take it.
    pub(crate) async fn publish(&self, event: &Event, about: &ObjectReference) -> kube::Result<()> {
        let recorder = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.1 >= REMEMBERED {
                *last = (Recorder::new(self.client.clone(), self.reporter.clone()), 0);
            }
            last.1 += 1;
            last.0.clone()
        };
        recorder.publish(event, about).await
    }
}
