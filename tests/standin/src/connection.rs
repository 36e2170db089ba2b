//! One connection, from the first byte to the last.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use crate::body::Answer;
use crate::call::Call;
use crate::faults::Kind;
use crate::server::{Counted, Door, Shared};
use crate::{grpc, http as web};

/// Serves a connection until the client closes it, a fault cuts it, or, after the answers under way,
/// the server closes.
pub(crate) async fn serve<S>(
    stream: S,
    door: Door,
    shared: Arc<Shared>,
    closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Dropped last, when the stream is closed.
    let _counted = Counted::new(&shared);
    let cut = Arc::new(Notify::new());
    let speaks_grpc = door == Door::Socket && shared.version().has_grpc();
    let read_timeout = shared.read_timeout();
    let service = {
        let cut = Arc::clone(&cut);
        service_fn(move |request| handle(Arc::clone(&shared), Arc::clone(&cut), door, request))
    };
    let stream = TokioIo::new(stream);
    // How a connection ends is the client's to see, and tests look there.
    if speaks_grpc {
        let connection =
            http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service);
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = cut.notified() => return,
            () = closed(closing) => {}
        }
        connection.as_mut().graceful_shutdown();
        drop(connection.await);
    } else {
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None);
        if let Some(timeout) = read_timeout {
            builder.timer(TokioTimer::new()).header_read_timeout(timeout);
        }
        let mut connection = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = cut.notified() => return,
            () = closed(closing) => {}
        }
        connection.as_mut().graceful_shutdown();
        drop(connection.await);
    }
}

/// Waits for the server to close; for ever where it goes without.
async fn closed(mut closing: watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        pending::<()>().await;
    }
}

async fn handle(
    shared: Arc<Shared>,
    cut: Arc<Notify>,
    door: Door,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let speaks_grpc = door == Door::Socket && shared.version().has_grpc();
    let call = if speaks_grpc {
        shared.note(format!("grpc {}", grpc::name_of(path)));
        grpc::call_of(path)
    } else {
        shared.note(format!("{method} {path}"));
        web::call_of(shared.version(), method, path)
    };
    let answer = match body.collect().await {
        Ok(body) => {
            let request = Request::from_parts(parts, body.to_bytes());
            // On its own, so that a client that goes away does not stop what it asked for.
            let work = tokio::spawn(async move {
                if speaks_grpc {
                    let (status, refused) = (grpc::fault as fn(u16) -> _, grpc::unauthorized());
                    faulty(&shared, call, status, refused, grpc::answer(&shared, request)).await
                } else {
                    let refused = web::unauthorized(&shared);
                    let status = |status| web::fault(&shared, status);
                    faulty(&shared, call, status, refused, web::answer(&shared, door, &request))
                        .await
                }
            });
            work.await.ok().flatten()
        }
        Err(_) => None,
    };
    match answer {
        Some(answer) => ready(Ok(answer)).await,
        None => {
            cut.notify_one();
            pending().await
        }
    }
}

/// Does `work`, with what goes wrong with it; `None` is an answer that the client never gets.
async fn faulty(
    shared: &Shared,
    call: Call,
    status: impl Fn(u16) -> Response<Answer>,
    refused: Response<Answer>,
    work: impl Future<Output = Response<Answer>>,
) -> Option<Response<Answer>> {
    match shared.faults().take(call) {
        None => Some(work.await),
        Some(Kind::DropBefore) => None,
        Some(Kind::DropAfter) => {
            work.await;
            None
        }
        Some(Kind::Delay(wait)) => {
            tokio::time::sleep(wait).await;
            Some(work.await)
        }
        Some(Kind::Status(code)) => Some(status(code)),
        Some(Kind::Unauthorized) => Some(refused),
        Some(Kind::Truncated) => {
            let (parts, answer) = work.await.into_parts();
            Some(Response::from_parts(parts, answer.halved()?))
        }
    }
}
