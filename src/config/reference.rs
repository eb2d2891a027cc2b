//! docs/configuration.md, made from the table of keys, so that it cannot say anything else than the code does.

use std::fmt::Write;

use super::Config;
use super::environment::DEPLOYMENT;
use super::keys::{KEYS, SECTIONS};

const HEAD: &str = "\
# Configuration

<!-- Generated from src/config/keys.rs. Do not edit: CXSINK_UPDATE=1 cargo test --test configuration -->

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

Within one source, a `CXSINK_…` variable overrides these, and `DATABASE_URL` overrides `DB_…`. libpq's `PGHOST`, `PGPORT`,
`PGDATABASE`, `PGUSER` and `PGPASSWORD` say where the database is if `PGHOST` or `PGDATABASE` is set and no other source, not
even the TOML file, sets `destination.url`.
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
        if section == "mapping" {
            text.push_str(MAPPING_TAIL);
        }
    }
    Ok(())
}
