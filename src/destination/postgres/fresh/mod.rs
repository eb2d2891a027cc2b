//! Fresh and known keys apart: a plain INSERT for rows whose keys the table does not have, the upsert for the others.
//!
//! About a third of the database's work for an upsert is the search for a key that is not there. So the rows of a batch are divided by a
//! filter over the keys that were written lately, and one statement writes both kinds. A wrong guess in one direction costs an upsert that
//! inserts; in the other direction the statement fails as a whole, nothing has moved, and the batch goes by the upsert alone. A brake keeps
//! such tries rare where they fail. docs/decisions.md, "Fresh and known keys", has the reasons and the measurements.

mod brake;
mod filter;
mod keys;
mod write;

pub(super) use keys::{FreshKeys, Split};
