//! A cluster that can be asked.

use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::{Client, Config, Resource as KubeResource};

use super::resource::Resource;
use super::{client, error};
use crate::error::CommandError;
use crate::version::CLIENT;

/// The name under which fields are owned that this program writes, unless `--field-manager` says
/// otherwise.
pub(crate) const FIELD_MANAGER: &str = "kubectl-headscale";

/// A cluster, and what of it is meant.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// The client. It belongs to the runtime that it was made on.
    pub(crate) client: Client,
    /// The namespace that is meant: the flag's, the context's, the pod's own, or `default`.
    pub(crate) namespace: String,
    /// Whether the flag named it, and not the kubeconfig or nobody.
    pub(crate) namespace_given: bool,
    /// The API server, for errors.
    server: Server,
}

impl Cluster {
    /// A client for `config`; `timeout` is how long a request may take.
    pub(super) fn new(
        mut config: Config,
        namespace_given: bool,
        timeout: Option<Duration>,
    ) -> Result<Self, CommandError> {
        if let Ok(agent) = HeaderValue::from_str(&user_agent()) {
            config.headers.push((USER_AGENT, agent));
        }
        let server = Server::of(&config);
        let namespace = config.default_namespace.clone();
        let client =
            client::client(config, timeout).map_err(|error| error::error(error, &server))?;
        Ok(Self { client, namespace, namespace_given, server })
    }

    /// The objects of a kind in the namespace that is meant.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: KubeResource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What `error` says to a user, in kubectl's words. Exit code 1.
    pub(crate) fn error(&self, error: kube::Error) -> CommandError {
        error::error(error, &self.server)
    }

    /// The same for a request about objects of `resource`, whose kind the server may not know.
    pub(crate) fn resource_error(&self, error: kube::Error, resource: &Resource) -> CommandError {
        error::resource_error(error, &self.server, resource)
    }
}

/// What errors call the API server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// `HOST:PORT`.
    pub(super) address: String,
    /// The name that its certificate must be for.
    pub(super) name: String,
    /// `HOST:PORT` of the proxy before it.
    pub(super) proxy: Option<String>,
}

impl Server {
    fn of(config: &Config) -> Self {
        let url = &config.cluster_url;
        let host = || url.host().unwrap_or_default().to_owned();
        Self {
            address: url.authority().map_or("", |server| server.as_str()).to_owned(),
            name: config.tls_server_name.clone().unwrap_or_else(host),
            // Not its authority: that may have a password.
            proxy: config.proxy_url.as_ref().and_then(|proxy| {
                let host = proxy.host()?;
                Some(proxy.port().map_or(host.to_owned(), |port| format!("{host}:{port}")))
            }),
        }
    }
}

/// Who asks, as audit logs show it.
fn user_agent() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        arch => arch,
    };
    format!("kubectl-headscale/v{CLIENT} ({os}/{arch})")
}
