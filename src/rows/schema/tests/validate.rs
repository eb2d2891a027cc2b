//! Valid and invalid events, and the errors.

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::config::{AdditionalProperties, SchemaConfig};
use crate::error::ErrorKind;
use crate::rows::schema::Schema;
use crate::time::timestamp::DateTime;

fn built_in_schema() -> Schema {
    Schema::load(&SchemaConfig::default(), 1 << 20).unwrap()
}

fn event(changes: &str) -> String {
    let mut event: Json = serde_json::from_str(
        r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k_1-A"}"#,
    )
    .unwrap();
    let changes: Json = serde_json::from_str(changes).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Json::String(word) if word == "absent" => drop(event.as_object_mut().unwrap().remove(name)),
            value => event[name] = value.clone(),
        }
    }
    event.to_string()
}

#[test]
fn the_built_in_schema_follows_the_contract() {
    let schema = built_in_schema();
    let check = |changes: &str, expected: &[(&str, &str)]| {
        let violations = match schema.parse(event(changes).as_bytes()) {
            Ok(_) => Vec::new(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Schema, "{changes}");
                error.violations().to_vec()
            }
        };
        let mut found: Vec<_> = violations.iter().map(|v| (v.pointer.as_str(), v.keyword.as_str())).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{changes}");
    };
    check("{}", &[]);
    for kind in ["call", "chat", "email", "callback"] {
        check(&format!(r#"{{"type":"{kind}"}}"#), &[]);
    }
    check(r#"{"attributes":{}}"#, &[]);
    check(r#"{"attributes":{"duration":1.5,"disposition":null,"queueName":"q","agentId":"a","extra":[1]}}"#, &[]);
    check(r#"{"attributes":{"duration":null}}"#, &[]);
    check(r#"{"interactionId":"absent"}"#, &[("", "required")]);
    check(r#"{"interactionId":""}"#, &[("/interactionId", "minLength")]);
    check(r#"{"interactionId":1,"type":"fax"}"#, &[("/interactionId", "type"), ("/type", "enum")]);
    check(r#"{"idempotencyKey":"a b"}"#, &[("/idempotencyKey", "pattern")]);
    check(r#"{"idempotencyKey":""}"#, &[("/idempotencyKey", "pattern")]);
    check(r#"{"extra":1}"#, &[("", "additionalProperties")]);
    check(r#"{"attributes":[]}"#, &[("/attributes", "type")]);
    check(
        r#"{"attributes":{"duration":"1","agentId":2}}"#,
        &[("/attributes/agentId", "type"), ("/attributes/duration", "type")],
    );
    check(r#"{"timestamp":"yesterday"}"#, &[("/timestamp", "format")]);
    for liberty in
        ["2026-11-22 16:00:00Z", "2026-11-22\\t16:00:00Z", "2026-11-22T16:00:00+0000", "2026-11-22T16:00:00+00"]
    {
        check(&format!(r#"{{"timestamp":"{liberty}"}}"#), &[]);
    }
}

#[test]
fn bytes_that_are_not_json_have_their_own_error() {
    let schema = built_in_schema();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("\"{}\"", "x".repeat(2 << 20));
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"{", "EOF"),
        (b"\xff\xfe", "UTF-8 from byte 0"),
        (b"{\"a\":\"\xc3\"}", "UTF-8 from byte 6"),
        (b"\xef\xbb\xbf{}", "expected value"),
        (br#""\ud800""#, "hex escape"),
        (deep.as_bytes(), "recursion limit"),
        (huge.as_bytes(), "event_bytes_max"),
    ];
    for (bytes, expected) in cases {
        let error = schema.parse(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Json, "{error}");
        assert!(error.message().contains(expected), "{error} does not say {expected:?}");
    }
    for not_an_object in ["1", "1e400", "null", "[]", "\"x\""] {
        assert_eq!(schema.parse(not_an_object.as_bytes()).unwrap_err().kind(), ErrorKind::Schema);
    }
}

#[test]
fn no_message_contains_a_value() {
    let schema = built_in_schema();
    let secret = "4111-1111";
    let changes = format!(
        r#"{{"type":"{secret}","timestamp":"{secret}","idempotencyKey":"{secret}!","interactionId":["{secret}"],
        "attributes":{{"duration":"{secret}"}}}}"#
    );
    let error = schema.parse(event(&changes).as_bytes()).unwrap_err();
    assert_eq!(error.violations().len(), 5);
    assert!(!format!("{error} {error:?} {}", error.detail_json()).contains(secret), "{error:?}");
}

#[test]
fn unknown_members_are_kept_on_request() {
    let config = SchemaConfig { additional_properties: AdditionalProperties::Keep, ..SchemaConfig::default() };
    let schema = Schema::load(&config, 1 << 20).unwrap();
    assert!(schema.parse(event(r#"{"extra":1}"#).as_bytes()).is_ok());
    assert!(schema.parse(event(r#"{"type":"fax"}"#).as_bytes()).is_err(), "the rest still holds");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = built_in_schema().parse(&bytes);
    }

    /// Our parser accepts the same texts as the library's RFC 3339 check, plus the four liberties.
    #[test]
    fn date_times_are_those_of_rfc_3339(text in "[0-9]{4}-[0-1][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])") {
        let strict = jsonschema::options().should_validate_formats(true).build(&serde_json::json!({"format": "date-time"})).unwrap();
        prop_assert_eq!(DateTime::parse(&text).is_some(), strict.is_valid(&text.clone().into()), "{}", text);
    }
}
