//! Where a Headscale is, and what it is asked with.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use headscale_api::kinds::Headscale;
use headscale_client::{BuilderError, HttpClient};
use headscale_keys::ApiKey;
use headscale_keys::secret::KEY;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::Api;
use kube::{Client, Resource, ResourceExt as _};
use serde_json::Value;
use thiserror::Error;

use crate::kubernetes::{KubernetesError, within};
use crate::stored;

/// The port of Headscale where nothing else is said.
const PORT: u16 = 8080;
/// What the Go operator's first release called the Service of every Headscale.
const FIRST_SERVICE: &str = "headscale";
/// What it called the Secret of its API key.
const FIRST_SECRET: &str = "headscale-api-key";

/// Why a Headscale cannot be asked.
#[derive(Debug, Error)]
pub enum AddressError {
    /// There is no API key.
    #[error(
        "Secret {0} with the API key is not there: the sidecar of the instance makes it once \
         Headscale runs; see the condition of the Headscale"
    )]
    NoSecret(String),
    /// The Secret has no API key.
    #[error("Secret {secret}: data.{KEY} {problem}")]
    NoKey {
        /// The Secret.
        secret: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificates are not there.
    #[error("Secret {secret} has no key {key}, which spec.secrets.ca names")]
    NoCertificates {
        /// The Secret.
        secret: String,
        /// Its key.
        key: String,
    },
    /// Where it is is not known.
    #[error("spec.{0} of the Headscale cannot be read: see its condition Ready")]
    Unreadable(&'static str),
    /// Address or certificates cannot be used.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// The API server.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
}

/// All that reaches one Headscale.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its URL.
    pub url: String,
    /// The name that its certificate has, where it serves TLS.
    pub server_name: Option<String>,
    /// Certificates in PEM that are trusted; without them those of the system.
    pub ca: Option<Vec<u8>>,
    /// The API key.
    pub key: ApiKey,
}

impl Address {
    /// Whether both reach the same with the same key.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.url == other.url
            && self.server_name == other.server_name
            && self.ca == other.ca
            && self.key.expose() == other.key.expose()
    }

    /// A client. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// When address or certificates cannot be used.
    pub fn client(&self, timeout: std::time::Duration) -> Result<HttpClient, BuilderError> {
        let mut builder = HttpClient::builder(&self.url).api_key(self.key.clone()).timeout(timeout);
        if let Some(ca) = &self.ca {
            builder = builder.ca(ca.clone());
        }
        if let Some(name) = &self.server_name {
            builder = builder.server_name(name);
        }
        builder.build()
    }

    /// Reads where this Headscale is. `resolve` has addresses for hosts that are not looked up.
    ///
    /// # Errors
    ///
    /// See [`AddressError`].
    pub async fn read(
        client: &Client,
        headscale: &Headscale,
        resolve: &BTreeMap<String, SocketAddr>,
    ) -> Result<Self, AddressError> {
        // Without them the key of another instance might be sent, or to whoever listens.
        let members = ["secrets", "config", "api_key"];
        if let Some(member) = members.iter().find(|it| stored::is_unreadable(headscale, it)) {
            return Err(AddressError::Unreadable(member));
        }
        let namespace = headscale.namespace().unwrap_or_default();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let key = api_key(&secrets, headscale).await?;
        let ca = match headscale.spec.secrets.as_ref().and_then(|secrets| secrets.ca.as_ref()) {
            None => None,
            Some(ca) => {
                let secret = get(&secrets, &ca.name).await?;
                let data = secret.and_then(|secret| secret.data?.remove(&ca.key));
                let missing = || AddressError::NoCertificates {
                    secret: ca.name.clone(),
                    key: ca.key.clone(),
                };
                Some(data.ok_or_else(missing)?.0)
            }
        };
        let (service, port) = service(client, &namespace, headscale).await?;
        let host = format!("{service}.{namespace}.svc");
        let tls = serves_tls(headscale);
        let scheme = if tls { "https" } else { "http" };
        let url = match resolve.get(&host) {
            Some(address) => format!("{scheme}://{address}"),
            None => format!("{scheme}://{host}:{port}"),
        };
        let server_name = server_host(headscale).filter(|_| tls);
        Ok(Self { url, server_name, ca, key })
    }
}

