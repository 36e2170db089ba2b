//! Where requests go to.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// The server behind a listener.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// Without TLS.
    Tcp(SocketAddr),
    /// A Unix socket, without TLS.
    Unix(PathBuf),
    /// With TLS, such as a kube-apiserver: clients of the proxy speak without.
    Tls {
        /// Where.
        addr: SocketAddr,
        /// Certificates of the authorities that its own may be from.
        ca_pem: String,
        /// The name or address that its certificate is for.
        server_name: String,
    },
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Upstream {
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(address) => Box::new(tcp(*address).await?),
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tls { addr, ca_pem, server_name } => {
                let name = ServerName::try_from(server_name.clone()).map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::new(trusting(ca_pem)?));
                Box::new(connector.connect(name, tcp(*addr).await?).await?)
            }
        })
    }
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn trusting(ca_pem: &str) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
