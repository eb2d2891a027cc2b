//! docs/configuration.md, made from the table of keys, so that it cannot say anything else than the code does.

use std::fmt::Write;

use super::Config;
use super::environment::DEPLOYMENT;
use super::keys::{KEYS, SECTIONS};
use crate::config::database::libpq;

const HEAD: &str = "\
# Configuration

<!-- Generated from src/config/keys.rs. Do not edit: `make reference` -->

Each key can be set in a TOML file (`[section]` and `key = value`), as an environment variable (`CXSINK_SECTION__KEY`, with two
underscores before the key), in a `.env` file under the same name, and by a program: `config.set(\"section.key\", \"value\")`.

A later source overrides an earlier one:

1. the defaults below,
2. the TOML file,
3. `.env` in the working directory,
4. the environment.

An unknown key, section or `CXSINK_…` variable is an error that names the nearest known one. An empty variable counts as not set.
Relative paths are relative to the working directory.

- **Durations** are whole numbers with a unit: `\"500ms\"`, `\"30s\"`, `\"2m\"`, `\"1h\"`. A bare number is refused.
- **Sizes** are whole numbers of bytes, or with a unit: `\"64MiB\"`, `\"1GiB\"` (powers of 1024), `\"500KB\"`, `\"1GB\"` (powers of 1000).
- **Secrets** are never shown, in no error and no log line. `*_file` keys name a file that holds the secret; to set both is an error.
- **`.env`**: put a value that holds spaces, `#`, `$`, quotes or backslashes in single quotes; elsewhere `$NAME` and `${NAME}` are
  replaced by another variable's value.

## The variables of a plain deployment

";

const DEPLOYMENT_TAIL: &str = "
`DB_HOST` (default `localhost`), `DB_PORT` (5432), `DB_NAME`, `DB_USER` and `DB_PASSWORD` together make `destination.url` if
`DB_HOST` or `DB_NAME` is set. They may hold any characters; `DB_HOST` may be the directory of a Unix socket. Some may stand in
`.env` and some in the environment.

