//! Who may ask.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use sha2::{Digest, Sha256};

use crate::config::{HttpConfig, Secret};
use crate::error::Result;

/// The rules of `[http]`.
#[derive(Debug)]
pub(super) struct Access {
    config: HttpConfig,
    is_loopback: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// The token is missing or wrong.
    Unauthorized,
    /// The request is for another host.
    Misdirected,
}

impl Access {
    pub(super) fn new(config: &HttpConfig, is_loopback: bool) -> Self {
        Self { config: config.clone(), is_loopback }
    }

    /// # Errors
    /// The token's file cannot be read.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Result<Verdict> {
        if let Some(token) = self.config.token()? {
            let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credentials);
            let is_right = given.is_some_and(|given| are_equal(&given, &token));
            return Ok(if is_right { Verdict::Allowed } else { Verdict::Unauthorized });
        }
        // A page in a browser of this machine may have a name that leads here, and would read what its own site may read (DNS
        // rebinding). It cannot choose the Host header, and has no token.
        let host = headers.get(HOST).map(|value| value.to_str().unwrap_or("?"));
        let is_ours = !self.is_loopback || host.is_none_or(is_this_machine);
        Ok(if is_ours { Verdict::Allowed } else { Verdict::Misdirected })
    }
}

/// The token, as programs send it (RFC 6750 section 2.1), and as browsers do: as the password of any user (RFC 7617 section 2). The scheme
/// is not case-sensitive.
fn credentials(value: &str) -> Option<Secret> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.into());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.into())
}

/// Of hashes, so that the time says nothing about the token.
fn are_equal(given: &Secret, token: &Secret) -> bool {
    Sha256::digest(given.expose().as_bytes()) == Sha256::digest(token.expose().as_bytes())
}

/// Whether this Host header is an address, or `localhost`.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(config: &HttpConfig, is_loopback: bool, headers: &[(&'static str, &str)]) -> Verdict {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Access::new(config, is_loopback).judge(&headers).unwrap()
    }

    #[test]
    fn only_the_right_token_opens() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "opensesame\n").unwrap();
        let config = HttpConfig { token_file: Some(file.path().into()), ..HttpConfig::default() };
        let check = |authorization: &str, expected| {
            assert_eq!(verdict(&config, false, &[("authorization", authorization)]), expected, "{authorization}");
        };
        check("Bearer opensesame", Verdict::Allowed);
        check("bearer  opensesame", Verdict::Allowed);
        for wrong in ["Bearer opensesam", "Bearer opensesame2", "Bearer", "Bearer ", "opensesame", "Basic opensesame"] {
            check(wrong, Verdict::Unauthorized);
        }
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        for right in ["cxsink:opensesame", ":opensesame", "änne:opensesame"] {
            check(&basic(right), Verdict::Allowed);
            check(&basic(right).replace("Basic", "basic"), Verdict::Allowed);
        }
        for wrong in ["opensesame", "opensesame:", "a:b:opensesame", "cxsink:opensesam", "cxsink:opensesame "] {
            check(&basic(wrong), Verdict::Unauthorized);
        }
        assert_eq!(verdict(&config, false, &[]), Verdict::Unauthorized);
        std::fs::write(file.path(), "other").unwrap();
        check("Bearer opensesame", Verdict::Unauthorized);
        check("Bearer other", Verdict::Allowed);
        std::fs::write(file.path(), "").unwrap();
        assert!(Access::new(&config, true).judge(&HeaderMap::new()).is_err(), "an empty file is no open door");
    }

    #[test]
    fn on_loopback_a_foreign_name_is_refused() {
        let config = HttpConfig::default();
        for host in ["127.0.0.1:9465", "localhost:9465", "LOCALHOST", "[::1]:9465", "127.0.0.1"] {
            assert_eq!(verdict(&config, true, &[("host", host)]), Verdict::Allowed, "{host}");
        }
        for host in ["evil.example", "evil.example:9465", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert_eq!(verdict(&config, true, &[("host", host)]), Verdict::Misdirected, "{host}");
            assert_eq!(verdict(&config, false, &[("host", host)]), Verdict::Allowed, "{host}");
        }
        assert_eq!(verdict(&config, true, &[]), Verdict::Allowed, "HTTP/1.0");
    }
}
