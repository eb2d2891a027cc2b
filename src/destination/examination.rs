//! The steps of `check` at a destination.

use std::sync::Arc;

use crate::rows::Plan;

/// A step of [`Destination::examine`](super::Destination::examine).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Examination<'a> {
    /// The addresses of the host names.
    Names,
    /// A TCP connection to each host.
    Tcp,
    /// The login, and the server's version.
    Connection,
    /// The encryption, and the validity of the certificate.
    Tls,
    /// The pooler in between, and its mode.
    Pooler,
    /// The server's clock.
    Clock,
    /// The order in which the unique index over these columns keeps their texts.
    Key(&'a [String]),
    /// The privileges to write rows of this plan.
    Privileges(&'a Arc<Plan>),
    /// The privileges to write the history of this plan.
    History(&'a Arc<Plan>),
    /// The checkpoint table, and the privileges to write it.
    Checkpoint,
}
