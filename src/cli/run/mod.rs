//! `run`, and what surrounds a sink that runs as a service.

mod command;
mod http;

pub(super) use self::command::run;
