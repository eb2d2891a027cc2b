//! Tests of the engine through its handle, with a destination and a stream of the tests.

mod bench;
mod checkpoints;
mod faults;
mod handle;
mod messages;
mod scripted;
mod verdicts;
