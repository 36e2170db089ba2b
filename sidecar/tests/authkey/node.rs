//! `run`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headscale_sidecar::authkey::args::Command;
use headscale_sidecar::authkey::localapi::LocalApi;
use headscale_sidecar::authkey::{self, Error};
use tokio::task::JoinHandle;

use crate::support::api_server::ApiServer;
use crate::support::http::serve;
use crate::support::tailscaled::{Tailscaled, Told};
use crate::support::{Mount, config, parse, until};

/// Starts `run` beside the tailscaled at `socket`.
pub(crate) fn follow(
    api: &ApiServer,
    socket: &Path,
    mount: &Mount,
    more: &[&str],
) -> JoinHandle<Result<(), Error>> {
    let socket = socket.to_str().expect("text");
    let words = ["run", "--secret", "proxy-0", "--localapi", socket, "--config-dir", mount.arg()];
    let words = words.iter().chain(more).chain(&["--interval", "20ms"]).copied();
    let Command::Run(args) = parse(words) else { panic!("run") };
    let client = api.client();
    tokio::spawn(async move { authkey::watch(&args, &client).await })
}

async fn ended(run: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    until("run ends", || run.is_finished()).await;
    run.await.expect("does not panic")
}

/// A server that is there and refuses to serve. Counts how often it is asked.
fn outage() -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let url = serve({
        let count = Arc::clone(&count);
        move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            (503, String::new())
        }
    });
    (url, count)
}

const STATE: [(&str, &str); 5] = [
    ("_current-profile", "profile-abc1"),
    ("_machinekey", "privkey:1"),
    ("_profiles", "{}"),
    ("device_id", "7"),
    ("profile-abc1", "{}"),
];

#[tokio::test]
async fn a_tailscaled_without_a_key_asks_gets_one_and_ends_cleared() {
    let (url, _) = outage();
    let mut mount = Mount::with_key(&url, None);
    let Some(tailscaled) = Tailscaled::start(&mount.file()) else { return };
    let api = ApiServer::new(Some(&STATE));
    // Its socket may not be there yet.
    let run = follow(&api, &tailscaled.socket(), &mount, &[]);
    until("the marker is set", || api.get("reissue_authkey").is_some()).await;
    assert_eq!(api.get("reissue_authkey").as_deref(), Some(""));
    assert_eq!(api.get("_machinekey").as_deref(), Some("privkey:1"));
    mount.swap(&config(&url, Some("k1")));
    ended(run).await.expect("ends with success");
    assert_eq!(api.names(), [""; 0]);
}

#[tokio::test]
async fn a_tailscaled_that_runs_on_logs_in_with_the_new_key() {
    let (url, asked) = outage();
    let mut mount = Mount::with_key(&url, None);
    let Some(tailscaled) = Tailscaled::start(&mount.file()) else { return };
    let api = ApiServer::new(Some(&STATE));
    let run = follow(&api, &tailscaled.socket(), &mount, &["--on-new-key", "login"]);
    until("the marker is set", || api.get("reissue_authkey").is_some()).await;
    // Without a key it does not even try.
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    mount.swap(&config(&url, Some("k1")));
    until("tailscaled logs in", || asked.load(Ordering::SeqCst) > 0).await;
    assert_eq!(
        api.names(),
        ["_current-profile", "_machinekey", "_profiles", "profile-abc1"],
        "the login is kept, the marker and the device are not"
    );
    // That the server is down is no reason to ask again.
    until("tailscaled tries again", || asked.load(Ordering::SeqCst) > 2).await;
    assert_eq!(api.get("reissue_authkey"), None);
    assert!(!run.is_finished());
    run.abort();
}

