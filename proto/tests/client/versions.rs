//! Which version answers.

use headscale_client::{ErrorKind, HeadscaleApi as _, Release};

use crate::server::{Reply, Server, answer, json};

const OLDER: &str = r#"{"paths":{"/api/v1/user":{"get":{}},"/api/v1/preauthkey":{"get":{}}}}"#;
const V0_28: &str = r#"{"paths":{"/api/v1/preauthkey":{"delete":{}},"/api/v1/user":{"get":{}}}}"#;
const V0_29: &str =
    r#"{"paths":{"/api/v1/preauthkey":{"delete":{}},"/api/v1/policy/check":{"post":{}}}}"#;

/// A server that says `version` and has what `swagger` describes, or the description of 0.30.
async fn server(version: &str, swagger: Option<&'static str>) -> Server {
    let version = format!(r#"{{"version":"{version}","commit":"unknown","dirty":false}}"#);
    Server::start(move |request| match (request.line.as_str(), swagger) {
        ("GET /version", _) => json(&version),
        ("GET /api/v1/openapi.yaml", None) => answer(200, "application/openapi+yaml", "openapi:"),
        ("GET /api/v1/openapi.yaml", _) => answer(401, "text/plain", "Unauthorized"),
        ("GET /swagger/v1/openapiv2.json", Some(swagger)) => json(swagger),
        _ => answer(404, "text/plain", "404 page not found"),
    })
    .await
}

#[tokio::test]
async fn a_release_says_it() {
    for (version, release, shown) in [
        ("v0.28.0", Release::V0_28, "0.28.0"),
        ("0.28.9", Release::V0_28, "0.28.9"),
        ("v0.29.2", Release::V0_29, "0.29.2"),
        ("v0.29.2+dirty", Release::V0_29, "0.29.2+dirty"),
        ("0.30.0", Release::V0_30, "0.30.0"),
        ("v0.30", Release::V0_30, "0.30"),
    ] {
        let server = server(version, Some("not asked for")).await;
        let told = server.client().version().await.expect("a version");
        assert_eq!((told.release, told.reported.as_str()), (release, version));
        assert_eq!(told.to_string(), shown);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn other_builds_are_told_by_what_they_have() {
    // Such builds are named after the last release that they know of.
    for (version, swagger, release, shown) in [
        ("dev", Some(V0_28), Release::V0_28, "0.28 (dev)"),
        ("dev", Some(V0_29), Release::V0_29, "0.29 (dev)"),
        ("dev", None, Release::V0_30, "0.30 (dev)"),
        ("(devel)", None, Release::V0_30, "0.30 ((devel))"),
        ("", None, Release::V0_30, "0.30"),
        ("v0.30.0-beta.1", None, Release::V0_30, "0.30.0-beta.1"),
        (
            "v0.29.3-0.20260721000000-f20f1f12",
            None,
            Release::V0_30,
            "0.30 (0.29.3-0.20260721000000-f20f1f12)",
        ),
        ("v0.29.0-beta.1", Some(V0_29), Release::V0_29, "0.29.0-beta.1"),
        (
            "v0.0.0-20260721000000-f20f1f12",
            Some(V0_29),
            Release::V0_29,
            "0.29 (0.0.0-20260721000000-f20f1f12)",
        ),
        ("1.2.x", Some(V0_28), Release::V0_28, "0.28 (1.2.x)"),
    ] {
        let server = server(version, swagger).await;
        let told = server.client().version().await.expect("a version");
        assert_eq!((told.release, told.to_string().as_str()), (release, shown), "{version}");
        assert!(server.seen().iter().all(|request| request.header("authorization").is_none()));
    }
}

#[tokio::test]
async fn others_are_refused() {
    for (version, swagger) in [
        ("v0.27.1", Some(OLDER)),
        ("v0.31.0", None),
        ("v0.31.0-beta.1", None),
        ("v1.0.0", None),
        ("dev", Some(OLDER)),
        ("v0.27.0-beta.1", Some(OLDER)),
    ] {
        let error = server(version, swagger).await.client().version().await.expect_err(version);
        assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unsupported, false));
        assert!(
            error.to_string().ends_with("is not supported: 0.28, 0.29 and 0.30 are"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_not_headscale_is_told_so() {
    for reply in [
        answer(404, "text/plain", "404 page not found"),
        answer(200, "text/html", "<html></html>"),
        answer(200, "application/json", "{}"),
    ] {
        let error = Server::with(reply).await.client().version().await.expect_err("no Headscale");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("what answers is not Headscale"), "{error}");
    }
}

#[tokio::test]
async fn what_is_away_is_told_so() {
    for (reply, kind) in [
        (answer(503, "text/plain", "no upstream"), ErrorKind::Unavailable),
        (Reply::Close, ErrorKind::Unavailable),
        (answer(500, "text/plain", "oops"), ErrorKind::Internal),
    ] {
        let error = Server::with(reply).await.client().version().await.expect_err("away");
        assert_eq!(error.kind(), kind, "{error}");
    }
}
