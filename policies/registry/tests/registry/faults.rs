//! What registries do wrong, and what is made of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support;
use crate::support::server::{End, Request, Response, Server};
use headscale_policy_registry::{
    Artifact, Client, Credentials, Digest, Error, OciReference, Options, Store, Transport, block_on,
};

pub(crate) fn options() -> Options {
    Options { pause: Duration::ZERO, timeout: Duration::from_secs(60), ..Options::default() }
}

fn pull_with(options: Options, reference: &OciReference) -> Result<Artifact, Error> {
    block_on(Client::new(options).pull(reference)).expect("a runtime")
}

fn pull(reference: &OciReference) -> Result<Artifact, Error> {
    pull_with(options(), reference)
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Manifest,
    Config,
    Component,
    Other,
}

fn what(request: &Request, artifact: &Artifact) -> What {
    let is = |content: &[u8]| request.path.contains(Digest::of(content).as_str());
    if request.path.contains("/manifests/") {
        What::Manifest
    } else if is(artifact.config()) {
        What::Config
    } else if is(artifact.component()) {
        What::Component
    } else {
        What::Other
    }
}

/// The answer of a registry that has `artifact` under every name.
fn good(request: &Request, artifact: &Artifact) -> Response {
    match what(request, artifact) {
        What::Manifest => Response::new(200, artifact.manifest())
            .header("Docker-Content-Digest", artifact.digest().as_str()),
        What::Config => Response::new(200, artifact.config()),
        What::Component => Response::new(200, artifact.component()),
        What::Other => Response::new(404, ""),
    }
}

/// A registry that is wrong about one thing: `change` gets its right answer.
fn wrong(about: What, change: impl Fn(Response) -> Response + Send + Sync + 'static) -> Server {
    let artifact = support::artifact("a");
    Server::start(move |request| {
        let answer = good(request, &artifact);
        if what(request, &artifact) == about { change(answer) } else { answer }
    })
}

/// What is said, without what differs from run to run.
pub(crate) fn told(server: &Server, error: &Error) -> String {
    let artifact = support::artifact("a");
    let text = error.to_string().replace(&server.registry(), "REGISTRY");
    let parts = [
        (artifact.digest().clone(), "MANIFEST"),
        (Digest::of(artifact.config()), "CONFIG"),
        (Digest::of(artifact.component()), "COMPONENT"),
    ];
    parts.iter().fold(text, |text, (digest, name)| text.replace(digest.hex(), name))
}

pub(crate) fn kind(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "not found",
        Error::Unauthorized { .. } => "unauthorized",
        Error::Unavailable { .. } => "unavailable",
        Error::Integrity { .. } => "integrity",
        Error::TooLarge { .. } => "too large",
        Error::Invalid { .. } => "invalid",
        Error::Credentials(_) => "credentials",
        Error::Setup(_) => "setup",
    }
}

