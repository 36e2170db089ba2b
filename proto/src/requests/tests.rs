//! Whatever is answered, nothing panics.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use headscale_keys::KeyPrefix;
use http::StatusCode;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::answer::Answer;
use crate::call::{Call, Exchange};
use crate::detect::{self, Release};
use crate::error::Error;
use crate::model::{NewDebugNode, NewPreAuthKey, NewUser, NodeExpiry, UserFilter};
use crate::requests::{api_keys, health, nodes, policy, preauth_keys, users};

/// Answers everything alike.
struct Canned {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
}

impl Exchange for Canned {
    async fn exchange(&self, _: Call) -> Result<Answer, Error> {
        let Self { status, content_type, body } = self;
        let content_type = (*content_type).to_owned();
        Ok(Answer { status: *status, content_type, body: body.clone() })
    }
}

/// The result of a call that waits for nothing.
fn now<T>(call: impl Future<Output = T>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// Makes every call; an error must be told without control characters and in few words.
fn ask_everything(canned: &Canned) {
    let time = Timestamp::UNIX_EPOCH;
    let prefix = KeyPrefix::parse("-A_PGBw4kQ2x").expect("a prefix");
    let strings = ["tag:a".to_owned()];
    let errors = [
        now(health(canned)).err(),
        now(detect::version(canned)).err(),
        now(api_keys::create(canned, time)).err(),
        now(api_keys::list(canned)).err(),
        now(api_keys::expire(canned, &prefix)).err(),
        now(api_keys::delete(canned, &prefix)).err(),
        now(users::list(canned, &UserFilter::All)).err(),
        now(users::create(canned, &NewUser::default())).err(),
        now(users::rename(canned, 1, "a")).err(),
        now(users::delete(canned, 1)).err(),
        now(nodes::list(canned, None)).err(),
        now(nodes::get(canned, 1)).err(),
        now(nodes::delete(canned, 1)).err(),
        now(nodes::expire(canned, 1, NodeExpiry::Never)).err(),
        now(nodes::rename(canned, 1, "a")).err(),
        now(nodes::set_tags(canned, 1, &strings)).err(),
        now(nodes::approve_routes(canned, 1, &strings)).err(),
        now(nodes::register(canned, Release::V0_30, "a", "b")).err(),
        now(nodes::debug_create(canned, &NewDebugNode::default())).err(),
        now(preauth_keys::create(canned, &NewPreAuthKey::of_user(1, time))).err(),
        now(preauth_keys::list(canned)).err(),
        now(preauth_keys::expire(canned, 1)).err(),
        now(preauth_keys::delete(canned, 1)).err(),
        now(policy::get(canned)).err(),
        now(policy::set(canned, "{}")).err(),
        now(policy::check(canned, Release::V0_30, "{}")).err(),
    ];
    for error in errors.into_iter().flatten() {
        let text = error.to_string();
        assert!(text.len() < 600 && !text.chars().any(char::is_control), "{text:?}");
    }
}

/// JSON that is nearly an answer.
fn nearly_an_answer() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("{}".to_owned()),
        Just("[null]".to_owned()),
        Just(r#""hskey-api-é-***""#.to_owned()),
        Just(r#""hskey-auth-aaaaaaaaaaaa-***""#.to_owned()),
        Just(r#""0001-01-01T00:00:00Z""#.to_owned()),
        Just(r#""9999-12-31T23:59:59.999999999-23:59""#.to_owned()),
        Just(r#""-009999-01-02T01:59:59Z""#.to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("-1".to_owned()),
        "\"[ -~é]{0,30}\"",
    ];
    let name = prop_oneof![
        Just("id"),
        Just("prefix"),
        Just("key"),
        Just("expiration"),
        Just("user"),
        Just("tags"),
        Just("policy"),
        Just("code"),
        Just("message"),
        Just("errors"),
        Just("version"),
        Just("apiKey"),
        Just("databaseConnectivity"),
    ];
    let object = prop::collection::btree_map(name, value, 0..5).prop_map(|fields| {
        let fields: Vec<String> =
            fields.into_iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", fields.join(","))
    });
    let outer = prop_oneof![
        Just("apiKeys"),
        Just("users"),
        Just("nodes"),
        Just("preAuthKeys"),
        Just("user"),
        Just("node"),
        Just("preAuthKey"),
    ];
    (outer, object).prop_map(|(outer, object)| match outer {
        "user" | "node" | "preAuthKey" => format!(r#"{{"{outer}":{object}}}"#),
        _ => format!(r#"{{"{outer}":[{object}]}}"#),
    })
}

fn content_type() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just("application/json"),
        Just("application/problem+json"),
        Just("text/plain"),
        Just("application/openapi+yaml"),
    ]
}

fn status() -> impl Strategy<Value = StatusCode> {
    prop_oneof![
        2 => Just(StatusCode::OK),
        1 => (100_u16..=999).prop_map(|code| StatusCode::from_u16(code).expect("a status")),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(
        status in status(),
        content_type in content_type(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        ask_everything(&Canned { status, content_type, body: body.into() });
    }

    #[test]
    fn no_json_panics(
        status in status(),
        content_type in content_type(),
        body in nearly_an_answer(),
    ) {
        ask_everything(&Canned { status, content_type, body: body.into() });
    }
}
