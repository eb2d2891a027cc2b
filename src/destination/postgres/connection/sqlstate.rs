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

/// Whether the server may refuse a statement with this code for the content of a row: a trial shows whether it does. The rest is about
/// the server, whatever the row: connections, resources, operators, its system, its own errors; locks of others (55P03, 55006); and a
/// transaction that is in doubt (40003).
pub(super) fn may_be_row(sqlstate: &str) -> bool {
    !matches!(sqlstate.get(..2), None | Some("08" | "53" | "57" | "58" | "XX"))
        && !matches!(sqlstate, "40003" | "55006" | "55P03")
}

pub(super) fn hint(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        UNDEFINED_TABLE => "run `cxsink init-db` or call init_db, or set destination.table to an existing table",
        "3F000" => "create the schema, or set destination.table to a table in an existing one",
        "42703" => {
            "compare the table with `cxsink init-db --print` or init_db_sql: it has other columns than the mapping"
        }
        "42P10" => "create a unique index on exactly the columns of the conflict key",
        INSUFFICIENT_PRIVILEGE => "grant SELECT, INSERT and UPDATE on the table and on cxsink_checkpoint to this user",
        "28P01" | "28000" => {
            "check user and password (in destination.url, or DB_USER and DB_PASSWORD), and the server's pg_hba.conf"
        }
        "3D000" => "create the database, or correct its name in destination.url",
        READ_ONLY => READ_ONLY_HINT,
        "2200H" => "raise the limit of the sequence behind the column's default: ALTER SEQUENCE … AS bigint",
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

    /// Every code of PostgreSQL's table (src/backend/utils/errcodes.txt) that reports an error, by its class.
    const CODES: [(&str, &str); 35] = [
        ("03", "000"),
        ("08", "000 003 006 001 004 007 P01"),
        ("09", "000"),
        ("0A", "000"),
        ("0B", "000"),
        ("0F", "000 001"),
        ("0L", "000 P01"),
        ("0P", "000"),
        ("0Z", "000 002"),
        ("20", "000"),
        ("21", "000"),
        (
            "22",
            "000 02E 021 008 012 005 00B 022 015 01E 014 016 01F 01G 018 007 019 00D 025 P06 010 023 013 01B 01W 01X 02H 02G 009 00C \
             00G 004 002 003 00H 026 001 011 027 024 00F P01 P02 P03 P04 P05 00L 00M 00N 00S 00T 030 031 032 033 034 035 036 037 038 \
             039 03A 03B 03C 03D 03E 03F 03G",
        ),
        ("23", "000 001 502 503 505 514 P01"),
        ("24", "000"),
        ("25", "000 001 002 008 003 004 005 006 007 P01 P02 P03"),
        ("26", "000"),
        ("27", "000"),
        ("28", "000 P01"),
        ("2B", "000 P01"),
        ("2D", "000"),
        ("2F", "000 005 002 003 004"),
        ("34", "000"),
        ("38", "000 001 002 003 004"),
        ("39", "000 001 004 P01 P02 P03"),
        ("3B", "000 001"),
        ("3D", "000"),
        ("3F", "000"),
        ("40", "000 002 001 003 P01"),
        (
            "42",
            "000 601 501 846 803 P20 P19 830 602 622 939 804 P18 P21 P22 809 8C9 703 883 P01 P02 704 701 P03 P04 723 P05 P06 P07 712 \
             710 702 725 P08 P09 P10 611 P11 P12 P13 P14 P15 P16 P17",
        ),
        ("44", "000"),
        ("53", "000 100 200 300 400"),
        ("54", "000 001 011 023"),
        ("55", "000 006 P02 P03 P04"),
        ("57", "000 014 P01 P02 P03 P04 P05"),
        ("58", "000 030 P01 P02"),
    ];
    /// Classes of extensions, of languages, and none at all: RAISE takes any five digits and letters.
    const OTHERS: [&str; 16] = [
        "72000", "F0000", "F0001", "HV000", "HV00N", "P0000", "P0001", "P0002", "P0003", "P0004", "45000", "45035",
        "00001", "ZZZZZ", "2F00X", "99999",
    ];

    #[test]
    fn a_row_may_be_refused_with_any_code_but_those_of_the_server() {
        let listed =
            CODES.iter().flat_map(|(class, rest)| rest.split_whitespace().map(move |rest| format!("{class}{rest}")));
        let codes: Vec<String> = listed.chain(OTHERS.map(Into::into)).collect();
        assert!(codes.len() > 220 && codes.iter().all(|code| code.len() == 5), "{codes:?}");
        for code in codes {
            let is_of_server = matches!(&code[..2], "08" | "53" | "57" | "58");
            let is_of_others = ["40003", "55006", "55P03"].contains(&code.as_str());
            assert_eq!(may_be_row(&code), !is_of_server && !is_of_others, "{code}");
            let (class, _) = classify(&code);
            assert!(class != Class::BadRow || may_be_row(&code), "{code}: what is bisected at once may be a row");
            assert_ne!(class, Class::Permanent, "{code}: no code ends the sink");
        }
        for code in ["XX000", "XX001", "XX002", "", "2"] {
            assert!(!may_be_row(code), "{code}");
        }
    }
}
