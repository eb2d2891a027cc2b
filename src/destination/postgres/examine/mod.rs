//! The steps of `check` at the destination. They change nothing.

mod connection;
mod dispatch;
mod network;
mod pooler;
mod privileges;

pub(super) use dispatch::examine;
