//! TLS for both connections of a source: which certificates are trusted, and what a refused one means.
//!
//! rustls with ring, passed explicitly: a provider installed for the whole process would be state outside of this library.
//! The roots are read again for each connection, so that a system's renewed certificates count without a restart.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
#[cfg(test)]
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::error::{Error, ErrorKind, Result};

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
    fn certificates(&self) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
        match self {
            #[cfg(test)]
            Self::Only(certificates) => Ok(certificates.clone()),
            Self::System => system_roots(),
        }
    }
}

fn system_roots() -> Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
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

/// The same settings for ureq, which takes its own form of them.
pub(super) fn ureq_config(roots: &Roots) -> Result<TlsConfig> {
    let certificates = roots.certificates()?;
    let certificates: Vec<_> = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let roots = RootCerts::new_with_certs(&certificates);
    Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider()).build())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::test_server::TestServer;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::net::TcpStream;
    use std::sync::Arc;

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
