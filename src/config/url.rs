//! The little that has to be known about a URL before it is used: its scheme, its host, and whether that is this machine.
//!
//! Deliberately narrower than RFC 3986: what could be read as one host here and as another by the client that connects
//! (user info, backslashes, control characters) is refused, because the decision to send a token depends on the host.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Result};

/// Checks an address that a token or a secret is sent to. `schemes`: the encrypted one, then the plain one.
pub(super) fn check(url: &str, schemes: [&str; 2]) -> Result<()> {
    let [encrypted, plain] = schemes;
    let hint = format!("write an address that starts with {encrypted}://");
    let bad = |reason: &str| Error::config(reason).with_hint(hint.clone());
    let Some((scheme, rest)) = url.split_once("://") else { return Err(bad("is not a URL")) };
    if !schemes.contains(&scheme) {
        return Err(bad("has a scheme that cannot be used here"));
    }
    if url.contains(|c: char| !c.is_ascii_graphic() || c == '\\') {
        return Err(bad("holds a character that a URL may not hold"));
    }
    if url.contains('#') {
        return Err(bad("holds a fragment (#…), which is never sent"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(bad("holds credentials").with_hint("credentials have keys of their own"));
    }
    let host = host(authority).ok_or_else(|| bad("has no valid host"))?;
    if scheme == plain && !is_loopback(host) {
        return Err(Error::config(format!("would send credentials unencrypted to {host:?}")).with_hint(format!(
            "use {encrypted}://; {plain}:// is for this machine only (localhost, 127.0.0.1, [::1])"
        )));
    }
    Ok(())
}

/// The host without its port; an IPv6 address without its brackets.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
    };
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (port_fits && !host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_addresses_and_plain_loopback_ones_are_fine() {
        for url in [
            "wss://api.cxp.cxone.com/data-actions/v1/stream/{stream_id}",
            "wss://10.0.0.1:8443",
            "wss://[2001:db8::1]:8443/x?y=z",
            "ws://localhost:1234/{stream_id}",
            "ws://LOCALHOST/",
            "ws://127.0.0.1:80",
            "ws://127.8.9.10",
            "ws://[::1]:9/",
        ] {
            assert!(check(url, ["wss", "ws"]).is_ok(), "{url}");
        }
    }

    #[test]
    fn credentials_in_the_clear_are_refused() {
        for url in [
            "ws://api.cxp.cxone.com/",
            "ws://localhost.example.com/",
            "ws://127.0.0.1.example.com/",
            "ws://127.0.0.1example/",
            "ws://{stream_id}/",
            "ws://0.0.0.0/",
            "ws://[::]/",
            "ws://10.0.0.1/",
            "ws://[::ffff:10.0.0.1]/",
        ] {
            let error = check(url, ["wss", "ws"]).unwrap_err();
            assert!(error.message().contains("unencrypted"), "{url}: {error:?}");
            assert!(error.hint().unwrap().contains("wss://"), "{url}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for url in [
            "",
            "wss",
            "wss:/x",
            "wss:///x",
            "wss://:80/",
            "wss://host:port/",
            "wss://host:99999/",
            "wss://[::1/",
            "wss://[::1]x/",
            "WSS://host/",
            "http://host/",
            "ws://localhost@example.com/",
            "ws://localhost\\@example.com/",
            "wss://me@host/",
            "wss://host\\x/",
            "wss://host/a b",
            "wss://host/\n",
            "wss://h\u{f6}st/",
            "wss://host/#x",
        ] {
            assert!(check(url, ["wss", "ws"]).is_err(), "{url}");
        }
    }

    #[test]
    fn messages_hold_no_credentials() {
        let error = check("https://me:hunter2@host/", ["https", "http"]).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
