//! The steps of `check` at the destination. They change nothing.

mod connection;
mod dispatch;
mod key;
mod network;
mod pooler;
mod privileges;

pub(super) use dispatch::examine;
