//! The privileges for the table, its sequences and the checkpoint table.

use std::sync::Arc;
use std::time::Duration;

use postgres::types::Type;

use crate::destination::checkpoint as shared;
use crate::destination::names::{TableName, quote};
use crate::destination::postgres::batch::Upserts;
use crate::destination::postgres::catalogue::{self, Found, Relation};
use crate::destination::postgres::checkpoint::or_without_owner;
use crate::destination::postgres::connection::{INSUFFICIENT_PRIVILEGE, PgResult, Session};
use crate::destination::postgres::server::Server;
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::{HISTORY_IDENTITY, Plan};

/// Of the history. (The columns of ON CONFLICT are read.)
const APPEND: [&str; 2] = ["SELECT", "INSERT"];
const WRITE: [&str; 3] = ["SELECT", "INSERT", "UPDATE"];

/// Runs the upsert, as the sink will, with no rows: the server checks every privilege before it looks for rows.
pub(super) fn upsert(server: &mut Server, table: &TableName, plan: &Arc<Plan>) -> Result<Finding> {
    let timeout = server.timeout();
    let Found { oid, relation, .. } = find(server, table)?;
    let session = server.session()?;
    let name = relation.name.quoted();
    Upserts::new(plan, &relation, "check")
        .try_empty(session, plan, timeout)
        .map_err(|error| with_grant(error, session, &WRITE, &format!("TABLE {name}"), timeout))?;
    check_sequences(session, oid, &name, timeout)?;
    Ok(Finding::good(format!("the upsert into {name} is allowed")))
}

/// Runs the upsert together with the insert into the history, with no rows. The upsert alone is allowed.
pub(super) fn history(
    server: &mut Server,
    table: &TableName,
    history: &TableName,
    plan: &Arc<Plan>,
) -> Result<Finding> {
    let timeout = server.timeout();
    let Found { oid, relation: Relation { name: history, .. }, .. } = find(server, history)?;
    let relation = Relation { history: Some(history.clone()), ..find(server, table)?.relation };
    let (session, name) = (server.session()?, history.quoted());
    Upserts::new(plan, &relation, "check")
        .try_empty(session, plan, timeout)
        .map_err(|error| with_grant(error, session, &APPEND, &format!("TABLE {name}"), timeout))?;
    check_sequences(session, oid, &name, timeout)?;
    let finding = format!("the insert into {name} is allowed");
    let knows_events = plan.history.as_ref().is_some_and(|history| !history.identity.is_empty());
    Ok(if knows_events || relation.has_checkpoint {
        Finding::good(finding)
    } else {
        let identity = HISTORY_IDENTITY.join(", ");
        Finding::warning(
            format!("{finding}; but after a crash it may have the last events twice, for want of a unique index"),
            format!(
                "CREATE UNIQUE INDEX ON {name} ({identity}); or run `cxsink init-db` (init_db), which creates cxsink_checkpoint"
            ),
        )
    })
}

fn check_sequences(session: &mut Session, oid: u32, name: &str, timeout: Duration) -> Result<()> {
    let Some(sequence) = forbidden_sequence(session, oid, timeout)? else { return Ok(()) };
    let message = format!("permission denied for sequence {sequence} (SQLSTATE {INSUFFICIENT_PRIVILEGE})");
    let error = Error::new(ErrorKind::Database, message)
        .with_class(Class::Mismatch)
        .with_sqlstate(INSUFFICIENT_PRIVILEGE)
        .while_doing(format_args!("filling the default of a column of {name}"));
    Err(with_grant(error, session, &["USAGE"], &format!("SEQUENCE {sequence}"), timeout))
}

/// Runs the checkpoint's statements, as the sink will, for no row.
pub(super) fn checkpoint(server: &mut Server, table: &TableName) -> Result<Finding> {
    let timeout = server.timeout();
    let relation = find(server, table)?.relation;
    let checkpoint = relation.name.checkpoint().quoted();
    if relation.has_checkpoint {
        let session = server.session()?;
        let statements = [
            format!(
                "INSERT INTO {checkpoint} (spool_id, position, owner, updated_at) SELECT '', 0, '', now() WHERE false ON CONFLICT (spool_id) DO NOTHING"
            ),
            format!(
                "UPDATE {checkpoint} SET position = 0, owner = '', updated_at = now() \
                 WHERE spool_id = '' AND position = 0 AND owner = '' AND false RETURNING 1"
            ),
        ];
        for sql in &statements {
            session
                .run("trying the checkpoint", timeout, |client| client.execute_typed(sql, &[]))
                .map_err(|error| with_grant(error, session, &WRITE, &format!("TABLE {checkpoint}"), timeout))
                .map_err(|error| or_without_owner(error, &checkpoint))?;
        }
    }
    Ok(shared::finding(&checkpoint, relation.has_checkpoint))
}

pub(super) fn find(server: &mut Server, table: &TableName) -> Result<Found> {
    let timeout = server.timeout();
    let found = catalogue::find(server.ensure_session()?, table, timeout)?;
    found.ok_or_else(|| catalogue::no_table(&server.config().table))
}

/// The sequences that defaults of the table's columns use and this user must not. (CASE, because the server may evaluate
/// conditions in any order, and a table's privileges as a sequence are an error.) An identity column's sequence needs no
/// privilege (PostgreSQL manual, CREATE TABLE, "GENERATED AS IDENTITY").
const FORBIDDEN_SEQUENCES: &str = "\
SELECT DISTINCT s.oid::regclass::text
FROM pg_catalog.pg_attrdef AS d
JOIN pg_catalog.pg_depend AS p ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
JOIN pg_catalog.pg_class AS s ON p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = s.oid AND s.relkind = 'S'
WHERE d.adrelid = $1 AND NOT CASE s.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') END";

fn forbidden_sequence(session: &mut Session, table: u32, timeout: Duration) -> Result<Option<String>> {
    let sequences = session.run("looking up the table's sequences", timeout, |client| {
        let rows = client.query_typed(FORBIDDEN_SEQUENCES, &[(&table, Type::OID)])?;
        rows.iter().map(|row| row.try_get(0)).collect::<PgResult<Vec<String>>>()
    })?;
    Ok(sequences.into_iter().next())
}

/// The privileges of a list that this user lacks on a relation.
const LACKING: &str = "\
SELECT current_user::text, string_agg(p, ', ' ORDER BY p)
FROM unnest(string_to_array($1, ',')) AS p
WHERE NOT CASE WHEN p = 'USAGE' THEN pg_catalog.has_sequence_privilege($2, p) ELSE pg_catalog.has_table_privilege($2, p) END";

/// Makes the GRANT that helps the hint of a refusal.
fn with_grant(error: Error, session: &mut Session, privileges: &[&str], on: &str, timeout: Duration) -> Error {
    if error.sqlstate() != Some(INSUFFICIENT_PRIVILEGE) {
        return error;
    }
    let (list, relation) = (privileges.join(","), on.split_once(' ').map_or(on, |(_, name)| name).to_owned());
    let lacking = session.run("looking up the privileges", timeout, |client| {
        let rows = client.query_typed(LACKING, &[(&list, Type::TEXT), (&relation, Type::TEXT)])?;
        let row = rows.first().map(|row| Ok((row.try_get::<_, String>(0)?, row.try_get::<_, Option<String>>(1)?)));
        row.transpose()
    });
    match lacking {
        Ok(Some((user, Some(lacking)))) => error.with_hint(format!("GRANT {lacking} ON {on} TO {}", quote(&user))),
        // A privilege for single columns, or for the schema, is missing: the general hint stays.
        _ => error,
    }
}
