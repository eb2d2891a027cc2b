//! The streams of a configuration, and the configuration of each.

use std::path::{Path, PathBuf};

use crate::config::Secret;
use crate::config::database::url;
use crate::config::keys::lookup::find;
use crate::config::keys::nearest::{nearest, unknown_near};
use crate::config::sections::{Config, Streams};
use crate::error::{Error, Result};

/// Keys of which only one may be set: where a stream has one of its own, the other one is not taken from the rest of the configuration.
const ALTERNATIVES: [(&str, &str); 4] = [
    ("oauth.url", "oauth.discovery"),
    ("oauth.client_secret", "oauth.client_secret_file"),
    ("oauth.password", "oauth.password_file"),
    ("schema.file", "schema.inline"),
];

const SPOOL_PATH: &str = "spool.path";

impl Config {
    /// The names of the streams, in the order in which the configuration names them; none if it is of one stream, without a name.
    ///
    /// ```
    /// use cxsink::config::Layers;
    ///
    /// let text = "[oauth]\nclient_id = 'id'\n[streams.sales]\nid = 's-1'\n[streams.support]\nid = 's-2'";
    /// let config = Layers::default().file("cxsink.toml", text).config()?;
    /// assert_eq!(config.stream_names(), ["sales", "support"]);
    ///
    /// let sales = config.for_stream("sales")?; // for a sink of its own
    /// assert_eq!((sales.stream.id.as_deref(), &*sales.stream.name), (Some("s-1"), "sales"));
    /// assert_eq!(sales.oauth.client_id.as_deref(), Some("id"));
    /// assert_eq!(sales.spool.path.to_str(), Some("cxsink-spool-sales.db"));
    /// # Ok::<(), cxsink::Error>(())
    /// ```
    pub fn stream_names(&self) -> Vec<&str> {
        self.streams.names().collect()
    }

    /// The configuration of one of several streams: the whole one, with what `[streams.NAME]` has of its own in its place. `stream.name` is
    /// the name, and `spool.path` gets the name before its extension, unless the stream has one of its own.
    ///
    /// Sinks of the streams of one configuration, and of its clones, share a token where the sections `[oauth]`, `[tls]` and `[proxy]` are
    /// equal.
    ///
    /// # Errors
    /// `Config`: there is no stream of this name.
    pub fn for_stream(&self, name: &str) -> Result<Self> {
        let own = self.streams.own(name).ok_or_else(|| self.no_such_stream(name))?;
        let mut config = self.clone();
        config.streams = Streams::default();
        config.shared = Some(self.streams.shared().clone());
        config.stream.name = name.into();
        let has_own = |key: &str| own.iter().any(|(set, _)| *set == key);
        if !has_own(SPOOL_PATH) {
            config.spool.path = with_name(&self.spool.path, name);
        }
        let defaults = Self::default();
        let both_ways = ALTERNATIVES.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
        for (_, instead) in both_ways.filter(|(key, instead)| has_own(key) && !has_own(instead)) {
            let instead = find(instead)?;
            instead.put(&mut config, (instead.value)(&defaults))?;
        }
        for (key, value) in own {
            find(key)?.put(&mut config, value.clone())?;
        }
        let has_password = config.destination.url.as_ref().is_some_and(|url| url::has_password(Secret::expose(url)));
        if has_own("destination.url") && has_password && !has_own("destination.password_file") {
            config.destination.password_file = None;
        }
        Ok(config)
    }

    fn no_such_stream(&self, name: &str) -> Error {
        let names = self.stream_names();
        let Some(nearest) = nearest(name, names.iter().map(|name| (*name, *name))) else {
            return Error::config(format!("the configuration has no stream {}", crate::config::units::shown(name)))
                .with_hint("it is of one stream, without a name; several are [streams.NAME] sections");
        };
        unknown_near("stream", name, nearest).with_hint(format!("the streams are {}", names.join(", ")))
    }

    /// The configuration itself, if it is of one stream.
    ///
    /// # Errors
    /// `Config`: it is of several.
    pub(crate) fn of_one_stream(&self) -> Result<&Self> {
        if self.streams.is_empty() {
            return Ok(self);
        }
        let names = self.stream_names().join(", ");
        Err(Error::config(format!("the configuration is of several streams ({names}), and this is for one"))
            .with_hint("choose one: --stream NAME, or in a program the configuration for_stream(NAME)"))
    }
}

/// `spool.db` of the stream `sales` is `spool-sales.db`.
fn with_name(path: &Path, name: &str) -> PathBuf {
    let (Some(stem), false) = (path.file_stem(), path == Path::new(":memory:")) else { return path.to_owned() };
    let mut file = stem.to_owned();
    file.push("-");
    file.push(name);
    if let Some(extension) = path.extension() {
        file.push(".");
        file.push(extension);
    }
    path.with_file_name(file)
}

#[cfg(test)]
#[path = "tests/streams.rs"]
mod tests;