#[tokio::test]
async fn an_outage_of_the_server_asks_for_nothing() {
    for mode in ["exit", "login"] {
        let (url, asked) = outage();
        let mount = Mount::with_key(&url, Some("k1"));
        let Some(tailscaled) = Tailscaled::start(&mount.file()) else { return };
        let api = ApiServer::new(Some(&STATE));
        let run = follow(&api, &tailscaled.socket(), &mount, &["--on-new-key", mode]);
        // tailscaled warns of it.
        until("a socket", || tailscaled.socket().exists()).await;
        let mut bus = LocalApi::new(&tailscaled.socket()).watch().await.expect("a bus");
        assert_eq!(bus.capability, Some(131));
        let warned = async {
            loop {
                let notify = bus.next().await.expect("reads").expect("goes on");
                if format!("{notify:?}").contains("login-state") {
                    break;
                }
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, warned).await.expect("warns");
        until("it tries again", || asked.load(Ordering::SeqCst) > 2).await;
        assert_eq!(api.patches(), [], "{mode}");
        assert!(!run.is_finished(), "{mode}");
        run.abort();
    }
}

const REFUSED: &str = r#"{"State":0,"ErrMessage":"authkey already used"}"#;
const WARNED: &str = r#"{"State":0,"Health":{"Warnings":{"login-state":{"Args":{"error":"authkey expired"}},"x":{}}}}"#;
const OUTAGE: &str = r#"{"State":0,"Health":{"Warnings":{"login-state":{"Args":{"error":"fetch control key: EOF"}}}}}"#;

#[tokio::test]
async fn a_refused_key_is_let_go_of_before_another_is_asked_for() {
    for (first, then) in [(REFUSED, None), (WARNED, None), (OUTAGE, Some(REFUSED))] {
        let tailscaled = Told::new(&[first]);
        let mut mount = Mount::with_key("http://x", Some("k1"));
        let api = ApiServer::new(Some(&STATE));
        let run = follow(&api, &tailscaled.socket(), &mount, &[]);
        if let Some(then) = then {
            until("it watches", || !tailscaled.calls().is_empty()).await;
            assert_eq!(api.get("reissue_authkey"), None);
            tailscaled.say(then);
        }
        until("the marker is set", || api.get("reissue_authkey").is_some()).await;
        assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
        assert_eq!(tailscaled.calls(), ["watch-ipn-bus", "disconnect-control"]);
        mount.swap(&config("http://x", Some("k2")));
        ended(run).await.expect("ends with success");
        assert_eq!(api.names(), [""; 0]);
    }
}

#[tokio::test]
async fn a_login_that_runs_on_is_tried_with_the_key_at_hand_first() {
    let tailscaled = Told::new(&[WARNED]);
    let mut mount = Mount::with_key("http://x", Some("k1"));
    let api = ApiServer::new(Some(&STATE));
    let run = follow(&api, &tailscaled.socket(), &mount, &["--on-new-key", "login"]);
    let tried = ["watch-ipn-bus", "watch-ipn-bus", "reload-config", "start"];
    until("it tries", || tailscaled.calls() == tried).await;
    // The warning of before says nothing, the server does.
    tailscaled.say(WARNED);
    tailscaled.say(REFUSED);
    until("the marker is set", || api.get("reissue_authkey").is_some()).await;
    assert_eq!(api.patches().len(), 1);
    mount.swap(&config("http://x", Some("k2")));
    until("it tries again", || tailscaled.calls().len() == 8).await;
    assert_eq!(
        tailscaled.calls()[4..],
        ["disconnect-control", "watch-ipn-bus", "reload-config", "start"]
    );
    assert_eq!(api.get("reissue_authkey"), None);
    run.abort();
}

#[tokio::test]
async fn a_tailscaled_that_goes_away_is_told_when_it_is_back() {
    let tailscaled = Told::new(&[REFUSED]);
    tailscaled.fail("disconnect-control");
    let mut mount = Mount::with_key("http://x", Some("k1"));
    let api = ApiServer::new(Some(&STATE));
    let run = follow(&api, &tailscaled.socket(), &mount, &[]);
    let told = ["watch-ipn-bus", "disconnect-control", "watch-ipn-bus", "disconnect-control"];
    until("it lets go of the server", || tailscaled.calls() == told).await;
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
    mount.swap(&config("http://x", Some("k2")));
    ended(run).await.expect("ends with success");
}

#[tokio::test]
async fn a_login_that_tailscaled_does_not_take_is_tried_again() {
    // One that says nothing, and one that hangs up.
    for (fails, heard) in [("watch-ipn-bus", &[][..]), ("reload-config", &["reload-config"])] {
        let tailscaled = Told::new(&[OUTAGE]);
        let mount = Mount::with_key("http://x", Some("k1"));
        let api = ApiServer::new(Some(&STATE));
        let run = follow(&api, &tailscaled.socket(), &mount, &["--on-new-key", "login"]);
        until("it watches", || !tailscaled.calls().is_empty()).await;
        tailscaled.fail(fails);
        tailscaled.say(WARNED);
        let again = ["watch-ipn-bus", "watch-ipn-bus", "reload-config", "start"];
        let told = [&["watch-ipn-bus", "watch-ipn-bus"], heard, &again].concat();
        until("it tries again", || tailscaled.calls() == told).await;
        assert!(!run.is_finished());
        assert_eq!(api.patches(), []);
        run.abort();
    }
}

#[tokio::test]
async fn one_that_was_ended_while_it_waited_goes_on() {
    let tailscaled = Told::new(&[REFUSED]);
    let mut mount = Mount::with_key("http://x", Some("k1"));
    let api = ApiServer::new(Some(&STATE));
    let run = follow(&api, &tailscaled.socket(), &mount, &[]);
    until("the marker is set", || api.get("reissue_authkey").is_some()).await;
    run.abort();
    // Not answered: it asks for the same again.
    let run = follow(&api, &tailscaled.socket(), &mount, &[]);
    until("it asks again", || api.patches().len() == 2).await;
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
    run.abort();
    // Answered meanwhile, and tailscaled restarted: the marker goes, and nothing else.
    mount.swap(&config("http://x", Some("k2")));
    let tailscaled = Told::new(&[r#"{"State":0}"#]);
    let run = follow(&api, &tailscaled.socket(), &mount, &[]);
    until("the marker is dropped", || api.get("reissue_authkey").is_none()).await;
    assert_eq!(api.names().len(), STATE.len());
    run.abort();
}

#[tokio::test]
async fn a_key_that_never_comes_ends_it_and_leaves_the_request() {
    let tailscaled = Told::new(&[REFUSED]);
    let mount = Mount::with_key("http://x", Some("k1"));
    let api = ApiServer::new(Some(&STATE));
    let run = follow(&api, &tailscaled.socket(), &mount, &["--timeout", "100ms"]);
    let error = ended(run).await.expect_err("over");
    assert_eq!(error.exit_code(), 3);
    assert_eq!(api.get("reissue_authkey").as_deref(), Some("k1"));
}

#[tokio::test]
async fn a_tailscaled_that_cannot_read_its_config_or_has_none_is_told() {
    let (url, _) = outage();
    let mount = Mount::with_key(&url, None);
    let Some(tailscaled) = Tailscaled::start(&mount.file()) else { return };
    let api = LocalApi::new(&tailscaled.socket());
    until("a socket", || tailscaled.socket().exists()).await;
    api.login_by_config().await.expect("reads its config again");
    std::fs::remove_file(mount.file()).expect("removed");
    // 1.92 says no more than that.
    let error = api.login_by_config().await.expect_err("cannot be read").to_string();
    assert_eq!(error, "tailscaled could not read its config again");

    let Some(tailscaled) = Tailscaled::start_with(&[]) else { return };
    until("a socket", || tailscaled.socket().exists()).await;
    let api = LocalApi::new(&tailscaled.socket());
    let error = api.login_by_config().await.expect_err("has none").to_string();
    assert!(error.starts_with("tailscaled was started without --config"), "{error}");
}

#[tokio::test]
async fn a_device_that_is_in_is_published_and_its_request_withdrawn() {
    let tailscaled = Told::new(&[r#"{"State":6}"#]);
    let mount = Mount::with_key("http://x", None);
    let api = ApiServer::new(Some(&[("reissue_authkey", "k0")]));
    let run = follow(&api, &tailscaled.socket(), &mount, &[]);
    until("it is published", || api.get("device_id").is_some()).await;
    assert_eq!(api.get("device_id").as_deref(), Some("7"));
    assert_eq!(api.get("device_fqdn").as_deref(), Some("proxy-0.tail.example."));
    assert_eq!(api.get("device_ips").as_deref(), Some(r#"["100.64.0.7"]"#));
    assert_eq!(api.get("reissue_authkey"), None);
    run.abort();
}
