//! The loop that writes batches: one statement and one transaction each, in order, until it is known to be committed.
//!
//! The class of a failure decides what happens: a transient failure is waited out, a conflict is tried again. After a refusal,
//! bisection finds the event that is refused alone, and a trial shows whether the reason is that event or the table. After an in-doubt transaction, the checkpoint that it would have moved shows whether it committed.
//!
//! With several connections there are as many writers, each with a partition of its own ([`crate::rows::partition`]): it writes
//! its share of every batch, and moves its own checkpoint. The first writer also keeps the dead letters of the whole batch.

mod connect;
mod dead_letters;
mod late;
mod late_keys;
mod misfits;
mod partitions;
mod progress;
mod run;
mod sub_batch;
mod tally;
mod trial_state;
mod trials;
mod verdict;

pub(crate) use run::Writer;
