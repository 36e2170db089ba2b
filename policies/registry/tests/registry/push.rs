//! Pushes to registries that do as they are told.

use headscale_policy_registry::{Client, Digest, Error, OciReference, block_on};

use crate::faults::{authorization, kind, options, told};
use crate::support;
use crate::support::server::{Request, Response, Server};

/// A registry that takes everything, but for what `change` answers.
fn taking(change: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        change(request).unwrap_or_else(|| match request.method.as_str() {
            "HEAD" => Response::new(404, ""),
            "POST" => Response::new(202, "").header("Location", "/upload/1?state=x"),
            "PUT" => Response::new(201, ""),
            _ => Response::new(405, ""),
        })
    })
}

fn push(reference: &OciReference) -> Result<Digest, Error> {
    let artifact = support::artifact("a");
    block_on(Client::new(options()).push(reference, &artifact)).expect("a runtime")
}

#[test]
fn a_push_sends_what_is_not_there() {
    let artifact = support::artifact("a");
    let config = Digest::of(artifact.config());
    let there = config.clone();
    let server = taking(move |request| {
        let has = request.method == "HEAD" && request.path.ends_with(there.as_str());
        has.then(|| Response::new(200, ""))
    });
    let digest = push(&server.reference("acme/rules:1")).expect("pushed");
    assert_eq!(digest, *artifact.digest());
    let component = artifact.inspection().digest.to_string();
    assert_eq!(
        server.log(),
        [
            format!("HEAD /v2/acme/rules/blobs/{component}"),
            "POST /v2/acme/rules/blobs/uploads/".to_owned(),
            format!("PUT /upload/1?state=x&digest={}", component.replace(':', "%3A")),
            format!("HEAD /v2/acme/rules/blobs/{config}"),
            "PUT /v2/acme/rules/manifests/1".to_owned(),
        ]
    );
    let requests = server.requests();
    assert_eq!(requests[2].body, artifact.component());
    assert_eq!(requests[4].body, artifact.manifest());
    assert_eq!(requests[4].headers["content-type"], "application/vnd.oci.image.manifest.v1+json");
    let by_digest = format!("oci://{}/rules@{digest}", server.registry());
    push(&by_digest.parse().expect("a reference")).expect("pushed");
    assert!(server.log().contains(&format!("PUT /v2/rules/manifests/{digest}")));
}

#[test]
fn a_push_that_fails_changes_nothing_twice() {
    let on = |method: &'static str, answer: Response| {
        taking(move |request| (request.method == method).then(|| answer.clone()))
    };
    let begun = Response::new(202, "");
    let of_nothing = Digest::of(b"");
    let servers = [
        ("no looking", on("HEAD", Response::new(503, ""))),
        ("no beginning", on("POST", Response::new(503, ""))),
        ("read only", on("POST", Response::new(403, ""))),
        ("no place", on("POST", begun.clone())),
        ("no URL", on("POST", begun.clone().header("Location", "http://[x"))),
        ("no TLS", on("POST", begun.header("Location", "http://evil.example/up"))),
        ("no putting", on("PUT", Response::new(500, ""))),
        ("too large", on("PUT", Response::new(413, ""))),
        (
            "another digest",
            taking(move |request| {
                let manifest = request.path.contains("/manifests/");
                let claimed = of_nothing.as_str();
                manifest.then(|| Response::new(201, "").header("Docker-Content-Digest", claimed))
            }),
        ),
    ];
    let mut lines = Vec::new();
    for (name, server) in &servers {
        let error = push(&server.reference("acme/rules:1")).expect_err(name);
        let count = server.requests().len();
        lines.push(format!("{name} ({} after {count}): {}", kind(&error), told(server, &error)));
    }
    insta::assert_snapshot!(lines.join("\n"));

    let server = taking(|_| None);
    let other = server.reference("acme/rules:1").pinned(Digest::of(b""));
    assert!(matches!(push(&other), Err(Error::Integrity { .. })));
    assert_eq!(server.log(), Vec::<String>::new());
}

#[test]
fn a_push_asks_for_the_right_to_write() {
    let artifact = support::artifact("a");
    let server = taking(move |request| {
        if request.path.starts_with("/token") {
            return Some(Response::new(200, r#"{"token": "good"}"#));
        }
        if authorization(request) == "Bearer good" {
            return None;
        }
        let realm = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
        let question = format!("{realm},scope=\"repository:acme/rules:pull\"");
        Some(Response::new(401, "").header("WWW-Authenticate", question))
    });
    assert_eq!(push(&server.reference("acme/rules:1")).expect("pushed"), *artifact.digest());
    assert_eq!(server.log()[1], "GET /token?scope=repository%3Aacme%2Frules%3Apull%2Cpush");
    assert_eq!(server.log().iter().filter(|line| line.contains("/token")).count(), 1);
}
