//! The values that a schema allows at one place of an event, as far as they are easy to find.
//!
//! Only `properties` are followed: below a keyword that combines schemas (`$ref`, `anyOf`, `if` and so on) nothing is known.

use serde_json::{Map, Value as Json};

use crate::rows::schema::Schema;

/// The values that are allowed at one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Allows {
    /// The schema does not restrict the place, or not in an easy way.
    Unknown,
    /// No value.
    Nothing,
    Values(Values),
}

/// The restrictions of a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    /// The names of the allowed types in JSON Schema; `None`: all.
    types: Option<Vec<String>>,
    /// The maximum length of a text; `None`: no limit.
    pub(crate) chars_max: Option<u64>,
    /// The maximum absolute value of a number; `None`: no limit.
    pub(crate) magnitude_max: Option<f64>,
    /// The required format of a text, such as `date-time`.
    format: Option<String>,
    /// The texts of the only values besides null; `None`: there are others.
    pub(crate) texts: Option<Vec<String>>,
    /// Whether each event has a value other than null here.
    pub(crate) is_required: bool,
}

impl Values {
    pub(crate) fn may_be(&self, name: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|known| known == name))
    }

    /// The only type besides null. `number` includes `integer`.
    pub(crate) fn only_type(&self) -> Option<&str> {
        let mut types: Vec<&str> =
            self.types.as_deref()?.iter().map(String::as_str).filter(|name| *name != "null").collect();
        if types.contains(&"number") {
            types.retain(|name| *name != "integer");
        }
        match types[..] {
            [only] => Some(only),
            [first, ..] => types.iter().all(|name| *name == first).then_some(first),
            [] => None,
        }
    }

    /// Whether each text has one of these formats.
    pub(crate) fn has_format(&self, formats: &[&str]) -> bool {
        self.format.as_deref().is_some_and(|format| formats.contains(&format))
    }
}

const COMBINING: [&str; 10] = [
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "patternProperties",
    "dependentSchemas",
];

impl Schema {
    /// The members that each event has; `None` if that is not easy to find.
    pub(crate) fn required_members(&self) -> Option<Vec<&str>> {
        let names = plain(&self.document)?.get("required").and_then(Json::as_array);
        Some(names.into_iter().flatten().filter_map(Json::as_str).collect())
    }

    /// The values that are allowed at a JSON pointer, given as its tokens.
    pub(crate) fn allows(&self, tokens: &[String]) -> Allows {
        let mut place = &self.document;
        let mut is_required = true;
        for (depth, token) in tokens.iter().enumerate() {
            let Some(object) = plain(place) else { return Allows::Unknown };
            let names = object.get("required").and_then(Json::as_array);
            // In what is no object, or null, there is nothing; the event itself is always an object.
            let is_object = depth == 0 || object.get("type").is_some_and(|only| only == "object");
            is_required &= is_object && names.is_some_and(|names| names.iter().any(|name| name == token.as_str()));
            match (
                object.get("properties").and_then(|properties| properties.get(token)),
                object.get("additionalProperties"),
            ) {
                (Some(below), _) => place = below,
                (None, Some(Json::Bool(false))) => return Allows::Nothing,
                (None, _) => return Allows::Unknown,
            }
        }
        plain(place).map_or(Allows::Unknown, |object| Allows::Values(values(object, is_required)))
    }
}

fn plain(schema: &Json) -> Option<&Map<String, Json>> {
    schema.as_object().filter(|object| !COMBINING.iter().any(|keyword| object.contains_key(*keyword)))
}

fn values(schema: &Map<String, Json>, is_required: bool) -> Values {
    let listed: Option<Vec<&Json>> = match (schema.get("enum"), schema.get("const")) {
        (_, Some(only)) => Some(vec![only]),
        (Some(Json::Array(values)), None) => Some(values.iter().collect()),
        _ => None,
    };
    let types = match (schema.get("type"), &listed) {
        (Some(Json::String(name)), _) => Some(vec![name.clone()]),
        (Some(Json::Array(names)), _) => Some(names.iter().filter_map(|name| name.as_str().map(Into::into)).collect()),
        (_, Some(values)) => Some(values.iter().map(|value| type_of(value).to_owned()).collect()),
        _ => None,
    };
    let longest = |values: &Vec<&Json>| values.iter().filter_map(|value| value.as_str()).map(chars).max().unwrap_or(0);
    let limit = schema.get("maxLength").and_then(Json::as_u64);
    let chars_max = listed.as_ref().map(longest).into_iter().chain(limit).min();
    let texts = listed.map(|values| values.into_iter().filter_map(text_of).collect());
    let bound = |names: [&str; 2]| names.iter().find_map(|name| schema.get(*name)).and_then(Json::as_f64);
    let bounds = (bound(["minimum", "exclusiveMinimum"]), bound(["maximum", "exclusiveMaximum"]));
    let magnitude_max = match bounds {
        (Some(least), Some(most)) => Some(least.abs().max(most.abs())),
        _ => None,
    };
    let has_null = types.as_ref().is_none_or(|types: &Vec<String>| types.iter().any(|name| name == "null"));
    let format = schema.get("format").and_then(Json::as_str).map(Into::into);
    Values { types, chars_max, magnitude_max, format, texts, is_required: is_required && !has_null }
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn chars(text: &str) -> u64 {
    text.chars().count() as u64
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
