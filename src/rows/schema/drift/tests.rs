//! Each change accepts what it is for.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::config::AdditionalProperties;
use crate::rows::schema::Schema;
use crate::rows::schema::drift::{Explanation, Finding};
use crate::rows::schema::tests::load::own_schema;
use crate::rows::schema::tests::suite;

fn findings(schema: &Schema, event: &str) -> Vec<Finding> {
    match schema.explain(event.as_bytes(), true) {
        Explanation::Violations(findings) => findings,
        Explanation::Accepted => Vec::new(),
        Explanation::Unexplained(error) => panic!("{error}"),
    }
}

/// Applies a JSON Patch.
fn patched(schema: &Json, patch: &[Json]) -> Json {
    let mut schema = schema.clone();
    for operation in patch {
        let place = operation["path"].as_str().unwrap();
        let Some((parent, last)) = place.rsplit_once('/') else {
            schema = operation["value"].clone();
            continue;
        };
        let last = last.replace("~1", "/").replace("~0", "~");
        match (operation["op"].as_str().unwrap(), schema.pointer_mut(parent).unwrap()) {
            ("add", Json::Array(items)) if last == "-" => items.push(operation["value"].clone()),
            ("add", Json::Object(members)) => drop(members.insert(last, operation["value"].clone())),
            ("replace", Json::Object(members)) => *members.get_mut(&last).unwrap() = operation["value"].clone(),
            ("replace", Json::Array(items)) => items[last.parse::<usize>().unwrap()] = operation["value"].clone(),
            ("remove", Json::Array(items)) => drop(items.remove(last.parse().unwrap())),
            ("remove", Json::Object(members)) => drop(members.remove(&last).unwrap()),
            (operation, parent) => panic!("{operation} at {place} of {parent}"),
        }
    }
    schema
}

