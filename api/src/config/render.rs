//! The `config.yaml` of an instance.

use std::net::IpAddr;

use headscale_acl::Version;
use headscale_acl::rules::{
    CONFIG_BAD_VALUE, CONFIG_PLAINTEXT_SECRET, CONFIG_SOCKET_PERMISSION, CONFIG_TRANSLATED,
};
use serde_json::{Map, Value, json};

use super::check::octal;
use super::finding::ConfigFinding;
use super::key::key;
use super::secret::{InlineSecret, SECRETS, environment_name};
use super::settings::{push, text, truth};
use super::translate::{Translated, translate};
use super::values::is_documentation;

/// What the cluster decides about an instance, and not its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The folder that is kept: `/var/lib/headscale`.
    pub state: String,
    /// The certificate to serve, where a Secret has one. It counts before the configuration's own.
    pub tls: Option<TlsPaths>,
    /// The file of the policy, where the cluster provides one. It counts before the
    /// configuration's own, and makes the mode `file`.
    pub policy_path: Option<String>,
    /// The keys that the environment sets, whose values are not known: `database.postgres.pass`.
    pub elsewhere: Vec<&'static str>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            state: "/var/lib/headscale".to_owned(),
            tls: None,
            policy_path: None,
            elsewhere: Vec::new(),
        }
    }
}

/// Where the files of a certificate are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    /// The certificate, with those that lead to its authority.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The configuration of an instance, as it is written for its version.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The configuration, sorted, without secrets: the keys that the version knows, and what no
    /// version knows.
    pub config: Map<String, Value>,
    /// What was carried over to other keys, left out or changed, and why. Sorted by pointer.
    pub notes: Vec<ConfigFinding>,
    /// Whether the policy must say `randomizeClientPort: true`.
    pub policy_randomize_client_port: bool,
    /// The secrets that stood in the configuration, for the environment of the server. A key of
    /// [`Given::elsewhere`] is not among them.
    pub inline_secrets: Vec<InlineSecret>,
}

/// Makes the configuration of an instance from what its object says.
///
/// Keys of other versions become those of `version` or are left out; what is not set gets the
/// values that suit a pod. Total and deterministic: any value gives a configuration, and what
/// Headscale refuses in it stays for [`check()`](super::check()) to tell.
#[must_use]
pub fn render(config: &Value, version: Version, given: &Given) -> Rendered {
    let translated = translate(config, version, &given.elsewhere);
    let mut render = Render { translated, version, given };
    render.socket_permission();
    render.loopback();
    render.documentation_addresses();
    let inline_secrets = render.secrets();
    render.decided();
    render.defaults();
    let Translated { known, unknown, randomize_client_port, mut notes, .. } = render.translated;
    let mut config = Map::new();
    for (path, value) in known {
        place(&mut config, path.split('.'), value);
    }
    for (steps, value) in unknown {
        place(&mut config, steps.iter().map(String::as_str), value);
    }
    sort(&mut config);
    notes.sort_by(|a, b| {
        let key = |note: &ConfigFinding| (note.pointer.clone(), note.finding.message.clone());
        key(a).cmp(&key(b))
    });
    Rendered { config, notes, policy_randomize_client_port: randomize_client_port, inline_secrets }
}

struct Render<'g> {
    translated: Translated,
    version: Version,
    given: &'g Given,
}

