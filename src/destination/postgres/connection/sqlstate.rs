//! The meaning of each SQLSTATE to the sink: the table of failures in ARCHITECTURE.md.

use crate::error::{Class, ErrorKind};

/// `undefined_table`
pub(crate) const UNDEFINED_TABLE: &str = "42P01";
/// Undefined column.
pub(crate) const UNDEFINED_COLUMN: &str = "42703";
/// `insufficient_privilege`
pub(crate) const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// `wrong_object_type`
pub(crate) const WRONG_OBJECT_TYPE: &str = "42809";
/// `read_only_sql_transaction`: a standby, or a server in read-only mode.
pub(super) const READ_ONLY: &str = "25006";
/// `query_canceled`
pub(super) const QUERY_CANCELED: &str = "57014";

pub(super) const READ_ONLY_HINT: &str =
    "name all hosts in destination.url, separated by commas: this one may be a standby, and the sink finds the primary";

/// The class and the kind of an error with this SQLSTATE (PostgreSQL manual, appendix A).
///
/// An unknown code counts as transient: the batch stays spooled and is tried again, so that a surprise never turns good events
/// into dead letters.
pub(super) fn classify(sqlstate: &str) -> (Class, ErrorKind) {
    match sqlstate {
        "40001" | "40P01" | "55P03" => (Class::Conflict, ErrorKind::Database),
        // 54000: a value too large for its index; 54001: a document nested too deeply. Both depend on the row alone.
        // P0001: a trigger's RAISE, by which a table refuses a row in its own words.
        "21000" | "54000" | "54001" | "P0001" => (Class::BadRow, ErrorKind::Constraint),
        // The database was dropped.
        "57P04" => (Class::Mismatch, ErrorKind::Database),
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "22" | "23" => (Class::BadRow, ErrorKind::Constraint),
            // 0A: the plan needs something that this kind of table lacks, or its columns changed under a prepared statement.
            "42" | "28" | "3D" | "3F" | "0A" => (Class::Mismatch, ErrorKind::Database),
            "08" => (Class::Transient, ErrorKind::Connect),
            "57" if sqlstate.starts_with("57P") => (Class::Transient, ErrorKind::Connect),
            _ => (Class::Transient, ErrorKind::Database),
        },
    }
}

pub(super) fn hint(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        UNDEFINED_TABLE => "run `cxsink init-db`, or set destination.table to an existing table",
        "3F000" => "create the schema, or set destination.table to a table in an existing one",
        "42703" => "compare the table with `cxsink init-db --print`: it has other columns than the mapping",
        "42P10" => "create a unique index on exactly the columns of the conflict key",
        INSUFFICIENT_PRIVILEGE => "grant SELECT, INSERT and UPDATE on the table and on cxsink_checkpoint to this user",
        "28P01" | "28000" => {
            "check user and password (in destination.url, or DB_USER and DB_PASSWORD), and the server's pg_hba.conf"
        }
        "3D000" => "create the database, or correct its name in destination.url",
        READ_ONLY => READ_ONLY_HINT,
        "53300" => "raise max_connections, or close other connections",
        "53100" => "free disk space on the database server",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_of_failures_has_its_class() {
        use Class::{BadRow, Conflict, Mismatch, Transient};
        use ErrorKind::{Connect, Constraint, Database};
        let cases: [(Class, ErrorKind, &[&str]); 6] = [
            (Transient, Connect, &["08000", "08003", "08006", "08P01", "57P01", "57P02", "57P03", "57P05"]),
            (Transient, Database, &["57014", "53000", "53100", "53200", "53300", "25006"]),
            (Conflict, Database, &["40001", "40P01", "55P03"]),
            (
                BadRow,
                Constraint,
                &[
                    "22001", "22003", "22008", "22021", "22P02", "23502", "23503", "23505", "23514", "23P01", "21000",
                    "P0001",
                ],
            ),
            (
                Mismatch,
                Database,
                &["42P01", "42703", "42501", "42P10", "42601", "28000", "28P01", "3D000", "3F000", "0A000"],
            ),
            // Surprises keep the events.
            (Transient, Database, &["XX000", "58030", "55000", "40003", "25P02", "26000", "ZZZZZ", "", "2"]),
        ];
        for (class, kind, codes) in cases {
            for code in codes {
                assert_eq!(classify(code), (class, kind), "{code}");
            }
        }
    }
}
