//! The layers of variables: `CXSINK_SECTION__KEY`, and the variables of a plain deployment under their usual names.

use std::ffi::OsString;
use std::fmt;

use super::keys::{self, KEYS, Key};
use super::{Config, ProxyConfig, units};
use crate::config::database::libpq::{self, Libpq};
use crate::config::database::{Components, compose};
use crate::error::{Error, Result};

const PREFIX: &str = "CXSINK_";

/// Deployment variables that stand for a key by themselves.
pub(super) const DEPLOYMENT: [(&str, &str); 4] = [
    ("CXONE_CLIENT_ID", "oauth.client_id"),
    ("CXONE_CLIENT_SECRET", "oauth.client_secret"),
    ("CXONE_STREAM_ID", "stream.id"),
    ("DATABASE_URL", "destination.url"),
];

/// Variables that say for all programs of a machine which proxy leads out; the first that is set counts. In small letters
/// first, as in curl. `HTTP_PROXY` is for addresses without TLS, and those are never reached through a proxy here.
pub(super) const PROXY: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
pub(super) const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

const DESTINATION_URL: &str = "destination.url";

/// Variables that give the parts of `destination.url`.
struct PartNames {
    host: &'static str,
    port: &'static str,
    name: &'static str,
    user: &'static str,
    password: &'static str,
}

const DB: PartNames =
    PartNames { host: "DB_HOST", port: "DB_PORT", name: "DB_NAME", user: "DB_USER", password: "DB_PASSWORD" };

impl PartNames {
    fn contain(&self, name: &str) -> bool {
        [self.host, self.port, self.name, self.user, self.password].contains(&name)
    }

    /// A user or a password alone says nothing about where a database is.
    fn name_a_place(&self, variables: &Variables) -> bool {
        variables.get(self.host).or_else(|| variables.get(self.name)).is_some()
    }
}

/// Where a variable stands.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Environment,
    Dotenv { line: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Dotenv { line } => write!(f, ".env:{line}"),
        }
    }
}

/// A variable that means something to us. Without Debug: the value may be a secret.
pub(super) struct Variable {
    pub(super) origin: Origin,
    pub(super) name: String,
    pub(super) value: String,
}

impl Variable {
    fn locate(&self, error: Error) -> Error {
        error.while_doing(format!("{}: {}", self.origin, self.name))
    }
}

/// The variables of one layer that mean something to us and are not empty: an empty one counts as not set, since that is how
/// templates of deployments leave variables out.
#[derive(Default)]
pub(super) struct Variables(Vec<Variable>);

impl Variables {
    pub(super) fn from_environment(environment: &[(OsString, OsString)]) -> Result<Self> {
        let mut variables = Self::default();
        for (name, value) in environment {
            let is_read = |name: &&str| is_ours(name) || libpq::is_of_the_environment(name);
            let Some(name) = name.to_str().filter(is_read) else { continue };
            let Some(value) = value.to_str() else {
                return Err(Error::config(format!("{}: {name}: is not UTF-8", Origin::Environment)));
            };
            variables.push(Variable { origin: Origin::Environment, name: name.into(), value: value.into() });
        }
        Ok(variables)
    }

    pub(super) fn push(&mut self, variable: Variable) {
        if !variable.value.is_empty() {
            self.0.push(variable);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter()
    }

    /// The last one wins, as in a shell.
    fn get(&self, name: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|variable| variable.name == name)
    }
}

/// Both layers of variables: parts of one URL may come from both, such as the password from the environment alone.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'a> {
    pub(super) lower: &'a Variables,
    pub(super) upper: &'a Variables,
}

impl<'a> Stack<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Variable> {
        self.upper.get(name).or_else(|| self.lower.get(name))
    }
}

/// Whether a variable means something to us.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
        || DEPLOYMENT.iter().any(|(variable, _)| *variable == name)
        || DB.contain(name)
        || libpq::is_ours(name)
        || PROXY.contains(&name)
        || NO_PROXY.contains(&name)
}

/// Applies one layer: first the deployment variables, over them those that name a key.
pub(super) fn apply(config: &mut Config, layer: &Variables, stack: Stack<'_>) -> Result<()> {
    let named: Vec<(&Key, &Variable)> = layer
        .iter()
        .filter(|variable| variable.name.starts_with(PREFIX) && !is_none_of_ours(&variable.name))
        .map(|variable| Ok((key_of(variable)?, variable)))
        .collect::<Result<_>>()?;
    // A variable that is overridden within the layer is not looked at.
    let is_named = |key: &str| named.iter().any(|(named, _)| named.name == key);
    for (name, key) in DEPLOYMENT {
        if let Some(variable) = layer.get(name).filter(|_| !is_named(key)) {
            set(config, keys::find(key)?, variable)?;
        }
    }
    if !is_named(DESTINATION_URL) && layer.get("DATABASE_URL").is_none() && DB.name_a_place(layer) {
        set_composed(config, stack)?;
    }
    named.into_iter().try_for_each(|(key, variable)| set(config, key, variable))
}

