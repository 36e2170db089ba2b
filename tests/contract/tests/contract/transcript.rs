//! What goes over the wire, below the client: status, content type and body of a fixed list of
//! requests, which every server answers as a real one of its version once did.
//!
//! The answers stand in `tests/contract/transcripts`. With `HEADSCALE_RECORD=1` they are written
//! anew from the real servers that `HEADSCALE_BIN` names.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use headscale_client::Release;
use serde_json::Value;

use crate::raw::{self, Answer, Request};
use crate::world::World;

/// What describes the API since 0.30.
const OPENAPI: &str = "/api/v1/openapi.yaml";
/// What describes the API before.
const SWAGGER: &str = "/swagger/v1/openapiv2.json";

/// What stands for each kind of value that differs from run to run.
const TIME: &str = "<time>";

/// Holds a server that was just started to the transcript of its version.
pub(crate) async fn hold(world: &World) {
    let address = world.server.url().replace("http://", "");
    let mut transcript = String::new();
    for request in requests(world) {
        let answer = raw::send(&address, &request).expect("an answer");
        write!(transcript, "{}", told(&request, &answer, world)).expect("a string");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let file = root.join(format!("{}.txt", world.release));
    let is_real = world.name().starts_with("Headscale");
    if is_real && std::env::var_os("HEADSCALE_RECORD").is_some() {
        fs::write(&file, &transcript).expect("a file");
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let answers = |text: &str| text.split("\n\n").map(str::to_owned).collect::<Vec<_>>();
    let (expected, transcript) = (answers(&expected), answers(&transcript));
    let mut differ = String::new();
    for (expected, actual) in expected.iter().zip(&transcript) {
        if expected != actual {
            write!(differ, "expected:\n{expected}\nbut:\n{actual}\n\n").expect("a string");
        }
    }
    assert!(differ.is_empty(), "{}:\n{differ}", world.name());
    assert_eq!(expected.len(), transcript.len(), "{}", world.name());
    headscale_testkit::tell(&format!(
        "contract: {}: {} answers are as recorded",
        world.name(),
        transcript.len() - 1
    ));
}

/// Everything that is asked, in order: later requests meet what earlier ones did.
fn requests(world: &World) -> Vec<Request> {
    let release = world.release;
    let key = format!("Bearer {}", world.key.expose());
    let with_key = |request: Request| request.header("Authorization", &key);
    let get = |path: &str| with_key(Request::get(path));
    let post = |path: &str, body: &str| with_key(Request::new("POST", path)).body(body);
    let put = |path: &str, body: &str| with_key(Request::new("PUT", path)).body(body);
    let bare = |method: &'static str, path: &str| with_key(Request::new(method, path));
    let id = |number: &str| {
        let prefix = if release >= Release::V0_29 { "hskey-authreq-" } else { "" };
        format!("{prefix}{number:0>24}")
    };
    let debug = |user: &str, name: &str, number: &str| {
        let text =
            format!(r#"{{"user":"{user}","key":"{}","name":"{name}","routes":[]}}"#, id(number));
        post("/api/v1/debug/node", &text)
    };
    let register = |user: &str, number: &str| {
        if release >= Release::V0_29 {
            let text = format!(r#"{{"user":"{user}","authId":"{}"}}"#, id(number));
            post("/api/v1/auth/register", &text)
        } else {
            bare("POST", &format!("/api/v1/node/register?user={user}&key={}", id(number)))
        }
    };
    let then = r#"{"expiry":"2090-01-02T03:04:05.000000006Z"}"#;
    let at = "expiry=2090-01-02T03%3A04%3A05.000000006Z";
    let until = r#""expiration":"2090-01-02T03:04:05.123456789Z""#;
    vec![
        // Without a key.
        Request::get("/health"),
        Request::get("/version"),
        Request::get(OPENAPI),
        Request::get(SWAGGER),
        Request::get("/api/v1/user"),
        Request::new("POST", "/api/v1/apikey").body("{}"),
        Request::get("/api/v1/user").header("Authorization", "Bearer nonsense"),
        Request::get("/api/v1/user").header("Authorization", &key.replace("Bearer", "bearer")),
        Request::get("/api/v1/user").header("Authorization", "Basic bm86Ym9keQ=="),
        Request::get("/api/v1/nosuch"),
        get("/api/v1/nosuch"),
        get("/api/v1/health"),
        bare("PUT", "/api/v1/user"),
        // Users.
        get("/api/v1/user"),
        post("/api/v1/user", r#"{"name":"alice","displayName":"Alice A","email":"a@example.com"}"#),
        post("/api/v1/user", r#"{"name":"alice"}"#),
        post("/api/v1/user", r#"{"name":"bob"}"#),
        post("/api/v1/user", r#"{"name":1}"#),
        post("/api/v1/user", "{"),
        get("/api/v1/user?name=alice"),
        get("/api/v1/user?id=2"),
        get("/api/v1/user?id=99"),
        get("/api/v1/user?id=nonsense"),
        bare("POST", "/api/v1/user/2/rename/carol%40x"),
        bare("POST", "/api/v1/user/2/rename/alice"),
        bare("POST", "/api/v1/user/99/rename/dora"),
        bare("DELETE", "/api/v1/user/99"),
        bare("DELETE", "/api/v1/user/nonsense"),
        // Nodes.
        get("/api/v1/node"),
        get("/api/v1/node?user=nobody"),
        debug("nobody", "laptop", "0"),
        debug("alice", "laptop", "1"),
        post("/api/v1/debug/node", r#"{"user":"alice","key":"short","name":"x","routes":[]}"#),
        register("nobody", "1"),
        register("alice", "9"),
        register("alice", "1"),
        get("/api/v1/node/1"),
        get("/api/v1/node"),
        get("/api/v1/node?user=alice"),
        get("/api/v1/node/99"),
        get("/api/v1/node/nonsense"),
        post(&format!("/api/v1/node/1/expire?{at}"), then),
        post(&format!("/api/v1/node/99/expire?{at}"), then),
        bare("POST", "/api/v1/node/1/rename/desk"),
        bare("POST", "/api/v1/node/1/rename/Desk"),
        bare("POST", "/api/v1/node/1/rename/a%20b"),
        bare("POST", "/api/v1/node/99/rename/desk"),
        post("/api/v1/node/1/approve_routes", r#"{"routes":["0.0.0.0/0","10.0.0.0/8"]}"#),
        post("/api/v1/node/1/approve_routes", r#"{"routes":["nonsense"]}"#),
        post("/api/v1/node/99/approve_routes", r#"{"routes":[]}"#),
        post("/api/v1/node/1/approve_routes", r#"{"routes":[]}"#),
        post("/api/v1/node/1/tags", r#"{"tags":[]}"#),
        post("/api/v1/node/1/tags", r#"{"tags":["tag:nobody-owns-this"]}"#),
        post("/api/v1/node/1/tags", r#"{"tags":["web"]}"#),
        post("/api/v1/node/99/tags", r#"{"tags":["tag:web"]}"#),
        bare("DELETE", "/api/v1/user/1"),
        bare("DELETE", "/api/v1/node/99"),
        // The policy.
        get("/api/v1/policy"),
        put("/api/v1/policy", r#"{"policy":"{\"aclz\":[]}"}"#),
        put("/api/v1/policy", r#"{"policy":"{"}"#),
        put("/api/v1/policy", r#"{"policy":"// c\n{\"tagOwners\":{\"tag:web\":[\"alice@\"]}}"}"#),
        get("/api/v1/policy"),
        post("/api/v1/policy/check", r#"{"policy":"{}"}"#),
        post("/api/v1/policy/check", r#"{"policy":"{\"aclz\":[]}"}"#),
        // A tagged node.
        post("/api/v1/node/1/tags", r#"{"tags":["tag:web"]}"#),
        get("/api/v1/node/1"),
        get("/api/v1/node"),
        // Pre-auth keys.
        post("/api/v1/preauthkey", "{}"),
        post("/api/v1/preauthkey", &format!(r#"{{"user":"99",{until}}}"#)),
        post("/api/v1/preauthkey", &format!(r#"{{"aclTags":["web"],{until}}}"#)),
        post("/api/v1/preauthkey", &format!(r#"{{"user":"1","reusable":true,{until}}}"#)),
        post("/api/v1/preauthkey", &format!(r#"{{"aclTags":["tag:web"],{until}}}"#)),
        post("/api/v1/preauthkey", r#"{"user":"1"}"#),
        get("/api/v1/preauthkey"),
        post("/api/v1/preauthkey/expire", r#"{"id":"1"}"#),
        post("/api/v1/preauthkey/expire", r#"{"id":"99"}"#),
        bare("DELETE", "/api/v1/preauthkey?id=2"),
        bare("DELETE", "/api/v1/preauthkey?id=99"),
        // API keys.
        post("/api/v1/apikey", &format!("{{{until}}}")),
        post("/api/v1/apikey", "{}"),
        get("/api/v1/apikey"),
        post("/api/v1/apikey/expire", r#"{"prefix":"-_nothere_-0"}"#),
        post("/api/v1/apikey/expire", "{}"),
        post("/api/v1/apikey/expire", r#"{"id":"2"}"#),
        post("/api/v1/apikey/expire", r#"{"prefix":"x","id":"2"}"#),
        bare("DELETE", "/api/v1/apikey/-_nothere_-0"),
        bare("DELETE", "/api/v1/apikey/-_nothere_-0?id=2"),
        // What is left.
        bare("DELETE", "/api/v1/node/1"),
        bare("DELETE", "/api/v1/user/1"),
        bare("DELETE", "/api/v1/user/2"),
    ]
}

/// A request and its answer, without what differs from run to run.
fn told(request: &Request, answer: &Answer, world: &World) -> String {
    let body = request.body.as_deref().unwrap_or_default();
    let who = request.headers.iter().find(|(name, _)| *name == "Authorization");
    let who = match who {
        None => " (no key)",
        Some((_, value)) if value.ends_with(world.key.expose()) && value.starts_with("Bearer") => {
            ""
        }
        Some(_) => " (bad key)",
    };
    let Answer { status, content_type, body: answered } = answer;
    let text = String::from_utf8_lossy(answered);
    let is_long = request.path == OPENAPI && *status == 200;
    let answered = match serde_json::from_str::<Value>(&text) {
        Ok(mut value) if content_type.contains("json") => {
            match request.path.as_str() {
                SWAGGER => {
                    return format!(
                        "GET {SWAGGER}\n{status} {content_type}\n{}\n\n",
                        calls(&value)
                    );
                }
                "/version" => kinds(&mut value),
                _ => steady(&mut value),
            }
            value.sort_all_objects();
            format!("{value:#}")
        }
        _ if is_long => "<a description of the API>".to_owned(),
        _ => text.trim().to_owned(),
    };
    let request = format!("{} {}{who} {body}", request.method, request.path);
    format!("{}\n{status} {content_type}\n{answered}\n\n", request.trim_end())
}

/// The calls that a description of the API has.
fn calls(description: &Value) -> String {
    let paths = description["paths"].as_object().expect("paths");
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        methods.map(move |method| format!("{path} {method}"))
    });
    let mut calls: Vec<String> = calls.collect();
    calls.sort();
    calls.join("\n")
}

/// Replaces texts, all of which differ from build to build.
fn kinds(value: &mut Value) {
    match value {
        Value::String(text) => "<text>".clone_into(text),
        Value::Object(fields) => fields.values_mut().for_each(kinds),
        _ => {}
    }
}

/// Replaces what differs from run to run.
fn steady(value: &mut Value) {
    match value {
        Value::String(text) => *text = steady_text(text),
        Value::Array(values) => values.iter_mut().for_each(steady),
        Value::Object(fields) => fields.values_mut().for_each(steady),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn steady_text(text: &str) -> String {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        // Those that were sent, and the zero time, come back as they are.
        let is_known = text.starts_with("0001") || text.starts_with("2090");
        return if is_known || time.as_second() < 0 { text.to_owned() } else { TIME.to_owned() };
    }
    for start in ["hskey-api-", "hskey-auth-", "mkey:", "nodekey:", "discokey:"] {
        let Some(rest) = text.strip_prefix(start) else { continue };
        let masked = if rest.ends_with("-***") { "-***" } else { "" };
        let is_zero = rest.bytes().all(|byte| byte == b'0');
        let length = rest.len() - masked.len();
        let what = if is_zero { "zeros" } else { "characters" };
        return format!("{start}<{length} {what}>{masked}");
    }
    // Go's protobuf spaces its errors differently from build to build, so that nobody relies on them.
    if let Some(("proto:", rest)) = text.split_once(|char: char| char.is_whitespace()) {
        let (_, rest) = rest.split_once(')').unwrap_or_default();
        return format!("proto: <line>{rest}");
    }
    text.to_owned()
}
