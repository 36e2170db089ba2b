//! What is written for an instance.

use std::fmt::Write as _;

use headscale_acl::Version;
use headscale_api::config::{
    Given, Kind, Ports, Successor, TlsPaths, check, from_yaml, keys, render, to_yaml,
};
use proptest::prelude::{Strategy, prop_oneof, proptest};
use proptest::test_runner::Config;
use serde_json::{Map, Value, json};

use super::yaml::value;

/// What `config` becomes, with what is told of it.
fn told(config: &Value, version: Version, given: &Given) -> String {
    let rendered = render(config, version, given);
    let mut told = to_yaml(&rendered.config);
    for note in &rendered.notes {
        let finding = &note.finding;
        let (severity, message) = (finding.severity, &finding.message);
        writeln!(told, "# {severity} {} {message}", note.pointer).expect("text");
    }
    for secret in &rendered.inline_secrets {
        writeln!(told, "# {} {}", secret.path, secret.environment()).expect("text");
    }
    if rendered.policy_randomize_client_port {
        told += "# randomizeClientPort\n";
    }
    told
}

fn at(config: &Value, version: Version) -> Map<String, Value> {
    render(config, version, &Given::default()).config
}

/// What stands at a pointer without its first slash.
pub(crate) fn pointer<'c>(config: &'c Map<String, Value>, pointer: &str) -> Option<&'c Value> {
    let (first, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
    let value = config.get(first)?;
    if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
}

#[test]
fn the_least_gets_all_that_a_pod_needs() {
    let config = json!({
        "server_url": "https://headscale.example.com",
        "dns": {"base_domain": "tail.example.com"},
    });
    insta::assert_snapshot!(told(&config, Version::V0_28, &Given::default()));
    for version in Version::ALL {
        let rendered = Value::Object(at(&config, version));
        assert_eq!(check(&rendered, version), [], "{version}");
    }
}

