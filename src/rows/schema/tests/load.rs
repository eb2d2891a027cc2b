//! Schema files: refused with the place and a hint of its own, or used with warnings.

use std::io::Write as _;

use crate::config::{AdditionalProperties, SchemaConfig};
use crate::error::{ErrorKind, Result};
use crate::rows::schema::Schema;

pub(in crate::rows::schema) fn compile(text: &str, additional_properties: AdditionalProperties) -> Result<Schema> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Schema::compile(&SchemaConfig { file: Some(file.path().to_owned()), inline: None, additional_properties }, 64 << 20)
}

pub(in crate::rows::schema) fn own_schema(text: &str) -> Result<Schema> {
    compile(text, AdditionalProperties::Reject)
}

#[test]
fn a_schema_may_be_text_in_the_configuration() {
    let text = |text: &str| SchemaConfig { inline: Some(text.into()), ..SchemaConfig::default() };
    let schema = Schema::compile(&text(r#"{"required":["id"]}"#), 1 << 20).unwrap();
    assert!(schema.parse(br#"{"id":1}"#).is_ok() && schema.parse(b"{}").is_err());

    let error = Schema::compile(&text("{"), 1 << 20).unwrap_err();
    assert!(error.message().contains("schema.inline: not JSON"), "{error}");
    let both = SchemaConfig { file: Some("schema.json".into()), ..text("{}") };
    assert!(Schema::compile(&both, 1 << 20).unwrap_err().message().contains("both set"));
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// The schema with `$schema` of this draft: 4, 6, 7, 2019 or 2020.
fn of_draft(draft: u32, members: &str) -> Schema {
    let place = [4, 6, 7, 2019, 2020].iter().position(|known| *known == draft).unwrap();
    own_schema(&format!(r#"{{"$schema":"{}",{members}}}"#, DRAFTS[place])).unwrap()
}

#[test]
fn an_error_in_a_schema_file_names_its_place_there_and_has_its_own_hint() {
    let check = |text: &str, reason: &str, hint: &str| {
        let error = own_schema(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(reason), "{error} does not say {reason:?}");
        assert!(error.hint().unwrap().contains(hint), "{:?} does not say {hint:?}", error.hint());
    };
    check("{", "not JSON: EOF", "one JSON value");
    check(r#"{"type":"strnig"}"#, r#"at /type: "strnig" is not array, boolean"#, "name of the type");
    check(r#"{"properties":{"a":{"type":["string","nul"]}}}"#, "at /properties/a/type", "name of the type");
    check(
        r#"{"properties":{"a/b":{"minLength":"3"}}}"#,
        r#"at /properties/a~1b/minLength: "3" is not of type"#,
        "draft 2020-12",
    );
    check(r#"{"minLength":-1,"maxLength":"x"}"#, "at /maxLength: ", "draft 2020-12");
    check(r#"{"minLength":-1,"maxLength":"x"}"#, "at /minLength: ", "draft 2020-12");
    check(r#"{"properties":{"a":{"required":true}}}"#, "at /properties/a/required: ", "list of names");
    check(r#"{"items":[{"type":"string"}]}"#, "at /items: ", "prefixItems");
    check(r#"{"properties":{"a":{"exclusiveMinimum":true}}}"#, "at /properties/a/exclusiveMinimum", "draft-04");
    check(
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","properties":{"a":{"exclusiveMinimum":3}}}"#,
        "at /properties/a/exclusiveMinimum",
        "later draft",
    );
    check(r#"{"allOf":[{},{"pattern":"(?=x)**"}]}"#, "at /allOf/1/pattern: ", "ECMA-262");
    check(r#"{"allOf":[{},{"pattern":"(?=x)(?i:y)"}]}"#, "at /allOf/1/pattern: ", "ECMA-262");
    check(r#"{"pattern":"(?=x)(?i:y)"}"#, r#""(?=x)(?i:y)" is not a "regex": (?i is not supported"#, "ECMA-262");
    check(
        r#"{"pattern":"((a{99}){99}){99}"}"#,
        r#""((a{99}){99}){99}" is not a "regex": it takes more than"#,
        "ECMA-262",
    );
    check(r#"{"properties":{"a":{"pattern":"["}}}"#, "at /properties/a/pattern: ", "ECMA-262");
    check(r#"{"patternProperties":{"(?<!x)y":{}}}"#, "at /patternProperties", "ECMA-262");
    check(r#"{"patternProperties":{"(?<!x)y":{}}}"#, "are not supported in patternProperties", "ECMA-262");
    check(r##"{"properties":{"a":{"$ref":"#/$defs/nowhere"}}}"##, "at /properties/a/$ref: ", "same file");
    check(r##"{"properties":{"a":{"$ref":"#nowhere"}}}"##, "at /properties/a/$ref: ", "same file");
    check(r#"{"$ref":"https://example.com/schema.json"}"#, "at /$ref: ", "same file");
    check(r#"{"$ref":"file:///etc/passwd"}"#, "/etc/passwd", "same file");
    check(r#"{"$schema":"https://example.com/own"}"#, "at /$schema: https://example.com/own", "one of the drafts");
    check("[]", "at the top: ", "draft 2020-12");
    let missing = SchemaConfig { file: Some("/nowhere/schema.json".into()), ..SchemaConfig::default() };
    assert!(Schema::compile(&missing, 1).unwrap_err().message().contains("/nowhere/schema.json"));
}

#[test]
fn another_document_is_part_of_the_schema_under_its_address() {
    for (draft, definitions, id) in [(4, "definitions", "id"), (7, "definitions", "$id"), (2020, "$defs", "$id")] {
        let members = format!(
            r#""properties":{{"a":{{"$ref":"https://example.com/other.json#/{definitions}/text"}}}},
            "{definitions}":{{"other":{{"{id}":"https://example.com/other.json","{definitions}":{{"text":{{"type":"string"}}}}}}}}"#
        );
        let schema = of_draft(draft, &members);
        assert!(schema.parse(br#"{"a":"x"}"#).is_ok() && schema.parse(br#"{"a":1}"#).is_err(), "{draft}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_schema_file() {
    let schema = own_schema("\u{feff}{\"type\":\"string\"}").unwrap();
    assert!(schema.parse(b"\"text\"").is_ok() && schema.parse(b"1").is_err());
}

#[test]
fn formats_of_any_draft_are_asserted_in_every_draft() {
    let check = |format: &str, good: &str, bad: &str| {
        for draft in [4, 6, 7, 2019, 2020] {
            let schema = of_draft(draft, &format!(r#""format":"{format}""#));
            assert_eq!(schema.warnings(), [""; 0], "{format} in {draft}");
            assert!(schema.parse(format!("\"{good}\"").as_bytes()).is_ok(), "{good} as {format} in {draft}");
            let error = schema.parse(format!("\"{bad}\"").as_bytes()).unwrap_err();
            assert_eq!(error.violations()[0].keyword, "format", "{bad} as {format} in {draft}");
        }
    };
    check("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567");
    check("duration", "P1DT2H", "one day");
    check("date-time", "2026-11-22T16:00:00Z", "yesterday");
    check("date", "2026-11-22", "2026-02-30");
    check("time", "16:00:00Z", "noon");
    check("email", "a@example.com", "a");
    check("hostname", "example.com", "-a");
    check("ipv4", "127.0.0.1", "256.0.0.1");
    check("ipv6", "::1", "1");
    check("uri", "https://example.com/x", "x y");
    check("uri-reference", "/x", "\\\\x");
    check("uri-template", "/x/{id}", "/x/{id");
    check("iri", "https://example.com/ü", "ü y");
    check("json-pointer", "/a/b", "a");
    check("relative-json-pointer", "0/a", "/a");
    check("regex", "^a+$", "(");
}

#[test]
fn an_unknown_format_is_an_annotation_with_a_warning() {
    for format in ["int32", "int64", "double", "url", "phone", "dat-time"] {
        for draft in [4, 6, 7, 2019, 2020] {
            let schema = of_draft(draft, &format!(r#""properties":{{"a":{{"format":"{format}"}}}}"#));
            let warning = format!("the format {format} is unknown and checks nothing (at /properties/a)");
            assert_eq!(schema.warnings(), [warning], "{draft}");
            assert!(schema.parse(br#"{"a":"x"}"#).is_ok() && schema.parse(br#"{"a":1}"#).is_ok());
        }
    }
}

#[test]
fn keywords_that_check_nothing_are_warned_of() {
    let check = |draft: u32, members: &str, expected: &[&str]| {
        assert_eq!(of_draft(draft, members).warnings(), expected, "{members} in {draft}");
    };
    check(
        2020,
        r#""properties":{"maxLenght":{"maxLenght":3}},"anyOf":[{"reqired":["a"]}],"x-note":1,"examples":[{"a":1}]"#,
        &[
            "the keyword reqired is unknown to JSON Schema and checks nothing (at /anyOf/0)",
            "the keyword maxLenght is unknown to JSON Schema and checks nothing (at /properties/maxLenght)",
        ],
    );
    for (keyword, value) in [
        ("unevaluatedProperties", "false"),
        ("unevaluatedItems", "false"),
        ("dependentRequired", r#"{"a":["b"]}"#),
        ("dependentSchemas", r#"{"a":{}}"#),
        ("prefixItems", "[{}]"),
    ] {
        let expected = format!("the keyword {keyword} is not one of draft-07 and checks nothing (at the top)");
        check(7, &format!(r#""{keyword}":{value}"#), &[&expected]);
        check(2020, &format!(r#""{keyword}":{value}"#), &[]);
    }
    check(4, r#""const":1"#, &["the keyword const is not one of draft-04 and checks nothing (at the top)"]);
    check(
        4,
        r#""if":{},"then":{}"#,
        &[
            "the keyword if is not one of draft-04 and checks nothing (at the top)",
            "the keyword then is not one of draft-04 and checks nothing (at the top)",
        ],
    );
    check(7, r#""id":"x""#, &["the keyword id is not one of draft-07 and checks nothing (at the top)"]);
    check(
        2020,
        r#""additionalItems":false"#,
        &["the keyword additionalItems is not one of draft 2020-12 and checks nothing (at the top)"],
    );
    check(
        2020,
        r##""$recursiveRef":"#""##,
        &["the keyword $recursiveRef is not one of draft 2020-12 and checks nothing (at the top)"],
    );
    check(
        2019,
        r#""contentEncoding":"base64""#,
        &["the keyword contentEncoding is an annotation in draft 2019-09 and checks nothing (at the top)"],
    );
    check(7, r#""contentEncoding":"base64""#, &[]);
    check(2020, r#""then":{}"#, &["the keyword then checks nothing without if (at the top)"]);
    check(2020, r#""maxContains":2"#, &["the keyword maxContains checks nothing without contains (at the top)"]);
}

#[test]
fn siblings_of_a_reference_are_warned_of_where_they_are_ignored() {
    let members = r##""definitions":{"t":{"type":"string"}},"items":{"$ref":"#/definitions/t","maxLength":3,"title":"t"},
        "properties":{"a":{"$ref":"#/definitions/t","maxLength":5}}"##;
    for draft in [4, 6, 7] {
        let schema = of_draft(draft, members);
        let [warning] = schema.warnings() else { panic!("{:?}", schema.warnings()) };
        assert!(warning.starts_with("the keyword maxLength checks nothing beside $ref in draft-0"), "{warning}");
        assert!(warning.ends_with("(at /items, and 1 more)"), "{warning}");
        assert!(schema.parse(br#"["long text"]"#).is_ok());
    }
    for draft in [2019, 2020] {
        let schema = of_draft(draft, members);
        assert_eq!(schema.warnings(), [""; 0]);
        assert!(schema.parse(br#"["long text"]"#).is_err());
    }
}

#[test]
fn patterns_mean_what_ecma_262_says() {
    let check = |pattern: &str, text: &str, expected: bool| {
        let json = |text: &str| serde_json::to_string(text).unwrap();
        let schema = own_schema(&format!(r#"{{"pattern":{}}}"#, json(pattern))).unwrap();
        let names = own_schema(&format!(r#"{{"patternProperties":{{{}:false}}}}"#, json(pattern))).unwrap();
        assert_eq!(schema.parse(json(text).as_bytes()).is_ok(), expected, "{pattern} on {text:?}");
        assert_eq!(names.parse(format!("{{{}:1}}", json(text)).as_bytes()).is_err(), expected, "{pattern} on {text:?}");
        if let Err(error) = schema.parse(json(text).as_bytes()) {
            assert_eq!(error.violations()[0].message, format!("value does not match \"{pattern}\""));
        }
    };
    // Word boundaries are those of ASCII.
    check(r"\bcall\b", "a call!", true);
    check(r"\bcall\b", "recall", false);
    check(r"\bcall\b", "écall", true);
    check(r"^caf\b", "café", true);
    check(r"^caf\B", "café", false);
    check(r"\Bé", "é", true);
    check(r"[\b]", "\u{8}", true);
    check(r"[\b]", "b", false);
    check(r"\\b", "\\b", true);
    // Classes are those of ECMA.
    check(r"^\w+$", "abc_09", true);
    check(r"^\w$", "é", false);
    check(r"^\W$", "é", true);
    check(r"^[\w-]+$", "a-b", true);
    check(r"^\d$", "٣", false);
    check(r"^[^\d]$", "٣", true);
    check(r"^\s$", "\u{feff}", true);
    check(r"^\S$", "\u{85}", true);
    check(r"^.$", "\u{2028}", false);
    check(r"^.$", "\r", false);
    check(r"a$", "a\n", false);
    // Characters that our engine reads in another way.
    check(r"^\<b\>$", "<b>", true);
    check(r"\<b", "b", false);
    check(r"^[\<\>]$", "<", true);
    check(r"[]", "", false);
    check(r"^[^]$", "\n", true);
    check(r"^[[:alpha:]]$", "h]", true);
    check(r"^[a&&b]$", "&", true);
    check(r"^\0$", "\0", true);
    check(r"^\ud83d\ude00$", "😀", true);
    check(r"^\u{1F600}$", "😀", true);
    check(r"^\p{L}+$", "é", true);
    check(r"^\/x\-y$", "/x-y", true);
}
