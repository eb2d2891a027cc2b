//! Sources of columns: what each reads from an event, and which column it fits.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::config::{Config, FromEvent, MappingSource, UpdateMode, ValueFormat};
use crate::rows::batch::{Arrival, Rows, Value};
use crate::rows::event::ParsedEvent;
use crate::rows::{Column, ColumnType, OtherType, Plan, Role, Table, TextForm, key_of, map_event};
use crate::time::timestamp::{format_days, format_micros};

const TEXT: ColumnType = ColumnType::Text { chars_max: None };

fn bytes() -> ColumnType {
    ColumnType::Other(Arc::new(OtherType { sql_name: "bytea".into(), form: TextForm::Bytes }))
}

/// The key `k` from `/k`, and a column `c`.
fn config(source: impl Into<MappingSource>) -> Config {
    let mut config = Config::default();
    config.stream.name = "calls".into();
    config.mapping.columns = vec![("k".into(), "/k".into()), ("c".into(), source.into())];
    config.mapping.key = vec!["k".into()];
    config.mapping.update = None;
    config
}

fn table(column_type: ColumnType) -> Table {
    Table::of("t", vec![Column::of("k", TEXT), Column::of("c", column_type)], &["k"])
}

/// In microseconds.
const RECEIVED_AT: i64 = 1_764_208_923_000_001;
const OFFSET: u64 = 1 << 40;

/// The value of column `c`, or the pointer and the reason.
fn mapped(plan: Plan, event: &str) -> Result<String, String> {
    let mut rows = Rows::new(Arc::new(plan));
    let arrival = Arrival { offset: OFFSET, received_at: RECEIVED_AT };
    map_event(&ParsedEvent::parse(event).unwrap(), arrival, &mut rows)
        .map_err(|error| format!("{}: {}", error.violations()[0].pointer, error.violations()[0].message))?;
    Ok(match rows.value(0, 1) {
        text @ Value::Text { .. } => rows.text_of(text).to_owned(),
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Micros(micros) => format_micros(micros),
        Value::Float(value) => value.to_string(),
        Value::Days(days) => format_days(days),
    })
}

