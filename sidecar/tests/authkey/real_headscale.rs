//! A round with a real Headscale and a real tailscaled, where `HEADSCALE_BIN` names one or more
//! Headscales (`0.28.0=/path,0.29.2=/path`).

use std::fs;

use headscale_testkit::headscale::{Headscale, programs};
use headscale_testkit::tell;

use crate::node::follow;
use crate::support::api_server::ApiServer;
use crate::support::tailscaled::Tailscaled;
use crate::support::{Mount, config, until};

fn told(headscale: &Headscale, words: &[&str]) -> String {
    let output = headscale.command(words);
    assert!(output.status.success(), "{words:?} fails");
    String::from_utf8(output.stdout).expect("text")
}

/// A key for one use.
fn single_use_key(headscale: &Headscale) -> String {
    let told = told(headscale, &["preauthkeys", "create", "-u", "1", "-e", "1h", "-o", "json"]);
    let (_, rest) = told.split_once("\"hskey-auth-").expect("a key");
    let (key, _) = rest.split_once('"').expect("a whole key");
    format!("hskey-auth-{key}")
}

#[tokio::test]
async fn a_used_key_is_replaced_while_tailscaled_runs_on() {
    for program in programs() {
        let headscale = Headscale::start(&program);
        let (version, url) = (headscale.version(), format!("http://{}", headscale.address()));
        told(&headscale, &["users", "create", "alice"]);
        let used = single_use_key(&headscale);
        let mut mount = Mount::with_key(&url, Some(&used));
        let api = ApiServer::new(Some(&[]));
        let login = ["--on-new-key", "login"];

        let Some(first) = Tailscaled::start(&mount.file()) else { return };
        let run = follow(&api, &first.socket(), &mount, &login);
        until("the first device is in", || api.get("device_id").is_some()).await;
        assert_eq!(api.get("device_id").as_deref(), Some("1"), "{version}");
        assert_eq!(api.get("reissue_authkey"), None, "{version}");
        run.abort();
        drop(first);

        // Another machine with the same config.
        let Some(second) = Tailscaled::start(&mount.file()) else { return };
        let run = follow(&api, &second.socket(), &mount, &login);
        until("the marker is set", || api.get("reissue_authkey").is_some()).await;
        assert_eq!(api.get("reissue_authkey").as_deref(), Some(used.as_str()), "{version}");
        mount.swap(&config(&url, Some(&single_use_key(&headscale))));
        until("the second device is in", || api.get("device_id").as_deref() == Some("2")).await;
        assert_eq!(api.get("reissue_authkey"), None, "{version}");

        // Its login expires: tailscaled needs another one, and has a key that is used.
        let used = mount_key(&mount);
        told(&headscale, &["nodes", "expire", "-i", "2"]);
        until("the marker is set", || api.get("reissue_authkey").is_some()).await;
        assert_eq!(api.get("reissue_authkey").as_deref(), Some(used.as_str()), "{version}");
        mount.swap(&config(&url, Some(&single_use_key(&headscale))));
        until("it is acknowledged", || api.get("reissue_authkey").is_none()).await;
        until("the device is in again", || api.get("device_id").is_some()).await;
        // It kept its machine key, so it is the same device.
        assert_eq!(api.get("device_id").as_deref(), Some("2"), "{version}");
        run.abort();
        tell(&format!("a used key is replaced with Headscale {version}"));
    }
}

fn mount_key(mount: &Mount) -> String {
    let config = fs::read_to_string(mount.file()).expect("text");
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    config["AuthKey"].as_str().expect("a key").to_owned()
}
