//! The server: its listeners, and how it ends.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::connection::serve;
use crate::faults::Faults;
use crate::options::{Options, Version};
use crate::state::State;
use crate::tls;

/// How long answers under way may take once the server closes, as in the real one.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Tcp,
    Socket,
}

/// What all connections share.
pub(crate) struct Shared {
    options: Options,
    state: Mutex<State>,
    faults: Faults,
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// Counts a connection for as long as it is open.
pub(crate) struct Counted(Arc<Shared>);

impl Counted {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    pub(crate) fn version(&self) -> Version {
        self.options.version
    }

    pub(crate) fn key_cost(&self) -> Duration {
        self.options.key_cost
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.options.read_timeout
    }

    pub(crate) fn reported_version(&self) -> &str {
        &self.options.reported_version
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Never to be held across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, request: String) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After the answers under way.
    Graceful,
    /// At once.
    Killed,
}

/// A server on a runtime of its own, so that a test which blocks its thread does not stop it.
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) socket: Option<PathBuf>,
    runtime: Option<Runtime>,
    end: Option<oneshot::Sender<End>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Server {
    /// Opens the state and the listeners.
    pub(crate) fn start(options: Options) -> io::Result<Self> {
        let state = State::open(&options)?;
        let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("standin")
            .enable_all()
            .build()?;
        let guard = runtime.enter();
        let unix =
            options.socket.as_deref().map(|path| bind(path, options.socket_mode)).transpose()?;
        let tcp = options.tcp.map(std::net::TcpListener::bind).transpose()?;
        let tcp = tcp.map(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let tcp = tcp.transpose()?;
        drop(guard);
        let address = tcp.as_ref().map(TcpListener::local_addr).transpose()?;
        let socket = options.socket.clone();
        let shared = Arc::new(Shared {
            options,
            state: Mutex::new(state),
            faults: Faults::default(),
            requests: Mutex::default(),
            connections: AtomicUsize::default(),
        });
        let (end, ending) = oneshot::channel();
        let (tell_ended, ended) = mpsc::channel();
        let accepting = accept(Arc::clone(&shared), tcp, tls, unix, ending);
        runtime.spawn(async move {
            accepting.await;
            // Nobody listens where the server was dropped.
            let _ = tell_ended.send(());
        });
        Ok(Self {
            shared,
            address,
            socket,
            runtime: Some(runtime),
            end: Some(end),
            ended: Mutex::new(ended),
        })
    }

    /// Whether TLS is served at the TCP address.
    pub(crate) fn has_tls(&self) -> bool {
        self.shared.options.tls.is_some()
    }

    /// Whether it has not been told to end.
    pub(crate) fn is_up(&self) -> bool {
        self.end.is_some()
    }

    /// Ends, and returns when no listener, no connection and no call is left.
    pub(crate) fn end(&mut self, how: End) {
        let Some(end) = self.end.take() else { return };
        if how == End::Killed {
            self.shared.state().take_down();
        }
        if let (End::Graceful, Some(socket)) = (how, &self.socket) {
            // Somebody may have removed it already.
            drop(fs::remove_file(socket));
        }
        if end.send(how).is_ok() {
            // An error is the end as well.
            let _ = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
        self.shared.state().take_down();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    shared: Arc<Shared>,
    tcp: Option<TcpListener>,
    tls: Option<TlsAcceptor>,
    unix: Option<UnixListener>,
    mut ending: oneshot::Receiver<End>,
) {
    let mut connections = JoinSet::new();
    let (close, closing) = watch::channel(false);
    let how = loop {
        tokio::select! {
            how = &mut ending => break how.unwrap_or(End::Killed),
            Ok((stream, _)) = accept_tcp(tcp.as_ref()) => {
                // Answers are small and waited for.
                drop(stream.set_nodelay(true));
                let (shared, closing) = (Arc::clone(&shared), closing.clone());
                match tls.clone() {
                    None => drop(connections.spawn(serve(stream, Door::Tcp, shared, closing))),
                    Some(tls) => drop(connections.spawn(async move {
                        // A client that does not like the certificate goes away.
                        let Ok(stream) = tls.accept(stream).await else { return };
                        serve(stream, Door::Tcp, shared, closing).await;
                    })),
                }
            }
            Ok((stream, _)) = accept_unix(unix.as_ref()) => {
                connections.spawn(serve(stream, Door::Socket, Arc::clone(&shared), closing.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    };
    drop((tcp, unix));
    if how == End::Graceful {
        close.send_replace(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        // What takes longer is cut.
        drop(tokio::time::timeout(LAST_ANSWERS, all_ended).await);
    }
    connections.shutdown().await;
}

async fn accept_tcp(
    listener: Option<&TcpListener>,
) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn accept_unix(
    listener: Option<&UnixListener>,
) -> io::Result<(tokio::net::UnixStream, tokio::net::unix::SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Makes the socket as Headscale does: what is there is removed, and the permissions are set once it
/// is open.
fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    if fs::symlink_metadata(path).is_ok() {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}
