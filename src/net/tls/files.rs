//! The files of `[tls]`: PEM (RFC 7468), as every certificate tool writes it.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsConfig;
use crate::error::{Class, Error, ErrorKind, Result};
use crate::files::open;

/// Enough for a thousand authorities.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The names of the files in errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileNames {
    pub(crate) ca: &'static str,
    pub(crate) cert: &'static str,
    pub(crate) key: &'static str,
}

/// The keys of the section `[tls]`.
pub(crate) const IN_SECTION: FileNames = FileNames { ca: "tls.ca_file", cert: "tls.cert_file", key: "tls.key_file" };

/// The client's certificate chain and its private key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// The authorities in `ca_file`, or those that the system trusts. Errors call the file `name`.
///
/// # Errors
/// As [`client_config`](crate::net::tls::provider::client_config).
pub(crate) fn trusted(name: &str, ca_file: Option<&Path>) -> Result<RootCertStore> {
    let Some(path) = ca_file else { return system_roots() };
    let mut roots = RootCertStore::empty();
    for (number, certificate) in certificates(name, path)?.into_iter().enumerate() {
        // Unlike the system's, a configured file is short: an unusable certificate in it is a mistake.
        roots.add(certificate).map_err(|error| bad(name, path, &format!("certificate {}: {error}", number + 1)))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    // Single unreadable files are common, and harmless if there are others.
    for error in &found.errors {
        log::debug!("reading the system's root certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    // Systems ship certificates that newer rules refuse.
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    log::debug!("trusting {added} root certificates, ignoring {ignored}");
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none are installed".into(), ToString::to_string);
        return Err(Error::new(ErrorKind::Connect, format!("reading the system's root certificates: {why}"))
            .with_hint(
                "install the system's package of root certificates (often `ca-certificates`), or set tls.ca_file or SSL_CERT_FILE",
            ));
    }
    Ok(roots)
}

/// The client's certificate and key, if they are configured.
pub(super) fn identity(names: FileNames, tls: &TlsConfig) -> Result<Option<Identity>> {
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            Ok(Some(Identity { chain: certificates(names.cert, cert)?, key: private_key(names.key, key)? }))
        }
        // `Config::validate` refuses one without the other.
        _ => Ok(None),
    }
}

/// The error about a certificate and a key that do not belong together.
pub(super) fn mismatch(names: FileNames, tls: &TlsConfig, error: &rustls::Error) -> Error {
    let shown = |path: &Option<_>| {
        path.as_ref().map_or_else(String::new, |path: &std::path::PathBuf| path.display().to_string())
    };
    let (cert, key) = (shown(&tls.cert_file), shown(&tls.key_file));
    let why = match error {
        rustls::Error::InconsistentKeys(_) => "the key does not belong to the first certificate".into(),
        error => error.to_string(),
    };
    Error::config(format!("{}, {}: using {cert} with {key}: {why}", names.cert, names.key))
        .with_class(Class::Transient)
        .with_hint(format!(
            "put the client's own certificate first, the intermediate ones after it, and the key of the first into {}",
            names.key
        ))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(key, path)?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Err(error) => Err(bad(key, path, &pem_error(&error))),
        Ok(found) if found.is_empty() => Err(bad(key, path, "no `BEGIN CERTIFICATE` in it")
            .with_hint("convert the certificate to PEM: `openssl x509 -inform der -in FILE -out FILE.pem`")),
        Ok(found) => Ok(found),
    }
}

/// A key in PKCS#8, PKCS#1 or SEC1. Other contents of the file are ignored.
fn private_key(key: &str, path: &Path) -> Result<PrivateKeyDer<'static>> {
    const FORMS: &str = "convert the key to PEM (PKCS#8, PKCS#1 or SEC1): `openssl pkey -in FILE -out FILE.pem`";
    let text = read(key, path)?;
    // PKCS#8 marks an encrypted key in the first line, the older forms in a header (RFC 1421).
    if holds(&text, b"BEGIN ENCRYPTED PRIVATE KEY") || holds(&text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(bad(key, path, "the key is encrypted")
            .with_hint("decrypt it with `openssl pkey -in FILE -out FILE.pem`, readable for the sink's user only"));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => bad(key, path, "no `BEGIN PRIVATE KEY` in it").with_hint(FORMS),
        error => bad(key, path, &pem_error(&error)).with_hint(FORMS),
    })
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>> {
    open::read(path, FILE_BYTES_MAX).map_err(|error| bad(key, path, &error.to_string()))
}

/// Without the contents of the file: it may be a key.
fn pem_error(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a `BEGIN` has no matching `END`".into(),
        pem::Error::IllegalSectionStart { .. } => "a `BEGIN` line is malformed".into(),
        pem::Error::Base64Decode(_) => "not Base64".into(),
        _ => "not PEM".into(),
    }
}

fn bad(key: &str, path: &Path, why: &str) -> Error {
    Error::config(format!("{key}: reading {}: {why}", path.display()))
        .with_class(Class::Transient)
        .with_hint("check the path, the permissions of the sink's user, and that the file is PEM")
}
