//! Which streams a command is for.

use crate::cli::arguments::Settings;
use crate::cli::logging::{self, StreamName};
use crate::{Config, EnteredScope, Error, ErrorKind, Result};

/// A stream with its configuration.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Stream {
    /// `None` where the configuration is of one stream, without a name.
    pub(in crate::cli) name: Option<StreamName>,
    pub(in crate::cli) config: Config,
}

impl Stream {
    /// The name, empty if there is none.
    pub(in crate::cli) fn name(&self) -> &str {
        self.name.as_ref().map_or("", |name| name.as_str())
    }

    /// Says which stream an error is about.
    pub(in crate::cli) fn locate(&self, error: Error) -> Error {
        match &self.name {
            Some(name) => error.while_doing(name.as_str()),
            None => error,
        }
    }

    /// Log lines of this thread, and of the threads that it starts, carry the name until the guard is dropped.
    pub(in crate::cli) fn enter(&self) -> Option<EnteredScope> {
        self.name.as_ref().map(StreamName::enter)
    }
}

impl Settings {
    /// The streams that the options name; all if they name none. `also`: names of the command's own option.
    ///
    /// # Errors
    /// `Config`: a name is unknown. `InvalidArgument`: the configuration has no streams with names.
    pub(in crate::cli) fn streams(&self, config: &Config, also: &[String]) -> Result<Vec<Stream>> {
        let names = config.stream_names();
        let mut wanted: Vec<&str> = Vec::new();
        for name in self.streams.iter().chain(also) {
            if !wanted.contains(&name.as_str()) {
                wanted.push(name);
            }
        }
        if names.is_empty() {
            return match wanted.first() {
                None => Ok(vec![Stream { name: None, config: config.clone() }]),
                Some(name) => Err(config.for_stream(name).err().unwrap_or_else(nameless)),
            };
        }
        let wanted = if wanted.is_empty() { names } else { wanted };
        wanted.into_iter().map(|name| self.stream(config, name)).collect()
    }

    fn stream(&self, config: &Config, name: &str) -> Result<Stream> {
        let mut own = config.for_stream(name)?;
        self.apply_to_stream(&mut own)?;
        Ok(Stream { name: Some(StreamName::new(name)), config: own })
    }

    /// The configuration of this stream, from the whole one that has been read again.
    pub(in crate::cli) fn again(&self, config: &Config, stream: &Stream) -> Result<Config> {
        match &stream.name {
            None => config.of_one_stream().cloned(),
            Some(name) => self.stream(config, name.as_str()).map(|stream| stream.config),
        }
    }

    /// The configuration of the one stream that a command is for. Log lines of this thread carry its name from now on.
    ///
    /// # Errors
    /// `InvalidArgument`: there are several, and the options do not name one.
    pub(in crate::cli) fn load_one(&self) -> Result<Config> {
        let config = self.load()?;
        self.one_of(&config)
    }

    /// The same of a configuration that has been loaded.
    pub(in crate::cli) fn one_of(&self, config: &Config) -> Result<Config> {
        let mut streams = self.streams(config, &[])?;
        match (streams.pop(), streams.is_empty()) {
            (Some(stream), true) => {
                if let Some(name) = &stream.name {
                    logging::name_all(name);
                }
                Ok(stream.config)
            }
            _ => Err(Error::new(ErrorKind::InvalidArgument, "this command is for one stream, and there are several")
                .with_hint(format!("add --stream NAME with one of {}", config.stream_names().join(", ")))),
        }
    }
}

fn nameless() -> Error {
    Error::new(ErrorKind::InvalidArgument, "the configuration has no streams with names")
}

/// A stream is what `run` is for.
///
/// # Errors
/// `Config`: the configuration has none.
pub(in crate::cli) fn check_has_stream(config: &Config) -> Result<()> {
    if config.has_stream() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "running the sink: no stream is configured").with_hint(
        "set CXONE_STREAM_ID, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, or stream.id, oauth.client_id and \
         oauth.client_secret; to read a file, use `cxsink import`",
    ))
}
