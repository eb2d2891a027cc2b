//! The subschemas of a schema.

use serde_json::{Map, Value as Json};

use crate::config::pointer::escape;

/// The place of subschemas in the value of a keyword.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// The value itself, or each of its items.
    Schemas,
    /// Each member of the value.
    Members,
    Nothing,
    /// Unknown to JSON Schema; a `$ref` may lead into it, as to `#/components/schemas/…`.
    Unknown,
}

fn holds(keyword: &str) -> Holds {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies" => {
            Holds::Members
        }
        "allOf"
        | "anyOf"
        | "oneOf"
        | "prefixItems"
        | "items"
        | "additionalProperties"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "additionalItems"
        | "contentSchema" => Holds::Schemas,
        "const" | "enum" | "default" | "examples" => Holds::Nothing,
        _ => Holds::Unknown,
    }
}

/// Calls `f` with the JSON pointer and the members of each schema in a document that is an object.
pub(super) fn visit<'a>(schema: &'a Json, pointer: &str, f: &mut impl FnMut(&str, &'a Map<String, Json>)) {
    let Json::Object(members) = schema else { return };
    f(pointer, members);
    for (keyword, value) in members {
        let here = format!("{pointer}/{}", escape(keyword));
        match (holds(keyword), value) {
            (Holds::Members, Json::Object(below)) => {
                below.iter().for_each(|(name, schema)| visit(schema, &format!("{here}/{}", escape(name)), f));
            }
            (Holds::Schemas, Json::Array(below)) => {
                below.iter().enumerate().for_each(|(index, schema)| visit(schema, &format!("{here}/{index}"), f));
            }
            (Holds::Schemas, schema) => visit(schema, &here, f),
            _ => {}
        }
    }
}

/// Calls `f` with the members of each object that may be a schema.
pub(super) fn visit_mut(schema: &mut Json, f: &mut impl FnMut(&mut Map<String, Json>)) {
    match schema {
        Json::Object(members) => {
            f(members);
            for (keyword, value) in members {
                match (holds(keyword), value) {
                    (Holds::Nothing, _) => {}
                    (Holds::Members, Json::Object(below)) => below.values_mut().for_each(|schema| visit_mut(schema, f)),
                    (_, value) => visit_mut(value, f),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| visit_mut(item, f)),
        _ => {}
    }
}
