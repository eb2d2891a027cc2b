//! Values that the schema allows and a column does not accept: each such event would become a dead letter.

use crate::rows::allows::{Allows, Values};
use crate::rows::schema::Schema;
use crate::rows::{ColumnSource, ColumnType, Plan, PlanColumn};

/// The assumed length of a text without a limit: that of the columns of CXone's own table for these events.
const CHARS_WITHOUT_LIMIT: u64 = 255;

/// One sentence for each column that may be too narrow.
pub(super) fn mismatches(plan: &Plan, schema: &Schema) -> Vec<String> {
    plan.row_columns().iter().filter_map(|column| mismatch(column, schema)).collect()
}

fn mismatch(column: &PlanColumn, schema: &Schema) -> Option<String> {
    let ColumnSource::Pointer(tokens) = &column.source else { return None };
    let name = &column.name;
    let pointer = tokens.iter().fold(String::new(), |pointer, token| format!("{pointer}/{token}"));
    let why = match schema.allows(tokens) {
        Allows::Unknown => return None,
        Allows::Nothing if column.required => {
            format!("the schema allows no {pointer}, and column {name} needs a value")
        }
        Allows::Nothing => format!("the schema allows no {pointer}: column {name} is always null"),
        Allows::Values(values) if column.required && !values.is_required => {
            format!("{pointer} may be missing or null, and column {name} needs a value")
        }
        Allows::Values(values) => format!(
            "{pointer} {}, and column {name} takes {}",
            excess(&column.column_type, &values)?,
            takes(&column.column_type)
        ),
    };
    Some(why)
}

/// The values that the schema allows and the column does not accept.
fn excess(column: &ColumnType, values: &Values) -> Option<String> {
    let is_number = values.may_be("number") || values.may_be("integer");
    let is_text = values.may_be("string");
    match column {
        ColumnType::Text { chars_max: Some(most) } if is_text => {
            let longest = values.chars_max.unwrap_or(CHARS_WITHOUT_LIMIT);
            (longest > u64::from(*most)).then(|| match values.chars_max {
                Some(longest) => format!("may have {longest} characters"),
                None => "may have any length".into(),
            })
        }
        ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8 | ColumnType::Numeric { .. } if is_number => {
            let most = integer_max(column)?;
            match values.magnitude_max {
                Some(magnitude) => (magnitude > most).then(|| format!("may be as large as {magnitude}")),
                None => (*column == ColumnType::Int2).then(|| "may be any number".into()),
            }
        }
        ColumnType::Int2
        | ColumnType::Int4
        | ColumnType::Int8
        | ColumnType::Float4
        | ColumnType::Float8
        | ColumnType::Numeric { .. } => (!is_number).then(|| "is not a number".into()),
        ColumnType::Bool => (!values.may_be("boolean")).then(|| "is neither true nor false".into()),
        ColumnType::TimestampTz => {
            (!values.has_format(&["date-time"])).then(|| "is not always a time (format date-time)".into())
        }
        ColumnType::Timestamp | ColumnType::Date => (!values.has_format(&["date-time", "date"]))
            .then(|| "is not always a time or a date (format date-time or date)".into()),
        ColumnType::Uuid => (!values.has_format(&["uuid"])).then(|| "is not always a UUID (format uuid)".into()),
        ColumnType::Text { .. } | ColumnType::Json | ColumnType::Jsonb | ColumnType::Other(_) => None,
    }
}

fn integer_max(column: &ColumnType) -> Option<f64> {
    match column {
        ColumnType::Int2 => Some(f64::from(i16::MAX)),
        ColumnType::Int4 => Some(f64::from(i32::MAX)),
        ColumnType::Int8 => Some(9_223_372_036_854_775_807.0),
        ColumnType::Numeric { precision_scale: Some((precision, scale)) } => {
            Some(10_f64.powi(i32::try_from(*precision).ok()?.saturating_sub(*scale)) - 1.0)
        }
        _ => None,
    }
}

