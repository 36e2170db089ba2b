//! Repeating calls.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use headscale_client::retry::{Policy, is_passing, retrying};
use headscale_client::{ApiKeys as _, ErrorKind};
use tokio::time::Instant;

use crate::server::{Reply, Server, answer, json};

fn quick(attempts: u32) -> Policy {
    Policy { attempts, pause: Duration::from_millis(1), max_pause: Duration::from_millis(2) }
}

async fn server(failures: u32, failure: Reply) -> Server {
    let asked = AtomicU32::new(0);
    Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) < failures {
        true => failure.clone(),
        false => json("{}"),
    })
    .await
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    for failure in [Reply::Close, answer(503, "text/plain", "no upstream")] {
        let server = server(2, failure).await;
        let client = server.client();
        retrying(quick(3), || 0, || client.list_api_keys()).await.expect("a list");
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn the_last_failure_is_told() {
    let server = server(u32::MAX, Reply::Close).await;
    let client = server.client();
    let error = retrying(quick(4), || 0, || client.list_api_keys()).await.expect_err("it is away");
    assert!(is_passing(&error));
    assert_eq!((error.kind(), server.seen().len()), (ErrorKind::Unavailable, 4));
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once() {
    for failure in [
        answer(401, "text/plain", "Unauthorized"),
        answer(500, "text/plain", "oops"),
        answer(404, "text/plain", "404 page not found"),
    ] {
        let server = server(u32::MAX, failure).await;
        let client = server.client();
        let error = retrying(quick(4), || 0, || client.list_api_keys()).await.expect_err("refused");
        assert!(!is_passing(&error));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn one_attempt_is_the_least() {
    let server = server(0, Reply::Close).await;
    let client = server.client();
    retrying(quick(0), || 0, || client.list_api_keys()).await.expect("a list");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn pauses_double_up_to_the_longest() {
    let policy = Policy::default();
    let longest = |repetition| policy.pause(repetition, u32::MAX).as_millis();
    let pauses: Vec<u128> = [1, 2, 3, 6, 7, 8, 40, u32::MAX].map(longest).to_vec();
    assert_eq!(pauses, [100, 200, 400, 3200, 5000, 5000, 5000, 5000]);
    assert_eq!(policy.pause(3, 0), Duration::ZERO);
    assert_eq!(policy.pause(3, u32::MAX / 2).as_millis(), 200);
}

#[tokio::test(start_paused = true)]
async fn pauses_are_kept() {
    let begun = Instant::now();
    let client = headscale_client::SocketClient::new("/nonexistent/socket", Duration::from_secs(1));
    let error = retrying(Policy::default(), || u32::MAX, || client.list_api_keys()).await;
    assert_eq!(error.expect_err("no socket").kind(), ErrorKind::Unavailable);
    assert_eq!(begun.elapsed().as_millis(), 700);
}
