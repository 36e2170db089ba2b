//! `request`, `wait` and `clear`.

use std::fs;
use std::time::Duration;

use headscale_sidecar::authkey::args::Command;
use headscale_sidecar::authkey::{self, Error};

use crate::support::api_server::ApiServer;
use crate::support::{Mount, config, parse, until};

async fn run(words: &[&str], api: &ApiServer) -> Result<(), Error> {
    match parse(words.iter().copied()) {
        Command::Request(args) => authkey::ask(&args, &api.client()).await,
        Command::Wait(args) => authkey::wait(&args, Some(&api.client())).await,
        Command::Clear(args) => authkey::clear(&args, &api.client()).await,
        Command::Run(args) => authkey::watch(&args, &api.client()).await,
    }
}

#[tokio::test]
async fn a_request_names_the_key_in_the_config() {
    let api = ApiServer::new(Some(&[("profile-abc1", "kept")]));
    let mount = Mount::with_key("http://x", Some("k1"));
    run(&["request", "--secret", "proxy-0", "--config-dir", mount.arg()], &api)
        .await
        .expect("asks");
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
    assert_eq!(api.get("profile-abc1").as_deref(), Some("kept"));
    let (query, precondition) = api.patches().pop().expect("a write");
    assert!(query.contains("fieldManager=headscale-sidecar"), "{query}");
    assert!(!precondition);
}

#[tokio::test]
async fn a_request_without_a_key_is_empty_and_not_absent() {
    let api = ApiServer::new(Some(&[]));
    let mount = Mount::with_key("http://x", None);
    run(&["request", "--secret", "proxy-0", "--config-dir", mount.arg()], &api)
        .await
        .expect("asks");
    assert_eq!(api.get("reissue_authkey").as_deref(), Some(""));
}

#[tokio::test]
async fn a_request_reads_the_key_from_a_file() {
    let api = ApiServer::new(Some(&[]));
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "k7\n").expect("written");
    let path = file.path().to_str().expect("text");
    run(&["request", "--secret", "proxy-0", "--auth-key-file", path], &api).await.expect("asks");
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k7"));
}

#[tokio::test]
async fn a_request_with_a_config_that_cannot_be_read_asks_for_nothing() {
    let api = ApiServer::new(Some(&[]));
    let mount = Mount::new(r#"{"version":"alpha9","AuthKey":"k1"}"#);
    let error = run(&["request", "--secret", "proxy-0", "--config-dir", mount.arg()], &api).await;
    let error = error.expect_err("which key failed?");
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("version must be"), "{error}");
    assert!(api.patches().is_empty());
}

#[tokio::test]
async fn a_state_secret_that_is_not_there_or_not_ours_to_write_is_told() {
    let mount = Mount::with_key("http://x", Some("k1"));
    let words = ["request", "--secret", "proxy-0", "--config-dir", mount.arg()];
    let error = run(&words, &ApiServer::new(None)).await.expect_err("missing").to_string();
    assert!(error.starts_with("Secret ns/proxy-0 is not there"), "{error}");
    let api = ApiServer::new(Some(&[]));
    api.refuse(&[403]);
    let error = run(&words, &api).await.expect_err("forbidden").to_string();
    assert_eq!(error, "Secret ns/proxy-0: not allowed to patch it: the Role needs patch on it");
}

#[tokio::test]
async fn an_api_server_that_is_down_for_a_while_is_waited_for() {
    let mount = Mount::with_key("http://x", Some("k1"));
    let api = ApiServer::new(Some(&[]));
    api.refuse(&[503]);
    let words = ["request", "--secret", "proxy-0", "--config-dir", mount.arg()];
    run(&words, &api).await.expect("asks in the end");
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
}

#[tokio::test]
async fn a_request_that_was_overtaken_is_made_again() {
    let mount = Mount::with_key("http://x", Some("k1"));
    let words = ["request", "--secret", "proxy-0", "--config-dir", mount.arg()];
    let api = ApiServer::new(Some(&[]));
    api.refuse(&[409]);
    run(&words, &api).await.expect("asks in the end");
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
    api.refuse(&[409; 20]);
    let error = run(&words, &api).await.expect_err("never written").to_string();
    assert_eq!(error, "Secret ns/proxy-0: others kept changing it");
}

