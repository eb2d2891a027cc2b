//! Plans of upserts, and values that fit their columns or not.

use std::sync::Arc;

use serde_json::json;

use crate::config::{MappingConfig, UpdateMode};
use crate::error::{Class, ErrorKind};
use crate::rows::batch::{Rows, Value};
use crate::rows::*;

fn default_table() -> Table {
    let text = |name| Column::of(name, ColumnType::Text { chars_max: Some(255) });
    let columns = vec![
        Column { has_default: true, not_null: true, ..Column::of("id", ColumnType::Int8) },
        text("interaction_id"),
        Column::of("timestamp", ColumnType::TimestampTz),
        text("type"),
        text("idempotency_key"),
        Column::of("duration", ColumnType::Int4),
        text("disposition"),
        text("queue_name"),
        text("agent_id"),
        Column::of("attributes", ColumnType::Jsonb),
        Column::of("created_at", ColumnType::TimestampTz),
        Column::of("updated_at", ColumnType::TimestampTz),
    ];
    let unique_keys = vec![vec!["id".into()], vec!["idempotency_key".into()]];
    Table { unique_keys, ..Table::of("cxone_events", columns, &[]) }
}

fn default_plan() -> Plan {
    Plan::of(&MappingConfig::default(), UpdateMode::Always, &default_table()).unwrap()
}

/// The key `k` and one column `c`, filled from this pointer.
fn mapping_of(pointer: &str) -> MappingConfig {
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("c".into(), pointer.into())];
    mapping.key = vec!["k".into()];
    mapping.update = None;
    mapping
}

/// A plan with the key and one column `c` of this type, filled from `/c`.
fn plan_of(column_type: ColumnType) -> Arc<Plan> {
    let table = Table {
        name: "t".into(),
        columns: vec![Column::of("k", ColumnType::Text { chars_max: None }), Column::of("c", column_type)],
        unique_keys: vec![vec!["k".into()]],
        loose_columns: Vec::new(),
        has_times_as_text: false,
        is_guarded: false,
        relates_rows: false,
        history: None,
    };
    let mapping = mapping_of("/c");
    Arc::new(Plan::of(&mapping, UpdateMode::Always, &table).unwrap())
}

/// The value of column `c` as text, or the reason for the mismatch.
fn converted(column_type: ColumnType, value: &serde_json::Value) -> std::result::Result<String, String> {
    let mut rows = Rows::new(plan_of(column_type));
    match map_json(&json!({"k": "key", "c": value}), 0, &mut rows) {
        Ok(()) => Ok(match rows.value(0, 1) {
            text @ Value::Text { .. } => rows.text_of(text).to_owned(),
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) | Value::Micros(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Days(value) => value.to_string(),
        }),
        Err(error) => {
            assert_eq!((error.kind(), error.column()), (ErrorKind::Unmapped, Some("c")));
            assert_eq!(error.violations()[0].pointer, "/c");
            assert!(
                rows.len() == 0 && rows.values.is_empty() && rows.text.is_empty(),
                "a refused row leaves nothing behind"
            );
            Err(error.violations()[0].message.clone())
        }
    }
}

