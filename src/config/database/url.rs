//! `destination.url`: which forms there are, where the password stands in it, and how one is put together from parts.

use percent_encoding::AsciiSet;

use crate::config::database::conninfo;
use crate::config::url::{RESERVED, percent_encode};
use crate::error::{Error, Result};

/// Checks what can be checked without a connection. Never shows any part of the URL: without its usual form, nobody can say
/// which part is the password.
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
    if !["postgresql://", "postgres://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(bad("is neither a postgresql:// nor a sqlite: address"));
    }
    if url.contains(char::is_control) {
        return Err(bad("holds a control character, such as a line break"));
    }
    Ok(())
}

pub(crate) fn sqlite_path(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite:")
}

/// The URL with `***` in place of the password.
///
/// Rather hides too much than too little: a password that was not percent-encoded may hold `@`, `/` and `?`.
pub(crate) fn without_password(url: &str) -> String {
    if sqlite_path(url).is_some() {
        return url.into();
    }
    if conninfo::is_pairs(url) {
        return conninfo::without_secrets(url);
    }
    let Some((scheme, rest)) = url.split_once("://") else { return "***".into() };
    let (user, tail) = match rest.rsplit_once('@') {
        Some((credentials, tail)) => match credentials.split_once(':') {
            Some((user, _)) => (format!("{user}:***@"), tail),
            None => (format!("{credentials}@"), tail),
        },
        None => (String::new(), rest),
    };
    let Some((place, parameters)) = tail.split_once('?') else { return format!("{scheme}://{user}{tail}") };
    let parameters: Vec<String> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if name.ends_with("password") => format!("{name}=***"),
            _ => parameter.into(),
        })
        .collect();
    format!("{scheme}://{user}{place}?{}", parameters.join("&"))
}

pub(crate) fn has_password(url: &str) -> bool {
    without_password(url).contains("***")
}

/// What deployments give apart.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) port: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

const FOLDER: &AsciiSet = &RESERVED.remove(b'/');
const IPV6: &AsciiSet = &RESERVED.remove(b':');
const IPV6_IN_BRACKETS: &AsciiSet = &IPV6.remove(b'[').remove(b']');

/// The URL that means the same as the parts, whatever characters they hold.
///
/// A Unix socket's directory has no place in a URL's host, so it goes into the parameters, as libpq documents (PostgreSQL
/// manual, 32.1.1.2). So does a password without a user, since an empty user there would be taken as given. A list of hosts
/// stands in the host's place, since clients do not split it elsewhere.
pub(crate) fn compose(parts: &Parts<'_>) -> String {
    let encode = |text: &str| percent_encode(text, RESERVED);
    let host = parts.host.unwrap_or("localhost");
    let port = parts.port.unwrap_or("5432");
    let credentials = match (parts.user, parts.password) {
        (Some(user), Some(password)) => format!("{}:{}@", encode(user), encode(password)),
        (Some(user), None) => format!("{}@", encode(user)),
        (None, _) => String::new(),
    };
    let mut parameters = Vec::new();
    let mut place = String::new();
    if host.starts_with('/') && !host.contains(',') {
        parameters.push(format!("host={}&port={port}", percent_encode(host, FOLDER)));
    } else {
        // One port for all hosts, or one for each.
        let each_port = port.split(',').cycle();
        place = host.split(',').zip(each_port).map(|(host, port)| authority(host, port)).collect::<Vec<_>>().join(",");
    }
    if let (None, Some(password)) = (parts.user, parts.password) {
        parameters.push(format!("password={}", encode(password)));
    }
    let name = parts.name.map(encode).unwrap_or_default();
    let separator = if parameters.is_empty() { "" } else { "?" };
    format!("postgresql://{credentials}{place}/{name}{separator}{}", parameters.join("&"))
}

/// The addresses of IPv6 stand in brackets; whoever configures a host may have written them already.
fn authority(host: &str, port: &str) -> String {
    if host.starts_with('[') {
        format!("{}:{port}", percent_encode(host, IPV6_IN_BRACKETS))
    } else if host.matches(':').count() > 1 {
        format!("[{}]:{port}", percent_encode(host, IPV6))
    } else {
        format!("{}:{port}", percent_encode(host, RESERVED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together() {
        let check = |host, port, name, user, password, expected: &str| {
            assert_eq!(compose(&Parts { host, port, name, user, password }), expected);
        };
        let some = Some;
        check(some("db"), None, some("cx"), some("me"), some("pw"), "postgresql://me:pw@db:5432/cx");
        check(some("db"), some("6432"), some("cx"), some("me"), None, "postgresql://me@db:6432/cx");
        check(None, None, some("cx"), None, None, "postgresql://localhost:5432/cx");
        check(some("db"), None, None, None, None, "postgresql://db:5432/");
        check(
            some("db"),
            None,
            some("c/x"),
            some("m@e"),
            some("p@s:s/w?#%"),
            "postgresql://m%40e:p%40s%3As%2Fw%3F%23%25@db:5432/c%2Fx",
        );
        check(some("::1"), None, some("cx"), some("me"), None, "postgresql://me@[::1]:5432/cx");
        check(some("[::1]"), None, some("cx"), some("me"), None, "postgresql://me@[::1]:5432/cx");
        check(
            some("/run/postgresql"),
            None,
            some("db"),
            some("user"),
            some("pw"),
            "postgresql://user:pw@/db?host=/run/postgresql&port=5432",
        );
        check(some("a,b"), some("1,2"), some("cx"), some("me"), None, "postgresql://me@a:1,b:2/cx");
        check(some("db"), None, some("cx"), None, some("p&w"), "postgresql://db:5432/cx?password=p%26w");
    }

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
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