impl Render<'_> {
    /// Sets a key that the version has.
    fn set(&mut self, path: &str, value: Value) {
        if let Some(key) = key(path).filter(|key| key.is_in(self.version)) {
            self.translated.known.insert(key.path, value);
        }
    }

    /// Sets a key where it is not set.
    fn default(&mut self, path: &str, value: Value) {
        if !self.translated.known.contains_key(path) {
            self.set(path, value);
        }
    }

    fn text(&self, path: &str) -> String {
        self.translated.known.get(path).and_then(text).unwrap_or_default()
    }

    fn truth(&self, path: &str) -> bool {
        self.translated.known.get(path).and_then(truth).unwrap_or_default()
    }

    fn pointer(&self, path: &str) -> String {
        self.translated.pointers.get(path).cloned().unwrap_or_else(|| {
            let mut pointer = String::new();
            path.split('.').for_each(|step| push(&mut pointer, step));
            pointer
        })
    }

    /// A number becomes the text that was meant.
    fn socket_permission(&mut self) {
        let path = "unix_socket_permission";
        let Some(meant) = self.translated.known.get(path).and_then(octal) else { return };
        let message = format!("`{path}` is a number, and written as {meant:?}");
        let note = ConfigFinding::value(&CONFIG_SOCKET_PERMISSION, self.pointer(path), message);
        self.translated.notes.push(note.help("write it in quotes"));
        self.set(path, Value::String(meant));
    }

    /// Headscale's example listens where nothing outside of the pod gets to, not even a probe.
    fn loopback(&mut self) {
        let path = "listen_addr";
        let address = self.text(path);
        let Some((host, port)) = address.rsplit_once(':') else { return };
        let all = match host.trim_matches(['[', ']']) {
            "localhost" => "0.0.0.0",
            host => match host.parse() {
                Ok(IpAddr::V4(address)) if address.is_loopback() => "0.0.0.0",
                Ok(IpAddr::V6(address)) if address.is_loopback() => "[::]",
                _ => return,
            },
        };
        let address = format!("{all}:{port}");
        let message =
            format!("`{path}` is written as {address}: nothing else gets to its own host");
        let note = ConfigFinding::value(&CONFIG_TRANSLATED, self.pointer(path), message);
        self.translated.notes.push(note);
        self.set(path, address.into());
    }

    /// The Go operator had addresses of examples as defaults, which are nobody's.
    fn documentation_addresses(&mut self) {
        for path in ["derp.server.ipv4", "derp.server.ipv6"] {
            let address = self.text(path);
            if address.parse().is_ok_and(is_documentation) {
                let message = format!("`{path}` is left out: {address} is an address of examples");
                let note = ConfigFinding::value(&CONFIG_TRANSLATED, self.pointer(path), message);
                self.translated.notes.push(note);
                self.translated.known.remove(path);
            }
        }
    }

    /// Takes the secrets out.
    fn secrets(&mut self) -> Vec<InlineSecret> {
        let mut secrets = Vec::new();
        for path in SECRETS {
            let Some(value) = self.translated.known.remove(path) else { continue };
            let value = text(&value).unwrap_or_default();
            if value.is_empty() {
                continue;
            }
            let is_elsewhere = self.given.elsewhere.contains(path);
            let so = match *path {
                // The command line beside the server uses the socket.
                "cli.api_key" => "is left out: a server needs none".to_owned(),
                _ if is_elsewhere => "is left out: a Secret has it too, and counts".to_owned(),
                _ => format!("is handed over as {}", environment_name(path)),
            };
            let message = format!("`{path}` stands in the configuration for all to read; it {so}");
            let note = ConfigFinding::value(&CONFIG_PLAINTEXT_SECRET, self.pointer(path), message);
            let help = match *path {
                "database.postgres.pass" => "name a key of a Secret in `secrets.database_password`",
                "oidc.client_secret" => "name a key of a Secret in `secrets.oidc_client_secret`",
                _ => "remove it",
            };
            self.translated.notes.push(note.help(help));
            if !is_elsewhere && *path != "cli.api_key" {
                secrets.push(InlineSecret::new(path, value));
            }
        }
        // Headscale takes one of the two ways only.
        let path = "oidc.client_secret";
        if self.given.elsewhere.contains(&path) || secrets.iter().any(|secret| secret.path == path)
        {
            self.drop("oidc.client_secret_path", "the secret itself is handed over");
        }
        secrets
    }

    /// Leaves out what stands against a decision of the cluster.
    fn drop(&mut self, path: &'static str, because: &str) {
        let was = self.text(path);
        if self.translated.known.remove(path).is_some() && !was.is_empty() {
            let message = format!("`{path}` is left out: {because}");
            let note = ConfigFinding::value(&CONFIG_BAD_VALUE, self.pointer(path), message);
            self.translated.notes.push(note);
        }
    }

    /// What the cluster decides, whatever the configuration says.
    fn decided(&mut self) {
        if let Some(tls) = &self.given.tls {
            self.drop("tls_letsencrypt_hostname", "a Secret has the certificate");
            self.set("tls_cert_path", tls.certificate.clone().into());
            self.set("tls_key_path", tls.key.clone().into());
        }
        if let Some(path) = &self.given.policy_path {
            self.set("policy.mode", "file".into());
            self.set("policy.path", path.clone().into());
        }
    }

    /// What the Go operator set where nothing was set, in the keys of the version; and no looking
    /// for newer releases, which are not the container's to get.
    fn defaults(&mut self) {
        let state = |file: &str| Value::String(format!("{}/{file}", self.given.state));
        let (noise, derp) = (state("noise_private.key"), state("derp_server_private.key"));
        let (sqlite, cache) = (state("db.sqlite"), state("cache"));
        self.default("listen_addr", "0.0.0.0:8080".into());
        self.default("metrics_listen_addr", "0.0.0.0:9090".into());
        self.default("grpc_listen_addr", "0.0.0.0:50443".into());
        self.default("noise.private_key_path", noise);
        self.default("unix_socket", "/var/run/headscale/headscale.sock".into());
        self.default("unix_socket_permission", "0770".into());
        self.default("disable_check_updates", true.into());
        self.default("prefixes.v4", "100.64.0.0/10".into());
        self.default("prefixes.v6", "fd7a:115c:a1e0::/48".into());
        self.default("prefixes.allocation", "sequential".into());

        self.default("database.type", "sqlite".into());
        if self.text("database.type").starts_with("sqlite") {
            self.default("database.sqlite.path", sqlite);
            self.default("database.sqlite.write_ahead_log", true.into());
        }
        self.default("database.gorm.prepare_stmt", true.into());
        self.default("database.gorm.parameterized_queries", true.into());
        self.default("database.gorm.skip_err_record_not_found", true.into());
        self.default("database.gorm.slow_threshold", 1000.into());

        let map = "https://controlplane.tailscale.com/derpmap/default";
        self.default("derp.urls", json!([map]));
        self.default("derp.auto_update_enabled", true.into());
        if self.truth("derp.server.enabled") {
            self.default("derp.server.region_id", 999.into());
            self.default("derp.server.region_code", "headscale".into());
            self.default("derp.server.region_name", "Headscale Embedded DERP".into());
            self.default("derp.server.stun_listen_addr", "0.0.0.0:3478".into());
            self.default("derp.server.private_key_path", derp);
        }
        if !self.text("tls_letsencrypt_hostname").is_empty() {
            let url = "https://acme-v02.api.letsencrypt.org/directory";
            self.default("acme_url", url.into());
            self.default("tls_letsencrypt_cache_dir", cache);
            self.default("tls_letsencrypt_listen", ":http".into());
        }

        let servers = ["1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001"];
        self.default("dns.nameservers.global", json!(servers));
        self.default("ephemeral_node_inactivity_timeout", "30m".into());
        self.default("node.ephemeral.inactivity_timeout", "30m".into());
        // 0.28 has it built in, the others would never end a login.
        if self.translated.has_oidc_expiry(&self.given.elsewhere) {
            self.default("node.expiry", "180d".into());
        }
    }
}

/// Puts `value` below `steps`. What stands in the way goes.
fn place<'s>(group: &mut Map<String, Value>, steps: impl Iterator<Item = &'s str>, value: Value) {
    let mut steps = steps.peekable();
    let mut group = group;
    while let Some(step) = steps.next() {
        if steps.peek().is_none() {
            group.insert(step.to_owned(), value);
            return;
        }
        let next = group.entry(step).or_insert_with(|| Value::Object(Map::new()));
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        let Value::Object(next) = next else { return };
        group = next;
    }
}

/// Sorts the members of all objects by their names.
fn sort(object: &mut Map<String, Value>) {
    object.sort_keys();
    object.values_mut().for_each(sort_value);
}

fn sort_value(value: &mut Value) {
    match value {
        Value::Object(object) => sort(object),
        Value::Array(items) => items.iter_mut().for_each(sort_value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
