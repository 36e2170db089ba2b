//! A server that speaks TLS before one that does not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A running one, with a thread of its own. It ends with the value.
pub(crate) struct TlsServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its certificate, which it signed itself.
    pub(crate) pem: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Starts one whose certificate is for `name`, and which hands all on to `server`.
    pub(crate) fn start(name: &str, server: SocketAddr) -> Self {
        let made = generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a certificate that serves");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("bound");
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = serve(listener, config, server) => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, pem: made.cert.pem(), end: Some(end), thread: Some(thread) }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn serve(listener: std::net::TcpListener, config: ServerConfig, server: SocketAddr) {
    let listener = TcpListener::from_std(listener).expect("a listener of the runtime");
    let tls = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            tokio::io::copy_bidirectional(&mut stream, &mut server).await.ok();
        });
    }
}
