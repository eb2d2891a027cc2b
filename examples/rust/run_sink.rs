//! Runs a sink from the configured stream into the configured table until the stream ends.
//!
//! The settings are in the environment or in .env (`.env.example` lists those of a plain deployment). A stream of CXone does not end;
//! kill this program whenever you like: events that were read stay in the spool, and the next start writes them.
//!
//! ```text
//! cargo run --example run_sink
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what happens")]

use cxsink::{Config, Notice, Poll, Sink};

fn main() -> cxsink::Result<()> {
    let config = Config::from_env()?;
    cxsink::init_db(&config)?; // makes the table where it does not exist

    let sink = Sink::open(&config)?;
    sink.start()?;
    loop {
        match sink.poll(None)? {
            Poll::Notice(Notice::State(state)) => println!("{}", state.name()),
            Poll::Notice(Notice::Rejected(rejection)) => {
                eprintln!("dead letter {}: {}", rejection.offset, rejection.reason);
            }
            Poll::Notice(Notice::Error(error)) => eprintln!("{error}"),
            Poll::Closed => break,
            _ => {}
        }
    }
    sink.close()?; // an error here is the one that ended the sink
    println!("{}", sink.stats().to_json());
    Ok(())
}
