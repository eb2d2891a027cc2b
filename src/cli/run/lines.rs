//! The live lines of several streams on a terminal, one for each, four times per second.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::format::rate;
use crate::cli::live::{Canvas, Trouble};
use crate::report::watch::totals;
use crate::{Error, Sink, Stats};

/// Lines for streams: those of a small terminal, with room for the log. The rest is summed up in one more.
const LINES_MAX: usize = 16;

/// Drawn until they are dropped, and only if the standard error stream is a terminal.
pub(super) struct Lines {
    canvas: Canvas,
    bars: Vec<ProgressBar>,
    width: usize,
    before: HashMap<String, [u64; 2]>,
    /// By stream.
    troubles: HashMap<String, Trouble>,
}

impl Lines {
    pub(super) fn start<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.collect();
        let canvas = Canvas::new();
        let lines = names.len().min(LINES_MAX) + usize::from(names.len() > LINES_MAX);
        let bars = (0..lines).map(|_| canvas.add(ProgressBar::new_spinner())).collect::<Vec<_>>();
        // `wide_msg` ends at the edge of the terminal.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            for bar in &bars {
                bar.set_style(style.clone());
            }
        }
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        Self { canvas, bars, width, before: HashMap::new(), troubles: HashMap::new() }
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&self) -> bool {
        self.canvas.is_due()
    }

    /// Shows the error until events of the stream arrive again.
    pub(super) fn note_error(&mut self, name: &str, error: &Error) {
        if self.canvas.is_terminal() {
            let received = self.before.get(name).map_or(0, |[received, _]| *received);
            self.troubles.insert(name.to_owned(), Trouble::new(error, received));
        }
    }

    pub(super) fn show<'a>(&mut self, sinks: impl Iterator<Item = (&'a str, &'a Sink)>) {
        let elapsed = self.canvas.begin();
        let mut rest = Stats::default();
        let (mut number, mut rest_rates) = (0, [0, 0]);
        for (name, sink) in sinks {
            let stats = sink.stats();
            let now = [stats.received, stats.finished()];
            let before = self.before.insert(name.to_owned(), now).unwrap_or(now);
            let new = [0, 1].map(|side| now[side].saturating_sub(before[side]));
            if number < LINES_MAX {
                let line = self.line(name, &stats, new, elapsed);
                self.bars[number].set_message(line);
            } else {
                rest = Stats::sum([rest, stats]);
                rest_rates = [0, 1].map(|side| rest_rates[side] + new[side]);
            }
            number += 1;
        }
        if let (Some(bar), true) = (self.bars.get(LINES_MAX), number > LINES_MAX) {
            let name = format!("{} more", number - LINES_MAX);
            bar.set_message(format!("{name:<width$}  {}", numbers(&rest, rest_rates, elapsed), width = self.width));
        }
        self.bars.iter().for_each(ProgressBar::tick);
    }

    fn line(&mut self, name: &str, stats: &Stats, new: [u64; 2], elapsed: Duration) -> String {
        if self.troubles.get(name).is_some_and(|trouble| trouble.is_over(stats)) {
            self.troubles.remove(name);
        }
        let trouble = self.troubles.get(name).map(|trouble| format!(" · {}", trouble.text()));
        let numbers = numbers(stats, new, elapsed);
        format!(
            "{name:<width$}  {:<8} {numbers}{}",
            stats.state.name(),
            trouble.unwrap_or_default(),
            width = self.width
        )
    }
}

fn numbers(stats: &Stats, [arriving, finishing]: [u64; 2], elapsed: Duration) -> String {
    format!("{} events/s in, {} out · {}", rate(arriving, elapsed), rate(finishing, elapsed), totals(stats).join(" · "))
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}
