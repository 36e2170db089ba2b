//! What survives what.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use headscale_standin::{Clock, PolicyMode, Registration, StandIn, Version};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::{Ask, create_key, options, start};

const LATER: &str = "2100-01-01T00:00:00.123456789Z";

#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    for version in Version::ALL {
        let (server, directory) = start(version).await;
        let key = create_key(&server, version, LATER).await.unwrap();
        let before = server.api_keys();
        let socket = server.socket().unwrap().to_owned();
        server.crash();
        assert!(socket.exists(), "a crash leaves the socket behind");

        let server = StandIn::start(options(version, directory.path())).await.unwrap();
        assert_eq!(server.api_keys(), before);
        assert_eq!(before[0].expiration, Some(LATER.parse::<Timestamp>().unwrap()));
        assert!(server.authenticates(&key));
        let listed = Ask::new("GET", "/api/v1/apikey").key(&key).tcp(&server).await.unwrap();
        assert_eq!(listed.json()["apiKeys"][0]["expiration"], LATER);
        assert!(server.every_key_ever().is_empty(), "texts are not stored");
    }
}

#[test]
fn a_stand_in_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<StandIn>();
}

#[tokio::test]
async fn only_hashes_are_on_disk() {
    let (server, directory) = start(Version::V0_29).await;
    create_key(&server, Version::V0_29, LATER).await.unwrap();
    let stored = fs::read_to_string(directory.path().join("db/headscale.json")).unwrap();
    for key in server.every_key_ever() {
        assert!(stored.contains(&key[10..22]));
        assert!(!stored.contains(&key[23..]));
    }
}

#[tokio::test]
async fn a_stopped_server_removes_its_socket_and_so_does_a_dropped_one() {
    let (server, directory) = start(Version::V0_30).await;
    let (socket, address) = (server.socket().unwrap().to_owned(), server.address().unwrap());
    server.stop().await;
    assert!(!socket.exists());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(StandIn::start(options(Version::V0_30, directory.path())).await.unwrap());
    assert!(!socket.exists());
}

#[tokio::test]
async fn the_socket_replaces_what_stands_in_its_place_and_has_the_mode_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(Version::V0_29, directory.path());
    let socket = options.socket.clone().unwrap();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    fs::write(&socket, "left behind").unwrap();
    options.socket_mode = 0o504;
    let server = StandIn::start(options).await.unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o504);
    create_key(&server, Version::V0_29, LATER).await.unwrap();
}

#[tokio::test]
async fn keys_expire_by_the_clock_of_the_stand_in() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(Version::V0_30, directory.path());
    options.clock = Clock::system();
    let clock = options.clock.clone();
    let server = StandIn::start(options).await.unwrap();
    let in_an_hour = (clock.now() + SignedDuration::from_hours(1)).to_string();
    let key = create_key(&server, Version::V0_30, &in_an_hour).await.unwrap();
    let status = || async {
        let asked = Ask::new("GET", "/api/v1/apikey").key(&key);
        asked.tcp(&server).await.unwrap().status
    };
    assert_eq!(status().await, 200);
    clock.advance(SignedDuration::from_hours(2));
    assert!(!server.authenticates(&key));
    assert_eq!(status().await, 401);
    clock.advance(SignedDuration::from_hours(-2));
    assert_eq!(status().await, 200);
    clock.advance(SignedDuration::from_hours(24 * 3652));
    create_key(&server, Version::V0_30, LATER).await.unwrap();
    assert!(server.api_keys()[1].created_at > Timestamp::now() + SignedDuration::from_hours(1));
}

#[tokio::test]
async fn a_wiped_database_knows_no_key_and_a_restored_one_knows_the_old_ones() {
    for version in Version::ALL {
        let (server, directory) = start(version).await;
        let old = create_key(&server, version, LATER).await.unwrap();
        let backup = server.snapshot();
        let newer = create_key(&server, version, LATER).await.unwrap();
        server.wipe();
        assert!(server.api_keys().is_empty());
        assert!(!server.authenticates(&old));
        let first = create_key(&server, version, LATER).await.unwrap();
        assert_eq!(server.api_keys()[0].id, 1);
        server.restore(&backup);
        let known = [&old, &newer, &first].map(|key| server.authenticates(key));
        assert_eq!(known, [true, false, false]);
        server.crash();
        let server = StandIn::start(options(version, directory.path())).await.unwrap();
        assert!(server.authenticates(&old), "what was restored is on disk");
    }
}

