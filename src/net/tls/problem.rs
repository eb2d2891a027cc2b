//! The reasons for a failed TLS handshake, each with a hint.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError as Bad, PeerIncompatible};

use crate::error::foreign_text::one_line;
use crate::error::{Error, ErrorKind};
use crate::time::timestamp::format_micros;

/// The number of a certificate's names in an error.
const NAMES_SHOWN: usize = 5;

/// The reason for a failed handshake, from which callers choose a hint or an error class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// The server's certificate is for other names.
    WrongHost,
    /// No trusted authority signed the server's certificate.
    UnknownCa,
    /// An authority with the name of a trusted one, but another key, signed the server's certificate.
    WrongKey,
    /// The server uses the certificate of an authority as its own.
    CaAsServer,
    /// The server's certificate has the format before version 3, which rustls does not read.
    OldCertificate,
    /// A certificate has a signature that ring does not verify.
    Algorithm,
    /// The server's certificate is invalid for another reason.
    BadCertificate,
    /// Client and server have no version of TLS in common.
    Version,
    /// Client and server have no algorithm in common, such as one for the key of the server's certificate.
    NothingInCommon,
    /// The server requires a client certificate, and got none or one that it does not accept.
    ClientCertificate,
    /// The peer does not speak TLS.
    NotTls,
    /// The server ended the handshake with an alert.
    Refused,
    /// Anything else.
    Other,
}

impl Problem {
    /// The reason for `error`.
    pub(crate) fn of(error: &rustls::Error) -> Self {
        use rustls::Error as Tls;
        match error {
            Tls::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer => Self::UnknownCa,
                Bad::Expired | Bad::ExpiredContext { .. } => Self::Expired,
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => Self::NotYetValid,
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Self::WrongHost,
                Bad::BadSignature => Self::WrongKey,
                // rustls has no variant of its own for this one.
                Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Self::CaAsServer,
                Bad::Other(other) if other.to_string().contains("UnsupportedCertVersion") => Self::OldCertificate,
                // Three variants, one of them deprecated.
                bad if format!("{bad:?}").starts_with("UnsupportedSignatureAlgorithm") => Self::Algorithm,
                _ => Self::BadCertificate,
            },
            Tls::InvalidMessage(_) => Self::NotTls,
            Tls::AlertReceived(Alert::ProtocolVersion)
            | Tls::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Version,
            Tls::AlertReceived(
                Alert::CertificateRequired
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied,
            ) => Self::ClientCertificate,
            Tls::AlertReceived(Alert::HandshakeFailure) => Self::NothingInCommon,
            Tls::AlertReceived(_) => Self::Refused,
            _ => Self::Other,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Expired => "check this machine's clock; if it is right, have the server's certificate renewed",
            Self::NotYetValid => "check this machine's clock; if it is right, have the server's certificate replaced",
            Self::WrongHost => {
                "check the host in the configuration; if it is the right server under another name, set tls.server_name to a name of its certificate"
            }
            Self::UnknownCa => {
                "set tls.ca_file to the certificate of the authority that signed it, or install that in the system; check that no proxy replaces the server's certificate"
            }
            Self::WrongKey => {
                "if the authority has a new key, put its new certificate into tls.ca_file; check that no proxy replaces the server's certificate"
            }
            Self::CaAsServer => {
                "give the server its own certificate, without `CA:TRUE`, signed by the authority; set tls.ca_file to the authority's"
            }
            Self::OldCertificate => {
                "have the server's certificate replaced by one of X.509 version 3: with `openssl x509 -req`, add -extfile with subjectAltName"
            }
            Self::Algorithm => {
                "have the certificates of the server and of its authorities replaced: keys may be RSA, P-256, P-384 or Ed25519, not P-521 or Ed448"
            }
            Self::NothingInCommon => {
                "see the server's log; its certificate may have a key of P-521 or Ed448, which cxsink does not support (RSA, P-256, P-384 and Ed25519 are), or it may require a client certificate"
            }
            Self::BadCertificate => "have the server's certificate replaced; check that no proxy replaces it",
            Self::Version => "enable TLS 1.3 on the server, or at least 1.2 with tls.min_version = \"1.2\"",
            Self::ClientCertificate => {
                "set tls.cert_file and tls.key_file to a certificate that the server accepts; if they are set, find out from the server's operator which authority must sign it"
            }
            Self::NotTls => "check scheme and port in the configuration: the port does not seem to speak TLS",
            Self::Refused => "see the server's log; it may require a client certificate (tls.cert_file, tls.key_file)",
            Self::Other => "check the address in the configuration, and that no proxy intercepts the connection",
        }
    }
}

