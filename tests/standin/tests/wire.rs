//! What is on the wire where clients look before they know whom they speak to, and where they are
//! wrong.

mod support;

use headscale_client::pb;
use headscale_standin::{Options, PolicyMode, StandIn, Version};
use serde_json::json;
use support::{Ask, Refused, create_key, grpc, options, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LATER: &str = "2100-01-01T00:00:00Z";

#[tokio::test]
async fn http_on_an_old_socket_gets_a_frame_of_http_2() {
    for version in [Version::V0_28, Version::V0_29] {
        let (server, _directory) = start(version).await;
        let mut stream = tokio::net::UnixStream::connect(server.socket().unwrap()).await.unwrap();
        let request = b"GET /api/v1/health HTTP/1.1\r\nHost: local\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // It ends with or without a reset, as what was sent is read or not.
        drop(stream.read_to_end(&mut answer).await);
        // Type 4 is SETTINGS; the three bytes before are the length.
        assert_eq!(answer.get(3), Some(&4), "{answer:?}");
    }
}

#[tokio::test]
async fn the_new_socket_serves_the_api_alone_and_trusts_who_reaches_it() {
    let (server, _directory) = start(Version::V0_30).await;
    let ask = |path| Ask::new("GET", path).key("nonsense").unix(&server);
    assert_eq!(ask("/api/v1/health").await.unwrap().json(), json!({"databaseConnectivity": true}));
    assert_eq!(ask("/api/v1/openapi.yaml").await.unwrap().status, 200);
    for path in ["/version", "/health", "/api/v1/nothing"] {
        let answer = ask(path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{path}");
    }
}

#[tokio::test]
async fn versions_can_be_told_apart_without_a_key() {
    for (version, released, openapi) in [
        (Version::V0_28, "v0.28.0", 401),
        (Version::V0_29, "v0.29.2", 401),
        (Version::V0_30, "v0.30.0-dev", 200),
    ] {
        let (server, directory) = start(version).await;
        let get = |path| Ask::new("GET", path).tcp(&server);
        assert_eq!(get("/version").await.unwrap().json()["version"], released);
        assert_eq!(get("/health").await.unwrap().json(), json!({"status": "pass"}));
        assert_eq!(get("/api/v1/openapi.yaml").await.unwrap().status, openapi);
        let keyless = get("/api/v1/user").await.unwrap();
        assert_eq!(keyless.status, 401);
        if version.has_grpc() {
            assert_eq!(keyless.body, "Unauthorized");
            assert!(keyless.content_type.starts_with("text/plain"));
        } else {
            assert_eq!(keyless.content_type, "application/problem+json");
        }
        drop(server);
        let options = Options {
            reported_version: "dev".to_owned(),
            ..Options::new(version, directory.path()).on_tcp()
        };
        let server = StandIn::start(options).await.unwrap();
        let told = Ask::new("GET", "/version").tcp(&server).await.unwrap().json();
        assert_eq!(told["version"], "dev");
    }
}

#[tokio::test]
async fn a_key_deletes_itself_and_is_unknown_then() {
    for version in Version::ALL {
        let (server, _directory) = start(version).await;
        // Three, because their prefixes differ in kind.
        for _ in 0..3 {
            let key = create_key(&server, version, LATER).await.unwrap();
            let path = format!("/api/v1/apikey/hskey-api-{}-%2A%2A%2A", &key[10..22]);
            let delete = || Ask::new("DELETE", &path);
            let answer = delete().key(&key).tcp(&server).await.unwrap();
            assert_eq!((answer.status, answer.body.trim_end()), (200, "{}"), "{version:?}");
            assert_eq!(delete().key(&key).tcp(&server).await.unwrap().status, 401);
        }
        let key = create_key(&server, version, LATER).await.unwrap();
        let missing = Ask::new("DELETE", "/api/v1/apikey/aaaaaaaaaaaa").key(&key);
        let missing = missing.tcp(&server).await.unwrap();
        if version.has_grpc() {
            assert_eq!(missing.status, 500);
            let body = json!({"code": 2, "message": "record not found", "details": []});
            assert_eq!(missing.json(), body);
        } else {
            assert_eq!(missing.status, 404);
            assert_eq!(missing.json()["errors"][0]["message"], "record not found");
        }
    }
}

#[tokio::test]
async fn grpc_answers_with_the_codes_of_the_real_one() {
    let (server, _directory) = start(Version::V0_29).await;
    let socket = server.socket().unwrap();
    let delete = |id, prefix: &str| {
        let request = pb::DeleteApiKeyRequest { id, prefix: prefix.to_owned() };
        grpc::<_, pb::DeleteApiKeyResponse>(socket, "DeleteApiKey", request)
    };
    let refused = |code, message: &str| Err(Refused { code, message: message.to_owned() });
    assert_eq!(delete(0, "").await.unwrap(), refused(3, "must provide id or prefix"));
    let both = delete(1, "aaaaaaaaaaaa").await.unwrap();
    assert_eq!(both, refused(3, "provide either id or prefix, not both"));
    assert_eq!(delete(0, "aaaaaaaaaaaa").await.unwrap(), refused(2, "record not found"));
    let made: pb::CreateApiKeyResponse =
        grpc(socket, "CreateApiKey", pb::CreateApiKeyRequest { expiration: None })
            .await
            .unwrap()
            .unwrap();
    assert!(!server.authenticates(&made.api_key), "without an expiration it is born expired");
    let unknown = grpc::<_, pb::ListApiKeysResponse>(socket, "Nothing", pb::ListApiKeysRequest {});
    assert_eq!(unknown.await.unwrap().unwrap_err().code, 12);
}

#[tokio::test]
async fn a_rest_path_on_an_old_socket_is_an_unsupported_type() {
    let (server, _directory) = start(Version::V0_29).await;
    let stream = tokio::net::UnixStream::connect(server.socket().unwrap()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://local/api/v1/user")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 415);
}

#[tokio::test]
async fn the_old_gateway_is_lenient_and_the_new_api_is_not() {
    for version in Version::ALL {
        let (server, _directory) = start(version).await;
        let key = create_key(&server, version, LATER).await.unwrap();
        let create = |body| Ask::new("POST", "/api/v1/user").key(&key).body(body);
        let named = "{\"name\":\"alice\",\"display_name\":\"Alice\",\"nosuch\":1}";
        let sloppy = create(named).content_type("application/x-www-form-urlencoded");
        let sloppy = sloppy.tcp(&server).await.unwrap();
        let strict = create(named).tcp(&server).await.unwrap();
        let number = "{\"user\":1,\"expiration\":\"2100-01-01T00:00:00Z\"}";
        let number = Ask::new("POST", "/api/v1/preauthkey").key(&key).body(number);
        let number = number.tcp(&server).await.unwrap();
        let method = Ask::new("PATCH", "/api/v1/user").key(&key).tcp(&server).await.unwrap();
        let large = format!("{{\"policy\":\"{}\"}}", " ".repeat(1 << 20));
        let large = Ask::new("POST", "/api/v1/policy/check").key(&key).body(&large);
        let large = large.tcp(&server).await.unwrap();
        if version.has_grpc() {
            assert_eq!(sloppy.json()["user"]["displayName"], "Alice");
            assert_eq!((strict.status, strict.json()["code"].clone()), (500, json!(13)));
            assert_eq!(number.json()["preAuthKey"]["user"]["name"], "alice");
            assert_eq!(method.status, 501);
            assert_ne!(large.status, 413);
        } else {
            assert_eq!(sloppy.status, 415);
            assert_eq!(strict.status, 422);
            assert_eq!(strict.json()["errors"][0]["message"], "unexpected property");
            assert_eq!(number.status, 422);
            let error = json!({"message": "expected string", "location": "body.user", "value": 1});
            assert_eq!(number.json()["errors"][0], error);
            assert_eq!((method.status, method.body.as_str()), (405, ""));
            assert_eq!(large.status, 413);
            let words = "request body is too large limit=1048576 bytes";
            assert_eq!(large.json()["detail"], words);
        }
    }
}

#[tokio::test]
async fn expiring_a_node_looks_in_the_query_or_in_the_body_but_never_in_both() {
    for version in Version::ALL {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(version, directory.path());
        options.policy_mode = PolicyMode::Database;
        let server = StandIn::start(options).await.unwrap();
        let key = create_key(&server, version, LATER).await.unwrap();
        let post = |path: &'static str, body: &'static str| {
            let key = key.clone();
            let server = &server;
            async move { Ask::new("POST", path).key(&key).body(body).tcp(server).await.unwrap() }
        };
        post("/api/v1/user", "{\"name\":\"alice\"}").await;
        let (debug, register) = if version == Version::V0_28 {
            (
                "{\"user\":\"alice\",\"key\":\"aaaaaaaaaaaaaaaaaaaaaaaa\",\"name\":\"box\"}",
                "/api/v1/node/register?user=alice&key=aaaaaaaaaaaaaaaaaaaaaaaa",
            )
        } else {
            (
                "{\"user\":\"alice\",\"key\":\"hskey-authreq-aaaaaaaaaaaaaaaaaaaaaaaa\",\"name\":\"box\"}",
                "/api/v1/node/register?user=alice&key=hskey-authreq-aaaaaaaaaaaaaaaaaaaaaaaa",
            )
        };
        assert_eq!(post("/api/v1/debug/node", debug).await.json()["node"]["id"], "0");
        let node = post(register, "").await.json();
        assert_eq!(node["node"]["expiry"], "0001-01-01T00:00:00Z");

        let never = json!(null);
        let in_body = post("/api/v1/node/1/expire", "{\"disableExpiry\":true}").await.json();
        let in_query = post("/api/v1/node/1/expire?disableExpiry=true", "").await.json();
        let (in_body, in_query) = (&in_body["node"]["expiry"], &in_query["node"]["expiry"]);
        match version {
            Version::V0_28 => assert!(*in_body != never && *in_query != never),
            Version::V0_29 => assert!(*in_body != never && *in_query == never),
            Version::V0_30 => assert!(*in_body == never && *in_query != never),
        }
        let at = post(
            "/api/v1/node/1/expire?expiry=2100-01-01T00%3A00%3A00Z",
            "{\"expiry\":\"2100-01-01T00:00:00Z\"}",
        );
        assert_eq!(at.await.json()["node"]["expiry"], LATER);
    }
}
