//! `run`, what surrounds a sink that runs as a service, and `status`, which asks it.

mod command;
mod ending;
mod http;
mod lines;
mod notify;
mod reload;
mod several;
mod sinks;
mod status;
mod top;

pub(super) use self::command::run;
pub(super) use self::top::{status, top};
