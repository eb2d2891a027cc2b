//! Keys by their names; an unknown one is answered with the nearest.

use crate::config::keys::about::SECTIONS;
use crate::config::keys::key::Key;
use crate::config::keys::nearest::{nearest, unknown, unknown_near};
use crate::config::keys::own::{STREAMS, find_own};
use crate::config::keys::table::KEYS;
use crate::config::sections::Config;
use crate::error::{Error, Result};

impl Config {
    /// Sets the value of `section.key` from a text, as an environment variable would. An empty text unsets an optional value. On an
    /// error nothing has changed.
    ///
    /// Setting `mapping.columns` also unsets the default of `mapping.update`, which fits the default columns only.
    ///
    /// `streams.NAME.KEY` sets what one of several streams has of its own, and makes the stream if there is none of this name:
    /// `streams.sales.id`, `streams.sales.destination.table`.
    ///
    /// # Errors
    /// `Config`: the key is unknown, or the value is invalid.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match find_own(key) {
            None => find(key)?.set(self, value),
            Some(own) => {
                let own = own?;
                let value = own.key.own_value(own.key.value_type.read_text(value));
                self.streams.put(own.stream, own.key.name, value.map_err(|error| error.while_doing(key))?)
            }
        }
    }

    /// The value of `section.key` as a text that [`Config::set`] accepts; `None` if it is not set or the key is unknown.
    /// A secret is shown as `***`, also the password within a URL. Of `streams.NAME.KEY`, the value that the stream has of its own.
    pub fn get(&self, key: &str) -> Option<String> {
        match find_own(key) {
            None => {
                let key = find(key).ok()?;
                (key.value)(self).map(|value| key.value_type.show(&value))
            }
            Some(own) => {
                let own = own.ok()?;
                let (_, value) = self.streams.own(own.stream)?.iter().find(|(name, _)| *name == own.key.name)?;
                value.as_ref().map(|value| own.key.value_type.show(value))
            }
        }
    }
}

/// Whether there is such a key: one of [`keys`], or `streams.NAME.KEY`.
pub fn is_key(name: &str) -> bool {
    find_own(name).map_or_else(|| find(name).is_ok(), |own| own.is_ok())
}

/// The names of all keys, `section.key`, in the order of the reference.
pub fn keys() -> impl ExactSizeIterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The row of the table for `section.key`; an error names the nearest key.
pub(in crate::config) fn find(name: &str) -> Result<&'static Key> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
        let mut error = unknown("key", name);
        // A name without a section is compared with the last parts of the keys' names.
        let by_last_part = KEYS.iter().map(|key| (key.name.rsplit('.').next().unwrap_or_default(), key.name));
        let candidates: Vec<_> = if name.contains('.') {
            KEYS.iter().map(|key| (key.name, key.name)).collect()
        } else {
            by_last_part.collect()
        };
        if let Some(nearest) = nearest(name, candidates) {
            error = unknown_near("key", name, nearest);
        }
        error.with_hint("see docs/configuration.md for all keys")
    })
}

/// Whether the section is a key itself: `[[redact]]`.
pub(in crate::config) fn is_section_alone(section: &str) -> bool {
    KEYS.iter().any(|key| key.name == section)
}

pub(in crate::config) fn unknown_section(name: &str) -> Error {
    let sections: Vec<_> = SECTIONS.iter().map(|(section, _)| *section).chain([STREAMS]).collect();
    let hint = format!("use one of the sections {}", sections.join(", "));
    match nearest(name, sections.iter().map(|section| (*section, *section))) {
        Some(nearest) => unknown_near("section", name, nearest),
        None => unknown("section", name),
    }
    .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{MessagePattern, RedactRule, Redaction};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_keys_follow_the_order_of_the_sections() {
        let mut sections: Vec<_> = KEYS.iter().map(Key::section).collect();
        sections.dedup();
        assert_eq!(sections, SECTIONS.map(|(name, _)| name));
    }

    #[test]
    fn every_key_accepts_the_value_it_shows() {
        for key in KEYS {
            let mut config = Config::default();
            config.oauth.client_id = Some("id".into());
            config.oauth.client_secret = Some("secret".into());
            config.oauth.client_secret_file = Some("secret.txt".into());
            config.oauth.discovery = Some("https://issuer.example".into());
            config.oauth.username = Some("key-id".into());
            config.oauth.password = Some("key-secret".into());
            config.oauth.password_file = Some("key.txt".into());
            config.oauth.params = vec![("tenant".into(), "t1".into())];
            config.oauth.params_file = vec![("tenant".into(), "tenant.txt".into())];
            config.oauth.token_file = Some("token.txt".into());
            config.destination.history_table = Some("events_history".into());
            config.stream.headers = vec![("X-Tenant".into(), "t1".into())];
            config.stream.headers_file = vec![("X-Key".into(), "key.txt".into())];
            config.stream.subprotocol = Some("v1".into());
            config.stream.open = vec![r#"{"action":"register","token":"{token}"}"#.into(), "[1,'\"]".into()];
            config.stream.open_answer = Some(MessagePattern::Text("\"authorized\"".into()));
            let equals = vec!["a".into(), 1.into(), 1.5.into(), true.into()];
            let member = MessagePattern::Member { pointer: "/command".into(), equals };
            config.stream.open_refused = vec![member.clone(), MessagePattern::CloseCode(4429)];
            config.stream.heartbeat = Some(r#"{"action":"heartbeat"}"#.into());
            config.stream.heartbeat_answer = Some(member.clone());
            config.stream.ignore = vec![MessagePattern::Text("\"pong\"".into()), member];
            config.stream.ack = Some(r#"{"ack":{/eventId}}"#.into());
            config.event.path = Some("/body/data".into());
            config.redact = vec![RedactRule::new("/attributes/*/name", Redaction::Mask)];
            config.retention.dead_letters = Some(ms(30 * 86_400_000));
            config.stream.id = Some("id".into());
            config.schema.file = Some("schema.json".into());
            config.schema.inline = Some("{\n  \"type\": \"object\"\n}".into());
            config.destination.url = Some("sqlite:x.db".into());
            config.destination.password_file = Some("password.txt".into());
            config.proxy.url = Some("http://me@proxy:3128".into());
            config.proxy.password_file = Some("proxy.txt".into());
            config.tls.ca_file = Some("ca.pem".into());
            config.tls.cert_file = Some("client.pem".into());
            config.tls.key_file = Some("client.key".into());
            config.tls.server_name = Some("api.example".into());
            config.destination.lock_timeout = Some(ms(500));
            config.http.listen = Some("127.0.0.1:9465".into());
            config.http.token_file = Some("token.txt".into());
            let shown = config.get(key.name).unwrap_or_else(|| panic!("{} is not set", key.name));
            config.set(key.name, &shown).unwrap();
            assert_eq!(config.get(key.name), Some(shown), "{}", key.name);
        }
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        let config = Config::default();
        for key in KEYS {
            if let Some(value) = (key.value)(&config) {
                key.value_type.check(&value).unwrap_or_else(|e| panic!("{}: {e}", key.name));
            }
        }
    }
}
