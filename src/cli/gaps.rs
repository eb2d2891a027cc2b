//! `gaps`: the times in which events may have been missed.

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::CellAlignment::{Left, Right};

use super::format::{list, utc};
use super::print::print_out;
use crate::connections::{Connections, Gap};
use crate::{Config, Result};

pub(super) fn gaps(config: &Config, json: bool) -> Result<ExitCode> {
    let gaps = Connections::open(config)?.gaps()?;
    if json {
        for gap in &gaps {
            print_out!("{}", gap.to_json());
        }
    } else if gaps.is_empty() {
        print_out!("no gaps");
    } else {
        let head = [("from", Left), ("to", Left), ("seconds", Right), ("cause", Left)];
        print_out!("{}", list(head, gaps.iter().map(row)));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(gap: &Gap) -> [String; 4] {
    // The end is rounded up to the next second, so that a gap is never shown shorter than it is.
    let to = gap.to.map_or_else(|| "still open".to_owned(), |to| utc(to + Duration::from_micros(999_999)));
    let seconds = gap
        .to
        .map_or_else(String::new, |to| format!("{:.1}", to.duration_since(gap.from).unwrap_or_default().as_secs_f64()));
    let failed = gap.try_error.as_ref();
    let failed = failed.map_or_else(String::new, |error| format!(" ({} attempts failed: {error})", gap.tries_failed));
    [utc(gap.from), to, seconds, format!("{}{failed}", gap.cause)]
}
