//! `[proxy]`: the proxy's URL, and the hosts to reach without it.
//!
//! Follows the conventions of curl and Go, because `HTTPS_PROXY` and `NO_PROXY` are set for all programs at once.

use std::net::IpAddr;

use crate::config::Secret;

use crate::config::sections::ProxyConfig;
use crate::config::url::{parse_port, split_authority};
use crate::config::{percent, secrets};
use crate::error::{Error, Result};

const FORM: &str = "write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, special characters percent-encoded";

/// The parts of a proxy's URL.
#[derive(Debug)]
pub(crate) struct ProxyAddress {
    /// Whether the proxy itself is reached over TLS: `https://`.
    pub(crate) tls: bool,
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    password: Option<Secret>,
}

/// Splits a proxy's URL. Errors never quote it: a password may be anywhere in it.
pub(super) fn parse(url: &str) -> Result<ProxyAddress> {
    let bad = |reason: &str| Error::config(reason).with_hint(FORM);
    // As in curl, a proxy without a scheme speaks HTTP.
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let tls = scheme.eq_ignore_ascii_case("https");
    if !tls && !scheme.eq_ignore_ascii_case("http") {
        let is_socks = scheme.to_ascii_lowercase().starts_with("socks");
        return Err(bad(if is_socks {
            "SOCKS proxies are not supported, only HTTP proxies (CONNECT)"
        } else {
            "the scheme must be http:// or https://"
        }));
    }
    if url.contains(|c: char| !c.is_ascii_graphic() || c == '\\') {
        return Err(bad("contains a character that a URL must not contain"));
    }
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, rest),
    };
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = split_authority(place).ok_or_else(|| bad("the host is missing or malformed"))?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !place.starts_with('[') && !host.chars().all(is_host) {
        return Err(bad("the host is missing or malformed"));
    }
    let port = port.ok_or_else(|| bad("the port is missing"))?;
    let port = parse_port(port).ok_or_else(|| bad("the port must be 1 to 65535"))?;
    let decode = |text: &str| {
        percent::decode(text)
            .filter(|text| !text.contains(char::is_control))
            .ok_or_else(|| bad("user or password contain a character that cannot be sent"))
    };
    let (user, password) =
        match credentials.map(|text| text.split_once(':').map_or((text, None), |(u, p)| (u, Some(p)))) {
            None => (None, None),
            Some((user, password)) => (Some(decode(user)?), password.map(decode).transpose()?),
        };
    if user.as_ref().is_some_and(|user| user.contains(':')) {
        return Err(bad("the user contains a colon, which cannot be sent (RFC 7617)"));
    }
    Ok(ProxyAddress { tls, host: host.into(), port, user, password: password.map(Into::into) })
}

/// The URL with `***` in place of the password. In doubt it hides too much.
pub(super) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rsplit_once('@') {
        None => url.into(),
        Some((credentials, place)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{scheme}{separator}{user}:***@{place}"),
            None => url.into(),
        },
    }
}

impl ProxyConfig {
    /// The proxy, if there is one.
    pub(crate) fn address(&self) -> Result<Option<ProxyAddress>> {
        let Some(url) = &self.url else { return Ok(None) };
        parse(url.expose()).map(Some).map_err(|error| error.while_doing("proxy.url"))
    }

    /// The password: the content of `password_file`, which is read again, or the one in the URL.
    pub(crate) fn password(&self, address: &ProxyAddress) -> Result<Option<Secret>> {
        match &self.password_file {
            None => Ok(address.password.clone()),
            Some(file) => secrets::read(file).map(Some).map_err(|error| error.while_doing("proxy.password_file")),
        }
    }

    /// Checks the values of the section together.
    pub(super) fn validate(&self) -> Result<()> {
        let Some(address) = self.address()? else { return Ok(()) };
        if self.password_file.is_some() {
            if address.password.is_some() {
                return Err(Error::config("proxy.password_file is set, and proxy.url contains a password")
                    .with_hint("set one of them"));
            }
            if address.user.is_none() {
                return Err(Error::config("proxy.password_file is set, but proxy.url contains no user").with_hint(FORM));
            }
        }
        self.password(&address).map(drop)
    }

    /// Whether `host`, a name or an IP address without brackets, is reached without the proxy.
    ///
    /// As in curl and Go: a name matches itself and all names below it, with or without a leading dot; an address matches itself,
    /// a network (`10.0.0.0/8`) its addresses; a port restricts an entry; `*` matches everything.
    pub(crate) fn is_excepted(&self, host: &str, port: u16) -> bool {
        let entries = self.no_proxy.as_deref().unwrap_or_default();
        let entries = entries.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        let ip = host.parse::<IpAddr>().ok();
        entries.into_iter().any(|entry| excepts(entry, host, ip, port))
    }
}

fn excepts(entry: &str, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return ip.is_some_and(|ip| is_within(ip, network, bits));
    }
    let (entry, entry_port) = split_port(entry);
    if entry_port.is_some_and(|entry_port| entry_port != port) {
        return false;
    }
    if let Some(ip) = ip {
        return entry.parse() == Ok(ip);
    }
    let (host, entry) =
        (host.trim_end_matches('.').to_ascii_lowercase(), entry.trim_end_matches('.').to_ascii_lowercase());
    let entry = entry.strip_prefix("*.").unwrap_or(&entry).trim_start_matches('.');
    !entry.is_empty() && (host == entry || host.strip_suffix(entry).is_some_and(|above| above.ends_with('.')))
}

