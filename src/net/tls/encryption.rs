//! The encryption of a connection, for `check`: the protocol, and how long its certificates are valid.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConnection, RootCertStore};

use crate::net::tls::provider::provider;
use crate::report::finding::Finding;
use crate::time::clock::Clock;

/// Certificates are usually renewed weeks before they expire: with fewer days left, the renewal has failed.
const DAYS_LEFT_MIN: i64 = 14;
const DAY_SECONDS: i64 = 24 * 3600;

/// The encryption of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Encryption {
    protocol: &'static str,
    /// The server's certificate and the intermediate ones that it sent.
    chain: Vec<CertificateDer<'static>>,
}

impl Encryption {
    /// `None` before the end of the handshake.
    pub(crate) fn of(connection: &ClientConnection) -> Option<Self> {
        let protocol = match connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => "TLS 1.3",
            rustls::ProtocolVersion::TLSv1_2 => "TLS 1.2",
            _ => "TLS",
        };
        let chain = connection.peer_certificates()?.iter().map(|der| der.clone().into_owned()).collect();
        Some(Self { protocol, chain })
    }

    /// The finding of `check`; `verified` states what was verified about the server.
    pub(crate) fn finding(&self, verified: &str, clock: &dyn Clock) -> Finding {
        let Self { protocol, chain } = self;
        let chain = match chain.len() {
            1 => "1 certificate".to_owned(),
            count => format!("{count} certificates"),
        };
        let Some(end) = self.valid_until() else {
            return Finding::good(format!("{protocol}, {verified}; {chain}, valid without an end"));
        };
        let days = (end - clock.unix_micros() / 1_000_000).div_euclid(DAY_SECONDS);
        let message = format!("{protocol}, {verified}; {chain}, valid for {days} days");
        if days >= DAYS_LEFT_MIN {
            return Finding::good(message);
        }
        Finding::warning(message, "have the server's certificate renewed: after it expires, no connection succeeds")
    }

    /// The first expiry of the certificates, in seconds since 1970-01-01 UTC; `None` if none expires.
    fn valid_until(&self) -> Option<i64> {
        self.chain.iter().filter_map(not_after).min()
    }
}

/// rustls has no accessor for a certificate's fields. Verified at the end of time, however, it reports a certificate's expiry, and
/// does so before any other error.
fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    // 9999-12-31T23:59:59Z, for certificates that never expire (RFC 5280 section 4.1.2.5).
    let at = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_799));
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let algorithms = provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], at, algorithms) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            i64::try_from(not_after.as_secs()).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::net::tls::authority::Authority;

    /// A clock that stays at a second since 1970.
    #[derive(Debug)]
    struct At(i64);

    impl Clock for At {
        fn steady(&self) -> Instant {
            Instant::now()
        }

        fn unix_micros(&self) -> i64 {
            self.0 * 1_000_000
        }
    }

    /// 2030-01-01T00:00:00Z
    const NEW_YEAR_2030: i64 = 1_893_456_000;

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_expiry_counts_and_is_a_warning_two_weeks_before() {
        let authority = Authority::new();
        let until = |year| der(&authority.server_valid(&["localhost"], 2020..year).certificate);
        let check = |chain: Vec<CertificateDer<'static>>, days_before: i64, says: &str, is_warning: bool| {
            let encryption = Encryption { protocol: "TLS 1.3", chain };
            let finding = encryption.finding("verified", &At(NEW_YEAR_2030 - days_before * DAY_SECONDS));
            assert!(finding.message.contains(says), "{finding:?}");
            assert_eq!(finding.hint.is_some(), is_warning, "{finding:?}");
        };
        check(vec![until(2030)], 80, "TLS 1.3, verified; 1 certificate, valid for 80 days", false);
        check(vec![until(2030)], 14, "valid for 14 days", false);
        check(vec![until(2030)], 13, "valid for 13 days", true);
        check(vec![until(2030)], -1, "valid for -1 days", true);
        check(vec![until(2040), until(2030)], 3, "2 certificates, valid for 3 days", true);
        check(vec![until(2040), der(&authority.pem)], 3, "valid for 3655 days", false);
    }
}