#[test]
fn each_fault_has_its_error() {
    let flip = |mut answer: Response| {
        answer.body[9] ^= 1;
        answer
    };
    let status = |status: u16| move |_: Response| Response::new(status, "");
    let error =
        r#"{"errors": [{"code": "DENIED", "message": "no\u001b[31m\n::error::\u202eentry"}]}"#;
    let redirect =
        |to: &'static str| move |_: Response| Response::new(307, "").header("Location", to);
    let bearer = |realm: &'static str| {
        move |_: Response| {
            Response::new(401, "").header("WWW-Authenticate", format!("Bearer realm=\"{realm}\""))
        }
    };
    let servers: Vec<(&str, Server)> = vec![
        ("no such tag", wrong(What::Manifest, status(404))),
        ("a blob is gone", wrong(What::Component, status(404))),
        ("401 without a question", wrong(What::Manifest, status(401))),
        ("forbidden", wrong(What::Manifest, move |_| Response::new(403, error))),
        ("teapot", wrong(What::Manifest, move |_| Response::new(418, error))),
        ("nothing", wrong(What::Manifest, status(204))),
        ("broken", wrong(What::Manifest, status(500))),
        ("too many requests", wrong(What::Config, status(429))),
        ("bit in the manifest, with its digest", wrong(What::Manifest, flip)),
        (
            "bit in the manifest",
            wrong(What::Manifest, move |answer| Response { headers: Vec::new(), ..flip(answer) }),
        ),
        ("bit in the configuration", wrong(What::Config, flip)),
        ("bit in the component", wrong(What::Component, flip)),
        (
            "another digest in the header",
            wrong(What::Manifest, |answer| {
                Response::new(200, answer.body)
                    .header("Docker-Content-Digest", Digest::of(b"").as_str())
            }),
        ),
        (
            "short component",
            wrong(What::Component, |mut answer| {
                answer.body.pop();
                answer
            }),
        ),
        (
            "long component",
            wrong(What::Component, |mut answer| {
                answer.body.push(0);
                answer
            }),
        ),
        ("cut component", wrong(What::Component, |answer| answer.end(End::Early))),
        ("endless component", wrong(What::Component, |answer| answer.end(End::Endless))),
        ("endless manifest", wrong(What::Manifest, |answer| answer.end(End::Endless))),
        (
            "endless error",
            wrong(What::Manifest, |_| Response::new(400, vec![b'x'; 1 << 16]).end(End::Endless)),
        ),
        ("HTML", wrong(What::Manifest, |_| Response::new(200, "<html>log in</html>"))),
        ("redirect loop", wrong(What::Component, redirect("?again"))),
        ("redirect without TLS", wrong(What::Component, redirect("http://evil.example/x"))),
        ("redirect to a file", wrong(What::Component, redirect("file:///etc/passwd"))),
        ("token without TLS", wrong(What::Manifest, bearer("http://evil.example/token"))),
        ("token from nowhere", wrong(What::Manifest, bearer("not a URL"))),
        (
            "password",
            wrong(What::Manifest, |_| {
                Response::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"")
            }),
        ),
        (
            "unknown question",
            wrong(What::Manifest, |_| {
                Response::new(401, "").header("WWW-Authenticate", "Negotiate")
            }),
        ),
    ];
    let mut lines = Vec::new();
    for (name, server) in &servers {
        let error = pull(&server.reference("acme/rules:1")).expect_err(name);
        let count = server.requests().len();
        lines.push(format!("{name} ({} after {count}): {}", kind(&error), told(server, &error)));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_huge_layer_is_not_asked_for() {
    let server = wrong(What::Manifest, |answer| {
        let manifest = String::from_utf8(answer.body).expect("text");
        let size = support::component("a").len();
        let huge = manifest.replace(&format!("\"size\":{size}"), "\"size\":209715200");
        assert_ne!(huge, manifest);
        Response::new(200, huge)
    });
    let error = pull(&server.reference("acme/rules:1")).expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(server.log(), ["GET /v2/acme/rules/manifests/1"]);
}

#[test]
fn silence_ends() {
    let brief = Duration::from_millis(50);
    for about in [What::Manifest, What::Config, What::Component] {
        let server = wrong(about, |answer| answer.end(End::Never));
        let idle = Options { idle_timeout: brief, attempts: 2, ..options() };
        let error = pull_with(idle, &server.reference("a:1")).expect_err("silence");
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                told(&server, &error),
                @"REGISTRY cannot be used: no answer in time"
            );
        }
        assert!(server.requests().len() >= 2, "{about:?}");

        let server = wrong(about, |answer| answer.end(End::Never));
        let whole = Options { timeout: brief, ..options() };
        let error = pull_with(whole, &server.reference("a:1")).expect_err("silence");
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                told(&server, &error),
                @"REGISTRY cannot be used: not done within 50ms"
            );
        }
    }
}

#[test]
fn what_passes_is_asked_for_again() {
    let artifact = support::artifact("a");
    let seen = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if seen.fetch_add(1, Ordering::Relaxed) < 2 {
            return Response::new(503, "");
        }
        good(request, &artifact)
    });
    let artifact = pull(&server.reference("acme/rules:1")).expect("the third time");
    assert_eq!(artifact, support::artifact("a"));
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn the_digest_is_asked_for_where_there_is_one() {
    let server = wrong(What::Other, |answer| answer);
    let artifact = support::artifact("a");
    let pinned = server.reference("acme/rules:1").pinned(artifact.digest().clone());
    assert_eq!(pull(&pinned).expect("pulled"), artifact);
    assert_eq!(server.log()[0], format!("GET /v2/acme/rules/manifests/{}", artifact.digest()));
    let resolved = block_on(Client::new(options()).resolve(&server.reference("acme/rules:1")));
    assert_eq!(resolved.expect("a runtime").expect("there"), *artifact.digest());

    let other = server.reference("acme/rules:1").pinned(Digest::of(b""));
    let error = pull(&other).expect_err("another one");
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
}

