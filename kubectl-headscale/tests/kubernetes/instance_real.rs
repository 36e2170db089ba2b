//! The same with real servers, where there are some.

use headscale_client::{HeadscaleApi as _, HttpClient, NewPreAuthKey, NewUser};
use headscale_controlplane::Kubelet;
use headscale_keys::ApiKey;
use headscale_testkit::headscale::{Headscale, programs};
use headscale_testkit::tell;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::Sandbox;
use crate::world::POLICY;

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_are_asked_as_the_stand_in_is() {
    for program in programs() {
        let Some(sandbox) = Sandbox::new().await else { return };
        let headscale = Headscale::start(&program);
        let made = headscale.command(&["apikeys", "create", "--expiration", "1h"]);
        let text = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let key = ApiKey::parse(&text).expect("a key");
        let url = format!("http://{}", headscale.address());
        let client = HttpClient::builder(&url).api_key(key).build().expect("a client");
        let alice = client.create_user(&NewUser::named("alice")).await.expect("a user");
        let until = Timestamp::now() + SignedDuration::from_hours(1);
        let key = NewPreAuthKey::of_user(alice.id, until);
        client.create_preauth_key(&key).await.expect("a key");
        client.set_policy(POLICY).await.expect("a policy");

        let kubelet = Kubelet::start(sandbox.plane, &format!("node-{}", sandbox.namespace)).await;
        let labels =
            [("app.kubernetes.io/name", "headscale"), ("app.kubernetes.io/instance", "main")];
        let address = headscale.address().parse().expect("an address");
        kubelet.run(&sandbox.namespace, "main-0", &labels, 8080, address).await;
        sandbox.instance("main").await;
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "main-api-key" }, "stringData": { "api-key": text } });
        sandbox.apply(secret).await;

        assert_eq!(sandbox.run(&["policy", "get", "main"]).success(), POLICY);
        let snapshot = sandbox.run(&["policy", "snapshot", "main"]).success();
        let snapshot: Value = serde_json::from_str(&snapshot).expect("JSON");
        assert_eq!(snapshot["users"][0]["name"], "alice");
        let check = sandbox.run(&["policy", "check", "--instance", "main"]);
        assert_eq!(check.code, Some(0), "{check}");
        sandbox.write("same.hujson", POLICY);
        let diff = sandbox.run(&["policy", "diff", "--instance", "main", "same.hujson"]);
        assert_eq!(diff.code, Some(0), "{diff}");
        tell(&format!("Headscale {}: asked through the API server", headscale.version()));
    }
}
