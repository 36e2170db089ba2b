//! What goes over the wire, in both directions.

use headscale_client::{ApiKeys as _, HeadscaleApi as _, HttpClient, NewDebugNode, NewPreAuthKey};
use headscale_client::{NewUser, NodeExpiry, Release, UserFilter};
use headscale_keys::KeyPrefix;
use jiff::Timestamp;

use crate::server::{Request, Server, json, key};

/// What every call about one thing takes for an answer.
const ANYTHING: &str = r#"{"user":{},"node":{},"apiKey":"hskey-api--A_PGBw4kQ2x-ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss",
    "preAuthKey":{"key":"hskey-auth-bbbbbbbbbbbb-ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"},
    "policy":"{}","databaseConnectivity":true}"#;

fn time() -> Timestamp {
    "2030-01-02T03:04:05.000000006Z".parse().expect("a time")
}

/// A server of a version.
async fn server(release: Release) -> Server {
    let version = format!(r#"{{"version":"v{release}.0"}}"#);
    Server::start(move |request| match request.line.as_str() {
        "GET /version" => json(&version),
        _ => json(ANYTHING),
    })
    .await
}

fn told(requests: Vec<Request>) -> Vec<String> {
    let told = requests.into_iter().map(|request| format!("{} {}", request.line, request.body));
    told.map(|line| line.trim_end().to_owned()).collect()
}

async fn everything(client: &HttpClient) {
    let prefix = KeyPrefix::parse("-A_PGBw4kQ2x").expect("a prefix");
    let strings = |text: &str| vec![text.to_owned()];
    client.create_api_key(time()).await.expect("an answer");
    client.list_api_keys().await.expect("an answer");
    client.expire_api_key(&prefix).await.expect("an answer");
    client.delete_api_key(&prefix).await.expect("an answer");
    client.health().await.expect("an answer");
    for filter in [
        UserFilter::All,
        UserFilter::Id(u64::MAX),
        UserFilter::Name("a b&c".to_owned()),
        UserFilter::Email("a+b@example.com".to_owned()),
    ] {
        client.list_users(&filter).await.expect("an answer");
    }
    client.create_user(&NewUser::named("a\"b")).await.expect("an answer");
    client.rename_user(1, "ü %#?").await.expect("an answer");
    client.delete_user(1).await.expect("an answer");
    client.list_nodes(None).await.expect("an answer");
    client.list_nodes(Some("a b")).await.expect("an answer");
    client.get_node(2).await.expect("an answer");
    client.expire_node(2, NodeExpiry::Now).await.expect("an answer");
    client.expire_node(2, NodeExpiry::At(time())).await.expect("an answer");
    client.rename_node(2, "a").await.expect("an answer");
    client.set_tags(2, &strings("tag:a")).await.expect("an answer");
    client.approve_routes(2, &strings("10.0.0.0/8")).await.expect("an answer");
    client.delete_node(2).await.expect("an answer");
    client.debug_create_node(&NewDebugNode::default()).await.expect("an answer");
    client.create_preauth_key(&NewPreAuthKey::of_user(3, time())).await.expect("an answer");
    client.create_preauth_key(&NewPreAuthKey::tagged(["tag:a"], time())).await.expect("an answer");
    client.list_preauth_keys().await.expect("an answer");
    client.expire_preauth_key(3).await.expect("an answer");
    client.delete_preauth_key(3).await.expect("an answer");
    client.policy().await.expect("an answer");
    client.set_policy("{}\n").await.expect("an answer");
}

#[tokio::test]
async fn all_versions_are_asked_alike() {
    let server = server(Release::V0_30).await;
    everything(&server.client()).await;
    let expected = [
        r#"POST /api/v1/apikey {"expiration":"2030-01-02T03:04:05.000000006Z"}"#,
        "GET /api/v1/apikey",
        r#"POST /api/v1/apikey/expire {"prefix":"-A_PGBw4kQ2x"}"#,
        "DELETE /api/v1/apikey/-A_PGBw4kQ2x",
        "GET /api/v1/health",
        "GET /api/v1/user",
        "GET /api/v1/user?id=18446744073709551615",
        "GET /api/v1/user?name=a%20b%26c",
        "GET /api/v1/user?email=a%2Bb%40example.com",
        r#"POST /api/v1/user {"name":"a\"b"}"#,
        "POST /api/v1/user/1/rename/%C3%BC%20%25%23%3F",
        "DELETE /api/v1/user/1",
        "GET /api/v1/node",
        "GET /api/v1/node?user=a%20b",
        "GET /api/v1/node/2",
        "POST /api/v1/node/2/expire",
        r#"POST /api/v1/node/2/expire?expiry=2030-01-02T03%3A04%3A05.000000006Z {"expiry":"2030-01-02T03:04:05.000000006Z"}"#,
        "POST /api/v1/node/2/rename/a",
        r#"POST /api/v1/node/2/tags {"tags":["tag:a"]}"#,
        r#"POST /api/v1/node/2/approve_routes {"routes":["10.0.0.0/8"]}"#,
        "DELETE /api/v1/node/2",
        r#"POST /api/v1/debug/node {"user":"","key":"","name":"","routes":[]}"#,
        r#"POST /api/v1/preauthkey {"user":"3","reusable":false,"ephemeral":false,"expiration":"2030-01-02T03:04:05.000000006Z","aclTags":[]}"#,
        r#"POST /api/v1/preauthkey {"reusable":false,"ephemeral":false,"expiration":"2030-01-02T03:04:05.000000006Z","aclTags":["tag:a"]}"#,
        "GET /api/v1/preauthkey",
        r#"POST /api/v1/preauthkey/expire {"id":"3"}"#,
        "DELETE /api/v1/preauthkey?id=3",
        "GET /api/v1/policy",
        r#"PUT /api/v1/policy {"policy":"{}\n"}"#,
    ];
    assert_eq!(told(server.seen()), expected);
}

#[tokio::test]
async fn every_request_has_the_key_and_says_what_it_is() {
    let server = server(Release::V0_30).await;
    everything(&server.client()).await;
    for request in server.seen() {
        let bearer = format!("Bearer {}", key().expose());
        assert_eq!(request.header("authorization"), Some(bearer.as_str()), "{}", request.line);
        assert_eq!(request.header("accept"), Some("application/json"));
        let content_type = (!request.body.is_empty()).then_some("application/json");
        assert_eq!(request.header("content-type"), content_type, "{}", request.line);
    }
}

#[tokio::test]
async fn what_depends_on_the_version_asks_for_it_without_the_key() {
    let ask = async |release| {
        let server = server(release).await;
        let client = server.client();
        // Refused before it is sent, or sent.
        drop(client.expire_node(2, NodeExpiry::Never).await);
        drop(client.check_policy("{}").await);
        client.register_node("a b", "hskey-authreq-1").await.expect("an answer");
        for request in server.seen().iter().filter(|request| request.line == "GET /version") {
            assert_eq!(request.header("authorization"), None);
        }
        told(server.seen())
    };
    let version = "GET /version";
    assert_eq!(
        ask(Release::V0_28).await,
        [version, version, version, "POST /api/v1/node/register?user=a%20b&key=hskey-authreq-1",]
    );
    for release in [Release::V0_29, Release::V0_30] {
        assert_eq!(
            ask(release).await,
            [
                version,
                r#"POST /api/v1/node/2/expire?disableExpiry=true {"disableExpiry":true}"#,
                version,
                r#"POST /api/v1/policy/check {"policy":"{}"}"#,
                version,
                r#"POST /api/v1/auth/register {"user":"a b","authId":"hskey-authreq-1"}"#,
            ]
        );
    }
}

#[tokio::test]
async fn answers_are_read_leniently() {
    let body = r#"{"nodes":[
        {"id":7,"name":null,"expiry":"0001-01-01T00:00:00Z","createdAt":"2027-01-01T02:00:00.5+02:00",
         "lastSeen":"","user":null,"preAuthKey":{"id":"3","key":"hskey-auth-bbbbbbbbbbbb-***","user":null},
         "registerMethod":"REGISTER_METHOD_NEW","tags":null,"online":null,"unknown":{"x":[1]}},
        {"id":null,"expiry":"1899-12-31T23:59:59Z","user":{"id":"18446744073709551615"}},
        {}
    ],"more":1}"#;
    let server = Server::with(json(body)).await;
    let nodes = server.client().list_nodes(None).await.expect("a list");
    assert_eq!(nodes.len(), 3);
    let node = &nodes[0];
    assert_eq!((node.id, node.name.as_str(), node.expiry, node.last_seen), (7, "", None, None));
    let created = "2027-01-01T00:00:00.5Z".parse().expect("a time");
    assert_eq!(node.created_at, Some(created));
    let key = node.pre_auth_key.as_ref().expect("a key");
    assert_eq!(key.prefix.as_ref().map(KeyPrefix::as_str), Some("bbbbbbbbbbbb"));
    assert_eq!(nodes[1].user.as_ref().map(|user| user.id), Some(u64::MAX));
    assert_eq!((nodes[1].expiry, &nodes[2]), (None, &headscale_client::Node::default()));
}

