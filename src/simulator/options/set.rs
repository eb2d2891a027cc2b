//! Setting an option by its name, for the command line, C and Python.

use super::keys::KEYS;
use super::option_key::OptionKey;
use super::simulator_options::SimulatorOptions;
use crate::error::{Error, ErrorKind, Result};

impl SimulatorOptions {
    /// Returns every option that [`set`](Self::set) knows.
    ///
    /// ```
    /// use cxsink::simulator::SimulatorOptions;
    ///
    /// assert!(SimulatorOptions::keys().iter().any(|key| key.name == "close_after"));
    /// ```
    pub fn keys() -> &'static [OptionKey] {
        KEYS
    }

    /// Sets one option by its name, from text.
    ///
    /// Numbers and percentages are decimal, switches `true` or `false`, durations `500ms`, `30s`, `5m` or `1h`. Commas separate a list.
    ///
    /// ```
    /// use cxsink::simulator::SimulatorOptions;
    ///
    /// let mut options = SimulatorOptions::default();
    /// options.set("events", "endless")?;
    /// options.set("invalid_kinds", "not_json,bad_date")?;
    /// options.set("token_failures", "429*3,503")?;
    /// options.set("retry_after", "date:2")?;
    /// assert_eq!(options.token_failures, [429, 429, 429, 503]);
    ///
    /// let error = options.set("close_afer", "10").unwrap_err();
    /// assert_eq!(error.hint(), Some("did you mean \"close_after\"?"));
    /// # Ok::<(), cxsink::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name, with the nearest one as hint, and for a value that cannot be parsed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(unknown(name));
        };
        (key.set)(self, value.trim()).map_err(|why| {
            let shown =
                if matches!(name, "client_secret" | "password") { String::new() } else { format!(" {value:?}") };
            let message =
                format!("setting the simulator's option {name:?}: the value{shown} is not {}: {why}", key.takes);
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }
}

fn unknown(name: &str) -> Error {
    let error =
        Error::new(ErrorKind::InvalidArgument, format!("parsing the simulator's options: there is no option {name:?}"));
    let nearest = KEYS.iter().min_by_key(|key| strsim::damerau_levenshtein(key.name, name));
    match nearest {
        Some(key) => error.with_hint(format!("did you mean {:?}?", key.name)),
        None => error,
    }
}

#[cfg(test)]
#[path = "../tests/options.rs"]
mod tests;
