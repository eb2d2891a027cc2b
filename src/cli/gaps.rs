//! `gaps`: when events may have been missed.

use std::process::ExitCode;

use super::dead_letters::time;
use crate::{Config, Connections, Gap, Result};

pub(super) fn gaps(config: &Config, json: bool) -> Result<ExitCode> {
    let gaps = Connections::open(config)?.gaps()?;
    if json {
        gaps.iter().for_each(|gap| println!("{}", gap.to_json()));
    } else if gaps.is_empty() {
        println!("no gaps");
    } else {
        println!("{:<20}  {:<20}  {:>10}  cause", "from", "to", "seconds");
        gaps.iter().for_each(|gap| print!("{}", line(gap)));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(gap: &Gap) -> String {
    // A window is never shown shorter than it is: its end is rounded up to the next second.
    let to = gap.to.map_or_else(|| "still open".to_owned(), |to| time(to.saturating_add(999_999)));
    let seconds = gap.to.map_or_else(String::new, |to| format!("{:.1}", (to - gap.from) as f64 / 1e6));
    let mut text = format!("{:<20}  {to:<20}  {seconds:>10}  {}\n", time(gap.from), gap.cause);
    if let Some(error) = &gap.try_error {
        text.push_str(&format!("{:<56}{} tries to connect failed: {error}\n", "", gap.tries_failed));
    }
    text
}