#[tokio::test]
async fn a_wait_ends_at_once_where_the_answer_is_there() {
    let mount = Mount::with_key("http://x", Some("k2"));
    let words = ["wait", "--secret", "proxy-0", "--config-dir", mount.arg(), "--interval", "1h"];
    let api = ApiServer::new(Some(&[("reissue_authkey", "k1")]));
    run(&words, &api).await.expect("answered");
    let api = ApiServer::new(Some(&[("reissue_authkey", "")]));
    run(&words, &api).await.expect("answered");
    // Nothing is asked for.
    run(&words, &ApiServer::new(Some(&[]))).await.expect("nothing to wait for");
}

#[tokio::test]
async fn a_wait_sees_the_kubelet_swap_the_files() {
    let mut mount = Mount::with_key("http://x", Some("k1"));
    let words = ["wait", "--config-dir", mount.arg(), "--interval", "10ms"];
    let Command::Wait(args) = parse(words) else { panic!("wait") };
    let waits = tokio::spawn(async move { authkey::wait(&args, None).await });
    // A config in between without a key, or one that is broken, is no answer.
    tokio::task::yield_now().await;
    mount.swap(&config("http://x", None));
    mount.swap("{");
    mount.swap(&config("http://x", Some("k1")));
    assert!(!waits.is_finished());
    mount.swap(&config("http://x", Some("k2")));
    until("the wait ends", || waits.is_finished()).await;
    waits.await.expect("ends").expect("answered");
}

#[tokio::test]
async fn a_wait_that_is_over_says_what_was_wrong_with_the_config() {
    let mount = Mount::new(r#"{"version":"alpha0","RelayPortOfTomorrow":1}"#);
    let api = ApiServer::new(Some(&[("reissue_authkey", "k1")]));
    let words = ["wait", "--secret", "proxy-0", "--config-dir", mount.arg(), "--timeout", "50ms"];
    let error = run(&words, &api).await.expect_err("over");
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("is not known, so tailscaled refuses"), "{error}");
}

const LOGGED_IN: [(&str, &str); 9] = [
    ("_current-profile", "profile-abc1"),
    ("_daemon", "kept"),
    ("_machinekey", "privkey:1"),
    ("_profiles", "{}"),
    ("device_fqdn", "proxy-0.tail.example."),
    ("device_id", "7"),
    ("device_ips", "[]"),
    ("profile-abc1", "{}"),
    ("reissue_authkey", "k1"),
];

#[tokio::test]
async fn a_clear_is_one_write_of_what_was_read() {
    let api = ApiServer::new(Some(&LOGGED_IN));
    api.set("profile-0000", "kept");
    run(&["clear", "--secret", "proxy-0"], &api).await.expect("clears");
    assert_eq!(api.names(), ["_daemon", "profile-0000"]);
    assert_eq!(api.patches().len(), 1);
    assert!(api.patches()[0].1);
}

#[tokio::test]
async fn a_clear_that_was_overtaken_looks_again() {
    let api = ApiServer::new(Some(&LOGGED_IN));
    api.set("profile-0000", "now in use");
    api.overtake("_current-profile", "profile-0000");
    api.overtake("_daemon", "changed");
    run(&["clear", "--secret", "proxy-0"], &api).await.expect("clears");
    // The profile of the last look went, the one of the first look stayed.
    assert_eq!(api.names(), ["_daemon", "profile-abc1"]);
    assert_eq!(api.patches().len(), 3);
}

#[tokio::test]
async fn a_clear_that_keeps_the_login_clears_the_device_alone() {
    let api = ApiServer::new(Some(&LOGGED_IN));
    run(&["clear", "--secret", "proxy-0", "--keep-login"], &api).await.expect("clears");
    let kept = ["_current-profile", "_daemon", "_machinekey", "_profiles", "profile-abc1"];
    assert_eq!(api.names(), kept);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_clear() {
    run(&["clear", "--secret", "proxy-0"], &ApiServer::new(None)).await.expect("clear");
}

#[test]
fn durations_are_ten_minutes_and_two_seconds_and_never_zero() {
    let Command::Wait(args) = parse(["wait", "--config-dir", "d"]) else { panic!("wait") };
    assert_eq!(args.times.timeout, Duration::from_secs(600));
    assert_eq!(args.times.interval, Duration::from_secs(2));
}
