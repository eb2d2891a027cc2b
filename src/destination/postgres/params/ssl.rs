//! libpq's parameters for TLS: protection, trust and the client's certificate (PostgreSQL manual, 34.19, "SSL Support").

use std::path::PathBuf;

use super::settings::{Parameter, Settings};
use crate::config::TlsVersion;
use crate::config::database::libpq::Libpq;
use crate::error::Result;

/// The default directory of libpq's files, in the home directory.
const DIRECTORY: &str = ".postgresql";
/// No version before 1.2 is ever used.
const VERSIONS: [(&str, TlsVersion); 4] = [
    ("TLSv1", TlsVersion::Tls12),
    ("TLSv1.1", TlsVersion::Tls12),
    ("TLSv1.2", TlsVersion::Tls12),
    ("TLSv1.3", TlsVersion::Tls13),
];

/// The protection of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsParameters {
    pub(crate) mode: SslMode,
    pub(crate) roots: Roots,
    /// The files of the client's certificate and its key; `None`: as in `[tls]`.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether to send the client's certificate to a server that requests it.
    pub(crate) sends_identity: bool,
    /// Whether to send SNI (in clear text).
    pub(crate) sni: bool,
    /// The oldest version; `None`: as in `[tls]`.
    pub(crate) version_min: Option<TlsVersion>,
}

/// libpq's `sslmode`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The trusted authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those of `[tls]`, or the system's.
    Default,
    /// `sslrootcert=system`
    System,
    File(PathBuf),
}

impl SslMode {
    pub(super) const ALL: [(&'static str, Self); 6] = [
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

impl TlsParameters {
    pub(super) fn read(settings: &Settings, libpq: &Libpq) -> Result<Self> {
        let in_home = |name: &str| {
            let file = libpq.home.as_ref()?.join(DIRECTORY).join(name);
            file.exists().then_some(file)
        };
        let file = |parameter: &str, default: &str| {
            settings.get(parameter).map(|parameter| PathBuf::from(parameter.text())).or_else(|| in_home(default))
        };
        let root = settings.get("sslrootcert");
        let roots = match root.map(Parameter::text) {
            Some("system") => Roots::System,
            _ => file("sslrootcert", "root.crt").map_or(Roots::Default, Roots::File),
        };
        Ok(Self {
            mode: mode(settings, &roots)?,
            roots,
            identity: identity(file("sslcert", "postgresql.crt"), file("sslkey", "postgresql.key"), settings)?,
            sends_identity: settings.get("sslcertmode").is_none_or(|parameter| parameter.text() != "disable"),
            sni: settings.get("sslsni").is_none_or(|parameter| parameter.text() != "0"),
            version_min: settings
                .get("ssl_min_protocol_version")
                .map(|parameter| parameter.choice(&VERSIONS))
                .transpose()?,
        })
    }
}

fn mode(settings: &Settings, roots: &Roots) -> Result<SslMode> {
    let Some(parameter) = settings.get("sslmode") else {
        return Ok(if *roots == Roots::System { SslMode::VerifyFull } else { SslMode::Prefer });
    };
    match (parameter.choice(&SslMode::ALL)?, roots) {
        (SslMode::VerifyFull, _) => Ok(SslMode::VerifyFull),
        (_, Roots::System) => Err(parameter.bad("is too weak for sslrootcert=system").with_hint(
            "use verify-full: every server can get a certificate from an authority that the system trusts, so the name must be verified",
        )),
        // As in libpq: a named authority means that no other may have signed the server's certificate.
        (SslMode::Require, Roots::File(_)) => Ok(SslMode::VerifyCa),
        (mode, _) => Ok(mode),
    }
}

fn identity(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    settings: &Settings,
) -> Result<Option<(PathBuf, PathBuf)>> {
    match (certificate, key, settings.get("sslcert"), settings.get("sslkey")) {
        (Some(certificate), Some(key), ..) => Ok(Some((certificate, key))),
        (Some(_), None, Some(parameter), _) => {
            Err(parameter.bad("has no key with it").with_hint("set sslkey to the key's file"))
        }
        (None, Some(_), _, Some(parameter)) => {
            Err(parameter.bad("has no certificate with it").with_hint("set sslcert to the certificate's file"))
        }
        // Half of a pair in the default place is an accident.
        _ => Ok(None),
    }
}
