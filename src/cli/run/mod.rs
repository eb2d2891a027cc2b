//! `run`, what surrounds a sink that runs as a service, and `status`, which asks it.

mod command;
mod http;
mod notify;
mod reload;
mod status;

pub(super) use self::command::run;
pub(super) use self::status::status;
