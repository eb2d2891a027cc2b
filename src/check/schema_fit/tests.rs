use super::mismatches;
use crate::config::{Config, FromEvent, MappingSource, SchemaConfig, ValueFormat};
use crate::rows::schema::Schema;
use crate::rows::{Column, ColumnType, HISTORY_IDENTITY, OtherType, Plan, Table, TextForm};

const KEY: ColumnType = ColumnType::Text { chars_max: Some(9) };

fn column(name: &str, column_type: ColumnType, not_null: bool) -> Column {
    Column { not_null, ..Column::of(name, column_type) }
}

fn other(form: TextForm) -> ColumnType {
    ColumnType::Other(OtherType { sql_name: "other".into(), form }.into())
}

/// The warnings for a table with a column besides the key, and for its history, if it has one.
fn warnings_of(source: MappingSource, c: Column, history: Option<Table>, schema: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.json");
    std::fs::write(&file, schema).unwrap();
    let schema = Schema::load(&SchemaConfig { file: Some(file), ..SchemaConfig::default() }, 1000).unwrap();
    let mut config = Config::default();
    config.mapping.columns = vec![("k".into(), "/k".into()), ("c".into(), source)];
    config.mapping.key = vec!["k".into()];
    config.mapping.update = None;
    let history = history.map(Box::new);
    let table = Table { history, ..Table::of("t", vec![column("k", KEY, true), c], &["k"]) };
    mismatches(&Plan::new(&config, &table).unwrap(), &schema).join("; ")
}

