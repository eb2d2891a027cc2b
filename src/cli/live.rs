//! The live line on a terminal: state, rate, pending events and dead letters, four times per second.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::format::rate;
use super::logging;
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::report::watch::{Words, totals};
use crate::{Error, State, Stats};

/// Drawn until it is dropped, and only if the standard error stream is a terminal.
pub(super) struct Live {
    canvas: Canvas,
    bar: ProgressBar,
    received: u64,
    finished: u64,
    trouble: Option<Trouble>,
}

/// Where live lines are drawn, below the log: the standard error stream, if it is a terminal. Until it is dropped.
pub(super) struct Canvas {
    progress: MultiProgress,
    is_terminal: bool,
    drawn: Instant,
}

const INTERVAL: Duration = Duration::from_millis(250);

impl Canvas {
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let progress = MultiProgress::with_draw_target(if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        if is_terminal {
            logging::set_beside(Some(progress.clone()));
        }
        Self { progress, is_terminal, drawn: Instant::now() }
    }

    pub(super) fn add(&self, bar: ProgressBar) -> ProgressBar {
        self.progress.add(bar)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&self) -> bool {
        self.is_terminal && self.drawn.elapsed() >= INTERVAL
    }

    /// Begins to draw; returns the time since it was last done.
    pub(super) fn begin(&mut self) -> Duration {
        let elapsed = self.drawn.elapsed();
        self.drawn = Instant::now();
        elapsed
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        logging::set_beside(None);
    }
}

/// An error that is shown until events arrive again.
pub(super) struct Trouble {
    error: String,
    /// The events received when it came.
    since: u64,
}

impl Trouble {
    pub(super) fn new(error: &Error, received: u64) -> Self {
        Self { error: error.to_string(), since: received }
    }

    pub(super) fn is_over(&self, stats: &Stats) -> bool {
        stats.received > self.since && stats.state == State::Running
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        one_line(&self.error, MESSAGE_CHARS_MAX)
    }
}

impl Live {
    /// `total`: the number of expected events, if it is known.
    pub(super) fn start(total: Option<u64>) -> Self {
        let canvas = Canvas::new();
        // `wide_msg` ends at the edge of the terminal.
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:20} {percent:>3} %  {wide_msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {wide_msg}"),
        };
        let bar = canvas.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = if is_utf8() { style } else { style.tick_chars("-\\|/ ").progress_chars("=> ") };
            bar.set_style(style);
        }
        Self { canvas, bar, received: 0, finished: 0, trouble: None }
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&self) -> bool {
        self.canvas.is_due()
    }

    /// Shows the error until events arrive again.
    pub(super) fn note_error(&mut self, error: &Error, stats: &Stats) {
        self.trouble = Some(Trouble::new(error, stats.received));
    }

    pub(super) fn show(&mut self, stats: &Stats, words: &Words) {
        let elapsed = self.canvas.begin();
        let finished = stats.finished();
        let arriving = stats.received.saturating_sub(self.received);
        let finishing = finished.saturating_sub(self.finished);
        (self.received, self.finished) = (stats.received, finished);
        self.bar.set_position(finished);
        self.trouble.take_if(|trouble| trouble.is_over(stats));
        let trouble = self.trouble.as_ref().map(Trouble::text);
        let rates = format!(
            "{} events/s in, {} out{}",
            rate(arriving, elapsed),
            rate(finishing, elapsed),
            time_left(stats, finishing, elapsed)
        );
        self.bar.set_message(line(stats, &rates, trouble.as_deref(), words));
        self.bar.tick();
    }
}

/// How long the pending events will take, once no more arrive.
fn time_left(stats: &Stats, finishing: u64, elapsed: Duration) -> String {
    if stats.state != State::Stopping || finishing == 0 || stats.pending == 0 {
        return String::new();
    }
    let left = elapsed.as_secs_f64() * (count_f64(stats.pending) / count_f64(finishing));
    format!(" ({left:.0} s left)")
}

/// The line, which the terminal cuts at its edge: what matters most comes first.
fn line(stats: &Stats, rates: &str, trouble: Option<&str>, words: &Words) -> String {
    let [stored, pending, dead_letters] = totals(stats);
    let sides = words.sides(true);
    let mut parts = vec![&*words.sink.text];
    if trouble.is_none() && sides.is_empty() {
        parts.extend([rates, &stored, &pending, &dead_letters]);
    } else {
        parts.extend(sides.iter().map(String::as_str));
        parts.push(&pending);
        parts.extend(trouble);
        parts.extend([rates, &stored, &dead_letters]);
    }
    parts.join(" · ")
}

#[expect(clippy::cast_precision_loss, reason = "a rough time")]
fn count_f64(number: u64) -> f64 {
    number as f64
}

/// Whether the terminal shows more than ASCII, as far as the environment says.
fn is_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    let name = set.map_or_else(String::new, |value| value.to_string_lossy().to_ascii_lowercase());
    name.contains("utf-8") || name.contains("utf8")
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::watch::Scene;

    #[test]
    fn in_trouble_the_line_begins_with_what_is_waited_for() {
        let well = Scene {
            state: State::Running,
            is_ready: true,
            is_stream_connected: Some(true),
            is_destination_connected: true,
            ..Scene::default()
        };
        let stats = Stats { pending: 1234, inserted: 5, dead_lettered: 1, ..Stats::default() };
        let check = |trouble, scene: Scene, expected: &str| {
            assert_eq!(line(&stats, "7 events/s in", trouble, &Words::new(&scene)), expected);
        };
        check(None, well, "running · 7 events/s in · 5 stored · 1,234 pending · 1 dead letter");
        let away =
            Scene { is_stream_connected: Some(false), stream_next_try: Some(Duration::from_millis(11_400)), ..well };
        check(
            Some("connecting: refused"),
            away,
            "running · stream not connected, next try in 12 s · 1,234 pending · connecting: refused · 7 events/s in · 5 stored · \
             1 dead letter",
        );
        let stalled = Scene { state: State::Stalled, is_destination_connected: false, ..well };
        check(
            None,
            stalled,
            "stalled · destination not connected · 1,234 pending · 7 events/s in · 5 stored · 1 dead letter",
        );
    }
}