/// All that the Go operator wrote into an object where its author wrote the two names only.
fn defaulted_by_the_go_operator() -> Value {
    from_yaml(
        r#"
server_url: https://headscale.example.com
listen_addr: 0.0.0.0:8080
metrics_listen_addr: 0.0.0.0:9090
grpc_listen_addr: 0.0.0.0:50443
grpc_allow_insecure: false
noise: {private_key_path: /var/lib/headscale/noise_private.key}
prefixes: {v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}
derp:
  server:
    enabled: false
    region_id: 999
    region_code: headscale
    region_name: Headscale Embedded DERP
    verify_clients: true
    stun_listen_addr: 0.0.0.0:3478
    private_key_path: /var/lib/headscale/derp_server_private.key
    automatically_add_embedded_derp_region: true
    ipv4: 198.51.100.1
    ipv6: "2001:db8::1"
  urls: [https://controlplane.tailscale.com/derpmap/default]
  auto_update_enabled: true
  update_frequency: 3h
disable_check_updates: false
ephemeral_node_inactivity_timeout: 30m
database:
  type: sqlite
  debug: false
  gorm: {prepare_stmt: true, parameterized_queries: true, skip_err_record_not_found: true, slow_threshold: 1000}
  sqlite: {path: /var/lib/headscale/db.sqlite, write_ahead_log: true, wal_autocheckpoint: 1000}
  postgres: {max_open_conns: 10, max_idle_conns: 10, conn_max_idle_time_secs: 3600, ssl: false}
acme_url: https://acme-v02.api.letsencrypt.org/directory
tls_letsencrypt_cache_dir: /var/lib/headscale/cache
tls_letsencrypt_challenge_type: HTTP-01
tls_letsencrypt_listen: ":http"
log: {level: info, format: text}
policy: {mode: file}
dns:
  magic_dns: true
  base_domain: tail.example.com
  override_local_dns: true
  nameservers: {global: [1.1.1.1, 1.0.0.1, "2606:4700:4700::1111", "2606:4700:4700::1001"]}
unix_socket: /var/run/headscale/headscale.sock
unix_socket_permission: "0770"
oidc:
  only_start_if_oidc_is_available: true
  expiry: 180d
  use_expiry_from_token: false
  pkce: {enabled: false, method: S256}
logtail: {enabled: false}
randomize_client_port: false
tuning: {node_map_session_buffered_chan_size: 30, register_cache_cleanup: 20m}
taildrop: {enabled: true}
"#,
    )
    .expect("YAML")
}

#[test]
fn what_the_go_operator_stored_starts_on_every_version() {
    let config = defaulted_by_the_go_operator();
    for version in Version::ALL {
        let rendered = Value::Object(at(&config, version));
        assert_eq!(check(&rendered, version), [], "{version}");
    }
    insta::assert_snapshot!("go_operator_0_28", told(&config, Version::V0_28, &Given::default()));
    insta::assert_snapshot!("go_operator_0_29", told(&config, Version::V0_29, &Given::default()));
    insta::assert_snapshot!("go_operator_0_30", told(&config, Version::V0_30, &Given::default()));
}

#[test]
fn what_a_user_chose_is_carried_over() {
    // What is written, the version, and what it becomes there.
    let table = [
        (json!({"oidc": {"expiry": "90d"}}), Version::V0_28, "oidc/expiry", Some(json!("90d"))),
        (json!({"oidc": {"expiry": "90d"}}), Version::V0_29, "node/expiry", Some(json!("90d"))),
        (json!({"oidc": {"expiry": "90d"}}), Version::V0_29, "oidc/expiry", None),
        (json!({"oidc": {"expiry": "180d"}}), Version::V0_30, "node/expiry", None),
        (
            json!({"oidc": {"expiry": "180d", "issuer": "https://id.example.com"}}),
            Version::V0_30,
            "node/expiry",
            Some(json!("180d")),
        ),
        (
            json!({"oidc": {
                "expiry": "180d",
                "issuer": "https://id.example.com",
                "use_expiry_from_token": true,
            }}),
            Version::V0_29,
            "node/expiry",
            None,
        ),
        (
            json!({"oidc": {"expiry": "180d", "use_expiry_from_token": true}}),
            Version::V0_28,
            "oidc/expiry",
            Some(json!("180d")),
        ),
        (
            json!({"oidc": {"expiry": "90d"}, "node": {"expiry": "0"}}),
            Version::V0_29,
            "node/expiry",
            Some(json!("0")),
        ),
        (json!({"node": {"expiry": "90d"}}), Version::V0_28, "node/expiry", None),
        (
            json!({"ephemeral_node_inactivity_timeout": "1h"}),
            Version::V0_29,
            "node/ephemeral/inactivity_timeout",
            Some(json!("1h")),
        ),
        (
            json!({"node": {"ephemeral": {"inactivity_timeout": "1h"}}}),
            Version::V0_28,
            "ephemeral_node_inactivity_timeout",
            Some(json!("1h")),
        ),
        (json!({"randomize_client_port": true}), Version::V0_29, "randomize_client_port", None),
        (
            json!({"randomize_client_port": true}),
            Version::V0_28,
            "randomize_client_port",
            Some(json!(true)),
        ),
        (json!({"grpc_allow_insecure": true}), Version::V0_30, "grpc_allow_insecure", None),
        (json!({}), Version::V0_30, "grpc_listen_addr", None),
        (
            json!({"dns_config": {"restricted_nameservers": {"a.example": ["10.0.0.1"]}}}),
            Version::V0_29,
            "dns/nameservers/split/a.example",
            Some(json!(["10.0.0.1"])),
        ),
        (
            json!({"ip_prefixes": ["fd7a:115c:a1e0:1::/64", "100.64.1.0/24"]}),
            Version::V0_29,
            "prefixes",
            Some(json!({
                "allocation": "sequential", "v4": "100.64.1.0/24", "v6": "fd7a:115c:a1e0:1::/64",
            })),
        ),
        (json!({"acl_policy_path": "/p"}), Version::V0_29, "policy/path", Some(json!("/p"))),
        (json!({"db_type": "postgres"}), Version::V0_29, "database/type", Some(json!("postgres"))),
        (json!({"oidc": {"strip_email_domain": true}}), Version::V0_29, "oidc", None),
        (
            json!({"unix_socket_permission": 504}),
            Version::V0_29,
            "unix_socket_permission",
            Some(json!("0770")),
        ),
        (
            json!({"unix_socket_permission": 770}),
            Version::V0_29,
            "unix_socket_permission",
            Some(json!("0770")),
        ),
        (json!({"Log.Level": "warn"}), Version::V0_29, "log/level", Some(json!("warn"))),
        (json!({"colour": {"a": 1}}), Version::V0_29, "colour", Some(json!({"a": 1}))),
        (json!({"prefixes": {"v6": ""}}), Version::V0_29, "prefixes/v6", Some(json!(""))),
        (
            json!({"oidc": {"issuer": "https://id.example.com"}}),
            Version::V0_29,
            "node/expiry",
            Some(json!("180d")),
        ),
        (json!({"oidc": {"issuer": "https://id.example.com"}}), Version::V0_28, "node", None),
        (
            json!({"oidc": {"issuer": "https://id.example.com", "use_expiry_from_token": "true"}}),
            Version::V0_29,
            "node/expiry",
            None,
        ),
        (
            json!({"listen_addr": "127.0.0.1:8443"}),
            Version::V0_29,
            "listen_addr",
            Some(json!("0.0.0.0:8443")),
        ),
        (json!({"listen_addr": "[::1]:80"}), Version::V0_29, "listen_addr", Some(json!("[::]:80"))),
        (
            json!({"listen_addr": "localhost:http"}),
            Version::V0_29,
            "listen_addr",
            Some(json!("0.0.0.0:http")),
        ),
        (json!({"listen_addr": ":80"}), Version::V0_29, "listen_addr", Some(json!(":80"))),
        (
            json!({"metrics_listen_addr": "127.0.0.1:9090"}),
            Version::V0_29,
            "metrics_listen_addr",
            Some(json!("127.0.0.1:9090")),
        ),
    ];
    for (config, version, at, expected) in table {
        let rendered = render(&config, version, &Given::default());
        let found = pointer(&rendered.config, at);
        assert_eq!(found, expected.as_ref(), "{config} for {version}: {at}");
        let into_policy = config.get("randomize_client_port") == Some(&json!(true));
        assert_eq!(
            rendered.policy_randomize_client_port,
            into_policy && version > Version::V0_28,
            "{config}"
        );
    }
}

#[test]
fn an_issuer_in_the_environment_counts_for_the_expiry() {
    let given = Given { elsewhere: vec!["oidc.issuer"], ..Given::default() };
    for config in [json!({}), json!({"oidc": {"expiry": "180d"}})] {
        let rendered = render(&config, Version::V0_29, &given).config;
        assert_eq!(pointer(&rendered, "node/expiry"), Some(&json!("180d")), "{config}");
    }
}

#[test]
fn what_is_carried_over_is_told() {
    let config = json!({
        "oidc": {"expiry": "90d", "strip_email_domain": true},
        "randomize_client_port": true,
        "dns_config": {"base_domain": "tail.example.com", "magic_dns": true},
        "dns": {"magic_dns": true},
        "unix_socket_permission": 504,
        "preauth_keys": {"revoked_retention": "24h"},
    });
    let rendered = render(&config, Version::V0_29, &Given::default());
    let notes: Vec<String> = rendered
        .notes
        .iter()
        .map(|note| {
            let finding = &note.finding;
            format!("{} [{}] {} {}", finding.severity, finding.rule, note.pointer, finding.message)
        })
        .collect();
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn the_cluster_decides_about_certificates_and_the_policy() {
    let config = json!({
        "tls_letsencrypt_hostname": "headscale.example.com",
        "policy": {"mode": "database", "path": "/old"},
    });
    let given = Given {
        tls: Some(TlsPaths { certificate: "/tls/tls.crt".into(), key: "/tls/tls.key".into() }),
        policy_path: Some("/etc/headscale/policy.hujson".into()),
        state: "/data".into(),
        ..Given::default()
    };
    let config = render(&config, Version::V0_29, &given).config;
    let text = |at: &str| pointer(&config, at).and_then(Value::as_str);
    assert_eq!(text("tls_cert_path"), Some("/tls/tls.crt"));
    assert_eq!(text("tls_key_path"), Some("/tls/tls.key"));
    assert_eq!(text("tls_letsencrypt_hostname"), None);
    assert_eq!(text("policy/mode"), Some("file"));
    assert_eq!(text("policy/path"), Some("/etc/headscale/policy.hujson"));
    assert_eq!(text("noise/private_key_path"), Some("/data/noise_private.key"));
}

#[test]
fn ports_are_those_that_are_listened_on() {
    let ports = |config: Value, version| Ports::of(&at(&config, version), version);
    let least = ports(json!({}), Version::V0_29);
    assert_eq!(
        least,
        Ports { http: 8080, grpc: Some(50443), metrics: Some(9090), stun: None, acme: None }
    );
    assert_eq!(ports(json!({}), Version::V0_30).grpc, None);
    let all = json!({
        "listen_addr": "[::]:443", "metrics_listen_addr": "", "grpc_listen_addr": "nowhere",
        "derp": {"server": {"enabled": true}}, "tls_letsencrypt_hostname": "a.example.com",
    });
    assert_eq!(
        ports(all, Version::V0_29),
        Ports { http: 443, grpc: None, metrics: None, stun: Some(3478), acme: Some(80) }
    );
}

/// Configurations of known keys with any values, also at wrong places.
fn config() -> impl Strategy<Value = Value> {
    let paths: Vec<&'static str> = keys().map(|key| key.path).collect();
    let known = proptest::sample::select(paths);
    let members = proptest::collection::vec((known, value()), 0..12);
    let nested = members.prop_map(|members| {
        let mut config = json!({});
        for (path, value) in members {
            let mut at = &mut config;
            for step in path.split('.') {
                if !at.is_object() {
                    *at = json!({});
                }
                at = &mut at[step];
            }
            *at = value;
        }
        config
    });
    prop_oneof![nested, value()]
}

proptest! {
    #![proptest_config(Config::with_cases(512))]

    #[test]
    fn any_value_is_rendered_the_same_twice_and_without_what_the_version_lacks(config in config()) {
        for version in Version::ALL {
            let findings = check(&config, version);
            assert_eq!(findings, check(&config, version));
            for finding in &findings {
                assert!(config.pointer(&finding.pointer).is_some(), "{finding:?}");
            }
            let once = render(&config, version, &Given::default());
            assert_eq!(once, render(&config, version, &Given::default()));
            let rendered = Value::Object(once.config);
            let left = check(&rendered, version);
            let is_of_another = |id: &str| {
                matches!(id, "config-removed-key" | "config-ignored-key" | "config-plaintext-secret")
            };
            assert!(!left.iter().any(|f| is_of_another(&f.finding.rule)), "{left:?}");
            // Rendering what was rendered changes nothing.
            let again = render(&rendered, version, &Given::default());
            assert_eq!(Value::Object(again.config), rendered);
            assert_eq!(again.notes, []);
        }
    }
}

#[test]
fn every_key_that_is_gone_is_left_out_by_every_version() {
    for key in keys() {
        for version in Version::ALL.into_iter().filter(|version| !key.is_in(*version)) {
            let value = match key.kind {
                Kind::Bool => json!(true),
                Kind::Int => json!(7),
                kind if kind.is_list() => json!(["100.64.0.0/24"]),
                kind if kind.is_map() => json!({"a.example": "10.0.0.1"}),
                _ => json!("1h"),
            };
            let config = json!({ key.path: value });
            let rendered = render(&config, version, &Given::default());
            let at = key.path.replace('.', "/");
            assert_eq!(pointer(&rendered.config, &at), None, "{} of {version}", key.path);
            if let Some(Successor::Key(new)) = key.removed.map(|removed| removed.successor)
                && keys().any(|key| key.path == new && key.is_in(version))
                && !matches!(key.path, "oidc.enabled" | "derp.server.stun.enabled" | "db_pass")
                && key.versions.first().is_none_or(|first| *first <= version)
            {
                let found = pointer(&rendered.config, &new.replace('.', "/"));
                assert_eq!(found, Some(&value), "{} of {version}", key.path);
            }
            assert!(!rendered.notes.is_empty(), "{} of {version}", key.path);
        }
    }
}
