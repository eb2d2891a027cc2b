//! `destination.url`: `postgresql://…`, libpq's `name=value` pairs, or `sqlite:PATH`.

use super::{conninfo, uri};
use crate::error::{Error, Result};

/// Checks the form. Errors never quote the text: any part of it may belong to the password.
pub(crate) fn check(url: &str) -> Result<()> {
    let bad = |reason: &str| {
        Error::config(reason).with_hint(
            "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, host=HOST dbname=DATABASE user=USER, or sqlite:PATH",
        )
    };
    if let Some(path) = sqlite_path(url) {
        return if path.is_empty() { Err(bad("names no SQLite file")) } else { Ok(()) };
    }
    if conninfo::is_pairs(url) {
        let pairs = conninfo::pairs(url)?;
        return if pairs.iter().any(|(_, value)| value.contains('\0')) {
            Err(bad("holds a NUL character"))
        } else {
            Ok(())
        };
    }
    if !uri::is_uri(url) {
        return Err(bad("neither a postgresql:// nor a sqlite: URL"));
    }
    if url.contains(char::is_control) {
        return Err(bad("holds a control character, such as a line break"));
    }
    Ok(())
}

/// Whether the text is PostgreSQL's: a URI, or `name=value` pairs.
pub(crate) fn is_connection_string(url: &str) -> bool {
    uri::is_uri(url) || conninfo::is_pairs(url)
}

/// The parameters of a connection string for PostgreSQL, in their order.
pub(crate) fn parameters(url: &str) -> Result<Vec<(String, String)>> {
    if uri::is_uri(url) { uri::parameters(url) } else { conninfo::pairs(url) }
}

pub(crate) fn sqlite_path(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite:")
}

/// The text with `***` in place of each password.
pub(crate) fn without_password(url: &str) -> String {
    if sqlite_path(url).is_some() {
        return url.into();
    }
    if conninfo::is_pairs(url) { conninfo::without_secrets(url) } else { uri::without_password(url) }
}

pub(crate) fn has_password(url: &str) -> bool {
    without_password(url).contains("***")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_in_every_place() {
        let check = |url: &str, expected: &str| {
            assert_eq!(without_password(url), expected);
            assert_eq!(has_password(url), expected.contains("***"), "{url}");
        };
        check("postgresql://me:secret@db:5432/cx", "postgresql://me:***@db:5432/cx");
        check("postgresql://me@db:5432/cx", "postgresql://me@db:5432/cx");
        check("postgresql://db:5432/cx?sslmode=require", "postgresql://db:5432/cx?sslmode=require");
        check("postgresql://me:sec@re/t?x@db/cx", "postgresql://me:***@db/cx");
        check(
            "postgresql://db/cx?user=me&password=secret&sslmode=require",
            "postgresql://db/cx?user=me&password=***&sslmode=require",
        );
        check("postgres://me:secret@/cx?host=/run", "postgres://me:***@/cx?host=/run");
        check("sqlite:a@b:c.db", "sqlite:a@b:c.db");
        check("host=db password=secret user=me", "host=db password=*** user=me");
        check("host=db  user=me", "host=db user=me");
        check("host=db password='secret", "***");
    }

    #[test]
    fn only_known_forms_are_taken() {
        for url in ["postgresql://db/cx", "postgres://", "host=db\n dbname=cx", "sqlite:x.db", "sqlite::memory:"] {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "db",
            "mysql://db/cx",
            "postgresql+asyncpg://db/cx",
            "host=db password='x",
            "mysql://db/cx?user=me",
            "sqlite:",
            "postgresql://db/c\nx",
        ] {
            let error = check(url).unwrap_err();
            assert!(error.hint().is_some(), "{url}");
        }
    }
}
