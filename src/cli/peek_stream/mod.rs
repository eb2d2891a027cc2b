//! `peek-stream`: what a stream sends, and what a sink would make of it. Nothing is stored.
//!
//! It is the command with which somebody finds out the settings of an unknown stream (docs/streams.md). So it goes on where a sink
//! fails, and says which settings its messages suggest.

mod advice;
mod as_toml;
mod control;
mod envelope;
mod report;
mod run;
mod start;
mod suggestion;

pub(super) use self::run::peek_stream;
