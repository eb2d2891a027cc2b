//! What a configuration is made of besides the defaults, as values: a file's text, the text of `.env`, an environment.
//!
//! [`Config::load`] gathers them from the process; tests and programs with an environment of their own give them. Nothing
//! here or below reads or sets the process's environment, other than `Layers::from_process`, once.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use super::environment::{Stack, Variables};
use super::{Config, dotenv, environment, file};
use crate::error::{Error, Result};

/// The sources of a configuration. A later one overrides an earlier one: file, `.env`, environment.
///
/// ```
/// # use cxsink::config::Layers;
/// let config = Layers::default()
///     .file("cxsink.toml", "[batch]\nevents_max = 100")
///     .dotenv("CXONE_STREAM_ID=calls")
///     .environment([("CXSINK_BATCH__EVENTS_MAX", "200")])
///     .config()?;
/// assert_eq!((config.batch.events_max, config.stream.id.as_deref()), (200, Some("calls")));
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Layers {
    file: Option<(String, String)>,
    dotenv: Option<String>,
    environment: Vec<(OsString, OsString)>,
}

impl Layers {
    /// The text of a TOML file. `name` is how errors call it.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.file = Some((name.into(), text.into()));
        self
    }

    /// The text of a `.env` file.
    #[must_use]
    pub fn dotenv(mut self, text: impl Into<String>) -> Self {
        self.dotenv = Some(text.into());
        self
    }

    /// The environment. Variables that mean nothing to cxsink are left alone.
    #[must_use]
    pub fn environment<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Puts the layers together.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::default();
        if let Some((name, text)) = &self.file {
            file::apply(&mut config, name, text)?;
        }
        let dotenv = self.dotenv.as_deref().map(dotenv::read).transpose()?.unwrap_or_default();
        let environment = Variables::from_environment(&self.environment)?;
        let stack = Stack { lower: &dotenv, upper: &environment };
        environment::apply(&mut config, &dotenv, stack)?;
        environment::apply(&mut config, &environment, stack)?;
        environment::apply_libpq_defaults(&mut config, stack)?;
        environment::apply_proxy_defaults(&mut config, stack)?;
        Ok(config)
    }

    /// `.env` in the working directory, if there is one, and the process's environment.
    pub(super) fn from_process() -> Result<Self> {
        let layers = Self::default().environment(std::env::vars_os());
        match std::fs::read_to_string(".env") {
            Ok(text) => Ok(layers.dotenv(text)),
            // A directory of that name is most often a virtual environment of Python.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => Ok(layers),
            Err(e) => Err(Error::config(format!("cannot read .env in the working directory: {e}"))),
        }
    }

    pub(super) fn read_file(self, path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::config(format!("cannot read the configuration file {name}: {e}"))
                .with_hint("check the path; without a file, the environment alone can configure the sink")
        })?;
        Ok(self.file(name, text))
    }
}

/// Without contents, since any of them may be a secret.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("file", &self.file.as_ref().map(|(name, _)| name))
            .field("dotenv", &self.dotenv.is_some())
            .finish_non_exhaustive()
    }
}
