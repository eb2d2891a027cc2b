//! The looks of `check`: what each step on the way to the table finds, without changing anything.

use std::fmt::Display;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::types::Type;

use super::statement::Upsert;
use super::{PostgresDestination, catalogue, open};
use crate::destination::Examination;
use crate::destination::names::{TableName, quote};
use crate::destination::postgres::connection::connect;
use crate::destination::postgres::connection::errors;
use crate::destination::postgres::connection::errors::PgResult;
use crate::destination::postgres::connection::session::Session;
use crate::destination::postgres::params::ssl::SslMode;
use crate::destination::postgres::params::target::{Address, Host};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::Plan;
use crate::threads::spawn;
use crate::time::clock::{Clock, SystemClock};

/// How long a second connection, made to learn about a pooler, may take.
const SECOND_LOOK: Duration = Duration::from_secs(3);

impl PostgresDestination {
    pub(super) fn try_examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>> {
        match what {
            Examination::Names => self.examine_names(),
            Examination::Tcp => self.examine_tcp().map(Some),
            Examination::Connection => self.examine_connection().map(Some),
            Examination::Tls => self.examine_tls().map(Some),
            Examination::Pooler => self.examine_pooler().map(Some),
            Examination::Clock => self.examine_clock().map(Some),
            Examination::Privileges(plan) => self.examine_privileges(plan).map(Some),
            Examination::Checkpoint => self.examine_checkpoint().map(Some),
        }
    }

    /// `None` if there are no names, but only addresses and Unix sockets.
    fn examine_names(&self) -> Result<Option<Finding>> {
        let is_name = |host: &&Host| connect::name_of(host).is_some();
        let named: Vec<&Host> = self.target.hosts.iter().filter(is_name).collect();
        if named.is_empty() {
            return Ok(None);
        }
        let timeout = self.config.connect_timeout;
        let each = named.iter().map(|host| {
            let found = addresses(host, timeout)?;
            let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
            Ok(format!("{} is {}", connect::name_of(host).unwrap_or_default(), shown.join(", ")))
        });
        any(each.collect()).map(Some)
    }

    fn examine_tcp(&self) -> Result<Finding> {
        let timeout = self.config.connect_timeout;
        any(self.target.hosts.iter().map(|host| reach(host, timeout)).collect())
    }

