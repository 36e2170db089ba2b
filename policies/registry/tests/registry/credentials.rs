//! Credentials as docker and its helpers keep them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headscale_policy_registry::{
    Credential, CredentialError, Credentials, block_on, docker_config_file,
};

const LIMIT: Duration = Duration::from_secs(30);

fn get(credentials: &Credentials, registry: &str) -> Result<Credential, CredentialError> {
    block_on(credentials.get(registry, LIMIT)).expect("a runtime")
}

fn json(text: &str) -> Credentials {
    Credentials::DockerJson(text.as_bytes().to_vec())
}

fn password(username: &str, password: &str) -> Credential {
    Credential::Password { username: username.to_owned(), password: password.to_owned() }
}

#[test]
fn what_docker_login_writes() {
    // "alice:s3:cret" and "bob:pw" in base64.
    let credentials = json(
        r#"{"auths": {
            "ghcr.io": {"auth": "YWxpY2U6czM6Y3JldA=="},
            "localhost:5000": {"username": "bob", "password": "pw"},
            "https://index.docker.io/v1/": {"auth": "Ym9iOnB3"},
            "azure.example": {"auth": "Ym9iOnB3", "identitytoken": "token"}
        }}"#,
    );
    for (registry, expected) in [
        ("ghcr.io", password("alice", "s3:cret")),
        ("localhost:5000", password("bob", "pw")),
        ("docker.io", password("bob", "pw")),
        ("azure.example", Credential::IdentityToken("token".to_owned())),
        ("other.example", Credential::Anonymous),
    ] {
        assert_eq!(get(&credentials, registry).expect(registry), expected, "{registry}");
    }
}

#[test]
fn where_nothing_is_configured() {
    assert_eq!(get(&Credentials::None, "ghcr.io").expect("anonymous"), Credential::Anonymous);
    let directory = tempfile::tempdir().expect("a directory");
    let missing = Credentials::DockerConfig(directory.path().join("config.json"));
    assert_eq!(get(&missing, "ghcr.io").expect("anonymous"), Credential::Anonymous);
    assert_eq!(get(&json("{}"), "ghcr.io").expect("anonymous"), Credential::Anonymous);
}

#[test]
fn what_is_broken_says_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let unreadable = get(&Credentials::DockerConfig(directory.path().to_owned()), "r.io");
    assert!(matches!(unreadable, Err(CredentialError::Read { .. })));
    let texts = [
        "",
        "[]",
        r#"{"auths": []}"#,
        r#"{"auths": {"r.io": {"auth": "%"}}}"#,
        r#"{"auths": {"r.io": {"auth": "YQ=="}}}"#,
        r#"{"auths": {"r.io": {"auth": "Ym9iOnB3", "username": "bob", "password": "x"}}}"#,
    ];
    let told = texts.map(|text| get(&json(text), "r.io").expect_err(text).to_string());
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn secrets_are_not_printed() {
    let printed = [
        format!("{:?}", password("bob", "secret")),
        format!("{:?}", Credential::IdentityToken("secret".to_owned())),
        format!("{:?}", json("secret")),
    ];
    assert!(printed.iter().all(|text| !text.contains("secret")), "{printed:?}");
}

#[test]
fn the_place_of_the_configuration() {
    let path = |config: Option<&str>, home: Option<&str>| {
        docker_config_file(config.map(OsStr::new), home.map(OsStr::new))
    };
    assert_eq!(path(Some("/etc/d"), Some("/home/a")), Some(PathBuf::from("/etc/d/config.json")));
    let at_home = Some(PathBuf::from("/home/a/.docker/config.json"));
    assert_eq!(path(None, Some("/home/a")), at_home);
    assert_eq!(path(Some(""), Some("/home/a")), at_home);
    assert_eq!(path(None, None), None);
}

#[test]
fn a_given_configuration_runs_no_helper() {
    let credentials = json(r#"{"credsStore": "evil", "credHelpers": {"r.io": "evil"}}"#);
    assert_eq!(get(&credentials, "r.io").expect("anonymous"), Credential::Anonymous);
}

/// Names the test below to the process that it starts, whose PATH has helpers.
const HELPERS: &str = "HEADSCALE_TEST_HELPERS";

#[cfg(unix)]
#[test]
fn helpers() {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(directory) = std::env::var_os(HELPERS) {
        return asked_helpers(Path::new(&directory));
    }
    let directory = tempfile::tempdir().expect("a directory");
    for (name, script) in [
        ("good", "read registry\nprintf '{\"Username\":\"at %s\",\"Secret\":\"s\"}' \"$registry\""),
        ("token", "read registry; printf '{\"Username\":\"<token>\",\"Secret\":\"t\"}'"),
        ("unknown", "read registry; echo 'credentials not found in native keychain'; exit 1"),
        ("failing", "read registry; printf 'locked\\033[31m\\nreally'; exit 1"),
        ("babbling", "read registry; echo hello"),
        ("hanging", "read registry; exec cat \"$0.ends\" >/dev/null"),
    ] {
        let path = directory.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("set");
    }
    let ends = directory.path().join("docker-credential-hanging.ends");
    let made = std::process::Command::new("mkfifo").arg(ends).status().expect("mkfifo runs");
    assert!(made.success());
    let path = std::env::var("PATH").unwrap_or_default();
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "credentials::helpers", "--nocapture"])
        .env(HELPERS, directory.path())
        .env("PATH", format!("{}:{path}", directory.path().display()))
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(unix)]
fn asked_helpers(directory: &Path) {
    let config = |helper: &str| {
        let file = directory.join("config.json");
        fs::write(&file, format!(r#"{{"credHelpers": {{"r.io": "{helper}"}}}}"#)).expect("written");
        Credentials::DockerConfig(file)
    };
    let ask = |helper: &str| get(&config(helper), "r.io");
    // Helpers are told without a line's end, and `read` gives what there is.
    assert_eq!(ask("good").expect("a password"), password("at r.io", "s"));
    assert_eq!(ask("token").expect("a token"), Credential::IdentityToken("t".to_owned()));
    assert_eq!(ask("unknown").expect("anonymous"), Credential::Anonymous);
    let told =
        ["failing", "babbling", "absent"].map(|helper| ask(helper).expect_err(helper).to_string());
    insta::assert_snapshot!("helpers_told", told.join("\n"));
    let limit = Duration::from_millis(50);
    let hanging = block_on(config("hanging").get("r.io", limit)).expect("a runtime");
    let error = hanging.expect_err("no answer");
    assert_eq!(error.to_string(), "the credential helper for r.io failed: no answer within 50ms");
    // It hangs until somebody opens the other end.
    let ends = directory.join("docker-credential-hanging.ends");
    drop(fs::OpenOptions::new().write(true).open(ends).expect("the helper is there"));
}
