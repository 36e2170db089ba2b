//! A namespace with the operator's role, whose pods are played.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, HttpClient, UserFilter};
use headscale_controlplane::ControlPlane;
use headscale_faults::{Proxy, Upstream};
use headscale_keys::ApiKey;
use headscale_player::Player;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::bench::{authorize, define, said};
use crate::program::{Operator, Running};

/// How long a change of an instance may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So many lines of each log are shown where a test fails.
const SHOWN: usize = 20;
/// How long nothing must be written until it counts as quiet: several looks at everything.
pub(crate) const QUIET: Duration = Duration::from_secs(3);

/// All that a test needs around the program.
pub(crate) struct Stage {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) namespace: String,
    pub(crate) player: Player,
    pub(crate) proxy: Proxy,
    pub(crate) directory: TempDir,
    /// The API server, behind the proxy.
    server: String,
    operator: Operator,
}

impl Stage {
    /// With Services of these names that lead to their pods; `None`, and a line that says so, where
    /// there is no control plane.
    pub(crate) async fn new(services: &[&str]) -> Option<Self> {
        static READY: OnceCell<bool> = OnceCell::const_new();
        let plane = ControlPlane::shared().await?;
        let is_ready = READY.get_or_init(|| async {
            define(plane).await;
            // It collects garbage of kinds that it knows when it starts.
            plane.start_controller_manager()
        });
        if !*is_ready.await {
            return None;
        }
        let namespace = plane.namespace().await;
        let token = authorize(plane, &namespace).await;
        let player = Player::start(plane, &namespace);
        player.tell_api_key_managers(&["--check-interval=1s"]);
        let directory = tempfile::tempdir().expect("a directory");
        let proxy = Proxy::new();
        let address = plane.url().strip_prefix("https://").expect("a URL").to_owned();
        let kubernetes = Upstream::Tls {
            addr: address.parse().expect("an address"),
            ca_pem: plane.ca_pem().to_owned(),
            server_name: "127.0.0.1".to_owned(),
        };
        let server = format!("http://{}", proxy.listen_tcp(kubernetes).await);
        let kubeconfig = plane.kubeconfig(directory.path(), &token, &namespace, Some(&server));
        let mut operator = Operator::new(directory.path())
            .flag("kubeconfig", &kubeconfig.display().to_string())
            .flag("namespace", &namespace)
            .flag("health-probe-bind-address", "0")
            .flag("check-interval", "300ms")
            .flag("resync", "1s")
            .flag("send-deadline", "2s")
            .flag("in-flight", "1s")
            .flag("log-level", "debug");
        for service in services {
            operator = operator.also("resolve", &player.resolve(service));
        }
        Some(Self { plane, namespace, player, proxy, directory, server, operator })
    }

    /// Starts the program.
    pub(crate) fn start(&self) -> Running {
        self.operator.start()
    }

    /// Starts it with another flag.
    pub(crate) fn start_with(&self, name: &str, value: &str) -> Running {
        let mut operator = Operator::new(self.directory.path());
        for argument in self.operator.arguments() {
            let (name, value) = argument.split_once('=').expect("a value");
            operator = operator.also(name.trim_start_matches("--"), value);
        }
        operator.also(name, value).start()
    }

