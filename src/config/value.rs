//! Parsed values, secrets among them, and how they get into and out of the plain data.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::config::columns::MappingSource;
use crate::config::conversation::{MessagePattern, TokenIn};
use crate::config::sections::RedactRule;

/// A secret: a credential, or a URL that may contain one. `Debug` does not show it, and its memory is overwritten when it is dropped.
///
/// ```
/// use cxsink::config::Secret;
///
/// let secret = Secret::from("hunter2");
/// assert_eq!(secret.expose(), "hunter2");
/// assert!(!format!("{secret:?}").contains("hunter2"));
/// ```
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself, for the place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret.into())
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.into())
    }
}

/// A value of any key.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Secret(Secret),
    Path(PathBuf),
    Duration(Duration),
    Size(u64),
    Count(u32),
    Word(&'static str),
    Columns(Vec<(String, MappingSource)>),
    Names(Vec<String>),
    Switch(bool),
    TokenIn(TokenIn),
    Pairs(Vec<(String, Secret)>),
    Files(Vec<(String, PathBuf)>),
    Messages(Vec<String>),
    Pattern(MessagePattern),
    Patterns(Vec<MessagePattern>),
    Rules(Vec<RedactRule>),
}

/// The type of a field of a section.
pub(super) trait Field: Sized {
    /// `None` if the field is not set.
    fn to_value(&self) -> Option<Value>;

    /// `None` in: not set. `None` out: the field cannot hold the value.
    fn from_value(value: Option<Value>) -> Option<Self>;
}

/// Puts the value into the field; `false` if the field cannot hold it.
#[must_use]
pub(super) fn put<F: Field>(field: &mut F, value: Option<Value>) -> bool {
    F::from_value(value).map(|value| *field = value).is_some()
}

impl<F: Field> Field for Option<F> {
    fn to_value(&self) -> Option<Value> {
        self.as_ref().and_then(Field::to_value)
    }

    fn from_value(value: Option<Value>) -> Option<Self> {
        match value {
            None => Some(None),
            some => F::from_value(some).map(Some),
        }
    }
}

macro_rules! field {
    ($type:ty, $variant:ident) => {
        impl Field for $type {
            fn to_value(&self) -> Option<Value> {
                Some(Value::$variant(self.clone()))
            }

            fn from_value(value: Option<Value>) -> Option<Self> {
                match value {
                    Some(Value::$variant(value)) => Some(value),
                    _ => None,
                }
            }
        }
    };
}

field!(String, Text);
field!(Secret, Secret);
field!(PathBuf, Path);
field!(Duration, Duration);
field!(u64, Size);
field!(u32, Count);
field!(Vec<(String, MappingSource)>, Columns);
field!(Vec<String>, Names);
field!(bool, Switch);
field!(TokenIn, TokenIn);
field!(MessagePattern, Pattern);

/// A list that is empty where it is not set.
macro_rules! list_field {
    ($type:ty, $variant:ident) => {
        impl Field for $type {
            fn to_value(&self) -> Option<Value> {
                (!self.is_empty()).then(|| Value::$variant(self.clone()))
            }

            fn from_value(value: Option<Value>) -> Option<Self> {
                match value {
                    None => Some(Self::new()),
                    Some(Value::$variant(value)) => Some(value),
                    _ => None,
                }
            }
        }
    };
}

list_field!(Vec<(String, Secret)>, Pairs);
list_field!(Vec<(String, PathBuf)>, Files);
list_field!(Vec<MessagePattern>, Patterns);
list_field!(Vec<RedactRule>, Rules);
