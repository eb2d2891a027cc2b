//! The streams of `/stats.json`.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::cli::run::sinks::{Sinks, not_opened, to_json};
use crate::sink::Watch;
use crate::{Sink, State};

/// A stream as it is shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// `None` where there is one, without a name.
    name: Option<String>,
    /// Or why its sink could not be opened.
    watch: Result<Watch, String>,
}

/// One of several streams in short.
#[derive(Debug, Serialize)]
pub(super) struct Named<'a> {
    name: &'a str,
    state: State,
    ready: bool,
}

impl Shown {
    /// `None` where there is one, without a name.
    pub(super) fn named(&self) -> Option<Named<'_>> {
        let name = self.name.as_deref()?;
        Some(match &self.watch {
            Ok(watch) => Named { name, state: watch.sink.state(), ready: watch.sink.readiness().ready },
            Err(_) => Named { name, state: State::Failed, ready: false },
        })
    }

    pub(super) fn all(sinks: &Sinks) -> Vec<Self> {
        let shown = |(name, sink): (Option<&str>, Result<&Sink, &str>)| Self {
            name: name.map(str::to_owned),
            watch: sink.map(Watch::new).map_err(str::to_owned),
        };
        sinks.members().map(shown).collect()
    }

    pub(super) fn tick(&self) {
        if let Ok(watch) = &self.watch {
            watch.tick();
        }
    }

    /// `None`: another one is wanted.
    pub(super) fn stream(&self, wanted: Option<&str>, hanging_after: Duration) -> Option<Json> {
        if wanted.is_some_and(|wanted| self.name.as_deref() != Some(wanted)) {
            return None;
        }
        let mut stream = match &self.watch {
            Ok(watch) => to_json(&watch.observation(hanging_after)),
            Err(why) => json!({ "readiness": not_opened(why).json }),
        };
        if let Some(name) = &self.name {
            stream["name"] = name.as_str().into();
            // A hundred of them would make a large answer.
            if let (None, Some(members)) = (wanted, stream.as_object_mut()) {
                members.remove("history");
            }
        }
        Some(stream)
    }
}
