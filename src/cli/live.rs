//! The live line on a terminal: state, rate, pending events and dead letters, four times per second.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::format::{count, rate};
use super::logging;
use crate::Stats;

/// Drawn until it is dropped, and only if the standard error stream is a terminal.
pub(super) struct Live {
    bar: ProgressBar,
    is_terminal: bool,
    drawn: Instant,
    received: u64,
}

const INTERVAL: Duration = Duration::from_millis(250);

impl Live {
    /// `total`: the number of expected events, if it is known.
    pub(super) fn start(total: Option<u64>) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let progress = MultiProgress::with_draw_target(if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:20} {percent:>3} %  {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        let bar = progress.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if is_terminal {
            logging::set_beside(Some(progress));
        }
        Self { bar, is_terminal, drawn: Instant::now(), received: 0 }
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&self) -> bool {
        self.is_terminal && self.drawn.elapsed() >= INTERVAL
    }

    pub(super) fn show(&mut self, stats: &Stats) {
        let elapsed = self.drawn.elapsed();
        let rate = rate(stats.received.saturating_sub(self.received), elapsed);
        (self.drawn, self.received) = (Instant::now(), stats.received);
        self.bar.set_position((stats.received + stats.recovered + stats.replayed).saturating_sub(stats.pending));
        self.bar.set_message(format!(
            "{} · {} events/s in · {} stored · {} pending · {} dead letters",
            stats.state,
            rate,
            count(stats.inserted + stats.updated + stats.unchanged + stats.confirmed),
            count(stats.pending),
            count(stats.dead_lettered),
        ));
        self.bar.tick();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        logging::set_beside(None);
    }
}
