//! Percent-encoding (RFC 3986, section 2.1), for every URL and form of the crate.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(crate) use percent_encoding::AsciiSet;

/// All but the unreserved characters (RFC 3986, section 2.3).
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A path keeps its slashes.
pub(crate) const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
/// An IPv6 address keeps its colons and brackets.
pub(crate) const RESERVED_IN_IPV6: &AsciiSet = &RESERVED.remove(b':').remove(b'[').remove(b']');

/// Encodes the characters of `reserved`, and all that are not ASCII.
pub(crate) fn encode(text: &str, reserved: &'static AsciiSet) -> String {
    utf8_percent_encode(text, reserved).to_string()
}

/// A value of a form (`application/x-www-form-urlencoded`).
pub(crate) fn encode_in_form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The decoded text; `None` if it is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_characters_are_encoded() {
        assert_eq!(encode("a-b_c.d~e", RESERVED), "a-b_c.d~e");
        assert_eq!(encode("p@ss:w/rd %?#\u{e4}", RESERVED), "p%40ss%3Aw%2Frd%20%25%3F%23%C3%A4");
        assert_eq!(encode("/run/x,y", RESERVED_IN_PATH), "/run/x%2Cy");
        assert_eq!(encode("[::1]%", RESERVED_IN_IPV6), "[::1]%25");
        assert_eq!(encode_in_form("a b&*~\u{e4}"), "a+b%26*%7E%C3%A4");
    }

    #[test]
    fn decoding_refuses_what_is_not_utf8() {
        assert_eq!(decode("p%40ss+%C3%A4").as_deref(), Some("p@ss+\u{e4}"));
        assert_eq!(decode("%FF"), None);
    }
}
