//! The table of keys.

use std::time::Duration;

use crate::config::choices::{
    AdditionalProperties, ClientAuth, Grant, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode,
};
use crate::config::keys::key::Key;
use crate::config::sections::{Config, MappingConfig};
use crate::config::url::Schemes;
use crate::config::value::{Field, Value, put};
use crate::config::value_type::ValueType;

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

/// All keys, in the order of the sections.
pub(in crate::config) static KEYS: &[Key] = &[
    key!(
        oauth.grant,
        ValueType::Word(Grant::WORDS),
        "How the sink gets its token: `client_credentials` (RFC 6749 section 4.4); `password` (section 4.3) with `oauth.username` and `oauth.password`, for an access key its id and its secret; `access_key`, a JSON request with `accessKeyId` and `accessKeySecret`, from the same two keys; `none`: no request. The token is then in `oauth.token_file`, or the stream needs none."
    ),
    key!(oauth.url, ValueType::Url(Schemes::HTTP), "The URL of the token endpoint."),
    key!(
        oauth.discovery,
        ValueType::Url(Schemes::HTTP),
        "The issuer, instead of `oauth.url`: the token endpoint is the `token_endpoint` of its `/.well-known/openid-configuration`. It is looked up at the start, and again when a token request fails."
    ),
    key!(
        oauth.client_auth,
        ValueType::Word(ClientAuth::WORDS),
        "Where the client's id and secret are: in the `body`; in an `Authorization: Basic` header, `basic` (percent-encoded, RFC 6749 section 2.3.1) or `basic_raw` (as they are, which some servers expect); `none`: there is no secret, and the id, if there is one, is in the body."
    ),
    key!(
        oauth.client_id,
        ValueType::Text,
        "The client's id. A stream requires it with `oauth.grant` = `client_credentials`."
    ),
    key!(
        oauth.client_secret,
        ValueType::Secret,
        "The client's secret. A client that authenticates itself requires this key or `oauth.client_secret_file`."
    ),
    key!(
        oauth.client_secret_file,
        ValueType::Path,
        "A file that holds the client's secret, instead of `oauth.client_secret`. It is read again for each token, so the secret can be changed while the sink runs. Line breaks at its end are ignored."
    ),
    key!(oauth.username, ValueType::Text, "The user's name, or the id of an access key."),
    key!(oauth.password, ValueType::Secret, "The user's password, or the secret of an access key."),
    key!(
        oauth.password_file,
        ValueType::Path,
        "A file that holds the password, instead of `oauth.password`. It is read again for each token. Line breaks at its end are ignored."
    ),
    key!(
        oauth.scope,
        ValueType::Text,
        "The scope to request; a token that lacks it is an error. A blank `\" \"` requests none. With `oauth.grant` = `access_key` none is requested."
    ),
    key!(
        oauth.params,
        ValueType::Pairs,
        "Further members of the token request, such as `tenant`. Their values are not shown."
    ),
    key!(
        oauth.params_file,
        ValueType::Files,
        "The same with values from files: `{ tenant = \"/run/secrets/tenant\" }`. They are read again for each token."
    ),
    key!(
        oauth.token_file,
        ValueType::Path,
        "With `oauth.grant` = `none`: a file that holds a token, which another program renews. It is read again for each connection."
    ),
    key!(
        oauth.refresh_early,
        ValueType::Duration(Duration::ZERO, ms(30 * 60_000)),
        "A token is renewed this long before it expires."
    ),
    key!(
        oauth.request_timeout,
        ValueType::Duration(ms(10), MINUTE.saturating_mul(10)),
        "The time limit of one token request, with the lookup of its endpoint."
    ),
    key!(
        stream.id,
        ValueType::Text,
        "The stream's id. Replaces `{stream_id}` in `stream.url`, percent-encoded, and in messages. Required if there is such a placeholder."
    ),
    key!(
        stream.name,
        ValueType::Text,
        "The stream's name in columns whose source is `stream`. Give each stream that fills the same table a name of its own."
    ),
    key!(
        stream.url,
        ValueType::Url(Schemes::WEBSOCKET),
        "The stream's URL. Without `{stream_id}` it is used unchanged."
    ),
    key!(
        stream.token_in,
        ValueType::TokenIn,
        "Where the token is sent: `header` (`Authorization: Bearer …` in the handshake), `query:NAME` (the member NAME of the URL's query, percent-encoded; such a URL may end up in the server's logs), `message` (only in place of `{token}` in messages), `none`. `{token}` in messages works with each of them."
    ),
    key!(stream.headers, ValueType::Pairs, "Further headers of the handshake. Their values are not shown."),
    key!(
        stream.headers_file,
        ValueType::Files,
        "The same with values from files: `{ \"X-Api-Key\" = \"/run/secrets/key\" }`. They are read again for each connection."
    ),
    key!(
        stream.subprotocol,
        ValueType::Text,
        "The subprotocol to request (`Sec-WebSocket-Protocol`). A server that does not agree to it is an error."
    ),
    key!(
        stream.compression,
        ValueType::Switch,
        "Whether to offer compression (permessage-deflate, RFC 7692). A message that inflates to more than `stream.event_bytes_max`, and to more than 64 MiB, ends the connection, and its beginning becomes a dead letter."
    ),
    Key {
        value: |config| (!config.stream.open.is_empty()).then(|| Value::Messages(config.stream.open.clone())),
        put: put_open,
        ..key!(
            stream.open,
            ValueType::Messages,
            "The messages that open the conversation, sent in this order after each handshake. `{token}` and `{stream_id}` are replaced, JSON-escaped."
        )
    },
    key!(
        stream.open_answer,
        ValueType::Pattern,
        "The answer to the opening messages. The connection does not count as open before it comes; events that come before are kept."
    ),
    key!(
        stream.open_timeout,
        ValueType::Duration(ms(10), MINUTE.saturating_mul(10)),
        "The time limit of `stream.open_answer`. After it the token is dropped, and the sink connects again."
    ),
    key!(
        stream.open_refused,
        ValueType::Patterns,
        "Answers and close codes (`{ close_code = 4429 }`) with which the server requests a delay, at any time. The sink keeps the token, and connects again after `stream.open_refused_delay`."
    ),
    key!(
        stream.open_refused_delay,
        ValueType::Duration(ms(1), HOUR),
        "The delay after the first such refusal. Each further one in a row doubles it, up to four times its length."
    ),
    key!(
        stream.heartbeat,
        ValueType::Text,
        "A message to send every `stream.heartbeat_interval`, beside the protocol's own pings. The placeholders are those of `stream.open`."
    ),
    key!(
        stream.heartbeat_interval,
        ValueType::Duration(ms(10), HOUR),
        "The interval between two heartbeats. Must be shorter than `stream.idle_timeout`."
    ),
    key!(
        stream.heartbeat_answer,
        ValueType::Pattern,
        "The answer to a heartbeat. If none comes for `stream.idle_timeout`, the connection counts as lost, whatever else arrives. It is counted as `ignored`."
    ),
    key!(
        stream.ignore,
        ValueType::Patterns,
        "Messages that hold no event: they are counted as `ignored` and not kept."
    ),
    key!(
        stream.ack,
        ValueType::Text,
        "A message to send for each message with events, once the spool has them (with `spool.sync` = `power-loss`: once they are on the disk). `{/eventId}` is replaced by the JSON at this pointer of the message; a message that has nothing there is not acknowledged. If the server takes no acknowledgement for `stream.idle_timeout`, the connection counts as lost."
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
    key!(
        event.path,
        ValueType::Pointer,
        "The JSON pointer of the event in a message, such as `/body/data`. A text there is parsed as JSON."
    ),
    key!(event.each, ValueType::Switch, "Whether an array there holds one event in each element."),
    key!(event.lines, ValueType::Switch, "Whether a message holds JSON Lines: each line is then treated as a message."),
    Key {
        name: "redact",
        value_type: ValueType::Rules,
        effect: "Rules for values that must not be stored, applied to each event before it is spooled; see below.",
        value: |config| config.redact.to_value(),
        put: |config, value| put(&mut config.redact, value),
    },
    key!(schema.file, ValueType::Path, "A JSON Schema file that replaces the built-in schema."),
    key!(
        schema.inline,
        ValueType::Document,
        "The same as text, instead of `schema.file`: in TOML between `'''`, so that one file holds the whole configuration."
    ),
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
        destination.history_table,
        ValueType::Text,
        "A second table that gets a row for each event, in the order of arrival, in the same transaction: docs/history.md. `init-db` makes it. Not set: there is no history."
    ),
    key!(
        destination.history_partitioned,
        ValueType::Switch,
        "PostgreSQL only: whether `init_db` makes the history partitioned by month of receipt, with the partitions of this month and the next ones. The same as `cxsink init-db --partitioned`."
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
    key!(
        retention.dead_letters,
        ValueType::Duration(MINUTE, HOUR.saturating_mul(24 * 365 * 100)),
        "Dead letters are deleted this long after they were rejected, also those that were neither exported nor replayed. The running sink looks for them at its start and once an hour. Not set: they are kept until they are purged."
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
    key!(
        http.listen,
        ValueType::Text,
        "The address and port to listen on, such as `127.0.0.1:9465`. An address that other machines may reach requires `http.token_file` or `http.allow_anonymous`."
    ),
    key!(
        http.token_file,
        ValueType::Path,
        "A file that holds a token. Clients must send it (`Authorization: Bearer …`). It is read again for each request. Line breaks at its end are ignored."
    ),
    key!(
        http.allow_anonymous,
        ValueType::Switch,
        "Whether clients of other machines need no token: where the network keeps strangers away."
    ),
    key!(
        http.hanging_after,
        ValueType::Duration(ms(5000), HOUR),
        "How long a loop of the sink may be overdue before it counts as hanging. A loop that waits is not overdue, and a call to a server has its own deadline first."
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

/// [`put`] reads a list of texts as names of columns, and messages have a value type of their own.
fn put_open(config: &mut Config, value: Option<Value>) -> bool {
    config.stream.open = match value {
        None => Vec::new(),
        Some(Value::Messages(messages)) => messages,
        Some(_) => return false,
    };
    true
}

fn put_update(config: &mut Config, value: Option<Value>) -> bool {
    config.mapping.update_chosen = value.is_some();
    put(&mut config.mapping.update, value)
}