Within one source, a `CXSINK_…` variable overrides these, and `DATABASE_URL` overrides `DB_…`. libpq's `PG…` variables are
defaults, see [PostgreSQL](#postgresql). They say where the database is only if `PGHOST`, `PGHOSTADDR`, `PGDATABASE` or `PGSERVICE`
is set and no other source, not even the TOML file, sets `destination.url`.

`HTTPS_PROXY` and `ALL_PROXY`, in small or capital letters, say which proxy leads to CXone if no source sets `proxy.url`; the first
of `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` that is set counts. `no_proxy` or `NO_PROXY` adds to the default of
`proxy.no_proxy` if no source sets that one. `HTTP_PROXY` has no meaning here.
";

const POSTGRESQL: &str = "
### PostgreSQL

`destination.url` takes what libpq takes, and means the same: a URL, `postgresql://me@db1,db2:5433/cx?sslmode=verify-full`, or pairs,
`host=db1,db2 port=5432,5433 dbname=cx user=me sslmode=verify-full`. What it does not say comes from the service that it names
(`service=cx`), then from the environment, then from the defaults.

| Parameter | Meaning, and default where it is not libpq's |
|---|---|
| `host`, `hostaddr`, `port` | Names, addresses, folders of Unix sockets; lists are tried in their order. No host: `localhost` (libpq: a Unix socket in a folder that was compiled in). |
| `target_session_attrs` | Default `read-write` (libpq: `any`), since the sink has to write: of several hosts or addresses the one that takes writes is found, also after a failover. `primary` is the same. `any` asks nothing. `read-only`, `standby`, `prefer-standby` are refused. |
| `user`, `dbname` | Default: who runs the sink; a database of that name. |
| `password`, `passfile` | A password, else one from this file, else from `~/.pgpass`. `destination.password_file` counts before all of them. Files that others may read are not used, and the log says so. |
| `service`, `servicefile` | A section of this file, else of `~/.pg_service.conf`, else of `pg_service.conf` in `PGSYSCONFDIR`. |
| `sslmode` | `disable`, `allow`, `prefer` (the default), `require`, `verify-ca`, `verify-full`. Use `verify-full` for everything that leaves the machine: only that one notices a server which is not yours. |
| `sslrootcert` | The authorities to trust: a file, or `system`, which means `verify-full`. Default: `~/.postgresql/root.crt` if there is one, else `tls.ca_file`, else the system's. With it, `require` means `verify-ca`. |
| `sslcert`, `sslkey` | Our certificate and its key, for servers that ask for one. Default: `~/.postgresql/postgresql.crt` and `.key` if they are there, else `tls.cert_file` and `tls.key_file`. The key must be readable for its owner alone. `sslcertmode=disable` shows none. |
| `channel_binding` | `prefer` (the default), `disable`, `require`: SCRAM tied to the TLS connection, so that nobody in between can pass it on. |
| `ssl_min_protocol_version`, `ssl_max_protocol_version`, `sslsni` | `TLSv1.2` or `TLSv1.3`; whether the server's name is sent in the clear. |
| `application_name`, `fallback_application_name` | Default `cxsink`. |
| `connect_timeout` | Seconds for all hosts together, instead of `destination.connect_timeout`. |
| `options` | Settings of the session: `-c search_path=app`. Poolers refuse it; `ALTER ROLE … SET` works behind them too. |
| `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count`, `tcp_user_timeout` | How the system notices that the other side is gone. |

Other parameters of libpq (GSSAPI, OAuth, revocation lists, `require_auth`, `requirepeer`, encrypted keys and more) are refused by name, since
passing over them could leave a connection less protected than its owner thinks.

Files are read again for each connection. The environment counts as far as the configuration was read from it (`Config::load`,
`Config::from_env`, the command line): a configuration that a program makes itself depends on no variable and no home folder.
The variables are
";

const MAPPING_TAIL: &str = "
`mapping.columns` gives each column a source:

| Source | Value of the column |
|---|---|
| a JSON pointer (RFC 6901), such as `/interactionId` or `/attributes/queueName` | the value there; NULL if there is none |
| the empty pointer, `\"\"` | the whole event |
| `rest` | an object of the event's members that no other column takes: the members of `attributes` that have no column, and, with `schema.additional_properties = \"keep\"`, unknown top-level members (one whose name is also in `attributes` is stored under its pointer, `/name`); NULL if nothing is left |
| `now` | the time of the transaction |

In TOML it is a table, and the lists are arrays:

```toml
[mapping]
key = [\"idempotency_key\"]
update = [\"queue_name\", \"updated_at\"]

[mapping.columns]
idempotency_key = \"/idempotencyKey\"
queue_name = \"/attributes/queueName\"
updated_at = \"now\"
```

As a text, in a variable or in `set`, pairs and names are separated by commas:
`CXSINK_MAPPING__COLUMNS='idempotency_key=/idempotencyKey, updated_at=now'`, `CXSINK_MAPPING__KEY='idempotency_key'`. Names that
hold a comma or an equals sign are written as an inline TOML table or array: `{\"a,b\" = \"/x\"}`, `[\"a,b\"]`.
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
        writeln!(text, "\n## `[{section}]`\n\n{about}\n\n| Key | Type | Default | Effect |\n|---|---|---|---|")?;
        for key in KEYS.iter().filter(|key| key.section() == section) {
            let default = defaults.get(key.name).map_or_else(|| "not set".into(), |value| format!("`{value}`"));
            writeln!(text, "| `{}` | {} | {default} | {} |", key.name, key.kind.describe(), key.effect)?;
        }
        match section {
            "mapping" => text.push_str(MAPPING_TAIL),
            "destination" => {
                text.push_str(POSTGRESQL);
                let variables: Vec<_> = libpq::variables().map(|variable| format!("`{variable}`")).collect();
                writeln!(text, "{}.", variables.join(", "))?;
            }
            _ => {}
        }
    }
    Ok(())
}
