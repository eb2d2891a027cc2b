//! Validation of events: JSON that matches a JSON Schema (draft 2020-12, unless the schema declares another).
//!
//! Formats are asserted, each violation has a JSON pointer, and no message contains a value of the event. References to other files
//! or URLs are never followed, and patterns run in linear time, so a schema can neither stall the sink nor make it read other
//! resources.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value as Json;

use crate::config::{AdditionalProperties, SchemaConfig};
use crate::error::{Error, ErrorKind, Result, Violation};
use crate::time::timestamp::DateTime;

/// The schema of CXone interaction events, used unless `schema.file` names another.
const BUILT_IN: &str = include_str!("event.schema.json");

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    pub(super) document: Json,
    /// A larger event is rejected without parsing.
    bytes_max: u64,
}

impl Schema {
    /// Compiles the configured schema, and logs keywords that no draft defines: they check nothing.
    pub(crate) fn load(config: &SchemaConfig, bytes_max: u64) -> Result<Self> {
        let (name, text) = match &config.file {
            None => ("the built-in schema".to_owned(), BUILT_IN.to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Error::config(format!("reading the JSON Schema {}: {error}", path.display()))
                        .caused_by(error)
                        .with_hint("set schema.file to a readable JSON file, or unset it for the built-in schema")
                })?;
                (format!("the JSON Schema {}", path.display()), text)
            }
        };
        let mut document: Json =
            serde_json::from_str(&text).map_err(|error| Error::config(format!("reading {name}: not JSON: {error}")))?;
        if config.additional_properties == AdditionalProperties::Keep
            && let Json::Object(root) = &mut document
        {
            root.remove("additionalProperties");
        }
        for keyword in unknown_keywords(&document) {
            log::warn!("{name}: the keyword {keyword} is unknown to JSON Schema and checks nothing");
        }
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_format("date-time", |text: &str| DateTime::parse(text).is_some())
            .with_pattern_options(PatternOptions::regex())
            .build(&document)
            .map_err(|error| {
                Error::config(format!("compiling {name}: at {}: {error}", error.schema_path()))
                    .with_hint("use known formats only, and patterns without look-around and back-references")
            })?;
        Ok(Self { validator, document, bytes_max })
    }

    /// Parses and checks one event.
    ///
    /// # Errors
    /// `JSON`: not a JSON text (RFC 8259), or larger than `stream.event_bytes_max`. `SCHEMA`, with the violations.
    pub(crate) fn parse(&self, event: &[u8]) -> Result<Json> {
        if event.len() as u64 > self.bytes_max {
            return Err(not_json(format!(
                "{} bytes are more than stream.event_bytes_max = {}",
                event.len(),
                self.bytes_max
            )));
        }
        if event.is_empty() {
            return Err(not_json("the message is empty"));
        }
        let text = std::str::from_utf8(event)
            .map_err(|error| not_json(format!("not UTF-8 from byte {}", error.valid_up_to())))?;
        let value: Json = serde_json::from_str(text).map_err(|error| not_json(json_reason(&error)))?;
        if self.validator.is_valid(&value) {
            return Ok(value);
        }
        let violations: Vec<Violation> = self
            .validator
            .iter_errors(&value)
            .take(VIOLATIONS_MAX)
            .map(|error| Violation {
                pointer: shorten(error.instance_path().to_string()),
                keyword: error.kind().keyword().to_owned(),
                message: shorten(error.masked().to_string()),
            })
            .collect();
        let message = match violations.as_slice() {
            [] => "the event does not match the schema".to_owned(),
            [only] => format!("the event does not match the schema: {only}"),
            [first, rest @ ..] => format!("the event does not match the schema: {first} (and {} more)", rest.len()),
        };
        Err(Error::new(ErrorKind::Schema, message).with_violations(violations))
    }
}

/// The maximum number of violations of one event in an error.
const VIOLATIONS_MAX: usize = 100;
/// A message contains the names of unexpected members, which may be as long as the event.
const MESSAGE_CHARS_MAX: usize = 300;

fn shorten(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
    message
}

fn not_json(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Json, format!("the event is not JSON: {}", reason.into()))
}

/// `serde_json`'s syntax errors never quote values. Its data errors do, but do not occur for `Value`.
fn json_reason(error: &serde_json::Error) -> String {
    if error.is_data() { format!("at line {} column {}", error.line(), error.column()) } else { error.to_string() }
}

/// The keywords of the drafts up to 2020-12.
const KEYWORDS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
    "id",
];

/// JSON pointers of the unknown keywords in a schema, such as a misspelt `maxLenght`.
fn unknown_keywords(document: &Json) -> Vec<String> {
    fn visit(schema: &Json, path: &str, found: &mut Vec<String>) {
        let Json::Object(members) = schema else { return };
        for (name, value) in members {
            let here = format!("{path}/{name}");
            match name.as_str() {
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                    for (property, schema) in value.as_object().into_iter().flatten() {
                        visit(schema, &format!("{here}/{property}"), found);
                    }
                }
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                    for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                        visit(schema, &format!("{here}/{index}"), found);
                    }
                }
                "additionalProperties"
                | "items"
                | "contains"
                | "not"
                | "if"
                | "then"
                | "else"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "additionalItems"
                | "contentSchema" => {
                    visit(value, &here, found);
                }
                name if !KEYWORDS.contains(&name) && !name.starts_with("x-") => found.push(here),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    visit(document, "", &mut found);
    found
}

#[cfg(test)]
#[path = "tests/schema.rs"]
mod tests;