    fn examine_connection(&mut self) -> Result<Finding> {
        self.ensure_session()?;
        let timeout = self.timeout();
        let session = open(self.session.as_mut())?;
        let select = "SELECT current_setting('server_version'), current_user::text, current_database()::text";
        let texts = session.run("asking for its version", timeout, |client| {
            let row = client.query_typed_one(select, &[])?;
            Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?))
        })?;
        let (version, user, database) = texts;
        // Debian's tells its package, too.
        let version = version.split(' ').next().unwrap_or_default();
        let place = session.place();
        Ok(Finding::good(format!("{place}: version {version}, database {database}, user {user}")))
    }

    fn examine_tls(&mut self) -> Result<Finding> {
        self.ensure_session()?;
        let is_local = self.target.hosts.iter().all(|host| match &host.address {
            Address::Unix(_) => true,
            Address::Tcp { ip: Some(ip), .. } => ip.is_loopback(),
            Address::Tcp { name, .. } => {
                name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
        });
        let verified = match self.target.tls.mode {
            SslMode::VerifyFull => "certificate and host name verified",
            SslMode::VerifyCa => "certificate verified",
            SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => {
                "certificate not verified, as sslmode says"
            }
        };
        let session = open(self.session.as_mut())?;
        Ok(match &session.facts().encryption.get() {
            Some(found) => found.finding(verified, &SystemClock),
            None if is_local => Finding::good("none: the connection does not leave this machine"),
            None => no_tls(),
        })
    }

    /// A connection through a pooler was given a process id that is not the server's. Whether two connections at the same time
    /// may share a server process, tells how it pools.
    fn examine_pooler(&mut self) -> Result<Finding> {
        self.ensure_session()?;
        let (timeout, wait) = (self.timeout(), self.timeout().min(SECOND_LOOK));
        let password = self.config.password()?;
        let session = open(self.session.as_mut())?;
        let first = session.backend_pid(timeout)?;
        if session.facts().given_pid.get().is_none_or(|given| given == first) {
            return Ok(Finding::good("none: this is a connection to the server itself"));
        }
        let second = connect::connect(&self.target, &self.tls, password, wait, &self.abort)
            .and_then(|mut second| second.backend_pid(wait).map(|_| second));
        // The pool may be used up, and nothing is known then.
        let Ok(mut second) = second else { return Ok(Finding::good(pooler("unknown"))) };
        let mode = match hold_backend(&mut second, wait) {
            Err(error) if error.is_timeout() => "unknown",
            // A transaction is what this mode does not allow; PgBouncer cuts the connection then.
            Err(_) => "statement",
            // While the second one holds a server process, ours may have to take another one.
            Ok(held) if held == first || session.backend_pid(timeout)? != first => "transaction",
            Ok(_) => {
                drop(second);
                if session.backend_pid(timeout)? == first { "session" } else { "transaction" }
            }
        };
        Ok(Finding::good(pooler(mode)))
    }

    fn examine_clock(&mut self) -> Result<Finding> {
        self.ensure_session()?;
        let timeout = self.timeout();
        let session = open(self.session.as_mut())?;
        let (asked_at, before) = (Instant::now(), SystemClock.unix_micros());
        let select = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let theirs: i64 =
            session.run("asking for its time", timeout, |client| client.query_typed_one(select, &[])?.try_get(0))?;
        let round_trip = asked_at.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a difference of clocks, in microseconds")]
        let ahead = (theirs - before) as f64 / 1e6 - round_trip / 2.0;
        Ok(Finding::clock("the database's clock", ahead, round_trip / 2.0))
    }

    /// Runs the upsert, as the sink will, with no rows: the server checks every privilege before it looks for rows.
    fn examine_privileges(&mut self, plan: &Arc<Plan>) -> Result<Finding> {
        self.ensure_session()?;
        let timeout = self.timeout();
        let (table, nonce, configured) = (self.table.clone(), self.nonce.clone(), self.config.table.clone());
        let session = open(self.session.as_mut())?;
        let (oid, relation) = find(session, &table, &configured, timeout)?;
        let upsert = Upsert::new(plan, &relation, &nonce, false);
        let name = relation.name.quoted();
        super::try_upsert(session, plan, &upsert, &nonce, timeout).map_err(|error| {
            with_grant(error, session, &["SELECT", "INSERT", "UPDATE"], &format!("TABLE {name}"), timeout)
        })?;
        let sequences = session.run("looking for the table's sequences", timeout, |client| {
            client
                .query_typed(SEQUENCES, &[(&oid, Type::OID)])?
                .iter()
                .map(|row| row.try_get(0))
                .collect::<PgResult<Vec<String>>>()
        })?;
        if let Some(sequence) = sequences.first() {
            let error =
                Error::new(ErrorKind::Database, format!("permission denied for sequence {sequence} (SQLSTATE 42501)"))
                    .with_class(Class::Mismatch)
                    .with_sqlstate("42501")
                    .while_doing(format_args!("filling the default of a column of {name}"));
            return Err(with_grant(error, session, &["USAGE"], &format!("SEQUENCE {sequence}"), timeout));
        }
        Ok(Finding::good(format!("the upsert into {name} is allowed")))
    }

    fn examine_checkpoint(&mut self) -> Result<Finding> {
        self.ensure_session()?;
        let timeout = self.timeout();
        let (table, configured) = (self.table.clone(), self.config.table.clone());
        let session = open(self.session.as_mut())?;
        let (_, relation) = find(session, &table, &configured, timeout)?;
        let checkpoint = relation.name.checkpoint().quoted();
        if !relation.has_checkpoint {
            return Ok(Finding::warning(
                format!(
                    "there is no table {checkpoint}: after a crash the last events may be applied again (at-least-once)"
                ),
                "run `cxsink init-db`, which makes it",
            ));
        }
        // As the sink will do it, but for no row at all.
        let statements = [
            format!(
                "INSERT INTO {checkpoint} (spool_id, position, updated_at) SELECT '', 0, now() WHERE false ON CONFLICT (spool_id) DO NOTHING"
            ),
            format!(
                "UPDATE {checkpoint} SET position = 0, updated_at = now() WHERE spool_id = '' AND position = 0 AND false RETURNING 1"
            ),
        ];
        for sql in &statements {
            session.run("trying the checkpoint", timeout, |client| client.execute_typed(sql, &[])).map_err(
                |error| {
                    with_grant(error, session, &["SELECT", "INSERT", "UPDATE"], &format!("TABLE {checkpoint}"), timeout)
                },
            )?;
        }
        Ok(Finding::good(format!("{checkpoint} is there: each batch is applied exactly once")))
    }
}

/// Sequences that defaults of the table's columns call upon, and that this user may not use. (CASE, as the server may try the
/// conditions in any order, and asking for a table's privileges as a sequence is an error.) A sequence of an identity column
/// needs no privilege (PostgreSQL manual, CREATE TABLE, "GENERATED AS IDENTITY").
const SEQUENCES: &str = "\
SELECT DISTINCT s.oid::regclass::text
FROM pg_catalog.pg_attrdef AS d
JOIN pg_catalog.pg_depend AS p ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
JOIN pg_catalog.pg_class AS s ON p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = s.oid AND s.relkind = 'S'
WHERE d.adrelid = $1 AND NOT CASE s.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') END";

