//! The layers of variables: `CXSINK_SECTION__KEY`, and the usual names of a plain deployment.

use std::ffi::OsString;

use crate::config::database::libpq::{self, Libpq};
use crate::config::database::{Components, compose};
use crate::config::keys::{self, KEYS, Key, OwnKey, STREAMS, in_variable, own_name};
use crate::config::layers::variables::{Origin, Stack, Variable, Variables};
use crate::config::sections::{Config, ProxyConfig, in_variables};
use crate::config::units::shown;
use crate::config::url::parse_port;
use crate::error::{Error, Result};

const PREFIX: &str = "CXSINK_";

/// Deployment variables that set one key each.
pub(in crate::config) const DEPLOYMENT: [(&str, &str); 4] = [
    ("CXONE_CLIENT_ID", "oauth.client_id"),
    ("CXONE_CLIENT_SECRET", "oauth.client_secret"),
    ("CXONE_STREAM_ID", "stream.id"),
    ("DATABASE_URL", "destination.url"),
];

/// Variables that name the proxy for all programs of a machine. The first one that is set counts; lower case comes first, as in
/// curl. `HTTP_PROXY` is for URLs without TLS, which cxsink never reaches through a proxy.
pub(super) const PROXY: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
pub(super) const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

const DESTINATION_URL: &str = "destination.url";

/// The variables that `destination.url` is composed of.
struct ComponentNames {
    host: &'static str,
    port: &'static str,
    name: &'static str,
    user: &'static str,
    password: &'static str,
}

const DB: ComponentNames =
    ComponentNames { host: "DB_HOST", port: "DB_PORT", name: "DB_NAME", user: "DB_USER", password: "DB_PASSWORD" };

impl ComponentNames {
    fn contain(&self, name: &str) -> bool {
        [self.host, self.port, self.name, self.user, self.password].contains(&name)
    }

    /// A user or a password alone does not locate a database.
    fn locate_database(&self, variables: &Variables) -> bool {
        variables.get(self.host).or_else(|| variables.get(self.name)).is_some()
    }
}

/// The variables of the environment that cxsink reads.
///
/// # Errors
/// `Config`: one of them is not UTF-8.
pub(super) fn read(environment: &[(OsString, OsString)]) -> Result<Variables> {
    let mut variables = Variables::default();
    for (name, value) in environment {
        let is_read = |name: &&str| is_ours(name) || libpq::is_environment_only(name);
        let Some(name) = name.to_str().filter(is_read) else { continue };
        let Some(value) = value.to_str() else {
            return Err(Error::config(format!("{}: {name}: not UTF-8", Origin::Environment)));
        };
        variables.push(Variable { origin: Origin::Environment, name: name.into(), value: value.into() });
    }
    Ok(variables)
}

/// Whether cxsink reads a variable of this name, from the environment and from `.env`.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
        || DEPLOYMENT.iter().any(|(variable, _)| *variable == name)
        || DB.contain(name)
        || libpq::is_ours(name)
        || PROXY.contains(&name)
        || NO_PROXY.contains(&name)
}

/// Applies one layer: first the deployment variables, then those that name a key.
///
/// `has_streams`: the file has named the streams, so a variable of another one is a mistake.
pub(super) fn apply(config: &mut Config, layer: &Variables, stack: Stack<'_>, has_streams: bool) -> Result<()> {
    let is_named = |variable: &&Variable| variable.name.starts_with(PREFIX) && !is_foreign(&variable.name);
    let (own, named): (Vec<&Variable>, Vec<&Variable>) =
        layer.iter().filter(is_named).partition(|variable| variable.name.starts_with(&prefix_of_streams()));
    let named: Vec<(&Key, &Variable)> =
        named.into_iter().map(|variable| Ok((key_of(variable)?, variable))).collect::<Result<_>>()?;
    // A variable that is overridden within the layer is not checked.
    let is_named = |key: &str| named.iter().any(|(named, _)| named.name == key);
    for (name, key) in DEPLOYMENT {
        if let Some(variable) = layer.get(name).filter(|_| !is_named(key)) {
            set(config, keys::find(key)?, variable)?;
        }
    }
    if !is_named(DESTINATION_URL) && layer.get("DATABASE_URL").is_none() && DB.locate_database(layer) {
        set_composed(config, stack)?;
    }
    named.into_iter().try_for_each(|(key, variable)| set(config, key, variable))?;
    own.into_iter().try_for_each(|variable| set_own(config, variable, has_streams))
}

/// `CXSINK_STREAMS__`
fn prefix_of_streams() -> String {
    format!("{PREFIX}{}__", STREAMS.to_ascii_uppercase())
}

