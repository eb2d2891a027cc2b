//! The road of an event between the ports: reader, spool, preparer, handoff, writer.

pub(crate) mod connection_log;
pub(crate) mod event_rules;
pub(crate) mod handoff;
mod prepare_event;
pub(crate) mod preparer;
pub(crate) mod reader;
pub(crate) mod reconcile;
pub(crate) mod replayer;
mod retention;
pub(crate) mod writer;
