//! What libpq's parameters say about TLS: which protection, whom to trust, which certificate to show (PostgreSQL manual, 34.19,
//! "SSL Support").

use std::path::PathBuf;

use crate::config::TlsVersion;
use crate::config::database::libpq::Libpq;
use crate::destination::postgres::connection::tls::VERSIONS;
use crate::destination::postgres::params::settings::{Found, Settings};
use crate::error::Result;

/// Where libpq has its files by default.
const FOLDER: &str = ".postgresql";
/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsChoice {
    pub(crate) mode: SslMode,
    pub(crate) roots: Roots,
    /// The files of our own certificate and its key; `None`: what `[tls]` says.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether a server that asks for our certificate gets it.
    pub(crate) shows_identity: bool,
    /// Whether the server is told, readable for everybody on the way, which name is meant.
    pub(crate) sni: bool,
    /// The oldest version that is spoken; `None`: what `[tls]` says.
    pub(crate) version_min: Option<TlsVersion>,
}

/// libpq's `sslmode`, from the weakest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// What `[tls]` says, else the system's.
    Default,
    /// `sslrootcert=system`
    System,
    File(PathBuf),
}

impl SslMode {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    pub(crate) fn verifies_chain(self) -> bool {
        self >= Self::VerifyCa
    }
}

impl TlsChoice {
    pub(crate) fn read(settings: &Settings, libpq: &Libpq) -> Result<Self> {
        let in_home = |name: &str| {
            let file = libpq.home.as_ref()?.join(FOLDER).join(name);
            file.exists().then_some(file)
        };
        let file = |parameter: &str, default: &str| {
            settings.get(parameter).map(|found| PathBuf::from(found.text())).or_else(|| in_home(default))
        };
        let found_root = settings.get("sslrootcert");
        let roots = match found_root.map(Found::text) {
            Some("system") => Roots::System,
            _ => file("sslrootcert", "root.crt").map_or(Roots::Default, Roots::File),
        };
        let chosen = settings.get("sslmode");
        let mode = chosen.map(|found| found.choice(&SslMode::ALL)).transpose()?;
        if let (Roots::System, Some(found), Some(mode)) = (&roots, chosen, mode)
            && mode != SslMode::VerifyFull
        {
            return Err(found.bad("is too weak for sslrootcert=system").with_hint(
                "use verify-full: anyone can get a certificate from an authority that the system trusts, so the name must be verified",
            ));
        }
        let mode = match (mode, &roots) {
            (None, Roots::System) => SslMode::VerifyFull,
            // As in libpq: whoever names an authority does not want the server to come from another one.
            (Some(SslMode::Require), Roots::File(_)) => SslMode::VerifyCa,
            (mode, _) => mode.unwrap_or(SslMode::Prefer),
        };
        Ok(Self {
            mode,
            roots,
            identity: identity(file("sslcert", "postgresql.crt"), file("sslkey", "postgresql.key"), settings)?,
            shows_identity: settings.get("sslcertmode").is_none_or(|found| found.text() != "disable"),
            sni: settings.get("sslsni").is_none_or(|found| found.text() != "0"),
            version_min: settings.get("ssl_min_protocol_version").map(|found| found.choice(&VERSIONS)).transpose()?,
        })
    }
}

fn identity(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    settings: &Settings,
) -> Result<Option<(PathBuf, PathBuf)>> {
    match (certificate, key, settings.get("sslcert"), settings.get("sslkey")) {
        (Some(certificate), Some(key), ..) => Ok(Some((certificate, key))),
        (Some(_), None, Some(found), _) => {
            Err(found.bad("has no key with it").with_hint("name the key's file in sslkey"))
        }
        (None, Some(_), _, Some(found)) => {
            Err(found.bad("has no certificate with it").with_hint("name the certificate's file in sslcert"))
        }
        // Half of a pair lies in the default place: that is nobody's wish.
        _ => Ok(None),
    }
}
