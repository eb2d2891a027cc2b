//! The checks of each `sslmode`, with libpq's meaning (PostgreSQL manual, 34.19.3, "Protection Provided in Different Modes").

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::TlsConfig;
use crate::destination::postgres::params::{Roots, SslMode, TlsParameters};
use crate::error::{Class, Error, Result};
use crate::net::tls::{FileNames, IN_SECTION, Problem, client_config_with, provider, refused, trusted};

/// The names of the files in messages, where libpq's parameters give them.
const IN_PARAMETERS: FileNames = FileNames { ca: "sslrootcert", cert: "sslcert", key: "sslkey" };

/// The server offers no TLS although the mode requires it. A retry does not change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoTls;

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not offer TLS")
    }
}

impl std::error::Error for NoTls {}

/// The client's TLS configuration, from files that are read each time; `None` if it uses no TLS. `section`, `[tls]`, supplies
/// what the connection string leaves open.
///
/// # Errors
/// `Config`, naming the file: it is not usable, or others can read the key.
pub(crate) fn client_config(parameters: &TlsParameters, section: &TlsConfig) -> Result<Option<Arc<ClientConfig>>> {
    if parameters.mode == SslMode::Disable {
        return Ok(None);
    }
    let roots =
        if parameters.mode.verifies_chain() { roots(&parameters.roots, section)? } else { RootCertStore::empty() };
    let verifier = Verifier { mode: parameters.mode, roots, provider: provider() };
    let mut files = section.clone();
    files.min_version = parameters.version_min.unwrap_or(section.min_version);
    let mut names = IN_SECTION;
    if let Some((certificate, key)) = &parameters.identity {
        refuse_open_key(key)?;
        (files.cert_file, files.key_file) = (Some(certificate.clone()), Some(key.clone()));
        names = IN_PARAMETERS;
    }
    if !parameters.sends_identity {
        (files.cert_file, files.key_file) = (None, None);
    }
    let mut config = Arc::unwrap_or_clone(client_config_with(&files, names, &[], Arc::new(verifier))?);
    config.enable_sni = parameters.sni;
    Ok(Some(Arc::new(config)))
}

fn roots(roots: &Roots, section: &TlsConfig) -> Result<RootCertStore> {
    match roots {
        Roots::Default => trusted(IN_SECTION.ca, section.ca_file.as_deref()),
        Roots::System => trusted(IN_PARAMETERS.ca, None),
        Roots::File(file) => trusted(IN_PARAMETERS.ca, Some(file)),
    }
}

/// libpq's rule: only the owner may read the key, and for a key of root's, the group too.
#[cfg(unix)]
fn refuse_open_key(key: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    // Reading the file reports that it is missing.
    let Ok(found) = std::fs::metadata(key) else { return Ok(()) };
    let (forbidden, allowed) = if found.uid() == 0 { (0o037, "0640") } else { (0o077, "0600") };
    if found.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(Error::config(format!("sslkey: {} is readable by other users", key.display()))
        .with_class(Class::Transient)
        .with_hint(format!("chmod {allowed} it: a reader of the key can connect as this user")))
}

#[cfg(not(unix))]
fn refuse_open_key(_: &Path) -> Result<()> {
    Ok(())
}

/// The class and the hint of a failed handshake with the server. A refused certificate is a mismatch: a retry does not change it.
pub(super) fn handshake_failed(error: &rustls::Error) -> Error {
    let refused = refused("the server", error);
    match Problem::of(error) {
        Problem::UnknownCa | Problem::WrongKey => refused.with_class(Class::Mismatch).with_hint(
            "set sslrootcert or tls.ca_file to the certificate of the authority that signed it; check that it is the right server",
        ),
        Problem::WrongHost => refused.with_class(Class::Mismatch).with_hint(
            "connect by a subject alternative name of its certificate (a common name does not count), with hostaddr for the address if needed; sslmode=verify-ca does not compare names",
        ),
        Problem::ClientCertificate => refused.with_class(Class::Mismatch).with_hint(
            "set sslcert to a certificate that the server accepts, and sslkey to its key (or tls.cert_file and tls.key_file)",
        ),
        Problem::Expired
        | Problem::NotYetValid
        | Problem::CaAsServer
        | Problem::OldCertificate
        | Problem::Algorithm
        | Problem::NothingInCommon
        | Problem::BadCertificate => refused.with_class(Class::Mismatch),
        Problem::Version | Problem::NotTls | Problem::Refused | Problem::Other => refused,
    }
}

type Verified<T> = std::result::Result<T, rustls::Error>;

/// Verifies what the mode promises. It verifies the signatures of the handshake in every mode.
#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Whether the server's certificate is itself a trusted one.
    fn is_trusted_itself(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut own = RootCertStore::empty();
        own.add(certificate.clone().into_owned()).is_ok() && own.roots.iter().all(|own| self.roots.roots.contains(own))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Verified<ServerCertVerified> {
        if self.mode.verifies_chain() {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            match verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms) {
                // The manual's recipe, 19.9.5, yields such a certificate, its own authority; libpq accepts it.
                Err(error) if Problem::of(&error) == Problem::CaAsServer && self.is_trusted_itself(end_entity) => {}
                outcome => outcome?,
            }
            if self.mode == SslMode::VerifyFull {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
