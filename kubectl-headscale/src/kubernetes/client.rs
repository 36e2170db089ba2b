//! The client: kube's own, with a limit to how long a request may take.

use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Config};
use tower_service::Service;

/// A request took longer than `--request-timeout` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("context deadline exceeded: the server gave no answer in {} s", .0.as_secs_f64())]
pub(super) struct TimedOut(pub(super) Duration);

/// A client for `config` whose requests take no longer than `timeout`, watches and upgraded
/// connections aside.
pub(super) fn client(config: Config, timeout: Option<Duration>) -> Result<Client, kube::Error> {
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config)?;
    Ok(match timeout {
        None | Some(Duration::ZERO) => client,
        Some(timeout) => Client::new(Bounded { client, timeout }, namespace),
    })
}

struct Bounded {
    client: Client,
    timeout: Duration,
}

impl Service<Request<Body>> for Bounded {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (client, timeout) = (self.client.clone(), self.timeout);
        if is_open_ended(&request) {
            return Box::pin(async move { client.send(request).await });
        }
        Box::pin(async move {
            // The time to read the answer counts as well.
            let whole = async {
                let (head, body) = client.send(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok(Response::from_parts(head, Body::from(body.to_vec())))
            };
            match tokio::time::timeout(timeout, whole).await {
                Ok(answer) => answer,
                Err(_) => Err(kube::Error::Service(Box::new(TimedOut(timeout)))),
            }
        })
    }
}

/// Whether the answer to `request` has no end of its own.
fn is_open_ended(request: &Request<Body>) -> bool {
    let watch = |query: &str| query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
    request.headers().contains_key(http::header::UPGRADE)
        || request.uri().query().is_some_and(watch)
}
