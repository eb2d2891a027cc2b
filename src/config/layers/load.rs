//! The layers of a configuration as values: a file's text, the text of `.env`, an environment.
//!
//! [`Config::load`] reads them from the process; tests, and programs with an environment of their own, pass them in. The process's
//! environment is only read, and never set.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, absolute};

#[cfg(feature = "cli")]
use crate::config::layers::origin::{ConfigOrigin, names};
use crate::config::layers::variables::Stack;
use crate::config::layers::{dotenv, environment, file};
use crate::config::sections::Config;
use crate::error::{Error, Result};
use crate::files::open;

/// The file of variables in the working directory.
const DOTENV: &str = ".env";
/// Far above any configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Config {
    /// The defaults, overridden by the TOML file at `path`, then by `.env` in the working directory, then by the
    /// process's environment. docs/configuration.md lists the variables. The environment is only read, never set.
    ///
    /// # Errors
    /// `Config`, naming the file and line or the variable: a file cannot be read or is not TOML, `.env` belongs to another user or
    /// every user may write to it, a key or a `CXSINK_…` variable is unknown, a value is invalid. [`Config::validate`] checks the
    /// configuration as a whole.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Layers::from_process()?.read_file(path)?.config()
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
    /// Name and text.
    file: Option<(String, String)>,
    /// Name and text.
    dotenv: Option<(String, String)>,
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
        self.dotenv = Some((DOTENV.into(), text.into()));
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
        let dotenv = self.dotenv.as_ref().map(|(name, text)| dotenv::read(name, text)).transpose()?.unwrap_or_default();
        let environment = environment::read(&self.environment)?;
        let stack = Stack { lower: &dotenv, upper: &environment };
        let has_streams = !config.streams.is_empty();
        environment::apply(&mut config, &dotenv, stack, has_streams)?;
        environment::apply(&mut config, &environment, stack, has_streams)?;
        environment::apply_libpq_defaults(&mut config, stack)?;
        environment::apply_proxy_defaults(&mut config, stack)?;
        Ok(config)
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// `Config`: it cannot be read, or is larger than 1 MiB.
    pub fn read_file(self, path: impl AsRef<Path>) -> Result<Self> {
        let name = path.as_ref().display().to_string();
        let text = open::read_text(path.as_ref(), FILE_BYTES_MAX).map_err(|e| {
            Error::config(format!("cannot read the configuration file {name}: {e}"))
                .caused_by(e)
                .with_hint("check the path, or configure the sink by the environment alone")
        })?;
        Ok(self.file(name, text))
    }

    /// Reads a file of variables, such as `.env`. Only this user, or root, may have written it: it says where secrets are sent.
    ///
    /// # Errors
    /// `Config`: it cannot be read, belongs to another user, is writable for every user, or is larger than 1 MiB.
    pub fn read_dotenv(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = open::read_trusted_text(path, FILE_BYTES_MAX).map_err(|error| unreadable(path, error))?;
        log::info!("{}", dotenv_is_read(path));
        self.dotenv = Some((path.display().to_string(), text));
        Ok(self)
    }

    /// Sets the process's environment.
    #[must_use]
    pub fn process_environment(self) -> Self {
        self.environment(std::env::vars_os())
    }

    /// `.env` in the working directory, if there is one, and the process's environment.
    pub(crate) fn from_process() -> Result<Self> {
        let layers = Self::default().process_environment();
        match std::fs::metadata(DOTENV) {
            // A directory of this name is usually a virtual environment of Python.
            Ok(found) if found.is_dir() => Ok(layers),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(layers),
            _ => layers.read_dotenv(DOTENV),
        }
    }

    /// The sources and what they set, as far as this knows it.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    #[cfg(feature = "cli")]
    pub(crate) fn origin(&self) -> Result<ConfigOrigin> {
        let dotenv = self.dotenv.as_ref().map(|(name, text)| dotenv::read(name, text)).transpose()?.unwrap_or_default();
        let full = |name: &String| absolute(name).map_or_else(|_| name.clone(), |path| path.display().to_string());
        Ok(ConfigOrigin {
            file: self.file.as_ref().map(|(name, _)| full(name)),
            env_file: self.dotenv.as_ref().map(|(name, _)| full(name)),
            env_file_variables: names(&dotenv),
            environment_variables: names(&environment::read(&self.environment)?),
            ..ConfigOrigin::default()
        })
    }
}

fn dotenv_is_read(path: &Path) -> String {
    let path = absolute(path).unwrap_or_else(|_| path.into());
    format!("reading variables from {}", path.display())
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot read the variables in {}: {error}", path.display());
    let hint = if error.kind() == io::ErrorKind::PermissionDenied {
        "make the file your own and writable for you only (chown, chmod 0600); it says where secrets are sent"
    } else {
        "check the file, or remove it"
    };
    Error::config(message).caused_by(error).with_hint(hint)
}

/// Without the contents, which may be secrets.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("file", &self.file.as_ref().map(|(name, _)| name))
            .field("dotenv", &self.dotenv.as_ref().map(|(name, _)| name))
            .finish_non_exhaustive()
    }
}