#[test]
fn values_are_converted_or_refused_with_the_reason() {
    use ColumnType::*;
    let check = |column_type: ColumnType, value: serde_json::Value, expected: Result<&str, &str>| match (
        converted(column_type.clone(), &value),
        expected,
    ) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{value} into {column_type:?}"),
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{value} into {column_type:?}: {found}"),
        (found, expected) => panic!("{value} into {column_type:?}: {found:?}, expected {expected:?}"),
    };
    let varchar = || Text { chars_max: Some(3) };
    check(varchar(), json!("äöü"), Ok("äöü"));
    check(varchar(), json!("abcd"), Err("more characters"));
    check(varchar(), json!("abc  "), Ok("abc"));
    check(varchar(), json!("ab  x"), Err("more characters"));
    check(varchar(), json!(null), Ok("null"));
    check(varchar(), json!(1.5), Ok("1.5"));
    check(varchar(), json!(true), Err("more characters"));
    check(Text { chars_max: None }, json!({"a": [1]}), Ok(r#"{"a":[1]}"#));
    check(Text { chars_max: None }, json!("a\0b"), Err("NUL"));
    check(Int4, json!(12.0), Ok("12"));
    check(Int4, json!(12.5), Err("not a whole number"));
    check(Int4, json!(2_147_483_647), Ok("2147483647"));
    check(Int4, json!(2_147_483_648_i64), Err("range"));
    check(Int2, json!(-32_768), Ok("-32768"));
    check(Int2, json!(40_000), Err("range"));
    check(Int8, json!(i64::MIN), Ok("-9223372036854775808"));
    check(Int8, json!(u64::MAX), Err("range"));
    check(Int8, json!(9.3e18), Err("range"));
    check(Int8, json!(1e18), Ok("1000000000000000000"));
    check(Int4, json!(" 7 "), Ok("7"));
    check(Int4, json!("7.0"), Err("whole number"));
    check(Int4, json!([1]), Err("not a number"));
    check(Float4, json!(0.1), Ok("0.10000000149011612"));
    check(Float4, json!(1e39), Err("range"));
    check(Float4, json!(1e-60), Err("range"));
    check(Float4, json!(0.0), Ok("0"));
    check(Float8, json!(1e308), Ok(&1e308.to_string()));
    check(Float8, json!("NaN"), Err("range"));
    check(Float8, json!("x"), Err("not a number"));
    check(Numeric { precision_scale: None }, json!(0.1), Ok("0.1"));
    check(Numeric { precision_scale: Some((5, 2)) }, json!(999.994), Ok("999.994"));
    check(Numeric { precision_scale: Some((5, 2)) }, json!(999.995), Err("digits before"));
    check(Numeric { precision_scale: None }, json!("12,5"), Err("not a number"));
    check(Bool, json!(true), Ok("true"));
    check(Bool, json!("false"), Ok("false"));
    for (truth, values) in [
        ("true", [json!(1), json!(1.0), json!(" TRUE\n"), json!("t"), json!("Ye"), json!("on"), json!("1")]),
        ("false", [json!(0), json!(-0.0), json!("F"), json!("n"), json!("of"), json!("OFF"), json!("0")]),
    ] {
        for value in values {
            check(Bool, value, Ok(truth));
        }
    }
    for value in [json!(2), json!(0.5), json!(""), json!("o"), json!("truex"), json!("10"), json!([]), json!({})] {
        check(Bool, value, Err("neither true nor false"));
    }
    check(TimestampTz, json!("1970-01-01T01:00:00.000001+01:00"), Ok("1"));
    check(TimestampTz, json!("0000-01-01T00:00:00Z"), Err("year 0000"));
    check(TimestampTz, json!("2026-01-01T00:00:00+23:59"), Err("16 hours"));
    check(TimestampTz, json!("2026-01-01"), Err("no offset"));
    check(TimestampTz, json!(1_700_000_000), Err("not a date-time"));
    check(Timestamp, json!("1970-01-01T01:00:00+01:00"), Ok("3600000000"));
    check(Date, json!("1970-01-02T23:00:00-05:00"), Ok("1"));
    check(Date, json!("1970-01-03"), Ok("2"));
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    for form in [
        uuid,
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    ] {
        check(Uuid, json!(form), Ok(uuid));
    }
    for form in [
        "",
        "a0eebc99",
        "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ] {
        check(Uuid, json!(form), Err("not a UUID"));
    }
    check(Jsonb, json!({"a": [null, 1.5]}), Ok(r#"{"a":[null,1.5]}"#));
    check(Jsonb, json!({"a": ["x\0"]}), Err("NUL"));
    check(Jsonb, json!({"a\0": 1}), Err("NUL"));
    check(Jsonb, json!({"a": "\\u0000"}), Ok(r#"{"a":"\\u0000"}"#));
    check(Json, json!({"a": ["x\0"]}), Ok(r#"{"a":["x\u0000"]}"#));
}

#[test]
fn the_rest_has_the_members_without_a_column() {
    let check = |event: serde_json::Value, expected: Option<&str>| {
        let mut rows = Rows::new(Arc::new(default_plan()));
        let mut whole =
            json!({"interactionId": "i", "timestamp": "2026-11-22T16:00:00Z", "type": "call", "idempotencyKey": "k"});
        whole.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        map_json(&whole, 0, &mut rows).unwrap();
        let index = rows.plan.columns.iter().position(|column| column.name == "attributes").unwrap();
        let found = rows.value(0, index);
        assert_eq!((found != Value::Null).then(|| rows.text_of(found)), expected, "{event}");
    };
    check(json!({}), None);
    check(json!({"attributes": {"duration": 1, "agentId": "a"}}), None);
    check(
        json!({"attributes": {"duration": 1, "language": "de", "skill": {"a": 1}}}),
        Some(r#"{"language":"de","skill":{"a":1}}"#),
    );
    check(json!({"attributes": {"language": "de"}, "channel": 7}), Some(r#"{"channel":7,"language":"de"}"#));
    check(json!({"attributes": {"channel": 1}, "channel": 2}), Some(r#"{"/channel":2,"channel":1}"#));
    check(json!({"attributes": [1]}), Some(r#"{"attributes":[1]}"#));
}

#[test]
fn a_null_in_a_required_column_is_refused() {
    let mut table = default_table();
    table.columns[5].not_null = true;
    let plan = Plan::of(&MappingConfig::default(), UpdateMode::Always, &table).unwrap();
    let error = map_json(&json!({"idempotencyKey": null}), 0, &mut Rows::new(Arc::new(plan))).unwrap_err();
    let pointers: Vec<_> = error.violations().iter().map(|v| v.pointer.as_str()).collect();
    assert_eq!(pointers, ["/idempotencyKey", "/attributes/duration"]);
}

#[test]
fn pointers_follow_rfc_6901() {
    let check = |pointer: &str, expected: &str| {
        let mapping = mapping_of(pointer);
        let text = ColumnType::Text { chars_max: None };
        let table = Table {
            name: "t".into(),
            columns: vec![Column::of("k", text.clone()), Column::of("c", text)],
            unique_keys: vec![vec!["k".into()]],
            loose_columns: Vec::new(),
            has_times_as_text: false,
            is_guarded: false,
            relates_rows: false,
            history: None,
        };
        let mut rows = Rows::new(Arc::new(Plan::of(&mapping, UpdateMode::Always, &table).unwrap()));
        map_json(&json!({"k": "x", "a/b": {"c~d": [10, 20]}, "": 3}), 0, &mut rows).unwrap();
        let value = rows.value(0, 1);
        assert_eq!(if value == Value::Null { "null" } else { rows.text_of(value) }, expected, "{pointer}");
    };
    check("/a~1b/c~0d/1", "20");
    check("/a~1b/c~0d/01", "null");
    check("/a~1b/c~0d/2", "null");
    check("/a~1b/c~0d/-", "null");
    check("/", "3");
    check("/a~1b/x/y", "null");
    check("", r#"{"":3,"a/b":{"c~d":[10,20]},"k":"x"}"#);
}

#[test]
fn the_default_plan_follows_the_contract() {
    let plan = default_plan();
    let names = |role| plan.columns.iter().filter(|c| c.role == role).map(|c| c.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(Role::Key), ["idempotency_key"]);
    assert_eq!(names(Role::Kept), ["interaction_id", "timestamp", "type", "created_at"]);
    assert_eq!(names(Role::Updated), ["duration", "disposition", "queue_name", "agent_id", "attributes", "updated_at"]);
    assert_eq!(plan.width, 9);
    let mut bare = default_table();
    bare.columns.retain(|column| !matches!(column.name.as_str(), "attributes" | "created_at" | "updated_at"));
    let plan = Plan::of(&MappingConfig::default(), UpdateMode::Always, &bare).unwrap();
    assert_eq!((plan.columns.len(), plan.width), (8, 8), "the tutorial's table works as well");
    let plan = Plan::of(&MappingConfig::default(), UpdateMode::Newer, &default_table()).unwrap();
    assert_eq!(plan.columns[plan.newer_by.unwrap()].name, "timestamp");
    assert_eq!(plan.columns[plan.newer_by.unwrap()].role, Role::Updated);
}

#[test]
fn a_mismatch_of_the_table_has_its_error_and_hint() {
    let check = |change: &dyn Fn(&mut Table, &mut MappingConfig), class: Class, expected: &str, hint: &str| {
        let (mut table, mut mapping) = (default_table(), MappingConfig::default());
        change(&mut table, &mut mapping);
        let error = Plan::of(&mapping, UpdateMode::Newer, &table).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.message().contains(expected) && error.hint().unwrap_or_default().contains(hint), "{error:?}");
    };
    check(
        &|t, _| t.columns[7].name = "queue".into(),
        Class::Mismatch,
        r#"no column "queue_name" (the nearest is "queue")"#,
        "add the column",
    );
    check(
        &|t, _| drop(t.unique_keys.pop()),
        Class::Mismatch,
        "no unique index over exactly (idempotency_key)",
        "CREATE UNIQUE INDEX",
    );
    check(
        &|t, _| t.columns.push(Column { not_null: true, ..Column::of("tenant", ColumnType::Int4) }),
        Class::Mismatch,
        r#""tenant" of table cxone_events is NOT NULL"#,
        "default",
    );
    check(
        &|_, m| m.columns[0].1 = "interactionId".into(),
        Class::Permanent,
        r#"the source "interactionId""#,
        "JSON pointer",
    );
    check(
        &|_, m| m.columns[4].1 = "now".into(),
        Class::Permanent,
        "cannot have this source",
        "map `now` and `received_at` to a time column",
    );
    check(&|_, m| m.columns[1].1 = "/other".into(), Class::Permanent, "requires a timestamp column", "map /timestamp");
}
