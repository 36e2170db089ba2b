//! What Headscale refuses to start with, in its own words where it has some. The order is
//! Headscale's.

use headscale_acl::Version;
use headscale_acl::policy::Nanoseconds;
use headscale_acl::rules::{
    CONFIG_DERP_SERVER, CONFIG_EXCLUSIVE_KEYS, CONFIG_INVALID_VALUE, CONFIG_MISSING_KEY,
    CONFIG_NO_RELAY, CONFIG_SERVER_IN_BASE_DOMAIN, CONFIG_UNREADABLE,
};
use serde_json::Value;

use super::keys::is_read_where_the_new_one_is_empty;
use super::values::shown;
use crate::config::finding::ConfigFinding;
use crate::config::leaves::Leaf;
use crate::config::settings::Settings;
use crate::config::values::{listen_port, prefix, url};

const SECOND: i64 = 1_000_000_000;

/// The finding about a configuration that is no object.
pub(super) fn unreadable(config: &Value) -> ConfigFinding {
    let message =
        format!("a configuration consists of keys with values, and this is {}", shown(config));
    ConfigFinding::value(&CONFIG_UNREADABLE, "", message)
}

pub(super) fn check(settings: &Settings<'_>, leaves: &[Leaf<'_>]) -> Vec<ConfigFinding> {
    let mut start = Start { settings: *settings, findings: Vec::new() };
    start.oidc();
    start.dns(leaves);
    start.tls();
    start.server();
    start.ephemeral();
    start.probes();
    start.tuning();
    start.prefixes();
    start.proxies();
    start.database();
    start.derp();
    start.addresses();
    start.findings
}

struct Start<'c> {
    settings: Settings<'c>,
    findings: Vec<ConfigFinding>,
}

