//! The rules, ready for events.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::action::Action;
use super::fingerprint::Fingerprint;
use super::tree::Tree;
use super::walk::walk;
use crate::config::{Config, Redaction};
use crate::error::Result;
use crate::event::{Burst, Event};
use crate::source::unwrap::Unwrapper;

/// Redacts events and bursts. The same event gives the same bytes.
#[derive(Debug)]
pub(crate) struct Redactor {
    tree: Tree,
    /// An event may grow up to this.
    bytes_max: usize,
    /// Tells why a message could not be unwrapped.
    unwrapper: Option<Unwrapper>,
}

/// What is kept of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redacted<'e> {
    /// Borrowed if it holds nothing that must go.
    Event(Cow<'e, str>),
    Fingerprint(Fingerprint),
}

impl Redactor {
    /// Reads the keys. `None` if there is nothing to redact.
    ///
    /// # Errors
    /// `Config`: a key cannot be used.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>> {
        if config.redact.is_empty() {
            return Ok(None);
        }
        let mut tree = Tree::new();
        for rule in &config.redact {
            let action = match (rule.with, rule.key()?) {
                (Redaction::Mask, _) => Action::Mask,
                (Redaction::Hmac, Some(key)) => Action::hmac(key.expose().as_bytes()),
                // Hmac without a key is refused before.
                (Redaction::Drop | Redaction::Hmac, _) => Action::Drop,
            };
            tree.add(&rule.steps(), action);
        }
        let bytes_max = usize::try_from(config.stream.event_bytes_max).unwrap_or(usize::MAX);
        Ok(Some(Self { tree, bytes_max, unwrapper: Unwrapper::new(&config.event)? }))
    }

    /// Redacts an event.
    pub(crate) fn redact<'e>(&self, event: &'e [u8]) -> Redacted<'e> {
        let redacted = json(event).and_then(|text| {
            walk(text, &self.tree, self.bytes_max.max(event.len())).map_err(|_| {
                format!("longer than stream.event_bytes_max = {} bytes once it is redacted", self.bytes_max)
            })
        });
        match redacted {
            Ok(text) => Redacted::Event(text),
            Err(reason) => Redacted::Fingerprint(Fingerprint::new(reason, false, event)),
        }
    }

    /// Appends what is kept of each event of a burst, and its counts.
    pub(crate) fn redact_burst(&self, burst: &Burst, into: &mut Burst) {
        into.reserve(burst.bytes());
        for event in burst.marked() {
            self.push(event, into);
        }
        into.count_messages(burst.messages(), burst.ignored());
    }

    /// Appends what is kept of an event. A fingerprint is marked as a message is, because it is no event.
    pub(crate) fn push(&self, event: Event<'_>, into: &mut Burst) {
        let redacted = if event.is_message {
            let reason = Unwrapper::reason_of(self.unwrapper.as_ref(), event.bytes);
            Redacted::Fingerprint(Fingerprint::new(reason, true, event.bytes))
        } else {
            self.redact(event.bytes)
        };
        match redacted {
            Redacted::Event(text) => into.push(text.as_bytes()),
            Redacted::Fingerprint(fingerprint) => into.push_message(fingerprint.text().as_bytes()),
        }
    }
}

/// The text of an event that is JSON. The reason why it is not holds nothing of it.
fn json(event: &[u8]) -> std::result::Result<&str, String> {
    if event.is_empty() {
        return Err("empty".into());
    }
    let text = std::str::from_utf8(event).map_err(|error| format!("not UTF-8 from byte {}", error.valid_up_to()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("not JSON: {error}"))?;
    Ok(text)
}
