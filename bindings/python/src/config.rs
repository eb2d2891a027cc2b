//! An immutable configuration.

use std::path::PathBuf;

use cxsink::config;
use pyo3::prelude::*;

use crate::error::exception;

/// A configuration: defaults, file and environment, overridden by the settings of the program.
#[pyclass(frozen, module = "cxsink._cxsink")]
pub(crate) struct Config(pub(crate) cxsink::Config);

#[pymethods]
impl Config {
    /// `path`: a TOML file, overridden by the environment. `environment`: the environment alone.
    #[new]
    #[pyo3(signature = (path, environment, settings))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        environment: bool,
        settings: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let base = match path {
            Some(path) => cxsink::Config::load(path),
            None if environment => cxsink::Config::from_env(),
            None => Ok(cxsink::Config::default()),
        };
        with_settings(py, base, &settings)
    }

    /// A copy with these settings replaced.
    fn replaced(&self, py: Python<'_>, settings: Vec<(String, String)>) -> PyResult<Self> {
        with_settings(py, Ok(self.0.clone()), &settings)
    }

    /// The value of a key as text, a secret as `***`; `None` if it is not set.
    fn get(&self, key: &str) -> Option<String> {
        self.0.get(key)
    }

    /// Whether there is such a key, also of one of several streams.
    #[staticmethod]
    fn is_key(key: &str) -> bool {
        config::is_key(key)
    }

    /// The names of the streams.
    fn stream_names(&self) -> Vec<String> {
        self.0.stream_names().into_iter().map(str::to_owned).collect()
    }

    /// The configuration of one of several streams.
    fn for_stream(&self, py: Python<'_>, name: &str) -> PyResult<Self> {
        self.0.for_stream(name).map(Self).map_err(|error| exception(py, &error))
    }

    /// Checks the configuration as a whole.
    fn validate(&self, py: Python<'_>) -> PyResult<()> {
        self.0.validate().map_err(|error| exception(py, &error))
    }

    /// The names of all keys.
    #[staticmethod]
    fn keys() -> Vec<&'static str> {
        config::keys().collect()
    }
}

fn with_settings(
    py: Python<'_>,
    base: cxsink::Result<cxsink::Config>,
    settings: &[(String, String)],
) -> PyResult<Config> {
    let set = |mut config: cxsink::Config| {
        settings.iter().try_for_each(|(key, value)| config.set(key, value)).map(|()| Config(config))
    };
    base.and_then(set).map_err(|error| exception(py, &error))
}
