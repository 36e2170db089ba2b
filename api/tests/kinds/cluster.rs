//! An API server with the definitions, and objects in it.

use std::time::Duration;

use headscale_api::kinds::{self, API_VERSION};
use headscale_controlplane::ControlPlane;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long the API server may take to do what it does by and by.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A namespace of an API server that has all kinds.
pub(crate) struct Namespace {
    client: kube::Client,
    name: String,
}

impl Namespace {
    /// A new one; `None` where there is no API server to run.
    pub(crate) async fn new() -> Option<Self> {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let plane = ControlPlane::shared().await?;
        let client = plane.client();
        INSTALLED.get_or_init(|| install(&client)).await;
        Some(Self { name: plane.namespace().await, client })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Applies `manifest` on the server's side with strict field validation; gives the stored
    /// object, or what the server says.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<Value, String> {
        let (api, name) = self.api(manifest);
        let params = PatchParams::apply("tests").force().validation_strict();
        match api.patch(&name, &params, &Patch::Apply(manifest)).await {
            Ok(_) => Ok(self.read(manifest).await),
            Err(error) => Err(message(error)),
        }
    }

    /// Replaces the status of the object that `manifest` names.
    pub(crate) async fn set_status(
        &self,
        manifest: &Value,
        status: &Value,
    ) -> Result<Value, String> {
        let (api, name) = self.api(manifest);
        let patch = json!({ "status": status });
        match api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => Ok(self.read(manifest).await),
            Err(error) => Err(message(error)),
        }
    }

    /// The stored object that `manifest` names.
    async fn read(&self, manifest: &Value) -> Value {
        let (api, name) = self.api(manifest);
        let stored = api.get(&name).await.expect("the object is stored");
        serde_json::to_value(stored).expect("JSON")
    }

    fn api(&self, manifest: &Value) -> (Api<DynamicObject>, String) {
        let kind = manifest["kind"].as_str().expect("a manifest has a kind");
        let name = manifest["metadata"]["name"].as_str().expect("a manifest has a name");
        let resource = resource(kind);
        (Api::namespaced_with(self.client.clone(), &self.name, &resource), name.to_owned())
    }
}

/// What the server answered, without what every refusal begins with.
fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("the API server gives no answer: {other}"),
    }
}

fn resource(kind: &str) -> ApiResource {
    let crds = kinds::crds();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).expect("a kind of ours");
    let of = GroupVersionKind::gvk(kinds::GROUP, kinds::VERSION, kind);
    let resource = ApiResource::from_gvk_with_plural(&of, &crd.spec.names.plural);
    assert_eq!(resource.api_version, API_VERSION);
    resource
}

async fn install(client: &kube::Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("tests").validation_strict();
    for crd in kinds::crds() {
        let name = crd.metadata.name.clone().expect("a name");
        api.patch(&name, &params, &Patch::Apply(&crd))
            .await
            .unwrap_or_else(|error| panic!("{name} is refused: {error}"));
    }
    for crd in kinds::crds() {
        let served = is_served(client, &api, &crd);
        let name = &crd.metadata.name;
        tokio::time::timeout(PATIENCE, served)
            .await
            .unwrap_or_else(|_| panic!("{name:?} is not served"));
    }
}

/// Waits until objects of the kind can be listed.
async fn is_served(
    client: &kube::Client,
    api: &Api<CustomResourceDefinition>,
    crd: &CustomResourceDefinition,
) {
    let name = crd.metadata.name.as_deref().expect("a name");
    let objects: Api<DynamicObject> =
        Api::all_with(client.clone(), &resource(&crd.spec.names.kind));
    loop {
        let stored = api.get(name).await.expect("it was just applied");
        let conditions = stored.status.and_then(|status| status.conditions).unwrap_or_default();
        let holds =
            |wanted: &str| conditions.iter().any(|c| c.type_ == wanted && c.status == "True");
        assert!(!holds("NonStructuralSchema"), "{name}: {conditions:#?}");
        if holds("Established") && objects.list(&ListParams::default().limit(1)).await.is_ok() {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