impl Start<'_> {
    /// The value at `path` is what Headscale refuses.
    fn invalid(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let pointer = self.settings.pointer(path);
        let finding = ConfigFinding::value(&CONFIG_INVALID_VALUE, pointer, message.into());
        self.findings.push(finding.help(help));
    }

    /// The pointer of an item of a list, which may be one text.
    fn item(&self, path: &str, index: usize) -> String {
        match self.settings.found(path) {
            Some(list) if list.value.is_array() => format!("{}/{index}", list.pointer),
            _ => self.settings.pointer(path),
        }
    }

    /// The key at `path` is needed.
    fn missing(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let pointer = self.settings.pointer(path);
        let finding = ConfigFinding::value(&CONFIG_MISSING_KEY, pointer, message.into());
        self.findings.push(finding.help(help));
    }

    /// The key at `path` cannot stand beside another.
    fn exclusive(&mut self, path: &str, message: &str, help: &str) {
        let pointer = self.settings.pointer(path);
        let finding = ConfigFinding::key(&CONFIG_EXCLUSIVE_KEYS, pointer, message.to_owned());
        self.findings.push(finding.help(help));
    }

    fn oidc(&mut self) {
        let settings = self.settings;
        let issuer = settings.text("oidc.issuer");
        let is_new = settings.version >= Version::V0_30;
        let is_method_read =
            if is_new { !issuer.is_empty() } else { settings.truth("oidc.enabled") };
        let method = settings.text("oidc.pkce.method");
        if is_method_read && !matches!(method.as_str(), "plain" | "S256") {
            let message = "pkce.method must be either 'plain' or 'S256'";
            self.invalid("oidc.pkce.method", message, "write S256");
        }
        let secret = settings.text("oidc.client_secret");
        let secret_path = settings.text("oidc.client_secret_path");
        if !secret.is_empty() && !secret_path.is_empty() {
            let message = "oidc_client_secret and oidc_client_secret_path are mutually exclusive";
            self.exclusive("oidc.client_secret", message, "keep `oidc.client_secret_path`");
        }
        if issuer.is_empty() {
            return;
        }
        let is_url = url(&issuer)
            .is_some_and(|url| matches!(url.scheme, "http" | "https") && !url.authority.is_empty());
        if !is_new {
            // The issuer is asked at once, which cannot succeed.
            if !is_url && settings.truth("oidc.only_start_if_oidc_is_available") {
                let message = format!("oidc.issuer {issuer:?} cannot be asked");
                self.invalid("oidc.issuer", message, "write a URL that starts with https://");
            }
            return;
        }
        if !is_url {
            let message = format!("oidc.issuer must be a valid http(s) URL: got {issuer:?}");
            self.invalid("oidc.issuer", message, "write a URL that starts with https://");
        }
        if settings.text("oidc.client_id").is_empty() {
            let message = "oidc.client_id is required when oidc.issuer is set";
            self.missing(
                "oidc.client_id",
                message,
                "set `oidc.client_id`, or remove `oidc.issuer`",
            );
        }
        if secret.is_empty() && secret_path.is_empty() {
            let message = "oidc.client_secret or oidc.client_secret_path is required when \
                           oidc.issuer is set";
            let help = "set `oidc.client_secret_path`, or HEADSCALE_OIDC_CLIENT_SECRET in the \
                        environment";
            self.missing("oidc.client_secret_path", message, help);
        }
    }

    fn dns(&mut self, leaves: &[Leaf<'_>]) {
        let settings = self.settings;
        if settings.is_given("dns.extra_records") && settings.is_given("dns.extra_records_path") {
            let message = "dns.extra_records and dns.extra_records_path are mutually exclusive. \
                           Please remove one of them from your config file";
            self.exclusive("dns.extra_records_path", message, "an empty one counts too: remove it");
        }
        for leaf in leaves.iter().filter(|leaf| leaf.path.eq_ignore_ascii_case("dns.extra_records"))
        {
            let is_read = match leaf.value {
                Value::Array(items) => items.iter().all(|item| item.is_object() || item.is_null()),
                Value::String(text) => text.is_empty(),
                value => value.is_object(),
            };
            if !is_read {
                let message = format!(
                    "dns.extra_records is {}, and not a list of records",
                    shown(leaf.value)
                );
                let help = "a record is {name: grafana.example.com, type: A, value: 100.64.0.3}";
                self.invalid("dns.extra_records", message, help);
            }
        }
        if settings.truth("dns.override_local_dns")
            && settings.texts("dns.nameservers.global").is_empty()
        {
            let message = "dns.nameservers.global must be set when dns.override_local_dns is true";
            let help = "name DNS servers, or set `dns.override_local_dns: false`";
            self.missing("dns.nameservers.global", message, help);
        }
        let base = settings.text("dns.base_domain");
        if base.is_empty() && settings.truth("dns.magic_dns") {
            let message = "dns.base_domain must be set when using MagicDNS (dns.magic_dns)";
            let help =
                "set a domain that the server's own name is not in, or `dns.magic_dns: false`";
            self.missing("dns.base_domain", message, help);
        }
        if !base.is_empty() {
            self.base_domain(&base);
        }
    }

    fn base_domain(&mut self, base: &str) {
        let server = self.settings.text("server_url");
        let Some(server) = url(&server) else { return };
        let reached = "in a way that could make the DERP and headscale server unreachable";
        let message = if server.host == base {
            format!("server_url cannot use the same domain as base_domain {reached}")
        } else if is_below(&server, base, self.settings.version) {
            format!("server_url cannot be part of base_domain {reached}")
        } else {
            return;
        };
        let pointer = self.settings.pointer("dns.base_domain");
        let finding = ConfigFinding::value(&CONFIG_SERVER_IN_BASE_DOMAIN, pointer, message);
        let help = format!("give nodes a domain that {} is not in", server.host);
        self.findings.push(finding.help(help));
    }

    fn tls(&mut self) {
        let settings = self.settings;
        let has = |path: &str| !settings.text(path).is_empty();
        let is_acme = has("tls_letsencrypt_hostname");
        if is_acme && (has("tls_cert_path") || has("tls_key_path")) {
            let message =
                "set either tls_letsencrypt_hostname or tls_cert_path/tls_key_path, not both";
            self.exclusive("tls_letsencrypt_hostname", message, "remove one of them");
        }
        let challenge = settings.text("tls_letsencrypt_challenge_type");
        if !matches!(challenge.as_str(), "HTTP-01" | "TLS-ALPN-01") {
            let message = "the only supported values for tls_letsencrypt_challenge_type are \
                           HTTP-01 and TLS-ALPN-01";
            self.invalid("tls_letsencrypt_challenge_type", message, "write HTTP-01");
        }
        if !is_acme && has("tls_cert_path") && !has("tls_key_path") {
            let message = "tls_cert_path needs tls_key_path";
            self.missing("tls_key_path", message, "name the file of the certificate's private key");
        }
    }

    fn server(&mut self) {
        let settings = self.settings;
        if settings.text("noise.private_key_path").is_empty() {
            let message = "headscale now requires a new `noise.private_key_path` field in the \
                           config file for the Tailscale v2 protocol";
            let help = "name a file that is kept; it is made where there is none";
            self.missing("noise.private_key_path", message, help);
        }
        let server = settings.text("server_url");
        if server.is_empty() {
            let message = "server_url must start with https:// or http://";
            self.missing("server_url", message, "write the URL at which clients reach the server");
        } else if !server.starts_with("http://") && !server.starts_with("https://") {
            let message = "server_url must start with https:// or http://";
            let help = "write it with its scheme, such as https://headscale.example.com";
            self.invalid("server_url", message, help);
        } else if url(&server).is_none() && !settings.text("dns.base_domain").is_empty() {
            let message = format!("server_url {server:?} is no URL");
            self.invalid("server_url", message, "write a host, and a port in digits if any");
        }
    }

    fn ephemeral(&mut self) {
        let settings = self.settings;
        let (old, new) = ("ephemeral_node_inactivity_timeout", "node.ephemeral.inactivity_timeout");
        let is_old = settings.version <= Version::V0_28;
        let is_old_read = is_old || is_read_where_the_new_one_is_empty(&settings, new);
        let path = if is_old_read { old } else { new };
        let timeout = settings.duration(path);
        if timeout <= 65 * SECOND {
            let name = if is_old { old } else { new };
            let shown = Nanoseconds(timeout).to_go();
            let message = format!("{name} ({shown}) is set too low, must be more than 1m5s");
            self.invalid(path, message, "write a duration such as 30m");
        }
    }

    fn probes(&mut self) {
        let settings = self.settings;
        if settings.version < Version::V0_29 {
            return;
        }
        let interval = settings.duration("node.routes.ha.probe_interval");
        let timeout = settings.duration("node.routes.ha.probe_timeout");
        if interval <= 0 {
            return;
        }
        let go = |nanoseconds| Nanoseconds(nanoseconds).to_go();
        let (interval_path, timeout_path) =
            ("node.routes.ha.probe_interval", "node.routes.ha.probe_timeout");
        if interval < 2 * SECOND {
            let message = format!("{interval_path} ({}) must be >= 2s", go(interval));
            self.invalid(interval_path, message, "write 10s, or 0 for no probes");
        }
        if timeout < SECOND {
            let message = format!("{timeout_path} ({}) must be >= 1s", go(timeout));
            self.invalid(timeout_path, message, "write 5s");
        }
        if timeout >= interval {
            let message = format!(
                "{timeout_path} ({}) must be less than {interval_path} ({})",
                go(timeout),
                go(interval)
            );
            self.invalid(timeout_path, message, "write less than the interval");
        }
    }

    fn tuning(&mut self) {
        let size = self.settings.number("tuning.node_store_batch_size");
        if size <= 0 {
            let message = format!("tuning.node_store_batch_size must be positive, got {size}");
            self.invalid("tuning.node_store_batch_size", message, "remove it: 100 is the default");
        }
        let timeout = self.settings.duration("tuning.node_store_batch_timeout");
        if timeout <= 0 {
            let message = format!(
                "tuning.node_store_batch_timeout must be positive, got {}",
                Nanoseconds(timeout).to_go()
            );
            let help = "remove it: 500ms is the default";
            self.invalid("tuning.node_store_batch_timeout", message, help);
        }
    }

    fn prefixes(&mut self) {
        let settings = self.settings;
        let mut is_none = true;
        for (path, family) in [("prefixes.v4", "IPv4"), ("prefixes.v6", "IPv6")] {
            let text = settings.text(path);
            if text.is_empty() {
                continue;
            }
            is_none = false;
            if prefix(&text).is_none() {
                let message = format!("parsing {family} prefix from config: {text:?} is none");
                let help =
                    if path == "prefixes.v4" { "100.64.0.0/10" } else { "fd7a:115c:a1e0::/48" };
                self.invalid(path, message, format!("write {help} or a part of it"));
            }
        }
        if is_none {
            let message = "no IPv4 or IPv6 prefix configured, minimum one prefix is required";
            let help = "write `prefixes: {v4: 100.64.0.0/10, v6: \"fd7a:115c:a1e0::/48\"}`";
            self.missing("prefixes.v4", message, help);
        }
        let allocation = settings.text("prefixes.allocation");
        if !matches!(allocation.as_str(), "sequential" | "random") {
            let message = format!(
                "invalid prefix allocation strategy: {allocation:?}, allowed options: sequential, \
                 random"
            );
            self.invalid("prefixes.allocation", message, "write sequential or random");
        }
    }

    fn proxies(&mut self) {
        if self.settings.version < Version::V0_29 {
            return;
        }
        for (index, text) in self.settings.texts("trusted_proxies").into_iter().enumerate() {
            let message = match prefix(&text) {
                None => format!("trusted_proxies[{index}] {text:?}: no prefix such as 10.0.0.0/8"),
                Some(prefix) if prefix.prefix_len() == 0 => {
                    format!("trusted_proxies[{index}] {text:?}: 0.0.0.0/0 and ::/0 are not allowed")
                }
                Some(_) => continue,
            };
            let pointer = self.item("trusted_proxies", index);
            let finding = ConfigFinding::value(&CONFIG_INVALID_VALUE, pointer, message);
            self.findings.push(finding.help("write the addresses of the proxies themselves"));
        }
    }

    fn database(&mut self) {
        let settings = self.settings;
        let kind = settings.text("database.type");
        let message =
            format!("invalid database type {kind:?}, must be sqlite, sqlite3 or postgres");
        match kind.as_str() {
            "sqlite" | "sqlite3" => {
                if settings.text("database.sqlite.path").is_empty() {
                    let message = "building sqlite connection URL: path cannot be empty";
                    let help = "name a file that is kept; it is made where there is none";
                    self.missing("database.sqlite.path", message, help);
                }
            }
            "postgres" => self.ssl_mode(),
            "" => self.missing("database.type", message, "write sqlite"),
            _ => self.invalid("database.type", message, "write sqlite"),
        }
    }

    fn ssl_mode(&mut self) {
        const MODES: [&str; 6] =
            ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        let mode = self.settings.text("database.postgres.ssl");
        let is_truth = crate::config::settings::truth(&Value::String(mode.clone())).is_some();
        if !is_truth && !MODES.contains(&mode.as_str()) {
            let message = format!("sslmode is invalid: {mode:?}");
            let help = "write true, false, or one of PostgreSQL's, such as verify-full";
            self.invalid("database.postgres.ssl", message, help);
        }
    }

    fn derp(&mut self) {
        let settings = self.settings;
        let is_enabled = settings.truth("derp.server.enabled");
        let is_added = settings.truth("derp.server.automatically_add_embedded_derp_region");
        let paths = settings.texts("derp.paths");
        if is_enabled && settings.text("derp.server.stun_listen_addr").is_empty() {
            let message = "derp.server.stun_listen_addr must be set if derp.server.enabled is true";
            self.missing("derp.server.stun_listen_addr", message, "write \"0.0.0.0:3478\"");
        }
        if is_enabled && !is_added && paths.is_empty() {
            let message = "Disabling derp.server.automatically_add_embedded_derp_region requires \
                           to configure the derp server in derp.paths";
            let path = "derp.server.automatically_add_embedded_derp_region";
            let pointer = settings.pointer(path);
            let finding = ConfigFinding::value(&CONFIG_DERP_SERVER, pointer, message.to_owned());
            self.findings.push(finding.help("remove it, or name a map in `derp.paths`"));
        }
        if is_enabled {
            let key = settings.text("derp.server.private_key_path");
            if key.is_empty() {
                let message = "an embedded relay needs derp.server.private_key_path";
                let help = "name a file that is kept; it is made where there is none";
                self.missing("derp.server.private_key_path", message, help);
            } else if key == settings.text("noise.private_key_path") {
                let message = "DERP server private key and noise private key are the same";
                let pointer = settings.pointer("derp.server.private_key_path");
                let finding =
                    ConfigFinding::value(&CONFIG_DERP_SERVER, pointer, message.to_owned());
                self.findings.push(finding.help("name another file"));
            }
        }
        let urls = settings.texts("derp.urls");
        for (index, text) in urls.iter().enumerate() {
            let is_url = url(text)
                .is_some_and(|url| matches!(url.scheme, "http" | "https") && !url.host.is_empty());
            if !is_url {
                let pointer = self.item("derp.urls", index);
                let message = format!("getting DERPMap: {text:?} cannot be fetched");
                let finding = ConfigFinding::value(&CONFIG_INVALID_VALUE, pointer, message);
                let help = "write a URL that starts with https://; files belong to `derp.paths`";
                self.findings.push(finding.help(help));
            }
        }
        if !(is_enabled && is_added) && urls.is_empty() && paths.is_empty() {
            let message = "initial DERPMap is empty, Headscale requires at least one entry";
            let finding = ConfigFinding::value(
                &CONFIG_NO_RELAY,
                settings.pointer("derp.urls"),
                message.to_owned(),
            );
            let help = "write `derp: {urls: [https://controlplane.tailscale.com/derpmap/default]}`, \
                        or switch on `derp.server`";
            self.findings.push(finding.help(help));
        }
    }

    /// Addresses that something will listen on.
    fn addresses(&mut self) {
        let settings = self.settings;
        let has = |path: &str| !settings.text(path).is_empty();
        let is_acme = has("tls_letsencrypt_hostname");
        let is_tls = is_acme || has("tls_cert_path");
        let is_http_challenge =
            is_acme && settings.text("tls_letsencrypt_challenge_type") == "HTTP-01";
        let is_grpc =
            settings.version <= Version::V0_29 && (is_tls || settings.truth("grpc_allow_insecure"));
        for (path, is_used) in [
            ("listen_addr", true),
            ("metrics_listen_addr", true),
            ("grpc_listen_addr", is_grpc),
            ("derp.server.stun_listen_addr", settings.truth("derp.server.enabled")),
            ("tls_letsencrypt_listen", is_http_challenge),
        ] {
            let text = settings.text(path);
            if is_used && !text.is_empty() && listen_port(&text).is_none() {
                let message = format!("binding to TCP address: {path} {text:?} is no address");
                self.invalid(path, message, "write a host and a port, such as \"0.0.0.0:8080\"");
            }
        }
    }
}

/// Whether the server is found below the domain, as the version finds it out.
fn is_below(server: &crate::config::values::Url<'_>, base: &str, version: Version) -> bool {
    let name = if version >= Version::V0_30 { server.host } else { server.authority };
    name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
}
