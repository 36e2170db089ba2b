//! The client: that of kube, without a delay at its start, and with a limit to how long a request
//! may take.

use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, Service, ServiceBuilder};

/// A request took longer than `--request-timeout` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("context deadline exceeded: the server gave no answer in {} s", .0.as_secs_f64())]
pub(super) struct TimedOut(pub(super) Duration);

/// A client for `config` whose requests take no longer than `timeout`, watches and upgraded
/// connections aside.
pub(super) fn client(config: Config, timeout: Option<Duration>) -> Result<Client, kube::Error> {
    let namespace = config.default_namespace.clone();
    let client = match config.proxy_url {
        None => direct(&config)?,
        Some(_) => Client::try_from(config)?,
    };
    Ok(match timeout {
        None | Some(Duration::ZERO) => client,
        Some(timeout) => Client::new(Bounded { client, timeout }, namespace),
    })
}

/// A client without a proxy. It is kube's stack but for `TCP_NODELAY`: the end of a TLS handshake
/// and the first request are two small writes of ours, and without it the second waits until the
/// server has acknowledged the first, for which it takes its time: 40 ms on Linux.
fn direct(config: &Config) -> Result<Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    let retries = config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry()));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(retries)
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(pool.build(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
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
