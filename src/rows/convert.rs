//! Conversion of an event into a row: each value becomes a value of its column, or does not fit.
//!
//! A mismatch that is found here costs one event; one that the database finds costs the whole batch another attempt. So the rules are
//! those of PostgreSQL's input functions for the text of a JSON value. Reasons never contain values.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind, Result, Violation};
use crate::rows::batch::{Rows, Value};
use crate::rows::columns::{ColumnSource, PlanColumn, Role};
use crate::rows::decimal::Decimal;
use crate::rows::partition::key_hash;
use crate::rows::plan::Plan;
use crate::rows::table::ColumnType;
use crate::time::timestamp::DateTime;

/// Appends the event as one row, or leaves `rows` as they were.
///
/// # Errors
/// [`Unmapped`](crate::ErrorKind::Unmapped) with one violation for each column whose value does not fit.
pub(crate) fn map_event(event: &Json, offset: u64, rows: &mut Rows) -> Result<()> {
    let plan = Arc::clone(&rows.plan);
    let (values_before, text_before) = (rows.values.len(), rows.text.len());
    let mut mismatches = Vec::new();
    for column in plan.row_columns() {
        let value = match &column.source {
            ColumnSource::Pointer(tokens) => match resolve(event, tokens) {
                None | Some(Json::Null) => Ok(Value::Null),
                Some(json) => convert(json, column.column_type, &mut rows.text),
            },
            ColumnSource::Rest => rest(event, plan.row_columns())
                .map_or(Ok(Value::Null), |rest| convert(&Json::Object(rest), column.column_type, &mut rows.text)),
            ColumnSource::Now => continue,
        };
        match value {
            Ok(Value::Null) if column.required => {
                mismatches.push((column, "is missing or null, but the column requires a value"));
            }
            Ok(value) => rows.values.push(value),
            Err(reason) => mismatches.push((column, reason)),
        }
    }
    if mismatches.is_empty() {
        rows.offsets.push(offset);
        return Ok(());
    }
    rows.values.truncate(values_before);
    rows.text.truncate(text_before);
    Err(unmapped(&mismatches))
}

/// The hash of the event's key, also of an event that is not valid; `None` if it has no key.
pub(crate) fn key_of(event: &Json, plan: &Arc<Plan>) -> Option<u64> {
    let mut rows = Rows::new(Arc::clone(plan));
    for column in plan.row_columns() {
        let value = match &column.source {
            ColumnSource::Pointer(tokens) if column.role == Role::Key => {
                let json = resolve(event, tokens).filter(|json| !json.is_null())?;
                convert(json, column.column_type, &mut rows.text).ok()?
            }
            _ => Value::Null,
        };
        rows.values.push(value);
    }
    Some(key_hash(&rows, 0))
}

fn unmapped(mismatches: &[(&PlanColumn, &'static str)]) -> Error {
    let violations: Vec<Violation> = mismatches
        .iter()
        .map(|(column, reason)| Violation {
            pointer: pointer(&column.source),
            keyword: "column".into(),
            message: format!("{reason} (column {:?})", column.name),
        })
        .collect();
    let first = &violations[0];
    Error::new(ErrorKind::Unmapped, format!("the event does not fit the table: {first}"))
        .with_column(mismatches.first().map(|(column, _)| column.name.as_str()))
        .with_violations(violations)
}

fn pointer(source: &ColumnSource) -> String {
    let ColumnSource::Pointer(tokens) = source else { return String::new() };
    tokens.iter().fold(String::new(), |mut pointer, token| {
        let _ = write!(pointer, "/{}", token.replace('~', "~0").replace('/', "~1"));
        pointer
    })
}

/// The value at a JSON pointer (RFC 6901 section 4).
fn resolve<'a>(event: &'a Json, tokens: &[String]) -> Option<&'a Json> {
    tokens.iter().try_fold(event, |json, token| match json {
        Json::Object(members) => members.get(token),
        Json::Array(items) => {
            let is_index = token == "0" || !token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit());
            is_index.then(|| token.parse::<usize>().ok()).flatten().and_then(|index| items.get(index))
        }
        _ => None,
    })
}

