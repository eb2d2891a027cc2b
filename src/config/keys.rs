//! The table of keys: the one place that defines which keys exist.

use std::time::Duration;

use toml::de::DeValue;

use crate::config::choices::{
    AdditionalProperties, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode,
};
use crate::config::sections::{Config, MappingConfig};
use crate::config::units::shown;
use crate::config::url::Schemes;
use crate::config::value::{Field, Value, put};
use crate::config::value_type::ValueType;
use crate::error::{Error, ErrorKind, Result};

/// One key: a row of the table.
pub(super) struct Key {
    /// `section.key`
    pub(super) name: &'static str,
    pub(super) value_type: ValueType,
    /// The effect of the key, for the reference.
    pub(super) effect: &'static str,
    /// `None` if it is not set.
    pub(super) value: fn(&Config) -> Option<Value>,
    /// `false` if the field cannot hold the value.
    put: fn(&mut Config, Option<Value>) -> bool,
}

impl Key {
    /// Sets the key from a text, as a variable holds it.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<()> {
        self.assign(config, self.value_type.read_text(text))
    }

    /// Sets the key from a value of a TOML file.
    pub(super) fn set_toml(&self, config: &mut Config, toml: &DeValue<'_>) -> Result<()> {
        self.assign(config, self.value_type.read_toml(toml))
    }

    fn assign(&self, config: &mut Config, value: Result<Option<Value>>) -> Result<()> {
        value.and_then(|value| self.put(config, value)).map_err(|error| error.while_doing(self.name))
    }

    fn put(&self, config: &mut Config, value: Option<Value>) -> Result<()> {
        let is_empty = value.is_none();
        match ((self.put)(config, value), is_empty) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::config("must not be empty")),
            (false, false) => Err(Error::new(ErrorKind::Internal, "the field cannot hold a value of the key's type")),
        }
    }

    pub(super) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// The environment variable: `CXSINK_OAUTH__CLIENT_ID`.
    pub(super) fn variable(&self) -> String {
        format!("CXSINK_{}", self.name.replacen('.', "__", 1).to_ascii_uppercase())
    }
}

impl Config {
    /// Sets the value of `section.key` from a text, as an environment variable would. An empty text unsets an optional value. On an
    /// error nothing has changed.
    ///
    /// Setting `mapping.columns` also unsets the default of `mapping.update`, which fits the default columns only.
    ///
    /// # Errors
    /// `Config`: the key is unknown, or the value is invalid.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        find(key)?.set(self, value)
    }

    /// The value of `section.key` as a text that [`Config::set`] accepts; `None` if it is not set or the key is unknown.
    /// A secret is shown as `***`, also the password within a URL.
    pub fn get(&self, key: &str) -> Option<String> {
        let key = find(key).ok()?;
        (key.value)(self).map(|value| key.value_type.show(&value))
    }
}

/// The names of all keys, `section.key`, in the order of the reference.
pub fn keys() -> impl ExactSizeIterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The row of the table for `section.key`; an error names the nearest key.
pub(super) fn find(name: &str) -> Result<&'static Key> {
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

pub(super) fn unknown_section(name: &str) -> Error {
    let sections: Vec<_> = SECTIONS.iter().map(|(section, _)| *section).collect();
    let hint = format!("use one of the sections {}", sections.join(", "));
    match nearest(name, sections.iter().map(|section| (*section, *section))) {
        Some(nearest) => unknown_near("section", name, nearest),
        None => unknown("section", name),
    }
    .with_hint(hint)
}

fn unknown(what: &str, name: &str) -> Error {
    Error::config(format!("unknown {what} {}", shown(name)))
}

pub(super) fn unknown_near(what: &str, name: &str, nearest: &str) -> Error {
    Error::config(format!("unknown {what} {}; the nearest known one is {nearest:?}", shown(name)))
}

