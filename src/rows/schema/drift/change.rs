//! Changes of a schema, as JSON Patch (RFC 6902): unlike a merge patch it reaches into arrays, such as `allOf` and `enum`.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::{Value as Json, json};

use crate::config::pointer::{escape, unescape};
use crate::rows::schema::patterns::BACKTRACKING;
use crate::rows::schema::validate::Schema;

/// A change that would accept what a violation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// What is wrong, where the violation says it of several.
    pub(crate) message: Option<String>,
    /// The place in the schema: where the violated keyword is.
    pub(crate) place: String,
    /// What differs among violations of one place: the name of a member, a type, a value.
    pub(crate) detail: String,
    /// What to do, as an imperative.
    pub(crate) advice: String,
    /// The operations; empty where the author has to decide.
    pub(crate) patch: Vec<Json>,
    /// The length or count that the patch allows; with more dead letters, the outermost one is needed.
    pub(crate) limit: Option<u64>,
}

/// The names of unknown members that are told apart, of one object.
const NAMES_MAX: usize = 100;
/// A longer value or name is no part of a change.
const CHARS_MAX: usize = 200;

/// The changes for a violation: several where an object has several unknown members.
pub(super) fn changes(error: &ValidationError<'_>, value: &Json, schema: &Schema, shows_values: bool) -> Vec<Change> {
    let place = place(error, schema);
    let written = schema.written.pointer(&place);
    let value_shown = if shows_values { shown(value) } else { None };
    let change =
        Change { message: None, place, detail: String::new(), advice: String::new(), patch: Vec::new(), limit: None };
    if let Some(names) = unknown_members(error, &change.place, value) {
        let is_top = error.instance_path().as_str().is_empty();
        return names.iter().map(|name| member(&change, schema, name, is_top)).collect();
    }
    let change = match error.kind() {
        Kind::Type { kind } => widened(change, written.filter(|types| is_of(types, kind)), value),
        Kind::Enum { .. } => listed(change, written, value_shown),
        Kind::Constant { .. } => alternative(change, written, value_shown),
        Kind::Required { property } => optional(change, written, property.as_str().unwrap_or_default()),
        Kind::FalseSchema => Change {
            advice: "allow a value there".into(),
            patch: operation("replace", &change.place, Some(json!({})), written),
            ..change
        },
        kind => match extent(kind, value) {
            Some(extent) => Change {
                advice: format!("set {} to {extent}", last(&change.place)),
                patch: operation("replace", &change.place, Some(extent.into()), written),
                limit: Some(extent),
                ..change
            },
            None => loosened(change, kind, schema),
        },
    };
    vec![change]
}

/// The unknown members of an object. Where no member is known, the library says only that `false` allows nothing.
fn unknown_members(error: &ValidationError<'_>, place: &str, value: &Json) -> Option<Vec<String>> {
    let is_of_members = ["additionalProperties", "unevaluatedProperties"].contains(&last(place));
    match (error.kind(), value) {
        (Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected }, _) => {
            Some(unexpected.iter().take(NAMES_MAX).cloned().collect())
        }
        (Kind::FalseSchema, Json::Object(members)) if is_of_members => {
            Some(members.keys().take(NAMES_MAX).cloned().collect())
        }
        _ => None,
    }
}

/// The place of the violated keyword in the schema as it is written.
fn place(error: &ValidationError<'_>, schema: &Schema) -> String {
    let token = |token: &str| match schema.patterns.get(&unescape(token)) {
        Some(pattern) => escape(pattern),
        None if token == BACKTRACKING => "pattern".to_owned(),
        None => token.to_owned(),
    };
    error.schema_path().as_str().split('/').map(token).collect::<Vec<_>>().join("/")
}

/// One operation, if the schema has the place.
fn operation(op: &str, path: &str, value: Option<Json>, written: Option<&Json>) -> Vec<Json> {
    let mut operation = json!({ "op": op, "path": path });
    if let Some(value) = value {
        operation["value"] = value;
    }
    written.map(|_| operation).into_iter().collect()
}

/// Allows an unknown member.
fn member(change: &Change, schema: &Schema, name: &str, is_top: bool) -> Change {
    let parent = change.place.rsplit_once('/').map_or("", |(parent, _)| parent);
    let is_known = schema.written.pointer(&change.place).is_some() && name.chars().count() <= CHARS_MAX;
    let properties = format!("{parent}/properties");
    let patch = match schema.written.pointer(&properties) {
        _ if !is_known => Vec::new(),
        Some(_) => vec![json!({ "op": "add", "path": format!("{properties}/{}", escape(name)), "value": {} })],
        None => vec![json!({ "op": "add", "path": properties, "value": { name: {} } })],
    };
    let advice = if is_top {
        "allow the member, or all of them by schema.additional_properties = \"keep\""
    } else {
        "allow the member"
    };
    let name: String = name.chars().take(CHARS_MAX).collect();
    Change {
        message: Some(format!("the member {name:?} is unknown")),
        detail: name,
        advice: advice.into(),
        patch,
        ..change.clone()
    }
}

