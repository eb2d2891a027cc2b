//! Dead letters: events that did not reach the table, each with the reason. List, export, replay or purge them, also while a sink is
//! running.
//!
//! [`DeadLetters`] reads the spool file. [`summary`] groups them by reason, with the change that would accept them. [`replay`] and [`Sink::replay`](crate::Sink::replay) check dead letters again and put the
//! valid ones into the table.

pub use super::dry_run::replay_dry_run;
pub use super::replay::{replay, replay_forced};
pub use super::summary::summary;
pub use crate::report::dead_letter::{DeadLetter, Payload, Rejection, Stage};
pub use crate::report::purge::{PurgeFilter, PurgeReport};
pub use crate::report::replay::{Fate, ReplayReport, Selection};
pub use crate::report::summary::{Summary, SummaryGroup};
pub use crate::spool::DeadLetters;
