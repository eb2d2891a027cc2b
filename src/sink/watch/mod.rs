//! What those who watch a sink from outside see of it.

mod health;
mod observation;
mod watch;

pub(crate) use observation::Observation;
pub(crate) use watch::Watch;
