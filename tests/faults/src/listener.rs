//! What clients connect to.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::body::{self, Passed};
use crate::fault::{Fault, RequestInfo, When};
use crate::forward::{Target, Whole};
use crate::harm::{Action, Harm};
use crate::proxy::Shared;
use crate::upstream::Stream;

/// The version of HTTP that is spoken on both sides of the proxy. gRPC needs the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte on, without TLS.
    Http2,
}

/// Whether a listener shall refuse connections; says over the channel when it does as told.
pub(crate) struct Order {
    pub(crate) refuse: bool,
    pub(crate) done: mpsc::Sender<()>,
}

/// Where a listener is, so that it can go and come back.
#[derive(Debug)]
pub(crate) enum Place {
    Tcp {
        address: SocketAddr,
        /// Bound and never listening: nothing else gets the port while the listener is gone.
        _socket: TcpSocket,
    },
    Unix(PathBuf),
}

pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Place {
    pub(crate) fn free_port() -> io::Result<Self> {
        let socket = reusable((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self::Tcp { address: socket.local_addr()?, _socket: socket })
    }

    /// Must be called in a runtime.
    pub(crate) fn listen(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp { address, .. } => reusable(*address)?.listen(1024).map(Socket::Tcp),
            Self::Unix(path) => {
                // What is left of a listener that is gone.
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => UnixListener::bind(path).map(Socket::Unix),
                }
            }
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tcp { address, .. } => address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

fn reusable(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Socket {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// What all connections of a listener know.
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) shared: Arc<Shared>,
}

/// Serves until the proxy is gone.
pub(crate) async fn run(
    place: Place,
    socket: Socket,
    listener: Arc<Listener>,
    mut orders: UnboundedReceiver<Order>,
) {
    let mut socket = Some(socket);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(Order { refuse, done }) = order else { return };
                if refuse {
                    drop(socket.take());
                    connections.shutdown().await;
                } else if socket.is_none() {
                    socket = Some(place.listen().expect("its place is still free"));
                }
                done.send(()).ok();
            }
            accepted = accept(socket.as_ref()) => {
                if let Ok(stream) = accepted {
                    connections.spawn(serve(Arc::clone(&listener), stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(socket: Option<&Socket>) -> io::Result<Box<dyn Stream>> {
    match socket {
        Some(socket) => socket.accept().await,
        None => std::future::pending().await,
    }
}

async fn serve(listener: Arc<Listener>, stream: Box<dyn Stream>) {
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (listener, cut) = (Arc::clone(&listener), Arc::clone(&cut));
        async move {
            match listener.answer(request).await {
                Some(answer) => Ok::<_, Infallible>(answer),
                None => {
                    cut.notify_one();
                    std::future::pending().await
                }
            }
        }
    });
    let stream = TokioIo::new(stream);
    let served = async {
        // An error is a client that is gone, or a body that was to be cut.
        match listener.target.protocol {
            Protocol::Http1 => drop(http1::Builder::new().serve_connection(stream, service).await),
            Protocol::Http2 => {
                let builder = http2::Builder::new(TokioExecutor::new());
                drop(builder.serve_connection(stream, service).await);
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = cut.notified() => {}
    }
}

impl Listener {
    /// `None` where the connection is to be cut.
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Option<Response<Passed>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let (info, harm) = self.shared.count(&self.name, request.method().as_str(), path);
        let fault = match harm {
            Some(Harm::Action(when, action)) => {
                // Not part of the connection, which the client may end before.
                let work = tokio::spawn(Arc::clone(self).act(when, action, info, request));
                drop(work.await);
                return None;
            }
            Some(Harm::Fault(fault)) => Some(fault),
            None => None,
        };
        self.shared.unpaused().await;
        let request = read(request).await?;
        match fault {
            Some(fault) => self.fault(fault, &info, request).await,
            None => self.pass(request).await,
        }
    }

    async fn act(
        self: Arc<Self>,
        when: When,
        action: Action,
        info: RequestInfo,
        request: Request<Incoming>,
    ) {
        self.shared.unpaused().await;
        if when == When::After
            && let Some(request) = read(request).await
        {
            let_work(&self.target, &info, request).await;
        }
        // It may block, such as on the end of a process.
        drop(tokio::task::spawn_blocking(move || action(&info)).await);
    }

    async fn fault(
        &self,
        fault: Fault,
        info: &RequestInfo,
        request: Whole,
    ) -> Option<Response<Passed>> {
        match fault {
            Fault::DropBefore => None,
            Fault::DropAfter => {
                let_work(&self.target, info, request).await;
                None
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                self.pass(request).await
            }
            Fault::Status(status) => {
                Response::builder().status(status).body(body::full(Default::default(), None)).ok()
            }
            Fault::Answer(answer) => {
                let mut response = Response::builder().status(answer.status);
                for (name, value) in answer.headers {
                    response = response.header(name, value);
                }
                response.body(body::full(answer.body.into(), None)).ok()
            }
            Fault::Truncate => {
                let (parts, content) = self.target.exchange(request).await.ok()?.into_parts();
                let bytes = content.to_bytes();
                (!bytes.is_empty()).then(|| Response::from_parts(parts, body::truncated(&bytes)))
            }
            Fault::LateAfter(time) => {
                let target = self.target.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    drop(target.exchange(request).await);
                });
                None
            }
            Fault::Late(late) => {
                let target = self.target.clone();
                tokio::spawn(async move {
                    if late.released.await.is_ok() {
                        let answer = target.exchange(request).await.ok();
                        late.answered.send(answer.map(|answer| answer.status().as_u16())).ok();
                    }
                });
                None
            }
        }
    }

    async fn pass(&self, request: Whole) -> Option<Response<Passed>> {
        Some(self.target.forward(request).await.ok()?.map(body::streamed))
    }
}

/// `None` where the client was gone before its end.
async fn read(request: Request<Incoming>) -> Option<Whole> {
    let (parts, content) = request.into_parts();
    Some(Request::from_parts(parts, content.collect().await.ok()?))
}

/// Has the upstream answer, and throws the answer away.
async fn let_work(target: &Target, info: &RequestInfo, request: Whole) {
    if info.has_endless_answer() {
        drop(target.forward(request).await);
    } else {
        drop(target.exchange(request).await);
    }
}
