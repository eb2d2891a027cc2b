//! The words for how a sink is doing: those of the live line, of `cxsink status` and of the page are these.

use std::time::Duration;

use serde::Serialize;

use crate::report::stats::{State, Stats};
use crate::report::watch::numbers::totals;

/// The meaning that a colour adds to the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Faint,
}

/// The sink and its sides as they are.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing, and any of them may be so")]
pub(crate) struct Scene {
    pub(crate) state: State,
    /// A loop does not move.
    pub(crate) is_hanging: bool,
    /// Events are accepted and kept.
    pub(crate) is_ready: bool,
    /// `None`: no stream is configured.
    pub(crate) is_stream_connected: Option<bool>,
    /// The time until the stream is tried again.
    pub(crate) stream_next_try: Option<Duration>,
    pub(crate) is_spool_full: bool,
    /// Its disk, or its limit of dead letters.
    pub(crate) is_spool_refusing: bool,
    pub(crate) is_destination_connected: bool,
    /// A writer cannot write.
    pub(crate) is_destination_stalled: bool,
    pub(crate) destination_next_try: Option<Duration>,
}

/// A word or a few, and the colour for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// See the [module documentation](self).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Words {
    pub(crate) sink: Said,
    pub(crate) stream: Option<Said>,
    pub(crate) spool: Said,
    pub(crate) destination: Said,
}

impl Words {
    pub(crate) fn new(scene: &Scene) -> Self {
        let said = |text: &str, tone| Said { text: text.to_owned(), tone };
        let is_at_work = matches!(scene.state, State::Running | State::Stalled | State::Stopping);
        let sink = match scene.state {
            _ if scene.is_hanging => said("hanging", Tone::Bad),
            State::Running if scene.is_ready => said(State::Running.name(), Tone::Good),
            State::Failed => said(State::Failed.name(), Tone::Bad),
            state @ (State::Running | State::Stalled) => said(state.name(), Tone::Warning),
            state => said(state.name(), Tone::Faint),
        };
        let spool = match scene {
            _ if !is_at_work => said("not in use", Tone::Faint),
            Scene { is_spool_full: true, .. } => said("full", Tone::Bad),
            Scene { is_spool_refusing: true, .. } => said("not accepting events", Tone::Bad),
            _ => said("accepting events", Tone::Good),
        };
        let away = |next_try: Option<Duration>| {
            let tone = if is_at_work { Tone::Warning } else { Tone::Faint };
            said(&format!("not connected{}", until(next_try)), tone)
        };
        let destination = match scene {
            Scene { is_destination_connected: false, .. } => away(scene.destination_next_try),
            Scene { is_destination_stalled: true, .. } => {
                said(&format!("not taking rows{}", until(scene.destination_next_try)), Tone::Warning)
            }
            _ => said("connected", Tone::Good),
        };
        let stream = scene
            .is_stream_connected
            .map(|is_connected| if is_connected { said("connected", Tone::Good) } else { away(scene.stream_next_try) });
        Self { sink, stream, spool, destination }
    }

    /// The sides that are worth a word, as `stream connected`. `only_trouble`: without those that work.
    pub(crate) fn sides(&self, only_trouble: bool) -> Vec<String> {
        let is_trouble = |said: &Said| matches!(said.tone, Tone::Warning | Tone::Bad);
        let spool = Some(&self.spool).filter(|said| is_trouble(said));
        [("stream", self.stream.as_ref()), ("spool", spool), ("destination", Some(&self.destination))]
            .into_iter()
            .filter_map(|(side, said)| Some((side, said?)))
            .filter(|(_, said)| !only_trouble || is_trouble(said))
            .map(|(side, said)| format!("{side} {}", said.text))
            .collect()
    }

    /// The sink in one line.
    pub(crate) fn line(&self, stats: &Stats) -> String {
        let parts = [self.sink.text.clone()].into_iter().chain(self.sides(false)).chain(totals(stats));
        parts.collect::<Vec<_>>().join(" · ")
    }
}

/// Rounded up: 0 s would be now.
fn until(next_try: Option<Duration>) -> String {
    next_try.map_or_else(String::new, |left| format!(", next try in {:.0} s", left.as_secs_f64().ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Scene = Scene {
        state: State::Running,
        is_hanging: false,
        is_ready: true,
        is_stream_connected: Some(true),
        stream_next_try: None,
        is_spool_full: false,
        is_spool_refusing: false,
        is_destination_connected: true,
        is_destination_stalled: false,
        destination_next_try: None,
    };

    #[test]
    fn each_side_is_said_in_words() {
        let check = |scene: Scene, sink: &str, tone: Tone, sides: &[&str], trouble: &[&str]| {
            let words = Words::new(&scene);
            assert_eq!((&*words.sink.text, words.sink.tone), (sink, tone), "{scene:?}");
            assert_eq!(words.sides(false), sides, "{scene:?}");
            assert_eq!(words.sides(true), trouble, "{scene:?}");
        };
        let well = ["stream connected", "destination connected"];
        check(WELL, "running", Tone::Good, &well, &[]);
        check(Scene { is_hanging: true, ..WELL }, "hanging", Tone::Bad, &well, &[]);
        let soon = Some(Duration::from_millis(200));
        let away = Scene { is_stream_connected: Some(false), stream_next_try: soon, is_ready: false, ..WELL };
        let stream = "stream not connected, next try in 1 s";
        check(away, "running", Tone::Warning, &[stream, "destination connected"], &[stream]);
        let stalled = Scene { state: State::Stalled, is_destination_stalled: true, ..WELL };
        let rows = "destination not taking rows";
        check(stalled, "stalled", Tone::Warning, &["stream connected", rows], &[rows]);
        let outage = Scene { is_destination_connected: false, is_spool_full: true, ..stalled };
        let (full, gone) = ("spool full", "destination not connected");
        check(outage, "stalled", Tone::Warning, &["stream connected", full, gone], &[full, gone]);
        let ended = Scene { state: State::Closed, is_stream_connected: None, is_destination_connected: false, ..WELL };
        check(ended, "closed", Tone::Faint, &[gone], &[]);
        let stats = Stats { inserted: 1000, confirmed: 1, pending: 2, dead_lettered: 1, ..Stats::default() };
        let line = "stalled · stream connected · spool full · destination not connected · 1,001 stored · 2 pending · 1 dead letter";
        assert_eq!(Words::new(&outage).line(&stats), line);
    }
}
