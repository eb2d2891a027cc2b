//! What each `sslmode` verifies, with libpq's meaning (PostgreSQL manual, 34.19.3, "Protection Provided in Different Modes").

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::{TlsConfig, TlsVersion};
use crate::destination::postgres::params::ssl::{Roots, SslMode, TlsChoice};
use crate::error::{Class, Error, Result};
use crate::tls::{FileNames, IN_SECTION, Problem, client_config_with, provider, refused, trusted};

/// How messages call the files that libpq's parameters name.
const IN_PARAMETERS: FileNames = FileNames { ca: "sslrootcert", cert: "sslcert", key: "sslkey" };

/// The server offers no TLS although the mode asks for it: trying again does not change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoTls;

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not offer TLS")
    }
}

impl std::error::Error for NoTls {}

/// The settings of a choice, its files read anew; `None` if it uses no TLS. What it leaves open is as `section`, `[tls]`, says.
///
/// # Errors
/// `Config`, naming the file: it cannot be used, or others can read the key.
pub(crate) fn client_config(choice: &TlsChoice, section: &TlsConfig) -> Result<Option<Arc<ClientConfig>>> {
    if choice.mode == SslMode::Disable {
        return Ok(None);
    }
    let roots = if choice.mode.verifies_chain() { roots(&choice.roots, section)? } else { RootCertStore::empty() };
    let verifier = Verifier { mode: choice.mode, roots, provider: provider() };
    let mut files = section.clone();
    files.min_version = choice.version_min.unwrap_or(section.min_version);
    let mut names = IN_SECTION;
    if let Some((certificate, key)) = &choice.identity {
        refuse_open_key(key)?;
        (files.cert_file, files.key_file) = (Some(certificate.clone()), Some(key.clone()));
        names = IN_PARAMETERS;
    }
    if !choice.shows_identity {
        (files.cert_file, files.key_file) = (None, None);
    }
    let mut config = Arc::unwrap_or_clone(client_config_with(&files, names, &[], Arc::new(verifier))?);
    config.enable_sni = choice.sni;
    Ok(Some(Arc::new(config)))
}

fn roots(roots: &Roots, section: &TlsConfig) -> Result<RootCertStore> {
    match roots {
        Roots::Default => trusted(IN_SECTION.ca, section.ca_file.as_deref()),
        Roots::System => trusted(IN_PARAMETERS.ca, None),
        Roots::File(file) => trusted(IN_PARAMETERS.ca, Some(file)),
    }
}

/// libpq's rule: nobody but the owner may read the key; one of root's may be readable for its group.
#[cfg(unix)]
fn refuse_open_key(key: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    // A file that is not there is told by whoever reads it.
    let Ok(found) = std::fs::metadata(key) else { return Ok(()) };
    let (forbidden, allowed) = if found.uid() == 0 { (0o037, "0640") } else { (0o077, "0600") };
    if found.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(Error::config(format!("sslkey: {} can be read by others than its owner", key.display()))
        .with_class(Class::Transient)
        .with_hint(format!("chmod {allowed} it: whoever can read the key can connect as this user")))
}

#[cfg(not(unix))]
fn refuse_open_key(_: &Path) -> Result<()> {
    Ok(())
}

/// Says what a failed handshake with `peer` means and what to do. A certificate that is refused is a misfit: it stays so until
/// somebody changes something.
pub(crate) fn handshake_failed(peer: &str, error: &rustls::Error) -> Error {
    let told = refused(peer, error);
    match Problem::of(error) {
        Problem::UnknownCa | Problem::WrongKey => told.with_class(Class::Mismatch).with_hint(
            "name the certificate of the authority that signed it in sslrootcert, or in tls.ca_file; check that it is the right server",
        ),
        Problem::WrongHost => told.with_class(Class::Mismatch).with_hint(
            "connect by a name that its certificate holds as a subject alternative name (a common name alone does not count), with hostaddr for the address if need be; sslmode=verify-ca does not compare names",
        ),
        Problem::ClientCertificate => told.with_class(Class::Mismatch).with_hint(
            "name a certificate that the server takes in sslcert, and its key in sslkey (or in tls.cert_file and tls.key_file)",
        ),
        Problem::Expired | Problem::NotYetValid | Problem::CaAsServer | Problem::BadCertificate => {
            told.with_class(Class::Mismatch)
        }
        Problem::Version | Problem::NotTls | Problem::Refused | Problem::Other => told,
    }
}

type Verified<T> = std::result::Result<T, rustls::Error>;

/// Checks as much as the mode promises. Signatures of the handshake are checked in every mode.
#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Whether the server's certificate is itself one of those that are trusted.
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
                // The manual's recipe, 19.9.5, makes such a certificate, which is then its own authority; libpq takes it.
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

/// For [`TlsChoice`]: no older version than 1.2 is ever spoken.
pub(crate) const VERSIONS: [(&str, TlsVersion); 4] = [
    ("TLSv1", TlsVersion::Tls12),
    ("TLSv1.1", TlsVersion::Tls12),
    ("TLSv1.2", TlsVersion::Tls12),
    ("TLSv1.3", TlsVersion::Tls13),
];
