//! The sinks of a process, as those see them who watch it: one without a name, or one for each of several streams.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::report::metrics::process::Process;
use crate::report::metrics::text::Format;
use crate::sink::metrics_as;
use crate::{Sink, State};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Sinks(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    One(Sink),
    Several(Vec<(String, Member)>),
}

/// One of several.
#[derive(Debug, Clone)]
pub(super) enum Member {
    Sink(Sink),
    /// It could not be opened, for this reason.
    NotOpened(String),
}

/// An answer, and whether it is a good one.
pub(super) struct Answered {
    pub(super) is_good: bool,
    pub(super) why: Option<String>,
    pub(super) json: Json,
}

impl Member {
    fn sink(&self) -> Result<&Sink, &str> {
        match self {
            Self::Sink(sink) => Ok(sink),
            Self::NotOpened(why) => Err(why),
        }
    }
}

impl From<&Sink> for Sinks {
    fn from(sink: &Sink) -> Self {
        Self(Arc::new(Kind::One(sink.clone())))
    }
}

impl Sinks {
    /// Those of streams with names.
    pub(super) fn several(sinks: impl IntoIterator<Item = (String, Member)>) -> Self {
        Self(Arc::new(Kind::Several(sinks.into_iter().collect())))
    }

    /// Every sink.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Sink> {
        let (one, several) = self.parts();
        one.into_iter().chain(several.iter().filter_map(|(_, member)| member.sink().ok()))
    }

    fn parts(&self) -> (Option<&Sink>, &[(String, Member)]) {
        match &*self.0 {
            Kind::One(sink) => (Some(sink), &[]),
            Kind::Several(sinks) => (None, sinks),
        }
    }

    /// The number of streams; `None` for one without a name.
    pub(super) fn count(&self) -> Option<usize> {
        match &*self.0 {
            Kind::One(_) => None,
            Kind::Several(sinks) => Some(sinks.len()),
        }
    }

    pub(super) fn metrics(&self, format: Format) -> String {
        match &*self.0 {
            Kind::One(sink) => sink.metrics_as(format, Process::now()),
            Kind::Several(_) => metrics_as(self.iter(), format, Process::now()),
        }
    }

    /// Good if every loop of every sink moves.
    pub(super) fn health(&self, limit: Duration) -> Answered {
        let health = |sink: &Sink| {
            let health = sink.health(limit);
            Answered { is_good: health.why.is_none(), json: to_json(&health), why: health.why }
        };
        // It has no loops that could hang.
        let not_opened = |_: &str| Answered { is_good: true, why: None, json: json!({ "status": "ok", "loops": {} }) };
        self.together(health, not_opened, |all| json!({ "status": if all.is_good { "ok" } else { "hanging" } }))
    }

    /// Good if every sink accepts events and keeps them.
    pub(super) fn readiness(&self) -> Answered {
        let readiness = |sink: &Sink| {
            let readiness = sink.readiness();
            Answered { is_good: readiness.ready, json: to_json(&readiness), why: readiness.why }
        };
        self.together(readiness, not_opened, |all| json!({ "ready": all.is_good }))
    }

    /// Every stream with its name, if it has one, and its sink, or why that could not be opened.
    pub(super) fn members(&self) -> impl Iterator<Item = (Option<&str>, Result<&Sink, &str>)> {
        let (one, several) = self.parts();
        let of_several = several.iter().map(|(name, member)| (Some(name.as_str()), member.sink()));
        one.into_iter().map(|sink| (None, Ok(sink))).chain(of_several)
    }

    /// The answer of the one sink, or those of all by their names, below what `summary` says of them together.
    fn together(
        &self,
        one: impl Fn(&Sink) -> Answered,
        not_opened: impl Fn(&str) -> Answered,
        summary: impl FnOnce(&Answered) -> Json,
    ) -> Answered {
        let sinks = match &*self.0 {
            Kind::One(sink) => return one(sink),
            Kind::Several(sinks) => sinks,
        };
        let mut all = Answered { is_good: true, why: None, json: Json::Null };
        let (mut streams, mut whys) = (Map::new(), Vec::new());
        for (name, member) in sinks {
            let answered = match member {
                Member::Sink(sink) => one(sink),
                Member::NotOpened(why) => not_opened(why),
            };
            all.is_good &= answered.is_good;
            whys.extend(answered.why.map(|why| format!("{name}: {why}")));
            streams.insert(name.clone(), answered.json);
        }
        all.why = (!whys.is_empty()).then(|| whys.join("; "));
        let mut json = summary(&all);
        json["why"] = all.why.clone().into();
        json["streams"] = streams.into();
        Answered { json, ..all }
    }
}

/// As the readiness of a sink that has failed.
pub(super) fn not_opened(why: &str) -> Answered {
    let why = format!("the sink could not be opened: {why}");
    let json = json!({ "ready": false, "state": State::Failed.name(), "why": why });
    Answered { is_good: false, why: Some(why), json }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}
