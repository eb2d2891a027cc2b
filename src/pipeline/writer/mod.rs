//! The loop that writes batches: one statement and one transaction each, in order, until it is known to be committed.
//!
//! The class of a failure decides what happens: a transient failure is waited out, a conflict is tried again, a bad row is found
//! by bisection. After an in-doubt transaction, the checkpoint that it would have moved shows whether it committed.
//!
//! With several connections there are as many writers, each with a partition of its own ([`crate::rows::partition`]): it writes
//! its share of every batch, and moves its own checkpoint. The first writer also keeps the dead letters of the whole batch.

mod connect;
mod dead_letters;
mod late;
mod partitions;
mod progress;
mod run;
mod sub_batch;
mod tally;

pub(crate) use run::Writer;
