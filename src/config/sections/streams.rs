//! `[streams.NAME]`: what each of several streams has of its own.

use std::fmt;

use crate::config::value::Value;
use crate::error::{Error, Result};
use crate::threads::shared::Shared;

/// The streams of a configuration, in the order in which they were named.
#[derive(Clone, Default)]
pub(crate) struct Streams {
    named: Vec<NamedStream>,
    /// For the sinks of all of them.
    shared: Shared,
}

/// The keys with the values that a stream has of its own; `None`: it has none, whatever the rest of the configuration says.
pub(in crate::config) type OwnValues = Vec<(&'static str, Option<Value>)>;

#[derive(Clone)]
struct NamedStream {
    name: String,
    own: OwnValues,
}

/// The longest name: it is a part of file names and of labels.
const NAME_CHARS_MAX: usize = 63;

impl Streams {
    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    pub(in crate::config) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|stream| stream.name.as_str())
    }

    pub(in crate::config) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// `None` if there is no stream of this name.
    pub(in crate::config) fn own(&self, name: &str) -> Option<&OwnValues> {
        self.named.iter().find(|stream| stream.name == name).map(|stream| &stream.own)
    }

    /// Makes a stream of this name, unless there is one.
    pub(in crate::config) fn add(&mut self, name: &str) -> Result<&mut OwnValues> {
        let known = self.named.iter().position(|stream| stream.name == name);
        let at = known.map_or_else(|| self.make(name), Ok)?;
        Ok(&mut self.named[at].own)
    }

    fn make(&mut self, name: &str) -> Result<usize> {
        check_name(name)?;
        if let Some(same) = self.names().find(|other| in_variables(other) == in_variables(name)) {
            return Err(Error::config(format!(
                "streams.{name}: its variables would be those of streams.{same}, CXSINK_STREAMS__{}__…",
                in_variables(name)
            ))
            .with_hint("choose names that differ in more than - and _"));
        }
        self.named.push(NamedStream { name: name.into(), own: Vec::new() });
        Ok(self.named.len() - 1)
    }

    /// Sets what the stream has of its own for a key; makes the stream, unless there is one.
    pub(in crate::config) fn put(&mut self, name: &str, key: &'static str, value: Option<Value>) -> Result<()> {
        let own = self.add(name)?;
        // The last one counts, also for keys that change others.
        own.retain(|(set, _)| *set != key);
        own.push((key, value));
        Ok(())
    }
}

/// The name as a part of a variable's name.
pub(in crate::config) fn in_variables(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

fn check_name(name: &str) -> Result<()> {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if name.len() <= NAME_CHARS_MAX && name.split(['-', '_']).all(is_part) {
        return Ok(());
    }
    let shown = crate::config::units::shown(name);
    Err(Error::config(format!("streams: {shown} cannot be the name of a stream")).with_hint(format!(
        "use lower-case letters and digits, with a single - or _ between them, {NAME_CHARS_MAX} characters at most: the name is a part of \
         file names, variables and metrics"
    )))
}

/// Without the values, which may be secrets.
impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_files_variables_and_labels() {
        let longest = "a".repeat(NAME_CHARS_MAX);
        for good in ["sales", "a", "7", "emea-calls", "emea_calls-2", &longest] {
            Streams::default().add(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        let too_long = "a".repeat(NAME_CHARS_MAX + 1);
        for bad in ["", "Sales", "a b", "a.b", "a/b", "../a", "-a", "a-", "a__b", "a-_b", "é", "a\n", &too_long] {
            let error = Streams::default().add(bad).err().unwrap();
            assert!(error.to_string().contains("cannot be the name of a stream"), "{bad}: {error}");
        }
    }

    #[test]
    fn two_names_with_the_same_variables_are_refused() {
        let mut streams = Streams::default();
        streams.add("emea-calls").unwrap();
        streams.add("emea-calls").unwrap();
        let error = streams.add("emea_calls").err().unwrap().to_string();
        assert!(error.contains("streams.emea-calls") && error.contains("CXSINK_STREAMS__EMEA_CALLS"), "{error}");
    }
}