/// The members of the event and of its `attributes` that no pointer selects, side by side; `None` if there are none.
fn rest(event: &Json, columns: &[PlanColumn]) -> Option<Map<String, Json>> {
    let is_taken = |path: &[&str]| {
        columns.iter().any(
            |column| matches!(&column.source, ColumnSource::Pointer(tokens) if !tokens.is_empty() && tokens == path),
        )
    };
    let members = event.as_object()?;
    let mut rest = Map::new();
    if let Some(Json::Object(attributes)) = members.get(ATTRIBUTES).filter(|_| !is_taken(&[ATTRIBUTES])) {
        let left = attributes.iter().filter(|(name, _)| !is_taken(&[ATTRIBUTES, name]));
        rest.extend(left.map(|(name, value)| (name.clone(), value.clone())));
    }
    for (name, value) in members {
        if is_taken(&[name]) || (name == ATTRIBUTES && value.is_object()) {
            continue;
        }
        // A name that attributes also has is stored under its pointer, so that neither hides the other.
        let name = if rest.contains_key(name) { format!("/{name}") } else { name.clone() };
        rest.insert(name, value.clone());
    }
    (!rest.is_empty()).then_some(rest)
}

const ATTRIBUTES: &str = "attributes";

/// The value for a column; `json` is not null. The error is the reason for a mismatch.
fn convert(json: &Json, column_type: ColumnType, text: &mut String) -> std::result::Result<Value, &'static str> {
    match column_type {
        ColumnType::Text { chars_max } => to_text(json, chars_max, text),
        ColumnType::Int2 => to_int(json, i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int4 => to_int(json, i32::MIN.into(), i32::MAX.into()),
        ColumnType::Int8 => to_int(json, i64::MIN, i64::MAX),
        ColumnType::Float4 => to_float::<f32>(json),
        ColumnType::Float8 => to_float::<f64>(json),
        ColumnType::Numeric { precision_scale } => to_numeric(json, precision_scale, text),
        ColumnType::Bool => to_bool(json).map(Value::Bool).ok_or("is neither true nor false"),
        ColumnType::TimestampTz => date_time(json)?.utc_micros().map(Value::Micros),
        ColumnType::Timestamp => date_time(json)?.local_micros().map(Value::Micros),
        ColumnType::Date => date_time(json)?.days().map(Value::Days),
        ColumnType::Uuid => to_uuid(json, text),
        ColumnType::Jsonb if has_nul(json) => Err(HAS_NUL),
        ColumnType::Json | ColumnType::Jsonb => Ok(push_text(text, &json.to_string())),
    }
}

const HAS_NUL: &str = "contains the NUL character (\\u0000), which PostgreSQL does not store";
const NOT_A_NUMBER: &str = "is not a number";

fn push_text(text: &mut String, value: &str) -> Value {
    let start = text.len();
    text.push_str(value);
    #[expect(clippy::cast_possible_truncation, reason = "a batch is batch.bytes_max plus one event, far below 4 GiB")]
    let value = Value::Text { start: start as u32, len: value.len() as u32 };
    value
}

fn to_text(json: &Json, chars_max: Option<u32>, text: &mut String) -> std::result::Result<Value, &'static str> {
    let Json::String(value) = json else {
        let value = json.to_string();
        return fit_chars(&value, chars_max).map(|value| push_text(text, value));
    };
    if value.contains('\0') {
        return Err(HAS_NUL);
    }
    fit_chars(value, chars_max).map(|value| push_text(text, value))
}

/// `varchar(n)` refuses more than n characters, but cuts off excess spaces (PostgreSQL manual, "Character Types").
fn fit_chars(value: &str, chars_max: Option<u32>) -> std::result::Result<&str, &'static str> {
    let Some(chars_max) = chars_max.map(|n| n as usize).filter(|&n| value.len() > n) else { return Ok(value) };
    match value.char_indices().nth(chars_max) {
        None => Ok(value),
        Some((end, _)) if value[end..].bytes().all(|byte| byte == b' ') => Ok(&value[..end]),
        Some(_) => Err("has more characters than the column allows"),
    }
}

