//! Certificates for servers of tests.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate that is used once.
#[derive(Debug)]
pub struct Issued {
    /// The authority that it is from, in PEM.
    pub authority: String,
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
}

/// Issues a certificate for `host`, a name or an address, from an authority that there was not
/// before.
///
/// # Panics
///
/// When `host` is neither.
#[must_use]
pub fn issue(host: &str) -> Issued {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let signed = authority.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(authority, key);
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    Issued { authority: signed.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}