    /// Starts it as one that lives in another namespace, with the rights of its role everywhere:
    /// where its namespace goes, it would have none.
    pub(crate) async fn start_elsewhere(&self) -> Running {
        let role: Role = self.get("headscale-operator").await.expect("the operator's");
        let home = self.plane.namespace().await;
        let name = format!("operator-{home}");
        let role = json!({ "metadata": { "name": name }, "rules": role.rules });
        let role: ClusterRole = serde_json::from_value(role).expect("a role");
        let params = PostParams::default();
        let roles: Api<ClusterRole> = Api::all(self.plane.client());
        roles.create(&params, &role).await.expect("created");
        let account = json!({ "kind": "ServiceAccount", "name": "operator", "namespace": home });
        let kind = json!({
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name,
        });
        let binding =
            json!({ "metadata": { "name": name }, "roleRef": kind, "subjects": [account] });
        let binding: ClusterRoleBinding = serde_json::from_value(binding).expect("a binding");
        let bindings: Api<ClusterRoleBinding> = Api::all(self.plane.client());
        bindings.create(&params, &binding).await.expect("created");
        let token = self.plane.token_for(&home, "operator").await;
        let directory = self.directory.path();
        let server = Some(self.server.as_str());
        let kubeconfig = self.plane.kubeconfig(directory, &token, &self.namespace, server);
        let mut operator = Operator::new(directory);
        for argument in self.operator.arguments() {
            let (name, value) = argument.split_once('=').expect("a value");
            operator = operator.also(name.trim_start_matches("--"), value);
        }
        operator.flag("kubeconfig", &kubeconfig.display().to_string()).start()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.plane.client(), &self.namespace)
    }

    pub(crate) async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        self.api().get_opt(name).await.expect("it can be read")
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Serialize
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).expect("an object");
        self.api().create(&PostParams::default(), &object).await.expect("created")
    }

    /// Changes an object as a user does.
    pub(crate) async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.api();
        api.delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// Makes a `Headscale` of this version, whose policy is in its database.
    pub(crate) async fn make_headscale(&self, name: &str, version: &str) {
        let object = json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "Headscale",
            "metadata": { "name": name },
            "spec": {
                "version": version,
                "replicas": 1,
                "config": {
                    "server_url": "http://headscale.example.com",
                    "policy": { "mode": "database" },
                    "dns": { "base_domain": "tailnet.example.com" },
                },
            },
        });
        self.create::<Headscale>(object).await;
    }

    /// Status, reason and message of a condition that is about the instance as it is.
    pub(crate) async fn condition(&self, name: &str, type_: &str) -> (String, String, String) {
        let headscale: Option<Headscale> = self.get(name).await;
        let generation = headscale.as_ref().and_then(|it| it.metadata.generation);
        let status = headscale.and_then(|it| it.status).unwrap_or_default();
        said(&status.conditions, type_, generation)
    }

    pub(crate) async fn is_ready(&self, name: &str) -> bool {
        self.condition(name, "Ready").await.0 == "True"
    }

    /// Whether the instance is ready and its server is of this version.
    pub(crate) async fn runs(&self, name: &str, set: &str, image: &str) -> bool {
        let found: Option<StatefulSet> = self.get(set).await;
        let spec = found.and_then(|set| set.spec?.template.spec);
        let runs = spec.and_then(|spec| spec.containers.into_iter().next()?.image);
        runs.as_deref() == Some(image) && self.is_ready(name).await
    }

    pub(crate) async fn is_user_ready(&self, name: &str) -> bool {
        let user: Option<HeadscaleUser> = self.get(name).await;
        let generation = user.as_ref().and_then(|user| user.metadata.generation);
        let status = user.and_then(|user| user.status).unwrap_or_default();
        said(&status.conditions, "Ready", generation).0 == "True"
    }

    pub(crate) async fn is_key_ready(&self, name: &str) -> bool {
        let key: Option<HeadscalePreAuthKey> = self.get(name).await;
        let generation = key.as_ref().and_then(|key| key.metadata.generation);
        let status = key.and_then(|key| key.status).unwrap_or_default();
        said(&status.conditions, "Ready", generation).0 == "True"
    }

    /// Makes a user of an instance.
    pub(crate) async fn make_user(&self, headscale: &str, name: &str) {
        let object = json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "HeadscaleUser",
            "metadata": { "name": name },
            "spec": { "headscaleRef": headscale, "username": name },
        });
        self.create::<HeadscaleUser>(object).await;
    }

    /// Makes a pre-auth key of a user.
    pub(crate) async fn make_key(&self, headscale: &str, name: &str, user: &str) {
        let object = json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "HeadscalePreAuthKey",
            "metadata": { "name": name },
            "spec": { "headscaleRef": headscale, "headscaleUserRef": user, "reusable": true },
        });
        self.create::<HeadscalePreAuthKey>(object).await;
    }

    /// A client with the key of a Secret, at the address of a Service.
    pub(crate) async fn client(&self, service: &str, secret: &str) -> Option<HttpClient> {
        let secret: Secret = self.get(secret).await?;
        let key = secret.data?.remove("api-key")?;
        let key = ApiKey::parse(std::str::from_utf8(&key.0).expect("text")).expect("a key");
        let url = format!("http://{}", self.player.address(service));
        Some(HttpClient::builder(&url).api_key(key).build().expect("a client"))
    }

    /// The names of the users of a Headscale that answers.
    pub(crate) async fn users(&self, service: &str, secret: &str) -> Option<Vec<String>> {
        let client = self.client(service, secret).await?;
        let users = client.list_users(&UserFilter::All).await.ok()?;
        Some(users.into_iter().map(|user| user.name).collect())
    }

    /// The images that the pods of a name were started with.
    pub(crate) fn images(&self, pod: &str) -> Vec<String> {
        self.player.starts(pod).into_iter().map(|start| start.image).collect()
    }

    /// Waits until something holds; tells all that is known where it does not.
    pub(crate) async fn until(
        &self,
        operator: &mut Running,
        what: &str,
        mut holds: impl AsyncFnMut() -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            let ended = operator.status();
            if Instant::now() > deadline || ended.is_some() {
                let state = self.state().await;
                panic!("never {what} ({ended:?}):\n{state}\n{}", operator.log());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn state(&self) -> String {
        let headscales: Api<Headscale> = self.api();
        let headscales = headscales.list(&ListParams::default()).await.expect("listed").items;
        let status: Vec<Value> =
            headscales.iter().map(|it| json!([it.name_any(), it.status])).collect();
        let pods: Api<Pod> = self.api();
        let pods = pods.list(&ListParams::default()).await.expect("listed").items;
        let mut parts = vec![format!("{:#}", Value::Array(status))];
        for pod in pods {
            parts.push(format!("{:#}", json!([pod.name_any(), pod.status])));
            let spec = pod.spec.clone().unwrap_or_default();
            for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
                let log = self.player.log(&pod.name_any(), &container.name);
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default();
                parts.push(format!("--- {}\n{}", container.name, last.join("\n")));
            }
        }
        parts.join("\n")
    }

    /// What the operator wrote through the proxy, Events and Leases aside.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.proxy.requests().into_iter();
        let writes = requests.filter(|it| it.method != "GET" && !it.path.contains("/events"));
        writes.map(|it| format!("{} {}", it.method, it.path)).collect()
    }

    /// Waits until nothing was written for a while in which everything was looked at.
    pub(crate) async fn until_quiet(&self, operator: &mut Running) {
        let mut last = (self.writes().len(), Instant::now());
        let is_quiet = async || {
            let writes = self.writes().len();
            if writes != last.0 {
                last = (writes, Instant::now());
            }
            last.1.elapsed() > QUIET
        };
        self.until(operator, "quiet", is_quiet).await;
    }

    /// A program that is started anew writes nothing.
    pub(crate) async fn writes_nothing_more(&self, operator: Running) {
        drop(operator);
        let before = self.versions().await;
        self.proxy.reset();
        let mut operator = self.start();
        let has_looked = async || self.proxy.requests().len() > 5;
        self.until(&mut operator, "at work", has_looked).await;
        self.until_quiet(&mut operator).await;
        assert_eq!(self.writes(), Vec::<String>::new());
        assert_eq!(self.versions().await, before);
    }

    /// The version of each object that the operator may write.
    pub(crate) async fn versions(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        self.add::<Headscale>(&mut all).await;
        self.add::<HeadscaleUser>(&mut all).await;
        self.add::<HeadscalePreAuthKey>(&mut all).await;
        self.add::<StatefulSet>(&mut all).await;
        self.add::<ConfigMap>(&mut all).await;
        self.add::<PersistentVolumeClaim>(&mut all).await;
        self.add::<Secret>(&mut all).await;
        self.add::<Service>(&mut all).await;
        self.add::<ServiceAccount>(&mut all).await;
        self.add::<Role>(&mut all).await;
        self.add::<RoleBinding>(&mut all).await;
        self.add::<Ingress>(&mut all).await;
        self.add::<Pod>(&mut all).await;
        all
    }

    async fn add<K>(&self, all: &mut BTreeMap<String, String>)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.api();
        for object in api.list(&ListParams::default()).await.expect("listed").items {
            let name = format!("{}/{}", K::kind(&()), object.name_any());
            all.insert(name, object.resource_version().unwrap_or_default());
        }
    }
}
