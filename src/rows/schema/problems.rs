//! Errors in a schema file: each names its place in the file, and what to do there.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError};
use serde_json::Value as Json;

use crate::error::Error;
use crate::rows::schema::keywords::name_of;
use crate::rows::schema::patterns::Patterns;
use crate::rows::schema::walk::visit;

/// The maximum number of errors of a schema file that are shown.
const SHOWN_MAX: usize = 5;
/// An error may quote a part of the file.
const CHARS_MAX: usize = 200;

/// The error of a schema that violates its draft.
pub(super) fn violations_of_draft(document: &Json, name: &str) -> Option<Error> {
    let draft = Draft::default().detect(document);
    if draft == Draft::Unknown {
        let declared = document.get("$schema").and_then(Json::as_str).unwrap_or_default();
        return Some(error(name, &format!("at /$schema: {declared} is no known draft"), SCHEMA_HINT));
    }
    let validator = jsonschema::meta::validator_for(document).ok()?;
    let errors: Vec<_> = validator.iter_errors(document).collect();
    let first = errors.first()?;
    let shown: Vec<_> = errors.iter().take(SHOWN_MAX).map(|error| violation(error, draft)).collect();
    let more = match errors.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(error(name, &format!("{}{more}", shown.join("; ")), &hint(first, draft)))
}

/// The error of a schema that follows its draft and cannot be compiled: a pattern or a reference.
pub(super) fn not_compiled(found: &ValidationError<'_>, written: &Json, patterns: &Patterns, name: &str) -> Error {
    let mut reason = shorten(&found.to_string());
    for (translation, original) in &patterns.originals {
        // The message shows texts as JSON.
        let [translation, original] = [translation, original].map(|pattern| Json::from(pattern.as_str()).to_string());
        reason = reason.replace(&translation, &original);
    }
    match found.kind() {
        ValidationErrorKind::Referencing(_) => {
            let place = place_of_reference(written, &reason).unwrap_or_default();
            error(name, &format!("{place}{reason}"), REFERENCE_HINT)
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            let why = patterns.refusal(found.instance().as_str().unwrap_or_default());
            error(name, &format!("at {}: {reason}: {why}", found.schema_path()), PATTERN_HINT)
        }
        _ => error(name, &format!("at {}: {reason}", found.schema_path()), DRAFT_HINT),
    }
}

const SCHEMA_HINT: &str = "declare one of the drafts in $schema, such as https://json-schema.org/draft/2020-12/schema";
const REFERENCE_HINT: &str =
    "let $ref lead to a place in the same file, such as #/$defs/NAME: other files and addresses are never read";
const PATTERN_HINT: &str = "write a pattern of ECMA-262; docs/schema.md has those that are not supported";
const DRAFT_HINT: &str = "correct the schema file at this place, or declare its draft in $schema";

fn error(name: &str, reason: &str, hint: &str) -> Error {
    Error::config(format!("compiling {name}: {reason}")).with_hint(hint)
}

/// A violation of the draft: its place in the file, and the reason.
fn violation(error: &ValidationError<'_>, draft: Draft) -> String {
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "the top" } else { &place };
    let reason = match error.kind() {
        ValidationErrorKind::AnyOf { .. } if keyword_at(error) == "type" => {
            format!("{} is not array, boolean, integer, null, number, object or string", error.instance())
        }
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            format!("{} does not allow this value of {}", name_of(draft), keyword_at(error))
        }
        _ => error.to_string(),
    };
    format!("at {place}: {}", shorten(&reason))
}

fn hint(error: &ValidationError<'_>, draft: Draft) -> String {
    let hint = match (keyword_at(error).as_str(), error.instance().as_ref()) {
        ("required", Json::Bool(_)) => "write required as a list of names, beside properties",
        ("items", Json::Array(_)) => "write prefixItems for a list of schemas, or declare draft 2019-09 in $schema",
        ("exclusiveMinimum" | "exclusiveMaximum", Json::Bool(_)) => {
            "write the bound itself, as a number, or declare draft-04 in $schema"
        }
        ("exclusiveMinimum" | "exclusiveMaximum", Json::Number(_)) => {
            "write true beside the bound, or declare a later draft in $schema"
        }
        ("pattern", _) => PATTERN_HINT,
        ("type", _) => "correct the name of the type",
        _ => {
            return format!(
                "correct the value at this place as {} demands, or declare another draft in $schema",
                name_of(draft)
            );
        }
    };
    hint.to_owned()
}

/// The keyword at the place of an error: the last name of its pointer that is no index.
fn keyword_at(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    place.rsplit('/').find(|token| token.parse::<usize>().is_err()).unwrap_or_default().to_owned()
}

/// The place of the reference that an error is about, as `at PLACE: `. The library does not say it.
fn place_of_reference(written: &Json, reason: &str) -> Option<String> {
    let mut found = None;
    visit(written, "", &mut |pointer, schema| {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(reference) = schema.get(keyword).and_then(Json::as_str) else { continue };
            let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
            let named = [address, fragment].into_iter().filter(|part| !part.is_empty());
            if found.is_none() && named.clone().next().is_some() && named.clone().all(|part| reason.contains(part)) {
                found = Some(format!("at {pointer}/{keyword}: "));
            }
        }
    });
    found
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