#[test]
fn each_violation_has_its_own_change() {
    let check = |schema: Json, event: &str, advice: &str, patch: Json| {
        let compiled = own_schema(&schema.to_string()).unwrap();
        let found = findings(&compiled, event);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((finding.change.advice.as_str(), json!(finding.change.patch)), (advice, patch), "{schema}");
        if !finding.change.patch.is_empty() {
            let schema = patched(&schema, &finding.change.patch).to_string();
            assert!(own_schema(&schema).unwrap().parse(event.as_bytes()).is_ok(), "{schema}");
        }
    };
    let op = |op: &str, path: &str, value: Json| json!([{"op": op, "path": path, "value": value}]);
    let keep = "allow the member, or all of them by schema.additional_properties = \"keep\"";
    check(json!({"additionalProperties": false}), r#"{"a/b":1}"#, keep, op("add", "/properties", json!({"a/b": {}})));
    check(
        json!({"properties": {"a": {"properties": {"b": {}}, "additionalProperties": false}}}),
        r#"{"a":{"c~d":1}}"#,
        "allow the member",
        op("add", "/properties/a/properties/c~0d", json!({})),
    );
    check(
        json!({"properties": {"a": {"type": "number"}}}),
        r#"{"a":"1"}"#,
        "allow the type string",
        op("replace", "/properties/a/type", json!(["number", "string"])),
    );
    check(
        json!({"type": ["integer", "null"]}),
        "1.5",
        "allow the type number",
        op("replace", "/type", json!(["null", "number"])),
    );
    check(json!({"enum": ["a"]}), r#""b""#, "add the value to the list", op("add", "/enum/-", json!("b")));
    check(
        json!({"const": 1}),
        "2",
        "allow the value beside the other one",
        json!([{"op": "remove", "path": "/const"}, {"op": "add", "path": "/enum", "value": [1, 2]}]),
    );
    check(
        json!({"required": ["a", "b"]}),
        r#"{"a":1}"#,
        "make the member optional",
        json!([{"op": "remove", "path": "/required/1"}]),
    );
    check(json!({"maxLength": 2}), r#""äöü""#, "set maxLength to 3", op("replace", "/maxLength", json!(3)));
    check(json!({"minItems": 2}), "[1]", "set minItems to 1", op("replace", "/minItems", json!(1)));
    for (schema, event, keyword) in [
        (json!({"pattern": "^a$"}), r#""b""#, "pattern"),
        (json!({"pattern": r"^(?!b)\<"}), r#""b""#, "pattern"),
        (json!({"format": "uuid"}), r#""b""#, "format"),
        (json!({"maximum": 1}), "2", "maximum"),
        (json!({"uniqueItems": true}), "[1,1]", "uniqueItems"),
        (json!({"not": {"type": "null"}}), "null", "not"),
    ] {
        let patch = json!([{"op": "remove", "path": format!("/{keyword}")}]);
        check(schema, event, &format!("loosen or remove {keyword}"), patch);
    }
    check(
        json!({"patternProperties": {r"^\<": {"type": "null"}}}),
        r#"{"<":1}"#,
        "allow the type integer",
        op("replace", r"/patternProperties/^\</type", json!(["null", "integer"])),
    );
    check(json!({"anyOf": [{"type": "null"}, {"const": 1}]}), "2", "let one of /anyOf accept the value", json!([]));
    let referenced = json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}});
    check(
        referenced,
        r#"{"a":true}"#,
        "allow the type boolean",
        op("replace", "/$defs/a/type", json!(["null", "boolean"])),
    );
}

#[test]
fn a_value_is_part_of_a_change_only_where_that_is_asked_for() {
    for schema in [r#"{"enum":["a"]}"#, r#"{"const":"a"}"#] {
        let schema = own_schema(schema).unwrap();
        let Explanation::Violations(findings) = schema.explain(br#""secret""#, false) else { panic!() };
        assert!(findings[0].change.advice.contains("--values"), "{findings:?}");
        assert!(!format!("{findings:?}").contains("secret"), "{findings:?}");
    }
}

#[test]
fn the_places_of_items_are_one_place() {
    let schema = own_schema(r#"{"properties":{"a":{"items":{"properties":{"0":{"type":"null"}}}}}}"#).unwrap();
    let found = findings(&schema, r#"{"a":[{"0":1},{"0":null},{"0":2}]}"#);
    assert!(found.len() == 2 && found.iter().all(|finding| finding.pointer == "/a/*/0"), "{found:?}");
}

#[test]
fn changes_belong_to_the_schema_as_it_is_written() {
    let text =
        r##"{"$ref":"#/$defs/a","$defs":{"a":{"additionalProperties":false,"properties":{"b":{"type":"null"}}}}}"##;
    let schema = crate::rows::schema::tests::load::compile(text, AdditionalProperties::Keep).unwrap();
    let found = findings(&schema, r#"{"b":1,"c":1}"#);
    // A copy of the definition is loosened, and the author has no such copy.
    assert!(found.len() == 1 && found[0].change.patch.is_empty(), "{found:?}");
}

/// The changes of one event, by what they are for.
fn by_place(findings: Vec<Finding>) -> BTreeMap<[String; 3], Finding> {
    let place = |finding: &Finding| [&finding.pointer, &finding.change.place, &finding.change.detail].map(Clone::clone);
    findings.into_iter().map(|finding| (place(&finding), finding)).collect()
}

#[test]
fn every_change_ends_its_violation_in_the_official_suite() {
    let (mut with_patch, mut without) = (0, 0);
    let mut faults = Vec::new();
    suite::for_each_group(|draft, group, text| {
        let Ok(schema) = own_schema(text) else { return };
        for case in group.tests.iter().filter(|case| !case.valid) {
            let event = case.data.get();
            let found = by_place(findings(&schema, event));
            for (place, finding) in &found {
                if finding.change.patch.is_empty() {
                    without += 1;
                    continue;
                }
                with_patch += 1;
                let changed = patched(&schema.written, &finding.change.patch).to_string();
                let context = || format!("{draft}, {}: {finding:?} on {event} of {text}", group.file);
                match own_schema(&changed) {
                    Err(error) => faults.push(format!("{error} in {}", context())),
                    Ok(changed) if by_place(findings(&changed, event)).contains_key(place) => faults.push(context()),
                    Ok(_) => {}
                }
            }
        }
    });
    assert!(faults.is_empty(), "{}: {:#?}", faults.len(), &faults[..faults.len().min(20)]);
    assert!(with_patch > 1000 && with_patch > 3 * without, "{with_patch} with, {without} without");
}
