//! Makes the objects of an instance what they should be.
//!
//! An object that is as it was applied is not applied again: by what this process remembers, or by
//! the hash that the object carries and by looking whether all of it is there. So nothing is written
//! where nothing changed, also by another operator, and what somebody else changed is undone.

use std::collections::BTreeMap;

use headscale_api::desired::{Names, Object, labels};
use headscale_api::kinds::Headscale;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::children::{Child, is_controlled_by, version};
use super::decide::{Block, Wanted, objects};
use super::subset::has_all;
use super::takeover::taken_over;
use crate::context::Context;
use crate::kubernetes::{KubernetesError, within};
use crate::names::{APPLIED_ANNOTATION, FIELD_MANAGER, VERSION_ANNOTATION};

/// What is remembered of the objects of one instance: what was applied, and as which version, by
/// kind and name.
pub(crate) type Remembered = BTreeMap<(&'static str, String), Applied>;

/// An object as it was applied.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    hash: String,
    /// Its resource version.
    pub(crate) version: u64,
    /// Its generation, which changes with its spec.
    generation: Option<i64>,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All objects are what they should be.
    Done {
        /// The StatefulSet, where it was written.
        set: Option<Box<StatefulSet>>,
    },
    /// Something is in the way.
    Refused(Block),
}

/// An instance whose objects are applied.
pub(super) struct Apply<'a> {
    pub(super) context: &'a Context,
    /// The object as it is stored.
    pub(super) headscale: &'a Headscale,
    pub(super) namespace: &'a str,
    pub(super) uid: &'a str,
    /// The objects that it controls, as they were seen last.
    pub(super) children: &'a [Child],
}

fn resource(kind: &str) -> ApiResource {
    match kind {
        "ServiceAccount" => ApiResource::erase::<ServiceAccount>(&()),
        "Role" => ApiResource::erase::<Role>(&()),
        "RoleBinding" => ApiResource::erase::<RoleBinding>(&()),
        "Secret" => ApiResource::erase::<Secret>(&()),
        "ConfigMap" => ApiResource::erase::<ConfigMap>(&()),
        "Service" => ApiResource::erase::<Service>(&()),
        "Ingress" => ApiResource::erase::<Ingress>(&()),
        _ => ApiResource::erase::<StatefulSet>(&()),
    }
}

