//! What those who watch a sink from outside see of it.

mod health;
mod observation;
mod watcher;

pub(crate) use watcher::Watch;