/// `CXSINK_STREAMS__NAME__KEY` and `CXSINK_STREAMS__NAME__SECTION__KEY`. The name is that of a stream which the file has named; without
/// one, the variable names a stream.
fn set_own(config: &mut Config, variable: &Variable, has_streams: bool) -> Result<()> {
    let prefix = prefix_of_streams();
    let rest = variable.name.strip_prefix(&prefix).unwrap_or_default();
    let (name, own) = rest.split_once("__").unwrap_or((rest, ""));
    let known = config.stream_names().into_iter().find(|known| in_variables(known) == name).map(str::to_owned);
    let stream = known.clone().unwrap_or_else(|| name.to_ascii_lowercase());
    let key = KEYS.iter().find(|key| own_name(key).is_some_and(|known| in_variable(known) == own));
    if let Some(key) = key.filter(|_| known.is_some() || !has_streams) {
        let value = key.own_value(key.value_type.read_text(&variable.value));
        let put = value.and_then(|value| config.streams.put(&stream, key.name, value));
        return put.map_err(|error| variable.locate(error.while_doing(OwnKey { stream: &stream, key }.full_name())));
    }
    let streams = config.stream_names().into_iter().map(in_variables);
    let streams: Vec<String> = if has_streams { streams.collect() } else { vec![in_variables(&stream)] };
    let keys: Vec<String> = KEYS.iter().filter_map(own_name).map(in_variable).collect();
    let of_stream = |stream: &String| keys.iter().map(|key| format!("{prefix}{stream}__{key}")).collect::<Vec<_>>();
    let names: Vec<String> = streams.iter().flat_map(of_stream).collect();
    Err(unknown_variable(variable, &names, "write CXSINK_STREAMS__NAME__KEY, or CXSINK_STREAMS__NAME__SECTION__KEY"))
}

/// libpq's variables are defaults, as in libpq. They locate the database only if nothing else does: a shell that sets them for
/// other programs must not redirect the rows.
pub(super) fn apply_libpq_defaults(config: &mut Config, stack: Stack<'_>) -> Result<()> {
    let libpq = Libpq::read(stack);
    if config.destination.url.is_none() && libpq.locates_database() {
        config.set(DESTINATION_URL, "postgresql://")?;
    }
    config.destination.libpq = libpq;
    Ok(())
}

/// The variables for proxies are defaults too: `proxy.url` overrides them.
pub(super) fn apply_proxy_defaults(config: &mut Config, stack: Stack<'_>) -> Result<()> {
    let first = |names: &[&str]| names.iter().find_map(|name| stack.get(name));
    if config.proxy.url.is_none()
        && let Some(variable) = first(&PROXY)
    {
        set(config, keys::find("proxy.url")?, variable)
            .map_err(|error| with_alternative(error, "unset the variable for this process, or set proxy.url"))?;
    }
    let default = ProxyConfig::default().no_proxy;
    if config.proxy.no_proxy == default
        && let Some(variable) = first(&NO_PROXY)
    {
        // This machine stays excepted: such lists name other machines.
        config.proxy.no_proxy = Some(format!("{},{}", variable.value, default.unwrap_or_default()));
    }
    Ok(())
}

fn with_alternative(error: Error, alternative: &str) -> Error {
    let hint = error.hint().map_or_else(|| alternative.into(), |hint| format!("{hint}; or {alternative}"));
    error.with_hint(hint)
}

fn set(config: &mut Config, key: &Key, variable: &Variable) -> Result<()> {
    key.set(config, &variable.value).map_err(|error| variable.locate(error))
}

fn set_composed(config: &mut Config, stack: Stack<'_>) -> Result<()> {
    let names = &DB;
    let component = |name: &str| stack.get(name).map(|variable| variable.value.as_str());
    if let Some(port) = stack.get(names.port) {
        let hosts = component(names.host).map_or(1, |hosts| hosts.split(',').count());
        check_ports(&port.value, hosts).map_err(|e| port.locate(e))?;
    }
    let url = compose(&Components {
        host: component(names.host),
        port: component(names.port),
        name: component(names.name),
        user: component(names.user),
        password: component(names.password),
    });
    config.set(DESTINATION_URL, &url)
}

/// One port, or one for each of a list of hosts, as in libpq.
fn check_ports(text: &str, hosts: usize) -> Result<()> {
    if text.split(',').all(|port| parse_port(port).is_some()) {
        let ports = text.split(',').count();
        return if ports == 1 || ports == hosts {
            Ok(())
        } else {
            Err(Error::config(format!("{ports} ports for {hosts} hosts"))
                .with_hint("set one port, or one for each host"))
        };
    }
    let error = Error::config(format!("{} is not a port (1 to 65535)", shown(text)));
    if text.starts_with("tcp://") {
        return Err(error.with_hint(
            "set the variable yourself, or set enableServiceLinks: false: Kubernetes sets it for a service of that name",
        ));
    }
    Err(error)
}

fn key_of(variable: &Variable) -> Result<&'static Key> {
    KEYS.iter().find(|key| key.variable() == variable.name).ok_or_else(|| {
        let names: Vec<_> = KEYS.iter().map(Key::variable).collect();
        unknown_variable(variable, &names, "write CXSINK_SECTION__KEY, with two underscores before the key")
    })
}

fn unknown_variable(variable: &Variable, names: &[String], hint: &str) -> Error {
    let nearest = keys::nearest(&variable.name, names.iter().map(|name| (name, name.as_str()))).unwrap_or(PREFIX);
    keys::unknown_near("variable", &variable.name, nearest).while_doing(&variable.origin).with_hint(hint)
}

/// Whether a variable with our prefix belongs to another program: a script's own (`CXSINK_BIN`), or one that Kubernetes sets in
/// each container for a service named cxsink, such as `CXSINK_SERVICE_HOST` or `CXSINK_PORT_80_TCP_ADDR` (Kubernetes
/// documentation, "Service", environment variables). A variable that looks like a key counts as a typo.
pub(super) fn is_foreign(name: &str) -> bool {
    let Some(bare) = name.strip_prefix(PREFIX) else { return true };
    let word = bare.split('_').next().unwrap_or_default().to_ascii_lowercase();
    let is_near_a_section = KEYS.iter().any(|key| strsim::jaro_winkler(key.section(), &word) > 0.85);
    !bare.contains("__") && !is_near_a_section
}
