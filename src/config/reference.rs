//! docs/configuration.md, generated from the table of keys, so that it always agrees with the code.

use std::fmt::Write;

use crate::config::database::libpq;
use crate::config::keys::{KEYS, SECTIONS, is_section_alone};
use crate::config::layers::DEPLOYMENT;
use crate::config::sections::Config;

const HEAD: &str = "\
# Configuration

<!-- Generated from src/config/keys/table.rs. Do not edit: `make reference` -->

Set a key in a TOML file (`[section]` and `key = value`), in an environment variable (`CXSINK_SECTION__KEY`, with two underscores
before the key), in a `.env` file under the same name, or in a program: `config.set(\"section.key\", \"value\")`.

A later layer overrides an earlier one:

1. the defaults below,
2. the TOML file,
3. `.env` in the working directory; the command line reads it only without `--config`, or the file that `--env-file` names,
4. the environment.

An unknown key, section or `CXSINK_…` variable is an error that names the nearest known one. An empty variable counts as not set.
Relative paths are relative to the working directory.

- **Durations** are whole numbers with a unit: `\"500ms\"`, `\"30s\"`, `\"2m\"`, `\"1h\"`, `\"30d\"`. A number without a unit is an error.
- **Sizes** are whole numbers with a unit, or without one in bytes: `\"64MiB\"`, `\"1GiB\"` (powers of 1024), `\"500KB\"`, `\"1GB\"` (powers of 1000).
- **Secrets** never appear in an error or a log line. A `*_file` key names a file that holds the secret; setting both is an error
  (of `oauth.params` and `stream.headers`, for the same name).
- **`.env`**: put a value with spaces, `#`, `$`, quotes or backslashes in single quotes. Without them, `$NAME` (letters and
  digits) and `${NAME}` are replaced by the value of that variable; one that is not set is an error. The file must belong to the user of the
  process or to root, and not be writable for every user: it says where secrets are sent. That it is read is in the log, at level info.
- **Files** are regular files: a FIFO is refused. The limits are 64 KiB for a secret, 1 MiB for TOML and `.env`, 4 MiB for certificates, 16 MiB
  for a schema.

## The variables of a plain deployment

";

const DEPLOYMENT_TAIL: &str = "
If `DB_HOST` or `DB_NAME` is set, `destination.url` is composed of `DB_HOST` (default `localhost`), `DB_PORT` (5432), `DB_NAME`,
`DB_USER` and `DB_PASSWORD`. They may contain any characters; `DB_HOST` may be the directory of a Unix socket. Some may be set in
`.env` and others in the environment.