/// The names that the Secret of the API key may have, the likeliest first.
pub(crate) fn secret_names(headscale: &Headscale) -> Vec<String> {
    match headscale.spec.api_key().secret_name {
        Some(name) if !name.is_empty() => vec![name],
        _ => vec![format!("{}-api-key", headscale.name_any()), FIRST_SECRET.to_owned()],
    }
}

async fn get(secrets: &Api<Secret>, name: &str) -> Result<Option<Secret>, KubernetesError> {
    within(|| format!("read Secret {name}"), secrets.get_opt(name)).await
}

async fn api_key(secrets: &Api<Secret>, headscale: &Headscale) -> Result<ApiKey, AddressError> {
    let names = secret_names(headscale);
    let mut found = None;
    for name in &names {
        if let Some(secret) = get(secrets, name).await? {
            found = Some((name, secret));
            break;
        }
    }
    let Some((name, secret)) = found else {
        return Err(AddressError::NoSecret(names.into_iter().next().unwrap_or_default()));
    };
    let wrong = |problem: String| AddressError::NoKey { secret: name.clone(), problem };
    let data = secret.data.unwrap_or_default();
    let text = data.get(KEY).ok_or_else(|| wrong("is absent".to_owned()))?;
    let text = std::str::from_utf8(&text.0).map_err(|_| wrong("is no text".to_owned()))?;
    ApiKey::parse(text.trim()).map_err(|error| wrong(format!("is wrong: {error}")))
}

/// The Service of a Headscale and the port that Headscale is at.
async fn service(
    client: &Client,
    namespace: &str,
    headscale: &Headscale,
) -> Result<(String, u16), KubernetesError> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let name = headscale.name_any();
    let names = [name.as_str(), FIRST_SERVICE];
    for name in names.iter().take(if name == FIRST_SERVICE { 1 } else { 2 }) {
        let found = within(|| format!("read Service {name}"), services.get_opt(name)).await?;
        if let Some(service) = found.filter(|service| is_controlled_by(service, headscale)) {
            let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
            let http = ports.iter().find(|port| port.name.as_deref() == Some("http"));
            let port = http.and_then(|port| u16::try_from(port.port).ok());
            return Ok(((*name).to_owned(), port.unwrap_or_else(|| listen_port(headscale))));
        }
    }
    Ok((name, listen_port(headscale)))
}

fn is_controlled_by(service: &Service, headscale: &Headscale) -> bool {
    let owner = service.owner_references().iter().find(|owner| owner.controller == Some(true));
    owner.is_some_and(|owner| Some(&owner.uid) == headscale.meta().uid.as_ref())
}

fn config<'a>(headscale: &'a Headscale, key: &str) -> Option<&'a str> {
    headscale.spec.config.as_ref()?.get(key).and_then(Value::as_str).filter(|it| !it.is_empty())
}

fn listen_port(headscale: &Headscale) -> u16 {
    let port = config(headscale, "listen_addr").and_then(|address| address.rsplit_once(':'));
    port.and_then(|(_, port)| port.parse().ok()).unwrap_or(PORT)
}

fn serves_tls(headscale: &Headscale) -> bool {
    headscale.spec.secrets.as_ref().is_some_and(|secrets| secrets.tls.is_some())
        || ["tls_cert_path", "tls_letsencrypt_hostname"]
            .iter()
            .any(|key| config(headscale, key).is_some())
}

/// The host of `server_url`, which the certificate is for.
fn server_host(headscale: &Headscale) -> Option<String> {
    let uri: http::Uri = config(headscale, "server_url")?.parse().ok()?;
    Some(uri.host()?.trim_matches(['[', ']']).to_owned())
}
