//! Ways to the API server: clients, tokens, kubeconfigs, namespaces.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Config};
use serde_json::json;

use crate::ControlPlane;

/// How long a token of a service account is good for, in seconds: longer than any test.
const TOKEN_SECONDS: i64 = 6 * 60 * 60;

impl ControlPlane {
    /// A new client that may do everything. It belongs to the runtime of the test that asks.
    ///
    /// # Panics
    ///
    /// When TLS cannot be set up.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_as(self.admin_token())
    }

    /// A new client that may do what the bearer of `token` may. It belongs to the runtime of the
    /// test that asks.
    ///
    /// # Panics
    ///
    /// When TLS cannot be set up.
    #[must_use]
    pub fn client_as(&self, token: &str) -> Client {
        let mut config = Config::new(self.url().parse().expect("a URL"));
        config.root_cert = Some(vec![self.authority().der.clone()]);
        config.auth_info.token = Some(token.to_owned().into());
        Client::try_from(config).expect("a client")
    }

    /// Makes a namespace of its own for a test; gives its name.
    ///
    /// # Panics
    ///
    /// When the API server does not.
    pub async fn namespace(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{number}");
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let api: Api<Namespace> = Api::all(self.client());
        api.create(&PostParams::default(), &namespace).await.expect("a new namespace");
        name
    }

    /// A bearer token of the service account `name` in `namespace`, which is made where there is
    /// none. It may do what roles that are bound to the account say, and nothing else.
    ///
    /// # Panics
    ///
    /// When the API server gives none, such as without the namespace.
    pub async fn token_for(&self, namespace: &str, name: &str) -> String {
        let api: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        if api.get_opt(name).await.expect("accounts can be read").is_none() {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            let account = ServiceAccount { metadata, ..ServiceAccount::default() };
            api.create(&PostParams::default(), &account).await.expect("a new account");
        }
        let spec = TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = api
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .expect("a token for the account");
        answer.status.expect("an answer has a token").token
    }

    /// Writes a kubeconfig that only its owner can read into `directory`; gives its path. Its user
    /// is the bearer of `token`, its namespace is `namespace`. Its server is this one, or what is
    /// given instead, such as a proxy before it; clients of Kubernetes' own, such as kubectl, send
    /// no token to one without TLS.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn kubeconfig(
        &self,
        directory: &Path,
        token: &str,
        namespace: &str,
        server: Option<&str>,
    ) -> PathBuf {
        static WRITTEN: AtomicU32 = AtomicU32::new(1);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("kubeconfig-{number}"));
        let server = server.unwrap_or_else(|| self.url());
        let mut cluster = json!({ "server": server });
        if server.starts_with("https:") {
            cluster["certificate-authority"] = json!(self.directory().join("ca.pem"));
        }
        let context = json!({ "cluster": "tests", "user": "tests", "namespace": namespace });
        let configuration = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "tests", "cluster": cluster }],
            "users": [{ "name": "tests", "user": { "token": token } }],
            "contexts": [{ "name": "tests", "context": context }],
            "current-context": "tests",
        });
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .expect("a new kubeconfig");
        file.write_all(configuration.to_string().as_bytes()).expect("written");
        path
    }
}
