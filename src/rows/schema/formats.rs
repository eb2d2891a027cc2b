//! Formats: those that any draft defines are asserted in every draft.

use std::sync::Arc;

use jsonschema::{Draft, ValidationOptions};
use serde_json::{Value as Json, json};

use crate::rows::schema::view::Budgeted;
use crate::time::timestamp::DateTime;

/// Formats that the library knows in later drafts only.
const LATER: [&str; 8] = [
    "duration",
    "iri",
    "iri-reference",
    "json-pointer",
    "relative-json-pointer",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// The library's options for the events of a sink.
pub(super) type Options<'i> = ValidationOptions<'i, Arc<dyn jsonschema::Retrieve>, Budgeted>;

/// The options with our date-time, and with the formats that this draft lacks.
pub(super) fn with_formats(options: Options<'_>, draft: Draft) -> Options<'_> {
    let options = options
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_format("date-time", |text: &str| DateTime::parse(text).is_some());
    LATER.into_iter().fold(options, |options, name| {
        if options.is_known_format(draft, name) { options } else { options.with_format(name, later_format(name)) }
    })
}

/// The check of the latest draft.
fn later_format(name: &str) -> impl Fn(&str) -> bool + Send + Sync + 'static {
    let validator = jsonschema::options().should_validate_formats(true).build(&json!({ "format": name }));
    move |text| validator.as_ref().is_ok_and(|validator| validator.is_valid(&Json::String(text.to_owned())))
}