#[tokio::test]
async fn lists_may_be_missing_or_null() {
    for body in ["{}", r#"{"apiKeys":null,"users":null,"preAuthKeys":null}"#] {
        let server = Server::with(json(body)).await;
        let client = server.client();
        assert_eq!(client.list_api_keys().await.expect("a list"), []);
        assert_eq!(client.list_users(&UserFilter::All).await.expect("a list"), []);
        assert_eq!(client.list_preauth_keys().await.expect("a list"), []);
    }
}

#[tokio::test]
async fn keys_are_listed_with_what_they_have() {
    let body = r#"{"apiKeys":[
        {"id":"1","prefix":"hskey-api--A_PGBw4kQ2x-***","expiration":"2030-01-01T00:00:00.123456789Z"},
        {"id":"2","prefix":"1234567***","expiration":"0001-01-01T00:00:00Z"},
        {"id":"3","prefix":"7654321","expiration":null},
        {"id":"4","prefix":"hskey-api-aaaaaaaaaaaa-***","expiration":"9999-12-31T23:59:59.999Z"}
    ]}"#;
    let server = Server::with(json(body)).await;
    let keys = server.client().list_api_keys().await.expect("a list");
    let prefixes: Vec<&str> = keys.iter().map(|key| key.prefix.as_str()).collect();
    assert_eq!(prefixes, ["-A_PGBw4kQ2x", "1234567", "7654321", "aaaaaaaaaaaa"]);
    let expirations: Vec<Option<Timestamp>> = keys.iter().map(|key| key.expiration).collect();
    let first = "2030-01-01T00:00:00.123456789Z".parse().ok();
    assert_eq!(expirations, [first, None, None, Some(Timestamp::MAX)]);
}

#[tokio::test]
async fn old_keys_that_are_listed_in_full_are_not_kept() {
    let body =
        r#"{"preAuthKeys":[{"id":"1","key":"0123456789abcdef0123456789abcdef0123456789abcdef"}]}"#;
    let server = Server::with(json(body)).await;
    let keys = server.client().list_preauth_keys().await.expect("a list");
    assert_eq!(keys[0].prefix, None);
    assert!(!format!("{keys:?}").contains("0123456789"));
}
