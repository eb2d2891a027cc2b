//! The destination `postgresql://…`: one connection, one statement a batch.
//!
//! Every call keeps the port's deadlines and returns promptly on abort, over TCP, TLS and Unix sockets alike: see [`connection`].
//! The calls block on an event loop of the `postgres` crate, so no thread inside an asynchronous runtime may make them.

mod batch;
mod catalogue;
mod catalogue_sql;
mod checkpoint;
mod connection;
mod destination;
mod encode;
mod examine;
mod fresh;
mod init_db;
mod init_history;
mod late;
mod params;
mod refused_column;
mod server;
mod statement;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod trial;

pub(crate) use destination::PostgresDestination;
#[cfg(feature = "_bench")]
pub(crate) use encode::encode;
