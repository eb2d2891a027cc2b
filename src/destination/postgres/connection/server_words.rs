//! The words for an error that the server reported.
//!
//! Its message may hold values of a row: `invalid input syntax for type integer: "12x"` does, and a trigger's RAISE can hold any text
//! under any SQLSTATE. So an error of a statement gets a message of our own. The server's is shown where it can hold names only: while
//! connecting, and from those of the server's source files whose messages of a class are about names, outside of every function. `DETAIL`,
//! `HINT` and `CONTEXT` are never shown.

use postgres::error::DbError;

use super::sqlstate;
use crate::error::foreign_text::{NAME_CHARS_MAX, one_line};

/// How much of a server's message is shown.
const MESSAGE_CHARS_MAX: usize = 500;

/// The time at which an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the first statement.
    Connecting,
    /// In a statement, which may hold rows and run anybody's functions.
    Statement,
}

/// The classes whose messages, from [`FILES_OF_NAMES`], hold names and settings only.
const CLASSES_OF_NAMES: [&str; 10] = ["0A", "25", "28", "3D", "3F", "42", "44", "53", "55", "57"];

/// Source files of PostgreSQL that report errors about names: privileges, parsing, planning, execution, cancelling, read-only
/// transactions, stored files, cached plans. A function cannot forge the name.
const FILES_OF_NAMES: [&str; 14] = [
    "aclchk.c",
    "execMain.c",
    "fd.c",
    "md.c",
    "namespace.c",
    "parse_clause.c",
    "parse_relation.c",
    "parse_target.c",
    "plancache.c",
    "plancat.c",
    "postgres.c",
    "rewriteHandler.c",
    "utility.c",
    "proc.c",
];

/// Source files of PostgreSQL that check constraints, also for a statement inside a function.
const FILES_OF_CONSTRAINTS: [&str; 8] = [
    "execMain.c",
    "execIndexing.c",
    "execPartition.c",
    "execExprInterp.c",
    "domains.c",
    "nbtinsert.c",
    "ri_triggers.c",
    "tablecmds.c",
];

/// The message of `error`, with its SQLSTATE and the names of what it is about.
pub(super) fn message(error: &DbError, phase: Phase) -> String {
    let code = one_line(error.code().code(), 5);
    let mut message = match phase {
        Phase::Connecting => shown(error),
        Phase::Statement if is_about_names(error) => shown(error),
        Phase::Statement if is_without_partition(error) => "no partition of the table takes the row".into(),
        Phase::Statement => own_message(&code).to_owned(),
    };
    message.extend([" (SQLSTATE ", &*code]);
    if names_are_the_servers(error) {
        let names = [
            ("table", error.table()),
            ("column", error.column()),
            ("type", error.datatype()),
            ("constraint", error.constraint()),
        ];
        for (label, name) in names {
            if let Some(name) = name {
                message.extend([", ", label, " ", &*one_line(name, NAME_CHARS_MAX)]);
            }
        }
    }
    message.push(')');
    message
}

/// The hint. A function or a policy may refuse a row with any code, for a reason of its own.
pub(super) fn hint(error: &DbError) -> Option<&'static str> {
    if is_without_partition(error) {
        return Some("create the partition, or a default partition");
    }
    let is_about_row = !is_outside_functions(error) || error.routine() == Some("ExecWithCheckOptions");
    if is_about_row { None } else { sqlstate::hint(error.code().code()) }
}

/// The only check violation with a table and without a constraint.
fn is_without_partition(error: &DbError) -> bool {
    error.code().code() == "23514"
        && error.constraint().is_none()
        && error.table().is_some()
        && names_are_the_servers(error)
}

/// Whether the names of table, column and constraint are the server's: those that a function raises can hold values as well.
pub(super) fn names_are_the_servers(error: &DbError) -> bool {
    is_outside_functions(error) || error.file().is_some_and(|file| FILES_OF_CONSTRAINTS.contains(&file))
}

fn is_about_names(error: &DbError) -> bool {
    is_outside_functions(error)
        && error.code().code().get(..2).is_some_and(|class| CLASSES_OF_NAMES.contains(&class))
        && error.file().is_some_and(|file| FILES_OF_NAMES.contains(&file))
}

/// Every procedural language says where in a function it was.
fn is_outside_functions(error: &DbError) -> bool {
    error.where_().is_none() && error.file() != Some("pl_exec.c")
}

fn shown(error: &DbError) -> String {
    one_line(error.message(), MESSAGE_CHARS_MAX).into_owned()
}

/// A message in place of the server's.
fn own_message(sqlstate: &str) -> &'static str {
    match sqlstate {
        "21000" => "the batch has the same key twice",
        "2200H" => "a sequence has no more numbers",
        "22001" => "a text is too long for its column",
        "22003" => "a number is out of its column's range",
        "22007" | "22008" | "22009" => "a date or time is not valid",
        "22021" | "22P05" => "a text has a character that the database cannot store",
        "22023" | "22P02" | "22P03" => "a value is not valid for its column's type",
        "22030" | "22032" => "a JSON document is not valid",
        "23502" => "a NOT NULL column has no value",
        "23503" => "the row that a foreign key refers to does not exist",
        "23505" => "another row already has this value in a unique index",
        "23514" => "the row violates a check constraint",
        "23P01" => "the row violates an exclusion constraint",
        "25006" => "the server is read-only",
        "25P03" => "the transaction was idle for too long",
        "26000" => "the prepared statement does not exist",
        "40001" => "another transaction changed the same rows",
        "40P01" => "another transaction waits for this one, and this one for it",
        "42501" => "this user lacks a privilege, or a policy refuses the row",
        "42703" => "a column does not exist",
        "42P01" => "a table does not exist",
        "42P10" => "no unique index is on exactly the columns of the conflict key",
        "53100" => "the server's disk is full",
        "53200" => "the server is out of memory",
        "53300" => "the server has too many connections",
        "54000" | "54001" => "a value is too large or too deeply nested for the database",
        "55P03" => "another transaction holds a lock",
        "57014" => "the server cancelled the statement",
        "57P01" | "57P02" => "the server is shutting down",
        "57P03" => "the server is starting",
        "57P04" => "the database was dropped",
        "P0001" => "a trigger or function raised an exception",
        "XX000" | "XX001" | "XX002" => "the server reports an internal error; see its log",
        _ => match sqlstate.get(..2) {
            Some("08") => "the server reports a problem with the connection; see its log",
            Some("0A") => "the table does not support this statement; see the server's log",
            Some("22") => "a value is not valid for its column",
            Some("23") => "the row violates a constraint",
            Some("28") => "the server refuses this user; see its log",
            Some("40") => "the server rolled the transaction back",
            Some("42") => "the statement does not fit the table; see the server's log",
            Some("53") => "the server is out of resources; see its log",
            Some("P0") => "a trigger or function raised an error",
            _ => "the server reports an error; see its log",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sqlstate_has_words() {
        for code in ["22P02", "23505", "42501", "42P01", "P0001", "P0004", "XX000", "ZZZZZ", "", "2"] {
            assert!(!own_message(code).is_empty(), "{code}");
        }
    }
}