#[test]
fn what_is_not_there() {
    let server = Server::start(|_| Response::new(200, ""));
    let tls = Options { transport: Transport::Tls, attempts: 1, ..options() };
    let error = pull_with(tls, &server.reference("a:1")).expect_err("it speaks no TLS");
    assert_eq!(kind(&error), "unavailable", "{error}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let reference = format!("oci://{}/a:1", closed.local_addr().expect("an address"));
    drop(closed);
    let error = pull(&reference.parse().expect("a reference")).expect_err("nobody listens");
    assert_eq!(kind(&error), "unavailable", "{error}");
    let junk = Options { certificates: b"-----BEGIN CERTIFICATE-----".to_vec(), ..options() };
    let error = pull_with(junk, &server.reference("a:1")).expect_err("no certificate");
    assert_eq!(kind(&error), "setup", "{error}");
}

/// Docker's configuration with alice's password for `server`: `YWxpY2U6czM=`.
fn alice(server: &Server) -> Options {
    let json = format!(r#"{{"auths": {{"{}": {{"auth": "YWxpY2U6czM="}}}}}}"#, server.registry());
    Options { credentials: Credentials::DockerJson(json.into_bytes()), ..options() }
}

pub(crate) fn authorization(request: &Request) -> &str {
    request.headers.get("authorization").map_or("", String::as_str)
}

#[test]
fn passwords_go_to_the_registry_alone() {
    let elsewhere = wrong(What::Other, |answer| answer);
    let to = elsewhere.registry();
    let artifact = support::artifact("a");
    let server = Server::start(move |request| {
        if authorization(request) != "Basic YWxpY2U6czM=" {
            return Response::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        match what(request, &artifact) {
            What::Component => {
                Response::new(307, "").header("Location", format!("http://{to}{}", request.path))
            }
            _ => good(request, &artifact),
        }
    });
    let reference = server.reference("acme/rules:1");
    assert!(matches!(pull(&reference), Err(Error::Unauthorized { .. })));
    assert_eq!(pull_with(alice(&server), &reference).expect("pulled"), support::artifact("a"));
    assert_eq!(elsewhere.requests().len(), 1);
    assert_eq!(authorization(&elsewhere.requests()[0]), "");
}

/// A registry that wants a token, and gives it as `token` does.
fn with_tokens(token: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
    let artifact = support::artifact("a");
    Server::start(move |request| {
        if request.path.starts_with("/token") {
            return token(request);
        }
        if authorization(request) == "Bearer good" {
            return good(request, &artifact);
        }
        let host = &request.headers["host"];
        let question = format!(
            "Bearer realm=\"http://{host}/token\",service=\"reg\",\
             scope=\"repository:acme/rules:pull\""
        );
        Response::new(401, "").header("WWW-Authenticate", question)
    })
}

#[test]
fn tokens() {
    let server = with_tokens(|_| Response::new(200, r#"{"access_token": "good"}"#));
    let reference = server.reference("acme/rules:1");
    assert!(pull(&reference).is_ok());
    assert!(pull_with(alice(&server), &reference).is_ok());
    let asked: Vec<Request> =
        server.requests().into_iter().filter(|seen| seen.path.starts_with("/token")).collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].path, "/token?service=reg&scope=repository%3Aacme%2Frules%3Apull");
    assert_eq!(authorization(&asked[0]), "");
    assert_eq!(authorization(&asked[1]), "Basic YWxpY2U6czM=");

    let json =
        format!(r#"{{"auths": {{"{}": {{"identitytoken": "long lived"}}}}}}"#, server.registry());
    let credentials = Credentials::DockerJson(json.into_bytes());
    assert!(pull_with(Options { credentials, ..options() }, &reference).is_ok());
    let requests = server.requests();
    let asked = requests.iter().find(|seen| seen.method == "POST").expect("a form");
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        "service=reg&scope=repository%3Aacme%2Frules%3Apull&grant_type=refresh_token&\
         client_id=kubectl-headscale&refresh_token=long+lived"
    );
}

#[test]
fn tokens_that_are_none() {
    let servers = [
        ("refused", with_tokens(|_| Response::new(401, "wrong password: s3"))),
        ("broken", with_tokens(|_| Response::new(502, ""))),
        ("empty", with_tokens(|_| Response::new(200, r#"{"token": ""}"#))),
        ("HTML", with_tokens(|_| Response::new(200, "<html>"))),
        ("injecting", with_tokens(|_| Response::new(200, r#"{"token": "a\r\nX-Evil: 1"}"#))),
        ("not good", with_tokens(|_| Response::new(200, r#"{"token": "bad"}"#))),
        ("endless", with_tokens(|_| Response::new(200, vec![b' '; 1 << 16]).end(End::Endless))),
    ];
    let mut lines = Vec::new();
    for (name, server) in &servers {
        let error = pull_with(alice(server), &server.reference("acme/rules:1")).expect_err(name);
        let count = server.requests().len();
        lines.push(format!("{name} ({} after {count}): {}", kind(&error), told(server, &error)));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_store_comes_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a store");
    let server = wrong(What::Other, |answer| answer);
    let artifact = support::artifact("a");
    let pinned = server.reference("acme/rules:1").pinned(artifact.digest().clone());
    let client = Client::new(options());
    let fetch = || block_on(client.fetch(&store, &pinned)).expect("a runtime").expect("fetched");
    assert_eq!(fetch(), artifact);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(fetch(), artifact);
    assert_eq!(server.requests().len(), 3, "nobody was asked");

    let file = directory.path().join("store/blobs").join(artifact.inspection().digest.hex());
    std::fs::write(file, "damaged").expect("written");
    assert_eq!(fetch(), artifact);
    assert_eq!(server.requests().len(), 6);
    assert_eq!(store.get(artifact.digest()).expect("whole"), Some(artifact.clone()));

    // A tag may have moved.
    let by_tag = block_on(client.fetch(&store, &pinned.name())).expect("a runtime");
    assert_eq!(by_tag.expect("fetched"), artifact);
    assert_eq!(server.requests().len(), 7);
}