#[tokio::test]
async fn planted_keys_of_old_servers_are_let_in() {
    let (server, _directory) = start(Version::V0_29).await;
    let old = "AbCdEf1.abcdefghijklmnopqrstuvwxyz012345";
    server.plant_api_key(old, None);
    assert!(server.authenticates(old));
    let listed = Ask::new("GET", "/api/v1/apikey").key(old).tcp(&server).await.unwrap().json();
    assert_eq!(listed["apiKeys"][0]["prefix"], "AbCdEf1***");
    assert_eq!(listed["apiKeys"][0]["expiration"], json!(null));
    let expire = Ask::new("POST", "/api/v1/apikey/expire").body("{\"prefix\":\"AbCdEf1\"}");
    assert_eq!(expire.key(old).tcp(&server).await.unwrap().status, 200);
    assert!(!server.authenticates(old));
}

#[tokio::test]
async fn machines_come_in_with_pre_auth_keys_as_long_as_those_are_good() {
    for version in Version::ALL {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(version, directory.path());
        options.policy_mode = PolicyMode::Database;
        let server = StandIn::start(options).await.unwrap();
        let key = create_key(&server, version, LATER).await.unwrap();
        let made = |body: &'static str| {
            let asked = Ask::new("POST", "/api/v1/preauthkey").key(&key).body(body);
            async { asked.tcp(&server).await.unwrap().json()["preAuthKey"]["key"].clone() }
        };
        let once = made("{\"aclTags\":[\"tag:a\"],\"expiration\":\"2100-01-01T00:00:00Z\"}").await;
        let born_expired = made("{\"aclTags\":[\"tag:a\"]}").await;
        let machine = |key: &str, machine_key: &str, node_key: &str| Registration {
            auth_key: key.to_owned(),
            hostname: "proxy-0".to_owned(),
            machine_key: machine_key.to_owned(),
            node_key: node_key.to_owned(),
            routes: vec!["10.0.0.0/24".to_owned()],
        };
        let (once, born_expired) = (once.as_str().unwrap(), born_expired.as_str().unwrap());
        let refused = server.register(&machine(born_expired, "", "")).unwrap_err();
        assert_eq!(refused, "authkey expired");
        assert!(server.register(&machine("hskey-auth-x", "", "")).is_err());
        let node = server.register(&machine(once, "mkey:1", "nodekey:1")).unwrap();
        let again = server.register(&machine(once, "mkey:1", "nodekey:1"));
        // A tagged node that comes back with its used key is refused by 0.28 alone.
        match version {
            Version::V0_28 => assert_eq!(again.unwrap_err(), "authkey already used"),
            _ => assert_eq!(again.unwrap(), node),
        }
        let other = server.register(&machine(once, "mkey:2", "nodekey:2")).unwrap_err();
        assert_eq!(other, "authkey already used");
        let nodes = Ask::new("GET", "/api/v1/node").key(&key).tcp(&server).await.unwrap().json();
        let listed = &nodes["nodes"][0];
        assert_eq!(listed["user"]["name"], "tagged-devices");
        assert_eq!(listed["availableRoutes"], json!(["10.0.0.0/24"]));
        assert_eq!(listed["preAuthKey"]["used"], true);
        assert_eq!(listed["registerMethod"], "REGISTER_METHOD_AUTH_KEY");
        assert_eq!(listed["expiry"], json!(null));
    }
}

#[tokio::test]
async fn a_server_starts_where_the_last_one_was_of_its_minor_version_or_the_one_before() {
    let versions = [
        (Version::V0_28, "v0.28.0"),
        (Version::V0_29, "v0.29.2"),
        (Version::V0_30, "v0.30.0"),
        (Version::V0_30, "v0.31.0"),
    ];
    for (before, (first, first_name)) in versions.into_iter().enumerate() {
        for (after, (second, second_name)) in versions.into_iter().enumerate() {
            let directory = tempfile::tempdir().unwrap();
            let start = |version, name: &str| {
                let mut options = options(version, directory.path());
                options.reported_version = name.to_owned();
                StandIn::start(options)
            };
            drop(start(first, first_name).await.unwrap());
            let done = start(second, second_name).await;
            // 0.28 leaves no version behind.
            let may = before == 0 || (after > 0 && (before..=before + 1).contains(&after));
            assert_eq!(done.is_ok(), may, "{first_name} and then {second_name}: {done:?}");
            if let Err(error) = done {
                let why = match after {
                    0 => "database_versions",
                    _ if after < before => "downgrade",
                    _ => "upgrade",
                };
                assert!(error.to_string().contains(why), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_database_that_is_named_looks_like_one_of_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("db.sqlite");
    let mut options = options(Version::V0_29, directory.path());
    options.database = Some(file.clone());
    let server = StandIn::start(options.clone()).await.unwrap();
    let key = create_key(&server, Version::V0_29, LATER).await.unwrap();
    server.stop().await;
    assert!(fs::read(&file).unwrap().starts_with(b"SQLite format 3\0"));
    assert!(StandIn::start(options.clone()).await.unwrap().authenticates(&key));
    fs::write(&file, "something else").unwrap();
    StandIn::start(options).await.expect_err("no database");
}
