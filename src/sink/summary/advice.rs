//! What would accept the dead letters of other stages than the schema.

use crate::report::dead_letter::{DeadLetter, Stage};

/// What to do, as an imperative.
pub(super) fn advice(letter: &DeadLetter) -> String {
    let column = letter.column.as_deref();
    let constraint = letter.constraint.as_deref();
    match letter.stage {
        Stage::Message => {
            "correct [event] so that the message can be unwrapped, then replay (cxsink peek-stream shows how)".into()
        }
        Stage::Json if letter.reason.contains("stream.event_bytes_max") => {
            "raise stream.event_bytes_max, then replay".into()
        }
        Stage::Json => "correct the source: no setting makes it JSON".into(),
        Stage::Schema => {
            "simplify the alternatives or patterns of the schema, which take more steps than an event has".into()
        }
        Stage::Guard => "export the event and report it: it ended the process twice while it was prepared".into(),
        Stage::Mapping => mapping(letter.violations.len(), column),
        Stage::Database => database(letter.sqlstate.as_deref().unwrap_or_default(), column, constraint),
    }
}

fn mapping(violations: usize, column: Option<&str>) -> String {
    match column {
        Some(column) if violations == 1 => {
            format!("change column {column} or its source in mapping.columns, then replay")
        }
        _ => "change the column or its source in mapping.columns, then replay".into(),
    }
}

/// By SQLSTATE: PostgreSQL manual, appendix A.
fn database(sqlstate: &str, column: Option<&str>, constraint: Option<&str>) -> String {
    let column = column.map_or_else(|| "the column".to_owned(), |column| format!("column {column}"));
    let constraint =
        constraint.map_or_else(|| "the constraint".to_owned(), |constraint| format!("constraint {constraint}"));
    let advice = match sqlstate {
        "22001" => format!("lengthen {column}"),
        "22003" => format!("widen {column}"),
        "23502" => format!("allow NULL in {column}, or give it a source in mapping.columns"),
        "23503" => format!("add the row that {constraint} refers to"),
        "23505" => format!("drop {constraint}, or remove the row that has this value"),
        "23514" => format!("loosen {constraint}"),
        "P0001" => "change the trigger that refuses it".into(),
        _ if sqlstate.starts_with("22") => format!("change the type of {column}"),
        _ => "change the table".into(),
    };
    format!("{advice}, then replay")
}
