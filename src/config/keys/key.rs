//! One key: its name, its type, and how its value gets into the configuration and out of it.

use toml::de::DeValue;

use crate::config::sections::Config;
use crate::config::value::Value;
use crate::config::value_type::ValueType;
use crate::error::{Error, ErrorKind, Result};

/// One key: a row of the table.
pub(in crate::config) struct Key {
    /// `section.key`
    pub(in crate::config) name: &'static str,
    pub(in crate::config) value_type: ValueType,
    /// The effect of the key, for the reference.
    pub(in crate::config) effect: &'static str,
    /// `None` if it is not set.
    pub(in crate::config) value: fn(&Config) -> Option<Value>,
    /// `false` if the field cannot hold the value.
    pub(super) put: fn(&mut Config, Option<Value>) -> bool,
}

impl Key {
    /// Sets the key from a text, as a variable holds it.
    pub(in crate::config) fn set(&self, config: &mut Config, text: &str) -> Result<()> {
        self.assign(config, self.value_type.read_text(text))
    }

    /// Sets the key from a value of a TOML file.
    pub(in crate::config) fn set_toml(&self, config: &mut Config, toml: &DeValue<'_>) -> Result<()> {
        self.assign(config, self.value_type.read_toml(toml))
    }

    /// The value, if the key can have it.
    pub(in crate::config) fn own_value(&self, value: Result<Option<Value>>) -> Result<Option<Value>> {
        let value = value?;
        self.put(&mut Config::default(), value.clone())?;
        Ok(value)
    }

    fn assign(&self, config: &mut Config, value: Result<Option<Value>>) -> Result<()> {
        value.and_then(|value| self.put(config, value)).map_err(|error| error.while_doing(self.name))
    }

    /// Sets the key.
    pub(super) fn put(&self, config: &mut Config, value: Option<Value>) -> Result<()> {
        let is_empty = value.is_none();
        match ((self.put)(config, value), is_empty) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::config("must not be empty")),
            (false, false) => Err(Error::new(ErrorKind::Internal, "the field cannot hold a value of the key's type")),
        }
    }

    pub(in crate::config) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// The environment variable: `CXSINK_OAUTH__CLIENT_ID`.
    pub(in crate::config) fn variable(&self) -> String {
        format!("CXSINK_{}", in_variable(self.name))
    }
}

/// A key's name in the name of a variable: `OAUTH__CLIENT_ID`.
pub(in crate::config) fn in_variable(key: &str) -> String {
    key.replacen('.', "__", 1).to_ascii_uppercase()
}
