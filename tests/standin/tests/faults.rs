//! Faults do what they say, on every transport.

mod support;

use std::time::Duration;

use headscale_standin::{Call, Fault, Kind, StandIn, Version};
use support::{Ask, create_key, start, until};

const LATER: &str = "2100-01-01T00:00:00.123456789Z";

fn inject(server: &StandIn, call: Call, kind: Kind, times: u32) {
    server.faults().inject(Fault { call, kind, times });
}

#[tokio::test]
async fn a_cut_before_leaves_nothing_and_a_cut_after_leaves_a_key() {
    for version in Version::ALL {
        let (server, _directory) = start(version).await;
        for (kind, keys) in [(Kind::DropBefore, 0), (Kind::DropAfter, 1), (Kind::Truncated, 2)] {
            inject(&server, Call::CreateApiKey, kind, 1);
            let outcome = create_key(&server, version, LATER).await;
            assert!(outcome.is_err(), "{version:?} {kind:?}");
            assert_eq!(server.api_keys().len(), keys, "{version:?} {kind:?}");
        }
        assert_eq!(server.faults().left(), 0);
        let key = create_key(&server, version, LATER).await.unwrap();
        assert!(server.authenticates(&key));
        let ever = server.every_key_ever();
        assert_eq!(ever.len(), 3, "the lost ones are known to the test");
        assert!(ever.iter().all(|key| server.authenticates(key)));
    }
}

#[tokio::test]
async fn a_truncated_answer_begins_as_the_whole_one() {
    let (server, _directory) = start(Version::V0_30).await;
    inject(&server, Call::ListApiKeys, Kind::Truncated, 1);
    let mut stream = tokio::net::UnixStream::connect(server.socket().unwrap()).await.unwrap();
    let request = b"GET /api/v1/apikey HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-length: 15\r\n"), "{answer}");
    assert!(answer.ends_with("{\"apiKe"), "{answer}");
}

#[tokio::test]
async fn statuses_and_refusals_come_in_the_form_of_the_version() {
    for version in Version::ALL {
        let (server, _directory) = start(version).await;
        let key = create_key(&server, version, LATER).await.unwrap();
        let list = || Ask::new("GET", "/api/v1/apikey").key(&key);
        inject(&server, Call::ListApiKeys, Kind::Status(503), 1);
        let answer = list().tcp(&server).await.unwrap();
        let (status, content_type) = (answer.status, answer.content_type.as_str());
        if version.has_grpc() {
            assert_eq!((status, content_type), (503, "application/json"));
            assert_eq!(answer.json()["code"], 14);
        } else {
            assert_eq!((status, content_type), (503, "application/problem+json"));
            assert_eq!(answer.json()["status"], 503);
        }
        inject(&server, Call::ListApiKeys, Kind::Unauthorized, 1);
        let refused = list().tcp(&server).await.unwrap();
        let keyless = Ask::new("GET", "/api/v1/apikey").tcp(&server).await.unwrap();
        assert_eq!(format!("{refused:?}"), format!("{keyless:?}"));
        assert_eq!(list().tcp(&server).await.unwrap().status, 200);

        inject(&server, Call::CreateApiKey, Kind::Status(503), 1);
        let refused = create_key(&server, version, LATER).await.unwrap_err();
        assert!(refused.contains(if version.has_grpc() { "code: 14" } else { "503" }), "{refused}");
        assert_eq!(server.api_keys().len(), 1);
    }
}

#[tokio::test]
async fn a_rule_ends_after_its_times_and_leaves_other_calls_alone() {
    let (server, _directory) = start(Version::V0_30).await;
    let list = || async { Ask::new("GET", "/api/v1/apikey").unix(&server).await.unwrap().status };
    let users = || async { Ask::new("GET", "/api/v1/user").unix(&server).await.unwrap().status };
    inject(&server, Call::ListApiKeys, Kind::Status(500), 2);
    inject(&server, Call::ListApiKeys, Kind::Status(502), 1);
    assert_eq!(users().await, 200);
    assert_eq!([list().await, list().await, list().await, list().await], [500, 500, 502, 200]);
    inject(&server, Call::Any, Kind::Status(504), u32::MAX);
    assert_eq!([list().await, users().await], [504, 504]);
    server.faults().clear();
    assert_eq!([list().await, users().await], [200, 200]);
}

#[tokio::test]
async fn a_delayed_call_is_carried_out_though_its_client_has_gone() {
    for version in Version::ALL {
        let (server, _directory) = start(version).await;
        inject(&server, Call::CreateApiKey, Kind::Delay(Duration::from_millis(300)), 1);
        let patience = Duration::from_millis(50);
        let outcome = tokio::time::timeout(patience, create_key(&server, version, LATER)).await;
        assert!(outcome.is_err(), "the answer comes later");
        assert_eq!(server.api_keys().len(), 0);
        until("the key is there", || server.api_keys().len() == 1).await;
    }
}

#[tokio::test]
async fn a_crash_stops_what_is_delayed() {
    let (server, directory) = start(Version::V0_29).await;
    inject(&server, Call::CreateApiKey, Kind::Delay(Duration::from_secs(3600)), 1);
    let waits = create_key(&server, Version::V0_29, LATER);
    let outcome = tokio::time::timeout(Duration::from_millis(50), waits).await;
    assert!(outcome.is_err(), "the answer never comes");
    server.crash();
    let options = support::options(Version::V0_29, directory.path());
    let again = StandIn::start(options).await.unwrap();
    assert!(again.api_keys().is_empty());
}

#[tokio::test]
async fn requests_are_told_in_order_and_without_their_queries() {
    let (server, _directory) = start(Version::V0_28).await;
    create_key(&server, Version::V0_28, LATER).await.unwrap();
    Ask::new("GET", "/api/v1/user?name=x").tcp(&server).await.unwrap();
    Ask::new("GET", "/version").tcp(&server).await.unwrap();
    let expected = ["grpc CreateApiKey", "GET /api/v1/user", "GET /version"];
    assert_eq!(server.requests(), expected);
}
