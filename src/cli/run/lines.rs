//! The live lines of several streams on a terminal, one for each, four times per second.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::format::{count, counted, rate};
use crate::cli::logging;
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::{Error, Sink, State, Stats};

const INTERVAL: Duration = Duration::from_millis(250);
/// Lines for streams: those of a small terminal, with room for the log. The rest is summed up in one more.
const LINES_MAX: usize = 16;

/// Drawn until they are dropped, and only if the standard error stream is a terminal.
pub(super) struct Lines {
    is_terminal: bool,
    drawn: Instant,
    bars: Vec<ProgressBar>,
    width: usize,
    before: HashMap<String, [u64; 2]>,
    /// The last error of a stream, and the events received when it came.
    troubles: HashMap<String, (String, u64)>,
}

impl Lines {
    pub(super) fn start<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.collect();
        let is_terminal = std::io::stderr().is_terminal();
        let progress = MultiProgress::with_draw_target(if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let lines = names.len().min(LINES_MAX) + usize::from(names.len() > LINES_MAX);
        let bars = (0..lines).map(|_| progress.add(ProgressBar::new_spinner())).collect::<Vec<_>>();
        // `wide_msg` ends at the edge of the terminal.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            for bar in &bars {
                bar.set_style(style.clone());
            }
        }
        if is_terminal {
            logging::set_beside(Some(progress));
        }
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        let drawn = Instant::now();
        Self { is_terminal, drawn, bars, width, before: HashMap::new(), troubles: HashMap::new() }
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&self) -> bool {
        self.is_terminal && self.drawn.elapsed() >= INTERVAL
    }

    /// Shows the error until events of the stream arrive again.
    pub(super) fn note_error(&mut self, name: &str, error: &Error) {
        if self.is_terminal {
            let received = self.before.get(name).map_or(0, |[received, _]| *received);
            self.troubles.insert(name.to_owned(), (error.to_string(), received));
        }
    }

    pub(super) fn show<'a>(&mut self, sinks: impl Iterator<Item = (&'a str, &'a Sink)>) {
        let elapsed = self.drawn.elapsed();
        self.drawn = Instant::now();
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
        let is_over = |since: u64| stats.received > since && stats.state == State::Running;
        if self.troubles.get(name).is_some_and(|(_, since)| is_over(*since)) {
            self.troubles.remove(name);
        }
        let trouble = self.troubles.get(name).map(|(error, _)| format!(" · {}", one_line(error, MESSAGE_CHARS_MAX)));
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
    format!(
        "{} events/s in, {} out · {} stored · {} pending · {}",
        rate(arriving, elapsed),
        rate(finishing, elapsed),
        count(stats.stored()),
        count(stats.pending),
        counted(stats.dead_lettered, "dead letter")
    )
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
        logging::set_beside(None);
    }
}
