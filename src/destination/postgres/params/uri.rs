//! libpq's connection URI (PostgreSQL manual, 34.1.1.2, "Connection URIs"), as the parameters that it stands for.

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// Whether the text is one.
pub(crate) fn is_uri(text: &str) -> bool {
    without_scheme(text).is_some()
}

fn without_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// The parameters in their order. Lists of hosts and ports come as libpq has them, separated by commas.
pub(crate) fn parameters(uri: &str) -> Result<Vec<(String, String)>> {
    let rest = without_scheme(uri).ok_or_else(|| bad("it starts with neither postgresql:// nor postgres://"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // The last @, because a password that was not encoded may hold others; a / may stand there too.
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, rest),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));

    let mut parameters = Vec::new();
    let mut push = |name: &str, value: String| parameters.push((name.to_owned(), value));
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        push("user", decode("the user", user)?);
        push("password", decode("the password", password)?);
    }
    push("dbname", decode("the database", database)?);
    if !authority.is_empty() {
        let hosts = authority.split(',').map(split_host).collect::<Result<Vec<_>>>()?;
        let names = hosts.iter().map(|(name, _)| decode("the host", name)).collect::<Result<Vec<_>>>()?;
        push("host", names.join(","));
        push("port", hosts.iter().map(|(_, port)| *port).collect::<Vec<_>>().join(","));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad("a parameter has no value"))?;
        let name = decode("a parameter's name", name)?;
        let value = decode("a parameter's value", value)?;
        // As JDBC writes it; libpq takes it too.
        if (name.as_str(), value.as_str()) == ("ssl", "true") {
            push("sslmode", "require".into());
        } else {
            push(&name, value);
        }
    }
    Ok(parameters)
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
fn split_host(host: &str) -> Result<(&str, &str)> {
    let Some(rest) = host.strip_prefix('[') else {
        return Ok(host.split_once(':').unwrap_or((host, "")));
    };
    match rest.split_once(']') {
        Some((address, "")) => Ok((address, "")),
        Some((address, port)) if port.starts_with(':') => Ok((address, &port[1..])),
        _ => Err(bad("an IPv6 address is written as [address]:port")),
    }
}

fn decode(what: &str, text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| bad(&format!("{what} is not UTF-8")))?;
    Ok(text.into_owned())
}

fn bad(why: &str) -> Error {
    Error::config(format!("is not a usable PostgreSQL URL: {why}"))
        .with_hint("write it as postgresql://user:password@host:5432/database?sslmode=require")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_stands_for_parameters() {
        let cases: [(&str, &[(&str, &str)]); 9] = [
            ("postgresql://", &[]),
            ("postgres://db.example.com/x", &[("dbname", "x"), ("host", "db.example.com")]),
            (
                "postgresql://u%40x:p%3A%2F%40%20%C3%A4@h:1/d%20b",
                &[("user", "u@x"), ("password", "p:/@ ä"), ("dbname", "d b"), ("host", "h"), ("port", "1")],
            ),
            ("postgresql://u:p@q/r@h/d", &[("user", "u"), ("password", "p@q/r"), ("dbname", "d"), ("host", "h")]),
            ("postgresql://[2001:db8::1]:5433", &[("host", "2001:db8::1"), ("port", "5433")]),
            ("postgresql://a:1,[::1],c:3/", &[("host", "a,::1,c"), ("port", "1,,3")]),
            ("postgresql://%2Ftmp:6000/x", &[("dbname", "x"), ("host", "/tmp"), ("port", "6000")]),
            (
                "postgresql:///x?host=/tmp&port=6000&options=-c%20a%3Db",
                &[("dbname", "x"), ("host", "/tmp"), ("port", "6000"), ("options", "-c a=b")],
            ),
            ("postgresql://h?ssl=true&user=u", &[("host", "h"), ("sslmode", "require"), ("user", "u")]),
        ];
        for (uri, expected) in cases {
            let found = parameters(uri).unwrap();
            let is_set = |(_, value): &&(String, String)| !value.replace(',', "").is_empty();
            let found: Vec<_> = found.iter().filter(is_set).map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(found, expected, "{uri}");
        }
    }
}