/// The warnings for a column that is filled from `/p` of events that this schema describes.
fn warnings(column_type: ColumnType, not_null: bool, schema: &str) -> String {
    warnings_of("/p".into(), column("c", column_type, not_null), None, schema)
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

/// What is said of a column that is filled from `/p` and then `/q`, of which the schema says this.
fn of_two(source: FromEvent, c: Column, p: &str, q: &str, required: &str) -> String {
    let schema = format!(
        r#"{{"properties":{{"k":{{"type":"string","maxLength":9}},"p":{p},"q":{q}}},"required":{required},"additionalProperties":false}}"#
    );
    warnings_of(source.into(), c, None, &schema)
}

#[test]
fn of_several_pointers_each_is_judged_up_to_the_first_that_is_always_there() {
    let either = || FromEvent::at("/p").or("/q");
    let text = |not_null| column("c", ColumnType::Text { chars_max: Some(4) }, not_null);
    let (short, long, none) = (r#"{"type":"string","maxLength":4}"#, r#"{"type":"string","maxLength":5}"#, "false");
    let (k, kp, kq) = (r#"["k"]"#, r#"["k","p"]"#, r#"["k","q"]"#);
    let check = |not_null, p, q, required, expected: &str| {
        says(&of_two(either(), text(not_null), p, q, required), expected);
    };
    check(false, short, short, k, "");
    check(false, short, long, k, "/q may have 5 characters, and column c takes 4 characters");
    check(false, long, short, k, "/p may have 5 characters");
    check(false, short, long, kp, "");
    check(true, short, short, k, "/p and /q may be missing or null, and column c needs a value");
    check(true, short, short, kq, "");
    check(true, short, r#"{"type":["string","null"],"maxLength":4}"#, kq, "/p and /q may be missing or null");
    check(true, short, r##"{"$ref":"#/properties/k"}"##, k, "");
    let closed =
        r#"{"properties":{"k":{"type":"string","maxLength":9}},"required":["k"],"additionalProperties":false}"#;
    let of_none = |source: FromEvent, not_null| warnings_of(source.into(), text(not_null), None, closed);
    says(&of_none(either(), false), "the schema allows no /p and /q: column c is always null");
    says(&of_none(either(), true), "the schema allows no /p and /q, and column c needs a value");
    says(
        &of_none(either().or_default("none"), true),
        "the schema allows no /p and /q: column c always has its default",
    );
    check(true, none, short, kq, "");
}

#[test]
fn a_default_fills_a_column_that_needs_a_value() {
    let text = column("c", ColumnType::Text { chars_max: None }, true);
    let of = |source: FromEvent| {
        warnings_of(source.into(), text.clone(), None, &schema(r#"{"type":["string","null"]}"#, r#""required":["k"]"#))
    };
    says(&of(FromEvent::at("/p").or_default("none")), "");
    says(&of(FromEvent::at("/p").trimmed()), "/p may be missing or null, and column c needs a value");
}

#[test]
fn a_value_is_judged_as_its_format_reads_it() {
    let check = |format, column_type: ColumnType, property: &str, expected: &str| {
        let source = FromEvent::at("/p").in_format(format);
        let schema = schema(property, r#""required":["k"]"#);
        says(&warnings_of(source.into(), column("c", column_type, false), None, &schema), expected);
    };
    let number = r#"{"type":["number","null"]}"#;
    let time = r#"{"type":"string","format":"date-time"}"#;
    check(ValueFormat::EpochMs, ColumnType::TimestampTz, number, "");
    check(
        ValueFormat::EpochMs,
        ColumnType::TimestampTz,
        time,
        "/p is not a number, and column c takes times as numbers (epoch_ms)",
    );
    check(ValueFormat::EpochS, ColumnType::Date, r#"{"type":"integer"}"#, "");
    let bytes = || other(TextForm::Bytes);
    check(ValueFormat::Hex, bytes(), r#"{"type":"string"}"#, "");
    check(ValueFormat::Hex, bytes(), number, "/p is not a text, and column c takes bytes in hex");
    says(&warnings(bytes(), false, &schema(number, r#""required":["k"]"#)), "bytes in base64");
}

#[test]
fn a_text_that_is_cut_to_its_column_is_never_too_long() {
    let of = |source: FromEvent| {
        let c = column("c", ColumnType::Text { chars_max: Some(4) }, false);
        warnings_of(source.into(), c, None, &schema(r#"{"type":"string"}"#, r#""required":["k"]"#))
    };
    says(&of(FromEvent::at("/p").truncated()), "");
    says(&of(FromEvent::at("/p").trimmed()), "/p may have any length, and column c takes 4 characters");
}

#[test]
fn the_texts_of_the_schema_must_be_labels_of_the_enum() {
    let labels = |labels: &[&str]| other(TextForm::Label(labels.iter().map(|&label| label.into()).collect()));
    let check = |source: FromEvent, column_type, property: &str, expected: &str| {
        let schema = schema(property, r#""required":["k"]"#);
        says(&warnings_of(source.into(), column("c", column_type, false), None, &schema), expected);
    };
    let p = || FromEvent::at("/p");
    check(p(), labels(&["call", "chat"]), r#"{"enum":["call","chat",null]}"#, "");
    check(p(), labels(&["call"]), r#"{"enum":["call","chat"]}"#, "/p may be \"chat\", and column c takes call");
    check(p(), labels(&["1", "2"]), r#"{"enum":[1,2]}"#, "");
    check(p(), labels(&["call"]), r#"{"const":" call "}"#, "/p may be \" call \"");
    check(p().trimmed(), labels(&["call"]), r#"{"const":" call "}"#, "");
    check(p(), labels(&["call"]), r#"{"type":"string"}"#, "/p may be any text, and column c takes call");
    check(p(), labels(&["true"]), r#"{"type":"boolean"}"#, "");
    let many: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    check(p(), other(TextForm::Label(many)), r#"{"const":"x"}"#, "takes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 … (12 labels)");
}

#[test]
fn a_value_that_cannot_be_an_array_or_pairs_is_a_warning() {
    let check = |form, property: &str, expected: &str| {
        says(&warnings(other(form), false, &schema(property, r#""required":["k"]"#)), expected);
    };
    let array = || TextForm::Array { element: ColumnType::Int4, delimiter: ',' };
    check(array(), r#"{"type":"array"}"#, "");
    check(array(), r#"{"type":"string"}"#, "");
    check(array(), r#"{"type":"integer"}"#, "/p is not an array, and column c takes arrays");
    check(TextForm::Pairs, r#"{"type":"string"}"#, "");
    check(TextForm::Pairs, r#"{"type":"object"}"#, "/p is not a text, and column c takes the text of an hstore");
    check(TextForm::Any, r#"{"type":"object"}"#, "");
}

/// What is null has no members.
#[test]
fn a_member_below_one_that_may_be_null_may_be_missing() {
    let check = |parent: &str, expected: &str| {
        let schema = format!(
            r#"{{"properties":{{"k":{{"type":"string","maxLength":9}},"o":{{"type":{parent},"properties":{{"p":{{"type":"string"}}}},"required":["p"]}}}},"required":["k","o"]}}"#
        );
        let c = column("c", ColumnType::Text { chars_max: None }, true);
        says(&warnings_of("/o/p".into(), c, None, &schema), expected);
    };
    check(r#""object""#, "");
    check(r#"["object","null"]"#, "/o/p may be missing or null, and column c needs a value");
}

/// They are converted for the column when the plan is made.
#[test]
fn a_constant_needs_no_schema() {
    let required = column("c", ColumnType::Text { chars_max: Some(4) }, true);
    let closed =
        r#"{"properties":{"k":{"type":"string","maxLength":9}},"required":["k"],"additionalProperties":false}"#;
    says(&warnings_of(MappingSource::Constant("acme".into()), required, None, closed), "");
    says(&warnings_of(MappingSource::Offset, column("c", ColumnType::Int8, true), None, closed), "");
}

#[test]
fn what_no_column_takes_may_be_nothing_or_long() {
    let jsonb = || column("c", ColumnType::Jsonb, true);
    let rest = |c, schema: &str| warnings_of(MappingSource::Rest, c, None, schema);
    let one = r#"{"properties":{"k":{"type":"string","maxLength":9}},"required":["k","attributes"]}"#;
    says(&rest(jsonb(), one), "an event may have no other members, and column c needs a value");
    says(&rest(column("c", ColumnType::Jsonb, false), one), "");
    says(&rest(jsonb(), &one.replace("attributes", "z")), "");
    let short = column("c", ColumnType::Text { chars_max: Some(4) }, false);
    says(&rest(short, one), "the other members may have any length, and column c takes 4 characters");
}

#[test]
fn a_column_of_the_history_is_judged_by_its_own_type() {
    let of = |k: ColumnType, not_null| {
        let origins = [
            column("received_at", ColumnType::TimestampTz, true),
            column("spool_offset", ColumnType::Int8, true),
            column("spool_id", ColumnType::Text { chars_max: None }, true),
        ];
        let columns = [vec![column("k", k, true), column("c", ColumnType::Int4, not_null)], origins.into()].concat();
        let schema = schema(r#"{"type":"integer","maximum":40000,"minimum":0}"#, r#""required":["k"]"#);
        let c = column("c", ColumnType::Int4, false);
        warnings_of("/p".into(), c, Some(Table::of("h", columns, &HISTORY_IDENTITY)), &schema)
    };
    says(&of(KEY, false), "");
    let narrow = ColumnType::Text { chars_max: Some(8) };
    says(&of(narrow, false), "/k may have 9 characters, and column h.k takes 8 characters");
    says(&of(KEY, true), "/p may be missing or null, and column h.c needs a value");
}
