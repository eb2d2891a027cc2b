//! The files of `[tls]`: PEM (RFC 7468), as every certificate tool writes it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsConfig;
use crate::error::{Class, Error, ErrorKind, Result};

/// Room for a thousand authorities; keeps a wrong path such as `/dev/zero` from filling the memory.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// How messages call the files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileNames {
    pub(crate) ca: &'static str,
    pub(crate) cert: &'static str,
    pub(crate) key: &'static str,
}

/// As the section has them.
pub(crate) const IN_SECTION: FileNames = FileNames { ca: "tls.ca_file", cert: "tls.cert_file", key: "tls.key_file" };

/// Whom the client says it is.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// The authorities in `ca_file`, or else those that the system trusts. `name` is how messages call the file.
///
/// # Errors
/// As [`client_config`](super::client_config).
pub(crate) fn trusted(name: &str, ca_file: Option<&Path>) -> Result<RootCertStore> {
    let Some(path) = ca_file else { return system_roots() };
    let mut roots = RootCertStore::empty();
    for (number, certificate) in certificates(name, path)?.into_iter().enumerate() {
        // One's own file is short: what cannot be used in it is a mistake.
        roots
            .add(certificate)
            .map_err(|error| bad(name, path, &format!("certificate {} in it: {error}", number + 1)))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    // Single unreadable files are common and harmless as long as others are there.
    for error in &found.errors {
        log::debug!("reading the system's root certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    // Systems ship certificates that newer rules refuse; the others are what counts.
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    log::debug!("trusting {added} root certificates, {ignored} not understood");
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none are installed".into(), ToString::to_string);
        return Err(Error::new(ErrorKind::Connect, format!("reading the system's root certificates: {why}"))
            .with_hint(
                "install the system's package of root certificates (often `ca-certificates`), or set tls.ca_file or SSL_CERT_FILE",
            ));
    }
    Ok(roots)
}

/// The client's certificate and key, if there are any.
pub(super) fn identity(names: FileNames, tls: &TlsConfig) -> Result<Option<Identity>> {
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            Ok(Some(Identity { chain: certificates(names.cert, cert)?, key: private_key(names.key, key)? }))
        }
        // One without the other does not pass `Config::validate`.
        _ => Ok(None),
    }
}

/// What rustls says when certificate and key cannot be used together.
pub(super) fn mismatch(names: FileNames, tls: &TlsConfig, error: &rustls::Error) -> Error {
    let shown = |path: &Option<_>| {
        path.as_ref().map_or_else(String::new, |path: &std::path::PathBuf| path.display().to_string())
    };
    let (cert, key) = (shown(&tls.cert_file), shown(&tls.key_file));
    let why = match error {
        rustls::Error::InconsistentKeys(_) => "the key is not that of the first certificate".into(),
        error => error.to_string(),
    };
    Error::config(format!("{}, {}: cannot use {cert} with {key}: {why}", names.cert, names.key))
        .with_class(Class::Transient)
        .with_hint(format!(
            "put the client's own certificate first, those of the authorities that lead to it after it, and the key that belongs to it into {}",
            names.key
        ))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(key, path)?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Err(error) => Err(bad(key, path, &pem_error(&error))),
        Ok(found) if found.is_empty() => Err(bad(key, path, "it holds no `BEGIN CERTIFICATE`").with_hint(
            "write the certificate in PEM: `openssl x509 -inform der -in FILE -out FILE.pem` turns DER into it",
        )),
        Ok(found) => Ok(found),
    }
}

/// In PKCS#8, PKCS#1 or SEC1; whatever else is in the file is left alone.
fn private_key(key: &str, path: &Path) -> Result<PrivateKeyDer<'static>> {
    const FORMS: &str = "write the key in PEM, as PKCS#8, PKCS#1 or SEC1: `openssl pkey -in FILE -out FILE.pem`";
    let text = read(key, path)?;
    // PKCS#8 says it in the first line, the older forms in a header (RFC 1421).
    if holds(&text, b"BEGIN ENCRYPTED PRIVATE KEY") || holds(&text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(bad(key, path, "the key in it is encrypted").with_hint(
            "decrypt it with `openssl pkey -in FILE -out FILE.pem`, and let only the sink's user read the result",
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => bad(key, path, "it holds no `BEGIN PRIVATE KEY`").with_hint(FORMS),
        error => bad(key, path, &pem_error(&error)).with_hint(FORMS),
    })
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(|error| bad(key, path, &error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(bad(key, path, "it is larger than 4 MiB"));
    }
    Ok(text)
}

/// Without what stands in the file: it may be a key.
fn pem_error(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a `BEGIN` in it has no matching `END`".into(),
        pem::Error::IllegalSectionStart { .. } => "a `BEGIN` line in it is broken".into(),
        pem::Error::Base64Decode(_) => "it holds what is not Base64".into(),
        _ => "it is not PEM".into(),
    }
}

fn bad(key: &str, path: &Path, why: &str) -> Error {
    Error::config(format!("{key}: cannot use {}: {why}", path.display()))
        .with_class(Class::Transient)
        .with_hint("check the path, that the sink's user may read it, and that it is PEM")
}