fn takes(column: &ColumnType) -> String {
    match column {
        ColumnType::Text { chars_max: Some(most) } => format!("{most} characters"),
        ColumnType::Bool => "true or false".into(),
        ColumnType::TimestampTz | ColumnType::Timestamp => "times".into(),
        ColumnType::Date => "dates".into(),
        ColumnType::Uuid => "UUIDs".into(),
        _ => match integer_max(column) {
            Some(most) => format!("numbers up to {most}"),
            None => "numbers".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MappingConfig, SchemaConfig, UpdateMode};
    use crate::rows::{Column, Table};

    /// The warnings for a table with a column besides the key, filled from `/p` of events that this schema describes.
    fn warnings(column_type: ColumnType, not_null: bool, schema: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schema.json");
        std::fs::write(&file, schema).unwrap();
        let config = SchemaConfig { file: Some(file), ..SchemaConfig::default() };
        let schema = Schema::load(&config, 1000).unwrap();
        let column = |name, column_type, not_null| Column { not_null, ..Column::of(name, column_type) };
        let key = ColumnType::Text { chars_max: Some(9) };
        let table = Table::of("t", vec![column("k", key, true), column("c", column_type, not_null)], &["k"]);
        let mut mapping = MappingConfig::default();
        mapping.columns = vec![("k".into(), "/k".into()), ("c".into(), "/p".into())];
        mapping.key = vec!["k".into()];
        mapping.update = None;
        mismatches(&Plan::of(&mapping, UpdateMode::Always, &table).unwrap(), &schema).join("; ")
    }

    fn schema(property: &str, rest: &str) -> String {
        format!(r#"{{"properties":{{"k":{{"type":"string","maxLength":9}},"p":{property}}},{rest}}}"#)
    }

    #[track_caller]
    fn says(found: &str, expected: &str) {
        assert!(
            if expected.is_empty() { found.is_empty() } else { found.contains(expected) },
            "{found:?}, not {expected:?}"
        );
    }

    #[test]
    fn a_value_that_the_schema_allows_and_the_column_does_not_accept_is_a_warning() {
        let check = |column_type, property: &str, expected: &str| {
            says(&warnings(column_type, false, &schema(property, r#""required":["k"]"#)), expected);
        };
        let text = |chars_max| ColumnType::Text { chars_max };
        check(text(Some(20)), r#"{"type":"string"}"#, "/p may have any length, and column c takes 20 characters");
        check(text(Some(255)), r#"{"type":"string"}"#, "");
        check(
            text(Some(255)),
            r#"{"type":["string","null"],"maxLength":300}"#,
            "/p may have 300 characters, and column c takes 255",
        );
        check(text(Some(255)), r#"{"type":"string","maxLength":255}"#, "");
        check(text(None), r#"{"type":"string","maxLength":300}"#, "");
        check(text(Some(4)), r#"{"enum":["call","chat"]}"#, "");
        check(text(Some(4)), r#"{"enum":["call","callback"]}"#, "may have 8 characters");
        check(text(Some(4)), r#"{"type":"boolean"}"#, "");
        check(ColumnType::Int4, r#"{"type":["number","null"]}"#, "");
        check(ColumnType::Int2, r#"{"type":"integer"}"#, "may be any number, and column c takes numbers up to 32767");
        check(ColumnType::Int2, r#"{"type":"integer","minimum":0,"maximum":1000}"#, "");
        check(ColumnType::Int4, r#"{"type":"integer","minimum":-3000000000,"maximum":0}"#, "as large as 3000000000");
        check(ColumnType::Int8, r#"{"type":"string"}"#, "is not a number");
        check(
            ColumnType::Numeric { precision_scale: Some((5, 2)) },
            r#"{"type":"number","minimum":0,"maximum":1000}"#,
            "numbers up to 999",
        );
        check(ColumnType::Numeric { precision_scale: None }, r#"{"type":"number","minimum":0,"maximum":1e300}"#, "");
        check(ColumnType::Bool, r#"{"type":"string"}"#, "neither true nor false");
        check(ColumnType::TimestampTz, r#"{"type":"string"}"#, "not always a time");
        check(ColumnType::TimestampTz, r#"{"type":"string","format":"date-time"}"#, "");
        check(ColumnType::TimestampTz, r#"{"type":"string","format":"date"}"#, "not always a time");
        for column_type in [ColumnType::Timestamp, ColumnType::Date] {
            check(column_type.clone(), r#"{"type":"string"}"#, "not always a time or a date");
            check(column_type.clone(), r#"{"type":"string","format":"date-time"}"#, "");
            check(column_type, r#"{"type":"string","format":"date"}"#, "");
        }
        check(ColumnType::Uuid, r#"{"type":"string"}"#, "not always a UUID");
        check(ColumnType::Uuid, r#"{"type":"string","format":"uuid"}"#, "");
        check(ColumnType::Jsonb, r#"{"type":"string"}"#, "");
        check(text(Some(1)), r#"{"anyOf":[{"type":"string"}]}"#, "");
        check(text(Some(1)), r##"{"$ref":"#/properties/k"}"##, "");
    }

    #[test]
    fn a_required_column_whose_member_may_be_missing_is_a_warning() {
        let check = |not_null, schema: &str, expected: &str| {
            says(&warnings(ColumnType::Text { chars_max: None }, not_null, schema), expected);
        };
        let (one, both) = (r#""required":["k"]"#, r#""required":["k","p"]"#);
        let missing = "/p may be missing or null, and column c needs a value";
        check(false, &schema(r#"{"type":"string"}"#, one), "");
        check(true, &schema(r#"{"type":"string"}"#, one), missing);
        check(true, &schema(r#"{"type":["string","null"]}"#, both), missing);
        check(true, &schema(r#"{"type":"string"}"#, both), "");
        check(true, r#"{"required":["k"],"allOf":[{}]}"#, "");
        let closed = r#"{"properties":{"k":{"type":"string"}},"required":["k"],"additionalProperties":false}"#;
        check(false, closed, "the schema allows no /p: column c is always null");
        check(true, closed, "the schema allows no /p, and column c needs a value");
    }
}