impl Apply<'_> {
    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.context.client.clone(), self.namespace, &resource(kind))
    }

    fn remembered(&self, object: &Object) -> Option<Applied> {
        let place = (object.kind(), object.name().to_owned());
        self.context.memory(self.uid, |memory| memory.instance.children.get(&place).cloned())
    }

    fn remember(&self, object: &Object, applied: Applied) {
        let place = (object.kind(), object.name().to_owned());
        self.context.memory(self.uid, |memory| memory.instance.children.insert(place, applied));
    }

    fn child(&self, object: &Object) -> Option<&Child> {
        let is_it = |child: &&Child| child.kind == object.kind() && child.name == object.name();
        self.children.iter().find(is_it)
    }

    /// Applies all objects, in their order, and deletes those that are no longer wanted.
    pub(super) async fn all(&self, wanted: &Wanted) -> Result<Outcome, KubernetesError> {
        let mut wanted = wanted.clone();
        let mut objects = objects(&wanted);
        if let Some(block) = self.in_the_way(&objects).await? {
            return Ok(Outcome::Refused(block));
        }
        let mut set = None;
        // The version that the Secret has afterwards is in the pod's template.
        if let Some(secret) = objects.iter().find(|object| object.kind() == "Secret") {
            match self.ensure(secret, None).await? {
                Ensured::Refused(block) => return Ok(Outcome::Refused(block)),
                Ensured::Is { version, .. } => {
                    let name = secret.name().to_owned();
                    wanted.inputs.secret_hashes.insert(name, version.to_string());
                }
            }
            objects = super::decide::objects(&wanted);
        }
        let runs = &wanted.headscale.spec.version;
        for object in objects.iter().filter(|object| object.kind() != "Secret") {
            let is_set = object.kind() == "StatefulSet";
            match self.ensure(object, is_set.then_some(runs)).await? {
                Ensured::Refused(block) => return Ok(Outcome::Refused(block)),
                Ensured::Is { written: Some(written), .. } if is_set => {
                    set = written.try_parse().ok().map(Box::new);
                }
                Ensured::Is { .. } => {}
            }
        }
        self.remove_others(&wanted, &objects).await?;
        Ok(Outcome::Done { set })
    }

    /// Objects of others that have the names of ours. Nothing is applied beside them.
    async fn in_the_way(&self, objects: &[Object]) -> Result<Option<Block>, KubernetesError> {
        for object in objects.iter().filter(|object| self.child(object).is_none()) {
            let Some(there) = self.read(object).await? else { continue };
            if is_controlled_by(&there, self.uid) {
                continue;
            }
            let (kind, name) = (object.kind(), object.name());
            let owner = there.owner_references().iter().find(|it| it.controller == Some(true));
            let message = match owner {
                // Its objects were let go, or made from the same spec by hand.
                None if self.has_our_labels(&there) => continue,
                Some(owner)
                    if owner.kind == "Headscale" && owner.name == self.headscale.name_any() =>
                {
                    format!(
                        "{kind} {name} belongs to an earlier Headscale of this name, and is \
                         removed with it: wait, or delete it"
                    )
                }
                Some(owner) => format!(
                    "{kind} {name} belongs to {} {}, and is left alone: delete one of the two, or \
                     make this Headscale anew under another name",
                    owner.kind, owner.name
                ),
                None => format!(
                    "{kind} {name} is not of this Headscale, and is left alone: delete it, or make \
                     this Headscale anew under another name"
                ),
            };
            return Ok(Some(Block::new("NameTaken", message)));
        }
        Ok(None)
    }

    fn has_our_labels(&self, there: &DynamicObject) -> bool {
        let ours = labels(&self.headscale.name_any());
        ours.iter().all(|(name, value)| there.labels().get(name) == Some(value))
    }

    async fn read(&self, object: &Object) -> Result<Option<DynamicObject>, KubernetesError> {
        let (kind, name) = (object.kind(), object.name());
        within(|| format!("read {kind} {name}"), self.api(kind).get_opt(name)).await
    }

    /// Applies an object, unless it is as it should be.
    async fn ensure(
        &self,
        object: &Object,
        runs: Option<&String>,
    ) -> Result<Ensured, KubernetesError> {
        let (kind, name) = (object.kind(), object.name());
        let hash = object.fingerprint();
        let remembered = self.remembered(object).filter(|remembered| remembered.hash == hash);
        if let (Some(remembered), Some(child)) = (&remembered, self.child(object))
            // What was written last may not have been seen yet.
            && child.version <= remembered.version
        {
            return Ok(Ensured::Is { version: remembered.version, written: None });
        }
        let mut manifest = object.to_value();
        annotate(&mut manifest, APPLIED_ANNOTATION, &hash);
        if let Some(runs) = runs {
            annotate(&mut manifest, VERSION_ANNOTATION, runs);
        }
        let there = self.read(object).await?;
        if let Some(there) = &there
            && is_as_applied(there, &manifest, &hash, remembered.as_ref())
        {
            let version = version(there.metadata.resource_version.as_deref());
            let generation = there.metadata.generation;
            self.remember(object, Applied { hash, version, generation });
            return Ok(Ensured::Is { version, written: None });
        }
        if let Some(there) = &there {
            self.take_over(kind, there).await?;
            // One that took its place meanwhile is another's.
            if let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("uid".to_owned(), json!(there.metadata.uid));
            }
        }
        let mut params = PatchParams::apply(FIELD_MANAGER);
        params.force = there.is_some();
        let (api, patch) = (self.api(kind), Patch::Apply(&manifest));
        let written = within(|| format!("apply {kind} {name}"), api.patch(name, &params, &patch));
        let written = match written.await {
            Ok(written) => written,
            Err(error) => return refused(kind, name, error).map(Ensured::Refused),
        };
        self.context.metrics.wrote(kind, "apply");
        tracing::info!(namespace = self.namespace, kind, name, "applied");
        let version = version(written.metadata.resource_version.as_deref());
        let generation = written.metadata.generation;
        self.remember(object, Applied { hash, version, generation });
        Ok(Ensured::Is { version, written: Some(Box::new(written)) })
    }

    /// Makes what the Go operator owns of an object our own.
    async fn take_over(&self, kind: &str, there: &DynamicObject) -> Result<(), KubernetesError> {
        let entries = there.metadata.managed_fields.as_deref().unwrap_or_default();
        let Some(entries) = taken_over(entries) else { return Ok(()) };
        let name = there.name_any();
        // It fails where anybody else wrote the object meanwhile.
        let patch = Patch::Merge(json!({
            "metadata": {
                "resourceVersion": there.metadata.resource_version,
                "managedFields": entries,
            },
        }));
        let (api, params) = (self.api(kind), params());
        within(|| format!("take over {kind} {name}"), api.patch(&name, &params, &patch)).await?;
        self.context.metrics.wrote(resource_kind(kind), "take_over");
        tracing::info!(namespace = self.namespace, kind, name, "taken over");
        Ok(())
    }

    /// Stops the server of an instance that is otherwise left as it is.
    pub(super) async fn stop(&self, set: &StatefulSet) -> Result<StatefulSet, KubernetesError> {
        let name = set.name_any();
        let sets: Api<StatefulSet> = Api::namespaced(self.context.client.clone(), self.namespace);
        let patch = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
        let (what, params) = (|| format!("stop StatefulSet {name}"), params());
        let written = within(what, sets.patch(&name, &params, &patch)).await?;
        self.context.metrics.wrote("StatefulSet", "patch");
        Ok(written)
    }

    /// Deletes objects of this instance that are no longer wanted.
    async fn remove_others(
        &self,
        wanted: &Wanted,
        objects: &[Object],
    ) -> Result<(), KubernetesError> {
        let names = wanted.inputs.existing.names.clone();
        let names = names.unwrap_or_else(|| Names::of(&self.headscale.name_any()));
        for child in self.children {
            let is_wanted =
                |object: &Object| object.kind() == child.kind && object.name() == child.name;
            let may_go = match child.kind {
                "Role" | "RoleBinding" | "Ingress" | "Service" => true,
                "Secret" => child.name == names.inline_secrets(),
                _ => false,
            };
            if !may_go || objects.iter().any(is_wanted) {
                continue;
            }
            let (kind, name) = (child.kind, &child.name);
            let params = DeleteParams::default().preconditions(Preconditions {
                uid: Some(child.uid.clone()),
                resource_version: None,
            });
            let api = self.api(kind);
            let gone = within(|| format!("delete {kind} {name}"), api.delete(name, &params)).await;
            match gone {
                Ok(_) => {
                    self.context.metrics.wrote(kind, "delete");
                    tracing::info!(namespace = self.namespace, kind, name, "deleted");
                }
                // It is gone, or another has taken its place.
                Err(error) if matches!(error.code(), Some(404 | 409)) => {}
                Err(error) => return Err(error),
            }
            self.context
                .memory(self.uid, |memory| memory.instance.children.remove(&(kind, name.clone())));
        }
        Ok(())
    }
}

