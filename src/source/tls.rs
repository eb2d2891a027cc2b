//! TLS for both connections of a source: which certificates are trusted, and what a refused one means.
//!
//! rustls with ring, passed explicitly: a provider installed for the whole process would be state outside of this library.
//! The roots are read again for each connection, so that a system's renewed certificates count without a restart.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::error::{Error, ErrorKind, Result};

use super::address::Address;

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub(super) enum Roots {
    /// The authorities that the system trusts.
    #[default]
    System,
    /// These only.
    #[cfg(test)]
    Only(Vec<CertificateDer<'static>>),
}

impl Roots {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        match self {
            #[cfg(test)]
            Self::Only(certificates) => Ok(certificates.clone()),
            Self::System => system_roots(),
        }
    }
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    // Single unreadable files are common and harmless as long as others are there.
    for error in &found.errors {
        log::debug!("reading the system's root certificates: {error}");
    }
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(|| "none are installed".into(), ToString::to_string);
        return Err(Error::new(ErrorKind::Connect, format!("reading the system's root certificates: {why}"))
            .with_hint(
                "install the system's package of root certificates (often `ca-certificates`), or set SSL_CERT_FILE",
            ));
    }
    Ok(found.certs)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The settings for our own connection.
fn client_config(roots: &Roots) -> Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    // Systems ship certificates that newer rules refuse; the others are what counts.
    let (added, ignored) = store.add_parsable_certificates(roots.certificates()?);
    log::debug!("trusting {added} root certificates, {ignored} not understood");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, format!("setting up TLS: {error}")))?
        .with_root_certificates(store)
        .with_no_client_auth();
    // A server that offers HTTP/2 as well must not choose it: WebSocket over it is another protocol (RFC 8441).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A TLS session with the host of `address`, its handshake still to be done.
pub(super) fn session(roots: &Roots, address: &Address) -> Result<ClientConnection> {
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| Error::config(format!("the host {} cannot be used with TLS: {error}", address.host)))?;
    ClientConnection::new(client_config(roots)?, name)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("setting up TLS: {error}")))
}

/// The same settings for ureq, which takes its own form of them.
pub(super) fn ureq_config(roots: &Roots) -> Result<TlsConfig> {
    let certificates = roots.certificates()?;
    let certificates: Vec<_> = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let roots = RootCerts::new_with_certs(&certificates);
    Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider()).build())
}

/// The TLS error inside an I/O error, if there is one.
pub(super) fn inside(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Says what a failed TLS handshake with `address` means and what to do.
pub(super) fn refused(address: &Address, error: &rustls::Error) -> Error {
    let peer = address.host_and_port();
    Error::new(ErrorKind::Connect, format!("TLS with {peer}: {error}")).with_hint(hint(error))
}

fn hint(error: &rustls::Error) -> &'static str {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => {
                "the server's certificate comes from an authority that this system does not trust: install that authority's \
                 certificate, or check that no proxy replaces the certificate"
            }
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "the server's certificate has expired: check this machine's clock, else the server must renew it"
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: check this machine's clock"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "the server's certificate is for another name: check the host in the configuration"
            }
            _ => {
                "the server's certificate was refused: check the host in the configuration, and that no proxy is in between"
            }
        },
        rustls::Error::InvalidMessage(_) => {
            "the port does not seem to speak TLS: check scheme and port in the configuration"
        }
        rustls::Error::AlertReceived(_) => "the server refused the TLS handshake: it may ask for a client certificate",
        _ => "check the address in the configuration, and that no proxy is in between",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::test_server::TestServer;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::net::TcpStream;
    use std::sync::Arc;

    #[test]
    fn each_refusal_has_its_advice() {
        use super::{CertificateError as Bad, hint};
        let check =
            |error: rustls::Error, advice: &str| assert!(hint(&error).contains(advice), "{error}: {}", hint(&error));
        check(Bad::UnknownIssuer.into(), "does not trust");
        check(Bad::Expired.into(), "has expired");
        check(Bad::NotValidYet.into(), "not valid yet");
        check(Bad::NotValidForName.into(), "another name");
        check(Bad::BadSignature.into(), "was refused");
        check(rustls::InvalidMessage::InvalidContentType.into(), "speak TLS");
        check(rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired), "client certificate");
    }

    /// A server with a certificate for localhost and 127.0.0.1 that no system trusts.
    pub(in super::super) fn server(
        script: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
    ) -> TestServer {
        let certificate = include_bytes!("testdata/localhost.crt.der").to_vec().into();
        let key = PrivatePkcs8KeyDer::from(include_bytes!("testdata/localhost.key.der").to_vec());
        let config = ServerConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let config = Arc::new(config);
        TestServer::raw(move |tcp| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, tcp);
            script(&mut stream);
            stream.conn.send_close_notify();
            let _ = std::io::Write::flush(&mut stream);
        })
    }
}
