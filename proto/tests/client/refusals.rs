//! What refusals mean, by a table of what versions answer.

use headscale_client::{ApiKeys as _, ErrorKind, HeadscaleApi as _, UserFilter};

use crate::server::{Reply, Server, answer, key};

/// Lines of `KIND | VERSIONS | STATUS | CONTENT TYPE | BODY`.
const TABLE: &str = include_str!("../data/refusals.txt");

const KINDS: &[ErrorKind] = &[
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::Unauthorized,
    ErrorKind::Invalid,
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::Unsupported,
    ErrorKind::Internal,
    ErrorKind::Protocol,
];

struct Row {
    kind: ErrorKind,
    reply: Reply,
    line: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.map(|line| {
        let mut cells = line.splitn(5, '|').map(str::trim);
        let mut cell = || cells.next().expect("five cells");
        let name = cell();
        let kind = *KINDS.iter().find(|kind| kind.as_str() == name).expect("a kind");
        let (_versions, status) = (cell(), cell().parse().expect("a status"));
        Row { kind, reply: answer(status, cell(), cell()), line }
    });
    rows.collect()
}

#[tokio::test]
async fn refusals_mean_what_the_table_says() {
    let rows = rows();
    assert!(rows.len() > 60);
    for row in rows {
        let server = Server::with(row.reply).await;
        let error = server.client().list_users(&UserFilter::All).await.expect_err("a refusal");
        assert_eq!(error.kind(), row.kind, "{}: {error}", row.line);
        let is_clear = matches!(
            row.kind,
            ErrorKind::NotFound
                | ErrorKind::AlreadyExists
                | ErrorKind::Unauthorized
                | ErrorKind::Invalid
                | ErrorKind::Unsupported
        );
        assert_eq!(error.may_have_acted(), !is_clear, "{}", row.line);
        assert!(error.to_string().starts_with("list users: "), "{error}");
        assert_eq!(server.seen().len(), 1, "{}: asked once", row.line);
    }
}

#[test]
fn kinds_have_their_words() {
    let words: Vec<&str> = KINDS.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), words.iter().collect::<std::collections::HashSet<_>>().len());
    assert_eq!(ErrorKind::AlreadyExists.to_string(), "already_exists");
}

#[tokio::test]
async fn what_was_sent_is_not_repeated() {
    let body = r#"{"title":"Unprocessable Entity","status":422,"detail":"validation failed",
        "errors":[{"message":"expected string","location":"body.policy","value":"a-secret"}]}"#;
    let server = Server::with(answer(422, "application/problem+json", body)).await;
    let error = server.client().set_policy("a-secret").await.expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        "set the policy: HTTP 422: validation failed: expected string (body.policy)"
    );
    assert!(!format!("{error:?}").contains("a-secret"));
}

#[tokio::test]
async fn a_long_text_with_control_characters_is_cut_and_cleaned() {
    let long = "é\u{1b}[31m\n".repeat(1000);
    let body = format!(r#"{{"code":13,"message":"x{}","details":[]}}"#, long.escape_default());
    let body = body.replace("\\u{e9}", "é").replace("\\u{1b}", "\\u001b");
    let server = Server::with(answer(500, "application/json", &body)).await;
    let error = server.client().list_api_keys().await.expect_err("a failure").to_string();
    assert!(error.len() < 600 && error.ends_with('…'), "{error}");
    assert!(!error.chars().any(char::is_control), "{error:?}");
    assert!(error.starts_with("list API keys: HTTP 500: xé [31m é"), "{error}");
}

#[tokio::test]
async fn a_page_of_a_proxy_is_not_repeated() {
    let server = Server::with(answer(502, "text/html", "<h1>Bad Gateway</h1>")).await;
    let error = server.client().list_api_keys().await.expect_err("a failure");
    assert_eq!(error.to_string(), "list API keys: HTTP 502");
}

#[tokio::test]
async fn redirections_are_not_followed() {
    for status in [301, 302, 307, 308] {
        let other = Server::with(answer(200, "application/json", "{}")).await;
        let reply = format!(
            "HTTP/1.1 {status} Found\r\nLocation: {}/\r\nContent-Length: 0\r\n\r\n",
            other.url
        );
        let server = Server::with(Reply::Send(reply.into_bytes())).await;
        let error = server.client().list_api_keys().await.expect_err("a failure");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("redirections are not followed"), "{error}");
        assert_eq!(other.seen(), [], "the key stays here");
    }
}

#[tokio::test]
async fn errors_never_show_the_key() {
    for reply in [Reply::Close, answer(401, "text/plain", "Unauthorized"), answer(200, "", "x")] {
        let server = Server::with(reply).await;
        let client = server.client();
        let error = client.list_api_keys().await.expect_err("a failure");
        for text in [format!("{error}"), format!("{error:?}"), format!("{client:?}")] {
            assert!(!text.contains(&key().expose()[24..]), "{text}");
        }
    }
}
