//! Numbers and booleans.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::rows::convert::decimal::Decimal;
use crate::rows::convert::stored_text::{push_text, trimmed};
use crate::rows::event::Numbers;
use crate::rows::value::Value;

pub(super) const NOT_A_NUMBER: &str = "is not a number";
const NOT_WHOLE: &str = "is not a whole number";
const OUT_OF_RANGE: &str = "is out of the column's range";

/// The text of a number, and of a text that may hold one.
pub(super) fn number_text<'t>(json: &'t Json, numbers: &'t Numbers<'_>) -> Option<Cow<'t, str>> {
    match json {
        Json::Number(number) => Some(numbers.written(number)),
        Json::String(text) => Some(Cow::Borrowed(trimmed(text))),
        _ => None,
    }
}

/// Reads the words that PostgreSQL reads: `true`, `yes`, `on`, `1`, their opposites, and beginnings of them that are not ambiguous,
/// in any case (PostgreSQL manual, "Boolean Type").
pub(super) fn to_bool(json: &Json, numbers: &Numbers<'_>) -> Option<bool> {
    let word = match json {
        Json::Bool(value) => return Some(*value),
        Json::Number(number) => {
            return match Decimal::parse(&numbers.written(number))?.to_i64()? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            };
        }
        Json::String(word) => trimmed(word).to_ascii_lowercase(),
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

pub(super) fn to_int(
    json: &Json,
    numbers: &Numbers<'_>,
    min: i64,
    max: i64,
) -> std::result::Result<Value, &'static str> {
    let value = match json {
        Json::Number(number) => {
            if let Some(value) = number.as_i64() {
                value
            } else {
                let decimal = Decimal::parse(&numbers.written(number)).ok_or(OUT_OF_RANGE)?;
                decimal.to_i64().ok_or(if decimal.is_whole() { OUT_OF_RANGE } else { NOT_WHOLE })?
            }
        }
        Json::String(digits) => trimmed(digits).parse().map_err(|_| "is text that is not a whole number in range")?,
        _ => return Err(NOT_A_NUMBER),
    };
    if (min..=max).contains(&value) { Ok(Value::Int(value)) } else { Err(OUT_OF_RANGE) }
}

/// Parses the number's text, so that it is rounded once, from decimal, as in PostgreSQL.
pub(super) fn to_float<F: std::str::FromStr + Into<f64>>(
    json: &Json,
    numbers: &Numbers<'_>,
) -> std::result::Result<Value, &'static str> {
    let number = number_text(json, numbers).ok_or(NOT_A_NUMBER)?;
    let value: f64 = number.parse::<F>().map_err(|_| NOT_A_NUMBER)?.into();
    let is_zero = || number.bytes().take_while(|b| !matches!(b, b'e' | b'E')).all(|b| !matches!(b, b'1'..=b'9'));
    if !value.is_finite() || (value == 0.0 && !is_zero()) {
        return Err(OUT_OF_RANGE);
    }
    Ok(Value::Float(value))
}

pub(super) fn to_numeric(
    json: &Json,
    numbers: &Numbers<'_>,
    precision_scale: Option<(u32, i32)>,
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    let number = number_text(json, numbers).ok_or(NOT_A_NUMBER)?;
    let decimal = Decimal::parse(&number).ok_or(NOT_A_NUMBER)?;
    if decimal.fits(precision_scale) {
        Ok(push_text(text, &number))
    } else if decimal.fits(None) {
        Err("has more digits before the decimal point than the column allows")
    } else {
        Err("has more digits than PostgreSQL stores")
    }
}