/// Whether a place has the types that an error is about: that of an error in another resource of the schema may be another place.
fn is_of(types: &Json, kind: &TypeKind) -> bool {
    match (types, kind) {
        (Json::String(one), TypeKind::Single(demanded)) => *one == demanded.to_string(),
        (Json::Array(several), TypeKind::Multiple(_)) => several.len() > 1,
        (Json::Array(several), TypeKind::Single(demanded)) => {
            matches!(several.as_slice(), [Json::String(one)] if *one == demanded.to_string())
        }
        _ => false,
    }
}

/// Adds the type of the value.
fn widened(change: Change, written: Option<&Json>, value: &Json) -> Change {
    let found = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let mut types = match written {
        Some(Json::Array(types)) => types.clone(),
        Some(one @ Json::String(_)) => vec![one.clone()],
        _ => Vec::new(),
    };
    types.retain(|known| found != "number" || known != "integer");
    types.push(found.into());
    let patch = operation("replace", &change.place, Some(types.into()), written);
    Change { detail: found.into(), advice: format!("allow the type {found}"), patch, ..change }
}

/// Adds the value to the list.
fn listed(change: Change, written: Option<&Json>, value: Option<Json>) -> Change {
    let Some(value) = value else {
        return Change { advice: format!("add the value to {}{ASK}", change.place), ..change };
    };
    let patch = operation("add", &format!("{}/-", change.place), Some(value.clone()), written);
    Change { detail: value.to_string(), advice: "add the value to the list".into(), patch, ..change }
}

/// Allows the value beside the one that is demanded.
fn alternative(change: Change, written: Option<&Json>, value: Option<Json>) -> Change {
    let (Some(value), Some(constant)) = (value, written) else {
        return Change { advice: format!("allow the value at {}{ASK}", change.place), ..change };
    };
    let mut patch = operation("remove", &change.place, None, written);
    let parent = change.place.strip_suffix("/const").unwrap_or_default();
    patch.push(json!({ "op": "add", "path": format!("{parent}/enum"), "value": [constant, value] }));
    Change { detail: value.to_string(), advice: "allow the value beside the other one".into(), patch, ..change }
}

const ASK: &str = " (--values shows it)";

/// Demands a member no longer.
fn optional(change: Change, written: Option<&Json>, name: &str) -> Change {
    let names = written.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let patch = match names.iter().position(|known| known == name) {
        // Draft 4 allows no empty list.
        Some(_) if names.len() == 1 => operation("remove", &change.place, None, written),
        Some(index) => operation("remove", &format!("{}/{index}", change.place), None, written),
        None => Vec::new(),
    };
    Change { detail: name.to_owned(), advice: "make the member optional".into(), patch, ..change }
}

/// The length or count of a value that goes beyond a limit.
fn extent(kind: &Kind, value: &Json) -> Option<u64> {
    let count = match (kind, value) {
        (Kind::MaxLength { .. } | Kind::MinLength { .. }, Json::String(text)) => text.chars().count(),
        (Kind::MaxItems { .. } | Kind::MinItems { .. }, Json::Array(items)) => items.len(),
        (Kind::MaxProperties { .. } | Kind::MinProperties { .. }, Json::Object(members)) => members.len(),
        _ => return None,
    };
    Some(count as u64)
}

fn loosened(change: Change, kind: &Kind, schema: &Schema) -> Change {
    let keyword = last(&change.place).to_owned();
    // The alternatives themselves say what is allowed.
    if matches!(kind, Kind::AnyOf { .. } | Kind::OneOfNotValid { .. }) {
        return Change { advice: format!("let one of {} accept the value", change.place), ..change };
    }
    if matches!(kind, Kind::OneOfMultipleValid { .. }) {
        return Change { advice: format!("let only one of {} accept the value", change.place), ..change };
    }
    let mut patch = operation("remove", &change.place, None, schema.written.pointer(&change.place));
    // In draft 4, "exclusiveMaximum": true is a property of the maximum.
    let companion = match keyword.as_str() {
        "maximum" => "exclusiveMaximum",
        "minimum" => "exclusiveMinimum",
        _ => "",
    };
    let companion = format!("{}{companion}", &change.place[..change.place.len() - keyword.len()]);
    if let Some(bound @ Json::Bool(_)) = schema.written.pointer(&companion) {
        patch.extend(operation("remove", &companion, None, Some(bound)));
    }
    Change { advice: format!("loosen or remove {keyword}"), patch, ..change }
}

/// A value that is short enough to be shown.
fn shown(value: &Json) -> Option<Json> {
    match value {
        Json::Array(_) | Json::Object(_) => None,
        Json::String(text) if text.chars().count() > CHARS_MAX => None,
        value => Some(value.clone()),
    }
}

fn last(place: &str) -> &str {
    place.rsplit('/').next().unwrap_or_default()
}
