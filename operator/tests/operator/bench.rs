//! A namespace with the role that is shipped, a Headscale object, and a stand-in that plays it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use headscale_api::kinds::{
    Headscale, HeadscalePreAuthKey, HeadscalePreAuthKeySpec, HeadscaleUser, HeadscaleUserSpec, crds,
};
use headscale_client::{HeadscaleApi as _, HttpClient, PreAuthKey, User, UserFilter};
use headscale_controlplane::ControlPlane;
use headscale_faults::{Fault, Proxy, Upstream};
use headscale_keys::ApiKey;
use headscale_standin::{Options, PolicyMode, Registration, StandIn, Version};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::program::Operator;

/// The Headscale of each namespace.
pub(crate) const HEADSCALE: &str = "hs";

/// All that a test needs around the program.
pub(crate) struct Bench {
    pub(crate) cluster: &'static ControlPlane,
    pub(crate) namespace: String,
    pub(crate) version: Version,
    pub(crate) directory: TempDir,
    pub(crate) headscale: StandIn,
    pub(crate) proxy: Proxy,
    pub(crate) key: ApiKey,
    /// A client of the stand-in, past the proxy.
    pub(crate) http: HttpClient,
    /// What the operator reaches the stand-in by.
    pub(crate) proxied: String,
    token: String,
    operator: Operator,
}

/// Defines the kinds.
pub(crate) async fn define(cluster: &ControlPlane) {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client());
    let params = PatchParams::apply("tests").force();
    for crd in crds() {
        api.patch(&crd.name_any(), &params, &Patch::Apply(&crd)).await.expect("defined");
    }
    let is_established = |crd: &CustomResourceDefinition| {
        let conditions = crd.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|conditions| {
            conditions.iter().any(|it| it.type_ == "Established" && it.status == "True")
        })
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = api.list(&ListParams::default()).await.expect("definitions").items;
        if found.len() >= crds().len() && found.iter().all(is_established) {
            return;
        }
        assert!(Instant::now() < deadline, "the kinds are not established");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Gives the operator's account in a namespace the role that is shipped; gives a token of it.
pub(crate) async fn authorize(cluster: &ControlPlane, namespace: &str) -> String {
    let client = cluster.client();
    for document in include_str!("../../manifests/rbac.yaml").split("---\n") {
        let kind = document.lines().find_map(|line| line.strip_prefix("kind: "));
        match kind.expect("a kind") {
            "ServiceAccount" => create::<ServiceAccount>(&client, namespace, document).await,
            "Role" => create::<Role>(&client, namespace, document).await,
            "RoleBinding" => {
                let subject = format!("\n    namespace: {namespace}\n");
                let document = format!("{}{subject}", document.trim_end());
                create::<RoleBinding>(&client, namespace, &document).await;
            }
            kind => panic!("no {kind} is expected"),
        }
    }
    cluster.token_for(namespace, "headscale-operator").await
}

impl Bench {
    /// `None`, and a line that says so, where there is no API server.
    pub(crate) async fn new(version: Version) -> Option<Self> {
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        let cluster = ControlPlane::shared().await?;
        DEFINED.get_or_init(|| define(cluster)).await;
        Some(Self::on(cluster, version).await)
    }

    /// As [`Bench::new`], on a control plane where the kinds are defined.
    pub(crate) async fn on(cluster: &'static ControlPlane, version: Version) -> Self {
        Self::tuned(cluster, version, |_| {}).await
    }

    /// As [`Bench::on`], with a stand-in that `tune` has a say in.
    pub(crate) async fn tuned(
        cluster: &'static ControlPlane,
        version: Version,
        tune: impl FnOnce(&mut Options),
    ) -> Self {
        let namespace = cluster.namespace().await;
        let token = authorize(cluster, &namespace).await;
        let directory = tempfile::tempdir().expect("a directory");
        let mut options = Options::new(version, directory.path().join("headscale")).on_tcp();
        options.policy_mode = PolicyMode::Database;
        tune(&mut options);
        let headscale = StandIn::start(options).await.expect("a stand-in");
        let key = format!("hskey-api-ofThisBench1-{}", "k".repeat(64));
        let key = ApiKey::parse(&key).expect("a key");
        headscale.plant_api_key(key.expose(), None);
        let url = headscale.url().expect("it listens");
        let http = HttpClient::builder(&url).api_key(key.clone()).build().expect("a client");

        let proxy = Proxy::new();
        let address = cluster.url().strip_prefix("https://").expect("a URL").to_owned();
        let kubernetes = proxy
            .listen_tcp(Upstream::Tls {
                addr: address.parse().expect("an address"),
                ca_pem: cluster.ca_pem().to_owned(),
                server_name: "127.0.0.1".to_owned(),
            })
            .await;
        let standin = headscale.address().expect("it listens");
        let proxied = proxy.listen_tcp(Upstream::Tcp(standin)).await;
        let server = format!("http://{kubernetes}");
        let kubeconfig = cluster.kubeconfig(directory.path(), &token, &namespace, Some(&server));
        let operator = Operator::new(directory.path())
            .flag("kubeconfig", &kubeconfig.display().to_string())
            .flag("namespace", &namespace)
            .flag("health-probe-bind-address", "0")
            .flag("check-interval", "100ms")
            .flag("resync", "2s")
            .flag("send-deadline", "500ms")
            .flag("in-flight", "100ms")
            .flag("log-level", "debug");
        let bench = Self {
            cluster,
            namespace,
            version,
            directory,
            headscale,
            proxy,
            key,
            http,
            proxied: proxied.to_string(),
            token,
            operator,
        };
        bench.make_headscale(HEADSCALE).await;
        bench.put_api_key(HEADSCALE).await;
        bench
    }