/// libpq's variables are defaults, as in libpq. They say where a database is only if nothing else does: a shell that has them
/// set for other programs must not send rows elsewhere than the configuration says.
pub(super) fn apply_libpq_defaults(config: &mut Config, stack: Stack<'_>) -> Result<()> {
    let libpq = Libpq::read(stack);
    if config.destination.url.is_none() && libpq.names_a_place() {
        config.set(DESTINATION_URL, "postgresql://")?;
    }
    config.destination.libpq = libpq;
    Ok(())
}

/// The variables for proxies are defaults too: a proxy of the sink's own is in `proxy.url`.
pub(super) fn apply_proxy_defaults(config: &mut Config, stack: Stack<'_>) -> Result<()> {
    let first = |names: &[&str]| names.iter().find_map(|name| stack.get(name));
    if config.proxy.url.is_none()
        && let Some(variable) = first(&PROXY)
    {
        set(config, keys::find("proxy.url")?, variable)
            .map_err(|error| with_way_out(error, "unset the variable for this process, or set proxy.url"))?;
    }
    let default = ProxyConfig::default().no_proxy;
    if config.proxy.no_proxy == default
        && let Some(variable) = first(&NO_PROXY)
    {
        // This machine stays excepted: whoever writes the list has the machines around in mind.
        config.proxy.no_proxy = Some(format!("{},{}", variable.value, default.unwrap_or_default()));
    }
    Ok(())
}

fn with_way_out(error: Error, way_out: &str) -> Error {
    let hint = error.hint().map_or_else(|| way_out.into(), |hint| format!("{hint}; or {way_out}"));
    error.with_hint(hint)
}

fn set(config: &mut Config, key: &Key, variable: &Variable) -> Result<()> {
    key.kind
        .read_text(&variable.value)
        .and_then(|value| key.assign(config, value))
        .map_err(|e| variable.locate(e.while_doing(key.name)))
}

fn set_composed(config: &mut Config, stack: Stack<'_>) -> Result<()> {
    let names = &DB;
    let part = |name: &str| stack.get(name).map(|variable| variable.value.as_str());
    if let Some(port) = stack.get(names.port) {
        let hosts = part(names.host).map_or(1, |hosts| hosts.split(',').count());
        check_ports(&port.value, hosts).map_err(|e| port.locate(e))?;
    }
    let url = compose(&Components {
        host: part(names.host),
        port: part(names.port),
        name: part(names.name),
        user: part(names.user),
        password: part(names.password),
    });
    config.set(DESTINATION_URL, &url)
}

/// One port, or one for each of a list of hosts, as in libpq.
fn check_ports(text: &str, hosts: usize) -> Result<()> {
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if text.split(',').all(is_port) {
        let ports = text.split(',').count();
        return if ports == 1 || ports == hosts {
            Ok(())
        } else {
            Err(Error::config(format!("gives {ports} ports for {hosts} hosts"))
                .with_hint("give one port, or one for each host"))
        };
    }
    let error = Error::config(format!("{} is not a port: it must be 1 to 65535", units::shown(text)));
    if text.starts_with("tcp://") {
        return Err(error.with_hint(
            "Kubernetes sets this variable for a service of that name: set it yourself, or enableServiceLinks: false",
        ));
    }
    Err(error)
}

fn key_of(variable: &Variable) -> Result<&'static Key> {
    KEYS.iter().find(|key| key.variable() == variable.name).ok_or_else(|| {
        let names: Vec<_> = KEYS.iter().map(Key::variable).collect();
        let nearest = keys::nearest(&variable.name, names.iter().map(|name| (name, name.as_str()))).unwrap_or(PREFIX);
        let error = keys::unknown_near("variable", &variable.name, nearest);
        error
            .while_doing(variable.origin)
            .with_hint("a variable is CXSINK_SECTION__KEY, with two underscores before the key")
    })
}

/// Variables with our prefix that name no key: those that a script or another program made up (`CXSINK_BIN`), and those that
/// Kubernetes gives each container for a service that is called cxsink, `CXSINK_SERVICE_HOST`, `CXSINK_PORT_80_TCP_ADDR` and
/// more (Kubernetes documentation, "Service", environment variables). One that looks like a key is a typo all the same.
fn is_none_of_ours(name: &str) -> bool {
    let Some(bare) = name.strip_prefix(PREFIX) else { return true };
    let word = bare.split('_').next().unwrap_or_default().to_ascii_lowercase();
    let is_near_a_section = KEYS.iter().any(|key| strsim::jaro_winkler(key.section(), &word) > 0.85);
    !bare.contains("__") && !is_near_a_section
}