/// What became of one object.
enum Ensured {
    /// It is as it should be.
    Is {
        /// Its resource version.
        version: u64,
        /// The object, where it was written.
        written: Option<Box<DynamicObject>>,
    },
    /// It cannot be.
    Refused(Block),
}

/// The same kind, as text that is there for ever.
fn resource_kind(kind: &str) -> &'static str {
    match kind {
        "ServiceAccount" => "ServiceAccount",
        "Role" => "Role",
        "RoleBinding" => "RoleBinding",
        "Secret" => "Secret",
        "ConfigMap" => "ConfigMap",
        "Service" => "Service",
        "Ingress" => "Ingress",
        _ => "StatefulSet",
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn annotate(manifest: &mut Value, name: &str, value: &str) {
    let metadata = manifest.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.map(|metadata| {
        metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()))
    });
    if let Some(Value::Object(annotations)) = annotations {
        annotations.insert(name.to_owned(), json!(value));
    }
}

/// Whether what is there is what was applied. Where it was by this process, a spec of the same
/// generation is the same, in whatever way the API server wrote its amounts.
fn is_as_applied(
    there: &DynamicObject,
    manifest: &Value,
    hash: &str,
    remembered: Option<&Applied>,
) -> bool {
    if there.annotations().get(APPLIED_ANNOTATION).map(String::as_str) != Some(hash) {
        return false;
    }
    let is_same_spec = remembered.is_some_and(|remembered| {
        remembered.generation.is_some() && remembered.generation == there.metadata.generation
    });
    let Ok(mut actual) = serde_json::to_value(there) else { return false };
    if is_same_spec
        && let (Some(actual), Some(spec)) = (actual.get_mut("spec"), manifest.get("spec"))
    {
        *actual = spec.clone();
    }
    has_all(&actual, manifest)
}

/// What the API server says to an object; an error where it is to be tried again.
fn refused(kind: &str, name: &str, error: KubernetesError) -> Result<Block, KubernetesError> {
    let said = error.to_string();
    let (reason, help) = match error.code() {
        Some(403) if said.contains("being terminated") => {
            ("NamespaceTerminating", "the namespace is being deleted")
        }
        Some(404) => ("NamespaceTerminating", "the namespace is gone"),
        Some(403) => ("ObjectRefused", "a right, a quota or a policy of the cluster is in the way"),
        Some(400 | 422) => ("ObjectRefused", "correct the field of the spec that it is made from"),
        _ => return Err(error),
    };
    Ok(Block::new(reason, format!("{kind} {name} is refused: {said}; {help}")))
}
