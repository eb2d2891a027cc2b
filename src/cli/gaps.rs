//! `gaps`: the times in which events may have been missed.

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::CellAlignment::{Left, Right};

use super::arguments::Settings;
use super::format::{list, utc};
use super::print::print_out;
use super::streams::Stream;
use crate::Result;
use crate::connections::{Connections, Gap};

pub(super) fn gaps(settings: &Settings, json: bool) -> Result<ExitCode> {
    let config = settings.load()?;
    for stream in settings.streams(&config, &[])? {
        let _scope = stream.enter();
        let gaps = Connections::open(&stream.config).and_then(|connections| connections.gaps());
        let gaps = gaps.map_err(|error| stream.locate(error))?;
        if json {
            for gap in &gaps {
                print_out!("{}", line(gap, &stream));
            }
            continue;
        }
        if let Some(name) = &stream.name {
            print_out!("{}:", name.as_str());
        }
        if gaps.is_empty() {
            print_out!("no gaps");
        } else {
            let head = [("from", Left), ("to", Left), ("seconds", Right), ("cause", Left)];
            print_out!("{}", list(head, gaps.iter().map(row)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// With the name of the stream, where there are several.
fn line(gap: &Gap, stream: &Stream) -> String {
    let Some(name) = &stream.name else { return gap.to_json() };
    let mut gap = serde_json::to_value(gap).unwrap_or_default();
    gap["stream"] = name.as_str().into();
    gap.to_string()
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