/// Reads the words that PostgreSQL reads: `true`, `yes`, `on`, `1`, their opposites, and beginnings of them that are not ambiguous,
/// in any case (PostgreSQL manual, "Boolean Type").
fn to_bool(json: &Json) -> Option<bool> {
    let word = match json {
        Json::Bool(value) => return Some(*value),
        Json::Number(number) => {
            return [(0.0, false), (1.0, true)]
                .into_iter()
                .find(|&(value, _)| number.as_f64() == Some(value))
                .map(|(_, bool)| bool);
        }
        Json::String(word) => word.trim().to_ascii_lowercase(),
        _ => return None,
    };
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Some(false)
    } else {
        None
    }
}

fn to_int(json: &Json, min: i64, max: i64) -> std::result::Result<Value, &'static str> {
    let value = match json {
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => value,
            (None, Some(value)) if value.fract() != 0.0 => return Err("is not a whole number"),
            // 2^63, the first number beyond the range, is exact in f64; i64::MAX is not.
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            (None, Some(value)) if (-TWO_POW_63..TWO_POW_63).contains(&value) => value as i64,
            _ => return Err("is out of the column's range"),
        },
        Json::String(digits) => digits.trim().parse().map_err(|_| "is text that is not a whole number in range")?,
        _ => return Err(NOT_A_NUMBER),
    };
    if (min..=max).contains(&value) { Ok(Value::Int(value)) } else { Err("is out of the column's range") }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// Parses the number's text, so that `real` is rounded once, from decimal, as in PostgreSQL.
fn to_float<F: std::str::FromStr + Into<f64>>(json: &Json) -> std::result::Result<Value, &'static str> {
    let number = match json {
        Json::Number(number) => number.to_string(),
        Json::String(number) => number.trim().to_owned(),
        _ => return Err(NOT_A_NUMBER),
    };
    let value: f64 = number.parse::<F>().map_err(|_| NOT_A_NUMBER)?.into();
    let is_zero = || number.bytes().take_while(|b| !matches!(b, b'e' | b'E')).all(|b| !matches!(b, b'1'..=b'9'));
    if !value.is_finite() || (value == 0.0 && !is_zero()) {
        return Err("is out of the column's range");
    }
    Ok(Value::Float(value))
}

fn to_numeric(
    json: &Json,
    precision_scale: Option<(u32, i32)>,
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    let number = match json {
        Json::Number(number) => number.to_string(),
        Json::String(number) => number.trim().to_owned(),
        _ => return Err(NOT_A_NUMBER),
    };
    let decimal = Decimal::parse(&number).ok_or(NOT_A_NUMBER)?;
    if decimal.fits(precision_scale) {
        Ok(push_text(text, &number))
    } else {
        Err("has more digits before the decimal point than the column allows")
    }
}

fn date_time(json: &Json) -> std::result::Result<DateTime, &'static str> {
    json.as_str().and_then(DateTime::parse_date).ok_or("is not a date-time of RFC 3339")
}

/// Reads the forms that PostgreSQL reads: 32 hexadecimal digits, optionally with a hyphen after any group of four and with braces
/// around them (PostgreSQL manual, "UUID Type"). Writes the standard form.
fn to_uuid(json: &Json, text: &mut String) -> std::result::Result<Value, &'static str> {
    const NOT_A_UUID: &str = "is not a UUID";
    let given = json.as_str().ok_or(NOT_A_UUID)?;
    let bare = given.strip_prefix('{').map_or(Some(given), |inner| inner.strip_suffix('}')).ok_or(NOT_A_UUID)?;
    let mut hex = String::with_capacity(32);
    for part in bare.split('-') {
        let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if part.is_empty() || part.len() % 4 != 0 || !is_hex {
            return Err(NOT_A_UUID);
        }
        hex.push_str(part);
    }
    if hex.len() != 32 {
        return Err(NOT_A_UUID);
    }
    hex.make_ascii_lowercase();
    let standard = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    Ok(push_text(text, &standard))
}

fn has_nul(json: &Json) -> bool {
    match json {
        Json::String(value) => value.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
