//! `schema.additional_properties = "keep"`.

use crate::config::AdditionalProperties;
use crate::rows::schema::Schema;
use crate::rows::schema::tests::load::compile;

fn kept(text: &str) -> Schema {
    compile(text, AdditionalProperties::Keep).unwrap()
}

#[test]
fn unknown_members_of_the_event_are_kept_wherever_the_schema_refuses_them() {
    let closed = r#""type":"object","properties":{"a":{"type":"string"}},"required":["a"]"#;
    for schema in [
        format!(r#"{{{closed},"additionalProperties":false}}"#),
        format!(r#"{{{closed},"additionalProperties":{{"type":"null"}}}}"#),
        format!(r#"{{{closed},"unevaluatedProperties":false}}"#),
        format!(r#"{{"allOf":[{{}},{{{closed},"additionalProperties":false}}]}}"#),
        format!(r#"{{"anyOf":[{{{closed},"additionalProperties":false}}]}}"#),
        format!(r#"{{"if":{{}},"then":{{{closed},"additionalProperties":false}}}}"#),
        format!(r##"{{"$ref":"#/$defs/e","$defs":{{"e":{{{closed},"additionalProperties":false}}}}}}"##),
        format!(
            r##"{{"$ref":"#/$defs/d","$defs":{{"d":{{"$ref":"#/$defs/e"}},"e":{{{closed},"additionalProperties":false}}}}}}"##
        ),
        format!(r##"{{"allOf":[{{"$ref":"#/$defs/e"}}],"$defs":{{"e":{{{closed},"unevaluatedProperties":false}}}}}}"##),
        format!(
            r##"{{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/e","definitions":{{"e":{{{closed},"additionalProperties":false}}}}}}"##
        ),
    ] {
        assert!(
            compile(&schema, AdditionalProperties::Reject).unwrap().parse(br#"{"a":"x","b":1}"#).is_err(),
            "{schema}"
        );
        let schema = (kept(&schema), schema);
        assert!(schema.0.parse(br#"{"a":"x","b":1}"#).is_ok(), "{}", schema.1);
        assert!(schema.0.parse(br#"{"a":1}"#).is_err(), "{}: the rest still holds", schema.1);
        assert!(schema.0.parse(br#"{"b":1}"#).is_err(), "{}: the rest still holds", schema.1);
    }
}

#[test]
fn a_definition_still_refuses_unknown_members_below_the_event() {
    let schema = kept(
        r##"{"$ref":"#/$defs/node","$defs":{"node":{
            "properties":{"next":{"$ref":"#/$defs/node"},"n":{"type":"integer"}},"additionalProperties":false}}}"##,
    );
    assert!(schema.parse(br#"{"n":1,"more":1,"next":{"n":2}}"#).is_ok());
    assert!(schema.parse(br#"{"n":1,"next":{"n":2,"more":1}}"#).is_err());
    let nested = kept(r#"{"properties":{"a":{"additionalProperties":false}},"additionalProperties":false}"#);
    assert!(nested.parse(br#"{"a":{},"b":1}"#).is_ok());
    assert!(nested.parse(br#"{"a":{"b":1}}"#).is_err());
}

#[test]
fn what_cannot_be_kept_is_refused_at_the_start() {
    let check = |text: &str, reason: &str| {
        compile(text, AdditionalProperties::Reject).unwrap();
        let error = compile(text, AdditionalProperties::Keep).unwrap_err();
        assert!(
            error.message().contains("schema.additional_properties") && error.message().contains(reason),
            "{error}"
        );
        assert!(error.hint().is_some());
    };
    check(
        r#"{"oneOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}},"additionalProperties":false}]}"#,
        "/oneOf/0",
    );
    check(r##"{"$ref":"#e","$defs":{"e":{"$anchor":"e","additionalProperties":false}}}"##, "#e");
    check(
        r##"{"$ref":"#/$defs/e","$defs":{"e":{"$id":"https://example.com/e","additionalProperties":false}}}"##,
        "/$defs/e",
    );
    check(r##"{"$dynamicRef":"#e","$defs":{"e":{"$dynamicAnchor":"e","additionalProperties":false}}}"##, "$dynamicRef");
    assert!(
        kept(r#"{"oneOf":[{"required":["a"]},{"required":["b"]}],"additionalProperties":false}"#)
            .parse(br#"{"a":1}"#)
            .is_ok()
    );
}
