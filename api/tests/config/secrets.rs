//! Where the secrets of a configuration go.

use headscale_acl::Version;
use headscale_api::config::{Given, Rendered, check_beside, render, to_yaml};
use serde_json::{Value, json};

use super::render::pointer;

#[test]
fn secrets_go_into_the_environment_and_never_into_the_file() {
    let config = json!({
        "database": {"type": "postgres", "postgres": {"host": "db", "pass": "hunter2"}},
        "oidc": {"client_secret": "swordfish", "client_secret_path": "/x"},
        "cli": {"api_key": "hskey-api-x"},
    });
    let rendered = render(&config, Version::V0_29, &Given::default());
    let secrets: Vec<(String, &str)> = rendered
        .inline_secrets
        .iter()
        .map(|secret| (secret.environment(), secret.expose()))
        .collect();
    assert_eq!(
        secrets,
        [
            ("HEADSCALE_DATABASE_POSTGRES_PASS".to_owned(), "hunter2"),
            ("HEADSCALE_OIDC_CLIENT_SECRET".to_owned(), "swordfish"),
        ]
    );
    let shown = format!("{rendered:?}{}", to_yaml(&rendered.config));
    for secret in ["hunter2", "swordfish", "hskey-api-x"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert_eq!(pointer(&rendered.config, "oidc/client_secret_path"), None);
}

#[test]
fn what_no_version_knows_is_left_out_where_its_name_is_that_of_a_secret() {
    let config = json!({
        "database": {"postgres": {"password": "hunter2", "sslrootcert": "/x"}},
        "oidc.Secret": "swordfish",
        "vault": {"auth": {"token": ["tango"], "secret_path": "/y"}, "db_password": {"a": 1}},
        "mirrors": [{"url": "b", "Password": "uniform"}, "c"],
    });
    let rendered = render(&config, Version::V0_29, &Given::default());
    let shown = format!("{rendered:?}{}", to_yaml(&rendered.config));
    for secret in ["hunter2", "swordfish", "tango", "uniform"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    let told: Vec<&str> = rendered
        .notes
        .iter()
        .filter(|note| note.finding.rule == "config-plaintext-secret")
        .map(|note| note.pointer.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "/database/postgres/password",
            "/mirrors/0/Password",
            "/oidc.Secret",
            "/vault/auth/token",
            "/vault/db_password",
        ]
    );
    assert_eq!(pointer(&rendered.config, "vault"), Some(&json!({"auth": {"secret_path": "/y"}})));
    assert_eq!(pointer(&rendered.config, "database/postgres"), Some(&json!({"sslrootcert": "/x"})));
}

#[test]
fn a_secret_of_a_secret_counts_before_one_of_the_configuration() {
    let config = json!({
        "oidc": {"issuer": "https://id.example.com", "client_id": "a", "client_secret_path": "/x"},
        "database": {"type": "postgres", "postgres": {
            "host": "db", "name": "h", "user": "h", "pass": "hunter2",
        }},
        "server_url": "https://headscale.example.com",
        "dns": {"base_domain": "tail.example.com"},
    });
    let elsewhere = vec!["database.postgres.pass", "oidc.client_secret"];
    let given = Given { elsewhere: elsewhere.clone(), ..Given::default() };
    let Rendered { config, inline_secrets, notes, .. } = render(&config, Version::V0_30, &given);
    assert_eq!(inline_secrets, []);
    assert_eq!(notes.len(), 2, "{notes:?}");
    let findings = check_beside(&Value::Object(config), Version::V0_30, &elsewhere);
    assert_eq!(findings, []);
}
