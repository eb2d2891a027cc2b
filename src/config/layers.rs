//! The layers of a configuration as values: a file's text, the text of `.env`, an environment.
//!
//! [`Config::load`] reads them from the process; tests, and programs with an environment of their own, pass them in. Only
//! `Layers::from_process` reads the process's environment, once; the environment is never set.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use crate::config::sections::Config;
use crate::config::variables::Stack;
use crate::config::{dotenv, environment, file};
use crate::error::{Error, Result};

impl Config {
    /// The defaults, overridden by the TOML file at `path`, then by `.env` in the working directory, then by the
    /// process's environment. docs/configuration.md lists the variables. The environment is only read, never set.
    ///
    /// # Errors
    /// `Config`, naming the file and line or the variable: the file cannot be read or is not TOML, a key or a `CXSINK_…`
    /// variable is unknown, a value is invalid. [`Config::validate`] checks the configuration as a whole.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Layers::from_process()?.read_file(path.as_ref())?.config()
    }

    /// Like [`Config::load`], without a file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env() -> Result<Self> {
        Layers::from_process()?.config()
    }
}

/// The layers of a configuration. A later one overrides an earlier one: file, `.env`, environment.
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
    /// Sets the text of a TOML file; errors call it `name`.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.file = Some((name.into(), text.into()));
        self
    }

    /// Sets the text of a `.env` file.
    #[must_use]
    pub fn dotenv(mut self, text: impl Into<String>) -> Self {
        self.dotenv = Some(text.into());
        self
    }

    /// Sets the environment. cxsink ignores the variables of other programs.
    #[must_use]
    pub fn environment<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Applies the layers to the defaults.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::default();
        if let Some((name, text)) = &self.file {
            file::apply(&mut config, name, text)?;
        }
        let dotenv = self.dotenv.as_deref().map(dotenv::read).transpose()?.unwrap_or_default();
        let environment = environment::read(&self.environment)?;
        let stack = Stack { lower: &dotenv, upper: &environment };
        environment::apply(&mut config, &dotenv, stack)?;
        environment::apply(&mut config, &environment, stack)?;
        environment::apply_libpq_defaults(&mut config, stack)?;
        environment::apply_proxy_defaults(&mut config, stack)?;
        Ok(config)
    }

    /// `.env` in the working directory, if there is one, and the process's environment.
    fn from_process() -> Result<Self> {
        let layers = Self::default().environment(std::env::vars_os());
        match std::fs::read_to_string(".env") {
            Ok(text) => Ok(layers.dotenv(text)),
            // A directory of this name is usually a virtual environment of Python.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => Ok(layers),
            Err(e) => Err(Error::config(format!("cannot read .env in the working directory: {e}"))),
        }
    }

    fn read_file(self, path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::config(format!("cannot read the configuration file {name}: {e}"))
                .caused_by(e)
                .with_hint("check the path, or configure the sink by the environment alone")
        })?;
        Ok(self.file(name, text))
    }
}

/// Without the contents, which may be secrets.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("file", &self.file.as_ref().map(|(name, _)| name))
            .field("dotenv", &self.dotenv.is_some())
            .finish_non_exhaustive()
    }
}
