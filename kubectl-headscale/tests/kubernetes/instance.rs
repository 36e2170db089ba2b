//! Instances that are asked through the API server and a kubelet: the ways that go well.

use headscale_standin::Version;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::object;
use crate::tls::TlsServer;
use crate::world::{POLICY, World};

#[tokio::test(flavor = "multi_thread")]
async fn every_version_gives_its_policy_as_it_is_stored() {
    for version in Version::ALL {
        let Some(world) = World::new(version).await else { return };
        assert_eq!(world.run(&["policy", "get", "main"]).success(), POLICY, "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_gives_the_same_users_and_nodes() {
    let mut first = None;
    for version in Version::ALL {
        let Some(world) = World::new(version).await else { return };
        let snapshot = world.run(&["policy", "snapshot", "main"]).success();
        let first = first.get_or_insert_with(|| snapshot.clone());
        assert_eq!(&snapshot, first, "{version:?}");
    }
    assert_snapshot!(first.unwrap_or_default(), @r#"
    {
      "users": [
        {
          "id": "1",
          "name": "alice",
          "displayName": "Alice A.",
          "email": "alice@corp.example",
          "providerId": ""
        },
        {
          "id": "2",
          "name": "bob",
          "displayName": "",
          "email": "",
          "providerId": ""
        }
      ],
      "nodes": [
        {
          "id": "1",
          "name": "laptop",
          "givenName": "laptop",
          "user": {
            "id": "1",
            "name": "alice"
          },
          "ipAddresses": [
            "100.64.0.1",
            "fd7a:115c:a1e0::1"
          ],
          "tags": [],
          "availableRoutes": [],
          "approvedRoutes": []
        },
        {
          "id": "2",
          "name": "database",
          "givenName": "database",
          "ipAddresses": [
            "100.64.0.2",
            "fd7a:115c:a1e0::2"
          ],
          "tags": [
            "tag:db"
          ],
          "availableRoutes": [],
          "approvedRoutes": []
        }
      ]
    }
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_can_be_shown_to_others() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    let out = world.run(&["policy", "snapshot", "main", "--redact", "-o", "yaml"]).success();
    assert_snapshot!(out, @r#"
    users:
    - id: "1"
      name: user-1
      displayName: display-1
      email: user-1@domain-1.example
      providerId: ""
    - id: "2"
      name: user-2
      displayName: ""
      email: ""
      providerId: ""
    nodes:
    - id: "1"
      name: node-1
      givenName: node-1
      user:
        id: "1"
        name: user-1
      ipAddresses:
      - "100.64.0.1"
      - fd7a:115c:a1e0::1
      tags: []
      availableRoutes: []
      approvedRoutes: []
    - id: "2"
      name: node-2
      givenName: node-2
      ipAddresses:
      - "100.64.0.2"
      - fd7a:115c:a1e0::2
      tags:
      - tag:db
      availableRoutes: []
      approvedRoutes: []
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_snapshot_serves_the_offline_commands() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    assert_snapshot!(world.run(&["policy", "snapshot", "main", "--out", "tailnet.json"]), @"
    exit: 0
    --- stderr
    note: wrote 2 users and 2 nodes of headscale/main to tailnet.json
    ");
    world.sandbox.write("policy.hujson", POLICY);
    let args = ["--tailnet", "tailnet.json", "--from", "laptop", "--to", "tag:db:5432"];
    let offline = world.run(&[&["policy", "explain", "policy.hujson"], &args[..]].concat());
    let args = ["--instance", "main", "--from", "laptop", "--to", "tag:db:5432"];
    let live = world.run(&[&["policy", "explain"], &args[..]].concat());
    assert_snapshot!(live, @r#"
    exit: 0
    --- stdout
    allowed: laptop to tag:db:5432

    <headscale/main>:5:3: acls[0]
      {"action":"accept","src":["alice@"],"dst":["tag:db:5432"]}
      from laptop ∈ alice@
      to   tag:db
    "#);
    assert_eq!(offline.stdout, live.stdout.replace("<headscale/main>", "policy.hujson"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_decides_policy_nodes_and_version() {
    for version in Version::ALL {
        let Some(world) = World::new(version).await else { return };
        let check = world.run(&["policy", "check", "--instance", "main", "-o", "concise"]);
        assert_eq!(check.code, Some(0), "{version:?} {check}");
        let entry = "{from: laptop, to: 'tag:db:5432', expect: accept}";
        world.sandbox.write("suite.yaml", format!("version: 1\ntests:\n- {entry}\n"));
        let test = ["policy", "test", "--instance", "main", "--suite", "suite.yaml"];
        let test = world.run(&test);
        assert_eq!(test.code, Some(0), "{version:?} {test}");
        let access = ["policy", "access", "--instance", "main", "--from", "alice@"];
        let access = world.run(&access);
        assert_eq!(access.code, Some(0), "{version:?} {access}");
        if version == Version::V0_29 {
            assert_snapshot!(check, @r#"
            exit: 0
            --- stdout
            <headscale/main>: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
            "#);
            assert_snapshot!(test, @"
            exit: 0
            --- stdout
            2 files: ok
            --- stderr
            note: <headscale/main>: 1 entry of suites, all hold
            ");
            assert_snapshot!(access, @"
            exit: 0
            --- stdout
            FROM     TO       PROTOCOL   PORTS
            alice@   tag:db   *          5432
            ");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_held_against_the_nodes_of_an_instance() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    world.sandbox.write("new.hujson", POLICY.replace("5432", "*").replace("alice@", "carol@"));
    let check = ["policy", "check", "--instance", "main", "-o", "concise", "new.hujson"];
    assert_snapshot!(world.run(&check), @r#"
    exit: 0
    --- stdout
    new.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    new.hujson:3:27: warning[user-unknown] the tailnet has no user `carol@` (help: Headscale accepts this and the name matches nobody; create the user, or remove the name)
    new.hujson:5:32: warning[user-unknown] the tailnet has no user `carol@` (help: Headscale accepts this and the name matches nobody; create the user, or remove the name)
    "#);
    let diff = world.run(&["policy", "diff", "--instance", "main", "new.hujson"]);
    assert_snapshot!(diff, @"
    exit: 1
    --- stdout
    - net  alice@  ->  tag:db  5432

    reachability shrinks
    ");
    world.sandbox.write("same.hujson", POLICY);
    let same = world.run(&["policy", "diff", "--instance", "main", "same.hujson"]);
    assert_snapshot!(same, @"
    exit: 0
    --- stdout
    reachability stays the same
    ");
    let both = ["policy", "diff", "--instance", "main", "same.hujson", "new.hujson"];
    assert_eq!(world.run(&both), diff);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_run_is_refused() {
    let Some(world) = World::new(Version::V0_28).await else { return };
    let check = |versions| {
        world.run(&["policy", "check", "--instance", "main", "--headscale-version", versions])
    };
    assert_snapshot!(check("0.29"), @"
    exit: 2
    --- stderr
    error: --headscale-version 0.29 is not what headscale/main runs: 0.28.0
    hint: leave it out: the instance decides its version
    ");
    // For an upgrade.
    assert_eq!(check("0.28,0.29").code, Some(0));
    let explain = ["policy", "explain", "--instance", "main", "--headscale-version", "0.30"];
    let explain = world.run(&[&explain[..], &["--from", "laptop", "--to", "tag:db"]].concat());
    assert_eq!(explain.code, Some(2), "{explain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headscale_elsewhere_is_asked_by_its_address() {
    let Some(world) = World::new(Version::V0_30).await else { return };
    let url = world.url();
    world.sandbox.write("key", format!("{}\n", world.key()));
    let get = ["policy", "get", "--address", &url, "--api-key-file", "key"];
    assert_eq!(world.run(&get).success(), POLICY);
    let check = ["policy", "check", "-o", "concise", "--address", &url];
    assert_eq!(world.with_variable("HEADSCALE_API_KEY", world.key(), &check).code, Some(0));
    let named = [&check[..], &["--api-key-env", "MY_KEY"]].concat();
    assert_eq!(world.with_variable("MY_KEY", world.key(), &named).code, Some(0));
    assert_snapshot!(world.hide(world.run(&check)), @"
    exit: 2
    --- stderr
    error: the variable HEADSCALE_API_KEY has no API key: it is not set
    hint: set it, or name a file with --api-key-file
    ");
    let refused = world.with_variable("MY_KEY", &"k".repeat(40), &named);
    assert_snapshot!(world.hide(refused), @"
    exit: 4
    --- stderr
    error: there is no API key in $MY_KEY
    hint: `headscale apikeys create` makes one: `hskey-api-` and 77 characters
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_speaks_tls_is_known_by_the_name_of_its_url() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    let namespace = &world.sandbox.namespace;
    let tls = TlsServer::start("vpn.example.com", world.address());
    let labels = [("app.kubernetes.io/name", "headscale"), ("app.kubernetes.io/instance", "tls")];
    world.kubelet.run(namespace, "tls-0", &labels, 8443, tls.address).await;
    world.secret_named("tls-api-key", json!({ "api-key": world.key() })).await;
    world.secret_named("tls-ca", json!({ "ca.crt": tls.pem })).await;
    let instance = |host: &str| {
        let spec = json!({ "version": "0.29.2", "replicas": 1,
            "config": { "server_url": format!("https://{host}:443") },
            "secrets": { "tls": { "name": "tls" }, "ca": { "name": "tls-ca", "key": "ca.crt" } } });
        object("Headscale", "tls", &spec)
    };
    world.sandbox.apply(instance("vpn.example.com")).await;
    assert_eq!(world.run(&["policy", "get", "tls"]).success(), POLICY);
    world.sandbox.apply(instance("other.example.com")).await;
    assert_snapshot!(world.run(&["policy", "get", "tls"]), @r#"
    exit: 1
    --- stderr
    Error from headscale (Unavailable): ask for the version: client error (Connect): invalid peer certificate: certificate not valid for name "other.example.com"; certificate is only valid for DnsName("vpn.example.com")
    hint: is headscale/tls up, and is this its address?
    "#);
}