#[track_caller]
fn check(source: impl Into<MappingSource>, column_type: ColumnType, event: &str, expected: Result<&str, &str>) {
    let event = event.replacen('{', r#"{"k":"k","#, 1).replace(",}", "}");
    let found = mapped(Plan::new(&config(source), &table(column_type)).unwrap(), &event);
    match (&found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{event}"),
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{event}: {found}, expected {expected}"),
        _ => panic!("{event}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn of_several_pointers_the_first_with_a_value_counts() {
    let source = || FromEvent::at("/a").or("/b/c").or("/d");
    check(source(), TEXT, r#"{"d":"4","b":{"c":"3"},"a":"1"}"#, Ok("1"));
    check(source(), TEXT, r#"{"a":null,"b":{"c":"3"},"d":"4"}"#, Ok("3"));
    check(source(), TEXT, r#"{"b":{"c":null},"d":""}"#, Ok(""));
    check(source(), TEXT, r#"{"b":7}"#, Ok("null"));
    check(source().or_default("none"), TEXT, r#"{"b":{}}"#, Ok("none"));
    check(source(), ColumnType::Int4, r#"{"a":null,"b":{"c":"x"}}"#, Err("/b/c: is text that is not a whole number"));
    check(source(), ColumnType::Numeric { precision_scale: None }, r#"{"b":{"c":1.10}}"#, Ok("1.10"));
}

#[test]
fn a_default_or_a_constant_has_the_type_of_its_column() {
    check(FromEvent::at("/a").or_default(7), ColumnType::Int4, "{}", Ok("7"));
    check(FromEvent::at("/a").or_default("7"), ColumnType::Int4, r#"{"a":null}"#, Ok("7"));
    check(FromEvent::at("/a").or_default(7), ColumnType::Int4, r#"{"a":8}"#, Ok("8"));
    check(FromEvent::at("/a").or_default(false), ColumnType::Bool, "{}", Ok("false"));
    check(
        FromEvent::at("/a").or_default(0).in_format(ValueFormat::EpochMs),
        ColumnType::TimestampTz,
        "{}",
        Ok("1970-01-01T00:00:00.000000"),
    );
    let constant = |json: Json| MappingSource::Constant(json);
    check(constant(json!("acme")), TEXT, r#"{"c":1}"#, Ok("acme"));
    check(constant(json!({"a": [1, true]})), ColumnType::Jsonb, "{}", Ok(r#"{"a":[1,true]}"#));
    check(constant(json!("2026-11-27")), ColumnType::Date, "{}", Ok("2026-11-27"));
    check(constant(json!(1.5)), ColumnType::Float8, "{}", Ok("1.5"));
}

#[test]
fn the_words_give_what_is_known_without_the_event() {
    check("stream", TEXT, "{}", Ok("calls"));
    check("offset", ColumnType::Int8, "{}", Ok("1099511627776"));
    check("offset", ColumnType::Numeric { precision_scale: None }, "{}", Ok("1099511627776"));
    check("received_at", ColumnType::TimestampTz, "{}", Ok("2025-11-27T02:02:03.000001"));
    check("received_at", ColumnType::Timestamp, "{}", Ok("2025-11-27T02:02:03.000001"));
    check("received_at", ColumnType::Date, "{}", Ok("2025-11-27"));
    let mut sqlite = table(TEXT);
    sqlite.has_times_as_text = true;
    let plan = Plan::new(&config("received_at"), &sqlite).unwrap();
    assert_eq!(mapped(plan, r#"{"k":"k"}"#).unwrap(), "2025-11-27T02:02:03.000001");
}

#[test]
fn formats_are_read_digit_for_digit() {
    use ColumnType::{Date, Timestamp, TimestampTz};
    let read = |format, column_type, value: &str, expected| {
        check(FromEvent::at("/c").in_format(format), column_type, &format!("{{\"c\":{value}}}"), expected);
    };
    let time = Ok("2025-11-27T02:02:03.456789");
    read(ValueFormat::EpochS, TimestampTz, "1764208923.456789", time);
    read(ValueFormat::EpochS, TimestampTz, "1764208923.4567885", time);
    read(ValueFormat::EpochS, TimestampTz, "1764208923.45678949", time);
    read(ValueFormat::EpochS, Timestamp, r#"" 1764208923.456789 ""#, time);
    read(ValueFormat::EpochMs, TimestampTz, "1764208923456.789", time);
    read(ValueFormat::EpochMs, TimestampTz, "1.764208923456789e12", time);
    read(ValueFormat::EpochUs, TimestampTz, "1764208923456789", time);
    read(ValueFormat::EpochUs, TimestampTz, "-1", Ok("1969-12-31T23:59:59.999999"));
    read(ValueFormat::EpochS, Date, "-1", Ok("1969-12-31"));
    read(ValueFormat::EpochS, Date, "86399.9999994", Ok("1970-01-01"));
    read(ValueFormat::EpochS, Date, "null", Ok("null"));
    read(ValueFormat::EpochMs, TimestampTz, "253402300799999", Ok("9999-12-31T23:59:59.999000"));
    read(ValueFormat::EpochMs, TimestampTz, "253402300800000", Err("not a time in the years 1 to 9999"));
    read(ValueFormat::EpochMs, TimestampTz, "-62135596800001", Err("not a time in the years 1 to 9999"));
    read(ValueFormat::EpochS, TimestampTz, "1E400", Err("not a time in the years 1 to 9999"));
    read(ValueFormat::EpochS, TimestampTz, r#""2025-11-27T02:02:03Z""#, Err("/c: is not a number (column \"c\")"));
    read(ValueFormat::EpochS, TimestampTz, "true", Err("is not a number"));
    read(ValueFormat::Hex, bytes(), r#""DEad""#, Ok("\\xdead"));
    read(ValueFormat::Hex, bytes(), r#""\\xde ad""#, Ok("\\xdead"));
    read(ValueFormat::Hex, bytes(), r#""""#, Ok("\\x"));
    for refused in [r#""abc""#, r#""d ead""#, r#""0xde""#, "12"] {
        read(ValueFormat::Hex, bytes(), refused, Err("is not an even number of hexadecimal digits"));
    }
    read(ValueFormat::Base64, bytes(), r#""QUJD""#, Ok("\\x414243"));
    read(ValueFormat::Base64, bytes(), r#""\\xde""#, Err("is not base64"));
}

#[test]
fn texts_are_trimmed_and_truncated_and_nothing_else_is() {
    let varchar = || ColumnType::Text { chars_max: Some(3) };
    check(FromEvent::at("/c").trimmed(), TEXT, r#"{"c":" \u00a0a b\n"}"#, Ok("a b"));
    check(FromEvent::at("/c").trimmed(), TEXT, r#"{"c":[" "]}"#, Ok(r#"[" "]"#));
    check(FromEvent::at("/c").truncated(), varchar(), r#"{"c":"äöüß"}"#, Ok("äöü"));
    check(FromEvent::at("/c").truncated(), varchar(), r#"{"c":"äöü"}"#, Ok("äöü"));
    check(FromEvent::at("/c").truncated(), varchar(), r#"{"c":" abc"}"#, Ok(" ab"));
    check(FromEvent::at("/c").trimmed().truncated(), varchar(), r#"{"c":" abcd"}"#, Ok("abc"));
    check(FromEvent::at("/c").truncated(), varchar(), r#"{"c":12345}"#, Err("more characters"));
    check(FromEvent::at("/c").truncated(), varchar(), r#"{"c":"a\u0000b"}"#, Err("NUL"));
    check(FromEvent::at("/c"), varchar(), r#"{"c":"abcd"}"#, Err("more characters"));
    check(FromEvent::at("/c").or_default("abcd").truncated(), varchar(), "{}", Ok("abc"));
}

#[test]
fn a_source_that_does_not_fit_its_column_is_refused_at_the_start() {
    let refused = |source: MappingSource, column_type: ColumnType, expected: &str| {
        let error = Plan::new(&config(source), &table(column_type)).unwrap_err();
        assert!(error.message().starts_with("mapping.columns: ") && error.hint().is_some(), "{error:?}");
        assert_eq!(error.column(), Some("c"));
        assert!(error.message().contains(expected), "{error:?}");
    };
    let at = || FromEvent::at("/c");
    refused(at().in_format(ValueFormat::EpochS).into(), ColumnType::Int8, "cannot be read in the format epoch_s");
    refused(at().in_format(ValueFormat::Hex).into(), TEXT, "cannot be read in the format hex");
    refused(at().trimmed().into(), ColumnType::Int4, "has no text to trim");
    refused(at().trimmed().into(), ColumnType::Jsonb, "has no text to trim");
    refused(at().truncated().into(), TEXT, "has no length to truncate to");
    refused(
        at().or_default("none").into(),
        ColumnType::Int4,
        "the default of column \"c\" does not fit its type Int4: is text",
    );
    refused(
        at().or_default("2026-11-27T00:00:00Z").in_format(ValueFormat::EpochS).into(),
        ColumnType::TimestampTz,
        "the default of column \"c\" does not fit",
    );
    refused(MappingSource::Constant(json!("a\0")), TEXT, "the constant of column \"c\" does not fit");
    refused("stream".into(), ColumnType::Int4, "the name of the stream (stream.name) of column \"c\" does not fit");
    for word in ["offset", "received_at", "now", "rest"] {
        refused(word.into(), ColumnType::Int4, "cannot have this source");
    }
    refused("received_at".into(), TEXT, "cannot have this source");
}

#[test]
fn the_key_may_have_options_and_the_name_of_the_stream() {
    let mut config = config("stream");
    config.mapping.columns[0].1 = FromEvent::at("/k").or("/id").trimmed().into();
    config.mapping.key = vec!["k".into(), "c".into()];
    let mut table = table(TEXT);
    table.unique_keys = vec![config.mapping.key.clone()];
    let plan = Arc::new(Plan::new(&config, &table).unwrap());
    let key = |event: &str| key_of(&ParsedEvent::parse(event).unwrap(), &plan);
    assert_eq!(key(r#"{"k":" a "}"#), key(r#"{"id":"a","other":1}"#));
    assert_ne!(key(r#"{"k":"a"}"#), key(r#"{"k":"b"}"#));
    assert_eq!(key(r#"{"k":null}"#), None);
    config.stream.name = "other".into();
    let other = Arc::new(Plan::new(&config, &table).unwrap());
    assert_ne!(key(r#"{"k":"a"}"#), key_of(&ParsedEvent::parse(r#"{"k":"a"}"#).unwrap(), &other));
}

#[test]
fn deliveries_alone_are_no_change() {
    let mut config = config("received_at");
    config.destination.update = UpdateMode::Changed;
    let plan = Plan::new(&config, &table(ColumnType::TimestampTz)).unwrap();
    assert_eq!(plan.columns[1].role, Role::Updated);
    assert_eq!(plan.on_conflict(), crate::rows::OnConflict::Keep);
}

#[test]
fn the_timestamp_of_newer_may_be_a_number_or_have_a_default() {
    let newer = |source: FromEvent, table: &Table| {
        let mut config = config(source);
        config.destination.update = UpdateMode::Newer;
        Plan::new(&config, table)
    };
    let event = r#"{"k":"k","timestamp":1764208923}"#;
    let mut as_text = table(TEXT);
    as_text.has_times_as_text = true;
    for table in [table(ColumnType::TimestampTz), as_text.clone()] {
        let plan = newer(FromEvent::at("/timestamp").in_format(ValueFormat::EpochS), &table).unwrap();
        assert_eq!(mapped(plan, event).unwrap(), "2025-11-27T02:02:03.000000");
    }
    let with_default = |default: &str| newer(FromEvent::at("/timestamp").or_default(default), &as_text);
    let plan = with_default("2026-01-01T00:00:00+01:00").unwrap();
    assert_eq!(mapped(plan, r#"{"k":"k"}"#).unwrap(), "2025-12-31T23:00:00.000000");
    assert!(with_default("none").unwrap_err().message().contains("the default of column \"c\" does not fit"));
}

#[test]
fn the_rest_has_nothing_that_another_source_reads() {
    let mut config = config("rest");
    config.mapping.columns.push(("d".into(), FromEvent::at("/a").or("/attributes/b").or_default("x").into()));
    let mut table = table(ColumnType::Jsonb);
    table.columns.push(Column::of("d", TEXT));
    let plan = Plan::new(&config, &table).unwrap();
    let event = r#"{"k":"k","a":1,"attributes":{"b":2,"c":3},"d":4}"#;
    assert_eq!(mapped(plan, event).unwrap(), r#"{"c":3,"d":4}"#);
}
