//! The table of keys: the one place that says which keys there are.

use std::time::Duration;

use super::Config;
use super::choices::{AdditionalProperties, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode};
use super::value::{Field, Value, put};
use crate::config::url::Schemes;
use crate::config::value_type::Kind;
use crate::error::{Error, ErrorKind, Result};

/// One key: a row of the table.
pub(super) struct Key {
    /// `section.key`
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it does, for the reference.
    pub(super) effect: &'static str,
    /// `None` if it is not set.
    pub(super) value: fn(&Config) -> Option<Value>,
    /// `false` if the field does not take the value.
    put: fn(&mut Config, Option<Value>) -> bool,
}

impl Key {
    /// Puts a value, which the kind has read, into the plain data.
    pub(super) fn assign(&self, config: &mut Config, value: Option<Value>) -> Result<()> {
        let is_empty = value.is_none();
        match ((self.put)(config, value), is_empty) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::config("must not be empty")),
            (false, false) => Err(Error::new(ErrorKind::Internal, "the key's kind and its field do not fit")),
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

/// The names of all keys, `section.key`, in the order of the reference.
pub fn keys() -> impl ExactSizeIterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The row of the table for `section.key`; else an error that names the nearest key.
pub(super) fn find(name: &str) -> Result<&'static Key> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
        let mut error = unknown("key", name);
        // A name without its section is compared with the keys' names alone.
        let by_last_part = KEYS.iter().map(|key| (key.name.rsplit('.').next().unwrap_or_default(), key.name));
        let candidates: Vec<_> = if name.contains('.') {
            KEYS.iter().map(|key| (key.name, key.name)).collect()
        } else {
            by_last_part.collect()
        };
        if let Some(nearest) = nearest(name, candidates) {
            error = unknown_near("key", name, nearest);
        }
        error.with_hint("docs/configuration.md lists all keys")
    })
}

pub(super) fn unknown_section(name: &str) -> Error {
    let sections: Vec<_> = SECTIONS.iter().map(|(section, _)| *section).collect();
    let hint = format!("the sections are {}", sections.join(", "));
    match nearest(name, sections.iter().map(|section| (*section, *section))) {
        Some(nearest) => unknown_near("section", name, nearest),
        None => unknown("section", name),
    }
    .with_hint(hint)
}

fn unknown(what: &str, name: &str) -> Error {
    Error::config(format!("unknown {what} {}", super::units::shown(name)))
}

pub(super) fn unknown_near(what: &str, name: &str, nearest: &str) -> Error {
    Error::config(format!("unknown {what} {}; the nearest known one is {nearest:?}", super::units::shown(name)))
}

