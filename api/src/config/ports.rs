//! The ports that a server listens on.

use headscale_acl::Version;
use serde_json::{Map, Value};

use super::settings::Settings;
use super::values::listen_port;

/// The ports of a configuration, such as [`render()`](super::render()) makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Clients, the HTTP API and the embedded relay. 8080 where the address cannot be read.
    pub http: u16,
    /// gRPC; `None` where the version has none.
    pub grpc: Option<u16>,
    /// Metrics; `None` where they are off.
    pub metrics: Option<u16>,
    /// STUN, over UDP; `None` without an embedded relay.
    pub stun: Option<u16>,
    /// Where HTTP-01 is answered; `None` where no certificate is asked for that way.
    pub acme: Option<u16>,
}

impl Ports {
    /// The ports of `config` as `version` reads it.
    #[must_use]
    pub fn of(config: &Map<String, Value>, version: Version) -> Self {
        let config = Value::Object(config.clone());
        let settings = Settings::new(&config, version, &[]);
        let port = |path: &str| listen_port(&settings.text(path)).filter(|port| *port != 0);
        let has_grpc = version <= Version::V0_29;
        let is_relay = settings.truth("derp.server.enabled");
        let is_acme = !settings.text("tls_letsencrypt_hostname").is_empty()
            && settings.text("tls_letsencrypt_challenge_type") == "HTTP-01";
        Self {
            http: port("listen_addr").unwrap_or(8080),
            grpc: port("grpc_listen_addr").filter(|_| has_grpc),
            metrics: port("metrics_listen_addr"),
            stun: port("derp.server.stun_listen_addr").filter(|_| is_relay),
            acme: port("tls_letsencrypt_listen").filter(|_| is_acme),
        }
    }
}
