//! Puts the events on standard input, one a line, into the sink, and shows what becomes of them.
//!
//! An event that `ingest` accepted is in the spool: it reaches the table, or it becomes a dead letter with a reason. An event that is
//! not valid is refused at once. The settings are in the environment or in .env; `destination.url` is enough:
//!
//! ```text
//! CXSINK_DESTINATION__URL=sqlite:events.db cargo run --example ingest < events.jsonl
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what happens")]

use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use cxsink::{Config, Notice, Poll, Sink};

fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    cxsink::init_db(&config)?;
    let sink = Sink::open(&config)?;
    sink.start()?;

    // The sink works without a poll as well. Poll on another thread to see what it does.
    let notices = sink.clone();
    let watcher = thread::spawn(move || watch(&notices));
    for (number, line) in io::stdin().lines().enumerate() {
        if let Err(error) = sink.ingest(line?.as_bytes()) {
            eprintln!("line {}: {error}", number + 1);
        }
    }
    // Writes what is in the spool, then ends the sink, and with it the thread above.
    sink.close_within(Duration::from_secs(30))?;
    watcher.join().map_err(|_| "the thread that polls has panicked")??;
    println!("{}", sink.stats().to_json());
    Ok(())
}

fn watch(sink: &Sink) -> cxsink::Result<()> {
    loop {
        match sink.poll(None)? {
            Poll::Notice(Notice::Stored(stored)) => {
                println!("committed: {} new, {} changed", stored.inserted, stored.updated);
            }
            Poll::Notice(Notice::Error(error)) => eprintln!("{error}"),
            Poll::Closed => return Ok(()),
            _ => {}
        }
    }
}
