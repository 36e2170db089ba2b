//! Events, for whoever asks Kubernetes what happened.

use headscale_service::kubernetes;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::{Api, PostParams};

use crate::kubernetes::FIELD_MANAGER;

/// Whether an Event is about something that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It did.
    Normal,
    /// It did not.
    Warning,
}

/// Posts Events, until the API server says that it must not: a Role without that right is sound,
/// the one of the Go sidecar has none.
#[derive(Debug)]
pub struct Events {
    api: Api<Event>,
    namespace: String,
    is_forbidden: bool,
}

impl Events {
    /// Posts to `namespace`.
    #[must_use]
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            is_forbidden: false,
        }
    }

    /// Posts one Event. That it could not be is logged, and no failure of anything else.
    pub async fn post(&mut self, about: ObjectReference, kind: Kind, reason: &str, note: &str) {
        if self.is_forbidden {
            return;
        }
        let now = Timestamp::now();
        let name = about.name.clone().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(reason.to_owned()),
            count: Some(1),
            event_time: Some(MicroTime(now)),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            involved_object: about,
            message: Some(kubernetes::note(note)),
            reason: Some(reason.to_owned()),
            reporting_component: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(FIELD_MANAGER.to_owned()),
            source: Some(EventSource {
                component: Some(FIELD_MANAGER.to_owned()),
                ..EventSource::default()
            }),
            type_: Some(if kind == Kind::Normal { "Normal" } else { "Warning" }.to_owned()),
            ..Event::default()
        };
        let posted = self.api.create(&PostParams::default(), &event).await;
        match posted {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.is_forbidden = true;
                tracing::info!(
                    "Events are not posted: the Role lacks create on events, which is not needed"
                );
            }
            Err(error) => tracing::debug!(%error, reason, "an Event could not be posted"),
        }
    }
}
