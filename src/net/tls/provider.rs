//! rustls settings from the section `[tls]`.
//!
//! The files are read again by each call, and each connection makes a call, so a renewed certificate takes effect without a
//! restart.
//!
//! A connection with its own rules for certificates, such as PostgreSQL's `sslmode`, passes its verifier to
//! [`client_config_with`], made from [`trusted`]. Files of its own replace those of `[tls]` in a copy of the section. `min_version`
//! and the client's certificate apply to every connection; `server_name` does not apply to the database.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion, version};

use crate::config::{TlsConfig, TlsVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::net::tls::files::{self, FileNames, IN_SECTION, trusted};

/// The application protocol (RFC 7301) of the token endpoint and the stream. A server that also offers HTTP/2 must not choose it:
/// WebSocket over HTTP/2 is another protocol (RFC 8441).
const HTTP_1_1: &[&str] = &["http/1.1"];

/// ring, passed explicitly: a provider installed for the whole process would be state outside of this library.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Settings that verify the server's certificate and its name; `alpn` is the application protocol (RFC 7301). Reads the files of
/// `tls` again.
///
/// # Errors
/// `Config`, naming key, file and reason; `Connect` if the system has no authorities. Both are transient: a file may be about to
/// be replaced.
pub(crate) fn client_config(tls: &TlsConfig, alpn: &[&str]) -> Result<Arc<ClientConfig>> {
    let roots = Arc::new(trusted(IN_SECTION.ca, tls.ca_file.as_deref())?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    client_config_with(tls, IN_SECTION, alpn, verifier.map_err(|error| not_set_up(&error))?)
}

/// Like [`client_config`], with the caller's own verifier for the server's certificate, and its own names for the files in errors.
///
/// # Errors
/// As [`client_config`].
pub(crate) fn client_config_with(
    tls: &TlsConfig,
    names: FileNames,
    alpn: &[&str],
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.min_version))
        .map_err(|error| not_set_up(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match files::identity(names, tls)? {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|error| files::mismatch(names, tls, &error))?,
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static NEWEST_FIRST: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match least {
        TlsVersion::Tls12 => &NEWEST_FIRST,
        TlsVersion::Tls13 => &NEWEST_FIRST[..1],
    }
}

fn not_set_up(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("setting up TLS: {error}"))
}

/// A session with the token endpoint or the stream at `host`, before its handshake.
///
/// # Errors
/// As [`client_config`] and [`server_name`].
pub(crate) fn session(tls: &TlsConfig, host: &str) -> Result<ClientConnection> {
    ClientConnection::new(client_config(tls, HTTP_1_1)?, server_name(tls, host)?).map_err(|error| not_set_up(&error))
}

/// The name to expect in the certificates of token endpoint and stream: `tls.server_name`, or `host`, a name or an IP address
/// without brackets.
///
/// # Errors
/// `Config`: neither a name nor an address.
fn server_name(tls: &TlsConfig, host: &str) -> Result<ServerName<'static>> {
    let (what, name) = tls.server_name.as_deref().map_or(("the host", host), |name| ("tls.server_name:", name));
    ServerName::try_from(name.to_owned())
        .map_err(|error| Error::config(format!("{what} {name:?} cannot be used with TLS: {error}")))
}

/// The TLS error inside an I/O error, if there is one.
pub(crate) fn inside(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}
