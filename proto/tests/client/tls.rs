//! TLS, without a provider of cryptography for the whole process.

use std::sync::{Arc, Mutex};

use headscale_client::{ApiKeys as _, BuilderError, Error, ErrorKind, HttpClient};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{json, serve};

/// A server whose certificate names `name`; gives its port and the certificate.
async fn server(name: &str) -> (u16, String) {
    server_with(CertificateParams::new([name.to_owned()]).expect("a name")).await
}

/// A server with a certificate that it signed itself.
async fn server_with(params: CertificateParams) -> (u16, String) {
    let key = KeyPair::generate().expect("a key");
    let cert = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let seen = Arc::new(Mutex::new(Vec::new()));
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, Arc::new(|_: &_| json("{}")), seen).await;
                }
            });
        }
    });
    (port, cert.pem())
}

async fn list(builder: headscale_client::Builder) -> Result<(), Error> {
    builder.build().expect("a client").list_api_keys().await.map(drop)
}

#[tokio::test]
async fn a_certificate_that_is_trusted_is_taken() {
    let (port, certificate) = server("localhost").await;
    list(HttpClient::builder(&format!("https://localhost:{port}")).ca(certificate))
        .await
        .expect("a list");
}

#[tokio::test]
async fn another_certificate_is_refused() {
    let (port, _) = server("localhost").await;
    let (_, another) = server("localhost").await;
    for builder in [
        HttpClient::builder(&format!("https://localhost:{port}")).ca(another),
        // That of the system.
        HttpClient::builder(&format!("https://localhost:{port}")),
    ] {
        // A machine without any certificates says so sooner.
        let Ok(client) = builder.build() else { continue };
        let error = client.list_api_keys().await.expect_err("it is not trusted");
        assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(error.is_untrusted(), "{error}");
    }
}

#[tokio::test]
async fn an_authority_is_no_server() {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (port, certificate) = server_with(params).await;
    let builder = HttpClient::builder(&format!("https://localhost:{port}")).ca(certificate);
    let error = list(builder).await.expect_err("it is not trusted");
    assert!(error.is_untrusted(), "{error}");
    assert!(error.to_string().contains("CaUsedAsEndEntity"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_lost_says_nothing_of_certificates() {
    let (port, certificate) = server("localhost").await;
    let plain = list(HttpClient::builder(&format!("http://localhost:{port}"))).await;
    assert!(!plain.expect_err("it speaks TLS").is_untrusted());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let nobody = HttpClient::builder(&format!("https://127.0.0.1:{port}")).ca(certificate);
    assert!(!list(nobody).await.expect_err("nobody listens").is_untrusted());
}

#[tokio::test]
async fn a_name_may_be_another_one_than_the_urls() {
    let (port, certificate) = server("headscale.example").await;
    let builder = HttpClient::builder(&format!("https://127.0.0.1:{port}")).ca(certificate);
    let error = list(builder.clone()).await.expect_err("it has another name");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
    assert!(error.is_untrusted(), "{error}");
    list(builder.server_name("headscale.example")).await.expect("a list");
}

#[test]
fn certificates_and_names_are_checked() {
    let built = |builder: headscale_client::Builder| builder.build().expect_err("not usable");
    let builder = HttpClient::builder("https://localhost");
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = built(builder.clone().ca(pem));
        assert!(matches!(error, BuilderError::Certificates(_)), "{error}");
    }
    let (error, name) =
        (built(builder.server_name("a b")), "`a b` is not a name that a certificate has");
    assert_eq!(error.to_string(), name);
}