/// The error about a failed TLS handshake with `peer`, a host with its port. Of kind `Connect`, transient.
pub(crate) fn refused(peer: &str, error: &rustls::Error) -> Error {
    let problem = Problem::of(error);
    Error::new(ErrorKind::Connect, format!("TLS with {peer}: {}", what(problem, error))).with_hint(problem.hint())
}

fn what(problem: Problem, error: &rustls::Error) -> String {
    let certificate = match error {
        rustls::Error::InvalidCertificate(bad) => Some(bad),
        _ => None,
    };
    match (problem, certificate) {
        (_, Some(Bad::ExpiredContext { not_after, .. })) => {
            format!("the server's certificate expired on {}", date(*not_after))
        }
        (_, Some(Bad::NotValidYetContext { not_before, .. })) => {
            format!("the server's certificate is not valid before {}", date(*not_before))
        }
        (_, Some(Bad::NotValidForNameContext { expected, presented })) => {
            let expected = expected.to_str();
            format!("the server's certificate is not for {expected}, but for {}", names(presented))
        }
        (Problem::Expired, _) => "the server's certificate has expired".into(),
        (Problem::NotYetValid, _) => "the server's certificate is not valid yet".into(),
        (Problem::WrongHost, _) => "the server's certificate is for another name".into(),
        (Problem::UnknownCa, _) => "the server's certificate was signed by an authority that is not trusted".into(),
        (Problem::WrongKey, _) => {
            "the server's certificate was signed by an authority with the name of a trusted one, but another key".into()
        }
        (Problem::OldCertificate, _) => {
            "the server's certificate is of X.509 version 1, and only version 3 is supported".into()
        }
        (Problem::Algorithm, _) => {
            "a certificate of the server is signed with an algorithm that is not supported".into()
        }
        (Problem::NothingInCommon, _) => {
            format!(
                "client and server have no algorithm in common, such as one for the key of its certificate ({error})"
            )
        }
        (Problem::CaAsServer, _) => "the server uses the certificate of an authority as its own".into(),
        (Problem::Version, _) => format!("client and server have no version of TLS in common ({error})"),
        (Problem::ClientCertificate, _) => {
            format!("the server requires a client certificate that it accepts ({error})")
        }
        (Problem::NotTls, _) => format!("the answer is not TLS ({error})"),
        _ => error.to_string(),
    }
}

/// The names come from the server.
fn names(presented: &[String]) -> String {
    let mut shown: Vec<String> =
        presented.iter().take(NAMES_SHOWN).map(|name| one_line(bare(name), 100).into_owned()).collect();
    match presented.len() {
        0 => shown.push("no name".into()),
        count if count > NAMES_SHOWN => shown.push(format!("{} more", count - NAMES_SHOWN)),
        _ => {}
    }
    shown.join(", ")
}

/// rustls writes `DnsName("localhost")`.
fn bare(presented: &str) -> &str {
    let quoted = presented.strip_suffix("\")").and_then(|name| name.split_once("(\""));
    quoted.map_or(presented, |(_, name)| name)
}

fn date(time: UnixTime) -> String {
    let micros = i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let text = format_micros(micros);
    format!("{} UTC", text.get(..19).unwrap_or(&text).replace('T', " "))
}
