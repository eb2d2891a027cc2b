//! `peek-stream`: what a stream sends, and what a sink would make of it. Nothing is stored.
//!
//! It is for finding out the settings of an unknown stream (docs/streams.md). So it goes on where a sink fails, and says which settings
//! the messages suggest.

mod advice;
mod as_toml;
mod control;
mod envelope;
mod redacted;
mod report;
mod run;
mod start;
mod suggestion;

pub(super) use self::run::peek_stream;
