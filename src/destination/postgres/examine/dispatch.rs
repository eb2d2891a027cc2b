//! Each step to its function.

use super::{connection, key, network, pooler, privileges};
use crate::destination::Examination;
use crate::destination::names::TableName;
use crate::destination::postgres::server::Server;
use crate::error::Result;
use crate::report::finding::Finding;

/// Runs one step; `None` if it does not apply to this server.
pub(in super::super) fn examine(
    server: &mut Server,
    table: &TableName,
    history: Option<&TableName>,
    what: Examination<'_>,
) -> Result<Option<Finding>> {
    match what {
        Examination::Names => network::names(server),
        Examination::Tcp => network::tcp(server).map(Some),
        Examination::Connection => connection::login(server).map(Some),
        Examination::Tls => connection::tls(server).map(Some),
        Examination::Pooler => pooler::pooler(server).map(Some),
        Examination::Clock => connection::clock(server).map(Some),
        Examination::Key(columns) => key::order(server, table, columns),
        Examination::Privileges(plan) => privileges::upsert(server, table, plan).map(Some),
        Examination::History(plan) => {
            history.map(|history| privileges::history(server, table, history, plan)).transpose()
        }
        Examination::Checkpoint => privileges::checkpoint(server, table).map(Some),
    }
}
