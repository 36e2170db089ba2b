//! An instance whose pod is a stand-in for Headscale behind a stand-in for the kubelet.

use std::net::SocketAddr;
use std::time::Instant;

use headscale_client::{HeadscaleApi as _, HttpClient, NewPreAuthKey, NewUser};
use headscale_controlplane::Kubelet;
use headscale_keys::ApiKey;
use headscale_standin::{Options, PolicyMode, Registration, StandIn, Version};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, Run, Sandbox};

/// What the instance has.
pub(crate) const POLICY: &str = r#"// Who may do what.
{
	"tagOwners": {"tag:db": ["alice@"]},
	"acls": [
		{"action": "accept", "src": ["alice@"], "dst": ["tag:db:5432"]},
	],
}
"#;

/// The instance `main` of a namespace of its own, with a pod, an API key, users and nodes.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) kubelet: Kubelet,
    headscale: Option<StandIn>,
    url: String,
    key: String,
    _directory: TempDir,
}

impl World {
    /// With users, nodes and [`POLICY`].
    pub(crate) async fn new(version: Version) -> Option<Self> {
        let world = Self::empty(version).await?;
        world.fill().await;
        Some(world)
    }

    /// With nothing but an API key.
    pub(crate) async fn empty(version: Version) -> Option<Self> {
        let sandbox = Sandbox::new().await?;
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options {
            policy_mode: PolicyMode::Database,
            ..Options::new(version, directory.path()).on_tcp()
        };
        let headscale = StandIn::start(options).await.expect("a stand-in");
        let key = format!("hskey-api-{}-{}", "k".repeat(12), "s".repeat(64));
        headscale.plant_api_key(&key, None);
        let (address, url) = (headscale.address(), headscale.url());
        let kubelet = Kubelet::start(sandbox.plane, &format!("node-{}", sandbox.namespace)).await;
        let labels =
            [("app.kubernetes.io/name", "headscale"), ("app.kubernetes.io/instance", "main")];
        kubelet.run(&sandbox.namespace, "main-0", &labels, 8080, address.expect("TCP")).await;
        sandbox.instance("main").await;
        let world = Self {
            sandbox,
            kubelet,
            headscale: Some(headscale),
            url: url.expect("TCP"),
            key,
            _directory: directory,
        };
        world.secret(json!({ "api-key": world.key })).await;
        Some(world)
    }

    async fn fill(&self) {
        let key = ApiKey::parse(&self.key).expect("a key");
        let client = HttpClient::builder(&self.url).api_key(key).build().expect("a client");
        let alice = NewUser {
            display_name: "Alice A.".to_owned(),
            email: "alice@corp.example".to_owned(),
            ..NewUser::named("alice")
        };
        let alice = client.create_user(&alice).await.expect("a user");
        client.create_user(&NewUser::named("bob")).await.expect("a user");
        client.set_policy(POLICY).await.expect("a policy");
        let until = Timestamp::now() + SignedDuration::from_hours(1);
        let keys =
            [NewPreAuthKey::of_user(alice.id, until), NewPreAuthKey::tagged(["tag:db"], until)];
        for (new, hostname) in keys.iter().zip(["laptop", "database"]) {
            let made = client.create_preauth_key(new).await.expect("a key");
            let machine = Registration {
                auth_key: made.key.expose().to_owned(),
                hostname: hostname.to_owned(),
                machine_key: String::new(),
                node_key: String::new(),
                routes: Vec::new(),
            };
            let headscale = self.headscale.as_ref().expect("it is up");
            headscale.register(&machine).expect("a node");
        }
    }

    /// Where Headscale itself is.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The same as an address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.headscale.as_ref().and_then(StandIn::address).expect("it is up")
    }

    /// Its API key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Ends Headscale; its pod stays ready.
    pub(crate) async fn stop(&mut self) {
        self.headscale.take().expect("it is up").stop().await;
    }

    /// Runs the plugin through kubectl; the key is in nothing that it prints.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.checked(self.sandbox.run(args))
    }

    /// The same with a variable of the environment.
    pub(crate) fn with_variable(&self, name: &str, value: &str, args: &[&str]) -> Run {
        let args = [&["headscale"], args].concat();
        let mut command = self.sandbox.command(self.sandbox.programs().join("kubectl"), &args);
        let output = command.env(name, value).output().expect("kubectl runs");
        self.checked(self.sandbox.finish(&output))
    }

    fn checked(&self, run: Run) -> Run {
        assert!(!run.to_string().contains(&"s".repeat(64)), "{run}");
        run
    }

    /// `run` without the ports of this run.
    pub(crate) fn hide(&self, run: Run) -> Run {
        let port = self.url.rsplit(':').next().unwrap_or_default().to_owned();
        let hide = |text: String| text.replace(&port, "[PORT]");
        Run { stdout: hide(run.stdout), stderr: hide(run.stderr), ..run }
    }

    /// Gives the Secret `main-api-key` this data.
    pub(crate) async fn secret(&self, data: Value) {
        self.secret_named("main-api-key", data).await;
    }

    /// Gives a Secret this data.
    pub(crate) async fn secret_named(&self, name: &str, data: Value) {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name }, "stringData": data });
        self.sandbox.apply(secret).await;
    }

    pub(crate) async fn delete_secret(&self) {
        let secrets: Api<Secret> = Api::namespaced(self.sandbox.client(), &self.sandbox.namespace);
        secrets.delete("main-api-key", &DeleteParams::default()).await.expect("deleted");
    }

    pub(crate) async fn delete_pod(&self) {
        let pods: Api<Pod> = Api::namespaced(self.sandbox.client(), &self.sandbox.namespace);
        // There is no kubelet that would let it go later.
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        pods.delete("main-0", &now).await.expect("deleted");
    }

    /// A kubeconfig of one who may read everything that is needed, and forward nothing.
    pub(crate) async fn reader(&self) -> String {
        let Sandbox { plane, namespace, .. } = &self.sandbox;
        let token = plane.token_for(namespace, "reader").await;
        let rules = json!([
            { "apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["get", "list"] },
            { "apiGroups": ["headscale.infrado.cloud"], "resources": ["*"], "verbs": ["get"] },
        ]);
        let version = "rbac.authorization.k8s.io/v1";
        self.sandbox
            .apply(json!({ "apiVersion": version, "kind": "Role",
                "metadata": { "name": "reader" }, "rules": rules }))
            .await;
        self.sandbox
            .apply(json!({ "apiVersion": version, "kind": "RoleBinding",
                "metadata": { "name": "reader" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                    "name": "reader" },
                "subjects": [{ "kind": "ServiceAccount", "name": "reader",
                    "namespace": namespace }] }))
            .await;
        self.until_allowed(&token).await;
        self.sandbox.kubeconfig(&token, None)
    }

    /// The API server's authorizer learns of roles by a watch.
    async fn until_allowed(&self, token: &str) {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.sandbox.plane.client_as(token));
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(self.sandbox.namespace.clone()),
                verb: Some("get".to_owned()),
                resource: Some("secrets".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let asked = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = api.create(&PostParams::default(), &asked).await.expect("an answer");
            if answer.status.is_some_and(|status| status.allowed) {
                return;
            }
            assert!(Instant::now() < deadline, "the role is never known");
        }
    }
}
