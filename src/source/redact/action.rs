//! What takes the place of a value.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::report::json::hex;

/// What happens to the value at a place.
#[derive(Clone)]
pub(super) enum Action {
    Drop,
    Mask,
    /// With the state that the key has made.
    Hmac(Box<Hmac<Sha256>>),
}

impl Action {
    pub(super) fn hmac(key: &[u8]) -> Self {
        // A key of any length is taken (RFC 2104).
        Hmac::new_from_slice(key).map_or(Self::Drop, |keyed| Self::Hmac(Box::new(keyed)))
    }

    /// What takes the place of this JSON value; `None` if it stays, because it says nothing.
    pub(super) fn replacement(&self, value: &str) -> Option<Cow<'static, str>> {
        let first = value.as_bytes().first();
        match self {
            // Only an element of an array is replaced: the numbers of the others stay.
            Self::Drop => Some("null".into()),
            _ if first == Some(&b'n') => None,
            Self::Mask => Some(mask(first).into()),
            Self::Hmac(keyed) => {
                let mut keyed = keyed.clone();
                keyed.update(hashed(value).as_bytes());
                Some(format!("\"{}\"", hex(&keyed.finalize().into_bytes())).into())
            }
        }
    }
}

/// The fixed value of the same type, so that the event still matches its schema.
fn mask(first: Option<&u8>) -> &'static str {
    match first {
        Some(b'"') => "\"***\"",
        Some(b't' | b'f') => "false",
        Some(b'{') => "{}",
        Some(b'[') => "[]",
        _ => "0",
    }
}

/// Of a text what it says, so that two spellings of it are equal; of another value its JSON. A text that is not Unicode has only its spelling.
fn hashed(value: &str) -> Cow<'_, str> {
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inside {
        Some(text) if !text.contains('\\') => text.into(),
        Some(_) => serde_json::from_str::<String>(value).map_or(value.into(), Cow::Owned),
        None => value.into(),
    }
}

/// Without the key.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "Drop",
            Self::Mask => "Mask",
            Self::Hmac(_) => "Hmac",
        })
    }
}
