//! `gaps`: when events may have been missed.

use std::fmt::Write;
use std::process::ExitCode;

use super::dead_letters::time;
use crate::{Config, Connections, Gap, Result};

pub(super) fn gaps(config: &Config, json: bool) -> Result<ExitCode> {
    let gaps = Connections::open(config)?.gaps()?;
    if json {
        for gap in &gaps {
            say!("{}", gap.to_json());
        }
    } else if gaps.is_empty() {
        say!("no gaps");
    } else {
        say!("{:<20}  {:<20}  {:>10}  cause", "from", "to", "seconds");
        for gap in &gaps {
            say!("{}", line(gap));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "shown to a tenth of a second")]
fn seconds_between(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e6
}

fn line(gap: &Gap) -> String {
    // A window is never shown shorter than it is: its end is rounded up to the next second.
    let to = gap.to.map_or_else(|| "still open".to_owned(), |to| time(to.saturating_add(999_999)));
    let seconds = gap.to.map_or_else(String::new, |to| format!("{:.1}", seconds_between(gap.from, to)));
    let mut text = format!("{:<20}  {to:<20}  {seconds:>10}  {}", time(gap.from), gap.cause);
    if let Some(error) = &gap.try_error {
        let _ = write!(text, "\n{:<56}{} tries to connect failed: {error}", "", gap.tries_failed);
    }
    text
}