/// The privileges that this user lacks on a relation, of those in a list.
const LACKING: &str = "\
SELECT current_user::text, string_agg(p, ', ' ORDER BY p)
FROM unnest(string_to_array($1, ',')) AS p
WHERE NOT CASE WHEN p = 'USAGE' THEN pg_catalog.has_sequence_privilege($2, p) ELSE pg_catalog.has_table_privilege($2, p) END";

/// Puts the statement that helps into the hint of a refusal.
fn with_grant(error: Error, session: &mut Session, privileges: &[&str], on: &str, timeout: Duration) -> Error {
    if error.sqlstate() != Some("42501") {
        return error;
    }
    let (list, relation) = (privileges.join(","), on.split_once(' ').map_or(on, |(_, name)| name).to_owned());
    let asked = session.run("looking at the privileges", timeout, |client| {
        let rows = client.query_typed(LACKING, &[(&list, Type::TEXT), (&relation, Type::TEXT)])?;
        let row = rows.first().map(|row| Ok((row.try_get::<_, String>(0)?, row.try_get::<_, Option<String>>(1)?)));
        row.transpose()
    });
    match asked {
        Ok(Some((user, Some(lacking)))) => error.with_hint(format!("GRANT {lacking} ON {on} TO {}", quote(&user))),
        // Single columns are granted, or a schema is not: the general advice stays.
        _ => error,
    }
}

fn find(
    session: &mut Session,
    table: &TableName,
    configured: &str,
    timeout: Duration,
) -> Result<(u32, catalogue::Relation)> {
    let found = catalogue::find(session, table, timeout)?;
    found.map(|(oid, relation, _)| (oid, relation)).ok_or_else(|| catalogue::no_table(configured))
}

/// The server process of a transaction that has just begun: a pooler does not take it away before the end.
fn hold_backend(session: &mut Session, timeout: Duration) -> Result<i32> {
    session.run("beginning a transaction", timeout, |client| client.batch_execute("BEGIN"))?;
    session.backend_pid(timeout)
}

fn pooler(mode: &str) -> String {
    let sink = "the sink's statements are transactions of their own and leave nothing behind";
    match mode {
        "unknown" => format!("a pooler, in a mode that could not be found out; {sink}"),
        mode => format!("a pooler in {mode} mode; {sink}"),
    }
}

fn no_tls() -> Finding {
    Finding::warning(
        "none: rows and the login travel in the clear",
        "turn on `ssl` at the server, and add sslmode=verify-full to destination.url",
    )
}

/// What several hosts come to: one that works is enough, but all should.
fn any(outcomes: Vec<Result<String>>) -> Result<Finding> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(message) => good.push(message),
            Err(error) => bad.push(error),
        }
    }
    match (good.is_empty(), bad.first()) {
        (_, None) => Ok(Finding::good(good.join("; "))),
        (true, Some(first)) if bad.len() == 1 => Err(first.clone()),
        (true, Some(first)) => {
            let all: Vec<String> = bad.iter().map(ToString::to_string).collect();
            let error = Error::new(first.kind(), all.join("; "));
            Err(match first.hint() {
                Some(hint) => error.with_hint(hint),
                None => error,
            })
        }
        (false, Some(first)) => {
            let all: Vec<String> = good.into_iter().chain(bad.iter().map(ToString::to_string)).collect();
            let hint = first.hint().unwrap_or("the sink uses the others");
            Ok(Finding::warning(all.join("; "), hint))
        }
    }
}

/// The addresses of a host, in the time that there is: a name resolution cannot be interrupted.
fn addresses(host: &Host, timeout: Duration) -> Result<Vec<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    let resolved = host.clone();
    let resolve = move || drop(sender.send(connect::addresses_of(&resolved)));
    let spawned = spawn::spawn("cxsink-resolve", resolve);
    spawned.map_err(|error| Error::new(ErrorKind::Connect, format!("no thread to look names up: {error}")))?;
    let found = receiver.recv_timeout(timeout).map_err(|_| {
        Error::new(ErrorKind::Connect, format!("the name {host} cannot be resolved: no answer within {timeout:?}"))
            .with_hint("check the host in destination.url, and the network's DNS")
    })??;
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, host.port)).collect())
}

/// Whether something takes connections at one of the host's addresses.
fn reach(host: &Host, timeout: Duration) -> Result<String> {
    let failed = |place: &dyn Display, error: &std::io::Error| {
        errors::from_io(error).while_doing(format_args!("connecting to PostgreSQL at {place}"))
    };
    #[cfg(unix)]
    if let Address::Unix(_) = &host.address {
        let connected = std::os::unix::net::UnixStream::connect(host.socket_path());
        return connected.map(|_| host.to_string()).map_err(|error| failed(host, &error));
    }
    let addresses = addresses(host, timeout)?;
    let until = Instant::now() + timeout;
    let mut last = None;
    for (tried, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(_) => return Ok(address.to_string()),
            Err(error) => last = Some(failed(address, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::Connect, format!("{host} has no address"))))
}
