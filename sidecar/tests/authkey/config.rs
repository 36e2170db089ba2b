//! Reads configs as tailscaled does.

use std::fs;
use std::path::Path;

use headscale_sidecar::authkey::config::{ConfigError, KeySource};

fn of(directory: &Path, capability: u32) -> KeySource {
    KeySource::Directory { path: directory.to_owned(), capability }
}

fn read(text: &str) -> Result<Option<String>, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("cap-106.hujson"), text).expect("written");
    let key = of(directory.path(), 145).key()?;
    Ok(key.map(|key| key.expose().to_owned()))
}

#[test]
fn a_key_is_read_as_go_reads_it() {
    for (text, expected) in [
        (r#"{"Version":"alpha0","AuthKey":"k1"}"#, Some("k1")),
        (r#"{"version":"alpha0","authkey":"k1"}"#, Some("k1")),
        ("// why\n{\"version\": \"alpha0\", /* what */ \"AUTHKEY\": \"k1\",}\n", Some("k1")),
        (r#"{"version":"alpha0","AuthKey":"k1","authKey":"k2"}"#, Some("k2")),
        (r#"{"version":"alpha0","AuthKey":"k1","authKey":null}"#, None),
        (r#"{"version":"alpha0","AuthKey":""}"#, None),
        (r#"{"version":"alpha0","AuthKey":"\u006b1"}"#, Some("k1")),
        (r#"{"version":"alpha0","AuthKey":"file:/etc/key"}"#, Some("file:/etc/key")),
        (r#"{"version":"alpha0","acceptDNS":false,"ServerURL":"http://x","Locked":false}"#, None),
    ] {
        assert_eq!(read(text), Ok(expected.map(str::to_owned)), "{text}");
    }
}

#[test]
fn a_config_that_tailscaled_refuses_is_told_of_and_never_quoted() {
    for (text, expected) in [
        ("", "not HuJSON"),
        ("[]", "not HuJSON"),
        ("{\"version\":\"alpha0\",\n\"AuthKey\": hskey-secret}", ":2:12: not HuJSON"),
        (r#"{"version":"alpha0","AuthKey":"hskey-secret"} {}"#, "not HuJSON"),
        (r#"{"AuthKey":"hskey-secret"}"#, "version must be \"alpha0\""),
        (r#"{"version":"alpha1","AuthKey":"hskey-secret"}"#, "version must be \"alpha0\""),
        (r#"{"version":"alpha0","AuthKeys":"hskey-secret"}"#, "field \"AuthKeys\" is not known"),
        (r#"{"version":"alpha0","AuthKey":{"hskey-secret":1}}"#, "AuthKey must be a string"),
        (r#"{"version":0}"#, "Version must be a string"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("secret"), "{text}: {error}");
    }
}

#[test]
fn the_highest_file_up_to_the_capability_version_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, key) in
        [("cap-95.hujson", "k95"), ("cap-106.hujson", "k106"), ("cap-200.hujson", "k")]
    {
        let text = format!(r#"{{"version":"alpha0","AuthKey":"{key}"}}"#);
        fs::write(directory.path().join(name), text).expect("written");
    }
    let key = |capability| of(directory.path(), capability).key();
    for (capability, expected) in [(95, "k95"), (105, "k95"), (106, "k106"), (199, "k106")] {
        let key = key(capability).expect("read").expect("a key");
        assert_eq!(key.expose(), expected, "{capability}");
    }
    let error = key(94).expect_err("none is low enough").to_string();
    assert!(error.contains("there is cap-200.hujson"), "{error}");
}

#[test]
fn a_directory_or_file_that_is_not_there_is_an_error_and_no_missing_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("none");
    assert!(matches!(of(&missing, 145).key(), Err(ConfigError::Unreadable { .. })));
    assert!(matches!(KeySource::File(missing).key(), Err(ConfigError::Unreadable { .. })));
    assert!(matches!(of(directory.path(), 145).key(), Err(ConfigError::NoFile { .. })));
    let file = directory.path().join("key");
    fs::write(&file, "k1\n").expect("written");
    let key = KeySource::File(file).key().expect("read").expect("a key");
    assert_eq!(key.expose(), "k1");
}
