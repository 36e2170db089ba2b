//! What Headscale takes and people regret.

use headscale_acl::Version;
use headscale_acl::rules::{
    CONFIG_BAD_VALUE, CONFIG_DERP_OVER_HTTP, CONFIG_LOCAL_DOMAIN, CONFIG_NODES_NEVER_EXPIRE,
    CONFIG_PLAINTEXT_SECRET, CONFIG_POSTGRES_INCOMPLETE, CONFIG_PREFIX_RANGE, CONFIG_TLS_ALPN_PORT,
    CONFIG_TLS_SCHEME,
};

use crate::config::finding::ConfigFinding;
use crate::config::secret::{SECRETS, environment_name};
use crate::config::settings::Settings;
use crate::config::values::{is_documentation, is_in_tailscale_range, prefix};

pub(super) fn check(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let checks = [secrets, prefix_ranges, expiry, tls, relay, postgres, local_domain, listen];
    checks.into_iter().flat_map(|check| check(settings)).collect()
}

fn secrets(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let is_plain = |path: &&&str| settings.found(path).is_some() && !settings.text(path).is_empty();
    // Of 0.22, and still a secret.
    let former = &["db_pass"];
    SECRETS
        .iter()
        .chain(former)
        .filter(is_plain)
        .map(|path| {
            let message = format!("`{path}` stands in the configuration for all to read");
            let finding =
                ConfigFinding::value(&CONFIG_PLAINTEXT_SECRET, settings.pointer(path), message);
            finding.help(match *path {
                "cli.api_key" => "a server needs none: remove it".to_owned(),
                "db_pass" => "remove it".to_owned(),
                _ => format!("set {} in the server's environment", environment_name(path)),
            })
        })
        .collect()
}

fn prefix_ranges(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    for (path, range) in [("prefixes.v4", "100.64.0.0/10"), ("prefixes.v6", "fd7a:115c:a1e0::/48")]
    {
        let text = settings.text(path);
        if prefix(&text).is_some_and(|prefix| !is_in_tailscale_range(&prefix)) {
            let message = format!("{text} is not within {range}, which clients are made for");
            let finding =
                ConfigFinding::value(&CONFIG_PREFIX_RANGE, settings.pointer(path), message);
            findings.push(finding.help(format!("write {range} or a part of it")));
        }
    }
    findings
}

fn expiry(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    if settings.version < Version::V0_29
        || settings.text("oidc.issuer").is_empty()
        || settings.is_given("node.expiry")
        || settings.truth("oidc.use_expiry_from_token")
        // Headscale refuses it, and its successor is named there.
        || settings.is_given("oidc.expiry")
    {
        return Vec::new();
    }
    let message = "logins through OIDC never end: `node.expiry` is not set".to_owned();
    let finding =
        ConfigFinding::value(&CONFIG_NODES_NEVER_EXPIRE, settings.pointer("oidc.issuer"), message);
    vec![
        finding
            .help("write `node: {expiry: 180d}`, which was the default up to 0.28, or 0 for never"),
    ]
}

fn tls(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    let is_acme = !settings.text("tls_letsencrypt_hostname").is_empty();
    let is_tls = is_acme || !settings.text("tls_cert_path").is_empty();
    if is_acme
        && settings.text("tls_letsencrypt_challenge_type") == "TLS-ALPN-01"
        && !settings.text("listen_addr").ends_with(":443")
    {
        let message = "with TLS-ALPN-01 the server must be reachable on port 443".to_owned();
        let pointer = settings.pointer("listen_addr");
        let finding = ConfigFinding::value(&CONFIG_TLS_ALPN_PORT, pointer, message);
        findings.push(finding.help("write \"0.0.0.0:443\", or lead port 443 to this one"));
    }
    if is_tls && settings.text("server_url").starts_with("http://") {
        let message = "the server has a certificate, and clients are told to speak http".to_owned();
        let finding =
            ConfigFinding::value(&CONFIG_TLS_SCHEME, settings.pointer("server_url"), message);
        findings.push(finding.help("write https://"));
    }
    findings
}

fn relay(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    if !settings.truth("derp.server.enabled") {
        return findings;
    }
    if settings.truth("derp.server.automatically_add_embedded_derp_region")
        && settings.text("server_url").starts_with("http://")
    {
        let message =
            "clients reach the embedded relay over TLS, and `server_url` has http".to_owned();
        let pointer = settings.pointer("derp.server.enabled");
        let finding = ConfigFinding::value(&CONFIG_DERP_OVER_HTTP, pointer, message);
        findings.push(finding.help("serve https, by `tls_cert_path` or a proxy in front"));
    }
    for path in ["derp.server.ipv4", "derp.server.ipv6"] {
        let text = settings.text(path);
        if text.parse().is_ok_and(is_documentation) {
            let message = format!("`{path}` is {text}, an address of examples that nobody has");
            let finding = ConfigFinding::value(&CONFIG_BAD_VALUE, settings.pointer(path), message);
            findings.push(finding.help("write the server's own address, or remove it"));
        }
    }
    findings
}

fn postgres(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    if settings.text("database.type") != "postgres" {
        return Vec::new();
    }
    ["database.postgres.host", "database.postgres.name", "database.postgres.user"]
        .into_iter()
        .filter(|path| settings.text(path).is_empty())
        .map(|path| {
            let message = format!("`{path}` is not set, and the driver guesses it");
            let pointer = settings.pointer(path);
            ConfigFinding::value(&CONFIG_POSTGRES_INCOMPLETE, pointer, message)
                .help(format!("set `{path}`"))
        })
        .collect()
}

fn local_domain(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let base = settings.text("dns.base_domain").to_lowercase();
    if !base.trim_end_matches('.').ends_with(".local") {
        return Vec::new();
    }
    let message = format!("names below {base} belong to multicast DNS on many systems");
    let pointer = settings.pointer("dns.base_domain");
    let finding = ConfigFinding::value(&CONFIG_LOCAL_DOMAIN, pointer, message);
    vec![finding.help("use a domain of your own, or one below .internal")]
}

fn listen(settings: &Settings<'_>) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    let mut bad = |path: &str, message: String, help: &str| {
        let finding = ConfigFinding::value(&CONFIG_BAD_VALUE, settings.pointer(path), message);
        findings.push(finding.help(help));
    };
    if settings.text("listen_addr").is_empty() {
        let message =
            "`listen_addr` is not set, so the server listens on some free port".to_owned();
        bad("listen_addr", message, "write `listen_addr: \"0.0.0.0:8080\"`");
    }
    findings
}
