//! libpq's connection URI (PostgreSQL manual, 34.1.1.2, "Connection URIs"): read, written, and shown without its password.
//!
//! The rules are libpq's and not the WHATWG URL's: several hosts with a port each, a Unix socket's directory as a host, no path
//! but the database's name, parameters in place of parts. No library for URLs reads that.

use super::conninfo;
use crate::config::percent::{self, RESERVED, RESERVED_IN_IPV6, RESERVED_IN_PATH};
use crate::error::{Error, Result};

/// Whether the text is one.
pub(super) fn is_uri(text: &str) -> bool {
    without_scheme(text).is_some()
}

fn without_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// The parts of a URI, still percent-encoded.
struct Parts<'a> {
    credentials: Option<&'a str>,
    hosts: &'a str,
    database: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn split(uri: &'a str) -> Option<Self> {
        let (rest, query) = split_or(without_scheme(uri)?, '?');
        // The last @, because a password that was not encoded may hold others, and slashes.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (hosts, database) = split_or(rest, '/');
        Some(Self { credentials, hosts, database, query })
    }
}

/// Both sides of the first separator; nothing behind it if there is none.
fn split_or(text: &str, separator: char) -> (&str, &str) {
    text.split_once(separator).unwrap_or((text, ""))
}

/// The parameters in their order. Lists of hosts and ports come as libpq has them, separated by commas.
pub(super) fn parameters(uri: &str) -> Result<Vec<(String, String)>> {
    let split = Parts::split(uri).ok_or_else(|| bad("it starts with neither postgresql:// nor postgres://"))?;
    let mut parameters = Vec::new();
    let mut push = |name: &str, value: String| parameters.push((name.to_owned(), value));
    if let Some(credentials) = split.credentials {
        let (user, password) = split_or(credentials, ':');
        push("user", decode("the user", user)?);
        push("password", decode("the password", password)?);
    }
    push("dbname", decode("the database", split.database)?);
    if !split.hosts.is_empty() {
        let (hosts, ports) = split_hosts(split.hosts)?;
        push("host", hosts);
        push("port", ports);
    }
    for parameter in split.query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = split_parameter(parameter)?;
        push(&name, value);
    }
    Ok(parameters)
}

/// The list of hosts and the list of their ports.
fn split_hosts(hosts: &str) -> Result<(String, String)> {
    let hosts = hosts.split(',').map(split_host).collect::<Result<Vec<_>>>()?;
    let names = hosts.iter().map(|(name, _)| decode("the host", name)).collect::<Result<Vec<_>>>()?;
    let ports: Vec<&str> = hosts.iter().map(|(_, port)| *port).collect();
    Ok((names.join(","), ports.join(",")))
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
fn split_host(host: &str) -> Result<(&str, &str)> {
    let Some(rest) = host.strip_prefix('[') else { return Ok(split_or(host, ':')) };
    match rest.split_once(']') {
        Some((address, "")) => Ok((address, "")),
        Some((address, port)) if port.starts_with(':') => Ok((address, &port[1..])),
        _ => Err(bad("an IPv6 address is written as [address]:port")),
    }
}

fn split_parameter(parameter: &str) -> Result<(String, String)> {
    let (name, value) = parameter.split_once('=').ok_or_else(|| bad("a parameter has no value"))?;
    let (name, value) = (decode("a parameter's name", name)?, decode("a parameter's value", value)?);
    // As JDBC writes it; libpq takes it too.
    if (name.as_str(), value.as_str()) == ("ssl", "true") {
        return Ok(("sslmode".into(), "require".into()));
    }
    Ok((name, value))
}

fn decode(part: &str, text: &str) -> Result<String> {
    percent::decode(text).ok_or_else(|| bad(&format!("{part} is not UTF-8")))
}

fn bad(reason: &str) -> Error {
    Error::config(format!("is not a usable PostgreSQL URL: {reason}"))
        .with_hint("write it as postgresql://user:password@host:5432/database?sslmode=require")
}

/// The URI with `***` in place of each password.
///
/// It hides too much rather than too little. A password that was not percent-encoded may hold any separator, so the text may be
/// cut otherwise than [`parameters`] cuts it, and a text that is not a URI is shown too.
pub(super) fn without_password(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return HIDDEN.into() };
    let Some((credentials, rest)) = rest.rsplit_once('@') else {
        return format!("{scheme}://{}", without_password_parameters(rest));
    };
    // The @ may belong to a password in a parameter.
    if split_or(credentials, '?').1.contains('=') && without_password_parameters(credentials) != credentials {
        return format!("{scheme}://{HIDDEN}");
    }
    let user = match credentials.split_once(':') {
        Some((user, _)) => format!("{user}:{HIDDEN}"),
        None => credentials.into(),
    };
    format!("{scheme}://{user}@{}", without_password_parameters(rest))
}

const HIDDEN: &str = "***";

/// Hides the value of each secret parameter.
fn without_password_parameters(text: &str) -> String {
    let hide = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if percent::decode(name).is_none_or(|name| conninfo::is_secret(&name)) => {
            format!("{name}={HIDDEN}")
        }
        _ => parameter.to_owned(),
    };
    text.split('&').map(hide).collect::<Vec<_>>().join("&")
}

/// The parts of a URI that a deployment gives one by one.
#[derive(Default)]
pub(crate) struct Components<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) port: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// The URI that means the same as the components, whatever characters they hold.
///
/// A Unix socket's directory has no place in a URI's host, so it becomes a parameter, as libpq documents (PostgreSQL manual,
/// 34.1.1.2). So does a password without a user, because an empty user would count as given. A list of hosts takes the host's
/// place, because clients split it only there.
pub(crate) fn compose(components: &Components<'_>) -> String {
    let encode = |text: &str| percent::encode(text, RESERVED);
    let host = components.host.unwrap_or("localhost");
    let port = components.port.unwrap_or("5432");
    let credentials = match (components.user, components.password) {
        (Some(user), Some(password)) => format!("{}:{}@", encode(user), encode(password)),
        (Some(user), None) => format!("{}@", encode(user)),
        (None, _) => String::new(),
    };
    let mut parameters = Vec::new();
    let mut hosts = String::new();
    if host.starts_with('/') && !host.contains(',') {
        parameters.push(format!("host={}&port={port}", percent::encode(host, RESERVED_IN_PATH)));
    } else {
        // One port for all hosts, or one for each.
        let ports = port.split(',').cycle();
        hosts = host.split(',').zip(ports).map(|(host, port)| host_and_port(host, port)).collect::<Vec<_>>().join(",");
    }
    if let (None, Some(password)) = (components.user, components.password) {
        parameters.push(format!("password={}", encode(password)));
    }
    let name = components.name.map(encode).unwrap_or_default();
    let separator = if parameters.is_empty() { "" } else { "?" };
    format!("postgresql://{credentials}{hosts}/{name}{separator}{}", parameters.join("&"))
}

/// Puts an IPv6 address in brackets, unless the configuration has done so.
fn host_and_port(host: &str, port: &str) -> String {
    let is_bracketed = host.starts_with('[');
    if !is_bracketed && host.matches(':').count() < 2 {
        return format!("{}:{port}", percent::encode(host, RESERVED));
    }
    let address = percent::encode(host, RESERVED_IN_IPV6);
    if is_bracketed { format!("{address}:{port}") } else { format!("[{address}]:{port}") }
}

#[cfg(test)]
#[path = "tests/uri.rs"]
mod tests;