Within one layer, a `CXSINK_…` variable overrides these, and `DATABASE_URL` overrides `DB_…`. libpq's `PG…` variables are
defaults, see [PostgreSQL](#postgresql). They locate the database only if `PGHOST`, `PGHOSTADDR`, `PGDATABASE` or `PGSERVICE` is set
and no layer, not even the TOML file, sets `destination.url`.

If no layer sets `proxy.url`, the first of `https_proxy`, `HTTPS_PROXY`, `all_proxy` and `ALL_PROXY` that is set names the proxy. If
no layer sets `proxy.no_proxy`, `no_proxy` or `NO_PROXY` adds to its default. `HTTP_PROXY` has no effect.
";

const POSTGRESQL: &str = "
### PostgreSQL

`destination.url` has libpq's forms and meaning: a URL, `postgresql://me@db1,db2:5433/cx?sslmode=verify-full`, or pairs,
`host=db1,db2 port=5432,5433 dbname=cx user=me sslmode=verify-full`. A parameter that it lacks comes from the service that it names
(`service=cx`), then from the environment, then from the defaults.

| Parameter | Meaning, and the default if it differs from libpq's |
|---|---|
| `host`, `hostaddr`, `port` | Names, addresses, directories of Unix sockets. The entries of a list are tried in order. No host: `localhost` (libpq: a Unix socket in a compiled-in directory). |
| `target_session_attrs` | Default `read-write` (libpq: `any`): of several hosts or addresses the sink finds the one that accepts writes, also after a failover. `primary` has the same effect. `any` skips the check. `read-only`, `standby` and `prefer-standby` are refused: the sink has to write. |
| `user`, `dbname` | Default: the system user that runs the sink; a database of that name. |
| `password`, `passfile` | The password, or a file of passwords in the format of `.pgpass`; default `~/.pgpass`. `destination.password_file` overrides them. A file that other users may read is ignored, with a warning in the log. |
| `service`, `servicefile` | The service, and the file that defines it; default `~/.pg_service.conf`, then `pg_service.conf` in `PGSYSCONFDIR`. |
| `sslmode` | `disable`, `allow`, `prefer` (the default), `require`, `verify-ca`, `verify-full`. With `prefer`, a connection that falls back to clear text is a warning in the log. Certificates must be of X.509 version 3, with keys of RSA, P-256, P-384 or Ed25519 (libpq: also version 1, P-521, Ed448); with `prefer`, a server with another one is reached in clear text (libpq: with TLS). Use `verify-full` for every connection that leaves the machine: only this mode detects a foreign server. |
| `sslrootcert` | The trusted authorities: a file, or `system`, which implies `verify-full`. Default: `~/.postgresql/root.crt` if it exists, then `tls.ca_file`, then those of the system. With it, `require` means `verify-ca`. |
| `sslcert`, `sslkey` | The client's certificate and its key, for servers that require one. Default: `~/.postgresql/postgresql.crt` and `.key` if they exist, then `tls.cert_file` and `tls.key_file`. Only the owner may have access to the key. `sslcertmode=disable` sends no certificate. |
| `channel_binding` | `prefer` (the default), `disable`, `require`: binds SCRAM to the TLS connection, so that it cannot be relayed. |
| `ssl_min_protocol_version`, `ssl_max_protocol_version`, `sslsni` | `TLSv1.2` or `TLSv1.3`; whether to send SNI (in clear text). |
| `application_name`, `fallback_application_name` | Default `cxsink`. |
| `connect_timeout` | The time limit for all hosts together, in seconds; replaces `destination.connect_timeout`. |
| `options` | Settings of the session: `-c search_path=app`. Poolers refuse it; `ALTER ROLE … SET` works behind them. |
| `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count`, `tcp_user_timeout` | How the operating system detects a lost connection. |

Other parameters of libpq (GSSAPI, OAuth, revocation lists, `require_auth`, `requirepeer`, encrypted keys and more) are errors that
name the parameter: a connection without them could be less protected than intended.

Files are read again for each connection. The variables below count only if the configuration was read from the environment
(`Config::load`, `Config::from_env`, the command line). A configuration that a program makes itself depends on no variable and no
home directory. The variables are
";

const STREAM_TAIL: &str = "
### Messages and patterns

A **message** is a text that the sink sends. `{token}` and `{stream_id}` in it are replaced, with the escapes of a JSON string. Put messages
in single quotes, TOML's literal strings:

```toml
[stream]
open = ['{\"action\":\"register\",\"payload\":{\"token\":\"{token}\"}}']
open_answer = '\"authorized\"'
heartbeat = '{\"action\":\"heartbeat\"}'
heartbeat_answer = '\"pong\"'
ignore = ['\"pong\"', { pointer = \"/command\", equals = [\"HEARTBEAT_ACK\", \"SUBSCRIBED\"] }]
```

A **pattern** is compared with a message of the server. A text matches the same message, without the white space around it. A table matches a
message with a member at `pointer` (a JSON pointer, RFC 6901): any value, or one that equals one of `equals` (texts, numbers, `true`,
`false`). `{ close_code = 4429 }` matches a close frame, in `stream.open_refused` only.

In a variable or in `set`, a list is an inline TOML array, and a text without brackets is a list of one:
`CXSINK_STREAM__OPEN='{\"action\":\"subscribe\"}'`, `CXSINK_STREAM__IGNORE='[\"ping\", { pointer = \"/command\" }]'`. Tables of
texts are written as pairs, `X-Tenant=t1, X-Region=eu`, or as an inline table.
";

const REDACT_TAIL: &str = "
Each rule is a table:

| Member | Value |
|---|---|
| `pointer` | The place: a JSON pointer (RFC 6901) into the event. `*` as a step is every member or element there; `~2` is a star that is meant. No rule may apply inside another one. |
| `with` | `drop`: the member is removed, an element of an array becomes `null`. `mask`: a fixed value of the same type, `\"***\"`, `0`, `false`, `{}` or `[]`. `hmac`: the HMAC-SHA-256 of the value, as 64 lower-case hexadecimal digits. |
| `key_file` | With `hmac` only: the file with the key, at least 32 bytes of text. It is read when the sink is opened. |

```toml
[[redact]]
pointer = \"/attributes/notes\"
with = \"drop\"

[[redact]]
pointer = \"/attributes/participants/*/phone\"
with = \"hmac\"
key_file = \"/run/secrets/cxsink-hmac\"
```

In a variable or in `set`, an inline TOML array: `CXSINK_REDACT='[{ pointer = \"/attributes/agentId\", with = \"mask\" }]'`.
";

const MAPPING_TAIL: &str = "
`mapping.columns` gives each column a source:

| Source | Value of the column |
|---|---|
| a JSON pointer (RFC 6901), such as `/interactionId` or `/attributes/queueName` | the value at this place; NULL if there is none |
| the empty pointer, `\"\"` | the whole event |
| `rest` | an object with the members of the event that no other column stores: the members of `attributes` without a column and, with `schema.additional_properties = \"keep\"`, unknown top-level members (one whose name also occurs in `attributes` is stored under its pointer, `/name`); NULL if there is none |
| a list of pointers, `[\"/attributes/queue\", \"/queue\"]` | the value at the first one that has a value; null is none |
| a table with a pointer, `{ pointer = \"/queue\", default = \"none\" }` | the value, read as the table says |
| `{ constant = \"acme\" }` | the same value in each row |
| `now` | the time of the transaction |
| `stream` | `stream.name` |
| `received_at` | the time at which the sink received the event |
| `offset` | the event's offset in the spool |

The members of such a table:

| Member | Effect |
|---|---|
| `pointer` | a JSON pointer, or a list of them |
| `default` | The value to read where no pointer has one, as if the event had it: a text, a number, true, false, a list or a table. Write a number of more than 15 digits as a text. |
| `format` | `epoch_s`, `epoch_ms`, `epoch_us`: numbers, or texts with one, are seconds, milliseconds or microseconds since 1970-01-01 UTC; for `timestamptz`, and for `timestamp` and `date`, which get the time in UTC. `base64`, `hex`: texts are bytes; for `bytea`. |
| `trim` | `true` removes the white space at both ends of a text. |
| `max_length` | `truncate` cuts a text that is longer than its `varchar(n)` or `char(n)` column; with `reject`, the default, such an event becomes a dead letter. A number, a list or an object is never cut. |

A source that does not fit the type of its column is an error at the start. A key needs a column with a pointer and without a default, and
has no column whose value differs between deliveries of an event (`now`, `received_at`, `offset`). [tables.md](tables.md#deliveries) says
what the last three hold when an event comes again.

In TOML, `mapping.columns` is a table, and the lists are arrays:

```toml
[mapping]
key = [\"idempotency_key\"]
update = [\"queue_name\", \"updated_at\"]

[mapping.columns]
idempotency_key = \"/idempotencyKey\"
queue_name = { pointer = [\"/attributes/queueName\", \"/queue\"], default = \"none\", trim = true }
updated_at = \"now\"
```

In a variable or in `set`, commas separate pairs and names:
`CXSINK_MAPPING__COLUMNS='idempotency_key=/idempotencyKey, updated_at=now'`, `CXSINK_MAPPING__KEY='idempotency_key'`. Write names with
a comma or an equals sign, and sources that are lists or tables, as an inline TOML table or array: `{\"a,b\" = \"/x\", c = [\"/y\", \"/z\"]}`,
`[\"a,b\"]`.
";

const STREAMS: &str = "
## `[streams.NAME]`

Several streams in one process ([scale.md](scale.md)). Each section is a stream: a sink of its own, with a spool of its own. It has what the rest of
the configuration says, and in its place what is its own: the keys of `[stream]` directly below the name, those of other sections below
their name.

```toml
[oauth]                        # for all streams
client_id = \"id\"

[destination]
url = \"postgresql://cxsink@db/cx\"

[streams.sales]
id = \"0b5c…\"                  # stream.id
destination.table = \"sales_events\"

[streams.support]
id = \"7d1f…\"

[streams.support.destination]
table = \"support_events\"
```

- **Names** have lower-case letters and digits, with a single `-` or `_` between them, 63 characters at most. The name is `stream.name`.
- **Variables** are `CXSINK_STREAMS__SALES__ID` and `CXSINK_STREAMS__SALES__DESTINATION__TABLE`, with `-` written as `_`. If the TOML file has streams,
  a variable must name one of them. In a program: `config.set(\"streams.sales.destination.table\", \"…\")`.
- **Order**: what a stream has of its own counts, whichever layer says it, and whatever a later layer says for all streams. An empty value takes a key
  away that is set for all.
- **`spool.path`** gets the name before its extension, `cxsink-spool-sales.db`, unless the stream has a path of its own.
- **Lists and tables** of a stream replace those of the rest, they do not add to them.
- **Of two keys that exclude each other**, such as `oauth.client_secret` and `oauth.client_secret_file`, a stream's own one replaces the other one.
- **`[http]` and `[log]`** are for the whole process.
- **Tokens** are shared by the streams whose `[oauth]`, `[tls]` and `[proxy]` are equal: one request for all of them.
";

/// The text of docs/configuration.md.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    write(&mut text).unwrap_or_default();
    text
}

// Writing to a String cannot fail.
fn write(text: &mut String) -> std::fmt::Result {
    let defaults = Config::default();
    writeln!(text, "| Variable | Key |\n|---|---|")?;
    for (variable, key) in DEPLOYMENT {
        writeln!(text, "| `{variable}` | `{key}` |")?;
    }
    text.push_str(DEPLOYMENT_TAIL);
    for (section, about) in SECTIONS {
        let head = if is_section_alone(section) { format!("[[{section}]]") } else { format!("[{section}]") };
        writeln!(text, "\n## `{head}`\n\n{about}\n\n| Key | Type | Default | Effect |\n|---|---|---|---|")?;
        for key in KEYS.iter().filter(|key| key.section() == section) {
            let default = defaults.get(key.name).map_or_else(|| "not set".into(), |value| format!("`{value}`"));
            writeln!(text, "| `{}` | {} | {default} | {} |", key.name, key.value_type.describe(), key.effect)?;
        }
        match section {
            "stream" => text.push_str(STREAM_TAIL),
            "redact" => text.push_str(REDACT_TAIL),
            "mapping" => text.push_str(MAPPING_TAIL),
            "destination" => {
                text.push_str(POSTGRESQL);
                let variables: Vec<_> = libpq::variables().map(|variable| format!("`{variable}`")).collect();
                writeln!(text, "{}.", variables.join(", "))?;
            }
            _ => {}
        }
    }
    text.push_str(STREAMS);
    Ok(())
}
