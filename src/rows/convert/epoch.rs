//! Times as numbers since 1970-01-01 UTC.

use serde_json::Value as Json;

use crate::rows::column_type::ColumnType;
use crate::rows::convert::decimal::Decimal;
use crate::rows::convert::number::{NOT_A_NUMBER, number_text};
use crate::rows::event::Numbers;
use crate::rows::value::Value;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: the years of RFC 3339 that PostgreSQL has.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;

/// The time in UTC of a number in units of which one is 10^`power` microseconds, rounded to microseconds.
pub(super) fn to_time(
    json: &Json,
    numbers: &Numbers<'_>,
    power: i64,
    column_type: &ColumnType,
) -> std::result::Result<Value, &'static str> {
    let number = number_text(json, numbers).ok_or(NOT_A_NUMBER)?;
    let micros = Decimal::parse(&number).ok_or(NOT_A_NUMBER)?.scaled(power);
    let micros =
        micros.filter(|micros| (FIRST..=LAST).contains(micros)).ok_or("is not a time in the years 1 to 9999")?;
    Ok(at(micros, column_type))
}

/// A time, given in microseconds since 1970-01-01 UTC, for a column of times or dates.
pub(super) fn at(micros: i64, column_type: &ColumnType) -> Value {
    match column_type {
        #[expect(clippy::cast_possible_truncation, reason = "an i64 of microseconds has 106,751,991 days")]
        ColumnType::Date => Value::Days(micros.div_euclid(MICROS_PER_DAY) as i32),
        _ => Value::Micros(micros),
    }
}
