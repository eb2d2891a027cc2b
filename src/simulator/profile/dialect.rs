//! The messages that a platform's server sends and expects, as data, under the names of the settings (`stream.open` and so on).
//!
//! In texts, `<name>` is replaced: `<n>` by the number of the message, `<stream_id>` by the stream's id, `<echo>` by a value of the
//! message that is answered.

use super::template::Event;

#[derive(Debug)]
pub(in crate::simulator) struct Dialect {
    pub(in crate::simulator) token_request: TokenRequest,
    pub(in crate::simulator) token_place: TokenPlace,
    /// The path of the stream.
    pub(in crate::simulator) path: &'static str,
    /// Sent right after the handshake, for `stream.ignore`.
    pub(in crate::simulator) ignored_first: Option<&'static str>,
    /// The messages that open the conversation, in order. Without any, the stream is open after the handshake.
    pub(in crate::simulator) open: &'static [Exchange],
    /// The answer to the last of them that requests a delay.
    pub(in crate::simulator) open_refused: &'static str,
    pub(in crate::simulator) heartbeat: Option<Exchange>,
    /// A message without an event that the server sends by itself.
    pub(in crate::simulator) own_heartbeat: Option<&'static str>,
    /// Sent before the server closes, for `stream.ignore`.
    pub(in crate::simulator) ignored_last: Option<&'static str>,
    /// The acknowledgement of a message: what is not acknowledged comes again on the next connection.
    pub(in crate::simulator) ack: Option<Acknowledgement>,
    pub(in crate::simulator) envelope: Envelope,
    /// The events; `None`: those of CXone Data Actions.
    pub(in crate::simulator) event: Option<&'static Event>,
}

/// How a client gets a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum TokenRequest {
    /// A form with the client's id and secret, for the scope (RFC 6749 section 4.4).
    ClientCredentials,
    /// A form with user name and password, the client in HTTP Basic (RFC 6749 section 4.3), at an endpoint that a discovery document
    /// names.
    Password,
    /// A JSON object with id and secret of an access key.
    AccessKey,
    /// There is no endpoint. Where the stream needs a token, the simulator writes it into `token_file`.
    None,
}

impl TokenRequest {
    pub(in crate::simulator) fn path(self) -> Option<&'static str> {
        match self {
            Self::ClientCredentials => Some("/oauth/token"),
            Self::Password => Some("/auth/token"),
            Self::AccessKey => Some("/authentication/v1/token/access-key"),
            Self::None => None,
        }
    }
}

/// Where the server expects the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum TokenPlace {
    Header,
    /// In this member of the query; a token is good for one connection.
    QueryOnce(&'static str),
    Messages,
    Nowhere,
}

/// A message of the client, and the answer to it.
#[derive(Debug)]
pub(in crate::simulator) struct Exchange {
    /// The values of the message at these JSON pointers.
    pub(in crate::simulator) has: &'static [(&'static str, Expected)],
    /// The JSON pointer of the value that replaces `<echo>`.
    pub(in crate::simulator) echo: &'static str,
    pub(in crate::simulator) answer: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum Expected {
    Text(&'static str),
    AnyText,
    /// A token that is valid.
    Token,
    StreamId,
}

#[derive(Debug)]
pub(in crate::simulator) struct Acknowledgement {
    pub(in crate::simulator) has: &'static [(&'static str, Expected)],
    /// The JSON pointer of the text that names the message.
    pub(in crate::simulator) id: &'static str,
    /// The beginning of this text, before the message's number.
    pub(in crate::simulator) id_prefix: &'static str,
}

/// The text around an event in its message.
#[derive(Debug)]
pub(in crate::simulator) struct Envelope {
    pub(in crate::simulator) before: &'static str,
    pub(in crate::simulator) after: &'static str,
    /// The event is a JSON text that holds it.
    pub(in crate::simulator) is_text: bool,
}

impl Envelope {
    pub(in crate::simulator) const NONE: Self = Self { before: "", after: "", is_text: false };

    pub(in crate::simulator) fn is_none(&self) -> bool {
        self.before.is_empty() && self.after.is_empty() && !self.is_text
    }

    /// Appends the message number `n` around an event, or around an array of them.
    pub(in crate::simulator) fn wrap(&self, event: &[u8], n: u64, out: &mut Vec<u8>) {
        push_numbered(out, self.before, n);
        match std::str::from_utf8(event) {
            // Writing to a `Vec` cannot fail.
            Ok(text) if self.is_text => drop(serde_json::to_writer(&mut *out, text)),
            _ => out.extend_from_slice(event),
        }
        push_numbered(out, self.after, n);
    }
}

fn push_numbered(out: &mut Vec<u8>, text: &str, n: u64) {
    for (at, part) in text.split("<n>").enumerate() {
        if at > 0 {
            out.extend_from_slice(n.to_string().as_bytes());
        }
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(envelope: &Envelope, event: &str) -> String {
        let mut out = Vec::new();
        envelope.wrap(event.as_bytes(), 7, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_envelope_stands_around_the_event() {
        assert_eq!(wrapped(&Envelope::NONE, r#"{"a":1}"#), r#"{"a":1}"#);
        let object = Envelope { before: r#"{"id":"<n>","data":"#, after: r#","n":<n>}"#, is_text: false };
        assert_eq!(wrapped(&object, r#"{"a":1}"#), r#"{"id":"7","data":{"a":1},"n":7}"#);
        let text = Envelope { before: "[", after: "]", is_text: true };
        assert_eq!(wrapped(&text, r#"{"a":"\n"}"#), r#"["{\"a\":\"\\n\"}"]"#);
    }
}
