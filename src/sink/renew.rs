//! Making a spool file a spool of its own, after a conflict over its checkpoint.

use crate::config::Config;
use crate::error::Result;
use crate::spool::Spool;

/// Makes the spool file a spool of its own, with a new id: for a copy of a spool file, or one restored from a backup, whose checkpoint
/// another sink owns. The next start applies every event in the file, also those that the other sink has applied already.
///
/// # Errors
/// [`Spool`](crate::ErrorKind::Spool) if a sink has the file open, or it cannot be used.
pub fn renew_spool(config: &Config) -> Result<()> {
    Spool::renew(config)
}