    /// A kubeconfig of somebody who may do everything everywhere.
    pub(crate) fn admin_kubeconfig(&self) -> String {
        let token = self.cluster.admin_token();
        let path = self.cluster.kubeconfig(self.directory.path(), token, &self.namespace, None);
        path.display().to_string()
    }

    /// A kubeconfig of the operator's account that leads past the proxy.
    pub(crate) fn direct_kubeconfig(&self) -> String {
        let directory = self.directory.path();
        let path = self.cluster.kubeconfig(directory, &self.token, &self.namespace, None);
        path.display().to_string()
    }

    /// What `--resolve` is given for the Headscale of this bench.
    pub(crate) fn resolve(&self) -> String {
        format!("{HEADSCALE}.{}.svc={}", self.namespace, self.proxied)
    }

    /// The program, with what is needed to reach both sides through the proxy.
    pub(crate) fn operator(&self) -> Operator {
        let mut operator = Operator::new(self.directory.path()).flag("resolve", &self.resolve());
        for argument in self.operator.arguments() {
            let (name, value) = argument.split_once('=').expect("a value");
            operator = operator.flag(name.trim_start_matches("--"), value);
        }
        operator
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    pub(crate) async fn make_headscale(&self, name: &str) {
        let object = json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "Headscale",
            "metadata": { "name": name },
            "spec": { "version": "0.29.2", "replicas": 1 },
        });
        let object: Headscale = serde_json::from_value(object).expect("a Headscale");
        self.api().create(&PostParams::default(), &object).await.expect("created");
    }

    /// Writes the Secret of the API key, as the sidecar does.
    pub(crate) async fn put_api_key(&self, name: &str) {
        let labels = [
            ("app.kubernetes.io/managed-by".to_owned(), "headscale-operator".to_owned()),
            ("app.kubernetes.io/component".to_owned(), "api-key".to_owned()),
        ];
        let text = self.key.expose().as_bytes().to_vec();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(format!("{name}-api-key")),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            },
            data: Some([("api-key".to_owned(), ByteString(text))].into()),
            ..Secret::default()
        };
        self.api().create(&PostParams::default(), &secret).await.expect("created");
    }

    pub(crate) async fn make_user(&self, name: &str, spec: Value) -> HeadscaleUser {
        let mut full = json!({ "headscaleRef": HEADSCALE, "username": name });
        merge(&mut full, spec);
        let spec: HeadscaleUserSpec = serde_json::from_value(full).expect("a spec");
        let user = HeadscaleUser::new(name, spec);
        self.api().create(&PostParams::default(), &user).await.expect("created")
    }

    pub(crate) async fn make_key(&self, name: &str, spec: Value) -> HeadscalePreAuthKey {
        let mut full = json!({ "headscaleRef": HEADSCALE });
        merge(&mut full, spec);
        let spec: HeadscalePreAuthKeySpec = serde_json::from_value(full).expect("a spec");
        let key = HeadscalePreAuthKey::new(name, spec);
        self.api().create(&PostParams::default(), &key).await.expect("created")
    }

    pub(crate) async fn user(&self, name: &str) -> Option<HeadscaleUser> {
        self.api().get_opt(name).await.expect("it can be read")
    }

    pub(crate) async fn pre_auth_key(&self, name: &str) -> Option<HeadscalePreAuthKey> {
        self.api().get_opt(name).await.expect("it can be read")
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

    /// Status, reason and message of `Ready`, where it is about the object as it is.
    pub(crate) async fn ready_user(&self, name: &str) -> (String, String, String) {
        let user = self.user(name).await;
        let generation = user.as_ref().and_then(|user| user.metadata.generation);
        let status = user.and_then(|user| user.status).unwrap_or_default();
        said(&status.conditions, "Ready", generation)
    }

    /// As [`Bench::ready_user`], of a key.
    pub(crate) async fn ready_key(&self, name: &str) -> (String, String, String) {
        let key = self.pre_auth_key(name).await;
        let generation = key.as_ref().and_then(|key| key.metadata.generation);
        let status = key.and_then(|key| key.status).unwrap_or_default();
        said(&status.conditions, "Ready", generation)
    }

    pub(crate) async fn is_user_ready(&self, name: &str) -> bool {
        self.ready_user(name).await.0 == "True"
    }

    pub(crate) async fn is_key_ready(&self, name: &str) -> bool {
        self.ready_key(name).await.0 == "True"
    }

    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        self.api().get_opt(name).await.expect("it can be read")
    }

    /// The key in a Secret.
    pub(crate) async fn text(&self, secret: &str) -> Option<String> {
        let data = self.secret(secret).await?.data?;
        Some(String::from_utf8(data.get("key")?.0.clone()).expect("text"))
    }

    pub(crate) async fn users(&self) -> Vec<User> {
        self.http.list_users(&UserFilter::All).await.expect("users")
    }

    pub(crate) async fn keys(&self) -> Vec<PreAuthKey> {
        self.http.list_preauth_keys().await.expect("keys")
    }

    /// The keys with which nodes are let in.
    pub(crate) async fn working(&self) -> Vec<PreAuthKey> {
        let now = Timestamp::now();
        let keys = self.keys().await.into_iter();
        keys.filter(|key| key.expiration.is_some_and(|until| until > now)).collect()
    }

    /// Has a machine join with a key; gives the node's number.
    pub(crate) fn join(&self, key: &str) -> Result<u64, String> {
        self.headscale.register(&Registration {
            auth_key: key.to_owned(),
            hostname: "machine".to_owned(),
            ..Registration::default()
        })
    }

    /// Nothing that was said contains a key or a token.
    pub(crate) async fn tells_no_secret(&self) {
        let mut said: Vec<(String, String)> = fs::read_dir(self.directory.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("log-"))
            })
            .map(|path: PathBuf| {
                (path.display().to_string(), fs::read_to_string(&path).expect("a log"))
            })
            .collect();
        assert!(said.iter().any(|(_, text)| !text.is_empty()), "somebody said something");
        let events: Api<k8s_openapi::api::events::v1::Event> = self.api();
        let events = events.list(&ListParams::default()).await.expect("events").items;
        said.push(("events".to_owned(), serde_json::to_string(&events).expect("JSON")));
        let keys: Api<HeadscalePreAuthKey> = self.api();
        let keys = keys.list(&ListParams::default()).await.expect("keys").items;
        said.push(("objects".to_owned(), serde_json::to_string(&keys).expect("JSON")));
        let secrets: Api<Secret> = self.api();
        for mut secret in secrets.list(&ListParams::default()).await.expect("Secrets").items {
            secret.data = None;
            said.push((secret.name_any(), serde_json::to_string(&secret).expect("JSON")));
        }
        let mut secrets = self.headscale.every_key_ever();
        secrets.push(self.token.clone());
        for (place, text) in said {
            for secret in &secrets {
                // The part after the prefix is what is secret.
                let start = secret.len().saturating_sub(40);
                assert!(!text.contains(&secret[start..]), "a secret in {place}");
            }
        }
    }

    /// Lets no call of the operator reach Headscale any more.
    pub(crate) fn cut_headscale(&self) {
        let proxied = self.proxied.clone();
        self.proxy
            .faults(move |request| (request.listener == proxied).then_some(Fault::DropBefore));
    }

    /// How often anything was written through the proxy, Events aside.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.proxy.requests().into_iter();
        let writes = requests.filter(|it| it.method != "GET" && !it.path.contains("/events"));
        writes.map(|it| format!("{} {}", it.method, it.path)).collect()
    }
}

/// Status, reason and message of a condition that is about this generation.
pub(crate) fn said(
    conditions: &[Condition],
    type_: &str,
    generation: Option<i64>,
) -> (String, String, String) {
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    let found = found.filter(|condition| condition.observed_generation == generation);
    found.map(|it| (it.status.clone(), it.reason.clone(), it.message.clone())).unwrap_or_default()
}

fn merge(into: &mut Value, from: Value) {
    let from: BTreeMap<String, Value> = serde_json::from_value(from).expect("an object");
    for (name, value) in from {
        into[name] = value;
    }
}

async fn create<T>(client: &kube::Client, namespace: &str, document: &str)
where
    T: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let object: T = serde_saphyr::from_str(document).expect("a manifest");
    let api: Api<T> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &object).await.expect("created");
}
