//! Parts of a schema that check nothing although they look as if they did: keywords that are misspelt or of another draft, keywords
//! that lack their partner, and unknown formats.

use std::ops::RangeInclusive;

use jsonschema::Draft;
use serde_json::{Map, Value as Json};

use crate::rows::schema::walk::visit;

/// The warnings about a schema, each with the places that it concerns.
pub(super) fn warnings(document: &Json, draft: Draft, is_known_format: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    visit(document, "", &mut |pointer, schema| {
        for keyword in schema.keys() {
            let Some(text) = warning(schema, keyword, draft, is_known_format) else { continue };
            let place = if pointer.is_empty() { "the top".to_owned() } else { pointer.to_owned() };
            match found.iter_mut().find(|(known, _)| *known == text) {
                Some((_, places)) => places.push(place),
                None => found.push((text, vec![place])),
            }
        }
    });
    found
        .into_iter()
        .map(|(text, places)| match places.as_slice() {
            [only] => format!("{text} (at {only})"),
            [first, rest @ ..] => format!("{text} (at {first}, and {} more)", rest.len()),
            [] => text,
        })
        .collect()
}

fn warning(
    schema: &Map<String, Json>,
    keyword: &str,
    draft: Draft,
    is_known_format: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let name = name_of(draft);
    let Some(drafts) = drafts_of(keyword) else {
        let is_extension = keyword.starts_with("x-");
        return (!is_extension).then(|| format!("the keyword {keyword} is unknown to JSON Schema and checks nothing"));
    };
    if !drafts.contains(&draft) {
        return Some(format!("the keyword {keyword} is not one of {name} and checks nothing"));
    }
    if draft <= Draft::Draft7 && schema.contains_key("$ref") && !may_accompany_ref(keyword) {
        return Some(format!("the keyword {keyword} checks nothing beside $ref in {name}"));
    }
    if draft >= Draft::Draft201909 && matches!(keyword, "contentEncoding" | "contentMediaType" | "contentSchema") {
        return Some(format!("the keyword {keyword} is an annotation in {name} and checks nothing"));
    }
    if let Some(partner) = partner_of(keyword)
        && !schema.contains_key(partner)
    {
        return Some(format!("the keyword {keyword} checks nothing without {partner}"));
    }
    match schema.get(keyword) {
        Some(Json::String(format)) if keyword == "format" && !is_known_format(format) => {
            Some(format!("the format {format} is unknown and checks nothing"))
        }
        _ => None,
    }
}

/// The drafts in which a keyword has its meaning. One that never checks anything is at home everywhere.
fn drafts_of(keyword: &str) -> Option<RangeInclusive<Draft>> {
    Some(match keyword {
        "$comment"
        | "$defs"
        | "$ref"
        | "$schema"
        | "$vocabulary"
        | "additionalProperties"
        | "allOf"
        | "anyOf"
        | "default"
        | "definitions"
        | "dependencies"
        | "deprecated"
        | "description"
        | "enum"
        | "examples"
        | "exclusiveMaximum"
        | "exclusiveMinimum"
        | "format"
        | "items"
        | "maxItems"
        | "maxLength"
        | "maxProperties"
        | "maximum"
        | "minItems"
        | "minLength"
        | "minProperties"
        | "minimum"
        | "multipleOf"
        | "not"
        | "oneOf"
        | "pattern"
        | "patternProperties"
        | "properties"
        | "readOnly"
        | "required"
        | "title"
        | "type"
        | "uniqueItems"
        | "writeOnly" => Draft::Draft4..=Draft::Draft202012,
        "id" => Draft::Draft4..=Draft::Draft4,
        "additionalItems" => Draft::Draft4..=Draft::Draft201909,
        "$id" | "const" | "contains" | "contentEncoding" | "contentMediaType" | "propertyNames" => {
            Draft::Draft6..=Draft::Draft202012
        }
        "if" | "then" | "else" => Draft::Draft7..=Draft::Draft202012,
        "$recursiveAnchor" | "$recursiveRef" => Draft::Draft201909..=Draft::Draft201909,
        "$anchor"
        | "contentSchema"
        | "dependentRequired"
        | "dependentSchemas"
        | "maxContains"
        | "minContains"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Draft::Draft201909..=Draft::Draft202012,
        "$dynamicAnchor" | "$dynamicRef" | "prefixItems" => Draft::Draft202012..=Draft::Draft202012,
        _ => return None,
    })
}

/// Whether a keyword loses nothing where every other keyword than `$ref` is ignored.
fn may_accompany_ref(keyword: &str) -> bool {
    matches!(
        keyword,
        "$ref"
            | "$comment"
            | "$defs"
            | "$id"
            | "$schema"
            | "default"
            | "definitions"
            | "deprecated"
            | "description"
            | "examples"
            | "id"
            | "readOnly"
            | "title"
            | "writeOnly"
    )
}

/// The keyword without which another one has no effect.
fn partner_of(keyword: &str) -> Option<&'static str> {
    match keyword {
        "then" | "else" => Some("if"),
        "minContains" | "maxContains" => Some("contains"),
        "additionalItems" => Some("items"),
        _ => None,
    }
}

/// The name of a draft as its authors write it.
pub(super) fn name_of(draft: Draft) -> &'static str {
    match draft {
        Draft::Draft4 => "draft-04",
        Draft::Draft6 => "draft-06",
        Draft::Draft7 => "draft-07",
        Draft::Draft201909 => "draft 2019-09",
        _ => "draft 2020-12",
    }
}
