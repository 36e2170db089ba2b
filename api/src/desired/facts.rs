//! What the objects of an instance must know of its configuration.

use std::net::IpAddr;

use headscale_acl::Version;
use serde_json::{Map, Value};

use crate::config::{Ports, url};

/// Where Headscale's own files are.
pub(super) const DATA: &str = "/var/lib/headscale";
/// Where the configuration is.
pub(super) const CONFIG: &str = "/etc/headscale";
const SOCKET: &str = "/var/run/headscale/headscale.sock";
const DATABASE: &str = "/var/lib/headscale/db.sqlite";
const NOISE_KEY: &str = "/var/lib/headscale/noise_private.key";

/// How Headscale is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// Without TLS.
    Plain,
    /// With a certificate from files.
    Tls,
    /// With a certificate that Headscale gets itself. It shows none to who does not say a name, as
    /// probes do.
    Acme,
}

/// What the configuration says that matters here.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) ports: Ports,
    pub(super) transport: Transport,
    /// The host of `server_url`, without its port.
    pub(super) host: Option<String>,
    /// The Unix socket.
    pub(super) socket: String,
    /// The SQLite database; `None` with PostgreSQL.
    pub(super) database: Option<String>,
    /// The server's private key.
    pub(super) noise_key: String,
}

impl Facts {
    /// Those of a rendered configuration.
    pub(super) fn of(config: &Map<String, Value>, release: Version) -> Self {
        let at = |path: &str| text(config, path);
        let is_postgres = at("database.type").is_some_and(|kind| kind == "postgres");
        let transport = match (at("tls_letsencrypt_hostname"), at("tls_cert_path")) {
            (Some(_), _) => Transport::Acme,
            (None, Some(_)) => Transport::Tls,
            (None, None) => Transport::Plain,
        };
        Self {
            ports: Ports::of(config, release),
            transport,
            host: at("server_url").and_then(host),
            socket: at("unix_socket").unwrap_or(SOCKET).to_owned(),
            database: (!is_postgres)
                .then(|| at("database.sqlite.path").unwrap_or(DATABASE).to_owned()),
            noise_key: at("noise.private_key_path").unwrap_or(NOISE_KEY).to_owned(),
        }
    }

    /// The folder of the socket, where a volume must be mounted that the server can write to.
    pub(super) fn socket_folder(&self) -> &str {
        folder(&self.socket).unwrap_or("/var/run/headscale")
    }
}

/// The text at a path with dots, where it is one and not empty.
pub(super) fn text<'c>(config: &'c Map<String, Value>, path: &str) -> Option<&'c str> {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let object = parents
        .split('.')
        .filter(|step| !step.is_empty())
        .try_fold(config, |object, step| object.get(step)?.as_object())?;
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The folder of an absolute path; `None` for the root and what is not absolute.
pub(super) fn folder(path: &str) -> Option<&str> {
    let (folder, _) = path.strip_prefix('/').and_then(|_| path.rsplit_once('/'))?;
    let folder = folder.trim_end_matches('/');
    (!folder.is_empty()).then_some(folder)
}

/// Whether `path` is `folder` or below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The host of a URL, in lower case and without brackets.
fn host(text: &str) -> Option<String> {
    let host = url(text)?.host;
    (!host.is_empty()).then(|| host.to_lowercase())
}

/// Whether it is a name, and not an address.
pub(super) fn is_name(host: &str) -> bool {
    host.parse::<IpAddr>().is_err()
}
