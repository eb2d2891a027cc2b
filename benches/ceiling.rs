//! The ceiling of the database: the same rows, prepared in memory before the clock starts, and written by the sink's own statement
//! over one connection, one batch after another. There is no stream, no spool, and no preparing during the run.
//!
//! `ceiling URL TABLE EVENTS SIZE` prints `{"events": …, "seconds": …}`; `make bench` runs it between the runs of the sink.

#![expect(clippy::print_stdout, reason = "prints its result")]

use std::error::Error;
use std::time::Instant;

use cxsink::Config;
use cxsink::bench::{Events, Table};

const USAGE: &str = "usage: ceiling URL TABLE EVENTS SIZE, with whole numbers for the last two";

fn main() -> Result<(), Box<dyn Error>> {
    // cargo says `--bench` to every benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [url, name, events, size] = arguments.as_slice() else { return Err(USAGE.into()) };
    let (events, size) = (events.parse()?, size.parse()?);

    let mut config = Config::default();
    config.set("destination.url", url)?;
    config.set("destination.table", name)?;
    let mut table = Table::open(&config)?;
    let batches = table.prepare(&Events::simulate(1, events, 0.0), size)?;
    let started = Instant::now();
    batches.iter().try_for_each(|batch| table.upsert(batch))?;
    println!("{}", serde_json::json!({ "events": events, "seconds": started.elapsed().as_secs_f64() }));
    Ok(())
}