/// Of pairs of a text and what it stands for, the one whose text is nearest.
pub(super) fn nearest<T>(name: &str, candidates: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> Option<T> {
    // Distance takes time in proportion to both lengths, and a name may be any text.
    let name: String = name.chars().take(100).collect();
    let distance = |candidate: &str| strsim::osa_distance(&name, candidate);
    candidates.into_iter().min_by_key(|(candidate, _)| distance(candidate.as_ref())).map(|(_, meaning)| meaning)
}

/// The sections and what each is about.
pub(super) const SECTIONS: [(&str, &str); 12] = [
    ("oauth", "How to get a token (OAuth 2.0 client credentials)."),
    (
        "stream",
        "Which stream to read, and how. Without any stream setting and without credentials the sink only takes events from the application.",
    ),
    ("schema", "What a valid event is."),
    ("mapping", "Which part of an event goes into which column."),
    ("destination", "Where rows go."),
    ("spool", "Where events wait until they are applied."),
    (
        "batch",
        "How much goes into one transaction. There is no timer: a batch is whatever has piled up since the last one.",
    ),
    ("dead_letters", "How much is kept of what was rejected. Dead letters are kept in the spool file."),
    (
        "retry",
        "How long to wait between tries, for connections and for the database: exponential growth with full jitter.",
    ),
    (
        "tls",
        "Encrypted connections: to the token endpoint, the stream and the database. Files are PEM, and read again for each connection, so that a renewed certificate counts without a restart.",
    ),
    (
        "proxy",
        "The HTTP proxy (CONNECT) between this machine and CXone, for the token endpoint and the stream alike. Addresses with `http://` or `ws://`, which are on this machine, are never reached through it, nor is the database.",
    ),
    ("log", "What the command line prints. The library itself prints nothing."),
];

macro_rules! key {
    ($section:ident . $field:ident, $kind:expr, $effect:expr) => {
        Key {
            name: concat!(stringify!($section), ".", stringify!($field)),
            kind: $kind,
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
    key!(oauth.url, Kind::Url(Schemes::HTTP), "The token endpoint."),
    key!(oauth.client_id, Kind::Text, "The client's id."),
    key!(oauth.client_secret, Kind::Secret, "The client's secret."),
    key!(
        oauth.client_secret_file,
        Kind::Path,
        "A file that holds the client's secret, instead of `oauth.client_secret`. Read again for each token, so that a secret can be changed while the sink runs; line breaks at its end are left out."
    ),
    key!(oauth.scope, Kind::Text, "The scope to ask for. An answer without it is an error."),
    key!(
        oauth.refresh_early,
        Kind::Duration(Duration::ZERO, ms(30 * 60_000)),
        "How long before its expiry a token is renewed."
    ),
    key!(
        oauth.request_timeout,
        Kind::Duration(ms(10), MINUTE.saturating_mul(10)),
        "How long one request for a token may take."
    ),
    key!(stream.id, Kind::Text, "The stream's id. Takes the place of `{stream_id}` in `stream.url`, percent-encoded."),
    key!(
        stream.url,
        Kind::Url(Schemes::WEBSOCKET),
        "The stream's address. Without `{stream_id}` it is used as it stands."
    ),
    key!(
        stream.ping_interval,
        Kind::Duration(ms(10), HOUR),
        "How often a ping is sent. Must be shorter than `stream.idle_timeout`."
    ),
    key!(
        stream.idle_timeout,
        Kind::Duration(ms(20), HOUR.saturating_mul(24)),
        "After how long without any message or pong the connection counts as lost."
    ),
    key!(
        stream.connect_timeout,
        Kind::Duration(ms(10), MINUTE.saturating_mul(10)),
        "How long name resolution, TCP, TLS and the WebSocket handshake may take together."
    ),
    key!(
        stream.on_normal_close,
        Kind::Word(OnNormalClose::WORDS),
        "What to do when the server closes the stream with code 1000: connect again, or apply what is spooled and end."
    ),
    key!(
        stream.renew_before_expiry,
        Kind::Duration(Duration::ZERO, ms(30 * 60_000)),
        "How long before the token expires with which the stream was opened the next connection is opened, with a new token. The old one is read until the new one is there, so that there is no gap; an event that comes on both is applied twice with the same result. At most half of the token's life. `0s`: the stream is opened again when the server has closed it."
    ),
    key!(stream.event_bytes_max, Kind::Size(64, 256 * MIB), "A larger event becomes a dead letter."),
    key!(schema.file, Kind::Path, "A JSON Schema file that replaces the built-in schema."),
    key!(
        schema.additional_properties,
        Kind::Word(AdditionalProperties::WORDS),
        "What to do with an event that has unknown top-level members: reject it, as the schema says, or keep them in the column whose source is `rest`, if there is one."
    ),
    Key {
        put: put_columns,
        ..key!(
            mapping.columns,
            Kind::Columns,
            "Column and source of each column that is written; see below. Columns of the table that are not named keep their defaults."
        )
    },
    key!(
        mapping.key,
        Kind::Names { at_least: 1 },
        "The columns of the conflict key. The table needs a unique index on exactly these columns."
    ),
    Key {
        put: put_update,
        ..key!(
            mapping.update,
            Kind::Names { at_least: 0 },
            "The columns that an event changes when its key is already in the table; the others keep the values of the first event. With `mapping.columns` of one's own the default is every column outside the key, except `created_at`. `[]`: none."
        )
    },
    key!(
        destination.url,
        Kind::DatabaseUrl,
        "The database: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, special characters percent-encoded; `host=HOST dbname=DATABASE user=USER`; or `sqlite:PATH`. See below for what else PostgreSQL's may hold."
    ),
    key!(
        destination.password_file,
        Kind::Path,
        "A file that holds the database password, instead of a password in `destination.url`. Read again for each connection; line breaks at its end are left out."
    ),
    key!(destination.table, Kind::Text, "The table, possibly with its schema: `reporting.cxone_events`."),
    key!(
        destination.update,
        Kind::Word(UpdateMode::WORDS),
        "When an event whose key is already in the table changes the row: always; only if it would change a column, so that an identical redelivery writes nothing; or only if its timestamp is not older than the row's, which then follows it."
    ),
    key!(
        destination.connections,
        Kind::Count(1, 16),
        "How many connections to PostgreSQL write side by side. Each takes a share of the keys, so the events of a key stay in order; events of different keys do not, and a trigger or a policy that looks at other rows sees them in that order. A table whose rows are related by another unique index, an exclusion constraint or a foreign key to itself is written over one. Two hide the way to a distant server, and are faster where the server has a core for each. An SQLite file takes one writer whatever this says."
    ),
    key!(
        destination.connect_timeout,
        Kind::Duration(ms(10), MINUTE.saturating_mul(10)),
        "How long connecting may take."
    ),
    key!(
        destination.statement_timeout,
        Kind::Duration(ms(10), HOUR),
        "How long one transaction may take. Then the sink asks the server to cancel it, and connects anew."
    ),
    key!(
        destination.lock_timeout,
        Kind::Duration(ms(1), HOUR),
        "PostgreSQL: how long one transaction may wait for a lock, before it is given up and tried again. Set for each transaction alone, so that it works behind a pooler, at the price of two more round trips. Not set: as the server or the role says, and no longer than `destination.statement_timeout`."
    ),
    key!(
        spool.path,
        Kind::Path,
        "The spool file, used by one process at a time; its directory is made if there is none. `:memory:` keeps nothing, for tests."
    ),
    key!(
        spool.sync,
        Kind::Word(SpoolSync::WORDS),
        "What an event that was read survives: the end of the process, or also the loss of power, at the price of a flush to the disk for each burst."
    ),
    key!(
        spool.bytes_max,
        Kind::Size(64 * KIB, 64 * TIB),
        "How large the spool may grow before the sink stops reading. Nothing is ever dropped."
    ),
    key!(batch.events_max, Kind::Count(1, 100_000), "The most events of one transaction."),
    key!(
        batch.bytes_max,
        Kind::Size(KIB, 256 * MIB),
        "The most bytes of events of one transaction; one event always fits."
    ),
    key!(dead_letters.bytes_max, Kind::Size(4 * KIB, 64 * TIB), "How much space dead letters may take."),
    key!(retry.delay_min, Kind::Duration(ms(1), HOUR), "The shortest delay."),
    key!(
        retry.delay_max,
        Kind::Duration(ms(1), HOUR),
        "The longest delay. Must not be shorter than `retry.delay_min`."
    ),
    key!(
        tls.ca_file,
        Kind::Path,
        "The certificates of the authorities to trust, instead of those that the system trusts; one after the other if they are several."
    ),
    key!(
        tls.cert_file,
        Kind::Path,
        "This client's certificate, for servers that ask for one (mTLS), followed by those that lead from it to its authority. Needs `tls.key_file`."
    ),
    key!(
        tls.key_file,
        Kind::Path,
        "The key of `tls.cert_file`, not encrypted: PKCS#8, PKCS#1 or SEC1. May be the same file."
    ),
    key!(tls.min_version, Kind::Word(TlsVersion::WORDS), "The oldest version of TLS that is spoken."),
    key!(
        tls.server_name,
        Kind::Text,
        "The name that the certificates of the token endpoint and of the stream must hold, and that is sent to them (SNI), if it is not the host of their URL: for a gateway that is reached by its address. The database has a name of its own."
    ),
    key!(
        proxy.url,
        Kind::ProxyUrl,
        "The proxy: `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`, special characters percent-encoded; `https://` if the proxy itself is reached over TLS. Without it `HTTPS_PROXY` or `ALL_PROXY` counts; see above."
    ),
    key!(
        proxy.password_file,
        Kind::Path,
        "A file that holds the proxy's password, instead of a password in `proxy.url`. Read again for each connection; line breaks at its end are left out."
    ),
    key!(
        proxy.no_proxy,
        Kind::Text,
        "What is reached without the proxy, separated by commas: a name, with all names below it; an IP address or a network (`10.0.0.0/8`); with `:PORT` for that port only; `*` for everything."
    ),
    key!(log.level, Kind::Word(LogLevel::WORDS), "The least severe level that is printed."),
    key!(log.format, Kind::Word(LogFormat::WORDS), "A line for people, or a JSON object a line."),
];

/// The default of `mapping.update` names the default's columns, so it goes when other columns come.
fn put_columns(config: &mut Config, value: Option<Value>) -> bool {
    let mapping = &mut config.mapping;
    let done = put(&mut mapping.columns, value);
    if done && !mapping.update_chosen && mapping.update == super::MappingConfig::default().update {
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
    fn every_key_has_a_section_that_is_listed_in_the_same_order() {
        let mut sections: Vec<_> = KEYS.iter().map(Key::section).collect();
        sections.dedup();
        assert_eq!(sections, SECTIONS.map(|(name, _)| name));
    }

    #[test]
    fn every_key_takes_back_what_it_shows() {
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
                key.kind.check(&value).unwrap_or_else(|e| panic!("{}: {e}", key.name));
            }
        }
    }
}
