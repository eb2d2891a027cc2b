//! The value of each parameter, in libpq's order of precedence: the connection string, the service that it names, the environment
//! (PostgreSQL manual, 34.1.2, "Parameter Key Words"). `target` has the defaults.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;

use crate::config::Secret;

use super::known::{self, Support};
use super::service;
use crate::config::database::libpq::Libpq;
use crate::config::database::url;
use crate::error::{Error, Result};

/// The source of a value.
#[derive(Clone)]
enum Layer {
    ConnectionString,
    Service(Rc<str>),
    Environment(&'static str),
}

/// A parameter that is set. Any value may hold the password by mistake, so errors show none.
struct Setting {
    layer: Layer,
    name: String,
    value: Secret,
}

/// All parameters that are set, in the order of precedence.
pub(super) struct Settings(Vec<Setting>);

impl Settings {
    /// Reads the connection string, and the service that it or the environment names.
    ///
    /// # Errors
    /// `Config`, naming the layer and the parameter: it is malformed, unknown or not supported.
    pub(super) fn read(text: &str, libpq: &Libpq) -> Result<Self> {
        let parameters = url::parameters(text).map_err(|error| error.while_doing("destination.url"))?;
        let mut settings = Self(Vec::new());
        settings.push_all(&Layer::ConnectionString, parameters);
        let of_environment = libpq.variables.iter().map(|variable| Setting {
            layer: Layer::Environment(variable.variable),
            name: variable.parameter.into(),
            value: variable.value.clone(),
        });
        let mut environment = Self(of_environment.collect());
        let named = |name: &str| settings.get(name).or_else(|| environment.get(name)).map(Parameter::text);
        if let Some(service) = named("service") {
            let file = named("servicefile").map(PathBuf::from);
            let (parameters, place) = service::read(service, file, libpq)?;
            settings.push_all(&Layer::Service(place.into()), parameters);
        }
        settings.0.append(&mut environment.0);
        settings.0.iter().try_for_each(Setting::check)?;
        Ok(settings)
    }

    /// The last one wins within a layer, so it comes first.
    fn push_all(&mut self, layer: &Layer, parameters: Vec<(String, String)>) {
        let setting =
            |(name, value): (String, String)| Setting { layer: layer.clone(), name, value: Secret::from(value) };
        self.0.extend(parameters.into_iter().rev().map(setting));
    }

    /// The value that takes precedence. An empty one counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<Parameter<'_>> {
        self.0.iter().find(|setting| setting.name == name && !setting.value.expose().is_empty()).map(Parameter)
    }
}

/// A parameter with the value that takes precedence.
#[derive(Clone, Copy)]
pub(super) struct Parameter<'a>(&'a Setting);

impl<'a> Parameter<'a> {
    pub(super) fn text(self) -> &'a str {
        self.0.value.expose()
    }

    pub(super) fn secret(self) -> Secret {
        self.0.value.clone()
    }

    pub(super) fn is_of_the_environment(self) -> bool {
        matches!(self.0.layer, Layer::Environment(_))
    }

    /// An error about this value, which it does not show.
    pub(super) fn bad(self, reason: impl fmt::Display) -> Error {
        let name = &self.0.name;
        let message = match &self.0.layer {
            Layer::ConnectionString => format!("destination.url: {name} {reason}"),
            Layer::Service(place) => format!("{place}: {name} {reason}"),
            Layer::Environment(variable) => format!("environment: {variable} {reason}"),
        };
        Error::config(message).with_hint("see docs/configuration.md for the values it takes")
    }

    pub(super) fn number<N: FromStr>(self) -> Result<N> {
        self.text().trim().parse().map_err(|_| self.bad("is not a whole number in its range"))
    }

    /// The choice that the value names.
    pub(super) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T> {
        let found = choices.iter().find(|(name, _)| *name == self.text());
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.bad("has a value that is not supported").with_hint(format!("use one of {}", names.join(", ")))
        })
    }
}

impl Setting {
    fn check(&self) -> Result<()> {
        let parameter = Parameter(self);
        let value = parameter.text();
        if value.is_empty() {
            return Ok(());
        }
        if value.contains('\0') {
            return Err(parameter.bad("holds a NUL character"));
        }
        match known::support(&self.name, value) {
            Support::Supported => Ok(()),
            Support::Refused { reason, hint } => Err(parameter.bad(reason).with_hint(hint)),
            Support::Unknown => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> Error {
        // A long or odd name may be a piece of a password that was not percent-encoded.
        let is_of_a_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let shown: String = self.name.chars().take(40).filter(is_of_a_name).collect();
        let place = match &self.layer {
            Layer::Service(place) => place,
            Layer::ConnectionString | Layer::Environment(_) => "destination.url",
        };
        Error::config(format!("{place}: `{shown}` is not a connection parameter")).with_hint(known::suggestion(&shown))
    }
}
