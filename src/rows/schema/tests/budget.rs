//! The budget: no event takes long or much memory, and an ordinary event is far from it.

use jsonschema::Validator;
use jsonschema::json::SerdeJson;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::config::SchemaConfig;
use crate::error::{Error, ErrorKind};
use crate::rows::schema::Schema;
use crate::rows::schema::budget::{Budget, steps_max};
use crate::rows::schema::tests::load::own_schema;
use crate::rows::schema::view::{Budgeted, View};

/// `{"a":{"a":…}}`.
fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

fn refused(schema: &Schema, event: &str) -> Error {
    let error = schema.parse(event.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!((1..=100).contains(&error.violations().len()), "{error}");
    error
}

/// Alternatives that refer to themselves.
fn recursive(combining: &str) -> Schema {
    let alternative = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/node"}}}"##;
    own_schema(&format!(
        r##"{{"$ref":"#/$defs/node","$defs":{{"node":{{"{combining}":[{alternative},{alternative},{alternative}]}}}}}}"##
    ))
    .unwrap()
}

#[test]
fn alternatives_that_refer_to_themselves_are_refused_with_a_reason() {
    for (combining, keyword) in [("oneOf", "oneOf"), ("anyOf", "budget"), ("allOf", "type")] {
        let error = refused(&recursive(combining), &nested(100));
        assert_eq!(error.violations()[0].keyword, keyword, "{error}");
    }
}

#[test]
fn an_event_that_takes_too_many_steps_to_judge_is_refused_as_such() {
    // Only the last of 2,000 alternatives accepts each of 2,000 items.
    let alternatives: Vec<Json> = (0..2000).map(|n| json!({"minLength": 2000 - n})).collect();
    let schema = own_schema(&json!({"items": {"anyOf": alternatives}}).to_string()).unwrap();
    let event = format!(r#"[{}"x"]"#, r#""x","#.repeat(1999));
    let error = refused(&schema, &event);
    let steps = 1_000_000 + 20 * event.len();
    let reason = format!("validation takes more than {steps} steps, the limit for {} bytes", event.len());
    assert_eq!(error.message(), format!("the event cannot be checked against the schema: {reason}"));
    let [violation] = error.violations() else { panic!("{:?}", error.violations()) };
    assert_eq!((violation.pointer.as_str(), violation.keyword.as_str(), &violation.message), ("", "budget", &reason));
}

/// A pattern that backtracks, at several places of an event.
#[test]
fn an_event_that_makes_a_pattern_backtrack_without_end_is_refused_as_such() {
    let pattern = r#"{"pattern":"^(?!x)(a+)+$"}"#;
    let [hostile, good, bad] = ["a".repeat(60) + "!", "aaa".to_owned(), "xa".to_owned()];
    for (schema, event) in [
        (pattern.to_owned(), |text: &str| format!(r#""{text}""#)),
        (format!(r#"{{"items":{pattern}}}"#), |text: &str| format!(r#"["a","{text}"]"#)),
        (format!(r#"{{"propertyNames":{pattern}}}"#), |text: &str| format!(r#"{{"{text}":1}}"#)),
        (format!(r#"{{"anyOf":[{pattern},{{"type":"null"}}]}}"#), |text: &str| format!(r#""{text}""#)),
        (format!(r##"{{"$ref":"#/$defs/a","$defs":{{"a":{pattern}}}}}"##), |text: &str| format!(r#""{text}""#)),
    ] as [(String, fn(&str) -> String); 5]
    {
        let schema = own_schema(&schema).unwrap();
        assert!(schema.parse(event(&good).as_bytes()).is_ok(), "{}", schema.document);
        let error = refused(&schema, &event(&bad));
        assert!(["pattern", "anyOf", "propertyNames"].contains(&error.violations()[0].keyword.as_str()), "{error}");
        let error = refused(&schema, &event(&hostile));
        assert_eq!(error.violations()[0].keyword, "budget", "{error}");
    }
    let error = refused(&own_schema(pattern).unwrap(), r#""xa""#);
    assert_eq!(error.violations()[0].message, r#"value does not match "^(?!x)(a+)+$""#);
}

#[test]
fn a_pattern_without_look_around_runs_in_linear_time() {
    let schema = own_schema(r#"{"pattern":"^(a+)+$"}"#).unwrap();
    assert!(schema.parse(format!(r#""{}!""#, "a".repeat(1 << 20)).as_bytes()).is_err());
    assert!(schema.parse(format!(r#""{}""#, "a".repeat(1 << 20)).as_bytes()).is_ok());
}

#[test]
fn the_reasons_of_a_large_event_take_bounded_memory() {
    let schema = own_schema(r#"{"additionalProperties":{"items":{"type":"string"}}}"#).unwrap();
    let items = format!("[{}1]", "1,".repeat(1_000_000));
    let error = refused(&schema, &format!(r#"{{"a":{items}}}"#));
    assert_eq!(error.violations().len(), 100);
    // Each error holds the pointer to its value, and so a long name.
    let name = "n".repeat(1 << 20);
    let error = refused(&schema, &format!(r#"{{"{name}":{items}}}"#));
    assert!(error.violations()[0].pointer.starts_with("/nnn"), "{error}");
    let closed = own_schema(r#"{"items":{"anyOf":[{"additionalProperties":false},{"maxProperties":0}]}}"#).unwrap();
    let members: Vec<String> = (0..20_000).map(|n| format!(r#""{n}":1"#)).collect();
    refused(&closed, &format!("[{}1]", format!("{{{}}},", members.join(",")).repeat(50)));
}

#[test]
fn an_ordinary_event_takes_a_thousandth_of_its_budget() {
    let schema = Schema::load(&SchemaConfig::default(), 1 << 20).unwrap();
    let event = json!({"interactionId": "i", "timestamp": "2026-11-22T16:00:00Z", "type": "callback", "idempotencyKey": "k",
        "attributes": {"duration": 1, "disposition": "sales", "queueName": "q", "agentId": "a", "more": [1, 2, 3]}});
    let budget = Budget::new(0);
    assert!(schema.validator.is_valid(View::new(&event, &budget)));
    let steps = steps_max(0) - budget.steps_left();
    assert!(steps < 1000, "{steps}");
}

#[test]
fn a_large_event_stays_within_its_budget() {
    let schema = own_schema(
        r#"{"items":{"anyOf":[{"type":"null"},{"type":"boolean"},{"type":"integer"},{"type":"string","pattern":"^x"}]},
            "contains":{"const":1},"uniqueItems":false}"#,
    )
    .unwrap();
    assert!(schema.parse(format!("[{}1]", "1,".repeat(1_000_000)).as_bytes()).is_ok());
    assert!(schema.parse(format!("[{}1]", r#""xx","#.repeat(1_000_000)).as_bytes()).is_ok());
}

/// Schemas with every keyword that looks at a value.
fn schemas() -> Vec<Json> {
    vec![
        json!({"type": ["object", "array"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a", "b"]}),
        json!({"properties": {"a": {"$ref": "#"}, "b": {"minimum": 2}}, "additionalProperties": false, "minProperties": 1}),
        json!({"items": {"type": ["string", "null"]}, "uniqueItems": true, "maxItems": 3, "minItems": 1}),
        json!({"prefixItems": [{"type": "integer"}], "items": {"$ref": "#"}, "contains": {"const": 1}, "maxContains": 2}),
        json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}, {"type": "number", "multipleOf": 2}]}),
        json!({"anyOf": [{"enum": ["x", 1, [1], {"a": 1}]}, {"const": {"b": "x"}}, {"not": {"type": "object"}}]}),
        json!({"patternProperties": {"^[ab]$": {"maxLength": 1}}, "propertyNames": {"maxLength": 1, "enum": ["a", "c"]}}),
        json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxProperties": 1}}),
        json!({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": {"type": "string"}, "unevaluatedItems": false}),
        json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"b": {"maxProperties": 1}}, "items": false}),
        json!({"$schema": "http://json-schema.org/draft-04/schema#", "items": [{"type": "integer"}], "additionalItems": false,
            "dependencies": {"a": ["b"], "b": {"required": ["c"]}}, "minimum": 1, "exclusiveMinimum": true}),
        json!({"type": "object", "properties": {"a": {"format": "uuid"}, "b": {"pattern": "x", "minLength": 1}, "c": {"exclusiveMaximum": 1}}}),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2..4).prop_map(Json::from),
        prop_oneof![Just(0.5), Just(1.0), Just(2e10)].prop_map(Json::from),
        "[xé]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[abcd]|ab", inner, 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    /// The view is another representation of the same value for the library, with the same answers.
    #[test]
    fn the_view_of_an_event_has_the_answers_of_the_event(value in value()) {
        for schema in schemas() {
            let plain: Validator<SerdeJson> = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            let viewed: Validator<Budgeted> = jsonschema::options_for().should_validate_formats(true).build(&schema).unwrap();
            let budget = Budget::new(0);
            let view = View::new(&value, &budget);
            let error = |error: jsonschema::ValidationError<'_>| {
                (error.instance_path().to_string(), error.schema_path().to_string(), error.kind().keyword().to_owned())
            };
            prop_assert_eq!(viewed.is_valid(view), plain.is_valid(&value), "{} on {}", schema, value);
            let found: Vec<_> = viewed.iter_errors(view).map(error).collect();
            let expected: Vec<_> = plain.iter_errors(&value).map(error).collect();
            prop_assert_eq!(found, expected, "{} on {}", schema, value);
            prop_assert!(!budget.is_spent());
        }
    }

    /// Whatever budget is left, validation ends, without a panic.
    #[test]
    fn a_spent_budget_ends_the_validation(value in value(), steps in 0_u64..200) {
        for schema in schemas() {
            let viewed: Validator<Budgeted> = jsonschema::options_for().build(&schema).unwrap();
            let budget = Budget::new(0);
            budget.spend(steps_max(0) - steps);
            let _ = viewed.is_valid(View::new(&value, &budget));
            let _ = viewed.iter_errors(View::new(&value, &budget)).count();
        }
    }
}