/// Of pairs of a text and its meaning, the meaning of the text nearest to `name`.
pub(super) fn nearest<T>(name: &str, candidates: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> Option<T> {
    // The time of a comparison is proportional to both lengths, and a name may be any text.
    let name: String = name.chars().take(100).collect();
    let distance = |candidate: &str| strsim::osa_distance(&name, candidate);
    candidates.into_iter().min_by_key(|(candidate, _)| distance(candidate.as_ref())).map(|(_, meaning)| meaning)
}

/// The sections, each with its subject.
pub(super) const SECTIONS: [(&str, &str); 12] = [
    ("oauth", "The token endpoint and the client's credentials (OAuth 2.0 client credentials)."),
    (
        "stream",
        "The stream and its timeouts. If no setting of the stream and no credentials are set, the sink accepts events from the application only.",
    ),
    ("schema", "The JSON Schema that events must match."),
    ("mapping", "The source of each column of the table."),
    ("destination", "The database and the table."),
    ("spool", "The local file in which events wait until they are committed to the table."),
    (
        "batch",
        "The limits of one transaction. There is no timer: a batch takes all events that arrived during the previous transaction.",
    ),
    ("dead_letters", "The space for rejected events. Dead letters are stored in the spool file."),
    (
        "retry",
        "The delays between attempts to connect, and between attempts to write: exponential backoff with full jitter.",
    ),
    (
        "tls",
        "TLS settings of the connections to the token endpoint, the stream and the database. Files are PEM and are read again for each connection, so a renewed certificate takes effect without a restart.",
    ),
    (
        "proxy",
        "The HTTP proxy (CONNECT) between this machine and CXone, for the token endpoint and the stream. URLs with `http://` or `ws://`, which lead to this machine, and the database are never reached through it.",
    ),
    ("log", "The log output of the command line. The library itself prints nothing."),
];

macro_rules! key {
    ($section:ident . $field:ident, $value_type:expr, $effect:expr) => {
        Key {
            name: concat!(stringify!($section), ".", stringify!($field)),
            value_type: $value_type,
            effect: $effect,
            value: |config| config.$section.$field.to_value(),
            put: |config, value| put(&mut config.$section.$field, value),
        }
    };
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// The table, in the order of the sections.
pub(super) static KEYS: &[Key] = &[
    key!(oauth.url, ValueType::Url(Schemes::HTTP), "The URL of the token endpoint."),
    key!(oauth.client_id, ValueType::Text, "The client's id. Required for a stream."),
    key!(
        oauth.client_secret,
        ValueType::Secret,
        "The client's secret. A stream requires this key or `oauth.client_secret_file`."
    ),
    key!(
        oauth.client_secret_file,
        ValueType::Path,
        "A file that holds the client's secret, instead of `oauth.client_secret`. It is read again for each token, so the secret can be changed while the sink runs. Line breaks at its end are ignored."
    ),
    key!(oauth.scope, ValueType::Text, "The scope to request. A token that lacks it is an error."),
    key!(
        oauth.refresh_early,
        ValueType::Duration(Duration::ZERO, ms(30 * 60_000)),
        "A token is renewed this long before it expires."
    ),
    key!(
        oauth.request_timeout,
        ValueType::Duration(ms(10), MINUTE.saturating_mul(10)),
        "The time limit of one token request."
    ),
    key!(
        stream.id,
        ValueType::Text,
        "The stream's id. Replaces `{stream_id}` in `stream.url`, percent-encoded. Required if the URL has this placeholder."
    ),
    key!(
        stream.url,
        ValueType::Url(Schemes::WEBSOCKET),
        "The stream's URL. Without `{stream_id}` it is used unchanged."
    ),
    key!(
        stream.ping_interval,
        ValueType::Duration(ms(10), HOUR),
        "The interval between two pings. Must be shorter than `stream.idle_timeout`."
    ),
    key!(
        stream.idle_timeout,
        ValueType::Duration(ms(20), HOUR.saturating_mul(24)),
        "After this long without a message or a pong the connection counts as lost, and the sink connects again."
    ),
    key!(
        stream.connect_timeout,
        ValueType::Duration(ms(10), MINUTE.saturating_mul(10)),
        "The time limit for name resolution, TCP, TLS and the WebSocket handshake together."
    ),
    key!(
        stream.on_normal_close,
        ValueType::Word(OnNormalClose::WORDS),
        "The reaction when the server closes the stream with code 1000: `reconnect` connects again, `stop` writes the spooled events and ends."
    ),
    key!(
        stream.renew_before_expiry,
        ValueType::Duration(Duration::ZERO, ms(30 * 60_000)),
        "The next connection is opened, with a new token, this long before the token of the current one expires; at most half of the token's life. The sink reads the old connection until the new one is ready, so no event is missed. An event that arrives on both is written twice, with the same result. `0s`: the sink connects again only after the server has closed the connection."
    ),
    key!(
        stream.event_bytes_max,
        ValueType::Size(64, 256 * MIB),
        "The largest event. A larger one becomes a dead letter."
    ),
    key!(schema.file, ValueType::Path, "A JSON Schema file that replaces the built-in schema."),
    key!(
        schema.additional_properties,
        ValueType::Word(AdditionalProperties::WORDS),
        "The treatment of an event with unknown top-level members: `reject` makes it a dead letter, as the schema demands; `keep` stores the members in the column whose source is `rest`, if there is one."
    ),
    Key {
        put: put_columns,
        ..key!(
            mapping.columns,
            ValueType::Columns,
            "The source of each column that is written; see below. Other columns of the table keep their defaults."
        )
    },
    key!(
        mapping.key,
        ValueType::Names { at_least: 1 },
        "The columns of the conflict key. The table needs a unique index on exactly these columns."
    ),
    Key {
        put: put_update,
        ..key!(
            mapping.update,
            ValueType::Names { at_least: 0 },
            "The columns that an event updates if the table already has its key. The other columns keep the values of the first event. If `mapping.columns` is set, the default is every column outside the key, except `created_at`. `[]`: none."
        )
    },
    key!(
        destination.url,
        ValueType::DatabaseUrl,
        "The database; required. `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, with special characters percent-encoded; `host=HOST dbname=DATABASE user=USER`; or `sqlite:PATH`. See below for the parameters of PostgreSQL."
    ),
    key!(
        destination.password_file,
        ValueType::Path,
        "A file that holds the database password, instead of a password in `destination.url`. It is read again for each connection. Line breaks at its end are ignored."
    ),
    key!(
        destination.table,
        ValueType::Text,
        "The table, with or without its schema: `cxone_events`, `reporting.cxone_events`."
    ),
    key!(
        destination.update,
        ValueType::Word(UpdateMode::WORDS),
        "When an event updates the row that already has its key: `always`; `changed`, only if a column would get another value, so an identical redelivery writes nothing; `newer`, only if the event's timestamp is not older than the row's (the timestamp column is then updated as well; it must be a timestamptz, since a timestamp without a zone holds no instant)."
    ),
    key!(
        destination.connections,
        ValueType::Count(1, 16),
        "The number of connections that write to PostgreSQL in parallel. Each one writes its own share of the keys. Events of one key stay in order; events of different keys do not, and triggers and policies that read other rows see that order. One connection is used if the table, or a part of it, relates rows by another unique index, an exclusion constraint or a foreign key to itself; if it may take two values of the key for one (docs/exactly-once.md, \"Loose keys\"); and for SQLite. More than one hides the latency of a distant server, and is faster if the server has a core for each."
    ),
    key!(
        destination.connect_timeout,
        ValueType::Duration(ms(10), MINUTE.saturating_mul(10)),
        "The time limit for connecting to the database."
    ),
    key!(
        destination.statement_timeout,
        ValueType::Duration(ms(10), HOUR),
        "The time limit of one transaction. After it the sink requests its cancellation and connects again."
    ),
    key!(
        destination.lock_timeout,
        ValueType::Duration(ms(1), HOUR),
        "PostgreSQL only: how long one transaction waits for a lock before it is rolled back and tried again. It is set in each transaction, so it works behind a pooler; that costs two round trips. Not set: the setting of the server or role applies, limited by `destination.statement_timeout`."
    ),
    key!(
        spool.path,
        ValueType::Path,
        "The spool file. Keep it on a local, persistent disk: it holds events that are not in the table yet. One process uses it at a time; a missing directory is created. `:memory:` keeps nothing, for tests."
    ),
    key!(
        spool.sync,
        ValueType::Word(SpoolSync::WORDS),
        "The failure that a spooled event survives: `process-crash`, the end of the process; `power-loss`, also the loss of power, at the cost of a disk flush for each burst."
    ),
    key!(
        spool.bytes_max,
        ValueType::Size(64 * KIB, 64 * TIB),
        "The maximum space of the spooled events in the file, with the overhead of their rows. A full spool stops the reading of the stream; no event is dropped."
    ),
    key!(batch.events_max, ValueType::Count(1, 100_000), "The maximum number of events in one transaction."),
    key!(
        batch.bytes_max,
        ValueType::Size(KIB, 256 * MIB),
        "The maximum size of the events in one transaction. A single larger event is still written."
    ),
    key!(
        dead_letters.bytes_max,
        ValueType::Size(4 * KIB, 64 * TIB),
        "The maximum space of the dead letters in the spool file, with their reasons and the overhead of their rows. When it is full, the oldest ones that were exported or replayed are deleted; if there are none, the sink waits until some are exported, replayed or purged."
    ),
    key!(retry.delay_min, ValueType::Duration(ms(1), HOUR), "The shortest delay before an attempt."),
    key!(
        retry.delay_max,
        ValueType::Duration(ms(1), HOUR),
        "The longest delay before an attempt. Must not be shorter than `retry.delay_min`."
    ),
    key!(
        tls.ca_file,
        ValueType::Path,
        "The certificates of the trusted authorities, one or more. Not set: the authorities that the system trusts."
    ),
    key!(
        tls.cert_file,
        ValueType::Path,
        "The client's certificate, followed by the intermediate ones, for servers that require one (mTLS). Requires `tls.key_file`."
    ),
    key!(
        tls.key_file,
        ValueType::Path,
        "The private key of `tls.cert_file`, not encrypted: PKCS#8, PKCS#1 or SEC1. May be the same file."
    ),
    key!(tls.min_version, ValueType::Word(TlsVersion::WORDS), "The oldest version of TLS to accept."),
    key!(
        tls.server_name,
        ValueType::Text,
        "The name to expect in the certificates of the token endpoint and the stream, and to send to them (SNI): for a gateway that is reached by its address. Not set: the host of their URL. The database's name is not affected."
    ),
    key!(
        proxy.url,
        ValueType::ProxyUrl,
        "The proxy: `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`, with special characters percent-encoded; `https://` if the proxy itself is reached over TLS. Not set: `HTTPS_PROXY` or `ALL_PROXY`, see above."
    ),
    key!(
        proxy.password_file,
        ValueType::Path,
        "A file that holds the proxy's password, instead of a password in `proxy.url`. It is read again for each connection. Line breaks at its end are ignored."
    ),
    key!(
        proxy.no_proxy,
        ValueType::Text,
        "The hosts to reach without the proxy, separated by commas: a name, with all names below it; an IP address or a network (`10.0.0.0/8`); a name or an address with `:PORT`, for that port only; `*` for all."
    ),
    key!(log.level, ValueType::Word(LogLevel::WORDS), "The least severe level to print."),
    key!(
        log.format,
        ValueType::Word(LogFormat::WORDS),
        "The format of the log: `text` prints readable lines, `json` one JSON object on each line."
    ),
];

/// The default of `mapping.update` names columns of the default, so other columns unset it.
fn put_columns(config: &mut Config, value: Option<Value>) -> bool {
    let mapping = &mut config.mapping;
    let done = put(&mut mapping.columns, value);
    if done && !mapping.update_chosen && mapping.update == MappingConfig::default().update {
        mapping.update = None;
    }
    done
}

fn put_update(config: &mut Config, value: Option<Value>) -> bool {
    config.mapping.update_chosen = value.is_some();
    put(&mut config.mapping.update, value)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            config.stream.id = Some("id".into());
            config.schema.file = Some("schema.json".into());
            config.destination.url = Some("sqlite:x.db".into());
            config.destination.password_file = Some("password.txt".into());
            config.proxy.url = Some("http://me@proxy:3128".into());
            config.proxy.password_file = Some("proxy.txt".into());
            config.tls.ca_file = Some("ca.pem".into());
            config.tls.cert_file = Some("client.pem".into());
            config.tls.key_file = Some("client.key".into());
            config.tls.server_name = Some("api.example".into());
            config.destination.lock_timeout = Some(ms(500));
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
