//! The negotiation of compression in the handshake (RFC 7692 section 7.1).
//!
//! The offer has no parameters. This side compresses nothing, so a limit on its window (`client_max_window_bits`) has no use. It inflates
//! with the largest window, so it takes any `server_max_window_bits`.

use tungstenite::http::{HeaderMap, HeaderValue, header};

/// The extension, and the whole offer.
pub(super) const PERMESSAGE_DEFLATE: &str = "permessage-deflate";

/// The parameters of the server's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deflate {
    /// Whether the server compresses each message without the ones before it (`server_no_context_takeover`).
    pub(super) resets_context: bool,
}

/// The extension that the response agrees on; `None`: nothing is compressed. The error says what is wrong with the header.
pub(super) fn agreed(headers: &HeaderMap) -> Result<Option<Deflate>, String> {
    let mut agreed = None;
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        for extension in text(value)?.split(',').map(str::trim).filter(|extension| !extension.is_empty()) {
            let found = deflate(extension)?;
            if agreed.replace(found).is_some() {
                return Err(format!("{PERMESSAGE_DEFLATE} comes twice"));
            }
        }
    }
    Ok(agreed)
}

fn text(value: &HeaderValue) -> Result<&str, String> {
    value.to_str().map_err(|_| "it is not ASCII text".into())
}

/// Commas and semicolons separate even between quotation marks: a quoted value must be a token, too (RFC 6455 section 9.1).
fn deflate(extension: &str) -> Result<Deflate, String> {
    let mut parts = extension.split(';').map(str::trim);
    match parts.next() {
        Some(name) if name.eq_ignore_ascii_case(PERMESSAGE_DEFLATE) => {}
        name => return Err(format!("the extension {} was not offered", name.unwrap_or_default())),
    }
    let mut seen: Vec<String> = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (part, None),
        };
        let name = name.to_ascii_lowercase();
        match (name.as_str(), value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            ("server_max_window_bits", Some(bits)) if is_window(bits) => {}
            ("server_max_window_bits", _) => return Err(format!("{part} is not server_max_window_bits=8 to 15")),
            ("server_no_context_takeover" | "client_no_context_takeover", Some(_)) => {
                return Err(format!("{part}: {name} takes no value"));
            }
            ("client_max_window_bits", _) => return Err(format!("{part}: {name} was not offered")),
            _ => return Err(format!("the parameter {part} is unknown")),
        }
        if seen.contains(&name) {
            return Err(format!("{name} comes twice"));
        }
        seen.push(name);
    }
    Ok(Deflate { resets_context: seen.iter().any(|name| name == "server_no_context_takeover") })
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// Section 7.1.2.1: from 8 to 15, without a leading zero.
fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed_in(values: &[&str]) -> Result<Option<Deflate>, String> {
        let values =
            values.iter().map(|value| (header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(value).unwrap()));
        agreed(&values.collect())
    }

    #[test]
    fn what_the_rfc_allows_is_accepted() {
        let check = |values: &[&str], resets_context: bool| {
            assert_eq!(agreed_in(values), Ok(Some(Deflate { resets_context })), "{values:?}");
        };
        check(&["permessage-deflate"], false);
        check(&["Permessage-Deflate"], false);
        check(&[" permessage-deflate ; server_no_context_takeover "], true);
        check(&["permessage-deflate;client_no_context_takeover"], false);
        check(&["permessage-deflate; client_no_context_takeover; server_no_context_takeover"], true);
        check(&["permessage-deflate; server_max_window_bits=15"], false);
        check(&["permessage-deflate; server_no_context_takeover; server_max_window_bits = \"10\""], true);
        for bits in 8..=15 {
            check(&[&format!("permessage-deflate; server_max_window_bits={bits}")], false);
        }
        check(&["", "permessage-deflate,"], false);
        assert_eq!(agreed_in(&[]), Ok(None));
        assert_eq!(agreed_in(&["", " , "]), Ok(None));
    }

    #[test]
    fn everything_else_is_refused_by_its_name() {
        let check = |values: &[&str], says: &str| {
            let why = agreed_in(values).expect_err(says);
            assert!(why.contains(says), "{values:?}: {why}");
        };
        check(&["x-webkit-deflate-frame"], "the extension x-webkit-deflate-frame was not offered");
        check(&["permessage-deflate, permessage-bzip2"], "the extension permessage-bzip2 was not offered");
        check(&["permessage-deflate, permessage-deflate"], "permessage-deflate comes twice");
        check(&["permessage-deflate", "permessage-deflate"], "permessage-deflate comes twice");
        check(&["permessage-deflate; client_max_window_bits"], "client_max_window_bits was not offered");
        check(&["permessage-deflate; client_max_window_bits=15"], "client_max_window_bits was not offered");
        check(&["permessage-deflate; server_no_context_takeover=1"], "takes no value");
        check(&["permessage-deflate; client_no_context_takeover=\"\""], "takes no value");
        check(&["permessage-deflate; server_no_context_takeover; Server_No_Context_Takeover"], "comes twice");
        check(&["permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"], "comes twice");
        for bits in ["7", "16", "08", "+9", "9 9", "", "\"9", "1e1", "ten"] {
            check(
                &[&format!("permessage-deflate; server_max_window_bits={bits}")],
                "is not server_max_window_bits=8 to 15",
            );
        }
        check(&["permessage-deflate; server_max_window_bits"], "is not server_max_window_bits=8 to 15");
        check(&["permessage-deflate; no_such"], "the parameter no_such is unknown");
        check(&["permessage-deflate;"], "the parameter  is unknown");
        check(&["permessage-deflate server_no_context_takeover"], "was not offered");
        check(&["permessage-deflate; \"a,b\""], "is unknown");
        let not_ascii =
            HeaderMap::from_iter([(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(b"\xff").unwrap())]);
        assert_eq!(agreed(&not_ascii), Err("it is not ASCII text".into()));
    }
}