/// `host:port`, `[::1]:port`, `[::1]`; a bare IPv6 address has colons but no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (entry, None),
    }
}

/// RFC 4632 and RFC 4291: the first `bits` of both are the same.
fn is_within(ip: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (ip, network.parse()) {
        (IpAddr::V4(ip), Ok(IpAddr::V4(network))) => {
            bits <= 32 && (ip.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), Ok(IpAddr::V6(network))) => {
            bits <= 128 && (ip.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_their_parts() {
        let check = |url: &str, tls, host: &str, port, user: Option<&str>, password: Option<&str>| {
            let address = parse(url).unwrap();
            assert_eq!((address.tls, &*address.host, address.port, address.user.as_deref()), (tls, host, port, user));
            assert_eq!(address.password.as_ref().map(Secret::expose), password);
        };
        check("http://proxy.example:3128", false, "proxy.example", 3128, None, None);
        check("proxy:8080/", false, "proxy", 8080, None, None);
        check("HTTPS://me@10.0.0.1:443", true, "10.0.0.1", 443, Some("me"), None);
        check("http://me:p%40s%3As%2Fw%C3%A4@[::1]:3128", false, "::1", 3128, Some("me"), Some("p@s:s/wä"));
        check("http://DOM%5Cme:a:b@c@proxy:1", false, "proxy", 1, Some("DOM\\me"), Some("a:b@c"));
        check("http://me:@proxy:1", false, "proxy", 1, Some("me"), Some(""));
    }

    #[test]
    fn errors_name_the_reason_and_never_quote_the_url() {
        let check = |url: &str, why: &str| {
            let error = parse(url).unwrap_err();
            assert!(error.message().contains(why), "{url}: {error}");
            assert!(error.hint().is_some() && !format!("{error:?}").contains("hunter2"), "{error:?}");
        };
        check("socks5://me:hunter2@proxy:1080", "SOCKS");
        check("socks5h://proxy:1080", "SOCKS");
        check("ftp://proxy:21", "scheme");
        check("http://me:hunter2@proxy", "port is missing");
        check("http://[::1]", "port is missing");
        check("http://proxy:0", "must be 1 to 65535");
        check("http://proxy:http", "must be 1 to 65535");
        check("http://proxy:3128/path", "must be 1 to 65535");
        check("http://:3128", "host is missing");
        check("http://[hunter2]:3128", "malformed");
        check("http://me:hunter2 @proxy:1", "must not contain");
        check("http://me:hunter2%0D%0AX: y@proxy:1", "must not contain");
        check("http://me:hunter2%0D%0AX@proxy:1", "cannot be sent");
        check("http://me:hunter2%ff@proxy:1", "cannot be sent");
        check("http://m%3Ae:hunter2@proxy:1", "contains a colon");
    }

    #[test]
    fn the_password_is_hidden() {
        let check = |url: &str, expected: &str| assert_eq!(without_password(url), expected);
        check("http://me:hunter2@proxy:1", "http://me:***@proxy:1");
        check("me:hunter@2@proxy:1", "me:***@proxy:1");
        check("http://me:hun://ter2@proxy:1", "http://me:***@proxy:1");
        check("http://me@proxy:1", "http://me@proxy:1");
        check("http://proxy:1", "http://proxy:1");
    }

    #[test]
    fn exceptions_match_as_in_other_programs() {
        let check = |list: &str, host: &str, expected: bool| {
            let config = ProxyConfig { no_proxy: Some(list.into()), ..ProxyConfig::default() };
            assert_eq!(config.is_excepted(host, 443), expected, "{list} and {host}");
        };
        check("", "api.example.com", false);
        check("*", "api.example.com", true);
        check("other.com, example.com", "api.example.com", true);
        check("example.com", "example.com", true);
        check("EXAMPLE.com.", "api.Example.COM", true);
        check(".example.com", "example.com", true);
        check("*.example.com", "a.b.example.com", true);
        check("example.com", "notexample.com", false);
        check("ample.com", "api.example.com", false);
        check(".", "api.example.com", false);
        check("example.com:443", "api.example.com", true);
        check("example.com:8443", "api.example.com", false);
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.11", false);
        check("0.0.1", "10.0.0.1", false);
        check("10.0.0.0/8", "10.1.2.3", true);
        check("10.0.0.0/8", "11.1.2.3", false);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("1.2.3.4/32", "1.2.3.5", false);
        check("10.0.0.0/33", "10.0.0.0", false);
        check("10.0.0.0/8", "10.example.com", false);
        check("::1", "::1", true);
        check("[::1]:443", "::1", true);
        check("[::1]:80", "::1", false);
        check("2001:db8::/32", "2001:db8:1::9", true);
        check("2001:db8::/32", "2001:db9::", false);
        check("::/0", "1.2.3.4", false);
        check("localhost other.com", "localhost", true);
    }

    #[test]
    fn this_machine_is_excepted_by_default() {
        let config = ProxyConfig::default();
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(config.is_excepted(host, 443), "{host}");
        }
        assert!(!config.is_excepted("api.cxp.cxone.com", 443));
    }
}
