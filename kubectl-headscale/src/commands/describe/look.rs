//! What stands around an object. Not to be allowed to see some of it is no error: the description
//! says so and goes on.

use std::fmt::{Debug, Write as _};

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Api, ListParams, ObjectMeta, PartialObjectMeta};
use kube::{Resource as KubeResource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::text::{Text, created, human};
use crate::error::CommandError;
use crate::kubernetes::Cluster;

/// What a look found, or why it could not look, in angle brackets.
pub(super) type Seen<T> = Result<T, String>;

/// Looks around in a namespace.
pub(super) struct Look<'a> {
    pub(super) cluster: &'a Cluster,
    /// Now.
    pub(super) now: Timestamp,
}

impl Look<'_> {
    /// All objects of a kind in the namespace.
    pub(super) async fn list<K>(&self) -> Result<Seen<Vec<K>>, CommandError>
    where
        K: KubeResource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let listed = self.cluster.api::<K>().list(&ListParams::default()).await;
        self.seen(listed.map(|listed| listed.items))
    }

    /// One object, where it is there.
    pub(super) async fn get<K>(&self, name: &str) -> Result<Seen<Option<K>>, CommandError>
    where
        K: KubeResource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        self.seen(self.cluster.api::<K>().get_opt(name).await)
    }

    /// A Secret without what it holds, where it is there.
    pub(super) async fn secret(
        &self,
        name: &str,
    ) -> Result<Seen<Option<PartialObjectMeta<Secret>>>, CommandError> {
        let api: Api<Secret> = self.cluster.api();
        self.seen(api.get_metadata_opt(name).await)
    }

    /// The Secrets that have a label, without what they hold.
    pub(super) async fn secrets(
        &self,
        selector: &str,
    ) -> Result<Seen<Vec<PartialObjectMeta<Secret>>>, CommandError> {
        let api: Api<Secret> = self.cluster.api();
        let listed = api.list_metadata(&ListParams::default().labels(selector)).await;
        self.seen(listed.map(|listed| listed.items))
    }

    /// Ends the description with the events about an object.
    pub(super) async fn events(
        &self,
        text: &mut Text,
        about: &ObjectMeta,
    ) -> Result<(), CommandError> {
        let uid = about.uid.as_deref().unwrap_or_default();
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let listed = self.cluster.api::<Event>().list(&params).await;
        let mut events = match self.seen(listed.map(|listed| listed.items))? {
            Ok(events) => events,
            Err(unseen) => {
                text.rows("Events", ["Type"], vec![[unseen]]);
                return Ok(());
            }
        };
        let last = |event: &Event| {
            let micro = event.event_time.as_ref().map(|time| time.0);
            event.last_timestamp.as_ref().map(|time| time.0).or(micro)
        };
        events.sort_by_key(last);
        let row = |event: Event| {
            let age = last(&event).map_or_else(
                || "<unknown>".to_owned(),
                |time| human((self.now.as_second() - time.as_second()).max(0).unsigned_abs()),
            );
            let source = event.source.and_then(|source| source.component);
            [
                event.type_.unwrap_or_default(),
                event.reason.unwrap_or_default(),
                age,
                source.or(event.reporting_component).unwrap_or_default(),
                event.message.unwrap_or_default(),
            ]
        };
        let rows = events.into_iter().map(row).collect();
        text.rows("Events", ["Type", "Reason", "Age", "From", "Message"], rows);
        Ok(())
    }

    /// The fields that every object has.
    pub(super) fn head(&self, text: &mut Text, object: &ObjectMeta) {
        let pairs = |map: Option<&std::collections::BTreeMap<String, String>>| -> Vec<String> {
            map.into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect()
        };
        text.field("Name", object.name.as_deref().unwrap_or_default());
        text.field("Namespace", object.namespace.as_deref().unwrap_or_default());
        text.fields("Labels", pairs(object.labels.as_ref()));
        text.fields("Annotations", pairs(object.annotations.as_ref()));
        text.field("Created", created(object.creation_timestamp.as_ref(), self.now));
        if let Some(deleted) = &object.deletion_timestamp {
            text.field("Deleting", created(Some(deleted), self.now));
            text.fields("Held by", object.finalizers.clone().unwrap_or_default());
        }
    }

    /// The instance `name`, as a field that says whether it is there.
    pub(super) async fn instance(
        &self,
        text: &mut Text,
        name: &str,
    ) -> Result<Option<headscale_api::kinds::Headscale>, CommandError> {
        let found = self.get::<headscale_api::kinds::Headscale>(name).await?;
        text.field(
            "Instance",
            match &found {
                Ok(Some(_)) => name.to_owned(),
                Ok(None) => format!("{name} (not found)"),
                Err(unseen) => format!("{name} {unseen}"),
            },
        );
        Ok(found.ok().flatten())
    }

    fn seen<T>(&self, answer: Result<T, kube::Error>) -> Result<Seen<T>, CommandError> {
        match answer {
            Ok(seen) => Ok(Ok(seen)),
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                Ok(Err("<you may not see it>".to_owned()))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                Ok(Err("<the cluster does not know the kind>".to_owned()))
            }
            Err(error) => Err(self.cluster.error(error)),
        }
    }
}

/// The names of `objects`, with a count before them; or why they cannot be seen.
pub(super) fn named<K: KubeResource>(objects: Seen<Vec<&K>>) -> String {
    match objects {
        Ok(objects) if objects.is_empty() => "0".to_owned(),
        Ok(objects) => {
            let names: Vec<String> = objects.iter().map(|object| object.name_any()).collect();
            const SHOWN: usize = 10;
            let more = names.len().saturating_sub(SHOWN);
            let mut shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 {
                // Writing to a String cannot fail.
                _ = write!(shown, " and {more} more");
            }
            format!("{} ({shown})", names.len())
        }
        Err(unseen) => unseen,
    }
}

/// Those of `objects` that `of` picks.
pub(super) fn those<K>(objects: &Seen<Vec<K>>, of: impl Fn(&K) -> bool) -> Seen<Vec<&K>> {
    match objects {
        Ok(objects) => Ok(objects.iter().filter(|object| of(object)).collect()),
        Err(unseen) => Err(unseen.clone()),
    }
}
