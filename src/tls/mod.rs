//! TLS for every connection of the sink: rustls settings from the section `[tls]`, and what a refused handshake means.
//!
//! rustls with ring, passed explicitly: a provider installed for the whole process would be state outside of this library.
//!
//! The files are read again by each call, so a call per connection is how renewed certificates count without a restart.
//!
//! A connection builds its settings with [`client_config`]; `alpn` is the application protocol that it speaks (RFC 7301):
//! [`HTTP_1_1`] for the token endpoint and the stream. A connection whose rules for certificates differ, as those of
//! PostgreSQL's `sslmode` do, gives its own verifier to [`client_config_with`], made from [`trusted`]; files of its own take the
//! place of those in `[tls]` by a changed copy of the section. `min_version` and the client's certificate hold in both. What
//! [`server_name`] says is for the token endpoint and the stream only: one name cannot be right for the database too.
//!
//! When a handshake fails, [`inside`] finds rustls' error in an I/O error and [`refused`] says what it means. With TLS 1.3 a server
//! refuses the client's certificate only after the handshake, so the first read must ask as well.

mod encryption;
mod files;
mod problem;

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion, version};

use crate::config::{TlsConfig, TlsVersion};
use crate::error::{Error, ErrorKind, Result};

pub(crate) use encryption::Encryption;
pub(crate) use files::{FileNames, IN_SECTION, trusted};
pub(crate) use problem::{Problem, refused};

/// The protocol of the token endpoint and of the stream. A server that offers HTTP/2 as well must not choose it: WebSocket over
/// it is another protocol (RFC 8441).
const HTTP_1_1: &[&str] = &["http/1.1"];

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Settings that verify the server's certificate and its name, with the files of `tls` read anew.
///
/// # Errors
/// `Config`, naming the key, the file and what is wrong with it; `Connect` when the system has no authorities. Both count as an
/// outage: a file may be about to be replaced.
pub(crate) fn client_config(tls: &TlsConfig, alpn: &[&str]) -> Result<Arc<ClientConfig>> {
    let roots = Arc::new(trusted(IN_SECTION.ca, tls.ca_file.as_deref())?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    client_config_with(tls, IN_SECTION, alpn, verifier.map_err(|error| not_set_up(&error))?)
}

/// As [`client_config`], with the caller's own rules for the server's certificate, and its own names for the files in messages.
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

/// A session with the token endpoint or the stream at `host`, its handshake still to be done.
///
/// # Errors
/// As [`client_config`] and [`server_name`].
pub(crate) fn session(tls: &TlsConfig, host: &str) -> Result<ClientConnection> {
    ClientConnection::new(client_config(tls, HTTP_1_1)?, server_name(tls, host)?).map_err(|error| not_set_up(&error))
}

/// The name that the token endpoint's and the stream's certificate must hold: `tls.server_name`, or else `host`, a name or an IP
/// address without brackets.
///
/// # Errors
/// `Config`: it is neither a name nor an address.
fn server_name(tls: &TlsConfig, host: &str) -> Result<ServerName<'static>> {
    let (what, name) = tls.server_name.as_deref().map_or(("the host", host), |name| ("tls.server_name:", name));
    ServerName::try_from(name.to_owned())
        .map_err(|error| Error::config(format!("{what} {name:?} cannot be used with TLS: {error}")))
}

/// The TLS error inside an I/O error, if there is one.
pub(crate) fn inside(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The tests' certificates.
#[cfg(test)]
#[path = "../../tests/support/authority.rs"]
pub(crate) mod authority;
#[cfg(test)]
mod tests;
