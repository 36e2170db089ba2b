//! How a client is set up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use headscale_keys::ApiKey;
use http::Uri;
use http::header::HeaderValue;
use http::uri::{PathAndQuery, Scheme};
use hyper_rustls::{ConfigBuilderExt as _, DefaultServerNameResolver, FixedServerNameResolver};
use hyper_rustls::{HttpsConnector, ResolveServerName};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

use crate::connect::Dial;

use super::HttpClient;

/// How long a connection is kept that nobody uses: Headscale closes it after 30 s, and a request
/// that meets the closing is lost.
const IDLE: Duration = Duration::from_secs(20);

/// What a client is to be like; [`build`](Self::build) makes it.
#[derive(Clone)]
pub struct Builder {
    url: String,
    api_key: Option<ApiKey>,
    timeout: Duration,
    unix_socket: Option<PathBuf>,
    ca: Option<Vec<u8>>,
    server_name: Option<String>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL is not looked at yet: it may have a password.
        f.debug_struct("Builder")
            .field("url", &redacted(&self.url))
            .field("api_key", &self.api_key)
            .field("timeout", &self.timeout)
            .field("unix_socket", &self.unix_socket)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum BuilderError {
    /// The URL is not one that Headscale can have.
    #[error("`{url}` is no address of a Headscale: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The certificates cannot be used.
    #[error("the certificates to trust: {0}")]
    Certificates(String),
    /// The name that the server's certificate is to have is none.
    #[error("`{0}` is not a name that a certificate has")]
    ServerName(String),
}

impl Builder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            api_key: None,
            timeout: Duration::from_secs(10),
            unix_socket: None,
            ca: None,
            server_name: None,
        }
    }

    /// What the client authenticates with. Without one only what needs none succeeds: the version,
    /// and everything through a Unix socket.
    #[must_use]
    pub fn api_key(self, key: ApiKey) -> Self {
        Self { api_key: Some(key), ..self }
    }

    /// How long a call may take, connecting and all; 10 s where it is not set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Connects to the Unix socket at `path`, whatever the host in the URL. Headscale speaks HTTP
    /// there since 0.30; [`SocketClient`](crate::SocketClient) finds out what it speaks. Where the
    /// system has no Unix sockets, as Windows, every call fails.
    #[must_use]
    pub fn unix_socket(self, path: impl Into<PathBuf>) -> Self {
        Self { unix_socket: Some(path.into()), ..self }
    }

    /// Trusts the certificates in `pem` and no others: those of the system are trusted where none
    /// are given.
    #[must_use]
    pub fn ca(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { ca: Some(pem.into()), ..self }
    }

    /// The name that the server's certificate must have, where it is not the host of the URL: for
    /// those who reach a Headscale by an address inside a cluster.
    #[must_use]
    pub fn server_name(self, name: &str) -> Self {
        Self { server_name: Some(name.to_owned()), ..self }
    }

    /// Makes the client. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// See [`BuilderError`].
    pub fn build(self) -> Result<HttpClient, BuilderError> {
        let (base, prefix) = base(&self.url)?;
        let is_tls = base.scheme() == Some(&Scheme::HTTPS);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| BuilderError::Certificates(error.to_string()))?;
        let tls = match &self.ca {
            Some(pem) => tls.with_root_certificates(roots(pem)?),
            None if is_tls => tls
                .with_native_roots()
                .map_err(|error| BuilderError::Certificates(error.to_string()))?,
            None => tls.with_root_certificates(RootCertStore::empty()),
        };
        let names: Arc<dyn ResolveServerName + Send + Sync> = match self.server_name {
            None => Arc::new(DefaultServerNameResolver::default()),
            Some(name) => match ServerName::try_from(name.clone()) {
                Ok(server) => Arc::new(FixedServerNameResolver::new(server)),
                Err(_) => return Err(BuilderError::ServerName(name)),
            },
        };
        let dial = match self.unix_socket {
            Some(path) => Dial::unix(path),
            None => {
                let mut tcp = HttpConnector::new();
                tcp.enforce_http(false);
                tcp.set_nodelay(true);
                // Before the whole call's deadline, because then it is known that nothing was sent.
                tcp.set_connect_timeout(Some(self.timeout / 2));
                Dial::Tcp(tcp)
            }
        };
        let connector = HttpsConnector::new(dial, tls.with_no_client_auth(), false, names);
        let pool = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        let authorization = self.api_key.as_ref().map(bearer);
        Ok(HttpClient { pool, base, prefix, authorization, timeout: self.timeout })
    }
}

/// What the key is sent as.
fn bearer(key: &ApiKey) -> HeaderValue {
    // An API key has no characters that a header cannot have.
    let value = HeaderValue::try_from(format!("Bearer {}", key.expose()));
    let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The address without its path, and its path without `/` at the end.
fn base(url: &str) -> Result<(Uri, String), BuilderError> {
    let wrong = |reason| BuilderError::Url { url: redacted(url), reason };
    let uri: Uri = url.parse().map_err(|_| wrong("expected http://HOST:PORT or https://HOST"))?;
    let mut parts = uri.into_parts();
    let is_known =
        [Scheme::HTTP, Scheme::HTTPS].iter().any(|known| parts.scheme.as_ref() == Some(known));
    if !is_known {
        return Err(wrong("it must start with http:// or https://"));
    }
    match &parts.authority {
        None => return Err(wrong("it has no host")),
        Some(authority) if authority.as_str().contains('@') => {
            return Err(wrong("it must not contain a user: Headscale takes an API key"));
        }
        Some(_) => {}
    }
    let path = parts.path_and_query.replace(PathAndQuery::from_static("/"));
    if path.as_ref().is_some_and(|path| path.query().is_some()) {
        return Err(wrong("it must not have a query"));
    }
    let prefix = path.map(|path| path.path().trim_end_matches('/').to_owned());
    let base = Uri::from_parts(parts).map_err(|_| wrong("its parts do not fit together"))?;
    Ok((base, prefix.unwrap_or_default()))
}

/// The URL without what stands before `@`, which may be a password.
fn redacted(url: &str) -> String {
    let Some((_, host)) = url.rsplit_once('@') else {
        return url.to_owned();
    };
    // Without one of these, what stands there may be the user.
    let scheme = ["http://", "https://"].into_iter().find(|scheme| url.starts_with(scheme));
    format!("{}…@{host}", scheme.unwrap_or_default())
}

fn roots(pem: &[u8]) -> Result<RootCertStore, BuilderError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(BuilderError::Certificates)?;
    }
    if roots.is_empty() {
        return Err(BuilderError::Certificates("there is none in what was given".to_owned()));
    }
    Ok(roots)
}
