//! Who the API server is, and how it signs the tokens of service accounts.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Names that the API server is reached by.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "kubernetes.default.svc"];

/// The authority that the API server's certificate is from, as clients need it.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

/// Writes into `directory`: `ca.pem`, `server.pem` and `server.key` for TLS, `accounts.key` and
/// `accounts.pub` for tokens.
pub(crate) fn write(directory: &Path) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(params, key);

    let mut server = CertificateParams::new(NAMES.map(str::to_owned)).expect("names");
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    let server_key = KeyPair::generate().expect("a key");
    let certificate = server.signed_by(&server_key, &issuer).expect("a certificate");
    let accounts = KeyPair::generate().expect("a key");

    let keep = |name: &str, text: String| {
        fs::write(directory.join(name), text).expect("the directory takes files");
    };
    keep("ca.pem", authority.pem());
    keep("server.pem", certificate.pem());
    keep("server.key", server_key.serialize_pem());
    keep("accounts.key", accounts.serialize_pem());
    keep("accounts.pub", accounts.public_key_pem());
    Authority { pem: authority.pem(), der: authority.der().to_vec() }
}
